from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.bench.pulls.made import result
from tests.conftest import GitProject
from tests.delivery.samples import Test, proposal
from tests.samples import SIZES_BASE, SIZES_HEAD

from llm_testgen.bench.pulls.arms import OURS, PLAIN
from llm_testgen.cli import main
from llm_testgen.edges.git import Repository
from llm_testgen.index import Index
from llm_testgen.proposal import Proposal
from llm_testgen.reporting import target_records
from llm_testgen.stages.diff import changed_methods

MOD = "src/pkg/mod.py"
LINE = '<span class="k">raise</span> ValueError(x)'


@dataclass(frozen=True)
class Made:
    """A repository, its head, and a proposal for the change that led to it."""

    root: Path
    head: str
    proposal: Proposal


@pytest.fixture
def made(git_project: GitProject) -> Made:
    git_project.write(MOD, SIZES_BASE)
    base = git_project.commit()
    git_project.write(MOD, SIZES_HEAD)
    head = git_project.commit()
    targets = changed_methods(base, head, Repository.open(git_project.root).changes(base, head)).targets
    tests = [Test(source=MOD, method="grade", gained={MOD: (7, 8)})]
    update = {"base": base, "head": head, "targets": target_records(targets)}
    return Made(git_project.root, head, proposal(tests).model_copy(update=update))


