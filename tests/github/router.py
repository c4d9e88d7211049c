"""Which function serves which operation, what it is handed, and what it answers or refuses with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.github.state import State, Token

DOCUMENTATION = "https://docs.github.com/rest"
LONGEST_BODY = 65_536
_LARGEST_PAGE = 100
_USUAL_PAGE = 30


class Refusal(Exception):  # noqa: N818 -- GitHub's answer to a client, no fault of the fake
    def __init__(self, status: int, message: str, errors: Sequence[Any] = (), **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = list(errors)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(self) -> Answer:
        body = {"message": self.message, "documentation_url": DOCUMENTATION, "status": str(self.status)}
        return Answer(body | ({"errors": self.errors} if self.errors else {}), self.status, self.headers)


def not_found() -> Refusal:
    return Refusal(404, "Not Found")


def invalid(resource: str, field_name: str, code: str = "invalid", message: str = "") -> Refusal:
    """A request that names what does not exist, or that holds what is not allowed, in GitHub's usual form."""
    error = {"resource": resource, "code": code, "field": field_name} | ({"message": message} if message else {})
    return Refusal(422, "Validation Failed", [error])


@dataclass(frozen=True, slots=True)
class Answer:
    """``body`` is sent as JSON, unless it is bytes already."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in."""

    state: State
    token: Token
    path: str
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]
    accept: str

    @property
    def repository(self) -> str:
        """The full name of the repository that the path names, as GitHub writes it."""
        found = self.state.find_repository(f"{self.parameters['owner']}/{self.parameters['repo']}")
        if found is None:
            raise not_found()
        return found

    def number(self, name: str) -> int:
        return int(self.parameters[name])

    def page(self, items: Iterable[Any], wrap: Callable[[list[Any]], Any] = list) -> Answer:
        """The page that was asked for, with links to the others."""
        items = list(items)
        size = min(int(self.query.get("per_page", _USUAL_PAGE)), _LARGEST_PAGE)
        size = size if size > 0 else _USUAL_PAGE
        number = max(int(self.query.get("page", 1)), 1)
        last = max(-(-len(items) // size), 1)
        pages = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
        if number == 1:
            del pages["prev"], pages["first"]
        if number >= last:
            del pages["next"], pages["last"]
        link = ", ".join(f'<{self._url(page)}>; rel="{name}"' for name, page in pages.items())
        body = wrap(items[(number - 1) * size : number * size])
        return Answer(body, headers={"link": link} if link else {})

    def _url(self, page: int) -> str:
        return f"{self.state.api}{self.path}?{urlencode(dict(self.query) | {'page': page})}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    serve: Callable[[Call], Answer]
    rights: tuple[str, ...]
    """One of these is needed: to write, or to read what is private."""
    always: bool
    """Whether the right is needed to read from a public repository, too."""


ENDPOINTS: dict[tuple[str, str], Endpoint] = {}
REPOSITORY = "/repos/{owner}/{repo}"


def route(method: str, template: str, *rights: str, always: bool = False) -> Callable[[Callable], Callable]:
    """The decorated function serves an operation; ``template`` is as in the description, below the repository."""

    def register(function: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
        path = template if template in {"/user", "/rate_limit"} else REPOSITORY + template
        ENDPOINTS[method, path] = Endpoint(function, rights, always)
        return function

    return register


def check_body(text: str, resource: str) -> None:
    """What holds of the text of any comment."""
    if not text.strip():
        raise invalid(resource, "body", "custom", "body can't be blank")
    if len(text) > LONGEST_BODY:
        raise invalid(resource, "body", "custom", f"body is too long (maximum is {LONGEST_BODY} characters)")
