"""Plots of experiments, as PNG and SVG, from stored results: no model is needed to draw them anew."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from llm_testgen.bench.pulls.tables import Series
from llm_testgen.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from llm_testgen.bench.pulls.estimates import Interval

# Okabe and Ito (2008): told apart by the colour-blind too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
_FORMS = ("png", "svg")
_INCHES = (9.0, 4.2)
_APART = 0.2


def draw(name: str, title: str, series: Sequence[Series], folder: Path) -> tuple[Path, ...]:
    """Draw an experiment: passing tests on the left, covered lines on the right, each with its interval.

    Args:
        name: What the files are called.
        title: What stands above.
        series: What is drawn; arms on a scale become lines, others bars.
        folder: Where the files go.

    Returns:
        The files, a PNG and an SVG.

    Raises:
        UsageError: Matplotlib is not installed, or the files cannot be written.
    """
    require_matplotlib()
    import matplotlib as mpl  # noqa: PLC0415 - an extra
    from matplotlib.figure import Figure  # noqa: PLC0415

    # The same results give the same file.
    with mpl.rc_context({"svg.hashsalt": "llm-testgen", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=_INCHES, layout="constrained")
        left, right = figure.subplots(1, 2)
        figure.suptitle(title)
        _panel(left, series, [one.passing for one in series], "passing tests, % of those written")
        _panel(right, series, [one.share for one in series], "lines covered, % of those missing")
        models = list(dict.fromkeys(one.model for one in series))
        if len(models) > 1:
            figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(models))
        paths = tuple(folder / f"{name}.{form}" for form in _FORMS)
        try:
            for path in paths:
                figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})
        except OSError as error:
            msg = f"{folder} cannot be written ({error.strerror}): pass another --plots"
            raise UsageError(msg) from error
    return paths


def require_matplotlib() -> None:
    """See that plots can be drawn, before a run of hours that they are to show.

    Raises:
        UsageError: Matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401, ICN001, PLC0415 - an extra
    except ImportError as error:
        msg = "plots need matplotlib: pip install 'llm-testgen[bench]'"
        raise UsageError(msg) from error


def _panel(axes: Axes, series: Sequence[Series], intervals: Sequence[Interval | None], label: str) -> None:
    models = list(dict.fromkeys(one.model for one in series))
    ways = list(dict.fromkeys(one.label for one in series))
    on_scale = all(one.arm.x is not None for one in series)
    scale = sorted({one.arm.x for one in series if one.arm.x is not None})
    # Intervals of two models at the same place would hide each other.
    shift = _APART * min((after - before for before, after in pairwise(scale)), default=0.0)
    for number, model in enumerate(models):
        drawn = [
            (one, found)
            for one, found in zip(series, intervals, strict=True)
            if one.model == model and found is not None
        ]
        offset = _offset(number, len(models))
        places = [
            one.arm.x + shift * offset if on_scale and one.arm.x is not None else ways.index(one.label) + offset
            for one, _ in drawn
        ]
        heights = [100 * found.value for _, found in drawn]
        errors = [
            [100 * max(0.0, min(1.0, found.value - found.low)) for _, found in drawn],
            [100 * max(0.0, min(1.0, found.high - found.value)) for _, found in drawn],
        ]
        colour = _COLOURS[number % len(_COLOURS)]
        if on_scale:
            axes.errorbar(places, heights, yerr=errors, marker="o", capsize=3, color=colour, label=model)
        else:
            width = 0.8 / len(models)
            axes.bar(places, heights, width, yerr=errors, capsize=3, color=colour, label=model, ecolor="#444444")
    if not on_scale:
        axes.set_xticks(range(len(ways)), ways, rotation=20, ha="right")
    axes.set_ylim(0, 100)
    axes.set_ylabel(label)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def _offset(number: int, count: int) -> float:
    """Where one model stands beside the others, where there is 1 from one way to the next."""
    return (number - (count - 1) / 2) * 0.8 / count
