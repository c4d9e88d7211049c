from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from llm_testgen.delivery.activity import (
    Apply,
    Comment,
    Generate,
    Help,
    Inputs,
    PublishRun,
    Refuse,
    Skip,
    read_activity,
)
from llm_testgen.errors import UsageError

EVENTS = Path(__file__).parents[1] / "github" / "events"
REPOSITORY = "Codertocat/Hello-World"
HEAD = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"
BASE = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
PULL = Generate(2, HEAD, BASE, fork=False)
COMMENT = Comment(492700400, "Codertocat", "MDEyOklzc3VlQ29tbWVudDQ5MjcwMDQwMA==")
RUN = PublishRun(289782451, "3484a3fb816e0859fd6e1cea078d76385ff50625", "octo-org/octo-repo", 300029405, "master")
STRANGE = [
    'a";id;"',
    "`id`",
    "$(id)",
    "-rf",
    "a\n::error::b",
    "it's",
    "<img src=x>",
    "@everyone",
    "\u202etxt.exe",
    "../..",
]

DELETED = object()


def payload(name: str, **changes: object) -> dict:
    """GitHub's example of an event with some of its values replaced; a dotted name goes into what lies inside."""
    data = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    if name.startswith("issue_comment"):
        # There is no example on a pull request. This is what such an issue has beside the others.
        url = "https://api.github.com/repos/Codertocat/Hello-World/pulls/1"
        page = "https://github.com/Codertocat/Hello-World/pull/1"
        data["issue"]["pull_request"] = {
            "url": url,
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
        }
    for dotted, value in changes.items():
        *way, last = dotted.split("__")
        place = data
        for key in way:
            place = place[key]
        if value is DELETED:
            del place[last]
        else:
            place[last] = value
    return data


