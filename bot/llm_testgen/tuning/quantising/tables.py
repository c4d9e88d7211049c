"""The study as tables: for a terminal, and as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from llm_testgen.tuning.quantising.integers import Kind, Per, Rounding
from llm_testgen.tuning.quantising.study import Figure, Study, StudyRow

_TEN, _HUNDRED = 10.0, 100.0
_WAYS = tuple((kind, rounding) for kind in Kind for rounding in Rounding)
_HEADINGS = ("scale per", "bits", *(f"{kind} {rounding}" for kind, rounding in _WAYS), "bits a weight")
_FLAT = ("scale per", "bits", "kind", "rounding", "median %", "mean %", "norm %", "bits a weight")


class Measure(StrEnum):
    """Which figure of the error is looked at."""

    MEDIAN = "median"
    MEAN = "mean"
    NORM = "norm"


MEANINGS = {
    Measure.MEDIAN: "median of |x - x'| / |x| in per cent, of all numbers but zeros",
    Measure.MEAN: "mean of |x - x'| / |x| in per cent, of all numbers but zeros; those near zero make most of it",
    Measure.NORM: "||x - x'|| / ||x|| in per cent",
}


def figure_of(row: StudyRow, measure: Measure) -> Figure:
    """One figure of a row."""
    return {Measure.MEDIAN: row.median, Measure.MEAN: row.mean, Measure.NORM: row.norm}[measure]


def shared_by(row: StudyRow) -> str:
    """What has a scale of its own, in words."""
    return f"{row.columns} columns" if row.per is Per.GROUP else row.per.value


def print_study(console: Console, study: Study, measure: Measure) -> None:
    """A table for each source, one figure in it with its interval."""
    for source in dict.fromkeys(row.source for row in study.rows):
        rows = [row for row in study.rows if row.source == source]
        table = Table(
            title=_title(rows), title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
        )
        for number, heading in enumerate(_HEADINGS):
            table.add_column(heading, justify="right" if number else "left", no_wrap=not number)
        for cells in _lines(rows, measure):
            table.add_row(*cells)
        console.print(table)
    lines = [
        MEANINGS[measure] + "; the mean of all draws, ± the longer side of its 95 % confidence interval",
        study.note,
    ]
    for line in filter(None, lines):
        console.print(line, highlight=False, markup=False)


def page(study: Study) -> str:
    """All figures as Markdown."""
    about = f" and of the weights of {study.model}" if study.model else ""
    made = f"Made by `llm-testgen quantize study` {study.tool}, of 1,000 random numbers for each of {study.seeds} seeds"
    lines = [
        "# Error of integer quantisation",
        "",
        f"{made}{about}. Figures are means over the draws, seeds or weights, with 95 % confidence intervals.",
        "",
        *(f"- {measure}: {meaning}" for measure, meaning in MEANINGS.items()),
    ]
    if study.note:
        lines += ["", f"Note: {study.note}."]
    for source in dict.fromkeys(row.source for row in study.rows):
        rows = [row for row in study.rows if row.source == source]
        lines += ["", f"## {_title(rows)}", "", *_markdown(rows)]
    return "\n".join(lines) + "\n"


def _markdown(rows: Sequence[StudyRow]) -> Iterator[str]:
    yield "| " + " | ".join(_FLAT) + " |"
    yield "|---|" + "---:|" + "---|---|" + "---:|" * 4
    for row in rows:
        figures = (_figure(figure_of(row, measure)) for measure in Measure)
        cells = (shared_by(row), str(row.bits), row.kind, row.rounding, *figures, f"{row.bits_per_number:.2f}")
        yield "| " + " | ".join(cells) + " |"


def _title(rows: Sequence[StudyRow]) -> str:
    first = rows[0]
    zeros = f", {first.zeros:,} of them zero" if first.zeros else ""
    return f"{first.source}: {first.values:,} numbers in {first.draws} draws{zeros}"


def _lines(rows: Sequence[StudyRow], measure: Measure) -> Iterator[list[str]]:
    found = {(shared_by(row), row.bits, row.kind, row.rounding): row for row in rows}
    for shared, bits in dict.fromkeys((shared_by(row), row.bits) for row in rows):
        ways = [found[shared, bits, kind, rounding] for kind, rounding in _WAYS]
        sizes = sorted({f"{row.bits_per_number:.2f}" for row in ways}, key=float)
        yield [shared, str(bits), *(_short(figure_of(row, measure)) for row in ways), "-".join(sizes)]


def _figure(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return _number(figure.value)
    return f"{_number(figure.value)} ({_number(figure.low)} to {_number(figure.high)})"


def _short(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return _number(figure.value)
    return f"{_number(figure.value)} ±{_number(max(figure.value - figure.low, figure.high - figure.value))}"


def _number(value: float) -> str:
    """Three digits or so."""
    if value < _TEN:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < _HUNDRED else f"{value:,.0f}"
