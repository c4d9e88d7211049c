"""The loss of a run as a plot, PNG and SVG: of each step, smoothed, and of the validation examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from llm_testgen.errors import UsageError

_FORMS = ("png", "svg")
_INCHES = (7.0, 4.0)
_BLUE, _ORANGE = "#0072B2", "#D55E00"  # Okabe and Ito (2008)
_SMOOTH = 0.7


def draw(metrics: Sequence[Mapping[str, float]], title: str, folder: Path) -> tuple[Path, ...]:
    """Draw a run.

    Args:
        metrics: Its lines.
        title: Of the plot.
        folder: Where ``loss.png`` and ``loss.svg`` go.

    Returns:
        The files.

    Raises:
        UsageError: Matplotlib is not installed, or the files cannot be written.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        msg = "plots need matplotlib: pip install 'llm-testgen[tune]'"
        raise UsageError(msg) from error
    steps = [(line["step"], line["loss"]) for line in metrics if "loss" in line]
    found = [(line["step"], line["validation_loss"]) for line in metrics if "validation_loss" in line]
    # The same run gives the same file.
    with mpl.rc_context({"svg.hashsalt": "llm-testgen", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=_INCHES, layout="constrained")
        axes = figure.subplots()
        axes.plot(*_columns(steps), color=_BLUE, alpha=0.25, linewidth=1)
        axes.plot([step for step, _ in steps], smoothed([loss for _, loss in steps]), color=_BLUE, label="training")
        if found:
            axes.plot(*_columns(found), color=_ORANGE, marker="o", markersize=4, label="validation")
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.set_ylabel("loss of a token of the answers, nats")
        axes.grid(alpha=0.3)
        axes.legend()
        made = tuple(folder / f"loss.{form}" for form in _FORMS)
        try:
            for one in made:
                metadata = {"Date": None} if one.suffix == ".svg" else {"Software": None}
                figure.savefig(one, dpi=120, metadata=metadata)
        except OSError as error:
            msg = f"{folder} cannot be written to ({error.strerror}): make room, and go on with --resume"
            raise UsageError(msg) from error
    return made


def smoothed(values: Sequence[float]) -> list[float]:
    """Running means that forget: each value counts three tenths, the first ones more."""
    found: list[float] = []
    mean = weight = 0.0
    for value in values:
        mean = _SMOOTH * mean + (1 - _SMOOTH) * value
        weight = _SMOOTH * weight + (1 - _SMOOTH)
        found.append(mean / weight)
    return found


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [step for step, _ in points], [loss for _, loss in points]
