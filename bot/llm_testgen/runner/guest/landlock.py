"""Landlock: what a process may read, write, connect to and signal, enforced by the kernel (see landlock(7))."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from . import kernel

_CREATE_RULESET = 444
_ADD_RULE = 445
_RESTRICT_SELF = 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 0x1, 0x2, 0x4, 0x8
_TRUNCATE = 1 << 14
_READ = _EXECUTE | _READ_FILE | _READ_DIR
# Rights to change something, by the version that knows them: moving between folders came with 2, truncating with 3.
_WRITE = {1: 0x1FF2, 2: 0x3FF2, 3: 0x7FF2}
# Those that make sense for something that is not a folder.
_FOR_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_TCP = 0x3
_SCOPES = 0x3

TCP_SINCE = 4
SCOPES_SINCE = 6


def abi() -> int:
    """The version of Landlock that this kernel has; 0 for none."""
    if not kernel.IS_LINUX:
        return 0
    return max(0, int(kernel.libc.syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)))


def restrict(
    *,
    readable: Sequence[str] | None = None,
    writable: Sequence[str] | None = None,
    tcp: bool = True,
    outside: bool = True,
) -> None:
    """Take rights from this process and all that it will start, for good; what is taken twice stays taken.

    The arguments are those of `make_ruleset`.
    """
    ruleset = make_ruleset(readable=readable, writable=writable, tcp=tcp, outside=outside)
    if ruleset is not None:
        try:
            enter(ruleset)
        finally:
            os.close(ruleset)


def make_ruleset(
    *,
    readable: Sequence[str] | None = None,
    writable: Sequence[str] | None = None,
    tcp: bool = True,
    outside: bool = True,
) -> int | None:
    """What `enter` takes away, as an open file that children inherit.

    Args:
        readable: Files and folders that it may still read and execute; None takes nothing away.
        writable: Files and folders that it may still change, and read; None takes nothing away.
        tcp: Whether it may use TCP; kernels before 6.7 cannot take that away.
        outside: Whether it may signal processes that it did not start, and talk to abstract Unix sockets of others;
            kernels before 6.12 cannot take that away.

    Returns:
        Its descriptor; None where there is nothing to take away.

    Raises:
        OSError: The kernel has no Landlock.
    """
    version = abi()
    handled = 0 if writable is None else _WRITE[min(max(version, 1), 3)]
    handled |= 0 if readable is None else _READ
    attributes = [handled]
    if version >= TCP_SINCE:
        attributes.append(0 if tcp else _TCP)
    if version >= SCOPES_SINCE:
        attributes.append(0 if outside else _SCOPES)
    if not any(attributes):
        return None  # the kernel knows no such right, and takes no empty set of them
    structure = kernel.packed(f"={len(attributes)}Q", *attributes)
    ruleset = kernel.checked(kernel.libc.syscall(_CREATE_RULESET, structure, len(structure), 0), "landlock")
    _allow(ruleset, readable or (), _READ)
    _allow(ruleset, writable or (), handled)
    return ruleset


def enter(ruleset: int) -> None:
    """Take the rights from this process."""
    kernel.forbid_new_privileges()
    kernel.checked(kernel.libc.syscall(_RESTRICT_SELF, ruleset, 0), "landlock")


def _allow(ruleset: int, paths: Iterable[str], rights: int) -> None:
    for path in paths:
        try:
            parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # what is not there needs no right
        try:
            allowed = rights if os.path.isdir(path) else rights & _FOR_FILES
            rule = kernel.packed("=Qi", allowed, parent)
            kernel.libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
        finally:
            os.close(parent)
