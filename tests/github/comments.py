"""Comments on the lines of a pull request, one by one: what they look like, and the endpoints for them."""

from __future__ import annotations

from tests.github import objects
from tests.github.anchors import AnchorError, find_anchor, present_place, whole_file
from tests.github.objects import Json
from tests.github.router import Answer, Call, Refusal, check_body, invalid, not_found, route
from tests.github.state import Anchor, Comment, Pull, Review, ReviewComment, State, Token

_RESOURCE = "PullRequestReviewComment"
_REVIEW = "PullRequestReview"
_FIELDS = frozenset(
    {"body", "commit_id", "in_reply_to", "line", "path", "position", "side", "start_line", "start_side", "subject_type"}
)


def review_comment(state: State, comment: ReviewComment) -> Json:
    """A comment as its own endpoint shows it: with the lines where it stands now, or null if it is outdated."""
    anchor, place = comment.anchor, present_place(state, comment)
    urls = comment_urls(state, comment)
    shown = urls | {
        "_links": {
            "self": {"href": urls["url"]},
            "html": {"href": urls["html_url"]},
            "pull_request": {"href": urls["pull_request_url"]},
        },
        "id": comment.id,
        "node_id": f"PRRC_{comment.id}",
        "pull_request_review_id": comment.review,
        "diff_hunk": anchor.hunk,
        "path": anchor.path,
        "commit_id": state.pulls[comment.number].head_sha if place else anchor.commit,
        "original_commit_id": anchor.commit,
        "user": objects.user(state, comment.login),
        "body": comment.body,
        "created_at": comment.created,
        "updated_at": comment.updated,
        "author_association": objects.association(state, comment.login),
        "reactions": objects.reactions(state, comment.id, urls["url"]),
        "line": place.line if place else None,
        "start_line": place.start_line if place else None,
        "position": place.position if place else None,
        "original_line": anchor.line,
        "original_start_line": anchor.start_line,
        "original_position": anchor.position or 1,
        "side": anchor.side,
        "start_side": anchor.start_side,
        "subject_type": "file" if anchor.line is None else "line",
    }
    return shown | ({"in_reply_to_id": comment.in_reply_to} if comment.in_reply_to else {})


def comment_urls(state: State, comment: ReviewComment) -> Json:
    pull = objects.pull_urls(state, comment.number)
    return {
        "url": f"{state.api}/repos/{state.repository}/pulls/comments/{comment.id}",
        "html_url": f"{pull['html_url']}#discussion_r{comment.id}",
        "pull_request_url": pull["url"],
    }


def find_pull(call: Call) -> Pull:
    pull = call.state.pulls.get(call.number("pull_number"))
    if pull is None or call.repository != call.state.repository:
        raise not_found()
    return pull


def find_comment(call: Call) -> ReviewComment:
    comment = call.state.review_comments.get(call.number("comment_id"))
    if comment is None or (call.state.is_pending(comment) and comment.login != call.token.login):
        raise not_found()
    return comment


def check_author(call: Call, comment: Comment) -> None:
    """An app changes its own comments only; a person with the right to write changes anybody's."""
    if comment.login != call.token.login and call.token.kind == "app":
        raise Refusal(403, "Resource not accessible by integration")


def pending_review(state: State, number: int, login: str) -> Review | None:
    """The review that somebody began and did not submit; it blocks whatever they would add to the pull request."""
    mine = (review for review in state.reviews.values() if (review.number, review.login) == (number, login))
    return next((review for review in mine if review.state == "PENDING"), None)


def check_commit(state: State, pull: Pull, sha: str) -> bool:
    """Whether a commit belongs to a pull request."""
    return any(str(commit.id) == sha for commit in state.git.commits_between(pull.base_sha, pull.head_sha))


def in_order(call: Call, comments: list[ReviewComment]) -> list[ReviewComment]:
    since, sort = call.query.get("since", ""), call.query.get("sort", "created")
    wanted = [comment for comment in comments if comment.updated >= since]
    descending = call.query.get("direction", "asc") == "desc"
    return sorted(wanted, key=lambda comment: getattr(comment, sort), reverse=descending)


