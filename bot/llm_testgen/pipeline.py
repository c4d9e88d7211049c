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
    SuiteRun,
    TestFile,
    Usage,
    Verdict,
)
from llm_testgen.search import Search
from llm_testgen.settings import Generation
from llm_testgen.stages.assure import assure_together
from llm_testgen.stages.select import select
from llm_testgen.stages.suggest import Placed, place
from llm_testgen.tools import Tools


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
    verdicts, accepted = select(await assure_together(search.verdicts(), tools.runner), settings.max_tests)
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
    texts = dict(tools.knowledge.test_files())
    while left:
        tools.observer.confirming(len(left))
        files, placed = place([judged[index].candidate for index in left], texts)
        run = await tools.runner.run_files({file.path: file.after for file in files})
        where = {id(entry.candidate): entry for entry in placed}
        if unusable := _unusable(files, run):
            # The file could not be run before either: its tests go to a new one beside it.
            texts.update(dict.fromkeys(unusable, ""))
            continue
        refused = [index for index in left if not _passed(where.get(id(judged[index].candidate)), run)]
        after = diff_coverage(baseline.changed_lines, _joined(baseline.coverage, run.coverage))
        if not refused and _count(after) > _count(baseline.figure):
            return _Confirmed(tuple(judged), tuple(left), files, after)
        reason = "does not pass together with the other chosen tests"
        if not refused:
            refused, reason = left, "diff coverage does not rise when it runs in its test file"
        for index in refused:
            judged[index] = replace(judged[index], outcome=Outcome.UNCONFIRMED, reason=reason)
        left = [index for index in left if index not in refused]
    return _Confirmed(tuple(judged), (), (), baseline.figure)


def _unusable(files: Sequence[TestFile], run: SuiteRun) -> list[str]:
    """Files that existed before and in which not a single test passed."""
    ran = {test.partition("::")[0] for test in run.passed_tests}
    return [file.path for file in files if file.before and file.path not in ran]


def _passed(placed: Placed | None, run: SuiteRun) -> bool:
    """Whether a placed test is among those that passed; a parametrised one passes with all of its cases."""
    if placed is None:
        return False
    test = f"{placed.path}::{placed.name}"

    def among(tests: frozenset[str]) -> bool:
        return any(other == test or other.startswith(f"{test}[") for other in tests)

    return among(run.passed_tests) and not among(run.failed_tests)


def _count(figure: DiffCoverage) -> int:
    return sum(map(len, figure.covered.values()))


def _joined(before: CoverageByPath, more: CoverageByPath) -> CoverageByPath:
    """Coverage of both, with the statements of the first."""
    return {
        path: FileCoverage(file.statements, file.executed | (more[path].executed & file.statements))
        if path in more
        else file
        for path, file in before.items()
    }
