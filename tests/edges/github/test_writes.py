from __future__ import annotations

import pytest
from tests.edges.github.conftest import BOT, CALC
from tests.github.faults import Fault
from tests.github.scene import NUMBER
from tests.github.state import Review

from llm_testgen.edges.github.writes import (
    edit_comment,
    minimize,
    post_comment,
    post_review,
    post_review_comment,
    react,
)
from llm_testgen.errors import GitHubError, GitHubForbiddenError, GitHubRefusedError
from llm_testgen.pulls import Draft

LOST = [Fault.BAD_GATEWAY, Fault.BAD_GATEWAY_AFTER, Fault.DROPPED, Fault.DROPPED_AFTER, Fault.SERVER_ERROR]
LIMITS = [Fault.SECONDARY, Fault.SECONDARY_SILENT, Fault.TOO_MANY]
MARKER = "<!-- llm-testgen:test finding=1 -->"
BODY = f"{MARKER}\nLook."
REVIEW = "<!-- llm-testgen:review head=1 key=2 -->\nTwo tests."


def draft(line: int = 5, start: int = 0, body: str = BODY, path: str = CALC) -> Draft:
    return Draft(path, start or line, line, body)


def review(pulled, *drafts: Draft, body: str = REVIEW, repository=None, login: str = BOT) -> str:
    return post_review(repository or pulled.repository(), pulled.pull(), drafts, body=body, login=login)


def single(pulled, found: Draft, login: str = BOT) -> str:
    return post_review_comment(pulled.repository(), pulled.pull(), found, login=login)


def page(pulled) -> dict:
    return pulled.fake.page(NUMBER)


def test_a_review_is_submitted_with_its_comments_where_they_belong(pulled):
    url = review(pulled, draft(5), draft(31, start=28))
    (found,) = page(pulled)["reviews"]
    assert (found["state"], found["body"], found["login"]) == ("COMMENTED", REVIEW, BOT)
    assert url == f"https://github.example/octo-org/sample/pull/{NUMBER}#pullrequestreview-{found['id']}"
    assert [(entry["start_line"], entry["line"]) for entry in page(pulled)["review_comments"]] == [(None, 5), (28, 31)]
    (request,) = pulled.fake.writes
    assert request.body == {
        "commit_id": pulled.head,
        "event": "COMMENT",
        "body": REVIEW,
        "comments": [
            {"path": CALC, "body": BODY, "line": 5, "side": "RIGHT"},
            {"path": CALC, "body": BODY, "line": 31, "side": "RIGHT", "start_line": 28, "start_side": "RIGHT"},
        ],
    }


@pytest.mark.parametrize("bad", [draft(20), draft(31, start=5), draft(5, path="none.py")])
def test_one_anchor_that_cannot_be_fails_the_review_and_posts_nothing(pulled, bad):
    with pytest.raises(GitHubRefusedError, match="GitHub answers 422"):
        review(pulled, draft(5), bad)
    assert page(pulled)["reviews"] == page(pulled)["review_comments"] == []
    assert pulled.slept == []


def test_a_commit_that_is_not_in_the_pull_request_is_refused(pulled):
    before = pulled.pull()
    pulled.fake.push(NUMBER, pulled.base)
    with pytest.raises(GitHubRefusedError, match="not part of the pull request"):
        post_review(pulled.repository(), before, [draft(5)], body=REVIEW, login=BOT)


@pytest.mark.parametrize("kind", [*LOST, *LIMITS])
def test_a_review_stands_there_once_whatever_is_lost(pulled, kind):
    pulled.fake.fail("POST", r"/reviews$", kind=kind)
    url = review(pulled, draft(5))
    (found,) = page(pulled)["reviews"]
    assert url.endswith(f"-{found['id']}")
    assert len(page(pulled)["review_comments"]) == 1


