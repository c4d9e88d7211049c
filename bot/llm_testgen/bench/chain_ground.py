"""A change made ready to work on: its repository, index, runner, baseline and targets."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from llm_testgen.baseline import Baseline, measured_paths, run_baseline
from llm_testgen.bench.changes import BASE, HEAD, BenchChange
from llm_testgen.edges.git import Repository
from llm_testgen.errors import ProjectError
from llm_testgen.index import Index
from llm_testgen.knowledge import ProjectKnowledge
from llm_testgen.paths import is_imported, main_folder
from llm_testgen.records import Change, ChangedMethod, Lines, LinesByPath, MethodKind, Snapshot
from llm_testgen.runner.base import Limits, Project, Suite
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.interpreter import Interpreter
from llm_testgen.runner.launcher import Confinement
from llm_testgen.runner.warm import WarmRunner, sample_tests
from llm_testgen.stages.diff import changed_methods

MOST_TARGETS = 5
_LEAST = 2  # lines that are not covered: one alone is rarely more than another wording
_KINDS = frozenset({MethodKind.FUNCTION, MethodKind.METHOD})
_LIMITS = Limits()

Choice = Callable[[Change, Baseline], tuple[ChangedMethod, ...]]


@dataclass(frozen=True, slots=True)
class Machine:
    """What candidates run with.

    Attributes:
        interpreter: Has pytest and what the projects need.
        confinement: The sandbox.
        environ: The bot's own environment.
        workers: How many candidates run at once.
        slots: One for each of those, shared by all that is worked on at once; None where that is one change.
    """

    interpreter: Interpreter
    confinement: Confinement
    environ: Mapping[str, str]
    workers: int
    slots: asyncio.Semaphore | None = None


@dataclass(frozen=True, slots=True)
class Ground:
    """A change, ready to work on.

    Attributes:
        name: What the change is called.
        change: What differs.
        targets: The changed methods that tests are asked for.
        baseline: What the existing tests execute.
        knowledge: What the index tells.
        runner: Runs candidates on the tree at head.
        project: What that needs to know of the tree.
        notes: What is odd about it.
    """

    name: str
    change: Change
    targets: tuple[ChangedMethod, ...]
    baseline: Baseline
    knowledge: ProjectKnowledge
    runner: WarmRunner
    project: Project
    notes: tuple[str, ...]

    def missing(self, targets: Iterable[ChangedMethod] | None = None) -> LinesByPath:
        """Changed lines that no existing test executes, of all targets or of those."""
        wanted: defaultdict[str, Lines] = defaultdict(frozenset)
        for target in self.targets if targets is None else targets:
            wanted[target.path] |= target.lines
        return {path: lines & wanted[path] for path, lines in self.baseline.missing().items() if lines & wanted[path]}


def open_ground(
    bench: BenchChange, folder: Path, machine: Machine, index_file: Path
) -> AbstractAsyncContextManager[Ground]:
    """Make a change ready, with the targets that are pinned or that are its first; see `make_ready`."""
    return make_ready(bench.name, folder, machine, index_file, partial(choose_targets, bench))


@asynccontextmanager
async def make_ready(  # noqa: PLR0913 - what is made ready, where, with what
    name: str,
    folder: Path,
    machine: Machine,
    index_file: Path,
    choose: Choice,
    *,
    suite_of: Callable[[WarmRunner], Suite] = lambda runner: runner,
) -> AsyncIterator[Ground]:
    """Make a change ready; everything that was started for it ends with the context.

    Args:
        name: What it is called.
        folder: Its repository, whose last two commits on ``main`` are the change.
        machine: What candidates run with.
        index_file: Where the index is kept.
        choose: Tells the targets among the changed methods.
        suite_of: Tells what runs the project's own tests by what runs candidates.

    Raises:
        ProjectError: The project's tests cannot be run here, or a wanted target is not in the change.
    """
    repository = Repository.open(folder)
    revisions = repository.merge_base(BASE, HEAD)
    change = whole_change(repository)
    snapshot = repository.snapshot(revisions.head)
    async with AsyncExitStack() as stack:
        index = stack.enter_context(Index.open(index_file))
        index.update(snapshot)
        project = describe(change, snapshot, index)
        cold = ColdRunner(project, machine.interpreter, machine.confinement, _LIMITS, machine.environ, machine.slots)
        runner = WarmRunner(cold, machine.workers, machine.slots)
        stack.push_async_callback(runner.close)
        coverage, notes = await run_baseline(suite_of(runner))
        hunks = repository.hunks(revisions.base, revisions.head)
        baseline = Baseline(change.changed_lines, coverage, hunks)
        targets = choose(change, baseline)
        knowledge = ProjectKnowledge(index, snapshot, None)
        yield Ground(name, replace(change, targets=targets), targets, baseline, knowledge, runner, project, notes)


def whole_change(repository: Repository) -> Change:
    """What the last two commits on ``main`` differ in, with all of its methods."""
    base, head = repository.merge_base(BASE, HEAD)
    return changed_methods(base, head, repository.changes(base, head))


def choose_targets(bench: BenchChange, change: Change, baseline: Baseline) -> tuple[ChangedMethod, ...]:
    """The targets that are pinned; if none are, the first functions and methods of which enough is not covered.

    Raises:
        ProjectError: A pinned one is not in the change, or the existing tests execute all of it.
    """
    if not bench.targets:
        return usual_targets(bench.library, change, baseline)[:MOST_TARGETS]
    by_id = {target.id: target for target in change.targets if _left(target, baseline.missing())}
    if unknown := [one for one in bench.targets if one not in by_id]:
        msg = (
            f"nothing of {unknown[0]} in {bench.name} is left to cover here: pass another --python, or other --changes"
        )
        raise ProjectError(msg)
    return tuple(by_id[one] for one in bench.targets)


def usual_targets(library: str, change: Change, baseline: Baseline) -> tuple[ChangedMethod, ...]:
    """Functions and methods of the library, in path and line order, of which the existing tests leave enough lines.

    Args:
        library: How the paths of its code begin.
        change: What differs.
        baseline: What the existing tests execute.
    """
    missing = baseline.missing()
    return tuple(
        target
        for target in change.targets
        if target.method.kind in _KINDS
        and target.path.startswith(library)
        and is_imported(target.path)
        and len(_left(target, missing)) >= _LEAST
    )


def _left(target: ChangedMethod, missing: LinesByPath) -> Lines:
    return missing.get(target.path, frozenset()) & target.lines


def describe(change: Change, snapshot: Snapshot, index: Index) -> Project:
    """What a runner needs to know of a tree that holds the changed code."""
    measured = measured_paths(change)
    return Project(
        snapshot=snapshot,
        extra={},
        source_roots=index.source_roots(),
        measured=measured,
        test_folder=main_folder(index.test_files()),
        modules={path: index.module_name(path) for path in measured if is_imported(path)},
        samples=sample_tests(index.test_files(), snapshot),
    )
