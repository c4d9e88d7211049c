from __future__ import annotations

import asyncio
import os
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.project_python import project_python
from tests.samples import changed_method, prompt, reply

from llm_testgen.edges.git import Repository
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.records import Candidate, Ending
from llm_testgen.runner.base import Limits, Project
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.interpreter import find_python, inspect
from llm_testgen.runner.launcher import Confinement
from llm_testgen.runner.sandbox import detect

PYTHON = Path(project_python())
SOURCE = "import math\n\n\ndef area(r):\n    if r < 0:\n        raise ValueError(r)\n    return math.pi * r * r\n"
OLD_TESTS = "from pkg.mod import area\n\n\ndef test_zero():\n    assert area(0) == 0\n"
ENVIRON = {"PATH": os.environ["PATH"], "HF_TOKEN": "secret", "GITHUB_TOKEN": "secret"}


@pytest.fixture
def project(git_project):
    git_project.write("src/pkg/__init__.py", "")
    git_project.write("src/pkg/mod.py", SOURCE)
    git_project.write("src/pkg/unused.py", "x = 1\n")
    git_project.write("tests/test_mod.py", OLD_TESTS)
    git_project.commit()
    return git_project


def run(  # noqa: PLR0913 - each by its name
    project,
    action,
    *,
    limits: Limits | None = None,
    measured=("src/pkg/mod.py", "src/pkg/unused.py"),
    interpreter=None,
    confinement: Confinement | None = None,
):
    """Do something with a runner of the project's HEAD, and close it."""

    async def act():
        snapshot = Repository.open(project.root).snapshot("HEAD")
        found = interpreter or inspect(PYTHON, ENVIRON)
        runner = ColdRunner(
            Project(snapshot, {}, ("src",), measured, "tests"),
            found,
            confinement or detect(found, ENVIRON).confinement,
            limits or Limits(seconds=20),
            ENVIRON,
        )
        try:
            return await action(runner)
        finally:
            await runner.close()
            assert not runner.home.exists()

    return asyncio.run(act())


def candidate(code: str, test_path: str = "tests/test_mod.py") -> Candidate:
    answer = replace(reply(code), prompt=prompt(changed_method(), test_path=test_path))
    return Candidate(answer, "test_it", textwrap.dedent(code))


def run_candidate(project, code: str, **options):
    return run(project, lambda runner: runner.run_candidate(candidate(code), hash_seed=0), **options)


def test_a_passing_candidate_reports_the_lines_that_it_executes(project):
    result = run_candidate(project, "from pkg.mod import area\n\ndef test_it():\n    assert area(1) > 3\n")
    assert result.ending is Ending.PASSED
    assert result.failure is None
    assert result.covered == {"src/pkg/mod.py": frozenset({1, 4, 5, 7})}


def test_a_failing_candidate_says_what_failed_and_where(project):
    result = run_candidate(project, "from pkg.mod import area\n\ndef test_it():\n    x = area(0)\n    assert x == 5\n")
    assert result.ending is Ending.FAILED
    assert (result.failure.kind, result.failure.line, result.failure.phase) == ("AssertionError", 5, "call")
    assert result.failure.message.startswith("assert 0.0 == 5")


def test_an_exception_in_the_project_is_traced_to_the_line_of_the_candidate(project):
    result = run_candidate(project, "from pkg.mod import area\n\ndef test_it():\n    area(-1)\n")
    assert (result.failure.kind, result.failure.line) == ("ValueError", 4)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("from pkg.mod import volume\n\ndef test_it(): pass\n", "ImportError"),
        ("import no_such_module\n\ndef test_it(): pass\n", "ModuleNotFoundError"),
        ("x = undefined\n\ndef test_it(): pass\n", "NameError"),
        ("def test_it(:\n", "SyntaxError"),
        ("x = 1\n", "PytestError"),
    ],
)
def test_what_cannot_be_collected_says_why(project, code, kind):
    result = run_candidate(project, code)
    assert result.ending is Ending.NOT_COLLECTED
    assert result.failure.kind == kind


def test_a_missing_fixture_is_a_failure(project):
    result = run_candidate(project, "def test_it(nothing_of_that_name):\n    pass\n")
    assert result.ending is Ending.FAILED
    assert "nothing_of_that_name" in result.failure.message


def test_a_skipped_candidate_has_not_passed(project):
    assert run_candidate(project, "import pytest\n\ndef test_it():\n    pytest.skip('no')\n").ending is Ending.SKIPPED


