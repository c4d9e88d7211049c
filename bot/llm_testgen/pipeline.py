"""The order of the stages: changed methods in, judged and confirmed tests out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from llm_testgen.edges.diff_cover import diff_coverage
from llm_testgen.edges.models import Model, Sampling, TokenBudget
from llm_testgen.errors import ModelError
from llm_testgen.records import (
    Candidate,
    ChangedMethod,
    Context,
    CoverageByPath,
    DiffCoverage,
    FileCoverage,
    Lines,
    LinesByPath,
    Outcome,
    Prompt,
    Reply,
    TestFile,
    Usage,
    Verdict,
)
from llm_testgen.runner.base import Runner
from llm_testgen.settings import Generation
from llm_testgen.stages.assure import Goal, assure, unparsable
from llm_testgen.stages.context import Surroundings, build_context
from llm_testgen.stages.extract import Names, extract
from llm_testgen.stages.goals import goals
from llm_testgen.stages.prompt import Templates
from llm_testgen.stages.repair import repair
from llm_testgen.stages.select import select
from llm_testgen.stages.suggest import Placed, place

_CONFIRMATIONS = 4
_REPLY_TOKENS = 60
_TOKENS_PER_TEST = 80


class Knowledge(Protocol):
    """What the project's index tells about a changed method."""

    def surroundings(self, target: ChangedMethod) -> Surroundings:
        """Its module, related code, tests and fixtures."""

    def names(self, target: ChangedMethod) -> Names:
        """What names mean in its module."""

    def test_files(self) -> Mapping[str, str]:
        """Text of every test file at head, by path."""


class Observer(Protocol):
    """Hears of what happens, to show it."""

    def asked(self, target: ChangedMethod, attempt: int) -> None:
        """A prompt is being sent."""

    def replied(self, reply: Reply) -> None:
        """The model answered."""

    def judged(self, verdict: Verdict) -> None:
        """A candidate was judged."""

    def confirming(self, count: int) -> None:
        """So many chosen tests are run together."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the pipeline works with."""

    knowledge: Knowledge
    model: Model
    runner: Runner
    templates: Templates
    observer: Observer


@dataclass(frozen=True, slots=True)
class Baseline:
    """Where the change stands before.

    Attributes:
        changed_lines: Added or modified lines of every changed file.
        coverage: What the existing tests execute.
    """

    changed_lines: LinesByPath
    coverage: CoverageByPath

    @property
    def figure(self) -> DiffCoverage:
        """Diff coverage of the existing tests."""
        return diff_coverage(self.changed_lines, self.coverage)

    def missing(self) -> LinesByPath:
        """Changed lines with a statement that the existing tests do not execute."""
        figure = self.figure
        left = {path: lines - figure.covered.get(path, frozenset()) for path, lines in figure.changed.items()}
        return {path: lines for path, lines in left.items() if lines}


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found.

    Attributes:
        verdicts: In the order of targets, attempts and candidates.
        accepted: Indices of the accepted ones.
        files: The test files with the accepted tests.
        after: Diff coverage with them.
        replies: How many replies the model gave.
        usage: What they cost.
        notes: What a person should know: a spent budget, a passed deadline, a server that died.
    """

    verdicts: tuple[Verdict, ...]
    accepted: tuple[int, ...]
    files: tuple[TestFile, ...]
    after: DiffCoverage
    replies: int
    usage: Usage
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Confirmed:
    """What is left of a run's verdicts once the chosen tests have run together."""

    verdicts: tuple[Verdict, ...]
    accepted: tuple[int, ...]
    files: tuple[TestFile, ...]
    after: DiffCoverage


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


async def propose(targets: Sequence[ChangedMethod], baseline: Baseline, tools: Tools, settings: Generation) -> Result:
    """Generate, judge, select and confirm tests.

    Args:
        targets: Changed methods, those with nothing left to cover taken out.
        baseline: Where the change stands before.
        tools: What to work with.
        settings: How to go about it.

    Raises:
        ModelError: The model gave no reply at all.
    """
    search = _Search(baseline, tools, settings)
    await search.run(targets)
    verdicts, accepted = select(search.verdicts(), settings.max_tests)
    confirmed = await _confirm(verdicts, accepted, baseline, tools)
    return Result(
        verdicts=confirmed.verdicts,
        accepted=confirmed.accepted,
        files=confirmed.files,
        after=confirmed.after,
        replies=search.replies,
        usage=search.usage,
        notes=tuple(search.notes),
    )


