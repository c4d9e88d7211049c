"""GitHub, as far as the bot sees it: a server on the loopback interface in front of a real git repository.

It checks every request and every response against GitHub's own description, and holds the rules that this does not tell::

    with FakeGitHub(project.root) as fake:
        secret = fake.token("writer", permissions={"contents": "read", "pull_requests": "write"})
        fake.add_pull(7, base, head, head_ref="topic")
        ...  # a client at fake.url, with that token
        assert fake.violations == []
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.github import anchors, comments, issues, suggestions
from tests.github.faults import Fault, PlannedCall, PlannedFault
from tests.github.gitstore import GitStore
from tests.github.server import Request, Servers, Service
from tests.github.state import Artifact, Check, Comment, Issue, Pull, ReviewComment, Run, State, Token

_BOT = "github-actions[bot]"


class FakeGitHub:
    """One repository, its pull requests and all that was said about them; ``with`` starts and stops the server."""

    def __init__(
        self,
        repository: Path,
        owner: str = "octo-org",
        name: str = "sample",
        *,
        branch: str = "main",
        private: bool = False,
    ) -> None:
        git = GitStore(repository)
        self.state = State(git, f"{owner}/{name}", branch, private=private)
        self.leaked_tokens: list[str] = []
        self._service = Service(self.state)
        for ref, sha in git.branches().items():
            git.set_ref(self.full_name, f"refs/heads/{ref}", sha)

    def __enter__(self) -> Self:
        self._servers = Servers(self._service, self.leaked_tokens)
        self.state.api, self.state.storage = self._servers.api, self._servers.storage
        self._servers.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._servers.stop()

    # What it is, and what was seen

    @property
    def url(self) -> str:
        """What GITHUB_API_URL would be."""
        return self.state.api

    @property
    def web(self) -> str:
        """What GITHUB_SERVER_URL would be; nothing answers there."""
        return self.state.web

    @property
    def full_name(self) -> str:
        return self.state.repository

    @property
    def requests(self) -> list[Request]:
        """Every request, oldest first."""
        return self._service.requests

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.is_write]

    @property
    def violations(self) -> list[str]:
        """What departed from GitHub's description, by whose fault ever, and what the fake itself failed at."""
        return self._service.violations

    @property
    def checks(self) -> list[Check]:
        return list(self.state.checks.values())

    @property
    def collaborators(self) -> dict[str, str]:
        """Login → admin, maintain, write, triage, read or none."""
        return self.state.collaborators

    @collaborators.setter
    def collaborators(self, roles: Mapping[str, str]) -> None:
        self.state.collaborators = dict(roles)

    @property
    def strict_pace(self) -> float:
        """Writes that come closer together than this, in seconds, are violations."""
        return self._service.strict_pace

    @strict_pace.setter
    def strict_pace(self, seconds: float) -> None:
        self._service.strict_pace = seconds

    # Who may ask

    def token(
        self,
        name: str,
        permissions: Mapping[str, str] | None = None,
        login: str = _BOT,
        kind: str = "app",
        repositories: tuple[str, ...] = (),
    ) -> str:
        """The secret of a new token; ``app`` stands for a GITHUB_TOKEN, ``user`` for a person's own token."""
        secret = f"ghs_{hashlib.sha256(name.encode()).hexdigest()[:36]}"
        where = frozenset(repositories or (self.full_name,))
        self.state.tokens[secret] = Token(name, secret, login, kind, dict(permissions or {}), where)
        return secret

    # What happens

    def add_pull(self, number: int, base_sha: str, head_sha: str, **details: Any) -> Pull:
        """Open a pull request; ``details`` are fields of ``Pull``, and ``state`` may be "merged", too."""
        if details.get("state") == "merged":
            details |= {"state": "closed", "merged": True}
        with self.state.lock:
            return self.state.open_pull(Pull(number, base_sha, head_sha, **details))

    def add_issue(self, number: int, **details: Any) -> Issue:
        with self.state.lock:
            issue = Issue(number, **details)
            issue.created = issue.updated = self.state.now()
            self.state.issues[number] = issue
            return issue

    def push(self, number: int, sha: str) -> None:
        """Move the head of a pull request, forward or not."""
        with self.state.lock:
            pull = self.state.pulls[number]
            if pull.head_repo:
                self.state.git.set_ref(pull.head_repo, f"refs/heads/{pull.head_ref}", sha)
            self.state.move_head(pull, sha)

    def close(self, number: int, *, merged: bool = False) -> None:
        with self.state.lock:
            pull = self.state.pulls[number]
            pull.state, pull.merged, pull.updated = "closed", merged, self.state.now()

    def branch(self, name: str, repository: str = "") -> str | None:
        """The commit that a branch is at."""
        with self.state.lock:
            return self.state.git.get_ref(repository or self.full_name, f"refs/heads/{name}")

    def comment(self, number: int, login: str, body: str) -> Comment:
        """Somebody comments on a pull request or an issue."""
        with self.state.lock:
            return issues.add_comment(self.state, number, self._person(login), body)

    def reply(self, comment_id: int, login: str, body: str) -> ReviewComment:
        """Somebody replies to a review comment."""
        with self.state.lock:
            return comments.add_reply(self.state, self.state.review_comments[comment_id], self._person(login), body)

    def react(self, comment_id: int, content: str, login: str) -> None:
        with self.state.lock:
            issues.add_reaction(self.state, self.state.any_comment(comment_id).id, content, login)

    def resolve(self, comment_id: int, login: str = "contributor") -> None:
        """Somebody resolves the thread of a review comment."""
        with self.state.lock:
            self.state.resolved[self.state.review_comments[comment_id].thread] = login

    def minimize(self, comment_id: int, classifier: str = "OUTDATED") -> None:
        with self.state.lock:
            self.state.any_comment(comment_id).minimized = classifier

    def remove(self, comment_id: int) -> None:
        """Somebody deletes a comment of either kind."""
        with self.state.lock:
            self.state.delete_comment(self.state.any_comment(comment_id).id)

    def _person(self, login: str) -> Token:
        return Token(login, "", login, "user", {}, frozenset())

    def apply_suggestions(self, number: int, comment_ids: list[int], *, keep_crlf: bool = True) -> dict[str, str]:
        """Commit suggestions as GitHub's page does, and give the new texts of the files.

        Args:
            number: The pull request.
            comment_ids: The review comments; all go into one commit.
            keep_crlf: Whether new lines end as those of a file with CRLF do.

        Raises:
            SuggestionError: One is outdated, overlaps another, or changes nothing.
        """
        with self.state.lock:
            pull = self.state.pulls[number]
            return suggestions.apply_suggestions(self.state, pull, comment_ids, keep_crlf=keep_crlf)

    # What the actions left

    def add_run(self, number: int, head_sha: str, **details: Any) -> Run:
        """A workflow's run; ``details`` are fields of ``Run``."""
        with self.state.lock:
            self.state.runs[number] = Run(number, head_sha, **details)
            return self.state.runs[number]

    def add_artifact(
        self, run: int, name: str, content: Mapping[str, bytes] | bytes, *, expired: bool = False
    ) -> Artifact:
        """What a run uploaded: files, or the bytes of the archive itself."""
        data = content if isinstance(content, bytes) else _archive(content)
        with self.state.lock:
            artifact = Artifact(self.state.next_id(), run, name, data, expired)
            self.state.artifacts[artifact.id] = artifact
            return artifact

    # What goes wrong

    def fail(
        self, method: str, path_regex: str, times: int = 1, kind: Fault | str = Fault.SERVER_ERROR, seconds: float = 1
    ) -> None:
        """The next requests that match fail; ``seconds`` is how long to wait, or how long the answer takes."""
        self._service.faults.append(PlannedFault(method, re.compile(path_regex), times, Fault(kind), seconds))

    def before(self, method: str, path_regex: str, function: Callable[[], object], times: int = 1) -> None:
        """Call a function right before the next requests that match are served."""
        self._service.calls.append(PlannedCall(method, re.compile(path_regex), times, function))

    # What can be seen

    def page(self, number: int) -> dict[str, Any]:
        """What a visitor of the pull request sees, as plain data."""
        state = self.state
        with state.lock:
            visible = state.visible_comments(number)
            return {
                "head": state.pulls[number].head_sha,
                "comments": [_shown(comment) for comment in state.comments.values() if comment.number == number],
                "reviews": [
                    {"id": review.id, "login": review.login, "state": review.state, "body": review.body}
                    for review in state.reviews.values()
                    if review.number == number and review.state != "PENDING"
                ],
                "review_comments": [self._shown_review_comment(comment) for comment in visible],
            }

    def _shown_review_comment(self, comment: ReviewComment) -> dict[str, Any]:
        place = anchors.present_place(self.state, comment)
        return _shown(comment) | {
            "path": comment.anchor.path,
            "line": place.line if place else None,
            "start_line": place.start_line if place else None,
            "outdated": place is None,
            "resolved": comment.thread in self.state.resolved,
            "review": comment.review,
            "in_reply_to": comment.in_reply_to,
        }


def _shown(comment: Comment) -> dict[str, Any]:
    return {"id": comment.id, "login": comment.login, "body": comment.body, "minimized": comment.minimized}


def _archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()
