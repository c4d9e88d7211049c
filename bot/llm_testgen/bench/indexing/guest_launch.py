"""Runs a command and writes what it took: ``python -S guest_launch.py RESULT COMMAND …``.

What is written is JSON: ``{"cpu": seconds, "seconds": of the wall clock, "peak": bytes of memory at a time, at most}``.
A process begins with the peak of the one that forked it, so a large one cannot measure small ones: this one is small.
"""

import json
import os
import sys
import time


def main() -> None:
    """Run, write, and end as the command did."""
    started = time.monotonic()
    child = os.fork()
    if not child:
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the caller's own command, and a shell would be measured too
    _, status, usage = os.wait4(child, 0)
    unit = 1 if sys.platform == "darwin" else 1024
    took = {
        "cpu": usage.ru_utime + usage.ru_stime,
        "seconds": time.monotonic() - started,
        "peak": usage.ru_maxrss * unit,
    }
    with open(sys.argv[1], "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib would make this process larger
        json.dump(took, file)
    sys.exit(1 if status else 0)


if __name__ == "__main__":
    main()
