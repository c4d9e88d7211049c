"""Our own ways: a cold process in the sandbox for each candidate, and warm ones."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Protocol

from llm_testgen.bench.accounting import Cost, tree_cpu
from llm_testgen.bench.ways import Batch
from llm_testgen.records import Ending, Run

_NOTHING = "def test_nothing():\n    pass\n"


class Executor(Protocol):
    """What the runners have in common, as far as it is measured."""

    async def run_text(self, folder: str, text: str, *, hash_seed: int) -> Run:
        """A test file of that text, alone in that folder."""


class SandboxedRunner:
    """Candidates through a runner of the bot; the bot's own work counts too.

    Args:
        key: Its name in what is written to a file.
        label: Its name in a table.
        executor: A runner that is prepared.
        folder: Where test files stand.
    """

    def __init__(self, key: str, label: str, executor: Executor, folder: str) -> None:
        """Take over the runner; whoever made it closes it."""
        self.key, self.label = key, label
        self._executor, self._folder = executor, folder

    async def startup(self) -> Cost | None:
        """Every candidate pays for itself."""
        return None

    async def run(self, candidates: Sequence[str]) -> Batch:
        """Run one after the other."""
        before, started = tree_cpu(), time.monotonic()
        runs = [await self._execute(text) for text in candidates]
        return self._batch(runs, len(candidates), Cost(tree_cpu() - before, time.monotonic() - started))

    async def _execute(self, text: str, hash_seed: int = 0) -> Run:
        return await self._executor.run_text(self._folder, text, hash_seed=hash_seed)

    def _batch(self, runs: Sequence[Run], candidates: int, cost: Cost) -> Batch:
        passed = [run.ending is Ending.PASSED for run in runs]
        return Batch(len(runs), cost, tuple(passed[:candidates]))


class WarmWay(SandboxedRunner):
    """Candidates through zygotes, each several times over, so that the clock's ticks do not matter.

    Args:
        key: Its name in what is written to a file.
        label: Its name in a table.
        executor: A warm runner that is prepared.
        folder: Where test files stand.
        passes: How often each candidate is run.
        workers: How many run at once.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - a name, a label and what is measured
        self, key: str, label: str, executor: Executor, folder: str, passes: int, workers: int
    ) -> None:
        """Take over the runner; whoever made it closes it."""
        super().__init__(key, label, executor, folder)
        self._passes, self._workers = passes, workers
        self._seeds = itertools.count(1)

    async def startup(self) -> Cost | None:
        """What a zygote costs until its first answer: one that has another order of sets is started for it."""
        before, started = tree_cpu(), time.monotonic()
        await self._execute(_NOTHING, next(self._seeds))
        cost = Cost(tree_cpu() - before, time.monotonic() - started)
        # Now those for the candidates, one for each worker: they must not start while the clock runs.
        await asyncio.gather(*(self._execute(_NOTHING) for _ in range(self._workers)))
        return cost

    async def run(self, candidates: Sequence[str]) -> Batch:
        """Run all, as many at once as there are workers."""
        # No text twice: what the bot keeps of one from an earlier pass must not count.
        texts = [f"{text}\n# {number}\n" for number in range(self._passes) for text in candidates]
        slots = asyncio.Semaphore(self._workers)

        async def execute(text: str) -> Run:
            async with slots:
                return await self._execute(text)

        before, started = tree_cpu(), time.monotonic()
        runs = await asyncio.gather(*map(execute, texts))
        return self._batch(runs, len(candidates), Cost(tree_cpu() - before, time.monotonic() - started))
