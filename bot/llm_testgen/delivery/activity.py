"""An event of GitHub's → what is to be done.

Only parses: whether a comment's author may ask, and which commit a pull request is at now, the caller finds out. What
is left undone has its reason, and an event of no use is an error: a green check that did nothing is the worst answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from llm_testgen.bounds import Commit
from llm_testgen.delivery.command import (
    COMMAND,
    ApplyCommand,
    CommandError,
    HelpCommand,
    parse_command,
    parse_commit,
    quoted,
)
from llm_testgen.errors import UsageError

_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
# How a run ends that proposed nothing. A failed one may have: what it wrote before is published.
_WITHOUT_RESULT = {"action_required": "waits for approval", "cancelled": "was cancelled", "skipped": "was skipped"}
_KEEP = "leave the variables GITHUB_… as the runner sets them"


@dataclass(frozen=True, slots=True)
class Inputs:
    """The action's inputs that name a pull request, as they were written; a dispatch alone reads them.

    Attributes:
        pr_number: The pull request's number.
        head_sha: The commit to run, 7 to 40 hex digits; empty for the pull request's newest.
        base: The commit to compare with, likewise; empty for the pull request's base.
    """

    pr_number: str = ""
    head_sha: str = ""
    base: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """The comment that asks, and that is answered."""

    id: int
    author: str
    node_id: str


@dataclass(frozen=True, slots=True)
class Generate:
    """Make tests for a pull request.

    Attributes:
        number: Of the pull request.
        head: The commit to run: in full from the event of a pull request; 7 to 40 lower-case hex digits if a person
            named it; else empty.
        base: The commit to compare with, likewise.
        fork: Whether head lies in another repository; None when the event does not tell.
        bot_author: Whether the event is that of a bot's pull request, Dependabot's say, whose runs get no secrets.
        targets: ``path``, ``path::Class`` or ``path::Class.method``; empty for all that changed.
        comment: The comment that asked for it, if one did.
    """

    number: int
    head: str = ""
    base: str = ""
    fork: bool | None = None
    bot_author: bool = False
    targets: tuple[str, ...] = ()
    comment: Comment | None = None


@dataclass(frozen=True, slots=True)
class Apply:
    """Commit proposed tests to a pull request's branch: those with these ids, or all if there are none."""

    number: int
    ids: tuple[str, ...]
    comment: Comment


@dataclass(frozen=True, slots=True)
class Help:
    """Answer which commands there are."""

    number: int
    comment: Comment


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer that a command is written wrongly; the message is plain text."""

    number: int
    comment: Comment
    message: str


@dataclass(frozen=True, slots=True)
class PublishRun:
    """Post what another run proposed.

    Its pull request is to be found by what is here: GitHub lists none in the event when it comes from a fork, and what
    the run left behind may lie.
    """

    run_id: int
    head: str
    head_repository: str
    head_repository_id: int
    head_branch: str


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing is to be done, and why."""

    reason: str


Activity = Generate | Apply | Help | Refuse | PublishRun | Skip

_Id = Annotated[int, Field(strict=True, gt=0)]
# Both become parts of addresses.
_Login = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\[bot\])?$")]
_FullName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+/\.*[A-Za-z0-9_-][A-Za-z0-9_.-]*$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _User(_Model):
    login: _Login
    type: str

    @property
    def is_bot(self) -> bool:
        return self.type == "Bot" or self.login.endswith("[bot]")


class _Repository(_Model):
    id: _Id
    full_name: _FullName


class _Branch(_Model):
    sha: Commit
    repo: _Repository | None  # None once the fork was deleted


class _PullRequest(_Model):
    number: _Id
    state: Literal["open", "closed"]
    draft: StrictBool = False
    user: _User | None  # None once the account was deleted; of a comment too
    head: _Branch
    base: _Branch


class _Issue(_Model):
    number: _Id
    state: Literal["open", "closed"]
    pull_request: dict[str, object] | None = None


class _Comment(_Model):
    id: _Id
    node_id: Annotated[str, Field(min_length=1)]
    user: _User | None
    body: str


class _WorkflowRun(_Model):
    id: _Id
    event: str
    conclusion: str | None
    head_sha: Commit
    head_branch: str | None
    head_repository: _Repository | None


class _Event(_Model):
    repository: _Repository


class _ActionEvent(_Event):
    action: str


class _PullRequestEvent(_ActionEvent):
    pull_request: _PullRequest


class _CommentEvent(_ActionEvent):
    issue: _Issue
    comment: _Comment


class _WorkflowRunEvent(_ActionEvent):
    workflow_run: _WorkflowRun


_EventT = TypeVar("_EventT", bound=_Event)


