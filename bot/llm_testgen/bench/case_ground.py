"""A case made ready to work on, and what the tests of its authors cover."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_testgen import __version__
from llm_testgen.baseline import CUT, Baseline, run_baseline
from llm_testgen.bench.case_suite import KnownSuite
from llm_testgen.bench.cases import HUMAN, Case, sample_methods
from llm_testgen.bench.chain_ground import Ground, Machine, describe, make_ready, usual_targets, whole_change
from llm_testgen.bench.environments import Workshop
from llm_testgen.edges.git import Repository
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.index import Index
from llm_testgen.records import Change, ChangedMethod, LinesByPath, SuiteRun
from llm_testgen.runner.base import Limits, Suite
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.interpreter import inspect
from llm_testgen.runner.sandbox import Policy, hide_memory, open_sandbox
from llm_testgen.runner.warm import WarmRunner

_LIMITS = Limits()


class HumanReference(BaseModel):
    """What the tests of the newer release execute of a change.

    Attributes:
        key: What it was found with: the tool, the case and the interpreter.
        covered: Changed lines that hold a statement and were executed, by path.
        passed: Tests that passed.
        failed: Tests that failed, and files that could not be collected.
        notes: What a person should know of the run: failures, or why it did not end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    covered: Mapping[str, tuple[int, ...]]
    passed: int
    failed: int
    notes: tuple[str, ...]

    def of(self, wanted: LinesByPath) -> LinesByPath:
        """Those of the lines that it covers."""
        found = {path: lines.intersection(self.covered.get(path, ())) for path, lines in wanted.items()}
        return {path: lines for path, lines in found.items() if lines}


def open_machines(
    workshop: Workshop, cases: Iterable[Case], policy: Policy, environ: Mapping[str, str], *, workers: int
) -> tuple[dict[str, Machine], tuple[str, ...]]:
    """What tests run with in the environments of cases, by the environment's name, and the sandbox's layers that hold.

    Args:
        workshop: Where the environments are kept.
        cases: Those that are to be worked on.
        policy: What to do where layers are missing.
        environ: The bot's own environment.
        workers: How many tests run at once, of all cases together.

    Raises:
        LlmTestgenError: An environment cannot be had, or the policy asks for more than there is.
    """
    made, layers = {}, tuple[str, ...]()
    slots = asyncio.Semaphore(workers)
    for name in dict.fromkeys(case.environment for case in cases):
        interpreter = inspect(workshop.environment(name), environ)
        sandbox = open_sandbox(policy, interpreter, environ)
        made[name] = Machine(interpreter, sandbox.confinement, environ, workers, slots)
        layers = tuple(layer.name for layer in sandbox.layers if layer.holds)
    hide_memory()
    return made, layers


def case_ground(
    case: Case, folder: Path, machine: Machine, index_file: Path, seed: int
) -> AbstractAsyncContextManager[Ground]:
    """Make a case ready, with the methods that every arm is asked for.

    Args:
        case: Which one.
        folder: Its repository.
        machine: What candidates run with.
        index_file: Where the index is kept.
        seed: Of `sample_methods`.

    Raises:
        ProjectError: The project's tests cannot be run here.
    """

    def choose(change: Change, baseline: Baseline) -> tuple[ChangedMethod, ...]:
        return sample_methods(case, usual_targets(case.library, change, baseline), seed)

    return make_ready(case.name, folder, machine, index_file, choose, suite_of=_known(case, folder, machine))


def whole_ground(case: Case, folder: Path, machine: Machine, index_file: Path) -> AbstractAsyncContextManager[Ground]:
    """Make a case ready, with all the methods that lots are drawn among; see `case_ground`."""
    choose = partial(usual_targets, case.library)
    return make_ready(case.name, folder, machine, index_file, choose, suite_of=_known(case, folder, machine))


def _known(case: Case, folder: Path, machine: Machine) -> Callable[[WarmRunner], Suite]:
    kept, key = folder.with_name(f"{folder.name}-suite.json"), _found_with(case, machine)
    return lambda runner: KnownSuite(runner, case.name, kept, key)


def _found_with(case: Case, machine: Machine) -> str:
    return f"{__version__} {machine.interpreter.path} {case.model_dump_json()}"


async def human_reference(case: Case, folder: Path, machine: Machine) -> HumanReference:
    """What the newer tests cover of the change: run once, and kept beside the repository.

    Args:
        case: Which one.
        folder: Its repository.
        machine: What the tests run with.

    Raises:
        ProjectError: They cannot be run here, or not to their end.
        UsageError: The work folder cannot be written.
    """
    kept = folder.with_name(f"{folder.name}-human.json")
    key = _found_with(case, machine)
    known = _read(kept)
    if known is not None and known.key == key:
        return known
    found = await _run_human_tests(folder, machine, key)
    if cut := next((note for note in found.notes if note.startswith(CUT)), ""):
        msg = f"the newer tests of {case.name} are no measure: {cut}; run this again when the machine is less busy"
        raise ProjectError(msg)
    try:
        kept.write_text(found.model_dump_json() + "\n", encoding="utf-8")
    except OSError as error:
        msg = f"{kept} cannot be written ({error.strerror}): pass another --work"
        raise UsageError(msg) from error
    return found


def _read(kept: Path) -> HumanReference | None:
    try:
        return HumanReference.model_validate_json(kept.read_bytes())
    except (OSError, ValidationError):
        return None  # it is not there, or what a killed run left


async def _run_human_tests(folder: Path, machine: Machine, key: str) -> HumanReference:
    repository = Repository.open(folder)
    change, snapshot = whole_change(repository), repository.snapshot(HUMAN)
    with tempfile.TemporaryDirectory(prefix="llm-testgen-bench-") as home, Index.open(Path(home, "index")) as index:
        index.update(snapshot)
        project = describe(change, snapshot, index)
    runner = _CountingRunner(project, machine.interpreter, machine.confinement, _LIMITS, machine.environ, machine.slots)
    try:
        coverage, notes = await run_baseline(runner)
    finally:
        await runner.close()
    covered = Baseline(change.changed_lines, coverage).figure.covered
    return HumanReference(
        key=key,
        covered={path: tuple(sorted(lines)) for path, lines in covered.items()},
        passed=runner.passed,
        failed=runner.failed,
        notes=notes,
    )


class _CountingRunner(ColdRunner):
    """A runner that remembers how many tests of the suite passed and failed."""

    passed = failed = 0

    async def run_suite(self, files: Mapping[str, str] | None = None) -> SuiteRun:
        """The project's own tests."""
        suite = await super().run_suite(files)
        self.passed, self.failed = suite.passed, suite.failed
        return suite
