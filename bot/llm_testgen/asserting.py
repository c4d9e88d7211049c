"""Pre- and postconditions for changed methods: asked for, proved by running them, and put into their files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from llm_testgen.assertions import bound_in
from llm_testgen.edges.models import Sampling, TokenBudget
from llm_testgen.embedding import Insertion, applied, insertions, is_same_code
from llm_testgen.errors import ModelError, PromptRefusedError, first_expected
from llm_testgen.records import (
    Candidate,
    ChangedMethod,
    Context,
    Contract,
    Method,
    Prompt,
    Reply,
    SuiteRun,
    TestFile,
    Upheld,
    Usage,
)
from llm_testgen.settings import Generation
from llm_testgen.source import DefinitionNode, SourceError, parse_tree
from llm_testgen.stages.context import build_context
from llm_testgen.stages.contract import contracts, opening, room
from llm_testgen.stages.extract import extract
from llm_testgen.stages.goals import goals
from llm_testgen.stages.mutate import mutants
from llm_testgen.stages.screen import screen
from llm_testgen.stages.uphold import Input, find_inputs, uphold
from llm_testgen.tools import Tools

# What a contract is run with: each costs a run with each fault.
_MOST_FILES = 3
_MOST_GENERATED = 4
# Of one method: more would hide its code.
_MOST_KEPT = 5
_TOKENS_PER_TEST = 80
_REPLY_TOKENS = 60


@dataclass(frozen=True, slots=True)
class Asserted:
    """What a run found.

    Attributes:
        upheld: The contracts that held and noticed a fault, by file and line.
        insertions: How they are added to their files, those of one place together; by file and line.
        files: The changed files with all of them.
        asked: How many contracts replies held.
        held: How many of them held, whether they noticed a fault or not.
        replies: How many replies the model gave.
        usage: What they cost.
        model: The model that wrote them.
        notes: What a person should know.
    """

    upheld: tuple[Upheld, ...] = ()
    insertions: tuple[Insertion, ...] = ()
    files: tuple[TestFile, ...] = ()
    asked: int = 0
    held: int = 0
    replies: int = 0
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    notes: tuple[str, ...] = ()


async def propose_asserts(targets: Sequence[ChangedMethod], tools: Tools, settings: Generation) -> Asserted:
    """Ask for contracts, and keep those that hold under everything that is run and notice a fault.

    Args:
        targets: Changed methods, covered or not.
        tools: What to work with.
        settings: How to go about it.

    Raises:
        ModelError: The model gave no reply at all.
    """
    work = _Work(tools, settings)
    if not settings.mutants:
        return Asserted(notes=("assertions are kept for the faults that they notice: allow some with --mutants",))
    try:
        async with asyncio.timeout(settings.deadline):
            for target in targets:
                await work.look_at(target)
    except TimeoutError:
        work.note("the deadline passed: not everything was tried")
    except ModelError as error:
        if not work.replies:
            raise
        work.note(f"the model stopped answering: {error}")
    except ExceptionGroup as group:
        raise first_expected(group) or group from group
    kept = await _Confirmation(tools, work.note).confirm(work.upheld)
    files = _files(kept, tools)
    return Asserted(
        upheld=tuple(kept),
        insertions=tuple(_insertions(kept)),
        files=tuple(TestFile(path, before, after) for path, (before, after) in files.items()),
        asked=work.asked,
        held=work.held,
        replies=work.replies,
        usage=work.usage,
        model=tools.model.name,
        notes=tuple(work.notes),
    )


@dataclass(slots=True)
class _Work:
    """The way from one method after the other to contracts that are proved."""

    tools: Tools
    settings: Generation
    upheld: list[Upheld] = field(default_factory=list)
    asked: int = 0
    held: int = 0
    replies: int = 0
    usage: Usage = field(default_factory=Usage)
    notes: list[str] = field(default_factory=list)
    _budget: TokenBudget = field(init=False)

    def __post_init__(self) -> None:
        self._budget = TokenBudget(self.settings.max_tokens)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    async def look_at(self, target: ChangedMethod) -> None:
        """Ask for the contracts of one method, and try them."""
        text = self.tools.knowledge.text(target.path)
        begun = opening(target)
        if text is None or not begun:
            return
        context = self._context(target)
        reply = await self._send(self.tools.templates.asserts(context, begun), room(target))
        found = contracts(target, reply.text, _names_of_module(text)) if reply else ()
        self.asked += len(found)
        if not found:
            return
        faults = [one for one in mutants(target, target.lines) if one.definition == target.method]
        inputs = await self._inputs(target, context)
        tried = await uphold(found, inputs, faults[: self.settings.mutants], self.tools.runner)
        self.held += len(tried)
        best = _best(tried)
        self.upheld += [one for one in tried if one in best]

    def _context(self, target: ChangedMethod) -> Context:
        knowledge, recipe = self.tools.knowledge, self.tools.templates.recipe
        return build_context(target, knowledge.surroundings(target), self.settings.context_tokens, recipe)

    async def _inputs(self, target: ChangedMethod, context: Context) -> tuple[Input, ...]:
        """What runs a method: test files of the project, and tests that only call it."""
        runner = self.tools.runner
        existing = await find_inputs(target, self._existing(target, context), runner, existing=True)
        generated = await find_inputs(target, await self._generated(target, context), runner, existing=False)
        return (*existing, *generated[:_MOST_GENERATED])

    def _existing(self, target: ChangedMethod, context: Context) -> list[Candidate]:
        """The nearest test files that reach a method, each as it stands."""
        texts = self.tools.knowledge.test_files()
        tests = self.tools.knowledge.surroundings(target).tests
        paths = [path for path in dict.fromkeys(test.path for test in tests) if path in texts][:_MOST_FILES]
        return [_as_candidate(path, texts[path].replace("\r\n", "\n"), context) for path in paths]

    async def _generated(self, target: ChangedMethod, context: Context) -> list[Candidate]:
        """Tests that a model wrote to run a method, and that may be run."""
        wanted = replace(context, uncovered=target.lines, goals=goals(target, target.lines))
        prompt = self.tools.templates.smoking().first(wanted)
        reply = await self._send(prompt, _REPLY_TOKENS + prompt.tests * _TOKENS_PER_TEST)
        found = extract(reply, self.tools.knowledge.names(target)) if reply else ()
        return [candidate for candidate in found if not screen(candidate)]

    async def _send(self, prompt: Prompt, reply_tokens: int) -> Reply | None:
        """The reply to a prompt, as far as the budget goes; None when there is none."""
        granted = self._budget.reserve(prompt, self.settings.reply_tokens or reply_tokens)
        if not granted:
            self.note("the token budget is spent: not everything was tried")
            return None
        self.tools.observer.asked(prompt.target, prompt.attempt)
        usage = Usage()
        try:
            reply = await self.tools.model.reply(
                prompt, Sampling(self.settings.temperature, self.settings.seed, granted)
            )
            usage = reply.usage if reply else usage
        except PromptRefusedError as error:
            self.note(f"the model refused the prompt about {prompt.target.id}: {error}")
            reply = None
        finally:
            self._budget.settle(usage)
        if reply is not None:
            self.replies += 1
            self.usage += usage
            self.tools.observer.replied(reply)
        return reply


class _Confirmation:
    """The project's own suite, with all contracts in their files."""

    def __init__(self, tools: Tools, note: Callable[[str], None]) -> None:
        self._tools = tools
        self._note = note
        self._plain: SuiteRun | None = None

    async def confirm(self, upheld: Iterable[Upheld]) -> list[Upheld]:
        """Those with which no test is lost, whether it reaches them by a way that was tried before or not."""
        left = self._sound(upheld)
        while left:
            files = {path: after for path, (_, after) in _files(left, self._tools).items()}
            self._tools.observer.confirming(len(left))
            run = await self._tools.runner.run_suite(files)
            if not run.failed and not run.problem:
                break
            plain = await self._without()
            if run.problem and plain.problem:
                self._note(f"the project's tests could not be run with the assertions in place: {run.problem}")
                break
            if not run.problem and not plain.passed_tests - run.passed_tests:
                break
            blamed = [one for one in left if _fails_at(one.contract, files[one.contract.path], run)] or left
            for one in blamed:
                self._note(f"`{one.contract.statement}` was dropped: a test of the project fails with it")
            left = [one for one in left if one not in blamed]
        return left

    async def _without(self) -> SuiteRun:
        if self._plain is None:
            self._plain = await self._tools.runner.run_suite()
        return self._plain

    def _sound(self, upheld: Iterable[Upheld]) -> list[Upheld]:
        """Contracts of files that stay the same code with all of them."""
        left = list(upheld)
        files = _files(left, self._tools)
        return [one for one in left if is_same_code(*files[one.contract.path])]


