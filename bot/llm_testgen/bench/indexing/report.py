"""What was measured of the index and of what is beside it; what follows from it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from llm_testgen.bench.chain_report import write_text
from llm_testgen.bench.indexing.scoring import Score

FLOOR, COLD, OURS, STORED = "floor", "cold", "graph", "stored"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sample(_Record):
    """One run.

    Attributes:
        cpu: Seconds of user and system time, of children too.
        seconds: Of the wall clock.
        peak: The most memory held at a time, in bytes.
    """

    cpu: float
    seconds: float
    peak: int


class SpeedRow(_Record):
    """One way of reading a project.

    Attributes:
        key: Which.
        label: What a table calls it.
        rounds: What each round took; empty where it could not be run.
        files: How many files it read.
        definitions: How many classes and functions it found; calls, for a graph of calls; 0 where it does not tell.
        database: What it left on the disk, in bytes; 0 for nothing.
        note: What has to be known about it; the reason where it could not be run.
    """

    key: str
    label: str
    rounds: tuple[Sample, ...] = ()
    files: int = 0
    definitions: int = 0
    database: int = 0
    note: str = ""

    @property
    def cpu(self) -> float:
        """Median over the rounds."""
        return statistics.median(sample.cpu for sample in self.rounds)

    @property
    def seconds(self) -> float:
        """Median over the rounds."""
        return statistics.median(sample.seconds for sample in self.rounds)

    @property
    def peak(self) -> float:
        """Median over the rounds."""
        return statistics.median(sample.peak for sample in self.rounds)


class SpeedReport(_Record):
    """All ways on one project.

    Attributes:
        project: Its name and version.
        files: How many Python files it has.
        size: Of them, in bytes.
        rows: In the order of the table.
    """

    project: str
    files: int
    size: int
    rows: tuple[SpeedRow, ...]

    def ratio(self, row: SpeedRow, to: str) -> float | None:
        """A row's CPU time over another's; None where one of them is missing."""
        other = next((one for one in self.rows if one.key == to and one.rounds), None)
        return row.cpu / other.cpu if row.rounds and other is not None and other.cpu else None


class ToolScore(_Record):
    """A tool's edges on one library.

    Attributes:
        key: Which tool.
        label: What a table calls it.
        found: Observed pairs that are edges.
        observed: Observed pairs.
        right: Edges that were seen to be true.
        judged: Edges that had the chance.
        edges: All of them.
        cpu: Seconds that finding them took.
        note: Why there are none, or what has to be known.
    """

    key: str
    label: str
    found: int = 0
    observed: int = 0
    right: int = 0
    judged: int = 0
    edges: int = 0
    cpu: float = 0.0
    note: str = ""

    @property
    def score(self) -> Score:
        """As a record that can be added."""
        return Score(self.found, self.observed, self.right, self.judged, self.edges)


class LibraryReport(_Record):
    """One library.

    Attributes:
        library: Its name and version.
        functions: Its functions and methods.
        suite: What pytest said last.
        tools: In the order of the table.
    """

    library: str
    functions: int
    suite: str
    tools: tuple[ToolScore, ...]


class IndexReport(_Record):
    """Everything that was measured.

    Attributes:
        schema_version: Of this format.
        tool: Version of llm-testgen.
        python: Version of the interpreter that ran everything.
        cores: That this process may use.
        speed: None where only calls were looked at.
        libraries: Those whose calls were looked at.
    """

    schema_version: int = 1
    tool: str
    python: str
    cores: int
    speed: SpeedReport | None
    libraries: tuple[LibraryReport, ...]

    def totals(self) -> tuple[ToolScore, ...]:
        """Each tool's counts over the libraries on which it could be run."""
        labels = {tool.key: tool.label for library in self.libraries for tool in library.tools}
        return tuple(_total(key, label, self.libraries) for key, label in labels.items())


def _total(key: str, label: str, libraries: Sequence[LibraryReport]) -> ToolScore:
    tools = [tool for library in libraries for tool in library.tools if tool.key == key]
    ran = [tool for tool in tools if tool.observed]
    whole = sum((tool.score for tool in ran), Score(0, 0, 0, 0, 0))
    missing = [tool for tool in tools if not tool.observed]
    notes = [f"left out of {len(missing)} libraries ({missing[0].note})"] if missing else []
    notes += [tool.note for tool in ran if tool.note]
    return ToolScore(
        key=key,
        label=label,
        found=whole.found,
        observed=whole.observed,
        right=whole.right,
        judged=whole.judged,
        edges=whole.edges,
        cpu=sum(tool.cpu for tool in ran),
        note="; ".join(notes),
    )


def write_index_report(report: IndexReport, path: Path) -> None:
    """Write everything as JSON.

    Raises:
        UsageError: It cannot be written.
    """
    write_text(report.model_dump_json(indent=2) + "\n", path, "--json")
