"""How requests to GitHub are repeated: reads freely, writes only when it is known that they did not take place."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from github import GithubException
from requests.exceptions import RequestException

from llm_testgen.errors import GitHubError, GitHubForbiddenError, GitHubRefusedError

T = TypeVar("T")

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _GONE = 401, 403, 404, 410
_CONFLICT, _INVALID, _TOO_MANY, _SERVER_ERROR = 409, 422, 429, 500
# PyGithub's word for errors that GraphQL answers with a 200, its limits among them.
_GRAPHQL = 400
_FIRST_PAUSE = 1.0
# "If neither header is there, wait at least a minute" (GitHub: Best practices for using the REST API).
_SECONDARY_PAUSE = 60.0
_LONGEST_TEXT = 300
_RATE_LIMIT = re.compile(r"rate limit|abuse detection", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often to try, and how long to wait in all.

    Attributes:
        sleep: Waits for so many seconds.
        now: Seconds since the epoch.
        tries: Attempts at one request.
        longest: Seconds that one request may be waited for at most, when GitHub says how long its limit lasts.
    """

    sleep: Callable[[float], None]
    now: Callable[[], float]
    tries: int = 5
    longest: float = 900.0

    def read(self, request: Callable[[], T]) -> T:
        """What a request that changes nothing gives, repeated while the server fails or asks to wait.

        Raises:
            GitHubError: It cannot be had.
        """
        return self._repeat(request, None)

    def write(self, request: Callable[[], T], find: Callable[[], T | None]) -> T:
        """What a request that writes something gives.

        Args:
            request: Sends it. After an answer that leaves open whether it took place, it is sent again only if
                it cannot be found.
            find: Looks whether it has taken place, and gives its result then.

        Raises:
            GitHubError: It did not take place.
        """
        return self._repeat(request, find)

    def _repeat(self, request: Callable[[], T], find: Callable[[], T | None] | None) -> T:
        waited = 0.0
        for attempt in range(self.tries):
            is_last = attempt + 1 == self.tries
            try:
                return request()
            except (GithubException, RequestException) as error:
                last, limit = error, self._limit(error)
                if limit is None and isinstance(error, GithubException) and error.status < _SERVER_ERROR:
                    raise explained(error) from error
                wait = _FIRST_PAUSE * 2**attempt if limit is None else limit
                if limit is not None and (is_last or waited + wait > self.longest):
                    msg = f"GitHub's rate limit lasts another {wait:.0f} s, longer than a job should wait: run it later"
                    raise GitHubError(msg) from error
            if is_last and find is None:
                break
            self.sleep(wait)
            waited += wait
            # A limit refuses; after any other failure it may have been done before the answer was lost.
            if limit is None and find is not None and (found := find()) is not None:
                return found
        raise explained(last) if isinstance(last, GithubException) else unreachable(last)

    def _limit(self, error: Exception) -> float | None:
        """Seconds to wait when this is a limit of requests; None when it is anything else."""
        if not isinstance(error, GithubException) or error.status not in {_FORBIDDEN, _TOO_MANY, _GRAPHQL}:
            return None
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        after = headers.get("retry-after", "")
        if after.isdigit():
            return float(after) + 1
        if headers.get("x-ratelimit-remaining") == "0":
            reset = headers.get("x-ratelimit-reset", "")
            return max(float(reset) - self.now(), 0) + 1 if reset.isdigit() else _SECONDARY_PAUSE
        limited = error.status == _TOO_MANY or _RATE_LIMIT.search(reason(error))
        return _SECONDARY_PAUSE if limited else None


def reason(error: GithubException) -> str:
    """What GitHub says about a refusal, in one short line."""
    data = error.data if isinstance(error.data, dict) else {}
    parts = [str(data.get("message") or error.message or "")]
    details = data.get("errors")
    if isinstance(details, list):
        parts += [str(entry.get("message", entry)) if isinstance(entry, dict) else str(entry) for entry in details]
    return " ".join("; ".join(filter(None, parts)).split())[:_LONGEST_TEXT]


def explained(error: GithubException) -> GitHubError:
    """A refusal as one of our own errors."""
    words = reason(error)
    said = f"GitHub answers {error.status} ({words})" if words else f"GitHub answers {error.status}"
    if error.status == _UNAUTHORIZED:
        return GitHubForbiddenError(f"{said}: the token is not valid; pass github-token")
    if error.status == _FORBIDDEN:
        return GitHubForbiddenError(f"{said}: give the job the permission, such as `pull-requests: write`")
    if error.status in {_NOT_FOUND, _GONE}:
        return GitHubForbiddenError(f"{said}: it does not exist, or the token cannot see it")
    if error.status in {_CONFLICT, _INVALID}:
        return GitHubRefusedError(said)
    return GitHubError(f"{said}: try again later")


def unreachable(error: Exception) -> GitHubError:
    """A connection that failed as one of our own errors."""
    kind = type(error).__name__
    return GitHubError(f"GitHub cannot be reached ({kind}): check GITHUB_API_URL and the network, and try again")
