"""What guests answer, read as the claims of processes that ran foreign code, and turned into records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm_testgen.records import CoverageByPath, Ending, Failure, FileCoverage, Run, SuiteRun
from llm_testgen.runner.observations import MOST, ObservationClaim

Relative = Callable[[str], str | None]
_Model = TypeVar("_Model", bound=BaseModel)

# Colours, the folder of the copy and those of temporary files, the number of a candidate's file, what objects are told
# apart by.
_VOLATILE = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"/[^\s'\"]*/llm-testgen-[^/\s'\"]+/project/"), ""),
    (re.compile(r"(/[^\s'\"/]+)*/pytest-of-[^/\s'\"]+/pytest-\d+/"), "/"),
    (re.compile(r"/[^\s'\"]*/llm-testgen-[^/\s'\"]+/"), "/"),
    (re.compile(r"test_llm_testgen(_\d+)+"), "test_candidate"),
    (re.compile(r"\b0x[0-9a-f]{6,}"), "0x…"),
    (re.compile(r"\bid='\d+'"), "id='…'"),  # of a mock
)
# Exit codes of pytest: the session ended with failures or without.
_SESSION_ENDED = (0, 1)
_NO_TESTS = 5


class FailureRecord(BaseModel):
    """An exception that a test raised, or that kept its file from being collected."""

    model_config = ConfigDict(frozen=True)

    file: str
    phase: str
    kind: str
    message: str
    line: int
    trace: tuple[str, ...] = ()


class FileRecord(BaseModel):
    """What ran of one file."""

    model_config = ConfigDict(frozen=True)

    executed: frozenset[int]
    branches: frozenset[tuple[int, int]]
    statements: frozenset[int] | None = None

    def joined(self, other: FileRecord) -> FileRecord:
        """What ran in either."""
        return FileRecord.model_construct(
            executed=self.executed | other.executed,
            branches=self.branches | other.branches,
            statements=self.statements,
        )


class Result(BaseModel):
    """What a pytest session reports.

    Attributes:
        exit: pytest's exit code.
        outcomes: How each test ended, by path and name.
        failures: The first failures.
        collect_errors: Files that could not be collected.
        files: What ran.
        touched: Modules that it imported, or would have if they had not been imported ahead.
        observed: What it reported of its values.
    """

    model_config = ConfigDict(frozen=True)

    exit: int
    outcomes: dict[str, str]
    failures: tuple[FailureRecord, ...]
    collect_errors: int
    files: dict[str, FileRecord]
    touched: tuple[str, ...] = ()
    observed: tuple[ObservationClaim, ...] = Field(default=(), max_length=MOST)


class Untrappable(BaseModel):
    """What a warm guest says that cannot make a method raise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    untrappable: bool


class Answer(BaseModel):
    """What a zygote says of one child: all but the result is its own observation.

    Attributes:
        result: What the child reported; None when it left no report.
        timed_out: Whether it ran into its deadline.
        status: Its wait status.
        cpu: Its seconds of CPU.
        memory: Its peak of resident memory, in bytes.
        seconds: Wall-clock time.
        output: The end of what it printed.
        fault: Why there was no child at all; empty when there was.
    """

    model_config = ConfigDict(frozen=True)

    result: Result | Untrappable | None = None
    fault: str = ""
    timed_out: bool = False
    status: int = 0
    cpu: float = Field(default=0.0, ge=0)
    memory: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)
    output: str = ""


class _Claim(BaseModel):
    """What a child reported, as it was passed on."""

    model_config = ConfigDict(frozen=True)

    result: Result | Untrappable | None


class Ready(BaseModel):
    """What a zygote says when it can serve."""

    model_config = ConfigDict(frozen=True)

    threads: int
    always: dict[str, FileRecord]
    credits: dict[str, dict[str, FileRecord]]

    def complete(self, result: Result) -> Result:
        """A result with what importing the touched modules executed."""
        files = dict(result.files)
        for credit in (self.always, *(self.credits.get(name, {}) for name in result.touched)):
            for path, more in credit.items():
                known = files.get(path)
                files[path] = known.joined(more) if known else more
        return result.model_copy(update={"files": files})


class Greeting(BaseModel):
    """The first thing that a zygote, or the launcher in its place, says."""

    model_config = ConfigDict(frozen=True)

    ready: Ready | None = None
    fault: str = ""
    launch: str = ""


def read_result(answer: bytes | None) -> Result | None:
    """A session's report; None when there is none that makes sense."""
    return _read(Result, answer)


def read_answer(answer: bytes | None) -> Answer | None:
    """A zygote's answer.

    What a child reported was passed on unread: where it makes no sense, it counts as none, and the rest still holds;
    and whatever it says, it says nothing of the rest.
    """
    known, separator, said = (answer or b"").partition(b', "result": ')
    found = _read(Answer, known + b"}" if separator else answer)
    claim = _read(_Claim, b'{"result": ' + said) if separator else None
    return found.model_copy(update={"result": claim.result}) if found and claim else found


def read_greeting(answer: bytes | None) -> Greeting:
    """A zygote's first words."""
    return _read(Greeting, answer) or Greeting(fault="it ended without a word")


