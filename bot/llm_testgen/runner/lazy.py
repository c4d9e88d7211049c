"""A runner that is made when something is first run: many changes need no second copy of the tree."""

from __future__ import annotations

from collections.abc import Callable

from llm_testgen.records import Candidate, Run
from llm_testgen.runner.base import Runner


class LazyRunner:
    """Runs candidates in a runner that it makes at the first of them.

    Args:
        make: Makes it; called once at most.
    """

    def __init__(self, make: Callable[[], Runner]) -> None:
        """Make nothing yet."""
        self._make = make
        self._runner: Runner | None = None

    async def run_candidate(self, candidate: Candidate, *, hash_seed: int, observing: bool = False) -> Run:
        """One candidate alone."""
        if self._runner is None:
            self._runner = self._make()
        return await self._runner.run_candidate(candidate, hash_seed=hash_seed, observing=observing)

    async def close(self) -> None:
        """Close it, if it was made."""
        if self._runner is not None:
            await self._runner.close()
