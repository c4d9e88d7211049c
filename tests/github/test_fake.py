"""The fake GitHub as a server: what it lets in, what it checks, how it fails."""

import time

import github
import pytest
import requests
from tests.github.description import _document
from tests.github.fake import FakeGitHub
from tests.github.faults import Fault
from tests.github.router import ENDPOINTS
from tests.github.scene import ALL, NUMBER


def test_every_operation_of_the_description_is_served():
    described = {(method.upper(), path) for path, methods in _document()["paths"].items() for method in methods}
    assert set(ENDPOINTS) == described


def test_an_unknown_path_is_not_found_and_a_violation(scene):
    assert scene.call("GET", "/pulls/7/labels").status_code == 404
    assert "GET /repos/octo-org/sample/pulls/7/labels" in scene.fake.violations[0]


def test_a_body_that_departs_from_the_description_is_refused_and_a_violation(scene):
    answer = scene.call("POST", "/issues/7/comments", {"text": "no body"})
    assert (answer.status_code, scene.fake.page(NUMBER)["comments"]) == (422, [])
    assert "'body' is a required property" in scene.fake.violations[0]


def test_a_parameter_of_the_wrong_type_is_a_violation(scene):
    assert scene.call("GET", "/pulls/seven").status_code == 422
    assert "pull_number" in scene.fake.violations[0]


def test_a_query_parameter_that_github_would_ignore_is_a_violation(scene):
    assert scene.call("GET", "/pulls/7/files?sort=name").status_code == 422
    assert "no query parameter sort" in scene.fake.violations[0]


def test_an_answer_that_departs_from_the_description_is_a_violation(scene):
    scene.fake.state.pulls[NUMBER].title = None
    scene.call("GET", "/pulls/7")
    assert "answer to GET" in scene.fake.violations[0]
    assert "title" in scene.fake.violations[0]


def test_a_fault_of_the_fake_itself_is_a_violation(scene):
    scene.fake.state.pulls[NUMBER].head_sha = "0" * 40
    assert scene.call("GET", "/pulls/7").status_code == 500
    assert "the fake failed at GET" in scene.fake.violations[0]


def test_a_request_costs_some_milliseconds(scene):
    scene.call("GET", "/pulls/7")
    start = time.process_time()  # of client and server
    for _ in range(10):
        scene.call("GET", "/pulls/7")
    assert time.process_time() - start < 0.5


# Rights


def test_without_a_known_token_nobody_gets_in(scene):
    assert scene.call("GET", "/pulls/7", secret="").status_code == 401
    wrong = scene.secret[:-1]
    assert scene.call("GET", "/pulls/7", secret=wrong).json()["message"] == "Bad credentials"
    with scene.client(wrong) as client, pytest.raises(github.BadCredentialsException):
        client.get_repo(scene.fake.full_name)
    basic = requests.get(f"{scene.fake.url}/user", headers={"authorization": f"Basic {scene.secret}"}, timeout=10)
    assert basic.status_code == 401


def test_a_workflows_token_has_no_user_and_a_persons_has(scene):
    person = scene.fake.token("person", {"contents": "read"}, login="alice", kind="user")
    refused = scene.call("GET", "//user")
    assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by integration")
    with scene.client(person) as client:
        assert client.get_user().login == "alice"
    assert scene.fake.violations == []


def test_a_write_without_the_right_is_forbidden_and_a_read_is_not(scene):
    reader = scene.fake.token("reader", {"contents": "write", "pull_requests": "read"})
    with scene.pull(reader) as pull, pytest.raises(github.GithubException) as caught:
        pull.create_issue_comment("Hello.")
    assert (caught.value.status, caught.value.message) == (403, "Resource not accessible by integration")
    assert scene.fake.page(NUMBER)["comments"] == []


@pytest.mark.parametrize("right", ["issues", "pull_requests"])
def test_either_right_is_enough_to_comment_on_a_pull_request(scene, right):
    with scene.pull(scene.fake.token("some", {right: "write"})) as pull:
        pull.create_issue_comment("Hello.")
    assert [comment["body"] for comment in scene.fake.page(NUMBER)["comments"]] == ["Hello."]


def test_who_may_not_see_the_repository_is_told_that_there_is_none(scene):
    outsider = scene.fake.token("outsider", {})
    assert scene.call("GET", "/pulls/7", secret=outsider).status_code == 404
    assert scene.call("GET", "//repos/octo-org/other").status_code == 404


