"""The fake GitHub's pull requests, files and git objects."""

import base64

import github
import pytest
from tests.github.scene import NUMBER, numbered


@pytest.fixture(autouse=True)
def _no_violations(scene):
    yield
    assert scene.fake.violations == []


def test_a_pull_request_is_all_that_a_client_asks_of_it(scene):
    with scene.pull() as pull:
        assert (pull.head.sha, pull.head.ref, pull.base.sha, pull.base.ref) == (scene.head, "topic", scene.base, "main")
        assert (pull.head.repo.full_name, pull.state, pull.draft, pull.commits) == ("octo-org/sample", "open", False, 1)
        assert (pull.changed_files, pull.additions, pull.deletions) == (5, 5, 3)
        assert pull.url == f"{scene.fake.url}/repos/octo-org/sample/pulls/7"
        assert [commit.sha for commit in pull.get_commits()] == [scene.head]


def test_files_are_those_of_the_merge_base_diff_with_gits_own_patches(scene):
    with scene.pull() as pull:
        files = {file.filename: file for file in pull.get_files()}
    calc, moved, logo = files["src/calc.py"], files["new.py"], files["logo.bin"]
    numstat = scene.project.git("diff", "--numstat", "-M", f"{scene.base}...{scene.head}", "--", "src/calc.py")
    expected = scene.project.git("diff", "-M", f"{scene.base}...{scene.head}", "--", "src/calc.py")
    assert calc.patch == expected[expected.index("@@") :].removesuffix("\n")
    assert numstat.split()[:2] == [str(calc.additions), str(calc.deletions)]
    assert (moved.status, moved.previous_filename, moved.patch) == ("renamed", "old.py", None)
    assert (logo.status, logo.patch, files["src/gone.py"].status) == ("modified", None, "removed")
    assert files["src/fresh.py"].patch == "@@ -0,0 +1,3 @@\n+a = 1\n+b = 2\n+c = 3"


def test_what_came_to_the_base_later_is_not_part_of_the_diff(scene):
    scene.project.git("checkout", "--quiet", "main")
    base = scene.commit(other_py="x = 1\n")
    scene.fake.add_pull(8, base, scene.head, head_ref="topic")
    assert [file["filename"] for file in scene.call("GET", "/pulls/8/files").json()] == [
        file["filename"] for file in scene.call("GET", "/pulls/7/files").json()
    ]


def test_a_last_line_without_newline_is_told(scene):
    scene.fake.push(NUMBER, scene.commit(src__fresh_py="a = 1"))
    patches = {file["filename"]: file.get("patch") for file in scene.call("GET", "/pulls/7/files").json()}
    assert patches["src/fresh.py"] == "@@ -0,0 +1 @@\n+a = 1\n\\ No newline at end of file"


def test_the_patch_of_a_file_that_changed_too_much_is_left_out(scene):
    scene.fake.state.largest_patch = 10
    patches = {file["filename"]: file.get("patch") for file in scene.call("GET", "/pulls/7/files").json()}
    assert patches["src/calc.py"] is None
    assert patches["src/fresh.py"] is not None


def test_there_is_an_end_to_the_files_that_are_listed(scene):
    scene.fake.state.most_files = 2
    assert len(scene.call("GET", "/pulls/7/files").json()) == 2


def test_the_whole_diff_is_refused_where_it_is_too_large(scene):
    diff = "application/vnd.github.diff"
    assert "+changed 5" in scene.call("GET", "/pulls/7", accept=diff).text
    for number in range(300):
        scene.project.write(f"many/{number}.py", "x = 1\n")
    scene.fake.push(NUMBER, scene.project.commit())
    assert scene.call("GET", "/pulls/7", accept=diff).status_code == 406


def test_pull_requests_are_found_by_state_head_and_base(scene):
    fake = scene.fake
    fake.add_pull(8, scene.base, scene.head, head_ref="topic", state="closed")
    fake.add_pull(9, scene.base, scene.head, head_ref="topic", head_repo="contributor/sample", draft=True)
    fake.push(NUMBER, scene.commit(more_py="x = 1\n"))

    def numbers(query: str) -> list[int]:
        return [pull["number"] for pull in scene.call("GET", f"/pulls?{query}").json()]

    assert numbers("") == [9, 7]
    assert numbers("state=all&direction=asc") == [7, 8, 9]
    assert numbers("state=all&head=octo-org:topic") == [8, 7]
    assert numbers("head=contributor:topic") == [9]
    assert numbers("head=topic-without-owner-says-nothing") == [9, 7]
    assert numbers("base=other") == []
    assert numbers("state=all&sort=updated&direction=desc") == [7, 9, 8]


