"""The page of a run: a proposal, and the source of its methods, as all that the template shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from llm_testgen.clauses import ContractRecord
from llm_testgen.delivery import proof
from llm_testgen.delivery.markdown import plural
from llm_testgen.pages.blocks import BarChart, Column, Figure, Table, duration, fitting
from llm_testgen.pages.charts import coverage_chart, funnel_chart
from llm_testgen.pages.highlight import Line, highlight
from llm_testgen.pages.lines import Lines, lines_of, reached, told
from llm_testgen.pages.listing import Listing, listing
from llm_testgen.pages.verdicts import LONGEST_SHOWN, MEANINGS, VerdictView, outcome_name, verdict_view
from llm_testgen.pages.words import Phrase, code, phrase, plain, quote
from llm_testgen.proposal import Proposal, RegressionRecord
from llm_testgen.records import Method, Outcome

Sources = Mapping[str, Sequence[Method]]

_SHORT_COMMIT = 12
_MOST_NAMES = 20
_MOST_MODELS = 5
_LONGEST_NAME = 200
# A page with more of them would not open in a browser; the proposal has them all.
_MOST_VERDICTS = 3_000
# Up to so many accepted tests are unfolded from the start: they are what the page is about.
_MOST_OPEN = 3
_MOST_LISTED = 10


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the outcomes by which verdicts can be filtered: its name for the style sheet and for people, a count."""

    key: str
    name: str
    count: int
    meaning: str