def _read(model: type[_Model], answer: bytes | None) -> _Model | None:
    if answer is None:
        return None
    try:
        return model.model_validate_json(answer)
    except ValidationError:
        return None


def crashed(said: str, seconds: float) -> Run:
    """The run of a process that ended without a report."""
    failure = Failure("Crash", f"the process ended without a report: {timeless(said)}", 0, "call")
    return Run(Ending.CRASHED, failure, seconds=seconds)


def timed_out(limit: float, seconds: float) -> Run:
    """The run of a process that did not end."""
    failure = Failure("TimeoutError", f"did not end within {limit:g} s", 0, "call")
    return Run(Ending.TIMEOUT, failure, seconds=seconds)


def as_run(result: Result, seconds: float, relative: Relative, said: str = "") -> Run:
    """A session over one candidate."""
    ending = _ending(result.exit, result.collect_errors, set(result.outcomes.values()))
    failure = None
    if ending is not Ending.PASSED:
        failures = _failures(result.failures)
        failure = failures[0] if failures else _no_failure(result, timeless(said))
    files = _by_path(result, relative)
    covered = {path: file.executed for path, file in files.items()}
    branches = {path: file.branches for path, file in files.items() if file.branches}
    observed = tuple(claim.observation() for claim in result.observed)
    return Run(ending, failure, covered, seconds, branches, observed=observed)


def _no_failure(result: Result, said: str) -> Failure:
    """Why a session did not pass in which nothing failed."""
    if result.outcomes:
        return Failure("Skipped", "the test was skipped", 0, "call")
    message = "no test was run" if result.exit == _NO_TESTS else said
    return Failure("PytestError", message or "no test was run", 0, "collect")


def as_runs(result: Result, files: Iterable[str], seconds: float) -> tuple[Run, ...]:
    """A session over several candidates, taken apart by their files; what each of them covered is not known."""
    runs = []
    for file in files:
        outcomes = {outcome for test, outcome in result.outcomes.items() if test.partition("::")[0] == file}
        failures = [record for record in result.failures if record.file == file]
        errors = sum(record.phase == "collect" for record in failures)
        ending = _ending(min(result.exit, 1) if outcomes else result.exit, errors, outcomes)
        ending = Ending.PASSED if ending is Ending.FAILED and "failed" not in outcomes else ending
        failure = _failures(failures)[0] if failures and ending is not Ending.PASSED else None
        runs.append(Run(ending, failure, seconds=seconds))
    return tuple(runs)


def as_suite_run(
    result: Result | None, exceeded: float | None, seconds: float, relative: Relative, said: str
) -> SuiteRun:
    """A session over whole test files; ``exceeded`` is the limit in seconds that it ran into."""
    if result is None:
        problem = said if exceeded is None else f"did not end within {exceeded:g} s"
        problem = problem or "the process ended without a report"
        return SuiteRun(0, 0, 0, {}, problem, seconds, timed_out=exceeded is not None)
    counts = Counter(result.outcomes.values())
    problem = ""
    if exceeded is not None:
        problem = f"stopped after {exceeded:g} s"
    elif result.exit == _NO_TESTS and not result.collect_errors:
        problem = "pytest found no tests"
    elif result.exit not in _SESSION_ENDED and not result.collect_errors:
        problem = said or f"pytest ended with exit code {result.exit}"
    return SuiteRun(
        passed=counts["passed"],
        failed=counts["failed"] + result.collect_errors,
        skipped=counts["skipped"] + counts["xfailed"],
        coverage=_coverage(result, relative),
        problem=problem,
        timed_out=exceeded is not None,
        seconds=seconds,
        failures=_failures(result.failures),
        passed_tests=_tests(result, "passed"),
        failed_tests=_tests(result, "failed"),
    )


def unexecuted(coverage: CoverageByPath) -> dict[str, FileCoverage]:
    """The same statements, none of them executed."""
    return {path: FileCoverage(file.statements, frozenset()) for path, file in coverage.items()}


def timeless(text: str) -> str:
    """A message without what differs from run to run, since it ends in prompts and proposals."""
    for pattern, replacement in _VOLATILE:
        text = pattern.sub(replacement, text)
    return text


def _ending(code: int, collect_errors: int, outcomes: set[str]) -> Ending:
    if collect_errors or not outcomes or code not in _SESSION_ENDED:
        return Ending.NOT_COLLECTED
    if code or "failed" in outcomes:
        return Ending.FAILED
    return Ending.PASSED if "passed" in outcomes else Ending.SKIPPED


def _failures(records: Iterable[FailureRecord]) -> tuple[Failure, ...]:
    return tuple(
        Failure(record.kind, timeless(record.message), record.line, record.phase, tuple(map(timeless, record.trace)))
        for record in records
    )


def _by_path(result: Result, relative: Relative) -> dict[str, FileRecord]:
    named = {relative(path): record for path, record in result.files.items()}
    return {path: record for path, record in named.items() if path is not None}


def _coverage(result: Result, relative: Relative) -> Mapping[str, FileCoverage]:
    return {
        path: FileCoverage(file.statements, file.executed & file.statements)
        for path, file in _by_path(result, relative).items()
        if file.statements is not None
    }


def _tests(result: Result, outcome: str) -> frozenset[str]:
    return frozenset(test for test, ended in result.outcomes.items() if ended == outcome)
