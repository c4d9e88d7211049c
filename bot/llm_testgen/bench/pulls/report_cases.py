"""The cases on a benchmark's page: each with what every arm made of it, and an overview of them in several orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from llm_testgen.bench.pulls.arms import Arm
from llm_testgen.bench.pulls.report_charts import LONGEST_NAME
from llm_testgen.bench.pulls.results import ArmResult
from llm_testgen.delivery.markdown import plural, visible
from llm_testgen.pages.blocks import Column, Figure, Table, percent
from llm_testgen.pages.words import Phrase, code, phrase, plain, quote

AUTHORS = "the authors' own tests"
_NONE = "-"


@dataclass(frozen=True, slots=True)
class Group:
    """Arms that stand in one table; ``title`` is empty for the main ones."""

    title: str
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class CasePart:
    """What a group's arms made of a case and of its methods, with each model; ``title`` is the group's."""

    title: str
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case.

    Attributes:
        number: Its place on the page, from 0.
        name: What it is called.
        facts: What is said of it while it is folded.
        figures: What is so of it whatever the arm.
        parts: What each group of arms made of it.
        notes: What a person should know.
    """

    number: int
    name: Phrase
    facts: tuple[str, ...]
    figures: tuple[Figure, ...]
    parts: tuple[CasePart, ...]
    notes: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """All cases in one order: its name for the style sheet and for people, and a table of each model."""

    key: str
    name: str
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """A case under one model: its place, any of its results, and lines gained by arm, None where not known."""

    number: int
    any: ArmResult
    gains: tuple[int | None, ...]

    @property
    def first(self) -> int:
        """What the first arm gains."""
        return (self.gains[0] or 0) if self.gains else 0

    @property
    def ahead(self) -> int:
        """What the best of the other arms gains more than the first."""
        return max((gain or 0 for gain in self.gains[1:]), default=0) - self.first


# Each order with what it is called; it is by name where two cases are equal.
_ORDERS: Mapping[str, tuple[str, Callable[[_Row], int]]] = {
    "name": ("name", lambda row: row.number),
    "changed": ("changed lines", lambda row: -row.any.about.changed),
    "missing": ("missing lines", lambda row: -row.any.about.missing),
    "gained": ("lines gained by the first arm", lambda row: -row.first),
    "behind": ("where another arm is ahead of the first", lambda row: -row.ahead),
}


def case_views(results: Sequence[ArmResult], groups: Sequence[Group]) -> tuple[CaseView, ...]:
    """All cases by name, with what is known of each."""
    by_name: defaultdict[str, list[ArmResult]] = defaultdict(list)
    for result in results:
        by_name[result.case].append(result)
    return tuple(_case(number, by_name[name], groups) for number, name in enumerate(sorted(by_name)))


def _case(number: int, results: Sequence[ArmResult], groups: Sequence[Group]) -> CaseView:
    about = results[0].about
    models = tuple(dict.fromkeys(result.model for result in results))
    parts = [CasePart(group.title, tuple(_part(results, group.arms, models))) for group in groups]
    figures = (
        Figure("Changed lines", f"{about.changed:,}", "that hold a statement"),
        _share("Covered before", about.before, about.changed, "by the older tests"),
        _share("Covered by the authors", about.human, about.changed, "by the newer release's tests"),
        Figure("Missing", f"{about.missing:,}", f"lines of {plural(len(results[0].methods), 'chosen method')}"),
        _share("Of these by the authors", about.human_missing, about.missing, "by the newer release's tests"),
    )
    return CaseView(
        number=number,
        name=plain(results[0].case, LONGEST_NAME),
        facts=tuple(_facts(results, groups[0].arms, models)),
        figures=figures,
        parts=tuple(part for part in parts if part.tables),
        notes=tuple(_notes(results)),
    )


def _part(results: Sequence[ArmResult], arms: Sequence[Arm], models: Sequence[str]) -> Iterator[Table]:
    for model in models:
        own = {one.arm: one for one in results if one.model == model}
        if found := [(arm, own[arm.key]) for arm in arms if arm.key in own]:
            yield from _tables(found, visible(model, LONGEST_NAME))


def _share(label: str, part: int, whole: int, note: str) -> Figure:
    return Figure(label, f"{part:,}", f"{percent(part, whole)} {note}".strip())


