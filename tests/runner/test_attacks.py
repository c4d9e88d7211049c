"""Every attack that concerns running: it works without the sandbox, where that may be shown, and not with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import GitProject
from tests.project_python import project_python
from tests.runner.attacks import ATTACKS, FAILING, HONEST, LEAVING, OUTWARD, QUICK, SLOW, Attack, all_at_once
from tests.runner.forgeries import FORGERIES, GARBAGE, KNOWING, frame
from tests.runner.scene import Scene, contents, processes
from tests.samples import changed_method, prompt, reply

from llm_testgen.edges.git import Repository
from llm_testgen.errors import ProjectError
from llm_testgen.records import Candidate, Ending, Run
from llm_testgen.runner import sandbox
from llm_testgen.runner.base import Limits, Project, Runner
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.guest import kernel
from llm_testgen.runner.interpreter import Interpreter, inspect
from llm_testgen.runner.launcher import Confinement, Entry
from llm_testgen.runner.warm import WarmRunner
from llm_testgen.stages.screen import screen

pytestmark = pytest.mark.skipif(not kernel.IS_LINUX, reason="the sandbox needs Linux")

PYTHON = Path(sys.executable)
SOURCE = "import math\n\n\ndef area(r):\n    if r < 0:\n        raise ValueError(r)\n    return math.pi * r * r\n"
ENVIRON = {
    "PATH": os.environ["PATH"],
    "HF_TOKEN": "secret",
    "GITHUB_TOKEN": "secret",
    "GITHUB_ENV": "env.txt",
    "HOME": str(Path.home()),
}
LIMITS = Limits(seconds=10)
# An attack whose own code is wrong would be held off by anything.
MISTAKES = {"SyntaxError", "NameError", "ImportError", "ModuleNotFoundError", "AttributeError", "TypeError", "KeyError"}


class Arena:
    """A runner in one confinement, on a small project, for one attack after the other."""

    def __init__(self, project: GitProject, confinement: Confinement, *, warm: bool, check: str = HONEST) -> None:
        self.confinement = confinement
        self._loop = asyncio.Runner()
        self.cold = ColdRunner(
            Project(
                Repository.open(project.root).snapshot("HEAD"),
                {},
                ("src",),
                ("src/pkg/mod.py",),
                "tests",
                {"src/pkg/mod.py": "pkg.mod"},
            ),
            interpreter(),
            confinement,
            LIMITS,
            ENVIRON,
        )
        self.runner: Runner = WarmRunner(self.cold, workers=1) if warm else self.cold
        try:
            ready = self._loop.run(self.runner.prepare())
            assert (ready.problem, ready.cold) == ("", "")
            assert not check or self.run(check).failure is None
        except BaseException:
            self.close()
            raise
        # A cold process may be on its way out: none of them is to stay.
        self.peaceful = processes(str(self.cold.home)) if warm else set()
        self._copy = contents(self.cold.tree.root)
        self._said = self._logs()

    def run(self, code: str, *, trapped: bool = False) -> Run:
        methods = (changed_method(SOURCE, "area"),) if trapped else ()
        return self._loop.run(self.runner.run_candidate(candidate(code), hash_seed=0, trapped=methods))

    def run_files(self, files: dict[str, str]) -> None:
        self._loop.run(self.runner.run_files(files))

    def attack(self, attack: Attack, scene: Scene) -> Run:
        run = self.run(attack.code(scene.told(self.cold.home)))
        assert run.failure is None or run.failure.kind not in MISTAKES, run.failure
        return run

    def traces(self) -> list[str]:
        """What an attack has left that is the runner's own: processes, files, changes to the copy of the tree."""
        home = self.cold.home
        kept = {"project", "lower", "box", "bin", "root"}
        left = {path.name for path in home.iterdir() if not path.name.startswith("zygote-")} - kept
        left |= {path.name for path in (home / "box").iterdir() if not path.name.startswith("scratch-")}
        found = self._settled()
        return [
            *(f"{name} was left" for name in sorted(left)),
            *(f"process {pid} was left" for pid in sorted(found - self.peaceful)),
            *(f"process {pid} was ended" for pid in sorted(self.peaceful - found)),
            *(["the log of a zygote was written to"] if self._logs() != self._said else []),
            *(["the copy was changed"] if contents(self.cold.tree.root) != self._copy else []),
        ]

    def _logs(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.cold.home.glob("zygote-*.txt")}

    def _settled(self) -> set[int]:
        """Its processes, once those have gone that are on their way: the kernel ends a namespace in its own time."""
        deadline = time.monotonic() + 3
        while (found := processes(str(self.cold.home))) - self.peaceful and time.monotonic() < deadline:
            time.sleep(0.02)
        return found

    def recover(self) -> None:
        """End what an attack has left, and begin anew."""
        for pid in processes(str(self.cold.home)) - self.peaceful:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._said = self._logs()

    def close(self) -> None:
        try:
            self._loop.run(self.runner.close())
        finally:
            self._loop.close()
        assert not self.cold.home.exists()
        assert not processes(str(self.cold.home))


