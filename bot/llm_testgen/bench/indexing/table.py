"""What a person sees of the index's bench: tables for a terminal, and the page of the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

from llm_testgen.bench.indexing.report import (
    COLD,
    FLOOR,
    IndexReport,
    LibraryReport,
    SpeedReport,
    SpeedRow,
    ToolScore,
)

_NONE = "-"
_TEN = 10.0
_MIB = 1 << 20
_LEFT = frozenset({"", "library", "note"})
_SPEED = ("", "CPU s", "wall s", "/ ast.parse", "/ cold", "peak MiB", "database MiB", "files", "found", "note")
_CALLS = ("", "recall", "precision", "found / observed", "right / judged", "edges", "CPU s", "note")

_INTRODUCTION = """\
# What the index costs, and how well it knows who calls whom

`make bench-index` makes this page.
"""

_METHOD = """\
## How it is measured

- *Time*: each way in a process of its own, one after the other, round after round; medians. CPU time is that of the
  work alone, without starting the interpreter, but for Universal Ctags, where it is that of the process. *Found* are
  classes and functions; for the graph, calls. The body that changes and the function that is added are in the largest
  product file.
- *ast.parse alone* reads every file and makes its syntax tree: the floor.
- *Observed* are pairs of functions of the library of which one called the other, with no frame in between, while the
  library's own suite ran under `sys.setprofile`. What is nested in a function belongs to it. A generator is called by
  the function that makes it. A call that goes through a wrapper of the library's own decorator counts as made by the
  wrapper's caller. What a function calls of itself is left out.
- *Recall*: the share of the observed pairs that a tool has as an edge. Callbacks and dynamic dispatch count, and count
  against.
- *Precision*: of the edges whose caller was run, and the line of the call too, the share of those that were seen to be
  true: directly, or through code that is not the library's.
- *Precision is not like for like.* pyan3 and the stored edges tell no line: there it is enough that the caller was run,
  so they are judged on calls that were never reached, too. Compare it between jedi and the graph of calls alone.
- *Not held out*: these libraries were looked at while the rules of the graph of calls were made. Of others expect less.
- *The stored edges* are those that prompts are built from. *The graph of calls* is made from the index when it is asked
  for. Neither is told which test reaches which code: what was recorded here informs no edge, it only judges them.
- jedi follows each call in the library's files with `Script.goto`; pyan3's edges are its uses between functions.
"""


def print_index(console: Console, report: IndexReport) -> None:
    """All tables."""
    if report.speed is not None:
        _print_with_notes(console, _speed_title(report.speed), _SPEED, _speed_rows(report.speed))
    if report.libraries:
        title = f"calls between functions of {len(report.libraries)} libraries"
        _print_with_notes(console, title, _CALLS, map(_score_cells, report.totals()))
        _print_table(console, "recall / precision, library by library", *_by_library(report.libraries))


def print_library(console: Console, library: LibraryReport) -> None:
    """One line about a library that is done."""
    scores = ", ".join(f"{tool.label} {_pair(tool)}" for tool in library.tools)
    console.print(f"{library.library}: {scores} ({library.suite})", highlight=False, markup=False)


def page(report: IndexReport) -> str:
    """The page of the documentation."""
    return "\n".join(_parts_of_page(report)) + "\n"


def _parts_of_page(report: IndexReport) -> Iterator[str]:
    yield _INTRODUCTION
    yield f"Python {report.python}, {report.cores} cores.\n"
    if report.speed is not None:
        yield f"## {_speed_title(report.speed)}\n"
        yield from _markdown_table(_SPEED, _speed_rows(report.speed))
        yield ""
    if report.libraries:
        yield "## Calls between the functions of a library\n"
        yield from _markdown_table(_CALLS, map(_score_cells, report.totals()))
        yield "\nRecall / precision, library by library:\n"
        yield from _markdown_table(*_by_library(report.libraries))
        yield ""
    yield _METHOD


def _print_with_notes(console: Console, title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table whose last column, which a terminal has no room for, follows below."""
    told = list(rows)
    _print_table(console, title, headings[:-1], [row[:-1] for row in told])
    for row in told:
        if row[-1]:
            console.print(f"{row[0]}: {row[-1]}", highlight=False, markup=False)


def _print_table(console: Console, title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", highlight=False)
    for heading in headings:
        if heading in _LEFT:
            table.add_column(heading, overflow="fold", min_width=16)
        else:
            table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{'|'.join('---' if heading in _LEFT else '---:' for heading in headings)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _speed_title(speed: SpeedReport) -> str:
    rounds = max(len(row.rounds) for row in speed.rows)
    return f"{speed.project}: {speed.files:,} files, {speed.size / _MIB:.1f} MiB, medians of {rounds} rounds"


def _speed_rows(speed: SpeedReport) -> Iterator[Sequence[str]]:
    for row in speed.rows:
        if row.rounds:
            yield _speed_cells(speed, row)
        else:
            yield (row.label, *[_NONE] * 8, row.note)


def _speed_cells(speed: SpeedReport, row: SpeedRow) -> Sequence[str]:
    return (
        row.label,
        _number(row.cpu),
        _number(row.seconds),
        _times(speed.ratio(row, FLOOR)),
        _times(speed.ratio(row, COLD)),
        f"{row.peak / _MIB:,.0f}",
        f"{row.database / _MIB:,.0f}" if row.database else _NONE,
        f"{row.files:,}",
        f"{row.definitions:,}" if row.definitions else _NONE,
        row.note,
    )


def _score_cells(tool: ToolScore) -> Sequence[str]:
    if not tool.observed:
        return (tool.label, *[_NONE] * 6, tool.note)
    return (
        tool.label,
        f"{tool.score.recall:.3f}",
        f"{tool.score.precision:.3f}",
        f"{tool.found:,} / {tool.observed:,}",
        f"{tool.right:,} / {tool.judged:,}",
        f"{tool.edges:,}",
        _number(tool.cpu),
        tool.note,
    )


def _by_library(libraries: Sequence[LibraryReport]) -> tuple[Sequence[str], list[Sequence[str]]]:
    headings = ("library", "observed", *(tool.label for tool in libraries[0].tools))
    rows: list[Sequence[str]] = [(one.library, str(one.tools[0].observed), *map(_pair, one.tools)) for one in libraries]
    return headings, rows


def _pair(tool: ToolScore) -> str:
    return f"{tool.score.recall:.2f} / {tool.score.precision:.2f}" if tool.observed else _NONE


def _times(value: float | None) -> str:
    return _NONE if value is None else f"{_number(value)} x"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < _TEN else f"{value:,.1f}"
