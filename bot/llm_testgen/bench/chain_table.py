"""What a person sees of the chain: tables for a terminal, and the page of the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

from llm_testgen.bench.chain_report import ChainReport, ChangeReport, TrialReport, WayFigures

_NONE = "-"
_TEN = 10.0
_YIELD = ("tests", "kept", "lines", "share", "mutants killed")
_PRICE = ("tokens out", "in + out", "a test", "a kept test", "lines / 1,000", "/ row 1", "/ row 2")
_COSTS = ("runs", "CPU s", "share", "CPU s / kept test")
_LEFT = frozenset({"way", "part", "change", "from", "to"})
_NOTHING_FOUND = "none"

_INTRODUCTION = """\
# What each part of the chain is worth

`make bench-chain` makes this page. The replies of a model to prompts about real changes were recorded once; each row
judges them anew, with one more part of the chain switched on than the row above it.
"""

_METHOD = """\
## How it is measured

A change is what lies between two releases of a project. Its base is the old release; its head is the new release's
code **with the old release's tests**: the moment before anybody has written tests for the change. Tests are asked for
the first five functions and methods, by path and line, of which the old tests leave at least two changed lines
unexecuted.

- *plain prompt*: the method's source and the request for tests, as a straightforward tool would send it; the reply may
  take 700 tokens. Row 1 keeps a reply's code as it came if all of its tests pass, pass again and raise coverage, and
  drops it otherwise. Row 2 judges the same replies function by function.
- *our prompt*: what `propose` sends. Rows 3 to 7 judge the same replies; row 8 adds the replies to re-prompts.
- *tests* are those that passed all filters of the row; *kept* are those that are left when no two are kept for the same
  lines.
- *lines* are changed lines that no test executed before, and *share* is that of those that were asked for.
- *mutants killed*: of small faults put in the lines that a row's tests cover, up to ten for a test, those that at least
  one test notices. They are tried for every row, also for those whose way does not ask.
- *a test*, *a kept test*: tokens in and out for each. *lines / 1,000*: covered lines for each 1,000 tokens in and out,
  and that figure over those of rows 1 and 2.
- *CPU*: that of the test processes themselves, also where a row only takes over what an earlier one has run. Starting
  warm interpreters, and the bot's own work, are not in it; both are in *together*, which starts fresh processes.
- Nothing that a model wrote is run that the screen refuses, in no row.
"""


def print_chain(console: Console, report: ChainReport) -> None:
    """The tables of all changes together, what the chain took of the CPU, and the trial."""
    targets = sum(len(change.targets) for change in report.changes)
    title = f"{len(report.changes)} changes, {targets} targets, replies of {report.model}"
    totals = report.totals
    _print_table(console, title, ("#", "way", *_YIELD), _numbered(map(_yield, totals)))
    _print_table(console, "what that takes, in tokens", ("#", *_PRICE), _without_labels(_prices(totals)))
    _print_table(console, "CPU of the full chain", ("part", *_COSTS), _costs(totals[-1]))
    said = [_model_line(totals[-1]), *_trial_lines(report.trial)]
    for line in said:
        console.print(line, highlight=False, markup=False)
    for line in _warnings(report):
        console.print(line, style="yellow", highlight=False, markup=False)


def _print_table(console: Console, title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", highlight=False)
    for heading in headings:
        if heading in _LEFT:
            table.add_column(heading, overflow="fold", min_width=12)
        else:
            table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_change(console: Console, change: ChangeReport) -> None:
    """One line about a change that is done."""
    lines = ", ".join(f"{way.key} {way.lines}" for way in change.ways)
    missing = change.ways[0].missing
    text = f"{change.name} {change.old} to {change.new}: of {missing} lines {lines}"
    console.print(text, highlight=False, markup=False)


def page(report: ChainReport) -> str:
    """The page of the documentation."""
    return "\n".join(_parts_of_page(report))


def _parts_of_page(report: ChainReport) -> Iterator[str]:
    yield _INTRODUCTION
    targets = sum(len(change.targets) for change in report.changes)
    yield (
        f"{len(report.changes)} changes of {len({change.name for change in report.changes})} projects, {targets} "
        f"targets with {report.totals[0].missing} lines that no test executed. Replies of {report.model}, temperature "
        f"0, seed 0. Python {report.python}; sandbox: {', '.join(report.sandbox) or _NOTHING_FOUND}.\n"
    )
    yield from _markdown_table(("#", "way", *_YIELD), _numbered(map(_yield, report.totals)))
    yield "\n## What that takes, in tokens\n"
    yield from _markdown_table(("#", "way", *_PRICE), _numbered(_prices(report.totals)))
    yield "\n## What the full chain takes\n"
    yield from _markdown_table(("part", *_COSTS), _costs(report.totals[-1]))
    yield f"\n{_model_line(report.totals[-1])}\n"
    yield "## Whether its tests can be relied on\n"
    yield from (f"{line}\n" for line in _trial_lines(report.trial))
    yield "## Change by change\n"
    yield "Lines that each row covers, of those that were asked for.\n"
    numbers = [str(number) for number, _ in enumerate(report.totals, 1)]
    yield from _markdown_table(
        ("change", "from", "to", "targets", "lines", *numbers), map(_change_cells, report.changes)
    )
    yield f"\n{_METHOD}"
    if warnings := list(_warnings(report)):
        yield "## What to bear in mind\n"
        yield from (f"- {line}" for line in warnings)
        yield ""


def _change_cells(change: ChangeReport) -> Sequence[str]:
    covered = (str(way.lines) for way in change.ways)
    missing = change.ways[0].missing
    return (change.name, change.old, change.new, str(len(change.targets)), str(missing), *covered)


def _markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{'|'.join('---' if heading in _LEFT else '---:' for heading in headings)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _without_labels(rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Numbers alone, where a terminal has no room for more."""
    return ((number, *cells) for number, _, *cells in _numbered(rows))


