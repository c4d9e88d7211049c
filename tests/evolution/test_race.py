from __future__ import annotations

from llm_testgen.evolution.race import Race
from llm_testgen.evolution.score import Gain, score, total

GOOD = [Gain(lines=4, tokens_out=100), Gain(lines=6, tokens_out=100), Gain(lines=2, tokens_out=100)]
FAIR = [Gain(lines=3, tokens_out=100), Gain(lines=3, tokens_out=50), Gain(lines=3, tokens_out=100)]
POOR = [Gain(tokens_out=100)] * 3


def test_there_is_no_race_before_anything_was_tried():
    assert Race.after([], 2, 0.25) is None


def test_the_mark_is_the_median_of_the_elite():
    race = Race.after([POOR, GOOD, FAIR], 2, 0.25)
    assert race is not None
    assert race.mark == (12 / 300 + 9 / 250) / 2 * 1000
    assert race.lines == (4, 6, 3)
    assert race.cost == (100, 50, 100)


def test_a_recipe_is_given_up_only_when_the_best_of_all_on_the_rest_would_not_do():
    race = Race.after([GOOD, FAIR], 2, 0.25)
    assert race.can_win([Gain(lines=3, tokens_out=100)])
    assert not race.can_win([Gain(tokens_out=100), Gain(tokens_out=100)])
    assert not race.can_win([Gain(lines=1, tokens_out=400)])


def test_one_that_did_best_of_all_is_never_given_up():
    race = Race.after([GOOD, FAIR, POOR], 2, 0.25)
    assert all(race.can_win(GOOD[:count]) for count in range(1, 4))


def test_what_was_given_up_scores_less_than_the_mark():
    race = Race.after([GOOD, FAIR], 2, 0.25)
    gains = [Gain(lines=1, tokens_out=400)]
    assert race.given_up(gains) < race.mark


def test_tokens_read_cost_a_part_of_those_written():
    assert score(Gain(lines=5, tokens_in=400, tokens_out=100), 0.25) == (25.0, 0)
    assert score(Gain(lines=5, tokens_in=400, tokens_out=100), 1.0) == (10.0, 0)
    assert score(Gain(), 0.25) == (0.0, 0)


def test_faults_noticed_decide_between_equals():
    assert score(Gain(lines=5, killed=3, tokens_out=10), 0.25) > score(Gain(lines=5, killed=2, tokens_out=10), 0.25)
    assert score(Gain(lines=6, killed=0, tokens_out=10), 0.25) > score(Gain(lines=5, killed=9, tokens_out=10), 0.25)


def test_gains_add_up():
    assert total([Gain(1, 2, 3, 4, 5), Gain(1, 1, 1, 1, 1)]) == Gain(2, 3, 4, 5, 6)
    assert total([]) == Gain()
