"""Projects one after the other, each a part of a data set, but for those whose part was made before."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from rich.console import Console

from llm_testgen import __version__
from llm_testgen.bench.chain_ground import Machine
from llm_testgen.bench.environments import Workshop, work_folder
from llm_testgen.edges.git import Repository
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.recipe import Kind
from llm_testgen.runner.cold import cores
from llm_testgen.runner.interpreter import find_python, inspect
from llm_testgen.runner.sandbox import Policy, hide_memory, open_sandbox
from llm_testgen.stages.prompt import Templates, load_prompts
from llm_testgen.tuning.data.examples import UNKNOWN, Example, Origin
from llm_testgen.tuning.data.ground import MineGround, Source, describe_checkout, open_mine
from llm_testgen.tuning.data.pool import PartReport, Pool, part_name
from llm_testgen.tuning.data.releases import (
    MinedRelease,
    choose_releases,
    normalised,
    refuse_held_out,
    release_repository,
)

_MINUTE = 60.0
_TENTH = 10  # per cent
_ENVIRONMENT = "cases"

Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class ProjectOptions:
    """Which projects parts are made of.

    Attributes:
        out: The folder of the data set.
        releases: As ``NAME`` or ``NAME==VERSION``; none, and no project either, for those that come along.
        projects: Checkouts of a user's own.
        python: The interpreter that runs the tests; None for environments with the packages that they need.
        work: Where environments and releases are kept; None for the user's cache.
        sandbox: What to do where layers are missing.
        licence: Of the projects; None for what they say themselves.
        unknown_licences: Whether a project whose licence is not known is taken.
    """

    out: Path
    releases: tuple[str, ...] = ()
    projects: tuple[Path, ...] = ()
    python: str | None = None
    work: Path | None = None
    sandbox: Policy = Policy.AUTO
    licence: str | None = None
    unknown_licences: bool = False


@dataclass(slots=True)
class Made:
    """What a project gave.

    Attributes:
        examples: The examples, by method.
        counts: What was looked at and what was left out, by reason.
    """

    examples: list[Example] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class Steps:
    """Counts what is done, and tells each new percentage."""

    def __init__(self, total: int, tell: Tell) -> None:
        """Nothing is done yet of so many steps."""
        self._done, self._total, self._tell, self._told = 0, total, tell, 0

    def step(self, count: int = 1) -> None:
        """So many more are done."""
        self._done += count
        percent = 100 * self._done // self._total
        if percent > self._told:
            self._told = percent
            self._tell(percent)


class Maker(Protocol):
    """Makes the examples of a project."""

    @property
    def origin(self) -> Origin:
        """Where examples of this kind come from."""

    @property
    def words(self) -> Sequence[str]:
        """What the names of its parts say beside the project."""

    @property
    def made_with(self) -> Sequence[str]:
        """All that decides what it makes of a project, as texts."""

    async def make(self, ground: MineGround, tell: Tell) -> Made:
        """The examples of a project that is ready; ``tell`` is called with the per cent that are done."""


@dataclass(frozen=True, slots=True)
class _Task:
    """One project, and the environment that its tests run in."""

    name: str
    environment: str
    source: Callable[[Path], Source]


async def run_projects(
    options: ProjectOptions, maker: Maker, environ: Mapping[str, str], console: Console
) -> tuple[PartReport, ...]:
    """Make a part of each project; one that cannot be worked on does not stop the others.

    Raises:
        LlmTestgenError: Something that a person has to mend first.
    """
    pool = Pool(options.out)
    python = find_python(Path(), options.python or sys.executable, environ.get("PATH"))
    workshop = Workshop(work_folder(options.work, environ), python)
    tasks = _tasks(options, workshop)
    parts = _Parts(options, maker, pool, workshop, environ)
    reports: list[PartReport] = []
    hide_memory()
    with console.status("") as status:

        def say(text: str, is_news: bool) -> None:  # noqa: FBT001 - as it is called
            status.update(text)
            if is_news and not console.is_terminal:
                console.print(text, highlight=False, markup=False)

        for number, task in enumerate(tasks, 1):
            told = _Told(f"{number} of {len(tasks)}: {task.name}", say, time.monotonic())
            try:
                report, is_new = await parts.part(task, told)
            except ProjectError as error:
                console.print(f"{task.name}: left out: {error}", style="red", highlight=False, markup=False)
                continue
            reports.append(report)
            seconds = f" in {report.seconds:.0f} s" if is_new else ", made before"
            left = _left([one.seconds for one in reports], len(tasks) - number)
            said = f"{task.name}: {report.examples} examples{seconds}{left}"
            console.print(said, highlight=False, markup=False, soft_wrap=True)
    return tuple(reports)


def _left(seconds: Sequence[float], waiting: int) -> str:
    """How long so many others may take, as those before took."""
    minutes = waiting * sum(seconds) / len(seconds) / _MINUTE
    return f" (about {max(1, round(minutes))} min left)" if waiting and minutes else ""


@dataclass(frozen=True, slots=True)
class _Told:
    """Shows how far one project is, and how long it may still take.

    Attributes:
        lead: Which project it is.
        say: Called with a line, and with whether it is worth one of its own.
        started: When its turn came, by the monotonic clock.
    """

    lead: str
    say: Callable[[str, bool], None]
    started: float

    def begin(self) -> None:
        """Its turn has come."""
        self.say(f"{self.lead}: making it ready", True)  # noqa: FBT003 - as `say` takes it

    def __call__(self, percent: int) -> None:
        """So much of it is done."""
        left = (time.monotonic() - self.started) / percent * (100 - percent) / _MINUTE
        self.say(f"{self.lead}: {percent} %, about {max(1, round(left))} min left", percent % _TENTH == 0)


class _Parts:
    """Makes the part of one project after the other."""

    def __init__(
        self, options: ProjectOptions, maker: Maker, pool: Pool, workshop: Workshop, environ: Mapping[str, str]
    ) -> None:
        self._options = options
        self._maker = maker
        self._pool = pool
        self._workshop = workshop
        self._environ = environ
        self._machines: dict[str, Machine] = {}

    async def part(self, task: _Task, tell: _Told) -> tuple[PartReport, bool]:
        """The part of one project, and whether it was made now.

        Raises:
            ProjectError: It cannot be worked on.
        """
        tell.begin()
        machine = await asyncio.to_thread(self._machine, task.environment)
        source = await asyncio.to_thread(task.source, machine.interpreter.path)
        licence = self._options.licence or source.licence
        if licence == UNKNOWN and not self._options.unknown_licences:
            msg = "its licence is not known: pass --licence, or --allow-unknown-licences"
            raise ProjectError(msg)
        source = replace(source, licence=licence)
        name = part_name(self._maker.origin, source.name, source.version or "checkout", *self._maker.words)
        key = self._key(source, machine)
        if (known := self._pool.known(name, key)) is not None:
            return known, False
        started = time.monotonic()
        async with open_mine(source, machine) as ground:
            made = await self._maker.make(ground, tell)
        report = PartReport(
            name=name,
            key=key,
            origin=self._maker.origin,
            project=source.name,
            version=source.version,
            licence=source.licence,
            examples=len(made.examples),
            counts=dict(sorted(made.counts.items())),
            seconds=timed(started),
        )
        self._pool.add(report, made.examples)
        return report, True

    def _machine(self, environment: str) -> Machine:
        if environment not in self._machines:
            python = self._workshop.python if self._options.python else self._workshop.environment(environment)
            interpreter = inspect(python, self._environ)
            confinement = open_sandbox(self._options.sandbox, interpreter, self._environ).confinement
            self._machines[environment] = Machine(interpreter, confinement, self._environ, cores())
        return self._machines[environment]

    def _key(self, source: Source, machine: Machine) -> str:
        made_with = [__version__, machine.interpreter.version, source.repository.name, source.licence]
        made_with += [*self._maker.made_with, head_of(source.repository), *Example.model_fields]
        return hashlib.sha256("\n".join(made_with).encode()).hexdigest()[:16]


def head_of(repository: Path) -> str:
    """The commit that is looked at."""
    return Repository.open(repository).merge_base("HEAD", "HEAD").head


def _tasks(options: ProjectOptions, workshop: Workshop) -> list[_Task]:
    tasks = []
    if options.releases or not options.projects:
        for one in choose_releases(options.releases, workshop):
            name = f"{one.release.name} {one.release.version}"
            tasks.append(_Task(name, one.environment, _Fetched(one, workshop)))
    for path in options.projects:
        source = describe_checkout(path)
        refuse_held_out([source.name], source.packages)
        tasks.append(_Task(source.name, _ENVIRONMENT, _Local(source)))
    return tasks


@dataclass(frozen=True, slots=True)
class _Local:
    """A checkout, which is there."""

    source: Source

    def __call__(self, _python: Path) -> Source:
        return self.source


@dataclass(frozen=True, slots=True)
class _Fetched:
    """Fetches a release when its turn comes."""

    wanted: MinedRelease
    workshop: Workshop

    def __call__(self, python: Path) -> Source:
        release = self.wanted.release
        folder = release_repository(self.workshop, release, python)
        source = describe_checkout(folder, self.wanted.library)
        refuse_held_out([source.name], source.packages)
        return replace(source, name=normalised(release.name), version=release.version)


def unit_templates(prompts: Path | None) -> Templates:
    """What prompts for unit tests are made from.

    Raises:
        UsageError: They ask for tests of another kind.
    """
    templates = load_prompts(prompts)
    if templates.recipe.kind is not Kind.UNIT:
        msg = f"tests of kind {templates.recipe.kind} are not what projects have: pass other --prompts"
        raise UsageError(msg)
    return templates


def words_of(templates: Templates) -> list[str]:
    """All words of templates, and how they are used."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(templates.folder.rglob("*.jinja"))]
    return [*texts, templates.recipe.model_dump_json()]


def timed(started: float) -> float:
    """Seconds since then, by the monotonic clock."""
    return round(time.monotonic() - started, 1)
