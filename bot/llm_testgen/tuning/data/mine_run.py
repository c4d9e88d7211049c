"""A run of ``tune data mine``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from llm_testgen.errors import UsageError
from llm_testgen.recipe import DEFAULT_RECIPE, Begun
from llm_testgen.tuning.data.examples import Origin
from llm_testgen.tuning.data.ground import MineGround
from llm_testgen.tuning.data.mining import Wanted, mine
from llm_testgen.tuning.data.pool import PartReport
from llm_testgen.tuning.data.project_run import (
    Made,
    ProjectOptions,
    Tell,
    run_projects,
    unit_templates,
    words_of,
)


@dataclass(frozen=True, slots=True)
class MineOptions(ProjectOptions):
    """What is to be mined.

    Attributes:
        prompts: A folder of templates or the file of a recipe; None for those that come along.
        tests: Tests of one answer at most.
        examples: Examples of one method at most.
    """

    prompts: Path | None = None
    tests: int = DEFAULT_RECIPE.tests
    examples: int = 2


@dataclass(frozen=True, slots=True)
class _Miner:
    """Mines a project."""

    wanted: Wanted
    origin: Origin = Origin.MINED
    words: Sequence[str] = ()

    @property
    def made_with(self) -> Sequence[str]:
        """All that decides what it makes of a project."""
        return [*words_of(self.wanted.templates), str(self.wanted.tests), str(self.wanted.examples)]

    async def make(self, ground: MineGround, tell: Tell) -> Made:
        """The examples of a project."""
        return await mine(ground, self.wanted, tell)


async def run_mine(options: MineOptions, environ: Mapping[str, str], console: Console) -> tuple[PartReport, ...]:
    """Mine what was asked for; a project that cannot be mined does not stop the others.

    Raises:
        LlmTestgenError: Something that a person has to mend first.
    """
    templates = unit_templates(options.prompts)
    if templates.recipe.instructions == "stepwise" and templates.recipe.prefill is Begun.TEST:
        msg = "stepwise instructions begin a reply with what no test of a project says: pass other --prompts"
        raise UsageError(msg)
    wanted = Wanted(templates, options.tests, options.examples)
    return await run_projects(options, _Miner(wanted), environ, console)
