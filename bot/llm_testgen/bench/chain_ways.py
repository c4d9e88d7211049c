"""The rows of the table: ways to get from recorded replies to accepted tests, each with one more part than the last."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from llm_testgen.bench.chain_ground import Ground
from llm_testgen.bench.chain_ledger import Ledger, Refusing, RunStore
from llm_testgen.edges.models import Model
from llm_testgen.pipeline import propose
from llm_testgen.records import Candidate, ChangedMethod, Mutant, Outcome, Proof, Reply, Usage, Verdict
from llm_testgen.repairs.base import ALL_REPAIRS, RepairKind
from llm_testgen.search import Search
from llm_testgen.settings import Generation
from llm_testgen.source import FunctionNode, SourceError, parse_tree
from llm_testgen.stages.assure import Requirement, assure, unparsable, unsafe
from llm_testgen.stages.mutate import mutants
from llm_testgen.stages.prompt import Templates
from llm_testgen.stages.prove import Demand, prove
from llm_testgen.stages.screen import screen
from llm_testgen.stages.select import select
from llm_testgen.tools import Tools

PLAIN, OURS = "plain", "ours"
PLAIN_TOKENS = 700
_BLOCK = re.compile(r"^```[^\n]*\n(.*?)(?:^```|\Z)", re.DOTALL | re.MULTILINE)
_PLAIN_TEMPLATES = files("llm_testgen.bench") / "data" / "plain"


@dataclass(frozen=True, slots=True)
class Way:
    """One row.

    Attributes:
        key: Its name in what is written to a file.
        label: Its name in a table.
        prompt: Whose replies it judges.
        settings: Which parts of the chain are switched on.
        whole: Whether a reply's code is kept or dropped as one file.
        selects: Whether the accepted tests are chosen among and confirmed together, as a proposal's are.
    """

    key: str
    label: str
    prompt: str
    settings: Generation
    whole: bool = False
    selects: bool = False


_NOTHING = Generation(attempts=1, repairs=0, repairing=frozenset(), mutants=0)
_AS_PLAIN = replace(_NOTHING, reply_tokens=PLAIN_TOKENS)
_SALVAGING = replace(_NOTHING, repairs=6, repairing=ALL_REPAIRS - {RepairKind.DROP, RepairKind.OBSERVED})
_DROPPING = replace(_SALVAGING, repairing=ALL_REPAIRS - {RepairKind.OBSERVED})
_OBSERVING = replace(_SALVAGING, repairing=ALL_REPAIRS)
_PROVING = replace(_OBSERVING, mutants=10)

WAYS = (
    Way("plain-file", "plain prompt, a file kept if all of it passes", PLAIN, _AS_PLAIN, whole=True),
    Way("plain-each", "plain prompt, functions one by one", PLAIN, _AS_PLAIN),
    Way("ours", "our prompt, no repairs", OURS, _NOTHING),
    Way("salvage", "+ imports, fixtures, calls mended", OURS, _SALVAGING),
    Way("drop", "+ failing assertions dropped", OURS, _DROPPING),
    Way("observe", "+ values from a run", OURS, _OBSERVING),
    Way("prove", "+ proof by mutants", OURS, _PROVING),
    Way("full", "+ re-prompts, chosen among: the full chain", OURS, replace(_PROVING, attempts=2), selects=True),
)
FULL = WAYS[-1].key


@dataclass(frozen=True, slots=True)
class Yield:
    """What a way made of the replies about one change.

    Attributes:
        verdicts: The accepted ones; of the full chain those that were chosen.
        accepted: How many tests were accepted, before any were chosen among.
        kept: How many are left of these when no two are kept for the same lines.
        replies: How many were judged.
        usage: What these cost.
        ledger: What was run.
        judged: Every verdict, also on what was refused.
    """

    verdicts: tuple[Verdict, ...]
    accepted: int
    kept: int
    replies: int
    usage: Usage
    ledger: Ledger
    judged: tuple[Verdict, ...]


class Listener:
    """Hears a run's replies, and counts the tests that were accepted."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self.replies: list[Reply] = []
        self.accepted = 0

    def asked(self, target: ChangedMethod, attempt: int) -> None:
        """A prompt is being sent."""

    def replied(self, reply: Reply) -> None:
        """The model answered."""
        self.replies.append(reply)

    def judged(self, verdict: Verdict) -> None:
        """A candidate was judged."""
        self.accepted += verdict.outcome is Outcome.ACCEPTED

    def confirming(self, count: int) -> None:
        """So many chosen tests are run together."""

    @property
    def usage(self) -> Usage:
        """What the replies cost."""
        return sum((reply.usage for reply in self.replies), Usage())


