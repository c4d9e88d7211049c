"""The search for tests: prompts, replies and judgements, until everything is covered or used up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from llm_testgen.bandit import Arm, Bandit, Moment
from llm_testgen.baseline import Baseline
from llm_testgen.chain import Chain
from llm_testgen.edges.models import Sampling, TokenBudget
from llm_testgen.edges.tokens import estimate_tokens
from llm_testgen.errors import ModelError, PromptRefusedError, first_expected
from llm_testgen.lessons import NO_LESSONS, Lessons, choose_lessons
from llm_testgen.recipe import Kind
from llm_testgen.records import (
    Candidate,
    ChangedMethod,
    Context,
    Lines,
    Message,
    Outcome,
    Prompt,
    Regression,
    Reply,
    Usage,
    Verdict,
)
from llm_testgen.settings import Generation
from llm_testgen.stages.assure import unparsable
from llm_testgen.stages.comment import commented, opening, room
from llm_testgen.stages.context import build_context
from llm_testgen.stages.extract import Names, extract
from llm_testgen.stages.goals import goals
from llm_testgen.tools import Tools

_REPLY_TOKENS = 60
_TOKENS_PER_TEST = 80
# What one method does not need of its prompts another may have, up to so many times its own share.
_MOST_SHARES = 2
# A model that was asked several times, or twice the same, and gave nothing, has to be led elsewhere.
_LATE = 3
_LATE_TEMPERATURE = 0.4


@dataclass(slots=True)
class _Pursuit:
    """One target while tests are sought for it."""

    target: ChangedMethod
    names: Names
    context: Context
    missing: Lines
    judged: dict[tuple[int, int], Verdict] = field(default_factory=dict)
    regressions: dict[tuple[int, int], Regression] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    lessons: Lessons = NO_LESSONS
    prompts: int = 0
    asked: tuple[Message, ...] = ()
    asked_as: Moment = Moment.FIRST
    over: bool = False

    def verdicts(self, attempt: int | None = None) -> list[Verdict]:
        """Verdicts of one attempt, or of all, in the order of the candidates whatever order they were judged in."""
        return [self.judged[key] for key in sorted(self.judged) if attempt in {None, key[0]}]

    @property
    def moment(self) -> Moment:
        """What a bandit has to know of it."""
        if not self.prompts:
            return Moment.FIRST
        gains = any(verdict.outcome is Outcome.ACCEPTED for verdict in self.verdicts(self.prompts))
        return Moment.AFTER_GAIN if gains else Moment.AFTER_NONE


class Search:
    """Asks the model where it promises the most; meanwhile, or in turns with it, its tests are judged.

    Attributes:
        replies: How many replies the model gave.
        usage: What they cost.
        notes: What a person should know: a spent budget, a passed deadline, a server that died.
    """

    def __init__(self, baseline: Baseline, tools: Tools, settings: Generation) -> None:
        """Set out from a baseline."""
        self._tools = tools
        self._settings = settings
        self._missing = baseline.missing()
        self._budget = TokenBudget(settings.max_tokens)
        self._asking = asyncio.Semaphore(tools.model.concurrency)
        self._bandit = Bandit()
        self._pursuits: list[_Pursuit] = []
        self._fault: ModelError | None = None
        self._refusal: PromptRefusedError | None = None
        self.replies = 0
        self.usage = Usage()
        self.notes: list[str] = []

    def verdicts(self) -> list[Verdict]:
        """All verdicts so far, by target."""
        return [verdict for pursuit in self._pursuits for verdict in pursuit.verdicts()]

    def regressions(self) -> list[Regression]:
        """The possible regressions found so far, by target."""
        return [pursuit.regressions[key] for pursuit in self._pursuits for key in sorted(pursuit.regressions)]

    async def run(self, targets: Sequence[ChangedMethod]) -> None:
        """Ask until everything is covered, or attempts, tokens or time are used up."""
        tools = self._tools
        self._pursuits = [self._pursuit(target) for target in targets]
        self._chain = Chain(tools.runner, tools.base, self._settings, self._missing, targets)
        try:
            async with asyncio.timeout(self._settings.deadline):
                left = self._settings.attempts * len(self._pursuits)
                while chosen := self._choose(left):
                    left -= len(chosen)
                    await self._round(chosen)
        except TimeoutError:
            self._note("the deadline passed: not everything was tried")
        except ExceptionGroup as group:
            raise first_expected(group) or group from group
        if not self.replies and (error := self._fault or self._refusal):
            raise error
        if self._fault is not None:
            self._note(f"the model stopped answering: {self._fault}")

    def _pursuit(self, target: ChangedMethod) -> _Pursuit:
        missing = self._missing.get(target.path, frozenset()) & target.lines
        knowledge = self._tools.knowledge
        recipe = self._tools.templates.recipe
        context = build_context(target, knowledge.surroundings(target), self._settings.context_tokens, recipe)
        return _Pursuit(target, knowledge.names(target), context, missing)

    def _choose(self, left: int) -> list[tuple[_Pursuit, Lines]]:
        """The methods to be asked about next, and what nothing covers of each: first all of them, then a few at once.

        What is uncovered is settled before they are asked: what a prompt says must not depend on who was quicker.
        """
        most = self._settings.attempts * _MOST_SHARES
        uncovered = {
            number: lines
            for number, pursuit in enumerate(self._pursuits)
            if not pursuit.over and pursuit.prompts < most and (lines := self._uncovered(pursuit))
        }
        arms = [
            Arm(number, pursuit.moment, len(lines), _tokens(pursuit))
            for number, lines in uncovered.items()
            for pursuit in [self._pursuits[number]]
        ]
        first = [arm for arm in arms if arm.moment is Moment.FIRST]
        # What tests of one method teach is known to the next only when they are judged.
        is_teaching = self._tools.templates.recipe.lesson_tokens > 0
        at_once = self._tools.model.concurrency if is_teaching or not first else len(first)
        chosen = self._bandit.choose(first or arms, min(at_once, left))
        return [(self._pursuits[arm.number], uncovered[arm.number]) for arm in chosen]

    async def _round(self, chosen: Sequence[tuple[_Pursuit, Lines]]) -> None:
        """One prompt for each of some methods. Replies are judged while the next is being written."""
        known = self.verdicts()
        for pursuit, _ in chosen:
            budget = self._tools.templates.recipe.lesson_tokens
            pursuit.lessons = choose_lessons(pursuit.target, known, known, budget)
        async with asyncio.TaskGroup() as tasks:
            for pursuit, uncovered in chosen:
                tasks.create_task(self._attempt(pursuit, uncovered))
        for pursuit, uncovered in chosen:
            self._bandit.learn(pursuit.asked_as, len(uncovered), len(uncovered - self._uncovered(pursuit)))

    def _uncovered(self, pursuit: _Pursuit) -> Lines:
        gained: set[int] = set()
        for other in self._pursuits:
            for verdict in other.judged.values():
                if verdict.outcome is Outcome.ACCEPTED:
                    gained |= verdict.gained.get(pursuit.target.path, frozenset())
        return pursuit.missing - gained

    async def _attempt(self, pursuit: _Pursuit, uncovered: Lines) -> None:
        pursuit.asked_as = pursuit.moment
        pursuit.prompts += 1
        attempt = pursuit.prompts
        async with self._asking:
            try:
                reply = await self._ask(pursuit, attempt, uncovered)
            except PromptRefusedError as error:
                self._note(f"the model refused the prompt about {pursuit.target.id}: {error}")
                self._refusal, reply = error, None
            except ModelError as error:
                # What is being judged goes on: a dead server must not cost the tests that it has already written.
                self._fault, reply = error, None
            if reply is not None and self._tools.model.shares_cores:
                # Its threads wait for one another several hundred times a token: a test that runs beside them on the
                # same cores slows them down to a third, so the next prompt waits until this reply is judged.
                await self._judge_all(reply, pursuit, attempt)
        if reply is None:
            pursuit.over = True
        elif not self._tools.model.shares_cores:
            await self._judge_all(reply, pursuit, attempt)

    async def _judge_all(self, reply: Reply, pursuit: _Pursuit, attempt: int) -> None:
        found = extract(reply, pursuit.names, self._settings.repairing)
        if not found:
            self._record(unparsable(reply), pursuit, (attempt, 0))
        async with asyncio.TaskGroup() as tasks:
            for number, candidate in enumerate(found):
                if candidate.code not in pursuit.seen:
                    pursuit.seen.add(candidate.code)
                    tasks.create_task(self._judge(candidate, pursuit, (attempt, number)))

    async def _ask(self, pursuit: _Pursuit, attempt: int, uncovered: Lines) -> Reply | None:
        if self._fault is not None:
            return None
        templates = self._tools.templates
        if attempt == 1 and templates.recipe.kind is Kind.COMMENTED:
            await self._comment(pursuit)
        context = replace(pursuit.context, uncovered=uncovered, goals=goals(pursuit.target, uncovered))
        prompt = (
            templates.first(context, pursuit.lessons)
            if attempt == 1
            else templates.again(context, pursuit.verdicts(), attempt, pursuit.lessons)
        )
        is_late = attempt >= _LATE or prompt.messages == pursuit.asked
        pursuit.asked = prompt.messages
        self._tools.observer.asked(pursuit.target, attempt)
        wanted = self._settings.temperature
        temperature = max(wanted, _LATE_TEMPERATURE) if is_late else wanted
        return await self._send(prompt, self._settings.reply_tokens or _reply_tokens(prompt), temperature)

    async def _comment(self, pursuit: _Pursuit) -> None:
        """Have the model comment a copy of the method, and show it that copy from then on."""
        target = pursuit.target
        if begun := opening(target):
            prompt = self._tools.templates.comment(pursuit.context, begun)
            reply = await self._send(prompt, room(target), self._settings.temperature)
            if reply is not None:
                pursuit.context = replace(pursuit.context, commented=commented(target, reply.text) or "")

    async def _send(self, prompt: Prompt, reply_tokens: int, temperature: float) -> Reply | None:
        """The reply to a prompt, as far as the budget goes; None when there is none."""
        granted = self._budget.reserve(prompt, reply_tokens)
        if not granted:
            self._note("the token budget is spent: not everything was tried")
            return None
        usage = Usage()
        try:
            sampling = Sampling(temperature, self._settings.seed, granted)
            reply = await self._tools.model.reply(prompt, sampling)
            usage = reply.usage if reply else usage
        finally:
            self._budget.settle(usage)
        if reply is not None:
            self.replies += 1
            self.usage += usage
            self._tools.observer.replied(reply)
        return reply

    async def _judge(self, candidate: Candidate, pursuit: _Pursuit, key: tuple[int, int]) -> None:
        judgement = await self._chain.judge(candidate, pursuit.names)
        if judgement.regression is not None:
            pursuit.regressions[key] = judgement.regression
        self._record(judgement.verdict, pursuit, key)

    def _record(self, verdict: Verdict, pursuit: _Pursuit, key: tuple[int, int]) -> None:
        pursuit.judged[key] = verdict
        self._tools.observer.judged(verdict)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _reply_tokens(prompt: Prompt) -> int:
    """Room for the tests that a prompt asks for: a small model that is left more rambles to the end of it."""
    return _REPLY_TOKENS + prompt.tests * _TOKENS_PER_TEST


def _tokens(pursuit: _Pursuit) -> int:
    """What a prompt about a method takes, about: what it shows, and a reply."""
    shown = sum(len(definition.source) for definition in pursuit.target.definitions)
    shown += sum(len(item.text) for item in pursuit.context.items) + len(pursuit.context.example)
    return estimate_tokens("x" * shown) + _REPLY_TOKENS + _TOKENS_PER_TEST