@dataclass(frozen=True, slots=True)
class MethodView:
    """A changed method with its tests.

    Attributes:
        number: Its place on the page, from 0.
        path: The file.
        qualname: Its name there.
        told: What became of its lines, in words.
        listing: Its source; None where that is not at hand.
        verdicts: On its candidates, the accepted ones first.
    """

    number: int
    path: Phrase
    qualname: Phrase
    told: str
    listing: Listing | None
    verdicts: tuple[VerdictView, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A possible regression: the method, what its author is asked, and the test."""

    target: Phrase
    asked: Phrase
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class ContractView:
    """Assertions for a method: where they go, what each notices, and the lines with them."""

    target: Phrase
    place: str
    asserts: tuple[Phrase, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class RunPage:
    """All that the page of a run shows.

    Attributes:
        title: What was found, in one sentence.
        about: What it was found for, each with its name.
        figures: The headline figures.
        questions: Possible regressions.
        funnel: Replies and candidates, filter by filter; None if the model gave none.
        coverage: Coverage by method; None if there is no method.
        choices: The outcomes there are, with how often.
        methods: Changed methods, with their tests.
        open_verdicts: Whether accepted tests are unfolded from the start.
        open_listings: Whether sources are.
        contracts: Assertions for the methods themselves.
        skipped: What was left out; None if nothing was.
        notes: What a person should know.
        version: Of the tool.
    """

    title: str
    about: tuple[tuple[str, Phrase], ...]
    figures: tuple[Figure, ...]
    questions: tuple[Question, ...]
    funnel: BarChart | None
    coverage: BarChart | None
    choices: tuple[Choice, ...]
    methods: tuple[MethodView, ...]
    open_verdicts: bool
    open_listings: bool
    contracts: tuple[ContractView, ...]
    skipped: Table | None
    notes: tuple[Phrase, ...]
    version: str


def run_page(proposal: Proposal, sources: Sources, version: str, notes: Iterable[str] = ()) -> RunPage:
    """What there is to show of a proposal.

    Args:
        proposal: What was found.
        sources: The definitions of its methods at head by the methods' ids, of those where they are at hand.
        version: Of the tool.
        notes: What a person should know of the page.
    """
    known, chosen = reached(proposal), _chosen(proposal)
    lines = {target.id: lines_of(target, sources.get(target.id, ()), known) for target in proposal.targets}
    tests = {index: proposal.verdicts[index].name for index in chosen}
    listings = {
        target.id: listing(sources[target.id], lines[target.id], target.path, known.gained, tests)
        for target in proposal.targets
        if sources.get(target.id)
    }
    return RunPage(
        title=_title(proposal),
        about=tuple(_about(proposal)),
        figures=tuple(_figures(proposal)),
        questions=tuple(map(_question, proposal.regressions)),
        funnel=funnel_chart(proposal) if proposal.funnel.replies or proposal.verdicts else None,
        coverage=coverage_chart(proposal, lines) if proposal.targets else None,
        choices=tuple(_choices(proposal, chosen)),
        methods=tuple(_methods(proposal, chosen, lines, listings)),
        open_verdicts=len(proposal.accepted) <= _MOST_OPEN,
        open_listings=len(proposal.targets) <= _MOST_LISTED,
        contracts=tuple(map(_contract, proposal.contracts)),
        skipped=_skipped(proposal),
        notes=tuple(plain(note) for note in (*proposal.notes, *_cut(proposal), *notes)),
        version=version,
    )


def _chosen(proposal: Proposal) -> Sequence[int]:
    """Indices of the verdicts that are shown, in their order: where there are too many, the accepted ones first."""
    outcomes = [verdict.outcome for verdict in proposal.verdicts]
    by_worth = sorted(range(len(outcomes)), key=lambda index: outcomes[index] is not Outcome.ACCEPTED)
    return sorted(by_worth[:_MOST_VERDICTS])


def is_of_named_code(proposal: Proposal) -> bool:
    """Whether it is about code that a person named, and not about a change."""
    return proposal.base == proposal.head and not proposal.worktree


def _title(proposal: Proposal) -> str:
    figures = proposal.coverage
    what = "coverage" if is_of_named_code(proposal) else "diff coverage"
    if count := len(proposal.accepted):
        raised = "raises" if count == 1 else "raise"
        return f"{plural(count, 'test')} {raised} {what} from {figures.before:.2f} % to {figures.after:.2f} %"
    if proposal.contracts:
        return f"{plural(_assertions(proposal), 'assertion')} to add to the changed code"
    return f"No test to propose: {what} stays at {figures.before:.2f} %"


def _assertions(proposal: Proposal) -> int:
    return sum(len(record.asserts) for record in proposal.contracts)


def _about(proposal: Proposal) -> Iterator[tuple[str, Phrase]]:
    base, head = (code(commit[:_SHORT_COMMIT]) for commit in (proposal.base, proposal.head))
    if is_of_named_code(proposal):
        yield "Named code at", head
    else:
        yield "Base", base
        yield "Head", (*head, *plain(" and the working tree on top of it")) if proposal.worktree else head
    wrote = [verdict.model for verdict in proposal.verdicts] + [record.model for record in proposal.contracts]
    models = dict.fromkeys(model for model in wrote if model.strip())
    shown, more = fitting(list(models), _MOST_MODELS)
    if shown:
        said = ", ".join(quote(model, _LONGEST_NAME) for model in shown)
        yield "Model", phrase(f"{said} and {more:,} more" if more else said)


def _figures(proposal: Proposal) -> Iterator[Figure]:
    figures, counted, usage = proposal.coverage, proposal.funnel, proposal.usage
    named = is_of_named_code(proposal)
    yield Figure(
        "Coverage" if named else "Diff coverage",
        f"{figures.before:.1f} → {figures.after:.1f} %",
        f"{figures.covered_before:,} → {figures.covered_after:,} of {figures.changed_lines:,}"
        f" {'' if named else 'changed '}lines",
    )
    if proposal.regressions:
        yield Figure("Possible regressions", f"{len(proposal.regressions):,}", "asked about below")
    if proposal.contracts:
        yield Figure("Assertions kept", f"{_assertions(proposal):,}", "each holds, and notices a fault")
    if proposal.verdicts:
        replies = "1 reply" if counted.replies == 1 else f"{counted.replies:,} replies"
        yield Figure("Tests accepted", f"{counted.accepted:,} of {counted.candidates:,}", f"candidates, from {replies}")
    if tally := proof.tally_of_all(proposal.verdicts[index] for index in proposal.accepted):
        yield Figure("Faults noticed", tally, "put into the lines that accepted tests run")
    tokens = usage.tokens_in + usage.tokens_out
    yield Figure("Tokens", f"{tokens:,}", f"{usage.tokens_in:,} read, {usage.tokens_out:,} written")
    yield Figure("Time", duration(usage.total_seconds), f"the model took {duration(usage.seconds)} of it")


def _choices(proposal: Proposal, chosen: Iterable[int]) -> Iterator[Choice]:
    counts = dict.fromkeys(MEANINGS, 0)
    for index in chosen:
        counts[proposal.verdicts[index].outcome] += 1
    for outcome, count in counts.items():
        if count:
            yield Choice(outcome.value, outcome_name(outcome), count, MEANINGS[outcome])


def _methods(
    proposal: Proposal, chosen: Iterable[int], lines: Mapping[str, Lines], listings: Mapping[str, Listing]
) -> Iterator[MethodView]:
    """The changed methods in their order; what a verdict is about that is none of them comes last."""
    found: dict[str, list[VerdictView]] = {target.id: [] for target in proposal.targets}
    for index in chosen:
        verdict = proposal.verdicts[index]
        found.setdefault(verdict.target, []).append(verdict_view(index, verdict))
    for number, (name, verdicts) in enumerate(found.items()):
        path, _, qualname = name.partition("::")
        yield MethodView(
            number=number,
            path=code(path, _LONGEST_NAME),
            qualname=code(qualname or path, _LONGEST_NAME),
            told=told(lines[name]) if name in lines else "",
            listing=listings.get(name),
            verdicts=tuple(sorted(verdicts, key=lambda view: not view.is_accepted)),
        )


def _question(found: RegressionRecord) -> Question:
    return Question(
        target=code(found.target, _LONGEST_NAME),
        asked=phrase(proof.question(found, quote)),
        lines=highlight(found.code[:LONGEST_SHOWN]),
    )


def _contract(record: ContractRecord) -> ContractView:
    place = f"line {record.start:,}" if record.start == record.line else f"lines {record.start:,} to {record.line:,}"
    return ContractView(
        target=code(record.target, _LONGEST_NAME),
        place=place,
        asserts=tuple(phrase(f"{quote(one.text)} {proof.of_assertion(one, quote)}") for one in record.asserts),
        lines=highlight(record.text[:LONGEST_SHOWN]),
    )


def _skipped(proposal: Proposal) -> Table | None:
    names: dict[str, list[str]] = {}
    for skip in proposal.skipped:
        names.setdefault(skip.reason, []).append(f"{skip.path}::{skip.qualname}" if skip.qualname else skip.path)
    if not names:
        return None
    return Table(
        "What no tests were asked for",
        (Column("Reason"), Column("What")),
        tuple((plain(reason), _listed(left_out)) for reason, left_out in names.items()),
    )


def _listed(names: Sequence[str]) -> Phrase:
    shown, more = fitting(names, _MOST_NAMES)
    said = ", ".join(quote(name, _LONGEST_NAME) for name in shown)
    return phrase(f"{said} and {more:,} more" if more else said)


def _cut(proposal: Proposal) -> Iterator[str]:
    if (more := len(proposal.verdicts) - _MOST_VERDICTS) > 0:
        told = f"this page shows {_MOST_VERDICTS:,}, the accepted ones first"
        yield f"{plural(more, 'more verdict')} in proposal.json: {told}"
