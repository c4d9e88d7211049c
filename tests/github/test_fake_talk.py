"""The fake GitHub's comments below a pull request, review threads by GraphQL, and committing suggestions."""

import github
import pytest
from tests.github.graphqltext import GraphQLError, parse
from tests.github.scene import ALL, NUMBER, numbered
from tests.github.suggestions import SuggestionError, suggestions_in

THREADS = """
query Threads($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviewThreads(first: 2, after: $after) {
        nodes { id isResolved isOutdated path comments(first: 1) { nodes { databaseId id isMinimized author { login } } } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}
"""
WHERE = {"owner": "octo-org", "name": "sample", "number": NUMBER}


@pytest.fixture(autouse=True)
def _no_violations(scene):
    yield
    assert scene.fake.violations == []


def threads(client, **variables):
    _, data = client.requester.graphql_query(THREADS, WHERE | variables)
    return data["data"]["repository"]["pullRequest"]["reviewThreads"]


# Comments below the pull request


def test_a_comment_is_made_edited_and_deleted(scene):
    with scene.pull() as pull:
        comment = pull.create_issue_comment("Hello.")
        comment.edit("Hello again.")
        (found,) = pull.get_issue_comments()
        assert (found.body, found.user.login, found.user.type) == ("Hello again.", "github-actions[bot]", "Bot")
        assert found.updated_at > found.created_at
        found.delete()
        assert list(pull.get_issue_comments()) == []


@pytest.mark.parametrize("body", ["", " \n", "x" * 65_537])
def test_a_comment_has_to_have_a_body_of_some_length(scene, body):
    assert scene.call("POST", "/issues/7/comments", {"body": body}).status_code == 422
    assert scene.call("POST", "/issues/7/comments", {"body": "x" * 65_536}).status_code == 201


def test_an_app_edits_its_own_comments_only_and_a_person_anybodys(scene):
    number = scene.fake.comment(NUMBER, "mallory", "<!-- llm-testgen -->").id
    person = scene.fake.token("person", ALL, login="alice", kind="user")
    refused = scene.call("PATCH", f"/issues/comments/{number}", {"body": "Mine."})
    assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by integration")
    assert scene.call("DELETE", f"/issues/comments/{number}").status_code == 403
    assert scene.call("PATCH", f"/issues/comments/{number}", {"body": "Mine."}, secret=person).status_code == 200


def test_the_same_reaction_counts_once(scene):
    number = scene.fake.comment(NUMBER, "alice", "/gen-tests").id
    path = f"/issues/comments/{number}/reactions"
    assert [scene.call("POST", path, {"content": "eyes"}).status_code for _ in range(2)] == [201, 200]
    scene.fake.react(number, "+1", "bob")
    with scene.pull() as pull:
        comment = pull.get_issue_comment(number)
        assert [reaction.content for reaction in comment.get_reactions()] == ["eyes", "+1"]
        assert comment.reactions["total_count"] == 2


def test_an_issue_is_told_from_a_pull_request(scene):
    scene.fake.add_issue(3, title="A question")
    scene.fake.comment(3, "alice", "Any news?")
    assert "pull_request" not in scene.call("GET", "/issues/3").json()
    assert (
        scene.call("GET", "/issues/7").json()["pull_request"]["url"]
        == f"{scene.fake.url}/repos/octo-org/sample/pulls/7"
    )
    assert scene.call("GET", "/issues/3").json()["comments"] == 1
    assert scene.call("GET", "/issues/4").status_code == 404


# GraphQL


def test_threads_are_listed_page_by_page(scene):
    numbers = [scene.comment_on(line) for line in (5, 30, 31)]
    scene.fake.reply(numbers[0], "alice", "No.")
    scene.fake.resolve(numbers[1])
    scene.fake.push(NUMBER, scene.commit(src__calc_py=numbered(40, {5: "changed again", 30: "changed 30"})))
    with scene.client() as client:
        first = threads(client, after=None)
        second = threads(client, after=first["pageInfo"]["endCursor"])
    nodes = first["nodes"] + second["nodes"]
    assert [node["comments"]["nodes"][0]["databaseId"] for node in nodes] == numbers
    assert [node["isResolved"] for node in nodes] == [False, True, False]
    assert [node["isOutdated"] for node in nodes] == [True, False, False]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    assert nodes[0]["comments"]["nodes"][0]["author"] == {"login": "github-actions"}


