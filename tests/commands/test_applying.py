from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tests.commands.publishing_scene import (
    AREA,
    BOT,
    BRANCH,
    HEAD_TESTS,
    NUMBER,
    RUN,
    TESTS,
    findings,
    open_scene,
)
from tests.github.faults import Fault

from llm_testgen.commands.applying import ARTIFACT, apply_tests, proposal_of_run
from llm_testgen.commands.publishing import Origin
from llm_testgen.delivery.tasks import ApplyTask, Asker
from llm_testgen.errors import GitHubError, UsageError
from llm_testgen.proposal import read_proposal

ODD_BRANCHES = [f"{BRANCH}#1", "a%20b", 'a";id;"', "$(touch${IFS}x)", "über/größe", "feature/x+y", "-x"]
REF = r"/git/refs/heads/"


def leave(scene, proposal=None) -> None:
    """What the run that proposed has left: its artifact."""
    scene.fake.add_run(RUN, scene.head)
    data = (proposal or scene.proposal).model_dump_json().encode()
    scene.fake.add_artifact(RUN, ARTIFACT, {"proposal.json": data, "tests.patch": b""})


@pytest.fixture
def proposed(scene):
    """A pull request on which tests were proposed."""
    scene.publish()
    leave(scene)
    return scene


def apply(scene, *ids: str, origin: Origin | None = None, token: str = "") -> str:
    task = ApplyTask(number=NUMBER, ids=ids, asker=Asker(comment=1, author="reviewer"))
    repository = scene.repository(token)
    try:
        return apply_tests(task, repository, origin or Origin())
    finally:
        repository.close()


def refusal(scene, *ids: str, **more) -> str:
    """Why nothing is committed: the branch stays where it is."""
    before = scene.fake.branch(BRANCH)
    with pytest.raises(UsageError) as raised:
        apply(scene, *ids, **more)
    assert scene.fake.branch(BRANCH) == before
    return str(raised.value)


def text_at(scene, commit: str, path: str = TESTS) -> str:
    return scene.project.git("show", f"{commit}:{path}")


def test_all_tests_are_committed_on_top_of_the_tested_head(proposed):
    said = apply(proposed)
    commit = proposed.fake.branch(BRANCH)
    assert said.startswith(f"Committed 4 tests as {commit}: ")
    assert all(f"`{finding.suggestion.name}`" in said for finding in findings(proposed.proposal))
    assert "Checks do not start by themselves" in said
    log = proposed.project.git("log", "-1", "--format=%P%n%an%n%B", commit).rstrip("\n").split("\n")
    assert log == [proposed.head, BOT, "Add 4 tests proved by llm-testgen", "", "Asked for by reviewer."]
    (file,) = proposed.proposal.files
    assert text_at(proposed, commit) == file.after
    changed = proposed.project.git("diff", "--name-status", proposed.head, commit)
    assert changed == f"M\t{TESTS}\n"
    assert proposed.page()["head"] == commit


def test_the_new_commit_passes_under_real_pytest(proposed, tmp_path):
    apply(proposed)
    checkout = tmp_path / "checkout"
    proposed.project.git("worktree", "add", "--quiet", "--detach", str(checkout), proposed.fake.branch(BRANCH))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(checkout)]
    env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


@pytest.mark.parametrize("digits", [4, 8, 16])
def test_the_tests_of_some_ids_are_committed_alone(proposed, digits):
    first, *_, last = findings(proposed.proposal)
    said = apply(proposed, first.id[:digits], last.id[:digits])
    text = text_at(proposed, proposed.fake.branch(BRANCH))
    assert said.startswith("Committed 2 tests as ")
    for finding in findings(proposed.proposal):
        assert (f"def {finding.suggestion.name}(" in text) is (finding in (first, last))
    assert text.startswith(HEAD_TESTS.split("\n", maxsplit=1)[0])


def test_a_test_that_is_named_twice_is_committed_once(proposed):
    (finding, *_) = findings(proposed.proposal)
    said = apply(proposed, finding.id, finding.short_id)
    assert said.startswith("Committed 1 test as ")
    text = text_at(proposed, proposed.fake.branch(BRANCH))
    assert text.count(f"def {finding.suggestion.name}(") == 1


def test_an_id_that_no_test_has_is_refused_with_those_that_there_are(proposed):
    known = [finding.short_id for finding in findings(proposed.proposal)]
    line = refusal(proposed, known[0], "0000", "ffff")
    assert line == f"no test has the id 0000, ffff; there are: {', '.join(known)}"