def _best(tried: Iterable[Upheld]) -> list[Upheld]:
    """Those that notice a fault, and at their place one that no better one there notices; the best of them."""
    best: list[Upheld] = []
    for one in sorted(tried, key=lambda one: (-len(one.killed), -len(one.earlier), one.contract.line)):
        noticed = {*one.killed, *one.earlier}
        for other in best:
            if other.contract.line == one.contract.line:
                noticed.difference_update(other.killed, other.earlier)
        best += [one] if noticed else []
    return best[:_MOST_KEPT]


def _fails_at(contract: Contract, text: str, run: SuiteRun) -> bool:
    """Whether a test failed at a line that holds a contract."""
    lines = text.split("\n")
    numbers = [number for number, line in enumerate(lines, start=1) if line.strip() == contract.statement]
    places = tuple(f"{contract.path}:{number} in " for number in numbers)
    return any(place.startswith(places) for failure in run.failures for place in failure.trace)


def _insertions(upheld: Iterable[Upheld]) -> list[Insertion]:
    """How contracts are added, by file and line."""
    by_definition: dict[Method, list[Contract]] = {}
    for one in upheld:
        by_definition.setdefault(one.contract.definition, []).append(one.contract)
    found = [piece for definition, group in by_definition.items() for piece in insertions(definition, group)]
    return sorted(found, key=lambda piece: (piece.path, piece.start))


def _files(upheld: Sequence[Upheld], tools: Tools) -> Mapping[str, tuple[str, str]]:
    """The files that contracts are added to, before and after."""
    pieces = _insertions(upheld)
    texts = {path: tools.knowledge.text(path) or "" for path in dict.fromkeys(piece.path for piece in pieces)}
    return {
        path: (text, applied(text, [piece for piece in pieces if piece.path == path])) for path, text in texts.items()
    }


def _as_candidate(path: str, text: str, context: Context) -> Candidate:
    """A test file as a runner takes it."""
    prompt = Prompt(replace(context, test_path=path), (), "", attempt=1, tests=0)
    return Candidate(Reply(prompt, "", "", Usage()), path, text)


def _names_of_module(text: str) -> frozenset[str]:
    """Names that a module gives a meaning of its own."""
    try:
        body = parse_tree(text.removeprefix("\ufeff")).body
    except SourceError:
        return frozenset()
    found: set[str] = set()
    for node in body:
        found |= {node.name} if isinstance(node, DefinitionNode) else bound_in(node)
    return frozenset(found)
