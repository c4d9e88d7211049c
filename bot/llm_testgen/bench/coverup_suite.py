"""A pytest plugin for CoverUp's runs: tests of the project that fail count as skipped, and are run once.

CoverUp stops when the suite that it is to extend has a failing test, and a real change has such tests whenever it
changes what the older ones expect. The candidates that CoverUp tries keep their verdicts. It stops as well where
pytest-cov, which a project's own settings may ask for, finds that the suite falls short of a goal, so nothing but
CoverUp measures.

It runs the whole suite once to see what is covered, which it writes into its checkpoint, and again at its end, which
it only prints: nothing that it makes depends on that. So the project's own tests are left out where the checkpoint is
there, which takes a third of the time.

It is loaded by its name, in CoverUp's environment.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path, PurePosixPath

import pytest

_CANDIDATES = ("tmp_test_", "test_coverup_")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Tell pytest of our option."""
    parser.addoption("--measured-by", metavar="FILE", help="What is there once the suite was run.")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Leave pytest-cov nothing to measure, before it looks: that is where this hook is called first of all."""
    early_config.known_args_namespace.cov_source = []
    return (yield)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the project's tests that were run before."""
    if not collection_path.is_file() or collection_path.name.startswith((*_CANDIDATES, "__init__")):
        return None
    measured = config.getoption("--measured-by")
    return True if measured and Path(measured).exists() else None


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
