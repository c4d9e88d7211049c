"""The run: each case made ready once, and every arm tried on it with every model, but for what is known already."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from llm_testgen.bench.case_ground import HumanReference, case_ground, human_reference
from llm_testgen.bench.cases import Case, case_repository
from llm_testgen.bench.chain_ground import Ground, Machine
from llm_testgen.bench.chain_ledger import RunStore
from llm_testgen.bench.chain_report import WayFigures, way_figures
from llm_testgen.bench.chain_ways import Yield, follow, proofs
from llm_testgen.bench.environments import Workshop
from llm_testgen.bench.pulls.arms import Arm
from llm_testgen.bench.pulls.peering import UNRECORDED, PeerTools, can_be_asked, peer_case, try_peer
from llm_testgen.bench.pulls.recorded import RecordedModel, Recording
from llm_testgen.bench.pulls.results import ArmResult, CaseFigures, MethodResult, ResultKey, ResultStore
from llm_testgen.edges.models import Model
from llm_testgen.errors import LlmTestgenError, ModelError, UsageError, first_expected
from llm_testgen.proposal import Funnel, funnel
from llm_testgen.records import ChangedMethod, Lines, LinesByPath

_MUTANTS = 10
# Why there is no result, as a person reads it at the end.
_REFUSED = "the model would not take a prompt, which may be too long for it"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be tried.

    Attributes:
        cases: On what.
        arms: In which ways.
        models: Names of the models.
        seed: By which the methods of a case are chosen, and replies are drawn.
        methods: Methods of a case at most.
        at_once: Cases that are worked on at once.
    """

    cases: tuple[Case, ...]
    arms: tuple[Arm, ...]
    models: tuple[str, ...]
    seed: int = 0
    methods: int = 4
    at_once: int = 1


@dataclass(frozen=True, slots=True)
class Tools:
    """What it is done with.

    Attributes:
        workshop: Where repositories and environments are kept.
        machines: What candidates run with, by the name of the environment.
        recording: What models have answered before.
        results: What is known already.
        live: Opens a model by its name; None to make do with the recording.
        peers: What other generators are run with; None where no arm is one.
        say: Called with what goes on now.
    """

    workshop: Workshop
    machines: Mapping[str, Machine]
    recording: Recording
    results: ResultStore
    live: Callable[[str], Awaitable[Model]] | None
    say: Callable[[str], None]
    peers: PeerTools | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """A case that is being worked on.

    Attributes:
        case: Which one.
        ground: It, made ready.
        human: What its authors' tests cover.
        store: What was run for other arms.
    """

    case: Case
    ground: Ground
    human: HumanReference
    store: RunStore


