"""How far numbers come back from integers, by the number of bits, the kind, the rounding and what shares a scale.

The relative error of a number is |x - x'| / |x|. Of a number near zero it is large whatever is done: to the nearest,
everything below half a step becomes zero, an error of 100 %, and the floor turns a negative number near zero into a
whole step, an error without limit. So the median is the figure to look at; the mean is given for comparison with
what others report, and ||x - x'|| / ||x|| says what a product with the numbers suffers. Numbers that are exactly zero
have no relative error; they are counted, and left out of the median and the mean.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from llm_testgen.tuning.quantising.integers import Floats, Kind, Per, Rounding, Scheme, dequantise, quantise

RANDOM_VALUES = 1_000
GROUPS = (32, 64, 128)
_RESAMPLES = 2_000
_PERCENT = 100.0


@dataclass(frozen=True, slots=True)
class Draw:
    """Numbers that are quantised together: of one seed, or rows of one weight.

    Attributes:
        values: Rows and columns.
        extent: The lowest and the highest number of the whole weight.
    """

    values: NDArray[np.float32]
    extent: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Source:
    """Where numbers come from.

    Attributes:
        name: What tables call it.
        draws: Each gives one observation; what is reported is their mean.
    """

    name: str
    draws: tuple[Draw, ...]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Record):
    """The mean of a figure over the draws, with its 95 % confidence interval (bootstrap over the draws).

    Attributes:
        value: The mean.
        low: Lower end; None where there is but one draw.
        high: Upper end; None likewise.
    """

    value: float
    low: float | None
    high: float | None


class StudyRow(_Record):
    """The error of one way to quantise the numbers of one source.

    Attributes:
        source: Where the numbers come from.
        kind: Where the range lies.
        rounding: To which integer.
        per: What has a scale of its own.
        columns: Of a group; 0 where there are none.
        bits: Of an integer.
        draws: How many there are.
        values: Numbers in all of them.
        zeros: Those that are exactly zero.
        bits_per_number: With scales and zero points.
        median: Of the relative errors of a draw, in per cent.
        mean: Of the relative errors of a draw, in per cent.
        norm: Norm of a draw's errors over the norm of its numbers, in per cent.
    """

    source: str
    kind: Kind
    rounding: Rounding
    per: Per
    columns: int
    bits: int
    draws: int
    values: int
    zeros: int
    bits_per_number: float
    median: Figure
    mean: Figure
    norm: Figure


class Study(_Record):
    """What was found, as it is stored.

    Attributes:
        version: Of this form.
        tool: The version of the tool.
        model: Whose weights were looked at; empty for none.
        note: What has to be known about them.
        sample: At most so many numbers of each weight.
        seeds: Draws of each random source.
        rows: One for each source and way.
    """

    version: Literal[1] = 1
    tool: str
    model: str
    note: str
    sample: int
    seeds: int
    rows: tuple[StudyRow, ...]


def random_sources(seeds: int) -> tuple[Source, ...]:
    """A thousand numbers of the standard normal and of the uniform distribution on [-1, 1), for each seed."""

    def drawn(make: Callable[[np.random.Generator], Floats]) -> tuple[Draw, ...]:
        return tuple(_draw(make(np.random.default_rng(seed))) for seed in range(seeds))

    return (
        Source("random, normal", drawn(lambda rng: rng.standard_normal(RANDOM_VALUES))),
        Source("random, uniform", drawn(lambda rng: rng.uniform(-1.0, 1.0, RANDOM_VALUES))),
    )


def _draw(values: Floats) -> Draw:
    row = values.astype(np.float32)[None, :]
    return Draw(row, (float(row.min()), float(row.max())))


def schemes(bits: Iterable[int], groups: Iterable[int], *, channels: bool) -> Iterator[Scheme]:
    """All ways to quantise.

    Args:
        bits: Of an integer.
        groups: Columns of a group.
        channels: Whether rows have scales of their own; of a single row that is the same as one for the whole.
    """
    shared = [(Per.TENSOR, 0), *([(Per.CHANNEL, 0)] if channels else []), *((Per.GROUP, one) for one in groups)]
    for (per, columns), number, kind, rounding in itertools.product(shared, bits, Kind, Rounding):
        yield Scheme(number, kind, rounding, per, columns)


def study(
    sources: Sequence[Source], bits: Sequence[int], groups: Sequence[int], advance: Callable[[], None]
) -> Iterator[StudyRow]:
    """Quantise the numbers of all sources in all ways.

    Args:
        sources: Where the numbers come from.
        bits: Of an integer.
        groups: Columns of a group.
        advance: Called after each source and way.

    Raises:
        UsageError: A weight holds numbers that are infinite or none.
    """
    for source in sources:
        channels = any(len(draw.values) > 1 for draw in source.draws)
        for scheme in schemes(bits, groups, channels=channels):
            yield _row(source, scheme)
            advance()


def count(sources: Sequence[Source], bits: Sequence[int], groups: Sequence[int]) -> int:
    """How many rows a study has."""
    return sum(
        sum(1 for _ in schemes(bits, groups, channels=any(len(draw.values) > 1 for draw in source.draws)))
        for source in sources
    )


def _row(source: Source, scheme: Scheme) -> StudyRow:
    observed: list[tuple[float, float, float]] = []
    bits = numbers = zeros = 0.0
    for draw in source.draws:
        made = quantise(draw.values, scheme, draw.extent if scheme.per is Per.TENSOR else None)
        observed.append(relative_errors(draw.values, dequantise(made)))
        numbers += draw.values.size
        zeros += draw.values.size - np.count_nonzero(draw.values)
        bits += made.bits_per_number * draw.values.size
    median, mean, norm = (_figure(column) for column in np.asarray(observed).T)
    return StudyRow(
        source=source.name,
        kind=scheme.kind,
        rounding=scheme.rounding,
        per=scheme.per,
        columns=scheme.columns,
        bits=scheme.bits,
        draws=len(source.draws),
        values=int(numbers),
        zeros=int(zeros),
        bits_per_number=round(bits / numbers, 4),
        median=median,
        mean=mean,
        norm=norm,
    )


def relative_errors(values: NDArray[np.float32], returned: Floats) -> tuple[float, float, float]:
    """Median and mean of |x - x'| / |x| over all x that are not zero, and ||x - x'|| / ||x||, in per cent.

    All three are 0 where all numbers are zero.
    """
    numbers = values.astype(np.float64)
    wrong = np.abs(numbers - returned)
    there = numbers != 0
    if not there.any():
        return 0.0, 0.0, 0.0
    relative = wrong[there] / np.abs(numbers[there])
    norm = float(np.linalg.norm(wrong) / np.linalg.norm(numbers))
    return _PERCENT * float(np.median(relative)), _PERCENT * float(relative.mean()), _PERCENT * norm


def _figure(observed: Floats) -> Figure:
    """See Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), chapter 13 (percentile interval)."""
    value = float(observed.mean())
    if len(observed) == 1:
        return Figure(value=value, low=None, high=None)
    drawn = np.random.default_rng(0).integers(0, len(observed), (_RESAMPLES, len(observed)))
    low, high = np.percentile(observed[drawn].mean(axis=1), (2.5, 97.5))
    return Figure(value=value, low=float(low), high=float(high))
