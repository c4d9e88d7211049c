"""The cases of ``bench pull-requests``: real changes between two releases, with what their authors tested then.

The manifest names each case's releases, its split and its environment. The repository of a case has three states: the
old release; the new code with the old tests, which is what a tool gets to see; and the whole new release, whose tests
are the human reference.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from llm_testgen.bench.changes import HEAD, PinnedRelease, change_repository
from llm_testgen.bench.environments import Workshop
from llm_testgen.edges.git import Repository
from llm_testgen.errors import UsageError
from llm_testgen.paths import is_python, is_test
from llm_testgen.records import ChangedMethod, FileStatus

HUMAN = "human"
MOST_METHODS = 4
_DATA = files("llm_testgen.bench") / "data"


class Split(StrEnum):
    """What a case may be used for. All cases of a project are in the same one."""

    TUNE = "tune"
    VALIDATE = "validate"
    TEST = "test"


class Case(BaseModel):
    """One change of the data set.

    Attributes:
        name: The project and the newer release.
        old: The release that the change begins with, and whose tests a tool gets to see.
        new: The release whose code is at head, and whose tests are the human reference.
        library: How the paths of its code begin; the tools and benchmarks beside it are no targets.
        split: What the case may be used for.
        environment: The pinned packages that its tests need.
        held_back: Test modules of the newer release that head lacks, or has in their older state.
        notes: What is odd about it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9-]+-[0-9.]+$")
    old: PinnedRelease
    new: PinnedRelease
    library: str = Field(min_length=1)
    split: Split
    environment: str = Field("cases", pattern=r"^[a-z0-9-]+$")
    held_back: tuple[str, ...]
    notes: str = ""

    @property
    def project(self) -> str:
        """The project's name on the package index."""
        return self.new.name

    @model_validator(mode="after")
    def _is_one_project(self) -> Self:
        if self.old.name != self.new.name or self.name != f"{self.new.name}-{self.new.version}":
            msg = f"{self.name} is not named after the newer of two releases of a project"
            raise ValueError(msg)
        return self


def known_cases() -> tuple[Case, ...]:
    """All of them, in the order in which they are worked on."""
    return TypeAdapter(tuple[Case, ...]).validate_json((_DATA / "cases.json").read_bytes())


def choose_cases(known: Sequence[Case], names: Sequence[str] = (), split: Split | None = None) -> tuple[Case, ...]:
    """The cases that were asked for, each once, in the order of the manifest.

    Args:
        known: Those that there are.
        names: Of cases, or of projects for all of theirs; none for all.
        split: Only those of this one; None for any.

    Raises:
        UsageError: There is none of a name, or none is left.
    """
    for name in names:
        if not any(name in {case.name, case.project} for case in known):
            projects = sorted({case.project for case in known})
            msg = f"there is no case {name}: pass a case such as {known[0].name}, or a project: {', '.join(projects)}"
            raise UsageError(msg)
    found = tuple(
        case
        for case in known
        if (not names or not {case.name, case.project}.isdisjoint(names)) and split in {None, case.split}
    )
    if not found:
        msg = f"none of {', '.join(names) or 'the cases'} is in {split}: pass another --split"
        raise UsageError(msg)
    return found


def case_repository(workshop: Workshop, case: Case, python: Path) -> Path:
    """A git repository whose ``main`` ends with the change, and whose branch ``human`` has the newer tests on top.

    Head is checked out, so that a tool that reads the working tree does not see the newer tests.

    Args:
        workshop: Where it is kept.
        case: What to fetch.
        python: An interpreter that has pip.

    Raises:
        ProjectError: A release cannot be had, or is not the one that was pinned.
    """
    return change_repository(workshop, case, python, HUMAN)


def held_back(repository: Repository) -> tuple[str, ...]:
    """Test modules of a case's newer release that head lacks or has in their older state, in path order."""
    head, human = repository.merge_base(HEAD, HUMAN)
    return tuple(
        sorted(
            change.path
            for change in repository.changes(head, human)
            if change.status is not FileStatus.DELETED and is_python(change.path) and is_test(change.path)
        )
    )


def sample_methods(case: Case, targets: Sequence[ChangedMethod], seed: int) -> tuple[ChangedMethod, ...]:
    """The methods that tests are asked for in every arm: at most four, by lot, in their order.

    Each method draws its own lot, so that one more or less among them, as a test that does not always run the same
    makes it, leaves the others as they are.

    Args:
        case: Whose they are.
        targets: Those to choose from.
        seed: Another one draws other lots.
    """

    def lot(target: ChangedMethod) -> float:
        return random.Random(f"{seed}:{case.name}:{target.id}").random()  # noqa: S311 - nothing is secret

    chosen = {target.id for target in sorted(targets, key=lot)[:MOST_METHODS]}
    return tuple(target for target in targets if target.id in chosen)