def begin(pulled, login: str, body: str = "Let me see", state: str = "PENDING") -> int:
    """Somebody begins a review, or has made one."""
    number = pulled.fake.state.next_id()
    submitted = None if state == "PENDING" else pulled.fake.state.now()
    pulled.fake.state.reviews[number] = Review(number, NUMBER, login, body, state, pulled.head, submitted)
    return number


def test_a_review_is_looked_for_over_all_pages_and_by_its_author(pulled):
    for _ in range(101):
        begin(pulled, BOT, REVIEW.replace("key=2", "key=3"), "COMMENTED")
    begin(pulled, "reviewer", REVIEW, "COMMENTED")
    pulled.fake.fail("POST", r"/reviews$", kind=Fault.DROPPED_AFTER)
    url = review(pulled, draft(5))
    found = page(pulled)["reviews"]
    assert len(found) == 103
    assert url.endswith(f"-{found[-1]['id']}")


def test_a_pending_review_of_its_own_account_is_deleted_first(pulled):
    begin(pulled, BOT)
    begin(pulled, "reviewer")
    review(pulled, draft(5))
    assert [entry.login for entry in pulled.fake.state.reviews.values() if entry.state == "PENDING"] == ["reviewer"]


@pytest.mark.parametrize("number", [1, 2])
def test_a_pending_review_that_is_begun_meanwhile_is_deleted_once(pulled, number):
    pulled.fake.before("POST", r"/reviews$", lambda: begin(pulled, BOT), times=number)
    if number == 1:
        review(pulled, draft(5))
        assert len(page(pulled)["reviews"]) == 1
        return
    with pytest.raises(GitHubRefusedError, match="one pending review"):
        review(pulled, draft(5))
    assert pulled.wrote().count("POST reviews") == 2


def test_a_pending_review_stands_in_the_way_of_no_single_comment(pulled):
    begin(pulled, BOT)
    single(pulled, draft(5))
    assert len(page(pulled)["review_comments"]) == 1


def test_a_pending_review_that_a_person_writes_is_not_deleted(pulled):
    number = begin(pulled, "reviewer")
    with pytest.raises(GitHubRefusedError, match="one pending review"):
        review(pulled, draft(5), repository=pulled.person(), login="reviewer")
    assert number in pulled.fake.state.reviews


def test_a_pending_review_that_is_gone_when_it_is_deleted_is_no_fault(pulled):
    number = begin(pulled, BOT)
    pulled.fake.before("DELETE", r"/reviews/", lambda: pulled.fake.state.reviews.pop(number))
    review(pulled, draft(5))
    assert len(page(pulled)["reviews"]) == 1


@pytest.mark.parametrize(("line", "place"), [(5, 5), (0, None)])
@pytest.mark.parametrize("kind", [None, *LOST, *LIMITS])
def test_a_comment_of_its_own_stands_there_once_whatever_is_lost(pulled, kind, line, place):
    if kind:
        pulled.fake.fail("POST", r"/pulls/7/comments$", kind=kind)
    url = single(pulled, draft(line))
    (found,) = page(pulled)["review_comments"]
    assert (found["path"], found["line"], found["body"]) == (CALC, place, BODY)
    assert url.endswith(f"#discussion_r{found['id']}")


def test_a_comment_of_its_own_may_be_about_several_lines(pulled):
    single(pulled, draft(31, start=28))
    (found,) = page(pulled)["review_comments"]
    assert (found["start_line"], found["line"]) == (28, 31)


def test_a_comment_is_not_mistaken_for_one_of_an_older_head_or_of_somebody_else(pulled):
    single(pulled, draft(5))
    person = pulled.person()
    post_review_comment(person, pulled.pull(), draft(5), login="reviewer")
    pulled.project.write("README.md", "more\n")
    pulled.fake.push(NUMBER, pulled.project.commit())
    pulled.fake.fail("POST", r"/pulls/7/comments$", kind=Fault.DROPPED)
    single(pulled, draft(5))
    assert [entry["login"] for entry in page(pulled)["review_comments"]] == [BOT, "reviewer", BOT]


