"""The three stages of the action. Each runs in a step of its own, so that no step holds more than it needs.

``plan`` and ``publish`` hold GitHub's token and run nothing of the project; ``propose`` runs tests and holds at most
the model's key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from llm_testgen.commands.action_inputs import ActionInputs, Job
from llm_testgen.commands.action_plan import plan_task
from llm_testgen.commands.applying import apply_tests, proposal_of_run
from llm_testgen.commands.checkout import NothingToTestError
from llm_testgen.commands.models import ModelOptions
from llm_testgen.commands.options import ProposeOptions
from llm_testgen.commands.output import PATCH, PROPOSAL
from llm_testgen.commands.proposing import run_propose
from llm_testgen.commands.publish import load_proposal
from llm_testgen.commands.publishing import Origin, Published, Status, patches, publish
from llm_testgen.delivery.activity import Skip
from llm_testgen.delivery.contracts import clauses_of
from llm_testgen.delivery.findings import findings_of, without_secrets
from llm_testgen.delivery.markdown import code
from llm_testgen.delivery.markers import reply_line
from llm_testgen.delivery.plan import Rules
from llm_testgen.delivery.report import Report, job_summary, skip_summary
from llm_testgen.delivery.tasks import ApplyTask, Asker, GenerateTask, PublishTask, ReplyTask, Task, dump_task
from llm_testgen.edges.git import Repository
from llm_testgen.edges.gitfetch import fetch_pull
from llm_testgen.edges.github.client import Access, GitHubRepository
from llm_testgen.edges.github.writes import post_comment, react
from llm_testgen.errors import GitHubError, LlmTestgenError, UsageError
from llm_testgen.interrupts import run_interruptibly
from llm_testgen.proposal import Proposal
from llm_testgen.pulls import Pull
from llm_testgen.runner.sandbox import Policy
from llm_testgen.settings import Generation

T = TypeVar("T")

_SEEN, _DONE, _FAILED = "eyes", "rocket", "confused"


@dataclass(frozen=True, slots=True)
class Done:
    """What a stage has to say.

    Attributes:
        status: What became of it.
        outputs: For the next steps and the workflow.
        summary: Markdown for the job's summary; empty when a later stage writes it.
        notice: A line for people who look at the run; empty for none.
        failure: Why the step fails; None when it does not.
        task: What the next stages do, if there is anything left to do.
    """

    status: Status
    outputs: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    notice: str = ""
    failure: LlmTestgenError | None = None
    task: Task | None = None


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of one job.

    Attributes:
        inputs: What the workflow gave.
        job: What the runner says.
        environ: The environment, for the keys and for what is started.
        console: Where people read along.
    """

    inputs: ActionInputs
    job: Job
    environ: Mapping[str, str] = field(repr=False)
    console: Console

    def plan(self) -> Done:
        """Tell what the event asks for, and fetch the commits that it takes."""
        with self._repository() as repository:
            planned = plan_task(self.inputs, self.job, repository)
            if isinstance(planned, Skip):
                return skipped(planned.reason)
            task, pull = planned
            if isinstance(task, GenerateTask):
                self._acknowledge(repository, task.asker, _SEEN)
                self._fetch(task, pull)
            elif isinstance(task, ApplyTask | ReplyTask):
                self._acknowledge(repository, task.asker, _SEEN)
        outputs = {"task": dump_task(task), "kind": task.kind, "inputs": self.inputs.model_dump_json()}
        if isinstance(task, GenerateTask):
            model = self._model(task)
            embedded = model.embedded
            outputs |= {
                "publish": _word(flag=task.publish),
                "foreign": _word(flag=task.foreign),
                "embedded": _word(flag=model.runs_inside),
                "model-key": embedded.sha256 if embedded else "",
                "checked-out": _word(flag=Repository.open(self._checkout).is_checked_out(task.head)),
            }
        return Done(Status.PLANNED, outputs, task=task)

    def propose(self, task: Task) -> Done:
        """Make and prove tests; the results are files for the next stage and for the artifact."""
        if not isinstance(task, GenerateTask):
            msg = f"a task of the kind {task.kind} proposes nothing"
            raise UsageError(msg)
        try:
            proposal = run_interruptibly(run_propose(self._options(task), self._for_propose(), self.console))
        except NothingToTestError as error:
            return skipped(str(error))
        outputs = _figures(proposal) | {
            "proposal": str(self.job.out / PROPOSAL),
            "patch": str(self.job.out / PATCH),
        }
        # What follows posts it and tells more, unless nothing follows.
        told = "" if task.publish else self._told_without_posting(task, proposal)
        return Done(Status.PROPOSED, outputs, told, notice=task.note)

    def publish(self, task: Task, problem: str = "") -> Done:
        """Post what was proposed, or answer.

        Args:
            task: What the job does.
            problem: Why the stage before gave no proposal; empty when it gave one.
        """
        with self._repository() as repository:
            match task:
                case ReplyTask():
                    self._reply(repository, task, task.body)
                    return Done(Status.ANSWERED)
                case ApplyTask():
                    return self._apply(repository, task)
                case PublishTask():
                    return self._publish_run(repository, task)
                case GenerateTask():
                    return self._publish_own(repository, task, problem)

    def _publish_own(self, repository: GitHubRepository, task: GenerateTask, problem: str) -> Done:
        if problem:
            if task.asker:
                self._reply(repository, task, code(problem, longest=1_000))
                self._acknowledge(repository, task.asker, _FAILED)
            return Done(Status.SKIPPED)
        done = self._post(repository, task.number, load_proposal(self.job.out / PROPOSAL), asked=task.asked)
        if task.asker:
            self._acknowledge(repository, task.asker, _FAILED if done.failure else _DONE)
        return done

    def _publish_run(self, repository: GitHubRepository, task: PublishTask) -> Done:
        proposal = proposal_of_run(repository, task.run_id)
        if proposal is None:
            return skipped(f"run {task.run_id} left no proposal, or it has expired")
        if proposal.head != task.head:
            return skipped(f"run {task.run_id} proposes tests for {proposal.head[:10]}, not for {task.head[:10]}")
        return self._post(repository, task.number, proposal, asked=False, run_id=str(task.run_id))

    def _post(
        self, repository: GitHubRepository, number: int, proposal: Proposal, *, asked: bool, run_id: str = ""
    ) -> Done:
        rules = Rules(self.inputs.delivery, self.inputs.max_suggestions, asked=asked)
        done = publish(proposal, repository, number, rules, self._origin(run_id), dry_run=self.inputs.dry_run)
        return _told(done, patches(proposal))

    def _apply(self, repository: GitHubRepository, task: ApplyTask) -> Done:
        try:
            body = apply_tests(task, repository, self._origin())
        except UsageError as error:
            self._reply(repository, task, code(str(error), longest=1_000))
            self._acknowledge(repository, task.asker, _FAILED)
            return skipped(str(error))
        self._reply(repository, task, body)
        self._acknowledge(repository, task.asker, _DONE)
        return Done(Status.COMMITTED, summary=f"## llm-testgen\n\n{body}\n")

    def _reply(self, repository: GitHubRepository, task: GenerateTask | ApplyTask | ReplyTask, body: str) -> None:
        comment = task.asker.comment if task.asker else 0
        marked = f"{reply_line(comment, self.job.run_id, body)}\n{body}"
        post_comment(repository, task.number, marked, login=repository.login())

    def _acknowledge(self, repository: GitHubRepository, asker: Asker | None, reaction: str) -> None:
        if asker is None:
            return
        try:
            react(repository, asker.comment, reaction)
        except GitHubError as error:
            # It is a courtesy: a token that may not react can do the work all the same.
            self.console.print(f"the comment was not reacted to: {error}", markup=False, highlight=False)

    def _fetch(self, task: GenerateTask, pull: Pull) -> None:
        """See that the checkout holds the commits, whatever it checked out."""
        fetch_pull(
            self._checkout,
            task.number,
            pull.base_branch,
            token=self.environ.get("GITHUB_TOKEN", ""),
            server=self.job.server,
            environ=self.environ,
        )

    def _told_without_posting(self, task: GenerateTask, proposal: Proposal) -> str:
        proposal = without_secrets(proposal, self._secrets())
        findings, withheld = findings_of(proposal, self._secrets())
        notes = (code(task.note, longest=500),) if task.note else ()
        clauses = clauses_of(proposal, self._secrets())
        report = Report(proposal, findings, {}, withheld, run=self.job.run_url, notes=notes, clauses=clauses)
        return job_summary(report, patches(proposal))

    def _options(self, task: GenerateTask) -> ProposeOptions:
        inputs = self.inputs
        return ProposeOptions(
            repo=self._checkout,
            base=task.base,
            head=task.head,
            worktree=False,
            python=self._interpreter,
            out=self.job.out,
            coverage=self._coverage(task),
            prompts=self._path(inputs.prompts),
            test_folder=inputs.test_folder,
            timeout=inputs.timeout,
            sandbox=Policy.STRICT if task.strict else inputs.sandbox,
            model=self._model(task),
            targets=task.targets,
            kind=inputs.kind,
            generation=Generation(
                attempts=inputs.attempts,
                mutants=inputs.mutants,
                max_tokens=inputs.max_tokens,
                max_tests=inputs.max_tests,
                deadline=inputs.deadline,
            ),
        )

    def _model(self, task: GenerateTask) -> ModelOptions:
        """The model to ask: a run without secrets cannot ask one that wants a key, and the embedded one wants none."""
        if task.foreign:
            return ModelOptions()
        return ModelOptions(model=self.inputs.model, endpoint=self.inputs.endpoint)

    @property
    def _checkout(self) -> Path:
        return self.job.checkout(self.inputs.working_directory)

    def _coverage(self, task: GenerateTask) -> Path | None:
        """The recorded coverage, if it is of the commit that is tested: in another one's its lines are others."""
        if self.inputs.coverage is None or Repository.open(self._checkout).is_checked_out(task.head):
            return self._path(self.inputs.coverage)
        self.console.print(
            f"The input coverage is passed over: not {task.head[:10]}, the pull request's head, is checked out."
        )
        return None

    @property
    def _interpreter(self) -> str | None:
        """The project's interpreter: a path is one of the checkout's, a plain name is looked up."""
        given = self.inputs.python
        return str(self._checkout / given) if given and "/" in given else given

    def _path(self, given: str | None) -> Path | None:
        return None if given is None else self._checkout / given

    def _for_propose(self) -> Mapping[str, str]:
        """The environment without GitHub's token, which making tests has no use for."""
        return {name: value for name, value in self.environ.items() if name != "GITHUB_TOKEN"}

    def _origin(self, run_id: str = "") -> Origin:
        return Origin(run_id or self.job.run_id, self.job.run_url, self._secrets())

    def _secrets(self) -> tuple[str, ...]:
        names = ("GITHUB_TOKEN", "HF_TOKEN", "LLM_API_KEY")
        return tuple(value for name in names if (value := self.environ.get(name, "").strip()))

    def _repository(self) -> _Opened:
        token = self.environ.get("GITHUB_TOKEN", "").strip()
        if not token:
            msg = "the input github-token is empty: leave it out, for the job's own token"
            raise UsageError(msg)
        return _Opened(GitHubRepository(Access(self.job.repository, token, self.job.api)))


