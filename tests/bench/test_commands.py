from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_testgen.bench import commands, floor
from llm_testgen.bench.commands import AllTogether, EachAlone, Floor, WholeSuite
from llm_testgen.bench.projects import BenchProject
from llm_testgen.bench.ways import Place
from llm_testgen.errors import ProjectError

PASSES = "from tiny.more import double\n\n\ndef test_double():\n    assert double(2) == 4\n"
FAILS = "from tiny.more import double\n\n\ndef test_wrong():\n    assert double(2) == 5\n"
BROKEN = "from tiny.more import triple\n\n\ndef test_triple():\n    assert triple(2) == 6\n"
EXITS = "import sys\n\n\ndef test_exit():\n    sys.exit(0)\n"
MORE = "def double(value):\n    if value:\n        return 2 * value\n    return 0\n"


@pytest.fixture
def place(tmp_path):
    release = tmp_path / "release"
    for path, text in {
        "tiny/__init__.py": "",
        "tiny/more.py": MORE,
        "tests/test_own.py": "def test_own():\n    pass\n",
        ".git/config": "",
    }.items():
        (release / path).parent.mkdir(parents=True, exist_ok=True)
        (release / path).write_text(text)
    project = BenchProject(
        name="tiny", version="1.0", sha256="0" * 64, package="tiny", test_folder="tests", measured=("tiny/more.py",)
    )
    (tmp_path / "home").mkdir()
    place = Place(project, tmp_path / "home", os.environ, Path(sys.executable))
    place.make(release)
    return place


def files(place):
    return sorted(path.name for path in (place.tree / "tests").iterdir() if path.suffix == ".py")


def run(way, *texts):
    return asyncio.run(way.run(texts))


def test_a_place_is_a_copy_without_history(place):
    assert not (place.tree / ".git").exists()
    assert place.measured == [str(place.tree / "tiny" / "more.py")]


def test_candidates_stand_beside_the_tests_for_a_while_only(place):
    with place.added([PASSES, FAILS], 3) as names:
        assert names == ["tests/test_bench_3.py", "tests/test_bench_4.py"]
        assert files(place) == ["test_bench_3.py", "test_bench_4.py", "test_own.py"]
    assert files(place) == ["test_own.py"]


def test_each_alone_tells_which_pass_and_what_all_cost(place):
    way = EachAlone("pytest", "…", place, lambda file: [sys.executable, "-m", "pytest", file])
    batch = run(way, PASSES, FAILS, BROKEN)
    assert batch.passed == (True, False, False)
    assert batch.count == 3
    assert batch.cost.cpu > 0.1
    assert files(place) == ["test_own.py"]


def test_what_others_start_is_what_they_start(place):
    assert commands.pytest_cov(place)("tests/test_x.py") == [
        *[sys.executable, "-m", "pytest", "--cov=tiny", "--cov-report=json", "tests/test_x.py"]
    ]
    command = commands.coverup(place, Path("/env/bin/python"))("tests/test_x.py")
    assert command[:3] == ["/env/bin/python", "-m", "slipcover"]
    options = ["--count=5", "--isolate", "-qq", "-x", "--disable-warnings"]
    assert command[command.index("pytest") + 1 :] == [*options, "tests/test_x.py"]


def test_all_together_tells_candidates_apart_and_what_each_covers(place):
    batch = run(AllTogether(place), PASSES, FAILS, BROKEN)
    assert batch.passed == (True, False, False)
    assert batch.count == 3
    contexts = json.loads((place.home / "contexts.json").read_text())["files"]["tiny/more.py"]["contexts"]
    assert any("test_double" in context for context in contexts["3"])


def test_the_whole_suite_is_run_with_as_many_as_there_is_time_for(place):
    (place.tree / "tests" / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--cov-report')\n    parser.addoption('--cov')\n"
    )
    batch = run(WholeSuite(place, 2, 60.0), PASSES, PASSES, PASSES)
    assert (batch.count, batch.cut, batch.passed) == (2, False, ())
    assert "3 passed" not in place.output.read_text()
    assert "2 passed" in place.output.read_text()


def test_a_suite_that_takes_too_long_is_cut_and_says_so(place):
    (place.tree / "tests" / "conftest.py").write_text("import time\ntime.sleep(60)\n")
    batch = run(WholeSuite(place, 3, 1.0), PASSES)
    assert (batch.count, batch.cut) == (1, True)
    assert 0.9 < batch.cost.seconds < 10


def test_the_floor_runs_tests_under_coverage_in_forks(place, tmp_path):
    request, result = tmp_path / "request.json", tmp_path / "result.json"
    asked = {"texts": [PASSES, FAILS, BROKEN, EXITS], "measured": place.measured, "modules": ["tiny.more"]}
    request.write_text(json.dumps({**asked, "passes": 2, "calls": True}))
    subprocess.run([sys.executable, floor.__file__, request, result], cwd=place.tree, check=True, timeout=60)
    told = json.loads(result.read_text())
    assert told["passed"] == [True, False, False, False]
    # Only what the candidate itself makes run counts, and it is seen in the fork.
    assert told["lines"][:2] == [3, 3]
    assert told["lines"][2:] == [0, 0]
    assert 0 < told["cost"]["cpu"] < 2


def test_the_floor_costs_more_with_a_call_and_starts_once(place):
    way = Floor(place, 5, calls=True)
    batch = run(way, PASSES, FAILS)
    assert (batch.count, batch.passed) == (10, (True, False))
    assert asyncio.run(way.startup()).cpu > batch.cost.cpu / batch.count
    bare = Floor(place, 5, calls=False)
    assert run(bare, PASSES, FAILS).passed == ()
    assert asyncio.run(bare.startup()) is None


def test_a_project_that_cannot_be_imported_has_no_floor(place):
    (place.tree / "tiny" / "more.py").write_text("raise RuntimeError('not here')\n")
    with pytest.raises(ProjectError, match=r"floor of tiny cannot be measured \(RuntimeError: not here\)"):
        run(Floor(place, 1, calls=True), PASSES)
