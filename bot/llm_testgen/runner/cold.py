"""A fresh process of the project's interpreter for each execution: slow, and the yardstick for faster runners."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_testgen.records import Candidate, CoverageByPath, Ending, Failure, FileCoverage, Run, SuiteRun
from llm_testgen.runner.base import Limits, Preparation, Project
from llm_testgen.runner.interpreter import HARNESS, Interpreter, environment, lend_coverage
from llm_testgen.runner.tree import TreeCopy

Relative = Callable[[str], str | None]

# Colours, the folder of the copy, the number of a candidate's file, addresses of objects.
_VOLATILE = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"/[^\s'\"]*/llm-testgen-[^/\s'\"]+/project/"), ""),
    (re.compile(r"test_llm_testgen_\d+"), "test_candidate"),
    (re.compile(r"\b0x[0-9a-f]{6,}"), "0x…"),
)
_ERROR = re.compile(r"\w*(Error|Exception)\b|\berror:")
_RESULT_BYTES = 32 << 20
_GRACE_SECONDS = 10.0
_LAST_OUTPUT = 4096
_NOTHING = "def test_nothing():\n    pass\n"
# What pytest may have to do without where a project's configuration does not suit the interpreter that was named:
# a conftest of another pytest, options of a plugin that is not there.
_CONCESSIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ()),
    ("conftest.py", ("--noconftest",)),
    ("addopts", ("--override-ini=addopts=",)),
    ("conftest.py and addopts", ("--noconftest", "--override-ini=addopts=")),
)
# Exit codes of pytest: the session ended with failures or without.
_SESSION_ENDED = (0, 1)
_NO_TESTS = 5


class _FailureRecord(BaseModel):
    model_config = ConfigDict(frozen=True)

    phase: str
    kind: str
    message: str
    line: int


class _FileRecord(BaseModel):
    model_config = ConfigDict(frozen=True)

    statements: frozenset[int]
    executed: frozenset[int]


class _Result(BaseModel):
    """What the harness reports: a claim of a process that ran foreign code."""

    model_config = ConfigDict(frozen=True)

    exit: int
    outcomes: dict[str, str]
    failures: list[_FailureRecord]
    collect_errors: int
    files: dict[str, _FileRecord]
    enforced: bool


@dataclass(frozen=True, slots=True)
class _Session:
    """One finished process: its report if it left one, and how it ended.

    ``exceeded`` is the limit, in seconds, that it ran into; None when it ended by itself.
    """

    result: _Result | None
    exceeded: float | None
    seconds: float
    last_output: str


@dataclass(frozen=True, slots=True)
class _Request:
    """What one process is asked to do; no files stands for all that pytest finds."""

    files: tuple[str, ...]
    seconds: float
    hash_seed: int = 0
    all_files: bool = False
    may_write_tree: bool = False


class ColdRunner:
    """A `Runner` that starts a process for each execution.

    Args:
        project: What to run on.
        interpreter: The project's interpreter.
        limits: What one execution may take.
        environ: The bot's own environment, of which an allow-list is passed on.
    """

    def __init__(self, project: Project, interpreter: Interpreter, limits: Limits, environ: Mapping[str, str]) -> None:
        """Copy the tree.

        Raises:
            ProjectError: The temporary folder cannot take the copy.
        """
        self._project = project
        self._interpreter = interpreter
        self._limits = limits
        self._environ = environ
        self._numbers = itertools.count(1)
        self._concession: tuple[str, ...] = ()
        self._slots = asyncio.Semaphore(_cores())
        self._tree = TreeCopy(project.snapshot, project.extra)
        # Copied to a folder of its own, so that nothing beside it can be imported.
        self._harness = self._tree.scratch / "bin" / "harness.py"
        self._harness.parent.mkdir()
        shutil.copyfile(HARNESS, self._harness)
        self._lent = () if interpreter.has_coverage else (lend_coverage(self._tree.scratch),)

    @property
    def home(self) -> Path:
        """The temporary folder that everything happens in; `close` deletes it."""
        return self._tree.home

    async def prepare(self) -> Preparation:
        """Find the least that pytest has to do without to run a test that does nothing."""
        name = str(PurePosixPath(self._project.test_folder) / "test_llm_testgen_nothing.py")
        problem = ""
        for concession, arguments in _CONCESSIONS:
            self._concession = arguments
            run = await self.run_files({name: _NOTHING})
            problem = problem or run.problem or "".join(failure.message for failure in run.failures)
            if run.passed:
                return Preparation(_unexecuted(run.coverage), concession, problem if concession else "")
        self._concession = ()
        return Preparation({}, "", problem)

    async def run_suite(self) -> SuiteRun:
        """The project's own tests as they are at head, found as the project configures it."""
        run = await self._run_session((), self._limits.suite_seconds)
        self._tree.keep_bytecode()
        self._tree.restore()
        return run

    async def run_files(self, files: Mapping[str, str]) -> SuiteRun:
        """Test files together in one fresh process, each at its own path, replacing what stands there."""
        for path, text in files.items():
            self._tree.add(path, text)
        try:
            return await self._run_session(tuple(files), self._limits.suite_seconds)
        finally:
            self._tree.restore()

    async def run_candidate(self, candidate: Candidate, *, hash_seed: int) -> Run:
        """One candidate alone, in a file of its own beside the one where it would stand."""
        folder = PurePosixPath(candidate.reply.prompt.context.test_path).parent
        name = str(folder / f"test_llm_testgen_{next(self._numbers)}.py")
        async with self._slots:
            path = self._tree.add(name, candidate.code)
            try:
                session = await self._execute(_Request((name,), self._limits.seconds, hash_seed))
            finally:
                path.unlink(missing_ok=True)
        return _as_run(session, self._relative)

    async def close(self) -> None:
        """Delete the copy of the tree."""
        await asyncio.to_thread(self._tree.delete)

    async def _run_session(self, files: tuple[str, ...], seconds: float) -> SuiteRun:
        session = await self._execute(_Request(files, seconds, all_files=True, may_write_tree=True))
        return _as_suite_run(session, self._relative)

    async def _execute(self, request: _Request) -> _Session:
        scratch = self._tree.scratch / f"run-{next(self._numbers)}"
        scratch.mkdir()
        try:
            return await self._execute_in(scratch, request)
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)

    async def _execute_in(self, scratch: Path, request: _Request) -> _Session:
        result = scratch / "result.json"
        output = scratch / "output.txt"
        message = self._message(scratch, result, request)
        started = time.monotonic()
        with output.open("wb") as stream:
            process = await asyncio.create_subprocess_exec(
                self._interpreter.path,
                self._harness,
                stdin=asyncio.subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                cwd=self._tree.root,
                env=self._environment(scratch, request),
                start_new_session=True,
            )
            timed_out = await self._attend(process, message, request.seconds)
        seconds = time.monotonic() - started
        exceeded = request.seconds if timed_out else None
        return _Session(_read_result(result), exceeded, seconds, _last_line(output))

    async def _attend(self, process: asyncio.subprocess.Process, message: bytes, seconds: float) -> bool:
        """Wait for a process at most so long, and leave nothing of its group behind; tells whether time ran out."""
        try:
            async with asyncio.timeout(seconds):
                await process.communicate(message)
        except TimeoutError:
            # A first, gentle signal lets pytest report what it has seen; a hanging candidate has nothing to report.
            _signal(process, signal.SIGTERM)
            try:
                async with asyncio.timeout(min(_GRACE_SECONDS, seconds)):
                    await process.wait()
            except TimeoutError:
                pass
            return True
        finally:
            _kill_group(process)
            await process.wait()
        return False

    def _environment(self, scratch: Path, request: _Request) -> dict[str, str]:
        roots = tuple(self._tree.root / root for root in self._project.source_roots)
        variables = environment(self._environ, scratch, (*roots, *self._lent))
        variables["PYTHONHASHSEED"] = str(request.hash_seed)
        if not request.may_write_tree:
            variables["PYTHONDONTWRITEBYTECODE"] = "1"
        return variables

    def _message(self, scratch: Path, result: Path, request: _Request) -> bytes:
        writable = [scratch, self._tree.root] if request.may_write_tree else [scratch]
        message = {
            "mode": "run",
            "result": str(result),
            "scratch": str(scratch),
            "arguments": self._concession,
            "files": request.files,
            "measured": [str(self._tree.root / path) for path in self._project.measured],
            "all_files": request.all_files,
            "writable": [str(folder) for folder in writable],
            "limits": {"memory": self._limits.memory, "file": self._limits.file, "cpu": int(request.seconds * 4) + 1},
        }
        return json.dumps(message).encode()

    def _relative(self, path: str) -> str | None:
        """A path of the copy as a path of the repository; None for anything else."""
        try:
            return Path(path).relative_to(self._tree.root).as_posix()
        except ValueError:
            return None


