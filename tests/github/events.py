"""Webhook payloads, as a workflow finds them at GITHUB_EVENT_PATH: real ones, made to tell of what is in the fake."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from tests.github import objects
from tests.github.actions import run_object
from tests.github.issues import issue_comment, issue_object
from tests.github.state import State

Payload = dict[str, Any]
_FOLDER = Path(__file__).with_name("events")


def load(name: str) -> Payload:
    """A real payload, such as ``pull_request.synchronize``."""
    return json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))


def errors(name: str, payload: Payload) -> list[str]:
    """How a payload departs from GitHub's schema for it."""
    event, _, action = name.partition(".")
    definition = f"{event}${action or 'event'}"
    return [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
        for error in _validator(definition).iter_errors(payload)
    ]


@cache
def _validator(definition: str) -> Draft7Validator:
    schema = json.loads((_FOLDER / "schema.json").read_text("utf-8"))
    return Draft7Validator(schema | {"$ref": f"#/definitions/{definition}"})


def pull_request(state: State, action: str, number: int, before: str = "") -> Payload:
    """``before`` is the head that a push replaced."""
    pull = objects.pull_full(state, state.pulls[number])
    told = {
        "number": number,
        "pull_request": pull,
        "before": before or pull["base"]["sha"],
        "after": pull["head"]["sha"],
    }
    return _told(state, f"pull_request.{action}", pull["user"]["login"], told)


def comment(state: State, action: str, number: int) -> Payload:
    """``number`` is a comment's id; one on a pull request says so in ``issue.pull_request``."""
    found = state.comments[number]
    issue = issue_object(state, state.pulls.get(found.number) or state.issues[found.number])
    told = {"issue": issue, "comment": issue_comment(state, found)}
    payload = _told(state, f"issue_comment.{action}", found.login, told)
    payload["issue"].pop("pull_request", None)
    if "pull_request" in issue:  # none of the real payloads is of a pull request
        payload["issue"]["pull_request"] = issue["pull_request"]
    return payload


def workflow_run(state: State, action: str, number: int) -> Payload:
    """``number`` is a run's id."""
    run = state.runs[number]
    return _told(state, f"workflow_run.{action}", run.actor, {"workflow_run": run_object(state, run)})


def _told(state: State, name: str, sender: str, told: Payload) -> Payload:
    everywhere = {"repository": objects.repository(state, state.repository), "sender": objects.user(state, sender)}
    return _overlay(load(name), everywhere | told)


def _overlay(real: Any, told: Any) -> Any:
    """The real payload with what there is to tell; it has no more keys than before, for events have fewer than answers."""
    if not isinstance(real, dict) or not isinstance(told, dict):
        return told
    return {key: _overlay(value, told[key]) if key in told else value for key, value in real.items()}
