"""What executions cost: wall-clock time, and the CPU time of every process that took part."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_testgen.errors import UsageError

_PROC = Path("/proc")
# Of /proc/PID/stat, counted from the field behind the name: state, parent, …, utime, stime, cutime, cstime.
_PARENT = 1
_TIMES = slice(11, 15)
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took.

    Attributes:
        cpu: User and system time of all its processes, in seconds.
        seconds: Wall-clock time.
    """

    cpu: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        """Both, one after the other."""
        return Cost(self.cpu + other.cpu, self.seconds + other.seconds)


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended.

    Attributes:
        status: Its exit code; negative for the signal that ended it.
        cost: Its own and that of all descendants that were waited for.
        timed_out: Whether it was ended because it took too long.
    """

    status: int
    cost: Cost
    timed_out: bool


async def execute(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path, seconds: float
) -> Finished:
    """Run a command to its end, or to its deadline, and nothing else meanwhile.

    Args:
        command: What to run.
        folder: Where.
        environment: All that it sees of the environment.
        output: A file for what it prints.
        seconds: Its deadline.
    """
    started = time.monotonic()
    with output.open("wb") as stream:
        process = subprocess.Popen(  # noqa: ASYNC220 - starting does not block; waiting is done in a thread
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    waiting = asyncio.ensure_future(asyncio.to_thread(os.wait4, process.pid, 0))
    timed_out = False
    try:
        await asyncio.wait_for(asyncio.shield(waiting), seconds)
    except TimeoutError:
        timed_out = True
    finally:
        if not waiting.done():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        _, status, usage = await waiting
        process.returncode = os.waitstatus_to_exitcode(status)
    cost = Cost(usage.ru_utime + usage.ru_stime, time.monotonic() - started)
    return Finished(process.returncode, cost, timed_out)


def require_accounting() -> None:
    """See that the times of other processes can be read.

    Raises:
        UsageError: They cannot.
    """
    if not (_PROC / "self" / "stat").exists():
        msg = "CPU time is read from /proc, which only Linux has: run this bench there"
        raise UsageError(msg)


def tree_cpu() -> float:
    """CPU seconds so far of this process and all its descendants, those that have ended and were waited for too.

    The kernel tells the times of other processes in ticks, mostly 10 ms, without losing fractions from reading to
    reading: the difference between two readings is off by a tick or two for each process that lives.
    """
    own = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    children: dict[int, list[int]] = defaultdict(list)
    ticks: dict[int, int] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                children[int(fields[_PARENT])].append(int(folder.name))
                ticks[int(folder.name)] = sum(map(int, fields[_TIMES]))
    found, left = 0, list(children[os.getpid()])
    while left:
        process = left.pop()
        found += ticks[process]
        left += children[process]
    return own + found / _TICKS
