"""``llm-testgen bench cases``: see that the cases of ``bench pull-requests`` can be made ready, and what is in them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from llm_testgen import __version__
from llm_testgen.bench import options as shared
from llm_testgen.bench.case_check import RESULTS, CaseReport, CaseResult, Checker, ResultStore
from llm_testgen.bench.case_ground import open_machines
from llm_testgen.bench.cases import Case, Split, choose_cases, known_cases
from llm_testgen.bench.chain_report import write_text
from llm_testgen.bench.environments import Workshop, work_folder
from llm_testgen.interrupts import run_interruptibly
from llm_testgen.runner.interpreter import find_python
from llm_testgen.runner.sandbox import Policy

EXIT_UNUSABLE = 1
_MINUTE = 60.0
_COLUMNS = ("case", "found", "asked", "lines", "old", "human", "open", "hit", "s")
_SUMMARY = ("split", "projects", "cases", "asked", "lines", "old", "human", "open", "hit", "s")
_LEGEND = (
    "found, asked: methods that tests can be asked for, and are. lines: changed lines with a statement. old, human: "
    "those that the old and the newer tests execute. open: lines of the asked methods that the old tests leave out. "
    "hit: those of them that the newer tests execute."
)


@dataclass(frozen=True, slots=True)
class CasesOptions:
    """What was asked for.

    Attributes:
        cases: Names of cases or projects; none for all.
        split: Only the cases of this one; None for all.
        seed: Of the methods that tests are asked for.
        python: The interpreter that environments are made with; None for the one that runs this.
        sandbox: What to do where layers are missing.
        work: Where environments and repositories are kept; None for the user's cache.
        json: Where everything that was found goes; None for nowhere.
    """

    cases: tuple[str, ...] = ()
    split: Split | None = None
    seed: int = 0
    python: str | None = None
    sandbox: Policy = Policy.AUTO
    work: Path | None = None
    json: Path | None = None


async def check_cases(options: CasesOptions, environ: Mapping[str, str], console: Console) -> CaseReport:
    """Check the cases one after the other, print what became of each, and write the report.

    Raises:
        LlmTestgenError: Something that a person has to mend first, in no case alone.
    """
    cases = choose_cases(known_cases(), options.cases, options.split)
    shared.require_writable(options.json, "--json")
    python = find_python(Path(), options.python or sys.executable, environ.get("PATH"))
    workshop = Workshop(work_folder(options.work, environ), python)
    store = ResultStore(workshop.folder / RESULTS)
    with console.status("making the environments") as status:
        # One suite at a time, so that none is hurried by another.
        machines, layers = await asyncio.to_thread(open_machines, workshop, cases, options.sandbox, environ, workers=1)
        checker = Checker(workshop, machines, options.seed)
        results = await _check_all(checker, store, cases, console, status.update)
    report = CaseReport(
        tool=__version__,
        python=next(iter(machines.values())).interpreter.version,
        sandbox=layers,
        seed=options.seed,
        cases=results,
    )
    _print_report(console, report, cases)
    if options.json is not None:
        write_text(report.model_dump_json(indent=1) + "\n", options.json, "--json")
    return report


async def _check_all(
    checker: Checker, store: ResultStore, cases: Sequence[Case], console: Console, say: Callable[[str], None]
) -> tuple[CaseResult, ...]:
    results: list[CaseResult] = []
    waiting = sum(store.recall(checker.key(case)) is None for case in cases)
    for number, case in enumerate(cases, 1):
        say(f"{number} of {len(cases)}: {case.name}{_left(results, waiting)}")
        result = store.recall(checker.key(case))
        if result is None:
            result = await checker.check(case)
            store.remember(result)
            waiting -= 1
        results.append(result)
        line = f"{number}/{len(cases)} {_line(result)}{_left(results, waiting)}"
        console.print(line, style="red" if result.problem else "", highlight=False, markup=False, soft_wrap=True)
    return tuple(results)


def _line(result: CaseResult) -> str:
    if result.problem:
        return f"{result.case}: {result.problem}"
    return (
        f"{result.case}: {len(result.chosen)} of {result.methods} methods, the newer tests reach {result.reached} of "
        f"{result.missing} lines, {result.seconds:.0f} s"
    )


def _left(results: Sequence[CaseResult], waiting: int) -> str:
    """How long so many other cases may take, as those before took; nothing where that cannot be told."""
    if not results or not waiting:
        return ""
    minutes = waiting * _seconds(results) / len(results) / _MINUTE
    return f" (about {minutes:.0f} min left)" if minutes >= 1 else " (less than a minute left)"


def _print_report(console: Console, report: CaseReport, cases: Sequence[Case]) -> None:
    by_split = defaultdict[Split, list[CaseResult]](list)
    for result in report.cases:
        by_split[result.split].append(result)
    for split in Split:
        if found := by_split[split]:
            rows = [(result.case, str(result.methods), *_figures([result])) for result in found]
            _print_table(console, split.value, _COLUMNS, rows)
    groups: list[tuple[Split | None, list[CaseResult]]] = [*by_split.items(), (None, list(report.cases))]
    rows = []
    for group, found in groups:
        projects = {case.project for case in cases if group in {None, case.split}}
        rows.append((group or "all", str(len(projects)), str(len(found)), *_figures(found)))
    _print_table(console, "all cases", _SUMMARY, rows)
    console.print(_LEGEND, highlight=False, markup=False)
    for result in report.cases:
        if result.problem:
            line = f"{result.case}: {result.problem}"
            console.print(line, style="red", highlight=False, markup=False, soft_wrap=True)


def _figures(results: Sequence[CaseResult]) -> tuple[str, ...]:
    lines = [(one.changed, one.before, one.human, one.missing, one.reached) for one in results]
    asked = sum(len(one.chosen) for one in results)
    return (str(asked), *(str(sum(column)) for column in zip(*lines, strict=True)), f"{_seconds(results):.0f}")


def _seconds(results: Sequence[CaseResult]) -> float:
    return sum(result.seconds for result in results)


def _print_table(console: Console, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    # Without lines between columns the figures fit on 80 characters.
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


@click.command("cases")
@click.option("--cases", metavar="NAME", multiple=True, help="Only this case, or those of this project; repeatable.")
@click.option("--split", type=click.Choice([split.value for split in Split]), help="Only the cases of this split.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the methods that tests are asked for.")
@shared.python
@shared.sandbox
@shared.work
@shared.json
@click.pass_context
def cases(  # noqa: PLR0913 - one parameter an option
    ctx: click.Context,
    *,
    cases: tuple[str, ...],
    split: str | None,
    seed: int,
    python: str | None,
    sandbox: str,
    work: Path | None,
    json: Path | None,
) -> None:
    """Make the cases of the pull-request benchmark ready, and run the old tests and the newer ones on each change.

    Projects and environments are fetched with pip, once. What was found is kept in the work folder: run this again to
    go on where it stopped. The exit code is 1 when a case cannot be used.
    """
    options = CasesOptions(cases, Split(split) if split else None, seed, python, Policy(sandbox), work, json)
    report = run_interruptibly(check_cases(options, os.environ, Console(emoji=False)))
    if any(result.problem for result in report.cases):
        ctx.exit(EXIT_UNUSABLE)
