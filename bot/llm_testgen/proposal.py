"""The proposal: what a run found, as the one file that crosses to another job, version 1.

It is read as untrusted data: sizes are bounded, unknown keys refused, paths checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from llm_testgen.records import (
    ChangedMethod,
    DiffCoverage,
    Ending,
    LinesByPath,
    Outcome,
    Skip,
    TestFile,
    Usage,
    Verdict,
)

_LONGEST_CODE = 100_000
_LONGEST_TEXT = 20_000


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or "\x00" in path:
        msg = "is no path inside the repository"
        raise ValueError(msg)
    return path


RepositoryPath = Annotated[str, Field(max_length=1024), AfterValidator(_inside)]
Lines = Annotated[tuple[PositiveInt, ...], Field(max_length=200_000)]
Text = Annotated[str, Field(max_length=_LONGEST_TEXT)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CoverageFigures(_Model):
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
    changed_lines: NonNegativeInt
    covered_before: NonNegativeInt
    covered_after: NonNegativeInt


class TargetRecord(_Model):
    """A changed method: ``id`` is ``path::qualname``, ``lines`` its changed lines at head."""

    __test__ = False

    id: Text
    path: RepositoryPath
    lines: Lines


class SkipRecord(_Model):
    """Something changed that no tests were generated for."""

    path: RepositoryPath
    qualname: Text
    reason: Text


class VerdictRecord(_Model):
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
    """

    target: Text
    name: Text
    outcome: Outcome
    reason: Text
    code: Annotated[str, Field(max_length=_LONGEST_CODE)]
    gained: dict[RepositoryPath, Lines]
    attempt: PositiveInt
    repairs: tuple[Text, ...]
    runs: tuple[Ending, ...]
    model: Text


class Funnel(_Model):
    """How many came through each filter. ``replies`` counts what the model answered, the rest candidates."""

    replies: NonNegativeInt
    candidates: NonNegativeInt
    built: NonNegativeInt
    passed: NonNegativeInt
    stable: NonNegativeInt
    gained: NonNegativeInt
    accepted: NonNegativeInt


class UsageRecord(_Model):
    """What the model cost: tokens read and written, and seconds of waiting for it; and the whole run's seconds."""

    tokens_in: NonNegativeInt
    tokens_out: NonNegativeInt
    seconds: float = Field(ge=0)
    total_seconds: float = Field(ge=0)


class FileRecord(_Model):
    """A test file with the accepted tests in it; ``before`` is empty for a new file."""

    path: RepositoryPath
    before: str
    after: str


class Proposal(_Model):
    """What ``propose`` found between two revisions. ``accepted`` are the indices of the accepted verdicts."""

    version: Literal[1] = 1
    base: Commit
    head: Commit
    worktree: bool = False
    coverage: CoverageFigures
    targets: tuple[TargetRecord, ...]
    skipped: tuple[SkipRecord, ...]
    verdicts: tuple[VerdictRecord, ...]
    accepted: tuple[NonNegativeInt, ...]
    files: tuple[FileRecord, ...]
    funnel: Funnel
    usage: UsageRecord
    notes: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _accepted_are_verdicts(self) -> Self:
        accepted = {index for index, verdict in enumerate(self.verdicts) if verdict.outcome is Outcome.ACCEPTED}
        if len(set(self.accepted)) < len(self.accepted) or not accepted.issuperset(self.accepted):
            msg = "accepted must name verdicts whose outcome is accepted, each once"
            raise ValueError(msg)
        return self


def coverage_figures(before: DiffCoverage, after: DiffCoverage) -> CoverageFigures:
    """Both figures of one change side by side."""
    return CoverageFigures(
        before=before.percent,
        after=after.percent,
        changed_lines=_count(after.changed),
        covered_before=_count(before.covered),
        covered_after=_count(after.covered),
    )


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


def target_records(targets: Iterable[ChangedMethod]) -> tuple[TargetRecord, ...]:
    """Changed methods as the proposal names them."""
    return tuple(TargetRecord(id=target.id, path=target.path, lines=tuple(sorted(target.lines))) for target in targets)


def skip_records(skipped: Iterable[Skip]) -> tuple[SkipRecord, ...]:
    """What was left out as the proposal names it."""
    return tuple(SkipRecord(path=skip.path, qualname=skip.qualname, reason=skip.reason) for skip in skipped)


def verdict_record(verdict: Verdict) -> VerdictRecord:
    """A verdict as the proposal holds it."""
    candidate = verdict.candidate
    return VerdictRecord(
        target=verdict.target.id,
        name=candidate.name,
        outcome=verdict.outcome,
        reason=verdict.reason,
        code=candidate.code[:_LONGEST_CODE],
        gained={path: tuple(sorted(lines)) for path, lines in sorted(verdict.gained.items())},
        attempt=candidate.attempt,
        repairs=candidate.repairs,
        runs=tuple(run.ending for run in verdict.runs),
        model=candidate.reply.model,
    )


def file_records(files: Iterable[TestFile]) -> tuple[FileRecord, ...]:
    """Test files as the proposal holds them."""
    return tuple(FileRecord(path=file.path, before=file.before, after=file.after) for file in files)


def usage_record(usage: Usage, total_seconds: float) -> UsageRecord:
    """The cost of a run, seconds rounded to milliseconds."""
    return UsageRecord(
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
        seconds=round(usage.seconds, 3),
        total_seconds=round(total_seconds, 3),
    )


def _count(lines: LinesByPath) -> int:
    return sum(map(len, lines.values()))
