from __future__ import annotations

import json
import os
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from llm_testgen.bench import coverup_focus, coverup_suite
from llm_testgen.bench.cover_agent import CoverAgent, find_cover_agent
from llm_testgen.bench.peers import COVERUP_PEER, CoverUp, PeerCase, package_folder
from llm_testgen.bench.projects import requirements
from llm_testgen.errors import UsageError
from llm_testgen.records import ChangedMethod, ChangeStatus, Method, MethodKind, Snapshot, TreeFile

PYTHON = Path("/env/bin/python")
TOOLS = Path("/copy/bin")
FILES = ("single.py", "src/pkg/a.py", "src/pkg/sub/b.py", "src/space/inner/c.py", "tests/test_a.py")


def snapshot(*paths):
    return Snapshot("", tuple(TreeFile(path, path, executable=False) for path in paths), lambda _: b"")


def target(path, *lines):
    method = Method(path, "f", MethodKind.FUNCTION, 1, 9, "def f()", "", "def f():\n    pass")
    return ChangedMethod((method,), frozenset(lines), ChangeStatus.MODIFIED)


def case(*targets, **more):
    known = {"test_folder": "tests", "source_roots": ("", "src"), "python": Path("/project/bin/python")}
    return PeerCase("case", snapshot(*FILES), targets, **{**known, **more})


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("single.py", ""),
        ("src/pkg/a.py", "src/pkg"),
        ("src/pkg/sub/b.py", "src/pkg"),
        ("src/space/inner/c.py", "src/space/inner"),
    ],
)
def test_a_package_begins_where_its_files_do(path, folder):
    assert package_folder(path, case()) == folder


def test_coverup_is_run_on_the_pieces_that_are_wanted_with_a_checkpoint_of_its_own():
    targets = (target("src/pkg/a.py", 3, 2), target("src/pkg/sub/b.py", 7), target("src/pkg/a.py", 5))
    peer = CoverUp(PYTHON, (), prompt="gpt-v1", arguments=("--line-limit", "80"))
    ((dry, focus, real),) = peer.sequences(case(*targets, pytest_arguments=("-o", "filterwarnings=")), TOOLS)
    assert dry[:3] == [str(PYTHON), "-m", "coverup"]
    assert dry[-2:] == real[-2:] == ["src/pkg/a.py", "src/pkg/sub/b.py"]
    assert [argument for argument in dry if argument not in {"--dry-run", "--no-isolate-tests"}] == real
    assert "--no-isolate-tests" in dry
    for options in (
        ["--tests-dir", "tests"],
        ["--package-dir", "src/pkg"],
        ["--prompt", "gpt-v1"],
        ["--max-concurrency", "1"],
        ["--line-limit", "80"],
        ["--checkpoint", focus[3]],
    ):
        assert options in [real[place : place + 2] for place in range(len(real))]
    assert f"--pytest-args=-p coverup_suite --measured-by={focus[3]} -o filterwarnings=" in real
    assert {path.name for path in peer.tools()} == {"coverup_focus.py", "coverup_suite.py"}
    assert focus[:3] == [str(PYTHON), "-I", "/copy/bin/coverup_focus.py"]
    assert json.loads(focus[4]) == {"src/pkg/a.py": [2, 3, 5], "src/pkg/sub/b.py": [7]}
    assert (peer.collected(case()), peer.added(case())) == (("tests/test_coverup_*.py",), {})


def run_pytest(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(Path(coverup_suite.__file__).parent), str(folder)))},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("file", "fails", "counted"),
    [
        ("test_old.py", False, "1 passed, 1 skipped"),
        ("test_lost.py", False, "1 skipped"),
        ("tmp_test_abc.py", True, "1 failed"),
        ("test_coverup_1.py", True, "1 error"),
    ],
)
def test_only_tests_of_the_project_are_excused_when_they_fail(file, fails, counted, tmp_path):
    failing = "def test_wrong():\n    assert 0\n\n\ndef test_right():\n    pass\n"
    unknown = "import not_there\n"
    files = {"test_old.py": failing, "test_lost.py": unknown, "tmp_test_abc.py": failing, "test_coverup_1.py": unknown}
    (tmp_path / file).write_text(files[file])
    done = run_pytest(tmp_path, "-p", "coverup_suite", "-x", file)
    assert (done.returncode in {1, 2}) == fails, done.stdout
    assert counted in done.stdout


@pytest.mark.parametrize(("measured", "counted"), [(False, "2 passed"), (True, "1 passed")])
def test_tests_of_the_project_are_run_until_they_are_measured(measured, counted, tmp_path):
    for name in ("test_old.py", "test_coverup_1.py"):
        (tmp_path / name).write_text("def test_right():\n    pass\n")
    if measured:
        (tmp_path / "checkpoint.json").touch()
    done = run_pytest(tmp_path, "-p", "coverup_suite", "--measured-by=checkpoint.json", ".")
    assert counted in done.stdout


# As pytest-cov begins, with a goal that is never reached.
COV = """
import pytest

def pytest_addoption(parser):
    parser.addoption("--cov", action="append", default=[], dest="cov_source")

class Short:
    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session):
        yield
        session.testsfailed += 1

@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config):
    if early_config.known_args_namespace.cov_source:
        early_config.pluginmanager.register(Short())
"""


@pytest.mark.parametrize("ours", [True, False])
def test_a_goal_of_the_project_for_its_coverage_does_not_count(ours, tmp_path):
    (tmp_path / "like_cov.py").write_text(COV)
    (tmp_path / "test_old.py").write_text("def test_right():\n    pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --cov=. -p like_cov\npythonpath = .\n")
    done = run_pytest(tmp_path, *(["-p", "coverup_suite"] if ours else []))
    assert "1 passed" in done.stdout, done.stderr
    assert done.returncode == (0 if ours else 1)


