from __future__ import annotations

import pytest
from tests.github.faults import Fault
from tests.github.scene import ALL, NUMBER

from llm_testgen.edges.github.client import ACTIONS_LOGIN, DEFAULT_API, Access, GitHubRepository
from llm_testgen.edges.github.pulls import read_pull
from llm_testgen.edges.github.writes import post_comment
from llm_testgen.errors import GitHubError, GitHubForbiddenError, UsageError

VIEWER = "query { viewer { login } }"


@pytest.mark.parametrize(
    "name", ["", "sample", "a/b/c", "/b", "a/", "a b/c", "https://github.com/a/b", "a/b\n", "ä/b", "a;b/c"]
)
def test_a_name_that_is_no_repository_s_is_refused(name):
    with pytest.raises(UsageError, match="is no repository: pass owner/name"):
        GitHubRepository(Access(name, "x"))


@pytest.mark.parametrize("name", ["octo-org/sample.py", "A1/_b-", "octocat_company/x"])
def test_names_that_github_gives_are_taken(name):
    repository = GitHubRepository(Access(name, "x"))
    assert repository.name == name
    repository.close()


@pytest.mark.parametrize("api", ["", "github.com", "ftp://github.com", "file:///etc", "api.github.com/x"])
def test_an_address_that_is_none_is_refused(api):
    with pytest.raises(UsageError, match=f"set GITHUB_API_URL, such as {DEFAULT_API}"):
        GitHubRepository(Access("a/b", "x", api))


@pytest.mark.parametrize("api", ["https://", "http://:80", "https://host:port"])
def test_an_address_without_a_host_is_refused(api):
    with pytest.raises(UsageError, match="is no address of GitHub's API"):
        GitHubRepository(Access("a/b", "x", api))


def test_the_token_is_not_shown():
    assert "ghs_secret" not in repr(Access("a/b", "ghs_secret"))


def test_a_slash_at_the_end_of_the_address_does_not_matter(pulled):
    token = pulled.fake.token("job", ALL)
    repository = GitHubRepository(Access(pulled.fake.full_name, token, f"{pulled.fake.url}/", 0))
    assert read_pull(repository, NUMBER).head == pulled.head
    repository.close()


def test_the_workflow_s_own_token_writes_as_the_actions_bot(pulled):
    assert pulled.repository().login() == ACTIONS_LOGIN


def test_a_person_s_token_writes_as_that_person(pulled):
    assert pulled.person("octocat").login() == "octocat"
    assert [request.path for request in pulled.fake.requests] == ["/user"]


@pytest.mark.parametrize("login", ["my-app[bot]", "my-app"])
def test_an_app_s_token_writes_as_that_app(pulled, login):
    token = pulled.fake.token("app", ALL, login=login)
    assert pulled.repository(token).login() == "my-app[bot]"


@pytest.mark.parametrize("kind", [Fault.FORBIDDEN, Fault.UNPROCESSABLE])
def test_who_cannot_be_told_is_taken_for_the_actions_bot(pulled, kind):
    pulled.fake.fail("POST", "/graphql", kind=kind)
    token = pulled.fake.token("app", ALL, login="my-app[bot]")
    assert pulled.repository(token).login() == ACTIONS_LOGIN


def test_a_limit_does_not_make_a_person_the_actions_bot(pulled):
    pulled.fake.fail("GET", "/user", times=9, kind=Fault.SECONDARY)
    with pytest.raises(GitHubError, match="rate limit"):
        pulled.person("octocat").login()


def test_a_query_gives_its_data(pulled):
    assert pulled.repository().query(VIEWER, {}) == {"viewer": {"login": ACTIONS_LOGIN}}


def test_a_query_about_what_is_not_there_is_refused(pulled):
    with pytest.raises(GitHubForbiddenError, match="Could not resolve to a Repository"):
        pulled.repository().query('query { repository(owner: "a", name: "b") { id } }', {})


@pytest.mark.parametrize("kind", [Fault.BAD_GATEWAY, Fault.DROPPED])
def test_a_query_that_fails_once_is_repeated(pulled, kind):
    pulled.fake.fail("POST", "/graphql", kind=kind)
    assert pulled.repository().query(VIEWER, {})
    assert pulled.slept == [1]


def test_a_listing_is_read_over_all_of_its_pages(pulled):
    for number in range(205):
        pulled.fake.comment(NUMBER, "reviewer", str(number))
    repository = pulled.repository()
    listed = repository.read_all(repository.pull(NUMBER).get_issue_comments)
    assert [comment.body for comment in listed] == [str(number) for number in range(205)]


def test_a_listing_that_fails_at_a_later_page_is_read_anew_and_holds_nothing_twice(pulled):
    for number in range(205):
        pulled.fake.comment(NUMBER, "reviewer", str(number))
    seen = []
    path = r"/issues/7/comments$"
    pulled.fake.before("GET", path, lambda: seen.append(1) or len(seen) != 2 or pulled.fake.fail("GET", path), times=2)
    repository = pulled.repository()
    assert len(repository.read_all(repository.pull(NUMBER).get_issue_comments)) == 205
    assert pulled.slept == [1]


def test_a_public_repository_is_read_without_a_token():
    access = Access("octo-org/sample", "", "http://127.0.0.1:9")
    repository = GitHubRepository(access)
    assert repository.api.requester.auth is None
    repository.close()


def test_writes_keep_their_distance(pulled):
    pulled.fake.strict_pace = 0.1
    token = pulled.fake.token("job", ALL)
    repository = GitHubRepository(Access(pulled.fake.full_name, token, pulled.fake.url, 0.12))
    for number in range(3):
        post_comment(repository, NUMBER, f"<!-- {number} -->\nHello", login=ACTIONS_LOGIN)
    repository.close()
    assert len(pulled.fake.writes) == 3


@pytest.mark.parametrize("prefix", ["", "/api/v3"])
def test_graphql_is_asked_where_the_server_has_it(prefix):
    access = Access("a/b", "x", f"https://ghe.example{prefix}")
    repository = GitHubRepository(access)
    expected = "https://ghe.example/api/graphql" if prefix else "https://ghe.example/graphql"
    assert repository.api.requester.graphql_url == expected
    repository.close()
