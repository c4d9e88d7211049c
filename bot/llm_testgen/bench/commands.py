"""Ways that start commands: what a developer types, what other tools start, and the floor."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from llm_testgen.bench import floor
from llm_testgen.bench.accounting import Cost, Finished, execute
from llm_testgen.bench.ways import Batch, Place
from llm_testgen.errors import ProjectError

# CoverUp's own limit for one candidate is 60 s; nothing here should come near it.
_SECONDS = 300.0
_PASSED_TEST = re.compile(r"^PASSED (\S+?)::", re.MULTILINE)

Command = Callable[[str], list[str]]


def pytest_cov(place: Place) -> Command:
    """What a developer types: coverage of the package, as JSON."""
    options = [f"--cov={place.project.package}", "--cov-report=json"]
    return lambda file: [str(place.python), "-m", "pytest", *options, file]


def coverup(place: Place, python: Path) -> Command:
    """What CoverUp 0.6.3 starts with its default options.

    ``measure_test_coverage`` of its ``testrunner.py``, called with ``--count`` for ``--repeat-tests 5`` and
    ``isolate_tests``, and no ``--source``.
    """
    report = str(place.home / "slipcover.json")
    slipcover = [str(python), "-m", "slipcover", "--branch", "--json", "--out", report]
    return lambda file: [*slipcover, "-m", "pytest", "--count=5", "--isolate", "-qq", "-x", "--disable-warnings", file]


class EachAlone:
    """A process for each candidate, from a cold start."""

    def __init__(self, key: str, label: str, place: Place, command: Command) -> None:
        """Take what to start for one test file."""
        self.key, self.label = key, label
        self._place, self._command = place, command

    async def startup(self) -> Cost | None:
        """Every candidate pays for itself."""
        return None

    async def run(self, candidates: Sequence[str]) -> Batch:
        """Start one after the other."""
        cost, passed = Cost(), []
        for number, text in enumerate(candidates, 1):
            with self._place.added([text], number) as (file,):
                finished = await _execute(self._place, self._command(file), _SECONDS)
            cost += finished.cost
            passed.append(finished.status == 0)
        return Batch(len(candidates), cost, tuple(passed))


class AllTogether:
    """One process for all candidates, with a context of coverage for each test, and one report that tells them apart.

    Nothing keeps them from disturbing each other, and one that ends the process ends them all.
    """

    key = "together"
    label = "all in one process, a coverage context each"

    def __init__(self, place: Place) -> None:
        """Take the place."""
        self._place = place

    async def startup(self) -> Cost | None:
        """Shared by the candidates of the one process."""
        return None

    async def run(self, candidates: Sequence[str]) -> Batch:
        """Start the one process, and the report."""
        place = self._place
        settings = place.home / "contexts.cfg"
        included = "".join(f"\n    {path}" for path in place.measured)
        settings.write_text(
            f"[run]\nbranch = True\ndynamic_context = test_function\ndata_file = {place.home / 'contexts'}\n"
            f"include ={included}\n",
            encoding="utf-8",
        )
        coverage = [str(place.python), "-m", "coverage"]
        options = ["-m", "pytest", "-q", "-rA", "--continue-on-collection-errors"]
        with place.added(candidates) as files:
            run = await _execute(place, [*coverage, "run", f"--rcfile={settings}", *options, *files], _SECONDS)
        passed = set(_PASSED_TEST.findall(place.output.read_text(encoding="utf-8", errors="replace")))
        report = str(place.home / "contexts.json")
        told = await _execute(
            place, [*coverage, "json", "-q", f"--rcfile={settings}", "--show-contexts", "-o", report], _SECONDS
        )
        return Batch(len(candidates), run.cost + told.cost, tuple(file in passed for file in files), run.timed_out)


class WholeSuite:
    """The project's own tests together with each candidate, as cover-agent runs them: a report of all in XML.

    Args:
        place: Where.
        most: Candidates to measure at most.
        budget: Seconds after which no other is tried, and the running one is ended.
    """

    key = "suite"
    label = "the whole suite with each (cover-agent's way)"

    def __init__(self, place: Place, most: int, budget: float) -> None:
        """Take the place and the limits."""
        self._place, self._most, self._budget = place, most, budget

    async def startup(self) -> Cost | None:
        """Every candidate pays for itself."""
        return None

    async def run(self, candidates: Sequence[str]) -> Batch:
        """Start the suite for as many candidates as the budget allows; a cut one counts only if there is no other."""
        place = self._place
        command = [str(place.python), "-m", "pytest", f"--cov={place.project.package}", "--cov-report=xml"]
        cost, count = Cost(), 0
        ends = time.monotonic() + self._budget
        for number, text in enumerate(candidates[: self._most], 1):
            with place.added([text], number):
                finished = await _execute(place, command, max(1.0, ends - time.monotonic()))
            if finished.timed_out:
                return Batch(count, cost) if count else Batch(1, finished.cost, cut=True)
            cost, count = cost + finished.cost, count + 1
        return Batch(count, cost)


class _FloorCost(BaseModel):
    """Seconds, as the floor's script tells them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: float
    seconds: float


class _FloorResult(BaseModel):
    """What the floor's script tells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    startup: _FloorCost
    cost: _FloorCost
    passed: tuple[bool, ...]
    lines: tuple[int, ...]


class Floor:
    """The least that a candidate can cost: see the script `floor`.

    Args:
        place: Where.
        passes: How often each candidate is run.
        calls: Whether the tests are called; else each fork exits at once.
    """

    def __init__(self, place: Place, passes: int, *, calls: bool) -> None:
        """Take the place."""
        self.key = "floor" if calls else "fork"
        self.label = "floor: fork, call, exit, with coverage on" if calls else "fork and exit alone"
        self._place, self._passes, self._calls = place, passes, calls

    async def startup(self) -> Cost | None:
        """Importing pytest and the project, as long as there is a candidate to come."""
        if not self._calls:
            return None
        told = await self._tell([])
        return Cost(told.startup.cpu, told.startup.seconds)

    async def run(self, candidates: Sequence[str]) -> Batch:
        """Start the script."""
        told = await self._tell(candidates)
        passed = told.passed if self._calls else ()
        return Batch(len(candidates) * self._passes, Cost(told.cost.cpu, told.cost.seconds), passed)

    async def _tell(self, candidates: Sequence[str]) -> _FloorResult:
        place = self._place
        request, result = place.home / "floor.json", place.home / "floor-result.json"
        asked = {
            "texts": list(candidates),
            "measured": place.measured,
            "modules": list(place.project.modules.values()),
            "passes": self._passes,
            "calls": self._calls,
        }
        await asyncio.to_thread(request.write_text, json.dumps(asked), encoding="utf-8")
        result.unlink(missing_ok=True)
        command = [str(place.python), str(Path(floor.__file__)), str(request), str(result)]
        finished = await _execute(place, command, _SECONDS)
        if finished.status != 0:
            said = place.output.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
            msg = f"the floor of {place.project.name} cannot be measured ({said[:200]}): try another --python"
            raise ProjectError(msg)
        return _FloorResult.model_validate_json(result.read_bytes())


async def _execute(place: Place, command: Sequence[str], seconds: float) -> Finished:
    return await execute(command, place.tree, place.environment(), place.output, seconds)
