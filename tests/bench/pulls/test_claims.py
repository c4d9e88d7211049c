from __future__ import annotations

import pytest
from tests.bench.pulls.made import result

from llm_testgen.bench.pulls.arms import COMMENTS, OURS, PLAIN
from llm_testgen.bench.pulls.claims import Claim, Measure, change, claims_table, verdict
from llm_testgen.bench.pulls.estimates import Interval
from llm_testgen.bench.pulls.experiments import EXPERIMENTS
from llm_testgen.bench.pulls.tables import series_of

NONE, AUTHOR, _ = COMMENTS
HELP = Claim("Comments help", "comments-author", "comments-none", Measure.PASSING)


def series(author, none, models=("m",), projects="abcdefgh"):
    """Each model's passing tests with and without comments, by project; of four figures each is that of two."""
    found = []
    for model, with_comments, without in zip(models, author, none, strict=True):
        times = len(projects) // 4
        for project, more, less in zip(projects, with_comments * times, without * times, strict=True):
            found.append(result(AUTHOR, f"{project}-1.0", model=model, passed=more))
            found.append(result(NONE, f"{project}-1.0", model=model, passed=less))
    return series_of(found, COMMENTS, models)


def test_a_claim_stands_with_the_change_in_per_cent():
    (cells,) = claims_table([HELP], series([[6, 5, 6, 5]], [[4, 4, 3, 3]])).rows
    assert cells[:3] == ("Comments help", "m", "8")
    assert cells[3].startswith("+57 % (+")
    assert cells[4:] == ("+0 % (+0 to +0)", "yes")


@pytest.mark.parametrize(
    ("author", "none", "found"),
    [([1, 1, 2, 1], [4, 4, 4, 4], "no, the contrary"), ([4, 1, 4, 1], [1, 4, 1, 4], "undecided")],
)
def test_a_claim_is_found_again_only_if_all_of_the_interval_says_so(author, none, found):
    (cells,) = claims_table([HELP], series([author], [none])).rows
    assert cells[-1] == found


def test_of_two_models_the_smaller_one_is_compared_with_the_larger():
    claim = Claim("They help the smaller model most", HELP.more, HELP.less, HELP.measure, of_smaller=True)
    (cells,) = claims_table([claim], series([[6] * 4, [3] * 4], [[3] * 4, [3] * 4], ("small", "large"))).rows
    # Of six tests three more pass with comments: half of them.
    assert cells == (claim.text, "small less large", "8", "+50.0 (+50.0 to +50.0) points", "-", "yes")
    assert claims_table([claim], series([[6] * 4], [[3] * 4])) is None


def test_models_of_which_other_lines_are_missing_are_not_compared():
    sizes = ("small", 4), ("large", 8)
    results = [result(arm, model=model, missing=missing) for arm in (AUTHOR, NONE) for model, missing in sizes]
    claim = Claim("They help the smaller model most", HELP.more, HELP.less, HELP.measure, of_smaller=True)
    assert claims_table([claim], series_of(results, (AUTHOR, NONE), ("small", "large"))) is None


def test_nothing_is_claimed_of_arms_that_are_not_there_or_found_nothing():
    assert claims_table([HELP], series_of([result(OURS)], (OURS, PLAIN), ("m",))) is None
    more, less = series([[1, 1, 1, 1]], [[0, 0, 0, 0]])[::-1]
    assert change(more, less, Measure.PASSING.of) is None
    (cells,) = claims_table([HELP], series([[1, 1, 1, 1]], [[0, 0, 0, 0]])).rows
    assert (cells[3], cells[5]) == ("-", "-")


def test_a_few_projects_decide_nothing_even_if_all_of_them_agree():
    (cells,) = claims_table([HELP], series([[6, 5, 6, 5]], [[4, 4, 3, 3]], projects="abcd")).rows
    assert cells[3].startswith("+57 % (+")
    assert cells[-1] == "undecided"
    assert verdict(Interval(0.5, float("-inf"), float("inf")), 1.0) == "undecided"


def test_every_claim_is_about_arms_of_its_experiment():
    for experiment in EXPERIMENTS:
        keys = {arm.key for arm in experiment.arms}
        assert {key for claim in experiment.claims for key in (claim.more, claim.less)} <= keys
    assert sum(len(experiment.claims) for experiment in EXPERIMENTS) >= 4