@dataclass(slots=True)
class Progress:
    """How far a run is, and how long the rest will take if it takes as long as what is done.

    Attributes:
        total: How many results there are to find.
        done: How many were found in this run.
        known: How many were known before.
        at_once: Cases that are worked on at once.
        failed: Names of cases that could not be worked on, with the reason.
        lacking: Why there is no result, and how often, of cases that could be worked on.
    """

    total: int
    done: int = 0
    known: int = 0
    at_once: int = 1
    failed: dict[str, str] = field(default_factory=dict)
    lacking: Counter[str] = field(default_factory=Counter)
    _seconds: float = 0.0
    _over: Counter[str] = field(default_factory=Counter)

    def found(self, case: str, seconds: float) -> None:
        """One more of a case, which took so long."""
        self.done += 1
        self._over[case] += 1
        self._seconds += seconds

    def lacks(self, case: str, reason: str) -> None:
        """There is no result of an arm of a case."""
        self.lacking[reason] += 1
        self._over[case] += 1

    def failing(self, case: str, reason: str, wanted: int) -> None:
        """A case cannot be worked on, or no further: the rest of what was wanted of it will not be found."""
        self.failed[case] = reason
        self._over[case] = wanted

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take; None before anything was found."""
        if not self.done:
            return None
        return self._seconds / self.done * (self.total - self.known - self._over.total()) / self.at_once


async def run(plan: Plan, tools: Tools) -> Progress:
    """Find every result of a plan that is not known yet. A case that cannot be worked on does not stop the others.

    Raises:
        LlmTestgenError: The recording or the results cannot be written, or the model does not answer any more.
    """
    wanted = {case.name: _wanted(case, plan, tools.results) for case in plan.cases}
    total = len(plan.cases) * len(plan.arms) * len(plan.models)
    progress = Progress(total, known=total - sum(map(len, wanted.values())), at_once=plan.at_once)
    turns = asyncio.Semaphore(plan.at_once)

    async def work(number: int, case: Case) -> None:
        async with turns:
            tools.say(f"{case.name} ({number} of {len(plan.cases)}): making it ready")
            await _work_if_possible(case, wanted[case.name], plan, tools, progress)

    try:
        async with asyncio.TaskGroup() as tasks:
            for number, case in enumerate(plan.cases, 1):
                if wanted[case.name]:
                    tasks.create_task(work(number, case))
    except BaseExceptionGroup as group:
        raise first_expected(group) or group from group
    return progress


def key_of(case: Case, arm: Arm, model: str, plan: Plan) -> ResultKey:
    """Under which the result of an arm on a case is kept."""
    return case.name, arm.key, arm.digest(), model, plan.seed, plan.methods


def _wanted(case: Case, plan: Plan, results: ResultStore) -> list[tuple[Arm, str]]:
    return [
        (arm, model)
        for model in plan.models
        for arm in plan.arms
        if results.find(key_of(case, arm, model, plan)) is None
    ]


async def _work_if_possible(
    case: Case, wanted: Sequence[tuple[Arm, str]], plan: Plan, tools: Tools, progress: Progress
) -> None:
    try:
        await _work_on(case, wanted, plan, tools, progress)
    except (ModelError, UsageError):
        # No fault of the case: the next one would only fail likewise, after hours of asking for nothing.
        raise
    except LlmTestgenError as error:
        progress.failing(case.name, str(error), len(wanted))
        tools.say(f"{case.name}: left out: {error}")


async def _work_on(case: Case, wanted: Sequence[tuple[Arm, str]], plan: Plan, tools: Tools, progress: Progress) -> None:
    machine = tools.machines[case.environment]
    folder = await asyncio.to_thread(case_repository, tools.workshop, case, Path(machine.interpreter.path))
    human = await human_reference(case, folder, machine)
    async with AsyncExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="llm-testgen-bench-"))
        whole = await stack.enter_async_context(case_ground(case, folder, machine, Path(home, "index"), plan.seed))
        ground = replace(whole, targets=whole.targets[: plan.methods])
        store = RunStore()
        for arm, model in wanted:
            tools.say(f"{case.name}: {arm.label}, {model}{_remaining(progress)}")
            started = time.monotonic()
            result = await _try(arm, model, Scene(case, ground, human, store), plan, tools)
            if isinstance(result, str):
                progress.lacks(case.name, result)
                tools.say(f"{case.name}: {arm.label}, {model}: no result: {result}")
            else:
                tools.results.add(result)
                progress.found(case.name, time.monotonic() - started)


def _remaining(progress: Progress) -> str:
    left = progress.left
    return "" if left is None else f"; about {max(1, round(left / 60))} min left"


@dataclass(frozen=True, slots=True)
class _Brought:
    """What an arm brings to a case, whoever wrote the tests; see `ArmResult`."""

    figures: WayFigures
    funnel: Funnel | None
    gained: LinesByPath
    seconds: float
    notes: tuple[str, ...] = ()

    def of(self, arm: Arm, model: str, scene: Scene, plan: Plan) -> ArmResult:
        """As a result of that arm and case."""
        case, about = scene.case, _about(scene.ground, scene.human)
        return ArmResult(
            case=case.name,
            project=case.project,
            split=case.split,
            arm=arm.key,
            form=arm.digest(),
            model=model,
            seed=plan.seed,
            most=plan.methods,
            figures=self.figures,
            funnel=self.funnel,
            methods=_methods(scene.ground, self.gained, scene.human),
            about=about.model_copy(update={"notes": (*about.notes, *self.notes)}),
            # What runs beside it is no cost of its own.
            seconds=self.seconds if plan.at_once == 1 else None,
        )


async def _try(arm: Arm, name: str, scene: Scene, plan: Plan, tools: Tools) -> ArmResult | str:
    """The result of one arm, or why there is none that could be compared with others.

    Raises:
        ModelError: The model stopped answering.
    """
    case, ground, store = scene.case, scene.ground, scene.store
    if arm.peer:
        return await _try_peer(arm, name, scene, plan, tools)
    started = time.monotonic()
    shown = replace(ground, targets=tuple(map(arm.rewrite, ground.targets)))
    model = RecordedModel(
        name=name,
        recording=tools.recording,
        live=await tools.live(name) if tools.live else None,
        case=case.name,
        arm=arm.key,
        purse=arm.purse,
    )
    way = replace(arm.way, settings=replace(arm.settings, seed=plan.seed))
    found = await follow(way, shown, model, store, arm.templates())
    if model.fault is not None:
        raise model.fault
    if model.unanswered:
        return _REFUSED if model.refused else UNRECORDED
    proved = await proofs(found, ground, store, _MUTANTS)
    result = _Brought(
        figures=way_figures(way, found, proved, ground.missing(), model),
        funnel=funnel(found.replies, found.judged),
        gained=_gained(found),
        seconds=max(0.0, time.monotonic() - started - model.waited),
    )
    return result.of(arm, name, scene, plan)


async def _try_peer(arm: Arm, name: str, scene: Scene, plan: Plan, tools: Tools) -> ArmResult | str:
    """The result of another generator, or why there is none."""
    case, ground = scene.case, scene.ground
    if tools.peers is None or arm.key not in tools.peers.peers:
        return f"{arm.label} is not there"
    if not can_be_asked(arm, case.name, name, tools.peers):
        return UNRECORDED
    if tools.live is not None:
        await tools.live(name)
    given = peer_case(case.name, ground, tools.machines[case.environment].interpreter)
    found = await try_peer(arm, name, given, ground, tools.peers, scene.store)
    reason = found.why_none(arm.label, replayed=tools.peers.service is None)
    if reason:
        return reason
    if found.said:
        tools.say(f"{case.name}: {arm.label}, {name}: {found.said}")
    result = _Brought(found.figures, None, found.gained, found.seconds, (found.said,) if found.said else ())
    return result.of(arm, name, scene, plan)


def _gained(found: Yield) -> LinesByPath:
    gained: dict[str, Lines] = {}
    for verdict in found.verdicts:
        for path, lines in verdict.gained.items():
            gained[path] = gained.get(path, frozenset()) | lines
    return gained


def _methods(ground: Ground, gained: LinesByPath, human: HumanReference) -> tuple[MethodResult, ...]:
    missing = ground.missing()
    return tuple(_method(target, gained, missing, human) for target in ground.targets)


def _method(target: ChangedMethod, gained: LinesByPath, missing: LinesByPath, human: HumanReference) -> MethodResult:
    wanted = missing.get(target.path, frozenset()) & target.lines
    return MethodResult(
        target=target.id,
        missing=len(wanted),
        gained=len(wanted & gained.get(target.path, frozenset())),
        human=_count(human.of({target.path: wanted})),
    )


def _about(ground: Ground, human: HumanReference) -> CaseFigures:
    figure = ground.baseline.figure
    missing = ground.missing()
    return CaseFigures(
        changed=_count(figure.changed),
        before=_count(figure.covered),
        human=_count(human.of(figure.changed)),
        missing=_count(missing),
        human_missing=_count(human.of(missing)),
        notes=ground.notes,
    )


def _count(lines: Mapping[str, Lines]) -> int:
    return sum(map(len, lines.values()))
