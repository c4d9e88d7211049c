"""How sure a figure is: bootstrap over cases, and tests of arms that share them.

Cases are what is drawn anew: methods of one project are alike, and so are its cases, whose projects are drawn whole.
See Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), chapters 13 and 15.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import ModuleType

from llm_testgen.errors import UsageError

DRAWS = 4_000


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


def bootstrap(
    groups: Mapping[str, Sequence[tuple[float, ...]]],
    figure: Callable[[Sequence[tuple[float, ...]]], float],
    seed: int = 0,
) -> Interval:
    """A figure of all observations, with the interval that drawing whole groups anew gives (percentile bootstrap).

    Args:
        groups: Observations by group: those of one group are drawn together.
        figure: What is made of observations.
        seed: The same gives the same interval.

    Raises:
        ValueError: There is no observation.
    """
    names = sorted(groups)
    everything = [one for name in names for one in groups[name]]
    if not everything:
        msg = "there is nothing to draw from"
        raise ValueError(msg)
    value = figure(everything)
    if len(names) == 1:
        return Interval(value, -math.inf, math.inf)

    def of_drawn(indices: Sequence[int]) -> float:
        return figure([one for index in indices for one in groups[names[index]]])

    np, stats = _libraries()
    found = stats.bootstrap(
        (np.arange(len(names)),),
        of_drawn,
        n_resamples=DRAWS,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(value, float(found.low), float(found.high))


def mean(observations: Sequence[tuple[float, ...]]) -> float:
    """The mean of observations of one number each."""
    return fmean(one for (one,) in observations)


def ratio(observations: Sequence[tuple[float, ...]]) -> float:
    """The sum of the first numbers over that of the second; 0 where that is nothing."""
    below = sum(second for _, second in observations)
    return sum(first for first, _ in observations) / below if below else 0.0


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
    groups: defaultdict[str, list[tuple[float, ...]]] = defaultdict(list)
    for case, difference in zip(cases, differences, strict=True):
        groups[group_of(case)].append((difference,))
    interval = bootstrap(groups, mean, seed)
    sums = [sum(one for (one,) in group) for group in groups.values()]
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
        lambda signed: float(np.sum(signed)),
        permutation_type="samples",
        vectorized=False,
        n_resamples=DRAWS,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


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
