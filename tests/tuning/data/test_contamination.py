from __future__ import annotations

import pytest
from click.testing import CliRunner
from tests.tuning.data.test_joining import example
from tests.tuning.data.test_releases import archive

from llm_testgen.bench import environments
from llm_testgen.bench.cases import known_cases
from llm_testgen.bench.environments import Workshop
from llm_testgen.errors import UsageError
from llm_testgen.tuning.cli import tune
from llm_testgen.tuning.data.contamination import held_out
from llm_testgen.tuning.data.examples import Origin
from llm_testgen.tuning.data.pool import PartReport, Pool
from llm_testgen.tuning.data.releases import held_out_projects, normalised

CODE = b"def some_function(first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth, last): pass\n"


@pytest.fixture
def workshop(tmp_path) -> Workshop:
    (tmp_path / "work").mkdir()
    return Workshop(tmp_path / "work", tmp_path / "python")


@pytest.fixture
def index(monkeypatch) -> list[str]:
    """A package index that has everything, and what it was asked for."""
    asked = []

    def download(release, _python, scratch):
        asked.append(f"{release.name} {release.version}")
        return archive(scratch, "x.tar.gz", {"a.py": CODE, "read.me": b"no code"})

    monkeypatch.setattr(environments, "_download", download)
    return asked


def releases_of(project):
    cases = [case for case in known_cases() if case.project == project]
    return sorted({release for case in cases for release in (case.old, case.new)}, key=lambda one: one.version)


def keep(workshop, release, code=CODE):
    archive(workshop.folder, workshop.archive(release).name, {"a.py": code})


def quiet(_said):
    """Nobody listens."""


def test_a_project_counts_as_compared_with_all_its_releases_alone(workshop):
    first, *others = releases_of("click")
    keep(workshop, first)
    assert not held_out(workshop, quiet, allow_uncompared=True).compared
    for release in others:
        keep(workshop, release)
    what = held_out(workshop, quiet, allow_uncompared=True)
    assert what.compared == {"click"}
    assert len(what.grams) == 2
    assert len(what.lines) == 1
    assert what.projects == held_out_projects()


def test_what_is_not_there_is_fetched_once_and_told(workshop, index):
    keep(workshop, releases_of("click")[0])
    told = []
    what = held_out(workshop, told.append)
    assert what.compared == what.projects == held_out_projects()
    assert {normalised(name.split()[0]) for name in index} == what.projects
    assert len(index) == len(set(index)) == len(told) - 1
    assert any(line.startswith("reading click 8.2.1, ") for line in told)
    index.clear()
    assert held_out(workshop, quiet) == what
    assert index == []


def test_what_cannot_be_had_ends_it_with_what_to_do(workshop):
    with pytest.raises(
        UsageError, match=r"but pip does not get the source of .*; or pass --allow-uncompared, to go on"
    ):
        held_out(workshop, quiet)


def test_an_archive_that_cannot_be_read_is_told(workshop, index):
    workshop.archive(releases_of("click")[0]).write_text("no archive")
    with pytest.raises(UsageError, match=r"source-click-.* cannot be read .*: delete it"):
        held_out(workshop, quiet)
    assert index


def test_an_index_that_is_out_of_reach_is_not_asked_for_everything(workshop, asked_of_the_index):
    last = releases_of("semver")
    for release in last:
        keep(workshop, release)
    assert held_out(workshop, quiet, allow_uncompared=True).compared == {"semver"}
    assert len(asked_of_the_index) == len(set(asked_of_the_index)) == 2


def test_examples_that_nothing_was_compared_with_are_joined_only_where_that_is_allowed(workshop, tmp_path):
    report = PartReport(name="m", key="k", origin=Origin.MINED, project="box", licence="MIT", examples=1)
    Pool(tmp_path / "data").add(report, [example("box")])
    arguments = ["data", "join", "--out", str(tmp_path / "data"), "--work", str(workshop.folder)]
    refused = CliRunner().invoke(tune, arguments)
    assert isinstance(refused.exception, UsageError)
    assert not (tmp_path / "data" / "train.jsonl").exists()
    done = CliRunner().invoke(tune, [*arguments, "--allow-uncompared"])
    assert "1 examples to train on" in done.output
    assert "not compared with arrow, click, flask, " in done.output
    assert "none of them; not compared with arrow, click, " in (tmp_path / "data" / "README.md").read_text()


def test_what_was_compared_with_everything_is_said_without_reservation(workshop, index, tmp_path):
    report = PartReport(name="m", key="k", origin=Origin.MINED, project="box", licence="MIT", examples=2)
    Pool(tmp_path / "data").add(report, [example("box"), example("box", f"x = 1\n{CODE.decode()}")])
    done = CliRunner().invoke(tune, ["data", "join", "--out", str(tmp_path / "data"), "--work", str(workshop.folder)])
    assert done.exit_code == 0, done.output
    assert index
    assert "1 examples to train on" in done.output
    assert "it shares 13 words in a row with what the benchmark measures on" in done.output
    assert "not compared" not in done.output + (tmp_path / "data" / "README.md").read_text()
