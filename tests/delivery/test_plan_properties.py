from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.delivery.planning import ids, own, plan, summary
from tests.delivery.samples import LOGIN, PATCHES, SOURCE, TEST, At, Test, findings, posted, proposal, standing

from llm_testgen.delivery.findings import Finding
from llm_testgen.delivery.markdown import LONGEST_BODY
from llm_testgen.delivery.markers import test_markers
from llm_testgen.delivery.plan import Delivery, Place, Plan, Rules
from llm_testgen.proposal import Proposal
from llm_testgen.pulls import ReviewComment, Standing

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


# What the bot itself does with a comment whose lines are gone.
HIDDEN = {"outdated": True, "minimized": True, "hidden_as_outdated": True}
FATES = st.sampled_from(
    [
        None,
        {},
        {},
        {"resolved": True},
        {"thumbs_down": 1},
        {"outdated": True},
        {"minimized": True},
        HIDDEN,
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
    if not rules.asked or len(found.drafts) < rules.most:
        # A person who asks gets what was left out for want of room; the same run again has nothing to say.
        again = plan(made, after, rules)
        assert (again.drafts, again.places) == ((), found.places)


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
        one
        for one, fate in fates
        if fate.resolved or fate.thumbs_down or (fate.minimized and not fate.hidden_as_outdated)
    }
    assert {one for one in known if one in dismissed} <= {
        one for one, place in found.places.items() if place is Place.DISMISSED
    }
    standing_there = {one for one, fate in fates if not fate.outdated and not fate.minimized} - dismissed
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
