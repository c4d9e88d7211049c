"""Cases checked: made ready, with the old tests and the newer ones run on the change."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_testgen import __version__
from llm_testgen.bench.case_ground import HumanReference, human_reference, whole_ground
from llm_testgen.bench.cases import Case, Split, case_repository, held_back, sample_methods
from llm_testgen.bench.chain_ground import Ground, Machine
from llm_testgen.bench.environments import Workshop
from llm_testgen.bench.projects import requirements
from llm_testgen.bench.recordings import add_lines, whole_lines
from llm_testgen.edges.git import Repository
from llm_testgen.errors import LlmTestgenError, UsageError
from llm_testgen.records import LinesByPath

LEAST_METHODS = 2
RESULTS = "cases.jsonl"


class CaseResult(BaseModel):
    """What became of a case. Lines are changed lines that hold a statement.

    Attributes:
        key: What it was found with: the tool, the case, its environment, the interpreter and the seed.
        case: The case's name.
        split: What it may be used for.
        problem: Why it cannot be used; empty if it can.
        methods: How many methods can be asked for.
        chosen: Those that are.
        changed: Lines of the whole change.
        before: Those that the old tests execute.
        human: Those that the newer tests execute.
        missing: Lines of the chosen methods that the old tests do not execute.
        reached: Those of them that the newer tests execute.
        seconds: Wall-clock time that it took, without what was there already.
        notes: What a person should know of the old tests, then of the newer ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    case: str
    split: Split
    problem: str = ""
    methods: int = 0
    chosen: tuple[str, ...] = ()
    changed: int = 0
    before: int = 0
    human: int = 0
    missing: int = 0
    reached: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


class CaseReport(BaseModel):
    """What became of all cases that were asked for.

    Attributes:
        tool: This tool's version.
        python: The interpreter's version.
        sandbox: The layers that hold.
        seed: Of the methods.
        cases: In the order of the manifest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str
    python: str
    sandbox: tuple[str, ...]
    seed: int
    cases: tuple[CaseResult, ...]


class ResultStore:
    """What was found, in a file of JSON Lines; a check that was interrupted goes on with it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there; a line that a killed run cut off, or that an older tool wrote, is passed over."""
        self._path = path
        self._results: dict[str, CaseResult] = {}
        try:
            whole = whole_lines(path, b'{"key"') if path.exists() else b""
        except OSError as error:
            raise self._refusal(error) from error
        for line in whole.splitlines():
            try:
                self._keep(CaseResult.model_validate_json(line))
            except ValidationError:
                continue

    def recall(self, key: str) -> CaseResult | None:
        """What was found under the key, if the case could be used."""
        return self._results.get(key)

    def remember(self, result: CaseResult) -> None:
        """Write it down at once.

        Raises:
            UsageError: The file cannot be written.
        """
        self._keep(result)
        try:
            add_lines(self._path, f"{result.model_dump_json()}\n".encode())
        except OSError as error:
            raise self._refusal(error) from error

    def _keep(self, result: CaseResult) -> None:
        # What failed is tried again: the network may have come back.
        if not result.problem:
            self._results[result.key] = result

    def _refusal(self, error: OSError) -> UsageError:
        return UsageError(f"{self._path} cannot be used ({error.strerror}): pass another --work")


@dataclass(frozen=True, slots=True)
class Checker:
    """What cases are checked with.

    Attributes:
        workshop: Where they are kept.
        machines: What tests run with, by the name of an environment.
        seed: Of the methods.
    """

    workshop: Workshop
    machines: Mapping[str, Machine]
    seed: int

    def key(self, case: Case) -> str:
        """What tells one check of a case from another."""
        machine = self.machines[case.environment]
        found_with = [__version__, case.model_dump_json(), requirements(case.environment), machine.interpreter.version]
        digest = hashlib.sha256("\n".join(found_with).encode()).hexdigest()[:16]
        return f"{case.name} {self.seed} {digest}"

    async def check(self, case: Case) -> CaseResult:
        """Make a case ready and run its tests, the old ones and the newer ones; what goes wrong is in the result."""
        started = time.monotonic()
        machine = self.machines[case.environment]
        try:
            folder = await asyncio.to_thread(case_repository, self.workshop, case, machine.interpreter.path)
            found = held_back(Repository.open(folder))
            with tempfile.TemporaryDirectory(prefix="llm-testgen-bench-") as home:
                async with whole_ground(case, folder, machine, Path(home, "index.sqlite")) as ground:
                    human = await human_reference(case, folder, machine)
                    result = self._result(case, ground, human, found)
        except LlmTestgenError as error:
            result = CaseResult(key=self.key(case), case=case.name, split=case.split, problem=str(error))
        return result.model_copy(update={"seconds": round(time.monotonic() - started, 1)})

    def _result(self, case: Case, ground: Ground, human: HumanReference, found: tuple[str, ...]) -> CaseResult:
        figure = ground.baseline.figure
        chosen = sample_methods(case, ground.targets, self.seed)
        missing = ground.missing(chosen)
        return CaseResult(
            key=self.key(case),
            case=case.name,
            split=case.split,
            problem=_problem(case, ground, human, found),
            methods=len(ground.targets),
            chosen=tuple(target.id for target in chosen),
            changed=_count(figure.changed),
            before=_count(figure.covered),
            human=_count(human.of(figure.changed)),
            missing=_count(missing),
            reached=_count(human.of(missing)),
            notes=(*(f"old tests: {note}" for note in ground.notes), *(f"newer tests: {note}" for note in human.notes)),
        )


def _problem(case: Case, ground: Ground, human: HumanReference, found: tuple[str, ...]) -> str:
    """Why a case cannot be used; empty if it can."""
    if problem := _tests_problem(ground, human):
        return problem
    if len(ground.targets) < LEAST_METHODS:
        return f"{len(ground.targets)} methods can be asked for, of {LEAST_METHODS} at least"
    if found != case.held_back:
        differs = sorted(set(found).symmetric_difference(case.held_back))
        return f"held_back in the manifest is not what the releases differ in: {', '.join(differs[:3])}"
    return ""


def _tests_problem(ground: Ground, human: HumanReference) -> str:
    """Why what the tests execute is no measure; empty if it is one."""
    figure = ground.baseline.figure
    for tests, covered in (("old", figure.covered), ("newer", human.of(figure.changed))):
        if not _count(covered):
            return f"the {tests} tests execute no changed line: they do not run here"
    if human.failed > human.passed:
        return f"{human.failed} of the newer tests fail, {human.passed} pass: the environment lacks what they need"
    return ""


def _count(lines: LinesByPath) -> int:
    return sum(map(len, lines.values()))