def test_a_failing_teardown_is_a_failure(project):
    code = "import pytest\n\n@pytest.fixture\ndef box():\n    yield 1\n    raise RuntimeError\n\ndef test_it(box):\n    assert box\n"
    assert run_candidate(project, code).ending is Ending.FAILED


def test_a_candidate_that_hangs_is_ended_at_its_deadline_with_its_children(project):
    code = """
        import subprocess, sys, time

        def test_it():
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)  # llm-testgen-straggler"])
            while True:
                try:
                    time.sleep(60)
                except BaseException:
                    pass
    """
    started = time.monotonic()
    result = run_candidate(project, code, limits=Limits(seconds=2))
    assert result.ending is Ending.TIMEOUT
    assert time.monotonic() - started < 15
    assert not _processes_with("llm-testgen-straggler")


def _processes_with(text: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if text.encode() in command:
            found.append(path.parent.name)
    return found


@pytest.mark.parametrize("ending", ["os._exit(0)", "os.kill(os.getpid(), 9)", "sys.exit(0)", "os.abort()"])
def test_a_candidate_that_ends_its_process_has_not_passed(project, ending):
    result = run_candidate(project, f"import os\nimport sys\n\ndef test_it():\n    {ending}\n")
    assert result.ending in {Ending.CRASHED, Ending.FAILED, Ending.NOT_COLLECTED}


def test_a_flood_of_output_does_no_harm(project):
    code = "def test_it():\n    for _ in range(200):\n        print('x' * 100_000)\n"
    assert run_candidate(project, code).ending is Ending.PASSED


def test_memory_is_bounded(project):
    result = run_candidate(project, "def test_it():\n    bytearray(3 << 30)\n", limits=Limits(memory=2 << 30))
    assert result.failure.kind == "MemoryError"


def test_no_secret_of_the_bot_reaches_a_candidate(project):
    code = (
        "import os\n\ndef test_it():\n    assert 'secret' not in os.environ.values()\n    assert 'PATH' in os.environ\n"
    )
    assert run_candidate(project, code).ending is Ending.PASSED


def test_home_and_temporary_folder_are_a_candidates_own(project):
    code = """
        import pathlib, tempfile

        def test_it():
            pathlib.Path.home().joinpath("mine").write_text("x")
            with tempfile.NamedTemporaryFile() as file:
                file.write(b"x")
            assert not pathlib.Path.home().joinpath("other").exists()
    """
    assert run_candidate(project, code).ending is Ending.PASSED


ATTACKS = {
    "overwrite a source": "open('src/pkg/mod.py', 'w').write('gone')",
    "delete the tree": "__import__('shutil').rmtree('.', ignore_errors=True)",
    "write beside the tree": "open('../left', 'w').write('x')",
    "overwrite the checkout": "open({file!r}, 'w').write('gone')",
    "delete the checkout": "__import__('shutil').rmtree({root!r}, ignore_errors=True)",
    "rename in the checkout": "__import__('os').rename({file!r}, {file!r} + '.moved')",
    "truncate in the checkout": "__import__('os').truncate({file!r}, 0)",
    "add to the checkout": "open({root!r} + '/new.py', 'w').write('x')",
    "link into the checkout": "__import__('os').link({file!r}, {root!r} + '/linked.py')",
    "from a child process": "__import__('subprocess').run(['sh', '-c', 'echo gone > ' + {file!r}])",
    "in the git folder": "open({root!r} + '/.git/config', 'a').write('[x]')",
    "by a symlink from its own folder": (
        "__import__('os').symlink({file!r}, __import__('os').environ['TMPDIR'] + '/l');"
        " open(__import__('os').environ['TMPDIR'] + '/l', 'w').write('gone')"
    ),
}


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_the_checkout_is_byte_for_byte_what_it_was_whatever_a_candidate_does(project, attack):
    before = contents(project.root)
    action = attack.format(file=str(project.root / "src/pkg/mod.py"), root=str(project.root))
    code = f"def test_it():\n    try:\n        {action}\n    except OSError:\n        pass\n"

    async def attack_then_run_another(runner):
        await runner.run_candidate(candidate(code), hash_seed=0)
        honest = "from pkg.mod import area\n\ndef test_it():\n    assert area(0) == 0\n"
        return await runner.run_candidate(candidate(honest), hash_seed=0)

    assert run(project, attack_then_run_another).ending is Ending.PASSED
    assert contents(project.root) == before


def test_the_suite_is_run_as_the_project_configures_it(project):
    project.write("pyproject.toml", '[tool.pytest.ini_options]\ntestpaths = ["tests"]\naddopts = "-x -q"\n')
    project.write("elsewhere/test_not_run.py", "def test_it():\n    assert False\n")
    project.commit()
    suite = run(project, lambda runner: runner.run_suite())
    assert (suite.passed, suite.failed, suite.problem) == (1, 0, "")
    assert suite.coverage["src/pkg/mod.py"].executed == {1, 4, 5, 7}
    assert suite.coverage["src/pkg/mod.py"].statements == {1, 4, 5, 6, 7}


@pytest.mark.parametrize("confinement", [None, Confinement()], ids=["as it is here", "unconfined"])
def test_the_suite_can_be_run_with_other_files_and_then_again_as_it_was(project, confinement):
    broken = {"src/pkg/mod.py": "raise RuntimeError('other')\n"}

    async def with_and_without(runner):
        return await runner.run_suite(broken), await runner.run_suite()

    other, own = run(project, with_and_without, confinement=confinement)
    assert (other.passed, {failure.message for failure in other.failures}) == (0, {"other"})
    assert (own.passed, own.failed, own.problem) == (1, 0, "")


def test_a_file_that_no_test_imports_is_measured_too(project):
    suite = run(project, lambda runner: runner.run_suite())
    assert suite.coverage["src/pkg/unused.py"].statements == {1}
    assert suite.coverage["src/pkg/unused.py"].executed == frozenset()


def test_a_suite_that_is_partly_red_is_run_to_its_end(project):
    project.write("tests/test_a_red.py", "def test_red():\n    assert 1 == 2\n")
    project.write("tests/test_b_broken.py", "import no_such_module\n")
    project.commit()
    suite = run(project, lambda runner: runner.run_suite())
    assert (suite.passed, suite.failed) == (1, 2)
    assert {failure.kind for failure in suite.failures} == {"AssertionError", "ModuleNotFoundError"}
    assert suite.failed_tests == {"tests/test_a_red.py::test_red"}


def test_a_suite_that_cannot_run_at_all_says_why(project):
    project.write("conftest.py", "raise RuntimeError('no database')\n")
    project.commit()
    suite = run(project, lambda runner: runner.run_suite())
    assert suite.passed == 0
    assert "no database" in suite.problem


@pytest.mark.parametrize(
    ("files", "concession", "problem"),
    [
        ({}, "", ""),
        ({"tests/conftest.py": "raise RuntimeError('no database')\n"}, "conftest.py", "no database"),
        ({"conftest.py": "def pytest_ignore_collect(path):\n    pass\n"}, "conftest.py", "pytest_ignore_collect"),
        ({"pytest.ini": "[pytest]\naddopts = --no-such-option\n"}, "addopts", "--no-such-option"),
        (
            {"pytest.ini": "[pytest]\naddopts = --no-such-option\n", "conftest.py": "1 / 0\n"},
            "conftest.py and addopts",
            "rror",
        ),
    ],
)
def test_what_keeps_pytest_from_running_at_all_is_done_without(project, files, concession, problem):
    for path, text in files.items():
        project.write(path, text)
    project.commit()

    async def prepare_and_run(runner):
        return await runner.prepare(), await runner.run_suite()

    ready, suite = run(project, prepare_and_run)
    assert ready.concession == concession
    assert problem in ready.problem
    assert ready.statements["src/pkg/mod.py"].statements == {1, 4, 5, 6, 7}
    assert suite.passed == 1


def test_a_project_in_which_pytest_cannot_run_anything_says_why(project):
    project.write("tests/__init__.py", "raise RuntimeError('never')\n")
    project.commit()
    ready = run(project, lambda runner: runner.prepare())
    assert (ready.statements, ready.concession) == ({}, "")
    assert "never" in ready.problem


def test_a_suite_that_takes_too_long_reports_what_it_covered_so_far(project):
    project.write("tests/test_z_slow.py", "import time\n\ndef test_slow():\n    time.sleep(600)\n")
    project.commit()
    suite = run(project, lambda runner: runner.run_suite(), limits=Limits(suite_seconds=6))
    assert suite.problem == "stopped after 6 s"
    assert 7 in suite.coverage["src/pkg/mod.py"].executed


def test_lines_that_the_project_excludes_from_coverage_do_not_count(project):
    project.write("pyproject.toml", '[tool.coverage.report]\nexclude_also = ["raise ValueError"]\n')
    project.commit()
    suite = run(project, lambda runner: runner.run_suite())
    assert 6 not in suite.coverage["src/pkg/mod.py"].statements


def test_files_that_the_project_omits_from_coverage_are_not_measured(project):
    project.write("pyproject.toml", '[tool.coverage.run]\nomit = ["*/unused.py"]\n')
    project.commit()
    assert set(run(project, lambda runner: runner.run_suite()).coverage) == {"src/pkg/mod.py"}


def test_what_the_suite_wrote_into_its_copy_is_gone_afterwards(project):
    project.write(
        "tests/test_writes.py",
        "def test_it():\n    open('src/pkg/mod.py', 'w').write('gone = 1')\n    open('new', 'w').close()\n",
    )
    project.commit()

    async def suite_then_candidate(runner):
        await runner.run_suite()
        code = "import os\nfrom pkg.mod import area\n\ndef test_it():\n    assert not os.path.exists('new')\n"
        return await runner.run_candidate(candidate(code), hash_seed=0)

    assert run(project, suite_then_candidate).ending is Ending.PASSED


def test_files_are_run_together_in_place_of_what_stands_there(project):
    files = {
        "tests/test_mod.py": f"{OLD_TESTS}\n\ndef test_new():\n    assert area(1) > 4\n",
        "tests/test_more.py": OLD_TESTS,
    }
    result = run(project, lambda runner: runner.run_files(files))
    assert (result.passed, result.failed) == (2, 1)
    assert result.failed_tests == {"tests/test_mod.py::test_new"}


def test_a_candidate_sees_the_conftest_of_its_folder(project):
    project.write("tests/conftest.py", "import pytest\n\n@pytest.fixture\ndef radius():\n    return 0\n")
    project.commit()
    code = "from pkg.mod import area\n\ndef test_it(radius):\n    assert area(radius) == 0\n"
    assert run_candidate(project, code).ending is Ending.PASSED


def test_the_hash_seed_is_the_one_asked_for(project):
    code = "import sys, os\n\ndef test_it():\n    assert os.environ['PYTHONHASHSEED'] == '7'\n"
    assert run(project, lambda runner: runner.run_candidate(candidate(code), hash_seed=7)).ending is Ending.PASSED


def test_addopts_that_would_steal_coverage_do_no_harm(project):
    pytest.importorskip("xdist")
    project.write("pytest.ini", "[pytest]\naddopts = -n 2\n")
    project.commit()
    code = "from pkg.mod import area\n\ndef test_it():\n    assert area(1) > 3\n"
    result = run_candidate(project, code, interpreter=inspect(Path(sys.executable), ENVIRON))
    assert 7 in result.covered["src/pkg/mod.py"]


def test_coverage_is_lent_to_an_interpreter_that_has_none(project):
    lent = replace(inspect(PYTHON, ENVIRON), has_coverage=False)
    result = run_candidate(
        project, "from pkg.mod import area\n\ndef test_it():\n    assert area(1) > 3\n", interpreter=lent
    )
    assert 7 in result.covered["src/pkg/mod.py"]


def test_an_interpreter_without_pytest_is_refused_with_the_command_that_mends_it(tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(ProjectError, match=r"has no pytest: run '.*python -m pip install pytest'"):
        inspect(bare, ENVIRON)


@pytest.mark.parametrize("content", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\necho hello\n", "no program"])
def test_what_is_no_interpreter_is_refused(tmp_path, content):
    fake = tmp_path / "python"
    fake.write_text(content)
    fake.chmod(0o755)
    with pytest.raises(UsageError, match="does not work as a Python interpreter"):
        inspect(fake, ENVIRON)


def test_a_named_interpreter_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no Python interpreter at"):
        find_python(tmp_path, str(tmp_path / "none"), None)


def test_the_projects_virtual_environment_comes_before_the_path(tmp_path):
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert find_python(tmp_path, None, os.environ["PATH"]) == python
    assert find_python(tmp_path / "none", None, str(python.parent)) == python


def test_what_failed_is_told_without_colours_addresses_and_temporary_names(project):
    project.write("pytest.ini", "[pytest]\naddopts = --color=yes\n")
    project.commit()
    code = "def test_it():\n    assert [object(), __file__, '\\x1b[31mred'] == [1]\n"
    message = run_candidate(project, code).failure.message
    assert "\x1b" not in message
    assert "0x…" in message
    assert "llm-testgen-" not in message
    assert "test_llm_testgen" not in message
