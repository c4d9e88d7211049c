r"""Starts the project's interpreter inside the sandbox, and stays outside to give every run a fresh place to write.

It runs in the bot's own interpreter and executes nothing of the project::

    launcher (host) ─ supervisor (process 1 of the new namespaces) ─ guest (the project's interpreter, confined)

Its one argument is the plan, as JSON; standard input is the socket between bot and guest and is passed on untouched.
The plan::

    {"namespaces": "unshare" | "entered" (bubblewrap has made them) | "none",
     "groups": [files by which a control group is joined],
     "user": [uid, gid] to become or null, "root": mount point, "steps": see `build_root`,
     "copy": see `Copy`, or null where there is no mount namespace,
     "resets": whether the guest may ask for a fresh copy,
     "serves": whether it sees to what its children may do by itself,
     "drops": whether it gives up capabilities,
     "readable": [paths] or null for no Landlock, "writable": [paths], "tcp": bool, "outside": bool,
     "sockets": bool or null for no seccomp, "protected": [pids that nothing may meddle with],
     "interrupt_after": seconds until the guest gets SIGTERM, or null,
     "folder": working folder, "command": [program, arguments…]}
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import stat
import struct
import sys
from typing import Any, NoReturn

from . import kernel, landlock, reaper, seccomp
from .traces import UPPER
from .workspace import RESET_CHANNEL

FAILED = 70
_ALL_NAMESPACES = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
)
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_QUIET = kernel.MS_NOSUID | kernel.MS_NODEV


class Copy:
    """The project's tree, writable at no risk: an overlay whose upper half, and all else that is writable, is memory.

    Args:
        plan: ``{"lower": the tree, "project": where it appears, "box": where memory is mounted, "bytes": how much,
            "files": how many files}``.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        """Take the plan; nothing is mounted yet."""
        self.box, self.project = plan["box"], plan["project"]
        self.size = f"mode=755,size={plan['bytes']},nr_inodes={plan['files']}"
        upper, work = f"{self.box}/{UPPER}", f"{self.box}/work"
        self.layers = f"lowerdir={plan['lower']},upperdir={upper},workdir={work},userxattr"
        self.mounted = False

    def reset(self) -> None:
        """Throw away all that was written."""
        if self.mounted:
            kernel.unmount(self.project)
            kernel.unmount(self.box)
        kernel.mount("tmpfs", self.box, "tmpfs", _QUIET, self.size)
        for name in (UPPER, "work", "shm", "scratch", "scratch/home", "scratch/tmp"):
            os.mkdir(f"{self.box}/{name}")
        kernel.mount("overlay", self.project, "overlay", _QUIET, self.layers)
        self.mounted = True


def build_root(root: str, steps: list[list[str]]) -> None:
    """Make a file system that holds what the steps name and nothing else, and move into it.

    Steps are ``["read", path, where]``, ``["device", path, where]``, ``["link", target, where]``, ``["folder", where]``
    and ``["proc", where]``.
    """
    kernel.mount("tmpfs", root, "tmpfs", _QUIET, "mode=755,size=4m")
    for kind, *rest in steps:
        where = root + rest[-1]
        if kind == "folder":
            os.makedirs(where, exist_ok=True)
        elif kind == "link":
            os.makedirs(os.path.dirname(where), exist_ok=True)
            os.symlink(rest[0], where)
        else:
            source = "/proc" if kind == "proc" else rest[0]
            _mount_point(source, where)
            kernel.mount(source, where, flags=kernel.MS_BIND | kernel.MS_REC)
            if kind == "read":
                kernel.make_read_only(where)
    kernel.pivot_root(root)
    kernel.mount("", "/", flags=kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | _QUIET)


def _mount_point(source: str, where: str) -> None:
    if stat.S_ISDIR(os.stat(source).st_mode):
        os.makedirs(where, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(where), exist_ok=True)
        os.close(os.open(where, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def enter_namespaces(plan: dict[str, Any]) -> None:
    """Leave the host's file system, processes, network and users behind; the next child is the first process there.

    Root builds the file system while it still may read everything, then becomes an ordinary user like any other:
    the kernel does not count the processes of the real root.
    """
    user = plan["user"]
    if user:
        kernel.unshare(kernel.CLONE_NEWNS)
        _make_private()
        build_root(plan["root"], plan["steps"])
        kernel.become(*user)
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(_ALL_NAMESPACES)
    kernel.set_dumpable(dumpable=True)  # else the files of /proc/self belong to root, and cannot be written
    kernel.map_identity(uid, gid)
    if not user:
        _make_private()
        build_root(plan["root"], plan["steps"])


def _make_private() -> None:
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)


def settle(plan: dict[str, Any]) -> Copy | None:
    """As the first process of the namespaces: its own /proc, a loopback that works, the first fresh copy."""
    kernel.die_with_parent()
    if plan["namespaces"] == "unshare":
        # Where the host's /proc is partly hidden, as in a container, the kernel refuses a new one: Landlock is left.
        with contextlib.suppress(OSError):
            kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
        with contextlib.suppress(OSError):
            _loopback_up()
    kernel.set_dumpable(dumpable=False)
    copy = Copy(plan["copy"]) if plan["copy"] else None
    if copy:
        copy.reset()
    return copy


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh22x", b"lo", 0)
        name, flags = struct.unpack("16sh22x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", name, flags | _IFF_UP))


