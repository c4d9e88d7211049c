"""From a change to a proposal: composes the project, the model and the runner around the pipeline, and prints."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from llm_testgen.baseline import Baseline, measured_paths, read_baseline, run_baseline
from llm_testgen.commands.models import ModelOptions, open_model
from llm_testgen.commands.output import OUTPUT_FOLDER, SESSION, output_folder, write_proposal
from llm_testgen.commands.progress import Progress, open_progress
from llm_testgen.commands.summary import print_summary
from llm_testgen.edges.git import Repository
from llm_testgen.edges.session import RememberingModel, Session
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.index import Index
from llm_testgen.knowledge import ProjectKnowledge
from llm_testgen.paths import is_imported, main_folder
from llm_testgen.pipeline import propose as run_pipeline
from llm_testgen.proposal import Proposal, funnel
from llm_testgen.records import Change, ChangedMethod, Skip, Snapshot
from llm_testgen.reporting import (
    coverage_figures,
    file_records,
    inline_records,
    skip_records,
    suggestion_records,
    target_records,
    usage_record,
    verdict_record,
)
from llm_testgen.runner.base import Limits, Project, Runner
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.interpreter import find_python, inspect
from llm_testgen.runner.sandbox import Policy, hide_memory, open_sandbox
from llm_testgen.runner.warm import WarmRunner, sample_tests
from llm_testgen.settings import Generation
from llm_testgen.stages.diff import changed_methods
from llm_testgen.stages.prompt import Templates, default_templates
from llm_testgen.tools import Tools

_MOST_NAMED = 10


class NothingToTestError(UsageError):
    """The change holds nothing that tests could be made for: for a person a mistake, for a pull request ordinary."""


@dataclass(frozen=True, slots=True)
class ProposeOptions:
    """What a person asked for, as it came.

    Attributes:
        repo: A folder inside the checkout.
        base: Revision to compare with; None for the default branch.
        head: Revision to test.
        worktree: Test the working tree as it is instead of ``head``.
        python: The project's interpreter; None to look for one.
        out: Where results go; None for ``.llm-testgen`` in the repository.
        coverage: Recorded coverage of the existing tests; None to run them.
        prompts: Folder of templates; None for the ones that come along.
        test_folder: Where new test files go when the project has no tests yet.
        timeout: Seconds that one execution of a candidate may take.
        sandbox: What to do where layers of the sandbox are missing.
        model: Which model to ask.
        generation: How to ask and judge.
        targets: ``path``, ``path::Class`` or ``path::Class.method`` of what is wanted of the change; empty for all.
    """

    repo: Path
    base: str | None
    head: str
    worktree: bool
    python: str | None
    out: Path | None
    coverage: Path | None
    prompts: Path | None
    test_folder: str | None
    timeout: float
    sandbox: Policy
    model: ModelOptions
    generation: Generation
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Checkout:
    """The change to work on, and the tree at its head."""

    repository: Repository
    change: Change
    snapshot: Snapshot


async def run_propose(options: ProposeOptions, environ: Mapping[str, str], console: Console) -> Proposal:
    """Do what ``propose`` does: write the proposal, the patch and the session, and print a summary.

    Raises:
        LlmTestgenError: Something that a person has to mend first.
    """
    started = time.monotonic()
    _check_test_folder(options.test_folder)
    templates = Templates(options.prompts or default_templates())
    checkout = _open_checkout(options)
    change = checkout.change
    root = checkout.repository.root
    interpreter = inspect(find_python(root, options.python, environ.get("PATH")), environ, root)
    sandbox = open_sandbox(options.sandbox, interpreter, environ)
    hide_memory()
    out = output_folder(options.out or checkout.repository.root / OUTPUT_FOLDER)
    session = Session(out / SESSION)
    async with AsyncExitStack() as stack:
        progress = stack.enter_context(open_progress(console))
        index = stack.enter_context(Index.open(out / SESSION))
        progress.phase("reading the project")
        index.update(checkout.snapshot)
        _require_tests(index, options)
        progress.phase("starting the model")
        address = options.model.endpoint or ""
        model = await open_model(
            options.model, environ, progress.download, lambda model: RememberingModel(model, session, address)
        )
        stack.push_async_callback(model.close)
        cold = ColdRunner(
            _project(checkout, index, options), interpreter, sandbox.confinement, _limits(options), environ
        )
        runner = WarmRunner(cold)
        stack.push_async_callback(runner.close)
        baseline, notes = await _baseline(checkout, runner, options, progress)
        targets, settled = _split(change, baseline)
        knowledge = ProjectKnowledge(index, checkout.snapshot, options.test_folder)
        tools = Tools(knowledge, model, runner, templates, progress)
        generation = _with_time_left(options.generation, time.monotonic() - started)
        progress.phase("writing tests")
        result = await run_pipeline(targets, baseline, tools, generation)
    proposal = Proposal(
        base=change.base,
        head=change.head,
        worktree=options.worktree,
        coverage=coverage_figures(baseline.figure, result.after),
        targets=target_records(targets),
        skipped=skip_records((*change.skipped, *settled)),
        verdicts=tuple(map(verdict_record, result.verdicts)),
        accepted=result.accepted,
        files=file_records(result.files),
        suggestions=suggestion_records(result.verdicts, result.placements),
        inline=inline_records(result.inlines, result.placements),
        funnel=funnel(result.replies, result.verdicts),
        usage=usage_record(result.usage, time.monotonic() - started),
        notes=(*sandbox.notes, *notes, *result.notes),
    )
    write_proposal(out, proposal, result.files)
    session.record(change.head, result.verdicts)
    print_summary(console, proposal, out, checkout.repository.root)
    return proposal


def _open_checkout(options: ProposeOptions) -> _Checkout:
    repository = Repository.open(options.repo)
    revisions = repository.merge_base(options.base, options.head, worktree=options.worktree)
    if options.worktree:
        files = repository.changes_to_worktree(revisions.base)
        snapshot = repository.worktree_snapshot()
    else:
        files = repository.changes(revisions.base, revisions.head)
        snapshot = repository.snapshot(revisions.head)
    change = changed_methods(revisions.base, revisions.head, files)
    if not change.targets:
        first = f" ({len(change.skipped)} left out; the first: {change.skipped[0].reason})" if change.skipped else ""
        msg = (
            f"no changed method between {revisions.base[:12]} and {revisions.head[:12]}{first}:"
            f" pass another --base or --head, or --worktree for what is uncommitted"
        )
        raise NothingToTestError(msg)
    return _Checkout(repository, replace(change, targets=_wanted(change, options.targets)), snapshot)


def _wanted(change: Change, wanted: Sequence[str]) -> tuple[ChangedMethod, ...]:
    """The changed methods that were named, by themselves, by their class or by their file; all when none was."""
    found = tuple(target for target in change.targets if not wanted or any(_is_named(target, name) for name in wanted))
    unchanged = [name for name in wanted if not any(_is_named(target, name) for target in found)]
    if unchanged:
        known = ", ".join(target.id for target in change.targets[:_MOST_NAMED])
        msg = f"the change does not touch {', '.join(unchanged)}; among what it does touch: {known}"
        raise NothingToTestError(msg)
    return found


def _is_named(target: ChangedMethod, name: str) -> bool:
    return name in {target.path, target.id} or target.id.startswith(f"{name}.")


def _check_test_folder(folder: str | None) -> None:
    if folder is not None and (Path(folder).is_absolute() or ".." in Path(folder).parts):
        msg = f"--test-folder {folder} leads out of the repository: name a folder inside it, such as tests"
        raise UsageError(msg)


def _require_tests(index: Index, options: ProposeOptions) -> None:
    if not index.test_files() and options.test_folder is None:
        msg = "the project has no tests yet: pass --test-folder tests to say where the first ones go"
        raise ProjectError(msg)


def _project(checkout: _Checkout, index: Index, options: ProposeOptions) -> Project:
    root = checkout.repository.root
    tracked = frozenset(file.path for file in checkout.snapshot.files)
    measured = measured_paths(checkout.change)
    return Project(
        snapshot=checkout.snapshot,
        extra={path: root / path for path in checkout.repository.ignored_files() if path not in tracked},
        source_roots=index.source_roots(),
        measured=measured,
        test_folder=main_folder(index.test_files()) or options.test_folder or "",
        modules={path: index.module_name(path) for path in measured if is_imported(path)},
        samples=sample_tests(index.test_files(), checkout.snapshot),
    )


def _limits(options: ProposeOptions) -> Limits:
    limits = Limits(seconds=options.timeout)
    if options.generation.deadline is None:
        return limits
    return replace(limits, suite_seconds=min(limits.suite_seconds, options.generation.deadline))


async def _baseline(
    checkout: _Checkout, runner: Runner, options: ProposeOptions, progress: Progress
) -> tuple[Baseline, tuple[str, ...]]:
    change = checkout.change
    if options.coverage is None:
        progress.phase("running the existing tests")
        coverage, notes = await run_baseline(runner)
    else:
        progress.phase("reading the coverage of the existing tests")
        known = [file.path for file in checkout.snapshot.files]
        coverage, notes = await read_baseline(runner, options.coverage, change, known)
    hunks = {} if options.worktree else checkout.repository.hunks(change.base, change.head)
    return Baseline(change.changed_lines, coverage, hunks), notes


def _split(change: Change, baseline: Baseline) -> tuple[tuple[ChangedMethod, ...], tuple[Skip, ...]]:
    """Targets that have something left to cover, and the others with the reason."""
    missing = baseline.missing()
    measured = baseline.figure.changed
    targets, settled = [], []
    for target in change.targets:
        if missing.get(target.path, frozenset()) & target.lines:
            targets.append(target)
        elif target.path not in baseline.coverage:
            settled.append(Skip(target.path, "coverage does not measure this file", target.qualname))
        elif measured.get(target.path, frozenset()) & target.lines:
            settled.append(Skip(target.path, "existing tests execute all its changed lines", target.qualname))
        else:
            settled.append(Skip(target.path, "no changed line begins a statement", target.qualname))
    return tuple(targets), tuple(settled)


def _with_time_left(generation: Generation, elapsed: float) -> Generation:
    if generation.deadline is None:
        return generation
    return replace(generation, deadline=max(0.0, generation.deadline - elapsed))
