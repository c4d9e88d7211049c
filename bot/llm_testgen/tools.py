"""What the pipeline works with: its collaborators, and who listens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from llm_testgen.edges.models import Model
from llm_testgen.records import ChangedMethod, Reply, Verdict
from llm_testgen.runner.base import Runner
from llm_testgen.runner.lazy import LazyRunner
from llm_testgen.stages.context import Surroundings
from llm_testgen.stages.extract import Names
from llm_testgen.stages.prompt import Templates


class Knowledge(Protocol):
    """What the project's index tells about a changed method."""

    def surroundings(self, target: ChangedMethod) -> Surroundings:
        """Its module, related code, tests and fixtures."""

    def names(self, target: ChangedMethod) -> Names:
        """What names mean in its module."""

    def test_files(self) -> Mapping[str, str]:
        """Text of every test file at head, by path."""

    def text(self, path: str) -> str | None:
        """Text of a Python file at head, as it stands there; None where it is no UTF-8."""


class Observer(Protocol):
    """Hears of what happens, to show it."""

    def asked(self, target: ChangedMethod, attempt: int) -> None:
        """A prompt is being sent."""

    def replied(self, reply: Reply) -> None:
        """The model answered."""

    def judged(self, verdict: Verdict) -> None:
        """A candidate was judged."""

    def confirming(self, count: int) -> None:
        """So many chosen tests are run together."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the pipeline works with.

    Attributes:
        knowledge: What the index tells.
        model: What writes tests.
        runner: What executes them at head.
        templates: What prompts are made from.
        observer: Who hears of it.
        base: What executes them at base; None where there is no base to compare with.
    """

    knowledge: Knowledge
    model: Model
    runner: Runner
    templates: Templates
    observer: Observer
    base: LazyRunner | None = None
