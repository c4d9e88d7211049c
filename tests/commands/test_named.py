"""Tests for code that a person names, through the command line, with recorded replies in place of a model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.conftest import GitProject
from tests.project_python import project_python
from tests.samples import SIZES_HEAD

from llm_testgen.cli import main
from llm_testgen.proposal import Proposal

MODULE = "src/pkg/mod.py"
BOX = f"{MODULE}::Box"
TESTS = 'from pkg.mod import grade\n\n\ndef test_small():\n    assert grade(1) == "small"\n'
GRADE_REPLY = (
    "def test_large():\n    assert grade(11) == 'large'\n\ndef test_known():\n    assert grade(2) == 'small'\n"
)
AREA_REPLY = "def test_area():\n    assert Box(1).area() == 1\n\ndef test_square():\n    assert Box(3).area() == 9\n"
RED = "\n\ndef test_red():\n    assert False\n"


@pytest.fixture
def project(git_project: GitProject) -> GitProject:
    """A project whose function is tested in part, and whose class is not."""
    git_project.write("src/pkg/__init__.py", "")
    git_project.write(MODULE, SIZES_HEAD)
    git_project.write("tests/test_mod.py", TESTS)
    git_project.commit("all")
    return git_project


def invoke(project: GitProject, *arguments: str, expect: int = 0):
    replies = project.root.parent / "replies.jsonl"
    entries = ((f"{MODULE}::grade", GRADE_REPLY), (f"{BOX}.area", AREA_REPLY))
    replies.write_text("".join(json.dumps({"target": target, "reply": reply}) + "\n" for target, reply in entries))
    options = ["--repo", str(project.root), "--python", project_python(), "--replay", str(replies)]
    result = CliRunner().invoke(main, [*arguments, *options])
    assert result.exit_code == expect, result.output
    return result


def proposed(project: GitProject) -> Proposal:
    return Proposal.model_validate_json((project.root / ".llm-testgen" / "proposal.json").read_bytes())


def accepted(proposal: Proposal) -> set[str]:
    return {proposal.verdicts[index].name for index in proposal.accepted}


def refusal(project: GitProject, *arguments: str) -> str:
    result = invoke(project, *arguments, expect=2)
    line = result.stderr.strip().split("\n")[-1]
    assert line.startswith("llm-testgen: ")
    return line.removeprefix("llm-testgen: ")


def passes(project: GitProject, path: Path | str) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)]
    done = subprocess.run(
        command, cwd=project.root, env={"PYTHONPATH": str(project.root / "src")}, capture_output=True, check=False
    )
    return done.returncode == 0


def test_a_class_gets_tests_and_figures_of_its_own(project):
    before = (project.root / "tests/test_mod.py").read_bytes()
    output = invoke(project, "class", "Box").output
    proposal = proposed(project)
    assert accepted(proposal) == {"test_area", "test_square"}
    assert [target.id for target in proposal.targets] == [f"{BOX}.__init__", f"{BOX}.area"]
    figures = proposal.coverage
    assert (figures.covered_before, figures.covered_after, figures.changed_lines) == (2, 6, 6)
    assert proposal.base == proposal.head
    assert proposal.inline == ()
    assert f"Coverage of {BOX}\n" in output
    assert "Diff coverage" not in output
    assert (project.root / "tests/test_mod.py").read_bytes() == before
    project.git("apply", str(project.root / ".llm-testgen" / "tests.patch"))
    assert passes(project, "tests")


def test_tests_of_a_method_are_written_where_they_belong(project):
    output = invoke(project, "method", "Box", "area", "--write").output
    assert [target.id for target in proposed(project).targets] == [f"{BOX}.area"]
    assert "Written: tests/test_mod.py\n" in output
    assert " apply " not in output
    text = (project.root / "tests/test_mod.py").read_text()
    assert text.startswith("from pkg.mod import grade\n")
    assert "def test_square():" in text
    assert passes(project, "tests")
    assert project.git("diff", "--name-only") == "tests/test_mod.py\n"


def test_a_test_file_with_other_work_in_it_is_left_alone(project):
    project.write("tests/test_mod.py", TESTS + RED)
    result = invoke(project, "method", f"{MODULE}::grade", "--write", expect=2)
    assert result.stderr == (
        "llm-testgen: nothing was written to the checkout:"
        " tests/test_mod.py is not what it was when the tests were run\n"
    )
    assert " apply " in result.stdout
    assert (project.root / "tests/test_mod.py").read_text() == TESTS + RED


def test_accepted_tests_are_printed_as_a_file_and_nothing_else_beside_it(project):
    project.write(MODULE, SIZES_HEAD.replace('"large"', '"big"'))
    result = invoke(project, "class", "pkg.grade", "--print")
    printed = project.write("tests/test_printed.py", result.stdout)
    assert result.stdout.startswith("from pkg.mod import grade\n")
    assert result.stdout.count("def test_") == 1
    assert f"{MODULE} has changes that are not committed and not tested" in result.stderr
    assert "def test_" not in result.stderr
    project.git("checkout", "--", MODULE)
    assert passes(project, printed)


def test_what_is_covered_already_is_told_and_nothing_is_asked(project):
    project.write("tests/test_box.py", f"from pkg.mod import Box\n\n\n{AREA_REPLY}")
    output = invoke(project, "class", "Box", "--worktree").output
    proposal = proposed(project)
    assert (proposal.targets, proposal.funnel.replies, proposal.coverage.before) == ((), 0, 100)
    assert f"Existing tests execute every line of {BOX}: nothing is left to cover." in output
    assert {skip.reason for skip in proposal.skipped} == {"existing tests execute all its lines"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["class", "Boxx"], f"there is no class or function Boxx; the closest: {BOX}; --worktree finds what is not"),
        (["class", "Fresh"], "there is no class or function Fresh; --worktree finds what is not committed"),
        (["method", "Box", "aera"], f"{BOX} has no method aera; the closest: {BOX}.area"),
        (["method", MODULE, "area"], f"there is no method or function area in {MODULE}; the closest: {BOX}.area"),
        (["class", "Fake"], "no tests are made for tests/test_mod.py::Fake: it is test code"),
        (["class", "Made"], "no tests are made for src/pkg/made.py::Made: generated code: its tests belong to what"),
        (["class", "Bare"], "src/pkg/more.py::Bare holds nothing that a test could execute; what it can do comes from"),
        (["class", "Box", "--repo", "/"], "/ is not inside a git repository"),
    ],
)
def test_a_name_that_means_nothing_says_what_to_do(project, arguments, message):
    project.write("tests/test_mod.py", f"{TESTS}\n\nclass Fake:\n    pass\n")
    project.write(".gitattributes", "made.py linguist-generated\n")
    project.write("src/pkg/made.py", "class Made:\n    def f(self):\n        return 1\n")
    project.write("src/pkg/more.py", "from pkg.mod import Box\n\n\nclass Bare(Box):\n    pass\n")
    project.commit("more")
    project.write("src/pkg/fresh.py", "class Fresh:\n    def f(self):\n        return 1\n")
    earlier = project.write(".llm-testgen/proposal.json", "{}")
    result = CliRunner().invoke(main, [*arguments, *([] if "--repo" in arguments else ["--repo", str(project.root)])])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"llm-testgen: {message}")
    assert earlier.read_text() == "{}"
