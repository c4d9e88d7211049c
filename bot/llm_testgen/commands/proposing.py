"""From a change to a proposal: composes the project, the model and the runner around the pipeline, and prints."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from llm_testgen.asserting import propose_asserts
from llm_testgen.baseline import Baseline, measured_paths, read_baseline, run_baseline
from llm_testgen.commands.asserting import asserts_proposal, write_asserted
from llm_testgen.commands.checkout import Checkout, open_change, results_folder
from llm_testgen.commands.models import open_model
from llm_testgen.commands.options import ProposeOptions
from llm_testgen.commands.output import SESSION, output_folder, write_proposal
from llm_testgen.commands.progress import Progress, open_progress
from llm_testgen.commands.summary import Telling, print_summary
from llm_testgen.edges.session import RememberingModel, Session
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.index import Index
from llm_testgen.knowledge import ProjectKnowledge
from llm_testgen.paths import is_imported, main_folder
from llm_testgen.pipeline import Result
from llm_testgen.pipeline import propose as run_pipeline
from llm_testgen.proposal import Proposal, funnel
from llm_testgen.recipe import Kind, Recipe
from llm_testgen.records import ChangedMethod, Skip
from llm_testgen.repairs.base import RepairKind
from llm_testgen.reporting import (
    coverage_figures,
    file_records,
    inline_records,
    regression_records,
    skip_records,
    suggestion_records,
    target_records,
    usage_record,
    verdict_record,
)
from llm_testgen.runner.base import Limits, Project, Runner
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.interpreter import find_python, inspect
from llm_testgen.runner.lazy import LazyRunner
from llm_testgen.runner.sandbox import hide_memory, open_sandbox
from llm_testgen.runner.warm import WarmRunner, sample_tests
from llm_testgen.settings import Generation
from llm_testgen.stages.prompt import load_prompts
from llm_testgen.tools import Tools


@dataclass(frozen=True, slots=True)
class Made:
    """What a run gave: the proposal, the folder that it was written to, and the pipeline's own result."""

    proposal: Proposal
    out: Path
    result: Result


async def run_propose(options: ProposeOptions, environ: Mapping[str, str], console: Console) -> Proposal:
    """Do what ``propose`` does: write the proposal, the patch and the session, and print a summary.

    Raises:
        LlmTestgenError: Something that a person has to mend first.
    """
    started = time.monotonic()
    checkout = open_change(options)
    asserts = load_prompts(options.prompts, options.kind).recipe.kind is Kind.ASSERTS
    if asserts:
        proposal, out = await _make_asserts(checkout, options, environ, console, started)
    else:
        made = await make_proposal(checkout, options, environ, console, started)
        proposal, out = made.proposal, made.out
    print_summary(console, proposal, out, checkout.repository.root, Telling(asserts=asserts))
    return proposal


async def make_proposal(
    checkout: Checkout, options: ProposeOptions, environ: Mapping[str, str], console: Console, started: float
) -> Made:
    """Find tests for what a checkout is about, and write the proposal, the patch and the session.

    Args:
        checkout: What they are for.
        options: How to go about it.
        environ: Where keys are read from, and what is handed to the project's interpreter.
        console: Where progress is shown.
        started: When the run began, by the monotonic clock.

    Raises:
        LlmTestgenError: Something that a person has to mend first.
    """
    change = checkout.change
    async with _open_workplace(checkout, options, environ, console) as work:
        targets, settled = _split(checkout, work.baseline)
        generation = _with_time_left(work.generation, time.monotonic() - started)
        work.progress.phase("writing tests")
        result = await run_pipeline(targets, work.baseline, work.tools, generation)
    proposal = Proposal(
        base=change.base,
        head=change.head,
        worktree=options.worktree,
        coverage=coverage_figures(work.baseline.figure, result.after),
        targets=target_records(targets, work.baseline.figure),
        skipped=skip_records((*change.skipped, *settled)),
        verdicts=tuple(map(verdict_record, result.verdicts)),
        accepted=result.accepted,
        files=file_records(result.files),
        suggestions=suggestion_records(result.verdicts, result.placements),
        inline=inline_records(result.inlines, result.placements),
        funnel=funnel(result.replies, result.verdicts),
        usage=usage_record(result.usage, time.monotonic() - started),
        notes=(*work.notes, *result.notes),
        regressions=regression_records(result.regressions),
    )
    write_proposal(work.out, proposal, result.files)
    work.session.record(change.head, result.verdicts)
    return Made(proposal, work.out, result)


async def _make_asserts(
    checkout: Checkout, options: ProposeOptions, environ: Mapping[str, str], console: Console, started: float
) -> tuple[Proposal, Path]:
    """Find assertions for the changed methods themselves, and write the proposal and the patch."""
    if options.worktree:
        msg = "--kind asserts changes files that are committed: leave --worktree out"
        raise UsageError(msg)
    async with _open_workplace(checkout, options, environ, console) as work:
        generation = _with_time_left(work.generation, time.monotonic() - started)
        work.progress.phase("writing assertions")
        asserted = await propose_asserts(checkout.change.targets, work.tools, generation)
    proposal = asserts_proposal(checkout.change, work.baseline, asserted, work.notes, time.monotonic() - started)
    write_asserted(work.out, proposal, asserted)
    return proposal, work.out


@dataclass(frozen=True, slots=True)
class _Workplace:
    """All that a run works with, as long as it is open; the folder, the session and the figures also after that."""

    out: Path
    session: Session
    tools: Tools
    baseline: Baseline
    generation: Generation
    progress: Progress
    notes: tuple[str, ...]


