"""What every runner offers, whether it starts a process for each candidate or keeps one warm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from llm_testgen.records import Candidate, ChangedMethod, CoverageByPath, Mutant, Run, Snapshot, SuiteRun


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


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is special about one run of a candidate.

    Attributes:
        trapped: Methods that raise when they are used.
        mutant: What takes the place of the definition that it is of; what the candidate covers is not told then.
        observing: Whether the candidate may report values, as ``__llm_testgen_observe__(key, value)``, which returns
            the value.
        seconds: Wall-clock time for it, where that is less than `Limits.seconds`. It is what a run may take that is
            like the others of the runner: a warm runner that has to start a process for this one alone allows all.
    """

    trapped: tuple[ChangedMethod, ...] = ()
    mutant: Mutant | None = None
    observing: bool = False
    seconds: float | None = None

    def limit(self, most: float) -> float:
        """Seconds for the run, of so many at most."""
        return most if self.seconds is None else min(self.seconds, most)


ORDINARY = Conditions()


class Suite(Protocol):
    """Executes a project's own tests in its interpreter, never in the checkout."""

    async def prepare(self) -> Preparation:
        """Find out whether pytest can run a test here, and what it takes; to be called before anything else."""

    async def run_suite(self, files: Mapping[str, str] | None = None) -> SuiteRun:
        """The project's own tests as they are at head, with some of its files, as path → text, replaced."""


class Runner(Suite, Protocol):
    """Executes tests of all kinds likewise."""

    async def run_candidate(  # noqa: PLR0913 - each by its name, and most runs need none
        self,
        candidate: Candidate,
        *,
        hash_seed: int,
        trapped: Sequence[ChangedMethod] = (),
        mutant: Mutant | None = None,
        observing: bool = False,
        seconds: float | None = None,
    ) -> Run:
        """One candidate alone, in the folder where its test file would stand; see `Conditions`."""

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
