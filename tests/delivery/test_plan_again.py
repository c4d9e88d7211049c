from __future__ import annotations

from dataclasses import replace

import pytest
from tests.delivery.planning import REVIEW, A, B, C, ids, own, places, plan, summary, where
from tests.delivery.samples import (
    HEAD,
    SOURCE,
    TEST,
    At,
    Rest,
    Test,
    comment,
    findings,
    patch_of,
    posted,
    proposal,
    said,
    standing,
)

from llm_testgen.delivery.markers import SummaryMarker
from llm_testgen.delivery.plan import Place, Rules, links, make_plan, summary_of
from llm_testgen.records import Outcome


def test_a_test_that_stands_there_is_not_posted_again():
    made = proposal([A], [At((0,), 4)])
    there = standing([own(made, 0)], [summary(*ids(made))])
    for rules in (REVIEW, Rules(asked=True)):
        found = plan(made, there, rules)
        assert found.drafts == ()
        assert found.outdated == ()
        assert places(made, found) == {"test_a": Place.DIFF}


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize(
    "fate",
    [
        {"resolved": True},
        {"thumbs_down": 1},
        {"thumbs_down": 3, "outdated": True},
        {"resolved": True, "outdated": True},
        {"resolved": True, "minimized": True, "outdated": True},
        {"minimized": True},
        {"minimized": True, "outdated": True},
        {"thumbs_down": 1, "minimized": True, "hidden_as_outdated": True},
    ],
)
def test_what_a_person_dismissed_does_not_come_back(fate, asked):
    made = proposal([A], [At((0,), 4)])
    found = plan(made, standing([own(made, 0, **fate)]), Rules(asked=asked))
    assert found.drafts == ()
    assert found.outdated == ()
    assert places(made, found) == {"test_a": Place.DISMISSED}


def test_what_a_person_deleted_does_not_come_back():
    made = proposal([A], [At((0,), 4)])
    found = plan(made, standing([], [summary(*ids(made))]))
    assert found.drafts == ()
    assert places(made, found) == {"test_a": Place.DISMISSED}
    assert list(found.posted) == ids(made)


@pytest.mark.parametrize("fates", [({"resolved": True}, {}), ({}, {"thumbs_down": 1})])
def test_one_that_was_dismissed_once_is_dismissed_wherever_else_it_stands(fates):
    made = proposal([A])
    there = standing([own(made, 0, number=number, **fate) for number, fate in enumerate(fates, 1)])
    assert places(made, plan(made, there)) == {"test_a": Place.DISMISSED}


def test_an_outdated_comment_is_hidden_and_its_test_posted_anew():
    made = proposal([A], [At((0,), 4)])
    found = plan(made, standing([own(made, 0, number=3, outdated=True)], [summary(*ids(made))]))
    assert found.outdated == ("node-3",)
    assert [where(draft) for draft in found.drafts] == [(TEST, 4, 4)]
    again = plan(
        made,
        standing(
            [own(made, 0, number=3, outdated=True, minimized=True, hidden_as_outdated=True), *posted(found.drafts, 4)]
        ),
    )
    assert (again.outdated, again.drafts) == ((), ())
    assert places(made, again) == {"test_a": Place.DIFF}


@pytest.mark.parametrize("outdated", [True, False])
def test_a_comment_that_was_hidden_as_outdated_does_not_keep_its_test_away(outdated):
    made = proposal([A])
    found = plan(
        made,
        standing([own(made, 0, outdated=outdated, minimized=True, hidden_as_outdated=True)], [summary(*ids(made))]),
    )
    assert len(found.drafts) == 1
    assert found.outdated == ()


def test_a_comment_about_a_method_that_has_changed_since_is_hidden():
    before = proposal([replace(A, digest="f" * 16)])
    made = proposal([A], [At((0,), 4)])
    found = plan(made, standing([own(before, 0, number=5)], [summary(*ids(before))]))
    assert found.outdated == ("node-5",)
    assert len(found.drafts) == 1
    assert list(found.posted) == ids(before)


