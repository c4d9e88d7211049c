"""System calls that Python has no function for: namespaces, mounts, capabilities, attributes of a process.

Every function raises OSError with the call's name where the kernel refuses. Numbers and structures are those of the
kernel's own headers (``linux/prctl.h``, ``linux/sched.h``, ``linux/mount.h``, ``linux/capability.h``).
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63
# The numbers of newer system calls are the same on every architecture.
_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY_NOSUID = 0x3
# pivot_root has no wrapper in libc, and an old number.
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

IS_LINUX = sys.platform.startswith("linux")
_ZERO = ctypes.c_ulong(0)
libc = ctypes.CDLL(None, use_errno=True)


def packed(layout: str, *values: int) -> Any:
    """A C structure as a buffer of exactly its size."""
    data = struct.pack(layout, *values)
    return ctypes.create_string_buffer(data, len(data))


def checked(result: int, call: str) -> int:
    """A call's result; OSError when it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result


def prctl(option: int, *arguments: int) -> None:
    """Set an attribute of this process."""
    first, second = (*arguments, 0, 0)[:2]
    checked(libc.prctl(option, ctypes.c_ulong(first), ctypes.c_ulong(second), _ZERO, _ZERO), "prctl")


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel end this process, or signal it, when the one that started it is gone.

    It forgets that when the process changes its user.
    """
    if IS_LINUX:
        prctl(_PR_SET_PDEATHSIG, number)


def forbid_new_privileges() -> None:
    """Make set-uid programs and file capabilities useless to this process and all that it starts."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def set_dumpable(*, dumpable: bool) -> None:
    """Say whether others of the same user may read this process's memory and environment."""
    if IS_LINUX:
        prctl(_PR_SET_DUMPABLE, dumpable)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent ends: nothing that they start gets out of sight."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def unshare(flags: int) -> None:
    """Move this process, or for a pid namespace its future children, to new namespaces."""
    checked(libc.unshare(flags), "unshare")


def map_identity(uid: int, gid: int) -> None:
    """In a new user namespace, let one user and one group be what they are outside."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def become(uid: int, gid: int) -> None:
    """Give up root for good."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def drop_capabilities() -> None:
    """Give up every capability, and the way back to one by executing a program."""
    for number in range(_LAST_CAPABILITY + 1):
        if libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(number), 0, 0, 0):
            break  # this kernel has no more, or there is none left to drop them with
    libc.prctl(_PR_CAP_AMBIENT, ctypes.c_ulong(_PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0)
    header = packed("=Ii", _CAPABILITY_VERSION_3, 0)
    checked(libc.capset(header, packed("=6I", 0, 0, 0, 0, 0, 0)), "capset")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount something; an empty text stands for no pointer."""
    texts = [text.encode() or None for text in (source, target, kind, options)]
    checked(libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]), f"mount {target}")


def unmount(target: str) -> None:
    """Detach a mount now; it is freed when nothing uses it any more."""
    checked(libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def make_read_only(target: str) -> None:
    """Let nothing be written through a bind mount, nor through those below it where the kernel can tell (5.12)."""
    attributes = packed("=4Q", _MOUNT_ATTR_RDONLY_NOSUID, 0, 0, 0)
    path = target.encode()
    done = libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, path, _AT_RECURSIVE, attributes, ctypes.c_size_t(len(attributes)))
    if done:
        # A user namespace may not clear flags that the mount came with: those are repeated.
        kept = os.statvfs(target).f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC)
        mount("", target, flags=MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | kept)


def pivot_root(folder: str) -> None:
    """Make a mounted folder the root of the file system, and the old root unreachable."""
    number = _PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(f"pivot_root: not known for {os.uname().machine}")  # noqa: TRY003, EM102
    os.chdir(folder)
    checked(libc.syscall(number, b".", b"."), "pivot_root")
    unmount(".")
    os.chdir("/")


def give_back_memory() -> None:
    """Return what is free to the kernel: a fork copies the table of all that is not."""
    trim = getattr(libc, "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def limit(kind: int, bound: int) -> None:
    """Bound a resource for this process and all that it starts; a hard limit of the machine below it stays."""
    _, hard = resource.getrlimit(kind)
    lowest = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
    resource.setrlimit(kind, (lowest, lowest))