@asynccontextmanager
async def _open_workplace(
    checkout: Checkout, options: ProposeOptions, environ: Mapping[str, str], console: Console
) -> AsyncIterator[_Workplace]:
    check_test_folder(options.test_folder)
    templates = load_prompts(options.prompts, options.kind)
    root = checkout.repository.root
    interpreter = inspect(find_python(root, options.python, environ.get("PATH")), environ, root)
    sandbox = open_sandbox(options.sandbox, interpreter, environ)
    hide_memory()
    out = output_folder(results_folder(checkout.repository, options))
    session = Session(out / SESSION)
    async with AsyncExitStack() as stack:
        progress = stack.enter_context(open_progress(console, "line" if checkout.subject else "changed line"))
        index = stack.enter_context(Index.open(out / SESSION))
        progress.phase("reading the project")
        index.update(checkout.snapshot)
        require_tests(index, options)
        progress.phase("starting the model")
        address = options.model.endpoint or ""
        model = await open_model(
            options.model, environ, progress.download, lambda model: RememberingModel(model, session, address)
        )
        stack.push_async_callback(model.close)
        project = project_of(checkout, index, options)
        cold = ColdRunner(project, interpreter, sandbox.confinement, limits_of(options), environ)
        runner = WarmRunner(cold)
        stack.push_async_callback(runner.close)
        base = _base_of(checkout, cold, environ)
        stack.push_async_callback(base.close)
        baseline, notes = await baseline_of(checkout, runner, options, progress)
        knowledge = ProjectKnowledge(index, checkout.snapshot, options.test_folder)
        # Code that was named has no base to be compared with.
        tools = Tools(knowledge, model, runner, templates, progress, None if checkout.subject else base)
        generation = generation_of(options, templates.recipe)
        notes = (*checkout.notes, *sandbox.notes, *notes)
        yield _Workplace(out, session, tools, baseline, generation, progress, notes)


def generation_of(options: ProposeOptions, recipe: Recipe) -> Generation:
    """How to go about it: what the command line says, else the recipe."""
    smoke = recipe.kind is Kind.SMOKE
    # A smoke test claims nothing of what a run has shown.
    left_out = {RepairKind.OBSERVED} if smoke else frozenset[RepairKind]()
    return replace(
        options.generation,
        repairing=options.generation.repairing - left_out,
        temperature=recipe.temperature if options.temperature is None else options.temperature,
        context_tokens=recipe.context_tokens if options.context_tokens is None else options.context_tokens,
        reply_tokens=options.generation.reply_tokens or recipe.reply_tokens,
        asserting=not smoke,
    )


def _base_of(checkout: Checkout, head: ColdRunner, environ: Mapping[str, str]) -> LazyRunner:
    """A runner of the tree at base, with what the one at head has found out about the project."""

    def make() -> Runner:
        snapshot = checkout.repository.snapshot(checkout.change.base)
        known = {file.path for file in snapshot.files}
        measured = tuple(path for path in head.project.measured if path in known)
        project = replace(head.project, snapshot=snapshot, measured=measured, samples=())
        cold = ColdRunner(project, head.interpreter, head.confinement, head.limits, environ)
        cold.concession = head.concession
        return WarmRunner(cold)

    return LazyRunner(make)


def check_test_folder(folder: str | None) -> None:
    """Refuse a folder for new test files that leads out of the repository."""
    if folder is not None and (Path(folder).is_absolute() or ".." in Path(folder).parts):
        msg = f"--test-folder {folder} leads out of the repository: name a folder inside it, such as tests"
        raise UsageError(msg)


def require_tests(index: Index, options: ProposeOptions) -> None:
    """Refuse a project that has no tests and no place for them."""
    if not index.test_files() and options.test_folder is None:
        msg = "the project has no tests yet: pass --test-folder tests to say where the first ones go"
        raise ProjectError(msg)


def project_of(checkout: Checkout, index: Index, options: ProposeOptions) -> Project:
    """What a runner needs to know of a checkout."""
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


def limits_of(options: ProposeOptions) -> Limits:
    """What one execution may take."""
    limits = Limits(seconds=options.timeout)
    if options.generation.deadline is None:
        return limits
    return replace(limits, suite_seconds=min(limits.suite_seconds, options.generation.deadline))


async def baseline_of(
    checkout: Checkout, runner: Runner, options: ProposeOptions, progress: Progress
) -> tuple[Baseline, tuple[str, ...]]:
    """What the existing tests execute of a change, run here or recorded, and what a person should know of it."""
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


def _split(checkout: Checkout, baseline: Baseline) -> tuple[tuple[ChangedMethod, ...], tuple[Skip, ...]]:
    """Targets that have something left to cover, and the others with the reason."""
    changed = "" if checkout.subject else "changed "
    missing = baseline.missing()
    measured = baseline.figure.changed
    targets, settled = [], []
    for target in checkout.change.targets:
        if missing.get(target.path, frozenset()) & target.lines:
            targets.append(target)
        elif target.path not in baseline.coverage:
            settled.append(Skip(target.path, "coverage does not measure this file", target.qualname))
        elif measured.get(target.path, frozenset()) & target.lines:
            settled.append(Skip(target.path, f"existing tests execute all its {changed}lines", target.qualname))
        else:
            settled.append(Skip(target.path, f"no {changed}line begins a statement", target.qualname))
    return tuple(targets), tuple(settled)


def _with_time_left(generation: Generation, elapsed: float) -> Generation:
    if generation.deadline is None:
        return generation
    return replace(generation, deadline=max(0.0, generation.deadline - elapsed))
