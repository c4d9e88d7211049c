"""What every runner offers, whether it starts a process for each candidate or keeps one warm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from llm_testgen.records import Candidate, ChangedMethod, CoverageByPath, Run, Snapshot, SuiteRun


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a first session, of a test that does nothing, has shown.

    Attributes:
        statements: Statements of every measured file that can be analysed, none of them executed.
        concession: What pytest has to do without from now on, such as ``conftest.py``; empty when it needs no help.
        problem: Why it cannot run even a test that does nothing, or could not before the concession; empty otherwise.
        cold: Why each candidate needs a process of its own; empty when they share a warm one.
    """

    statements: CoverageByPath
    concession: str = ""
    problem: str = ""
    cold: str = ""


class Runner(Protocol):
    """Executes tests in the project's interpreter, never in the checkout."""

    async def prepare(self) -> Preparation:
        """Find out whether pytest can run a test here, and what it takes; to be called before anything else."""

    async def run_suite(self) -> SuiteRun:
        """The project's own tests as they are at head."""

    async def run_candidate(
        self, candidate: Candidate, *, hash_seed: int, trapped: Sequence[ChangedMethod] = ()
    ) -> Run:
        """One candidate alone, in the folder where its test file would stand; the trapped methods raise when used."""

    async def run_together(self, candidates: Sequence[Candidate], *, hash_seed: int) -> tuple[Run, ...]:
        """Several candidates of one folder in one process, in their order; what each covers is not told."""

    async def run_files(self, files: Mapping[str, str]) -> SuiteRun:
        """Test files, given as path → text, together in one fresh process; nothing else is run."""

    async def close(self) -> None:
        """End what still runs and delete the copy of the tree."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one execution may take.

    Attributes:
        seconds: Wall-clock time of a candidate.
        suite_seconds: Wall-clock time of the project's own suite.
        memory: Address space of a candidate's process beyond what the project takes to be imported, in bytes.
        suite_memory: Address space of a process that runs the suite, in bytes.
        file: Size of a file that it writes, in bytes.
        processes: How many processes and threads a candidate may have at once.
    """

    seconds: float = 20.0
    suite_seconds: float = 900.0
    memory: int = 2 << 30
    suite_memory: int = 8 << 30
    file: int = 256 << 20
    processes: int = 128


@dataclass(frozen=True, slots=True)
class Project:
    """What a runner needs to know of the project.

    Attributes:
        snapshot: The tree to run on.
        extra: Ignored files of the checkout that imports may need, as path → where it lies.
        source_roots: Folders of the tree that imports start from, "" for its root.
        measured: Files whose lines are counted.
        test_folder: Where its tests are, or most of them; "" for the root.
        modules: Names under which measured files are imported, by path.
        samples: Test files by which a faster way of running is compared with the plain one.
    """

    snapshot: Snapshot
    extra: Mapping[str, Path]
    source_roots: tuple[str, ...]
    measured: tuple[str, ...]
    test_folder: str = ""
    modules: Mapping[str, str] = field(default_factory=dict)
    samples: tuple[str, ...] = ()
