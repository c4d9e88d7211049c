"""How a guest is started: the plan that `guest.launch` carries out, and the command that hands it over."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from llm_testgen.runner.guest import landlock, seccomp
from llm_testgen.runner.tree import TreeCopy

GUEST = Path(__file__).with_name("guest")
GUEST_NAME = "llm_testgen_guest"

# What programs need of a machine that is not theirs: the system's own files, never a person's.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/nix/store", "/gnu/store")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
_DEVICE_LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}
# What of /proc tells about the machine, and nothing about its other processes.
_MACHINE = ("cpuinfo", "meminfo", "stat", "version", "filesystems", "loadavg", "uptime", "sys")
# The supervisor is the first process of the namespaces, the guest the second.
PROTECTED_INSIDE = (1, 2)
_BOX_BYTES = 256 << 20
_BOX_FILES = 65_536


class Entry(StrEnum):
    """How namespaces are entered."""

    UNSHARE = "unshare"
    BUBBLEWRAP = "bubblewrap"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Confinement:
    """Which layers a guest is started in.

    Attributes:
        entry: How it gets namespaces of its own, if at all.
        user: User and group that root becomes first; None to stay who one is.
        landlock: Whether the kernel enforces what may be read and written.
        seccomp: Whether it refuses system calls.
        bubblewrap: The program, where it is the way in.
        groups: Whether control groups can be made.
        visible: Folders of the host that a guest reads besides the system's own.
    """

    entry: Entry = Entry.NONE
    user: tuple[int, int] | None = None
    landlock: bool = False
    seccomp: bool = False
    bubblewrap: Path | None = None
    groups: bool = False
    visible: tuple[Path, ...] = ()

    @property
    def isolated(self) -> bool:
        """Whether a guest has namespaces: then what it writes is gone when it ends."""
        return self.entry is not Entry.NONE


@dataclass(frozen=True, slots=True)
class Start:
    """One guest to be started.

    Attributes:
        command: The project's interpreter and its arguments.
        scratch: Where it may write when it has no namespaces.
        serves: Whether it runs one candidate after the other, each of which needs a fresh copy of the tree.
        may_write_tree: Whether it may write to the copy of the tree itself when it has no namespaces.
        interrupt_after: Seconds until it is asked to end, so that it still reports; None for never.
        groups: Files by which it joins its control group.
    """

    command: Sequence[str]
    scratch: Path
    serves: bool = False
    may_write_tree: bool = False
    interrupt_after: float | None = None
    groups: Sequence[str] = ()


def scratch_of(confinement: Confinement, tree: TreeCopy, number: int) -> Path:
    """Where a guest writes: in memory of its own, or in a folder of its own."""
    return tree.box / "scratch" if confinement.isolated else tree.box / f"scratch-{number}"


def writable(confinement: Confinement, tree: TreeCopy, scratch: Path, *, tree_too: bool) -> list[str]:
    """What a candidate may change."""
    if confinement.isolated:
        return [str(tree.root), str(scratch), str(tree.box / "shm"), "/dev"]
    return [*([str(tree.root)] if tree_too else []), str(scratch), *_DEVICES]


def readable(confinement: Confinement, tree: TreeCopy, *, processes: bool) -> list[str]:
    """What a guest may read.

    Args:
        confinement: Its layers.
        tree: Its copy of the tree.
        processes: Whether it has to look after processes, and so may look at those of the host.
    """
    proc = ["/proc"] if confinement.isolated or processes else [f"/proc/{name}" for name in (*_MACHINE, "self")]
    return [*_present(_SYSTEM), *map(str, confinement.visible), *_DEVICES, *proc, str(tree.home)]


def launch_command(confinement: Confinement, tree: TreeCopy, start: Start) -> list[str]:
    """What to execute so that a guest starts in its sandbox, with the bot's socket as standard input."""
    isolated = confinement.isolated
    plan = _plan(confinement)
    plan |= {
        "root": str(tree.mount),
        "steps": _steps(confinement, tree),
        "resets": start.serves and isolated,
        "serves": start.serves,
        "protected": PROTECTED_INSIDE if start.serves and isolated else (),
        "interrupt_after": start.interrupt_after,
        "groups": list(start.groups),
        "folder": str(tree.root),
        "command": [*start.command],
    }
    if isolated:
        plan["copy"] = {
            "lower": str(tree.lower),
            "project": str(tree.root),
            "box": str(tree.box),
            "bytes": _BOX_BYTES,
            "files": _BOX_FILES,
        }
    if confinement.landlock:
        plan["readable"] = readable(confinement, tree, processes=start.serves)
        # Each fresh copy is another file system: a right to the folder around it holds for all of them.
        plan["writable"] = (
            [str(tree.home), *_DEVICES]
            if isolated and start.serves
            else writable(confinement, tree, start.scratch, tree_too=start.may_write_tree)
        )
    return _enter(confinement, plan, tree.tools / GUEST_NAME)


