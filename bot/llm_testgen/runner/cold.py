"""A fresh process of the project's interpreter for each execution: slow, and the yardstick for faster runners."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from llm_testgen.errors import ProjectError
from llm_testgen.records import Candidate, ChangedMethod, Mutant, Run, SuiteRun
from llm_testgen.runner import results
from llm_testgen.runner.base import ORDINARY, Conditions, Limits, Preparation, Project
from llm_testgen.runner.cgroup import ControlGroup
from llm_testgen.runner.interpreter import Interpreter, environment, lend_coverage
from llm_testgen.runner.launcher import GUEST, GUEST_NAME, Confinement, Start, launch_command, scratch_of
from llm_testgen.runner.orders import describe_mutant, describe_traps
from llm_testgen.runner.process import Guest
from llm_testgen.runner.sandbox import make_scratch
from llm_testgen.runner.tree import TreeCopy

_GRACE_SECONDS = 10.0
_SUITE_FACTOR = 8
_NOTHING = "def test_nothing():\n    pass\n"
# What pytest may have to do without where a project's configuration does not suit the interpreter that was named:
# a conftest of another pytest, options of a plugin that is not there.
_CONCESSIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ()),
    ("conftest.py", ("--noconftest",)),
    ("addopts", ("--override-ini=addopts=",)),
    ("conftest.py and addopts", ("--noconftest", "--override-ini=addopts=")),
)


@dataclass(frozen=True, slots=True)
class _Session:
    """One finished process: its report if it left one, and how it ended.

    ``exceeded`` is the limit, in seconds, that it ran into; None when it ended by itself.
    """

    result: results.Result | None
    exceeded: float | None
    seconds: float
    last_output: str


@dataclass(frozen=True, slots=True)
class _Request:
    """What one process is asked to do; nothing to run stands for all that pytest finds."""

    run: tuple[str, ...]
    files: Mapping[str, str]
    seconds: float
    memory: int
    hash_seed: int = 0
    every_file: bool = False
    conditions: Conditions = ORDINARY


class ColdRunner:
    """A `Runner` that starts a process for each execution.

    Args:
        project: What to run on.
        interpreter: The project's interpreter.
        confinement: Its sandbox.
        limits: What one execution may take.
        environ: The bot's own environment, of which an allow-list is passed on.
        slots: One for each execution at once, shared with other projects that are worked on; None for one a core.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that an execution depends on
        self,
        project: Project,
        interpreter: Interpreter,
        confinement: Confinement,
        limits: Limits,
        environ: Mapping[str, str],
        slots: asyncio.Semaphore | None = None,
    ) -> None:
        """Copy the tree.

        Raises:
            ProjectError: The temporary folder cannot take the copy.
        """
        self.project = project
        self.interpreter = interpreter
        self.confinement = confinement
        self.limits = limits
        self._environ = environ
        self._numbers = itertools.count(1)
        self._slots = slots or asyncio.Semaphore(cores())
        self.concession: tuple[str, ...] = ()
        self.tree = TreeCopy(project.snapshot, project.extra, confinement.user)
        # Copied to a folder of its own, so that nothing beside it can be imported.
        self._guest = self.tree.tools / GUEST_NAME
        shutil.copytree(GUEST, self._guest, ignore=shutil.ignore_patterns("__pycache__"))
        self._lent = () if interpreter.has_coverage else (lend_coverage(self.tree.tools),)

    @property
    def home(self) -> Path:
        """The temporary folder that everything happens in; `close` deletes it."""
        return self.tree.home

    async def prepare(self) -> Preparation:
        """Find the least that pytest has to do without to run a test that does nothing."""
        name = str(PurePosixPath(self.project.test_folder) / "test_llm_testgen_nothing.py")
        problem = ""
        for concession, arguments in _CONCESSIONS:
            self.concession = arguments
            run = await self.run_files({name: _NOTHING})
            problem = problem or run.problem or "".join(failure.message for failure in run.failures)
            if run.passed:
                return Preparation(results.unexecuted(run.coverage), concession, problem if concession else "")
        self.concession = ()
        return Preparation({}, "", problem)

    async def run_suite(self, files: Mapping[str, str] | None = None) -> SuiteRun:
        """The project's own tests, found as the project configures it, with some of its files replaced."""
        return await self._run_session((), files or {})

    async def run_files(self, files: Mapping[str, str]) -> SuiteRun:
        """Test files together in one fresh process, each at its own path, replacing what stands there."""
        return await self._run_session(tuple(files), files)

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
        """One candidate alone, in a file of its own beside the one where it would stand."""
        conditions = Conditions(tuple(trapped), mutant, observing, seconds)
        return await self.run_text(folder_of(candidate), candidate.code, hash_seed=hash_seed, conditions=conditions)

    async def run_text(self, folder: str, text: str, *, hash_seed: int, conditions: Conditions = ORDINARY) -> Run:
        """A test file of that text, alone in that folder."""
        name = self._new_name(folder)
        limits = self.limits
        seconds = conditions.limit(limits.seconds)
        request = _Request((name,), {name: text}, seconds, limits.memory, hash_seed, conditions=conditions)
        async with self._slots:
            session = await self._execute(request)
        if session.exceeded is not None:
            return results.timed_out(session.exceeded, session.seconds)
        if session.result is None:
            return results.crashed(session.last_output, session.seconds)
        return results.as_run(session.result, session.seconds, self.relative, session.last_output)

    async def run_together(self, candidates: Sequence[Candidate], *, hash_seed: int) -> tuple[Run, ...]:
        """Several candidates in one process, each in a file of its own."""
        files = {self._new_name(folder_of(candidate)): candidate.code for candidate in candidates}
        limits = self.limits
        request = _Request(tuple(files), files, limits.seconds * len(files), limits.memory, hash_seed)
        async with self._slots:
            session = await self._execute(request)
        if session.exceeded is not None:
            return (results.timed_out(session.exceeded, session.seconds),) * len(files)
        if session.result is None:
            return (results.crashed(session.last_output, session.seconds),) * len(files)
        return results.as_runs(session.result, files, session.seconds)

    async def close(self) -> None:
        """Delete the copy of the tree."""
        await asyncio.to_thread(self.tree.delete)

    def environment(self, scratch: Path, hash_seed: int) -> dict[str, str]:
        """What a guest sees of the environment."""
        roots = tuple(self.tree.root / root for root in self.project.source_roots)
        variables = environment(self._environ, scratch, (*roots, *self._lent))
        return {**variables, "PYTHONHASHSEED": str(hash_seed), "PYTHONDONTWRITEBYTECODE": "1"}

    def guest_command(self) -> list[str]:
        """The project's interpreter, about to be a guest."""
        return [str(self.interpreter.path), str(self._guest / "__main__.py")]

    def measured(self) -> list[str]:
        """Files whose lines are counted, as the guest sees them."""
        return [str(self.tree.root / path) for path in self.project.measured]

    @contextmanager
    def added(self, files: Mapping[str, str]) -> Iterator[None]:
        """Test files in the copy of the tree, for a while; what stood at their paths is put back by `restore`."""
        paths = [self.tree.add(path, text) for path, text in files.items()]
        try:
            yield
        finally:
            for path in paths:
                path.unlink(missing_ok=True)

    @contextmanager
    def group(self, memory: int) -> Iterator[Sequence[str]]:
        """A control group for one guest, as the files by which it joins; none where there can be none."""
        made = ControlGroup.make(memory, self.limits.processes * 2) if self.confinement.groups else None
        try:
            yield made.entrances if made else ()
        finally:
            if made:
                made.delete()

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Where a guest writes, while it lives."""
        scratch = scratch_of(self.confinement, self.tree, next(self._numbers))
        if self.confinement.isolated:
            yield scratch
            return
        make_scratch(self.tree, scratch)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def relative(self, path: str) -> str | None:
        """A path of the copy as a path of the repository; None for anything else."""
        relative = path.removeprefix(f"{self.tree.root}/")
        return None if relative == path else relative

    def _new_name(self, folder: str) -> str:
        return str(PurePosixPath(folder) / f"test_llm_testgen_{next(self._numbers)}.py")

    async def _run_session(self, run: tuple[str, ...], files: Mapping[str, str]) -> SuiteRun:
        limits = self.limits
        request = _Request(run, files, limits.suite_seconds, limits.suite_memory, every_file=True)
        async with self._slots:
            session = await self._execute(request)
        return results.as_suite_run(
            session.result, session.exceeded, session.seconds, self.relative, session.last_output
        )

    async def _execute(self, request: _Request) -> _Session:
        # Without a layer of its own the tree is the only place for test files.
        isolated = self.confinement.isolated
        try:
            files = {} if isolated else request.files
            with self.added(files), self.scratch() as scratch, self.group(request.memory) as groups:
                return await self._execute_in(scratch, groups, request)
        finally:
            if request.every_file and not isolated:
                self.tree.restore()

    async def _execute_in(self, scratch: Path, groups: Sequence[str], request: _Request) -> _Session:
        isolated = self.confinement.isolated
        start = Start(
            self.guest_command(),
            scratch,
            may_write_tree=request.every_file,
            interrupt_after=request.seconds if isolated else None,
            groups=groups,
        )
        started = time.monotonic()
        guest = await Guest.start(
            launch_command(self.confinement, self.tree, start),
            self.tree.root,
            self.environment(scratch, request.hash_seed),
            self.tree.home / f"output-{next(self._numbers)}.txt",
        )
        exceeded = None
        try:
            answer, exceeded = await self._attend(guest, self._message(scratch, request), request.seconds)
        finally:
            await guest.end()
        seconds = time.monotonic() - started
        return _Session(results.read_result(answer), exceeded, seconds, guest.take_output())

    async def _attend(
        self, guest: Guest, message: Mapping[str, object], seconds: float
    ) -> tuple[bytes | None, float | None]:
        """What a guest answers, and the limit that it ran into, if it did."""
        try:
            # What comes later may come from a test.
            if refusal := results.read_greeting(await guest.ask(message, seconds)).launch:
                msg = f"a test process cannot be started: {refusal}"
                raise ProjectError(msg)
            return await guest.receive(seconds), None
        except TimeoutError:
            # A first, gentle signal lets pytest report what it has seen; a hanging candidate has nothing to report.
            if not self.confinement.isolated:
                guest.interrupt()
        try:
            return await guest.receive(min(_GRACE_SECONDS, seconds)), seconds
        except TimeoutError:
            return None, seconds

    def _message(self, scratch: Path, request: _Request) -> dict[str, object]:
        limits = {"memory": request.memory, "file": self.limits.file, "cpu": int(request.seconds * 4) + 1}
        if self.confinement.isolated and self.confinement.seccomp:
            limits["processes"] = self.limits.processes * (_SUITE_FACTOR if request.every_file else 1)
        return {
            "mode": "run",
            "files": dict(request.files) if self.confinement.isolated else {},
            "run": request.run,
            "measured": self.measured(),
            "every_file": request.every_file,
            "scratch": str(scratch),
            "arguments": self.concession,
            "limits": limits,
            **self.special(request.conditions),
        }

    def special(self, conditions: Conditions) -> dict[str, object]:
        """What is special about a run, as a guest is told of it."""
        return {
            "traps": describe_traps(self.tree.root, conditions.trapped),
            "mutant": describe_mutant(self.tree.root, conditions.mutant),
            "observing": conditions.observing,
        }


def folder_of(candidate: Candidate) -> str:
    """The folder where a candidate's test file would stand."""
    return PurePosixPath(candidate.reply.prompt.context.test_path).parent.as_posix()


def cores() -> int:
    """Cores that this process may use; a container may have fewer than the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
