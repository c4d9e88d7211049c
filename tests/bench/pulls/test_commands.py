from __future__ import annotations

import re
import sys

import pytest
from click.testing import CliRunner
from tests.bench.pulls.made import result

from llm_testgen.bench.cli import bench
from llm_testgen.bench.pulls import commands
from llm_testgen.bench.pulls.arms import FIRST, MODELS, OURS
from llm_testgen.bench.pulls.course import Progress
from llm_testgen.bench.pulls.run import Found, remarks
from llm_testgen.bench.pulls.tables import series_of

NAMES = ("small", "large")
RESULTS = [result(arm, f"{project}-1.0", model=model) for arm in MODELS for project in "ab" for model in NAMES]


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a command that finds some results: what it prints, and its page."""

    def run(results, *arguments, name="models"):
        async def run_pulls(*_):
            return Found(series_of(results, (FIRST, OURS), NAMES), Progress(len(results)), ())

        monkeypatch.setattr(commands, "run_pulls", run_pulls)
        pages = tmp_path / "pages"
        pages.mkdir(exist_ok=True)
        options = ["--out", tmp_path / "out", "--markdown", pages / "page.md", *arguments]
        done = CliRunner().invoke(bench, [name, *map(str, options)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output, (pages / "page.md").read_text()

    return run


@pytest.mark.parametrize("name", ["models", "pull-requests"])
def test_a_page_shows_its_plot_wherever_that_is(run, tmp_path, name):
    _, page = run(RESULTS, "--plots", tmp_path / "plots", name=name)
    assert f"](../plots/{name}.svg)" in page
    assert (tmp_path / "plots" / f"{name}.svg").is_file()


def test_pages_of_experiments_are_linked_where_they_lie(run, tmp_path):
    _, page = run(RESULTS, name="pull-requests")
    assert "The experiments" not in page
    (tmp_path / "pages" / "context.md").touch()
    _, page = run(RESULTS, name="pull-requests")
    assert re.findall(r"\]\((\w+\.md)\)", page) == ["context.md"]


def test_an_arm_that_is_left_out_of_a_comparison_is_named():
    found = Found((), Progress(21), cases=tuple(range(21)), scarce=((OURS, "small", 3),))
    assert list(remarks(found)) == ["llm-testgen is not compared with small: 3 of 21 cases have a result"]


def test_without_results_there_is_no_plot_to_show(run, tmp_path):
    _, page = run([], "--plots", tmp_path / "plots")
    assert "![" not in page
    assert not (tmp_path / "plots").exists()


def test_models_are_drawn_on_the_cases_that_all_have_as_the_tables_are(run, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        commands, "draw", lambda name, _title, series, folder: (drawn.extend(series), (folder / f"{name}.svg",))[1]
    )
    more = [result(arm, "c-1.0", model="small", lines=4) for arm in MODELS]
    _, page = run([*RESULTS, *more], "--plots", tmp_path)
    assert [len(one.results) for one in drawn] == [2] * 4
    assert "2 cases of 2 projects (a, b), 2 methods, at most 4 of a case" in page


@pytest.mark.parametrize(("module", "said"), [("matplotlib", "plots need"), ("scipy", "figures with intervals need")])
def test_what_is_not_installed_is_said_before_a_run_of_hours(monkeypatch, tmp_path, module, said):
    def run_pulls(*_):
        raise AssertionError

    monkeypatch.setattr(commands, "run_pulls", run_pulls)
    monkeypatch.setitem(sys.modules, module, None)
    done = CliRunner().invoke(bench, ["models", "--plots", str(tmp_path)])
    assert said in str(done.exception)
