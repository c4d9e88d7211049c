from __future__ import annotations

import pytest
from tests.edges.github.conftest import BOT, CALC
from tests.github.faults import Fault
from tests.github.scene import NUMBER

from llm_testgen.edges.github.pulls import (
    file_at,
    may_write,
    pulls_of_head,
    read_comments,
    read_pull,
    read_standing,
)
from llm_testgen.errors import GitHubError, GitHubForbiddenError, UsageError
from llm_testgen.pulls import Pull

FORK = "stranger/sample"


def review(pulled, *lines: int, who=None) -> list[int]:
    """A review with comments at these lines; their numbers."""
    repository = who or pulled.repository()
    notes = [{"path": CALC, "line": line, "side": "RIGHT", "body": f"at {line}"} for line in lines]
    commit = repository.api.get_commit(pulled.head)
    repository.pull(NUMBER).create_review(commit=commit, body="Notes", event="COMMENT", comments=notes)
    return [comment["id"] for comment in pulled.fake.page(NUMBER)["review_comments"]][-len(lines) :]


def standing(pulled):
    return read_standing(pulled.repository(), pulled.pull())


def test_a_pull_request_is_told_as_it_is(pulled):
    assert pulled.pull() == Pull(
        number=NUMBER,
        head=pulled.head,
        head_branch="topic",
        head_repository="octo-org/sample",
        base=pulled.base,
        base_branch="main",
        is_open=True,
        draft=False,
        url=f"https://github.example/octo-org/sample/pull/{NUMBER}",
    )


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"state": "closed"}, {"is_open": False}),
        ({"state": "merged"}, {"is_open": False}),
        ({"draft": True}, {"draft": True, "is_open": True}),
        ({"head_repo": FORK}, {"head_repository": FORK}),
        ({"head_repo": None}, {"head_repository": ""}),
        ({"head_ref": 'a";id;"'}, {"head_branch": 'a";id;"'}),
    ],
)
def test_other_pull_requests_are_told_too(pulled, details, expected):
    pulled.fake.add_pull(8, pulled.base, pulled.head, **{"head_ref": "topic"} | details)
    found = read_pull(pulled.repository(), 8)
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_pull_request_that_is_none_is_refused(pulled):
    with pytest.raises(GitHubForbiddenError, match="it does not exist, or the token cannot see it"):
        read_pull(pulled.repository(), 99)


def test_patches_are_those_that_github_shows(pulled):
    patches = standing(pulled).patches
    assert set(patches) == {CALC, "src/fresh.py", "logo.bin"}
    assert patches[CALC].startswith("@@ -2,7 +2,7 @@")
    assert patches["logo.bin"] is None


def test_a_patch_that_is_too_large_is_unknown(pulled):
    pulled.fake.state.largest_patch = 10
    assert standing(pulled).patches[CALC] is None


def test_files_are_read_over_all_pages(pulled):
    for number in range(120):
        pulled.project.write(f"more/{number}.txt", "x\n")
    pulled.fake.push(NUMBER, pulled.project.commit())
    assert len(standing(pulled).patches) == 123


def test_a_comment_is_told_with_what_became_of_it(pulled):
    first, second, third, fourth = review(pulled, 5, 6, 29, 30)
    pulled.fake.resolve(second)
    pulled.fake.minimize(third)
    pulled.fake.react(fourth, "-1", "one")
    pulled.fake.react(fourth, "-1", "two")
    pulled.fake.react(first, "+1", "one")
    found = {comment.id: comment for comment in standing(pulled).comments}
    assert [comment.resolved for comment in found.values()] == [False, True, False, False]
    assert [comment.minimized for comment in found.values()] == [False, False, True, False]
    assert [comment.thumbs_down for comment in found.values()] == [0, 0, 0, 2]
    assert {comment.author for comment in found.values()} == {BOT}
    assert not any(comment.outdated for comment in found.values())
    assert found[first].body == "at 5"
    assert found[first].url.endswith(f"#discussion_r{first}")
    assert found[first].node_id == f"PRRC_{first}"


def test_a_comment_whose_line_changed_is_outdated(pulled):
    first, second = review(pulled, 5, 30)
    text = (pulled.project.root / CALC).read_text()
    pulled.project.write(CALC, text.replace("changed 5", "changed again"))
    pulled.fake.push(NUMBER, pulled.project.commit())
    found = {comment.id: comment.outdated for comment in standing(pulled).comments}
    assert found == {first: True, second: False}


def test_a_comment_on_a_whole_file_is_not_outdated(pulled):
    repository = pulled.repository()
    content = {"commit_id": pulled.head, "path": CALC, "body": "All of it.", "subject_type": "file"}
    repository.api.requester.requestJsonAndCheck("POST", f"{repository.api.url}/pulls/7/comments", input=content)
    (found,) = read_comments(repository, NUMBER)
    assert not found.outdated


def test_a_reply_is_in_the_thread_that_was_resolved(pulled):
    (first,) = review(pulled, 5)
    answer = pulled.fake.reply(first, "reviewer", "Done.")
    pulled.fake.resolve(first)
    found = {comment.id: (comment.author, comment.resolved) for comment in standing(pulled).comments}
    assert found == {first: (BOT, True), answer.id: ("reviewer", True)}


def test_threads_beyond_the_first_hundred_are_asked_for(pulled):
    for _ in range(4):
        review(pulled, *[5] * 30)
    (last,) = review(pulled, 30)
    pulled.fake.resolve(last)
    found = standing(pulled).comments
    assert len(found) == 121
    assert [comment.id for comment in found if comment.resolved] == [last]
    assert sum(request.path == "/graphql" and "$number" in str(request.body) for request in pulled.fake.requests) == 2


