"""The files of a working tree as they stand on the disk, read and written; what git knows of them is asked elsewhere.

Paths are relative to the tree's root, with forward slashes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.records import TestFile

_IMPORTABLE_SUFFIXES = (".py", ".so", ".pyd")
_NEVER_ENTERED = frozenset({".git", ".hg", ".svn", ".tox", ".nox", "node_modules", "__pycache__", ".llm-testgen"})
_BUILD_OUTPUTS = frozenset({"build", "dist"})
_OTHER_ROOTS = ("pyvenv.cfg", "conda-meta", ".git")


def read_file(root: Path, path: str) -> bytes:
    """Bytes of a file; of a symlink where it points to, as git stores it.

    Raises:
        ProjectError: It cannot be read.
    """
    file = root / path
    try:
        return os.fsencode(file.readlink()) if file.is_symlink() else file.read_bytes()
    except OSError as error:
        msg = f"cannot read {path} ({error.strerror}): make it readable, or run again if it was just changed"
        raise ProjectError(msg) from error


def regular_files(root: Path, paths: Iterable[str]) -> frozenset[str]:
    """Those of the paths at which a regular file stands, with no symlink on the way to it."""
    real_folders: dict[Path, bool] = {}
    found: set[str] = set()
    for path in paths:
        file = root / path
        if file.parent not in real_folders:
            real_folders[file.parent] = file.parent.resolve() == file.parent
        if real_folders[file.parent] and file.is_file() and not file.is_symlink():
            found.add(path)
    return frozenset(found)


def write_files(root: Path, files: Sequence[TestFile]) -> None:
    """Write files of a tree, each whole or not at all; none if one of them is not what it was, or is new and there.

    Raises:
        UsageError: They cannot be written.
    """
    faults = [f"{file.path} {fault}" for file in files if (fault := _fault(root / file.path, file.before))]
    if faults:
        msg = f"nothing was written to the checkout: {'; '.join(faults)}"
        raise UsageError(msg)
    for file in files:
        try:
            _replace(root / file.path, file.after.encode())
        except OSError as error:
            msg = f"{file.path} cannot be written: {error.strerror}"
            raise UsageError(msg) from error


def importable_files(root: Path, tracked: frozenset[str]) -> Iterator[str]:
    """Files that git does not track and that an import could load, in no order.

    Virtual environments, caches, other repositories, and build outputs that hold nothing tracked are not entered.
    """
    tracked_folders = frozenset(str(folder) for path in tracked for folder in PurePosixPath(path).parents)
    for folder, subfolders, names in os.walk(root):
        inside = PurePosixPath(Path(folder).relative_to(root).as_posix())
        subfolders[:] = [
            name for name in subfolders if _enters(Path(folder, name), tracked=str(inside / name) in tracked_folders)
        ]
        yield from {str(inside / name) for name in names if name.endswith(_IMPORTABLE_SUFFIXES)} - tracked


def _enters(folder: Path, *, tracked: bool) -> bool:
    if folder.name in _NEVER_ENTERED or folder.is_symlink() or (folder.name in _BUILD_OUTPUTS and not tracked):
        return False
    return not any((folder / mark).exists() for mark in _OTHER_ROOTS)


def _fault(file: Path, before: str) -> str:
    """Why a file must not be written; empty if it may be."""
    if file.is_symlink() or file.parent.resolve() != file.parent:
        return "is reached by a symbolic link"
    if not before:
        return "is there already" if file.exists() else ""
    try:
        unchanged = file.read_bytes() == before.encode()
    except OSError:
        unchanged = False
    return "" if unchanged else "is not what it was when the tests were run"


def _replace(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_bytes(data)
        if file.exists():
            shutil.copymode(file, partial)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
