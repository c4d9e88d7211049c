"""A repository on GitHub, as its REST and GraphQL APIs show it, with the requests that more than one module needs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from github import Auth, Github
from github.PullRequest import PullRequest
from github.Repository import Repository

from llm_testgen.edges.github.patience import Patience
from llm_testgen.errors import GitHubError, GitHubForbiddenError, UsageError

T = TypeVar("T")

DEFAULT_API = "https://api.github.com"
# Who a GITHUB_TOKEN writes as; it may not ask (GET /user answers 403).
ACTIONS_LOGIN = "github-actions[bot]"

_TIMEOUT = 30
_PAGE = 100
_REPOSITORY = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9._-]+")
_VIEWER = "query { viewer { login } }"
_BOT = "[bot]"
# GitHub: "make requests serially" and "wait at least one second between each request" that writes.
_PACE = 1.0


@dataclass(frozen=True, slots=True)
class Access:
    """Where GitHub is and who asks.

    Attributes:
        repository: ``owner/name``.
        token: What the job was given; may be empty for a public repository that is only read.
        api: The base of the REST API: ``GITHUB_API_URL`` of the job.
        pace: Seconds between two requests that write.
        patience: How requests are repeated.
    """

    repository: str
    token: str = field(repr=False)
    api: str = DEFAULT_API
    pace: float = _PACE
    patience: Patience = field(default_factory=lambda: Patience(time.sleep, time.time))


class GitHubRepository:
    """One repository, asked with one token."""

    def __init__(self, access: Access) -> None:
        """Nothing is requested yet.

        Raises:
            UsageError: The repository's name or the API's address is none.
        """
        if not _REPOSITORY.fullmatch(access.repository):
            msg = f"{access.repository!r} is no repository: pass owner/name"
            raise UsageError(msg)
        if not _is_address(access.api):
            msg = f"{access.api!r} is no address of GitHub's API: set GITHUB_API_URL, such as {DEFAULT_API}"
            raise UsageError(msg)
        self.patience = access.patience
        self._client = Github(
            base_url=access.api.rstrip("/"),
            auth=Auth.Token(access.token) if access.token else None,
            timeout=_TIMEOUT,
            per_page=_PAGE,
            retry=None,  # Patience repeats: PyGithub's own way would send a write again that took place
            seconds_between_requests=None,
            seconds_between_writes=access.pace or None,
            lazy=True,
        )
        self.name = access.repository
        self.api: Repository = self._client.get_repo(access.repository)

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def pull(self, number: int) -> PullRequest:
        """The way to a pull request's parts; nothing is requested yet."""
        return PullRequest(self.api.requester, url=f"{self.api.url}/pulls/{number}")

    def login(self) -> str:
        """Who the token writes as."""
        try:
            return self.patience.read(lambda: self._client.get_user().login)
        except GitHubForbiddenError:
            return self._app()

    def read_all(self, listing: Callable[[], Iterable[T]]) -> tuple[T, ...]:
        """All pages of a listing."""
        return self.patience.read(lambda: tuple(listing()))

    def query(self, text: str, variables: Mapping[str, object]) -> Mapping[str, object]:
        """The data of a GraphQL query that changes nothing."""
        return self.patience.read(lambda: self._graphql(text, variables))

    def mutate(self, text: str, variables: Mapping[str, object]) -> None:
        """A GraphQL mutation that may be carried out more than once."""
        self.patience.read(lambda: self._graphql(text, variables))

    def _app(self) -> str:
        """The account of an app, as REST writes it; only GraphQL tells an app's token whose it is."""
        try:
            viewer = self.query(_VIEWER, {}).get("viewer")
        except GitHubError:
            viewer = None
        login = viewer.get("login") if isinstance(viewer, dict) else None
        return f"{login.removesuffix(_BOT)}{_BOT}" if isinstance(login, str) and login else ACTIONS_LOGIN

    def _graphql(self, text: str, variables: Mapping[str, object]) -> Mapping[str, object]:
        _, answer = self.api.requester.graphql_query(text, dict(variables))
        data = answer["data"]
        return data if isinstance(data, dict) else {}


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
