"""Method → test pairs of a project: its own tests, as our prompts would ask for them, proved by our own filters.

Each test is made plain and run by itself under coverage, so that it is known which test executes which lines. A
method is then asked about as if it had just been changed, and the tests that are about it are the answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from llm_testgen.chain import Chain
from llm_testgen.recipe import DEFAULT_RECIPE
from llm_testgen.records import (
    Candidate,
    ChangedMethod,
    Context,
    Ending,
    Goal,
    Lines,
    LinesByPath,
    Method,
    Outcome,
    Prompt,
    Reply,
    Usage,
)
from llm_testgen.settings import Generation
from llm_testgen.stages.context import Surroundings, build_context
from llm_testgen.stages.extract import extract
from llm_testgen.stages.goals import goals
from llm_testgen.stages.prompt import Templates
from llm_testgen.tuning.data.answers import Answer, in_reply, reply_to
from llm_testgen.tuning.data.examples import About, Example, Origin, make_example
from llm_testgen.tuning.data.ground import MineGround
from llm_testgen.tuning.data.pairing import Pair, Ran, Reach, all_pairs, body_lines, lines_for, match, names_target
from llm_testgen.tuning.data.plain import LONGEST_LINE, PlainTest, plain_tests
from llm_testgen.tuning.data.project_run import Made, Steps, Tell
from llm_testgen.tuning.data.similarity import containment
from llm_testgen.tuning.data.suite import UnfitError

_LEAK = 0.5
_RUNS_OF_A_METHOD = 10  # about, to tell how far it is
_LONGEST_TEST = 360  # characters: a reply has room for 80 tokens a test, and some more
_NO_REPAIRS = Generation(repeats=1, repairs=0, repairing=frozenset(), mutants=4)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is made of a method.

    Attributes:
        templates: What prompts are made from.
        tests: Tests of one answer at most.
        examples: Examples of one method at most, no test in two of them.
    """

    templates: Templates
    tests: int = DEFAULT_RECIPE.tests
    examples: int = 2


async def mine(ground: MineGround, wanted: Wanted, tell: Tell) -> Made:
    """The examples of a project.

    Args:
        ground: It, ready.
        wanted: What is made of each method.
        tell: Called with the per cent that are done.
    """
    mined = Made()
    plain = list(_plain(ground, mined.counts))
    asked = [target for target in ground.targets if body_lines(target)]
    steps = Steps(len(plain) + _RUNS_OF_A_METHOD * len(asked), tell)
    ran = await _run_all(plain, ground, mined.counts, steps)
    pairs = all_pairs(asked, ran)
    mined.counts["methods"] = len(asked)
    for target in asked:
        try:
            await _Method(ground, wanted, target, mined).mine(pairs[target.id])
        finally:
            steps.step(_RUNS_OF_A_METHOD)
    return mined


def _plain(ground: MineGround, counts: Counter[str]) -> Iterator[PlainTest]:
    """The plain tests of a project, each once."""
    seen: set[str] = set()
    for test in ground.tests:
        counts["tests"] += 1
        if (suite := ground.suites.get(test.path)) is None:
            continue
        try:
            found = plain_tests(test, suite)
        except UnfitError as error:
            counts[f"test left out: {error}"] += 1
            continue
        counts["tests made plain"] += 1
        for plain in found:
            text = plain.module.replace(plain.origin.name, "test", 1)
            if text not in seen and any(names_target(plain.code, target) for target in ground.targets):
                seen.add(text)
                yield plain


async def _run_all(
    plain: Sequence[PlainTest], ground: MineGround, counts: Counter[str], steps: Steps
) -> tuple[Ran, ...]:
    """The plain tests that pass, with what they execute; a few at a time, as the runner has room."""
    counts["plain tests"] = len(plain)
    reach = Reach(ground.targets)
    idle = await _run_by_import(ground)

    async def run(test: PlainTest) -> Ran | None:
        folder = PurePosixPath(test.origin.path).parent.as_posix()
        found = await ground.runner.run_text(folder, test.module, hash_seed=0)
        steps.step()
        counts[f"plain test {found.ending.replace('_', ' ')}"] += 1
        if found.ending is not Ending.PASSED:
            return None
        covered = {path: lines - idle.get(path, frozenset()) for path, lines in found.covered.items()}
        return Ran(test, covered, reach.count(covered))

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(run(test)) for test in plain]
    return tuple(found for task in running if (found := task.result()) is not None)


async def _run_by_import(ground: MineGround) -> LinesByPath:
    """Lines that run when their module is imported, and so with every test: a table that a function fills, say."""
    folder = PurePosixPath(ground.tests[0].path).parent.as_posix() if ground.tests else "."

    async def run(path: str, module: str) -> tuple[str, Lines]:
        text = f"import {module}\n\n\ndef test_nothing():\n    pass\n"
        found = await ground.runner.run_text(folder, text, hash_seed=0)
        return path, found.covered.get(path, frozenset())

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(run(path, module)) for path, module in ground.modules.items()]
    return dict(task.result() for task in running)