@pytest.mark.parametrize("fate", [{"minimized": True}, {"resolved": True}, {"thumbs_down": 1}])
def test_a_comment_about_a_method_that_has_changed_since_is_left_alone_if_it_is_done_with(fate):
    before = proposal([replace(A, digest="f" * 16)])
    found = plan(proposal([A]), standing([own(before, 0, **fate)]))
    assert found.outdated == ()
    assert len(found.drafts) == 1


def test_a_comment_about_several_methods_is_hidden_when_all_of_them_have_changed():
    old = {"digest": "f" * 16}
    made = proposal([A, B])
    one = own(proposal([A, replace(B, **old)]), 0, 1)
    both = own(proposal([replace(A, **old), replace(B, **old)]), 0, 1)
    assert plan(made, standing([one])).outdated == ()
    assert plan(made, standing([both])).outdated == ("node-1",)


def test_a_method_that_the_proposal_does_not_name_has_not_changed():
    assert plan(proposal([A]), standing([own(proposal([C]), 0)])).outdated == ()


def test_a_method_that_has_tests_waiting_gets_no_more_unless_a_person_asks():
    there = standing([own(proposal([A]), 0)])
    made = proposal([Test("test_new"), B])
    quiet = plan(made, there)
    assert places(made, quiet) == {"test_new": Place.QUIET, "test_b": Place.DIFF}
    assert [list(draft.findings) for draft in quiet.drafts] == [ids(made)[1:]]
    asked = plan(made, there, Rules(asked=True))
    assert places(made, asked) == {"test_new": Place.DIFF, "test_b": Place.DIFF}
    assert quiet.outdated == asked.outdated == ()


def test_a_run_that_is_repeated_posts_no_more_and_keeps_the_others_in_the_summary():
    made = proposal([A, Test("test_a2"), B, C], [At((0,), 4), At((2,), 6)])
    first = plan(made, rules=Rules(most=1))
    again = plan(made, standing(posted(first.drafts)), Rules(most=1))
    assert again.drafts == ()
    assert again.places == first.places
    assert set(list(again.places.values())[1:]) == {Place.SUMMARY}


def test_a_run_that_goes_on_after_it_was_killed_posts_what_is_left():
    made = proposal([A, Test("test_a2"), B, C], [At((0,), 4), At((2,), 6)])
    whole = plan(made, rules=Rules(most=3))
    rest = plan(made, standing(posted(whole.drafts[:1])), Rules(most=3))
    assert rest.drafts == whole.drafts[1:]
    assert rest.places == whole.places


def test_a_person_who_asks_again_gets_as_many_again():
    made = proposal([A, B, C])
    first = plan(made, rules=Rules(most=2))
    assert len(plan(made, standing(posted(first.drafts)), Rules(most=2, asked=True)).drafts) == 1


def test_comments_about_an_earlier_commit_take_no_room():
    earlier = proposal([C], rest=Rest(head="c" * 40))
    there = standing([own(earlier, 0), own(earlier, 0, number=2, outdated=True)])
    assert len(plan(proposal([A, B]), there, Rules(most=2)).drafts) == 2


def test_comments_of_others_take_no_room():
    made = proposal([A])
    assert len(plan(made, standing([own(made, 0, author="mallory")]), Rules(most=1)).drafts) == 1


def test_tests_of_an_earlier_commit_wait_even_if_one_of_them_was_found_again():
    earlier = proposal([A], rest=Rest(head="c" * 40))
    made = proposal([A, Test("test_new")])
    assert places(made, plan(made, standing([own(earlier, 0)]))) == {"test_a": Place.DIFF, "test_new": Place.QUIET}


@pytest.mark.parametrize("fate", [{"resolved": True}, {"thumbs_down": 1}, {"minimized": True}, {"outdated": True}])
def test_a_method_whose_tests_are_done_with_gets_others(fate):
    made = proposal([Test("test_new")])
    found = plan(made, standing([own(proposal([A]), 0, **fate)]))
    assert places(made, found) == {"test_new": Place.DIFF}


def test_a_method_that_has_changed_gets_new_tests_beside_its_old_ones():
    made = proposal([Test("test_new")])
    found = plan(made, standing([own(proposal([replace(A, digest="f" * 16)]), 0)]))
    assert places(made, found) == {"test_new": Place.DIFF}


