"""A search over recipes on a checkout: composes the project, the model and the runner around it, and prints."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from llm_testgen import __version__
from llm_testgen.commands.checkout import Checkout, NothingToTestError, open_change, results_folder
from llm_testgen.commands.evolved import About, Report, Shown, remarks, show
from llm_testgen.commands.models import open_model
from llm_testgen.commands.options import ProposeOptions
from llm_testgen.commands.output import SESSION, output_folder, write_whole
from llm_testgen.commands.progress import Progress, open_progress
from llm_testgen.commands.proposing import baseline_of, check_test_folder, limits_of, project_of, require_tests
from llm_testgen.edges.git import Repository
from llm_testgen.edges.session import RememberingModel, Session
from llm_testgen.edges.tokens import TokenBudget
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.evolution.comparison import Comparison, compare
from llm_testgen.evolution.generations import Evolution, Found, Plan, TokensSpentError
from llm_testgen.evolution.genome import KINDS, Genes
from llm_testgen.evolution.split import Split, sample, split
from llm_testgen.evolution.store import TrialStore
from llm_testgen.evolution.trial import Ground, Trials, digest_of
from llm_testgen.evolution.written import written
from llm_testgen.index import Index
from llm_testgen.knowledge import ProjectKnowledge
from llm_testgen.paths import is_python, is_test
from llm_testgen.recipe import Recipe
from llm_testgen.records import ChangedMethod, Reply, Verdict
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.interpreter import find_python, inspect
from llm_testgen.runner.sandbox import hide_memory, open_sandbox
from llm_testgen.runner.warm import WarmRunner
from llm_testgen.settings import Generation
from llm_testgen.stages.diff import changed_methods
from llm_testgen.stages.prompt import Templates, default_templates, load_prompts
from llm_testgen.tools import Tools

RECIPE = "recipe.toml"
TRIALS = "evolve.jsonl"


@dataclass(frozen=True, slots=True)
class EvolveOptions:
    """What a person asked for, as it came.

    Attributes:
        run: What any run has; its base is None for code of the whole project.
        targets: How many methods to search and to compare on.
        plan: How much is tried.
        file: Where the recipe is written; None for the folder of results.
    """

    run: ProposeOptions
    targets: int
    plan: Plan
    file: Path | None


@dataclass(frozen=True, slots=True)
class _Scene:
    """All that a search works with.

    Attributes:
        genes: What may change, and the recipe to set out from.
        parts: The methods.
        plan: How much is tried.
        trials: Try recipes on methods.
        about: What the recipe's file and a person are told of all this.
    """

    genes: Genes
    parts: Split
    plan: Plan
    trials: Trials
    about: About


class _Silence:
    """Hears of each prompt and each test, and says nothing: there are hundreds of them."""

    def asked(self, target: ChangedMethod, attempt: int) -> None:
        """A prompt is being sent."""

    def replied(self, reply: Reply) -> None:
        """The model answered."""

    def judged(self, verdict: Verdict) -> None:
        """A candidate was judged."""

    def confirming(self, count: int) -> None:
        """So many chosen tests are run together."""


async def run_evolve(options: EvolveOptions, environ: Mapping[str, str], console: Console) -> Recipe:
    """Do what ``evolve`` does: search, compare, write the recipe, and say what came of it.

    Raises:
        LlmTestgenError: Something that a person has to mend first.
    """
    started = time.monotonic()
    check_test_folder(options.run.test_folder)
    checkout = _open(options.run)
    file = options.file or results_folder(checkout.repository, options.run) / RECIPE
    _check_file(file)
    templates = _prompts(options.run)
    with open_progress(console) as progress:
        async with _scene(checkout, templates, options, environ, progress) as scene:
            shown = Shown(console, progress, scene.plan.generations)
            shown.begins(scene.about)
            deadline = options.run.generation.deadline
            left = None if deadline is None else max(0.0, deadline - (time.monotonic() - started))
            search = Evolution(scene.genes, scene.trials, replace(scene.plan, deadline=left), shown)
            found = await search.run(scene.parts.training)
            progress.phase(f"comparing on the {len(scene.parts.held_out)} methods kept for it")
            comparison = await _compared(scene, found)
    report = Report(scene.genes.start, found, comparison)
    recipe = found.recipe.model_copy(update={"templates": _seen_from(file, templates.folder)})
    _write(file, written(recipe, remarks(report, scene.about)))
    show(console, report, file)
    return recipe


def _open(options: ProposeOptions) -> Checkout:
    """The change since a revision, or all code of the project as if it had just been written."""
    if options.base is not None:
        return open_change(options)
    repository = Repository.open(options.repo)
    snapshot = repository.worktree_snapshot() if options.worktree else repository.snapshot(options.head)
    paths = {file.path for file in snapshot.files if is_python(file.path) and not is_test(file.path)}
    files = repository.whole_files(snapshot, paths, worktree=options.worktree)
    change = changed_methods(snapshot.commit, snapshot.commit, files)
    if not change.targets:
        msg = f"{repository.root} holds no Python code that a test could execute: pass another --repo"
        raise NothingToTestError(msg)
    return Checkout(repository, change, snapshot)


def _prompts(options: ProposeOptions) -> Templates:
    """The templates, and the recipe to set out from; one of another kind than tests that assert is refused."""
    templates = load_prompts(options.prompts)
    if templates.recipe.kind not in KINDS:
        msg = f"a recipe of kind {templates.recipe.kind} cannot be bred: pass --prompts one of {' or '.join(KINDS)}"
        raise UsageError(msg)
    return templates


def _check_file(file: Path) -> None:
    """Refuse a file that the recipe could not be written to, or not be read from, before anything is spent."""
    if file.is_dir():
        msg = f"{file} is a folder: pass --out the file to write, such as {file / RECIPE}"
        raise UsageError(msg)
    if file.suffix.lower() == ".json":
        msg = f"{file} would be read as JSON, and recipes are written as TOML: pass --out {file.with_suffix('.toml')}"
        raise UsageError(msg)


@asynccontextmanager
async def _scene(
    checkout: Checkout, templates: Templates, options: EvolveOptions, environ: Mapping[str, str], progress: Progress
) -> AsyncIterator[_Scene]:
    """Make a search ready; everything that was started for it ends with the context."""
    run, root, seed = options.run, checkout.repository.root, options.plan.seed
    interpreter = inspect(find_python(root, run.python, environ.get("PATH")), environ, root)
    sandbox = open_sandbox(run.sandbox, interpreter, environ)
    hide_memory()
    out = output_folder(results_folder(checkout.repository, run), keep=True)
    store, session, address = TrialStore(out / TRIALS), Session(out / SESSION), run.model.endpoint or ""
    async with AsyncExitStack() as stack:
        index = stack.enter_context(Index.open(out / SESSION))
        progress.phase("reading the project")
        index.update(checkout.snapshot)
        require_tests(index, run)
        project = project_of(checkout, index, run)
        cold = ColdRunner(project, interpreter, sandbox.confinement, limits_of(run), environ)
        runner = WarmRunner(cold)
        stack.push_async_callback(runner.close)
        baseline, notes = await baseline_of(checkout, cold, run, progress)
        parts = split(sample(checkout.change.targets, baseline.missing(), options.targets, seed), seed)
        progress.phase("preparing to run tests")
        await _narrow(cold, runner, parts)
        progress.phase("starting the model")
        model = await open_model(
            run.model, environ, progress.download, lambda model: RememberingModel(model, session, address)
        )
        stack.push_async_callback(model.close)
        knowledge = ProjectKnowledge(index, checkout.snapshot, run.test_folder)
        judging = Generation(seed=seed, mutants=run.generation.mutants)
        tools = Tools(knowledge, model, runner, templates, _Silence())
        said = {"model": model.name, "address": address, "python": interpreter.version, "version": __version__}
        digest = digest_of(checkout.snapshot, templates.folder, judging, said)
        ground = Ground(tools, baseline, judging, TokenBudget(run.generation.max_tokens), digest)
        plan = replace(options.plan, kept=2 * len(parts.held_out), at_once=model.concurrency)
        about = About(
            model=model.name,
            head=f"{checkout.change.head}{' and uncommitted changes' if run.worktree else ''}",
            plan=plan,
            parts=parts,
            known=store.known,
            notes=(*checkout.notes, *sandbox.notes, *notes),
        )
        yield _Scene(_genes(templates), parts, plan, Trials(ground, store), about)


async def _narrow(cold: ColdRunner, runner: WarmRunner, parts: Split) -> None:
    """From now on measure the files of the chosen methods only: all that is measured is imported ahead.

    Raises:
        ProjectError: That cannot be done.
    """
    paths = {target.path for target in (*parts.training, *parts.held_out)}
    cold.project = replace(cold.project, measured=tuple(sorted(paths)))
    ready = await runner.prepare()
    if not ready.statements:
        msg = f"pytest cannot run any test of the project: {ready.problem}; pass another interpreter with --python"
        raise ProjectError(msg)


def _genes(templates: Templates) -> Genes:
    """What may change, instructions beside ``task`` among it. Where templates are is said when a recipe is written."""
    instructions = sorted(path.stem for path in (templates.folder / "task").glob("*.jinja"))
    return Genes(templates.recipe.model_copy(update={"templates": None}), instructions)


async def _compared(scene: _Scene, found: Found) -> Comparison | None:
    """Both recipes on the methods that were kept for it; None where the tokens do not suffice."""
    try:
        return await compare(scene.genes.start, found.recipe, scene.parts.held_out, scene.trials, scene.plan.weight_in)
    except TokensSpentError:
        return None


def _seen_from(file: Path, folder: Path) -> str | None:
    """Where templates are, seen from a recipe's file; None for those that come along."""
    own = folder.resolve()
    return None if own == default_templates().resolve() else os.path.relpath(own, file.parent.resolve())


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{file.parent} cannot be made: {error.strerror}; pass another --out, and nothing is asked again"
        raise UsageError(msg) from error
    write_whole(file, text.encode())
