"""Zygotes for candidates, cold processes for all else: fast where that is safe, and plain where it is not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from llm_testgen.records import Candidate, ChangedMethod, Mutant, Run, Snapshot, SuiteRun
from llm_testgen.runner import results
from llm_testgen.runner.base import ORDINARY, Conditions, Preparation
from llm_testgen.runner.cold import ColdRunner, cores, folder_of
from llm_testgen.runner.process import last_line
from llm_testgen.runner.zygotes import Kind, Pool, ZygoteError

_SAMPLES = 2
_IMPORTS_ALL = "def test_imports():\n    pass\n"


class WarmRunner:
    """A `Runner` that forks candidates from warm interpreters.

    Args:
        cold: What it is measured by, and what it falls back to.
        workers: How many candidates run at once; None for as many as there are cores.
        slots: One for each candidate at once, shared with other projects; None for as many as there are workers.
    """

    def __init__(self, cold: ColdRunner, workers: int | None = None, slots: asyncio.Semaphore | None = None) -> None:
        """Take over a cold runner; `close` closes it too."""
        self._cold = cold
        self._pool = Pool(cold, workers or cores(), slots)
        self._is_warm = True

    @property
    def concession(self) -> tuple[str, ...]:
        """What pytest is told to do without here, as arguments; known once it is prepared."""
        return self._cold.concession

    async def prepare(self) -> Preparation:
        """Prepare as the cold runner does, and find out whether a warm one gives the same results here."""
        ready = await self._cold.prepare()
        if not ready.statements and ready.problem:
            return ready
        known = tuple(path for path in self._cold.project.measured if path in ready.statements)
        self._cold.project = replace(self._cold.project, measured=known)
        try:
            reason = await self._differs()
        except ZygoteError as error:
            reason = str(error)
        self._is_warm = not reason
        return replace(ready, cold=reason)

    async def run_suite(self, files: Mapping[str, str] | None = None) -> SuiteRun:
        """The project's own tests, in a process of their own, with some of its files replaced."""
        return await self._cold.run_suite(files)

    async def run_files(self, files: Mapping[str, str]) -> SuiteRun:
        """Test files together, in a process of their own."""
        return await self._cold.run_files(files)

    async def run_candidate(  # noqa: PLR0913 - each by its name, and most runs need none
        self,
        candidate: Candidate,
        *,
        hash_seed: int,
        trapped: Sequence[ChangedMethod] = (),
        mutant: Mutant | None = None,
        observing: bool = False,
        seconds: float | None = None,
    ) -> Run:
        """One candidate alone."""
        conditions = Conditions(tuple(trapped), mutant, observing, seconds)
        return await self.run_text(folder_of(candidate), candidate.code, hash_seed=hash_seed, conditions=conditions)

    async def run_text(self, folder: str, text: str, *, hash_seed: int, conditions: Conditions = ORDINARY) -> Run:
        """A test file of that text, alone in that folder."""
        if not self._is_warm:
            return await self._cold.run_text(folder, text, hash_seed=hash_seed, conditions=conditions)
        # Nothing is wrong with the test where no zygote can be had of its folder.
        with contextlib.suppress(ZygoteError):
            run = await self._run_warm(folder, text, hash_seed=hash_seed, conditions=conditions)
            if run is not None:
                return run
        # The time that others take says nothing about one that has to start a process and to import the project.
        conditions = replace(conditions, seconds=None)
        return await self._cold.run_text(folder, text, hash_seed=hash_seed, conditions=conditions)

    async def _run_warm(
        self, folder: str, text: str, *, hash_seed: int, conditions: Conditions = ORDINARY
    ) -> Run | None:
        """A test file in a child of a zygote; None where it takes a process in which nothing is imported yet."""
        answer, _ = await self._ask(folder, [text], hash_seed, conditions)
        if isinstance(answer.result, results.Untrappable):
            return None
        if answer.timed_out:
            run = results.timed_out(conditions.limit(self._cold.limits.seconds), answer.seconds)
        elif answer.result is None:
            run = results.crashed(last_line(answer.output), answer.seconds)
        else:
            run = results.as_run(answer.result, answer.seconds, self._cold.relative, last_line(answer.output))
        return replace(run, cpu=answer.cpu, memory=answer.memory)

    async def run_together(self, candidates: Sequence[Candidate], *, hash_seed: int) -> tuple[Run, ...]:
        """Several candidates of one folder in one process."""
        if not self._is_warm:
            return await self._cold.run_together(candidates, hash_seed=hash_seed)
        texts = [candidate.code for candidate in candidates]
        try:
            answer, files = await self._ask(folder_of(candidates[0]), texts, hash_seed, ORDINARY)
        except ZygoteError:
            return await self._cold.run_together(candidates, hash_seed=hash_seed)
        if answer.timed_out:
            run = results.timed_out(self._cold.limits.seconds * len(files), answer.seconds)
            return (run,) * len(files)
        if not isinstance(answer.result, results.Result):
            return (results.crashed(last_line(answer.output), answer.seconds),) * len(files)
        return results.as_runs(answer.result, files, answer.seconds)

    async def close(self) -> None:
        """End all zygotes and delete the copy of the tree."""
        try:
            await self._pool.close()
        finally:
            await self._cold.close()

    async def _ask(
        self, folder: str, texts: Sequence[str], hash_seed: int, conditions: Conditions
    ) -> tuple[results.Answer, tuple[str, ...]]:
        """A zygote's answer, and the paths of the test files.

        Raises:
            ZygoteError: None can be had.
        """
        cold = self._cold
        async with self._pool.zygote(Kind(PurePosixPath(folder).as_posix(), hash_seed)) as zygote:
            files = {zygote.name(position): text for position, text in enumerate(texts, 1)}
            with cold.added({} if cold.confinement.isolated else files):
                answer = await zygote.run(cold, files, conditions)
        if answer is None:
            answer = results.Answer(output="it ended the process that watched over it")
        if answer.fault:
            raise ZygoteError(answer.fault)
        return answer, tuple(files)

    async def _differs(self) -> str:
        """In what a warm run differs from a cold one, on the samples; empty when in nothing."""
        cold = self._cold
        files = {file.path: file for file in cold.project.snapshot.files}
        texts = [(cold.project.test_folder, _IMPORTS_ALL)]
        for path in cold.project.samples:
            text = cold.project.snapshot.read(files[path]).decode("utf-8", "replace")
            texts.append((PurePosixPath(path).parent.as_posix(), text))
        checks = [asyncio.ensure_future(self._compare(folder, text)) for folder, text in texts]
        try:
            found = await asyncio.gather(*checks)
        finally:
            for check in checks:
                check.cancel()
        difference = next(filter(None, found), "")
        return f"tests do not run the same in a forked process ({difference})" if difference else ""

    async def _compare(self, folder: str, text: str) -> str:
        """In what a test file's warm run differs from its cold one; empty when in nothing."""
        cold = self._cold
        plain, warm = await asyncio.gather(
            cold.run_text(folder, text, hash_seed=0), self._run_warm(folder, text, hash_seed=0)
        )
        difference = _difference(plain, warm) if warm is not None else "it cannot be run there"
        # What differs from itself says nothing about the other.
        if difference and not _difference(plain, await cold.run_text(folder, text, hash_seed=0)):
            return difference
        return ""


def _difference(one: Run, other: Run) -> str:
    if one.ending is not other.ending:
        return f"{one.ending.value} became {other.ending.value}"
    if dict(one.covered) != dict(other.covered):
        return "other lines are executed"
    if dict(one.branches) != dict(other.branches):
        return "other branches are taken"
    return ""


def sample_tests(test_files: Iterable[str], snapshot: Snapshot) -> tuple[str, ...]:
    """A few test files that are likely to run fast: the shortest, from as many folders."""
    sizes = {file.path: len(snapshot.read(file)) for file in snapshot.files if file.path in set(test_files)}
    by_size = sorted(sizes, key=lambda path: (sizes[path], path))
    folders: dict[str, str] = {}
    for path in by_size:
        if PurePosixPath(path).name != "conftest.py" and sizes[path]:
            folders.setdefault(str(PurePosixPath(path).parent), path)
    return tuple(folders.values())[:_SAMPLES]
