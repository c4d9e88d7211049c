"""What pytest is asked, and what it has to tell: a plugin that keeps how each test ended and why."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

MESSAGE_LENGTH = 2000
MOST_FAILURES = 50
MOST_FRAMES = 10


class Recorder:
    """A pytest plugin that keeps how each test ended and why.

    Tests are named by their file's path below the working folder, whatever pytest takes for its root. Where files
    were asked for, only their tests are run and only their errors count: ``addopts`` may name others.
    """

    def __init__(self, files: list[str]) -> None:
        """Start with nothing recorded; no files for all that pytest finds."""
        self.root = os.getcwd()
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
            self.names[item.nodeid] = valid(f"{os.path.relpath(str(item.path), self.root)}::{inner}")

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
        """Something raised: keep the type, the text, and the lines that led there."""
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
        self.failures.append(failure(error, own, report.when, self.root))

    def result(self, code: int) -> dict[str, Any]:
        """What was recorded of a session that ended with this exit code."""
        return {
            "exit": code,
            "outcomes": self.outcomes,
            "failures": self.failures,
            "collect_errors": self.collect_errors,
        }


def failure(error: BaseException, own: str, phase: str, root: str) -> dict[str, Any]:
    """An exception as it is reported: ``line`` is the innermost one of the test's own file, 0 when unknown."""
    line = error.lineno or 0 if isinstance(error, SyntaxError) else 0
    trace = []
    frame = error.__traceback__
    while frame is not None:
        path = frame.tb_frame.f_code.co_filename
        if path == own:
            line = frame.tb_lineno
        if path.startswith(root + os.sep):
            where = os.path.relpath(path, root)
            trace.append(valid(f"{where}:{frame.tb_lineno} in {frame.tb_frame.f_code.co_name}"))
        frame = frame.tb_next
    return {
        "file": valid(os.path.relpath(own, root)) if own else "",
        "phase": phase,
        "kind": type(error).__name__,
        "message": valid(_text(error)[:MESSAGE_LENGTH]),
        "line": line,
        "trace": trace[-MOST_FRAMES:],
    }


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:
        return f"<{type(broken).__name__} in its own text>"


def valid(text: str) -> str:
    """A text that can be written as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def pytest_arguments(scratch: str, given: list[str], files: list[str], *, light: bool = False) -> list[str]:
    """What pytest is called with: the given arguments and what keeps plugins of the project from meddling.

    Args:
        scratch: Where it may write.
        given: More arguments.
        files: What to run; none for all that it finds.
        light: Whether to capture what is printed by Python only: that takes no files.
    """
    quiet = ["-q", "--maxfail=0", "--continue-on-collection-errors", "--tb=native", "--color=no"]
    # What addopts has pytest write goes where writing is allowed.
    quiet += [f"--override-ini=cache_dir={scratch}/cache", f"--override-ini=log_file={scratch}/log.txt"]
    quiet += ["--junitxml="]
    if files:
        # The files were asked for by name: marks and keywords that the project selects by do not apply.
        quiet += ["-m", "", "-k", ""]
    if light:
        quiet.append("--capture=sys")
    if importlib.util.find_spec("pytest_cov") is not None:
        quiet.append("--no-cov")
    if importlib.util.find_spec("xdist") is not None:
        quiet.append("-n0")
    return [*quiet, *given, *files]
