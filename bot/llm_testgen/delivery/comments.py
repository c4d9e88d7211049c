"""The bodies of review comments: a test with its proof, in the few lines that a reviewer reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llm_testgen.delivery import proof
from llm_testgen.delivery.findings import Finding
from llm_testgen.delivery.markdown import (
    LONGEST_BODY,
    code,
    details,
    fenced,
    fitting,
    html,
    joined,
    plural,
    ranges,
    unseen,
)
from llm_testgen.proposal import InlineRecord, VerdictRecord
from llm_testgen.records import Ending

# The patch, as ``git apply`` takes it, that adds some of the tests and no others.
PatchOf = Callable[[Sequence[Finding]], str]

# Of one method in one comment: their markers alone must leave room for something to read.
MOST_TESTS = 50

_MOST_PATHS = 3
_MOST_REPAIRS = 3
_CUT = "_The rest is too long for a comment: it is in the run's artifact._"


def suggestion_comment(inline: InlineRecord, tests: Sequence[Finding]) -> str:
    """A suggestion that a click commits, with the proof of each of its tests; it may be longer than GitHub takes."""
    # A last line that is empty is one of the lines that stay.
    return joined([_markers(tests), *map(_proof, tests), fenced(f"{inline.text}\n", "suggestion")])


def method_comment(tests: Sequence[Finding], patch_of: PatchOf) -> str:
    """Tests of one method whose files the review cannot reach, folded, with the patch that adds them.

    It is as long as GitHub takes, whatever they hold, if they are not more than `MOST_TESTS`.
    """
    paths = ", ".join(dict.fromkeys(code(test.suggestion.path) for test in tests))
    ids = " ".join(test.short_id for test in tests)
    them = "it" if len(tests) == 1 else "them"
    intro = (
        f"{plural(len(tests), 'test')} of {code(tests[0].qualname)} for {paths}, of which this pull request's diff"
        f" shows no fitting line. `/gen-tests apply {ids}` commits {them}."
    )
    parts = [_markers(tests), intro, *map(full_part, tests), patch_part(tests, patch_of)]
    kept = fitting(parts, LONGEST_BODY - len(_CUT))
    return joined(kept if len(kept) == len(parts) else [*kept, _CUT])


def full_part(test: Finding) -> str:
    """A test with its proof, folded."""
    summary = f"{html(test.suggestion.name)} for {html(test.suggestion.path)}"
    return details(summary, joined([_proof(test), fenced(_source(test), "python")]))


def patch_part(tests: Sequence[Finding], patch_of: PatchOf) -> str:
    """The patch that adds some tests, folded."""
    return details("As a patch for <code>git apply</code>", fenced(patch_of(tests), "diff"))


def _source(test: Finding) -> str:
    """A test with what it brings along, as it will stand in its file."""
    suggestion = test.suggestion
    imports = "\n".join(suggestion.imports)
    return "\n\n\n".join(filter(None, (imports, *suggestion.pieces))).strip("\n")


def _proof(test: Finding) -> str:
    """What is known of an accepted test, in a few lines: what it proves, and how that was found out."""
    verdict = test.verdict
    model = f"by the model {code(verdict.model)}" if verdict.model else "by the model"
    lines = [f"**{code(test.suggestion.name)}** {_gain(verdict)}, and {_proved(test)}."]
    if observed := proof.observed(verdict, code):
        lines.append(f"**Characterisation:** {observed}. Any other value is {model}.")
    lines.append(proof.faults(verdict, code))
    facts = [
        _runs(verdict),
        _duration(verdict.seconds),
        proof.label(verdict),
        proof.idle(verdict, code),
        *(code(f"repaired: {repair}") for repair in verdict.repairs[:_MOST_REPAIRS]),
        "" if observed else f"expected values {model}",
        f"id {code(test.short_id)}",
    ]
    lines.append(f"<small>{' · '.join(filter(None, facts))}</small>")
    if hidden := unseen(_source(test)):
        lines.append(f"**It holds characters that cannot be seen: {code(hidden)}**")
    # A newline breaks a line in a comment, and does not in a job's summary.
    return "<br>".join(filter(None, lines))


def _proved(test: Finding) -> str:
    """What shows that a test checks what it executes: faults that it notices, or else that it needs the method."""
    verdict = test.verdict
    if verdict.killed:
        noun = "fault" if len(verdict.killed + verdict.survived) == 1 else "faults"
        return f"notices {proof.tally(verdict)} {noun} put into lines that it runs"
    raised = f"fails when {code(test.qualname)} is made to raise"
    return f"{raised}, but notices no fault put into lines that it runs" if verdict.survived else raised


def _gain(verdict: VerdictRecord) -> str:
    gained = [(path, lines) for path, lines in sorted(verdict.gained.items()) if lines]
    covers = [f"{_lines(lines)} of {code(path)}" for path, lines in gained[:_MOST_PATHS]]
    covers += [f"lines of {plural(len(gained) - _MOST_PATHS, 'more file')}"] if len(gained) > _MOST_PATHS else []
    return f"executes {'; '.join(covers)}, which no test executed before" if covers else "raises diff coverage"


def _runs(verdict: VerdictRecord) -> str:
    passed = sum(ending is Ending.PASSED for ending in verdict.runs)
    return f"passed {passed} of {plural(len(verdict.runs), 'run')}"


def _markers(tests: Sequence[Finding]) -> str:
    return "\n".join(test.marker.line() for test in tests)


def _lines(lines: tuple[int, ...]) -> str:
    return f"line {lines[0]}" if len(lines) == 1 else f"lines {ranges(lines)}"


def _duration(seconds: float) -> str:
    if not seconds:
        return ""
    return f"{seconds * 1000:.0f} ms each" if seconds < 1 else f"{seconds:.1f} s each"
