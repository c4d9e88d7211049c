"""What a workflow gave to the action, and what the runner says of the job: the environment, read once and typed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from llm_testgen.delivery.plan import Delivery
from llm_testgen.edges.github.client import DEFAULT_API
from llm_testgen.errors import UsageError
from llm_testgen.recipe import Kind
from llm_testgen.runner.sandbox import Policy

# The variable by which the first step hands the inputs on, so that they are written down once in action.yml.
HANDED_ON = "LLM_TESTGEN_INPUTS"

_PREFIX = "INPUT_"
# A payload is at most 25 MB (GitHub: Webhook events and payloads).
_LONGEST_EVENT = 25 << 20
_DAY = 86_400


class Mode(StrEnum):
    """What a job does of the work."""

    AUTO = "auto"
    PROPOSE = "propose"
    PUBLISH = "publish"


class FailOn(StrEnum):
    """What makes the step fail."""

    ERROR = "error"
    NEVER = "never"
    UNCOVERED = "uncovered"


def _unset_is_none(value: object) -> object:
    """An input that a workflow leaves out, or fills from an empty variable, arrives as an empty text."""
    return None if isinstance(value, str) and not value.strip() else value


def _yes_or_no(value: object) -> object:
    """Only what YAML's own core schema calls a boolean."""
    words = {"true": True, "false": False}
    return words.get(value.strip().lower(), value) if isinstance(value, str) else value


Optional = Annotated[str | None, BeforeValidator(_unset_is_none)]
Count = Annotated[int | None, Field(ge=1), BeforeValidator(_unset_is_none)]


class ActionInputs(BaseModel):
    """The action's inputs, without those that hold secrets.

    Attributes are named as in ``action.yml``, with underscores, and described there.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    model: Optional = None
    endpoint: Optional = None
    python: Optional = None
    base: str = ""
    pr_number: str = ""
    head_sha: str = ""
    mode: Mode = Mode.AUTO
    delivery: Delivery = Delivery.REVIEW
    max_suggestions: Annotated[int, Field(ge=0, le=100)] = 10
    max_tests: Count = None
    max_tokens: Count = None
    kind: Annotated[Kind | None, BeforeValidator(_unset_is_none)] = None
    mutants: Annotated[int, Field(ge=0, le=100)] = 10
    attempts: Annotated[int, Field(ge=1, le=20)] = 2
    deadline: Annotated[float, Field(ge=1, le=_DAY)] = 1200.0
    timeout: Annotated[float, Field(ge=1, le=_DAY)] = 20.0
    sandbox: Policy = Policy.AUTO
    coverage: Optional = None
    prompts: Optional = None
    test_folder: Optional = None
    working_directory: str = "."
    dry_run: Annotated[bool, BeforeValidator(_yes_or_no)] = False
    fail_on: FailOn = FailOn.ERROR

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> ActionInputs:
        """The inputs as an earlier step handed them on, else from ``INPUT_…``; a missing or empty one has its default.

        Raises:
            UsageError: One of them cannot be what it is.
        """
        if handed_on := environ.get(HANDED_ON):
            return cls.model_validate_json(handed_on)
        names = {name: f"{_PREFIX}{name.upper()}" for name in cls.model_fields}
        given = {name: environ[key] for name, key in names.items() if environ.get(key, "").strip()}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = str(first["loc"][0]).replace("_", "-")
            msg = f"the input {name} is {str(first['input'])[:60]!r}: {first['msg']}"
            raise UsageError(msg) from error


@dataclass(frozen=True, slots=True)
class Job:
    """What the runner says of the job.

    Attributes:
        event: Name of the event.
        event_path: File with its payload.
        repository: ``owner/name``.
        actor: Who triggered the run.
        api: Base of the REST API.
        server: Address of the server.
        run_id: The workflow run's id; empty outside of one.
        workspace: The folder that checkouts are in.
        temp: Folder for files of this job.
        output: File for outputs; None outside of a runner.
        summary: File for the job's summary; None outside of a runner.
    """

    event: str
    event_path: Path
    repository: str
    actor: str
    api: str
    server: str
    run_id: str
    workspace: Path
    temp: Path
    output: Path | None
    summary: Path | None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Job:
        """The job, from ``GITHUB_…`` and ``RUNNER_…`` variables.

        Raises:
            UsageError: One that no runner leaves out is missing.
        """
        for name in ("GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_REPOSITORY"):
            if not environ.get(name):
                msg = f"{name} is not set: this command runs inside a workflow; use `llm-testgen propose` elsewhere"
                raise UsageError(msg)
        workspace = Path(environ.get("GITHUB_WORKSPACE") or ".").absolute()
        files = {name: Path(environ[name]) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY") if environ.get(name)}
        return cls(
            event=environ["GITHUB_EVENT_NAME"],
            event_path=Path(environ["GITHUB_EVENT_PATH"]),
            repository=environ["GITHUB_REPOSITORY"],
            actor=environ.get("GITHUB_ACTOR", ""),
            api=environ.get("GITHUB_API_URL") or DEFAULT_API,
            server=environ.get("GITHUB_SERVER_URL") or "https://github.com",
            run_id=environ.get("GITHUB_RUN_ID", ""),
            workspace=workspace,
            temp=Path(environ.get("RUNNER_TEMP") or workspace / ".llm-testgen"),
            output=files.get("GITHUB_OUTPUT"),
            summary=files.get("GITHUB_STEP_SUMMARY"),
        )

    @property
    def run_url(self) -> str:
        """The workflow run's page; empty outside of one."""
        return f"{self.server}/{self.repository}/actions/runs/{self.run_id}" if self.run_id else ""

    def checkout(self, working_directory: str) -> Path:
        """The checkout to work on.

        Raises:
            UsageError: It is no folder inside the workspace.
        """
        folder = (self.workspace / working_directory).resolve()
        if not folder.is_relative_to(self.workspace.resolve()) or not folder.is_dir():
            msg = f"the input working-directory is {working_directory!r}: name a folder of the workspace"
            raise UsageError(msg)
        return folder

    @property
    def out(self) -> Path:
        """Where results go."""
        return self.temp / "llm-testgen"

    def payload(self) -> object:
        """The event's payload.

        Raises:
            UsageError: The file cannot be read as JSON.
        """
        try:
            with self.event_path.open("rb") as file:
                data = file.read(_LONGEST_EVENT + 1)
            return json.loads(data[:_LONGEST_EVENT])
        except (OSError, ValueError, RecursionError) as error:
            msg = f"{self.event_path} cannot be read as JSON: leave GITHUB_EVENT_PATH as the runner sets it"
            raise UsageError(msg) from error