def test_the_head_of_a_deleted_fork_has_no_repository(scene):
    scene.fake.add_pull(8, scene.base, scene.head, head_repo=None, author="ghost")
    with scene.client() as client:
        pull = client.get_repo(scene.fake.full_name).get_pull(8)
        assert (pull.head.repo, pull.head.sha) == (None, scene.head)


def test_a_commit_of_a_fork_belongs_to_no_pull_request_unless_told_otherwise(scene):
    later = scene.commit(more_py="x = 1\n")
    scene.fake.add_pull(8, scene.base, later, head_repo="contributor/sample")
    assert [pull["number"] for pull in scene.call("GET", f"/commits/{scene.head}/pulls").json()] == [7]
    assert scene.call("GET", f"/commits/{later}/pulls").json() == []
    scene.fake.state.fork_commits_have_pulls = True
    assert [pull["number"] for pull in scene.call("GET", f"/commits/{later}/pulls").json()] == [8]


def test_two_commits_are_compared_from_where_they_parted(scene):
    scene.project.git("checkout", "--quiet", "main")
    base = scene.commit(other_py="x = 1\n")
    with scene.client() as client:
        found = client.get_repo(scene.fake.full_name).compare(base, "topic")
        assert (found.status, found.ahead_by, found.behind_by) == ("diverged", 1, 1)
        assert found.merge_base_commit.sha == scene.base
        assert len(found.files) == 5
    assert scene.call("GET", f"/compare/{scene.base}...octo-org:topic").json()["status"] == "ahead"
    assert scene.call("GET", "/compare/main...nowhere").status_code == 404


# Files


def test_a_file_is_read_at_the_revision_that_was_asked_for(scene):
    with scene.client() as client:
        repository = client.get_repo(scene.fake.full_name)
        for ref, text in (
            (scene.head, "changed 5"),
            ("topic", "changed 5"),
            (scene.base, "line 5"),
            ("main", "line 5"),
        ):
            assert repository.get_contents("src/calc.py", ref=ref).decoded_content.splitlines()[4] == text.encode()
        assert repository.get_contents("src/calc.py").decoded_content == numbered(40).encode()
        assert {entry.path for entry in repository.get_contents("src", ref=scene.head)} == {
            "src/calc.py",
            "src/fresh.py",
        }
        for path, ref in (("src/fresh.py", scene.base), ("src/calc.py", "nowhere")):
            with pytest.raises(github.GithubException, match="404"):  # no UnknownObjectException for an unknown ref
                repository.get_contents(path, ref=ref)
    raw = scene.call("GET", f"/contents/src/calc.py?ref={scene.base}", accept="application/vnd.github.raw")
    assert raw.text == numbered(40)


def test_a_large_file_is_named_and_not_shown(scene):
    sha = scene.commit(large_txt=b"x" * (1024 * 1024 + 1))
    found = scene.call("GET", f"/contents/large.txt?ref={sha}").json()
    assert (found["encoding"], found["content"], found["size"]) == ("none", "", 1024 * 1024 + 1)


def test_a_link_is_followed_inside_the_repository_only(scene):
    (scene.project.root / "inside").symlink_to("src/calc.py")
    (scene.project.root / "outside").symlink_to("../secret")
    sha = scene.project.commit()
    inside = scene.call("GET", f"/contents/inside?ref={sha}").json()
    outside = scene.call("GET", f"/contents/outside?ref={sha}").json()
    assert (inside["type"], base64.b64decode(inside["content"])[:6]) == ("file", b"line 1")
    assert (outside["type"], outside["target"]) == ("symlink", "../secret")


# Writing


