"""What a zygote says of a child.

It is JSON written by hand: what `json` touches would have to be copied again for each child.
"""

from __future__ import annotations

import json
import os
import time

from . import reaper

# The result of a run that needs a process in which nothing is imported yet.
UNTRAPPABLE = b'{"untrappable": true}'
_LAST_OUTPUT = 4096


def answer(timed_out: bool, usage: reaper.Usage, seconds: float, output: str, said: bytes) -> bytes:  # noqa: FBT001
    """An answer; what the child said comes last."""
    known = '{"timed_out": %s, "status": %d, "cpu": %f, "memory": %d, "seconds": %f, "output": %s' % (  # noqa: UP031
        "true" if timed_out else "false",
        usage.status,
        usage.cpu,
        usage.memory,
        seconds,
        json.dumps(output) if output else '""',
    )
    return known.encode() + (b', "result": ' + said.replace(b"\n", b" ") if said else b"") + b"}"


def without_child(said: bytes, started: float) -> bytes:
    """The answer to a request that takes no child."""
    return answer(False, reaper.Usage(0, 0.0, 0), time.monotonic() - started, "", said)  # noqa: FBT003


def tail(descriptor: int) -> str:
    """The end of a file."""
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, _LAST_OUTPUT, max(0, size - _LAST_OUTPUT)).decode("utf-8", "replace")