def run(*arguments):
    result = CliRunner().invoke(main, ["report", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


def written(made: Made, folder: Path) -> Path:
    """The results of a run in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "proposal.json").write_text(made.proposal.model_dump_json(), encoding="utf-8")
    return folder


@pytest.fixture
def project(made: Made, tmp_path: Path) -> Path:
    """A copy of the repository that a proposal was made for, with the results in it."""
    root = tmp_path / "copy"
    shutil.copytree(made.root, root)
    written(made, root / ".llm-testgen")
    return root


def test_the_page_is_written_beside_the_proposal_and_shows_the_source(project):
    code, output = run(project / ".llm-testgen")
    page = project / ".llm-testgen/report.html"
    assert (code, output) == (0, f"Report: {page}")
    text = page.read_text(encoding="utf-8")
    assert "1 test raises diff coverage" in text
    assert LINE in text
    assert "is not shown" not in text


def test_without_an_argument_it_is_the_folder_of_the_repository(project, monkeypatch):
    monkeypatch.chdir(project / "src")
    assert run()[0] == 0
    assert (project / ".llm-testgen/report.html").is_file()


def test_the_checkout_of_the_results_can_be_named_and_so_can_the_page(made, tmp_path):
    results, page = written(made, tmp_path / "elsewhere"), tmp_path / "page.html"
    assert run(results / "proposal.json", "--repo", made.root, "--out", page) == (0, f"Report: {page}")
    assert LINE in page.read_text(encoding="utf-8")
    assert not (results / "report.html").exists()


def test_repo_alone_says_which_results_are_meant(project):
    assert run("--repo", project)[0] == 0


def test_without_a_checkout_the_page_says_what_it_lacks(made, tmp_path):
    results = written(made, tmp_path / "elsewhere")
    assert run(results)[0] == 0
    text = (results / "report.html").read_text(encoding="utf-8")
    assert f"the source of {len(made.proposal.targets)} methods is not shown" in text
    assert LINE not in text


def test_a_checkout_that_lacks_the_commit_shows_no_other_source(made, project):
    strange = made.proposal.model_copy(update={"head": "f" * 40})
    (project / ".llm-testgen/proposal.json").write_text(strange.model_dump_json(), encoding="utf-8")
    assert run(project / ".llm-testgen")[0] == 0
    text = (project / ".llm-testgen/report.html").read_text(encoding="utf-8")
    assert f"the source of {len(made.proposal.targets)} methods is not shown" in text


def test_the_session_has_the_source_where_there_is_no_checkout(made, tmp_path):
    results = written(made, tmp_path / "elsewhere")
    with Index.open(results / "session.sqlite") as index:
        index.update(Repository.open(made.root).snapshot(made.head))
    assert run(results)[0] == 0
    assert LINE in (results / "report.html").read_text(encoding="utf-8")


def test_source_that_is_not_what_was_tested_is_not_shown(made, project):
    text = (project / MOD).read_text().replace("raise ValueError(x)", "raise ValueError(x, 1)")
    (project / MOD).write_text(text)
    results = written(made, project / ".llm-testgen")
    proposal = made.proposal.model_copy(update={"worktree": True})
    (results / "proposal.json").write_text(proposal.model_dump_json(), encoding="utf-8")
    with Index.open(results / "session.sqlite") as index:
        index.update(Repository.open(project).worktree_snapshot())
    assert run(results)[0] == 0
    shown = (results / "report.html").read_text(encoding="utf-8")
    assert "the source of 2 methods is not shown" in shown  # of the module, which holds the line too
    assert LINE.replace("x)", "x") not in shown
    assert 'def</span> <span class="f">area' in shown


def test_a_session_that_is_none_does_not_stop_it(made, tmp_path):
    results = written(made, tmp_path / "elsewhere")
    (results / "session.sqlite").write_text("this is no database, and long enough to be told from one" * 20)
    assert run(results)[0] == 0


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE index_meta", "UPDATE index_meta SET value = 'older' WHERE key = 'version'"],
    ids=["somebody else's", "of another version"],
)
def test_a_session_that_it_cannot_read_is_left_as_it_is(made, tmp_path, statement):
    results = written(made, tmp_path / "elsewhere")
    session = results / "session.sqlite"
    with Index.open(session) as index:
        index.update(Repository.open(made.root).snapshot(made.head))
    with closing(sqlite3.connect(session)) as connection, connection:
        connection.execute(statement)
    before = session.read_bytes()
    assert run(results)[0] == 0
    assert "is not shown" in (results / "report.html").read_text(encoding="utf-8")
    assert session.read_bytes() == before


def test_missing_results_are_answered_in_one_line(tmp_path):
    code, output = run(tmp_path / "nowhere")
    assert code == 2
    assert "does not exist: run `llm-testgen propose` first" in output
    code, output = run(tmp_path)
    assert code == 2
    assert f"{tmp_path} holds neither proposal.json nor results.jsonl: run" in output
    assert "or pass the folder of its results, or that of `llm-testgen bench pull-requests --out`" in output


@pytest.mark.parametrize("data", [b"{}", b"\xff", b'{"version": 3}', b"[" * 100_000, b'{"prompt": 1}\n{"prompt": 2}\n'])
@pytest.mark.parametrize("name", ["proposal.json", "results.jsonl", "other.json"])
def test_what_is_neither_a_proposal_nor_results_is_refused_by_its_name(tmp_path, data, name):
    (tmp_path / name).write_bytes(data)
    code, output = run(tmp_path / name)
    assert code == 2
    assert f"{tmp_path / name}: it is no proposal of this version" in output
    assert output.endswith("or pass the results.jsonl of `llm-testgen bench pull-requests`")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("data", [b"", b" \n\n"])
def test_an_empty_file_is_refused(tmp_path, data):
    (tmp_path / "results.jsonl").write_bytes(data)
    code, output = run(tmp_path)
    assert code == 2
    assert f"{tmp_path / 'results.jsonl'} is empty: pass the proposal.json of `llm-testgen propose`, or the" in output


def results_of_benchmark(folder: Path, name: str = "results.jsonl") -> Path:
    """Results of two arms in a file."""
    path = folder / name
    path.write_text("".join(result(arm).model_dump_json() + "\n" for arm in (OURS, PLAIN)), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["results.jsonl", "kept.json"])
def test_results_of_a_benchmark_are_told_from_a_run_by_what_they_are(tmp_path, name):
    path = results_of_benchmark(tmp_path, name)
    before = path.read_bytes()
    page = tmp_path / "report.html"
    assert run(tmp_path if name == "results.jsonl" else path) == (0, f"Report: {page}")
    assert "Tests for 1 real change, in 2 ways" in page.read_text(encoding="utf-8")
    assert path.read_bytes() == before


def test_half_a_line_is_refused_and_stays_as_it_is(tmp_path):
    path = results_of_benchmark(tmp_path)
    for half in (path.read_bytes()[:-40], path.read_bytes()[:60]):
        path.write_bytes(half)
        code, output = run(tmp_path)
        assert code == 2
        assert f"{path} ends in half a line: a run still writes it, or was stopped" in output
        assert path.read_bytes() == half
    assert not (tmp_path / "report.html").exists()


def test_a_folder_with_both_is_not_guessed_about(made, tmp_path):
    written(made, tmp_path)
    results_of_benchmark(tmp_path)
    code, output = run(tmp_path)
    assert code == 2
    assert "holds both proposal.json and results.jsonl: pass the file that is meant" in output
    assert run(tmp_path / "results.jsonl")[0] == 0


def test_results_of_a_benchmark_have_no_checkout(made, tmp_path):
    code, output = run(results_of_benchmark(tmp_path), "--repo", made.root)
    assert code == 2
    assert "holds results of a benchmark, which need no checkout: leave --repo out" in output


def test_a_file_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("llm_testgen.commands.report._LONGEST_RESULTS", 100)
    code, output = run(results_of_benchmark(tmp_path))
    assert (code, "is longer than 100 bytes: no benchmark writes so much" in output) == (2, True)


def test_a_page_that_cannot_be_written_is_answered_in_one_line(project, tmp_path):
    code, output = run(project / ".llm-testgen", "--out", tmp_path / "missing" / "page.html")
    assert code == 2
    assert "cannot be written" in output
    for folder in (tmp_path, ".", "/"):
        code, output = run(project / ".llm-testgen", "--out", folder)
        assert (code, "cannot be written: it is a folder; pass another --out" in output) == (2, True)


def test_a_checkout_that_is_none_is_refused(project, tmp_path):
    code, output = run(project / ".llm-testgen", "--repo", tmp_path)
    assert (code, "is not inside a git repository" in output) == (2, True)
