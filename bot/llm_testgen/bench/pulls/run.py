"""From options to results: opens models, environments and files around a run, and shows what came of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from llm_testgen.bench.accounting import require_accounting
from llm_testgen.bench.case_ground import open_machines
from llm_testgen.bench.cases import Case, Split, choose_cases, known_cases
from llm_testgen.bench.chain_ground import Machine
from llm_testgen.bench.chain_model import ModelChoice, open_live
from llm_testgen.bench.cover_agent import find_cover_agent
from llm_testgen.bench.environments import Workshop, work_folder
from llm_testgen.bench.exchanges import Exchanges
from llm_testgen.bench.peer_run import PeerMachine, require_confined
from llm_testgen.bench.peers import COVERUP_PEER, CoverUp, Peer
from llm_testgen.bench.pulls.arms import COVER_AGENT, COVERUP, Arm
from llm_testgen.bench.pulls.course import Plan, Progress, Tools, run
from llm_testgen.bench.pulls.peering import PeerTools
from llm_testgen.bench.pulls.recorded import Recording
from llm_testgen.bench.pulls.results import ResultStore
from llm_testgen.bench.pulls.serving import ServingRecord, is_whole, known_records, measure
from llm_testgen.bench.pulls.tables import Series, Table, by_model, scarce, series_of
from llm_testgen.edges import weights
from llm_testgen.edges.embedded import EmbeddedModel
from llm_testgen.edges.local import LocalModel, find_local, is_model_folder, open_local
from llm_testgen.edges.models import HubModel, Model, Service
from llm_testgen.errors import UsageError
from llm_testgen.runner.cold import cores
from llm_testgen.runner.interpreter import find_python, inspect
from llm_testgen.runner.sandbox import Policy

RESULTS = "results.jsonl"
REPLIES = "replies.jsonl"
EXCHANGES = "exchanges.jsonl"
SERVING = "serving.jsonl"
# CoverUp runs a project's own tests first, under a tracer, and some projects have seven thousand.
_PEER_SECONDS = 5400.0


@dataclass(frozen=True, slots=True)
class PullOptions:
    """What was asked for.

    Attributes:
        cases: Names of cases or projects; none for all.
        split: Only cases of this one; None for any.
        most: Cases at most, in the manifest's order, one of each project before a second of any; None for all.
        models: Names of models, GGUF files among them; none for the default one.
        adapters: What was tuned, each put on the first of the models, or on the one that it names itself. A first one
            that is a folder of transformers is there for mixtures alone, and not compared.
        endpoint: URL of an OpenAI-compatible server that the models are behind; None for embedded ones.
        ask: Whether models are asked for what the recording lacks.
        seed: By which methods are chosen.
        methods: Methods of a case at most.
        at_once: Cases that are worked on at once; more than one needs an endpoint.
        workers: Tests at once, of all cases together; None for one for each core.
        python: The interpreter that environments are made with; None for the one that runs this.
        sandbox: What to do where layers are missing.
        work: Where environments and repositories are kept; None for the user's cache.
        out: Folder of replies and results; what is there is not found again.
        cover_agent: The program of cover-agent, which the user has fetched; None to do without.
        served: Whether what serving each model takes is measured too, where models are asked.
        unconfined_peers: Whether other generators may run on a machine that has no namespaces to keep them in.
    """

    cases: tuple[str, ...] = ()
    split: Split | None = None
    most: int | None = None
    models: tuple[str, ...] = ()
    adapters: tuple[Path, ...] = ()
    endpoint: str | None = None
    ask: bool = False
    seed: int = 0
    methods: int = 4
    at_once: int = 1
    workers: int | None = None
    python: str | None = None
    sandbox: Policy = Policy.AUTO
    work: Path | None = None
    out: Path = Path(".bench")
    cover_agent: Path | None = None
    unconfined_peers: bool = False
    served: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What a run knows at its end.

    Attributes:
        series: What can be compared.
        progress: What was found now, and what could not be.
        cases: The cases that were asked for.
        serving: What serving the models takes, as far as it is known.
        scarce: Arms that are not compared, with the model and the number of cases that have a result.
    """

    series: tuple[Series, ...]
    progress: Progress
    cases: tuple[Case, ...]
    serving: tuple[ServingRecord, ...] = ()
    scarce: tuple[tuple[Arm, str, int], ...] = ()


