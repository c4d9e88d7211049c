from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.conftest import GitProject
from tests.edges.githttp import serve

from llm_testgen.edges import gitfetch
from llm_testgen.edges.gitfetch import fetch_pull
from llm_testgen.errors import ProjectError

NUMBER = 7
TOKEN = "ghs_secretOfTheJob"  # noqa: S105 - made up
BASIC = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
OURS = f"refs/llm-testgen/{NUMBER}"
GIT = shutil.which("git")


@dataclass(slots=True)
class Upstream:
    """A repository with a pull request, and what a job has of it: a shallow checkout of the base branch."""

    project: GitProject
    checkout: GitProject
    base: str
    head: str
    log: Path
    environ: Mapping[str, str]

    def fetch(self, base_branch: str = "main", **more: object) -> None:
        options = {"token": TOKEN, "server": "https://github.example", "environ": self.environ} | more
        root = options.pop("root", self.checkout.root)
        fetch_pull(root, NUMBER, base_branch, **options)

    def refusal(self, base_branch: str = "main", **more: object) -> str:
        with pytest.raises(ProjectError) as raised:
            self.fetch(base_branch, **more)
        message = str(raised.value)
        assert "\n" not in message
        assert TOKEN not in message
        return message

    def origin(self, url: str) -> None:
        self.checkout.git("remote", "set-url", "origin", url)

    def count(self, ref: str) -> int:
        return int(self.checkout.git("rev-list", "--count", ref))

    def clone(self, folder: Path, *options: str) -> GitProject:
        command = ["clone", "--quiet", *options, f"file://{self.project.root}", str(folder)]
        self.project.git(*command)
        return GitProject(folder)


def recorder(folder: Path) -> Path:
    """A ``git`` that writes down how it is called, and then does it."""
    folder.mkdir()
    log = folder / "calls"
    script = folder / "git"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> "{log}"\nexec {GIT} "$@"\n')
    script.chmod(0o755)
    return log


