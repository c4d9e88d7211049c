"""Candidate → verdict: the chain of filters, each of which a candidate passes or is stopped by."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from llm_testgen.records import Candidate, Ending, Failure, LinesByPath, Outcome, Reply, Run, Verdict

_REASON_LENGTH = 300


class Executes(Protocol):
    """What the chain needs of a runner."""

    async def run_candidate(self, candidate: Candidate, *, hash_seed: int) -> Run:
        """One candidate alone."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a candidate must achieve.

    Attributes:
        missing: Changed lines that hold a statement and that no existing test executes.
        repeats: How often it must pass again, each time with another hash seed.
    """

    missing: LinesByPath
    repeats: int = 2


async def assure(candidate: Candidate, runner: Executes, requirement: Requirement) -> Verdict:
    """Judge one candidate: builds, passes, stable, gains; the first filter that it fails gives the outcome."""
    first = await runner.run_candidate(candidate, hash_seed=0)
    if first.ending is Ending.NOT_COLLECTED:
        return Verdict(candidate, Outcome.BROKEN, explain(first.failure), runs=(first,))
    if first.ending is not Ending.PASSED:
        reason = "the test was skipped" if first.ending is Ending.SKIPPED else explain(first.failure)
        return Verdict(candidate, Outcome.FAILING, reason, runs=(first,))
    seeds = range(1, requirement.repeats + 1)
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
