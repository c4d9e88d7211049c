"""One project measured: all ways in turn, round after round, so that the machine's noise meets all alike."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from llm_testgen.bench import commands, report
from llm_testgen.bench.projects import BenchProject
from llm_testgen.bench.runners import SandboxedRunner, WarmWay
from llm_testgen.bench.ways import Place, Way
from llm_testgen.edges.git import Repository
from llm_testgen.errors import ProjectError
from llm_testgen.runner.base import Limits, Preparation, Project
from llm_testgen.runner.cold import ColdRunner, cores
from llm_testgen.runner.interpreter import Interpreter
from llm_testgen.runner.launcher import Confinement
from llm_testgen.runner.warm import WarmRunner

# Short ways are repeated within a round: the kernel counts the time of other processes in ticks of 10 ms.
PASSES = 5
_SUITE = "suite"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: How often each way is measured.
        suite_candidates: With how many of them the whole suite is run at most, in the first round.
        suite_seconds: How long that may take for one project.
    """

    rounds: int = 3
    suite_candidates: int = 3
    suite_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured with.

    Attributes:
        interpreter: Of the project's developers.
        coverup: Of CoverUp's users.
        confinement: The sandbox of our own runners.
        environ: The bot's own environment.
        plan: How much is measured.
        say: Called with what goes on now.
    """

    interpreter: Interpreter
    coverup: Path
    confinement: Confinement
    environ: Mapping[str, str]
    plan: Plan
    say: Callable[[str], None]


async def measure(
    bench: Bench, project: BenchProject, release: Path, candidates: Sequence[str]
) -> report.ProjectReport:
    """All ways on one project.

    Args:
        bench: What to measure with.
        project: What is in the release.
        release: A git repository that holds it.
        candidates: The test files to run.

    Raises:
        ProjectError: The project's tests cannot be run here.
    """
    with tempfile.TemporaryDirectory(prefix="llm-testgen-bench-") as home:
        place = Place(project, Path(home), bench.environ, bench.interpreter.path)
        await asyncio.to_thread(place.make, release)
        async with own_ways(bench, project, release) as (ours, ready):
            theirs = peer_ways(bench, place)
            ways = [*theirs, *([ours[0]] if ready.cold else ours), *floors(place)]
            before = os.getloadavg()[0]
            series = await measure_ways(ways, candidates, bench.plan, lambda text: bench.say(f"{project.name}: {text}"))
            load = (before, os.getloadavg()[0])
    ways_told = report.way_reports(series)
    return report.ProjectReport(
        name=project.name,
        version=project.version,
        python=bench.interpreter.version,
        measured=project.measured,
        candidates=len(candidates),
        load=load,
        ways=ways_told,
        pytest_over_warm=report.ratio(ways_told, report.PYTEST, report.WARM),
        coverup_over_warm=report.ratio(ways_told, report.COVERUP, report.WARM),
        warm_over_floor=report.ratio(ways_told, report.WARM, report.FLOOR),
        disagreements=report.disagreements(series, candidates),
        cold=ready.cold,
    )


def peer_ways(bench: Bench, place: Place) -> list[Way]:
    """What others do."""
    plan = bench.plan
    return [
        commands.EachAlone(report.PYTEST, "python -m pytest --cov, each", place, commands.pytest_cov(place)),
        commands.EachAlone(
            report.COVERUP, "CoverUp's way (slipcover, 5 repeats)", place, commands.coverup(place, bench.coverup)
        ),
        commands.AllTogether(place),
        commands.WholeSuite(place, plan.suite_candidates, plan.suite_seconds),
    ]


def floors(place: Place) -> list[Way]:
    """What nobody can go below."""
    return [commands.Floor(place, PASSES, calls=True), commands.Floor(place, PASSES, calls=False)]


@asynccontextmanager
async def own_ways(
    bench: Bench, project: BenchProject, release: Path
) -> AsyncIterator[tuple[Sequence[SandboxedRunner], Preparation]]:
    """Our runners, the cold one first, and what preparing the warm ones has shown.

    Raises:
        ProjectError: They cannot run a test here.
    """
    snapshot = Repository.open(release).snapshot("HEAD")
    described = Project(
        snapshot=snapshot,
        extra={},
        source_roots=("",),
        measured=project.measured,
        test_folder=project.test_folder,
        modules=project.modules,
    )

    def cold_runner() -> ColdRunner:
        return ColdRunner(described, bench.interpreter, bench.confinement, Limits(), bench.environ)

    cold, workers, folder = cold_runner(), cores(), project.test_folder
    async with AsyncExitStack() as stack:
        warm = WarmRunner(cold, 1)
        stack.push_async_callback(warm.close)
        warm_all = WarmRunner(cold_runner(), workers)
        stack.push_async_callback(warm_all.close)
        ready = await warm.prepare()
        if not ready.statements:
            msg = f"{project.name} cannot be tested with {bench.interpreter.path}: {ready.problem or 'no reason given'}"
            raise ProjectError(msg)
        also = await warm_all.prepare()
        runners = (
            SandboxedRunner("cold", "our cold runner, in the sandbox", cold, folder),
            WarmWay(report.WARM, "our warm runner, in the sandbox", warm, folder, PASSES, 1),
            WarmWay(f"{report.WARM}-all", f"the same, {workers} workers", warm_all, folder, PASSES, workers),
        )
        yield runners, ready if ready.cold else also


async def measure_ways(
    ways: Sequence[Way], candidates: Sequence[str], plan: Plan, say: Callable[[str], None]
) -> list[report.Series]:
    """Each way once for each round, one after the other; the whole suite in the first round only."""
    series = []
    for way in ways:
        say(f"starting: {way.label}")
        series.append(report.Series(way, await way.startup()))
        if way.key != _SUITE:
            # Compiled files, the disk's cache: what only the first execution pays for.
            await way.run(candidates[:1])
    for number in range(plan.rounds):
        for one in series:
            if number and one.way.key == _SUITE:
                continue
            say(f"round {number + 1} of {plan.rounds}: {one.way.label}")
            one.batches.append(await one.way.run(candidates))
    return series