def interpreter() -> Interpreter:
    return inspect(Path(project_python()), ENVIRON)


def best() -> Confinement:
    """All layers of this machine."""
    found = sandbox.detect(interpreter(), ENVIRON).confinement
    if not (found.isolated and found.landlock and found.seccomp):
        pytest.skip("this machine lacks layers of the sandbox")
    return found


def good() -> Confinement:
    """What is left of it where there are no namespaces."""
    found = sandbox.detect(interpreter(), ENVIRON).confinement
    if not (found.landlock and found.seccomp):
        pytest.skip("this machine lacks layers of the sandbox")
    plain = replace(found, entry=Entry.NONE, bubblewrap=None)
    with contextlib.suppress(sandbox.ProjectError, ConnectionError):
        sandbox._try(plain, interpreter(), ENVIRON)
        return plain
    return replace(plain, user=None)  # another user cannot reach the interpreter


def off() -> Confinement:
    return Confinement()


def candidate(code: str) -> Candidate:
    answer = replace(reply(code), prompt=prompt(changed_method(SOURCE, "area")))
    return Candidate(answer, "test_it", code)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> GitProject:
    project = GitProject(tmp_path_factory.mktemp("attacked") / "project")
    project.root.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    project.write("src/pkg/__init__.py", "")
    project.write("src/pkg/mod.py", SOURCE)
    project.write("tests/test_mod.py", "from pkg.mod import area\n\n\ndef test_zero():\n    assert area(0) == 0\n")
    project.commit()
    return project


def _arena(project: GitProject, confinement: Confinement, *, warm: bool) -> Iterator[Arena]:
    arena = Arena(project, confinement, warm=warm)
    yield arena
    arena.close()


@pytest.fixture(scope="module")
def strong_warm(project):
    yield from _arena(project, best(), warm=True)


@pytest.fixture(scope="module")
def strong_cold(project):
    yield from _arena(project, best(), warm=False)


@pytest.fixture(scope="module")
def good_warm(project):
    yield from _arena(project, good(), warm=True)


@pytest.fixture(scope="module")
def good_cold(project):
    yield from _arena(project, good(), warm=False)


@pytest.fixture(scope="module")
def off_warm(project):
    yield from _arena(project, off(), warm=True)


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.close()


def held_off(attack: Attack, arena: Arena, scene: Scene) -> None:
    """The attack got nothing and left nothing, and the next results are right."""
    try:
        run = arena.attack(attack, scene)
        assert scene.harm(run) == []
        # Whatever is refused is refused by the kernel; what takes too much may end in any way.
        assert run.failure is None or attack in SLOW
        honest = arena.run(HONEST)
        assert (honest.ending, honest.failure) == (Ending.PASSED, None)
        assert honest.covered == {"src/pkg/mod.py": frozenset({1, 4, 5, 7})}
        assert arena.traces() == []
    finally:
        arena.recover()


