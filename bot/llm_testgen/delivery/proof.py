"""What is known of a test, in the words that a comment, a job's summary and a terminal share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from llm_testgen.clauses import AssertRecord, FaultRecord
from llm_testgen.proposal import MutantRecord, RegressionRecord, VerdictRecord
from llm_testgen.records import Label

# Shows a piece of foreign text as one, cut to a length.
Quote = Callable[[str, int], str]

_MOST_NOTICED = 3
_MOST_UNNOTICED = 2
_MOST_IDLE = 2
_MOST_OBSERVED = 3
_LONGEST_FAULT = 60
_LONGEST_VALUE = 80
_LONGEST_ASSERTION = 120
_LONGEST_PATH = 100

_LABELS = {
    Label.HARDENS: "passes at base too: hardens what was there",
    Label.PINS: "fails at base: pins what this change does",
}
_AT_BASE = {Label.HARDENS: "passes", Label.PINS: "fails"}


def tally(verdict: VerdictRecord) -> str:
    """How many of the faults that a test was tried with it notices: ``5 of 6``; empty where none was tried."""
    return tally_of_all([verdict])


def tally_of_all(verdicts: Iterable[VerdictRecord]) -> str:
    """The same of several tests together: a fault that one of them notices is noticed."""
    killed: Counter[MutantRecord] = Counter()
    tried: Counter[MutantRecord] = Counter()
    for verdict in verdicts:
        # Two faults of one line may look the same, and are two; the same one may meet several tests, and is one.
        killed |= Counter(verdict.killed)
        tried |= Counter(verdict.killed + verdict.survived)
    return f"{killed.total():,} of {tried.total():,}" if tried else ""


def label(verdict: VerdictRecord) -> str:
    """What a test says of the change; empty where that is not known."""
    return _LABELS[verdict.label] if verdict.label else ""


def at_base(verdict: VerdictRecord) -> str:
    """What a test does at base, in a word; empty where that is not known."""
    return _AT_BASE[verdict.label] if verdict.label else ""


def faults(verdict: VerdictRecord, quote: Quote) -> str:
    """Faults that a test notices, and some that it does not; empty where it was tried with none."""
    told = []
    if noticed := _some(verdict.killed, _MOST_NOTICED, verdict, quote):
        told.append(f"Notices {'' if len(verdict.killed) <= _MOST_NOTICED else 'for example '}{noticed}.")
    if unnoticed := _some(verdict.survived, _MOST_UNNOTICED, verdict, quote):
        more = len(verdict.survived) - _MOST_UNNOTICED
        told.append(f"Does not notice {unnoticed}{f', and {more:,} more' if more > 0 else ''}.")
    return " ".join(told)


def _some(mutants: Sequence[MutantRecord], most: int, verdict: VerdictRecord, quote: Quote) -> str:
    return "; ".join(_fault(mutant, verdict, quote) for mutant in mutants[:most])


def of_assertion(record: AssertRecord, quote: Quote) -> str:
    """What an assertion notices, as the rest of a sentence about it."""
    tried = len(record.killed + record.earlier + record.survived)
    put = f"of {tried:,} fault{'' if tried == 1 else 's'} put into the method"
    if not record.killed and not record.earlier:
        return "is not known to notice anything"
    if not record.killed:
        shown = _changes(record.earlier, quote)
        return f"fails with {len(record.earlier):,} {put}, which tests notice too, if later: {shown}"
    more = f"; and with {len(record.earlier):,} that tests notice too" if record.earlier else ""
    shown = _changes(record.killed, quote)
    return f"fails with {len(record.killed):,} {put} that no test which was tried notices: {shown}{more}"


def tally_of_assertion(record: AssertRecord) -> str:
    """How many of the faults an assertion was tried with it notices: ``5 of 6``; empty where none was tried."""
    noticed = len(record.killed + record.earlier)
    tried = noticed + len(record.survived)
    return f"{noticed:,} of {tried:,}" if tried else ""


def _changes(faults: Sequence[FaultRecord], quote: Quote) -> str:
    more = len(faults) - _MOST_NOTICED
    shown = "; ".join(f"{_change(fault, quote)} in line {fault.line}" for fault in faults[:_MOST_NOTICED])
    return f"{shown}{f'; and {more:,} more' if more > 0 else ''}"


def _change(fault: MutantRecord | FaultRecord, quote: Quote) -> str:
    before, after = (quote(text, _LONGEST_FAULT) for text in (fault.before, fault.after))
    return f"{before} becoming {after}" if fault.after.strip() else f"{before} left out"


def _fault(mutant: MutantRecord, verdict: VerdictRecord, quote: Quote) -> str:
    change = _change(mutant, quote)
    elsewhere = "" if verdict.target.startswith(f"{mutant.path}::") else f" of {quote(mutant.path, _LONGEST_PATH)}"
    return f"{change} in line {mutant.line}{elsewhere}"


def observed(verdict: VerdictRecord, quote: Quote) -> str:
    """What a person has to check in a characterisation test; empty for any other test."""
    if not verdict.observed:
        return ""
    values = _listed(verdict.observed, _MOST_OBSERVED, _LONGEST_VALUE, quote)
    if len(verdict.observed) == 1:
        return f"the expected value {values} was taken from a run, not worked out: check that it is what you want"
    return f"the expected values {values} were taken from a run, not worked out: check that they are what you want"


def idle(verdict: VerdictRecord, quote: Quote) -> str:
    """Assertions that do nothing for the proof; empty where each does, and where none of them does."""
    if not verdict.killed or not verdict.idle:
        return ""
    shown = _listed(verdict.idle, _MOST_IDLE, _LONGEST_ASSERTION, quote)
    return f"assertion{'' if len(verdict.idle) == 1 else 's'} that noticed no fault: {shown}"


def _listed(texts: Sequence[str], most: int, longest: int, quote: Quote) -> str:
    more = len(texts) - most
    return ", ".join(quote(text, longest) for text in texts[:most]) + (f" and {more:,} more" if more > 0 else "")


def question(found: RegressionRecord, quote: Quote) -> str:
    """What a possible regression asks its author, with both values where they are known."""
    values = [
        f"{revision} gives {quote(value, _LONGEST_ASSERTION)}"
        for revision, value in (("base", found.expected), ("head", found.actual))
        if value
    ]
    if len(values) < len(("base", "head")) and found.reason:
        values.append(quote(found.reason, _LONGEST_ASSERTION))
    what = quote(found.assertion or found.name, 2 * _LONGEST_ASSERTION)
    said = f"{what} holds at base and fails at head"
    return f"{said}: {', '.join(values)}. Is this meant?" if values else f"{said}. Is this meant?"
