"""What goes wrong on the way to GitHub: whatever is lost, each thing stands there once in the end."""

from __future__ import annotations

import pytest
from tests.commands.publishing_scene import (
    BOT,
    GRADE,
    MOD,
    NUMBER,
    OF_BOX,
    OF_GRADE,
    RIGHTS,
    TESTS,
    TOP,
    findings,
    moved,
)
from tests.github.faults import Fault
from tests.github.state import Review

from llm_testgen.commands.publishing import Origin, Status
from llm_testgen.delivery.markers import review_line, summary_marker
from llm_testgen.delivery.plan import Place
from llm_testgen.edges.github.client import Access, GitHubRepository
from llm_testgen.edges.github.writes import react

REVIEW, SINGLE, SUMMARY = r"/pulls/7/reviews$", r"/pulls/7/comments$", r"/issues/7/comments$"
EDIT = r"/issues/comments/\d+$"
GRAPHQL = r"/graphql$"
ONCE = [Fault.BAD_GATEWAY, Fault.BAD_GATEWAY_AFTER, Fault.DROPPED, Fault.DROPPED_AFTER, Fault.SERVER_ERROR]
TRIES = 5


@pytest.fixture
def singles(scene):
    """A proposal whose first inline suggestion GitHub refuses, so that each comment is posted by itself."""
    scene.fake.fail("POST", REVIEW, kind=Fault.UNPROCESSABLE)
    return scene.proposal


def settled(scene, proposal=None) -> None:
    """One more run finds nothing left to do, and everything is there once."""
    assert scene.is_posted_once(proposal)
    writes = len(scene.fake.writes)
    scene.publish(proposal)
    assert len(scene.fake.writes) == writes


@pytest.mark.parametrize("kind", ONCE)
def test_a_review_whose_answer_is_lost_is_posted_once(scene, kind):
    scene.fake.fail("POST", REVIEW, kind=kind)
    done = scene.publish()
    assert done.status is Status.POSTED
    assert len(scene.page()["reviews"]) == 1
    assert done.url.endswith(f"#pullrequestreview-{scene.page()['reviews'][0]['id']}")
    assert scene.slept == [1]
    settled(scene)


@pytest.mark.parametrize("kind", ONCE)
def test_a_single_comment_whose_answer_is_lost_is_posted_once(scene, singles, kind):
    scene.fake.fail("POST", SINGLE, kind=kind)
    done = scene.publish(singles)
    assert done.status is Status.POSTED
    assert len(scene.comments()) == len(singles.inline)
    assert scene.slept == [1]
    settled(scene)


@pytest.mark.parametrize("kind", ONCE)
def test_a_summary_whose_answer_is_lost_is_posted_once(scene, kind):
    scene.fake.fail("POST", SUMMARY, kind=kind)
    assert scene.publish().status is Status.POSTED
    assert scene.slept == [1]
    settled(scene)


@pytest.mark.parametrize("kind", ONCE)
def test_an_edit_whose_answer_is_lost_is_made(scene, kind):
    scene.publish()
    scene.fake.fail("PATCH", EDIT, kind=kind)
    scene.publish(origin=Origin("100"))
    assert "run=100 " in scene.summary()
    assert scene.is_posted_once()


@pytest.mark.parametrize("kind", ONCE)
def test_a_reaction_whose_answer_is_lost_is_there_once(scene, kind):
    comment = scene.fake.comment(NUMBER, "reviewer", "/gen-tests")
    scene.fake.fail("POST", r"/reactions$", kind=kind)
    repository = scene.repository()
    react(repository, comment.id, "eyes")
    repository.close()
    assert [reaction.content for reaction in scene.fake.state.reactions] == ["eyes"]


@pytest.mark.parametrize("kind", [Fault.BAD_GATEWAY, Fault.DROPPED])
@pytest.mark.parametrize("path", [r"/pulls/7$", r"/files$", SINGLE, SUMMARY, r"/contents/", r"/user$"])
def test_a_read_that_fails_once_is_repeated(scene, path, kind):
    scene.fake.fail("GET", path, kind=kind)
    assert scene.publish().status is Status.POSTED
    assert scene.slept == [1]
    assert scene.is_posted_once()


@pytest.mark.parametrize("kind", [Fault.BAD_GATEWAY, Fault.DROPPED])
@pytest.mark.parametrize("path", [REVIEW, SUMMARY])
def test_a_write_that_fails_for_long_is_told_and_made_by_the_next_run(scene, path, kind):
    scene.fake.fail("POST", path, times=TRIES, kind=kind)
    done = scene.publish()
    assert done.status is Status.NOT_POSTED
    assert done.reason.startswith("what was found could not all be posted: GitHub ")
    assert done.reason.endswith("try again" if kind is Fault.DROPPED else "try again later")
    assert scene.slept == [1, 2, 4, 8, 16]
    assert set(done.report.places.values()) == {Place.SUMMARY if path == REVIEW else Place.DIFF}
    scene.publish()
    assert len(scene.page()["reviews"]) == 1
    settled(scene)


