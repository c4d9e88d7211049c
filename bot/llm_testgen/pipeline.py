"""The order of the stages: changed methods in, judged and confirmed tests out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llm_testgen.baseline import Baseline
from llm_testgen.edges.diff_cover import diff_coverage
from llm_testgen.inline import passed, suggest_inline
from llm_testgen.records import (
    Candidate,
    ChangedMethod,
    CoverageByPath,
    DiffCoverage,
    FileCoverage,
    Inline,
    Outcome,
    Placement,
    Regression,
    SuiteRun,
    TestFile,
    Usage,
    Verdict,
)
from llm_testgen.search import Search
from llm_testgen.settings import Generation
from llm_testgen.stages.assure import assure_together
from llm_testgen.stages.compare import label
from llm_testgen.stages.prove import find_idle
from llm_testgen.stages.select import select
from llm_testgen.stages.suggest import place
from llm_testgen.tools import Tools


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found.

    Attributes:
        verdicts: In the order of targets, attempts and candidates.
        accepted: Indices of the accepted ones.
        files: The test files with the accepted tests.
        placements: How each of them is added to its file, in the order of ``accepted``.
        inlines: What of that a review can suggest in place.
        after: Diff coverage with them.
        replies: How many replies the model gave.
        usage: What they cost.
        notes: What a person should know: a spent budget, a passed deadline, a server that died.
        regressions: What held at base and does not at head.
    """

    verdicts: tuple[Verdict, ...]
    accepted: tuple[int, ...]
    files: tuple[TestFile, ...]
    placements: tuple[Placement, ...]
    inlines: tuple[Inline, ...]
    after: DiffCoverage
    replies: int
    usage: Usage
    notes: tuple[str, ...]
    regressions: tuple[Regression, ...] = ()


@dataclass(frozen=True, slots=True)
class _Confirmed:
    """What is left of a run's verdicts once the chosen tests have run together."""

    verdicts: tuple[Verdict, ...]
    accepted: tuple[int, ...]
    files: tuple[TestFile, ...]
    placements: tuple[Placement, ...]
    after: DiffCoverage
    run: SuiteRun


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
    started = time.monotonic()
    search = Search(baseline, tools, settings)
    await search.run(targets)
    verdicts, accepted = select(await assure_together(search.verdicts(), tools.runner), settings.max_tests)
    verdicts = await _described(verdicts, accepted, tools)
    confirmed = await _confirm(verdicts, accepted, baseline, tools)
    inlines = await suggest_inline(
        confirmed.placements,
        confirmed.run,
        baseline.hunks,
        tools,
        None if settings.deadline is None else started + settings.deadline,
    )
    return Result(
        verdicts=confirmed.verdicts,
        accepted=confirmed.accepted,
        files=confirmed.files,
        placements=confirmed.placements,
        inlines=inlines,
        after=confirmed.after,
        replies=search.replies,
        usage=search.usage,
        notes=tuple(search.notes),
        regressions=tuple(search.regressions()),
    )


async def _described(verdicts: Sequence[Verdict], accepted: Sequence[int], tools: Tools) -> tuple[Verdict, ...]:
    """The verdicts, the chosen ones with all that a reviewer is told: what they do at base, and idle assertions."""
    described = list(verdicts)
    for index in accepted:
        verdict = await find_idle(verdicts[index], tools.runner)
        described[index] = verdict if tools.base is None else await label(verdict, tools.base)
    return tuple(described)


async def _confirm(
    verdicts: tuple[Verdict, ...], accepted: tuple[int, ...], baseline: Baseline, tools: Tools
) -> _Confirmed:
    """Run the chosen tests together, as they will stand in their files, and drop those that do not pass there."""
    judged = list(verdicts)
    left = list(accepted)
    texts = dict(tools.knowledge.test_files())
    apart: list[Candidate] = []
    while left:
        tools.observer.confirming(len(left))
        files, placed = place([judged[index].candidate for index in left], texts, apart)
        run = await tools.runner.run_files({file.path: file.after for file in files})
        if unusable := _unusable(files, run):
            # The file could not be run before either: its tests go to a new one beside it.
            texts.update(dict.fromkeys(unusable, ""))
            continue
        if strangers := [entry.candidate for entry in placed if entry.into and not passed(entry, run)]:
            # What the class does around each of its tests is nothing for them: they get one of their own.
            apart += strangers
            continue
        sound = {id(entry.candidate) for entry in placed if passed(entry, run)}
        refused = [index for index in left if id(judged[index].candidate) not in sound]
        after = diff_coverage(baseline.changed_lines, _joined(baseline.coverage, run.coverage))
        if not refused and _count(after) > _count(baseline.figure):
            return _Confirmed(tuple(judged), tuple(left), files, placed, after, run)
        reason = "does not pass together with the other chosen tests"
        if not refused:
            refused, reason = left, "coverage does not rise when it runs in its test file"
        for index in refused:
            judged[index] = replace(judged[index], outcome=Outcome.UNCONFIRMED, reason=reason)
        left = [index for index in left if index not in refused]
    return _Confirmed(tuple(judged), (), (), (), baseline.figure, SuiteRun(0, 0, 0, {}))


def _unusable(files: Sequence[TestFile], run: SuiteRun) -> list[str]:
    """Files that existed before and in which not a single test passed."""
    ran = {test.partition("::")[0] for test in run.passed_tests}
    return [file.path for file in files if file.before and file.path not in ran]


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
