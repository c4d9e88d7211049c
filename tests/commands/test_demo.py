from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.conftest import GitProject

from llm_testgen.cli import main
from llm_testgen.commands.demo import demo_options, make_project
from llm_testgen.commands.models import ModelOptions
from llm_testgen.edges.weights import cache_folder
from llm_testgen.proposal import Proposal
from llm_testgen.settings import Generation

METHODS = {
    "parcel/labels.py::check_digit",
    "parcel/labels.py::service_of",
    "parcel/pricing.py::discount",
    "parcel/pricing.py::format_price",
    "parcel/pricing.py::price",
    "parcel/sizes.py::Parcel.size_class",
    "parcel/sizes.py::parse_size",
}


@pytest.fixture
def project(tmp_path) -> GitProject:
    """The sample project as the demo makes it."""
    make_project(tmp_path / "parcel")
    return GitProject(tmp_path / "parcel")


def sample(part: str) -> dict[str, bytes]:
    with as_file(files("llm_testgen") / "sample" / part) as root:
        found = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def committed(project: GitProject, revision: str) -> dict[str, bytes]:
    names = project.git("ls-tree", "-r", "-z", "--name-only", revision).split("\0")[:-1]
    return {name: project.git("show", f"{revision}:{name}").encode() for name in names}


def run(project: GitProject, *arguments: str) -> str:
    """Run Python in the project as a user does, and give what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [sys.executable, *arguments], cwd=project.root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_project_has_two_commits_with_the_files_of_the_sample(project):
    assert project.git("log", "--format=%s").splitlines() == ["Size classes, discounts and labels", "Parcel 1.0"]
    base, head = sample("base"), sample("head")
    assert committed(project, "HEAD~1") == base
    assert committed(project, "HEAD") == base | head
    assert project.git("status", "--porcelain", "--ignored") == ""


def test_the_second_commit_changes_code_and_no_test(project):
    changed = project.git("diff", "--name-status", "HEAD~1", "HEAD").splitlines()
    assert changed == ["M\tparcel/labels.py", "M\tparcel/pricing.py", "M\tparcel/sizes.py"]


@pytest.mark.parametrize("revision", ["HEAD~1", "HEAD"])
def test_the_tests_of_the_project_pass_at_both_commits(project, revision):
    project.git("checkout", "--quiet", revision)
    assert re.search(r"^4 passed in", run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider"), re.MULTILINE)


def test_most_of_the_change_is_not_covered_at_first(project):
    report = project.root.parent / "diff-cover.json"
    run(project, "-m", "coverage", "run", "--data-file=../data", "--source=parcel", "-m", "pytest", "-q")
    run(project, "-m", "coverage", "xml", "--data-file=../data", "-o", "../coverage.xml")
    command = "from diff_cover.diff_cover_tool import main; main()"
    run(project, "-c", command, "../coverage.xml", "--compare-branch=HEAD~1", f"--format=json:{report}")
    assert json.loads(report.read_text())["total_percent_covered"] < 60


def test_the_demo_asks_for_nothing_but_what_propose_does_by_itself(tmp_path):
    options = demo_options(tmp_path, None)
    assert (options.repo, options.base, options.head, options.out) == (tmp_path, "HEAD~1", "HEAD", None)
    assert (options.model, options.generation) == (ModelOptions(), Generation())
    assert options.python == sys.executable


def proposal_of(out: Path) -> Proposal:
    return Proposal.model_validate_json((out / "proposal.json").read_bytes())


def demo(*arguments: str | Path, **environment: str | None) -> tuple[int, str]:
    """Run ``llm-testgen demo`` and give its exit code and what it printed."""
    result = CliRunner().invoke(main, ["demo", *map(str, arguments)], env=environment)
    return result.exit_code, result.output


def test_a_demo_without_a_model_ends_with_one_line_and_leaves_no_project_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, output = demo("--model", "some/model", "--out", tmp_path / "out", HF_TOKEN=None)
    assert code == 2
    assert output.strip().splitlines()[-1].startswith("llm-testgen: ")
    assert "Traceback" not in output
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.model
def test_the_default_model_raises_the_coverage_of_the_sample_change(tmp_path):
    out = tmp_path / "out"
    code, output = demo("--out", out, LLM_TESTGEN_CACHE=str(cache_folder(os.environ)))
    assert code == 0, output
    proposal = proposal_of(out)
    assert {target.id for target in proposal.targets} <= METHODS
    assert len(proposal.accepted) >= 5
    assert proposal.coverage.after - proposal.coverage.before >= 30
    make_project(tmp_path / "parcel")
    project = GitProject(tmp_path / "parcel")
    project.git("apply", str(out / "tests.patch"))
    passed = re.search(r"^(\d+) passed in", run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider"), re.MULTILINE)
    assert passed
    assert int(passed[1]) >= 4 + len(proposal.accepted)
