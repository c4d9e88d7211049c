from __future__ import annotations

import pytest
from tests.delivery.planning import A, B, C, ids, own, places, plan, where
from tests.delivery.samples import (
    BEFORE,
    PATCHES,
    SOURCE,
    TEST,
    At,
    Test,
    findings,
    proposal,
    standing,
)

from llm_testgen.delivery.comments import MOST_TESTS
from llm_testgen.delivery.markdown import LONGEST_BODY
from llm_testgen.delivery.markers import test_markers
from llm_testgen.delivery.plan import Delivery, Place, Rules


def test_a_test_becomes_a_suggestion_at_its_lines():
    made = proposal([A], [At((0,), 4)])
    found = plan(made)
    (draft,) = found.drafts
    assert where(draft) == (TEST, 4, 4)
    assert list(draft.findings) == ids(made)
    assert test_markers(draft.body) == (findings(made)[0].marker,)
    assert "```suggestion\nx4 = 4\n" in draft.body
    assert places(made, found) == {"test_a": Place.DIFF}
    assert (found.outdated, found.summary, found.posted) == ((), None, ())


def test_a_suggestion_of_several_lines_keeps_both_ends():
    made = proposal([A], [At((0,), 2)])
    (inline,) = made.inline
    longer = inline.model_copy(update={"start": 2, "line": 6})
    made = made.model_copy(update={"inline": (longer,)})
    assert [where(draft) for draft in plan(made).drafts] == [(TEST, 2, 6)]


def test_tests_that_were_put_together_are_one_suggestion():
    made = proposal([A, B, C], [At((2, 0), 4), At((1,), 6)])
    found = plan(made)
    assert [list(draft.findings) for draft in found.drafts] == [[ids(made)[2], ids(made)[0]], [ids(made)[1]]]
    assert set(found.places.values()) == {Place.DIFF}


@pytest.mark.parametrize(
    "patch",
    [
        None,
        "",
        "@@ -1,2 +1,3 @@\n x\n+x\n x",
        "@@ -1,2 +5,6 @@\n x",
        "@@ -1,3 +1,3 @@\n x\n@@ -9 +5 @@\n+x",
        "Binary files differ",
    ],
)
def test_where_the_diff_does_not_show_the_lines_the_method_is_commented_on(patch):
    made = proposal([A], [At((0,), 4)])
    found = plan(made, standing(patches={SOURCE: PATCHES[SOURCE], TEST: patch}))
    (draft,) = found.drafts
    assert where(draft) == (SOURCE, 3, 3)
    assert "```suggestion" not in draft.body
    assert places(made, found) == {"test_a": Place.DIFF}


def test_a_suggestion_over_two_hunks_is_none():
    made = proposal([A], [At((0,), 2)])
    longer = made.inline[0].model_copy(update={"start": 2, "line": 6})
    made = made.model_copy(update={"inline": (longer,)})
    there = standing(patches={SOURCE: PATCHES[SOURCE], TEST: "@@ -1,3 +1,3 @@\n x\n@@ -5,4 +5,4 @@\n x"})
    assert [where(draft) for draft in plan(made, there).drafts] == [(SOURCE, 3, 3)]


def test_a_test_file_that_the_pull_request_leaves_alone_has_no_lines_to_suggest_at():
    made = proposal([A], [At((0,), 4)])
    assert [where(draft) for draft in plan(made, standing(patches={SOURCE: PATCHES[SOURCE]})).drafts] == [
        (SOURCE, 3, 3)
    ]


def test_tests_that_no_suggestion_makes_are_one_comment_for_each_method():
    made = proposal([A, B, Test("test_d"), C], [At((3,), 4)])
    found = plan(made)
    assert [(where(draft), list(draft.findings)) for draft in found.drafts] == [
        ((TEST, 4, 4), [ids(made)[3]]),
        ((SOURCE, 3, 3), [ids(made)[0], ids(made)[2]]),
        ((SOURCE, 3, 3), [ids(made)[1]]),
    ]
    assert all(test_markers(draft.body) for draft in found.drafts)


