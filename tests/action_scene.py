"""A pull request on a fake GitHub, a checkout of its base, a model that answers, and the events that arrive."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result
from tests.conftest import GitProject
from tests.edges.fake_openai import FakeOpenAI, completion
from tests.github.fake import FakeGitHub
from tests.project_python import project_python
from tests.samples import SIZES_BASE as BASE
from tests.samples import SIZES_HEAD as HEAD

from llm_testgen.cli import main

ROOT = Path(__file__).parents[1]
EVENTS = Path(__file__).parent / "github" / "events"
NUMBER = 2
COMMENTER = "reviewer"
FORK = "stranger/Hello-World"
RIGHTS = {"contents": "write", "pull_requests": "write", "issues": "write", "actions": "read", "metadata": "read"}

OLD_TEST = "from pkg.mod import grade\n\n\ndef test_all():\n    assert grade(1)\n"
NEW_TEST = 'from pkg.mod import grade\n\n\ndef test_small():\n    assert grade(1) == "small"\n'
OF_GRADE = """```python
import pytest
from pkg.mod import grade

def test_large():
    assert grade(11) == "large"

def test_negative():
    with pytest.raises(ValueError):
        grade(-1)

def test_wrong():
    assert grade(5) == "huge"
```"""
OF_BOX = "```python\nfrom pkg.mod import Box\n\ndef test_area():\n    assert Box(3).area() == 9\n    assert Box(1).area() == 1\n```"
# What a project of its own does when its tests are run: nothing of it may reach the job.
HOSTILE = """
import os, pathlib
for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"):
    if name in os.environ:
        pathlib.Path(os.environ[name]).open("a").write("status=stolen\\n")
print("\\n::set-output name=status::stolen\\n::error::stolen\\n")
"""


def answer(request):
    """What the model says: tests of the method that it was asked about."""
    asked = json.dumps(request.body["messages"])
    return completion(OF_BOX if "def area" in asked else OF_GRADE)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything of one test.

    Attributes:
        folder: A temporary folder of its own.
        upstream: The repository on GitHub.
        checkout: What ``actions/checkout`` made of it: the base branch.
        fake: GitHub.
        model: The model's server.
        token: The job's token.
        base: Tip of the base branch.
        head: Head of the pull request.
    """

    folder: Path
    upstream: GitProject
    checkout: Path
    fake: FakeGitHub
    model: FakeOpenAI
    token: str
    base: str
    head: str

    def event(self, name: str, **changes) -> Path:
        """A real payload, about this pull request; ``changes`` are dotted keys with two underscores for a dot."""
        payload = json.loads((EVENTS / f"{name}.json").read_text())
        payload = _about(payload, self)
        for keys, value in changes.items():
            *way, last = keys.split("__")
            place = payload
            for key in way:
                place = place[key]
            place[last] = value
        path = self.folder / "event.json"
        path.write_text(json.dumps(payload))
        return path

    def environ(self, event: str, path: Path, **inputs: str) -> dict[str, str]:
        """The environment of a step; files for outputs and summary are in the scene's folder."""
        runner = {
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(path),
            "GITHUB_REPOSITORY": self.fake.full_name,
            "GITHUB_ACTOR": COMMENTER,
            "GITHUB_API_URL": self.fake.url,
            "GITHUB_SERVER_URL": self.fake.web,
            "GITHUB_RUN_ID": "4711",
            "GITHUB_WORKSPACE": str(self.checkout),
            "RUNNER_TEMP": str(self.folder / "temp"),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "GITHUB_TOKEN": self.token,
            "INPUT_ENDPOINT": self.model.url,
            "INPUT_PYTHON": project_python(),
        }
        return runner | {f"INPUT_{name.upper()}": value for name, value in inputs.items()}

    def outputs(self) -> dict[str, str]:
        """What the steps said so far, read as the runner reads it."""
        lines = iter((self.folder / "output").read_text().split("\n"))
        found = {}
        for line in lines:
            name, separator, delimiter = line.partition("<<")
            if separator:
                found[name] = "\n".join(iter(lambda: next(lines), delimiter))
        return found

    def summary(self) -> str:
        """The job's summary so far."""
        path = self.folder / "summary"
        return path.read_text() if path.exists() else ""

    def page(self) -> dict:
        """What a visitor of the pull request sees."""
        return self.fake.page(NUMBER)

    def suite_passes(self, commit: str) -> bool:
        """Whether the project's tests pass at a commit, by plain pytest in a checkout of its own."""
        folder = self.folder / f"at-{commit[:10]}"
        if not folder.exists():
            _git(self.upstream.root, "worktree", "add", "--quiet", "--detach", str(folder), commit)
        command = [project_python(), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "tests"]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder / "src")}
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, check=False).returncode == 0


