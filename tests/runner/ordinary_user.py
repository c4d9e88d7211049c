"""Runs the attacks once more as an ordinary user: ``python ordinary_user.py COMMAND…``, started by root.

Root's interpreter may lie in root's home folder, which nobody else may enter. In a mount namespace of its own that
folder is covered by an empty one that holds the interpreter alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from llm_testgen.runner.guest import kernel

# No account of the machine, so that nothing else runs as it.
USER = 64_731


def closed_folders(paths: list[Path]) -> list[Path]:
    """The outermost folders on the way to some paths that others may not enter."""
    closed = set()
    for path in paths:
        for folder in reversed([path, *path.parents]):
            if folder.is_dir() and not folder.stat().st_mode & 0o001:
                closed.add(folder)
                break
    return sorted(closed)


def reveal(paths: list[Path]) -> None:
    """Let everybody get to these paths, and to nothing else in the folders that are in the way."""
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    for closed in closed_folders(paths):
        inside = [path for path in paths if path.is_relative_to(closed)]
        with tempfile.TemporaryDirectory() as aside:
            kept = []
            for number, path in enumerate(inside):
                place = Path(aside, str(number))
                place.mkdir()
                kernel.mount(str(path), str(place), flags=kernel.MS_BIND | kernel.MS_REC)
                kept.append(place)
            kernel.mount("tmpfs", str(closed), "tmpfs", options="mode=755")
            for place, path in zip(kept, inside, strict=True):
                path.mkdir(parents=True, exist_ok=True)
                kernel.mount(str(place), str(path), flags=kernel.MS_BIND | kernel.MS_REC)
                kernel.unmount(str(place))


def main() -> None:
    """Become the user, with a home and a temporary folder of its own, and execute the command."""
    home = Path(os.environ["HOME"])
    os.chown(home, USER, USER)
    prefixes = {Path(sys.base_prefix), Path(sys.prefix), Path(os.getcwd())}  # noqa: PTH109 - the same
    outermost = [one for one in prefixes if not any(one != other and one.is_relative_to(other) for other in prefixes)]
    reveal([one for one in outermost if one.is_dir()])
    kernel.become(USER, USER)
    kernel.set_dumpable(dumpable=True)  # else what is /proc/self belongs to root
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - the command


if __name__ == "__main__":
    main()
