"""What a person sees of the measurements."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from llm_testgen.bench.report import FLOOR, WARM, ProjectReport, Report, Seconds, WayReport

_NONE = "-"
_TEN = 10.0
_HUNDRED = 100.0


def print_project(console: Console, report: ProjectReport) -> None:
    """A project's table, and what has to be known about it."""
    title = f"{report.name} {report.version}: {report.candidates} candidates, Python {report.python}"
    table = Table(title=title, title_justify="left", title_style="bold", highlight=False)
    table.add_column("a candidate by …", overflow="fold")
    for name in ("a second", "CPU ms", "wall ms", "CPU / warm", "start-up CPU s", "pays after", "passed"):
        table.add_column(name, justify="right")
    warm = next((way.median.cpu for way in report.ways if way.key == WARM), None)
    for way in report.ways:
        table.add_row(*_cells(way, report.candidates, warm), style="bold" if way.key == WARM else None)
    console.print(table)
    if report.cold:
        console.print(f"The warm runner does not fork here: {report.cold}", style="red", highlight=False, markup=False)
    for line in report.disagreements:
        console.print(f"judged otherwise than by pytest: {line}", style="yellow", highlight=False, markup=False)


def print_summary(console: Console, report: Report) -> None:
    """What was measured on, and the ratios of all projects."""
    machine = report.machine
    processor = f", {machine.processor}" if machine.processor else ""
    console.print(f"{machine.cores} cores{processor}, {machine.kernel}, Python {machine.python}", highlight=False)
    console.print(f"sandbox: {_names(report, holds=True) or 'none'}", highlight=False)
    if missing := _names(report, holds=False):
        console.print(f"missing: {missing}", style="yellow", highlight=False)
    table = Table(title=f"medians of {report.rounds} rounds", title_justify="left", title_style="bold", highlight=False)
    table.add_column("project")
    for name in ("pytest --cov / warm", "CoverUp / warm", "warm / floor", "warm, a second", "all cores, a second"):
        table.add_column(name, justify="right")
    for project in report.projects:
        rates = {way.key: way.per_second for way in project.ways}
        table.add_row(
            project.name,
            _times(project.pytest_over_warm),
            _times(project.coverup_over_warm),
            _times(project.warm_over_floor),
            _number(rates.get(WARM)),
            _number(rates.get(f"{WARM}-all")),
        )
    console.print(table)


def _cells(way: WayReport, candidates: int, warm: float | None) -> Iterable[str]:
    at_least = "> " if way.cut else ""
    measured = f" (on {way.executions})" if way.executions < candidates else ""
    return (
        way.label + measured,
        ("< " if way.cut else "") + _number(way.per_second),
        at_least + _milliseconds(way.median.cpu),
        at_least + _milliseconds(way.median.wall),
        at_least + _times(way.median.cpu / warm if warm else None),
        _start(way.startup),
        _NONE if way.pays_after is None or way.key == FLOOR else str(way.pays_after),
        _NONE if way.passed is None else f"{way.passed}/{candidates}",
    )


def _names(report: Report, *, holds: bool) -> str:
    return ", ".join(layer.name for layer in report.sandbox if layer.holds is holds)


def _start(startup: Seconds | None) -> str:
    return _NONE if startup is None else f"{startup.cpu:.2f}"


def _milliseconds(seconds: float) -> str:
    return _number(1000 * seconds)


def _number(value: float | None) -> str:
    """Three digits or so."""
    if value is None:
        return _NONE
    if value < _TEN:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < _HUNDRED else f"{value:,.0f}"


def _times(value: float | None) -> str:
    return _NONE if value is None else f"{_number(value)} x"
