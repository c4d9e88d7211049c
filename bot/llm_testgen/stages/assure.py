"""Candidate → verdict: the chain of filters, each of which a candidate passes or is stopped by."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from llm_testgen.records import (
    Candidate,
    Ending,
    Failure,
    LinesByPath,
    Outcome,
    Reply,
    Run,
    Verdict,
)

_REASON_LENGTH = 300
# Repeats take turns between two orders of sets and dictionaries of strings: each order takes warm interpreters.
_HASH_SEEDS = 2


class Executes(Protocol):
    """What the chain needs of a runner."""

    async def run_candidate(self, candidate: Candidate, *, hash_seed: int) -> Run:
        """One candidate alone."""

    async def run_together(self, candidates: Sequence[Candidate], *, hash_seed: int) -> tuple[Run, ...]:
        """Several candidates in one process, in their order."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a candidate must achieve.

    Attributes:
        missing: Changed lines that hold a statement and that no existing test executes.
        repeats: How often it must pass again, with another hash seed and with the first in turn.
    """

    missing: LinesByPath
    repeats: int = 2


async def assure(candidate: Candidate, runner: Executes, requirement: Requirement) -> Verdict:
    """Judge one candidate: builds, passes, stable, gains; the first filter that it fails gives the outcome.

    What is accepted here has still to be proved.
    """
    first = await runner.run_candidate(candidate, hash_seed=0)
    if first.ending is Ending.NOT_COLLECTED:
        return Verdict(candidate, Outcome.BROKEN, explain(first.failure), runs=(first,))
    if first.ending is not Ending.PASSED:
        reason = "the test was skipped" if first.ending is Ending.SKIPPED else explain(first.failure)
        return Verdict(candidate, Outcome.FAILING, reason, runs=(first,))
    seeds = [repeat % _HASH_SEEDS for repeat in range(1, requirement.repeats + 1)]
    async with asyncio.TaskGroup() as tasks:
        repeating = [tasks.create_task(runner.run_candidate(candidate, hash_seed=seed)) for seed in seeds]
    again = [task.result() for task in repeating]
    runs = (first, *again)
    unstable = next((run for run in again if run.ending is not Ending.PASSED), None)
    if unstable is not None:
        return Verdict(candidate, Outcome.FLAKY, f"passed, then: {explain(unstable.failure)}", runs=runs)
    gained = gain(runs, requirement.missing)
    if not gained:
        return Verdict(candidate, Outcome.NO_GAIN, "executes no changed line that was not covered", runs=runs)
    return Verdict(candidate, Outcome.ACCEPTED, gained=gained, runs=runs)


async def assure_together(verdicts: Sequence[Verdict], runner: Executes) -> list[Verdict]:
    """Judge accepted candidates once more, side by side: what one does to the process must not fail another.

    They run in one process in their order, and in another in the reverse order with another hash seed. Where one
    fails, the one before it that makes it fail is found and refused; where no single one does, the failing one is.

    Args:
        verdicts: Of any outcome; only accepted ones are looked at.
        runner: What executes them.

    Returns:
        The same verdicts in the same order, some of the accepted ones now flaky.
    """
    judged = list(verdicts)
    folders: dict[str, list[int]] = {}
    for index, verdict in enumerate(judged):
        if verdict.outcome is Outcome.ACCEPTED:
            path = verdict.candidate.reply.prompt.context.test_path
            folders.setdefault(path.rpartition("/")[0], []).append(index)
    for indices in folders.values():
        while len(indices) > 1 and (found := await _unsociable([judged[index] for index in indices], runner)):
            position, reason = found
            index = indices.pop(position)
            judged[index] = replace(judged[index], outcome=Outcome.FLAKY, reason=reason)
    return judged


async def _unsociable(verdicts: Sequence[Verdict], runner: Executes) -> tuple[int, str] | None:
    """The position of one that does not get along with the others, and why; None when all do."""
    candidates = [verdict.candidate for verdict in verdicts]
    for hash_seed, order in enumerate((range(len(candidates)), range(len(candidates) - 1, -1, -1))):
        runs = await runner.run_together([candidates[position] for position in order], hash_seed=hash_seed)
        for place, run in enumerate(runs):
            if run.ending is Ending.PASSED:
                continue
            victim = order[place]
            for culprit in order[:place]:
                pair = (candidates[culprit], candidates[victim])
                if (await runner.run_together(pair, hash_seed=hash_seed))[-1].ending is not Ending.PASSED:
                    return culprit, f"after it {candidates[victim].name} fails: {explain(run.failure)}"
            return victim, f"fails after other tests: {explain(run.failure)}"
    return None


def unsafe(candidate: Candidate, reason: str) -> Verdict:
    """The verdict on a candidate that must not be run."""
    return Verdict(candidate, Outcome.UNSAFE, reason)


def unparsable(reply: Reply) -> Verdict:
    """The verdict on a reply that holds no test."""
    reason = "the reply was cut off before a whole test" if reply.truncated else "the reply holds no test function"
    return Verdict(Candidate(reply, "", reply.text), Outcome.UNPARSABLE, reason)


def gain(runs: tuple[Run, ...], missing: LinesByPath) -> Mapping[str, frozenset[int]]:
    """Missing lines that every one of the runs executed."""
    gained = {}
    for path, lines in missing.items():
        always = lines.intersection(*(run.covered.get(path, frozenset()) for run in runs))
        if always:
            gained[path] = always
    return gained


def explain(failure: Failure | None) -> str:
    """A failure in one line."""
    if failure is None:
        return "did not pass"
    message = "".join(character for character in " ".join(failure.message.split()) if character.isprintable())
    text = f"{failure.kind}: {message}" if message else failure.kind
    return text if len(text) <= _REASON_LENGTH else text[: _REASON_LENGTH - 1] + "…"
