"""Other generators as arms: run on a case with the same model and tokens, and judged as every arm is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llm_testgen.bench.chain_ground import Ground
from llm_testgen.bench.chain_ledger import RunStore
from llm_testgen.bench.chain_report import PartReport, WayFigures
from llm_testgen.bench.exchanges import Exchanges
from llm_testgen.bench.judging import Judgement, judge
from llm_testgen.bench.peer_run import PeerMachine, run_peer
from llm_testgen.bench.peers import Peer, PeerCase
from llm_testgen.bench.proxy import Budget, Proxy, Purse, Rules
from llm_testgen.bench.pulls.arms import Arm
from llm_testgen.edges.completions import CompletionsServer
from llm_testgen.edges.models import Service
from llm_testgen.records import LinesByPath, Outcome
from llm_testgen.runner.interpreter import Interpreter
from llm_testgen.stages.select import select

# An own line of pytest's own options; a project may turn warnings into errors, also those of another tool's plugin.
_PYTEST = ("-o", "filterwarnings=")
_MOST_SAID = 300
# Why there is no result, as a person reads it at the end.
UNRECORDED = "their prompts have no recorded reply; --ask asks the model for them"
_UNSERVED = "the model did not answer another generator; run this again"


@dataclass(frozen=True, slots=True)
class PeerTools:
    """What other generators are run with.

    Attributes:
        peers: How each is started, by the arm's key.
        exchanges: What models have answered them before.
        machine: Where they run.
        service: The address of a model by its name; None to make do with what is recorded.
    """

    peers: Mapping[str, Peer]
    exchanges: Exchanges
    machine: PeerMachine
    service: Callable[[str], Service] | None


@dataclass(frozen=True, slots=True)
class PeerResult:
    """What came of a generator on a case.

    Attributes:
        figures: As of any arm; tests are those of its files that pass and gain.
        gained: Changed lines newly covered by tests that pass, in whatever file.
        unrecorded: Requests that a replay did not know.
        failed: Requests that the model's server did not answer: what came of the others is less than it could be.
        rejected: What the model's server said when it took none of the requests; empty where it took one.
        timed_out: Whether it did not come to its end in its time.
        said: Why it ended early; empty when it ended well.
        seconds: Wall time of its run and of the judging, without the model's.
    """

    figures: WayFigures
    gained: LinesByPath
    unrecorded: int
    failed: int
    rejected: str
    timed_out: bool
    said: str
    seconds: float

    def why_none(self, label: str, *, replayed: bool) -> str:
        """Why it cannot be compared with others; empty when it can.

        Args:
            label: The generator's name.
            replayed: Whether there was nothing but a recording to answer it.
        """
        if self.unrecorded and replayed:
            return UNRECORDED
        if self.failed:
            return _UNSERVED
        if self.rejected:
            return f"the model's server takes no prompt of {label}: {self.rejected}"
        if self.timed_out:
            return f"{label} did not come to its end in time"
        if not self.figures.replies:
            # Nothing is known of what it would have written, and a replay has nothing to go by.
            return f"{label} asked nothing{self.said and ': '}{self.said}"
        return ""


def can_be_asked(arm: Arm, case: str, model: str, tools: PeerTools) -> bool:
    """Whether a run would come to anything: a generator takes minutes to begin, also where nothing answers it."""
    return tools.service is not None or tools.exchanges.knows(_purse(arm, case, model))


def _purse(arm: Arm, case: str, model: str) -> str:
    return f"{arm.key}.{case}.{model}"


def peer_case(name: str, ground: Ground, interpreter: Interpreter) -> PeerCase:
    """A case as other generators get it; what our own runs of pytest have to do without, theirs do without, too.

    Args:
        name: Of the case.
        ground: It, made ready.
        interpreter: Runs its tests.
    """
    project = ground.project
    present = {file.path for file in project.snapshot.files}
    found = {target.path: ground.knowledge.surroundings(target).test_path for target in ground.targets}
    return PeerCase(
        name=name,
        snapshot=project.snapshot,
        targets=ground.targets,
        test_folder=project.test_folder,
        source_roots=project.source_roots,
        python=interpreter.path,
        test_files={path: test for path, test in found.items() if test in present},
        pytest_arguments=(*_PYTEST, *ground.runner.concession),
    )


async def try_peer(  # noqa: PLR0913, PLR0917 - one result of all of these
    arm: Arm, model: str, case: PeerCase, ground: Ground, tools: PeerTools, store: RunStore
) -> PeerResult:
    """Run a generator on a case, and judge what it leaves.

    Args:
        arm: Which one.
        model: Which model it asks.
        case: What for.
        ground: The case, made ready.
        tools: What it is run with.
        store: What was run for other arms.

    Raises:
        ProjectError: It cannot be started.
    """
    started = time.monotonic()
    service = tools.service(model) if tools.service else None
    proxy = Proxy(Rules(model), tools.exchanges, CompletionsServer(service) if service else None)
    # A reply that does not come to an end must leave the next method its share, as in every other arm.
    budget = Budget(arm.purse * len(case.targets), reply_tokens=arm.purse)
    purse = proxy.open_purse(_purse(arm, case.name, model), budget)
    run = await run_peer(tools.peers[arm.key], case, proxy, purse, tools.machine)
    existing = {
        file.path: case.snapshot.read(file).decode("utf-8", "replace")
        for file in case.snapshot.files
        if file.path in run.files
    }
    judgement = await judge(run.files, existing, ground, store)
    said = "" if not (run.failed or run.timed_out) else run.said
    return PeerResult(
        figures=_figures(arm, judgement, purse, ground.missing()),
        gained=judgement.gained,
        unrecorded=purse.unrecorded,
        failed=purse.failed,
        rejected=json.dumps(purse.rejected[0].reply)[:_MOST_SAID] if purse.rejected else "",
        timed_out=run.timed_out,
        said=said,
        seconds=max(0.0, time.monotonic() - started - purse.waited),
    )


def _figures(arm: Arm, judgement: Judgement, purse: Purse, missing: LinesByPath) -> WayFigures:
    gained = judgement.gained
    accepted = [test.verdict for test in judgement.tests if test.verdict.outcome is Outcome.ACCEPTED]
    return WayFigures(
        key=arm.key,
        label=arm.label,
        replies=purse.replies,
        outdated=0,
        unanswered=purse.unrecorded,
        accepted=len(accepted),
        kept=len(select(accepted, None)[1]),
        lines=sum(len(lines & missing.get(path, frozenset())) for path, lines in gained.items()),
        missing=sum(map(len, missing.values())),
        killed=len(judgement.killed),
        tried=len(judgement.tried),
        tokens_in=purse.usage.tokens_in,
        tokens_out=purse.usage.tokens_out,
        model_seconds=purse.usage.seconds,
        parts=tuple[PartReport, ...](),
    )