class _Method:
    """One method while examples are made of it."""

    def __init__(self, ground: MineGround, wanted: Wanted, target: ChangedMethod, mined: Made) -> None:
        self._ground = ground
        self._wanted = wanted
        self._target = target
        self._mined = mined
        self._around = ground.knowledge.surroundings(target)
        self._names = ground.knowledge.names(target)
        self._refused: set[str] = set()

    async def mine(self, pairs: Sequence[Pair]) -> None:
        """Make so many examples as there are tests for, or are wanted."""
        self._mined.counts["methods with tests"] += bool(pairs)
        left = list(pairs)
        for _ in range(self._wanted.examples):
            made = await self._one(left)
            if made is None:
                return
            used, example = made
            self._mined.examples.append(example)
            left = [pair for pair in left if pair.ran.test.code not in used]

    async def _one(self, pairs: Sequence[Pair]) -> tuple[set[str], Example] | None:
        """An example, and the tests that it used up; those that are refused are left out until the rest is accepted."""
        every = goals(self._target, body_lines(self._target))
        recipe = self._wanted.templates.recipe
        most = min(self._wanted.tests, recipe.tests)
        while chosen := match(every, self._left(pairs), self._target.path, most):
            prompt = self._prompt(chosen)
            answers = [self._answer(goal, pair, prompt.context) for goal, pair in chosen.items()]
            text = reply_to(prompt, answers)
            if not text or len(prompt.context.goals) != len(chosen):
                self._mined.counts["answer does not fit the prompt"] += 1
                return None
            refused = [
                answer.test.code
                for answer, reason in zip(answers, await self._judge(prompt, text, answers), strict=True)
                if reason
            ]
            if not refused:
                return {pair.ran.test.code for pair in chosen.values()}, self._example(prompt, text, answers)
            self._refused.update(refused)
        return None

    def _left(self, pairs: Sequence[Pair]) -> list[Pair]:
        return [pair for pair in pairs if pair.ran.test.code not in self._refused]

    def _answer(self, goal: Goal, pair: Pair, context: Context) -> Answer:
        test = pair.ran.test
        return Answer(test, goal, in_reply(test, context, self._ground.packages))

    def _prompt(self, chosen: Mapping[Goal, Pair]) -> Prompt:
        """What a model would be asked, if these goals were what nothing reaches yet."""
        executed = (pair.ran.covered.get(self._target.path, frozenset()) for pair in chosen.values())
        lines = lines_for(self._target, chosen, frozenset[int]().union(*executed))
        recipe = self._wanted.templates.recipe
        tests = [pair.ran.test for pair in chosen.values()]
        around = replace(self._around, tests=_without_leaks(self._around, tests))
        context = build_context(self._target, around, recipe.context_tokens, recipe)
        asked = replace(context, uncovered=lines, goals=goals(self._target, lines))
        return self._wanted.templates.first(asked)

    async def _judge(self, prompt: Prompt, text: str, answers: Sequence[Answer]) -> list[str]:
        """For each test of a reply why our filters refuse it; empty where they accept it."""
        found = extract(Reply(prompt, text, "", Usage()), self._names)
        if len(found) != len(answers):
            return ["the reply does not hold its tests"] * len(answers)
        missing = {self._target.path: prompt.context.uncovered}
        chain = Chain(self._ground.runner, None, _NO_REPAIRS, missing, (self._target,))
        async with asyncio.TaskGroup() as tasks:
            judging = [
                tasks.create_task(self._reason(chain, candidate, answer))
                for candidate, answer in zip(found, answers, strict=True)
            ]
        reasons = [task.result() for task in judging]
        self._mined.counts.update(f"answer {reason or 'accepted'}" for reason in reasons)
        return reasons

    async def _reason(self, chain: Chain, candidate: Candidate, answer: Answer) -> str:
        if len(answer.code) > _LONGEST_TEST or max(map(len, answer.code.split("\n"))) > LONGEST_LINE:
            return "too long"
        verdict = (await chain.judge(candidate, self._names)).verdict
        if verdict.outcome is not Outcome.ACCEPTED:
            return verdict.outcome.replace("_", " ")
        gained: Lines = verdict.gained.get(self._target.path, frozenset())
        return "misses its goal" if answer.goal and answer.goal.line not in gained else ""

    def _example(self, prompt: Prompt, text: str, answers: Sequence[Answer]) -> Example:
        source = self._ground.source
        about = About(
            origin=Origin.MINED,
            project=source.name,
            version=source.version,
            licence=source.licence,
            target=self._target.id,
            test=" ".join(dict.fromkeys(answer.test.origin.id for answer in answers)),
        )
        return make_example(prompt.messages, text, about, prompt.prefill)


def _without_leaks(around: Surroundings, answers: Sequence[PlainTest]) -> tuple[Method, ...]:
    """The existing tests that may be shown as examples: none that holds a good part of an answer."""
    own = {answer.origin.id for answer in answers}
    bodies = [answer.code.partition("\n")[2] for answer in answers]
    return tuple(
        test
        for test in around.tests
        if test.id not in own and all(containment(body, test.source) < _LEAK for body in bodies)
    )
