"""What is written to a pull request: reviews, comments, reactions. Each of them once, whatever the network does.

After an answer that leaves open whether a write took place, the caller's markers tell: what is posted begins with
hidden lines that nobody else writes, so it can be looked for before it is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from github.Commit import Commit
from github.IssueComment import IssueComment as FoundIssueComment
from github.PullRequestReview import PullRequestReview

from llm_testgen.edges.github.client import GitHubRepository
from llm_testgen.errors import GitHubError, GitHubForbiddenError, GitHubRefusedError
from llm_testgen.pulls import Draft, Pull

_MINIMIZE = """
mutation ($subject: ID!) {
  minimizeComment(input: {subjectId: $subject, classifier: OUTDATED}) { minimizedComment { isMinimized } }
}
"""
_HAS_PENDING = "pending review"
_MARKER = "<!-- llm-testgen:"
_BOT = "[bot]"


def post_review(repository: GitHubRepository, pull: Pull, drafts: Iterable[Draft], *, body: str, login: str) -> str:
    """Submit one review with all of its comments; its page.

    Args:
        repository: Where to.
        pull: The pull request; the review is of its head.
        drafts: Comments on lines, none on a whole file.
        body: Text of the review as a whole; its first line is a marker that is found again.
        login: Who writes.

    Raises:
        GitHubRefusedError: One of the comments cannot be where it is put; nothing was posted.
        GitHubError: It cannot be posted.
    """
    found = repository.pull(pull.number)
    commit = Commit(repository.api.requester, {}, {"sha": pull.head}, completed=True)
    comments = [_line_comment(draft) for draft in drafts]
    marker = body.partition("\n")[0]

    def post() -> str:
        return found.create_review(commit=commit, body=body, event="COMMENT", comments=comments).html_url  # type: ignore[arg-type]  # PyGithub's ReviewComment wants all keys

    def posted() -> str | None:
        own = (review for review in _own_reviews(repository, pull, login) if review.state != "PENDING")
        return next((review.html_url for review in own if (review.body or "").startswith(marker)), None)

    _delete_pending(repository, pull, login)
    return _past_pending(repository, pull, login, lambda: repository.patience.write(post, posted))


def post_review_comment(repository: GitHubRepository, pull: Pull, draft: Draft, *, login: str) -> str:
    """Post one review comment by itself, on lines or on the file as a whole; its page.

    Raises:
        GitHubRefusedError: It cannot be where it is put.
        GitHubError: It cannot be posted.
    """
    found = repository.pull(pull.number)
    content: dict[str, object] = {"commit_id": pull.head, **_line_comment(draft)}
    if not draft.line:
        content = {"commit_id": pull.head, "path": draft.path, "body": draft.body, "subject_type": "file"}
    marker = draft.body.partition("\n")[0]

    def post() -> str:
        _, data = repository.api.requester.requestJsonAndCheck("POST", f"{found.url}/comments", input=content)
        return str(data["html_url"])

    def posted() -> str | None:
        comments = repository.read_all(found.get_review_comments)
        own = (comment for comment in comments if comment.user and comment.user.login == login)
        at_head = (comment for comment in own if comment.original_commit_id == pull.head)
        return next((comment.html_url for comment in at_head if comment.body.startswith(marker)), None)

    return _past_pending(repository, pull, login, lambda: repository.patience.write(post, posted))


def post_comment(repository: GitHubRepository, number: int, body: str, *, login: str) -> str:
    """Post a comment to the conversation, unless one with its first line, which is a marker, stands there; its page."""
    found = repository.pull(number)
    marker = body.partition("\n")[0]

    def posted() -> str | None:
        comments: tuple[FoundIssueComment, ...] = repository.read_all(found.get_issue_comments)
        own = (comment for comment in comments if comment.user and comment.user.login == login)
        return next((comment.html_url for comment in own if comment.body.startswith(marker)), None)

    return posted() or repository.patience.write(lambda: found.create_issue_comment(body).html_url, posted)


def edit_comment(repository: GitHubRepository, comment: int, body: str) -> None:
    """Replace the text of a comment of the conversation; doing it twice does no harm."""
    url = f"{repository.api.url}/issues/comments/{comment}"
    repository.patience.read(lambda: repository.api.requester.requestJsonAndCheck("PATCH", url, input={"body": body}))


def react(repository: GitHubRepository, comment: int, content: str) -> None:
    """React to a comment of the conversation; the same reaction again changes nothing."""
    url = f"{repository.api.url}/issues/comments/{comment}/reactions"
    repository.patience.read(
        lambda: repository.api.requester.requestJsonAndCheck("POST", url, input={"content": content})
    )


def minimize(repository: GitHubRepository, node_ids: Iterable[str]) -> tuple[str, ...]:
    """Hide comments as outdated; gives those that could not be hidden."""
    failed = []
    for node_id in node_ids:
        try:
            repository.mutate(_MINIMIZE, {"subject": node_id})
        except GitHubError:
            failed.append(node_id)
    return tuple(failed)


def _line_comment(draft: Draft) -> Mapping[str, object]:
    """As GitHub wants it; a start that equals the line is refused by it."""
    comment: dict[str, object] = {"path": draft.path, "body": draft.body, "line": draft.line, "side": "RIGHT"}
    if draft.start < draft.line:
        comment |= {"start_line": draft.start, "start_side": "RIGHT"}
    return comment


def _past_pending(repository: GitHubRepository, pull: Pull, login: str, write: Callable[[], str]) -> str:
    """Write, once more if a review stands in the way that was begun meanwhile."""
    try:
        return write()
    except GitHubRefusedError as error:
        if _HAS_PENDING not in str(error):
            raise
    _delete_pending(repository, pull, login)
    return write()


def _delete_pending(repository: GitHubRepository, pull: Pull, login: str) -> None:
    """Delete a review that was begun and not submitted: it would block every other one of the account.

    A person whose token this is may be writing one: theirs is left.
    """
    for review in _own_reviews(repository, pull, login):
        ours = login.endswith(_BOT) or (review.body or "").startswith(_MARKER)
        if review.state == "PENDING" and ours:
            with suppress(GitHubForbiddenError):  # gone already: an answer was lost
                repository.patience.read(review.delete)


def _own_reviews(repository: GitHubRepository, pull: Pull, login: str) -> list[PullRequestReview]:
    reviews = repository.read_all(repository.pull(pull.number).get_reviews)
    return [review for review in reviews if review.user and review.user.login == login]