@pytest.mark.parametrize(
    ("lines", "gained", "line"),
    [
        ((3, 4, 5), {SOURCE: (4, 5)}, 4),
        ((3, 4, 5), {SOURCE: (5,), "src/other.py": (3,)}, 5),
        # What is gained lies in another method.
        ((3, 4), {SOURCE: (9,)}, 3),
        ((3, 4), {"src/other.py": (3,)}, 3),
        ((3, 4), {}, 3),
        # Some lines are outside of the diff.
        ((3, 30), {SOURCE: (30,)}, 3),
        ((3, 20, 21), {SOURCE: (20, 21)}, 20),
        ((30, 31), {SOURCE: (30, 31)}, 0),
        ((), {SOURCE: (3,)}, 0),
        # A line of the method that is not a changed one is none to comment on.
        ((5,), {SOURCE: (4, 6)}, 5),
    ],
)
def test_a_comment_stands_at_the_first_changed_line_that_its_tests_execute(lines, gained, line):
    made = proposal([Test(lines=lines, gained=gained)])
    assert [where(draft) for draft in plan(made).drafts] == [(SOURCE, line, line)]


@pytest.mark.parametrize("patch", [None, "", "@@ -30,2 +30,3 @@\n x"])
def test_a_method_whose_lines_the_diff_does_not_show_is_commented_on_with_its_file(patch):
    made = proposal([A])
    found = plan(made, standing(patches={SOURCE: patch}))
    assert [where(draft) for draft in found.drafts] == [(SOURCE, 0, 0)]
    assert places(made, found) == {"test_a": Place.DIFF}


@pytest.mark.parametrize("patches", [{}, {TEST: PATCHES[TEST]}])
def test_a_method_in_a_file_that_the_pull_request_does_not_show_is_left_to_the_summary(patches):
    made = proposal([A])
    found = plan(made, standing(patches=patches))
    assert found.drafts == ()
    assert places(made, found) == {"test_a": Place.SUMMARY}


@pytest.mark.parametrize("most", range(6))
def test_no_more_is_posted_than_asked_for_and_suggestions_come_first(most):
    made = proposal([A, B, C, Test("test_d"), Test("test_e", "last")], [At((2,), 6), At((4,), 8)])
    found = plan(made, rules=Rules(most=most))
    order = [[2], [4], [0, 3], [1]]
    assert [list(draft.findings) for draft in found.drafts] == [
        [ids(made)[index] for index in group] for group in order[:most]
    ]
    below = {made.suggestions[index].name for group in order[most:] for index in group}
    assert {name for name, place in places(made, found).items() if place is Place.SUMMARY} == below


@pytest.mark.parametrize("delivery", [Delivery.SUMMARY, Delivery.NONE])
def test_without_a_review_all_that_is_new_stands_below(delivery):
    made = proposal([A, B], [At((0,), 4)])
    found = plan(made, standing([own(made, 1)]), Rules(delivery))
    assert found.drafts == ()
    assert places(made, found) == {"test_a": Place.SUMMARY, "test_b": Place.DIFF}


def test_a_suggestion_that_is_too_long_for_a_comment_is_none():
    made = proposal([A, B], [At((0,), 4, text=f"x4 = 4\n{'#' * LONGEST_BODY}"), At((1,), 6)])
    found = plan(made)
    assert [where(draft) for draft in found.drafts] == [(TEST, 6, 6), (SOURCE, 3, 3)]
    assert all(len(draft.body) <= LONGEST_BODY for draft in found.drafts)


@pytest.mark.parametrize(("over", "place"), [(0, (TEST, 4, 4)), (1, (SOURCE, 3, 3))])
def test_a_suggestion_of_just_the_length_that_github_takes_is_made(over, place):
    made = proposal([A], [At((0,), 4, text="x4 = 4\n")])
    short = plan(made).drafts[0].body
    made = proposal([A], [At((0,), 4, text="x4 = 4\n" + "#" * (LONGEST_BODY - len(short) + over))])
    (draft,) = plan(made).drafts
    assert where(draft) == place
    assert over or len(draft.body) == LONGEST_BODY


def test_a_method_with_too_many_tests_for_a_comment_leaves_the_others_to_the_summary():
    made = proposal([Test(f"test_{number}") for number in range(MOST_TESTS + 3)])
    found = plan(made)
    (draft,) = found.drafts
    assert list(draft.findings) == ids(made)[:MOST_TESTS]
    assert list(found.places.values()).count(Place.SUMMARY) == 3


def test_the_test_file_of_these_examples_is_the_one_that_their_patch_shows():
    assert BEFORE.count("\n") == 10