def skipped(reason: str) -> Done:
    """A stage that had nothing to do, and says so."""
    return Done(Status.SKIPPED, {"skipped-reason": reason}, skip_summary(reason), notice=f"Nothing was done: {reason}")


def _word(*, flag: bool) -> str:
    """A condition as the expressions of a workflow compare it."""
    return "true" if flag else "false"


def _figures(proposal: Proposal) -> dict[str, str]:
    return {
        "tests-accepted": str(len(proposal.accepted)),
        "diff-coverage-before": f"{proposal.coverage.before:.2f}",
        "diff-coverage-after": f"{proposal.coverage.after:.2f}",
    }


def _told(done: Published, patch_of: Callable[..., str]) -> Done:
    outputs = _figures(done.report.proposal) | {"review-url": done.url}
    if done.reason:
        outputs["skipped-reason"] = done.reason
    failure = GitHubError(done.reason) if done.status is Status.NOT_POSTED else None
    summary = job_summary(done.report, patch_of)
    if done.reason:
        summary = f"> {code(done.reason, longest=1_000)}\n\n{summary}"
    return Done(done.status, outputs, summary, notice=done.reason, failure=failure)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A repository whose connection ends with the block."""

    repository: GitHubRepository

    def __enter__(self) -> GitHubRepository:
        return self.repository

    def __exit__(self, *_: object) -> None:
        self.repository.close()
