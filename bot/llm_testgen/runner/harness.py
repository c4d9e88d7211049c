"""Runs pytest under coverage inside the project's own interpreter, and reports what happened as JSON.

This one file is started by the interpreter of the project, whatever it has installed: it needs Python 3.9,
pytest and coverage, and nothing of this package. The request comes as JSON on standard input::

    {"mode": "probe" | "run", "result": path, "scratch": folder, "arguments": [of pytest],
     "files": [test files to run, none for all that pytest finds], "measured": [paths],
     "all_files": whether to report files that nothing touched, "writable": [folders],
     "limits": {"memory": bytes, "file": bytes, "cpu": seconds}}

and the answer is written to ``result``. Whatever else the process prints is of no meaning.
"""

# It talks to whatever pytest and coverage the project has (ANN401, FBT003), imports them only when it may
# (PLC0415), and brings as little as it can into the project's process (PTH…).
# ruff: noqa: ANN401, FBT003, PLC0415, PTH100, PTH109, PTH112, PTH118, PTH123

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import platform
import resource
import signal
import struct
import sys
from typing import Any

MESSAGE_LENGTH = 2000
MOST_FAILURES = 50

# Landlock, by its system calls (the same numbers on every architecture): see landlock(7).
LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446
LANDLOCK_RULE_PATH_BENEATH = 1
PR_SET_NO_NEW_PRIVS = 38
PR_SET_PDEATHSIG = 1
WRITE_RIGHTS = {1: 0x1FF2, 2: 0x3FF2, 3: 0x7FF2}
FILE_RIGHTS = 0x4002


def landlock_rights() -> int:
    """The rights to write that this kernel's Landlock can take away; 0 when it has none."""
    if not sys.platform.startswith("linux"):
        return 0
    version = ctypes.CDLL(None, use_errno=True).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1)
    return WRITE_RIGHTS[min(version, 3)] if version > 0 else 0


def packed(layout: str, *values: int) -> Any:
    """A C structure as a buffer of exactly its size."""
    data = struct.pack(layout, *values)
    return ctypes.create_string_buffer(data, len(data))


def forbid_writes_outside(folders: list[str]) -> bool:
    """Let this process and its children write below the folders only. Tells whether the kernel enforces it."""
    rights = landlock_rights()
    if not rights:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = packed("=Q", rights)
    ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    for path in [*folders, "/dev/null", "/dev/zero", "/dev/tty", "/dev/shm", "/dev/pts"]:  # noqa: S108 - devices
        try:
            parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        allowed = rights if os.path.isdir(path) else rights & FILE_RIGHTS
        rule = packed("=Qi", allowed, parent)
        libc.syscall(LANDLOCK_ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, rule, 0)
        os.close(parent)
    enforced = not libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) and not libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return enforced


def limit_resources(limits: dict[str, int]) -> None:
    """Bound what one run may take; a bound above the hard limit of the machine stays at the hard limit."""
    kinds = {"memory": resource.RLIMIT_AS, "file": resource.RLIMIT_FSIZE, "cpu": resource.RLIMIT_CPU}
    for name, value in [*limits.items(), ("core", 0)]:
        kind = kinds.get(name, resource.RLIMIT_CORE)
        _, hard = resource.getrlimit(kind)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))


def probe() -> dict[str, Any]:
    """What this interpreter is and has."""
    versions: dict[str, str | None] = {}
    for name in ("pytest", "coverage"):
        versions[name] = None
        if importlib.util.find_spec(name) is not None:
            versions[name] = str(getattr(__import__(name), "__version__", "unknown"))
    return {"python": platform.python_version(), "landlock": bool(landlock_rights()), **versions}


def start_coverage(measured: list[str]) -> Any:
    """A running coverage of the measured files, with the project's own exclusions and omissions."""
    import coverage  # a probe must work without it

    own: Any = coverage.Coverage(data_file=None)
    omit = [*(option(own, "run:omit") or []), *(option(own, "report:omit") or [])]
    measure = coverage.Coverage(data_file=None, config_file=False, include=measured, omit=omit)
    measure.set_option("run:disable_warnings", ["no-data-collected", "module-not-imported", "no-sysmon", "no-ctracer"])
    measure.set_option("report:omit", omit)
    for name in ("report:exclude_lines", "report:exclude_also", "report:partial_branches"):
        value = option(own, name)
        if value:
            measure.set_option(name, value)
    measure.start()
    return measure


def option(configured: Any, name: str) -> Any:
    """An option of the project's own coverage configuration; None where this coverage does not know it yet."""
    try:
        return configured.get_option(name)
    except measure_errors():
        return None


def lines_of(measure: Any, paths: list[str], scratch: str) -> dict[str, dict[str, list[int]]]:
    """Statements and executed statements of each file that the project's configuration does not omit."""
    report = os.path.join(scratch, "coverage.json")
    measure.set_option("report:ignore_errors", True)
    try:
        measure.json_report(morfs=paths, outfile=report)
    except measure_errors():
        return {}
    with open(report, encoding="utf-8") as file:
        files = json.load(file)["files"]
    return {
        os.path.abspath(path): {
            "statements": [*lines["executed_lines"], *lines["missing_lines"]],
            "executed": lines["executed_lines"],
        }
        for path, lines in files.items()
    }


