"""What every way of running candidates has in common, and where it runs them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from llm_testgen.bench.accounting import Cost
from llm_testgen.bench.projects import BenchProject
from llm_testgen.runner.interpreter import environment


@dataclass(frozen=True, slots=True)
class Batch:
    """Candidates that were run one way, once or several times over.

    Attributes:
        count: How many executions there were.
        cost: Of all of them.
        passed: Whether each candidate passed, in their order; empty where that cannot be told.
        cut: Whether the last one was ended because the time was up: the cost is less than the true one.
    """

    count: int
    cost: Cost
    passed: tuple[bool, ...] = ()
    cut: bool = False


class Way(Protocol):
    """One way of running candidates.

    Attributes:
        key: Its name in what is written to a file.
        label: Its name in a table.
    """

    key: str
    label: str

    async def startup(self) -> Cost | None:
        """What has to be paid once, before the first candidate; None where every candidate pays for itself."""

    async def run(self, candidates: Sequence[str]) -> Batch:
        """Run each candidate."""


@dataclass(frozen=True, slots=True)
class Place:
    """A copy of a project, to be worked in as a developer would: nothing is confined.

    Attributes:
        project: What is measured.
        home: A folder of its own, below which all else lies.
        environ: The bot's own environment, of which an allow-list is passed on.
        python: The interpreter of the project's developers.
    """

    project: BenchProject
    home: Path
    environ: Mapping[str, str]
    python: Path

    @property
    def tree(self) -> Path:
        """The copy."""
        return self.home / "tree"

    @property
    def output(self) -> Path:
        """What the last command printed."""
        return self.home / "output.txt"

    @property
    def measured(self) -> list[str]:
        """The measured files, absolute."""
        return [str(self.tree / path) for path in self.project.measured]

    def make(self, release: Path) -> None:
        """Copy a release here."""
        shutil.copytree(release, self.tree, ignore=shutil.ignore_patterns(".git"))
        for name in ("home", "tmp"):
            (self.home / name).mkdir()

    def environment(self) -> dict[str, str]:
        """What a command sees of the environment: the same as candidates of the bot see."""
        return environment(self.environ, self.home, (self.tree,))

    @contextmanager
    def added(self, candidates: Sequence[str], first: int = 1) -> Iterator[list[str]]:
        """Candidates as test files among those of the project, for a while; gives their paths below the tree."""
        folder = PurePosixPath(self.project.test_folder)
        names = [str(folder / f"test_bench_{number}.py") for number, _ in enumerate(candidates, first)]
        for name, text in zip(names, candidates, strict=True):
            (self.tree / name).write_text(text, encoding="utf-8")
        try:
            yield names
        finally:
            for name in names:
                (self.tree / name).unlink(missing_ok=True)