def _facts(results: Sequence[ArmResult], arms: Sequence[Arm], models: Sequence[str]) -> Iterator[str]:
    yield plural(results[0].about.changed, "changed line")
    yield f"{results[0].about.missing:,} missing"
    first = next((arm for arm in arms if any(one.arm == arm.key for one in results)), None)
    if first is not None and len(models) == 1:
        gained = next(one.figures.lines for one in results if one.arm == first.key)
        yield f"{gained:,} gained by {first.label}"


def _tables(found: Sequence[tuple[Arm, ArmResult]], model: str) -> Iterator[Table]:
    headings = ("tests kept", "lines gained", "fully covered", "mutants killed", "tokens in", "tokens out")
    yield Table(
        f"What each arm made of it: {model}",
        (Column("arm"), *(Column(heading, numeric=True) for heading in headings)),
        tuple(tuple(map(plain, _cells(arm, result))) for arm, result in found),
    )
    methods = {method.target: method for _, result in found for method in result.methods}
    gained = [{method.target: f"{method.gained:,}" for method in result.methods} for _, result in found]
    yield Table(
        f"Lines gained of each method: {model}",
        (
            Column("method"),
            *(Column(heading, numeric=True) for heading in ("missing", *(arm.label for arm, _ in found), AUTHORS)),
        ),
        tuple(
            (
                code(target, LONGEST_NAME),
                plain(f"{method.missing:,}"),
                *(plain(each.get(target, _NONE)) for each in gained),
                plain(f"{method.human:,}"),
            )
            for target, method in methods.items()
        ),
    )


def _cells(arm: Arm, result: ArmResult) -> Sequence[str]:
    figures = result.figures
    return (
        *(arm.label, f"{figures.kept:,}", f"{figures.lines:,} of {result.about.missing:,}"),
        *("yes" if result.is_whole else "no", f"{figures.killed:,} of {figures.tried:,}" if figures.tried else _NONE),
        *(f"{figures.tokens_in:,}", f"{figures.tokens_out:,}"),
    )


def _notes(results: Sequence[ArmResult]) -> Iterator[Phrase]:
    """What was noted; with the arm's name where it is not so of all."""
    by_note: defaultdict[str, list[str]] = defaultdict(list)
    for result in results:
        for note in result.about.notes:
            by_note[note].append(result.figures.label)
    for note, labels in by_note.items():
        if len(labels) == len(results):
            yield plain(note)
        else:
            yield phrase(f"{', '.join(quote(label, LONGEST_NAME) for label in dict.fromkeys(labels))}: {quote(note)}")


def overviews(results: Sequence[ArmResult], arms: Sequence[Arm]) -> tuple[Overview, ...]:
    """The cases in each order in which a person may look for one; nothing where there is but one case."""
    numbers = {name: number for number, name in enumerate(sorted({result.case for result in results}))}
    if len(numbers) == 1:
        return ()
    models: defaultdict[str, dict[str, dict[str, ArmResult]]] = defaultdict(dict)
    for result in results:
        models[result.model].setdefault(result.case, {})[result.arm] = result
    tables: defaultdict[str, list[Table]] = defaultdict(list)
    for model, cases in models.items():
        there = [arm for arm in arms if any(arm.key in own for own in cases.values())]
        rows = [_row(numbers[case], cases[case], there) for case in sorted(cases)]
        for key, (_, order) in _ORDERS.items():
            tables[key].append(_overview(sorted(rows, key=order), there, model))
    return tuple(Overview(key, name, tuple(tables[key])) for key, (name, _) in _ORDERS.items())


def _row(number: int, of: Mapping[str, ArmResult], arms: Sequence[Arm]) -> _Row:
    gains = tuple(of[arm.key].figures.lines if arm.key in of else None for arm in arms)
    return _Row(number, next(iter(of.values())), gains)


def _overview(rows: Sequence[_Row], arms: Sequence[Arm], model: str) -> Table:
    headings = ("changed", "covered before", "missing", *(arm.label for arm in arms), AUTHORS)
    return Table(
        visible(f"Lines, and those gained by each arm: {model}", LONGEST_NAME),
        (Column("case"), *(Column(heading, numeric=True) for heading in headings)),
        tuple((plain(row.any.case, LONGEST_NAME), *map(_counted, _figures(row))) for row in rows),
        tuple(f"#c{row.number}" for row in rows),
    )


def _figures(row: _Row) -> Sequence[int | None]:
    about = row.any.about
    return about.changed, about.before, about.missing, *row.gains, about.human_missing


def _counted(count: int | None) -> Phrase:
    return plain(_NONE if count is None else f"{count:,}")