@pytest.mark.parametrize("kind", [Fault.BAD_GATEWAY_AFTER, Fault.DROPPED_AFTER])
@pytest.mark.parametrize("path", [REVIEW, SUMMARY])
def test_a_write_that_took_place_and_cannot_be_looked_for_is_not_made_again(scene, path, kind):
    scene.fake.fail("POST", path, kind=kind)
    scene.fake.before("POST", path, lambda: scene.fake.fail("GET", path, times=TRIES, kind=Fault.BAD_GATEWAY))
    assert scene.publish().status is Status.NOT_POSTED
    scene.publish()
    assert len(scene.page()["reviews"]) == 1
    settled(scene)


@pytest.mark.parametrize("number", [1, 2])
def test_single_comments_that_fail_for_long_are_told_and_made_by_the_next_run(scene, number):
    scene.fake.fail("POST", REVIEW, kind=Fault.UNPROCESSABLE)
    for offset in range(TRIES):
        scene.fail_at(number + offset, "POST", SINGLE, Fault.BAD_GATEWAY)
    done = scene.publish(scene.by_method)
    assert (done.status, len(done.drafts)) == (Status.NOT_POSTED, number - 1)
    posted = {finding for draft in done.drafts for finding in draft.findings}
    assert {finding for finding, place in done.report.places.items() if place is Place.DIFF} == posted
    scene.publish(scene.by_method)
    settled(scene, scene.by_method)


def killed(_: float) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [Fault.DROPPED, Fault.DROPPED_AFTER])
@pytest.mark.parametrize(("number", "path"), [(1, REVIEW), (1, SUMMARY)])
def test_a_run_that_was_killed_is_completed_by_the_next(scene, number, path, kind):
    scene.fail_at(number, "POST", path, kind)
    with pytest.raises(KeyboardInterrupt):
        scene.publish(repository=scene.repository(sleep=killed))
    scene.publish()
    assert len(scene.page()["reviews"]) == 1
    settled(scene)


@pytest.mark.parametrize("kind", [Fault.DROPPED, Fault.DROPPED_AFTER])
@pytest.mark.parametrize("number", [1, 2])
def test_a_run_that_was_killed_amid_single_comments_is_completed_by_the_next(scene, number, kind):
    scene.fake.fail("POST", REVIEW, kind=Fault.UNPROCESSABLE)
    scene.fail_at(number, "POST", SINGLE, kind)
    with pytest.raises(KeyboardInterrupt):
        scene.publish(scene.by_method, repository=scene.repository(sleep=killed))
    scene.publish(scene.by_method)
    settled(scene, scene.by_method)


@pytest.mark.parametrize("kind", [Fault.DROPPED, Fault.DROPPED_AFTER])
def test_a_run_that_was_killed_while_it_hid_a_comment_is_completed_by_the_next(scene, kind):
    scene.publish(scene.by_method)
    head = scene.push({MOD: f"{TOP}{OF_GRADE.replace('small', 'tiny')}\n\n{OF_BOX}"})
    later = moved(scene.by_method, head, {}, {GRADE: "0" * 16})
    scene.fail_at(2, "POST", GRAPHQL, kind)  # the first one asks
    with pytest.raises(KeyboardInterrupt):
        scene.publish(later, repository=scene.repository(sleep=killed))
    scene.publish(later)
    settled(scene, later)


def test_a_run_that_may_not_post_says_so(scene):
    done = scene.publish(repository=scene.repository(scene.token(pull_requests="read", issues="read")))
    assert done.status is Status.NOT_POSTED
    assert "GitHub answers 403 (Resource not accessible by integration)" in done.reason
    assert done.reason.endswith("give the job the permission, such as `pull-requests: write`")
    assert scene.page()["reviews"] == scene.page()["comments"] == []
    assert [request.status for request in scene.fake.writes] == [403]
    assert set(done.report.places.values()) == {Place.SUMMARY}


@pytest.mark.parametrize(
    ("kind", "slept"),
    [(Fault.SECONDARY, [8]), (Fault.SECONDARY_SILENT, [60]), (Fault.TOO_MANY, [8])],
)
@pytest.mark.parametrize("path", [REVIEW, SUMMARY])
def test_a_limit_is_waited_for_and_then_it_goes_on(scene, path, kind, slept):
    scene.fake.fail("POST", path, kind=kind, seconds=7)
    assert scene.publish().status is Status.POSTED
    assert scene.slept == slept
    settled(scene)


def test_a_limit_that_lasts_too_long_is_told(scene):
    scene.fake.fail("POST", REVIEW, kind=Fault.TOO_MANY, seconds=3_600)
    done = scene.publish()
    assert done.status is Status.NOT_POSTED
    assert done.reason.endswith("GitHub's rate limit lasts another 3601 s, longer than a job should wait: run it later")
    assert scene.slept == []


