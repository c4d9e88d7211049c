"""Contracts from the prompt to the file: once with the real runner, and what goes wrong with a scripted one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import GitProject
from tests.project_python import project_python
from tests.samples import ModuleNames, changed_method

from llm_testgen.asserting import Asserted, propose_asserts
from llm_testgen.edges.git import Repository
from llm_testgen.edges.gitwrite import unified_patch
from llm_testgen.edges.replay import RecordedReply, ReplayModel
from llm_testgen.errors import ModelError, ProjectError, PromptRefusedError
from llm_testgen.index import Index
from llm_testgen.knowledge import ProjectKnowledge
from llm_testgen.records import Ending, Failure, Method, Reply, Run, SuiteRun, Usage
from llm_testgen.runner.base import Limits, Project
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.interpreter import inspect
from llm_testgen.runner.sandbox import detect
from llm_testgen.runner.warm import WarmRunner
from llm_testgen.settings import Generation
from llm_testgen.stages.context import Surroundings
from llm_testgen.stages.prompt import Templates, default_templates
from llm_testgen.tools import Tools

PATH = "src/pkg/mod.py"
TEST = "tests/test_mod.py"
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
TEMPLATES = Templates(default_templates())
SOURCE = '''"""Prices."""

LEAST = 1


def discount(price, percent):
    """The price after a discount, at least LEAST."""
    if percent < 0:
        raise ValueError(percent)
    # rounded down
    reduced = price - price * percent // 100
    return max(reduced, LEAST)
'''
TESTS = """import pytest
from pkg.mod import discount


def test_free():
    assert discount(10, 100)


def test_negative():
    with pytest.raises(ValueError):
        discount(10, -1)
"""
# What the index does not see: the run of the whole suite does.
HIDDEN = """from pkg import mod


def test_nothing():
    assert getattr(mod, "disc" + "ount")(0, 0) == 1