def test_a_private_repository_is_read_with_the_right_only(git_project):
    sha = git_project.commit()
    with FakeGitHub(git_project.root, private=True) as fake:
        headers = {"authorization": f"token {fake.token('some', {'issues': 'read'})}"}
        answer = requests.get(f"{fake.url}/repos/octo-org/sample/git/commits/{sha}", headers=headers, timeout=10)
    assert answer.status_code == 403


def test_an_apps_token_reads_a_fork_and_never_writes_to_it(scene):
    scene.fake.add_pull(8, scene.base, scene.head, head_repo="contributor/sample", head_ref="fix")
    ref = "//repos/contributor/sample/git/ref/heads/fix"
    assert scene.call("GET", ref).json()["object"]["sha"] == scene.head
    body = {"ref": "refs/heads/more", "sha": scene.head}
    assert scene.call("POST", "//repos/contributor/sample/git/refs", body).status_code == 403


def test_a_collaborators_permission_is_the_legacy_one_beside_the_true_role(scene):
    scene.fake.collaborators = {"mia": "maintain", "tom": "triage", "nina": "none"}
    with scene.client() as client:
        repository = client.get_repo(scene.fake.full_name)
        found = {login: repository.get_collaborator_permission(login) for login in ("mia", "tom", "nina", "octo-org")}
        with pytest.raises(github.UnknownObjectException):
            repository.get_collaborator_permission("stranger")
    assert found == {"mia": "write", "tom": "read", "nina": "none", "octo-org": "admin"}
    assert scene.call("GET", "/collaborators/mia/permission").json()["role_name"] == "maintain"
    assert scene.fake.violations == []


# The log


def test_the_log_has_each_request_with_its_status_and_whose_it_was(scene):
    scene.call("GET", "/pulls/7/files?per_page=2")
    scene.call("POST", "/issues/7/comments", {"body": "Hello."})
    read, write = scene.fake.requests
    assert (read.method, read.path, read.query) == ("GET", "/repos/octo-org/sample/pulls/7/files", {"per_page": "2"})
    assert (read.token, read.status, write.body, write.status) == ("writer", 200, {"body": "Hello."}, 201)
    assert scene.fake.writes == [write]


def test_a_mutation_is_a_write_and_a_query_is_not(scene):
    scene.call("POST", "//graphql", {"query": "query { viewer { login } }"})
    scene.call("POST", "//graphql", {"query": "mutation { minimizeComment(input: {}) { clientMutationId } }"})
    assert [request.is_write for request in scene.fake.requests] == [False, True]


def test_pages_are_linked_and_hold_a_hundred_at_most(scene):
    for number in range(105):
        scene.fake.comment(NUMBER, "alice", f"Comment {number}")
    with scene.pull() as pull:
        assert [comment.body for comment in pull.get_issue_comments()] == [f"Comment {number}" for number in range(105)]
    first = scene.call("GET", "/issues/7/comments?per_page=1000")
    second = requests.get(first.links["next"]["url"], headers=first.request.headers, timeout=10)
    assert (len(first.json()), len(second.json())) == (100, 5)
    assert set(first.links) == {"next", "last"}
    assert set(second.links) == {"prev", "first"}
    assert len(scene.call("GET", "/issues/7/comments").json()) == 30
    assert scene.fake.violations == []


def test_the_rate_limit_is_told_with_every_answer_and_ends(scene):
    scene.fake.state.rate_remaining = 2
    told = [scene.call("GET", "//rate_limit") for _ in range(3)]
    assert [answer.headers["x-ratelimit-remaining"] for answer in told] == ["1", "0", "0"]
    assert [answer.status_code for answer in told] == [200, 200, 403]
    with scene.client() as client, pytest.raises(github.RateLimitExceededException):
        client.get_rate_limit()


def test_writes_that_come_too_close_together_are_violations(scene):
    scene.fake.strict_pace = 60
    for method, path, body in (("POST", "/issues/7/comments", {"body": "Hello."}), ("GET", "/pulls/7", None)) * 2:
        scene.call(method, path, body)
    scene.fake.strict_pace = 0.01
    time.sleep(0.02)
    scene.call("POST", "/issues/7/comments", {"body": "Hello."})
    assert len(scene.fake.violations) == 1
    assert "after the write before" in scene.fake.violations[0]


# Faults