def test_a_comment_that_cannot_stand_there_is_refused(pulled):
    with pytest.raises(GitHubRefusedError, match="Line could not be resolved"):
        single(pulled, draft(20))


@pytest.mark.parametrize("kind", [None, *LOST, *LIMITS])
def test_a_comment_in_the_conversation_stands_there_once(pulled, kind):
    if kind:
        pulled.fake.fail("POST", r"/issues/7/comments$", kind=kind)
    url = post_comment(pulled.repository(), NUMBER, BODY, login=BOT)
    (found,) = page(pulled)["comments"]
    assert found["body"] == BODY
    assert url.endswith(f"#issuecomment-{found['id']}")


def test_a_comment_in_the_conversation_is_looked_for_over_all_pages_and_by_its_author(pulled):
    for _ in range(101):
        pulled.fake.comment(NUMBER, "reviewer", BODY)
    pulled.fake.fail("POST", r"/issues/7/comments$", kind=Fault.BAD_GATEWAY_AFTER)
    url = post_comment(pulled.repository(), NUMBER, BODY, login=BOT)
    found = page(pulled)["comments"]
    assert len(found) == 102
    assert url.endswith(f"-{found[-1]['id']}")


@pytest.mark.parametrize("kind", [None, *LOST, *LIMITS])
def test_an_edit_is_made_whatever_is_lost(pulled, kind):
    comment = pulled.fake.comment(NUMBER, BOT, "old")
    if kind:
        pulled.fake.fail("PATCH", r"/issues/comments/", kind=kind)
    edit_comment(pulled.repository(), comment.id, BODY)
    assert [entry["body"] for entry in page(pulled)["comments"]] == [BODY]


def test_a_comment_of_somebody_else_cannot_be_edited(pulled):
    comment = pulled.fake.comment(NUMBER, "reviewer", "old")
    with pytest.raises(GitHubForbiddenError):
        edit_comment(pulled.repository(), comment.id, BODY)


@pytest.mark.parametrize("kind", [None, *LOST, *LIMITS])
def test_a_reaction_is_there_once_whatever_is_lost(pulled, kind):
    comment = pulled.fake.comment(NUMBER, "reviewer", "/gen-tests")
    if kind:
        pulled.fake.fail("POST", r"/reactions$", kind=kind)
    react(pulled.repository(), comment.id, "eyes")
    react(pulled.repository(), comment.id, "eyes")
    assert [(entry.content, entry.login) for entry in pulled.fake.state.reactions] == [("eyes", BOT)]


@pytest.mark.parametrize("kind", [None, *LOST])
def test_comments_are_hidden_whatever_is_lost(pulled, kind):
    review(pulled, draft(5), draft(30))
    first, second = page(pulled)["review_comments"]
    if kind:
        pulled.fake.fail("POST", r"/graphql$", kind=kind)
    assert minimize(pulled.repository(), [f"PRRC_{first['id']}"]) == ()
    assert [entry["minimized"] for entry in page(pulled)["review_comments"]] == ["OUTDATED", None]
    assert second["minimized"] is None


def test_what_cannot_be_hidden_is_told_and_the_rest_is_hidden(pulled):
    review(pulled, draft(5))
    (found,) = page(pulled)["review_comments"]
    assert minimize(pulled.repository(), ["PRRC_1", f"PRRC_{found['id']}", "PRRC_2"]) == ("PRRC_1", "PRRC_2")
    assert page(pulled)["review_comments"][0]["minimized"] == "OUTDATED"


@pytest.mark.parametrize("status", [Fault.FORBIDDEN, Fault.UNPROCESSABLE])
def test_a_refusal_is_not_repeated(pulled, status):
    pulled.fake.fail("POST", r"/issues/7/comments$", kind=status)
    with pytest.raises(GitHubError):
        post_comment(pulled.repository(), NUMBER, BODY, login=BOT)
    assert pulled.wrote() == ["POST comments"]
    assert pulled.slept == []
