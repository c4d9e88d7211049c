"""The search for tests: prompts, replies and judgements, round by round, until everything is covered or used up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from llm_testgen.baseline import Baseline
from llm_testgen.edges.models import Sampling, TokenBudget
from llm_testgen.errors import LlmTestgenError, ModelError, PromptRefusedError
from llm_testgen.records import Candidate, ChangedMethod, Context, Lines, Outcome, Prompt, Reply, Usage, Verdict
from llm_testgen.settings import Generation
from llm_testgen.stages.assure import Requirement, assure, unparsable, unsafe
from llm_testgen.stages.context import build_context
from llm_testgen.stages.extract import Names, extract
from llm_testgen.stages.goals import goals
from llm_testgen.stages.repair import repair
from llm_testgen.stages.screen import screen
from llm_testgen.tools import Tools

_REPLY_TOKENS = 60
_TOKENS_PER_TEST = 80


@dataclass(slots=True)
class _Pursuit:
    """One target while tests are sought for it."""

    target: ChangedMethod
    names: Names
    context: Context
    missing: Lines
    judged: dict[tuple[int, int], Verdict] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    over: bool = False

    def verdicts(self, attempt: int | None = None) -> list[Verdict]:
        """Verdicts of one attempt, or of all, in the order of the candidates whatever order they were judged in."""
        return [self.judged[key] for key in sorted(self.judged) if attempt in {None, key[0]}]


class Search:
    """Asks the model round by round, over all targets; meanwhile, or in turns with it, its tests are judged.

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
        self._requirement = Requirement(self._missing, settings.repeats)
        self._budget = TokenBudget(settings.max_tokens)
        self._asking = asyncio.Semaphore(tools.model.concurrency)
        self._pursuits: list[_Pursuit] = []
        self._fault: ModelError | None = None
        self._refusal: PromptRefusedError | None = None
        self.replies = 0
        self.usage = Usage()
        self.notes: list[str] = []

    def verdicts(self) -> list[Verdict]:
        """All verdicts so far, by target."""
        return [verdict for pursuit in self._pursuits for verdict in pursuit.verdicts()]

    async def run(self, targets: Sequence[ChangedMethod]) -> None:
        """Ask until everything is covered, or attempts, tokens or time are used up."""
        self._pursuits = [self._pursuit(target) for target in targets]
        self._requirement = replace(self._requirement, targets=tuple(targets))
        try:
            async with asyncio.timeout(self._settings.deadline):
                for attempt in range(1, self._settings.attempts + 1):
                    await self._round(attempt)
        except TimeoutError:
            self._note("the deadline passed: not everything was tried")
        except ExceptionGroup as group:
            raise _expected(group) or group from group
        if not self.replies and (error := self._fault or self._refusal):
            raise error
        if self._fault is not None:
            self._note(f"the model stopped answering: {self._fault}")

    def _pursuit(self, target: ChangedMethod) -> _Pursuit:
        missing = self._missing.get(target.path, frozenset()) & target.lines
        knowledge = self._tools.knowledge
        context = build_context(target, knowledge.surroundings(target), self._settings.context_tokens)
        return _Pursuit(target, knowledge.names(target), context, missing)

    async def _round(self, attempt: int) -> None:
        """One prompt for every target that still needs one. Replies are judged while the next is being written."""
        # What is uncovered is settled before the round: what a prompt says must not depend on who was quicker.
        open_ = [(pursuit, self._uncovered(pursuit)) for pursuit in self._pursuits if not pursuit.over]
        async with asyncio.TaskGroup() as tasks:
            for pursuit, uncovered in open_:
                if uncovered:
                    tasks.create_task(self._attempt(pursuit, attempt, uncovered))

    def _uncovered(self, pursuit: _Pursuit) -> Lines:
        gained: set[int] = set()
        for other in self._pursuits:
            for verdict in other.judged.values():
                if verdict.outcome is Outcome.ACCEPTED:
                    gained |= verdict.gained.get(pursuit.target.path, frozenset())
        return pursuit.missing - gained

    async def _attempt(self, pursuit: _Pursuit, attempt: int, uncovered: Lines) -> None:
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
        found = extract(reply, pursuit.names)
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
        context = replace(pursuit.context, uncovered=uncovered, goals=goals(pursuit.target, uncovered))
        templates = self._tools.templates
        prompt = (
            templates.first(context)
            if attempt == 1
            else templates.again(context, pursuit.verdicts(attempt - 1), attempt)
        )
        granted = self._budget.reserve(prompt, self._settings.reply_tokens or _reply_tokens(prompt))
        if not granted:
            self._note("the token budget is spent: not everything was tried")
            return None
        self._tools.observer.asked(pursuit.target, attempt)
        usage = Usage()
        try:
            sampling = Sampling(self._settings.temperature, self._settings.seed, granted)
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
        if reason := screen(candidate):
            self._record(unsafe(candidate, reason), pursuit, key)
            return
        verdict = await assure(candidate, self._tools.runner, self._requirement)
        for _ in range(self._settings.repairs):
            mended = repair(verdict, pursuit.names)
            if mended is None:
                break
            verdict = await assure(mended, self._tools.runner, self._requirement)
        self._record(verdict, pursuit, key)

    def _record(self, verdict: Verdict, pursuit: _Pursuit, key: tuple[int, int]) -> None:
        pursuit.judged[key] = verdict
        self._tools.observer.judged(verdict)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _reply_tokens(prompt: Prompt) -> int:
    """Room for the tests that a prompt asks for: a small model that is left more rambles to the end of it."""
    return _REPLY_TOKENS + prompt.tests * _TOKENS_PER_TEST


def _expected(group: BaseExceptionGroup[BaseException]) -> LlmTestgenError | None:
    """The first error in a group of them that a person can act on."""
    for error in group.exceptions:
        found = _expected(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, LlmTestgenError):
            return found
    return None