@route("GET", "/pulls/{pull_number}/comments", "pull_requests")
def list_comments(call: Call) -> Answer:
    pull = find_pull(call)
    comments = in_order(call, call.state.visible_comments(pull.number))
    return call.page(comments, lambda page: [review_comment(call.state, comment) for comment in page])


@route("GET", "/pulls/comments/{comment_id}", "pull_requests")
def get_comment(call: Call) -> Answer:
    return Answer(review_comment(call.state, find_comment(call)))


@route("PATCH", "/pulls/comments/{comment_id}", "pull_requests")
def edit_comment(call: Call) -> Answer:
    comment = find_comment(call)
    check_author(call, comment)
    check_body(call.body["body"], _RESOURCE)
    comment.body, comment.updated = call.body["body"], call.state.now()
    return Answer(review_comment(call.state, comment))


@route("DELETE", "/pulls/comments/{comment_id}", "pull_requests")
def delete_comment(call: Call) -> Answer:
    comment = find_comment(call)
    check_author(call, comment)
    call.state.delete_comment(comment.id)
    return Answer(status=204)


@route("POST", "/pulls/{pull_number}/comments", "pull_requests")
def create_comment(call: Call) -> Answer:
    pull, body = find_pull(call), call.body
    if unknown := body.keys() - _FIELDS:
        raise invalid(_RESOURCE, min(unknown), "custom", f"{min(unknown)} is not a permitted key")
    check_body(body["body"], _RESOURCE)
    _check_not_pending(call, pull)
    if reply_to := body.get("in_reply_to"):
        return Answer(review_comment(call.state, _reply(call, pull, reply_to)), 201)
    if not check_commit(call.state, pull, body["commit_id"]):
        raise invalid(_RESOURCE, "commit_id", "custom", "commit_id is not part of the pull request")
    whole = body.get("subject_type") == "file"
    try:
        if whole:
            anchor = whole_file(call.state, pull, body["commit_id"], body["path"])
        else:
            anchor = find_anchor(call.state, pull, body["commit_id"], body)
    except AnchorError as error:
        message = f"pull_request_review_thread: {error}"
        raise invalid(_RESOURCE, "pull_request_review_thread.line", "custom", message) from None
    comment = add_comment(call.state, pull, call.token, (body["body"], anchor))
    return Answer(review_comment(call.state, comment), 201)


@route("POST", "/pulls/{pull_number}/comments/{comment_id}/replies", "pull_requests")
def reply(call: Call) -> Answer:
    pull = find_pull(call)
    check_body(call.body["body"], _RESOURCE)
    _check_not_pending(call, pull)
    return Answer(review_comment(call.state, _reply(call, pull, call.number("comment_id"))), 201)


def _check_not_pending(call: Call, pull: Pull) -> None:
    if pending_review(call.state, pull.number, call.token.login):
        message = "user_id can only have one pending review per pull request"
        raise invalid(_REVIEW, "user_id", "custom", message)


def _reply(call: Call, pull: Pull, comment: int) -> ReviewComment:
    parent = call.state.review_comments.get(comment)
    if parent is None or parent.number != pull.number:
        raise not_found()
    return add_reply(call.state, parent, call.token, call.body["body"])


def add_reply(state: State, parent: ReviewComment, token: Token, body: str) -> ReviewComment:
    return add_comment(state, state.pulls[parent.number], token, (body, parent.anchor), parent.thread)


def add_comment(
    state: State, pull: Pull, token: Token, said: tuple[str, Anchor], in_reply_to: int | None = None
) -> ReviewComment:
    """A comment of its own, which GitHub puts into a review of its own."""
    now = state.now()
    review = Review(state.next_id(), pull.number, token.login, "", "COMMENTED", said[1].commit, now)
    state.reviews[review.id] = review
    return append_comment(state, review, token, said, in_reply_to)


def append_comment(
    state: State, review: Review, token: Token, said: tuple[str, Anchor], in_reply_to: int | None = None
) -> ReviewComment:
    now, (body, anchor) = state.now(), said
    comment = ReviewComment(
        id=state.next_id(),
        number=review.number,
        login=token.login,
        body=body,
        created=now,
        updated=now,
        app=token.kind == "app",
        anchor=anchor,
        review=review.id,
        in_reply_to=in_reply_to,
    )
    state.review_comments[comment.id] = comment
    return comment
