"""Accepted tests on trial: run over and over, and together in several orders, to find those that do not always pass."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llm_testgen.records import Candidate, Ending, Verdict
from llm_testgen.runner.base import Runner
from llm_testgen.runner.cold import folder_of

AGAIN = 20
_SHUFFLES = 2
_HASH_SEEDS = 2


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of accepted tests.

    Attributes:
        tests: How many were tried.
        runs: How often they were run, alone or together.
        flaky: Those that failed alone, with how they did.
        order_dependent: Those that passed alone, and failed with others.
    """

    tests: int
    runs: int
    flaky: tuple[str, ...]
    order_dependent: tuple[str, ...]


async def try_accepted(verdicts: Sequence[Verdict], runner: Runner, again: int = AGAIN) -> Trial:
    """Run accepted tests again, each alone with two orders of sets in turn, then those of a folder in four orders."""
    flaky: dict[int, str] = {}
    runs = 0
    for index, verdict in enumerate(verdicts):
        seeds = [number % _HASH_SEEDS for number in range(again)]
        endings = await _alone(verdict.candidate, seeds, runner)
        runs += len(endings)
        if failed := [ending for ending in endings if ending is not Ending.PASSED]:
            flaky[index] = f"{_name(verdict)}: {len(failed)} of {len(endings)} {failed[0].value}"
    dependent: dict[int, str] = {}
    for indices in _by_folder(verdicts).values():
        for number, order in enumerate(_orders(indices)):
            candidates = [verdicts[index].candidate for index in order]
            together = await runner.run_together(candidates, hash_seed=number % _HASH_SEEDS)
            runs += len(together)
            for index, run in zip(order, together, strict=True):
                if run.ending is not Ending.PASSED and index not in flaky:
                    dependent.setdefault(index, f"{_name(verdicts[index])}: {run.ending.value}")
    return Trial(len(verdicts), runs, tuple(flaky.values()), tuple(dependent.values()))


async def _alone(candidate: Candidate, seeds: Iterable[int], runner: Runner) -> list[Ending]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(runner.run_candidate(candidate, hash_seed=seed)) for seed in seeds]
    return [task.result().ending for task in running]


def _by_folder(verdicts: Sequence[Verdict]) -> dict[str, list[int]]:
    folders: defaultdict[str, list[int]] = defaultdict(list)
    for index, verdict in enumerate(verdicts):
        folders[folder_of(verdict.candidate)].append(index)
    return folders


def _orders(indices: Sequence[int]) -> list[list[int]]:
    """As they come, the other way round, and shuffled; the same each time. One alone has no order."""
    if len(indices) == 1:
        return []
    orders = [list(indices), list(reversed(indices))]
    dice = random.Random(len(indices))  # noqa: S311 - nothing is secret
    for _ in range(_SHUFFLES):
        orders.append(list(indices))
        dice.shuffle(orders[-1])
    return orders


def _name(verdict: Verdict) -> str:
    return f"{verdict.target.id} {verdict.candidate.name}".strip()
