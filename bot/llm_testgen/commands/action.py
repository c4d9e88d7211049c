"""``llm-testgen action``: what the GitHub Action runs in its steps."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum

import click
from rich.console import Console

from llm_testgen.commands.action_inputs import ActionInputs, FailOn, Job
from llm_testgen.commands.action_stages import Done, Stages
from llm_testgen.commands.publishing import Status
from llm_testgen.delivery.markdown import code
from llm_testgen.delivery.tasks import GenerateTask, Task, load_task
from llm_testgen.edges.workflow import annotation, stop_commands, write_outputs, write_summary
from llm_testgen.errors import LlmTestgenError, ProjectError, UsageError
from llm_testgen.runner.sandbox import hide_memory

_TITLE = "llm-testgen"
_FULL = 100.0
_TASK = "LLM_TESTGEN_TASK"
_PROBLEM = "LLM_TESTGEN_PROBLEM"


class Stage(StrEnum):
    """A step of the action; all of them for one that does everything."""

    PLAN = "plan"
    PROPOSE = "propose"
    PUBLISH = "publish"
    ALL = "all"


@click.command("action")
@click.option(
    "--stage",
    type=click.Choice([stage.value for stage in Stage]),
    default=Stage.ALL.value,
    show_default=True,
    help="Do only this part of the work; the parts hand on a task by LLM_TESTGEN_TASK.",
)
def action(*, stage: str) -> None:
    """Do what a GitHub event asks for: read from the variables that a runner sets, and from INPUT_… for the inputs."""
    # No other process may read the token from this one's memory.
    hide_memory()
    fail_on = FailOn.ERROR
    job = Job.from_environment(os.environ)
    try:
        inputs = ActionInputs.from_environment(os.environ)
        fail_on = inputs.fail_on
        done = _run(Stage(stage), Stages(inputs, job, dict(os.environ), _console()))
    except LlmTestgenError as error:
        done = _failed(error)
    except Exception:
        # A bug: the command line reports it, and the workflow is not left with what an earlier step said.
        _tell(_failed(LlmTestgenError("llm-testgen failed unexpectedly, see the run")), job)
        raise
    _tell(done, job)
    if fail_on is FailOn.UNCOVERED and _leaves_gap(done):
        msg = f"changed lines are left that no test executes: {done.outputs['diff-coverage-after']} % are executed"
        raise ProjectError(msg)
    if done.failure and fail_on is not FailOn.NEVER:
        raise done.failure


def _run(stage: Stage, stages: Stages) -> Done:
    match stage:
        case Stage.PLAN:
            return stages.plan()
        case Stage.PROPOSE:
            task = _task()
            return _quietly(lambda: stages.propose(task))
        case Stage.PUBLISH:
            return stages.publish(_task(), os.environ.get(_PROBLEM, "").strip())
        case Stage.ALL:
            return _all(stages)


def _all(stages: Stages) -> Done:
    planned = stages.plan()
    task = planned.task
    if not isinstance(task, GenerateTask):
        return planned if task is None else stages.publish(task)
    try:
        proposed = _quietly(lambda: stages.propose(task))
        problem = proposed.outputs.get("skipped-reason", "")
    except LlmTestgenError as error:
        proposed, problem = _failed(error), str(error)
    if not task.publish or (problem and task.asker is None):
        return proposed
    published = stages.publish(task, problem)
    return proposed if problem else published


def _task() -> Task:
    text = os.environ.get(_TASK, "")
    if not text:
        msg = f"{_TASK} is not set: run the stage plan first, and hand on its output"
        raise UsageError(msg)
    return load_task(text)


def _console() -> Console:
    """Where a log is written, even if the runner lends a terminal: a line for each step, and none that moves."""
    return Console(emoji=False, force_terminal=False, force_interactive=False)


def _quietly(propose: Callable[[], Done]) -> Done:
    """Run what prints code that a model wrote: no line of it acts as a command of the workflow."""
    stop, go_on = stop_commands()
    click.echo(stop)
    try:
        return propose()
    finally:
        click.echo(go_on)


def _failed(error: LlmTestgenError) -> Done:
    return Done(
        Status.FAILED,
        {"skipped-reason": str(error)},
        f"## llm-testgen failed\n\n{code(str(error), longest=2_000)}\n",
        failure=error,
    )


def _tell(done: Done, job: Job) -> None:
    outputs = {"status": done.status.value, **done.outputs}
    if job.output:
        write_outputs(job.output, outputs)
    if job.summary and done.summary:
        write_summary(job.summary, done.summary)
    if done.failure:
        click.echo(annotation("error", str(done.failure), _TITLE))
    elif done.notice:
        click.echo(annotation("notice", done.notice, _TITLE))
    elif done.status is not Status.PLANNED:
        click.echo(f"{_TITLE}: {done.status.value}")


def _leaves_gap(done: Done) -> bool:
    after = done.outputs.get("diff-coverage-after")
    # What another job posts is judged there.
    return after is not None and done.status is not Status.PROPOSED and float(after) < _FULL