def test_coverup_takes_one_package_at_a_time():
    targets = (target("src/pkg/a.py", 1), target("single.py", 1))
    first, second = CoverUp(PYTHON, (), focuses=False).sequences(case(*targets), TOOLS)
    assert (first[0][-1], second[0][-1]) == ("src/pkg/a.py", "single.py")
    assert "--package-dir" not in second[0]
    assert "--checkpoint" not in first[0]


def test_the_checkpoint_keeps_what_holds_no_wanted_line_for_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").touch()
    done = {str(tmp_path / "a.py"): [[1, 4], [4, 9], [12, 20]], str(tmp_path / "b.py"): [[1, 9]]}
    state = {"version": 2, "done": done, "counters": {"G": 3}, "coverage": {"files": {}}}
    checkpoint = tmp_path / "c.json"
    checkpoint.write_text(json.dumps(state))
    monkeypatch.setattr(sys, "argv", ["focus", str(checkpoint), json.dumps({"a.py": [4, 12]})])
    runpy.run_path(coverup_focus.__file__, run_name="__main__")
    left = json.loads(checkpoint.read_text())
    assert left == state | {"done": done | {str(tmp_path / "a.py"): [[1, 4]]}, "counters": {"G": 0}}


def test_a_checkpoint_that_is_not_there_is_said_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["focus", str(tmp_path / "none.json"), "{}"])
    with pytest.raises(SystemExit, match="the suite that it is to extend does not end well"):
        runpy.run_path(coverup_focus.__file__, run_name="__main__")


def test_the_environment_of_coverup_has_a_pytest_that_its_plugins_work_with():
    pinned = dict(line.split("==") for line in requirements(COVERUP_PEER).splitlines() if not line.startswith("#"))
    assert pinned["CoverUp"] == CoverUp(PYTHON, ()).version
    assert int(pinned["pytest"].partition(".")[0]) < 9
    assert {"slipcover", "litellm", "pytest-isolate", "pytest-repeat"} <= set(pinned)


def test_the_environment_of_coverup_has_all_that_the_projects_import():
    def packages(environment):
        lines = requirements(environment).splitlines()
        return {line.partition("==")[0].lower() for line in lines if line and not line.startswith("#")}

    assert packages("cases") | packages("changes") <= packages(COVERUP_PEER)


def test_cover_agent_is_told_one_source_and_one_test_file_at_a_time():
    targets = (target("src/pkg/a.py", 3), target("single.py", 1))
    known = case(*targets, test_files={"src/pkg/a.py": "tests/test_a.py"}, pytest_arguments=("-o", "filterwarnings="))
    peer = CoverAgent(Path("/agent/bin/cover-agent"), PYTHON, (), arguments=("--max-iterations", "3"))
    (first,), (second,) = peer.sequences(known, TOOLS)
    options = dict(zip(first[1::2], first[2::2], strict=True))
    assert first[0] == "/agent/bin/cover-agent"
    assert (options["--source-file-path"], options["--test-file-path"]) == ("src/pkg/a.py", "tests/test_a.py")
    assert (options["--api-base"], options["--max-iterations"]) == ("{endpoint}", "3")
    command = shlex.split(options["--test-command"])
    assert command[:4] == ["/project/bin/python", "-m", "pytest", "tests/test_a.py"]
    assert f"--cov-report=xml:{options['--code-coverage-report-path']}" in command
    assert command[-5:-2] == ["-p", "cover_agent_suite", "--failed-before=0-failed-before-cover-agent.json"]
    assert command[-2:] == ["-o", "filterwarnings="]
    assert {path.name for path in peer.tools()} == {"cover_agent_suite.py"}
    assert second[2] == "single.py"
    # It does not begin without a test that passes.
    assert list(peer.added(known)) == ["tests/test_cover_agent_single.py"]
    assert peer.collected(known) == ("tests/test_a.py", "tests/test_cover_agent_single.py")


def test_only_what_failed_before_cover_agent_wrote_is_excused(tmp_path):
    old = tmp_path / "test_old.py"
    old.write_text("def test_wrong():\n    assert 0\n\n\ndef test_right():\n    pass\n")
    ours = ("-p", "cover_agent_suite", "--failed-before=failed.json", "test_old.py")
    first = run_pytest(tmp_path, *ours)
    assert (first.returncode, "1 passed, 1 skipped" in first.stdout) == (0, True), first.stdout
    with old.open("a") as file:
        file.write("\n\ndef test_new():\n    assert 0\n")
    second = run_pytest(tmp_path, *ours)
    assert (second.returncode, "1 failed, 1 passed, 1 skipped" in second.stdout) == (1, True), second.stdout


def test_cover_agent_is_whatever_program_the_user_names(tmp_path):
    program = tmp_path / "env" / "bin" / "cover-agent"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    with pytest.raises(UsageError, match="pip install git"):
        find_cover_agent(program, PYTHON, ())
    program.chmod(0o755)
    assert find_cover_agent(program, PYTHON, (Path("/project"),)).folders == (program, Path("/project"))
    (tmp_path / "env" / "pyvenv.cfg").write_text("home = /opt/python3/bin\nversion = 3.12\n")
    assert find_cover_agent(program, PYTHON, ()).folders == (tmp_path / "env", Path("/opt/python3"))
    link = tmp_path / "bin" / "cover-agent"
    link.parent.mkdir()
    link.symlink_to(program)
    found = find_cover_agent(link, PYTHON, ())
    assert (found.executable, found.folders) == (program, (tmp_path / "env", Path("/opt/python3")))
    with pytest.raises(UsageError, match="is no program"):
        find_cover_agent(tmp_path, PYTHON, ())
