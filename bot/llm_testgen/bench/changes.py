"""Real changes to write tests for: what lies between two releases of a project, before its tests followed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from llm_testgen.bench.environments import Workshop
from llm_testgen.edges.gitwrite import add_branch, create_repository
from llm_testgen.errors import UsageError
from llm_testgen.paths import is_inside, is_test

ENVIRONMENT = "changes"
BASE = "main~1"
HEAD = "main"
_DATA = files("llm_testgen.bench") / "data"


class PinnedRelease(BaseModel):
    """One release of a project.

    Attributes:
        name: The project's name on the package index.
        version: The release.
        sha256: Of its source distribution, in hexadecimal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    version: str = Field(pattern=r"^[0-9.]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class BenchChange(BaseModel):
    """What lies between two releases.

    Attributes:
        name: What it is called here.
        old: The release that the change begins with, and whose tests there are.
        new: The release whose library code is at head.
        library: How the paths of that code begin; the tools and benchmarks beside it are no targets.
        targets: ``path::qualname`` of the changed methods that tests are asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    old: PinnedRelease
    new: PinnedRelease
    library: str = ""
    targets: tuple[str, ...] = ()


def known_changes() -> tuple[BenchChange, ...]:
    """All of them, in the order in which they are worked on."""
    return TypeAdapter(tuple[BenchChange, ...]).validate_json((_DATA / "changes.json").read_bytes())


def choose_changes(names: tuple[str, ...], known: tuple[BenchChange, ...]) -> tuple[BenchChange, ...]:
    """The changes of those names, each once; all for none.

    Raises:
        UsageError: There is none of a name.
    """
    by_name = {change.name: change for change in known}
    for name in names:
        if name not in by_name:
            msg = f"there is no change {name} to work on: choose among {', '.join(by_name)}"
            raise UsageError(msg)
    return tuple(by_name[name] for name in dict.fromkeys(names or by_name))


class ReleasePair(Protocol):
    """Two releases of a project, and what the change between them is called."""

    @property
    def name(self) -> str:
        """The change's name."""

    @property
    def old(self) -> PinnedRelease:
        """The release that it begins with."""

    @property
    def new(self) -> PinnedRelease:
        """The release whose code is at head."""


def change_repository(workshop: Workshop, change: ReleasePair, python: Path, human: str = "") -> Path:
    """A git repository of two commits: the old release, and the new one's code with the old one's tests.

    Args:
        workshop: Where it is kept.
        change: What to fetch.
        python: An interpreter that has pip.
        human: A branch for a third commit, the whole new release; empty for none.

    Raises:
        ProjectError: A release cannot be had, or is not the one that was pinned.
    """

    def make(folder: Path) -> None:
        old, new = (_within_git(workshop.source(release, python)) for release in (change.old, change.new))
        first, second = (f"{release.name} {release.version}" for release in (change.old, change.new))
        create_repository(folder, {first: old, second: before_its_tests(old, new)})
        if human:
            add_branch(folder, human, f"{second} with its tests", new)

    kind = "case" if human else "change"
    return workshop.kept(f"{kind}-{change.name}-{change.old.sha256[:8]}-{change.new.sha256[:8]}", make)


def _within_git(tree: Mapping[str, bytes]) -> dict[str, bytes]:
    """What git can hold: a release may have shipped the remains of a submodule."""
    return {path: data for path, data in tree.items() if is_inside(path)}


def before_its_tests(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> dict[str, bytes]:
    """The moment after the change and before anybody wrote tests for it: new code, old tests with all their data."""
    code = {path: data for path, data in new.items() if not is_test(path)}
    return code | {path: data for path, data in old.items() if is_test(path)}
