"""What the fake remembers: plain records, and the few rules that hold wherever they are read."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.github.gitstore import GitStore

_START = datetime(2024, 1, 1, tzinfo=UTC)
_LEGACY = {"admin": "admin", "maintain": "write", "write": "write", "triage": "read", "read": "read", "none": "none"}


@dataclass(frozen=True, slots=True)
class Token:
    """What a client shows: ``app`` is what a workflow's GITHUB_TOKEN is, ``user`` somebody's own token."""

    name: str
    value: str
    login: str
    kind: str
    permissions: dict[str, str]
    repositories: frozenset[str]

    def may(self, access: str, names: tuple[str, ...]) -> bool:
        """Whether it has one of these rights; who may write may read."""
        return any(self.permissions.get(name) in {access, "write"} for name in names)


@dataclass(slots=True)
class Pull:
    number: int
    base_sha: str
    head_sha: str
    head_ref: str = "feature"
    head_repo: str | None = ""
    """The full name of the head's repository; empty for this one, None if it was deleted."""
    base_ref: str = "main"
    author: str = "contributor"
    title: str = "A change"
    body: str | None = None
    draft: bool = False
    state: str = "open"
    labels: tuple[str, ...] = ()
    created: str = ""
    updated: str = ""
    merged: bool = False

    @property
    def head_owner(self) -> str:
        return self.head_repo.split("/")[0] if self.head_repo else self.author


@dataclass(slots=True)
class Issue:
    number: int
    author: str = "reporter"
    title: str = "A question"
    body: str | None = None
    state: str = "open"
    created: str = ""
    updated: str = ""


@dataclass(slots=True)
class Comment:
    """A comment below an issue or a pull request."""

    id: int
    number: int
    login: str
    body: str
    created: str
    updated: str
    app: bool = False
    minimized: str | None = None


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a review comment stands, at the commit that it was made for; no line for a whole file."""

    path: str
    commit: str
    side: str = "RIGHT"
    line: int | None = None
    start_line: int | None = None
    start_side: str | None = None
    position: int | None = None
    hunk: str = ""


@dataclass(slots=True)
class ReviewComment(Comment):
    anchor: Anchor = field(kw_only=True)
    review: int = field(kw_only=True)
    in_reply_to: int | None = field(kw_only=True, default=None)

    @property
    def thread(self) -> int:
        """A thread goes by the id of its first comment."""
        return self.in_reply_to or self.id


@dataclass(slots=True)
class Review:
    id: int
    number: int
    login: str
    body: str
    state: str
    commit: str
    submitted: str | None


@dataclass(frozen=True, slots=True)
class Reaction:
    id: int
    comment: int
    content: str
    login: str
    created: str


@dataclass(slots=True)
class Run:
    id: int
    head_sha: str
    head_branch: str | None = "feature"
    head_repo: str = ""
    event: str = "pull_request"
    status: str = "completed"
    conclusion: str | None = "success"
    name: str = "CI"
    path: str = ".github/workflows/ci.yml"
    actor: str = "contributor"


@dataclass(slots=True)
class Artifact:
    id: int
    run: int
    name: str
    data: bytes
    expired: bool = False


@dataclass(slots=True)
class Check:
    """A check run; ``values`` is all that was sent for it."""

    id: int
    login: str
    values: dict
    annotations: list[dict] = field(default_factory=list)


class State:
    def __init__(self, git: GitStore, repository: str, default_branch: str, *, private: bool) -> None:
        self.lock = threading.RLock()
        self.git = git
        self.repository = repository
        self.default_branch = default_branch
        self.private = private
        self.api = self.storage = ""
        self.web = "https://github.example"
        self.tokens: dict[str, Token] = {}
        self.collaborators: dict[str, str] = {}
        self.pulls: dict[int, Pull] = {}
        self.issues: dict[int, Issue] = {}
        self.comments: dict[int, Comment] = {}
        self.review_comments: dict[int, ReviewComment] = {}
        self.reviews: dict[int, Review] = {}
        self.resolved: dict[int, str] = {}
        self.reactions: list[Reaction] = []
        self.runs: dict[int, Run] = {}
        self.artifacts: dict[int, Artifact] = {}
        self.checks: dict[int, Check] = {}
        self.fork_commits_have_pulls = False
        self.largest_patch = 20_000
        self.most_files = 3_000
        self.rate_limit = self.rate_remaining = 5_000
        self.rate_reset = int(datetime.now(UTC).timestamp()) + 3_600
        self._ticks = 0
        self._last_id = 1_000

    @property
    def owner(self) -> str:
        return self.repository.split("/")[0]

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def now(self) -> str:
        """Each moment is a second after the last, whatever the clock says: an order by time is then the same each run."""
        self._ticks += 1
        return (_START + timedelta(seconds=self._ticks)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def find_repository(self, name: str) -> str | None:
        """The repositories that exist are this one and those that a pull request came from."""
        known = [self.repository, *(pull.head_repo for pull in self.pulls.values() if pull.head_repo)]
        return next((full for full in known if full.lower() == name.lower()), None)

    def role(self, login: str) -> str | None:
        return "admin" if login == self.owner else self.collaborators.get(login)

    def legacy_permission(self, login: str) -> str | None:
        role = self.role(login)
        return None if role is None else _LEGACY[role]

    def is_pending(self, comment: Comment) -> bool:
        return isinstance(comment, ReviewComment) and self.reviews[comment.review].state == "PENDING"

    def any_comment(self, comment: int) -> Comment:
        return self.comments.get(comment) or self.review_comments[comment]

    def visible_comments(self, number: int, login: str | None = None) -> list[ReviewComment]:
        """The review comments of a pull request; those of a pending review only for who began it."""
        return [
            comment
            for comment in self.review_comments.values()
            if comment.number == number and (not self.is_pending(comment) or comment.login == login)
        ]

    def move_branch(self, repository: str, branch: str, sha: str) -> None:
        """Set a branch, and with it the head of the open pull requests that it is the head of."""
        self.git.set_ref(repository, f"refs/heads/{branch}", sha)
        for pull in self.pulls.values():
            if (pull.head_repo, pull.head_ref, pull.state) == (repository, branch, "open"):
                self.move_head(pull, sha)

    def open_pull(self, pull: Pull) -> Pull:
        """Remember a pull request, and set the branches that it names."""
        pull.created = pull.updated = self.now()
        pull.head_repo = self.repository if pull.head_repo == "" else pull.head_repo
        self.pulls[pull.number] = pull
        self.git.set_ref(self.repository, f"refs/heads/{pull.base_ref}", pull.base_sha)
        if pull.head_repo:
            self.git.set_ref(pull.head_repo, f"refs/heads/{pull.head_ref}", pull.head_sha)
        self.git.set_ref(self.repository, f"refs/pull/{pull.number}/head", pull.head_sha)
        return pull

    def move_head(self, pull: Pull, sha: str) -> None:
        pull.head_sha, pull.updated = sha, self.now()
        self.git.set_ref(self.repository, f"refs/pull/{pull.number}/head", sha)

    def delete_comment(self, comment: int) -> None:
        self.comments.pop(comment, None)
        self.review_comments.pop(comment, None)
        self.reactions = [reaction for reaction in self.reactions if reaction.comment != comment]
