"""What a job has decided to do, as the one text that crosses to its next steps, version 1."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, ValidationError

from llm_testgen.bounds import FEW, Bounded, Commit, Text
from llm_testgen.errors import UsageError


class Asker(Bounded):
    """The comment that asks, and that is answered."""

    comment: PositiveInt
    author: Text


class GenerateTask(Bounded):
    """Make tests for a pull request, and post them.

    Attributes:
        number: The pull request.
        head: Its head.
        base: The commit to compare with.
        targets: What to make tests for; empty for all that changed.
        publish: Post them in this job; else they are left as an artifact.
        foreign: The head is of another repository, or of an author whose runs get no secrets.
        strict: Run nothing unless every layer of the sandbox is there.
        asker: Who asked, if a person did in a comment.
        asked: A person asked, in a comment or by a dispatch.
        note: What a person should know of these choices.
    """

    kind: Literal["generate"] = "generate"
    version: Literal[1] = 1
    number: PositiveInt
    head: Commit
    base: Commit
    targets: Annotated[tuple[Text, ...], FEW] = ()
    publish: bool
    foreign: bool
    strict: bool
    asker: Asker | None = None
    asked: bool = False
    note: Text = ""


class ApplyTask(Bounded):
    """Commit proposed tests to a pull request's branch."""

    kind: Literal["apply"] = "apply"
    version: Literal[1] = 1
    number: PositiveInt
    ids: Annotated[tuple[Text, ...], FEW] = ()
    asker: Asker


class ReplyTask(Bounded):
    """Answer a comment with Markdown."""

    kind: Literal["reply"] = "reply"
    version: Literal[1] = 1
    number: PositiveInt
    asker: Asker
    body: Text


class PublishTask(Bounded):
    """Post what another run proposed for the head of a pull request."""

    kind: Literal["publish"] = "publish"
    version: Literal[1] = 1
    number: PositiveInt
    head: Commit
    run_id: PositiveInt


Task = GenerateTask | ApplyTask | ReplyTask | PublishTask


class _Envelope(Bounded):
    task: Annotated[Task, Field(discriminator="kind")]


def dump_task(task: Task) -> str:
    """A task in one line."""
    return _Envelope(task=task).model_dump_json()


def load_task(text: str) -> Task:
    """A task from the line that it was made into.

    Raises:
        UsageError: It is none.
    """
    try:
        return _Envelope.model_validate_json(text).task
    except ValidationError as error:
        msg = "the plan of the job is none that this version has made: let the steps of one action run together"
        raise UsageError(msg) from error
