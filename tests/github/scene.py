"""A repository with a pull request, and clients that look at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import github
import requests
from tests.conftest import GitProject
from tests.github.fake import FakeGitHub

ALL = dict.fromkeys(("actions", "checks", "contents", "issues", "pull_requests"), "write")
NUMBER = 7


def numbered(count: int, changed: dict[int, str] | None = None) -> str:
    return "".join(f"{(changed or {}).get(number, f'line {number}')}\n" for number in range(1, count + 1))


@dataclass(frozen=True)
class Scene:
    """Pull request 7 changes lines 5 and 30 of ``src/calc.py``, moves a file, and adds and removes others."""

    project: GitProject
    fake: FakeGitHub
    base: str
    head: str
    secret: str

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        """One request; ``path`` is below the repository unless it begins with two slashes."""
        secret = more.pop("secret", self.secret)
        where = path[1:] if path.startswith("//") else f"/repos/{self.fake.full_name}{path}"
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        headers |= {"accept": more.pop("accept", "application/vnd.github+json")}
        return requests.request(method, self.fake.url + where, json=body, headers=headers, timeout=10, **more)

    @contextmanager
    def client(self, secret: str = "") -> Iterator[github.Github]:
        auth = github.Auth.Token(secret or self.secret)
        client = github.Github(
            base_url=self.fake.url, auth=auth, retry=None, seconds_between_requests=0, seconds_between_writes=0
        )
        with client:
            yield client

    @contextmanager
    def pull(self, secret: str = "") -> Iterator[Any]:
        with self.client(secret) as client:
            yield client.get_repo(self.fake.full_name).get_pull(NUMBER)

    def review(self, *comments: dict[str, Any], secret: str = "", **more: Any) -> requests.Response:
        body = {"event": "COMMENT", "body": "What I saw.", "comments": list(comments)} | more
        body = {name: value for name, value in body.items() if value is not None}
        return self.call("POST", f"/pulls/{NUMBER}/reviews", body, secret=secret or self.secret)

    def comment_on(self, line: int, body: str = "Look.", path: str = "src/calc.py", **more: Any) -> int:
        """A review with one comment; the comment's id."""
        answer = self.review({"path": path, "line": line, "side": "RIGHT", "body": body} | more)
        assert answer.status_code == 200, answer.text
        return self.fake.page(NUMBER)["review_comments"][-1]["id"]

    def commit(self, **files: str | bytes) -> str:
        """A new commit on top of the branch; a file's name is written with ``__`` for a slash and ``_`` for a dot."""
        for name, content in files.items():
            self.project.write(name.replace("__", "/").replace("_", "."), content)
        return self.project.commit()
