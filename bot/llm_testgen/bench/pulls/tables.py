"""Results as rows: of arms side by side, of an experiment, of differences with how sure they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from llm_testgen.bench.pulls.arms import Arm
from llm_testgen.bench.pulls.estimates import Difference, Interval, Part, bootstrap, compare
from llm_testgen.bench.pulls.results import ArmResult, by_case, together

Rows = Sequence[Sequence[str]]
_NONE = "-"
_MODEL = "model"
_CASES = "cases"
SURE = 0.05
_TEN = 10.0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with a title and headings; the first column is text, the others are figures."""

    title: str
    headings: tuple[str, ...]
    rows: Rows


@dataclass(frozen=True, slots=True)
class Series:
    """Results of one arm and model, of the cases that all arms of a comparison have with that model."""

    arm: Arm
    model: str
    results: tuple[ArmResult, ...]

    @property
    def label(self) -> str:
        """The arm."""
        return self.arm.label

    def interval(self, part: Callable[[ArmResult], Part]) -> Interval:
        """A ratio over the cases, projects drawn whole."""
        groups: defaultdict[str, list[Part]] = defaultdict(list)
        for result in self.results:
            groups[result.project].append(part(result))
        return bootstrap(groups)

    @property
    def share(self) -> Interval:
        """Covered lines over missing ones, of all cases together."""
        return self.interval(lambda result: (result.figures.lines, result.about.missing))

    @property
    def passing(self) -> Interval | None:
        """Passing candidates over candidates; None of an arm without a funnel, or with no candidate."""
        funnels = [result.funnel for result in self.results if result.funnel is not None]
        if not sum(one.candidates for one in funnels):
            return None
        return self.interval(
            lambda result: (result.funnel.passed, result.funnel.candidates) if result.funnel else (0, 0)
        )

    @property
    def whole(self) -> Interval:
        """Share of cases of which nothing is left to cover."""
        return self.interval(lambda result: (result.is_whole, 1))


def series_of(results: Iterable[ArmResult], arms: Sequence[Arm], models: Sequence[str]) -> tuple[Series, ...]:
    """What can be compared: of each model the cases of which there is a result of every arm that is compared.

    All of a case are by the same measure: a project's own tests may do other things on another machine. An arm takes
    part that has results of more than half as many cases as the arm that has most: see `scarce`.
    """
    found: list[Series] = []
    for model, by_arm in _known(results, arms, models).items():
        there = [arm for arm in arms if _suffices(by_arm, arm)]
        shared = (
            [case for case in by_arm[there[0].key] if _comparable([by_arm[arm.key].get(case) for arm in there])]
            if there
            else []
        )
        found += [Series(arm, model, tuple(by_arm[arm.key][case] for case in shared)) for arm in there if shared]
    return tuple(found)


def scarce(results: Iterable[ArmResult], arms: Sequence[Arm], models: Sequence[str]) -> Iterator[tuple[Arm, str, int]]:
    """Arms that are not compared, with the model: so few cases have a result that the others would be of no use."""
    for model, by_arm in _known(results, arms, models).items():
        yield from (
            (arm, model, len(by_arm[arm.key])) for arm in arms if by_arm[arm.key] and not _suffices(by_arm, arm)
        )


_ByArm = Mapping[str, Mapping[str, ArmResult]]


def _known(results: Iterable[ArmResult], arms: Sequence[Arm], models: Sequence[str]) -> Mapping[str, _ByArm]:
    """Results by model, arm and case; those of other forms of an arm do not count."""
    forms = {(arm.key, arm.digest()) for arm in arms}
    known = [result for result in results if (result.arm, result.form) in forms]
    return {
        model: {arm.key: by_case([one for one in known if (one.arm, one.model) == (arm.key, model)]) for arm in arms}
        for model in models
    }


def _suffices(by_arm: _ByArm, arm: Arm) -> bool:
    return 2 * len(by_arm[arm.key]) > max(map(len, by_arm.values()))


def _comparable(results: Sequence[ArmResult | None]) -> bool:
    return len({result and result.measure for result in results}) == 1 and None not in results