def test_blobs_trees_and_commits_become_a_commit_of_the_branch(scene):
    blob = scene.call("POST", "/git/blobs", {"content": base64.b64encode(b"\xff\n").decode(), "encoding": "base64"})
    entries = [
        {"path": "tests/test_a.py", "mode": "100644", "type": "blob", "content": "def test_a(): pass\n"},
        {"path": "data.bin", "mode": "100644", "type": "blob", "sha": blob.json()["sha"]},
        {"path": "new.py", "mode": "100644", "type": "blob", "sha": None},
    ]
    base_tree = scene.call("GET", f"/git/commits/{scene.head}").json()["tree"]["sha"]
    tree = scene.call("POST", "/git/trees", {"base_tree": base_tree, "tree": entries}).json()
    body = {"message": "Add a test", "tree": tree["sha"], "parents": [scene.head]}
    commit = scene.call("POST", "/git/commits", body).json()
    moved = scene.call("PATCH", "/git/refs/heads/topic", {"sha": commit["sha"], "force": False})
    assert moved.json()["object"]["sha"] == scene.fake.branch("topic") == commit["sha"]
    assert scene.call("GET", "/pulls/7").json()["head"]["sha"] == commit["sha"]
    names = scene.project.git("ls-tree", "-r", "--name-only", commit["sha"]).split()
    assert names == ["data.bin", "logo.bin", "src/calc.py", "src/fresh.py", "tests/test_a.py"]
    assert scene.project.git("log", "-1", "--format=%an %s", commit["sha"]).strip() == "github-actions[bot] Add a test"


def test_a_branch_moves_forward_only_unless_forced(scene):
    other = scene.project.git("commit-tree", "-m", "other", "-p", scene.base, f"{scene.head}^{{tree}}").strip()
    refused = scene.call("PATCH", "/git/refs/heads/topic", {"sha": other})
    assert (refused.status_code, refused.json()["message"]) == (422, "Update is not a fast forward")
    assert scene.call("PATCH", "/git/refs/heads/topic", {"sha": other, "force": True}).status_code == 200
    assert (
        scene.call("PATCH", "/git/refs/heads/nowhere", {"sha": other}).json()["message"] == "Reference does not exist"
    )
    assert scene.call("PATCH", "/git/refs/heads/topic", {"sha": "0" * 40}).json()["message"] == "Object does not exist"


def test_a_branch_is_made_once(scene):
    body = {"ref": "refs/heads/bot/tests", "sha": scene.head}
    assert scene.call("POST", "/git/refs", body).status_code == 201
    assert scene.call("POST", "/git/refs", body).json()["message"] == "Reference already exists"
    assert scene.call("POST", "/git/refs", {"ref": "heads/x", "sha": scene.head}).status_code == 422
    with scene.client() as client:
        repository = client.get_repo(scene.fake.full_name)
        assert repository.get_git_ref("heads/bot/tests").object.sha == scene.head
        with pytest.raises(github.UnknownObjectException):
            repository.get_git_ref("heads/bot")


def test_the_checkout_of_the_project_stays_where_it_is(scene):
    scene.call("PATCH", "/git/refs/heads/topic", {"sha": scene.base, "force": True})
    assert scene.fake.branch("topic") == scene.base
    assert scene.project.git("rev-parse", "topic").strip() == scene.head


@pytest.mark.parametrize(
    "entry",
    [
        {"path": "../x", "mode": "100644", "content": ""},
        {"path": "/x", "mode": "100644", "content": ""},
        {"path": ".git/config", "mode": "100644", "content": ""},
        {"path": "x", "content": ""},
        {"path": "x", "mode": "100644", "sha": "1" * 40},
    ],
)
def test_a_tree_with_what_git_does_not_take_is_refused(scene, entry):
    assert scene.call("POST", "/git/trees", {"tree": [entry]}).status_code == 422


def test_a_pull_request_is_opened_from_a_branch_once(scene):
    sha = scene.commit(tests__test_a_py="def test_a(): pass\n")
    with scene.client() as client:
        repository = client.get_repo(scene.fake.full_name)
        repository.create_git_ref("refs/heads/bot/tests", sha)
        pull = repository.create_pull(base="topic", head="bot/tests", title="Tests", body="Some.", draft=True)
        assert (pull.number, pull.draft, pull.user.login, pull.changed_files) == (8, True, "github-actions[bot]", 1)
        for head, message in (("bot/tests", "already exists"), ("topic", "No commits between"), ("nowhere", "head")):
            with pytest.raises(github.GithubException, match="422") as caught:
                repository.create_pull(base="topic", head=head, title="Tests")
            assert message in str(caught.value.data)
