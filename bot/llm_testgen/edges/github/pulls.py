"""What GitHub knows of a pull request: read, never written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from github.File import File
from github.IssueComment import IssueComment as FoundIssueComment
from github.PullRequest import PullRequest
from github.PullRequestComment import PullRequestComment
from pydantic import BaseModel, Field

from llm_testgen.edges.github.client import GitHubRepository
from llm_testgen.errors import GitHubForbiddenError, UsageError
from llm_testgen.pulls import IssueComment, Pull, ReviewComment, Standing

# REST tells neither whether a conversation was resolved nor whether a comment is hidden.
_THREADS = """
query ($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviewThreads(first: 100, after: $after) {
        nodes { isResolved comments(first: 100) { nodes { databaseId isMinimized minimizedReason } } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}
"""
_WRITERS = frozenset({"admin", "maintain", "write"})


class _ThreadComment(BaseModel):
    id: int | None = Field(alias="databaseId")
    minimized: bool = Field(alias="isMinimized")
    reason: str | None = Field(alias="minimizedReason")


class _ThreadComments(BaseModel):
    nodes: tuple[_ThreadComment, ...]


class _Thread(BaseModel):
    resolved: bool = Field(alias="isResolved")
    comments: _ThreadComments


class _PageInfo(BaseModel):
    more: bool = Field(alias="hasNextPage")
    end: str | None = Field(alias="endCursor")


class _ThreadPage(BaseModel):
    nodes: tuple[_Thread, ...]
    page: _PageInfo = Field(alias="pageInfo")


class _PullThreads(BaseModel):
    threads: _ThreadPage = Field(alias="reviewThreads")


class _RepositoryThreads(BaseModel):
    pull: _PullThreads = Field(alias="pullRequest")


class _ThreadsAnswer(BaseModel):
    repository: _RepositoryThreads


def read_pull(repository: GitHubRepository, number: int) -> Pull:
    """A pull request as it is at this moment.

    Raises:
        GitHubForbiddenError: There is none of that number that the token can see.
    """
    return repository.patience.read(lambda: _pull(repository.api.get_pull(number)))


def read_standing(repository: GitHubRepository, pull: Pull) -> Standing:
    """Everything that is there already, over all pages."""
    found = repository.pull(pull.number)
    comments = read_comments(repository, pull.number)
    threads = dict(_threads(repository, pull.number)) if comments else {}
    return Standing(
        pull=pull,
        login=repository.login(),
        patches=dict(repository.read_all(lambda: map(_patch, found.get_files()))),
        comments=tuple(_in_thread(comment, threads) for comment in comments),
        conversation=repository.read_all(lambda: map(_issue_comment, found.get_issue_comments())),
    )


def read_comments(repository: GitHubRepository, number: int) -> tuple[ReviewComment, ...]:
    """The review comments of a pull request, without what only their conversations tell."""
    found = repository.pull(number)
    return repository.read_all(lambda: map(_review_comment, found.get_review_comments()))


def pulls_of_head(repository: GitHubRepository, head: str, branch: str, head_repository: str) -> tuple[Pull, ...]:
    """Open pull requests whose head is this commit on this branch of this repository.

    The way from a workflow run to the pull request of a fork: the run's own list of them is empty then.
    """
    owner = head_repository.partition("/")[0]
    listed = repository.read_all(lambda: map(_pull, repository.api.get_pulls(state="open", head=f"{owner}:{branch}")))
    same = head_repository.casefold()
    return tuple(pull for pull in listed if pull.head == head and pull.head_repository.casefold() == same)


def file_at(repository: GitHubRepository, path: str, commit: str) -> str | None:
    """A file's text at a commit; None when nothing is there.

    Raises:
        UsageError: What is there is no text that can be read: a folder, a link, too large, or not UTF-8.
        GitHubError: It cannot be told.
    """
    try:
        found = repository.patience.read(lambda: repository.api.get_contents(path, ref=commit))
    except GitHubForbiddenError:
        return None
    try:
        if not isinstance(found, list) and found.type == "file" and found.encoding == "base64":
            return found.decoded_content.decode()
    except UnicodeDecodeError:
        pass
    msg = f"{path} is no text file at {commit[:10]} that could be read: tests cannot be put into it"
    raise UsageError(msg)


def may_write(repository: GitHubRepository, login: str) -> bool:
    """Whether a person may write to the repository; an answer that cannot be had means no."""
    try:
        # GitHub tells the role "maintain" as "write" here, and "triage" as "read".
        return repository.patience.read(lambda: repository.api.get_collaborator_permission(login)) in _WRITERS
    except GitHubForbiddenError:
        return False


def _pull(found: PullRequest) -> Pull:
    # A fork that was deleted leaves a null, which PyGithub's annotations do not know.
    home = getattr(found.head.repo, "full_name", "")
    return Pull(
        number=found.number,
        head=found.head.sha,
        head_branch=found.head.ref,
        head_repository=home,
        base=found.base.sha,
        base_branch=found.base.ref,
        is_open=found.state == "open",
        draft=bool(found.draft),
        url=found.html_url,
    )


def _patch(found: File) -> tuple[str, str | None]:
    return found.filename, found.patch


def _review_comment(found: PullRequestComment) -> ReviewComment:
    about_file = found.subject_type == "file"
    return ReviewComment(
        id=found.id,
        node_id=found.node_id,
        author=_login(found),
        body=found.body or "",
        url=found.html_url,
        outdated=not about_file and found.line is None,
        thumbs_down=int((found.reactions or {}).get("-1", 0)),
    )


def _issue_comment(found: FoundIssueComment) -> IssueComment:
    return IssueComment(found.id, _login(found), found.body or "", found.html_url)


def _login(comment: PullRequestComment | FoundIssueComment) -> str:
    """Who wrote a comment; empty for an account that was deleted."""
    return getattr(comment.user, "login", "")


def _in_thread(comment: ReviewComment, threads: Mapping[int, tuple[bool, _ThreadComment]]) -> ReviewComment:
    if comment.id not in threads:
        return comment
    resolved, found = threads[comment.id]
    outdated = found.minimized and (found.reason or "").lower() == "outdated"
    return replace(comment, resolved=resolved, minimized=found.minimized, hidden_as_outdated=outdated)


def _threads(repository: GitHubRepository, number: int) -> Iterator[tuple[int, tuple[bool, _ThreadComment]]]:
    """For each review comment its number, whether its conversation is resolved, and how it is shown in there."""
    owner, _, name = repository.name.partition("/")
    after: str | None = None
    while True:
        variables = {"owner": owner, "name": name, "number": number, "after": after}
        answer = _ThreadsAnswer.model_validate(repository.query(_THREADS, variables))
        page = answer.repository.pull.threads
        for thread in page.nodes:
            yield from (
                (comment.id, (thread.resolved, comment)) for comment in thread.comments.nodes if comment.id is not None
            )
        if not page.page.more:
            return
        after = page.page.end