def test_nothing_is_committed_where_nothing_was_proposed(scene):
    assert refusal(scene).startswith("no tests were proposed on this pull request yet")
    assert scene.fake.writes == []


def test_a_summary_that_somebody_else_wrote_leads_to_no_proposal(scene):
    leave(scene)
    scene.fake.comment(NUMBER, "reviewer", f"<!-- llm-testgen:summary head={scene.head} run={RUN} posted= -->\n")
    assert refusal(scene).startswith("no tests were proposed")


def test_a_proposal_that_was_not_made_in_a_workflow_cannot_be_applied(scene):
    scene.publish(origin=Origin())
    assert refusal(scene).startswith("no tests were proposed on this pull request yet")


def test_a_run_that_accepted_nothing_has_nothing_to_apply(scene):
    scene.publish()
    data = json.loads(scene.proposal.model_dump_json())
    data |= {"accepted": [], "suggestions": [], "inline": [], "files": []}
    leave(scene, read_proposal(json.dumps(data).encode()))
    assert refusal(scene) == "the last run proposed no test: ask again with /gen-tests"


def test_a_proposal_that_has_expired_is_told(scene):
    scene.publish()
    scene.fake.add_run(RUN, scene.head)
    scene.fake.add_artifact(RUN, ARTIFACT, {"proposal.json": b"{}"}, expired=True)
    assert refusal(scene) == "what was proposed is no longer kept: ask for new tests with /gen-tests"


def test_an_artifact_that_is_no_proposal_is_refused(scene):
    scene.publish()
    scene.fake.add_run(RUN, scene.head)
    scene.fake.add_artifact(RUN, ARTIFACT, {"proposal.json": b"[" * 100_000})
    assert "it is no proposal of this version" in refusal(scene)


def test_a_head_that_has_moved_gets_no_commit(proposed):
    head = proposed.push({"README.md": "more\n"})
    line = refusal(proposed)
    assert line.startswith(f"the tests were proved at {proposed.head[:10]}, and the branch is at {head[:10]} now")


def test_a_head_that_moves_right_before_the_commit_is_not_overwritten(proposed):
    writes = len(proposed.fake.writes)
    proposed.fake.before("PATCH", REF, lambda: proposed.push({"README.md": "more\n"}))
    with pytest.raises(UsageError, match="the branch was not changed, since it moved meanwhile or is protected"):
        apply(proposed)
    assert text_at(proposed, proposed.fake.branch(BRANCH)) == HEAD_TESTS
    assert [request.status for request in proposed.fake.writes[writes:]] == [201, 201, 422]


def test_a_closed_pull_request_gets_no_commit(proposed):
    proposed.fake.close(NUMBER)
    assert refusal(proposed) == f"pull request {NUMBER} is closed: nothing is committed to its branch"


@pytest.mark.parametrize("home", ["stranger/sample", None])
def test_a_branch_in_a_fork_gets_no_commit(made, tmp_path, home):
    with open_scene(made, tmp_path, head_repo=home) as scene:
        leave(scene)
        with pytest.raises(UsageError, match="the branch is in a fork, to which this workflow cannot write"):
            apply(scene)
        assert scene.fake.writes == []


def test_without_the_right_to_write_it_says_which_one_is_missing(proposed):
    line = refusal(proposed, token=proposed.token(contents="read"))
    assert line.startswith("the branch was not changed; the workflow needs the permission `contents: write`: GitHub")


def test_without_the_right_to_read_artifacts_it_says_so(made, tmp_path):
    with open_scene(made, tmp_path) as scene:
        scene.publish()
        leave(scene)
        line = refusal(scene, token=scene.token(actions="none"))
        assert line.startswith(f"what run {RUN} left cannot be read; the workflow needs the permission `actions: read`")


def test_a_run_that_was_deleted_is_told(scene):
    scene.publish()
    assert f"what run {RUN} left cannot be read" in refusal(scene)


def test_a_test_that_holds_a_secret_is_not_committed(proposed):
    secret = findings(proposed.proposal)[0].suggestion.pieces[-1].split("\n")[-1].strip()
    said = apply(proposed, origin=Origin(secrets=(secret,)))
    assert said.startswith("Committed 3 tests as ")
    assert secret not in text_at(proposed, proposed.fake.branch(BRANCH))


def test_a_file_that_the_proposal_lies_about_is_not_overwritten(scene):
    scene.publish()
    data = json.loads(scene.proposal.model_dump_json())
    data["files"][0]["before"] = "from pkg.mod import grade\n"
    data["inline"] = []
    leave(scene, read_proposal(json.dumps(data).encode()))
    assert refusal(scene) == f"{TESTS} is not what the proposal says: ask for new tests with /gen-tests"