def _cores() -> int:
    """Cores that this process may use; a container may have fewer than the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _kill_group(process: asyncio.subprocess.Process) -> None:
    """End everything that still belongs to the process's group; the group outlives its leader."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except ProcessLookupError:
        return


def _read_result(path: Path) -> _Result | None:
    try:
        with path.open("rb") as file:
            return _Result.model_validate_json(file.read(_RESULT_BYTES))
    except (OSError, ValidationError):
        return None


def _last_line(path: Path) -> str:
    """The last line of an output that names an error, else its last line."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LAST_OUTPUT))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").split("\n") if line.strip()]
    errors = [line for line in lines if _ERROR.search(line)]
    return next(reversed(errors or lines), "")


def _failures(result: _Result) -> tuple[Failure, ...]:
    return tuple(
        Failure(record.kind, _timeless(record.message), record.line, record.phase) for record in result.failures
    )


def _timeless(text: str) -> str:
    """A message without what differs from run to run, since it ends in prompts and proposals."""
    for pattern, replacement in _VOLATILE:
        text = pattern.sub(replacement, text)
    return text


def _coverage(result: _Result, relative: Relative) -> dict[str, FileCoverage]:
    found = {}
    for path, record in result.files.items():
        name = relative(path)
        if name is not None:
            found[name] = FileCoverage(record.statements, record.executed & record.statements)
    return found


def _unexecuted(coverage: CoverageByPath) -> dict[str, FileCoverage]:
    return {path: FileCoverage(file.statements, frozenset()) for path, file in coverage.items()}


def _as_run(session: _Session, relative: Relative) -> Run:
    result = session.result
    if session.exceeded is not None:
        failure = Failure("TimeoutError", f"did not end within {session.exceeded:g} s", 0, "call")
        return Run(Ending.TIMEOUT, failure, seconds=session.seconds)
    if result is None:
        failure = Failure("Crash", f"the process ended without a report: {session.last_output}", 0, "call")
        return Run(Ending.CRASHED, failure, seconds=session.seconds)
    covered = {path: file.executed for path, file in _coverage(result, relative).items()}
    failures = _failures(result)
    ending = _ending(result)
    failure_seen = failures[0] if failures else None
    if failure_seen is None and ending is not Ending.PASSED:
        failure_seen = Failure("PytestError", session.last_output or "no test was run", 0, "collect")
    return Run(ending, failure_seen if ending is not Ending.PASSED else None, covered, session.seconds)


def _ending(result: _Result) -> Ending:
    outcomes = set(result.outcomes.values())
    if result.collect_errors or not outcomes or result.exit not in _SESSION_ENDED:
        return Ending.NOT_COLLECTED
    if result.exit or "failed" in outcomes:
        return Ending.FAILED
    return Ending.PASSED if "passed" in outcomes else Ending.SKIPPED


def _as_suite_run(session: _Session, relative: Relative) -> SuiteRun:
    result = session.result
    if result is None:
        problem = session.last_output if session.exceeded is None else f"did not end within {session.exceeded:g} s"
        return SuiteRun(0, 0, 0, {}, problem or "the process ended without a report", session.seconds)
    counts = Counter(result.outcomes.values())
    problem = ""
    if session.exceeded is not None:
        problem = f"stopped after {session.exceeded:g} s"
    elif result.exit == _NO_TESTS and not result.collect_errors:
        problem = "pytest found no tests"
    elif result.exit not in _SESSION_ENDED and not result.collect_errors:
        problem = session.last_output or f"pytest ended with exit code {result.exit}"
    return SuiteRun(
        passed=counts["passed"],
        failed=counts["failed"] + result.collect_errors,
        skipped=counts["skipped"] + counts["xfailed"],
        coverage=_coverage(result, relative),
        problem=problem,
        seconds=session.seconds,
        failures=_failures(result),
        passed_tests=_tests(result, "passed"),
        failed_tests=_tests(result, "failed"),
    )


def _tests(result: _Result, outcome: str) -> frozenset[str]:
    return frozenset(test for test, ended in result.outcomes.items() if ended == outcome)