@pytest.mark.parametrize("author", ["mallory", "", "Github-Actions[bot]", "github-actions"])
@pytest.mark.parametrize("fate", [{}, {"resolved": True}, {"thumbs_down": 1}, {"outdated": True}, {"minimized": True}])
def test_what_somebody_else_writes_counts_for_nothing(author, fate):
    made = proposal([A], [At((0,), 4)])
    there = standing([own(made, 0, author=author, **fate)], [summary(*ids(made), author=author)])
    assert plan(made, there) == plan(made)
    assert links(there) == {}
    assert summary_of(there) is None


def test_a_marker_that_a_comment_only_quotes_counts_for_nothing():
    made = proposal([A], [At((0,), 4)])
    line = findings(made)[0].marker.line()
    there = standing([comment(f"```\n{line}\n```", resolved=True), comment(f"text\n{line}\n", 2, outdated=True)])
    assert plan(made, there) == plan(made)


def test_other_comments_of_the_same_account_are_left_alone():
    made = proposal([A])
    there = standing([comment("text", outdated=True), comment("text", 2, resolved=True)], [said("text")])
    assert plan(made, there) == plan(made)


@pytest.mark.parametrize("fate", [{"resolved": True}, {"thumbs_down": 2}, {"minimized": True}])
def test_a_suggestion_of_which_one_test_was_dismissed_is_not_made_and_the_others_come_by_themselves(fate):
    made = proposal([A, B, C], [At((0, 1), 4), At((2,), 6)])
    found = plan(made, standing([own(made, 0, **fate)]))
    assert [(where(draft), list(draft.findings)) for draft in found.drafts] == [
        ((TEST, 6, 6), [ids(made)[2]]),
        ((SOURCE, 3, 3), [ids(made)[1]]),
    ]
    assert places(made, found) == {"test_a": Place.DISMISSED, "test_b": Place.DIFF, "test_c": Place.DIFF}
    assert "test_a" not in "".join(draft.body for draft in found.drafts)


def test_a_suggestion_of_which_one_test_stands_there_is_not_made():
    made = proposal([A, B], [At((0, 1), 4)])
    found = plan(made, standing([own(made, 0)]))
    assert [(where(draft), list(draft.findings)) for draft in found.drafts] == [((SOURCE, 3, 3), [ids(made)[1]])]


def test_a_suggestion_with_a_test_that_is_withheld_is_not_made():
    made = proposal([A, B], [At((0, 1), 4)])
    found = make_plan(made, findings(made)[1:], standing(), REVIEW, patch_of)
    assert [(where(draft), list(draft.findings)) for draft in found.drafts] == [((SOURCE, 3, 3), [ids(made)[1]])]


def test_the_summary_that_is_there_is_the_first_of_the_bots_own():
    made = proposal([A])
    conversation = [
        said("text"),
        summary("1", author="mallory", number=2),
        summary("2", number=3),
        summary("3", number=4),
    ]
    there = standing([], conversation)
    assert plan(made, there).summary == conversation[2]
    assert summary_of(there) == SummaryMarker(HEAD, "9", ("2",))
    assert plan(made).summary is None
    assert summary_of(standing()) is None


def test_all_that_was_ever_posted_is_remembered():
    before = proposal([A, B, C])
    there = standing([own(before, 1), own(before, 2, number=2, resolved=True)], [summary("0" * 16, ids(before)[1])])
    assert list(plan(proposal(), there).posted) == ["0" * 16, *ids(before)[1:]]


def test_each_test_is_linked_to_the_newest_comment_about_it():
    made = proposal([A, B])
    there = standing([own(made, 0, number=1), own(made, 0, 1, number=2), comment("text", 3)])
    assert links(there) == dict.fromkeys(ids(made), comment("", 2).url)


def test_no_test_is_no_plan_but_what_is_outdated_goes():
    before = proposal([replace(A, digest="f" * 16)])
    made = proposal([replace(A, outcome=Outcome.FAILING)])
    found = plan(made, standing([own(before, 0)]))
    assert (found.drafts, found.places, found.outdated) == ((), {}, ("node-1",))