@dataclass(slots=True)
class _Models:
    """Opens each model when it is first asked; of those inside the job only one is open at a time."""

    options: PullOptions
    environ: Mapping[str, str]
    local: Mapping[str, LocalModel | None]
    opened: dict[str, Model] = field(default_factory=dict)

    async def open(self, name: str) -> Model:
        if name not in self.opened:
            if self.options.endpoint is None:
                await self.close()
            self.opened[name] = await self._started(name)
        return self.opened[name]

    async def _started(self, name: str) -> Model:
        if (local := self.local.get(name)) is not None:
            return await open_local(local, self.environ, lambda *_: None)
        return await open_live(ModelChoice(name, self.options.endpoint), self.environ)

    def service(self, name: str) -> Service:
        """The address of a model that is open."""
        model = self.opened[name]
        if not isinstance(model, HubModel | EmbeddedModel):
            msg = f"{name} has no address that other generators could ask"
            raise UsageError(msg)
        return model.service

    async def close(self) -> None:
        for model in self.opened.values():
            await model.close()
        self.opened.clear()


def chosen_models(options: PullOptions) -> Mapping[str, LocalModel | None]:
    """The models that are asked for, by the names that recordings have for them; with what is started for each.

    Raises:
        UsageError: A file is not there, or an adapter is for a model that is not known here.
    """
    names = options.models or (weights.DEFAULT_MODEL.name,)
    if options.at_once > 1 and options.endpoint is None:
        msg = "a model inside the job answers one prompt at a time: leave --at-once out, or pass --endpoint"
        raise UsageError(msg)
    if options.endpoint is not None:
        if options.adapters:
            msg = "an endpoint puts adapters on by itself: leave --adapter out, and name them with --model"
            raise UsageError(msg)
        return dict.fromkeys(names)
    found: dict[str, LocalModel | None] = {}
    base = options.models[0] if options.models else None
    for name in names:
        if name == base and options.adapters and is_model_folder(name):
            continue  # it cannot be served by itself
        local = find_local(name)
        found[local.name if local else name] = local
    for adapter in options.adapters:
        local = find_local(base, adapter)
        if local is None:
            msg = (
                f"{base} does not run inside the job: name an embedded model or a GGUF file for --adapter, or for a "
                "mixture a folder with a model of transformers"
            )
            raise UsageError(msg)
        found[local.name] = local
    return found


def chosen_cases(options: PullOptions) -> tuple[Case, ...]:
    """The cases that are asked for, projects in turn.

    Raises:
        UsageError: There is none of a name.
    """
    found = choose_cases(known_cases(), options.cases, options.split)
    seen: dict[str, int] = {}
    turns = []
    for case in found:
        turns.append((seen.setdefault(case.project, 0), case))
        seen[case.project] += 1
    in_turn = [case for _, case in sorted(turns, key=lambda turn: turn[0])]
    return tuple(in_turn[: options.most])


