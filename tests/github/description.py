"""GitHub's own description of its API: which operations there are, and whether a request or a response is one of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

_FILE = Path(__file__).with_name("api.json")
# The description is built once a process, for servers on many ports: it is asked under one name.
_HOST = "http://api.github.invalid"
# These stand for the rest of the path, slashes and all.
_WITH_SLASHES = frozenset({"path", "ref", "basehead"})
_MOST_ERRORS = 3


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the description, as a request named it."""

    method: str
    template: str
    parameters: Mapping[str, str]

    def query_names(self) -> frozenset[str]:
        """The query parameters that it has."""
        return _query_names(self.method, self.template)


@dataclass(frozen=True, slots=True)
class Message:
    """What goes over the wire, in either direction."""

    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()
    status: int = 200


def find_operation(method: str, path: str) -> Operation | None:
    """The operation that a request means; ``path`` is as sent, percent-encoded."""
    for template, methods, pattern in _templates():
        match = pattern.fullmatch(path)
        if match and method.lower() in methods:
            return Operation(method, template, {name: unquote(value) for name, value in match.groupdict().items()})
    return None


def request_errors(operation: Operation, message: Message) -> list[str]:
    """How a request departs from the description."""
    return _texts(_description().iter_request_errors(_request(operation, message)))


def response_errors(operation: Operation, request: Message, response: Message) -> list[str]:
    """How a response departs from the description; one with a status that it does not list is not judged."""
    if str(response.status) not in _document()["paths"][operation.template][operation.method.lower()]["responses"]:
        return [] if response.status >= 400 else [f"the description has no status {response.status}"]
    answer = SimpleNamespace(
        status_code=response.status,
        content_type=response.content_type,
        headers=Headers(response.headers),
        data=response.body,
    )
    return _texts(_description().iter_response_errors(_request(operation, request), answer))


def _request(operation: Operation, message: Message) -> SimpleNamespace:
    parameters = RequestParameters(
        path=dict(operation.parameters),
        query=ImmutableMultiDict(message.query),
        header=Headers(message.headers),
        cookie=ImmutableMultiDict(),
    )
    return SimpleNamespace(
        host_url=_HOST,
        path=operation.template,
        path_pattern=operation.template,
        method=operation.method.lower(),
        parameters=parameters,
        body=message.body,
        content_type=message.content_type,
    )


def _texts(errors: Iterator[Exception]) -> list[str]:
    return [text for error in errors for text in _reasons(error)]


def _reasons(error: Exception) -> list[str]:
    """An error of openapi-core names the schema's own errors only in what caused it."""
    cause = error.__cause__
    reasons = getattr(cause, "schema_errors", None)
    if reasons is None:
        return [f"{error}: {cause}" if cause else str(error)]
    return [
        f"{'/'.join(map(str, reason.absolute_path)) or 'the body'}: {reason.message[:300]}"
        for reason in list(reasons)[:_MOST_ERRORS]
    ]


@cache
def _query_names(method: str, template: str) -> frozenset[str]:
    document = _document()
    parameters = document["paths"][template][method.lower()].get("parameters", [])
    shared = document["components"]["parameters"]
    found = [shared[item["$ref"].rsplit("/", 1)[-1]] if "$ref" in item else item for item in parameters]
    return frozenset(item["name"] for item in found if item["in"] == "query")


@cache
def _document() -> dict[str, Any]:
    document = json.loads(_FILE.read_text("utf-8"))
    document["servers"] = [{"url": _HOST}]
    schemas = document["components"]["schemas"]
    _let_null_be_chosen(document)
    # Where GitHub's answers are known to depart from its description, the answers count.
    for name in ("pull-request", "pull-request-simple"):
        head = schemas[name]["properties"]["head"]["properties"]
        head["repo"] = {"$ref": "#/components/schemas/nullable-repository"}  # null: the fork was deleted
        head["user"] = {"$ref": "#/components/schemas/nullable-simple-user"}
    contents = document["paths"]["/repos/{owner}/{repo}/contents/{path}"]["get"]["responses"]["200"]["content"]
    del contents["application/json"]["schema"]["discriminator"]  # a folder's list has no property to tell it by
    for name in ("pull-request-review-comment", "review-comment"):
        for key in ("line", "original_line", "position", "original_position"):
            schemas[name]["properties"][key]["nullable"] = True  # null: outdated, or on a whole file
    for key in ("author", "committer"):  # null: nobody has that address
        schemas["commit"]["properties"][key] = {"$ref": "#/components/schemas/nullable-simple-user"}
    return document


def _let_null_be_chosen(node: Any) -> None:
    """OpenAPI wants null among the values to choose from, too; GitHub only says that it may be null."""
    if isinstance(node, dict):
        if node.get("nullable") is True and isinstance(node.get("enum"), list):
            node["enum"].append(None)
        for member in node.values():
            _let_null_be_chosen(member)
    elif isinstance(node, list):
        for item in node:
            _let_null_be_chosen(item)


@cache
def _description() -> OpenAPI:
    return OpenAPI.from_dict(_document(), config=Config(spec_validator_cls=None))


@cache
def _templates() -> list[tuple[str, frozenset[str], re.Pattern[str]]]:
    def pattern(match: re.Match[str]) -> str:
        name = match["name"]
        return f"(?P<{name}>{'.+' if name in _WITH_SLASHES else '[^/]+'})"

    return [
        (template, frozenset(methods), re.compile(re.sub(r"\{(?P<name>\w+)\}", pattern, template)))
        for template, methods in _document()["paths"].items()
    ]
