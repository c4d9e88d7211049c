"""The bot's side of zygotes: starting them, asking them, and having enough of them but not too many."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from llm_testgen.errors import ProjectError
from llm_testgen.runner import results
from llm_testgen.runner.base import Conditions
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.guest import landlock
from llm_testgen.runner.launcher import PROTECTED_INSIDE, Start, launch_command, readable
from llm_testgen.runner.plain import plain_tests
from llm_testgen.runner.process import Guest

# Importing a large project and its plugins; a zygote that takes longer is no help.
_START_SECONDS = 120.0
# What a zygote needs beyond the candidate's own time to clean up after it.
_GRACE_SECONDS = 10.0
_NOTHING = "def test_nothing():\n    pass\n"
_SPARE = 2
_OWN_MEMORY = 1 << 30


class ZygoteError(ProjectError):
    """A zygote cannot serve this project; what it says is why."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What tells zygotes apart: the folder whose tests they run, and the order of their sets."""

    folder: str
    hash_seed: int


class Zygote:
    """One started zygote; it runs one request at a time."""

    def __init__(self, kind: Kind, number: int, guest: Guest, ready: results.Ready, resources: AsyncExitStack) -> None:
        """Take over a started guest."""
        self.kind = kind
        self._number = number
        self.alive = True
        self._guest = guest
        self._ready = ready
        self._resources = resources

    @classmethod
    async def start(cls, cold: ColdRunner, kind: Kind, number: int) -> Zygote:
        """Start one, warm and ready to serve; no other that lives has its number.

        Raises:
            ZygoteError: It cannot serve.
        """
        async with AsyncExitStack() as stack:
            scratch = stack.enter_context(cold.scratch())
            anchor = str(PurePosixPath(kind.folder) / f"test_llm_testgen_{number}_0.py")
            isolated = cold.confinement.isolated
            if not isolated:
                stack.callback(cold.tree.add(anchor, _NOTHING).unlink, missing_ok=True)
            # Itself, one candidate, and the memory that this writes files to.
            groups = stack.enter_context(cold.group(cold.limits.memory + _OWN_MEMORY))
            start = Start(cold.guest_command(), scratch, serves=True, groups=groups)
            command = launch_command(cold.confinement, cold.tree, start)
            output = cold.tree.home / f"zygote-{number}.txt"
            stack.callback(output.unlink, missing_ok=True)
            guest = await Guest.start(command, cold.tree.root, cold.environment(scratch, kind.hash_seed), output)
            stack.push_async_callback(guest.end)
            request = cls._first_request(cold, scratch, anchor)
            try:
                greeting = results.read_greeting(await guest.ask(request, _START_SECONDS))
            except TimeoutError as error:
                msg = f"importing the project takes longer than {_START_SECONDS:g} s"
                raise ZygoteError(msg) from error
            if greeting.ready is None:
                raise ZygoteError(results.timeless(greeting.fault or greeting.launch))
            if greeting.ready.threads > 1:
                msg = "importing the project starts threads, which do not survive a fork"
                raise ZygoteError(msg)
            return cls(kind, number, guest, greeting.ready, stack.pop_all())

    @staticmethod
    def _first_request(cold: ColdRunner, scratch: Path, anchor: str) -> dict[str, object]:
        confinement = cold.confinement
        isolated = confinement.isolated
        scoped = confinement.landlock and landlock.abi() >= landlock.SCOPES_SINCE
        # Where Landlock keeps children from signalling the zygote, they need no filter of their own.
        protects = confinement.seccomp and not (isolated and scoped)
        limits = {"memory": cold.limits.memory, "file": cold.limits.file}
        if isolated and confinement.seccomp:
            limits["processes"] = cold.limits.processes
        return {
            "mode": "serve",
            "anchor": anchor,
            "files": {anchor: _NOTHING} if isolated else {},
            "modules": [cold.project.modules[path] for path in cold.project.measured if path in cold.project.modules],
            "measured": cold.measured(),
            "scratch": str(scratch),
            "arguments": cold.concession,
            "box": str(cold.tree.box) if isolated else None,
            "alone": isolated,
            "limits": limits,
            "landlock": confinement.landlock,
            "readable": None if isolated else readable(confinement, cold.tree, processes=False),
            "protected": (PROTECTED_INSIDE if isolated else ()) if protects else None,
            "strict_signals": protects and not isolated and not scoped,
        }

    async def run(self, cold: ColdRunner, files: Mapping[str, str], conditions: Conditions) -> results.Answer | None:
        """What became of test files in a child; None when the zygote did not survive it."""
        seconds = conditions.limit(cold.limits.seconds) * len(files)
        request = {
            "files": dict(files),
            "run": list(files),
            "plain": plain_tests(*files.values()) if len(files) == 1 else (),
            "seconds": seconds,
            "cpu": int(seconds) + 2,
            **cold.special(conditions),
        }
        try:
            answer = results.read_answer(await self._guest.ask(request, seconds + _GRACE_SECONDS))
        except TimeoutError:
            answer = None
        self.alive = answer is not None
        if answer is None or not isinstance(answer.result, results.Result):
            return answer
        return answer.model_copy(update={"result": self._ready.complete(answer.result)})

    def name(self, position: int) -> str:
        """A path for the test file at a position of a request, from 1: its own, and the same each time."""
        return str(PurePosixPath(self.kind.folder) / f"test_llm_testgen_{self._number}_{position}.py")

    async def end(self) -> None:
        """End it, and all that it started."""
        self.alive = False
        await self._resources.aclose()


class Pool:
    """Zygotes of all kinds that are needed, as many as the machine has cores, and a few that wait for their turn.

    Args:
        cold: Knows the project, its copy and its sandbox.
        workers: How many may work at once.
        slots: One for each that works, shared with other pools; None for as many as there are workers.
    """

    def __init__(self, cold: ColdRunner, workers: int, slots: asyncio.Semaphore | None = None) -> None:
        """Start none yet."""
        self._cold = cold
        self._workers = workers
        self._slots = slots or asyncio.Semaphore(workers)
        self._idle: list[Zygote] = []
        self._numbers = itertools.count(1)

    @asynccontextmanager
    async def zygote(self, kind: Kind) -> AsyncIterator[Zygote]:
        """One of a kind, for oneself; a dead one is not given back.

        Raises:
            ZygoteError: It cannot serve.
        """
        async with self._slots:
            found = next((zygote for zygote in self._idle if zygote.kind == kind), None)
            if found is None:
                await self._make_room()
                found = await Zygote.start(self._cold, kind, next(self._numbers))
            else:
                self._idle.remove(found)
            try:
                yield found
            except BaseException:
                await found.end()  # it may still be at work for a caller who has gone
                raise
            if found.alive:
                self._idle.append(found)
            else:
                await found.end()

    async def close(self) -> None:
        """End all."""
        for zygote in self._idle:
            await zygote.end()
        self._idle.clear()

    async def _make_room(self) -> None:
        """End those that have waited longest when there are many."""
        while len(self._idle) >= self._workers * _SPARE:
            await self._idle.pop(0).end()
