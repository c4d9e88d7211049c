"""What was measured: per way and project, with the machine that it was measured on; and what follows from it."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from llm_testgen.bench.accounting import Cost
from llm_testgen.bench.ways import Batch, Way
from llm_testgen.errors import UsageError

PYTEST, COVERUP, WARM, FLOOR = "pytest", "coverup", "warm", "floor"
_TEST_NAME = re.compile(r"^(?:async )?def (test\w*)", re.MULTILINE)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Seconds(_Record):
    """Time, of one candidate or of a start.

    Attributes:
        cpu: User and system time of all processes.
        wall: Wall-clock time.
    """

    cpu: float
    wall: float


class WayReport(_Record):
    """One way of running candidates on one project.

    Attributes:
        key: Which.
        label: What a table calls it.
        executions: How many candidates were run in a round.
        rounds: What one candidate took, in each round.
        median: Over the rounds.
        per_second: Candidates a second, by the median of the wall-clock time.
        passed: How many of the candidates passed; None where it cannot be told.
        cut: Whether it was ended before it was done: the true times are longer.
        startup: What is paid once, before the first candidate.
        pays_after: Candidates after which that is less CPU time than starting pytest for each; None when never.
    """

    key: str
    label: str
    executions: int
    rounds: tuple[Seconds, ...]
    median: Seconds
    per_second: float
    passed: int | None
    cut: bool
    startup: Seconds | None
    pays_after: int | None


class ProjectReport(_Record):
    """All ways on one project.

    Attributes:
        name: Of the project.
        version: Of the project.
        python: Version of the interpreter.
        measured: Files whose lines were counted.
        candidates: How many there are.
        load: The machine's load average of the last minute before the first round and after the last.
        ways: In the table's order.
        pytest_over_warm: CPU time of ``python -m pytest --cov`` for each candidate, over that of the warm runner.
        coverup_over_warm: CPU time of CoverUp's way over that of the warm runner.
        warm_over_floor: CPU time of the warm runner over that of the floor.
        disagreements: Candidates that one way judged otherwise than pytest did.
        cold: Why the warm runner does not fork here; empty when it does.
    """

    name: str
    version: str
    python: str
    measured: tuple[str, ...]
    candidates: int
    load: tuple[float, float]
    ways: tuple[WayReport, ...]
    pytest_over_warm: float | None
    coverup_over_warm: float | None
    warm_over_floor: float | None
    disagreements: tuple[str, ...]
    cold: str


class Machine(_Record):
    """What it was measured on.

    Attributes:
        cores: That this process may use.
        processor: Its name; empty when unknown.
        kernel: Name and release.
        python: Version of the interpreter that runs the bot.
        packages: Pinned packages of the environments.
    """

    cores: int
    processor: str
    kernel: str
    python: str
    packages: tuple[str, ...]


class LayerReport(_Record):
    """One layer of the sandbox, and whether it holds."""

    name: str
    holds: bool


class Report(_Record):
    """Everything that was measured.

    Attributes:
        schema_version: Of this format.
        tool: Version of llm-testgen.
        machine: What it was measured on.
        sandbox: Layers in which our own runners ran candidates.
        rounds: How often each way was measured.
        projects: In the order in which they were measured.
    """

    schema_version: int = 1
    tool: str
    machine: Machine
    sandbox: tuple[LayerReport, ...]
    rounds: int
    projects: tuple[ProjectReport, ...]


class Series:
    """The batches of one way, as they come in."""

    def __init__(self, way: Way, startup: Cost | None) -> None:
        """Start with none."""
        self.way = way
        self.startup = startup
        self.batches: list[Batch] = []

    @property
    def cpu(self) -> float:
        """Median of the CPU seconds of a candidate."""
        return statistics.median(batch.cost.cpu / batch.count for batch in self.batches)

    def report(self, pytest_cpu: float | None) -> WayReport:
        """What they say, given what starting pytest for each candidate takes of CPU seconds."""
        rounds = tuple(
            Seconds(cpu=batch.cost.cpu / batch.count, wall=batch.cost.seconds / batch.count) for batch in self.batches
        )
        wall = statistics.median(one.wall for one in rounds)
        last = self.batches[-1]
        saved = (pytest_cpu or 0.0) - self.cpu
        startup = self.startup
        return WayReport(
            key=self.way.key,
            label=self.way.label,
            executions=last.count,
            rounds=rounds,
            median=Seconds(cpu=self.cpu, wall=wall),
            per_second=1 / wall,
            passed=sum(last.passed) if last.passed else None,
            cut=any(batch.cut for batch in self.batches),
            startup=startup and Seconds(cpu=startup.cpu, wall=startup.seconds),
            pays_after=math.ceil(startup.cpu / saved) if startup and saved > 0 else None,
        )


def way_reports(series: Sequence[Series]) -> tuple[WayReport, ...]:
    """Each way's report."""
    pytest_cpu = next((one.cpu for one in series if one.way.key == PYTEST), None)
    return tuple(one.report(pytest_cpu) for one in series)


def ratio(ways: Sequence[WayReport], above: str, below: str) -> float | None:
    """How many times the CPU time of one way that of another is; None where one of them was not measured."""
    cpu = {way.key: way.median.cpu for way in ways}
    return cpu[above] / cpu[below] if above in cpu and cpu.get(below) else None


def disagreements(series: Sequence[Series], candidates: Sequence[str]) -> tuple[str, ...]:
    """Candidates that one way, in any round, judged otherwise than pytest did in its first."""
    judged = next((one.batches[0].passed for one in series if one.way.key == PYTEST), ())
    found = {
        f"{one.way.key}: {candidate_name(text)} {'passed' if mine else 'failed'}"
        for one in series
        for batch in one.batches
        if batch.passed and judged
        for text, mine, theirs in zip(candidates, batch.passed, judged, strict=True)
        if mine is not theirs
    }
    return tuple(sorted(found))


def candidate_name(text: str) -> str:
    """The name of a candidate's test function."""
    found = _TEST_NAME.search(text)
    return found[1] if found else "?"


def write(report: Report, path: Path) -> None:
    """Write a report as JSON, whole or not at all.

    Raises:
        UsageError: It cannot be written.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        msg = f"{path} cannot be written ({error.strerror}): pass another --json"
        raise UsageError(msg) from error
