"""Plots of the study, as PNG and SVG: by kind and rounding on the left, by what shares a scale on the right."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llm_testgen.errors import UsageError
from llm_testgen.tuning.quantising.integers import Kind, Per, Rounding
from llm_testgen.tuning.quantising.study import Study, StudyRow
from llm_testgen.tuning.quantising.tables import Measure, figure_of, shared_by

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008): told apart by the colour-blind too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_MARKS = "osD^v"
_FORMS = ("png", "svg")
_INCHES = (9.0, 4.2)
_LABELS = {
    Measure.MEDIAN: "median relative error, %",
    Measure.MEAN: "mean relative error, %",
    Measure.NORM: "norm of the error over norm, %",
}


def draw(study: Study, measure: Measure, folder: Path) -> tuple[Path, ...]:
    """Draw each source.

    Args:
        study: What was found.
        measure: Which figure of it.
        folder: Where the files go.

    Returns:
        The files, a PNG and an SVG of each source.

    Raises:
        UsageError: Matplotlib is not installed, or the files cannot be written.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        msg = "plots need matplotlib: pip install 'llm-testgen[tune]'"
        raise UsageError(msg) from error
    made: list[Path] = []
    for source in dict.fromkeys(row.source for row in study.rows):
        rows = [row for row in study.rows if row.source == source]
        of = (
            study.model
            if study.model and not source.startswith("random")
            else f"{rows[0].draws} draws of 1,000 numbers"
        )
        # The same results give the same file.
        with mpl.rc_context({"svg.hashsalt": "llm-testgen", "svg.fonttype": "none", "font.size": 9}):
            figure = Figure(figsize=_INCHES, layout="constrained")
            figure.suptitle(f"{source} ({of})")
            left, right = figure.subplots(1, 2, sharey=True)
            _panel(left, [row for row in rows if row.per is Per.TENSOR], _way, measure)
            _panel(right, [row for row in rows if _is_usual(row)], _shared, measure)
            left.set_ylabel(_LABELS[measure])
            left.set_title("one scale for the tensor")
            right.set_title("asymmetric, to the nearest")
            made += _save(figure, folder / f"error-{re.sub('[^a-z]+', '-', source.lower())}")
    return tuple(made)


def _save(figure: Figure, path: Path) -> list[Path]:
    made = [path.with_suffix(f".{form}") for form in _FORMS]
    try:
        for one in made:
            figure.savefig(one, dpi=120, metadata={"Date": None} if one.suffix == ".svg" else {"Software": None})
    except OSError as error:
        msg = f"{path.parent} cannot be written to ({error.strerror}): pass another --out"
        raise UsageError(msg) from error
    return made


def _way(row: StudyRow) -> str:
    return f"{row.kind}, {row.rounding}"


def _shared(row: StudyRow) -> str:
    return f"a scale per {shared_by(row)}"


def _is_usual(row: StudyRow) -> bool:
    return row.kind is Kind.ASYMMETRIC and row.rounding is Rounding.NEAREST


def _panel(axes: Axes, rows: Sequence[StudyRow], label: Callable[[StudyRow], str], measure: Measure) -> None:
    for number, name in enumerate(dict.fromkeys(label(row) for row in rows)):
        line = sorted((row for row in rows if label(row) == name), key=lambda row: row.bits)
        figures = [figure_of(row, measure) for row in line]
        places, colour = [row.bits for row in line], _COLOURS[number % len(_COLOURS)]
        axes.plot(
            places,
            [figure.value for figure in figures],
            marker=_MARKS[number % len(_MARKS)],
            markersize=4,
            color=colour,
            label=name,
        )
        low = [figure.value if figure.low is None else figure.low for figure in figures]
        high = [figure.value if figure.high is None else figure.high for figure in figures]
        axes.fill_between(places, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_yscale("log")
    axes.set_xticks(sorted({row.bits for row in rows}))
    axes.set_xlabel("bits")
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8)
