"""``llm-testgen bench chain``: what each part of the chain makes of the same replies, on real changes."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import click
from rich.console import Console

from llm_testgen import __version__
from llm_testgen.bench import options as shared
from llm_testgen.bench.accounting import require_accounting
from llm_testgen.bench.chain_ground import Ground, Machine, open_ground
from llm_testgen.bench.chain_ledger import RunStore
from llm_testgen.bench.chain_model import ModelChoice, open_live
from llm_testgen.bench.chain_replies import ChainModel, Replies
from llm_testgen.bench.chain_report import (
    ChainReport,
    ChangeReport,
    TrialReport,
    no_figures,
    way_figures,
    write_report,
    write_text,
)
from llm_testgen.bench.chain_table import page, print_chain, print_change
from llm_testgen.bench.chain_trial import try_accepted
from llm_testgen.bench.chain_ways import FULL, OURS, PLAIN, WAYS, follow, plain_templates, proofs
from llm_testgen.bench.changes import ENVIRONMENT, BenchChange, change_repository, choose_changes, known_changes
from llm_testgen.bench.environments import Workshop, work_folder
from llm_testgen.edges.models import Model
from llm_testgen.errors import UsageError
from llm_testgen.interrupts import run_interruptibly
from llm_testgen.recipe import Kind
from llm_testgen.records import Verdict
from llm_testgen.runner.cold import cores
from llm_testgen.runner.interpreter import find_python, inspect
from llm_testgen.runner.sandbox import Policy, hide_memory, open_sandbox
from llm_testgen.stages.prompt import Templates, load_prompts

MUTANTS = 10
EXIT_UNRELIABLE = 1


@dataclass(frozen=True, slots=True)
class ChainOptions:
    """What was asked for.

    Attributes:
        changes: Names of the changes; none for all.
        replies: Recorded replies to judge; None for those that come along.
        record: Where replies are recorded as they are asked for, and taken from before; None to ask no model.
        model: Which model to ask when recording.
        prompts: A folder of templates or the file of a recipe to judge instead of our prompts; None for those.
        workers: How many tests run at once; None for one for each core.
        python: The interpreter that the environment is made with; None for the one that runs this.
        sandbox: What to do where layers are missing.
        work: Where environment and repositories are kept; None for the user's cache.
        json: Where everything that was found goes; None for nowhere.
        markdown: Where the page of the documentation goes; None for nowhere.
    """

    changes: tuple[str, ...] = ()
    replies: Path | None = None
    record: Path | None = None
    model: ModelChoice = field(default_factory=ModelChoice)
    prompts: Path | None = None
    workers: int | None = None
    python: str | None = None
    sandbox: Policy = Policy.AUTO
    work: Path | None = None
    json: Path | None = None
    markdown: Path | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """What changes are worked on with.

    Attributes:
        machine: What tests run with.
        replies: The recording.
        live: What is asked for replies that are not recorded; None to do without.
        templates: Our prompts.
        say: Called with what goes on now.
    """

    machine: Machine
    replies: Replies
    live: Model | None
    templates: Templates
    say: Callable[[str], None]


async def run_chain_bench(options: ChainOptions, environ: Mapping[str, str], console: Console) -> ChainReport:
    """Judge the replies in every way, print the tables, and write what was asked for.

    Raises:
        LlmTestgenError: Something that a person has to mend first.
    """
    changes = choose_changes(options.changes, known_changes())
    for path, option in ((options.json, "--json"), (options.markdown, "--markdown")):
        shared.require_writable(path, option)
    replies, templates = _replies(options), _prompts(options)
    require_accounting()
    python = find_python(Path(), options.python or sys.executable, environ.get("PATH"))
    workshop = Workshop(work_folder(options.work, environ), python)
    async with AsyncExitStack() as stack:
        status = stack.enter_context(console.status(""))

        def say(text: str) -> None:
            status.update(text)
            if not console.is_terminal:
                console.print(text, highlight=False, markup=False)

        say("making the environment")
        tester = await asyncio.to_thread(workshop.environment, ENVIRONMENT)
        interpreter = inspect(tester, environ)
        sandbox = open_sandbox(options.sandbox, interpreter, environ)
        hide_memory()
        live = None
        if options.record is not None:
            say("starting the model")
            live = await open_live(options.model, environ)
            stack.push_async_callback(live.close)
        workers = options.workers or cores()
        course = Course(Machine(interpreter, sandbox.confinement, environ, workers), replies, live, templates, say)
        told = []
        for change in changes:
            say(f"{change.name}: fetching")
            folder = await asyncio.to_thread(change_repository, workshop, change, tester)
            told.append(await work_on(course, change, folder))
            print_change(console, told[-1])
    report = ChainReport(
        tool=__version__,
        # A recording that is gone on with may hold another model's replies.
        model=replies.models,
        python=interpreter.version,
        cores=cores(),
        workers=workers,
        sandbox=tuple(layer.name for layer in sandbox.layers if layer.holds),
        changes=tuple(told),
    )
    _tell(report, options, console)
    return report


def _tell(report: ChainReport, options: ChainOptions, console: Console) -> None:
    print_chain(console, report)
    if options.json is not None:
        write_report(report, options.json)
    if options.markdown is not None:
        write_text(page(report), options.markdown, "--markdown")


def _replies(options: ChainOptions) -> Replies:
    if options.record is None and options.model != ModelChoice():
        msg = "--model and --endpoint say whom --record asks: pass --record FILE too, or leave them out"
        raise UsageError(msg)
    if options.record is not None:
        if options.replies is not None:
            msg = "--record goes on with what its file holds: leave --replies out"
            raise UsageError(msg)
        return Replies.open(options.record)
    return Replies.from_package() if options.replies is None else Replies.from_file(options.replies)


def _prompts(options: ChainOptions) -> Templates:
    templates = load_prompts(options.prompts)
    if templates.recipe.kind is not Kind.UNIT:
        msg = f"tests of kind {templates.recipe.kind} are not what these rows compare: leave --prompts out"
        raise UsageError(msg)
    return templates


async def work_on(course: Course, change: BenchChange, folder: Path) -> ChangeReport:
    """Judge the replies about one change in every way, one after the other, and try the full chain's tests.

    Raises:
        ProjectError: The project's tests cannot be run here.
        ModelError: The model stopped answering.
    """
    course.say(f"{change.name}: running the existing tests")
    with tempfile.TemporaryDirectory(prefix="llm-testgen-bench-") as home:
        async with open_ground(change, folder, course.machine, Path(home, "index.sqlite")) as whole:
            ground, left_out = _answered(whole, course)
            store = RunStore()
            figures, chosen = [], tuple[Verdict, ...]()
            for way in WAYS if ground.targets else ():
                course.say(f"{change.name}: {way.label}")
                model = ChainModel(course.replies, change.name, way.prompt, course.live)
                templates = plain_templates() if way.prompt == PLAIN else course.templates
                found = await follow(way, ground, model, store, templates)
                if model.fault is not None:
                    raise model.fault
                proved = await proofs(found, ground, store, MUTANTS)
                figures.append(way_figures(way, found, proved, ground.missing(), model))
                chosen = found.verdicts if way.key == FULL else chosen
            course.say(f"{change.name}: trying {len(chosen)} accepted tests again")
            trial = await try_accepted(chosen, ground.runner)
    return ChangeReport(
        name=change.name,
        old=change.old.version,
        new=change.new.version,
        targets=tuple(target.id for target in ground.targets),
        ways=tuple(figures) or tuple(map(no_figures, WAYS)),
        trial=TrialReport(tests=trial.tests, runs=trial.runs, flaky=trial.flaky, order_dependent=trial.order_dependent),
        notes=(*ground.notes, *left_out),
    )


def _answered(ground: Ground, course: Course) -> tuple[Ground, tuple[str, ...]]:
    """The change without those targets that a row would know a reply about and another none."""
    if course.live is not None:
        return ground, ()
    found = tuple(
        target
        for target in ground.targets
        if all(course.replies.has((ground.name, target.id, prompt, 1)) for prompt in (PLAIN, OURS))
    )
    if left := len(ground.targets) - len(found):
        return replace(ground, targets=found), (f"{left} targets left out that the recording has no replies about",)
    return ground, ()


@click.command("chain")
@click.option("--changes", metavar="NAME", multiple=True, help="Only this one; may be repeated.")
@shared.file_option("--replies", "Judge these recorded replies instead of those that come along.")
@shared.file_option("--record", "Ask a model for what FILE lacks, and write it there; without this no model is asked.")
@click.option("--model", metavar="NAME", help="The model that --record asks; the default is the embedded one.")
@click.option("--endpoint", metavar="URL", help="OpenAI-compatible server that --record asks.")
@shared.file_option("--prompts", "Judge the prompts of this recipe or folder, and not our own.", "PATH")
@click.option("--workers", metavar="N", type=click.IntRange(1, 256), help="Tests at once; the default is one a core.")
@shared.python
@shared.sandbox
@shared.work
@shared.json
@shared.markdown
@click.pass_context
def chain(  # noqa: PLR0913 - one parameter an option
    ctx: click.Context,
    *,
    changes: tuple[str, ...],
    replies: Path | None,
    record: Path | None,
    model: str | None,
    endpoint: str | None,
    prompts: Path | None,
    workers: int | None,
    python: str | None,
    sandbox: str,
    work: Path | None,
    json: Path | None,
    markdown: Path | None,
) -> None:
    """Judge recorded replies about real changes with each part of the chain switched on in turn.

    Projects and their environment are fetched with pip, once. The exit code is 1 when a test of the full chain turns
    out to be flaky, or to depend on the order.
    """
    choice = ModelChoice(model, endpoint)
    options = ChainOptions(
        changes, replies, record, choice, prompts, workers, python, Policy(sandbox), work, json, markdown
    )
    report = run_interruptibly(run_chain_bench(options, os.environ, Console(emoji=False)))
    if report.trial.flaky or report.trial.order_dependent:
        ctx.exit(EXIT_UNRELIABLE)
