"""The proposal: what a run found, as the one file that crosses to another job, version 3.

It is read as untrusted data: sizes are bounded, unknown keys refused, paths checked, and its parts must fit together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from llm_testgen.bounds import (
    FEW,
    MANY,
    Bounded,
    Code,
    Commit,
    Count,
    Digest,
    Indices,
    Lines,
    Ordinal,
    PythonPath,
    RepositoryPath,
    Seconds,
    Text,
    Whole,
)
from llm_testgen.clauses import Contracts
from llm_testgen.errors import UsageError
from llm_testgen.records import Ending, Label, Outcome, Verdict


class CoverageFigures(Bounded):
    """Diff coverage before and after, in diff-cover's terms.

    Attributes:
        before: Per cent of the measured changed lines that the existing tests execute, two decimals.
        after: The same with the accepted tests.
        changed_lines: Changed lines that hold a statement.
        covered_before: How many of them the existing tests execute.
        covered_after: How many with the accepted tests.
    """

    before: float = Field(ge=0, le=100)
    after: float = Field(ge=0, le=100)
    changed_lines: Count
    covered_before: Count
    covered_after: Count


class TargetRecord(Bounded):
    """A changed method.

    Attributes:
        id: ``path::qualname``.
        path: The file that holds it.
        lines: Its changed lines at head.
        digest: The first digits of the SHA-256 of its source at head: the same source has the same digest.
        measured: Those of its changed lines that coverage counts; None where that is not recorded.
        covered: Those of them that the existing tests execute.
    """

    __test__ = False

    id: Text
    path: RepositoryPath
    lines: Lines
    digest: Digest
    measured: Lines | None = None
    covered: Lines = ()


class SkipRecord(Bounded):
    """Something changed that no tests were generated for."""

    path: RepositoryPath
    qualname: Text
    reason: Text


class MutantRecord(Bounded):
    """A fault that a test was tried with.

    Attributes:
        path: The file.
        line: Its line at head where the fault begins.
        operator: The kind of fault.
        before: What stands there.
        after: What stood there instead.
    """

    path: RepositoryPath
    line: Ordinal
    operator: Text
    before: Text
    after: Text


class VerdictRecord(Bounded):
    """A verdict.

    Attributes:
        target: Id of the changed method.
        name: The test's name; empty when the reply held no test.
        outcome: The filter that stopped it, or ``accepted``.
        reason: Why it was refused; empty when accepted.
        code: The test as a module of its own.
        gained: Changed lines that it executes and no existing test does, by path.
        attempt: The prompt it came from, 1 for the first.
        repairs: What was changed after extraction.
        runs: How each of its executions ended.
        model: The model that wrote it.
        seconds: Wall-clock time of one execution that passed, the median of them; 0 if none did.
        observed: Expected values that were taken from a run, as source.
        killed: Faults in the lines that it covers with which it does not pass.
        survived: Faults with which it passes all the same.
        idle: Assertions that notice none of the faults that others notice.
        label: What it says of the change, by what it does at base; None where that is not known.
    """

    target: Text
    name: Text
    outcome: Outcome
    reason: Text
    code: Code
    gained: Annotated[dict[RepositoryPath, Lines], MANY]
    attempt: Ordinal
    repairs: Annotated[tuple[Text, ...], FEW]
    runs: Annotated[tuple[Ending, ...], FEW]
    model: Text
    seconds: Seconds
    observed: Annotated[tuple[Text, ...], FEW] = ()
    killed: Annotated[tuple[MutantRecord, ...], FEW] = ()
    survived: Annotated[tuple[MutantRecord, ...], FEW] = ()
    idle: Annotated[tuple[Text, ...], FEW] = ()
    label: Label | None = None


class RegressionRecord(Bounded):
    """A test that passes at base and fails at head: a question to the author, and no test to take.

    Attributes:
        target: Id of the changed method.
        name: The test's name.
        code: The test as a module of its own.
        assertion: What fails at head, in one line.
        expected: What base gives, as source; empty where it cannot be told.
        actual: What head gives; empty where it cannot be told.
        reason: How it fails at head, in one line.
    """

    target: Text
    name: Text
    code: Code
    assertion: Text
    expected: Text
    actual: Text
    reason: Text


class Funnel(Bounded):
    """How many came through each filter. ``replies`` counts what the model answered, the rest candidates."""

    replies: Count
    candidates: Count
    built: Count
    passed: Count
    stable: Count
    gained: Count
    accepted: Count


class UsageRecord(Bounded):
    """What the model cost: tokens read and written, and seconds of waiting for it; and the whole run's seconds."""

    tokens_in: Count
    tokens_out: Count
    seconds: Seconds
    total_seconds: Seconds


class FileRecord(Bounded):
    """A test file with the accepted tests in it; ``before`` is empty for a new file."""

    path: PythonPath
    before: Whole
    after: Whole


class SuggestionRecord(Bounded):
    """An accepted test as it goes into its file, complete by itself, so that any of them can be taken.

    Attributes:
        verdict: Index of its verdict.
        path: The file.
        name: The test's name there, ``Class::name`` in a class.
        imports: Import statements that the file lacks for it.
        pieces: Definitions that the file lacks for it, and the test itself as the last.
        into: The class of the file to which the test is added as a method; empty for the top level.
    """

    verdict: Count
    path: RepositoryPath
    name: Text
    imports: Annotated[tuple[Text, ...], FEW]
    pieces: Annotated[tuple[Code, ...], Field(min_length=1, max_length=1_000)]
    into: Text = ""


