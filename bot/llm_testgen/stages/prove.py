"""Verdict → verdict with its proof: whether a test would notice if the lines that it covers did something else.

A test that executes a line and passes whatever the line does proves nothing about it. Whether it would notice is
found out by trying: the line is made faulty in memory, one fault at a time, and the test is run again. See Petrović
and Ivanković, *State of Mutation Testing at Google* (2018), for mutants of changed lines only, a few of each.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from llm_testgen.records import (
    Candidate,
    ChangedMethod,
    Ending,
    Lines,
    LinesByPath,
    MethodKind,
    Mutant,
    Outcome,
    Proof,
    Run,
    Verdict,
)
from llm_testgen.source import FunctionNode, SourceError, parse_tree

# A fault may make a loop run on: what takes so many times longer than the test itself will not end by itself. On a
# machine that does other things a test may take that long by chance, so it is given more time once.
_PATIENCE = 10.0
_LEAST_SECONDS = 1.0
_MORE_PATIENCE = 5
# What runs while a module is imported takes a process of its own for each fault.
_SLOW = frozenset({MethodKind.CLASS, MethodKind.MODULE})
_MOST_SLOW = 3
# To tell idle assertions takes a run for each of them and each mutant.
_MOST_FOR_IDLE = 8
_LONGEST = 120
_UNNOTICED = frozenset({Ending.PASSED, Ending.SKIPPED})


class RunsFaulty(Protocol):
    """What a proof needs of a runner."""

    async def run_candidate(
        self,
        candidate: Candidate,
        *,
        hash_seed: int,
        trapped: Sequence[ChangedMethod] = (),
        mutant: Mutant | None = None,
        seconds: float | None = None,
    ) -> Run:
        """One candidate alone; trapped methods raise, a mutant stands in the place of the real definition."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a test must prove.

    Attributes:
        targets: The changed methods.
        mutants: Faults of a changed method, the most telling first.
        most: How many of them a test is tried with at most; 0 for none.
        asserting: Whether it must notice one of them, if there are any; a smoke test need not.
    """

    targets: tuple[ChangedMethod, ...]
    mutants: Callable[[ChangedMethod], Sequence[Mutant]]
    most: int = 10
    asserting: bool = True


async def prove(verdict: Verdict, runner: RunsFaulty, demand: Demand) -> Verdict:
    """Run an accepted candidate with faults in the lines that it gained.

    What a candidate reports about itself is a claim: code in the same process can invent coverage and a passed test.
    But it cannot know that a line was faulty, or that a method that it never called would have raised. So a method in
    which it notices no fault is made to raise, and where it passes all the same the lines of that method are no gain.

    Args:
        verdict: Of any outcome; one that is not accepted comes back as it is.
        runner: What executes it.
        demand: What it must prove.

    Returns:
        The verdict with its proof; ``VACUOUS`` where there is none.
    """
    if verdict.outcome is not Outcome.ACCEPTED:
        return verdict
    gaining = [target for target in demand.targets if verdict.gained.get(target.path, frozenset()) & target.lines]
    covered = verdict.runs[0].covered if verdict.runs else {}
    every = (mutant for target in gaining for mutant in demand.mutants(target))
    proof = await _try(verdict.candidate, _limit(verdict), telling(every, verdict.gained, covered, demand.most), runner)
    proved = {mutant.definition.id for mutant in proof.killed}
    unproven, name = await _trap(verdict, [target for target in gaining if target.id not in proved], runner)
    left = {path: lines - unproven.get(path, frozenset()) for path, lines in verdict.gained.items()}
    gained = {path: lines for path, lines in left.items() if lines}
    if not gained:
        reason = f"passes even when {name} raises instead of running"
        return replace(verdict, outcome=Outcome.VACUOUS, reason=reason, proof=proof)
    if demand.asserting and proof.survived and not proof.killed:
        reason = f"notices none of {len(proof.survived)} faults in the lines it covers: {describe(proof.survived[0])}"
        return replace(verdict, outcome=Outcome.VACUOUS, reason=reason, proof=proof)
    return replace(verdict, gained=gained, proof=proof)


def telling(mutants: Iterable[Mutant], gained: LinesByPath, covered: LinesByPath, most: int) -> tuple[Mutant, ...]:
    """The mutants that a test is to be tried with: those of the lines that it gains, then of others that it covers.

    Args:
        mutants: Of the changed methods, the most telling first.
        gained: Changed lines that it executes and that no existing test does.
        covered: All lines that it executes.
        most: How many to choose at most.
    """
    known = list(mutants)
    own = [mutant for mutant in known if mutant.line in gained.get(mutant.path, frozenset())]
    others = [
        mutant
        for mutant in known
        if mutant.line in covered.get(mutant.path, frozenset()) - gained.get(mutant.path, frozenset())
    ]
    chosen = [*own, *others]
    slow = [mutant for mutant in chosen if mutant.definition.kind in _SLOW]
    return tuple([mutant for mutant in chosen if mutant not in slow[_MOST_SLOW:]][:most])


async def _try(candidate: Candidate, limit: float, mutants: Sequence[Mutant], runner: RunsFaulty) -> Proof:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_run_faulty(candidate, mutant, limit, runner)) for mutant in mutants]
    noticed = [task.result().ending not in _UNNOTICED for task in running]
    return Proof(
        killed=tuple(mutant for mutant, seen in zip(mutants, noticed, strict=True) if seen),
        survived=tuple(mutant for mutant, seen in zip(mutants, noticed, strict=True) if not seen),
    )


async def _run_faulty(candidate: Candidate, mutant: Mutant, limit: float, runner: RunsFaulty) -> Run:
    """A candidate with a fault; that it does not end counts only if it does not with more time either."""
    run = await runner.run_candidate(candidate, hash_seed=0, mutant=mutant, seconds=limit)
    if run.ending is not Ending.TIMEOUT:
        return run
    return await runner.run_candidate(candidate, hash_seed=0, mutant=mutant, seconds=limit * _MORE_PATIENCE)


async def _trap(verdict: Verdict, targets: Sequence[ChangedMethod], runner: RunsFaulty) -> tuple[dict[str, Lines], str]:
    """Lines of methods that may raise for all that the test cares, and the name of one of these methods."""
    unproven: dict[str, Lines] = {}
    name = ""
    for target in targets:
        run = await runner.run_candidate(verdict.candidate, hash_seed=0, trapped=(target,))
        if run.ending in _UNNOTICED:
            lines = verdict.gained[target.path] & target.lines
            unproven[target.path] = unproven.get(target.path, frozenset()) | lines
            name = target.qualname
    return unproven, name


async def find_idle(verdict: Verdict, runner: RunsFaulty) -> Verdict:
    """Tell the assertions of an accepted test that kill nothing from those that do.

    With each mutant that the test kills, the assertion that fails is taken out until it passes, so that none hides
    those after it. Where there is but one assertion it has killed them all, and nothing is run.

    Returns:
        The verdict with those assertions in its proof.
    """
    assertions = _assertions(verdict.candidate.code)
    if len(assertions) < 2:  # noqa: PLR2004 - there is one to blame
        return verdict
    idle = set(range(len(assertions)))
    for mutant in verdict.proof.killed[:_MOST_FOR_IDLE]:
        failed: list[int] = []
        while idle - set(failed):
            code = _without(verdict.candidate.code, [assertions[index] for index in failed])
            candidate = replace(verdict.candidate, code=code)
            run = await _run_faulty(candidate, mutant, _limit(verdict), runner)
            line = run.failure.line if run.failure and run.ending is Ending.FAILED else 0
            index = next((index for index, node in enumerate(assertions) if line in _lines(node)), None)
            if index is None or index in failed:
                break
            failed.append(index)
        idle -= set(failed)
    return replace(
        verdict, proof=replace(verdict.proof, idle=tuple(_short(assertions[index]) for index in sorted(idle)))
    )


def _limit(verdict: Verdict) -> float:
    return max([_LEAST_SECONDS, *(run.seconds * _PATIENCE for run in verdict.runs)])


def _assertions(code: str) -> list[ast.Assert]:
    try:
        tree = parse_tree(code)
    except SourceError:
        return []
    tests = [node for node in ast.walk(tree) if isinstance(node, FunctionNode) and node.name.startswith("test")]
    return [node for test in tests for node in ast.walk(test) if isinstance(node, ast.Assert)]


def _without(code: str, dropped: Iterable[ast.Assert]) -> str:
    """The code with nothing in the place of some assertions; every line stays where it was."""
    lines = code.split("\n")
    for node in dropped:
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        indent = lines[first].encode()[: node.col_offset].decode()
        rest = lines[last].encode()[node.end_col_offset or 0 :].decode()
        if not indent.strip() and not rest.strip():
            lines[first : last + 1] = [f"{indent}pass", *[""] * (last - first)]
    return "\n".join(lines)


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _short(node: ast.stmt) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def describe(mutant: Mutant) -> str:
    """A mutant in a few words."""
    return f"`{mutant.before}` becoming `{mutant.after}` in line {mutant.line}"