def measure_errors() -> Any:
    """What coverage raises when there is nothing to report."""
    from coverage.exceptions import CoverageException  # as in start_coverage

    return CoverageException


class Recorder:
    """A pytest plugin that keeps how each test ended and why.

    Tests are named by their file's path below the working folder, whatever pytest takes for its root. Where files
    were asked for, only their tests are run and only their errors count: ``addopts`` may name others.
    """

    def __init__(self, files: list[str]) -> None:
        """Start with nothing recorded; no files for all that pytest finds."""
        self.files = {os.path.abspath(path) for path in files}
        self.names: dict[str, str] = {}
        self.outcomes: dict[str, str] = {}
        self.failures: list[dict[str, Any]] = []
        self.collect_errors = 0

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Collection is over."""
        if self.files:
            items[:] = [item for item in items if str(item.path) in self.files]
        for item in items:
            inner = item.nodeid.partition("::")[2]
            self.names[item.nodeid] = valid(f"{os.path.relpath(str(item.path))}::{inner}")

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A phase of a test has ended: the worst phase decides."""
        name = self.names.get(report.nodeid, report.nodeid)
        before = self.outcomes.get(name, "passed")
        if report.failed:
            self.outcomes[name] = "failed"
        elif report.skipped and before == "passed":
            self.outcomes[name] = "xfailed" if hasattr(report, "wasxfail") else "skipped"
        else:
            self.outcomes.setdefault(name, "passed")

    def pytest_exception_interact(self, node: Any, call: Any, report: Any) -> None:
        """Something raised: keep the type, the text, and the innermost line of the test's own file."""
        own = str(getattr(node, "path", ""))
        if self.files and own not in self.files:
            return
        self.collect_errors += report.when == "collect"
        if len(self.failures) >= MOST_FAILURES:
            return
        # pytest wraps an import error of a test module; what it wraps says what is missing.
        error = call.excinfo.value
        if report.when == "collect" and error.__cause__ is not None:
            error = error.__cause__
        line = error.lineno or 0 if isinstance(error, SyntaxError) else 0
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == own:
                line = trace.tb_lineno
            trace = trace.tb_next
        self.failures.append(
            {
                "nodeid": report.nodeid,
                "phase": report.when,
                "kind": type(error).__name__,
                "message": valid(str(error)[:MESSAGE_LENGTH]),
                "line": line,
            }
        )


def valid(text: str) -> str:
    """A text that can be written as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def pytest_arguments(request: dict[str, Any]) -> list[str]:
    """The request's arguments with those that silence what plugins of the project would do to the run."""
    scratch = request["scratch"]
    quiet = ["-q", "--maxfail=0", "--continue-on-collection-errors", "--tb=native", "--color=no"]
    # What addopts has pytest write goes where writing is allowed.
    quiet += [f"--override-ini=cache_dir={scratch}/cache", f"--override-ini=log_file={scratch}/log.txt"]
    quiet += [f"--junitxml={scratch}/junit.xml"]
    if request["files"]:
        # The files were asked for by name: marks and keywords that the project selects by do not apply.
        quiet += ["-m", "", "-k", ""]
    if importlib.util.find_spec("pytest_cov") is not None:
        quiet.append("--no-cov")
    if importlib.util.find_spec("xdist") is not None:
        quiet.append("-n0")
    return [*quiet, *request["arguments"], *request["files"]]


def run(request: dict[str, Any]) -> dict[str, Any]:
    """One pytest session under coverage."""
    measure = start_coverage(request["measured"])
    import pytest  # only after coverage has started

    recorder = Recorder(request["files"])
    code = pytest.main(pytest_arguments(request), plugins=[recorder])
    measure.stop()
    paths = request["measured"]
    if not request["all_files"]:
        touched = measure.get_data().measured_files()
        paths = [path for path in paths if path in touched]
    return {
        "exit": int(code),
        "outcomes": recorder.outcomes,
        "failures": recorder.failures,
        "collect_errors": recorder.collect_errors,
        "files": lines_of(measure, paths, request["scratch"]) if paths else {},
    }


def die_with_parent() -> None:
    """Have the kernel end this process when the one that started it is gone."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def interrupt(*_: Any) -> None:
    """End the session as Ctrl-C would, so that what it has covered so far is reported."""
    raise KeyboardInterrupt


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    # As `python -m pytest` does; and the folder of this file is no place to import from.
    sys.path[0] = os.getcwd()
    if request["mode"] == "probe":
        result = probe()
    else:
        signal.signal(signal.SIGTERM, interrupt)
        die_with_parent()
        limit_resources(request["limits"])
        enforced = forbid_writes_outside(request["writable"])
        result = {**run(request), "enforced": enforced}
    with open(request["result"], "w", encoding="utf-8") as file:
        json.dump(result, file)
    sys.stdout.flush()
    # Threads and exit handlers of the project must not hold the process once the result is written.
    os._exit(0)


if __name__ == "__main__":
    main()
