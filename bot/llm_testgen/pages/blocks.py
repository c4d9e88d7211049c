"""The building blocks of a page, as data: figures, bar charts and tables. `templates/blocks.html.jinja` draws them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from llm_testgen.pages.words import NOTHING, Phrase

_LONG = 120
_HOUR = 60
# Where the ends of a whisker are still seen whole.
_LEFT, _RIGHT = 0.4, 99.6


class Tone(StrEnum):
    """What a part of a bar stands for; the style sheet gives each its colour in light and dark."""

    PLAIN = "plain"
    BEFORE = "before"
    GAINED = "gained"
    MISSING = "missing"
    UNTOLD = "untold"


@dataclass(frozen=True, slots=True)
class Figure:
    """A headline figure: its name, its value, and a line that explains it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar, both measures in per cent of the longest bar there can be."""

    tone: Tone
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a chart.

    Attributes:
        label: What it is about.
        value: What it amounts to, in figures: the bar itself is only seen.
        segments: From left to right.
        note: What more there is to say; a chart in which no bar has any has no such column.
        href: Where its label leads; empty for nowhere.
        whisker: Ends of an interval around where the bar ends, measured as the segments are; None without one.
    """

    label: Phrase
    value: str
    segments: tuple[Segment, ...]
    note: Phrase = NOTHING
    href: str = ""
    whisker: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars below each other, which are a table for whoever does not see them.

    Attributes:
        caption: What the chart shows.
        columns: What the labels, the values and the notes are called.
        bars: In their order.
        key: What the tones mean; empty where there is only one.
        axis: What stands below the bars at even distances, from their left end to their right; empty for nothing.
    """

    caption: str
    columns: tuple[str, str, str]
    bars: tuple[Bar, ...]
    key: tuple[tuple[Tone, str], ...] = ()
    axis: tuple[str, ...] = ()

    @property
    def has_notes(self) -> bool:
        """Whether any bar has a note."""
        return any(bar.note for bar in self.bars)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; numbers stand at its right edge."""

    title: str
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of each row is what the row is about.

    Attributes:
        caption: What it shows.
        columns: From left to right.
        rows: A cell for each column.
        links: Where the first cell of each row leads; empty for nowhere.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Phrase, ...], ...]
    links: tuple[str, ...] = ()


def segments(parts: Iterable[tuple[Tone, float]], whole: float) -> tuple[Segment, ...]:
    """Parts of a bar one after the other, those of no length left out.

    Args:
        parts: Each with its amount.
        whole: The amount that fills the width.
    """
    drawn: list[Segment] = []
    start = 0.0
    for tone, amount in parts:
        width = 100 * amount / whole if whole else 0.0
        if width > 0:
            drawn.append(Segment(tone, round(start, 3), round(width, 3)))
        start += width
    return tuple(drawn)


def whisker(low: float, high: float, whole: float) -> tuple[float, float] | None:
    """Ends of an interval on a bar that `whole` fills, inside its edges; None for one without bounds."""
    if not whole or not (math.isfinite(low) and math.isfinite(high)):
        return None
    first, last = (min(_RIGHT, max(_LEFT, 100 * end / whole)) for end in (low, high))
    return round(first, 3), round(last, 3)


def percent(part: float, whole: float) -> str:
    """A share, such as ``28.1 %``; empty where there is nothing to have a share of."""
    return f"{100 * part / whole:.1f} %" if whole else ""


def duration(seconds: float) -> str:
    """A time as people say it: ``0.4 s``, ``83 s``, ``12 min``, ``1 h 5 min``."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    if seconds < _LONG:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < _HOUR else f"{minutes // 60:,} h {minutes % 60} min"


def fitting(names: Sequence[str], most: int) -> tuple[Sequence[str], int]:
    """The first names, and how many more there are."""
    return names[:most], max(0, len(names) - most)
