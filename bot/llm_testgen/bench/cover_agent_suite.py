"""A pytest plugin for cover-agent's runs: tests of the project that failed before it wrote any count as skipped.

cover-agent stops when the test file that it is to extend has a failing test, and a real change has such tests whenever
it changes what the older ones expect. Its own tests go into the same file, so the first run, which is before any of
them, writes down which tests fail; these alone are excused from then on.

It is loaded by its name, in the project's environment.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Tell pytest of our option."""
    parser.addoption("--failed-before", metavar="FILE", required=True, help="Names of tests, as JSON.")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch, by what the first run has found where there was one."""
    file = config.invocation_params.dir / config.getoption("--failed-before")
    if file.exists():
        config.pluginmanager.register(_Excuses(frozenset(json.loads(file.read_text("utf-8")))))
    else:
        config.pluginmanager.register(_FirstRun(file))


class _Excuses:
    """Skips the failure of what failed before, before anybody counts it."""

    def __init__(self, failed: frozenset[str]) -> None:
        self._failed = failed

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        if report.failed and report.nodeid in self._failed:
            _skip(report)
        return (yield)


class _FirstRun:
    """Skips every failure, and writes it down."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        if report.failed:
            self._failed.add(report.nodeid)
            _skip(report)
        return (yield)

    def pytest_sessionfinish(self) -> None:
        self._file.write_text(json.dumps(sorted(self._failed)), "utf-8")


def _skip(report: pytest.TestReport) -> None:
    report.outcome = "skipped"
    report.longrepr = (report.nodeid.partition("::")[0], 0, "it fails without cover-agent too")
