"""Where children write: fresh for each of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Any

from .files import write_files
from .traces import Traces

# The socket by which a zygote asks for a fresh copy of the tree.
RESET_CHANNEL = 3


class Workspace:
    """The tree and all else that a child may write to.

    Args:
        request: The first one, see `zygote`.
        root: The tree.
    """

    def __init__(self, request: Mapping[str, Any], root: str) -> None:
        """Take over what is there."""
        self._scratch = request["scratch"]
        self._root = root
        self._output = os.path.join(self._scratch, "output")
        self._traces = Traces(request["box"], self._output) if request["box"] else None
        self._laid_out: tuple[str, ...] = ()

    def lay_out(self, files: Mapping[str, str]) -> None:
        """Have the tree as it is at head, and nothing of what another child has written.

        Args:
            files: Test files to put where they belong, as path in the tree → text; where only the bot can write to the
                tree, it has done so.

        Raises:
            OSError: There can be no fresh copy.
        """
        if self._traces is None:
            self._empty_scratch()
            os.chdir(self._root)
            return
        laid_out = tuple(files)
        if laid_out != self._laid_out or not self._traces.are_none():
            self._traces.forget()
            _reset()
            os.chdir(self._root)  # another folder than before
        write_files(files)
        self._laid_out = laid_out

    def open_output(self) -> int:
        """An empty file for what a child prints, to be emptied again after it; the child may begin."""
        printed = os.open(self._output, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        if self._traces is not None:
            self._traces.remember(self._laid_out)
        return printed

    def _empty_scratch(self) -> None:
        """Delete what was written, where that is all that can be done."""
        for name in os.listdir(self._scratch):
            path = os.path.join(self._scratch, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)
        for name in ("home", "tmp"):
            os.mkdir(os.path.join(self._scratch, name))


def _reset() -> None:
    """Have the supervisor make a fresh copy of the tree, and of all else that can be written."""
    os.write(RESET_CHANNEL, b"r")
    if os.read(RESET_CHANNEL, 1) != b"+":
        message = "the supervisor cannot make a fresh copy of the tree"
        raise OSError(message)
