"""The end of a run, as a person likes to read it."""

from __future__ import annotations

import shlex
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from llm_testgen.commands.output import ASSERTS_PATCH, PATCH, PROPOSAL
from llm_testgen.delivery import proof
from llm_testgen.delivery.markdown import plural, visible
from llm_testgen.proposal import Funnel, Proposal, VerdictRecord, funnel
from llm_testgen.records import Outcome

_BAR = 30
_MOST_NAMES = 5
_MOST_QUESTIONS = 10
_STAGES = ("candidates", "built", "passed", "stable", "gained", "accepted")


@dataclass(frozen=True, slots=True)
class Telling:
    """What a summary is about, and what a person sees elsewhere.

    Attributes:
        subject: What was named, as ``path::qualname``; empty for a change.
        code: Whether the accepted tests are shown.
        written: Files of the checkout that they were written to.
        asserts: Whether assertions for the methods themselves were asked for, and no test.
    """

    subject: str = ""
    code: bool = True
    written: tuple[str, ...] = ()
    asserts: bool = False


_OF_A_CHANGE = Telling()


def print_summary(console: Console, proposal: Proposal, out: Path, root: Path, telling: Telling = _OF_A_CHANGE) -> None:
    """Print the funnel per method, the accepted tests, and coverage before and after.

    Args:
        console: Where to.
        proposal: What was found.
        out: The folder that it was written to.
        root: The repository that it is for.
        telling: What it is about.
    """
    console.print()
    if proposal.targets and not telling.asserts:
        console.print(_funnel_table(proposal, "method" if telling.subject else "changed method"))
    for index in proposal.accepted:
        _print_test(console, proposal.verdicts[index], code=telling.code)
    _print_contracts(console, proposal)
    _print_regressions(console, proposal)
    _print_refusals(console, proposal)
    _print_skipped(console, proposal)
    for note in proposal.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", highlight=False, soft_wrap=True)
    if not telling.asserts:
        _print_coverage(console, proposal, telling.subject)
    _print_cost(console, proposal, asserts=telling.asserts)
    if telling.written:
        console.print(f"Written: [bold]{escape(', '.join(telling.written))}[/]", highlight=False, soft_wrap=True)
    elif proposal.accepted:
        _print_command(console, "them", out / PATCH, root)
    if proposal.contracts:
        _print_command(console, "the assertions", out / ASSERTS_PATCH, root)


def _print_command(console: Console, what: str, patch: Path, root: Path) -> None:
    # In a subfolder of a repository a plain `git apply` passes over what lies outside it, without a word.
    command = shlex.join(["git", "-C", str(root), "apply", str(patch.absolute())])
    console.print(f"To take {what}: [bold]{escape(command)}[/]", highlight=False, soft_wrap=True)


def _funnel_table(proposal: Proposal, method: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=f"Tests by {method}, filter by filter", title_justify="left")
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


def _print_test(console: Console, verdict: VerdictRecord, *, code: bool) -> None:
    gained = "; ".join(f"{path}:{_ranges(lines)}" for path, lines in verdict.gained.items())
    console.print(f"[green]✓ {escape(verdict.name)}[/] covers {escape(gained)}", highlight=False, soft_wrap=True)
    for repair in verdict.repairs:
        console.print(f"  [dim]repaired: {escape(repair)}[/]", highlight=False, soft_wrap=True)
    tally = proof.tally(verdict)
    facts = (f"{tally} faults noticed" if tally else "", proof.label(verdict), proof.idle(verdict, _quoted))
    for line in (" · ".join(filter(None, facts)), proof.faults(verdict, _quoted)):
        if line:
            console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
    if observed := proof.observed(verdict, _quoted):
        console.print(f"  [yellow]characterisation:[/] {escape(observed)}", highlight=False, soft_wrap=True)
    if code:
        _print_code(console, verdict.code)


def _print_contracts(console: Console, proposal: Proposal) -> None:
    """Assertions for the methods themselves, each with its proof, and where they go."""
    for record in proposal.contracts:
        place = f"{record.target}, line {record.start}"
        console.print(f"[green]✓ assertions[/] for {escape(place)}", highlight=False, soft_wrap=True)
        for one in record.asserts:
            told = f"{_quoted(one.text)} {proof.of_assertion(one, _quoted)}"
            console.print(f"  {escape(told)}", highlight=False, soft_wrap=True)
        _print_code(console, textwrap.dedent(record.text))


def _print_regressions(console: Console, proposal: Proposal) -> None:
    """What held at base and does not at head, as questions: their tests are written nowhere else."""
    if not proposal.regressions:
        return
    console.print("[bold]Possible regressions[/]", highlight=False)
    for found in proposal.regressions[:_MOST_QUESTIONS]:
        asked = f"{_quoted(found.target)}: {proof.question(found, _quoted)}"
        console.print(f"[yellow]?[/] {escape(asked)}", highlight=False, soft_wrap=True)
        _print_code(console, found.code)
    if (more := len(proposal.regressions) - _MOST_QUESTIONS) > 0:
        console.print(f"And {more:,} more, in {PROPOSAL}.", highlight=False)


def _print_code(console: Console, code: str) -> None:
    console.print(Syntax(code.strip(), "python", background_color="default", word_wrap=True))
    console.print()


def _quoted(text: str, longest: int = 200) -> str:
    return f"`{visible(text, longest)}`"


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


def _print_coverage(console: Console, proposal: Proposal, subject: str) -> None:
    figures = proposal.coverage
    console.print()
    if subject and figures.changed_lines and figures.covered_before == figures.changed_lines:
        console.print(
            f"Existing tests execute every line of {escape(subject)}: nothing is left to cover.",
            highlight=False,
            soft_wrap=True,
        )
    heading = f"Coverage of {escape(subject)}" if subject else "Diff coverage"
    console.print(f"[bold]{heading}[/]", highlight=False, soft_wrap=True)
    rows = (("before", figures.before, figures.covered_before), ("after", figures.after, figures.covered_after))
    for label, percent, covered in rows:
        filled = round(_BAR * percent / 100)
        bar = f"[green]{'█' * filled}[/][dim]{'░' * (_BAR - filled)}[/]"
        console.print(
            f"  {label:<6} {bar} {percent:6.2f} %  ({covered} of {figures.changed_lines} lines)", highlight=False
        )


def _print_cost(console: Console, proposal: Proposal, *, asserts: bool) -> None:
    usage = proposal.usage
    count = sum(len(record.asserts) for record in proposal.contracts)
    kept = f"{plural(count, 'assertion')} kept" if asserts else f"{len(proposal.accepted)} accepted"
    console.print()
    console.print(
        f"{kept}; {usage.tokens_in:,} tokens read and {usage.tokens_out:,} written by the"
        f" model in {usage.seconds:.0f} s; {usage.total_seconds:.0f} s in all.",
        highlight=False,
    )


def _ranges(lines: tuple[int, ...]) -> str:
    """Line numbers with runs drawn together: 3-5,9."""
    parts: list[list[int]] = []
    for line in lines:
        if parts and line == parts[-1][-1] + 1:
            parts[-1].append(line)
        else:
            parts.append([line])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in parts)