def pending(scene, login: str, kind: str, body: str = "Let me see") -> None:
    """Somebody begins a review and does not submit it."""
    repository = scene.repository(scene.fake.token(f"{login} pending", RIGHTS, login=login, kind=kind))
    note = {"path": MOD, "line": 8, "side": "RIGHT", "body": "Hm."}
    repository.pull(NUMBER).create_review(commit=repository.api.get_commit(scene.head), body=body, comments=[note])
    repository.close()


def pending_of(scene) -> list[str]:
    return [review.login for review in scene.fake.state.reviews.values() if review.state == "PENDING"]


def test_an_own_review_that_was_left_pending_is_deleted_first(scene):
    pending(scene, BOT, "app")
    assert scene.publish().status is Status.POSTED
    assert pending_of(scene) == []
    assert scene.wrote()[1:] == ["DELETE 1001", "POST reviews", "POST comments"]
    settled(scene)


@pytest.mark.parametrize("kind", [Fault.BAD_GATEWAY_AFTER, Fault.DROPPED])
def test_a_pending_review_whose_deletion_has_no_answer_is_gone_all_the_same(scene, kind):
    pending(scene, BOT, "app")
    scene.fake.fail("DELETE", r"/reviews/", kind=kind)
    assert scene.publish().status is Status.POSTED
    assert pending_of(scene) == []


def test_a_pending_review_of_somebody_else_is_left(scene):
    pending(scene, "reviewer", "user")
    assert scene.publish().status is Status.POSTED
    assert pending_of(scene) == ["reviewer"]
    settled(scene)


def test_a_review_that_a_person_is_writing_is_left_when_the_token_is_theirs(scene):
    pending(scene, "reviewer", "user")
    token = scene.fake.token("own", RIGHTS, login="reviewer", kind="user")
    done = scene.publish(repository=scene.repository(token))
    assert pending_of(scene) == ["reviewer"]
    assert set(done.report.places.values()) == {Place.SUMMARY}
    assert "pending review" in scene.page()["comments"][0]["body"]


def test_an_own_pending_review_is_deleted_when_a_person_s_token_is_used_too(scene):
    pending(scene, "reviewer", "user", review_line(scene.head, ["0" * 16]))
    token = scene.fake.token("own", RIGHTS, login="reviewer", kind="user")
    assert scene.publish(repository=scene.repository(token)).status is Status.POSTED
    assert pending_of(scene) == []


@pytest.mark.parametrize("path", [REVIEW, SINGLE])
def test_a_pending_review_that_appears_meanwhile_is_deleted_too(scene, path):
    if path == SINGLE:
        scene.fake.fail("POST", REVIEW, kind=Fault.UNPROCESSABLE)
    seen = []
    # It is begun by a request to the same path, before which nothing is to begin.
    scene.fake.before("POST", path, lambda: seen.append(1) or len(seen) > 1 or begin(scene), times=2)
    assert scene.publish().status is Status.POSTED
    assert pending_of(scene) == []
    settled(scene)


def begin(scene) -> None:
    review = Review(scene.fake.state.next_id(), NUMBER, BOT, "Let me see", "PENDING", scene.head, None)
    scene.fake.state.reviews[review.id] = review


def test_of_a_review_that_is_refused_each_comment_is_posted_and_the_bad_one_s_tests_stand_in_the_summary(scene):
    scene.fake.fail("POST", REVIEW, kind=Fault.UNPROCESSABLE)
    scene.fail_at(2, "POST", SINGLE, Fault.UNPROCESSABLE)
    done = scene.publish()
    bad = scene.proposal.inline[1]
    refused = [finding for finding in findings(scene.proposal) if finding.index in bad.suggestions]
    assert done.status is Status.POSTED
    assert len(scene.comments()) == len(done.drafts) == len(scene.proposal.inline) - 1
    assert {done.report.places[finding.id] for finding in refused} == {Place.SUMMARY}
    assert f"a comment on {TESTS} was not taken: GitHub answers 422 (Validation Failed)" in scene.summary()
    for finding in refused:
        assert finding.suggestion.pieces[-1] in scene.summary()
        assert finding.id not in scene.shown()
    assert sorted(summary_marker(scene.summary()).posted) == scene.shown()


def test_a_comment_on_a_file_whose_patch_github_does_not_show_is_about_the_whole_file(scene):
    scene.fake.state.largest_patch = 0
    done = scene.publish(scene.by_method)
    assert done.status is Status.POSTED
    assert scene.page()["reviews"] != []
    assert {(comment["path"], comment["line"]) for comment in scene.comments()} == {(MOD, None)}
    assert not any(request.path.endswith("/reviews") for request in scene.fake.writes)
    settled(scene, scene.by_method)


def test_writes_come_no_faster_than_github_asks_for(scene):
    scene.fake.strict_pace = 0.05
    access = Access(scene.fake.full_name, scene.token(), scene.fake.url, 0.06)
    scene.publish(repository=GitHubRepository(access))
    assert len(scene.fake.writes) == 2