"""
ASSERTS = '''```python
def discount(price, percent):
    """The price after a discount, at least LEAST."""
    assert percent >= 0
    assert price is not None
    if percent < 0:
        raise ValueError(percent)
    assert percent >= 0 and price > 0
    # rounded down
    reduced = price - price * percent // 100
    assert 0 <= reduced <= price
    result = max(reduced, LEAST)
    assert result <= price, "no discount"
    return result
```'''
SMOKE = """```python
from pkg.mod import discount


def test_half():
    discount(10, 50)


def test_none():
    discount(7, 0)


def test_wrong():
    discount("x", 1)
```"""
DISCOUNT = changed_method(SOURCE, "discount", PATH)
METHOD = DISCOUNT.method


class Quiet:
    def __init__(self) -> None:
        self.confirmed: list[int] = []

    def asked(self, target, attempt) -> None:
        pass

    def replied(self, reply) -> None:
        pass

    def judged(self, verdict) -> None:
        pass

    def confirming(self, count) -> None:
        self.confirmed.append(count)


@pytest.fixture
def project(git_project: GitProject) -> GitProject:
    git_project.write("src/pkg/__init__.py", "")
    git_project.write(PATH, SOURCE.replace("\n", "\r\n"))
    git_project.write(TEST, TESTS)
    git_project.write("tests/hidden/test_hidden.py", HIDDEN)
    git_project.git("config", "core.autocrlf", "false")
    git_project.commit("head")
    return git_project


def real(project: GitProject, *replies: str) -> Asserted:
    """What a run with the real runner finds."""
    snapshot = Repository.open(project.root).snapshot("HEAD")
    model = ReplayModel(tuple(RecordedReply(target=DISCOUNT.id, reply=reply) for reply in replies))

    async def go() -> Asserted:
        interpreter = inspect(Path(project_python()), ENVIRON)
        described = Project(snapshot, {}, ("src",), (PATH,), "tests", {PATH: "pkg.mod"})
        cold = ColdRunner(described, interpreter, detect(interpreter, ENVIRON).confinement, Limits(), ENVIRON)
        runner = WarmRunner(cold, workers=2)
        try:
            ready = await runner.prepare()
            assert (ready.problem, ready.cold) == ("", "")
            with Index.open(project.root.parent / "index.sqlite") as index:
                index.update(snapshot)
                knowledge = ProjectKnowledge(index, snapshot, None)
                return await propose_asserts(
                    [DISCOUNT], Tools(knowledge, model, runner, TEMPLATES, Quiet()), Generation()
                )
        finally:
            await runner.close()

    return asyncio.run(go())


def test_what_holds_and_notices_a_fault_is_put_into_the_file_and_nothing_else_is(project):
    found = real(project, ASSERTS, SMOKE)
    (one,) = found.upheld
    assert one.contract.statement == "assert 0 <= reduced <= price"
    assert "reduced = price + price * percent // 100" in {mutant.after for mutant in one.killed}
    assert "return None" in {mutant.after for mutant in one.survived}
    # One was false where an error is expected; of the others one noticed nothing, one nothing more than the one that
    # is kept, and one failed in the suite.
    assert (found.asked, found.held, found.replies) == (5, 4, 2)
    assert found.notes == ("`assert percent >= 0 and price > 0` was dropped: a test of the project fails with it",)
    (piece,) = found.insertions
    assert piece.before == "    return max(reduced, LEAST)"
    assert piece.text == "    assert 0 <= reduced <= price\n    return max(reduced, LEAST)"
    (file,) = found.files
    assert file.before == SOURCE.replace("\n", "\r\n")
    assert file.after == file.before.replace("    return", "    assert 0 <= reduced <= price\r\n    return")
    (project.root.parent / "asserts.patch").write_bytes(unified_patch(found.files))
    project.git("apply", str(project.root.parent / "asserts.patch"))
    assert (project.root / PATH).read_bytes() == file.after.encode()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = ENVIRON | {"PYTHONPATH": str(project.root / "src")}
    subprocess.run(command, cwd=project.root, env=environment, capture_output=True, check=True)


class Knowledge:
    def __init__(self, text: str | None = SOURCE) -> None:
        self._text = text

    def surroundings(self, target) -> Surroundings:
        test = Method(TEST, "test_free", target.method.kind, 5, 6, "def test_free()", "", "def test_free(): pass")
        return Surroundings("pkg.mod", (), (test,), (), TEST)

    def names(self, target) -> ModuleNames:
        return ModuleNames("discount", "LEAST")

    def test_files(self) -> Mapping[str, str]:
        return {TEST: TESTS}

    def text(self, path: str) -> str | None:
        assert path == PATH
        return self._text


class Model:
    """Gives its replies in turn, then none; an exception in the place of one is raised."""

    name = "scripted"
    concurrency = 1
    shares_cores = False

    def __init__(self, *replies: str | Exception) -> None:
        self.replies = list(replies)
        self.prompts = []
        self.granted = []

    async def reply(self, prompt, sampling) -> Reply | None:
        self.prompts.append(prompt)
        self.granted.append(sampling.max_tokens)
        if not self.replies:
            return None
        text = self.replies.pop(0)
        if isinstance(text, Exception):
            raise text
        return Reply(prompt, text, self.name, Usage(100, 50, 0.5))

    async def close(self) -> None:
        pass


class Runner:
    """Lets everything pass but what is faulty: there the contracts of one line, and of what they say, fail."""

    def __init__(self, suites: Mapping[str, SuiteRun] | None = None, *, noticing: bool = False) -> None:
        self.suites = suites or {}
        self.noticing = noticing
        self.ran: list[str] = []
        self.suite_runs: list[dict[str, str]] = []
        self.error: Exception | None = None

    async def run_candidate(self, candidate, *, hash_seed, mutant=None, seconds=None) -> Run:
        self.ran.append(candidate.name)
        if self.error is not None:
            raise self.error
        if mutant is None:
            return Run(Ending.PASSED, covered={PATH: DISCOUNT.lines}, seconds=0.1)
        lines = mutant.source.split("\n")
        is_faulty = mutant.operator != "contract"
        for number, line in enumerate(lines, start=mutant.definition.start):
            at_return = mutant.line == METHOD.end
            broken = is_faulty and line.strip().startswith("assert") and ("result" in line) is at_return
            if broken or line.strip() == "assert False":
                trace = (f"{TEST}:6 in test_it", f"{PATH}:{number} in discount")
                return Run(Ending.FAILED, Failure("AssertionError", "", 6, "call", trace))
        failed = is_faulty and self.noticing and candidate.name == TEST
        return Run(Ending.FAILED, Failure("AssertionError", "", 6, "call")) if failed else Run(Ending.PASSED)

    async def run_suite(self, files=None) -> SuiteRun:
        self.suite_runs.append(dict(files or {}))
        text = "".join((files or {}).values())
        found = next((run for statement, run in self.suites.items() if statement in text), None)
        if found is None:
            return SuiteRun(2, 0, 0, {}, passed_tests=frozenset({"a", "b"}))
        numbers = [number for number, line in enumerate(text.split("\n"), 1) if line.strip().startswith("assert 0")]
        failures = tuple(
            replace(one, trace=tuple(place.format(*numbers) for place in one.trace)) for one in found.failures
        )
        return replace(found, failures=failures)

    async def close(self) -> None:
        pass


def run(model: Model, runner: Runner | None = None, knowledge: Knowledge | None = None, **settings) -> Asserted:
    runner = runner or Runner()
    tools = Tools(knowledge or Knowledge(), model, runner, TEMPLATES, Quiet())
    return asyncio.run(propose_asserts([DISCOUNT], tools, Generation(**settings)))


def statements(found: Asserted) -> list[str]:
    return [one.contract.statement for one in found.upheld]


KEPT = [
    "assert percent >= 0",
    "assert percent >= 0 and price > 0",
    "assert 0 <= reduced <= price",
    "assert result <= price, 'no discount'",
]


def test_the_model_is_asked_for_the_method_and_for_tests_that_run_it():
    model = Model(ASSERTS, SMOKE)
    found = run(model)
    asked, smoke = model.prompts
    assert asked.prefill.endswith(
        'def discount(price, percent):\n    """The price after a discount, at least LEAST."""'
    )
    assert [message.role for message in asked.messages] == ["system", "user"]
    assert "return max(reduced, LEAST)" in asked.messages[1].content
    assert "`discount` once more, with assert statements" in asked.messages[1].content
    assert "smoke tests" in smoke.messages[1].content
    assert (found.replies, found.usage.tokens, found.model) == (2, 300, "scripted")


def test_contracts_are_kept_by_what_they_notice():
    runner = Runner()
    found = run(Model(ASSERTS, SMOKE), runner)
    assert statements(found) == KEPT
    assert all(one.killed and not one.earlier for one in found.upheld)
    assert (found.asked, found.held) == (5, 5)
    assert set(runner.ran) == {TEST, "test_half", "test_none", "test_wrong"}
    noticed = run(Model(ASSERTS, SMOKE), Runner(noticing=True))
    assert statements(noticed) == KEPT
    assert all(one.earlier and not one.killed for one in noticed.upheld)


def test_what_notices_no_more_than_a_better_one_at_its_place_is_left_out():
    twice = ASSERTS.replace("    assert 0 <= reduced", "    assert reduced <= price\n    assert 0 <= reduced")
    found = run(Model(twice, SMOKE))
    assert statements(found) == [*KEPT[:2], "assert reduced <= price", KEPT[3]]
    assert (found.asked, found.held) == (6, 6)


def test_the_suite_is_run_once_with_all_of_them_in_the_file():
    runner = Runner()
    found = run(Model(ASSERTS, SMOKE), runner)
    assert runner.suite_runs == [{PATH: found.files[0].after}]
    assert all(statement in found.files[0].after for statement in KEPT)
    assert len(found.insertions) == 3


def test_a_method_of_which_nothing_is_said_costs_no_more_prompts_and_no_run():
    model, runner = Model("```python\nSorry.\n```", SMOKE), Runner()
    found = run(model, runner)
    assert (found.upheld, found.files, found.asked, found.notes) == ((), (), 0, ())
    assert (len(model.prompts), runner.ran, runner.suite_runs) == (1, [], [])


def test_without_tests_that_run_the_method_the_projects_own_do():
    found = run(Model(ASSERTS))
    assert (statements(found), found.replies) == (KEPT, 1)


@pytest.mark.parametrize("text", [None, SOURCE + "len = 3\n"])
def test_a_file_that_cannot_be_read_or_gives_names_another_meaning_is_left_alone(text):
    asserts = ASSERTS.replace("0 <= reduced <= price", "len(str(price)) > 0")
    found = run(Model(asserts, SMOKE), knowledge=Knowledge(text))
    assert "assert len(str(price)) > 0" not in statements(found)
    assert (found.replies == 0) is (text is None)


FAILED = Failure("AssertionError", "", 6, "call", (f"{TEST}:6 in test_free", f"{PATH}:{{0}} in discount"))
OTHER = replace(FAILED, trace=(f"{TEST}:6 in test_free",))
PASSED = frozenset({"a", "b"})


@pytest.mark.parametrize(
    ("suites", "kept", "runs"),
    [
        # It fails at the line of one: that goes, and the rest is run again.
        (
            {"assert 0": SuiteRun(1, 1, 0, {}, failures=(FAILED,), passed_tests=frozenset({"a"}))},
            [*KEPT[:2], KEPT[3]],
            3,
        ),
        # It fails in another way with them alone: none of them stays.
        ({"assert": SuiteRun(1, 1, 0, {}, failures=(OTHER,), passed_tests=frozenset({"a"}))}, [], 2),
        # What fails has failed before.
        ({"assert": SuiteRun(2, 1, 0, {}, failures=(OTHER,), passed_tests=PASSED)}, KEPT, 2),
        # It does not end with them, and does without.
        ({"assert": SuiteRun(0, 0, 0, {}, problem="stopped after 9 s")}, [], 2),
        # Nor does it without.
        ({"": SuiteRun(0, 0, 0, {}, problem="stopped after 9 s")}, KEPT, 2),
    ],
)
def test_no_test_of_the_project_may_be_lost(suites, kept, runs):
    runner = Runner(suites)
    found = run(Model(ASSERTS, SMOKE), runner)
    assert statements(found) == kept
    assert len(runner.suite_runs) == runs
    dropped = [note for note in found.notes if "was dropped" in note]
    assert len(dropped) == len(KEPT) - len(kept)
    assert ("could not be run" in "".join(found.notes)) is (kept == KEPT and "" in suites)


def test_a_prompt_that_is_refused_is_told_and_costs_nothing_else():
    found = run(Model(ASSERTS, PromptRefusedError("too long")))
    assert (statements(found), found.replies) == (KEPT, 1)
    assert found.notes == (f"the model refused the prompt about {DISCOUNT.id}: too long",)


def test_a_model_that_stops_is_told_and_one_that_never_began_is_an_error():
    found = run(Model(ASSERTS, ModelError("gone")))
    assert (found.upheld, found.notes) == ((), ("the model stopped answering: gone",))
    with pytest.raises(ModelError, match="gone"):
        run(Model(ModelError("gone")))


def test_a_fault_of_the_machine_is_told_as_it_is():
    runner = Runner()
    runner.error = ProjectError("no room")
    with pytest.raises(ProjectError, match="no room"):
        run(Model(ASSERTS, SMOKE), runner)


def test_without_faults_nothing_can_be_proved_and_nothing_is_asked():
    model = Model(ASSERTS, SMOKE)
    found = run(model, mutants=0)
    assert (model.prompts, len(found.notes)) == ([], 1)


def test_the_budget_and_the_deadline_are_kept():
    model = Model(ASSERTS, SMOKE)
    found = run(model, max_tokens=100)
    assert (model.prompts, found.notes) == ([], ("the token budget is spent: not everything was tried",))
    found = run(Model(ASSERTS, SMOKE), deadline=0)
    assert (found.upheld, found.notes) == ((), ("the deadline passed: not everything was tried",))
    model = Model(ASSERTS, SMOKE)
    run(model, reply_tokens=77)
    assert model.granted == [77, 77]
