"""Where the next prompt buys the most."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llm_testgen.bandit import Arm, Bandit, Moment

MOMENTS = st.sampled_from(Moment)
ARMS = st.lists(st.builds(Arm, st.integers(0, 50), MOMENTS, st.integers(1, 100), st.integers(1, 5000)), max_size=20)


def numbers(arms) -> list[int]:
    return [arm.number for arm in arms]


def test_of_two_first_prompts_the_one_with_more_lines_per_token_comes_first():
    arms = [Arm(1, Moment.FIRST, 10, 2000), Arm(2, Moment.FIRST, 10, 1000), Arm(3, Moment.FIRST, 30, 2000)]
    assert numbers(Bandit().choose(arms, 3)) == [3, 2, 1]


def test_equal_ones_come_in_the_order_of_the_methods():
    arms = [Arm(number, Moment.FIRST, 10, 1000) for number in (3, 1, 2)]
    assert numbers(Bandit().choose(arms, 2)) == [1, 2]


def test_a_method_that_nothing_was_tried_for_comes_before_one_that_gave_nothing():
    arms = [Arm(1, Moment.AFTER_NONE, 10, 1000), Arm(2, Moment.AFTER_GAIN, 10, 1000), Arm(3, Moment.FIRST, 10, 1000)]
    assert numbers(Bandit().choose(arms, 3)) == [3, 2, 1]


def test_what_paid_is_preferred_to_what_did_not():
    bandit = Bandit()
    for _ in range(10):
        bandit.learn(Moment.AFTER_NONE, asked=5, gained=5)
        bandit.learn(Moment.AFTER_GAIN, asked=5, gained=0)
    arms = [Arm(1, Moment.AFTER_GAIN, 10, 1000), Arm(2, Moment.AFTER_NONE, 10, 1000)]
    assert numbers(bandit.choose(arms, 1)) == [2]


def test_a_kind_that_was_seldom_tried_is_tried_again_after_a_bad_start():
    bandit = Bandit()
    bandit.learn(Moment.AFTER_GAIN, asked=5, gained=0)
    for _ in range(200):
        bandit.learn(Moment.AFTER_NONE, asked=100, gained=9)
    arms = [Arm(1, Moment.AFTER_NONE, 10, 1000), Arm(2, Moment.AFTER_GAIN, 10, 1000)]
    assert numbers(bandit.choose(arms, 1)) == [2]


@given(ARMS, st.integers(0, 25), st.lists(st.tuples(MOMENTS, st.integers(0, 9), st.integers(0, 9))))
def test_as_many_as_there_are_up_to_the_number_asked_for_are_chosen_each_once(arms, most, history):
    bandit = Bandit()
    for moment, asked, gained in history:
        bandit.learn(moment, asked, gained)
    chosen = bandit.choose(arms, most)
    assert len(chosen) == min(most, len(arms))
    left = list(arms)
    for arm in chosen:
        left.remove(arm)