class _Search:
    """The part of a run that asks the model: round by round, over all targets."""

    def __init__(self, baseline: Baseline, tools: Tools, settings: Generation) -> None:
        self._tools = tools
        self._settings = settings
        self._missing = baseline.missing()
        self._goal = Goal(self._missing, settings.repeats)
        self._budget = TokenBudget(settings.max_tokens)
        self._asking = asyncio.Semaphore(tools.model.concurrency)
        self._pursuits: list[_Pursuit] = []
        self._fault: ModelError | None = None
        self.replies = 0
        self.usage = Usage()
        self.notes: list[str] = []

    def verdicts(self) -> list[Verdict]:
        """All verdicts so far, by target."""
        return [verdict for pursuit in self._pursuits for verdict in pursuit.verdicts()]

    async def run(self, targets: Sequence[ChangedMethod]) -> None:
        """Ask until everything is covered, or attempts, tokens or time are used up."""
        self._pursuits = [self._pursuit(target) for target in targets]
        try:
            async with asyncio.timeout(self._settings.deadline):
                for attempt in range(1, self._settings.attempts + 1):
                    await self._round(attempt)
        except TimeoutError:
            self._note("the deadline passed: not everything was tried")
        if self._fault is not None:
            if not self.replies:
                raise self._fault
            self._note(f"the model stopped answering: {self._fault}")

    def _pursuit(self, target: ChangedMethod) -> _Pursuit:
        missing = self._missing.get(target.path, frozenset()) & target.lines
        knowledge = self._tools.knowledge
        context = build_context(target, knowledge.surroundings(target), self._settings.context_tokens)
        return _Pursuit(target, knowledge.names(target), context, missing)

    async def _round(self, attempt: int) -> None:
        """One prompt for every target that still needs one. Replies are judged while the next is being written."""
        async with asyncio.TaskGroup() as tasks:
            for pursuit in self._pursuits:
                if not pursuit.over and self._uncovered(pursuit):
                    tasks.create_task(self._attempt(pursuit, attempt))

    def _uncovered(self, pursuit: _Pursuit) -> Lines:
        gained: set[int] = set()
        for other in self._pursuits:
            for verdict in other.judged.values():
                if verdict.outcome is Outcome.ACCEPTED:
                    gained |= verdict.gained.get(pursuit.target.path, frozenset())
        return pursuit.missing - gained

    async def _attempt(self, pursuit: _Pursuit, attempt: int) -> None:
        async with self._asking:
            try:
                reply = await self._ask(pursuit, attempt)
            except ModelError as error:
                # What is being judged goes on: a dead server must not cost the tests that it has already written.
                self._fault, reply = error, None
        if reply is None:
            pursuit.over = True
            return
        found = extract(reply, pursuit.names)
        if not found:
            self._record(unparsable(reply), pursuit, (attempt, 0))
        async with asyncio.TaskGroup() as tasks:
            for number, candidate in enumerate(found):
                if candidate.code not in pursuit.seen:
                    pursuit.seen.add(candidate.code)
                    tasks.create_task(self._judge(candidate, pursuit, (attempt, number)))

    async def _ask(self, pursuit: _Pursuit, attempt: int) -> Reply | None:
        uncovered = self._uncovered(pursuit)
        if self._fault is not None or not uncovered:
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
        verdict = await assure(candidate, self._tools.runner, self._goal)
        for _ in range(self._settings.repairs):
            mended = repair(verdict, pursuit.names)
            if mended is None:
                break
            verdict = await assure(mended, self._tools.runner, self._goal)
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


async def _confirm(
    verdicts: tuple[Verdict, ...], accepted: tuple[int, ...], baseline: Baseline, tools: Tools
) -> _Confirmed:
    """Run the chosen tests together, as they will stand in their files, and drop those that do not pass there."""
    judged = list(verdicts)
    left = list(accepted)
    files_at_head = tools.knowledge.test_files()
    for _ in range(_CONFIRMATIONS):
        if not left:
            break
        tools.observer.confirming(len(left))
        files, placed = place([judged[index].candidate for index in left], files_at_head)
        run = await tools.runner.run_files({file.path: file.after for file in files})
        after = diff_coverage(baseline.changed_lines, _joined(baseline.coverage, run.coverage))
        where = {id(place_.candidate): place_ for place_ in placed}
        refused = [index for index in left if not _passed(where.get(id(judged[index].candidate)), run.failed_tests)]
        reason = "fails together with the other chosen tests"
        if not refused and (run.problem or not run.passed or after.percent <= baseline.figure.percent):
            refused, reason = left, run.problem or "diff coverage does not rise when it runs in its test file"
        if not refused:
            return _Confirmed(tuple(judged), tuple(left), files, after)
        for index in refused:
            judged[index] = replace(judged[index], outcome=Outcome.UNCONFIRMED, reason=reason)
        left = [index for index in left if index not in refused]
    return _Confirmed(tuple(judged), (), (), baseline.figure)


def _passed(placed: Placed | None, failed_tests: frozenset[str]) -> bool:
    """Whether a placed test is not among those that failed; a parametrised one fails with any of its cases."""
    if placed is None:
        return False
    test = f"{placed.path}::{placed.name}"
    return not any(failed == test or failed.startswith(f"{test}[") for failed in failed_tests)


def _joined(before: CoverageByPath, more: CoverageByPath) -> CoverageByPath:
    """Coverage of both, with the statements of the first."""
    return {
        path: FileCoverage(file.statements, file.executed | (more[path].executed & file.statements))
        if path in more
        else file
        for path, file in before.items()
    }
