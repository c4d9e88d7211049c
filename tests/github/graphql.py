"""GitHub's other API: what only it tells and does about review threads, and minimising comments."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any

from tests.github import objects
from tests.github.anchors import present_place
from tests.github.graphqltext import Field, Fragment, GraphQLError, GraphQLOperation, Selection, Variable, parse
from tests.github.router import Answer
from tests.github.state import Comment, Pull, ReviewComment, State, Token

_CLASSIFIERS = frozenset({"ABUSE", "DUPLICATE", "LOW_QUALITY", "OFF_TOPIC", "OUTDATED", "RESOLVED", "SPAM"})
_LARGEST_PAGE = 100
_PAGING = frozenset({"first", "last", "after", "before"})

Node = dict[str, Any]
"""An object: field → value, or a function of the field's arguments; ``__typename`` is its type."""


class _FieldError(Exception):
    """A field that could not be answered, while the rest could."""

    kind: str


class _MissingError(_FieldError):
    kind = "NOT_FOUND"


class _ForbiddenError(_FieldError):
    kind = "FORBIDDEN"


def is_mutation(text: str) -> bool:
    return text.lstrip().startswith("mutation")


def execute(state: State, token: Token, body: Any, violations: list[str]) -> Answer:
    """The answer to a query or a mutation: 200 whether it succeeded or not, as GitHub has it."""
    try:
        operation = parse(body["query"])
        values = _variables(operation, body.get("variables") or {})
        root = _mutations(state, token) if operation.kind == "mutation" else _queries(state, token)
        errors: list[dict] = []
        data = _select(root, operation.selections, values, errors)
    except (GraphQLError, KeyError, TypeError) as error:
        violations.append(f"POST /graphql: {error!r}")
        return Answer({"errors": [{"message": str(error)}]})
    return Answer({"data": data} | ({"errors": errors} if errors else {}))


def _variables(operation: GraphQLOperation, sent: dict[str, Any]) -> dict[str, Any]:
    values = {}
    for name, (kind, default) in operation.variables.items():
        values[name] = sent.get(name, default)
        if kind.endswith("!") and values[name] is None:
            message = f"Variable ${name} of type {kind} was provided invalid value"
            raise GraphQLError(message)
    return values


def _select(node: Node, selections: Iterable[Selection], values: dict[str, Any], errors: list[dict]) -> Node:
    found: Node = {}
    for selection in selections:
        if isinstance(selection, Fragment):
            if selection.on == node["__typename"]:
                found |= _select(node, selection.selections, values, errors)
            continue
        try:
            found[selection.key] = _answer(node, selection, values, errors)
        except _FieldError as error:
            errors.append({"type": error.kind, "path": [selection.key], "message": str(error)})
            found[selection.key] = None
    return found


def _answer(node: Node, field: Field, values: dict[str, Any], errors: list[dict]) -> Any:
    if field.name not in node:
        message = f"Field '{field.name}' doesn't exist on type '{node['__typename']}'"
        raise GraphQLError(message)
    value = node[field.name]
    if callable(value):
        value = value(**_fill(field.arguments, values))
    elif field.arguments:
        message = f"Field '{field.name}' doesn't accept arguments"
        raise GraphQLError(message)
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict) != bool(field.selections) and item is not None:
            message = f"Field '{field.name}' must have selections, or must not have any"
            raise GraphQLError(message)
    if isinstance(value, list):
        return [_select(item, field.selections, values, errors) if isinstance(item, dict) else item for item in value]
    return _select(value, field.selections, values, errors) if isinstance(value, dict) else value


def _fill(value: Any, values: dict[str, Any]) -> Any:
    """The value with variables put in."""
    if isinstance(value, Variable):
        if value.name not in values:
            message = f"Variable ${value.name} is used and not declared"
            raise GraphQLError(message)
        return values[value.name]
    if isinstance(value, dict):
        return {name: _fill(member, values) for name, member in value.items()}
    return [_fill(item, values) for item in value] if isinstance(value, list) else value


# What can be asked for


