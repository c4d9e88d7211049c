from __future__ import annotations

import math
from statistics import NormalDist

import pytest

from llm_testgen.bench.pulls.estimates import bootstrap, compare


def singles(values):
    return {f"p{number}": [(float(value), 1.0)] for number, value in enumerate(values)}


def test_the_interval_of_a_mean_is_about_that_of_the_normal_distribution():
    values = [NormalDist(10, 2).inv_cdf((number + 0.5) / 60) for number in range(60)]
    found = bootstrap(singles(values))
    half = 1.96 * 2 / math.sqrt(60)
    assert found.value == pytest.approx(10)
    assert found.low == pytest.approx(10 - half, abs=0.08)
    assert found.high == pytest.approx(10 + half, abs=0.08)
    assert bootstrap(singles(values)) == found


def test_what_is_of_one_group_is_drawn_together():
    apart = bootstrap(singles([0, 0, 0, 0, 1, 1, 1, 1]))
    together = bootstrap({"a": [(0.0, 1.0)] * 4, "b": [(1.0, 1.0)] * 4})
    assert together.value == apart.value == 0.5
    assert (together.low, together.high) == (0, 1)
    assert apart.low > 0


def test_a_ratio_is_of_the_sums():
    assert bootstrap({"a": [(1.0, 10.0), (9.0, 10.0)]}).value == 0.5
    assert bootstrap({"a": [(1.0, 1.0)], "b": [(0.0, 3.0)]}).value == 0.25


def test_nothing_over_nothing_is_nothing_unless_something_stands_in():
    groups = {"a": [(0.0, 0.0)], "b": [(0.0, 0.0)]}
    assert bootstrap(groups).value == 0
    assert bootstrap(groups, stand_in=0.5).value == 1
    found = bootstrap({"a": [(2.0, 0.0)], "b": [(0.0, 1.0)]}, stand_in=0.5)
    # Drawn twice, the first group alone has four and a half above, a half below.
    assert (found.value, found.low, found.high) == (2.0, 0.0, 9.0)


def test_one_group_tells_no_interval_and_none_no_figure():
    assert bootstrap({"a": [(1.0, 1.0)]}).low == -math.inf
    with pytest.raises(ValueError, match="nothing to draw from"):
        bootstrap({})


def test_arms_are_compared_on_the_cases_that_both_have():
    first = {f"c{number}": 0.5 for number in range(8)} | {"only": 1.0}
    second = {f"c{number}": 0.4 for number in range(8)}
    found = compare(first, second, str)
    assert (found.cases, found.better, found.worse) == (8, 8, 0)
    assert found.interval.value == pytest.approx(0.1)
    # Of the 256 ways to set eight signs two are as far from zero.
    assert found.p == pytest.approx(2 / 256)


def test_cases_of_one_project_count_as_one():
    first = {f"c{number}": 0.5 for number in range(8)}
    second = {f"c{number}": 0.4 for number in range(8)}
    assert compare(first, second, lambda case: str(int(case[1:]) % 2)).p == pytest.approx(0.5)


def test_what_does_not_differ_is_no_difference():
    same = {"a": 0.5, "b": 0.1}
    assert compare(same, same, str).p == 1
    assert compare({"a": 1.0}, {"a": 0.0}, str).p == 1
