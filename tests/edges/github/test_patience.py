from __future__ import annotations

import pytest
from github import GithubException
from requests.exceptions import ChunkedEncodingError, ConnectionError, ReadTimeout, SSLError  # noqa: A004 - its name

from llm_testgen.edges.github.patience import Patience, explained, reason, unreachable
from llm_testgen.errors import GitHubError, GitHubForbiddenError, GitHubRefusedError

NOW = 1_700_000_000
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
LOST = [ConnectionError("reset"), ReadTimeout("slow"), ChunkedEncodingError("cut"), SSLError("odd")]


class Script:
    """A request that fails in these ways one after the other, and then gives its result."""

    def __init__(self, *errors: Exception | None, result: str = "done") -> None:
        self.errors = list(errors)
        self.result = result
        self.calls = 0
        self.slept: list[float] = []
        self.patience = Patience(self.slept.append, lambda: NOW)

    def __call__(self) -> str:
        self.calls += 1
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return self.result


def answer(status: int, data: object = None, **headers: str) -> GithubException:
    return GithubException(status, data, {name.replace("_", "-"): value for name, value in headers.items()})


def test_a_request_that_succeeds_is_sent_once():
    script = Script()
    assert script.patience.read(script) == "done"
    assert (script.calls, script.slept) == (1, [])


@pytest.mark.parametrize("error", [*LOST, answer(500), answer(502), answer(503, {"message": "busy"}), answer(504)])
def test_a_read_is_repeated_while_the_server_fails(error):
    script = Script(error, error, error)
    assert script.patience.read(script) == "done"
    assert (script.calls, script.slept) == (4, [1, 2, 4])


def test_a_read_that_fails_for_long_is_given_up_without_another_wait():
    script = Script(*[answer(502)] * 9)
    with pytest.raises(GitHubError, match=r"^GitHub answers 502: try again later$"):
        script.patience.read(script)
    assert (script.calls, script.slept) == (5, [1, 2, 4, 8])


def test_a_server_that_is_not_there_is_told():
    script = Script(*[ConnectionError("reset by peer")] * 9)
    with pytest.raises(GitHubError) as raised:
        script.patience.read(script)
    assert str(raised.value) == (
        "GitHub cannot be reached (ConnectionError): check GITHUB_API_URL and the network, and try again"
    )
    assert str(unreachable(ReadTimeout("x"))).startswith("GitHub cannot be reached (ReadTimeout)")


def test_what_is_no_fault_of_the_way_is_not_repeated():
    script = Script(KeyError("x"))
    with pytest.raises(KeyError):
        script.patience.read(script)
    assert (script.calls, script.slept) == (1, [])


@pytest.mark.parametrize("error", [*LOST, answer(502)])
def test_a_write_is_not_sent_again_when_it_is_found(error):
    script = Script(error)
    assert script.patience.write(script, lambda: "found") == "found"
    assert (script.calls, script.slept) == (1, [1])


@pytest.mark.parametrize("error", [*LOST, answer(502)])
def test_a_write_is_sent_again_when_it_is_not_found(error):
    looked = []
    script = Script(error, error)
    assert script.patience.write(script, lambda: looked.append(1)) == "done"
    assert (script.calls, len(looked)) == (3, 2)


def test_a_write_is_looked_for_after_its_last_failure_too():
    looked = []
    script = Script(*[answer(502)] * 9)
    found = script.patience.write(script, lambda: looked.append(1) or ("found" if len(looked) == 5 else None))
    assert (found, script.calls, script.slept) == ("found", 5, [1, 2, 4, 8, 16])


def test_a_write_that_cannot_be_looked_for_is_not_sent_again():
    def find() -> str:
        raise GitHubError

    script = Script(answer(502))
    with pytest.raises(GitHubError):
        script.patience.write(script, find)
    assert script.calls == 1