def test_comments_of_both_kinds_are_minimised(scene):
    number = scene.comment_on(5)
    node = scene.call("GET", f"/pulls/comments/{number}").json()["node_id"]
    with scene.client() as client, scene.pull() as pull:
        wanted = {"subjectId": node, "classifier": "OUTDATED"}
        output = "minimizedComment { isMinimized minimizedReason }"
        _, data = client.requester.graphql_named_mutation("minimizeComment", wanted, output)
        assert data["minimizedComment"] == {"isMinimized": True, "minimizedReason": "outdated"}
        assert threads(client)["nodes"][0]["comments"]["nodes"][0]["isMinimized"]
        comment = pull.create_issue_comment("Hello.")
        assert comment.minimize()
        assert scene.call("GET", f"/issues/comments/{comment.id}").json()["minimized"] == {"reason": "outdated"}
        assert comment.unminimize()
    page = scene.fake.page(NUMBER)
    assert [page["review_comments"][0]["minimized"], page["comments"][0]["minimized"]] == ["OUTDATED", None]


def test_a_mutation_may_have_its_arguments_in_its_text(scene):
    number = scene.comment_on(5)
    query = f'mutation {{ minimizeComment(input: {{subjectId: "PRRC_{number}", classifier: OUTDATED}}) {{ clientMutationId }} }}'
    assert scene.call("POST", "//graphql", {"query": query}).json()["data"]["minimizeComment"] == {
        "clientMutationId": None
    }
    assert scene.fake.page(NUMBER)["review_comments"][0]["minimized"] == "OUTDATED"


def test_to_minimise_and_to_resolve_rights_are_needed(scene):
    number = scene.comment_on(5)
    reader = scene.fake.token("reader", {"contents": "read"})
    writer = scene.fake.token("reviewer", {"pull_requests": "write"})
    minimize = ("minimizeComment", {"subjectId": f"PRRC_{number}", "classifier": "OUTDATED"})
    resolve = ("resolveReviewThread", {"threadId": f"PRRT_{number}"})
    for secret, (name, wanted) in ((reader, minimize), (reader, resolve), (writer, resolve)):
        with scene.client(secret) as client, pytest.raises(github.GithubException) as caught:
            client.requester.graphql_named_mutation(name, wanted, "clientMutationId")
        assert caught.value.data["errors"][0]["type"] == "FORBIDDEN"
    with scene.client() as client:
        _, data = client.requester.graphql_named_mutation(*resolve, "thread { isResolved resolvedBy { login } }")
    assert data["thread"] == {"isResolved": True, "resolvedBy": {"login": "github-actions"}}


def test_what_is_not_there_is_an_error_of_its_field(scene):
    with scene.client() as client:
        for variables in ({"number": 99}, {"name": "other"}):
            with pytest.raises(github.UnknownObjectException):
                threads(client, **variables)
        with pytest.raises(github.UnknownObjectException):
            client.requester.graphql_named_mutation("resolveReviewThread", {"threadId": "PRRT_1"}, "clientMutationId")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("query { viewer { name } }", "Field 'name' doesn't exist on type 'User'"),
        ("query { viewer }", "must have selections"),
        ("query { viewer { login(first: 1) } }", "doesn't accept arguments"),
        ("query { viewer { login }", "Parse error"),
        ("query($x: Int!) { viewer { login } }", "Variable $x of type Int!"),
        ('query { repository(owner: "octo-org", name: $x) { id } }', "is used and not declared"),
        (
            'query { repository(owner: "octo-org", name: "sample") { pullRequest(number: 7) { comments { totalCount } } } }',
            "You must provide a `first` or `last` value",
        ),
    ],
)
def test_a_query_that_is_not_in_the_schema_is_a_violation(scene, query, message):
    answer = scene.call("POST", "//graphql", {"query": query})
    assert (answer.status_code, len(scene.fake.violations)) == (200, 1)
    assert message in answer.json()["errors"][0]["message"]
    scene.fake.violations.clear()


def test_values_of_every_kind_are_parsed():
    (field,) = parse('{ x: a(b: [1, -2.5], c: {d: "\\n", e: NAME}, f: null, g: true) }').selections
    assert (field.key, field.name) == ("x", "a")
    assert field.arguments == {"b": [1, -2.5], "c": {"d": "\n", "e": "NAME"}, "f": None, "g": True}
    with pytest.raises(GraphQLError):
        parse("{ a } %")


# Suggestions


def suggest(*lines, fence="```"):
    return "\n".join(["Better:", f"{fence}suggestion", *lines, fence])


