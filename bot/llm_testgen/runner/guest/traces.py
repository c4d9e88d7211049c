"""Whether a child has written anything: a fresh copy of the tree costs more than most tests, and most write nothing.

The kernel stamps every change of a file or folder with a time that nobody can set, the change time. Since Linux 6.13
two changes never get the same one where somebody has looked in between (multigrain timestamps), so that whoever looks
before and after misses none. Where the kernel stamps more coarsely, everything counts as written to.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

# Where in the box what is written to the tree ends up.
UPPER = "upper"
_TRIES = 8


class Traces:
    """Looks at a file system of its own before and after.

    Args:
        box: Where it is mounted.
        output: A file in it that may be written to; it is empty whenever this looks.
    """

    def __init__(self, box: str, output: str) -> None:
        """Find out how exact the kernel is; looks at nothing else yet."""
        self._box = box
        self._output = output
        # Of each path which file it is, and when that was changed.
        self._stamps: dict[str, tuple[int, int]] = {}
        self._is_exact = _is_exact(os.path.dirname(output))

    def forget(self) -> None:
        """Everything is about to be made afresh."""
        self._stamps.clear()

    def remember(self, written: Iterable[str]) -> None:
        """Remember how everything is, right before a child begins.

        Args:
            written: Paths in the tree that the zygote itself has written to since the last time.
        """
        if self._stamps:
            for name in written:
                path = f"{self._box}/{UPPER}/{name}"
                self._stamps[path] = _stamp(path)
        elif self._is_exact:
            self._stamps = {path: _stamp(path) for path in _paths(self._box) if path != self._output}

    def are_none(self) -> bool:
        """Whether everything is as it was; whatever is new has changed the folder that it is in."""
        try:
            return bool(self._stamps) and all(_stamp(path) == known for path, known in self._stamps.items())
        except OSError:  # something is gone
            return False


def _stamp(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_ino, status.st_ctime_ns


def _paths(box: str) -> list[str]:
    found = [box]
    for folder, folders, files in os.walk(box):
        found += [os.path.join(folder, name) for name in (*folders, *files)]
    return found


def _is_exact(folder: str) -> bool:
    """Whether changes in quick succession are told apart."""
    try:
        mode = os.lstat(folder).st_mode & 0o7777
        times = set()
        for _ in range(_TRIES):
            os.chmod(folder, mode)
            times.add(os.lstat(folder).st_ctime_ns)
    except OSError:
        return False
    return len(times) == _TRIES