def _queries(state: State, token: Token) -> Node:
    def repository(owner: str, name: str) -> Node:
        full_name = state.find_repository(f"{owner}/{name}")
        if full_name != state.repository or not token.permissions:
            message = f"Could not resolve to a Repository with the name '{owner}/{name}'."
            raise _MissingError(message)
        return {
            "__typename": "Repository",
            "id": f"R_{objects.numeric_id(full_name)}",
            "nameWithOwner": full_name,
            "pullRequest": pull_request,
        }

    def pull_request(number: int) -> Node:
        pull = state.pulls.get(number)
        if pull is None:
            message = f"Could not resolve to a PullRequest with the number of {number}."
            raise _MissingError(message)
        return _pull(state, token, pull)

    def node(id: str) -> Node:  # noqa: A002 -- the argument's name in GitHub's schema
        comment = _find_comment(state, id)
        return _comment(state, comment) if comment else _thread(state, _find_thread(state, id))

    viewer = {"__typename": "User", "login": token.login}
    return {"__typename": "Query", "repository": repository, "node": node, "viewer": viewer}


def _pull(state: State, token: Token, pull: Pull) -> Node:
    def threads(**paging: Any) -> Node:
        visible = state.visible_comments(pull.number, token.login)
        starts = {comment.thread: None for comment in visible}
        return _connection([_thread(state, start) for start in starts], paging)

    def comments(**paging: Any) -> Node:
        found = [_comment(state, comment) for comment in state.comments.values() if comment.number == pull.number]
        return _connection(found, paging)

    return {
        "__typename": "PullRequest",
        "id": f"PR_{pull.number}",
        "number": pull.number,
        "state": "MERGED" if pull.merged else pull.state.upper(),
        "isDraft": pull.draft,
        "headRefOid": pull.head_sha,
        "headRefName": pull.head_ref,
        "reviewThreads": threads,
        "comments": comments,
    }


def _thread(state: State, start: int) -> Node:
    comments = [comment for comment in state.review_comments.values() if comment.thread == start]
    anchor, place, resolver = comments[0].anchor, present_place(state, comments[0]), state.resolved.get(start)

    def listed(**paging: Any) -> Node:
        return _connection([_comment(state, comment) for comment in comments], paging)

    return {
        "__typename": "PullRequestReviewThread",
        "id": f"PRRT_{start}",
        "isResolved": resolver is not None,
        "resolvedBy": _actor(resolver) if resolver else None,
        "isOutdated": place is None,
        "path": anchor.path,
        "line": place.line if place else None,
        "startLine": place.start_line if place else None,
        "originalLine": anchor.line,
        "originalStartLine": anchor.start_line,
        "diffSide": anchor.side,
        "subjectType": "FILE" if anchor.line is None else "LINE",
        "comments": listed,
    }


def _comment(state: State, comment: Comment) -> Node:
    shown = {
        "id": f"IC_{comment.id}",
        "__typename": "IssueComment",
        "databaseId": comment.id,
        "fullDatabaseId": str(comment.id),
        "body": comment.body,
        "createdAt": comment.created,
        "author": _actor(comment.login),
        "isMinimized": comment.minimized is not None,
        "minimizedReason": comment.minimized and comment.minimized.lower().replace("_", "-"),
        "reactionGroups": _reaction_groups(state, comment),
    }
    if isinstance(comment, ReviewComment):
        place = present_place(state, comment)
        shown |= {
            "id": f"PRRC_{comment.id}",
            "__typename": "PullRequestReviewComment",
            "path": comment.anchor.path,
            "line": place.line if place else None,
            "originalLine": comment.anchor.line,
            "outdated": place is None,
        }
    return shown


def _actor(login: str) -> Node:
    """GraphQL leaves out what REST writes behind a bot's name."""
    return {"__typename": "Bot" if login.endswith(objects.BOT) else "User", "login": login.removesuffix(objects.BOT)}


def _reaction_groups(state: State, comment: Comment) -> list[Node]:
    names = {"+1": "THUMBS_UP", "-1": "THUMBS_DOWN", "laugh": "LAUGH", "hooray": "HOORAY"}
    names |= {"confused": "CONFUSED", "heart": "HEART", "rocket": "ROCKET", "eyes": "EYES"}
    given = [reaction.content for reaction in state.reactions if reaction.comment == comment.id]
    return [
        {
            "__typename": "ReactionGroup",
            "content": name,
            "reactors": _counter("ReactorConnection", given.count(content)),
            "users": _counter("ReactingUserConnection", given.count(content)),
        }
        for content, name in names.items()
    ]