REFUSED = {
    Fault.FORBIDDEN: (403, {}),
    Fault.SECONDARY: (403, {"retry-after": "9"}),
    Fault.SECONDARY_SILENT: (403, {}),
    Fault.PRIMARY: (403, {"x-ratelimit-remaining": "0"}),
    Fault.TOO_MANY: (429, {"retry-after": "9"}),
    Fault.UNPROCESSABLE: (422, {}),
    Fault.SERVER_ERROR: (500, {}),
    Fault.BAD_GATEWAY: (502, {}),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_fault_comes_before_anything_is_done_and_then_is_over(scene, kind):
    scene.fake.fail("POST", r"/issues/\d+/comments$", kind=kind, seconds=9)
    answers = [scene.call("POST", "/issues/7/comments", {"body": "Hello."}) for _ in range(2)]
    status, headers = REFUSED[kind]
    assert [answer.status_code for answer in answers] == [status, 201]
    assert headers.items() <= answers[0].headers.items()
    assert ("retry-after" in answers[0].headers) == ("retry-after" in headers)
    assert len(scene.fake.page(NUMBER)["comments"]) == 1
    assert scene.fake.violations == []


def test_the_primary_limit_says_when_it_is_over(scene):
    scene.fake.fail("GET", "/pulls/7", kind="primary", seconds=100)
    reset = int(scene.call("GET", "/pulls/7").headers["x-ratelimit-reset"])
    assert 90 < reset - time.time() < 110


@pytest.mark.parametrize("kind", [Fault.SECONDARY, Fault.SECONDARY_SILENT, Fault.PRIMARY])
def test_a_client_knows_a_rate_limit_from_another_refusal(scene, kind):
    scene.fake.fail("GET", "/pulls/7", kind=kind)
    with pytest.raises(github.RateLimitExceededException), scene.pull():
        pass


def test_a_bad_gateway_may_come_after_the_work_was_done(scene):
    scene.fake.fail("POST", "comments", kind=Fault.BAD_GATEWAY_AFTER)
    assert scene.call("POST", "/issues/7/comments", {"body": "Hello."}).status_code == 502
    assert len(scene.fake.page(NUMBER)["comments"]) == 1


@pytest.mark.parametrize(("kind", "done"), [(Fault.DROPPED, 0), (Fault.DROPPED_AFTER, 1)])
def test_a_connection_may_be_dropped_before_or_after_the_work_was_done(scene, kind, done):
    scene.fake.fail("POST", "comments", kind=kind)
    with pytest.raises(requests.ConnectionError):
        scene.call("POST", "/issues/7/comments", {"body": "Hello."})
    assert len(scene.fake.page(NUMBER)["comments"]) == done
    assert scene.fake.requests[-1].status == 0


def test_an_answer_may_be_slow(scene):
    scene.fake.fail("GET", "/pulls/7", kind=Fault.SLOW, seconds=0.3)
    start = time.monotonic()
    assert scene.call("GET", "/pulls/7").status_code == 200
    assert time.monotonic() - start >= 0.3


def test_a_client_that_did_not_wait_does_not_hold_the_fake_up(scene):
    scene.fake.fail("GET", "/pulls/7", kind=Fault.SLOW, seconds=60)
    headers = {"authorization": f"Bearer {scene.secret}"}
    with pytest.raises(requests.Timeout):
        requests.get(f"{scene.fake.url}/repos/octo-org/sample/pulls/7", headers=headers, timeout=0.1)


def test_something_may_happen_right_before_a_request_is_served(scene):
    later = scene.commit(more_py="x = 1\n")
    scene.fake.before("GET", r"/pulls/7$", lambda: scene.fake.push(NUMBER, later))
    assert scene.call("GET", "/pulls/7/files").json()[0]["contents_url"].endswith(scene.head)
    assert scene.call("GET", "/pulls/7").json()["head"]["sha"] == later


def test_two_fakes_run_side_by_side(scene):
    with FakeGitHub(scene.project.root, name="other") as other:
        secret = other.token("writer", ALL)
        answer = requests.get(
            f"{other.url}/repos/octo-org/other", headers={"authorization": f"Bearer {secret}"}, timeout=10
        )
    assert answer.json()["url"] == f"{other.url}/repos/octo-org/other"
    assert scene.call("GET", "").json()["url"] == f"{scene.fake.url}/repos/octo-org/sample"
