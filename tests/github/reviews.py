"""Reviews: many comments at once, all of them or none, and what GitHub refuses about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from tests.github import objects
from tests.github.anchors import AnchorError, find_anchor
from tests.github.comments import append_comment, check_commit, comment_urls, find_pull, pending_review, review_comment
from tests.github.objects import Json
from tests.github.router import LONGEST_BODY, Answer, Call, Refusal, not_found, route
from tests.github.state import Anchor, Pull, Review, ReviewComment, State

_FIELDS = frozenset({"path", "body", "position", "line", "side", "start_line", "start_side"})
_STATES = {"COMMENT": "COMMENTED", "APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED"}
_ONE_PENDING = "User can only have one pending review per pull request"
# What only the comment's own endpoint tells.
_LINES = ("line", "start_line", "original_line", "original_start_line", "side", "start_side", "subject_type")


def _refuse(errors: Iterable[str]) -> None:
    """Refuse if there is anything to say against a review."""
    if found := list(errors):
        raise Refusal(422, "Unprocessable Entity", found)


@route("POST", "/pulls/{pull_number}/reviews", "pull_requests")
def create_review(call: Call) -> Answer:
    state, pull, body = call.state, find_pull(call), call.body
    comments, event, text = body.get("comments", []), body.get("event"), body.get("body") or ""
    commit = body.get("commit_id", pull.head_sha)
    _refuse(islice(_complaints(call, pull, commit), 1))
    anchors = _anchors(state, pull, commit, comments)
    review = Review(state.next_id(), pull.number, call.token.login, text, "PENDING", commit, None)
    state.reviews[review.id] = review
    if event:
        review.state, review.submitted = _STATES[event], state.now()
    for comment, anchor in zip(comments, anchors, strict=True):
        append_comment(state, review, call.token, (comment["body"], anchor))
    return Answer(review_object(state, review))


def _complaints(call: Call, pull: Pull, commit: str) -> Iterator[str]:
    """What is refused whatever the comments stand on."""
    body, login = call.body, call.token.login
    comments, event, text = body.get("comments", []), body.get("event"), body.get("body") or ""
    said = [comment["body"] for comment in comments]
    if pending_review(call.state, pull.number, login):
        yield _ONE_PENDING
    if event in {"APPROVE", "REQUEST_CHANGES"} and login == pull.author:
        yield f"Can not {event.lower().replace('_', ' ')} on your own pull request"
    if not all(map(str.strip, said)) or (event == "REQUEST_CHANGES" and not text.strip()):
        yield "Body can't be blank"
    if event == "COMMENT" and not text.strip() and not comments:
        yield "Review must have a body or comments"
    yield from _too_long(text, *said)
    for key in sorted({key for comment in comments for key in comment.keys() - _FIELDS}):
        yield f"Variable $threads: {key} is not a defined input field"
    if not check_commit(call.state, pull, commit):
        yield "The commit_id is not part of the pull request"


def _too_long(*texts: str) -> Iterator[str]:
    if any(len(text) > LONGEST_BODY for text in texts):
        yield f"Body is too long (maximum is {LONGEST_BODY} characters)"


def _anchors(state: State, pull: Pull, commit: str, comments: Sequence[dict[str, Any]]) -> list[Anchor]:
    """The anchors of all comments; a single bad one fails them all, and the answer does not say which."""
    anchors, errors = [], []
    for comment in comments:
        try:
            anchors.append(find_anchor(state, pull, commit, comment))
        except AnchorError as error:
            errors.append(str(error))
    _refuse(dict.fromkeys(errors))
    return anchors


def review_object(state: State, review: Review) -> Json:
    pull = objects.pull_urls(state, review.number)
    html = f"{pull['html_url']}#pullrequestreview-{review.id}"
    shown = {
        "id": review.id,
        "node_id": f"PRR_{review.id}",
        "user": objects.user(state, review.login),
        "body": review.body,
        "state": review.state,
        "html_url": html,
        "pull_request_url": pull["url"],
        "author_association": objects.association(state, review.login),
        "_links": {"html": {"href": html}, "pull_request": {"href": pull["url"]}},
        "commit_id": review.commit,
    }
    return shown | ({"submitted_at": review.submitted} if review.submitted else {})


def _visible_reviews(call: Call, pull: Pull) -> list[Review]:
    """A review that is not submitted yet is seen by its author alone."""
    reviews = [review for review in call.state.reviews.values() if review.number == pull.number]
    return [review for review in reviews if review.state != "PENDING" or review.login == call.token.login]


def _find_review(call: Call) -> Review:
    number = call.number("review_id")
    found = next((review for review in _visible_reviews(call, find_pull(call)) if review.id == number), None)
    if found is None:
        raise not_found()
    return found


@route("GET", "/pulls/{pull_number}/reviews", "pull_requests")
def list_reviews(call: Call) -> Answer:
    reviews = _visible_reviews(call, find_pull(call))
    return call.page(reviews, lambda page: [review_object(call.state, review) for review in page])


@route("GET", "/pulls/{pull_number}/reviews/{review_id}", "pull_requests")
def get_review(call: Call) -> Answer:
    return Answer(review_object(call.state, _find_review(call)))


@route("PUT", "/pulls/{pull_number}/reviews/{review_id}", "pull_requests")
def edit_review(call: Call) -> Answer:
    review, text = _find_review(call), call.body["body"]
    if review.login != call.token.login:
        raise Refusal(403, "Resource not accessible by integration")
    _refuse(_too_long(text))
    review.body = text
    return Answer(review_object(call.state, review))


@route("DELETE", "/pulls/{pull_number}/reviews/{review_id}", "pull_requests")
def delete_review(call: Call) -> Answer:
    review = _find_review(call)
    if review.state != "PENDING":
        raise Refusal(422, "Unprocessable Entity", ["Can not delete a non-pending pull request review"])
    shown = review_object(call.state, review)
    for comment in _comments_of(call.state, review):
        call.state.delete_comment(comment.id)
    del call.state.reviews[review.id]
    return Answer(shown)


@route("GET", "/pulls/{pull_number}/reviews/{review_id}/comments", "pull_requests")
def list_review_comments(call: Call) -> Answer:
    comments = _comments_of(call.state, _find_review(call))
    return call.page(comments, lambda page: [_in_review(call.state, comment) for comment in page])


def _comments_of(state: State, review: Review) -> list[ReviewComment]:
    return [comment for comment in state.review_comments.values() if comment.review == review.id]


def _in_review(state: State, comment: ReviewComment) -> Json:
    """GitHub lists a review's comments without their lines: a client has to ask for each, or for all of the pull's."""
    shown = review_comment(state, comment)
    return {key: value for key, value in shown.items() if key not in _LINES} | comment_urls(state, comment)
