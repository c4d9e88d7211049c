"""The fake GitHub's reviews and review comments: anchors, pending reviews, and what becomes outdated."""

import github
import pytest
from tests.github import anchors
from tests.github.scene import ALL, NUMBER, numbered

CALC = "src/calc.py"


@pytest.fixture(autouse=True)
def _no_violations(scene):
    yield
    assert scene.fake.violations == []


def anchor(line=5, path=CALC, **more):
    return {"path": path, "line": line, "side": "RIGHT", "body": "Look."} | more


def errors_of(answer):
    assert (answer.status_code, answer.json()["message"]) == (422, "Unprocessable Entity")
    return answer.json()["errors"]


def shown(scene, number):
    return scene.call("GET", f"/pulls/comments/{number}").json()


def test_a_client_posts_a_review_and_finds_it_again(scene):
    with scene.pull() as pull:
        comments = [anchor(31, start_line=29, start_side="RIGHT"), anchor(2, "src/fresh.py")]
        review = pull.create_review(body="Two.", event="COMMENT", comments=comments)
        assert [found.id for found in pull.get_reviews()] == [review.id]
        assert (review.state, review.commit_id, review.user.login) == ("COMMENTED", scene.head, "github-actions[bot]")
        first, second = pull.get_review_comments()
        assert (first.path, first.start_line, first.line, second.line) == (CALC, 29, 31, 2)
        assert (first.commit_id, first.original_commit_id, first.side) == (scene.head, scene.head, "RIGHT")
        assert first.diff_hunk.endswith("-line 30\n+changed 30\n line 31")
        assert second.diff_hunk == "@@ -0,0 +1,3 @@\n+a = 1\n+b = 2"
        assert first.pull_request_review_id == review.id


def test_a_review_lists_its_comments_without_their_lines(scene):
    scene.review(anchor())
    review = scene.fake.page(NUMBER)["reviews"][0]["id"]
    (found,) = scene.call("GET", f"/pulls/7/reviews/{review}/comments").json()
    assert found["position"] == 5
    assert found.keys().isdisjoint({"line", "side", "start_line", "original_line"})


@pytest.mark.parametrize(
    ("comment", "error"),
    [
        (anchor(15), anchors.NO_LINE),
        (anchor(5, path="src/none.py"), anchors.NO_PATH),
        (anchor(5, path="old.py"), anchors.NO_PATH),
        (anchor(2, path="new.py"), anchors.NO_LINE),  # renamed only: it has no lines in the diff
        (anchor(1, path="logo.bin"), anchors.NO_LINE),
        (anchor(1, path="src/gone.py"), anchors.NO_LINE),
        (anchor(5, side="BOTH"), anchors.NO_SIDE),
        (anchor(31, start_line=5), anchors.OTHER_HUNK),
        (anchor(5, start_line=5), anchors.NO_ORDER),
        (anchor(5, start_line=6), anchors.NO_ORDER),
        (anchor(15, start_line=5), anchors.NO_RANGE),
        ({"path": CALC, "body": "Look."}, anchors.NO_LINE),
        ({"path": CALC, "body": "Look.", "position": 99}, anchors.NO_POSITION),
    ],
)
def test_one_bad_anchor_fails_the_whole_review_and_is_not_named(scene, comment, error):
    assert errors_of(scene.review(anchor(), comment, anchor(30))) == [error]
    assert scene.fake.page(NUMBER)["reviews"] == []


@pytest.mark.parametrize("line", [2, 5, 8, 27, 33])
def test_added_and_context_lines_of_a_hunk_are_anchors(scene, line):
    assert scene.review(anchor(line)).status_code == 200


@pytest.mark.parametrize("line", [1, 9, 26, 34])
def test_lines_beside_a_hunk_are_no_anchors(scene, line):
    assert errors_of(scene.review(anchor(line))) == [anchors.NO_LINE]


def test_a_comment_may_stand_on_a_removed_line_and_at_a_position(scene):
    assert scene.review(anchor(1, "src/gone.py", side="LEFT")).status_code == 200
    assert scene.review({"path": CALC, "position": 5, "body": "Look."}).status_code == 200
    assert scene.fake.page(NUMBER)["review_comments"][1]["line"] == 5


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"body": None, "comments": None}, "Review must have a body or comments"),
        ({"body": " ", "comments": []}, "Review must have a body or comments"),
        ({"body": "x" * 65_537}, "Body is too long (maximum is 65536 characters)"),
        ({"comments": [anchor(body="x" * 65_537)]}, "Body is too long (maximum is 65536 characters)"),
        ({"comments": [anchor(body=" ")]}, "Body can't be blank"),
        ({"comments": [anchor(subject_type="line")]}, "Variable $threads: subject_type is not a defined input field"),
        ({"commit_id": "0" * 40}, "The commit_id is not part of the pull request"),
        ({"event": "REQUEST_CHANGES", "body": None}, "Body can't be blank"),
    ],
)
def test_what_a_review_says_is_checked(scene, change, error):
    assert errors_of(scene.review(**{"comments": [anchor()]} | change)) == [error]


