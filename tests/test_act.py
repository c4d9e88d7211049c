"""The real action, run by act on the machine itself, for each of its events, against a fake GitHub."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tests.action_scene import FORK, NUMBER, comment, export_action, open_scene, proposal_of
from tests.project_python import project_python

ACT = Path(sys.executable).with_name("act")
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"
INPUTS = ("path", "key", "restore-keys", "name", "overwrite", "if-no-files-found")
# What the two actions of GitHub's own do here: the cache is empty, and an artifact is a folder.
NOTHING = "true"
KEEP = 'for file in $FILES; do cp "$file" "$ARTIFACTS/"; done'


@dataclass(frozen=True)
class Job:
    code: int
    log: str
    artifacts: dict[str, bytes]

    @property
    def outputs(self):
        """What the workflow saw of the action."""
        (line,) = re.findall(r"\| OUTPUTS=(.*)$", self.log, re.MULTILINE)
        return json.loads(line)


@pytest.fixture(scope="module")
def act(tmp_path_factory):
    return Act(export_action(tmp_path_factory.mktemp("action")), _stubs(tmp_path_factory.mktemp("stubs")))


def _stubs(folder):
    for name, script in (("cache/restore", NOTHING), ("cache/save", NOTHING), ("upload", KEEP)):
        step = {"shell": "bash", "env": {"FILES": "${{ inputs.path }}"}, "run": script}
        stub = {"name": name, "description": name, "inputs": {entry: {"description": entry} for entry in INPUTS}}
        stub["runs"] = {"using": "composite", "steps": [step]}
        (folder / name).mkdir(parents=True)
        (folder / name / "action.yml").write_text(yaml.safe_dump(stub))
    return folder


@dataclass(frozen=True)
class Act:
    """Runs workflows that use the action, as a person would write them."""

    action: Path
    stubs: Path

    def run(self, scene, event, path, **inputs):
        """One run of a workflow on an event; ``inputs`` are those of the action."""
        workflow = scene.folder / "workflow.yml"
        workflow.write_text(yaml.safe_dump({"on": [event], "jobs": {"tests": self._job(inputs)}}))
        artifacts = scene.folder / "artifacts"
        artifacts.mkdir()
        home = scene.folder / "home"
        home.mkdir()
        command = [ACT, event, "-P", "ubuntu-latest=-self-hosted", "--no-cache-server", "--pull=false", "-e", path]
        command += ["-W", workflow, "-C", scene.checkout, "-s", f"GITHUB_TOKEN={scene.token}"]
        for name, place in self._used().items():
            command += ["--local-repository", f"{name}={place}"]
        variables = {
            "GITHUB_API_URL": scene.fake.url,
            "GITHUB_REPOSITORY": scene.fake.full_name,
            "ARTIFACTS": artifacts,
        }
        for name, value in variables.items():
            command += ["--env", f"{name}={value}"]
        passed = {name: value for name, value in os.environ.items() if name.startswith(("PATH", "PIP_", "SSL_"))}
        environ = passed | {"HOME": str(home)}
        done = subprocess.run(
            [*map(str, command)], env=environ, capture_output=True, text=True, timeout=400, check=False
        )
        shutil.rmtree(home, ignore_errors=True)
        return Job(
            done.returncode, done.stdout + done.stderr, {file.name: file.read_bytes() for file in artifacts.iterdir()}
        )

    def _job(self, inputs):
        tell = {"if": "always()", "env": {"OUTPUTS": "${{ toJSON(steps.bot.outputs) }}"}}
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        return {
            "runs-on": "ubuntu-latest",
            "permissions": {"contents": "read", "pull-requests": "write"},
            "steps": [
                {"uses": CHECKOUT, "with": {"persist-credentials": False}},
                {"id": "bot", "uses": "org/llm-testgen@v1", "with": given},
                tell | {"run": 'echo "OUTPUTS=$(echo $OUTPUTS)"'},
            ],
        }

    def _used(self):
        """What stands in for the actions that are used, by the pins of action.yml."""
        text = (self.action / "action.yml").read_text()
        cache = re.search(r"actions/cache/restore@([0-9a-f]{40})", text)[1]
        upload = re.search(r"actions/upload-artifact@[0-9a-f]{40}", text)[0]
        return {
            "org/llm-testgen@v1": self.action,
            f"actions/cache@{cache}": self.stubs / "cache",
            upload: self.stubs / "upload",
        }


@pytest.fixture
def scene(tmp_path):
    with open_scene(tmp_path) as opened:
        yield opened
        assert opened.fake.violations == []


@pytest.fixture
def with_model(scene):
    return {"endpoint": scene.model.url, "python": project_python()}


def test_a_pull_request_is_reviewed_right_to_the_line_and_its_suggestions_pass(scene, act, with_model):
    job = act.run(scene, "pull_request", scene.event("pull_request.opened"), **with_model)
    assert job.code == 0, job.log
    assert job.outputs["status"] == "posted"
    assert (job.outputs["tests-accepted"], job.outputs["diff-coverage-after"]) == ("3", "100.00")
    page = scene.page()
    (review,) = page["reviews"]
    assert review["state"] == "COMMENTED"
    assert set(job.artifacts) == {"proposal.json", "tests.patch"}
    suggestions = [entry for entry in page["review_comments"] if "suggestion\n" in entry["body"]]
    assert {entry["path"] for entry in suggestions} == {"tests/test_mod.py"}
    scene.fake.apply_suggestions(NUMBER, [entry["id"] for entry in suggestions])
    assert scene.suite_passes(scene.page()["head"])
    assert scene.token not in job.log


def test_a_comment_is_answered_by_a_review(scene, act, with_model):
    path = comment(scene, "/gen-tests src/pkg/mod.py::Box")
    job = act.run(scene, "issue_comment", path, **with_model)
    assert job.code == 0, job.log
    assert job.outputs["status"] == "posted"
    assert [reaction.content for reaction in scene.fake.state.reactions] == ["eyes", "rocket"]
    (found,) = scene.page()["review_comments"]
    assert "test_area" in found["body"]


def test_a_dispatch_is_answered_by_a_review(scene, act, with_model):
    path = scene.event("workflow_dispatch")
    job = act.run(scene, "workflow_dispatch", path, pr_number=str(NUMBER), delivery="summary", **with_model)
    assert job.code == 0, job.log
    page = scene.page()
    assert page["reviews"] == []
    assert "3 tests raise diff coverage" in page["comments"][-1]["body"]


def test_what_a_fork_proposed_is_posted_by_another_workflow(tmp_path, act):
    with open_scene(tmp_path, head_repo=FORK) as scene:
        proposal = proposal_of(scene)
        path = scene.event("workflow_run.completed")
        run = json.loads(path.read_text())["workflow_run"]["id"]
        scene.fake.add_run(run, scene.head, head_repo=FORK)
        scene.fake.add_artifact(run, "llm-testgen-proposal", {"proposal.json": proposal})
        job = act.run(scene, "workflow_run", path)
        assert job.code == 0, job.log
        assert job.outputs["status"] == "posted"
        assert len(scene.page()["reviews"]) == 1
        assert scene.fake.leaked_tokens == []
        assert scene.fake.violations == []