def test_a_write_that_a_limit_refused_is_not_looked_for():
    looked = []
    script = Script(answer(403, SECONDARY), answer(429))
    assert script.patience.write(script, lambda: looked.append(1)) == "done"
    assert (script.slept, looked) == ([60, 60], [])


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (answer(403, SECONDARY, retry_after="7"), 8),
        (answer(403, SECONDARY, Retry_After="7"), 8),
        (answer(403, SECONDARY), 60),
        (answer(403, {"message": "You have triggered an abuse detection mechanism."}), 60),
        (answer(403, None, x_ratelimit_remaining="0", x_ratelimit_reset=str(NOW + 20)), 21),
        (answer(403, None, x_ratelimit_remaining="0", x_ratelimit_reset=str(NOW - 20)), 1),
        (answer(403, None, x_ratelimit_remaining="0"), 60),
        (answer(403, None, x_ratelimit_remaining="0", x_ratelimit_reset="soon"), 60),
        (answer(403, SECONDARY, retry_after="Fri, 31 Dec 1999 23:59:59 GMT"), 60),
        (answer(403, SECONDARY, retry_after="7", x_ratelimit_remaining="0", x_ratelimit_reset=str(NOW + 99)), 8),
        (answer(429, None, retry_after="0"), 1),
        (answer(429), 60),
        (answer(400, {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded for user"}]}), 60),
        (answer(400, {"errors": []}, x_ratelimit_remaining="0", x_ratelimit_reset=str(NOW + 5)), 6),
    ],
)
def test_a_limit_is_waited_for_as_long_as_github_says(error, wait):
    script = Script(error)
    assert script.patience.read(script) == "done"
    assert script.slept == [wait]


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (answer(429, None, retry_after="3600"), 3601),
        (answer(403, None, x_ratelimit_remaining="0", x_ratelimit_reset=str(NOW + 3000)), 3001),
    ],
)
def test_a_limit_that_lasts_too_long_is_told_at_once(error, seconds):
    script = Script(error)
    with pytest.raises(GitHubError) as raised:
        script.patience.read(script)
    assert str(raised.value) == (
        f"GitHub's rate limit lasts another {seconds} s, longer than a job should wait: run it later"
    )
    assert script.slept == []


def test_limits_may_not_add_up_to_more_than_a_job_should_wait():
    script = Script(*[answer(429, None, retry_after="399")] * 9)
    with pytest.raises(GitHubError, match="GitHub's rate limit lasts another 400 s"):
        script.patience.read(script)
    assert script.slept == [400, 400]


def test_a_limit_that_is_never_lifted_is_no_lack_of_permission():
    script = Script(*[answer(403, SECONDARY, retry_after="1")] * 9)
    with pytest.raises(GitHubError, match="GitHub's rate limit lasts") as raised:
        script.patience.read(script)
    assert not isinstance(raised.value, GitHubForbiddenError)
    assert (script.calls, script.slept) == (5, [2, 2, 2, 2])


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, GitHubForbiddenError, "the token is not valid; pass github-token"),
        (403, GitHubForbiddenError, "give the job the permission, such as `pull-requests: write`"),
        (404, GitHubForbiddenError, "it does not exist, or the token cannot see it"),
        (410, GitHubForbiddenError, "it does not exist, or the token cannot see it"),
        (409, GitHubRefusedError, "GitHub answers 409 (No)"),
        (422, GitHubRefusedError, "GitHub answers 422 (No)"),
        (400, GitHubError, "try again later"),
        (451, GitHubError, "try again later"),
    ],
)
def test_a_refusal_is_told_once_and_says_what_to_do(status, kind, said):
    script = Script(answer(status, {"message": "No"}, x_ratelimit_remaining="4999"))
    with pytest.raises(GitHubError) as raised:
        script.patience.write(script, lambda: "found")
    assert type(raised.value) is kind
    assert str(raised.value).startswith(f"GitHub answers {status} (No)")
    assert said in str(raised.value)
    assert (script.calls, script.slept) == (1, [])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"message": "No", "errors": ["a", {"message": "b"}, {"code": "c"}]}, "No; a; b; {'code': 'c'}"),
        ({"message": "No\n\n  way"}, "No way"),
        ({"message": "x" * 1_000}, "x" * 300),
        ({"data": "<html>Unicorn!</html>"}, ""),
        ({"errors": "all"}, ""),
        (["a list"], ""),
        (None, ""),
    ],
)
def test_the_reason_of_a_refusal_is_one_short_line(data, said):
    assert reason(GithubException(422, data, {})) == said


def test_a_refusal_without_a_word_has_no_empty_brackets():
    assert str(explained(answer(422))) == "GitHub answers 422"