async def run_pulls(options: PullOptions, arms: Sequence[Arm], environ: Mapping[str, str], console: Console) -> Found:
    """Find what is not known yet of some arms, and what can be compared then.

    Raises:
        LlmTestgenError: Something that a person has to mend first.
    """
    cases = chosen_cases(options)
    local = await asyncio.to_thread(chosen_models, options)
    models = tuple(local)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{options.out} cannot be made ({error.strerror}): pass another --out"
        raise UsageError(msg) from error
    recording = Recording.open(options.out / REPLIES)
    results = ResultStore(options.out / RESULTS)
    require_accounting()
    python = find_python(Path(), options.python or sys.executable, environ.get("PATH"))
    workshop = Workshop(work_folder(options.work, environ), python)
    async with AsyncExitStack() as stack:
        status = stack.enter_context(console.status(""))

        def say(text: str) -> None:
            status.update(text)
            if not console.is_terminal:
                console.print(text, highlight=False, markup=False, soft_wrap=True)

        say("making the environments")
        machines, _ = await asyncio.to_thread(
            open_machines, workshop, cases, options.sandbox, environ, workers=options.workers or cores()
        )
        live = _Models(options, environ, local)
        stack.push_async_callback(live.close)
        tools = Tools(
            workshop=workshop,
            machines=machines,
            recording=recording,
            results=results,
            live=live.open if options.ask else None,
            say=say,
        )
        if any(arm.peer for arm in arms):
            tools = replace(tools, peers=await _peers(options, arms, machines, workshop, live, environ))
        plan = Plan(cases, tuple(arms), models, options.seed, options.methods, options.at_once)
        progress = await run(plan, tools)
        serving = await _serving(options, local, environ, say) if options.served else ()
    # In the cases' order, whichever was done first: intervals are drawn in it.
    order = {case.name: number for number, case in enumerate(cases)}
    asked = (options.seed, options.methods)
    known = [result for result in results if result.case in order and (result.seed, result.most) == asked]
    known.sort(key=lambda result: order[result.case])
    return Found(series_of(known, arms, models), progress, cases, serving, tuple(scarce(known, arms, models)))


async def _serving(
    options: PullOptions,
    models: Mapping[str, LocalModel | None],
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> tuple[ServingRecord, ...]:
    """What serving takes; measured where models are asked and not all rounds of it are known, side by side."""
    path = options.out / SERVING
    inside = {name: model for name, model in models.items() if model is not None}
    known = known_records(path, tuple(models))
    if options.ask and not is_whole(known, inside):
        await measure(inside, environ, path, say)
        known = known_records(path, tuple(models))
    return tuple(known)


async def _peers(  # noqa: PLR0913, PLR0917 - all that they are made of
    options: PullOptions,
    arms: Sequence[Arm],
    machines: Mapping[str, Machine],
    workshop: Workshop,
    live: _Models,
    environ: Mapping[str, str],
) -> PeerTools:
    machine = next(iter(machines.values()))
    confinement = require_confined(machine.confinement, allowed=options.unconfined_peers)
    peers: dict[str, Peer] = {}
    keys = {arm.key for arm in arms}
    if COVERUP.key in keys:
        found = await asyncio.to_thread(lambda: inspect(workshop.environment(COVERUP_PEER), environ))
        peers[COVERUP.key] = CoverUp(found.path, found.folders)
    if options.cover_agent is not None:
        interpreter = machine.interpreter
        peers[COVER_AGENT.key] = find_cover_agent(options.cover_agent, interpreter.path, interpreter.folders)
    return PeerTools(
        peers=peers,
        exchanges=Exchanges.open(options.out / EXCHANGES),
        machine=PeerMachine(confinement, environ, _PEER_SECONDS),
        service=live.service if options.ask else None,
    )


def print_tables(console: Console, tables: Sequence[Table]) -> None:
    """Tables for a terminal."""
    for table in (part for whole in tables for part in by_model(whole)):
        shown = RichTable(
            title=table.title,
            title_justify="left",
            title_style="bold",
            box=None,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        for number, heading in enumerate(table.headings):
            shown.add_column(
                heading,
                justify="left" if number == 0 else "right",
                vertical="bottom",
                overflow="fold",
            )
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
        console.print()


def remarks(found: Found) -> Iterator[str]:
    """What a person should bear in mind."""
    progress = found.progress
    for name, reason in progress.failed.items():
        yield f"{name} could not be worked on: {reason}"
    compared = {one.model: len(one.results) for one in found.series}
    for model, count in compared.items():
        if count < len(found.cases):
            yield (
                f"{count} of {len(found.cases)} cases are compared with {model}: of the others an arm has no result, "
                "or one for other lines, which another --out finds anew"
            )
    for arm, model, count in found.scarce:
        yield f"{arm.label} is not compared with {model}: {count} of {len(found.cases)} cases have a result"
    for reason, count in progress.lacking.items():
        yield f"{count} of {progress.total} results are not there: {reason}"
