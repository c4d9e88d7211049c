"""An event → the task of a job: who may ask for it, which commits it is about, and what it may touch."""

from __future__ import annotations

from llm_testgen.commands.action_inputs import ActionInputs, Job, Mode
from llm_testgen.delivery.activity import (
    Activity,
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
from llm_testgen.delivery.command import HELP
from llm_testgen.delivery.markdown import code
from llm_testgen.delivery.plan import Delivery
from llm_testgen.delivery.tasks import ApplyTask, Asker, GenerateTask, PublishTask, ReplyTask, Task
from llm_testgen.edges.github.client import GitHubRepository
from llm_testgen.edges.github.pulls import may_write, pulls_of_head, read_pull
from llm_testgen.errors import UsageError
from llm_testgen.pulls import Pull

# Its runs get a token that can only read, and secrets of their own.
_DEPENDABOT = "dependabot[bot]"


def plan_task(inputs: ActionInputs, job: Job, repository: GitHubRepository) -> tuple[Task, Pull] | Skip:
    """Decide what a job does, and on which pull request.

    Raises:
        UsageError: The tool does not run on such events, or an input is wrong.
        GitHubError: GitHub does not say what is needed.
    """
    named = Inputs(inputs.pr_number, inputs.head_sha, inputs.base)
    activity = read_activity(job.event, job.payload(), job.repository, named)
    if inputs.mode is Mode.PUBLISH and not isinstance(activity, PublishRun | Skip):
        msg = "mode: publish posts what another run proposed: use it in a workflow on workflow_run"
        raise UsageError(msg)
    if isinstance(activity, Skip):
        return activity
    if isinstance(activity, PublishRun):
        return _publish(activity, repository)
    if activity.comment and not may_write(repository, activity.comment.author):
        return Skip(f"{activity.comment.author} may not write to {job.repository}, so the command does not count")
    pull = read_pull(repository, activity.number)
    if not pull.is_open:
        return Skip(f"pull request {pull.number} is closed")
    return _of_pull(activity, pull, inputs, job)


def _of_pull(activity: Activity, pull: Pull, inputs: ActionInputs, job: Job) -> tuple[Task, Pull] | Skip:
    match activity:
        case Generate():
            found = _generate(activity, pull, inputs, job)
            return found if isinstance(found, Skip) else (found, pull)
        case Apply(number, ids, comment):
            return ApplyTask(number=number, ids=ids, asker=_asker(comment)), pull
        case Help(number, comment):
            return ReplyTask(number=number, asker=_asker(comment), body=HELP), pull
        case Refuse(number, comment, message):
            return _refusal(number, comment, message), pull
        case _:
            raise AssertionError(activity)


def _generate(activity: Generate, pull: Pull, inputs: ActionInputs, job: Job) -> GenerateTask | ReplyTask | Skip:
    foreign_repository = pull.head_repository.casefold() != job.repository.casefold()
    asked = activity.comment is not None or job.event == "workflow_dispatch"
    if fault := _wrong_head(activity, pull, unnamed=asked and foreign_repository):
        return _refusal(pull.number, activity.comment, fault) if activity.comment else Skip(fault)
    # Runs that a person with write access started have the repository's own token; all others of a stranger do not.
    foreign = not asked and (foreign_repository or job.actor == _DEPENDABOT)
    return GenerateTask(
        number=pull.number,
        head=pull.head,
        base=activity.base if len(activity.base) == len(pull.base) else pull.base,
        targets=activity.targets,
        publish=not foreign and inputs.mode is Mode.AUTO and inputs.delivery is not Delivery.NONE,
        foreign=foreign,
        # A stranger's code runs in a job that holds secrets: every layer must be there.
        strict=asked and foreign_repository,
        asker=_asker(activity.comment) if activity.comment else None,
        asked=asked,
        note=_note(foreign=foreign, inputs=inputs),
    )


def _wrong_head(activity: Generate, pull: Pull, *, unnamed: bool) -> str:
    """Why a pull request's head is not the commit that was meant; empty when it is."""
    if activity.head and not pull.head.startswith(activity.head):
        return f"pull request {pull.number} is at {pull.head[:10]} now, no longer at {activity.head[:10]}"
    if unnamed and not activity.head:
        return (
            "the pull request comes from a fork, where anything may be pushed at any moment: name the commit that you"
            f" have looked at, such as {pull.head[:10]}"
        )
    return ""


def _note(*, foreign: bool, inputs: ActionInputs) -> str:
    if foreign and inputs.mode is Mode.AUTO:
        return (
            "This run may only read, as GitHub gives runs of forks and of Dependabot no more: what it finds is left as"
            " an artifact, for a workflow on workflow_run to post."
        )
    return ""


def _publish(activity: PublishRun, repository: GitHubRepository) -> tuple[Task, Pull] | Skip:
    pulls = pulls_of_head(repository, activity.head, activity.head_branch, activity.head_repository)
    if not pulls:
        where = f"{activity.head_repository}:{activity.head_branch}"
        return Skip(f"no open pull request has {activity.head[:10]} of {where} as its head")
    if len(pulls) > 1:
        numbers = ", ".join(str(pull.number) for pull in pulls)
        return Skip(f"pull requests {numbers} have the same head: which of them the run was for cannot be told")
    (pull,) = pulls
    return PublishTask(number=pull.number, head=pull.head, run_id=activity.run_id), pull


def _asker(comment: Comment) -> Asker:
    return Asker(comment=comment.id, author=comment.author)


def _refusal(number: int, comment: Comment, message: str) -> ReplyTask:
    return ReplyTask(number=number, asker=_asker(comment), body=f"{code(message, longest=1_000)}\n\n{HELP}")
