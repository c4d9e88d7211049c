from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.delivery.samples import (
    BEFORE,
    HEAD,
    LOGIN,
    PATCHES,
    SOURCE,
    TEST,
    At,
    Test,
    comment,
    findings,
    patch_of,
    posted,
    proposal,
    said,
    standing,
)

from llm_testgen.delivery.comments import MOST_TESTS
from llm_testgen.delivery.findings import Finding
from llm_testgen.delivery.markdown import LONGEST_BODY
from llm_testgen.delivery.markers import SummaryMarker, test_markers
from llm_testgen.delivery.plan import Delivery, Place, Plan, Rules, links, make_plan, summary_of
from llm_testgen.proposal import Proposal
from llm_testgen.pulls import Draft, ReviewComment, Standing
from llm_testgen.records import Outcome

REVIEW = Rules()
A, B, C = Test("test_a"), Test("test_b", "Cart.total"), Test("test_c", "Cart.add")


def plan(made: Proposal, there: Standing | None = None, rules: Rules = REVIEW) -> Plan:
    return make_plan(made, findings(made), there or standing(), rules, patch_of)


def places(made: Proposal, found: Plan) -> dict[str, Place]:
    """Where each test stands, by its name."""
    return {finding.suggestion.name: found.places[finding.id] for finding in findings(made)}


def where(draft: Draft) -> tuple[str, int, int]:
    return draft.path, draft.start, draft.line


def own(made: Proposal, *indices: int, **fields: object) -> ReviewComment:
    """The bot's comment about some of a proposal's tests."""
    markers = "\n".join(findings(made)[index].marker.line() for index in indices)
    return comment(f"{markers}\n\ntext", **fields)


def ids(made: Proposal) -> list[str]:
    return [finding.id for finding in findings(made)]


def summary(*posted_ids: str, author: str = LOGIN, number: int = 1):
    return said(f"{SummaryMarker(HEAD, '9', posted_ids).line()}\n\n### text", author, number)


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
    again = plan(made, standing([own(made, 0, number=3, outdated=True, minimized=True), *posted(found.drafts, 4)]))
    assert (again.outdated, again.drafts) == ((), ())
    assert places(made, again) == {"test_a": Place.DIFF}


def test_a_comment_that_was_hidden_as_outdated_does_not_keep_its_test_away():
    made = proposal([A])
    found = plan(made, standing([own(made, 0, outdated=True, minimized=True)], [summary(*ids(made))]))
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


METHODS = [("total", SOURCE, (3, 4)), ("add", SOURCE, (18, 30)), ("late", SOURCE, (33,)), ("far", "src/far.py", (1,))]


@st.composite
def proposals(draw) -> Proposal:
    """Tests of a few methods, some of them in suggestions at lines of their own, some of these together."""
    tests = [
        Test(
            f"test_{number}",
            method,
            source=source,
            lines=lines,
            gained=draw(st.sampled_from([None, {}, {SOURCE: (4,)}])),
        )
        for number, (method, source, lines) in enumerate(draw(st.lists(st.sampled_from(METHODS), max_size=9)))
    ]
    spots = [draw(st.integers(0, 6)) for _ in tests]
    # A spot is a line of the test file, and 0 none at all.
    joined = {
        spot: tuple(index for index, one in enumerate(spots) if one == spot) for spot in sorted(set(spots)) if spot
    }
    return proposal(tests, [At(indices, spot) for spot, indices in joined.items()])


FATES = st.sampled_from(
    [
        None,
        {},
        {},
        {"resolved": True},
        {"thumbs_down": 1},
        {"outdated": True},
        {"minimized": True},
        {"author": "mallory"},
    ]
)


@st.composite
def standings(draw, made: Proposal) -> Standing:
    """The pull request with comments about some of the tests."""
    comments = []
    for index in range(len(findings(made))):
        fate = draw(FATES)
        if fate is not None:
            comments.append(own(made, index, number=index, **fate))
    remembered = draw(st.lists(st.sampled_from(ids(made)))) if ids(made) else []
    patches = draw(
        st.fixed_dictionaries(
            {},
            optional={
                SOURCE: st.sampled_from([PATCHES[SOURCE], None, "@@ -1,3 +1,3 @@"]),
                TEST: st.sampled_from([PATCHES[TEST], None, "@@ -1,3 +1,3 @@"]),
            },
        )
    )
    return standing(comments, draw(st.sampled_from([[], [summary(*remembered)]])), patches)


RULES = st.builds(
    Rules, st.sampled_from([*[Delivery.REVIEW] * 3, Delivery.SUMMARY]), st.integers(0, 9), asked=st.booleans()
)


@given(st.data(), proposals(), RULES)
@settings(derandomize=True, deadline=None, max_examples=250)
def test_each_test_has_one_place_and_is_posted_at_most_once(data, made, rules):
    there = data.draw(standings(made))
    found = plan(made, there, rules)
    check(findings(made), there, rules, found)
    after = standing([*there.comments, *posted(found.drafts, 100)], there.conversation, there.patches)
    if len(found.drafts) < rules.most:
        # Nothing was left out for want of room: the same run again has nothing to say.
        again = plan(made, after, rules)
        assert again.drafts == ()
        assert {found.places[one] for one in ids(made) if again.places[one] is Place.QUIET} <= {
            Place.SUMMARY,
            Place.QUIET,
        }


def check(tests: Sequence[Finding], there: Standing, rules: Rules, found: Plan) -> None:
    drafted = [one for draft in found.drafts for one in draft.findings]
    known = {one.id for one in tests}
    fates = [
        (marker.finding, one) for one in there.comments if one.author == LOGIN for marker in test_markers(one.body)
    ]
    assert found.places.keys() == known
    assert len(drafted) == len(set(drafted))
    assert set(drafted) <= known
    assert len(found.drafts) <= (rules.most if rules.delivery is Delivery.REVIEW else 0)
    assert {found.places[one] for one in drafted} <= {Place.DIFF}
    for draft in found.drafts:
        assert [marker.finding for marker in test_markers(draft.body)] == list(draft.findings)
        assert draft.path in there.patches
        assert 0 <= draft.start <= draft.line
        assert len(draft.body) <= LONGEST_BODY
    dismissed = {
        one for one, fate in fates if fate.resolved or fate.thumbs_down or (fate.minimized and not fate.outdated)
    }
    assert {one for one in known if one in dismissed} <= {
        one for one, place in found.places.items() if place is Place.DISMISSED
    }
    standing_there = {one for one, fate in fates if not fate.outdated} - dismissed
    assert {found.places[one] for one in standing_there} <= {Place.DIFF}
    assert not standing_there & set(drafted)
    on_diff = {one for one, place in found.places.items() if place is Place.DIFF}
    assert on_diff == standing_there | set(drafted)


@given(proposals(), st.integers(1, 3))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_run_after_run_all_that_has_a_place_on_the_diff_gets_there_once(made, most):
    comments: list[ReviewComment] = []
    rules = Rules(most=most, asked=True)
    while drafts := plan(made, standing(comments), rules).drafts:
        comments += posted(drafts, len(comments))
        assert len(comments) <= len(findings(made))
    said_ids = [marker.finding for one in comments for marker in test_markers(one.body)]
    reached = {index for inline in made.inline for index in inline.suggestions}
    reached |= {one.index for one in findings(made) if one.target.path == SOURCE}
    assert sorted(said_ids) == sorted(one.id for one in findings(made) if one.index in reached)


def test_the_test_file_of_these_examples_is_the_one_that_their_patch_shows():
    assert BEFORE.count("\n") == 10
