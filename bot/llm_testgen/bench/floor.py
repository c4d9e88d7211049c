"""The least that a candidate can cost: fork, call its test function, look at what coverage has seen, exit.

Runs in the project's interpreter: ``python floor.py REQUEST RESULT``, both files of JSON::

    {"texts": [test files], "measured": [absolute paths], "modules": [to import ahead], "passes": how often to run all,
     "calls": whether to call the tests, or only to fork and exit}
        → {"startup": {"cpu", "seconds"}, "cost": {"cpu", "seconds"}, "passed": [whether each test passed],
           "lines": [how many lines or arcs coverage saw of each]}

It stands for no runner: no pytest session, no sandbox, no deadline, no report.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from typing import Any, NoReturn


def main() -> None:
    """Measure."""
    started = time.monotonic()
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123 - a bare interpreter starts faster without pathlib
        request = json.load(file)
    sys.path[0] = os.getcwd()  # noqa: PTH109
    meter = _start(request)
    startup = {"cpu": time.process_time(), "seconds": time.monotonic() - started}
    cpu, started = time.process_time(), time.monotonic()
    passed: list[bool] = []
    seen: list[int] = []
    for _ in range(request["passes"]):
        ended = [_fork(text, meter, calls=request["calls"]) for text in request["texts"]]
        passed, seen = [end[0] for end in ended], [end[1] for end in ended]
        cpu -= sum(end[2] for end in ended)
    cost = {"cpu": time.process_time() - cpu, "seconds": time.monotonic() - started}
    with open(sys.argv[2], "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump({"startup": startup, "cost": cost, "passed": passed, "lines": seen}, file)


def _start(request: dict[str, Any]) -> Any:  # noqa: ANN401 - coverage is the project's own, of any version
    """Coverage that runs, with pytest and the project imported under it."""
    import coverage  # noqa: PLC0415 - only where the path is the project's

    meter: Any = coverage.Coverage(data_file=None, config_file=False, branch=True, include=request["measured"])
    meter.set_option("run:disable_warnings", ["no-data-collected", "module-not-imported", "no-sysmon", "no-ctracer"])
    meter.start()
    importlib.import_module("pytest")
    for name in request["modules"]:
        importlib.import_module(name)
    meter.get_data()  # takes away what importing has executed
    gc.collect()
    gc.freeze()
    return meter


def _fork(text: str, meter: Any, *, calls: bool) -> tuple[bool, int, float]:  # noqa: ANN401
    """Whether a candidate passed, how much coverage saw of it, and the CPU seconds of its process."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        if not calls:
            os._exit(0)
        _call(text, meter, writing)
    os.close(writing)
    _, status, usage = os.wait4(child, 0)
    seen = os.read(reading, 16)
    os.close(reading)
    return status == 0, int(seen or b"0"), usage.ru_utime + usage.ru_stime


def _call(text: str, meter: Any, writing: int) -> NoReturn:  # noqa: ANN401
    """In the child: run the test functions of a candidate."""
    collector = meter._collector  # noqa: SLF001 - the public way writes to a database, which costs more than a test
    if hasattr(collector, "post_fork"):
        collector.post_fork()
    status = 1
    try:
        namespace: dict[str, Any] = {"__name__": "test_candidate"}
        exec(compile(text, "test_candidate.py", "exec"), namespace)  # noqa: S102 - what a test runner is for
        for name, value in list(namespace.items()):
            if name.startswith("test") and callable(value):
                value()
        status = 0
    except BaseException:  # noqa: BLE001, S110 - a test may raise anything, and then it has failed
        pass
    seen = sum(map(len, list(collector.data.values())))
    os.write(writing, str(seen).encode())
    os._exit(status)


if __name__ == "__main__":
    main()