def test_without_a_comment_no_thread_is_asked_for(pulled):
    assert standing(pulled).comments == ()
    assert not any("reviewThreads" in str(request.body) for request in pulled.fake.requests)


def test_the_conversation_is_told_with_its_authors(pulled):
    pulled.fake.comment(NUMBER, "reviewer", "Hello")
    found = standing(pulled)
    assert [(comment.author, comment.body) for comment in found.conversation] == [("reviewer", "Hello")]
    assert found.login == BOT


def test_a_limit_amid_reading_is_waited_for(pulled):
    pulled.fake.fail("GET", r"/files$", kind=Fault.TOO_MANY, seconds=9)
    assert standing(pulled).patches
    assert pulled.slept == [10]


@pytest.mark.parametrize("path", [r"/pulls/7$", r"/comments$", r"/files$"])
def test_what_cannot_be_read_is_told(pulled, path):
    pulled.fake.fail("GET", path, times=99, kind=Fault.BAD_GATEWAY)
    with pytest.raises(GitHubError, match="GitHub answers 502: try again later"):
        standing(pulled)


def test_a_pull_request_of_a_fork_is_found_by_its_head(pulled):
    pulled.fake.add_pull(8, pulled.base, pulled.head, head_repo=FORK, head_ref="topic")
    pulled.fake.add_pull(9, pulled.base, pulled.head, head_repo="stranger/other", head_ref="topic")
    pulled.fake.add_pull(10, pulled.base, pulled.head, head_repo=FORK, head_ref="elsewhere")
    pulled.fake.add_pull(11, pulled.base, pulled.head, head_repo=FORK, head_ref="topic", state="closed")
    repository = pulled.repository()
    assert [pull.number for pull in pulls_of_head(repository, pulled.head, "topic", "stranger/SAMPLE")] == [8]
    assert pulls_of_head(repository, pulled.base, "topic", FORK) == ()
    assert [pull.number for pull in pulls_of_head(repository, pulled.head, "topic", "octo-org/sample")] == [NUMBER]


@pytest.mark.parametrize("branch", ["a b", "a&b=c", "a#b", "über", 'a";id;"'])
def test_a_branch_of_any_name_is_found(pulled, branch):
    pulled.fake.state.pulls[NUMBER].head_ref = branch
    (found,) = pulls_of_head(pulled.repository(), pulled.head, branch, "octo-org/sample")
    assert found.head_branch == branch


def test_a_file_is_read_at_a_commit(pulled):
    repository = pulled.repository()
    assert file_at(repository, CALC, pulled.head).split("\n")[4] == "changed 5"
    assert file_at(repository, CALC, pulled.base).split("\n")[4] == "line 5"
    assert file_at(repository, "src/fresh.py", pulled.base) is None
    assert file_at(repository, "no/where.py", pulled.head) is None


@pytest.mark.parametrize("name", ["a b.py", "a#b.py", "a%20b.py", "größe.py", "a?b.py", "a&b;c.py"])
def test_a_file_of_any_name_is_read(pulled, name):
    pulled.project.write(f"odd/{name}", "x = 1\r\n")
    head = pulled.project.commit()
    assert file_at(pulled.repository(), f"odd/{name}", head) == "x = 1\r\n"


@pytest.mark.parametrize("path", ["src", "logo.bin", "large.txt", "dangling", "to-folder"])
def test_what_is_no_text_is_not_taken_for_nothing(pulled, path):
    pulled.project.write("logo.bin", b"\xff\0")
    pulled.project.write("large.txt", b"x" * (1024 * 1024 + 1))
    (pulled.project.root / "dangling").symlink_to("nowhere")
    (pulled.project.root / "to-folder").symlink_to("src")
    head = pulled.project.commit()
    with pytest.raises(UsageError, match=f"{path} is no text file at {head[:10]}"):
        file_at(pulled.repository(), path, head)


def test_an_empty_file_is_there(pulled):
    pulled.project.write("empty.py", "")
    assert file_at(pulled.repository(), "empty.py", pulled.project.commit()) == ""


@pytest.mark.parametrize(
    ("role", "may"),
    [("admin", True), ("maintain", True), ("write", True), ("triage", False), ("read", False), ("none", False)],
)
def test_who_may_write(pulled, role, may):
    pulled.fake.collaborators = {"somebody": role}
    assert may_write(pulled.repository(), "somebody") is may


@pytest.mark.parametrize("login", ["nobody", "../../x", "a b"])
def test_a_stranger_may_not_write(pulled, login):
    assert not may_write(pulled.repository(), login)


def test_a_token_that_may_not_ask_makes_a_writer_of_nobody(pulled):
    pulled.fake.collaborators = {"somebody": "admin"}
    pulled.fake.fail("GET", r"/permission$", kind=Fault.FORBIDDEN)
    assert not may_write(pulled.repository(), "somebody")


def test_a_server_that_fails_is_told_when_it_is_asked_for_a_person_s_rights(pulled):
    pulled.fake.collaborators = {"somebody": "admin"}
    pulled.fake.fail("GET", r"/permission$", times=99, kind=Fault.SERVER_ERROR)
    with pytest.raises(GitHubError):
        may_write(pulled.repository(), "somebody")


def test_comments_of_a_pending_review_of_somebody_else_are_not_seen(pulled):
    person = pulled.person()
    note = {"path": CALC, "line": 5, "side": "RIGHT", "body": "Hm."}
    person.pull(NUMBER).create_review(commit=person.api.get_commit(pulled.head), body="x", comments=[note])
    assert standing(pulled).comments == ()
