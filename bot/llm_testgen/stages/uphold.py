"""Contracts → what they prove: which hold whatever is run, and which faults break them.

An assertion that is never false says nothing that a reader could rely on. So each is tried as a test is: the method is
made faulty, and what runs it is run again. It counts only if it is the assertion itself that fails then.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from llm_testgen.embedding import embed
from llm_testgen.records import Candidate, ChangedMethod, Contract, Ending, Lines, Mutant, Run, Upheld
from llm_testgen.source import SourceError, parse_tree

_HASH_SEEDS = (0, 1)
# A fault may make a loop run on: what takes so many times longer than without it will not end by itself.
_PATIENCE = 10.0
_LEAST_SECONDS = 1.0
# Slower ones are left to the run of the whole suite: each would be run a hundred times.
_MOST_SECONDS = 5.0
_NEVER = "assert False"


class RunsChanged(Protocol):
    """What this needs of a runner."""

    async def run_candidate(
        self, candidate: Candidate, *, hash_seed: int, mutant: Mutant | None = None, seconds: float | None = None
    ) -> Run:
        """One candidate alone, with another definition in the place of the real one."""


@dataclass(frozen=True, slots=True)
class Input:
    """Code that passes, and executes a method on the way.

    Attributes:
        candidate: The code: a test file of the project, or a test that was made for this.
        existing: It is the project's own.
        covered: Lines of the method's file that it executes.
        seconds: Wall-clock time that it takes.
    """

    candidate: Candidate
    existing: bool
    covered: Lines
    seconds: float

    @property
    def limit(self) -> float:
        """Seconds after which it will not end any more."""
        return max(_LEAST_SECONDS, self.seconds * _PATIENCE)


@dataclass(slots=True)
class _Found:
    """What was found out about a contract, each mutant once."""

    killed: dict[Mutant, None] = field(default_factory=dict)
    earlier: dict[Mutant, None] = field(default_factory=dict)
    tried: dict[Mutant, None] = field(default_factory=dict)

    def upheld(self, contract: Contract) -> Upheld:
        earlier = tuple(mutant for mutant in self.earlier if mutant not in self.killed)
        survived = tuple(mutant for mutant in self.tried if mutant not in self.killed and mutant not in self.earlier)
        return Upheld(contract, tuple(self.killed), earlier, survived)


async def find_inputs(
    target: ChangedMethod, candidates: Iterable[Candidate], runner: RunsChanged, *, existing: bool
) -> tuple[Input, ...]:
    """Those of some candidates that pass in short time and execute a method.

    Args:
        target: The method.
        candidates: Test files of the project, or tests that were made for this: these only run the method, whatever
            they expect of it.
        runner: What executes them.
        existing: Whether they are the project's own.
    """
    method = target.method
    own = frozenset(range(method.start + 1, method.end + 1))

    async def look_at(candidate: Candidate) -> Input | None:
        for code in [candidate.code] if existing else _silenced(candidate.code):
            found = await look(replace(candidate, code=code))
            if found is not None and found.covered & own:
                return found
        return None

    async def look(candidate: Candidate) -> Input | None:
        runs = [await runner.run_candidate(candidate, hash_seed=seed) for seed in _HASH_SEEDS]
        covered = frozenset.intersection(*(frozenset(run.covered.get(target.path, ())) for run in runs))
        passed = all(run.ending is Ending.PASSED for run in runs)
        seconds = max(run.seconds for run in runs)
        return Input(candidate, existing, covered, seconds) if passed and seconds <= _MOST_SECONDS else None

    async with asyncio.TaskGroup() as tasks:
        looking = [tasks.create_task(look_at(candidate)) for candidate in candidates]
    found = [task.result() for task in looking]
    return tuple(one for one in found if one is not None)


async def uphold(
    contracts: Sequence[Contract], inputs: Sequence[Input], mutants: Sequence[Mutant], runner: RunsChanged
) -> tuple[Upheld, ...]:
    """The contracts of one definition that hold and are reached, with what they notice; in their order.

    Args:
        contracts: Contracts of one definition.
        inputs: What runs it.
        mutants: Faults of it.
        runner: What executes all that.
    """
    trial = _Trial(inputs, runner)
    holding = await trial.holding(list(contracts)) if inputs else []
    reached = [contract for contract in holding if await trial.reaches(contract)]
    return await trial.broken(reached, mutants)


class _Trial:
    """Runs inputs with definitions that hold contracts."""

    def __init__(self, inputs: Sequence[Input], runner: RunsChanged) -> None:
        self._inputs = inputs
        self._runner = runner

    async def holding(self, left: list[Contract]) -> list[Contract]:
        """Contracts with which everything passes that passes without them."""
        while left:
            fit, failing = await self._failing(left)
            left = [contract for contract in left if contract in fit]
            if not failing:
                return left
            blamed = {contract for _, run in failing for contract in _at(run, fit)}
            if not blamed:
                # The failure went another way: each is looked at by itself.
                again = [one for one, _ in failing]
                blamed = {contract for contract in left if (await self._failing([contract], again))[1]}
            if not blamed:
                return []
            left = [contract for contract in left if contract not in blamed]
        return []

    async def reaches(self, contract: Contract) -> bool:
        """Whether something gets to where a contract stands: in its place what always fails has to fail."""
        never = replace(contract, statement=_NEVER)
        for one in self._inputs:
            if contract.line in one.covered:
                fit, failing = await self._failing([never], [one])
                if any(_broken(run, fit) for _, run in failing):
                    return True
        return False

    async def broken(self, contracts: Sequence[Contract], mutants: Iterable[Mutant]) -> tuple[Upheld, ...]:
        """What the contracts notice."""
        found = {contract: _Found() for contract in contracts}
        async with asyncio.TaskGroup() as tasks:
            for mutant in mutants if contracts else ():
                tasks.create_task(self._break(found, mutant))
        return tuple(one.upheld(contract) for contract, one in found.items())

    async def _break(self, found: dict[Contract, _Found], mutant: Mutant) -> None:
        """Run everything with a fault, and with the contracts beside it."""
        embedded = embed(mutant.definition, found, mutant.source)
        if embedded is None:
            return
        for contract in embedded.lines:
            found[contract].tried[mutant] = None
        async with asyncio.TaskGroup() as tasks:
            alone = [tasks.create_task(self._run(one, mutant)) for one in self._inputs]
            beside = [tasks.create_task(self._breaking(one, list(embedded.lines), mutant)) for one in self._inputs]
        passed = [task.result().ending is Ending.PASSED for task in alone]
        noticed = any(one.existing and not passes for one, passes in zip(self._inputs, passed, strict=True))
        for passes, task in zip(passed, beside, strict=True):
            for contract in task.result():
                kills = found[contract].killed if passes and not noticed else found[contract].earlier
                kills[mutant] = None

    async def _breaking(self, one: Input, left: list[Contract], mutant: Mutant) -> list[Contract]:
        """The contracts that a fault breaks with an input; each that does is left out then, as it hides the next."""
        broken = []
        while left and (embedded := embed(mutant.definition, left, mutant.source)) is not None:
            run = await self._run(one, replace(mutant, source=embedded.source))
            contract = _broken(run, embedded.lines)
            if contract is None:
                break
            broken.append(contract)
            left.remove(contract)
        return broken

    async def _failing(
        self, contracts: Sequence[Contract], inputs: Sequence[Input] | None = None
    ) -> tuple[dict[Contract, int], list[tuple[Input, Run]]]:
        """The contracts that have a place, with their lines; and what does not pass with all of them there."""
        definition = contracts[0].definition
        embedded = embed(definition, contracts)
        if embedded is None:
            return {}, []
        changed = Mutant(definition, definition.start, "contract", "", "", embedded.source)
        asked = [(one, seed) for one in inputs or self._inputs for seed in _HASH_SEEDS]
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self._runner.run_candidate(one.candidate, hash_seed=seed, mutant=changed))
                for one, seed in asked
            ]
        ran = [(one, task.result()) for (one, _), task in zip(asked, running, strict=True)]
        return dict(embedded.lines), [(one, run) for one, run in ran if run.ending is not Ending.PASSED]

    async def _run(self, one: Input, faulty: Mutant) -> Run:
        return await self._runner.run_candidate(one.candidate, hash_seed=0, mutant=faulty, seconds=one.limit)


class _Silencing(ast.NodeTransformer):
    """Lets code that asserts only evaluate, and code that expects an error, if that is told to go too, only run."""

    def __init__(self, *, unexpecting: bool) -> None:
        self._unexpecting = unexpecting

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        return ast.Expr(node.test)

    def visit_With(self, node: ast.With) -> ast.AST:
        self.generic_visit(node)
        expects = any("raises" in ast.unparse(item.context_expr) for item in node.items)
        return ast.If(ast.Constant(value=True), node.body, []) if expects and self._unexpecting else node


def _silenced(code: str) -> Iterator[str]:
    """A test that checks nothing: still expecting errors, and then, if it has to, not even that."""
    seen = set()
    for unexpecting in (False, True):
        try:
            tree = _Silencing(unexpecting=unexpecting).visit(parse_tree(code))
            text = ast.unparse(ast.fix_missing_locations(tree))
        except (SourceError, RecursionError):
            return
        if text not in seen:
            seen.add(text)
            yield text


def _at(run: Run, lines: Mapping[Contract, int]) -> list[Contract]:
    """The contracts that a failure came by."""
    trace = run.failure.trace if run.failure else ()
    return [
        contract
        for contract, line in lines.items()
        if any(place.startswith(f"{contract.path}:{line} in ") for place in trace)
    ]


def _broken(run: Run, lines: Mapping[Contract, int]) -> Contract | None:
    """The contract that is false: an `AssertionError` comes from its very line."""
    failure = run.failure
    if failure is None or run.ending is not Ending.FAILED or failure.kind != "AssertionError":
        return None
    last = replace(failure, trace=failure.trace[-1:])
    return next(iter(_at(replace(run, failure=last), lines)), None)
