"""One prompt through the whole chain, with a scripted model and runner."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.samples import ModuleNames, changed_method

from llm_testgen.baseline import Baseline
from llm_testgen.edges.models import Sampling
from llm_testgen.edges.tokens import TokenBudget
from llm_testgen.errors import ModelError, PromptRefusedError
from llm_testgen.evolution.generations import TokensSpentError
from llm_testgen.evolution.score import Gain
from llm_testgen.evolution.store import TrialStore
from llm_testgen.evolution.trial import Ground, Trials, digest_of
from llm_testgen.recipe import DEFAULT_RECIPE, Kind, Recipe
from llm_testgen.records import (
    ChangedMethod,
    Ending,
    FileCoverage,
    Prompt,
    Reply,
    Run,
    Snapshot,
    TreeFile,
    Usage,
)
from llm_testgen.settings import Generation
from llm_testgen.stages.context import Surroundings
from llm_testgen.stages.prompt import Templates, default_templates
from llm_testgen.tools import Tools

PATH = "src/pkg/mod.py"
SOURCE = "def a(x):\n    if x > 1:\n        return x + 1\n    return x\n\n\ndef b(x):\n    return x\n"
A, B = (changed_method(SOURCE, name, PATH) for name in "ab")
LINES = frozenset({1, 2, 3, 4, 7, 8})
BASELINE = Baseline({PATH: LINES}, {PATH: FileCoverage(LINES, frozenset({1, 2, 7}))})
COVERS = {"test_one": {2, 4}, "test_two": {2, 3}, "test_both": {2, 3, 4}, "test_other": {8}, "test_twice": {2, 3}}


def reply(*names: str) -> str:
    return "\n\n".join(f"def {name}():\n    assert a(len({name!r})) == 1\n" for name in names)


class Knowledge:
    def surroundings(self, target: ChangedMethod) -> Surroundings:
        return Surroundings("pkg.mod", (), (), (), "tests/test_mod.py")

    def names(self, target: ChangedMethod) -> ModuleNames:
        return ModuleNames("a", "b")

    def test_files(self) -> Mapping[str, str]:
        return {}


class Model:
    name = "scripted"
    concurrency = 1
    shares_cores = False

    def __init__(self, *replies: str | Exception) -> None:
        self.left = list(replies)
        self.asked: list[tuple[Prompt, Sampling]] = []

    async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply | None:
        self.asked.append((prompt, sampling))
        text = self.left.pop(0)
        if isinstance(text, Exception):
            raise text
        return Reply(prompt, text, self.name, Usage(100, 50, 0.01))

    async def close(self) -> None:
        pass


class Runner:
    async def run_candidate(self, candidate, *, trapped=(), mutant=None, **_) -> Run:
        if trapped or mutant:
            return Run(Ending.FAILED)
        return Run(Ending.PASSED, covered={PATH: frozenset(COVERS[candidate.name])})

    async def run_together(self, candidates, *, hash_seed: int) -> tuple[Run, ...]:
        return tuple(Run(Ending.PASSED) for _ in candidates)


class Silence:
    def asked(self, target, attempt) -> None: ...

    def replied(self, reply) -> None: ...

    def judged(self, verdict) -> None: ...

    def confirming(self, count) -> None: ...


@pytest.fixture
def ground(tmp_path):
    """What trials are done on, with a model that gives these replies."""

    def make(*replies: str | Exception, tokens: int | None = None, digest: str = "0") -> tuple[Trials, Model]:
        model = Model(*replies)
        tools = Tools(Knowledge(), model, Runner(), Templates(default_templates()), Silence())
        made = Ground(tools, BASELINE, Generation(seed=7), TokenBudget(tokens), digest)
        return Trials(made, TrialStore(tmp_path / "evolve.jsonl")), model

    return make


def attempt(trials: Trials, recipe: Recipe = DEFAULT_RECIPE, target: ChangedMethod = A) -> Gain:
    return asyncio.run(trials(recipe, target))


def test_what_counts_is_what_the_chosen_tests_cover_of_the_method_and_the_faults_that_they_notice(ground):
    trials, _ = ground(reply("test_one", "test_two", "test_twice", "test_other"))
    gain = attempt(trials)
    assert (gain.accepted, gain.lines) == (2, 2)
    assert gain.killed > 0
    assert (gain.tokens_in, gain.tokens_out) == (100, 50)


def test_one_prompt_is_sent_as_the_recipe_says(ground):
    trials, model = ground("Sorry.", "Sorry.")
    assert attempt(trials, Recipe(tests=1, temperature=0.4, goals=False)) == Gain(tokens_in=100, tokens_out=50)
    ((prompt, sampling),) = model.asked
    assert (prompt.tests, sampling.temperature, sampling.seed) == (1, 0.4, 7)
    attempt(trials, Recipe(reply_tokens=99))
    assert model.asked[1][1].max_tokens == 99


def test_a_trial_is_made_once(ground):
    trials, model = ground(reply("test_both"))
    first = attempt(trials)
    assert attempt(trials) == first
    again, nobody = ground()
    assert attempt(again) == first
    assert (len(model.asked), len(nobody.asked), trials.new, again.new) == (1, 0, 1, 0)


@pytest.mark.parametrize(
    "other",
    [
        {"recipe": Recipe(tests=2)},
        {"target": B},
        {"target": replace(A, definitions=(replace(A.method, source=A.method.source + "    # more\n"),))},
    ],
)
def test_another_recipe_or_method_is_another_trial(ground, other):
    trials, model = ground(reply("test_both"), "Sorry.")
    attempt(trials)
    attempt(trials, **other)
    assert len(model.asked) == 2


def test_another_ground_is_another_trial(ground):
    trials, _ = ground(reply("test_both"))
    attempt(trials)
    other, model = ground("Sorry.", digest="1")
    assert attempt(other).lines == 0
    assert len(model.asked) == 1


def test_the_tokens_of_comments_count_too(ground):
    trials, model = ground("```python\ndef a(x):\n    # More.\n", reply("test_both"))
    gain = attempt(trials, Recipe(kind=Kind.COMMENTED))
    assert len(model.asked) == 2
    assert (gain.tokens_in, gain.tokens_out, gain.lines) == (200, 100, 2)


def test_nothing_is_asked_that_the_budget_may_not_suffice_for(ground):
    trials, model = ground(reply("test_both"), tokens=100)
    with pytest.raises(TokensSpentError):
        attempt(trials)
    assert model.asked == []
    assert trials.new == 0


def test_what_was_known_takes_its_part_of_the_budget(ground):
    attempt(ground(reply("test_both"))[0])
    trials, _ = ground(tokens=2_000)
    attempt(trials)
    assert trials._ground.budget.spent == 150


@pytest.mark.parametrize("error", [ModelError("the server died"), TokensSpentError()])
def test_a_fault_between_comments_and_tests_is_no_result(ground, error):
    trials, _ = ground("```python\ndef a(x):\n    # More.\n", error)
    with pytest.raises(type(error)):
        attempt(trials, Recipe(kind=Kind.COMMENTED))
    assert trials.new == 0


def test_a_prompt_that_the_model_cannot_take_gains_nothing(ground):
    trials, _ = ground(PromptRefusedError("too long"))
    assert attempt(trials) == Gain()
    assert trials.new == 1


def test_the_digest_of_a_ground_follows_the_tree_the_templates_the_settings_and_the_model(tmp_path):
    def made(blob="1", text="x", settings=None, model="m"):
        (tmp_path / "task.jinja").write_text(text)
        snapshot = Snapshot("0", (TreeFile("a.py", blob),), lambda _: b"")
        return digest_of(snapshot, tmp_path, settings or Generation(), {"model": model})

    assert made() == made()
    others = [made(blob="2"), made(text="y"), made(settings=Generation(repeats=1)), made(model="n")]
    assert len({made(), *others}) == 5
