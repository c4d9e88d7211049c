"""Workflow runs and their artifacts, and check runs."""

from __future__ import annotations

import hashlib

from tests.github import objects
from tests.github.objects import Json
from tests.github.router import Answer, Call, Refusal, not_found, route
from tests.github.state import Artifact, Check, Run, State

_LONG_AGO = "2024-01-01T00:00:00Z"
_NO_APP = "You must authenticate via a GitHub App."


@route("GET", "/actions/runs/{run_id}", "actions")
def get_run(call: Call) -> Answer:
    return Answer(run_object(call.state, _find_run(call)))


def _find_run(call: Call) -> Run:
    run = call.state.runs.get(call.number("run_id"))
    if run is None:
        raise not_found()
    return run


def run_object(state: State, run: Run) -> Json:
    repository = objects.repository(state, state.repository)
    url = f"{repository['url']}/actions/runs/{run.id}"
    rest = {"artifacts": "artifacts", "cancel": "cancel", "jobs": "jobs", "logs": "logs", "rerun": "rerun"}
    return {f"{name}_url": f"{url}/{path}" for name, path in rest.items()} | {
        "id": run.id,
        "node_id": f"WFR_{run.id}",
        "url": url,
        "html_url": f"{repository['html_url']}/actions/runs/{run.id}",
        "name": run.name,
        "path": run.path,
        "display_title": run.name,
        "head_branch": run.head_branch,
        "head_sha": run.head_sha,
        "run_number": 1,
        "run_attempt": 1,
        "event": run.event,
        "status": run.status,
        "conclusion": run.conclusion,
        "workflow_id": objects.numeric_id(run.path),
        "workflow_url": f"{repository['url']}/actions/workflows/{objects.numeric_id(run.path)}",
        "check_suite_id": run.id,
        "check_suite_url": f"{repository['url']}/check-suites/{run.id}",
        # GitHub names no pull request whose head is in a fork.
        "pull_requests": [objects.pull_minimal(state, pull) for pull in _pulls_of(state, run)],
        "created_at": _LONG_AGO,
        "updated_at": _LONG_AGO,
        "actor": objects.user(state, run.actor),
        "triggering_actor": objects.user(state, run.actor),
        "head_commit": _head_commit(state, run),
        "repository": repository,
        "head_repository": objects.repository(state, run.head_repo or state.repository),
    }


def _head_commit(state: State, run: Run) -> Json | None:
    commit = state.git.commit(run.head_sha)
    if commit is None:
        return None
    return {
        "id": run.head_sha,
        "tree_id": str(commit.tree_id),
        "message": commit.message,
        "timestamp": objects.signature(commit.author)["date"],
        "author": {"name": commit.author.name, "email": commit.author.email},
        "committer": {"name": commit.committer.name, "email": commit.committer.email},
    }


def _pulls_of(state: State, run: Run) -> list:
    return [
        pull
        for pull in state.pulls.values()
        if pull.head_repo == state.repository == (run.head_repo or state.repository) and pull.head_sha == run.head_sha
    ]


@route("GET", "/actions/runs/{run_id}/artifacts", "actions")
def list_artifacts(call: Call) -> Answer:
    run, name = _find_run(call), call.query.get("name")
    artifacts = [
        artifact
        for artifact in call.state.artifacts.values()
        if artifact.run == run.id and name in {None, artifact.name}
    ]
    artifacts.sort(key=lambda artifact: artifact.id, reverse=call.query.get("direction", "desc") == "desc")

    def listing(page: list[Artifact]) -> Json:
        return {"total_count": len(artifacts), "artifacts": [_artifact(call.state, run, item) for item in page]}

    return call.page(artifacts, listing)


def _artifact(state: State, run: Run, artifact: Artifact) -> Json:
    url = f"{state.api}/repos/{state.repository}/actions/artifacts/{artifact.id}"
    return {
        "id": artifact.id,
        "node_id": f"ART_{artifact.id}",
        "name": artifact.name,
        "size_in_bytes": len(artifact.data),
        "url": url,
        "archive_download_url": f"{url}/zip",
        "expired": artifact.expired,
        "digest": f"sha256:{hashlib.sha256(artifact.data).hexdigest()}",
        "created_at": _LONG_AGO,
        "expires_at": _LONG_AGO,
        "updated_at": _LONG_AGO,
        "workflow_run": {
            "id": run.id,
            "repository_id": objects.numeric_id(state.repository),
            "head_repository_id": objects.numeric_id(run.head_repo or state.repository),
            "head_branch": run.head_branch or "",
            "head_sha": run.head_sha,
        },
    }


@route("GET", "/actions/artifacts/{artifact_id}/{archive_format}", "actions", always=True)
def download_artifact(call: Call) -> Answer:
    """Leads to another host, which the link itself lets one read from: a token has no business there."""
    artifact = call.state.artifacts.get(call.number("artifact_id"))
    if artifact is None or call.parameters["archive_format"] != "zip":
        raise not_found()
    if artifact.expired:
        raise Refusal(410, "Artifact has expired")
    return Answer(status=302, headers={"location": f"{call.state.storage}/{artifact.id}.zip?sig=once"})


@route("POST", "/check-runs", "checks")
def create_check(call: Call) -> Answer:
    if call.token.kind != "app":
        raise Refusal(403, _NO_APP)
    if call.state.git.commit(call.body["head_sha"]) is None:
        raise Refusal(422, f"No commit found for SHA: {call.body['head_sha']}")
    check = Check(call.state.next_id(), call.token.login, {})
    call.state.checks[check.id] = check
    return Answer(_set_check(call, check), 201)


@route("PATCH", "/check-runs/{check_run_id}", "checks")
def update_check(call: Call) -> Answer:
    check = call.state.checks.get(call.number("check_run_id"))
    if call.token.kind != "app":
        raise Refusal(403, _NO_APP)
    if check is None:
        raise not_found()
    return Answer(_set_check(call, check))


def _set_check(call: Call, check: Check) -> Json:
    """Annotations pile up; all else is replaced. A conclusion completes the run, whether it says so or not."""
    check.values |= call.body
    check.annotations += call.body.get("output", {}).get("annotations", [])
    if "conclusion" in call.body:
        check.values["status"] = "completed"
        check.values.setdefault("completed_at", call.state.now())
    return _check(call.state, check)


def _check(state: State, check: Check) -> Json:
    values, output = check.values, check.values.get("output", {})
    url = f"{state.api}/repos/{state.repository}/check-runs/{check.id}"
    return {
        "id": check.id,
        "node_id": f"CR_{check.id}",
        "url": url,
        "html_url": f"{state.web}/{state.repository}/runs/{check.id}",
        "head_sha": values["head_sha"],
        "name": values["name"],
        "status": values.get("status", "queued"),
        "conclusion": values.get("conclusion"),
        "started_at": values.get("started_at"),
        "completed_at": values.get("completed_at"),
        "details_url": values.get("details_url"),
        "external_id": values.get("external_id"),
        "check_suite": {"id": 1},
        "app": objects.integration(state, check.login),
        "pull_requests": [],
        "output": {
            "title": output.get("title"),
            "summary": output.get("summary"),
            "text": output.get("text"),
            "annotations_count": len(check.annotations),
            "annotations_url": f"{url}/annotations",
        },
    }
