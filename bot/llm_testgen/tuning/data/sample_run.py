"""A run of ``tune data sample``."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from llm_testgen.bench.chain_model import ModelChoice, inside, open_live
from llm_testgen.edges.local import LocalModel, open_local
from llm_testgen.edges.models import Model
from llm_testgen.errors import UsageError
from llm_testgen.tuning.data.examples import Origin
from llm_testgen.tuning.data.ground import MineGround
from llm_testgen.tuning.data.pool import PartReport, part_name
from llm_testgen.tuning.data.project_run import (
    Made,
    ProjectOptions,
    Tell,
    head_of,
    run_projects,
    unit_templates,
    words_of,
)
from llm_testgen.tuning.data.sampling import Draws, sample

_SESSIONS = "sessions"


@dataclass(frozen=True, slots=True)
class SampleOptions(ProjectOptions):
    """Who is to be asked about what.

    Attributes:
        prompts: A folder of templates or the file of a recipe; None for those that come along.
        model: An embedded model's name, a GGUF file, or the endpoint's name for one; None for the default one.
        adapter: What is put on a model inside the job; None for nothing.
        endpoint: URL of an OpenAI-compatible server.
        temperature: Of the model.
        methods: Of a project at most.
        samples: Replies about a method.
        seed: By which methods are chosen, and replies drawn.
        at_once: Requests to the endpoint at one time.
    """

    prompts: Path | None = None
    model: str | None = None
    adapter: Path | None = None
    endpoint: str | None = None
    temperature: float = 0.8
    methods: int = 20
    samples: int = 1
    seed: int = 0
    at_once: int = 4


@dataclass(slots=True)
class _Sampler:
    """Asks a model, which is started when the first project needs it."""

    options: SampleOptions
    draws: Draws
    environ: Mapping[str, str]
    local: LocalModel | None
    origin: Origin = Origin.SAMPLED
    opened: list[Model] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.local.name if self.local else self.options.model or "endpoint"

    @property
    def words(self) -> Sequence[str]:
        """Different models have parts of their own."""
        return [self.name]

    @property
    def made_with(self) -> Sequence[str]:
        """All that decides what it makes of a project."""
        draws = self.draws
        drawn = [draws.temperature, draws.methods, draws.samples, draws.seed]
        return [*words_of(draws.templates), self.name, self.options.endpoint or "", *map(str, drawn)]

    async def make(self, ground: MineGround, tell: Tell) -> Made:
        """The examples of a project."""
        if not self.opened:
            self.opened.append(await self._open())
        folder = self.options.out / _SESSIONS
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            msg = f"{folder} cannot be made ({error.strerror}): pass another --out"
            raise UsageError(msg) from error
        source = ground.source
        # What is asked for beyond that is asked for in addition.
        said = [*words_of(self.draws.templates), str(self.draws.temperature), self.options.endpoint or ""]
        digest = hashlib.sha256("\n".join([*said, head_of(source.repository)]).encode()).hexdigest()[:8]
        sessions = folder / part_name(source.name, source.version or "checkout", self.name, digest)
        return await sample(ground, self.draws, self.opened[0], sessions, tell)

    async def _open(self) -> Model:
        if self.local is not None:
            return await open_local(self.local, self.environ, lambda *_: None)
        choice = ModelChoice(self.options.model, self.options.endpoint, self.options.at_once)
        return await open_live(choice, self.environ)


async def run_sample(options: SampleOptions, environ: Mapping[str, str], console: Console) -> tuple[PartReport, ...]:
    """Ask a model about the methods of projects; one that cannot be worked on does not stop the others.

    Raises:
        LlmTestgenError: Something that a person has to mend first.
    """
    if options.endpoint is not None and options.adapter is not None:
        msg = "an endpoint puts adapters on by itself: leave --adapter out, and name it with --model"
        raise UsageError(msg)
    draws = Draws(
        templates=unit_templates(options.prompts),
        temperature=options.temperature,
        methods=options.methods,
        samples=options.samples,
        seed=options.seed,
    )
    # Who it is must be known before hours of work.
    local = None if options.endpoint else await asyncio.to_thread(inside, options.model, options.adapter)
    sampler = _Sampler(options, draws, environ, local)
    try:
        return await run_projects(options, sampler, environ, console)
    finally:
        for model in sampler.opened:
            await model.close()
