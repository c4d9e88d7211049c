"""What the index is measured on: releases of real projects, pinned, and how their own suites are run."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from llm_testgen.bench.changes import PinnedRelease
from llm_testgen.bench.environments import Workshop
from llm_testgen.errors import UsageError
from llm_testgen.paths import is_python, is_test, is_tooling

_DATA = files("llm_testgen.bench") / "data"


class MeasuredLibrary(BaseModel):
    """A project with a quick suite.

    Attributes:
        release: What is fetched.
        folder: Of the library's code, below the root of its tree.
        import_path: The folder to put on ``sys.path``; empty for the root.
        tests: What pytest is given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: PinnedRelease
    folder: str
    import_path: str = ""
    tests: tuple[str, ...] = Field(default=("tests",))

    @property
    def name(self) -> str:
        """Of the project."""
        return self.release.name


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    large: PinnedRelease
    libraries: tuple[MeasuredLibrary, ...]


def manifest() -> tuple[PinnedRelease, tuple[MeasuredLibrary, ...]]:
    """The large project whose indexing is timed, and the projects whose calls are looked at."""
    read = TypeAdapter(_Manifest).validate_json((_DATA / "index.json").read_bytes())
    return read.large, read.libraries


def choose_libraries(names: Iterable[str]) -> tuple[MeasuredLibrary, ...]:
    """The projects of those names, each once; all for none.

    Raises:
        UsageError: There is none of a name.
    """
    known = {library.name: library for library in manifest()[1]}
    for name in names:
        if name not in known:
            msg = f"there is no library {name} to look at: choose among {', '.join(known)}"
            raise UsageError(msg)
    return tuple(known[name] for name in dict.fromkeys(names or known))


def source_tree(workshop: Workshop, release: PinnedRelease, python: Path) -> Path:
    """A folder with the files of a release, made once.

    Args:
        workshop: Where it is kept.
        release: What to fetch.
        python: An interpreter that has pip.

    Raises:
        ProjectError: It cannot be had, or is not the one that was pinned.
    """

    def make(folder: Path) -> None:
        for path, data in workshop.source(release, python).items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    return workshop.kept(f"tree-{release.name}-{release.version}-{release.sha256[:12]}", make)


def standard_library() -> Path:
    """The folder of the library of the Python that runs this."""
    return Path(sysconfig.get_path("stdlib"))


def python_files(root: Path, below: str = "") -> tuple[str, ...]:
    """The Python files of a tree, in path order; of installed packages, which may lie in it, none."""
    found = (path.relative_to(root).as_posix() for path in (root / below).rglob("*.py") if path.is_file())
    return tuple(sorted(path for path in found if is_python(path) and "site-packages" not in path.split("/")))


def product_files(paths: Iterable[str]) -> tuple[str, ...]:
    """Those of some files that are neither tests nor tools."""
    return tuple(path for path in paths if not is_test(path) and not is_tooling(path))
