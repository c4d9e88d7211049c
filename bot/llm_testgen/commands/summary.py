"""The end of a run, as a person likes to read it."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from llm_testgen.commands.output import PATCH, PROPOSAL
from llm_testgen.proposal import Funnel, Proposal, VerdictRecord, funnel
from llm_testgen.records import Outcome

_BAR = 30
_MOST_NAMES = 5
_STAGES = ("candidates", "built", "passed", "stable", "gained", "accepted")


def print_summary(console: Console, proposal: Proposal, out: Path, root: Path) -> None:
    """Print the funnel per method, the accepted tests, and diff coverage before and after.

    Args:
        console: Where to.
        proposal: What was found.
        out: The folder that it was written to.
        root: The repository that it is for.
    """
    console.print()
    if proposal.targets:
        console.print(_funnel_table(proposal))
    for index in proposal.accepted:
        _print_test(console, proposal.verdicts[index])
    _print_refusals(console, proposal)
    _print_skipped(console, proposal)
    for note in proposal.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", highlight=False, soft_wrap=True)
    _print_coverage(console, proposal)
    _print_ending(console, proposal, out, root)


def _funnel_table(proposal: Proposal) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Tests by changed method, filter by filter", title_justify="left")
    table.add_column("method", overflow="fold")
    for stage in _STAGES:
        table.add_column(stage, justify="right")
    path = ""
    for target in proposal.targets:
        if target.path != path:
            path = target.path
            table.add_row(f"[bold]{escape(path)}[/]")
        verdicts = [verdict for verdict in proposal.verdicts if verdict.target == target.id]
        table.add_row(f"  {escape(target.id.removeprefix(f'{path}::'))}", *_cells(funnel(0, verdicts)))
    table.add_section()
    table.add_row(f"all, of {proposal.funnel.replies} replies", *_cells(proposal.funnel), style="bold")
    return table


def _cells(counted: Funnel) -> Iterator[str]:
    return (str(getattr(counted, stage)) for stage in _STAGES)


def _print_test(console: Console, verdict: VerdictRecord) -> None:
    gained = "; ".join(f"{path}:{_ranges(lines)}" for path, lines in verdict.gained.items())
    console.print(f"[green]✓ {escape(verdict.name)}[/] covers {escape(gained)}", highlight=False, soft_wrap=True)
    for repair in verdict.repairs:
        console.print(f"  [dim]repaired: {escape(repair)}[/]", highlight=False, soft_wrap=True)
    console.print(Syntax(verdict.code.strip(), "python", background_color="default", word_wrap=True))
    console.print()


def _print_refusals(console: Console, proposal: Proposal) -> None:
    refused = Counter(verdict.outcome for verdict in proposal.verdicts if verdict.outcome is not Outcome.ACCEPTED)
    if refused:
        parts = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in refused.most_common())
        console.print(f"Refused: {parts}. The reasons are in {PROPOSAL}.", highlight=False)


def _print_skipped(console: Console, proposal: Proposal) -> None:
    """What was left out, by reason: a release leaves out many methods for the same one."""
    names: dict[str, list[str]] = {}
    for skip in proposal.skipped:
        names.setdefault(skip.reason, []).append(f"{skip.path}::{skip.qualname}" if skip.qualname else skip.path)
    for reason, left_out in names.items():
        shown = ", ".join(left_out[:_MOST_NAMES])
        more = f" and {len(left_out) - _MOST_NAMES} more" if len(left_out) > _MOST_NAMES else ""
        console.print(
            f"[dim]Left out because {escape(reason)}: {escape(shown)}{more}[/]", highlight=False, soft_wrap=True
        )


def _print_coverage(console: Console, proposal: Proposal) -> None:
    figures = proposal.coverage
    console.print()
    console.print("[bold]Diff coverage[/]", highlight=False)
    rows = (("before", figures.before, figures.covered_before), ("after", figures.after, figures.covered_after))
    for label, percent, covered in rows:
        filled = round(_BAR * percent / 100)
        bar = f"[green]{'█' * filled}[/][dim]{'░' * (_BAR - filled)}[/]"
        console.print(
            f"  {label:<6} {bar} {percent:6.2f} %  ({covered} of {figures.changed_lines} lines)", highlight=False
        )


def _print_ending(console: Console, proposal: Proposal, out: Path, root: Path) -> None:
    usage = proposal.usage
    console.print()
    console.print(
        f"{len(proposal.accepted)} accepted; {usage.tokens_in:,} tokens read and {usage.tokens_out:,} written by the"
        f" model in {usage.seconds:.0f} s; {usage.total_seconds:.0f} s in all.",
        highlight=False,
    )
    if proposal.accepted:
        # In a subfolder of a repository a plain `git apply` passes over what lies outside it, without a word.
        command = shlex.join(["git", "-C", str(root), "apply", str((out / PATCH).absolute())])
        console.print(f"To take them: [bold]{escape(command)}[/]", highlight=False, soft_wrap=True)


def _ranges(lines: tuple[int, ...]) -> str:
    """Line numbers with runs drawn together: 3-5,9."""
    parts: list[list[int]] = []
    for line in lines:
        if parts and line == parts[-1][-1] + 1:
            parts[-1].append(line)
        else:
            parts.append([line])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in parts)