class InlineRecord(Bounded):
    """Suggestions that a review can make at lines of the pull request's diff, each holding the lines it replaces.

    Attributes:
        path: The file.
        suggestions: Indices of the suggestions that it adds.
        start: First line at head that it replaces.
        line: Last line at head that it replaces.
        text: What takes their place, with no newline at the end.
    """

    path: RepositoryPath
    suggestions: Annotated[tuple[Count, ...], Field(min_length=1, max_length=100_000)]
    start: Ordinal
    line: Ordinal
    text: Whole


class Proposal(Bounded):
    """What ``propose`` found between two revisions.

    Attributes:
        version: Of this form.
        base: The merge base.
        head: The revision that was tested.
        worktree: The working tree on top of head was tested instead.
        coverage: Diff coverage before and after.
        targets: Changed methods that tests were written for.
        skipped: What was left out.
        verdicts: On every candidate.
        accepted: Indices of the accepted verdicts.
        files: Test files with all of the accepted tests.
        suggestions: One for each accepted verdict: how to add that test alone.
        inline: Those of them that a review can make in place.
        funnel: How many candidates came through each filter.
        usage: What it cost.
        notes: What a person should know.
        regressions: What held at base and does not at head.
        contracts: Assertions for the changed methods themselves.
    """

    version: Literal[3] = 3
    base: Commit
    head: Commit
    worktree: bool = False
    coverage: CoverageFigures
    targets: Annotated[tuple[TargetRecord, ...], MANY]
    skipped: Annotated[tuple[SkipRecord, ...], MANY]
    verdicts: Annotated[tuple[VerdictRecord, ...], MANY]
    accepted: Indices
    files: Annotated[tuple[FileRecord, ...], MANY]
    suggestions: Annotated[tuple[SuggestionRecord, ...], MANY]
    inline: Annotated[tuple[InlineRecord, ...], MANY] = ()
    funnel: Funnel
    usage: UsageRecord
    notes: Annotated[tuple[Text, ...], MANY] = ()
    regressions: Annotated[tuple[RegressionRecord, ...], MANY] = ()
    contracts: Contracts = ()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        for fault in self._faults():
            raise ValueError(fault)
        return self

    def _faults(self) -> Iterator[str]:
        """What does not fit together; each check may rely on those before it."""
        accepted = {index for index, verdict in enumerate(self.verdicts) if verdict.outcome is Outcome.ACCEPTED}
        if len(set(self.accepted)) < len(self.accepted) or not accepted.issuperset(self.accepted):
            yield "accepted must name verdicts whose outcome is accepted, each once"
        if sorted(suggestion.verdict for suggestion in self.suggestions) != sorted(self.accepted):
            yield "suggestions must name each accepted verdict once"
        files = {file.path: file for file in self.files}
        if len(files) < len(self.files):
            yield "files must have a path of their own each"
        if any(suggestion.path not in files for suggestion in self.suggestions):
            yield "the path of a suggestion must be one of the files"
        named = Counter(index for inline in self.inline for index in inline.suggestions)
        if any(index >= len(self.suggestions) or count > 1 for index, count in named.items()):
            yield "inline must name suggestions, each at most once"
        for inline in self.inline:
            if any(self.suggestions[index].path != inline.path for index in inline.suggestions):
                yield "an inline suggestion must be about the file of its suggestions"
        for file in self.files:
            own = [inline for inline in self.inline if inline.path == file.path]
            if own and not _only_insert(own, file.before):
                yield "inline suggestions must keep the lines that they replace, none of them twice"


def _only_insert(inline: Iterable[InlineRecord], text: str) -> bool:
    """Whether suggestions about one file replace lines that it has, not the same ones, by more than those lines."""
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []
    last = 0
    for suggestion in sorted(inline, key=lambda suggestion: suggestion.start):
        replaced = lines[suggestion.start - 1 : suggestion.line]
        if not last < suggestion.start <= suggestion.line <= len(lines):
            return False
        last = suggestion.line
        after = suggestion.text.split("\n")
        left = iter(after)
        if len(after) <= len(replaced) or not all(line in left for line in replaced):
            return False
    return True


def funnel(replies: int, verdicts: Sequence[Verdict] | Sequence[VerdictRecord]) -> Funnel:
    """The funnel of all candidates; a reply without a test is a reply and no candidate."""
    candidates = [verdict for verdict in verdicts if verdict.outcome is not Outcome.UNPARSABLE]
    stopped_by = {
        "built": {Outcome.UNSAFE, Outcome.BROKEN},
        "passed": {Outcome.FAILING},
        "stable": {Outcome.FLAKY},
    }
    left = candidates
    counts = {}
    for stage, outcomes in stopped_by.items():
        left = [verdict for verdict in left if verdict.outcome not in outcomes]
        counts[stage] = len(left)
    return Funnel(
        replies=replies,
        candidates=len(candidates),
        **counts,
        gained=sum(bool(verdict.gained) for verdict in left),
        accepted=sum(verdict.outcome is Outcome.ACCEPTED for verdict in left),
    )


def read_proposal(data: bytes) -> Proposal:
    """A proposal from JSON that anybody may have written.

    Raises:
        UsageError: It is none of this version.
    """
    try:
        return Proposal.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "file"
        msg = f"it is no proposal of this version ({where}: {first['msg']}): make it anew with this version of propose"
        raise UsageError(msg) from error