@pytest.fixture
def upstream(git_project, tmp_path):
    project = git_project
    for number in range(6):
        project.write("a.py", f"x = {number}\n")
        project.write("sub/b.py", "")
        base = project.commit(f"base {number}")
    project.git("checkout", "--quiet", "-b", "topic", "HEAD~2")
    for number in range(3):
        project.write("c.py", f"y = {number}\n")
        head = project.commit(f"head {number}")
    project.git("update-ref", f"refs/pull/{NUMBER}/head", head)
    project.git("checkout", "--quiet", "main")
    project.git("branch", "--quiet", "-D", "topic")
    log = recorder(tmp_path / "bin")
    environ = {
        "PATH": f"{log.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    found = Upstream(project, project, base, head, log, environ)
    found.checkout = found.clone(tmp_path / "checkout", "--depth", "1")
    return found


def test_a_shallow_checkout_becomes_deep_enough(upstream):
    assert upstream.count("HEAD") == 1
    upstream.fetch()
    git = upstream.checkout.git
    assert git("rev-parse", f"{OURS}/head", f"{OURS}/base").split() == [upstream.head, upstream.base]
    assert (upstream.count(f"{OURS}/head"), upstream.count(f"{OURS}/base")) == (7, 6)
    assert git("merge-base", f"{OURS}/head", f"{OURS}/base").strip() == git("rev-parse", f"{OURS}/base~2").strip()
    assert git("rev-parse", "--is-shallow-repository").strip() == "false"


def test_a_whole_checkout_gets_what_it_lacks(upstream, tmp_path):
    upstream.checkout = upstream.clone(tmp_path / "whole")
    upstream.fetch()
    assert upstream.checkout.git("rev-parse", f"{OURS}/head").strip() == upstream.head


def test_a_folder_of_the_checkout_does_as_well(upstream):
    upstream.fetch(root=upstream.checkout.root / "sub")
    assert upstream.count(f"{OURS}/head") == 7


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("folder", ["", "sub"])
def test_a_checkout_that_belongs_to_somebody_else_does_as_well(upstream, folder):
    for path in (upstream.checkout.root, *upstream.checkout.root.rglob("*")):
        os.chown(path, 12_345, 12_345)
    upstream.fetch(root=upstream.checkout.root / folder)


def test_a_worktree_of_a_shallow_checkout_does_as_well(upstream, tmp_path):
    upstream.checkout.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"))
    upstream.fetch(root=tmp_path / "tree")
    assert upstream.count(f"{OURS}/head") == 7


def test_fetched_again_it_follows_a_branch_that_was_rewritten(upstream):
    upstream.fetch()
    upstream.project.git("update-ref", f"refs/pull/{NUMBER}/head", f"{upstream.base}~1")
    upstream.fetch()
    found = upstream.checkout.git("rev-parse", f"{OURS}/head").strip()
    assert found == upstream.project.git("rev-parse", f"{upstream.base}~1").strip()


def test_branches_files_and_settings_of_the_checkout_stay(upstream):
    git = upstream.checkout.git
    upstream.checkout.write("a.py", "mine\n")
    upstream.project.git("tag", "v1")
    config = (upstream.checkout.root / ".git/config").read_bytes()
    before = [git("for-each-ref", "refs/heads", "refs/remotes", "refs/tags"), git("status"), git("rev-parse", "HEAD")]
    upstream.fetch()
    after = [git("for-each-ref", "refs/heads", "refs/remotes", "refs/tags"), git("status"), git("rev-parse", "HEAD")]
    assert after == before
    assert (upstream.checkout.root / ".git/config").read_bytes() == config
    assert (upstream.checkout.root / "a.py").read_text() == "mine\n"


def test_the_token_stands_in_no_command_line_and_in_no_file(upstream):
    upstream.fetch()
    calls = upstream.log.read_text()
    assert "fetch" in calls.split()
    for secret in (TOKEN, BASIC):
        assert secret not in calls
        for path in upstream.checkout.root.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes()


def test_no_hook_of_the_checkout_runs(upstream, tmp_path):
    hooks = upstream.checkout.root / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("reference-transaction", "post-checkout", "post-merge", "pre-auto-gc", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-$(basename $0)\n")
        (hooks / name).chmod(0o755)
    upstream.fetch()
    assert list(tmp_path.glob("ran-*")) == []
    upstream.checkout.git("fetch", "--quiet", "origin", "main:refs/other")
    assert list(tmp_path.glob("ran-*")) != []


@pytest.mark.parametrize(
    "branch", ['a";id;"', "$(touch${IFS}x)", "`touch${IFS}x`", "-rf", "--upload-pack=x", "é|x&y", "a'b"]
)
def test_a_base_branch_of_any_name_is_fetched_and_executes_nothing(upstream, branch, tmp_path, monkeypatch):
    upstream.project.git("update-ref", f"refs/heads/{branch}", f"{upstream.base}~1")
    monkeypatch.chdir(tmp_path)
    before = {path.name for folder in (tmp_path, upstream.checkout.root) for path in folder.iterdir()}
    upstream.fetch(branch)
    found = upstream.checkout.git("rev-parse", f"{OURS}/base").strip()
    assert found == upstream.project.git("rev-parse", f"{upstream.base}~1").strip()
    assert f"+refs/heads/{branch}:{OURS}/base" in upstream.log.read_text().split("\n")
    assert {path.name for folder in (tmp_path, upstream.checkout.root) for path in folder.iterdir()} == before


@pytest.mark.parametrize("url", ["file:///no/such/repository", "http://127.0.0.1:9/x.git", "/no/such/folder", ""])
def test_an_origin_that_cannot_be_reached_is_told(upstream, url):
    upstream.origin(url) if url else upstream.checkout.git("remote", "remove", "origin")
    message = upstream.refusal()
    assert message.startswith(f"pull request {NUMBER} cannot be fetched (fatal: ")
    assert message.endswith("): give the job `contents: read`")


def test_a_password_in_the_address_of_origin_is_not_told(upstream):
    upstream.origin("http://x-access-token:ghs_persisted@127.0.0.1:9/x.git")
    assert "ghs_persisted" not in upstream.refusal()


def test_a_branch_or_a_pull_request_that_is_gone_is_told(upstream):
    assert "couldn't find remote ref refs/heads/gone" in upstream.refusal("gone")
    upstream.project.git("update-ref", "-d", f"refs/pull/{NUMBER}/head")
    assert f"couldn't find remote ref refs/pull/{NUMBER}/head" in upstream.refusal()


def test_a_folder_that_is_no_checkout_is_told(upstream, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "not a git repository" in upstream.refusal(root=tmp_path / "empty")


def test_no_git_at_all_is_told(upstream, tmp_path):
    message = upstream.refusal(environ={"PATH": str(tmp_path / "nothing")})
    assert message == "git is not installed: install it, or check the pull request out with `fetch-depth: 0`"


def test_a_git_that_hangs_is_ended_and_told(upstream, monkeypatch):
    monkeypatch.setattr(gitfetch, "_SECONDS", 0.3)
    (upstream.log.parent / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    assert upstream.refusal().startswith("git fetch took more than 0.3 s")


def test_what_git_says_is_cut(upstream):
    (upstream.log.parent / "git").write_text("#!/bin/sh\nyes fatal | head -c 100000 >&2\nexit 1\n")
    assert len(upstream.refusal()) < 500


@pytest.fixture
def server(upstream):
    """The repository behind HTTP, where it wants the token."""
    with serve(upstream.project.root.parent, f"basic {BASIC}") as found:
        upstream.origin(f"{found.url}/{upstream.project.root.name}/.git")
        yield found


def test_the_token_is_shown_to_the_server_it_is_for(upstream, server):
    upstream.fetch(server=server.url)
    assert upstream.count(f"{OURS}/head") == 7
    assert server.shown
    assert all(headers == [f"basic {BASIC}"] for headers in server.shown)


def test_it_takes_the_place_of_a_header_that_the_checkout_keeps(upstream, server):
    upstream.checkout.git("config", f"http.{server.url}/.extraheader", "AUTHORIZATION: basic b2xk")
    upstream.fetch(server=server.url)
    assert all(headers == [f"basic {BASIC}"] for headers in server.shown)


def test_it_is_shown_to_no_other_server(upstream, server):
    assert "cannot be fetched" in upstream.refusal(server="http://github.example")
    assert server.shown
    assert not any(server.shown)


def test_without_a_token_a_header_that_the_checkout_keeps_is_used(upstream, server):
    upstream.checkout.git("config", f"http.{server.url}/.extraheader", f"AUTHORIZATION: basic {BASIC}")
    upstream.fetch(server=server.url, token="")
    assert upstream.count(f"{OURS}/head") == 7


def test_no_call_waits_for_a_person(upstream, server):
    assert "could not read Username" in upstream.refusal(server=server.url, token="")
