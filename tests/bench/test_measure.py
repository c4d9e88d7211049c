"""All ways on a project of two files: what the commands lack here fails, and that shows."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests.project_python import project_python

from llm_testgen.bench.measure import PASSES, Bench, Plan, measure
from llm_testgen.bench.projects import BenchProject
from llm_testgen.edges.gitwrite import create_repository
from llm_testgen.errors import ProjectError
from llm_testgen.runner.interpreter import inspect
from llm_testgen.runner.launcher import Confinement

PASSING = "from tiny.more import double\n\n\ndef test_double():\n    assert double(2) == 4\n"
FAILING = "from tiny.more import double\n\n\ndef test_wrong():\n    assert double(2) == 5\n"
RELEASE = {
    "tiny/__init__.py": b"",
    "tiny/more.py": b"def double(value):\n    return 2 * value\n",
    "tests/test_own.py": b"def test_own():\n    pass\n",
}
PROJECT = BenchProject(
    name="tiny", version="1.0", sha256="0" * 64, package="tiny", test_folder="tests", measured=("tiny/more.py",)
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="CPU time is read from /proc")


def measured(tmp_path, files):
    create_repository(tmp_path / "release", {"tiny 1.0": files})
    python = Path(project_python())
    said = []
    plan = Plan(rounds=2, suite_candidates=1)
    bench = Bench(inspect(python, os.environ), python, Confinement(), os.environ, plan, said.append)
    return asyncio.run(measure(bench, PROJECT, tmp_path / "release", (PASSING, FAILING))), said


def test_every_way_is_measured_in_every_round(tmp_path):
    told, said = measured(tmp_path, RELEASE)
    assert told.cold == ""
    ways = {way.key: way for way in told.ways}
    assert list(ways) == ["pytest", "coverup", "together", "suite", "cold", "warm", "warm-all", "floor", "fork"]
    assert {key: len(way.rounds) for key, way in ways.items()} == {key: 1 if key == "suite" else 2 for key in ways}
    assert ways["warm"].executions == ways["floor"].executions == 2 * PASSES
    for key in ("together", "cold", "warm", "warm-all", "floor"):
        assert ways[key].passed == 1, key
    assert ways["warm"].startup.cpu > ways["warm"].median.cpu > ways["fork"].median.cpu > 0
    assert ways["cold"].median.cpu > ways["warm"].median.cpu
    # What is not installed here fails, and that shows.
    differs = ways["coverup"].passed == 0 and ways["pytest"].passed == 1
    assert ("coverup: test_double failed" in told.disagreements) is differs
    assert told.warm_over_floor == pytest.approx(ways["warm"].median.cpu / ways["floor"].median.cpu)
    assert said.index("tiny: round 1 of 2: fork and exit alone") < said.index(
        "tiny: round 2 of 2: python -m pytest --cov, each"
    )


def test_a_project_whose_tests_cannot_be_run_is_an_error(tmp_path):
    broken = {**RELEASE, "pyproject.toml": b"[tool.pytest.ini_options\n"}
    with pytest.raises(ProjectError, match="tiny cannot be tested with"):
        measured(tmp_path, broken)
