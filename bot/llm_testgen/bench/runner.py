"""``llm-testgen bench runner``: what running a candidate costs here, and in the other ways that there are."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from llm_testgen import __version__
from llm_testgen.bench import options as shared
from llm_testgen.bench import report
from llm_testgen.bench.accounting import require_accounting
from llm_testgen.bench.environments import COVERUP, DEVELOPERS, Workshop, work_folder
from llm_testgen.bench.measure import Bench, Plan, measure
from llm_testgen.bench.projects import candidates, choose, requirements
from llm_testgen.bench.table import print_project, print_summary
from llm_testgen.interrupts import run_interruptibly
from llm_testgen.runner.cold import cores
from llm_testgen.runner.interpreter import find_python, inspect
from llm_testgen.runner.sandbox import Policy, Sandbox, open_sandbox

EXIT_COLD = 1


@dataclass(frozen=True, slots=True)
class RunnerBenchOptions:
    """What was asked for.

    Attributes:
        projects: Names of the projects; none for all.
        candidates: How many of each project's candidates are run at most; None for all.
        python: The interpreter that environments are made with; None for the one that runs this.
        sandbox: What to do where layers are missing.
        work: Where environments and projects are kept; None for the user's cache.
        json: Where the report goes; None for nowhere.
        plan: How much is measured.
    """

    projects: tuple[str, ...]
    candidates: int | None
    python: str | None
    sandbox: Policy
    work: Path | None
    json: Path | None
    plan: Plan


async def run_bench(options: RunnerBenchOptions, environ: Mapping[str, str], console: Console) -> report.Report:
    """Measure, print the tables, and write the report.

    Raises:
        LlmTestgenError: Something that a person has to mend first.
    """
    projects = choose(options.projects)
    shared.require_writable(options.json, "--json")
    python = find_python(Path(), options.python or sys.executable, environ.get("PATH"))
    require_accounting()
    workshop = Workshop(work_folder(options.work, environ), python)
    with console.status("") as status:

        def say(text: str) -> None:
            status.update(text)
            if not console.is_terminal:
                console.print(text, highlight=False, markup=False)

        say("making environments")
        developers = await asyncio.to_thread(workshop.environment, DEVELOPERS)
        coverup = await asyncio.to_thread(workshop.environment, COVERUP)
        interpreter = inspect(developers, environ)
        sandbox = open_sandbox(options.sandbox, interpreter, environ)
        bench = Bench(interpreter, coverup, sandbox.confinement, environ, options.plan, say)
        told = []
        for project in projects:
            say(f"{project.name}: fetching")
            release = await asyncio.to_thread(workshop.project, project, developers)
            texts = candidates(project)[: options.candidates]
            told.append(await measure(bench, project, release, texts))
            print_project(console, told[-1])
    whole = report.Report(
        tool=__version__,
        machine=_machine(),
        sandbox=_layers(sandbox),
        rounds=options.plan.rounds,
        projects=tuple(told),
    )
    print_summary(console, whole)
    if options.json is not None:
        report.write(whole, options.json)
    return whole


def _machine() -> report.Machine:
    pinned = {
        line
        for name in (DEVELOPERS, COVERUP)
        for line in requirements(name).splitlines()
        if line and not line.startswith("#")
    }
    return report.Machine(
        cores=cores(),
        processor=_processor(),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        packages=tuple(sorted(pinned)),
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _layers(sandbox: Sandbox) -> tuple[report.LayerReport, ...]:
    return tuple(report.LayerReport(name=layer.name, holds=layer.holds) for layer in sandbox.layers)


@click.command("runner")
@click.option("--project", "projects", metavar="NAME", multiple=True, help="Only this one; may be repeated.")
@shared.rounds
@click.option("--candidates", "most", metavar="N", type=click.IntRange(min=1), help="Only the first N of each project.")
@click.option(
    "--suite-seconds",
    metavar="S",
    type=click.FloatRange(1, 36_000),
    default=120.0,
    show_default=True,
    help="How long a project's whole suite is run with one candidate after the other.",
)
@shared.python
@shared.sandbox
@shared.work
@shared.json
@click.pass_context
def runner(  # noqa: PLR0913 - one parameter an option
    ctx: click.Context,
    *,
    projects: tuple[str, ...],
    rounds: int,
    most: int | None,
    suite_seconds: float,
    python: str | None,
    sandbox: str,
    work: Path | None,
    json: Path | None,
) -> None:
    """Run the same candidates in every way that there is, and compare what each takes.

    Projects and environments are fetched with pip, once. The exit code is 1 when the warm runner cannot fork.
    """
    plan = Plan(rounds=rounds, suite_seconds=suite_seconds)
    options = RunnerBenchOptions(projects, most, python, Policy(sandbox), work, json, plan)
    told = run_interruptibly(run_bench(options, os.environ, Console(emoji=False)))
    if any(project.cold for project in told.projects):
        ctx.exit(EXIT_COLD)