def test_a_suggestion_replaces_the_lines_of_its_comment(scene):
    number = scene.comment_on(30, suggest("one", "two", "three"), start_line=29, start_side="RIGHT")
    texts = scene.fake.apply_suggestions(NUMBER, [number])
    expected = numbered(40, {5: "changed 5"}).replace("line 29\nline 30\n", "one\ntwo\nthree\n")
    assert texts == {"src/calc.py": expected}
    head = scene.fake.branch("topic")
    assert scene.project.git("show", f"{head}:src/calc.py") == expected
    assert scene.project.git("rev-parse", f"{head}^").strip() == scene.head
    assert scene.call("GET", "/pulls/7").json()["head"]["sha"] == head
    assert scene.fake.page(NUMBER)["review_comments"][0]["outdated"]


def test_several_suggestions_become_one_commit(scene):
    numbers = [scene.comment_on(5, suggest("5a", "5b")), scene.comment_on(30, suggest("30a"))]
    numbers.append(scene.comment_on(2, suggest("b = 3"), "src/fresh.py"))
    texts = scene.fake.apply_suggestions(NUMBER, numbers)
    assert texts["src/calc.py"] == numbered(40, {5: "5a\n5b", 30: "30a"})
    assert texts["src/fresh.py"] == "a = 1\nb = 3\nc = 3\n"
    assert len(scene.call("GET", "/pulls/7/commits").json()) == 2


def test_a_suggestion_that_moved_with_its_line_still_applies(scene):
    number = scene.comment_on(30, suggest("thirty"))
    scene.fake.push(NUMBER, scene.commit(src__calc_py="first\n" + numbered(40, {5: "changed 5", 30: "changed 30"})))
    texts = scene.fake.apply_suggestions(NUMBER, [number])
    assert texts["src/calc.py"] == "first\n" + numbered(40, {5: "changed 5", 30: "thirty"})


def test_suggestions_that_overlap_change_nothing_or_are_outdated_are_refused(scene):
    same = scene.comment_on(5, suggest("changed 5"))
    wide = scene.comment_on(31, suggest("x"), start_line=29, start_side="RIGHT")
    narrow = scene.comment_on(30, suggest("y"))
    plain = scene.comment_on(30, "No suggestion.")
    removed = scene.comment_on(1, suggest("z"), "src/gone.py", side="LEFT")
    for numbers, reason in (
        ([same], "changes nothing"),
        ([wide, narrow], "overlap"),
        ([plain], "has 0 suggestions"),
        ([removed], "not on lines of the new file"),
    ):
        with pytest.raises(SuggestionError, match=reason):
            scene.fake.apply_suggestions(NUMBER, numbers)
    scene.fake.apply_suggestions(NUMBER, [narrow])
    with pytest.raises(SuggestionError, match="outdated"):
        scene.fake.apply_suggestions(NUMBER, [wide])
    scene.fake.close(NUMBER)
    with pytest.raises(SuggestionError, match="closed"):
        scene.fake.apply_suggestions(NUMBER, [same])


@pytest.mark.parametrize(("keep_crlf", "newline"), [(True, "\r\n"), (False, "\n")])
def test_new_lines_end_as_those_of_the_file_or_not(scene, keep_crlf, newline):
    scene.fake.push(NUMBER, scene.commit(src__fresh_py=b"a = 1\r\nb = 2\r\nc = 3"))
    numbers = [scene.comment_on(1, suggest("a = 2", "a = 3"), "src/fresh.py")]
    numbers.append(scene.comment_on(3, suggest("c = 4", "c = 5"), "src/fresh.py"))
    texts = scene.fake.apply_suggestions(NUMBER, numbers, keep_crlf=keep_crlf)
    assert texts["src/fresh.py"] == f"a = 2{newline}a = 3{newline}b = 2\r\nc = 4{newline}c = 5"


@pytest.mark.parametrize(
    ("body", "blocks"),
    [
        ("```suggestion\na\n```", [("a",)]),
        ("```suggestion\n```", [()]),
        ("```suggestion\n\n```", [("",)]),
        ("````suggestion\n```\na\n```\n````", [("```", "a", "```")]),
        ("~~~suggestion\n```\n~~~", [("```",)]),
        ("```python\n```suggestion\n```", []),
        ("  ```suggestion\n    a\n  ```", [("  a",)]),
        ("```suggestion:-0+0\na\n```", []),
        ("    ```suggestion\na\n```", []),
        ("```suggestion\r\na\r\n```\r\n", [("a",)]),
        ("```suggestion\na\n```\n\n```suggestion\nb\n```", [("a",), ("b",)]),
        ("```suggestion\nnever closed", [("never closed",)]),
        ("```\nsuggestion", []),
    ],
)
def test_suggestions_are_found_as_the_page_finds_them(body, blocks):
    assert suggestions_in(body) == blocks
