from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import GitProject

from llm_testgen.commands.output import OUTPUT_FOLDER, output_folder, write_proposal, write_whole
from llm_testgen.edges.gitwrite import unified_patch
from llm_testgen.errors import UsageError
from llm_testgen.pages.render import render
from llm_testgen.pages.run import run_page
from llm_testgen.proposal import CoverageFigures, Funnel, Proposal
from llm_testgen.records import TestFile, Usage
from llm_testgen.reporting import file_records, usage_record

FILES = (TestFile("tests/test_mod.py", "", "def test_é():\n    pass\n"),)


def proposal(note: str = "a note — é") -> Proposal:
    return Proposal(
        base="a" * 40,
        head="b" * 40,
        coverage=CoverageFigures(before=0, after=0, changed_lines=0, covered_before=0, covered_after=0),
        targets=(),
        skipped=(),
        verdicts=(),
        accepted=(),
        files=file_records(FILES),
        suggestions=(),
        funnel=Funnel(replies=0, candidates=0, built=0, passed=0, stable=0, gained=0, accepted=0),
        usage=usage_record(Usage(), 0.0),
        notes=(note,),
    )


def test_the_folder_is_made_with_those_around_it_and_git_does_not_see_it(git_project: GitProject):
    folder = output_folder(git_project.root / "deep" / OUTPUT_FOLDER)
    (folder / "result").write_text("x")
    assert folder == git_project.root / "deep" / OUTPUT_FOLDER
    assert git_project.git("status", "--porcelain", "--untracked-files=all") == ""


def test_an_existing_folder_is_taken_with_what_is_in_it(tmp_path):
    (tmp_path / "kept").write_text("x")
    output_folder(tmp_path)
    output_folder(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"kept"}


def test_the_results_of_an_earlier_run_are_gone_before_the_next_one(tmp_path):
    for name in ("proposal.json", "tests.patch", "session.sqlite"):
        (tmp_path / name).write_text("old")
    output_folder(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"session.sqlite"}


def test_the_page_of_an_earlier_run_is_gone_too_but_not_that_of_another_tool(tmp_path):
    page = tmp_path / "report.html"
    page.write_bytes(render("run.html.jinja", run_page(proposal(), {}, "1.0")))
    output_folder(tmp_path, keep=True)
    assert page.exists()
    output_folder(tmp_path)
    assert not page.exists()
    page.write_text("<!doctype html><title>Report of something else</title>")
    output_folder(tmp_path)
    assert page.exists()
    page.unlink()
    page.mkdir()
    output_folder(tmp_path)


def test_they_stay_where_they_are_to_be_kept(tmp_path):
    (tmp_path / "proposal.json").write_text("old")
    output_folder(tmp_path, keep=True)
    assert (tmp_path / "proposal.json").read_text() == "old"


def test_a_gitignore_that_is_there_is_left_as_it_is(tmp_path):
    (tmp_path / ".gitignore").write_text("mine\n")
    output_folder(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


@pytest.mark.parametrize("place", ["file", "file/inside"])
def test_a_folder_that_cannot_be_made_is_refused_with_advice(tmp_path, place):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match=r"results cannot be written to .*; pass another --out$") as raised:
        output_folder(tmp_path / place)
    assert "\n" not in str(raised.value)


def test_the_proposal_and_its_patch_are_written_and_nothing_else(tmp_path):
    write_proposal(tmp_path, proposal(), FILES)
    assert {path.name for path in tmp_path.iterdir()} == {"proposal.json", "tests.patch"}
    text = (tmp_path / "proposal.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert "a note — é" in text
    assert Proposal.model_validate_json(text) == proposal()
    assert (tmp_path / "tests.patch").read_bytes() == unified_patch(FILES)


def test_a_later_run_takes_the_place_of_an_earlier(tmp_path):
    write_proposal(tmp_path, proposal(), FILES)
    write_proposal(tmp_path, proposal("later"), ())
    assert Proposal.model_validate_json((tmp_path / "proposal.json").read_bytes()).notes == ("later",)
    assert (tmp_path / "tests.patch").read_bytes() == b""


def test_what_could_not_be_written_whole_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UsageError, match="No space left on device; free some room"):
        write_whole(tmp_path / "report.html", b"x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("occupied", ["proposal.json", "tests.patch", "proposal.json.partial"])
def test_a_result_that_cannot_be_written_is_refused_with_advice(tmp_path, occupied):
    (tmp_path / occupied).mkdir()
    (tmp_path / occupied / "file").write_text("x")
    with pytest.raises(UsageError, match=r"cannot be written: .*pass another --out$") as raised:
        write_proposal(tmp_path, proposal(), FILES)
    assert "\n" not in str(raised.value)


def test_an_earlier_result_survives_a_failure_to_write_the_next(tmp_path):
    write_proposal(tmp_path, proposal(), FILES)
    (tmp_path / "proposal.json.partial").mkdir()
    with pytest.raises(UsageError):
        write_proposal(tmp_path, proposal("later"), FILES)
    assert Proposal.model_validate_json((tmp_path / "proposal.json").read_bytes()) == proposal()