# It takes longest, and so comes first where several processes share the tests.
@pytest.mark.skipif(os.geteuid() != 0, reason="this is an ordinary user already")
def test_all_of_this_holds_for_an_ordinary_user_too():
    root = Path(__file__).parents[2]
    with tempfile.TemporaryDirectory() as home:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "TMPDIR": home,
            "PYTHONPATH": f"{root / 'bot'}:{root}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HF_TOKEN": "secret",
        }
        prepare = [PYTHON, Path(__file__).with_name("ordinary_user.py")]
        attempt = subprocess.run([*prepare, PYTHON, "-c", "import pytest"], cwd=root, env=environment, check=False)
        if attempt.returncode:
            pytest.skip("another user cannot be given the interpreter here")
        # What forges a result does so as any user, and a cold runner confines as a warm one does.
        chosen = "would_work or (warm and (holds_off or collected or killed or links))"
        tests = [
            PYTHON,
            "-m",
            "pytest",
            "-k",
            chosen,
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "--tb=short",
            __file__,
        ]
        run = subprocess.run(
            [*prepare, *tests], cwd=root, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
        assert " passed" in run.stdout


HELD = [attack for attack in ATTACKS if attack.held.now]


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_a_warm_runner_with_all_layers_holds_off(attack, strong_warm, scene):
    held_off(attack, strong_warm, scene)


@pytest.mark.parametrize("attack", HELD, ids=str)
def test_a_warm_runner_without_namespaces_holds_off(attack, good_warm, scene):
    held_off(attack, good_warm, scene)


# A cold runner confines in the same way, and takes half a second for each: it gets the quick ones in one go.
@pytest.mark.parametrize("attack", [all_at_once(QUICK), *LEAVING], ids=str)
def test_a_cold_runner_with_all_layers_holds_off(attack, strong_cold, scene):
    held_off(attack, strong_cold, scene)


@pytest.mark.parametrize(
    "attack",
    [all_at_once(tuple(one for one in QUICK if one in HELD)), *(one for one in LEAVING if one in HELD)],
    ids=str,
)
def test_a_cold_runner_without_namespaces_holds_off(attack, good_cold, scene):
    held_off(attack, good_cold, scene)


SHOWN = [attack for attack in ATTACKS if attack.shown.now]


@pytest.mark.parametrize("attack", [attack for attack in SHOWN if not attack.reaped], ids=str)
def test_without_a_sandbox_it_would_work_to(attack, off_warm, scene):
    try:
        run = off_warm.attack(attack, scene)
        assert scene.harm(run) + off_warm.traces() != []
    finally:
        off_warm.recover()
        off_warm.cold.tree.restore()


@pytest.mark.parametrize("attack", [attack for attack in SHOWN if attack.reaped], ids=str)
def test_under_plain_pytest_it_would_work_to(attack, project, scene, tmp_path):
    file = tmp_path / "test_it.py"
    file.write_text(attack.code(scene.told(tmp_path)))
    environment = {**os.environ, "PYTHONPATH": str(project.root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", file]
    try:
        subprocess.run(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, timeout=60, check=False)
        assert processes(str(tmp_path))
    finally:
        for pid in processes(str(tmp_path)):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("tier", ["strong_warm", "strong_cold", "good_warm", "good_cold"])
def test_a_failing_candidate_still_fails_after_all_that(tier, request):
    run = request.getfixturevalue(tier).run(FAILING)
    assert run.ending is Ending.FAILED
    assert run.failure.kind == "AssertionError"


def _accepted(arena: Arena, code: str) -> bool:
    """Whether the line that raises would count as gained: it is claimed, and the claim is worth something."""
    run = arena.run(code)
    gained = run.ending is Ending.PASSED and 6 in run.covered.get("src/pkg/mod.py", ())
    return gained and arena.run(code, trapped=True).ending is not Ending.PASSED


GAINING = """\
import pytest
from pkg.mod import area

def test_it():
    with pytest.raises(ValueError):
        area(-1)
"""


@pytest.mark.parametrize("tier", ["strong_warm", "strong_cold"])
def test_an_honest_candidate_is_accepted(tier, request):
    assert _accepted(request.getfixturevalue(tier), GAINING)
    assert screen(candidate(GAINING)) == ""


@pytest.mark.parametrize("tier", ["strong_warm", "strong_cold"])
@pytest.mark.parametrize("code", FORGERIES.values(), ids=FORGERIES)
def test_what_forges_its_result_passes_the_trap_too_and_so_is_not_accepted(tier, code, request):
    arena = request.getfixturevalue(tier)
    assert not _accepted(arena, code)
    assert arena.run(HONEST).failure is None
    assert arena.traces() == []


@pytest.mark.parametrize("code", [*FORGERIES.values(), *KNOWING.values()], ids=[*FORGERIES, *KNOWING])
def test_what_forges_its_result_is_refused_before_it_runs(code):
    assert screen(candidate(code)) != ""


@pytest.mark.parametrize("code", KNOWING.values(), ids=KNOWING)
def test_what_knows_of_the_trap_is_for_the_screen_alone_to_stop(code, strong_warm):
    assert _accepted(strong_warm, code)


@pytest.mark.parametrize("tier", ["strong_warm", "strong_cold"])
@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE)
def test_a_report_that_makes_no_sense_is_a_failed_candidate(tier, body, request):
    arena = request.getfixturevalue(tier)
    run = arena.run(f"{frame()}def test_it():\n    {body}\n    os._exit(0)\n")
    assert run.ending is Ending.CRASHED
    assert arena.run(HONEST).failure is None
    assert arena.traces() == []


def test_a_report_says_nothing_of_what_the_runner_sees_by_itself(strong_warm):
    body = """data = json.dumps(CLAIM).encode() + b', "memory": 1, "cpu": 0.0, "timed_out": true, "fault": "x"'"""
    run = strong_warm.run(f"{frame()}def test_it():\n    {body}\n    tell(data)\n    os._exit(0)\n")
    assert run.ending in {Ending.PASSED, Ending.CRASHED}
    assert run.memory > 1 << 20
    assert run.cpu > 0


COMMANDS = """\
import os, sys

def test_it():
    for text in ("::set-env name=PATH::/evil", "::add-mask::x", "::stop-commands::x", "##[error]x"):
        print("\\n" + text)
        print("\\n" + text, file=sys.stderr)
        print("\\n" + text, file=sys.__stdout__)
        for path in (1, 2, "/dev/tty", f"/proc/{os.getppid()}/fd/1", f"/proc/{os.getppid()}/fd/2"):
            try:
                os.write(path if isinstance(path, int) else os.open(path, os.O_WRONLY), b"\\n" + text.encode() + b"\\n")
            except OSError:
                pass
"""


@pytest.mark.parametrize("tier", ["strong_warm", "strong_cold", "good_warm", "good_cold", "off_warm"])
def test_workflow_commands_do_not_get_to_the_output_of_the_bot(tier, request, capfd):
    run = request.getfixturevalue(tier).run(COMMANDS)
    assert run.ending is Ending.PASSED
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_a_test_file_is_written_nowhere_but_in_the_copy(strong_warm, good_cold, scene):
    for arena in (strong_warm, good_cold):
        tree = arena.cold.tree
        with pytest.raises(ProjectError, match="leads out of the copy"):
            tree.add(f"../../{scene.folder.name}/canary.txt", "dead")
        link = tree.root / "linked"
        link.symlink_to(scene.folder)
        with pytest.raises(ProjectError, match="leads out of the copy"):
            tree.add("linked/canary.txt", "dead")
        assert tree.restore() >= 1
        assert not link.is_symlink()
    assert scene.harm(Run(Ending.PASSED)) == []


# The suite, unlike a candidate, may write to the copy where there are no namespaces.
REPLACING = """\
import os, shutil

def test_it():
    for name in ("src/pkg", "tests", "src"):
        try:
            os.rename(name, name.replace("/", "-") + "-moved")
            os.symlink({folder!r}, name)
        except OSError:
            pass
"""


@pytest.mark.parametrize("tier", ["strong_cold", "good_cold"])
def test_folders_replaced_by_links_lead_nothing_out_of_the_copy(tier, request, scene):
    arena = request.getfixturevalue(tier)
    arena.run_files({"tests/test_replaces.py": REPLACING.format(folder=str(scene.folder))})
    assert scene.harm(Run(Ending.PASSED)) == []
    assert arena.run(HONEST).failure is None
    assert arena.traces() == []


# The project's own code runs before any candidate, and with the rights of what watches over candidates.
COLLECTED = tuple(one for one in OUTWARD if "watches over it" not in one.name and "environment names" not in one.name)
# Without namespaces, a zygote has to see the processes that it looks after, and others with them.
SEEN_BY_A_ZYGOTE = {"read the arguments of another process"}


def _hostile_project(folder: Path, scene: Scene, attacks: tuple[Attack, ...]) -> GitProject:
    """A project whose every part that runs at collection attacks, and which works all the same."""
    project = GitProject(folder / "hostile")
    project.root.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    evil = all_at_once(attacks).code(scene.told(folder)).replace("from pkg.mod import area\n", "")
    evil = evil.partition("\n\ndef test_it")[0]
    project.write(
        "src/evil.py",
        f"{evil}\n\ndef act(name):\n    if os.environ.setdefault('ACTS', str(os.getpid())) != str(os.getpid()):\n        return\n    sys.spoils = [*getattr(sys, 'spoils', []), name, attack()]\n",
    )
    for name in ("sitecustomize", "evil_plugin", "evil_option"):
        project.write(f"src/{name}.py", f"import evil\n\nevil.act({name!r})\n")
    project.write("conftest.py", "import evil\n\nevil.act('conftest')\npytest_plugins = ['evil_plugin']\n")
    project.write("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-p evil_option"\n')
    project.write("src/pkg/__init__.py", "")
    project.write("src/pkg/mod.py", SOURCE)
    project.write("tests/test_mod.py", "from pkg.mod import area\n\n\ndef test_zero():\n    assert area(0) == 0\n")
    project.commit()
    return project


SPOILS = """\
import sys
import tempfile
from pkg.mod import area

class Stolen(Exception):
    pass

def test_it():
    assert area(1) > 3
    assert set(sys.spoils[::2]) == {"sitecustomize", "evil_plugin", "evil_option", "conftest"}
    if any(sys.spoils[1::2]):
        raise Stolen(sys.spoils)
"""


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
@pytest.mark.parametrize("tier", [best, good], ids=["with_all_layers", "without_namespaces"])
def test_a_project_that_attacks_while_it_is_collected_gets_nothing(tier, warm, tmp_path, scene):
    confinement = tier()
    attacks = COLLECTED
    if not confinement.isolated:
        attacks = tuple(one for one in attacks if one.held.now and one.name not in SEEN_BY_A_ZYGOTE)
    with closing(Arena(_hostile_project(tmp_path, scene, attacks), confinement, warm=warm, check="")) as arena:
        run = arena.run(SPOILS)
        assert scene.harm(run) == []
        assert run.failure is None
        assert run.covered == {"src/pkg/mod.py": frozenset({1, 4, 5, 7})}


def test_without_a_sandbox_a_project_that_attacks_while_it_is_collected_gets_much(tmp_path, scene):
    shown = tuple(one for one in COLLECTED if one.shown.now)
    with closing(Arena(_hostile_project(tmp_path, scene, shown), off(), warm=False, check="")) as arena:
        assert len(scene.harm(arena.run(SPOILS))) > 5


def test_an_environment_that_attacks_when_it_is_looked_at_gets_nothing_out(tmp_path, scene):
    home = Path(sys._base_executable).parent
    venv = tmp_path / "venv"
    site = venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    site.mkdir(parents=True)
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to(sys._base_executable)
    (venv / "pyvenv.cfg").write_text(f"home = {home}\n")
    evil = all_at_once(tuple(one for one in COLLECTED if one.held.now)).code(scene.told(tmp_path))
    evil = evil.replace("from pkg.mod import area\n", "").partition("\n\ndef test_it")[0]
    (site / "evil.py").write_text(
        f"{evil}\n\nif os.environ.setdefault('ACTS', '1') == '1':\n    os.environ['ACTS'] = '2'\n    attack()\n"
    )
    (site / "evil.pth").write_text("import evil\n")
    (site / "others.pth").write_text(f"{Path(pytest.__file__).parent.parent}\n")
    found = inspect(venv / "bin" / "python", ENVIRON)
    assert found.has_coverage
    assert scene.harm(Run(Ending.PASSED)) == []


BOT = """\
import sys
import tempfile
from pathlib import Path
from tests.conftest import GitProject
from tests.runner.test_attacks import Arena, best, good

arena = Arena(GitProject(Path(sys.argv[1])), {"best": best, "good": good}[sys.argv[2]](), warm=sys.argv[3] == "warm")
print(arena.cold.home, flush=True)
arena.run("import os, time\\n\\ndef test_it():\\n    os.fork() or os.setsid()\\n    time.sleep(600)\\n")
"""


@pytest.mark.parametrize("kind", ["warm", "cold"])
@pytest.mark.parametrize("tier", ["best", "good"])
def test_nothing_goes_on_when_the_bot_is_killed(tier, kind, project):
    globals()[tier]()  # skips where there is none
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'bot'}:{root}"}
    command = [PYTHON, "-c", BOT, project.root, tier, kind]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as bot:
        home = bot.stdout.readline().strip()
        try:
            deadline = time.monotonic() + 10
            while len(processes(home)) < 3 and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(0.5)
            before = len(processes(home))
        finally:
            bot.kill()
    deadline = time.monotonic() + 5
    while processes(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = processes(home)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(home)
    assert before > 1
    assert not left
