"""What the path of a file says about it, by the conventions of Python projects."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

LONGEST_PATH = 1024  # in characters

_TEST_DIRECTORIES = frozenset({"test", "tests"})
_VENDOR_DIRECTORIES = frozenset(
    {
        "_vendor",
        "_vendored",
        "vendor",
        "vendored",
        "third_party",
        "thirdparty",
        "extern",
        "node_modules",
        "site-packages",
    }
)
_NO_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, halves of characters, ends of lines
_OUTSIDE = frozenset({"", ".", ".."})
_TOOLING_FILES = frozenset({"setup.py", "noxfile.py", "tasks.py", "fabfile.py", "conftest.py"})
_TOOLING_DIRECTORIES = frozenset({"docs", "doc", "examples", "benchmarks", "scripts", "tools", ".github"})


def is_inside(path: str) -> bool:
    """Whether a path names a file of a repository for sure, for every tool that reads it.

    It is relative, goes straight down, not into ``.git``, has no backslash and no control character, and is not longer
    than any tool takes it.
    """
    parts = path.split("/")
    if len(path) > LONGEST_PATH or any(part in _OUTSIDE or part.lower() == ".git" for part in parts):
        return False
    return printable_path(path) == path


def printable_path(path: str) -> str:
    """A path of a tree with a replacement character for each one that is none to show, cut where it is too long."""
    shown = "".join("\ufffd" if _is_no_text(character) else character for character in path)
    return shown if len(shown) <= LONGEST_PATH else shown[: LONGEST_PATH - 1] + "…"


def _is_no_text(character: str) -> bool:
    return character == "\\" or unicodedata.category(character) in _NO_TEXT


def is_python(path: str) -> bool:
    """Whether it holds Python code that can run: ``.py``, not ``.pyi``."""
    return path.endswith(".py")


def is_test(path: str) -> bool:
    """Whether it belongs to a test suite: ``test_*.py``, ``*_test.py``, ``conftest.py``, or a folder of tests."""
    pure = PurePosixPath(path)
    if pure.name == "conftest.py" or pure.name.startswith("test_") or pure.stem.endswith("_test"):
        return True
    if pure.name in {"test.py", "tests.py"}:
        return True
    return not _TEST_DIRECTORIES.isdisjoint(pure.parts[:-1])


def is_vendored(path: str) -> bool:
    """Whether it lies in a folder of other people's code."""
    return not _VENDOR_DIRECTORIES.isdisjoint(PurePosixPath(path).parts[:-1])


def is_tooling(path: str) -> bool:
    """Whether it serves to build, document or demonstrate the project and is no part of what it ships."""
    pure = PurePosixPath(path)
    return pure.name in _TOOLING_FILES or (len(pure.parts) > 1 and pure.parts[0] in _TOOLING_DIRECTORIES)


def is_imported(path: str) -> bool:
    """Whether importing it does no more than define things: no script, nothing that builds or documents."""
    return PurePosixPath(path).name != "__main__.py" and not is_tooling(path)


def main_folder(paths: Sequence[str]) -> str:
    """The folder that most of the files lie in, the deeper one where that is equal; "" for the root or for no files."""
    folders = [str(PurePosixPath(path).parent) for path in paths]
    best = max(sorted(set(folders)), key=lambda folder: (folders.count(folder), folder.count("/")), default=".")
    return "" if best == "." else best