def validate(data: dict, definition: str) -> None:
    """Hold a payload against GitHub's own schema of it."""
    schema = json.loads((EVENTS / "schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator({**schema, "$ref": f"#/definitions/{definition}"}).validate(data)


def read(name: str, inputs: Inputs | None = None, **changes: object):
    data = payload(name, **changes)
    return read_activity(name.partition(".")[0], data, data["repository"]["full_name"], inputs or Inputs())


def pull(action: str = "opened", **changes: object):
    return read(f"pull_request.{action}", **{f"pull_request__{key}": value for key, value in changes.items()})


def comment(body: str, **changes: object):
    return read("issue_comment.created", comment__body=body, **changes)


def run(**changes: object):
    values = {"event": "pull_request", **changes}
    return read("workflow_run.completed", **{f"workflow_run__{key}": value for key, value in values.items()})


def dispatch(**inputs: str):
    return read("workflow_dispatch", Inputs(**inputs))


def reason(activity) -> str:
    assert isinstance(activity, Skip)
    return activity.reason


def complaint(event: str, data: object, repository: str = REPOSITORY, inputs: Inputs | None = None) -> str:
    with pytest.raises(UsageError) as raised:
        read_activity(event, data, repository, inputs or Inputs())
    message = str(raised.value)
    assert message.isprintable()
    return message


@pytest.mark.parametrize("action", ["opened", "reopened", "synchronize", "ready_for_review", "labeled"])
def test_tests_are_made_for_a_pull_request_whatever_its_workflow_lists(action):
    assert pull(action) == PULL


@pytest.mark.parametrize("changes", [{}, {"state": "open"}, {"merged": True}])
def test_a_closed_or_merged_pull_request_is_skipped(changes):
    assert reason(pull("closed", **changes)) == "the pull request is closed"


def test_a_pull_request_that_was_closed_before_its_label_came_is_skipped():
    assert reason(pull("labeled", state="closed")) == "the pull request is closed"


def test_a_draft_is_skipped_until_it_is_ready():
    assert reason(pull(draft=True)) == "the pull request is a draft; run when it is ready for review"


def test_a_pull_request_from_a_fork_is_known_by_the_id_of_its_repository():
    other = {"id": 4711, "full_name": "stranger/Hello-World"}
    assert pull(head__repo=other) == replace(PULL, fork=True)
    assert pull(head__repo__full_name="CODERTOCAT/hello-world") == PULL
    assert pull(head__repo__id=4711) == replace(PULL, fork=True)


def test_a_pull_request_whose_fork_was_deleted_is_skipped():
    assert reason(pull(head__repo=None)) == "the fork that the pull request came from was deleted"


def test_a_pull_request_of_dependabot_is_told_to_be_a_bots():
    assert pull(user__type="Bot", user__login="dependabot[bot]") == replace(PULL, bot_author=True)
    assert pull(user=None) == PULL


@pytest.mark.parametrize("text", STRANGE)
def test_names_and_titles_of_a_pull_request_change_nothing(text):
    strange = pull(title=text, body=text, head__ref=text, head__label=text, base__ref=text)
    assert strange == PULL
    assert run(head_branch=text, display_title=text, name=text) == replace(RUN, head_branch=text)


def test_pull_request_target_is_refused_as_unsafe():
    message = complaint("pull_request_target", payload("pull_request.opened"))
    assert "secrets" in message
    assert "on pull_request make the tests, and one on workflow_run" in message


@pytest.mark.parametrize("event", ["push", "schedule", "merge_group", "pull_request_review_comment", "", "a\n`b`"])
def test_an_event_of_no_use_is_an_error_that_names_the_others(event):
    message = complaint(event, {})
    assert message.startswith("run on pull_request, issue_comment, workflow_dispatch or workflow_run")


def test_a_comment_on_a_pull_request_is_as_github_describes_it():
    validate(payload("issue_comment.created", comment__body="/gen-tests"), "issue_comment$created")
    validate(payload("issue_comment.edited"), "issue_comment$edited")
    validate(payload("issue_comment.deleted"), "issue_comment$deleted")
    with pytest.raises(jsonschema.ValidationError):
        validate(payload("issue_comment.created", comment__body=1), "issue_comment$created")


def test_the_payloads_that_are_changed_here_are_as_github_describes_them():
    validate(payload("pull_request.opened", pull_request__draft=True), "pull_request$opened")
    validate(payload("workflow_run.completed", workflow_run__event="pull_request"), "workflow_run$completed")
    validate(payload("workflow_dispatch", inputs={"pr-number": "2"}), "workflow_dispatch$event")


def test_a_comment_asks_for_tests():
    assert comment("/gen-tests") == Generate(1, comment=COMMENT)


def test_a_comment_names_targets_and_the_commit_of_a_fork():
    asked = Generate(1, head="ec26c3e", targets=("src/a.py", "b.py::C.f"), comment=COMMENT)
    assert comment("/gen-tests EC26C3E src/a.py b.py::C.f\nThanks!") == asked
    assert comment(f"/gen-tests {HEAD}") == Generate(1, head=HEAD, comment=COMMENT)


def test_a_comment_asks_to_apply_tests_or_for_help():
    assert comment("/gen-tests apply 9f3c, 07ab") == Apply(1, ("9f3c", "07ab"), COMMENT)
    assert comment("/gen-tests apply") == Apply(1, (), COMMENT)
    assert comment("/gen-tests help") == Help(1, COMMENT)


@pytest.mark.parametrize("line", ["--model x", "--endpoint=https://evil.example", "../a.py", "apply x", "`@everyone`"])
def test_a_command_that_is_written_wrongly_is_answered(line):
    refused = comment(f"/gen-tests {line}")
    assert isinstance(refused, Refuse)
    assert (refused.number, refused.comment) == (1, COMMENT)
    assert refused.message.endswith("write /gen-tests help to see what can be asked")
    assert not set("`@<") & set(refused.message)


@pytest.mark.parametrize("action", ["edited", "deleted", "pinned"])
def test_only_a_new_comment_counts(action):
    name = "issue_comment.created" if action == "pinned" else f"issue_comment.{action}"
    skipped = read(name, action=action, comment__body="/gen-tests")
    assert reason(skipped) == f'only a new comment can be a command, and this one was "{action}"'


@pytest.mark.parametrize("absent", [DELETED, None])
def test_a_comment_on_an_issue_is_skipped(absent):
    skipped = comment("/gen-tests", issue__pull_request=absent)
    assert reason(skipped) == "the comment is on an issue, not on a pull request"


def test_a_comment_on_a_closed_pull_request_is_skipped():
    assert reason(comment("/gen-tests", issue__state="closed")) == "the pull request is closed"


@pytest.mark.parametrize(("kind", "login"), [("Bot", "renovate"), ("User", "renovate[bot]"), ("Bot", "renovate[bot]")])
@pytest.mark.parametrize("body", ["/gen-tests", "/gen-tests --model x", "/gen-tests help"])
def test_a_bot_is_never_obeyed_nor_answered(kind, login, body):
    skipped = comment(body, comment__user__type=kind, comment__user__login=login)
    assert reason(skipped) == "the comment was written by a bot"


def test_the_author_of_the_comment_counts_and_not_that_of_the_pull_request():
    assert comment("/gen-tests", issue__user__type="Bot") == Generate(1, comment=COMMENT)


def test_a_comment_of_a_deleted_account_is_skipped():
    assert reason(comment("/gen-tests", comment__user=None)) == "the account that wrote the comment was deleted"


def test_a_draft_is_tested_when_a_person_asks_for_it():
    assert comment("/gen-tests", issue__draft=True) == Generate(1, comment=COMMENT)


@pytest.mark.parametrize("body", ["", "Looks good to me", "\uff0fgen-tests", "/g\u0435n-tests", "/gen\u200b-tests"])
def test_a_comment_without_the_command_is_skipped(body):
    assert reason(comment(body)) == "the comment is no /gen-tests command"


@pytest.mark.parametrize(
    "body",
    [
        "> /gen-tests",
        "```\n/gen-tests\n```",
        "    /gen-tests",
        "\t/gen-tests",
        "Hello\n/gen-tests",
        "\n/gen-tests",
        "`/gen-tests`",
        "please /gen-tests",
        "/gen-testsX",
        "\u200b/gen-tests",
        "<!-- /gen-tests -->",
    ],
)
def test_a_command_elsewhere_than_at_the_start_of_the_comment_is_skipped(body):
    skipped = comment(body)
    assert reason(skipped) == "/gen-tests must be the first word of the comment, and not in a quote or in code"


def test_an_endless_comment_is_skipped_or_refused():
    assert isinstance(comment("x" * 100_000), Skip)
    assert isinstance(comment(f"/gen-tests {'x' * 100_000}"), Refuse)


def test_a_dispatch_needs_the_number_of_a_pull_request():
    for empty in (Inputs(), Inputs(pr_number=" "), Inputs(head_sha=HEAD)):
        message = complaint("workflow_dispatch", payload("workflow_dispatch"), "octo-org/octo-repo", empty)
        assert "pass its number as the action's input pr-number" in message


def test_a_dispatch_asks_for_tests():
    assert dispatch(pr_number="12") == Generate(12)
    assert dispatch(pr_number=" 12\n", head_sha=HEAD.upper(), base="F95F852") == Generate(12, HEAD, "f95f852")


@pytest.mark.parametrize(
    "number", ["0", "-1", "+1", "1.0", "1e3", "#12", "012", "1_0", "١٢", "$(id)", "9" * 40, "12\n13"]
)
def test_a_dispatch_with_a_wrong_number_is_refused(number):
    message = complaint(
        "workflow_dispatch", payload("workflow_dispatch"), "octo-org/octo-repo", Inputs(pr_number=number)
    )
    assert "pass the number of a pull request" in message


@pytest.mark.parametrize("name", ["head_sha", "base"])
@pytest.mark.parametrize("value", ["main", "ec26c3", "-x", f"{HEAD}0", "HEAD", "$(id)", "ec26c3e\nec26c3e"])
def test_a_dispatch_with_a_wrong_commit_is_refused(name, value):
    inputs = Inputs(**{"pr_number": "1", name: value})
    message = complaint("workflow_dispatch", payload("workflow_dispatch"), "octo-org/octo-repo", inputs)
    assert message.startswith(f"the input {name.replace('_', '-')} is ")


def test_inputs_do_not_change_what_another_event_says():
    inputs = Inputs(pr_number="99", head_sha="a" * 40, base="b" * 40)
    assert read("pull_request.opened", inputs) == PULL
    assert read("issue_comment.created", inputs, comment__body="/gen-tests") == Generate(1, comment=COMMENT)


def test_what_a_run_on_a_pull_request_proposed_is_published():
    assert run() == RUN


@pytest.mark.parametrize("conclusion", ["success", "failure", "neutral", "timed_out"])
def test_a_run_that_failed_is_published_too(conclusion):
    assert run(conclusion=conclusion) == RUN


def test_the_list_of_pull_requests_in_a_run_is_not_believed():
    assert run(pull_requests=[{"number": 666, "head": {"sha": "0" * 40}}]) == RUN


def test_a_run_of_a_fork_says_which_repository_it_came_from():
    fork = {"id": 4711, "full_name": "stranger/octo-repo"}
    published = replace(RUN, head_repository="stranger/octo-repo", head_repository_id=4711)
    assert run(head_repository=fork) == published


def test_a_run_that_names_no_branch_is_published():
    assert run(head_branch=None) == replace(RUN, head_branch="")


@pytest.mark.parametrize("event", ["push", "repository_dispatch", "pull_request_target", "a\n`b`"])
def test_a_run_on_another_event_is_skipped(event):
    assert "only those on pull_request propose tests" in reason(run(event=event))
    assert reason(run(event=event)).isprintable()


@pytest.mark.parametrize(
    ("conclusion", "said"),
    [("cancelled", "was cancelled"), ("skipped", "was skipped"), ("action_required", "waits for approval")],
)
def test_a_run_that_proposed_nothing_is_skipped(conclusion, said):
    assert reason(run(conclusion=conclusion)) == f"the run that made the tests {said}"


def test_a_run_that_has_not_ended_is_skipped():
    assert reason(read("workflow_run.requested")) == "the run that made the tests has not ended yet"


def test_a_run_whose_fork_was_deleted_is_skipped():
    assert reason(run(head_repository=None)) == "the fork that the pull request came from was deleted"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("pull_request.opened", "repository"),
        ("pull_request.opened", "action"),
        ("pull_request.opened", "pull_request"),
        ("pull_request.opened", "pull_request.number"),
        ("pull_request.opened", "pull_request.head.sha"),
        ("pull_request.opened", "pull_request.head.repo.id"),
        ("issue_comment.created", "issue.number"),
        ("issue_comment.created", "issue.state"),
        ("issue_comment.created", "comment.id"),
        ("issue_comment.created", "comment.body"),
        ("issue_comment.created", "comment.node_id"),
        ("issue_comment.created", "comment.user.login"),
        ("workflow_dispatch", "repository.full_name"),
        ("workflow_run.completed", "workflow_run.id"),
        ("workflow_run.completed", "workflow_run.head_sha"),
        ("workflow_run.completed", "workflow_run.head_repository.id"),
    ],
)
def test_a_payload_that_lacks_what_is_needed_is_an_error_that_says_what(name, place):
    data = payload(name, **{place.replace(".", "__"): DELETED})
    event = name.partition(".")[0]
    message = complaint(event, data)
    assert message.startswith(f"{event} was expected, and the event file is not one of GitHub's: no valid {place};")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("pull_request.number", 0),
        ("pull_request.number", "2"),
        ("pull_request.number", True),
        ("pull_request.head.sha", "--upload-pack=x"),
        ("pull_request.head.sha", f"{HEAD}\n"),
        ("pull_request.base.sha", "main"),
        ("pull_request.draft", "yes"),
        ("pull_request.state", "`id`"),
        ("pull_request.user.login", "../../orgs"),
        ("pull_request.head.repo.full_name", "a/../b"),
        ("pull_request.head.repo.full_name", "a/.."),
    ],
)
def test_a_value_that_is_none_of_githubs_is_an_error_that_does_not_repeat_it(place, value):
    message = complaint("pull_request", payload("pull_request.opened", **{place.replace(".", "__"): value}))
    assert f"no valid {place};" in message
    assert str(value) not in message


@pytest.mark.parametrize("data", [{}, [], None, "text", 1])
@pytest.mark.parametrize("event", ["pull_request", "issue_comment", "workflow_dispatch", "workflow_run"])
def test_what_is_no_payload_at_all_is_an_error(event, data):
    assert complaint(event, data).startswith(f"{event} was expected")


def test_the_payload_of_another_event_is_an_error():
    assert complaint("issue_comment", payload("pull_request.opened")).startswith("issue_comment was expected")


def test_the_event_of_another_repository_is_an_error():
    data = payload("pull_request.opened")
    message = complaint("pull_request", data, "octo-org/octo-repo")
    assert message.startswith('the event belongs to Codertocat/Hello-World, the run to "octo-org/octo-repo"')
    assert read_activity("pull_request", data, REPOSITORY.upper(), Inputs()) == PULL


def test_a_payload_is_left_as_it_is():
    data = payload("issue_comment.created", comment__body="/gen-tests")
    before = deepcopy(data)
    read_activity("issue_comment", data, REPOSITORY, Inputs())
    assert data == before
