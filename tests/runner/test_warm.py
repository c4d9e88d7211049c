from __future__ import annotations

import asyncio
import os
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from tests.project_python import project_python
from tests.samples import changed_method, prompt, reply

from llm_testgen.edges.git import Repository
from llm_testgen.records import Candidate, ChangedMethod, ChangeStatus, Ending, Method, MethodKind
from llm_testgen.runner.base import Limits, Project
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.interpreter import inspect
from llm_testgen.runner.sandbox import detect
from llm_testgen.runner.warm import WarmRunner, sample_tests

ENVIRON = {"PATH": os.environ["PATH"]}
SOURCE = """\
import math

LIMIT = 10


def area(r):
    if r < 0:
        raise ValueError(r)
    return math.pi * r * r


class Box:
    size = LIMIT

    def fits(self, other):
        return other < self.size
"""
USES = "from pkg.mod import area\n\ndef test_it():\n    assert area(1) > 3\n"
IGNORES = "import pkg.mod\n\ndef test_it():\n    assert 1 + 1 == 2\n"


@pytest.fixture
def project(git_project):
    git_project.write("src/pkg/__init__.py", "")
    git_project.write("src/pkg/mod.py", SOURCE)
    git_project.write("tests/test_mod.py", "from pkg.mod import area\n\n\ndef test_zero():\n    assert area(0) == 0\n")
    git_project.commit()
    return git_project


def act(project, action, *, interpreter=None, slots=None):
    """Do something with a warm runner, and close it; returns what was prepared and what came of it."""

    async def run():
        snapshot = Repository.open(project.root).snapshot("HEAD")
        found = interpreter or inspect(Path(project_python()), ENVIRON)
        modules = {"src/pkg/mod.py": "pkg.mod"}
        described = Project(snapshot, {}, ("src",), tuple(modules), "tests", modules, ("tests/test_mod.py",))
        cold = ColdRunner(described, found, detect(found, ENVIRON).confinement, Limits(seconds=20), ENVIRON, slots)
        runner = WarmRunner(cold, slots=slots)
        try:
            ready = await runner.prepare()
            return ready, await action(runner)
        finally:
            await runner.close()
            assert not cold.home.exists()

    return asyncio.run(run())


def method(name: str, start: int, kind: MethodKind = MethodKind.FUNCTION) -> ChangedMethod:
    definition = Method("src/pkg/mod.py", name, kind, start, start + 2, "", "", "")
    return ChangedMethod((definition,), frozenset({start}), ChangeStatus.MODIFIED)


def candidate(code: str, name: str = "test_it") -> Candidate:
    answer = replace(reply(code), prompt=prompt(changed_method(), test_path="tests/test_mod.py"))
    return Candidate(answer, name, textwrap.dedent(code))


def test_a_candidate_is_forked_and_its_cost_is_known(project):
    ready, run = act(project, lambda runner: runner.run_candidate(candidate(USES), hash_seed=0))
    assert ready.cold == ""
    assert run.ending is Ending.PASSED
    assert run.covered == {"src/pkg/mod.py": frozenset({1, 3, 6, 7, 9, 12, 13, 15})}
    assert run.branches == {"src/pkg/mod.py": frozenset({(7, 9)})}
    assert 0 < run.cpu < 5
    assert run.memory > 1 << 20


@pytest.mark.parametrize(
    ("conftest", "reason"),
    [
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n", "threads"),
        (
            "import os, pytest\nSTARTED = os.getpid()\n\n@pytest.fixture(autouse=True)\ndef same():\n    assert os.getpid() == STARTED\n",
            "passed became failed",
        ),
    ],
)
def test_a_project_that_does_not_survive_a_fork_gets_a_process_for_each_test(project, conftest, reason):
    project.write("tests/conftest.py", conftest)
    project.commit("conftest")
    ready, run = act(project, lambda runner: runner.run_candidate(candidate(USES), hash_seed=0))
    assert reason in ready.cold
    assert run.ending is Ending.PASSED
    assert run.cpu == 0


@pytest.mark.parametrize(("code", "passes"), [(USES, False), (IGNORES, True)])
def test_a_trapped_method_fails_the_tests_that_use_it(project, code, passes):
    trapped = (method("area", 6),)
    _, run = act(project, lambda runner: runner.run_candidate(candidate(code), hash_seed=0, trapped=trapped))
    assert (run.ending is Ending.PASSED) is passes


