"""The order of the stages, with a scripted model and runner: what happens when things go wrong in between."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.samples import ModuleNames, changed_method

from llm_testgen.baseline import Baseline
from llm_testgen.edges.models import Sampling
from llm_testgen.errors import ModelError
from llm_testgen.pipeline import Result, propose
from llm_testgen.recipe import DEFAULT_RECIPE
from llm_testgen.records import (
    Candidate,
    ChangedMethod,
    Ending,
    Failure,
    FileCoverage,
    Hunk,
    Outcome,
    Prompt,
    Reply,
    Run,
    SuiteRun,
    Usage,
    Verdict,
)
from llm_testgen.settings import Generation
from llm_testgen.stages.context import Surroundings
from llm_testgen.stages.prompt import Templates, default_templates
from llm_testgen.testfiles import render
from llm_testgen.tools import Tools

PATH = "src/pkg/mod.py"
SOURCE = "def a(x):\n    return x\n\n\ndef b(x):\n    return x\n\n\ndef c(x):\n    return x\n"
TARGETS = tuple(changed_method(SOURCE, name, PATH) for name in "abc")
LINES = frozenset({1, 2, 5, 6, 9, 10})
BASELINE = Baseline({PATH: LINES}, {PATH: FileCoverage(LINES, frozenset({1, 5, 9}))})
BODY = {"a": 2, "b": 6, "c": 10}
TEMPLATES = Templates(default_templates())


def a_test(name: str, suffix: str = "") -> str:
    return f"def test_{name}{suffix}():\n    assert {name}(1) == 1\n"


class Knowledge:
    def surroundings(self, target: ChangedMethod) -> Surroundings:
        return Surroundings("pkg.mod", (), (), (), "tests/test_mod.py")

    def names(self, target: ChangedMethod) -> ModuleNames:
        return ModuleNames("a", "b", "c")

    def test_files(self) -> Mapping[str, str]:
        return {}


class ScriptedModel:
    """Gives each target its replies in turn; an exception in their place is raised."""

    name = "scripted"

    def __init__(
        self, replies: Mapping[str, list[str | Exception]], concurrency: int = 1, *, shares_cores: bool = False
    ) -> None:
        self.replies = {name: list(texts) for name, texts in replies.items()}
        self.concurrency = concurrency
        self.shares_cores = shares_cores
        self.prompts: list[Prompt] = []
        self.temperatures: list[float] = []
        self.under_way = 0
        self.most_under_way = 0

    async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply | None:
        self.prompts.append(prompt)
        self.temperatures.append(sampling.temperature)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0.01)
        self.under_way -= 1
        waiting = self.replies.get(prompt.target.qualname, [])
        if not waiting:
            return None
        text = waiting.pop(0)
        if isinstance(text, Exception):
            raise text
        return Reply(prompt, text, self.name, Usage(100, 50, 0.01))

    async def close(self) -> None:
        pass


class ScriptedRunner:
    """Ends a candidate as its name says, and lets it cover the body of the function that it is named for."""

    def __init__(self, delays: Mapping[str, float] | None = None) -> None:
        self.delays = delays or {}
        self.running = 0

    async def run_candidate(self, candidate: Candidate, *, hash_seed: int, trapped=(), mutant=None, **_) -> Run:
        if trapped or mutant:
            return Run(Ending.FAILED)
        self.running += 1
        await asyncio.sleep(self.delays.get(candidate.name, 0))
        self.running -= 1
        if candidate.name.endswith("fails"):
            return Run(Ending.FAILED, Failure("AssertionError", "assert 1 == 2", 2, "call"))
        line = BODY[candidate.name.removeprefix("test_")[0]]
        return Run(Ending.PASSED, covered={PATH: frozenset({line})})

    async def run_together(self, candidates, *, hash_seed: int) -> tuple[Run, ...]:
        return tuple(Run(Ending.PASSED) for _ in candidates)

    async def run_files(self, files: Mapping[str, str]) -> SuiteRun:
        passed = frozenset(f"{path}::{name}" for path, text in files.items() for name in re.findall(r"def (\w+)", text))
        covered = frozenset(
            line for name, line in BODY.items() for text in files.values() if f"def test_{name}" in text
        )
        return SuiteRun(1, 0, 0, {PATH: FileCoverage(LINES, covered)}, passed_tests=passed)

    async def run_suite(self) -> SuiteRun:
        raise NotImplementedError

    async def close(self) -> None:
        pass


class Heard:
    def __init__(self) -> None:
        self.judgements: list[str] = []

    def asked(self, target: ChangedMethod, attempt: int) -> None:
        pass

    def replied(self, reply: Reply) -> None:
        pass

    def judged(self, verdict: Verdict) -> None:
        self.judgements.append(verdict.candidate.name)

    def confirming(self, count: int) -> None:
        pass


def run(model: ScriptedModel, runner: ScriptedRunner | None = None, heard: Heard | None = None, **settings) -> Result:
    tools = Tools(Knowledge(), model, runner or ScriptedRunner(), TEMPLATES, heard or Heard())
    return asyncio.run(propose(TARGETS, BASELINE, tools, Generation(**settings)))


def names(result: Result, outcome: Outcome = Outcome.ACCEPTED) -> list[str]:
    return [verdict.candidate.name for verdict in result.verdicts if verdict.outcome is outcome]


def test_every_target_is_asked_about_and_its_tests_are_confirmed_together():
    result = run(ScriptedModel({name: [a_test(name)] for name in "abc"}))
    assert names(result) == ["test_a", "test_b", "test_c"]
    assert (result.replies, result.usage.tokens) == (3, 450)
    assert (BASELINE.figure.percent, result.after.percent) == (50.0, 100.0)
    (file,) = result.files
    assert file.after.count("def test_") == 3


def test_verdicts_stand_in_the_order_of_the_replies_however_they_were_judged():
    heard = Heard()
    model = ScriptedModel({"a": [a_test("a", "_slow") + "\n" + a_test("a", "_quick")], "b": [a_test("b")]})
    result = run(model, ScriptedRunner({"test_a_slow": 0.2}), heard)
    assert heard.judgements.index("test_a_quick") < heard.judgements.index("test_a_slow")
    assert [verdict.candidate.name for verdict in result.verdicts] == ["test_a_slow", "test_a_quick", "test_b"]


def test_only_what_is_still_uncovered_is_asked_about_again():
    model = ScriptedModel({"a": [a_test("a")], "b": [a_test("b", "_fails"), a_test("b")], "c": ["Sorry."]})
    result = run(model)
    assert [(prompt.target.qualname, prompt.attempt) for prompt in model.prompts] == [
        ("a", 1),
        ("b", 1),
        ("c", 1),
        ("b", 2),
        ("c", 2),
    ]
    assert "assert 1 == 2" in model.prompts[3].messages[-1].content
    assert names(result) == ["test_a", "test_b"]


@pytest.mark.parametrize(
    ("replies", "temperatures"),
    [
        (["Sorry.", a_test("a")], [0.0, 0.4]),
        ([a_test("a", "_fails"), a_test("a")], [0.0, 0.0]),
        ([a_test("a", "_fails"), a_test("a", "_too_fails"), a_test("a")], [0.0, 0.0, 0.4]),
    ],
)
def test_the_same_prompt_again_and_a_third_one_are_asked_with_chance(replies, temperatures):
    model = ScriptedModel({"a": replies})
    run(model, attempts=3)
    asked = zip(model.prompts, model.temperatures, strict=True)
    assert [temperature for prompt, temperature in asked if prompt.target.qualname == "a"] == temperatures


@pytest.mark.parametrize(("concurrency", "known"), [(1, [0, 1, 2]), (2, [0, 0, 2])])
def test_lessons_come_from_what_was_judged_before(concurrency, known):
    model = ScriptedModel({name: [a_test(name)] for name in "abc"}, concurrency=concurrency)
    templates = Templates(default_templates(), DEFAULT_RECIPE.model_copy(update={"lesson_tokens": 300}))
    tools = Tools(Knowledge(), model, ScriptedRunner(), templates, Heard())
    asyncio.run(propose(TARGETS, BASELINE, tools, Generation()))
    shown = [prompt.messages[-1].content for prompt in model.prompts]
    assert [sum(f"def test_{name}()" in text for name in "abc") for text in shown] == known


def test_no_more_requests_are_under_way_than_the_model_can_take():
    model = ScriptedModel({name: [a_test(name)] for name in "abc"}, concurrency=2)
    run(model)
    assert model.most_under_way == 2


@pytest.mark.parametrize("shares_cores", [False, True])
def test_a_model_on_the_same_cores_takes_turns_with_the_tests(shares_cores):
    runner = ScriptedRunner({f"test_{name}": 0.05 for name in "abc"})
    disturbed: list[bool] = []

    class Listening(ScriptedModel):
        async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply | None:
            disturbed.append(runner.running > 0)
            return await super().reply(prompt, sampling)

    model = Listening({name: [a_test(name)] for name in "abc"}, shares_cores=shares_cores)
    assert names(run(model, runner)) == ["test_a", "test_b", "test_c"]
    assert any(disturbed) is not shares_cores


def test_a_model_that_dies_costs_nothing_that_it_has_written():
    model = ScriptedModel({"a": [a_test("a")], "b": [ModelError("the server is gone")], "c": [a_test("c")]})
    result = run(model, ScriptedRunner({"test_a": 0.1}))
    assert names(result) == ["test_a"]
    assert result.notes == ("the model stopped answering: the server is gone",)
    assert len(model.prompts) == 2


def test_a_model_that_never_answers_is_an_error():
    with pytest.raises(ModelError, match="no key"):
        run(ScriptedModel({"a": [ModelError("no key")]}))


def test_what_was_judged_before_the_deadline_counts():
    model = ScriptedModel({"a": [a_test("a") + "\n" + a_test("a", "_hangs")], "b": [a_test("b")]})
    result = run(model, ScriptedRunner({"test_a_hangs": 60}), deadline=1.0)
    assert names(result) == ["test_a", "test_b"]
    assert result.notes == ("the deadline passed: not everything was tried",)


def test_the_token_budget_is_never_exceeded():
    model = ScriptedModel({name: [a_test(name, "_fails")] * 9 for name in "abc"})
    result = run(model, max_tokens=3000, attempts=9)
    assert 0 < result.usage.tokens <= 3000
    assert "the token budget is spent: not everything was tried" in result.notes


def test_the_same_test_is_not_judged_twice():
    heard = Heard()
    run(ScriptedModel({"a": [a_test("a", "_fails"), a_test("a", "_fails")]}), heard=heard, attempts=2)
    assert heard.judgements == ["test_a_fails"]


def test_tests_that_do_not_raise_diff_coverage_in_their_file_are_not_confirmed():
    class Nothing(ScriptedRunner):
        async def run_files(self, files: Mapping[str, str]) -> SuiteRun:
            ran = await super().run_files(files)
            return replace(ran, coverage={PATH: FileCoverage(LINES, frozenset())})

    result = run(ScriptedModel({"a": [a_test("a")]}), Nothing())
    assert names(result, Outcome.UNCONFIRMED) == ["test_a"]
    assert result.files == ()
    assert result.after == BASELINE.figure


OLD = "from pkg.mod import a, b, c\n\n\ndef test_old():\n    assert a\n\n\nclass TestBox:\n    def test_x(self):\n        assert a\n"


class OldTests(Knowledge):
    def test_files(self) -> Mapping[str, str]:
        return {"tests/test_mod.py": OLD}


def run_on_old(model: ScriptedModel, runner: ScriptedRunner, hunks=None) -> Result:
    tools = Tools(OldTests(), model, runner, TEMPLATES, Heard())
    return asyncio.run(propose(TARGETS, replace(BASELINE, hunks=hunks or {}), tools, Generation()))


def test_what_is_accepted_is_told_as_placements_and_as_suggestions_where_the_diff_shows_the_file():
    model = ScriptedModel({name: [a_test(name)] for name in "abc"})
    result = run_on_old(model, ScriptedRunner(), {"tests/test_mod.py": (Hunk(1, 10),)})
    accepted = [result.verdicts[index].candidate for index in result.accepted]
    assert [placement.candidate for placement in result.placements] == accepted
    assert [file.after for file in result.files] == [render(OLD, result.placements)]
    suggested = [placement for inline in result.inlines for placement in inline.placements]
    assert sorted(placement.name for placement in suggested) == ["test_a", "test_b", "test_c"]
    assert all(placement in result.placements for placement in suggested)


def test_without_hunks_there_are_no_inline_suggestions_and_no_run_for_them():
    ran: list[Mapping[str, str]] = []

    class Counting(ScriptedRunner):
        async def run_files(self, files: Mapping[str, str]) -> SuiteRun:
            ran.append(files)
            return await super().run_files(files)

    result = run_on_old(ScriptedModel({"a": [a_test("a")]}), Counting())
    assert (result.inlines, len(result.placements), len(ran)) == ((), 1, 1)


def test_a_suggestion_that_does_not_pass_where_it_stands_leaves_the_test_accepted():
    class Late(ScriptedRunner):
        async def run_files(self, files: Mapping[str, str]) -> SuiteRun:
            ran = await super().run_files(files)
            (text,) = files.values()
            at_the_end = text.rstrip().endswith("assert a(1) == 1")
            return ran if at_the_end else replace(ran, passed_tests=frozenset())

    result = run_on_old(ScriptedModel({"a": [a_test("a")]}), Late(), {"tests/test_mod.py": (Hunk(1, 5),)})
    assert names(result) == ["test_a"]
    assert len(result.placements) == 1
    assert result.inlines == ()


def test_a_method_that_fails_in_the_class_that_is_there_gets_one_of_its_own():
    class Strict(ScriptedRunner):
        async def run_candidate(self, candidate: Candidate, *, hash_seed: int, **how) -> Run:
            plain = replace(candidate, name=candidate.name.rpartition("::")[2])
            return await super().run_candidate(plain, hash_seed=hash_seed, **how)

        async def run_files(self, files: Mapping[str, str]) -> SuiteRun:
            ran = await super().run_files(files)
            (text,) = files.values()
            tests = {
                f"tests/test_mod.py::{node.name}::{child.name}"
                for node in ast.parse(text).body
                if isinstance(node, ast.ClassDef)
                for child in node.body
            }
            return replace(ran, passed_tests=frozenset(tests) - {"tests/test_mod.py::TestBox::test_a"})

    code = "class TestBox:\n    def test_a(self):\n        assert a(1) == 1\n"
    result = run_on_old(ScriptedModel({"a": [code]}), Strict(), {"tests/test_mod.py": (Hunk(1, 10),)})
    assert [(placement.name, placement.into) for placement in result.placements] == [("TestBox_2::test_a", "")]
    assert "class TestBox_2:" in result.files[0].after
