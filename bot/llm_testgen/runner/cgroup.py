"""Control groups: a bound on the memory and the processes of a guest as a whole, where this process may make them.

Both hierarchies are known: the unified one (cgroups(7), version 2) and the older one with a tree per controller.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_MOUNT = Path("/sys/fs/cgroup")
_NAME = "llm-testgen"
_PROCESSES = "cgroup.procs"
# Not every kernel counts swap.
_OPTIONAL = frozenset({"memory.swap.max"})
_NUMBERS = itertools.count(1)
# The last process of a group may still be on its way out.
_PATIENCE = 20
_PAUSE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """One group, as the folders that stand for it: one, or one for each controller."""

    folders: tuple[Path, ...]

    @classmethod
    def make(cls, memory: int, processes: int) -> Self | None:
        """A group of its own below this process's.

        Args:
            memory: Bytes that all its processes may hold at once, file systems in memory included.
            processes: How many there may be, threads included.

        Returns:
            The group; None where the kernel has no such thing, or does not let this process make one.
        """
        made: list[Path] = []
        try:
            for parent, bounds in _parents(memory, processes):
                _remove_stale(parent)
                folder = parent / f"{_NAME}-{os.getpid()}-{next(_NUMBERS)}"
                folder.mkdir()
                made.append(folder)
                for name, value in bounds.items():
                    if name not in _OPTIONAL or (folder / name).exists():
                        (folder / name).write_text(str(value), encoding="ascii")
        except OSError:
            cls(tuple(made)).delete()
            return None
        return cls(tuple(made)) if made else None

    @property
    def entrances(self) -> list[str]:
        """Files to which a process that joins the group writes its id."""
        return [str(folder / _PROCESSES) for folder in self.folders]

    def delete(self) -> None:
        """Remove it, once its processes have ended."""
        for folder in self.folders:
            for _ in range(_PATIENCE):
                with contextlib.suppress(FileNotFoundError):
                    try:
                        folder.rmdir()
                    except OSError:
                        time.sleep(_PAUSE_SECONDS)
                        continue
                break


def _remove_stale(parent: Path) -> None:
    """Remove the groups of runs that were killed before they could."""
    for folder in parent.glob(f"{_NAME}-*-*"):
        if not Path("/proc", folder.name.split("-")[-2]).exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


def _parents(memory: int, processes: int) -> Iterator[tuple[Path, dict[str, int]]]:
    """Folders below which a group is made, each with the bounds that are set there."""
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and (_MOUNT / "cgroup.controllers").exists():
            # Swap would let a process go on, slowly, where it should end.
            yield (
                _MOUNT / path.lstrip("/"),
                {"memory.max": memory, "memory.swap.max": 0, "pids.max": processes},
            )
        elif controllers == "memory":
            yield _MOUNT / controllers / path.lstrip("/"), {"memory.limit_in_bytes": memory}
        elif controllers == "pids":
            yield _MOUNT / controllers / path.lstrip("/"), {"pids.max": processes}
