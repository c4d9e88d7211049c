"""The fake GitHub's workflow runs, artifacts and check runs."""

import io
import zipfile
from pathlib import Path

import github
import pytest
import requests
from tests.github import events
from tests.github.scene import NUMBER


@pytest.fixture(autouse=True)
def _no_violations(scene):
    yield
    assert scene.fake.violations == []


def test_a_run_names_its_pull_request_unless_it_comes_from_a_fork(scene):
    scene.fake.add_pull(8, scene.base, scene.head, head_repo="contributor/sample")
    scene.fake.add_run(1, scene.head, head_branch="topic")
    scene.fake.add_run(2, scene.head, head_repo="contributor/sample", conclusion="failure")
    with scene.client() as client:
        ours, theirs = (client.get_repo(scene.fake.full_name).get_workflow_run(number) for number in (1, 2))
        assert [pull.number for pull in ours.pull_requests] == [NUMBER]
        assert (theirs.pull_requests, theirs.head_repository.full_name) == ([], "contributor/sample")
        assert (theirs.head_sha, theirs.conclusion, theirs.event) == (scene.head, "failure", "pull_request")


def test_an_artifact_is_downloaded_from_another_host_that_wants_no_token(scene):
    scene.fake.add_run(1, scene.head)
    scene.fake.add_artifact(1, "proposal", {"proposal.json": b"{}"})
    with scene.client() as client:
        (artifact,) = client.get_repo(scene.fake.full_name).get_workflow_run(1).get_artifacts()
    headers = {"authorization": f"Bearer {scene.secret}"}
    answer = requests.get(artifact.archive_download_url, headers=headers, allow_redirects=False, timeout=10)
    location = answer.headers["location"]
    assert answer.status_code == 302
    assert not location.startswith(scene.fake.url)
    archive = zipfile.ZipFile(io.BytesIO(requests.get(location, timeout=10).content))
    assert archive.read("proposal.json") == b"{}"
    assert scene.fake.leaked_tokens == []
    assert requests.get(location, headers=headers, timeout=10).status_code == 400
    assert scene.fake.leaked_tokens == [f"Bearer {scene.secret}"]


def test_artifacts_are_listed_by_name_and_may_be_any_bytes(scene):
    scene.fake.add_run(1, scene.head)
    for index in range(3):
        scene.fake.add_artifact(1, f"part-{index}", b"no archive", expired=index == 2)
    listing = scene.call("GET", "/actions/runs/1/artifacts?per_page=2").json()
    assert (listing["total_count"], len(listing["artifacts"])) == (3, 2)
    (last,) = scene.call("GET", "/actions/runs/1/artifacts?name=part-2").json()["artifacts"]
    assert last["expired"]
    assert scene.call("GET", f"/actions/artifacts/{last['id']}/zip").status_code == 410
    assert scene.call("GET", "/actions/artifacts/1/zip").status_code == 404


def test_an_artifact_needs_the_right_to_read_actions(scene):
    scene.fake.add_run(1, scene.head)
    artifact = scene.fake.add_artifact(1, "proposal", {})
    reader = scene.fake.token("reader", {"contents": "read"})
    path = f"/actions/artifacts/{artifact.id}/zip"
    assert scene.call("GET", path, secret=reader, allow_redirects=False).status_code == 403


def test_a_check_run_collects_annotations_and_is_completed_by_its_conclusion(scene):
    note = {"path": "src/calc.py", "start_line": 5, "end_line": 5, "annotation_level": "notice", "message": "Look."}
    output = {"title": "Tests", "summary": "One.", "annotations": [note]}
    with scene.client() as client:
        repository = client.get_repo(scene.fake.full_name)
        check = repository.create_check_run("llm-testgen", scene.head, status="in_progress", output=output)
        assert (check.status, check.conclusion) == ("in_progress", None)
        check.edit(conclusion="neutral", output=output)
        assert (check.status, check.conclusion) == ("completed", "neutral")
        with pytest.raises(github.GithubException, match="422"):
            repository.create_check_run("llm-testgen", "0" * 40)
    (record,) = scene.fake.checks
    assert (record.annotations, record.values["name"]) == ([note, note], "llm-testgen")


def test_a_check_run_is_made_by_an_app_only(scene):
    person = scene.fake.token("person", {"checks": "write"}, login="alice", kind="user")
    answer = scene.call("POST", "/check-runs", {"name": "x", "head_sha": scene.head}, secret=person)
    assert answer.status_code == 403


# Events


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in Path(events.__file__).with_name("events").glob("*.*.json"))
)
def test_the_payloads_are_as_github_describes_them(name):
    assert events.errors(name, events.load(name)) == []
    assert events.errors(name, {"action": "x"}) != []


def test_a_payload_tells_of_what_is_in_the_fake(scene):
    state = scene.fake.state
    scene.fake.add_pull(8, scene.base, scene.head, head_repo=None, draft=True)
    pushed = events.pull_request(state, "synchronize", NUMBER, before=scene.base)
    opened = events.pull_request(state, "opened", 8)
    assert (pushed["after"], pushed["pull_request"]["head"]["sha"]) == (scene.head, scene.head)
    assert (pushed["repository"]["full_name"], pushed["sender"]["login"]) == ("octo-org/sample", "contributor")
    assert (opened["number"], opened["pull_request"]["head"]["repo"], opened["pull_request"]["draft"]) == (
        8,
        None,
        True,
    )
    assert events.errors("pull_request.synchronize", pushed) == []
    assert events.errors("pull_request.opened", opened) == []


def test_the_payload_of_a_comment_tells_a_pull_request_from_an_issue(scene):
    scene.fake.add_issue(3)
    comments = [scene.fake.comment(number, "alice", "/gen-tests") for number in (3, NUMBER)]
    issue, pull = (events.comment(scene.fake.state, "created", comment.id) for comment in comments)
    assert "pull_request" not in issue["issue"]
    assert pull["issue"]["pull_request"]["url"] == f"{scene.fake.url}/repos/octo-org/sample/pulls/7"
    assert (pull["comment"]["body"], pull["comment"]["user"]["login"]) == ("/gen-tests", "alice")
    assert [events.errors("issue_comment.created", payload) for payload in (issue, pull)] == [[], []]


def test_the_payload_of_a_run_names_its_head(scene):
    scene.fake.add_run(1, scene.head, head_repo="octo-org/sample")
    payload = events.workflow_run(scene.fake.state, "completed", 1)
    assert (payload["workflow_run"]["head_sha"], payload["workflow_run"]["id"]) == (scene.head, 1)
    assert events.errors("workflow_run.completed", payload) == []
