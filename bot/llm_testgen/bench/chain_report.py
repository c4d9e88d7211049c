"""What came of each way: per change, and together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from llm_testgen.bench.chain_ledger import Ledger, Part
from llm_testgen.bench.chain_ways import WAYS, Way, Yield
from llm_testgen.errors import UsageError
from llm_testgen.records import LinesByPath, Proof

_SUMMED = (
    "replies",
    "outdated",
    "unanswered",
    "accepted",
    "kept",
    "lines",
    "missing",
    "killed",
    "tried",
    "tokens_in",
    "tokens_out",
    "model_seconds",
)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PartReport(_Record):
    """What one part of the chain ran.

    Attributes:
        part: Which.
        runs: How many executions.
        cpu: Seconds of CPU of the test processes; where it is not told, as in a cold process, of waiting.
    """

    part: str
    runs: int
    cpu: float


class WayFigures(_Record):
    """What one way made of the replies, about one change or about all.

    Attributes:
        key: Which way.
        label: What a table calls it.
        replies: How many it judged.
        outdated: How many of them answer another wording of the prompt than today's.
        unanswered: Prompts that there was no reply to.
        accepted: Tests that passed all its filters.
        kept: Those that are left when no two are kept for the same lines.
        lines: Changed lines of the targets that the accepted tests cover and that nothing covered before.
        missing: Changed lines of the targets that nothing covered before.
        killed: Mutants of which at least one accepted test notices each.
        tried: Mutants that the accepted tests were run with.
        tokens_in: Of the prompts.
        tokens_out: Of the replies.
        model_seconds: How long the model took.
        parts: What was run for it.
    """

    key: str
    label: str
    replies: int
    outdated: int
    unanswered: int
    accepted: int
    kept: int
    lines: int
    missing: int
    killed: int
    tried: int
    tokens_in: int
    tokens_out: int
    model_seconds: float
    parts: tuple[PartReport, ...]

    @property
    def tokens(self) -> int:
        """Tokens in and out."""
        return self.tokens_in + self.tokens_out

    @property
    def share(self) -> float:
        """Share of the missing lines that is covered."""
        return self.lines / self.missing if self.missing else 0.0

    @property
    def tokens_per_test(self) -> float | None:
        """Tokens for each accepted test; None without any."""
        return self.tokens / self.accepted if self.accepted else None

    @property
    def tokens_per_kept(self) -> float | None:
        """Tokens for each test that is kept; None without any."""
        return self.tokens / self.kept if self.kept else None

    @property
    def lines_per_thousand(self) -> float:
        """Covered lines for each 1,000 tokens."""
        return 1000 * self.lines / self.tokens if self.tokens else 0.0

    @property
    def cpu(self) -> float:
        """Seconds of CPU for all that was run."""
        return sum(part.cpu for part in self.parts)


class TrialReport(_Record):
    """Accepted tests of the full chain, run over and over.

    Attributes:
        tests: How many.
        runs: How often they were run.
        flaky: Those that did not always pass alone.
        order_dependent: Those that did not always pass with others.
    """

    tests: int
    runs: int
    flaky: tuple[str, ...]
    order_dependent: tuple[str, ...]


class ChangeReport(_Record):
    """One change.

    Attributes:
        name: What it is called.
        old: The release that it begins with.
        new: The release that it leads to.
        targets: What tests were asked for.
        ways: In the table's order.
        trial: Of the full chain's tests.
        notes: What is odd about it.
    """

    name: str
    old: str
    new: str
    targets: tuple[str, ...]
    ways: tuple[WayFigures, ...]
    trial: TrialReport
    notes: tuple[str, ...]


class ChainReport(_Record):
    """Everything that was found.

    Attributes:
        tool: The bot's version.
        model: Who wrote the replies.
        python: Version of the interpreter that the tests ran in.
        cores: That this process may use.
        workers: How many tests ran at once.
        sandbox: Layers that held.
        changes: In the order in which they were worked on.
    """

    tool: str
    model: str
    python: str
    cores: int
    workers: int
    sandbox: tuple[str, ...]
    changes: tuple[ChangeReport, ...]

    @property
    def totals(self) -> tuple[WayFigures, ...]:
        """Each way over all changes."""
        return tuple(_joined([change.ways[index] for change in self.changes]) for index, _ in enumerate(WAYS))

    @property
    def trial(self) -> TrialReport:
        """All tests of the full chain."""
        trials = [change.trial for change in self.changes]
        return TrialReport(
            tests=sum(trial.tests for trial in trials),
            runs=sum(trial.runs for trial in trials),
            flaky=tuple(test for trial in trials for test in trial.flaky),
            order_dependent=tuple(test for trial in trials for test in trial.order_dependent),
        )


class Answering(Protocol):
    """A model that answers from a recording.

    Attributes:
        outdated: Replies that were given to another wording of the prompt.
        unanswered: Prompts that the recording has no reply to.
    """

    outdated: int
    unanswered: int


def way_figures(way: Way, found: Yield, proofs: Iterable[Proof], missing: LinesByPath, model: Answering) -> WayFigures:
    """The figures of one way about one change.

    Args:
        way: Which.
        found: What it accepted.
        proofs: Which mutants its tests were tried with.
        missing: Changed lines of the targets that nothing covered before.
        model: What gave it the replies.
    """
    lines = {
        (path, line) for verdict in found.verdicts for path, gained in verdict.gained.items() for line in gained
    } & {(path, line) for path, wanted in missing.items() for line in wanted}
    proofs = tuple(proofs)
    killed = {mutant for proof in proofs for mutant in proof.killed}
    tried = killed | {mutant for proof in proofs for mutant in proof.survived}
    return WayFigures(
        key=way.key,
        label=way.label,
        replies=found.replies,
        outdated=model.outdated,
        unanswered=model.unanswered,
        accepted=found.accepted,
        kept=found.kept,
        lines=len(lines),
        missing=sum(map(len, missing.values())),
        killed=len(killed),
        tried=len(tried),
        tokens_in=found.usage.tokens_in,
        tokens_out=found.usage.tokens_out,
        model_seconds=found.usage.seconds,
        parts=_parts(found.ledger),
    )


def no_figures(way: Way) -> WayFigures:
    """The figures of a way that had nothing to do."""
    parts = tuple(PartReport(part=part.value, runs=0, cpu=0.0) for part in Part)
    return WayFigures(key=way.key, label=way.label, parts=parts, **dict.fromkeys(_SUMMED, 0))


def _parts(ledger: Ledger) -> tuple[PartReport, ...]:
    return tuple(
        PartReport(part=part.value, runs=spent.runs, cpu=spent.cost.cpu) for part, spent in ledger.spent.items()
    )


def _joined(figures: Sequence[WayFigures]) -> WayFigures:
    """The sums; lines and mutants of different changes are never the same."""
    first = figures[0]
    totals = {name: sum(getattr(one, name) for one in figures) for name in _SUMMED}
    parts = tuple(
        PartReport(
            part=part.part,
            runs=sum(one.parts[index].runs for one in figures),
            cpu=sum(one.parts[index].cpu for one in figures),
        )
        for index, part in enumerate(first.parts)
    )
    return first.model_copy(update={**totals, "parts": parts})


def write_report(report: ChainReport, path: Path) -> None:
    """Write it as JSON.

    Raises:
        UsageError: The file cannot be written.
    """
    write_text(report.model_dump_json(indent=1) + "\n", path, "--json")


def write_text(text: str, path: Path, option: str) -> None:
    """Write a file that a person has named.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"{path} cannot be written ({error.strerror}): pass {option} another file"
        raise UsageError(msg) from error
