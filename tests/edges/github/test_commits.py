from __future__ import annotations

from dataclasses import replace

import pytest
from tests.edges.github.conftest import BOT, CALC
from tests.github.faults import Fault
from tests.github.scene import NUMBER

from llm_testgen.edges.github.commits import commit_files
from llm_testgen.errors import GitHubError, GitHubForbiddenError, GitHubRefusedError

FILES = {"tests/test_calc.py": "def test():\r\n    pass\r\n", CALC: "line = 'größe'\n"}
REF = r"/git/refs/heads/topic$"


def commit(pulled, files=FILES, **changes: object) -> str:
    return commit_files(pulled.repository(), replace(pulled.pull(), **changes), files, "Add tests\n\nAsked for.")


def test_files_are_committed_on_top_of_the_head(pulled):
    made = commit(pulled)
    assert pulled.fake.branch("topic") == made == pulled.pull().head
    git = pulled.project.git
    assert git("log", "-1", "--format=%P|%an|%B", made).strip() == f"{pulled.head}|{BOT}|Add tests\n\nAsked for."
    assert git("diff", "--name-status", pulled.head, made) == f"M\t{CALC}\nA\ttests/test_calc.py\n"
    for path, text in FILES.items():
        assert pulled.fake.state.git.data(made, path) == text.encode()
        assert git("ls-tree", made, path).startswith("100644 blob ")


def test_the_branch_is_asked_to_move_and_not_forced(pulled):
    commit(pulled)
    (request,) = [request for request in pulled.fake.writes if request.method == "PATCH"]
    assert request.body == {"sha": pulled.fake.branch("topic"), "force": False}


def test_a_branch_that_moved_is_left_where_it_is(pulled):
    before = pulled.pull()
    pulled.project.write("README.md", "more\n")
    later = pulled.project.commit()
    pulled.fake.push(NUMBER, later)
    with pytest.raises(GitHubRefusedError, match="Update is not a fast forward"):
        commit_files(pulled.repository(), before, FILES, "Add tests")
    assert pulled.fake.branch("topic") == later


def test_a_branch_that_is_gone_is_told(pulled):
    with pytest.raises(GitHubRefusedError, match="Reference does not exist"):
        commit(pulled, head_branch="gone")


def test_a_head_that_is_unknown_is_told(pulled):
    with pytest.raises(GitHubForbiddenError, match="it does not exist"):
        commit(pulled, head="0" * 40)


@pytest.mark.parametrize("path", ["../x", ".git/config", "/etc/passwd"])
def test_a_path_that_leads_elsewhere_is_refused_by_github_too(pulled, path):
    with pytest.raises(GitHubRefusedError, match="malformed path component"):
        commit(pulled, {path: "x"})
    assert pulled.fake.branch("topic") == pulled.head


def test_a_token_that_may_not_write_is_told(pulled):
    token = pulled.fake.token("reader", {"contents": "read", "pull_requests": "read"})
    with pytest.raises(GitHubForbiddenError):
        commit_files(pulled.repository(token), pulled.pull(), FILES, "Add tests")


@pytest.mark.parametrize("branch", ["topic#1", "topic%23", "a&b=c", "über", "x/y+z", "-rf", "$(touch${IFS}x)"])
def test_a_branch_of_any_name_moves_alone(pulled, branch):
    pulled.fake.add_pull(8, pulled.base, pulled.head, head_ref=branch)
    made = commit(pulled, head_branch=branch)
    assert pulled.fake.branch(branch) == made
    assert pulled.fake.branch("topic") == pulled.head


@pytest.mark.parametrize("kind", [Fault.BAD_GATEWAY_AFTER, Fault.DROPPED_AFTER])
def test_a_move_whose_answer_is_lost_is_not_made_again(pulled, kind):
    pulled.fake.fail("PATCH", REF, kind=kind)
    made = commit(pulled)
    assert pulled.fake.branch("topic") == made
    assert sum(request.method == "PATCH" for request in pulled.fake.writes) == 1


@pytest.mark.parametrize("kind", [Fault.BAD_GATEWAY, Fault.DROPPED, Fault.TOO_MANY])
def test_a_move_that_did_not_take_place_is_made_again(pulled, kind):
    pulled.fake.fail("PATCH", REF, kind=kind)
    assert commit(pulled) == pulled.fake.branch("topic")


def test_a_move_that_fails_for_long_is_told(pulled):
    pulled.fake.fail("PATCH", REF, times=9, kind=Fault.SERVER_ERROR)
    with pytest.raises(GitHubError, match=r"GitHub answers 500 \(Server Error\): try again later"):
        commit(pulled)
    assert pulled.fake.branch("topic") == pulled.head
