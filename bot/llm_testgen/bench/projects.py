"""The projects that are measured, and the candidates that are run on them: data that comes along."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from llm_testgen.errors import UsageError

_DATA = files("llm_testgen.bench") / "data"
_BETWEEN_CANDIDATES = re.compile(r"^# ----\n", re.MULTILINE)


class BenchProject(BaseModel):
    """A released project.

    Attributes:
        name: Its name on the package index.
        version: The release.
        sha256: Of its source distribution, in hexadecimal.
        package: What it is imported as; its folder stands at the root of its tree.
        test_folder: Where its tests are, and candidates stand beside them.
        measured: Files whose lines are counted, as if a change had touched them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    version: str = Field(pattern=r"^[0-9.]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    package: str
    test_folder: str
    measured: tuple[str, ...]

    @property
    def modules(self) -> dict[str, str]:
        """Names under which the measured files are imported, by path."""
        return {path: ".".join(PurePosixPath(path).with_suffix("").parts) for path in self.measured}


def known_projects() -> tuple[BenchProject, ...]:
    """All of them, in the order in which they are measured."""
    return TypeAdapter(tuple[BenchProject, ...]).validate_json((_DATA / "projects.json").read_bytes())


def choose(names: tuple[str, ...]) -> tuple[BenchProject, ...]:
    """The projects of those names, each once; all for none.

    Raises:
        UsageError: There is none of a name.
    """
    known = {project.name: project for project in known_projects()}
    for name in names:
        if name not in known:
            msg = f"there is no project {name} to measure on: choose among {', '.join(known)}"
            raise UsageError(msg)
    return tuple(known[name] for name in dict.fromkeys(names or known))


def candidates(project: BenchProject) -> tuple[str, ...]:
    """Test files for it as a model's reply gives them: imports and one test function each.

    Most pass, a few expect a wrong value, one imports what is not there. None needs a fixture, so that each can also be
    called without pytest.
    """
    text = (_DATA / f"{project.name}.txt").read_text(encoding="utf-8")
    return tuple(_BETWEEN_CANDIDATES.split(text))


def requirements(environment: str) -> str:
    """Pinned packages of an environment, as pip reads them."""
    return (_DATA / f"requirements-{environment}.txt").read_text(encoding="utf-8")