def main_table(series: Sequence[Series]) -> Table:
    """Arms side by side: coverage, tests, mutants, tokens."""
    headings = (
        *("arm", "model", "cases", "lines", "missing lines, %", "fully covered, %", "diff coverage, %"),
        *("tests", "mutants killed", "lines / 1,000 tokens"),
    )
    return Table("What each arm brings", headings, [_main_row(one) for one in series])


def _main_row(one: Series) -> Sequence[str]:
    figures = together(one.results)
    before = sum(result.about.before for result in one.results)
    changed = sum(result.about.changed for result in one.results)
    after = before + figures.lines
    return (
        one.label,
        one.model,
        str(len(one.results)),
        f"{figures.lines}/{sum(result.about.missing for result in one.results)}",
        percent(one.share),
        percent(one.whole),
        f"{100 * before / changed:.1f} → {100 * after / changed:.1f}" if changed else _NONE,
        str(figures.kept),
        f"{figures.killed}/{figures.tried}",
        number(figures.lines_per_thousand),
    )


def human_rows(series: Sequence[Series]) -> Iterator[Sequence[str]]:
    """The tests that the authors wrote, as rows of the main table: one in all where all models have the same cases."""
    models = {one.model: one.results for one in series}
    if len({frozenset((result.case, result.measure) for result in results) for results in models.values()}) > 1:
        yield from (_human_row(results, model) for model, results in models.items())
    elif models:
        yield _human_row(next(iter(models.values())), _NONE)


def _human_row(results: Sequence[ArmResult], model: str) -> Sequence[str]:
    changed = sum(result.about.changed for result in results)
    before = sum(result.about.before for result in results)
    missing = sum(result.about.missing for result in results)
    covered = sum(result.about.human_missing for result in results)
    whole = sum(result.about.human_missing >= result.about.missing > 0 for result in results)
    everything = sum(result.about.human for result in results)
    share = f"{100 * covered / missing:.0f}" if missing else _NONE
    # As of an arm, those that cover the chosen methods; what the others add is no arm's to give.
    parts = [f"{100 * part / changed:.1f}" if changed else _NONE for part in (before, before + covered, everything)]
    diff = "{} → {} (all: {})".format(*parts)
    left = (_NONE,) * 3
    cases = f"{100 * whole / len(results):.0f}"
    return ("the authors' own tests", model, str(len(results)), f"{covered}/{missing}", share, cases, diff, *left)


def funnel_table(series: Sequence[Series]) -> Table:
    """How far the candidates of each arm came; nothing is said of an arm that judges its own."""
    stages = ("replies", "candidates", "built", "passed", "stable", "gained", "accepted")
    rows = []
    for one in series:
        funnels = [result.funnel for result in one.results if result.funnel is not None]
        counts = (str(sum(getattr(funnel, stage) for funnel in funnels)) if funnels else _NONE for stage in stages)
        rows.append((one.label, one.model, *counts, percent(one.passing)))
    return Table("Filter by filter", ("arm", "model", "replies", "tests", *stages[2:], "passing, %"), rows)


def cost_table(series: Sequence[Series]) -> Table:
    """What each arm costs; the time of tests only where all cases were worked on one by one, the CPU not of peers."""
    headings = (
        "arm",
        "model",
        "tokens in",
        "tokens out",
        "model s",
        "CPU s of tests",
        "CPU s / case",
        "judging s / case",
    )
    rows = []
    for one in series:
        figures, count = together(one.results), len(one.results)
        took = [result.seconds for result in one.results if result.seconds is not None]
        is_known = len(took) == count
        cpu = (number(figures.cpu), number(figures.cpu / count)) if figures.parts and is_known else (_NONE, _NONE)
        rows.append(
            (
                *(one.label, one.model, f"{figures.tokens_in:,}", f"{figures.tokens_out:,}"),
                *(f"{figures.model_seconds:,.0f}", *cpu),
                number(sum(took) / count) if is_known else _NONE,
            )
        )
    return Table("What it costs", headings, rows)


