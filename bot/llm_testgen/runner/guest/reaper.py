"""Waits for a child, and leaves nothing behind that it started."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import NamedTuple

_PIECE = 1 << 16
_SOON_MILLISECONDS = 50


class Usage(NamedTuple):
    """What a process took: its wait status, seconds of CPU, bytes of memory."""

    status: int
    cpu: float
    memory: int


def threads() -> int:
    """How many threads this process has."""
    return len(os.listdir("/proc/self/task"))


def address_space() -> int:
    """Bytes of address space that this process has; 0 where that cannot be told."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def attend(child: int, reading: int, deadline: float, most: int) -> tuple[bytes, bool]:
    """Read what a child writes until it ends or its time does; tells whether its time did.

    Args:
        child: Its process id.
        reading: The pipe that it writes to.
        deadline: In `time.monotonic` seconds.
        most: Bytes to keep; a child that writes more has nothing to say.
    """
    os.set_blocking(reading, False)
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    said = bytearray()
    # Most end soon, and the pipe with them.
    while time.monotonic() < deadline and poll.poll(_SOON_MILLISECONDS):
        if not _drain(reading, said, most):
            return _whole(said, most), False
    return _attend_longer(child, reading, poll, said, (deadline, most))


def _attend_longer(
    child: int, reading: int, poll: select.poll, said: bytearray, limits: tuple[float, int]
) -> tuple[bytes, bool]:
    """Go on, and see the child's end by itself: a process that it leaves behind may hold the pipe open for ever."""
    deadline, most = limits
    ended = os.pidfd_open(child)  # type: ignore[attr-defined,unused-ignore]
    poll.register(ended, select.POLLIN)
    is_open = True
    try:
        while True:
            left = deadline - time.monotonic()
            ready = [descriptor for descriptor, _ in poll.poll(left * 1000)] if left > 0 else []
            if not ready:
                return b"", True
            if is_open and not _drain(reading, said, most):
                is_open = False
                poll.unregister(reading)
            if ended in ready:
                return _whole(said, most), False
    finally:
        os.close(ended)


def _whole(said: bytearray, most: int) -> bytes:
    return bytes(said) if len(said) <= most else b""


def _drain(reading: int, said: bytearray, most: int) -> bool:
    """Read all that is there; tells whether more may come."""
    while True:
        try:
            piece = os.read(reading, _PIECE)
        except BlockingIOError:
            return True
        if not piece:
            return False
        if len(said) <= most:
            said += piece


def end_all(child: int, *, alone: bool) -> Usage:
    """Kill a child and everything that descends from it, and wait until none is left.

    Args:
        child: Its process id.
        alone: Whether all processes that can be seen, but for this one and the first, descend from it: then one
            call reaches all of them at once, however fast they multiply.
    """
    usage: Usage | None = None
    _kill_group(child)
    while True:
        if alone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        elif usage is not None:
            _kill_descendants()
        try:
            pid, status, resources = os.wait4(-1, 0)
        except ChildProcessError:
            return usage or Usage(0, 0.0, 0)
        if pid == child:
            usage = Usage(status, resources.ru_utime + resources.ru_stime, resources.ru_maxrss * 1024)


def _kill_group(child: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(child, signal.SIGKILL)


def _kill_descendants() -> None:
    """Stop all before any is killed: what is stopped does not multiply."""
    found: list[int] = []
    while True:
        more = [pid for pid in _descendants() if pid not in found]
        if not more:
            break
        for pid in more:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGSTOP)
        found += more
    for pid in found:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _descendants() -> list[int]:
    """Children, theirs, and so on; orphans count as children where `kernel.adopt_orphans` was called."""
    left, found = [os.getpid()], []
    while left:
        children = _children(left.pop())
        left += children
        found += children
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                children += map(int, file.read().split())
    return children
