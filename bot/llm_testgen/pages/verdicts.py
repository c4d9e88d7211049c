"""A verdict as a page shows it: what became of a test, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from llm_testgen.delivery import proof
from llm_testgen.delivery.markdown import plural, ranges
from llm_testgen.pages.blocks import Column, Table
from llm_testgen.pages.highlight import Line, highlight, plain_lines
from llm_testgen.pages.words import NOTHING, Phrase, code, phrase, plain, quote
from llm_testgen.proposal import MutantRecord, VerdictRecord
from llm_testgen.records import Outcome

LONGEST_SHOWN = 20_000
_MOST_PATHS = 5
_LONGEST_VALUE = 200

# What each outcome means, in the order of the filters.
MEANINGS = {
    Outcome.ACCEPTED: "passed every filter, and is proposed",
    Outcome.UNPARSABLE: "the reply held no test that could be read",
    Outcome.UNSAFE: "uses what no unit test has any business with, so it was never run",
    Outcome.BROKEN: "does not import, or pytest does not collect it",
    Outcome.FAILING: "does not pass at head",
    Outcome.FLAKY: "passed, and then did not",
    Outcome.NO_GAIN: "executes no changed line that existing or other accepted tests do not execute",
    Outcome.VACUOUS: "notices no fault that is put into the lines it executes",
    Outcome.UNCONFIRMED: "did not hold in its file, together with the other chosen tests",
}


def outcome_name(outcome: Outcome) -> str:
    """An outcome as people read it."""
    return outcome.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class VerdictView:
    """A verdict.

    Attributes:
        number: Its index in the proposal.
        name: The test's name.
        outcome: The filter that stopped it, or ``accepted``, as the style sheet names it.
        label: The same as people read it.
        facts: What is said of it while it is folded.
        reason: Why it was refused.
        warning: What a person has to check in a characterisation test.
        details: What more is known, each with its name.
        repairs: What was changed after extraction.
        idle: Assertions that noticed no fault.
        faults: The faults that it was tried with; None if there were none.
        lines: Its code.
        is_cut: Whether that is only the beginning of it.
    """

    number: int
    name: Phrase
    outcome: str
    label: str
    facts: tuple[str, ...]
    reason: Phrase
    warning: Phrase
    details: tuple[tuple[str, Phrase], ...]
    repairs: tuple[Phrase, ...]
    idle: tuple[Phrase, ...]
    faults: Table | None
    lines: tuple[Line, ...]
    is_cut: bool

    @property
    def is_accepted(self) -> bool:
        """Whether it is proposed."""
        return self.outcome == Outcome.ACCEPTED.value


def verdict_view(number: int, verdict: VerdictRecord) -> VerdictView:
    """What a page shows of a verdict, by its index in the proposal."""
    shown = verdict.code[:LONGEST_SHOWN]
    # The code of a reply without a test is whatever the model wrote.
    lines = plain_lines(shown) if verdict.outcome is Outcome.UNPARSABLE else highlight(shown)
    return VerdictView(
        number=number,
        name=code(verdict.name, _LONGEST_VALUE) or plain("a reply without a test"),
        outcome=verdict.outcome.value,
        label=outcome_name(verdict.outcome),
        facts=tuple(_facts(verdict)),
        reason=plain(verdict.reason),
        warning=phrase(_sentence(proof.observed(verdict, quote))),
        details=tuple((name, told) for name, told in _details(verdict) if told),
        repairs=tuple(plain(repair) for repair in verdict.repairs),
        # Where no fault was noticed at all, being idle is nothing special.
        idle=tuple(code(text) for text in verdict.idle) if verdict.killed else (),
        faults=_faults(verdict),
        lines=lines,
        is_cut=len(verdict.code) > LONGEST_SHOWN,
    )


def _facts(verdict: VerdictRecord) -> Sequence[str]:
    facts = []
    if gained := sum(map(len, verdict.gained.values())):
        facts.append(plural(gained, "new line"))
    if tally := proof.tally(verdict):
        facts.append(f"{tally} faults noticed")
    if verdict.label:
        facts.append(verdict.label.value)
    if verdict.observed:
        facts.append("characterisation")
    if verdict.repairs:
        facts.append(plural(len(verdict.repairs), "repair"))
    return facts


def _details(verdict: VerdictRecord) -> Sequence[tuple[str, Phrase]]:
    return (
        ("Newly executes", _gained(verdict)),
        ("Says of the change", plain(proof.label(verdict))),
        ("Runs", _runs(verdict)),
        ("Written by", _origin(verdict)),
    )


def _gained(verdict: VerdictRecord) -> Phrase:
    paths = list(verdict.gained)[:_MOST_PATHS]
    more = len(verdict.gained) - len(paths)
    said = "; ".join(f"{quote(path)} line {ranges(verdict.gained[path])}" for path in paths)
    return phrase(f"{said}; and lines of {plural(more, 'more file')}" if more else said)


def _runs(verdict: VerdictRecord) -> Phrase:
    counted = Counter(ending.value.replace("_", " ") for ending in verdict.runs)
    said = ", ".join(f"{ending} {count}×" for ending, count in counted.items())  # noqa: RUF001 - the sign for times
    return plain(f"{said}, {verdict.seconds * 1000:,.0f} ms each" if said and verdict.seconds else said)


def _origin(verdict: VerdictRecord) -> Phrase:
    which = "the first prompt" if verdict.attempt == 1 else f"prompt {verdict.attempt:,}"
    return phrase(f"{quote(verdict.model, _LONGEST_VALUE)}, {which}" if verdict.model.strip() else which)


def _faults(verdict: VerdictRecord) -> Table | None:
    tried = [(mutant, "noticed") for mutant in verdict.killed]
    tried += [(mutant, "not noticed") for mutant in verdict.survived]
    if not tried:
        return None
    columns = (Column("Line", numeric=True), Column("What stands there"), Column("Fault"), Column("This test"))
    rows = tuple(_fault(mutant, result, verdict) for mutant, result in tried)
    return Table(f"Faults it was tried with: {proof.tally(verdict)} noticed", columns, rows)


def _fault(mutant: MutantRecord, result: str, verdict: VerdictRecord) -> tuple[Phrase, ...]:
    own = verdict.target.startswith(f"{mutant.path}::")
    place = plain(str(mutant.line)) if own else phrase(f"{quote(mutant.path)} {mutant.line}")
    after = code(mutant.after) if mutant.after.strip() else plain("left out")
    return place, code(mutant.before), after or NOTHING, plain(result)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
