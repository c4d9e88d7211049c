"""``llm-testgen index``: build a project's index, and show what it holds."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from llm_testgen.commands.output import OUTPUT_FOLDER, SESSION, output_folder
from llm_testgen.edges.git import Repository
from llm_testgen.index import Index, IndexStats
from llm_testgen.records import Skip, Snapshot


@click.command("index")
@click.argument("path", type=click.Path(path_type=Path), default=".")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the session.  [default: .llm-testgen]")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def index(path: Path, out: Path | None, *, as_json: bool) -> None:
    """Index the working tree of the repository at PATH, and show what the index holds.

    Only files that no earlier run has seen are parsed.
    """
    repository = Repository.open(path)
    folder = output_folder(out or repository.root / OUTPUT_FOLDER, keep=True)
    with Index.open(folder / SESSION) as opened:
        stats = _update(opened, repository.worktree_snapshot())
        failures, roots = opened.failures(), opened.source_roots()
    if as_json:
        click.echo(_as_json(stats, roots, failures))
    else:
        _print(Console(file=sys.stdout), stats, roots, failures)


def _update(opened: Index, snapshot: Snapshot) -> IndexStats:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("parsing", total=None)
        return opened.update(snapshot, lambda done, total: progress.update(task, completed=done, total=total))


def _as_json(stats: IndexStats, roots: tuple[str, ...], failures: tuple[Skip, ...]) -> str:
    skipped = [{"path": failure.path, "reason": failure.reason} for failure in failures]
    return json.dumps({**dataclasses.asdict(stats), "source_roots": roots, "failures": skipped}, indent=2)


def _print(console: Console, stats: IndexStats, roots: tuple[str, ...], failures: tuple[Skip, ...]) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    share = (
        f"{100 * stats.resolved / stats.calls:.0f} % of {stats.calls:,} lead into the project" if stats.calls else ""
    )
    table.add_row("files", f"{stats.files:,}", f"{stats.parsed:,} parsed, {stats.reused:,} reused")
    table.add_row("classes", f"{stats.classes:,}")
    table.add_row("methods", f"{stats.methods:,}", "functions included")
    table.add_row("tests", f"{stats.tests:,}", f"{stats.fixtures:,} fixtures")
    table.add_row("calls resolved", f"{stats.resolved:,}", share)
    table.add_row("import roots", f"{len(roots)}", escape(", ".join(root or "." for root in roots)))
    table.add_row("time", f"{stats.seconds:.1f} s")
    console.print(table)
    if failures:
        console.print(f"\n{len(failures)} not indexed:")
    for failure in failures:
        console.print(f"  {escape(failure.path)}: {escape(failure.reason)}", soft_wrap=True, highlight=False)