def test_the_body_of_a_class_is_trapped_in_a_fresh_process(project):
    uses = "from pkg.mod import Box\n\ndef test_it():\n    assert Box.size == 10\n"
    trapped = (method("Box", 12, MethodKind.CLASS),)
    _, run = act(project, lambda runner: runner.run_candidate(candidate(uses), hash_seed=0, trapped=trapped))
    assert run.ending is Ending.NOT_COLLECTED
    assert run.failure.kind == "Sprung"


def test_what_one_test_does_to_the_process_fails_the_next_only_together(project):
    sets = candidate("import pkg.mod\n\ndef test_sets():\n    pkg.mod.LIMIT = 0\n", "test_sets")
    reads = candidate("import pkg.mod\n\ndef test_reads():\n    assert pkg.mod.LIMIT == 10\n", "test_reads")

    async def both_ways(runner):
        return (
            await runner.run_together((sets, reads), hash_seed=0),
            await runner.run_together((reads, sets), hash_seed=1),
            await runner.run_candidate(reads, hash_seed=0),
        )

    _, (together, reversed_, alone) = act(project, both_ways)
    assert [run.ending for run in together] == [Ending.PASSED, Ending.FAILED]
    assert together[1].failure.message.startswith("assert 0 == 10")
    assert [run.ending for run in reversed_] == [Ending.PASSED, Ending.PASSED]
    assert alone.ending is Ending.PASSED


def test_another_hash_seed_is_another_order_of_sets(project):
    code = "def test_it():\n    assert ''.join({'a', 'b', 'c', 'd', 'e', 'f'}) == 'none'\n"

    async def both(runner):
        return [await runner.run_candidate(candidate(code), hash_seed=seed) for seed in (0, 1, 0)]

    _, (first, second, again) = act(project, both)
    assert first.failure.message == again.failure.message != second.failure.message


def test_nothing_runs_while_others_have_all_slots(project):
    slots = asyncio.Semaphore(1)

    async def action(runner):
        async with slots:
            runs = [
                asyncio.ensure_future(run)
                for run in (
                    runner.run_candidate(candidate(USES), hash_seed=0),
                    runner.run_together([candidate(USES)], hash_seed=0),
                    runner.run_suite(),
                )
            ]
            done, _ = await asyncio.wait(runs, timeout=2)
            assert not done
        one, (together,), suite = await asyncio.gather(*runs)
        return one.ending, together.ending, suite.passed

    _, found = act(project, action, slots=slots)
    assert found == (Ending.PASSED, Ending.PASSED, 1)


def test_the_next_candidate_is_judged_after_one_that_ended_its_zygote(project):
    code = "import os, signal\n\ndef test_it():\n    os.kill(os.getppid(), signal.SIGKILL)\n    os.kill(0, signal.SIGKILL)\n"

    async def both(runner):
        return await runner.run_candidate(candidate(code), hash_seed=0), await runner.run_candidate(
            candidate(USES), hash_seed=0
        )

    _, (first, second) = act(project, both)
    assert first.ending is not Ending.PASSED
    assert second.ending is Ending.PASSED


def test_an_interpreter_without_coverage_is_lent_one(project):
    lent = replace(inspect(Path(project_python()), ENVIRON), has_coverage=False)
    ready, run = act(project, lambda runner: runner.run_candidate(candidate(USES), hash_seed=0), interpreter=lent)
    assert ready.cold == ""
    assert 9 in run.covered["src/pkg/mod.py"]


def test_candidates_of_another_folder_are_judged_there(project):
    project.write("more/conftest.py", "import pytest\n\n@pytest.fixture\ndef given():\n    return 4\n")
    project.commit("more")
    uses = "def test_it(given):\n    assert given == 4\n"

    async def both(runner):
        return (
            await runner.run_text("more", uses, hash_seed=0),
            await runner.run_text("tests", uses, hash_seed=0),
        )

    _, (there, here) = act(project, both)
    assert (there.ending, here.ending) == (Ending.PASSED, Ending.FAILED)


def test_samples_are_short_and_from_several_folders(project):
    project.write("tests/test_long.py", "def test_it():\n    pass\n" * 100)
    project.write("other/test_short.py", "def test_it():\n    pass\n")
    project.write("tests/conftest.py", "")
    project.commit("more")
    snapshot = Repository.open(project.root).snapshot("HEAD")
    files = ["tests/test_long.py", "tests/test_mod.py", "other/test_short.py", "tests/conftest.py"]
    assert sample_tests(files, snapshot) == ("other/test_short.py", "tests/test_mod.py")