def plain_templates() -> Templates:
    """The prompt of a straightforward tool."""
    return Templates(Path(str(_PLAIN_TEMPLATES)))


async def follow(way: Way, ground: Ground, model: Model, store: RunStore, templates: Templates) -> Yield:
    """Judge the replies to prompts about a change in one way."""
    listener, ledger = Listener(), Ledger(ground.runner, store)
    tools = Tools(ground.knowledge, model, ledger, templates, listener)
    if way.whole:
        return await _whole_files(way, ground, replace(tools, runner=Refusing()), ledger)
    if way.selects:
        result = await propose(ground.targets, ground.baseline, tools, way.settings)
        chosen = tuple(result.verdicts[index] for index in result.accepted)
        return Yield(chosen, listener.accepted, len(chosen), result.replies, result.usage, ledger, result.verdicts)
    search = Search(ground.baseline, tools, way.settings)
    await search.run(ground.targets)
    judged = tuple(search.verdicts())
    accepted = tuple(verdict for verdict in judged if verdict.outcome is Outcome.ACCEPTED)
    return Yield(accepted, len(accepted), _kept(accepted), search.replies, search.usage, ledger, judged)


def _kept(accepted: Sequence[Verdict]) -> int:
    return len(select(accepted, None)[1])


async def _whole_files(way: Way, ground: Ground, tools: Tools, ledger: Ledger) -> Yield:
    """Each reply's code as one candidate, as it came."""
    listener = Listener()
    await Search(ground.baseline, replace(tools, observer=listener), way.settings).run(ground.targets)
    requirement = Requirement(ground.baseline.missing(), way.settings.repeats)
    verdicts = [await _judge_file(reply, ledger, requirement) for reply in listener.replies]
    accepted = [verdict for verdict in verdicts if verdict.outcome is Outcome.ACCEPTED]
    kept = [accepted[index] for index in select(accepted, None)[1]]
    return Yield(
        tuple(accepted),
        sum(count_tests(verdict.candidate.code) for verdict in accepted),
        sum(count_tests(verdict.candidate.code) for verdict in kept),
        len(listener.replies),
        listener.usage,
        ledger,
        tuple(verdicts),
    )


async def _judge_file(reply: Reply, ledger: Ledger, requirement: Requirement) -> Verdict:
    candidate = Candidate(reply, "", file_of(reply.text))
    if not count_tests(candidate.code):
        return unparsable(reply)
    # Other tools run whatever comes. Here a reply must not harm the machine either.
    if reason := screen(candidate):
        return unsafe(candidate, reason)
    return await assure(candidate, ledger, requirement)


def file_of(text: str) -> str:
    """The code of a reply as a file: what stands between its fences, or all of it."""
    blocks = _BLOCK.findall(text)
    return "\n\n".join(blocks) if blocks else text


def count_tests(code: str) -> int:
    """How many test functions a file has; 0 where it is no Python."""
    try:
        tree = parse_tree(code)
    except SourceError:
        return 0
    outer = [*tree.body, *(child for node in tree.body if isinstance(node, ast.ClassDef) for child in node.body)]
    return sum(isinstance(node, FunctionNode) and node.name.startswith("test") for node in outer)


async def proofs(found: Yield, ground: Ground, store: RunStore, most: int) -> tuple[Proof, ...]:
    """Which mutants the tests of a way kill, whether the way itself has tried any or not.

    Args:
        found: What the way accepted.
        ground: Where.
        store: Runs that are known.
        most: Mutants to try a test with at most.
    """
    made: dict[str, tuple[Mutant, ...]] = {}

    def mutants_of(target: ChangedMethod) -> tuple[Mutant, ...]:
        return made.setdefault(target.id, mutants(target, target.lines))

    ledger = Ledger(ground.runner, store)
    return tuple([await _proof(verdict, ground, ledger, mutants_of, most) for verdict in found.verdicts])


async def _proof(
    verdict: Verdict,
    ground: Ground,
    ledger: Ledger,
    mutants_of: Callable[[ChangedMethod], Sequence[Mutant]],
    most: int,
) -> Proof:
    if verdict.proof.tried:
        return verdict.proof
    # A file has the mutants of all its tests.
    demand = Demand(ground.targets, mutants_of, most * max(1, count_tests(verdict.candidate.code)), asserting=False)
    return (await prove(verdict, ledger, demand)).proof
