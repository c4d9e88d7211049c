"""A throw-away copy of the tree: made once, checked and mended between runs, deleted at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_testgen.errors import ProjectError
from llm_testgen.records import Snapshot, TreeFile


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What tells that a file is still the one that was written."""

    size: int
    modified: int
    inode: int
    mode: int


class TreeCopy:
    """The files of a snapshot, and ignored ones that imports need, in a temporary folder.

    Attributes:
        home: The temporary folder that holds everything.
        root: The copy's root; what runs sees it as the project.
        lower: Where the untouched copy is seen when ``root`` is a fresh layer above it.
        box: Where runs may write, or where memory to write to is mounted for them.
        tools: What runs are started with: the guest, and a coverage to lend.
        mount: An empty folder to build a file system in.
    """

    def __init__(self, snapshot: Snapshot, extra: Mapping[str, Path], owner: tuple[int, int] | None = None) -> None:
        """Write the copy, for the user that will run it where that is not the own one.

        Raises:
            ProjectError: The temporary folder cannot take it.
        """
        self._snapshot = snapshot
        self._extra = extra
        self._stamps: dict[str, _Stamp] = {}
        self.home = Path(os.path.realpath(tempfile.mkdtemp(prefix="llm-testgen-")))
        # The folder's name is what tests of relative paths and pytest's own reports show: a plain one.
        self.root = self.home / "project"
        self.lower = self.home / "lower"
        self.box = self.home / "box"
        self.tools = self.home / "bin"
        self.mount = self.home / "root"
        self._owner = owner
        try:
            for folder in (self.root, self.lower, self.box, self.tools, self.mount):
                folder.mkdir()
            if owner is not None:
                self.home.chmod(0o711)  # the other user has to get to what it may read
            for file in snapshot.files:
                self._write_file(file)
            for path, source in extra.items():
                self._write(path, source.read_bytes())
            self.give(self.root, self.box, *self.root.rglob("*"))
        except OSError as error:
            self.delete()
            msg = f"cannot copy the project to {self.home}: {error.strerror}; free some room or set TMPDIR"
            raise ProjectError(msg) from error

    def keep_bytecode(self) -> None:
        """Take the bytecode that the project's own suite has just left behind as part of the copy."""
        for path in self._walk():
            if path.suffix == ".pyc" and path.parent.name == "__pycache__" and not path.is_symlink():
                self._stamps.setdefault(path.relative_to(self.root).as_posix(), _stamp(path))

    def restore(self) -> int:
        """Undo what a run did to the copy; returns how many files had been changed, added or removed.

        Raises:
            ProjectError: The copy cannot be written any more.
        """
        try:
            return self._restore()
        except OSError as error:
            msg = f"the copy of the project in {self.home} cannot be mended: {error.strerror}; free some room"
            raise ProjectError(msg) from error

    def _restore(self) -> int:
        mended = 0
        known = {file.path: file for file in self._snapshot.files}
        present = set()
        for path in self._walk():
            relative = path.relative_to(self.root).as_posix()
            present.add(relative)
            if self._stamps.get(relative) == _stamp(path):
                continue
            mended += 1
            path.unlink(missing_ok=True)
            present.discard(relative)
        for relative in self._stamps.keys() - present:
            mended += 1
            if relative in known:
                self._write_file(known[relative])
            elif relative not in self._extra:
                del self._stamps[relative]
            else:
                self._write(relative, self._extra[relative].read_bytes())
        for folder, _, _ in os.walk(self.root, topdown=False):
            here = Path(folder)
            if here != self.root and not any(here.iterdir()):
                here.rmdir()
        return mended

    def add(self, path: str, text: str) -> Path:
        """Write one more file into the copy; `restore` takes it out again."""
        target = self._target(path)
        target.write_text(text, encoding="utf-8", newline="")
        self.give(target)
        return target

    def give(self, *paths: Path) -> None:
        """Hand files and folders to the user that runs things."""
        if self._owner is not None:
            for path in paths:
                os.chown(path, *self._owner, follow_symlinks=False)

    def delete(self) -> None:
        """Remove the copy and everything beside it."""
        shutil.rmtree(self.home, ignore_errors=True)

    def _target(self, relative: str) -> Path:
        """Where a file of the copy goes, with the way to it cleared."""
        target = self.root / relative
        if not target.resolve().is_relative_to(self.root):
            msg = f"{relative} leads out of the copy of the project"
            raise ProjectError(msg)
        for parent in reversed(target.relative_to(self.root).parents):
            if (self.root / parent).is_file():
                (self.root / parent).unlink()
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            shutil.rmtree(target)
        return target

    def _walk(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self.root):
            here = Path(folder)
            links = [name for name in folders if (here / name).is_symlink()]
            yield from (here / name for name in (*names, *links))

    def _write_file(self, file: TreeFile) -> None:
        self._write(file.path, self._snapshot.read(file), executable=file.executable)

    def _write(self, relative: str, data: bytes, *, executable: bool = False) -> None:
        target = self._target(relative)
        target.write_bytes(data)
        if executable:
            target.chmod(0o755)
        self._stamps[relative] = _stamp(target)


def _stamp(path: Path) -> _Stamp:
    status = path.lstat()
    return _Stamp(status.st_size, status.st_mtime_ns, status.st_ino, status.st_mode)
