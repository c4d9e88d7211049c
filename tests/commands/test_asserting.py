"""Contracts from what a run found to the proposal, the patch and the terminal."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console
from tests.conftest import GitProject
from tests.project_python import project_python
from tests.samples import SIZES_BASE, SIZES_HEAD, changed_method

from llm_testgen.asserting import Asserted
from llm_testgen.baseline import Baseline
from llm_testgen.cli import main
from llm_testgen.commands.asserting import asserts_proposal, write_asserted
from llm_testgen.commands.output import ASSERTS_PATCH, PROPOSAL, output_folder
from llm_testgen.commands.summary import Telling, print_summary
from llm_testgen.embedding import applied, insertions
from llm_testgen.proposal import Proposal, read_proposal
from llm_testgen.records import Change, Contract, FileCoverage, Mutant, Skip, Spot, TestFile, Upheld, Usage

PATH = "src/pkg/mod.py"
GRADE = changed_method(SIZES_HEAD, "grade", PATH)
METHOD = GRADE.method
RAISES = METHOD.start + 1
SMALL = METHOD.end
UP = Mutant(METHOD, RAISES, "comparison", "x < 0", "x <= 0", METHOD.source)
OVER = Mutant(METHOD, RAISES + 2, "comparison", "x > LIMIT", "x >= LIMIT", METHOD.source)
UPHELD = (
    Upheld(Contract(METHOD, Spot.BEFORE, RAISES, "assert x is not None"), (UP,), (), (OVER,)),
    Upheld(Contract(METHOD, Spot.RETURN, SMALL, "assert len(result) > 1", "result"), (), (OVER,), (UP,)),
)
CHANGE = Change("a" * 40, "b" * 40, (GRADE,), (Skip("setup.py", "no method"),), {PATH: GRADE.lines})
BASELINE = Baseline(CHANGE.changed_lines, {PATH: FileCoverage(GRADE.lines, frozenset({METHOD.start}))})


def found() -> Asserted:
    pieces = insertions(METHOD, [one.contract for one in UPHELD])
    file = TestFile(PATH, SIZES_HEAD, applied(SIZES_HEAD, pieces))
    return Asserted(UPHELD, pieces, (file,), 5, 4, 2, Usage(10, 20, 0.5), "scripted", ("one was dropped",))


def proposed() -> Proposal:
    return asserts_proposal(CHANGE, BASELINE, found(), ["a note"], 3.5)


def told(proposal: Proposal, root: Path) -> str:
    out = io.StringIO()
    print_summary(Console(file=out, width=200), proposal, root / "out", root, Telling(asserts=True))
    return out.getvalue()


def test_the_proposal_holds_each_with_its_proof_and_reads_back():
    proposal = proposed()
    assert read_proposal(proposal.model_dump_json().encode()) == proposal
    first, second = proposal.contracts
    assert (first.target, first.start, first.line, first.model) == (GRADE.id, RAISES, RAISES, "scripted")
    assert first.text == "    assert x is not None\n    if x < 0:"
    assert second.text == '    result = "small"\n    assert len(result) > 1\n    return result'
    (one,), (two,) = first.asserts, second.asserts
    assert [fault.after for fault in one.killed] == ["x <= 0"]
    assert [fault.after for fault in two.earlier] == ["x >= LIMIT"]
    assert (len(one.survived), len(two.survived)) == (1, 1)
    counted = (
        "of 5 assertions that could be tried 4 held in every run, and 2 are kept: what notices no fault, or none that"
        " another one there does not, is left out"
    )
    assert proposal.notes == ("a note", counted, "one was dropped")
    assert proposal.coverage.before == proposal.coverage.after
    assert [target.id for target in proposal.targets] == [GRADE.id]
    assert (proposal.funnel.replies, proposal.usage.tokens_out, proposal.verdicts) == (2, 20, ())


def test_the_patch_is_one_that_git_takes(git_project: GitProject):
    git_project.write(PATH, SIZES_HEAD)
    git_project.commit("head")
    out = output_folder(git_project.root / ".llm-testgen")
    write_asserted(out, proposed(), found())
    git_project.git("apply", str(out / ASSERTS_PATCH))
    assert (git_project.root / PATH).read_text() == found().files[0].after
    assert git_project.git("status", "--porcelain").split() == ["M", PATH]
    assert read_proposal((out / PROPOSAL).read_bytes()).contracts
    output_folder(out)
    assert not (out / ASSERTS_PATCH).exists()


def test_the_summary_shows_each_assertion_with_its_proof_and_how_to_take_them(tmp_path):
    text = told(proposed(), tmp_path)
    assert f"✓ assertions for {GRADE.id}, line {RAISES}" in text
    assert (
        "`assert x is not None` fails with 1 of 2 faults put into the method that no test which was tried notices:"
        f" `x < 0` becoming `x <= 0` in line {RAISES}"
    ) in text
    assert "`assert len(result) > 1` fails with 1 of 2 faults put into the method, which tests notice too" in text
    assert 'result = "small"' in text
    assert f"To take the assertions: git -C {tmp_path} apply {tmp_path}/out/asserts.patch" in text
    assert "2 assertions kept; 10 tokens read" in text
    assert "tests.patch" not in text
    assert "filter by filter" not in text


def test_without_any_it_says_so_and_nothing_of_tests(tmp_path):
    text = told(asserts_proposal(CHANGE, BASELINE, Asserted(), [], 1.0), tmp_path)
    assert "0 assertions kept; " in text
    assert "Diff coverage" not in text


TESTS = 'from pkg.mod import Box, grade\n\n\ndef test_small():\n    assert grade(1) == "small"\n'
OF_GRADE = """```python
def grade(x):
    assert x == x
    assert x >= 0
    if x < 0:
        raise ValueError(x)
    if x > LIMIT:
        assert is_large(x)
        return "large"
    assert x <= LIMIT
    return "small"
```"""
RUNS_GRADE = """```python
import pytest

def test_grade_runs_large():
    grade(12)

def test_grade_runs_negative():
    with pytest.raises(ValueError):
        grade(-1)
```"""
OF_AREA = """```python
class Box:
    def area(self):
        if self.side == 1:
            return 1
        result = self.side ** 2
        assert result >= 3 * self.side
        return result
```"""
RUNS_AREA = "```python\ndef test_box_area_runs():\n    Box(3).area()\n    Box(1).area()\n```"


@pytest.fixture
def project(git_project: GitProject) -> GitProject:
    git_project.write("src/pkg/__init__.py", "")
    git_project.write(PATH, SIZES_BASE)
    git_project.write("tests/test_mod.py", "from pkg.mod import grade\n\n\ndef test_all():\n    assert grade(1)\n")
    git_project.commit("base")
    git_project.write(PATH, SIZES_HEAD)
    git_project.write("tests/test_mod.py", TESTS)
    git_project.commit("head")
    return git_project


def propose(project: GitProject, *arguments: str, expect: int = 0) -> str:
    answers = {GRADE.id: (OF_GRADE, RUNS_GRADE), f"{PATH}::Box.area": (OF_AREA, RUNS_AREA)}
    lines = [{"target": target, "reply": reply} for target, texts in answers.items() for reply in texts]
    replay = project.root.parent / "replies.jsonl"
    replay.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    command = ["propose", "--repo", str(project.root), "--python", project_python(), "--base", "HEAD~1"]
    result = CliRunner().invoke(main, [*command, "--kind", "asserts", "--replay", str(replay), *arguments])
    assert result.exit_code == expect, result.output
    return result.output


def test_asserts_are_proposed_from_the_command_line(project):
    said = propose(project)
    out = project.root / ".llm-testgen"
    proposal = read_proposal((out / PROPOSAL).read_bytes())
    asserts = {one.text: one for record in proposal.contracts for one in record.asserts}
    assert "assert x <= LIMIT" in asserts
    assert "assert result >= 3 * self.side" in asserts
    assert not {"assert x == x", "assert x >= 0", "assert is_large(x)"} & set(asserts)
    assert asserts["assert x <= LIMIT"].earlier
    assert asserts["assert result >= 3 * self.side"].killed
    assert proposal.accepted == ()
    assert "✓ assertions for src/pkg/mod.py::Box.area" in said
    assert project.git("status", "--porcelain") == ""
    project.git("apply", str(out / ASSERTS_PATCH))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONPATH": str(project.root / "src")}
    subprocess.run(command, cwd=project.root, env=environment, capture_output=True, check=True)


def test_without_faults_nothing_can_be_kept(project):
    said = propose(project, "--mutants", "0")
    assert "note: assertions are kept for the faults that they notice: allow some with --mutants" in said