def confine(plan: dict[str, Any]) -> None:
    """Take from this process what the guest must not have."""
    if kernel.IS_LINUX and plan["drops"]:
        kernel.drop_capabilities()
    if plan["readable"] is not None:
        landlock.restrict(
            readable=plan["readable"], writable=plan["writable"], tcp=plan["tcp"], outside=plan["outside"]
        )
    if plan["sockets"] is not None:
        kernel.forbid_new_privileges()
        seccomp.install(seccomp.base_filter(sockets=plan["sockets"], protected=plan["protected"]))
        if not plan["serves"]:
            seccomp.install(_candidate_filter(plan))


def _candidate_filter(plan: dict[str, Any]) -> bytes:
    """For a guest that runs tests itself."""
    if plan["namespaces"] != "none":
        return seccomp.candidate_filter(protected=[1])
    scoped = plan["readable"] is not None and landlock.abi() >= landlock.SCOPES_SINCE
    return seccomp.candidate_filter(protected=[], own_pid=None if scoped else os.getpid())


def start_guest(plan: dict[str, Any]) -> NoReturn:
    """Become the guest."""
    os.chdir(plan["folder"])
    confine(plan)
    os.execv(plan["command"][0], plan["command"])  # noqa: S606


def supervise(plan: dict[str, Any], copy: Copy | None) -> int:
    """Run the guest, give it a fresh copy whenever it asks, and return its exit status."""
    mine, its = socket.socketpair()
    guest = os.fork()
    if not guest:
        kernel.die_with_parent()
        if plan["resets"]:
            os.dup2(its.fileno(), RESET_CHANNEL)
        _run(start_guest, plan)
    its.close()
    os.close(0)
    poll = select.poll()
    ended = os.pidfd_open(guest)
    poll.register(ended, select.POLLIN)
    poll.register(mine, select.POLLIN)
    patience = plan["interrupt_after"]
    while True:
        ready = {descriptor for descriptor, _ in poll.poll(None if patience is None else patience * 1000)}
        if not ready:
            # It may still report what it has seen. The bot ends it for good.
            os.kill(guest, signal.SIGTERM)
            patience = None
            continue
        if ended in ready:
            return os.waitstatus_to_exitcode(os.waitpid(guest, 0)[1])
        if not mine.recv(1) or copy is None:
            poll.unregister(mine)
            continue
        try:
            copy.reset()
            mine.send(b"+")
        except OSError:
            mine.send(b"-")
        _reap_orphans(guest)


def _reap_orphans(guest: int) -> None:
    """Take the exit status of processes that lost their parent; the guest's own is left."""
    with contextlib.suppress(ChildProcessError):
        while True:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None or found.si_pid == guest:
                return
            os.waitpid(found.si_pid, 0)


def watch_over(plan: dict[str, Any]) -> int:
    """Without a process namespace: run the guest, end what it leaves behind, and return its exit status.

    The bot's SIGTERM is passed on to the guest; its SIGHUP, or its end, ends all of them.
    """
    if kernel.IS_LINUX:
        kernel.adopt_orphans()
    guest = os.fork()
    if not guest:
        kernel.die_with_parent()
        os.setpgid(0, 0)
        _run(start_guest, plan)
    os.close(0)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(guest, signal.SIGTERM))
    signal.signal(signal.SIGHUP, lambda *_: os.kill(guest, signal.SIGKILL))
    kernel.die_with_parent(signal.SIGHUP)
    os.waitid(os.P_PID, guest, os.WEXITED | os.WNOWAIT)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return os.waitstatus_to_exitcode(reaper.end_all(guest, alone=False).status)


def wait_for(child: int) -> int:
    """Stay until the supervisor has ended, and end as it did."""
    os.close(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def launch(plan: dict[str, Any]) -> int:
    """Carry out the plan; returns how the guest ended."""
    kernel.die_with_parent()
    for entrance in plan["groups"]:
        with open(entrance, "w", encoding="ascii") as file:
            file.write("0")
    if plan["namespaces"] == "none":
        if plan["user"]:
            kernel.become(*plan["user"])
            kernel.die_with_parent()  # forgotten by the kernel when the user changed
        return watch_over(plan)
    if plan["namespaces"] == "unshare":
        enter_namespaces(plan)
        kernel.die_with_parent()
        supervisor = os.fork()
        if supervisor:
            return wait_for(supervisor)
    return supervise(plan, settle(plan))


def _run(function: Any, plan: dict[str, Any]) -> NoReturn:
    """Call and exit; tell the bot, which reads from the other end of standard input, what went wrong."""
    try:
        status = function(plan)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.write(0, json.dumps({"launch": str(error)}).encode() + b"\n")
        status = FAILED
    os._exit(status if status >= 0 else 128 - status)


def main() -> NoReturn:
    """Carry out the plan of the command line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the bot ends us in its own time
    _run(launch, json.loads(sys.argv[1]))
