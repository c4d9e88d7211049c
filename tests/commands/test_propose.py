"""The main job through its command line, with recorded replies in place of a model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.conftest import GitProject
from tests.project_python import project_python
from tests.samples import SIZES_BASE as BASE
from tests.samples import SIZES_HEAD as HEAD

from llm_testgen.cli import main
from llm_testgen.proposal import Proposal
from llm_testgen.stages.prompt import default_templates
from llm_testgen.testfiles import render

TESTS = 'from pkg.mod import grade\n\n\ndef test_small():\n    assert grade(1) == "small"\n'
GRADE = "src/pkg/mod.py::grade"
AREA = "src/pkg/mod.py::Box.area"

GOOD = """```python
import pytest
from pkg.mod import grade

def test_large():
    assert grade(11) == "large"

def test_negative():
    with pytest.raises(ValueError):
        grade(-1)

def test_again():
    assert grade(12) == "large"

def test_wrong():
    assert grade(5) == "huge"

def test_known():
    assert grade(2) == "small"
```"""
HALF_RIGHT = "```python\ndef test_area():\n    assert Box(1).area() == 1\n    assert Box(3).area() == 10\n```"
REST = "```python\ndef test_square():\n    assert Box(3).area() == 9\n```"


@pytest.fixture
def project(git_project: GitProject) -> GitProject:
    git_project.write("src/pkg/__init__.py", "")
    git_project.write("src/pkg/mod.py", BASE)
    git_project.write("tests/test_mod.py", "from pkg.mod import grade\n\n\ndef test_all():\n    assert grade(1)\n")
    git_project.commit("base")
    git_project.write("src/pkg/mod.py", HEAD)
    git_project.write("tests/test_mod.py", TESTS)
    git_project.commit("head")
    return git_project


def replies(project: GitProject, *entries: tuple[str | None, str]) -> Path:
    """A replay file beside the repository."""
    path = project.root.parent / "replies.jsonl"
    path.write_text("".join(json.dumps({"target": target, "reply": reply}) + "\n" for target, reply in entries))
    return path


def invoke(project: GitProject, *arguments: str | Path, expect: int = 0):
    """Run ``llm-testgen propose`` on the project."""
    command = ["propose", "--repo", str(project.root), "--python", project_python(), *map(str, arguments)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == expect, result.output
    return result


def propose(project: GitProject, *arguments: str | Path) -> Proposal:
    if "--base" not in arguments:
        arguments = ("--base", "HEAD~1", *arguments)
    invoke(project, *arguments)
    return Proposal.model_validate_json((project.root / ".llm-testgen" / "proposal.json").read_bytes())


def contents(root: Path) -> dict[str, bytes]:
    paths = (path for path in root.rglob("*") if path.is_file() and ".llm-testgen" not in path.parts)
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def test_the_tests_that_raise_diff_coverage_are_accepted_and_the_others_say_why_not(project):
    before = contents(project.root)
    proposal = propose(project, "--replay", replies(project, (GRADE, GOOD), (AREA, HALF_RIGHT), (AREA, REST)))
    by_name = {verdict.name: verdict for verdict in proposal.verdicts}
    assert {name: str(verdict.outcome) for name, verdict in by_name.items()} == {
        "test_large": "accepted",
        "test_negative": "accepted",
        "test_again": "no_gain",
        "test_wrong": "failing",
        "test_known": "no_gain",
        "test_area": "accepted",
    }
    assert by_name["test_large"].gained == {"src/pkg/mod.py": (10,)}
    assert by_name["test_wrong"].reason == "AssertionError: assert 'small' == 'huge' - huge + small"
    # Without its wrong assertion it would leave a line uncovered, and another prompt would have to be sent.
    assert by_name["test_area"].repairs == ("expected value of `Box(3).area()` taken from a run: 9",)
    assert by_name["test_area"].observed == ("9",)
    assert {proposal.verdicts[index].name for index in proposal.accepted} == {
        "test_large",
        "test_negative",
        "test_area",
    }
    assert all(by_name[name].killed for name in ("test_large", "test_negative", "test_area"))
    assert {name: str(by_name[name].label) for name in ("test_large", "test_area")} == dict.fromkeys(
        ("test_large", "test_area"), "pins"
    )
    assert [target.id for target in proposal.targets] == [GRADE, "src/pkg/mod.py::Box.__init__", AREA]
    funnel = proposal.funnel
    assert (funnel.replies, funnel.candidates, funnel.built, funnel.passed, funnel.stable) == (2, 6, 6, 5, 5)
    assert (funnel.gained, funnel.accepted) == (4, 3)
    figures = proposal.coverage
    assert figures.after == 100
    assert figures.covered_after == figures.changed_lines
    assert figures.before == round(100 * figures.covered_before / figures.changed_lines, 2)
    assert contents(project.root) == before
    assert project.git("status", "--porcelain") == ""


def test_a_smoke_test_runs_what_it_need_not_claim_anything_of(project):
    reply = """```python
def test_large():
    assert grade(11) == "huge"

def test_negative():
    grade(-1)
```"""
    proposal = propose(project, "--kind", "smoke", "--replay", replies(project, (GRADE, reply)))
    found = {verdict.name: verdict.code.rpartition("def ")[2] for verdict in proposal.verdicts}
    assert found["test_large"] == "test_large():\n    grade(11)\n"
    assert "with pytest.raises(ValueError):\n        grade(-1)" in found["test_negative"]
    assert len(proposal.accepted) == 2
    assert {proposal.verdicts[index].observed for index in proposal.accepted} == {(), ("ValueError",)}


def test_each_accepted_test_is_told_by_itself_and_suggested_where_the_diff_shows_its_file(project):
    proposal = propose(project, "--replay", replies(project, (GRADE, GOOD), (AREA, REST)))
    (file,) = proposal.files
    assert {proposal.verdicts[index].name for index in proposal.accepted} >= {"test_large", "test_negative"}
    assert [suggestion.verdict for suggestion in proposal.suggestions] == list(proposal.accepted)
    assert file.after == render(file.before, proposal.suggestions)
    for suggestion in proposal.suggestions:
        (project.root / "tests/test_mod.py").write_text(render(file.before, [suggestion]))
        test = f"tests/test_mod.py::{suggestion.name}"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
        environment = os.environ | {"PYTHONPATH": str(project.root / "src")}
        done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    suggested = [index for inline in proposal.inline for index in inline.suggestions]
    assert sorted(suggested) == list(range(len(proposal.suggestions)))
    for inline in proposal.inline:
        assert inline.path == "tests/test_mod.py"
        assert 1 <= inline.start <= inline.line <= TESTS.count("\n")
    assert all(verdict.seconds > 0 for verdict in proposal.verdicts if verdict.outcome == "accepted")


def test_the_patch_applies_and_gives_what_diff_cover_measures(project):
    proposal = propose(project, "--replay", replies(project, (GRADE, GOOD), (AREA, REST)))
    assert diff_cover(project) == (proposal.coverage.before, proposal.coverage.changed_lines)
    project.git("apply", "--check", str(project.root / ".llm-testgen" / "tests.patch"))
    project.git("apply", str(project.root / ".llm-testgen" / "tests.patch"))
    assert diff_cover(project) == (proposal.coverage.after, proposal.coverage.changed_lines)
    assert proposal.coverage.after > proposal.coverage.before


def diff_cover(project: GitProject) -> tuple[float, int]:
    """What coverage and diff-cover print, run as a user runs them: the percentage and the lines that it is of."""
    environment = {**os.environ, "PYTHONPATH": str(project.root / "src")}
    report = project.root.parent / "diff-cover.json"
    for command in (
        [
            "-m",
            "coverage",
            "run",
            "--data-file",
            "../coverage",
            "--source",
            "src",
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
        ],
        ["-m", "coverage", "xml", "--data-file", "../coverage", "-o", "../coverage.xml"],
        [
            "-c",
            "from diff_cover.diff_cover_tool import main; main()",
            "../coverage.xml",
            "--compare-branch",
            "HEAD~1",
            "--total-percent-float",
            "--format",
            f"json:{report}",
        ],
    ):
        subprocess.run([sys.executable, *command], cwd=project.root, env=environment, check=True, capture_output=True)
    figures = json.loads(report.read_text())
    return figures["total_percent_covered"], figures["total_num_lines"]


def test_tests_go_into_the_existing_test_file_with_what_they_import(project):
    proposal = propose(project, "--replay", replies(project, (GRADE, GOOD)))
    (file,) = proposal.files
    assert file.path == "tests/test_mod.py"
    assert file.before == TESTS
    assert file.after.startswith("from pkg.mod import grade\nimport pytest\n")
    assert file.after.count("import grade") == 1


def test_coverage_recorded_elsewhere_saves_running_the_suite(project):
    diff_cover(project)
    project.write("tests/test_mod.py", TESTS + "\n\ndef test_slow():\n    raise RuntimeError('the suite was run')\n")
    project.commit("more tests")
    result = propose(
        project,
        "--base",
        "HEAD~2",
        "--coverage",
        project.root.parent / "coverage.xml",
        "--replay",
        replies(project, (GRADE, GOOD)),
    )
    assert result.funnel.accepted == 2
    assert not any("fail already" in note for note in result.notes)


@pytest.mark.parametrize("form", ["coverage", "coverage.xml"])
def test_recorded_coverage_gives_the_same_figures_as_running_the_suite(project, form):
    run = propose(project, "--replay", replies(project))
    diff_cover(project)
    read = propose(project, "--coverage", project.root.parent / form, "--replay", replies(project))
    assert read.coverage == run.coverage


def test_uncommitted_work_is_tested_with_worktree(project):
    project.write("src/pkg/mod.py", HEAD + "\n\ndef more(x):\n    return x + 1\n")
    project.write("src/pkg/new.py", "def fresh(x):\n    return x\n")
    entries = (
        ("src/pkg/mod.py::more", "def test_more():\n    assert more(1) == 2\n"),
        ("src/pkg/new.py::fresh", "def test_fresh():\n    assert fresh(1) == 1\n"),
    )
    proposal = propose(project, "--base", "HEAD", "--worktree", "--replay", replies(project, *entries))
    assert proposal.worktree
    assert proposal.inline == ()
    assert [target.id for target in proposal.targets] == ["src/pkg/mod.py::more", "src/pkg/new.py::fresh"]
    assert proposal.funnel.accepted == 2


def test_a_suite_that_is_partly_red_is_said_and_does_not_stop_the_run(project):
    project.write("tests/test_red.py", "def test_red():\n    assert 1 == 2\n")
    project.commit("red")
    proposal = propose(project, "--base", "HEAD~2", "--replay", replies(project, (GRADE, GOOD)))
    assert proposal.funnel.accepted == 2
    assert any(note.startswith("1 of the project's 2 tests fail already") for note in proposal.notes)


def test_a_suite_that_cannot_run_is_said_and_does_not_stop_the_run(project):
    project.write("tests/test_mod.py", "import no_such_module\n\ndef test_it():\n    pass\n")
    project.commit("broken")
    proposal = propose(project, "--base", "HEAD~2", "--replay", replies(project, (GRADE, GOOD)))
    assert proposal.coverage.covered_before == 0
    assert any("fail already" in note for note in proposal.notes)
    assert proposal.verdicts


def test_what_existing_tests_cover_already_is_left_out_with_the_reason(project):
    project.write(
        "tests/test_all.py",
        "import pytest\nfrom pkg.mod import Box, grade\n\ndef test_all():\n    assert grade(11)\n    assert Box(1).area() + Box(2).area() == 5\n    with pytest.raises(ValueError):\n        grade(-1)\n",
    )
    project.commit("all")
    proposal = propose(project, "--base", "HEAD~2", "--replay", replies(project))
    assert proposal.targets == ()
    assert proposal.coverage.before == proposal.coverage.after == 100
    assert {skip.reason for skip in proposal.skipped} == {"existing tests execute all its changed lines"}


def test_no_more_tests_are_accepted_than_asked_for(project):
    proposal = propose(project, "--max-tests", "1", "--replay", replies(project, (GRADE, GOOD)))
    assert len(proposal.accepted) == 1


def test_the_token_budget_stops_the_run_and_is_said(project):
    proposal = propose(project, "--max-tokens", "10", "--replay", replies(project, (GRADE, GOOD)))
    assert proposal.funnel.replies == 0
    assert "the token budget is spent: not everything was tried" in proposal.notes


def test_the_deadline_stops_the_run_and_is_said(project):
    hanging = "import time\n\ndef test_hangs():\n    time.sleep(600)\n"
    proposal = propose(project, "--deadline", "12", "--timeout", "300", "--replay", replies(project, (GRADE, hanging)))
    assert "the deadline passed: not everything was tried" in proposal.notes
    assert proposal.usage.total_seconds < 60


def test_a_candidate_that_hangs_is_an_ordinary_verdict(project):
    hanging = "def test_hangs():\n    while True:\n        pass\n"
    (verdict,) = propose(
        project, "--timeout", "2", "--attempts", "1", "--replay", replies(project, (GRADE, hanging))
    ).verdicts
    assert (str(verdict.outcome), verdict.reason) == ("failing", "TimeoutError: did not end within 2 s")


def test_a_flaky_candidate_is_refused(project):
    letters = "list({'a', 'b', 'c', 'd', 'e', 'f', 'g'})"
    command = [sys.executable, "-c", f"print({letters})"]
    first = subprocess.run(command, env={"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=True)
    flaky = f"def test_order():\n    assert grade(11)\n    assert {letters} == {first.stdout.strip()}\n"
    (verdict,) = propose(project, "--attempts", "1", "--replay", replies(project, (GRADE, flaky))).verdicts
    assert str(verdict.outcome) == "flaky"


def test_a_test_after_which_another_fails_is_refused(project):
    setter = "import pkg.mod\n\ndef test_sets():\n    pkg.mod.LIMIT = 0\n    assert Box(3).area() == 9\n"
    getter = "def test_reads():\n    import pkg.mod\n    assert pkg.mod.LIMIT == 10\n    assert grade(11) == 'large'\n"
    proposal = propose(project, "--attempts", "1", "--replay", replies(project, (AREA, setter), (GRADE, getter)))
    outcomes = {verdict.name: str(verdict.outcome) for verdict in proposal.verdicts if verdict.name}
    assert outcomes == {"test_sets": "flaky", "test_reads": "accepted"}
    assert "test_sets" not in proposal.files[0].after
    (reason,) = (verdict.reason for verdict in proposal.verdicts if verdict.name == "test_sets")
    assert reason.startswith("after it test_reads fails: AssertionError: assert 0 == 10")


def test_a_record_is_a_replay(project):
    recording = project.root.parent / "recording.jsonl"
    first = propose(project, "--record", recording, "--replay", replies(project, (GRADE, GOOD), (None, REST)))
    (project.root / ".llm-testgen" / "session.sqlite").unlink()
    second = propose(project, "--replay", recording)
    timeless = [[verdict.model_copy(update={"seconds": 0}) for verdict in run.verdicts] for run in (first, second)]
    assert timeless[0] == timeless[1]


def test_a_replay_answers_from_its_file_and_not_from_an_earlier_run(project):
    propose(project, "--replay", replies(project, (GRADE, GOOD)))
    again = propose(project, "--replay", replies(project, (GRADE, "no test at all")))
    assert [str(verdict.outcome) for verdict in again.verdicts] == ["unparsable"]


def test_an_existing_test_file_that_cannot_be_read_is_never_overwritten(project):
    project.write("tests/test_mod.py", f"# coding: latin-1\n# caf\xe9\n{TESTS}".encode("latin-1"))
    project.commit("latin")
    proposal = propose(project, "--base", "HEAD~2", "--replay", replies(project, (GRADE, GOOD)))
    assert [file.path for file in proposal.files] == ["tests/test_mod_generated.py"]
    project.git("apply", "--check", str(project.root / ".llm-testgen" / "tests.patch"))


def test_tests_go_beside_a_test_file_that_cannot_be_run(project):
    project.write("tests/test_mod.py", "import no_such_module\n\ndef test_it():\n    pass\n")
    project.commit("red")
    proposal = propose(project, "--base", "HEAD~2", "--replay", replies(project, (GRADE, GOOD)))
    assert [file.path for file in proposal.files] == ["tests/test_mod_generated.py"]
    assert proposal.funnel.accepted > 0


def test_a_project_in_a_folder_of_the_repository_is_confirmed_by_its_own_names(git_project):
    for path, text in (("src/pkg/__init__.py", ""), ("pytest.ini", "[pytest]\n"), ("tests/test_mod.py", TESTS)):
        git_project.write(f"services/api/{path}", text)
    git_project.write("services/api/src/pkg/mod.py", BASE)
    git_project.commit("base")
    git_project.write("services/api/src/pkg/mod.py", HEAD)
    git_project.commit("head")
    together = "def test_alone():\n    assert grade(11) == 'large'\n    assert 'test_small' not in globals()\n"
    proposal = propose(git_project, "--replay", replies(git_project, (f"services/api/{GRADE}", together)))
    assert [str(verdict.outcome) for verdict in proposal.verdicts] == ["unconfirmed"]


@pytest.mark.parametrize(
    "options",
    ["--junitxml=report.xml --ff -p no:warnings --strict-markers", "-m unit tests", "-k small", "--lf -x"],
)
def test_what_the_project_adds_to_its_pytest_command_keeps_no_candidate_from_running(project, options):
    markers = "markers =\n    unit: fast\nlog_file = logs/tests.log\n"
    project.write("pytest.ini", f"[pytest]\naddopts = {options}\n{markers}")
    project.commit("ini")
    proposal = propose(project, "--base", "HEAD~2", "--attempts", "1", "--replay", replies(project, (GRADE, GOOD)))
    assert proposal.funnel.accepted >= 2


@pytest.mark.parametrize("folder", ["/absolute", "../beside"])
def test_a_test_folder_outside_the_repository(project, folder):
    assert "leads out of the repository" in refusal(project, "--base", "HEAD~1", "--test-folder", folder)


@pytest.mark.parametrize("seconds", ["inf", "nan", "0"])
def test_a_time_that_is_none(project, seconds):
    result = invoke(project, "--timeout", seconds, expect=2)
    assert "Invalid value for '--timeout'" in result.stderr


def test_a_template_that_fails_while_it_is_rendered(project, tmp_path):
    folder = tmp_path / "prompts"
    shutil.copytree(default_templates(), folder)
    (folder / "generate.jinja").write_text("{{ 1 // 0 }}")
    line = refusal(project, "--base", "HEAD~1", "--prompts", folder, "--replay", replies(project, (GRADE, GOOD)))
    assert "cannot be rendered" in line


def test_an_out_folder_that_was_there_is_not_hidden_from_git(project):
    invoke(project, "--base", "HEAD~1", "--out", project.root, "--replay", replies(project, (GRADE, GOOD)))
    assert not (project.root / ".gitignore").exists()


def test_a_stale_ignored_file_does_not_stand_in_for_a_tracked_one(project):
    project.git("checkout", "-q", "-b", "feature")
    project.write("src/pkg/gen.py", "VALUE = 'tracked'\n")
    project.commit("gen")
    project.git("checkout", "-q", "main")
    project.write(".gitignore", "gen.py\n")
    project.commit("ignore")
    project.write("src/pkg/gen.py", "VALUE = 'stale'\n")
    reply = "def test_it():\n    from pkg.gen import VALUE\n    assert VALUE == 'tracked'\n    assert grade(11) == 'large'\n"
    proposal = propose(
        project,
        "--head",
        "feature",
        "--base",
        "HEAD~2",
        "--attempts",
        "1",
        "--replay",
        replies(project, (GRADE, reply)),
    )
    assert [str(verdict.outcome) for verdict in proposal.verdicts if verdict.target == GRADE] == ["accepted"]


def test_the_summary_shows_the_funnel_the_tests_and_the_figures(project):
    output = invoke(project, "--base", "HEAD~1", "--replay", replies(project, (GRADE, GOOD))).output
    for part in ("src/pkg/mod.py::grade", "accepted", "def test_large():", "Diff coverage", " apply ", "1 failing"):
        assert part in output
    assert "\x1b[" not in output


def test_results_go_where_out_says(project, tmp_path):
    out = tmp_path / "elsewhere"
    invoke(project, "--base", "HEAD~1", "--out", out, "--replay", replies(project, (GRADE, GOOD)))
    assert {path.name for path in out.iterdir()} == {".gitignore", "proposal.json", "session.sqlite", "tests.patch"}
    assert not (project.root / ".llm-testgen").exists()


def refusal(project: GitProject, *arguments: str | Path) -> str:
    """The one line that a request which cannot be carried out is answered with."""
    result = invoke(project, *arguments, expect=2)
    (line,) = result.stderr.strip().split("\n")[-1:]
    assert line.startswith("llm-testgen: ")
    assert "Traceback" not in result.output
    return line.removeprefix("llm-testgen: ")


def test_no_repository(tmp_path):
    assert "is not inside a git repository" in refusal(GitProject(tmp_path))


def test_unknown_revision(project):
    line = refusal(project, "--base", "no-such-branch")
    assert "no-such-branch" in line


def test_no_changed_method(project):
    project.write("README.md", "x")
    project.commit("docs")
    assert refusal(project, "--base", "HEAD~1").startswith("no changed method between ")


def test_no_tests_at_all(project):
    project.delete("tests/test_mod.py")
    project.commit("no tests")
    line = refusal(project, "--base", "HEAD~2", "--replay", replies(project))
    assert line == "the project has no tests yet: pass --test-folder tests to say where the first ones go"


def test_the_first_tests_of_a_project_go_where_it_says(project):
    project.delete("tests/test_mod.py")
    project.commit("no tests")
    proposal = propose(
        project, "--base", "HEAD~2", "--test-folder", "checks", "--replay", replies(project, (GRADE, GOOD))
    )
    assert [file.path for file in proposal.files] == ["checks/test_mod.py"]
    assert proposal.coverage.covered_before == 0


def test_no_pytest_in_the_interpreter(project, tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    assert "has no pytest: run" in refusal(project, "--base", "HEAD~1", "--python", bare)


def test_no_interpreter(project):
    assert "no Python interpreter at" in refusal(project, "--base", "HEAD~1", "--python", "/no/such/python")


@pytest.mark.parametrize("content", [b"", b"not coverage", b"<coverage>", b"\x00\x01\x02"])
def test_an_unreadable_coverage_file(project, tmp_path, content):
    (tmp_path / "given").write_bytes(content)
    assert "given" in refusal(
        project, "--base", "HEAD~1", "--coverage", tmp_path / "given", "--replay", replies(project)
    )


def test_a_coverage_file_that_is_not_there(project, tmp_path):
    assert "none.xml" in refusal(
        project, "--base", "HEAD~1", "--coverage", tmp_path / "none.xml", "--replay", replies(project)
    )


@pytest.mark.parametrize("line", ["{", '{"reply": 3}', '{"target": "x"}', "[]"])
def test_a_wrong_replay_line(project, line):
    path = replies(project, (GRADE, GOOD))
    path.write_text(path.read_text() + line + "\n")
    assert "replies.jsonl:2: " in refusal(project, "--base", "HEAD~1", "--replay", path)


def test_a_folder_of_prompts_that_is_none(project, tmp_path):
    assert "has no template" in refusal(project, "--base", "HEAD~1", "--prompts", tmp_path)


def test_a_session_that_is_no_database(project, tmp_path):
    (tmp_path / "session.sqlite").write_text("this is no database, it is some text " * 100)
    assert "session.sqlite" in refusal(project, "--base", "HEAD~1", "--out", tmp_path, "--replay", replies(project))


def test_an_out_folder_that_cannot_be_made(project, tmp_path):
    (tmp_path / "file").write_text("x")
    assert "pass another --out" in refusal(project, "--base", "HEAD~1", "--out", tmp_path / "file" / "out")