def confined_command(command: Sequence[str], folder: Path) -> list[str]:
    """A command that reads what it wants, writes to one folder, and talks to nobody, as far as the kernel can do it."""
    confinement = Confinement(landlock=landlock.abi() > 0, seccomp=seccomp.supported())
    plan = _plan(confinement) | {"folder": str(folder), "command": [*command]}
    if confinement.landlock:
        plan |= {"readable": ["/"], "writable": [str(folder), *_DEVICES]}
    return _enter(confinement, plan, GUEST)


def _plan(confinement: Confinement) -> dict[str, object]:
    return {
        "namespaces": "entered" if confinement.entry is Entry.BUBBLEWRAP else confinement.entry.value,
        "groups": [],
        "user": confinement.user,
        "root": None,
        "steps": [],
        "copy": None,
        "resets": False,
        "serves": True,
        "drops": confinement.isolated or confinement.landlock or confinement.seccomp,
        "readable": None,
        "writable": [],
        "tcp": confinement.isolated,
        "outside": False,
        "sockets": confinement.isolated if confinement.seccomp else None,
        "protected": (),
        "interrupt_after": None,
    }


def _enter(confinement: Confinement, plan: Mapping[str, object], guest: Path) -> list[str]:
    launch = [sys.executable, "-I", "-S", str(guest / "__main__.py"), "launch", json.dumps(plan)]
    if confinement.entry is not Entry.BUBBLEWRAP:
        return launch
    steps: list[list[str]] = plan["steps"]  # type: ignore[assignment]
    return [str(confinement.bubblewrap), *_bubblewrap_arguments(steps), "--", *launch]


def _steps(confinement: Confinement, tree: TreeCopy) -> list[list[str]]:
    """The file system that a guest sees, from nothing: see `guest.launch.build_root`."""
    if not confinement.isolated:
        return []
    steps = [["link", str(Path(path).readlink()), path] for path in _present(_SYSTEM) if Path(path).is_symlink()]
    folders = [Path(path) for path in _present(_SYSTEM) if not Path(path).is_symlink()]
    folders += [path for path in confinement.visible if path.exists()]
    if confinement.entry is Entry.BUBBLEWRAP:
        # The supervisor starts inside, and is the bot's own interpreter.
        folders += [Path(sys.base_prefix), Path(sys.prefix)]
    seen: list[Path] = []
    for folder in sorted(dict.fromkeys(folders)):
        if not any(folder.is_relative_to(other) for other in seen):
            seen.append(folder)
            steps.append(["read", str(folder), str(folder)])
    steps += [["device", path, path] for path in _present(_DEVICES)]
    steps += [["link", target, path] for path, target in _DEVICE_LINKS.items()]
    steps += [
        ["link", str(tree.box / "shm"), "/dev/shm"],  # noqa: S108
        ["proc", "/proc"],
        ["folder", "/tmp"],  # noqa: S108
        ["read", str(tree.root), str(tree.lower)],
        ["read", str(tree.tools), str(tree.tools)],
        ["folder", str(tree.root)],
        ["folder", str(tree.box)],
    ]
    return steps


def _bubblewrap_arguments(steps: list[list[str]]) -> list[str]:
    arguments = ["--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1", "--cap-add", "ALL"]
    options = {"read": "--ro-bind", "device": "--dev-bind", "link": "--symlink", "folder": "--dir", "proc": "--proc"}
    for kind, *rest in steps:
        arguments += [options[kind], *rest]
    return [*arguments, "--remount-ro", "/"]


def _present(paths: Sequence[str]) -> list[str]:
    return [path for path in paths if Path(path).exists()]
