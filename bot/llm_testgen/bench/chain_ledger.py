"""A runner that keeps account of what each part of the chain runs, and runs nothing twice for two ways."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

from llm_testgen.bench.accounting import Cost, tree_cpu
from llm_testgen.records import Candidate, ChangedMethod, Ending, Failure, Mutant, Run, SuiteRun
from llm_testgen.runner.base import Preparation, Runner

_Item = TypeVar("_Item")
_Asked = tuple[str, str, int, tuple[str, ...], Mutant | None, bool]


class Part(StrEnum):
    """What a run is for."""

    FIRST = "first runs"
    REPAIRS = "repairs"
    STABILITY = "stability"
    PROOF = "mutants"
    TOGETHER = "together"


@dataclass(slots=True)
class Spent:
    """What one part of the chain has run.

    Attributes:
        runs: How many executions.
        cost: Of all of them.
    """

    runs: int = 0
    cost: Cost = field(default_factory=Cost)


class RunStore:
    """Runs of candidates on one change, kept for the ways that come later.

    The second run of a text is another run than the first: a way that asks three times gets three.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._runs: dict[_Asked, list[asyncio.Task[Run]]] = {}
        self._sets: dict[frozenset[object], frozenset[object]] = {}

    def known(self, asked: _Asked) -> list[asyncio.Task[Run]]:
        """The runs of that so far, to which more may be added."""
        return self._runs.setdefault(asked, [])

    def compact(self, run: Run) -> Run:
        """The same run, sharing with the others what it covers: most cover the same."""
        return replace(
            run,
            covered={path: self._shared(lines) for path, lines in run.covered.items()},
            branches={path: self._shared(branches) for path, branches in run.branches.items()},
        )

    def _shared(self, found: frozenset[_Item]) -> frozenset[_Item]:
        return self._sets.setdefault(found, found)  # type: ignore[return-value]


class Ledger:
    """A `Runner` for one way, on top of the one that all ways of a change share.

    Args:
        runner: What executes.
        store: What was executed for other ways.
    """

    def __init__(self, runner: Runner, store: RunStore) -> None:
        """Nothing is spent yet."""
        self._runner, self._store = runner, store
        self._times: dict[_Asked, int] = {}
        self._seen: set[tuple[str, str]] = set()
        self.spent = {part: Spent() for part in Part}

    async def prepare(self) -> Preparation:
        """As the runner does."""
        return await self._runner.prepare()

    async def run_suite(self, files: Mapping[str, str] | None = None) -> SuiteRun:
        """As the runner does; it is no part of the chain."""
        return await self._runner.run_suite(files)

    async def run_candidate(  # noqa: PLR0913 - the runner's own signature
        self,
        candidate: Candidate,
        *,
        hash_seed: int,
        trapped: Sequence[ChangedMethod] = (),
        mutant: Mutant | None = None,
        observing: bool = False,
        seconds: float | None = None,
    ) -> Run:
        """One candidate alone; a run that another way has had is not had again, and costs this way the same."""
        path = candidate.reply.prompt.context.test_path
        asked = (path, candidate.code, hash_seed, tuple(method.id for method in trapped), mutant, observing)
        part = self._part(candidate, asked)
        earlier = self._times.get(asked, 0)
        self._times[asked] = earlier + 1
        known = self._store.known(asked)
        if earlier >= len(known):
            known.append(
                asyncio.ensure_future(
                    self._runner.run_candidate(
                        candidate,
                        hash_seed=hash_seed,
                        trapped=trapped,
                        mutant=mutant,
                        observing=observing,
                        seconds=seconds,
                    )
                )
            )
        run = self._store.compact(await known[earlier])
        self._spend(part, run.cpu or run.seconds, run.seconds)
        return run

    async def run_together(self, candidates: Sequence[Candidate], *, hash_seed: int) -> tuple[Run, ...]:
        """Several candidates in one process."""
        with self._timed(Part.TOGETHER):
            return await self._runner.run_together(candidates, hash_seed=hash_seed)

    async def run_files(self, files: Mapping[str, str]) -> SuiteRun:
        """Test files together in a fresh process."""
        with self._timed(Part.TOGETHER):
            return await self._runner.run_files(files)

    async def close(self) -> None:
        """The runner is closed by whoever opened it."""

    def _part(self, candidate: Candidate, asked: _Asked) -> Part:
        path, code, _, trapped, mutant, observing = asked
        if mutant is not None or trapped:
            return Part.PROOF
        if observing:
            return Part.REPAIRS
        if (path, code) in self._seen:
            return Part.STABILITY
        self._seen.add((path, code))
        return Part.REPAIRS if candidate.repairs else Part.FIRST

    @contextmanager
    def _timed(self, part: Part) -> Iterator[None]:
        """Account for a run whose process does not tell its CPU time: it is that of all processes."""
        before, started = tree_cpu(), time.monotonic()
        yield
        self._spend(part, tree_cpu() - before, time.monotonic() - started)

    def _spend(self, part: Part, cpu: float, seconds: float) -> None:
        spent = self.spent[part]
        spent.runs += 1
        spent.cost += Cost(cpu, seconds)


class Refusing:
    """A `Runner` under which no candidate passes: for whoever wants a model's replies and nothing else."""

    _RUN = Run(Ending.CRASHED, Failure("NotRun", "nothing is run here", 0, "call"))

    async def prepare(self) -> Preparation:
        """Nothing is known."""
        return Preparation({})

    async def run_suite(self, files: Mapping[str, str] | None = None) -> SuiteRun:  # noqa: ARG002
        """Nothing is run."""
        return SuiteRun(0, 0, 0, {})

    async def run_candidate(  # noqa: PLR0913 - the runner's own signature
        self,
        candidate: Candidate,  # noqa: ARG002
        *,
        hash_seed: int,  # noqa: ARG002
        trapped: Sequence[ChangedMethod] = (),  # noqa: ARG002
        mutant: Mutant | None = None,  # noqa: ARG002
        observing: bool = False,  # noqa: ARG002
        seconds: float | None = None,  # noqa: ARG002
    ) -> Run:
        """It does not pass."""
        return self._RUN

    async def run_together(self, candidates: Sequence[Candidate], *, hash_seed: int) -> tuple[Run, ...]:  # noqa: ARG002
        """None passes."""
        return (self._RUN,) * len(candidates)

    async def run_files(self, files: Mapping[str, str]) -> SuiteRun:  # noqa: ARG002
        """Nothing is run."""
        return SuiteRun(0, 0, 0, {})

    async def close(self) -> None:
        """Nothing is open."""
