from __future__ import annotations

from dataclasses import replace

import pytest
from tests.samples import SIZES_HEAD, changed_method, reply

from llm_testgen.lessons import Lessons, choose_lessons
from llm_testgen.recipe import tokens
from llm_testgen.records import Candidate, Outcome, Verdict

AREA = changed_method(SIZES_HEAD, "Box.area")
INIT = changed_method(SIZES_HEAD, "Box.__init__")
GRADE = changed_method(SIZES_HEAD, "grade")
ELSEWHERE = changed_method(SIZES_HEAD, "Box.area", path="src/pkg/other.py")
FLOOR_AREA = changed_method("def floor_area(x):\n    return x\n", "floor_area", path="src/pkg/other.py")


def verdict(target, name="test_it", outcome=Outcome.ACCEPTED, body="pass", reason=""):
    code = f"from pkg.mod import Box\n\n\ndef {name}():\n    {body}\n"
    return Verdict(Candidate(reply("x", target), name, code), outcome, reason)


def names(lessons):
    return [text.partition("(")[0].removeprefix("def ") for text in lessons.accepted]


def test_the_same_class_comes_first_then_the_module_then_a_similar_name():
    given = [
        verdict(FLOOR_AREA, "test_like"),
        verdict(GRADE, "test_module"),
        verdict(INIT, "test_class"),
    ]
    assert names(choose_lessons(AREA, given, [], 500)) == ["test_class", "test_module", "test_like"]


def test_the_shorter_comes_first_where_all_else_is_equal():
    given = [verdict(INIT, "test_long", body="assert Box(1).side == 1"), verdict(INIT, "test_short")]
    assert names(choose_lessons(AREA, given, [], 500)) == ["test_short", "test_long"]


def test_a_lesson_is_the_test_alone():
    assert choose_lessons(AREA, [verdict(GRADE)], [], 500).accepted == ("def test_it():\n    pass",)


def test_tests_of_the_target_itself_are_no_lessons():
    refused = verdict(AREA, outcome=Outcome.VACUOUS, reason="why")
    assert choose_lessons(AREA, [verdict(AREA)], [refused], 500) == Lessons()


def test_refused_tests_are_told_by_what_they_call_once_for_each_reason():
    given = [
        verdict(GRADE, outcome=Outcome.VACUOUS, body="grade(1)", reason="passes for nothing"),
        verdict(INIT, outcome=Outcome.VACUOUS, body="Box(2)", reason="passes for nothing"),
        verdict(ELSEWHERE, outcome=Outcome.FLAKY, body="Box(2).area()", reason="fails at times"),
        verdict(GRADE, outcome=Outcome.FAILING, reason="AssertionError"),
    ]
    assert choose_lessons(AREA, [], given, 500).refused == (
        ("Box(2)", "passes for nothing"),
        ("Box(2).area()", "fails at times"),
    )


def test_what_was_not_accepted_is_no_example():
    assert not choose_lessons(AREA, [verdict(GRADE, outcome=Outcome.NO_GAIN)], [], 500)


def test_a_long_test_and_one_with_a_fence_are_no_examples():
    given = [verdict(GRADE, body="pass\n" + "    pass\n" * 40), verdict(GRADE, body="'```'")]
    assert choose_lessons(AREA, given, [], 5000) == Lessons()


@pytest.mark.parametrize("budget", [0, 5, 12, 20, 40, 100])
def test_lessons_stay_within_their_budget(budget):
    given = [verdict(GRADE, f"test_{n}") for n in range(5)]
    refused = [verdict(GRADE, outcome=Outcome.VACUOUS, reason=f"reason {n}") for n in range(5)]
    made = choose_lessons(AREA, given, refused, budget)
    assert sum(map(tokens, [*made.accepted, *("".join(line) for line in made.refused)])) <= budget
    assert max(len(made.accepted), len(made.refused)) <= 3


def test_the_order_in_which_tests_were_judged_does_not_matter():
    given = [verdict(GRADE, f"test_{n}") for n in range(5)]
    refused = [replace(one, outcome=Outcome.VACUOUS, reason=f"reason {n % 2}") for n, one in enumerate(given)]
    assert choose_lessons(AREA, given, refused, 200) == choose_lessons(AREA, given[::-1], refused[::-1], 200)