def difference_table(series: Sequence[Series]) -> Table:
    """Each arm less the first one of its model, in percentage points of the missing lines, case by case."""
    headings = ("arm", "model", "compared with", "cases", "difference, points", "ahead / behind", "p")
    rows = []
    for first, other in _pairs(series):
        found = difference(first, other)
        rows.append(
            (
                *(other.label, other.model, first.label, str(found.cases), points(found.interval)),
                *(f"{found.better} / {found.worse}", f"{found.p:.3f}{' *' if found.p < SURE else ''}"),
            )
        )
    return Table("How sure the differences are", headings, rows)


def difference(first: Series, other: Series) -> Difference:
    """The second series less the first, by the share of missing lines of each case."""
    projects = {result.case: result.project for result in first.results}
    shares: list[Mapping[str, float]] = [{one.case: one.share for one in each.results} for each in (other, first)]
    return compare(shares[0], shares[1], projects.__getitem__)


def _pairs(series: Sequence[Series]) -> Iterator[tuple[Series, Series]]:
    firsts: dict[str, Series] = {}
    for one in series:
        if one.model in firsts:
            yield firsts[one.model], one
        firsts.setdefault(one.model, one)


def experiment_table(name: str, series: Sequence[Series]) -> Table:
    """Tests written, passing and accepted, and lines, by what an experiment changes."""
    headings = ("way", "model", "cases", "tests written", "passing, %", "accepted", "lines", "missing lines, %")
    rows = []
    for one in series:
        funnels = [result.funnel for result in one.results if result.funnel is not None]
        figures = together(one.results)
        rows.append(
            (
                *(one.label, one.model, str(len(one.results)), str(sum(funnel.candidates for funnel in funnels))),
                *(percent(one.passing), str(figures.accepted)),
                *(f"{figures.lines}/{sum(result.about.missing for result in one.results)}", percent(one.share)),
            )
        )
    return Table(name, headings, rows)


def by_model(table: Table) -> Iterator[Table]:
    """A table of each model, which needs no column for it and so fits a terminal; as it is where arms are all the same.

    Rows of no model, such as that of the authors' tests, stand in each.
    """
    if _MODEL not in table.headings:
        yield table
        return
    place = table.headings.index(_MODEL)
    models = list(dict.fromkeys(row[place] for row in table.rows if row[place] != _NONE))
    if len(models) > 1 and len({row[0] for row in table.rows if row[place] != _NONE}) == 1:
        yield table
        return
    for model in models:
        rows = [row for row in table.rows if row[place] in {model, _NONE}]
        same = {place}
        title = f"{table.title}: {model}"
        if _CASES in table.headings:
            count = table.headings.index(_CASES)
            title += f", {rows[0][count]} case{'' if rows[0][count] == '1' else 's'}"
            same.add(count)
        yield Table(title, _without(table.headings, same), [_without(row, same) for row in rows])


def _without(cells: Sequence[str], places: AbstractSet[int]) -> tuple[str, ...]:
    return tuple(cell for place, cell in enumerate(cells) if place not in places)


def percent(interval: Interval | None) -> str:
    """A share with its interval, in per cent."""
    if interval is None:
        return _NONE
    if interval.low == float("-inf"):
        return f"{100 * interval.value:.0f}"
    return f"{100 * interval.value:.0f} ({100 * interval.low:.0f} to {100 * interval.high:.0f})"


def points(interval: Interval) -> str:
    """A difference with its interval, in percentage points."""
    if interval.low == float("-inf"):
        return f"{100 * interval.value:+.1f}"
    return f"{100 * interval.value:+.1f} ({100 * interval.low:+.1f} to {100 * interval.high:+.1f})"


def number(value: float) -> str:
    """A number with two places where it is small."""
    return f"{value:.2f}" if value < _TEN else f"{value:,.0f}"


def markdown(table: Table) -> Iterator[str]:
    """A table as lines of Markdown, without its title."""
    yield f"| {' | '.join(table.headings)} |"
    yield f"|---|{'---:|' * (len(table.headings) - 1)}"
    for row in table.rows:
        cells = [cell.replace("|", r"\|") for cell in row]
        yield f"| {' | '.join(cells)} |"
