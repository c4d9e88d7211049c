"""How sure a figure is: bootstrap over cases, and tests of arms that share them.

Cases are what is drawn anew: methods of one project are alike, and so are its cases, whose projects are drawn whole.
See Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), chapters 13 and 15.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from llm_testgen.errors import UsageError

DRAWS = 4_000
Part = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % confidence interval.

    Attributes:
        value: Over all cases.
        low: Lower end; without bounds where all observations are of one group.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One arm less another, case by case.

    Attributes:
        interval: The mean of the differences.
        p: How often chance alone makes a mean as far from zero, both ways.
        cases: How many there are.
        better: In how many the first is ahead.
        worse: In how many the second is.
    """

    interval: Interval
    p: float
    cases: int
    better: int
    worse: int


def bootstrap(groups: Mapping[str, Sequence[Part]], seed: int = 0, *, stand_in: float = 0.0) -> Interval:
    """A ratio of sums, with the interval that drawing whole groups anew gives (percentile bootstrap).

    Args:
        groups: Observations by group, each with what is above and what is below: those of one group are drawn together.
            With 1 below it is a mean.
        seed: The same gives the same interval.
        stand_in: Added above and below where the sum below is 0, so that there is a ratio; 0 makes it 0.

    Raises:
        ValueError: There is no observation.
    """
    names = sorted(name for name in groups if groups[name])
    if not names:
        msg = "there is nothing to draw from"
        raise ValueError(msg)
    sums = [tuple(map(sum, zip(*groups[name], strict=True))) for name in names]
    np, stats = _libraries()
    above, below = np.asarray(sums, dtype=float).T

    def of_drawn(indices: Any, axis: int = -1) -> Any:  # noqa: ANN401 - arrays
        whole = below[indices].sum(axis)
        part = above[indices].sum(axis) + np.where(whole, 0.0, stand_in)
        whole = np.where(whole, whole, stand_in)
        return np.divide(part, whole, out=np.zeros_like(whole), where=whole != 0)

    everything = np.arange(len(names))
    value = float(of_drawn(everything))
    if len(names) == 1:
        return Interval(value, -math.inf, math.inf)
    found = stats.bootstrap(
        (everything,),
        of_drawn,
        n_resamples=DRAWS,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(value, float(found.low), float(found.high))


def compare(
    first: Mapping[str, float], second: Mapping[str, float], group_of: Callable[[str], str], seed: int = 0
) -> Difference:
    """The difference of two arms on the cases that both have, with a permutation test by signs of whole groups.

    Args:
        first: A figure of one arm by case.
        second: The same of the other.
        group_of: The group of a case.
        seed: The same gives the same.

    Raises:
        ValueError: There is no case that both have.
    """
    cases = [case for case in first if case in second]
    differences = [first[case] - second[case] for case in cases]
    groups: defaultdict[str, list[Part]] = defaultdict(list)
    for case, difference in zip(cases, differences, strict=True):
        groups[group_of(case)].append((difference, 1.0))
    interval = bootstrap(groups, seed)
    sums = [sum(one for one, _ in group) for group in groups.values()]
    better, worse = sum(one > 0 for one in differences), sum(one < 0 for one in differences)
    return Difference(interval, _by_signs(sums, seed), len(cases), better, worse)


def _by_signs(sums: Sequence[float], seed: int) -> float:
    """The share of ways to set the signs of the groups under which their sum is as far from zero as it is.

    All ways are gone through where there are few, else some are drawn.
    """
    if len(sums) == 1:
        return 1.0  # the other sign is as far from zero
    np, stats = _libraries()
    found = stats.permutation_test(
        (np.asarray(sums),),
        np.sum,
        permutation_type="samples",
        vectorized=True,
        n_resamples=DRAWS,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def require_statistics() -> None:
    """See that intervals can be told, before a run of hours whose tables need them.

    Raises:
        UsageError: NumPy or SciPy is not installed.
    """
    _libraries()


def _libraries() -> tuple[ModuleType, ModuleType]:
    """NumPy and SciPy's statistics.

    Raises:
        UsageError: They are not installed.
    """
    try:
        import numpy as np  # noqa: PLC0415 - an extra
        from scipy import stats  # noqa: PLC0415
    except ImportError as error:
        msg = "figures with intervals need SciPy: pip install 'llm-testgen[bench]'"
        raise UsageError(msg) from error
    return np, stats
