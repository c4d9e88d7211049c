"""Who somebody is, what they may do, and how often they may ask."""

from __future__ import annotations

from tests.github import objects
from tests.github.router import Answer, Call, Refusal, not_found, route

_ORDER = ("read", "triage", "write", "maintain", "admin")


@route("GET", "/user")
def get_user(call: Call) -> Answer:
    if call.token.kind == "app":
        raise Refusal(403, "Resource not accessible by integration")
    numbers = dict.fromkeys(("followers", "following", "public_gists", "public_repos"), 0)
    texts = dict.fromkeys(("bio", "blog", "company", "email", "hireable", "location", "name"))
    dates = {"created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z"}
    return Answer(objects.user(call.state, call.token.login) | numbers | texts | dates)


@route("GET", "/rate_limit")
def get_rate_limit(call: Call) -> Answer:
    state = call.state
    used = state.rate_limit - state.rate_remaining
    rate = {"limit": state.rate_limit, "remaining": state.rate_remaining, "reset": state.rate_reset, "used": used}
    return Answer({"resources": dict.fromkeys(("core", "search", "graphql"), rate), "rate": rate})


@route("GET", "")
def get_repository(call: Call) -> Answer:
    return Answer(objects.repository(call.state, call.repository))


@route("GET", "/collaborators/{username}/permission", "metadata", "contents")
def get_permission(call: Call) -> Answer:
    login = call.parameters["username"]
    role, legacy = call.state.role(login), call.state.legacy_permission(login)
    if role is None:
        raise not_found()
    rank = _ORDER.index(role) if role in _ORDER else -1
    rights = dict(
        zip(("pull", "triage", "push", "maintain", "admin"), (rank >= step for step in range(5)), strict=True)
    )
    person = objects.user(call.state, login) | {"role_name": role, "permissions": rights}
    return Answer({"permission": legacy, "role_name": role, "user": person})