def read_activity(event: str, payload: object, repository: str, inputs: Inputs) -> Activity:
    """Tell what an event asks for.

    Args:
        event: Its name, as in ``GITHUB_EVENT_NAME``.
        payload: Its parsed JSON.
        repository: ``owner/name`` of the repository that the run belongs to.
        inputs: What the action was given.

    Raises:
        UsageError: The tool does not run on such events, the payload is none of it, or an input is wrong.
    """
    match event:
        case "pull_request":
            return _for_pull_request(_read(_PullRequestEvent, event, payload, repository))
        case "issue_comment":
            return _for_comment(_read(_CommentEvent, event, payload, repository))
        case "workflow_dispatch":
            _read(_Event, event, payload, repository)
            return _for_dispatch(inputs)
        case "workflow_run":
            return _for_workflow_run(_read(_WorkflowRunEvent, event, payload, repository))
        case "pull_request_target":
            msg = (
                "pull_request_target would run a stranger's code beside the repository's secrets; let a workflow on"
                " pull_request make the tests, and one on workflow_run post them"
            )
            raise UsageError(msg)
        case _:
            msg = f"run on pull_request, issue_comment, workflow_dispatch or workflow_run; this is {quoted(event)}"
            raise UsageError(msg)


def _read(model: type[_EventT], event: str, payload: object, repository: str) -> _EventT:
    try:
        read = model.model_validate(payload)
    except ValidationError as error:
        # No word of the payload itself: it is anybody's.
        where = ".".join(map(str, error.errors(include_url=False, include_input=False)[0]["loc"])) or "object"
        msg = f"{event} was expected, and the event file is not one of GitHub's: no valid {where}; {_KEEP}"
        raise UsageError(msg) from error
    if read.repository.full_name.lower() != repository.lower():
        msg = f"the event belongs to {read.repository.full_name}, the run to {quoted(repository)}; {_KEEP}"
        raise UsageError(msg)
    return read


def _for_pull_request(event: _PullRequestEvent) -> Activity:
    pull = event.pull_request
    if event.action == "closed" or pull.state == "closed":
        return Skip("the pull request is closed")
    if pull.draft:
        return Skip("the pull request is a draft; run when it is ready for review")
    if pull.head.repo is None:
        return Skip("the fork that the pull request came from was deleted")
    return Generate(
        number=pull.number,
        head=pull.head.sha,
        base=pull.base.sha,
        fork=pull.head.repo.id != event.repository.id,
        bot_author=pull.user is not None and pull.user.is_bot,
    )


def _for_comment(event: _CommentEvent) -> Activity:
    user = event.comment.user
    if event.action != "created":
        return Skip(f"only a new comment can be a command, and this one was {quoted(event.action)}")
    if event.issue.pull_request is None:
        return Skip("the comment is on an issue, not on a pull request")
    if user is None:
        return Skip("the account that wrote the comment was deleted")
    if user.is_bot:
        return Skip("the comment was written by a bot")
    if event.issue.state == "closed":
        return Skip("the pull request is closed")
    return _for_command(event, Comment(event.comment.id, user.login, event.comment.node_id))


def _for_command(event: _CommentEvent, comment: Comment) -> Activity:
    number = event.issue.number
    try:
        command = parse_command(event.comment.body)
    except CommandError as error:
        return Refuse(number, comment, str(error))
    match command:
        case None if COMMAND in event.comment.body:
            return Skip(f"{COMMAND} must be the first word of the comment, and not in a quote or in code")
        case None:
            return Skip(f"the comment is no {COMMAND} command")
        case HelpCommand():
            return Help(number, comment)
        case ApplyCommand(ids):
            return Apply(number, ids, comment)
        case _:
            return Generate(number, head=command.head, targets=command.targets, comment=comment)


def _for_dispatch(inputs: Inputs) -> Generate:
    number = inputs.pr_number.strip()
    if not number:
        msg = "a dispatch names no pull request; pass its number as the action's input pr-number"
        raise UsageError(msg)
    if not _NUMBER.fullmatch(number):
        msg = f"the input pr-number is {quoted(number)}; pass the number of a pull request, such as 12"
        raise UsageError(msg)
    return Generate(int(number), head=_commit("head-sha", inputs.head_sha), base=_commit("base", inputs.base))


def _commit(name: str, value: str) -> str:
    word = value.strip()
    commit = parse_commit(word)
    if word and not commit:
        msg = f"the input {name} is {quoted(word)}; pass a commit's name of 7 to 40 hex digits, or nothing"
        raise UsageError(msg)
    return commit


def _for_workflow_run(event: _WorkflowRunEvent) -> Activity:
    run = event.workflow_run
    if event.action != "completed":
        return Skip("the run that made the tests has not ended yet")
    if run.event != "pull_request":
        return Skip(f"the run was one on {quoted(run.event)}, and only those on pull_request propose tests to post")
    if run.conclusion in _WITHOUT_RESULT:
        return Skip(f"the run that made the tests {_WITHOUT_RESULT[run.conclusion]}")
    if run.head_repository is None:
        return Skip("the fork that the pull request came from was deleted")
    return PublishRun(
        run_id=run.id,
        head=run.head_sha,
        head_repository=run.head_repository.full_name,
        head_repository_id=run.head_repository.id,
        head_branch=run.head_branch or "",
    )