def test_a_folder_is_not_replaced_by_a_file(scene):
    head = scene.push({"tests/cases.py/data.txt": "A folder that is named like a file."})
    data = json.loads(scene.proposal.model_dump_json()) | {"head": head, "inline": []}
    data["files"][0] |= {"path": "tests/cases.py", "before": ""}
    data["suggestions"] = [suggestion | {"path": "tests/cases.py"} for suggestion in data["suggestions"]]
    proposal = read_proposal(json.dumps(data).encode())
    scene.publish(renewed(scene, HEAD_TESTS, head))
    leave(scene, proposal)
    assert "tests/cases.py is no text file" in refusal(scene)


def renewed(scene, text: str, head: str = ""):
    """The same proposal about a head at which the test file is this text."""
    head = head or scene.push({TESTS: text})
    data = json.loads(scene.proposal.model_dump_json()) | {"head": head, "inline": []}
    data["files"][0]["before"] = text
    return read_proposal(json.dumps(data).encode())


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_ends_of_the_lines_and_the_byte_order_mark_are_kept(scene, mark):
    proposal = renewed(scene, mark + HEAD_TESTS.replace("\n", "\r\n"))
    scene.publish(proposal)
    leave(scene, proposal)
    apply(scene)
    data = scene.fake.state.git.data(scene.fake.branch(BRANCH), TESTS)
    assert data.startswith(f"{mark}from pkg.mod import grade\r\n".encode())
    assert data.count(b"\n") == data.count(b"\r\n") > HEAD_TESTS.count("\n")
    assert b"def test_square():\r\n" in data


def test_a_new_file_is_committed_with_what_it_needs(scene):
    data = json.loads(scene.proposal.model_dump_json())
    data["files"][0] |= {"path": "tests/test_new.py", "before": ""}
    data["suggestions"] = [
        suggestion | {"path": "tests/test_new.py", "imports": ["from pkg.mod import Box, grade"]}
        for suggestion in data["suggestions"]
    ]
    data["inline"] = []
    proposal = read_proposal(json.dumps(data).encode())
    scene.publish(proposal)
    leave(scene, proposal)
    apply(scene, next(finding.id for finding in findings(proposal) if finding.target.id == AREA))
    changed = scene.project.git("diff", "--name-status", scene.head, scene.fake.branch(BRANCH))
    assert changed == "A\ttests/test_new.py\n"
    assert text_at(scene, scene.fake.branch(BRANCH), "tests/test_new.py").startswith("from pkg.mod import Box, grade\n")


@pytest.mark.parametrize("branch", ODD_BRANCHES)
def test_a_branch_of_any_name_moves_and_no_other(made, tmp_path, branch):
    with open_scene(made, tmp_path, head_ref=branch) as scene:
        scene.fake.state.git.set_ref(scene.fake.full_name, f"refs/heads/{BRANCH}", scene.base)
        scene.publish()
        leave(scene)
        apply(scene)
        assert text_at(scene, scene.fake.branch(branch)) == scene.proposal.files[0].after
        assert scene.fake.branch(BRANCH) == scene.base


@pytest.mark.parametrize(
    "kind", [Fault.BAD_GATEWAY, Fault.BAD_GATEWAY_AFTER, Fault.DROPPED, Fault.DROPPED_AFTER, Fault.SECONDARY]
)
@pytest.mark.parametrize(("method", "path"), [("POST", r"/trees$"), ("POST", r"/commits$"), ("PATCH", REF)])
def test_one_commit_is_made_whatever_is_lost(proposed, method, path, kind):
    proposed.fake.fail(method, path, kind=kind)
    apply(proposed)
    ancestors = proposed.project.git("rev-list", "--count", f"{proposed.base}..{proposed.fake.branch(BRANCH)}")
    assert ancestors == "2\n"


def test_a_commit_that_fails_for_long_is_told(proposed):
    proposed.fake.fail("PATCH", REF, times=5, kind=Fault.BAD_GATEWAY)
    with pytest.raises(GitHubError, match="GitHub answers 502: try again later"):
        apply(proposed)
    assert proposed.fake.branch(BRANCH) == proposed.head


def test_what_a_run_proposed_is_read_from_its_artifact(proposed):
    repository = proposed.repository()
    assert proposal_of_run(repository, RUN) == proposed.proposal
    repository.close()