def test_a_body_of_the_greatest_length_is_taken(scene):
    assert scene.review(anchor(body="x" * 65_536), body="é" * 65_536).status_code == 200


def test_nobody_approves_their_own_pull_request(scene):
    author = scene.fake.token("author", ALL, login="contributor", kind="user")
    assert "your own pull request" in errors_of(scene.review(event="APPROVE", secret=author))[0]
    assert scene.review(event="APPROVE").json()["state"] == "APPROVED"


# Pending reviews


def test_a_review_without_event_is_pending_and_blocks_every_later_one(scene):
    pending = scene.review(anchor(), event=None)
    assert (pending.status_code, pending.json()["state"]) == (200, "PENDING")
    for event in (None, "COMMENT"):
        assert errors_of(scene.review(anchor(), event=event)) == [
            "User can only have one pending review per pull request"
        ]
    body = {"body": "Look.", "commit_id": scene.head, "path": CALC, "line": 5}
    assert scene.call("POST", "/pulls/7/comments", body).status_code == 422
    assert scene.call("POST", "/issues/7/comments", {"body": "Still possible."}).status_code == 201


def test_a_pending_review_is_seen_by_its_author_only(scene):
    number = scene.review(anchor(), event=None).json()["id"]
    other = scene.fake.token("other", ALL, login="alice", kind="user")
    assert [review["state"] for review in scene.call("GET", "/pulls/7/reviews").json()] == ["PENDING"]
    assert len(scene.call("GET", f"/pulls/7/reviews/{number}/comments").json()) == 1
    assert scene.call("GET", "/pulls/7/reviews", secret=other).json() == []
    assert scene.call("GET", "/pulls/7/comments", secret=other).json() == []
    assert scene.call("GET", f"/pulls/7/reviews/{number}", secret=other).status_code == 404
    assert scene.fake.page(NUMBER)["review_comments"] == []
    assert scene.review(anchor(), secret=other).status_code == 200


def test_a_pending_review_is_deleted_and_a_submitted_one_is_not(scene):
    scene.review(anchor(), event=None)
    with scene.pull() as pull:
        (pending,) = pull.get_reviews()
        pending.delete()
        submitted = pull.create_review(body="Seen.", event="COMMENT", comments=[anchor()])
        with pytest.raises(github.GithubException, match="Can not delete a non-pending pull request review"):
            submitted.delete()
    assert len(scene.fake.page(NUMBER)["review_comments"]) == 1


def test_the_body_of_a_review_is_edited_by_its_author_only(scene):
    number = scene.review(anchor()).json()["id"]
    other = scene.fake.token("other", ALL, login="alice", kind="user")
    assert scene.call("PUT", f"/pulls/7/reviews/{number}", {"body": "Better."}).json()["body"] == "Better."
    assert scene.call("PUT", f"/pulls/7/reviews/{number}", {"body": "Worse."}, secret=other).status_code == 403


# After a push


def test_a_comment_moves_with_its_line(scene):
    number = scene.comment_on(30, start_line=29, start_side="RIGHT")
    scene.fake.push(NUMBER, scene.commit(src__calc_py="new first\n" + numbered(40, {5: "changed 5", 30: "changed 30"})))
    found = shown(scene, number)
    assert (found["start_line"], found["line"]) == (30, 31)
    assert (found["original_start_line"], found["original_line"]) == (29, 30)
    assert (found["commit_id"], found["original_commit_id"]) == (scene.fake.state.pulls[NUMBER].head_sha, scene.head)


@pytest.mark.parametrize(
    "text",
    [
        numbered(40, {5: "changed 5", 30: "changed again"}),  # the line itself
        numbered(40, {5: "changed 5", 29: "changed too", 30: "changed 30"}),  # inside of the range
        numbered(40, {5: "changed 5", 29: "line 29\nbetween", 30: "changed 30"}),
        numbered(40, {5: "changed 5"}),  # back to what it was: no part of the diff any more
        numbered(20, {5: "changed 5"}),
    ],
)
def test_a_comment_whose_lines_changed_is_outdated(scene, text):
    number = scene.comment_on(30, start_line=29, start_side="RIGHT")
    scene.fake.push(NUMBER, scene.commit(src__calc_py=text))
    found = shown(scene, number)
    assert (found["line"], found["start_line"], found["position"]) == (None, None, None)
    assert (found["original_line"], found["original_start_line"], found["commit_id"]) == (30, 29, scene.head)
    assert scene.fake.page(NUMBER)["review_comments"][0]["outdated"]


def test_a_comment_on_a_file_that_left_the_diff_is_outdated(scene):
    number = scene.comment_on(2, path="src/fresh.py")
    scene.project.delete("src/fresh.py")
    scene.fake.push(NUMBER, scene.project.commit())
    assert shown(scene, number)["line"] is None


