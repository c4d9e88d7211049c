"""What a run found, as the proposal holds it."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Iterable, Sequence

from llm_testgen.bounds import DIGEST_DIGITS
from llm_testgen.clauses import AssertRecord, ContractRecord, FaultRecord
from llm_testgen.embedding import Insertion
from llm_testgen.paths import printable_path
from llm_testgen.proposal import (
    CoverageFigures,
    FileRecord,
    InlineRecord,
    MutantRecord,
    RegressionRecord,
    SkipRecord,
    SuggestionRecord,
    TargetRecord,
    UsageRecord,
    VerdictRecord,
)
from llm_testgen.records import (
    LONGEST_CODE,
    ChangedMethod,
    DiffCoverage,
    Ending,
    Inline,
    LinesByPath,
    Mutant,
    Placement,
    Regression,
    Skip,
    TestFile,
    Upheld,
    Usage,
    Verdict,
)


def coverage_figures(before: DiffCoverage, after: DiffCoverage) -> CoverageFigures:
    """Both figures of one change side by side."""
    return CoverageFigures(
        before=before.percent,
        after=after.percent,
        changed_lines=_count(after.changed),
        covered_before=_count(before.covered),
        covered_after=_count(after.covered),
    )


def target_records(targets: Iterable[ChangedMethod], before: DiffCoverage | None = None) -> tuple[TargetRecord, ...]:
    """Changed methods as the proposal names them.

    Args:
        targets: Which.
        before: Diff coverage of the existing tests; None where that is not known.
    """
    return tuple(_target_record(target, before) for target in targets)


def _target_record(target: ChangedMethod, before: DiffCoverage | None) -> TargetRecord:
    measured = None if before is None else before.changed.get(target.path, frozenset()) & target.lines
    covered = frozenset[int]() if before is None else before.covered.get(target.path, frozenset()) & target.lines
    return TargetRecord(
        id=target.id,
        path=target.path,
        lines=tuple(sorted(target.lines)),
        digest=_digest(target),
        measured=None if measured is None else tuple(sorted(measured)),
        covered=tuple(sorted(covered)),
    )


def skip_records(skipped: Iterable[Skip]) -> tuple[SkipRecord, ...]:
    """What was left out as the proposal names it."""
    return tuple(
        SkipRecord(path=printable_path(skip.path), qualname=skip.qualname, reason=skip.reason) for skip in skipped
    )


def verdict_record(verdict: Verdict) -> VerdictRecord:
    """A verdict as the proposal holds it."""
    candidate = verdict.candidate
    passed = [run.seconds for run in verdict.runs if run.ending is Ending.PASSED]
    return VerdictRecord(
        target=verdict.target.id,
        name=candidate.name,
        outcome=verdict.outcome,
        reason=verdict.reason,
        code=candidate.code[:LONGEST_CODE],
        gained={path: tuple(sorted(lines)) for path, lines in sorted(verdict.gained.items())},
        attempt=candidate.attempt,
        repairs=candidate.repairs,
        runs=tuple(run.ending for run in verdict.runs),
        model=candidate.reply.model,
        seconds=round(statistics.median(passed), 3) if passed else 0.0,
        observed=candidate.observed,
        killed=_mutants(verdict.proof.killed),
        survived=_mutants(verdict.proof.survived),
        idle=verdict.proof.idle,
        label=verdict.label,
    )


def _mutants(mutants: Iterable[Mutant]) -> tuple[MutantRecord, ...]:
    return tuple(
        MutantRecord(
            path=mutant.path, line=mutant.line, operator=mutant.operator, before=mutant.before, after=mutant.after
        )
        for mutant in mutants
    )


def regression_records(regressions: Iterable[Regression]) -> tuple[RegressionRecord, ...]:
    """Possible regressions as the proposal holds them."""
    return tuple(
        RegressionRecord(
            target=found.candidate.target.id,
            name=found.candidate.name,
            code=found.candidate.code[:LONGEST_CODE],
            assertion=found.assertion,
            expected=found.expected,
            actual=found.actual,
            reason=found.reason,
        )
        for found in regressions
    )


def file_records(files: Iterable[TestFile]) -> tuple[FileRecord, ...]:
    """Test files as the proposal holds them."""
    return tuple(FileRecord(path=file.path, before=file.before, after=file.after) for file in files)


def suggestion_records(verdicts: Sequence[Verdict], placements: Iterable[Placement]) -> tuple[SuggestionRecord, ...]:
    """Placed tests as the proposal holds them, in their order; each was made from one of the verdicts' candidates."""
    index = {id(verdict.candidate): number for number, verdict in enumerate(verdicts)}
    return tuple(
        SuggestionRecord(
            verdict=index[id(placement.candidate)],
            path=placement.path,
            name=placement.name,
            imports=placement.imports,
            pieces=placement.pieces,
            into=placement.into,
        )
        for placement in placements
    )


def inline_records(inlines: Iterable[Inline], placements: Iterable[Placement]) -> tuple[InlineRecord, ...]:
    """Inline suggestions as the proposal holds them; ``placements`` are those that its suggestions were made from."""
    index = {id(placement.candidate): number for number, placement in enumerate(placements)}
    return tuple(
        InlineRecord(
            path=inline.path,
            suggestions=tuple(index[id(placement.candidate)] for placement in inline.placements),
            start=inline.start,
            line=inline.line,
            text=inline.text,
        )
        for inline in inlines
    )


def contract_records(
    insertions: Iterable[Insertion], upheld: Iterable[Upheld], model: str
) -> tuple[ContractRecord, ...]:
    """Contracts as the proposal holds them, those of one place together; all of them are among the upheld ones."""
    proofs = {one.contract: one for one in upheld}
    return tuple(
        ContractRecord(
            target=piece.contracts[0].definition.id,
            path=piece.path,
            start=piece.start,
            line=piece.line,
            before=piece.before,
            text=piece.text,
            asserts=tuple(_assert_record(proofs[contract]) for contract in piece.contracts),
            model=model,
        )
        for piece in insertions
    )


def _assert_record(upheld: Upheld) -> AssertRecord:
    return AssertRecord(
        text=upheld.contract.statement,
        killed=_faults(upheld.killed),
        earlier=_faults(upheld.earlier),
        survived=_faults(upheld.survived),
    )


def _faults(mutants: Iterable[Mutant]) -> tuple[FaultRecord, ...]:
    return tuple(
        FaultRecord(line=mutant.line, operator=mutant.operator, before=mutant.before, after=mutant.after)
        for mutant in mutants
    )


def usage_record(usage: Usage, total_seconds: float) -> UsageRecord:
    """The cost of a run, seconds rounded to milliseconds."""
    return UsageRecord(
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
        seconds=round(usage.seconds, 3),
        total_seconds=round(total_seconds, 3),
    )


def _digest(target: ChangedMethod) -> str:
    source = "\n".join(definition.source for definition in target.definitions)
    return hashlib.sha256(source.encode()).hexdigest()[:DIGEST_DIGITS]


def _count(lines: LinesByPath) -> int:
    return sum(map(len, lines.values()))