@contextmanager
def open_scene(folder: Path, *, head_repo: str = "", hostile: bool = False) -> Iterator[Scene]:
    """Make a scene; ``head_repo`` is where the pull request comes from when that is a fork."""
    upstream = GitProject(folder / "upstream")
    upstream.root.mkdir(parents=True)
    (folder / "temp").mkdir()
    upstream.git("init", "--quiet", "--initial-branch=master")
    upstream.git("config", "core.autocrlf", "false")
    upstream.write("src/pkg/__init__.py", "")
    upstream.write("src/pkg/mod.py", BASE)
    upstream.write("tests/test_mod.py", OLD_TEST)
    upstream.write("pyproject.toml", '[tool.pytest.ini_options]\npythonpath = ["src"]\n')
    base = upstream.commit("base")
    upstream.git("checkout", "--quiet", "-b", "work")
    upstream.write("src/pkg/mod.py", HEAD)
    upstream.write("tests/test_mod.py", NEW_TEST)
    if hostile:
        upstream.write("conftest.py", HOSTILE)
    head = upstream.commit("head")
    upstream.git("checkout", "--quiet", "master")
    with FakeGitHub(upstream.root, "Codertocat", "Hello-World", branch="master") as fake, FakeOpenAI(answer) as model:
        token = fake.token("job", RIGHTS)
        fake.collaborators = {COMMENTER: "write"}
        fake.add_pull(NUMBER, base, head, head_ref="changes", head_repo=head_repo, base_ref="master")
        upstream.git("update-ref", f"refs/pull/{NUMBER}/head", head)
        checkout = folder / "checkout"
        _git(folder, "clone", "--quiet", "--branch", "master", "--single-branch", str(upstream.root), str(checkout))
        yield Scene(folder, upstream, checkout, fake, model, token, base, head)


def _about(payload: dict, scene: Scene) -> dict:
    """The same event, about the scene's pull request."""
    payload = copy.deepcopy(payload)
    payload["repository"] |= {"full_name": scene.fake.full_name, "name": "Hello-World"}
    home = payload["repository"]
    pull = scene.fake.state.pulls[NUMBER]
    fork = pull.head_repo not in ("", scene.fake.full_name)
    head_repository = {"id": home["id"] + fork, "full_name": FORK if fork else scene.fake.full_name}
    if "pull_request" in payload:
        found = payload["pull_request"]
        payload["number"] = found["number"] = NUMBER
        found["head"]["sha"], found["base"]["sha"] = scene.head, scene.base
        found["head"]["repo"] |= head_repository
    if "issue" in payload:
        payload["issue"]["number"] = NUMBER
        url = f"{scene.fake.url}/repos/{scene.fake.full_name}/pulls/{NUMBER}"
        payload["issue"]["pull_request"] = {"url": url, "html_url": url, "diff_url": url, "patch_url": url}
    if "workflow_run" in payload:
        payload["workflow_run"] |= {"event": "pull_request", "head_sha": scene.head, "head_branch": "changes"}
        payload["workflow_run"]["head_repository"] |= head_repository
    return payload


def comment(scene: Scene, body: str, login: str = COMMENTER) -> Path:
    """Somebody comments on the pull request; the event of it."""
    made = scene.fake.comment(NUMBER, login, body)
    path = scene.event("issue_comment.created", comment__body=body, comment__id=made.id)
    payload = json.loads(path.read_text())
    payload["comment"]["user"] |= {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}
    path.write_text(json.dumps(payload))
    return path


def stage(name: str, environ: dict[str, str], expect: int = 0) -> Result:
    """Run a stage of the action in this process, with nothing of the workflow that runs these tests."""
    own = {key: None for key in os.environ if key.startswith(("GITHUB_", "RUNNER_", "INPUT_", "LLM_", "HF_"))}
    result = CliRunner().invoke(main, ["action", "--stage", name], env=own | environ)
    assert result.exit_code == expect, result.output
    return result


def proposal_of(scene: Scene) -> bytes:
    """What a run on the pull request's event leaves as an artifact."""
    environ = scene.environ("pull_request", scene.event("pull_request.opened"))
    stage("plan", environ)
    outputs = scene.outputs()
    task = json.loads(outputs["task"])
    task["task"]["foreign"] = False  # the fake model stands in for the embedded one
    handed_on = {"LLM_TESTGEN_TASK": json.dumps(task), "LLM_TESTGEN_INPUTS": outputs["inputs"]}
    stage("propose", environ | {"GITHUB_TOKEN": ""} | handed_on)
    (scene.folder / "output").unlink()
    return (scene.folder / "temp/llm-testgen/proposal.json").read_bytes()


def export_action(folder: Path) -> Path:
    """The action as ``uses:`` gets it: the files that the project tracks or would."""
    command = [
        "git",
        "-C",
        str(ROOT),
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
        "--",
        "action.yml",
    ]
    command += ["bot", "prompts", "requirements", "pyproject.toml", "README.md", "LICENSE"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, listed):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def _git(folder: Path, *arguments: str) -> None:
    GitProject(folder).git(*arguments)