def test_a_review_of_an_older_commit_is_taken_and_may_be_outdated_at_once(scene):
    later = scene.commit(src__calc_py=numbered(40, {5: "changed again", 30: "changed 30"}))
    scene.fake.push(NUMBER, later)
    assert scene.review(anchor(5), anchor(30), commit_id=scene.head).status_code == 200
    assert [comment["line"] for comment in scene.fake.page(NUMBER)["review_comments"]] == [None, 30]


def test_a_commit_that_was_forced_away_is_no_part_of_the_pull_request(scene):
    scene.project.git("reset", "--quiet", "--hard", scene.base)
    scene.fake.push(NUMBER, scene.commit(src__calc_py=numbered(40, {5: "other"})))
    assert "not part of the pull request" in errors_of(scene.review(anchor(5), commit_id=scene.head))[0]
    assert scene.review(anchor(5)).status_code == 200


# Single comments


def test_a_comment_on_a_whole_file_has_no_line_and_goes_with_the_file(scene):
    with scene.pull() as pull, scene.client() as client:
        commit = client.withLazy(lazy=True).get_repo(scene.fake.full_name).get_commit(scene.head)
        made = pull.create_review_comment("The whole file.", commit, "src/fresh.py", subject_type="file")
    found = shown(scene, made.id)
    assert (found["subject_type"], found["line"], found["path"]) == ("file", None, "src/fresh.py")
    assert not scene.fake.page(NUMBER)["review_comments"][0]["outdated"]
    body = {"body": "x", "commit_id": scene.head, "path": "src/none.py", "subject_type": "file"}
    assert scene.call("POST", "/pulls/7/comments", body).status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"line": 15},
        {"line": 5, "start_line": 5},
        {"line": 5, "commit_id": "0" * 40},
        {"line": 5, "lines": 3},
        {"body": ""},
    ],
)
def test_a_single_comment_is_checked_as_those_of_a_review_are(scene, wrong):
    body = {"body": "Look.", "commit_id": scene.head, "path": CALC, "side": "RIGHT"} | wrong
    answer = scene.call("POST", "/pulls/7/comments", body)
    assert (answer.status_code, answer.json()["message"]) == (422, "Validation Failed")


def test_a_reply_joins_the_thread(scene):
    number = scene.comment_on(5)
    with scene.pull() as pull:
        reply = pull.create_review_comment_reply(number, "Done.")
        assert (reply.in_reply_to_id, reply.line, reply.path) == (number, 5, CALC)
    by_hand = scene.fake.reply(reply.id, "alice", "Thanks.")
    assert by_hand.in_reply_to == number
    assert scene.call("POST", "/pulls/7/comments/1/replies", {"body": "x"}).status_code == 404


def test_comments_are_edited_and_deleted(scene):
    number = scene.comment_on(5)
    with scene.pull() as pull:
        comment = pull.get_review_comment(number)
        comment.edit("Better.")
        assert pull.get_review_comment(number).body == "Better."
        comment.delete()
        with pytest.raises(github.UnknownObjectException):
            pull.get_review_comment(number)


def test_an_app_leaves_the_comments_of_others_alone(scene):
    person = scene.fake.token("person", ALL, login="alice", kind="user")
    scene.review(anchor(), secret=person)
    number = scene.fake.page(NUMBER)["review_comments"][0]["id"]
    assert scene.call("PATCH", f"/pulls/comments/{number}", {"body": "Mine."}).status_code == 403
    assert scene.call("DELETE", f"/pulls/comments/{number}").status_code == 403
    assert scene.call("PATCH", f"/pulls/comments/{number}", {"body": "Mine."}, secret=person).status_code == 200


def test_reactions_are_counted_on_the_comment_and_listed(scene):
    number = scene.comment_on(5)
    for login in ("alice", "bob", "bob"):
        scene.fake.react(number, "-1", login)
    assert shown(scene, number)["reactions"]["-1"] == 2
    found = scene.call("GET", f"/pulls/comments/{number}/reactions?content=-1").json()
    assert [reaction["user"]["login"] for reaction in found] == ["alice", "bob"]
    scene.fake.remove(number)
    assert scene.call("GET", f"/pulls/comments/{number}/reactions").status_code == 404


def test_comments_are_ordered_by_when_they_changed(scene):
    first, second = scene.comment_on(5), scene.comment_on(30)
    scene.call("PATCH", f"/pulls/comments/{first}", {"body": "Later."})
    found = scene.call("GET", "/pulls/7/comments?sort=updated&direction=desc").json()
    assert [comment["id"] for comment in found] == [first, second]
    since = found[0]["updated_at"]
    assert [comment["id"] for comment in scene.call("GET", f"/pulls/7/comments?since={since}").json()] == [first]
