"""``llm-testgen publish`` as it is called: what it prints, and how it ends."""

from __future__ import annotations

import time

import pytest
from click.testing import CliRunner
from tests.commands.publishing_scene import NUMBER, TESTS
from tests.delivery.samples import regression
from tests.github.faults import Fault

from llm_testgen.cli import main

# Of the workflow that these tests may run in, and of whoever runs them.
FOREIGN = dict.fromkeys(("GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_API_URL"))


@pytest.fixture
def slept(monkeypatch):
    """What was waited for, which nobody waits for."""
    seconds = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def path(scene, tmp_path):
    file = tmp_path / "proposal.json"
    file.write_text(scene.proposal.model_dump_json())
    return file


@pytest.fixture
def publish(scene, path, slept):  # noqa: ARG001 - nothing waits
    def run(*arguments: str, expect: int = 0, **environ: str | None):
        given = {
            "GITHUB_TOKEN": scene.token(),
            "GITHUB_REPOSITORY": scene.fake.full_name,
            "GITHUB_API_URL": scene.fake.url,
        }
        command = ["publish", str(path), "--pr", str(NUMBER), *arguments]
        result = CliRunner().invoke(main, command, env=FOREIGN | given | environ)
        assert result.exit_code == expect, result.output
        assert given["GITHUB_TOKEN"] not in result.output
        return result

    return run


def test_it_posts_and_says_where_each_test_stands(scene, publish):
    result = publish()
    lines = result.stdout.splitlines()
    assert lines[0] == "posted"
    assert [line.split()[0] for line in lines[1:4]] == [f"{TESTS}:{entry.line}" for entry in scene.proposal.inline]
    assert sum(line.endswith(": on the diff") for line in lines) == 4
    assert (
        lines[-1]
        == f"{scene.fake.web}/octo-org/sample/pull/{NUMBER}#pullrequestreview-{scene.page()['reviews'][0]['id']}"
    )
    assert scene.is_posted_once()


def test_the_second_call_says_that_there_is_nothing_new(scene, publish):
    publish()
    writes = len(scene.fake.writes)
    result = publish()
    assert result.stdout.splitlines()[0] == "nothing-new"
    assert len(scene.fake.writes) == writes


def test_a_dry_run_says_what_would_be_posted(scene, publish):
    result = publish("--dry-run")
    assert result.stdout.splitlines()[0] == "dry-run"
    assert f"{TESTS}:{scene.proposal.inline[0].line}" in result.stdout
    assert scene.fake.writes == []


@pytest.mark.parametrize("arguments", [(), ("--dry-run",)])
def test_a_possible_regression_is_told(scene, publish, path, arguments):
    proposal = scene.proposal.model_copy(update={"regressions": (regression(),)})
    path.write_text(proposal.model_dump_json())
    assert "  1 possible regression, asked about in the summary\n" in publish(*arguments).stdout


def test_without_a_possible_regression_none_is_told(publish):
    assert "regression" not in publish().stdout


def test_options_choose_the_delivery_and_the_bound(scene, publish):
    publish("--delivery", "summary")
    assert scene.comments() == []
    publish("--max-suggestions", "1")
    assert len(scene.comments()) == 1


def test_the_repository_may_be_named(scene, publish):
    publish("--repository", scene.fake.full_name, GITHUB_REPOSITORY="other/place")
    assert scene.is_posted_once()


def test_a_superseded_proposal_is_no_failure(scene, publish):
    scene.push({"README.md": "more\n"})
    result = publish()
    assert result.stdout.startswith(f"superseded pull request {NUMBER} is at ")
    assert scene.fake.writes == []


def last_line(result) -> str:
    assert "Traceback" not in result.output
    return result.stderr.strip().split("\n")[-1]


def test_a_post_that_fails_for_long_ends_with_2_and_says_so(scene, publish, path, slept):
    data = path.read_bytes()
    scene.fake.fail("POST", r"/reviews$", times=5, kind=Fault.BAD_GATEWAY)
    result = publish(expect=2)
    assert result.stdout.startswith("not-posted what was found could not all be posted: GitHub answers 502")
    assert last_line(result).startswith("llm-testgen: what was found could not all be posted: GitHub answers 502")
    assert [seconds for seconds in slept if seconds >= 1] == [1, 2, 4, 8, 16]
    assert path.read_bytes() == data
    publish()
    assert len(scene.page()["reviews"]) == 1
    assert scene.is_posted_once()


def test_a_token_that_may_not_post_ends_with_2_and_leaves_the_proposal(scene, publish, path):
    data = path.read_bytes()
    result = publish(expect=2, GITHUB_TOKEN=scene.token(pull_requests="read", issues="read"))
    assert result.stdout.startswith("not-posted ")
    assert "give the job the permission, such as `pull-requests: write`" in last_line(result)
    assert path.read_bytes() == data
    assert [file.name for file in path.parent.iterdir() if file.is_file()] == [path.name]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"GITHUB_TOKEN": None}, "no token: set GITHUB_TOKEN"),
        ({"GITHUB_TOKEN": "  "}, "no token: set GITHUB_TOKEN"),
        ({"GITHUB_REPOSITORY": None}, "no repository: pass --repository OWNER/NAME"),
        ({"GITHUB_REPOSITORY": "sample"}, "'sample' is no repository: pass owner/name"),
        ({"GITHUB_REPOSITORY": "octo-org/other"}, "it does not exist, or the token cannot see it"),
        ({"GITHUB_API_URL": "github.example"}, "'github.example' is no address of GitHub's API"),
        ({"GITHUB_TOKEN": "ghs_wrong"}, "GitHub answers 401 (Bad credentials): the token is not valid"),
        ({"GITHUB_API_URL": "http://127.0.0.1:9"}, "GitHub cannot be reached (ConnectionError)"),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_one_line(scene, publish, environ, said):
    assert said in last_line(publish(expect=2, **environ))
    assert scene.fake.writes == []


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"[" * 100_000, b" " * ((32 << 20) + 1)],
    ids=["none", "empty", "open", "deep", "large"],
)
def test_a_file_that_is_no_proposal_is_said_in_one_line(scene, publish, path, content):
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    line = last_line(publish(expect=2))
    assert line.startswith("llm-testgen: ")
    assert "propos" in line
    assert scene.fake.requests == []


def test_a_folder_is_no_proposal(publish, path):
    path.unlink()
    path.mkdir()
    assert "cannot be read (Is a directory)" in last_line(publish(expect=2))


def test_a_pull_request_that_is_none_is_said(publish, scene):
    scene.fake.state.pulls.clear()
    assert "GitHub answers 404 (Not Found)" in last_line(publish(expect=2))


@pytest.mark.parametrize("arguments", [("--pr", "0"), ("--max-suggestions", "101"), ("--delivery", "mail")])
def test_an_option_that_cannot_be_is_click_s_to_refuse(publish, scene, arguments):
    assert "Invalid value" in publish(*arguments, expect=2).stderr
    assert scene.fake.requests == []


def test_what_is_printed_has_no_markup_of_its_own(publish, path):
    text = path.read_text().replace('"test_area"', '"test_[bold]area[/bold]"')
    path.write_text(text)
    assert "test_[bold]area[/bold]" in publish("--dry-run").stdout