def _numbered(rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    return ((str(number), *row) for number, row in enumerate(rows, 1))


def _yield(way: WayFigures) -> Sequence[str]:
    share = f"{100 * way.share:.0f} %"
    return (way.label, str(way.accepted), str(way.kept), str(way.lines), share, f"{way.killed}/{way.tried}")


def _prices(ways: Sequence[WayFigures]) -> Iterator[Sequence[str]]:
    first, second = ways[0], ways[1]
    for way in ways:
        yield (
            way.label,
            f"{way.tokens_out:,}",
            f"{way.tokens:,}",
            _number(way.tokens_per_test),
            _number(way.tokens_per_kept),
            _number(way.lines_per_thousand),
            _times(way.lines_per_thousand, first.lines_per_thousand),
            _times(way.lines_per_thousand, second.lines_per_thousand),
        )


def _costs(way: WayFigures) -> Iterator[Sequence[str]]:
    rows = [(part.part, part.runs, part.cpu) for part in way.parts]
    for name, runs, cpu in [*rows, ("all", sum(part.runs for part in way.parts), way.cpu)]:
        share = f"{100 * cpu / way.cpu:.0f} %" if way.cpu else _NONE
        yield name, str(runs), _number(cpu), share, _number(cpu / way.kept if way.kept else None)


def _model_line(way: WayFigures) -> str:
    each = _number(way.model_seconds / way.kept if way.kept else None)
    return f"The model took {way.model_seconds:,.0f} s for the replies when they were recorded, {each} s a kept test."


def _trial_lines(trial: TrialReport) -> Iterator[str]:
    yield (
        f"{trial.tests} tests of the full chain were run {trial.runs:,} times more, alone and together in several "
        f"orders: {len(trial.flaky)} flaky, {len(trial.order_dependent)} that depend on the order."
    )
    yield from trial.flaky
    yield from trial.order_dependent


def _warnings(report: ChainReport) -> Iterator[str]:
    for way in report.totals:
        if way.outdated:
            yield f"{way.label}: {way.outdated} of {way.replies} replies answer an earlier wording of the prompt"
        if way.unanswered:
            yield f"{way.label}: {way.unanswered} prompts have no reply in the recording"
    for change in report.changes:
        yield from (f"{change.name}: {note}" for note in change.notes)


def _times(value: float, other: float) -> str:
    return f"{_number(value / other)} x" if other else _NONE


def _number(value: float | None) -> str:
    if value is None:
        return _NONE
    return f"{value:.2f}" if value < _TEN else f"{value:,.0f}"