def _counter(kind: str, count: int) -> Callable[..., Node]:
    """A connection of which only the number of entries is known."""
    return lambda **_paging: {"__typename": kind, "totalCount": count}


def _connection(nodes: list[Node], paging: dict[str, Any]) -> Node:
    if unknown := paging.keys() - _PAGING:
        message = f"A connection has no argument {min(unknown)}"
        raise GraphQLError(message)
    size = paging.get("first") or paging.get("last")
    if not size or not 1 <= size <= _LARGEST_PAGE:
        message = "You must provide a `first` or `last` value of 1 to 100 to properly paginate the connection."
        raise GraphQLError(message)
    start = int(base64.b64decode(paging["after"])) if paging.get("after") else 0
    if not paging.get("first"):
        start = max(len(nodes) - size, 0)
    cursors = [base64.b64encode(str(index + 1).encode()).decode() for index in range(len(nodes))]
    chosen = nodes[start : start + size]
    edges = [
        {"__typename": "Edge", "node": node, "cursor": cursor}
        for node, cursor in zip(chosen, cursors[start : start + size], strict=True)
    ]
    page = {
        "__typename": "PageInfo",
        "hasNextPage": start + size < len(nodes),
        "hasPreviousPage": start > 0,
        "startCursor": edges[0]["cursor"] if edges else None,
        "endCursor": edges[-1]["cursor"] if edges else None,
    }
    return {"__typename": "Connection", "totalCount": len(nodes), "nodes": chosen, "edges": edges, "pageInfo": page}


# What can be done


def _mutations(state: State, token: Token) -> Node:
    def allow(*rights: str) -> None:
        if not all(token.may("write", (right,)) for right in rights):
            kind = "integration" if token.kind == "app" else "personal access token"
            message = f"Resource not accessible by {kind}"
            raise _ForbiddenError(message)

    def minimize(wanted: Node, classifier: str | None) -> Node:
        comment = _find_comment(state, wanted["subjectId"])
        if comment is None:
            message = f"Could not resolve to a node with the global id of '{wanted['subjectId']}'"
            raise _MissingError(message)
        if isinstance(comment, ReviewComment) or not token.may("write", ("issues",)):
            allow("pull_requests")
        comment.minimized = classifier
        return _comment(state, comment)

    def minimize_comment(input: Node) -> Node:  # noqa: A002 -- the argument's name in GitHub's schema
        if input["classifier"] not in _CLASSIFIERS:
            message = f"Expected {input['classifier']!r} to be one of: {', '.join(sorted(_CLASSIFIERS))}"
            raise GraphQLError(message)
        return _payload("MinimizeComment", input, minimizedComment=minimize(input, input["classifier"]))

    def unminimize_comment(input: Node) -> Node:  # noqa: A002 -- the argument's name in GitHub's schema
        return _payload("UnminimizeComment", input, unminimizedComment=minimize(input, None))

    def resolve_review_thread(input: Node) -> Node:  # noqa: A002 -- the argument's name in GitHub's schema
        # GitHub wants the right to write code for this, which is documented nowhere.
        allow("pull_requests", "contents")
        start = _find_thread(state, input["threadId"])
        state.resolved[start] = token.login
        return _payload("ResolveReviewThread", input, thread=_thread(state, start))

    return {
        "__typename": "Mutation",
        "minimizeComment": minimize_comment,
        "unminimizeComment": unminimize_comment,
        "resolveReviewThread": resolve_review_thread,
    }


def _payload(name: str, wanted: Node, **results: Node) -> Node:
    return {"__typename": f"{name}Payload", "clientMutationId": wanted.get("clientMutationId"), **results}


def _find_comment(state: State, node: str) -> Comment | None:
    for prefix, comments in (("IC_", state.comments), ("PRRC_", state.review_comments)):
        number = node.removeprefix(prefix)
        if node.startswith(prefix) and number.isdecimal():
            return comments.get(int(number))
    return None


def _find_thread(state: State, node: str) -> int:
    number = node.removeprefix("PRRT_")
    starts = {comment.thread for comment in state.review_comments.values()}
    if not node.startswith("PRRT_") or not number.isdecimal() or int(number) not in starts:
        message = f"Could not resolve to a node with the global id of '{node}'"
        raise _MissingError(message)
    return int(number)
