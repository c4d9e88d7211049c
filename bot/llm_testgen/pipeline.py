"""The order of the stages: changed methods in, judged and confirmed tests out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llm_testgen.baseline import Baseline
from llm_testgen.edges.diff_cover import diff_coverage
from llm_testgen.records import (
    ChangedMethod,
    CoverageByPath,
    DiffCoverage,
    FileCoverage,
    Outcome,
    TestFile,
    Usage,
    Verdict,
)
from llm_testgen.search import Search
from llm_testgen.settings import Generation
from llm_testgen.stages.select import select
from llm_testgen.stages.suggest import Placed, place
from llm_testgen.tools import Tools

_CONFIRMATIONS = 4


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found.

    Attributes:
        verdicts: In the order of targets, attempts and candidates.
        accepted: Indices of the accepted ones.
        files: The test files with the accepted tests.
        after: Diff coverage with them.
        replies: How many replies the model gave.
        usage: What they cost.
        notes: What a person should know: a spent budget, a passed deadline, a server that died.
    """

    verdicts: tuple[Verdict, ...]
    accepted: tuple[int, ...]
    files: tuple[TestFile, ...]
    after: DiffCoverage
    replies: int
    usage: Usage
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Confirmed:
    """What is left of a run's verdicts once the chosen tests have run together."""

    verdicts: tuple[Verdict, ...]
    accepted: tuple[int, ...]
    files: tuple[TestFile, ...]
    after: DiffCoverage


async def propose(targets: Sequence[ChangedMethod], baseline: Baseline, tools: Tools, settings: Generation) -> Result:
    """Generate, judge, select and confirm tests.

    Args:
        targets: Changed methods, those with nothing left to cover taken out.
        baseline: Where the change stands before.
        tools: What to work with.
        settings: How to go about it.

    Raises:
        ModelError: The model gave no reply at all.
    """
    search = Search(baseline, tools, settings)
    await search.run(targets)
    verdicts, accepted = select(search.verdicts(), settings.max_tests)
    confirmed = await _confirm(verdicts, accepted, baseline, tools)
    return Result(
        verdicts=confirmed.verdicts,
        accepted=confirmed.accepted,
        files=confirmed.files,
        after=confirmed.after,
        replies=search.replies,
        usage=search.usage,
        notes=tuple(search.notes),
    )


async def _confirm(
    verdicts: tuple[Verdict, ...], accepted: tuple[int, ...], baseline: Baseline, tools: Tools
) -> _Confirmed:
    """Run the chosen tests together, as they will stand in their files, and drop those that do not pass there."""
    judged = list(verdicts)
    left = list(accepted)
    files_at_head = tools.knowledge.test_files()
    for _ in range(_CONFIRMATIONS):
        if not left:
            break
        tools.observer.confirming(len(left))
        files, placed = place([judged[index].candidate for index in left], files_at_head)
        run = await tools.runner.run_files({file.path: file.after for file in files})
        after = diff_coverage(baseline.changed_lines, _joined(baseline.coverage, run.coverage))
        where = {id(place_.candidate): place_ for place_ in placed}
        refused = [index for index in left if not _passed(where.get(id(judged[index].candidate)), run.failed_tests)]
        reason = "fails together with the other chosen tests"
        if not refused and (run.problem or not run.passed or after.percent <= baseline.figure.percent):
            refused, reason = left, run.problem or "diff coverage does not rise when it runs in its test file"
        if not refused:
            return _Confirmed(tuple(judged), tuple(left), files, after)
        for index in refused:
            judged[index] = replace(judged[index], outcome=Outcome.UNCONFIRMED, reason=reason)
        left = [index for index in left if index not in refused]
    return _Confirmed(tuple(judged), (), (), baseline.figure)


def _passed(placed: Placed | None, failed_tests: frozenset[str]) -> bool:
    """Whether a placed test is not among those that failed; a parametrised one fails with any of its cases."""
    if placed is None:
        return False
    test = f"{placed.path}::{placed.name}"
    return not any(failed == test or failed.startswith(f"{test}[") for failed in failed_tests)


def _joined(before: CoverageByPath, more: CoverageByPath) -> CoverageByPath:
    """Coverage of both, with the statements of the first."""
    return {
        path: FileCoverage(file.statements, file.executed | (more[path].executed & file.statements))
        if path in more
        else file
        for path, file in before.items()
    }
