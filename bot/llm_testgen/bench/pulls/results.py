"""What came of each arm on each case, written down as soon as it is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_testgen.bench.chain_report import PartReport, WayFigures
from llm_testgen.bench.recordings import Recordings
from llm_testgen.errors import UsageError
from llm_testgen.proposal import Funnel


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MethodResult(_Record):
    """One method under one arm.

    Attributes:
        target: ``path::qualname``.
        missing: Changed lines of it that no existing test executes.
        gained: Those of them that the arm's tests execute.
        human: Those that the newer release's tests execute.
    """

    target: str
    missing: int
    gained: int
    human: int


class CaseFigures(_Record):
    """What is so of a case, whatever the arm.

    Attributes:
        changed: Changed lines that hold a statement, in the whole change.
        before: Those that the existing tests execute.
        human: Those that the newer release's tests execute.
        missing: Lines of the chosen methods that no existing test executes.
        human_missing: Those of them that the newer release's tests execute.
        notes: What a person should know.
    """

    changed: int
    before: int
    human: int
    missing: int
    human_missing: int
    notes: tuple[str, ...] = ()


class ArmResult(_Record):
    """What one arm made of one case.

    Attributes:
        case: The case's name.
        project: Its project.
        split: What the case may be used for.
        arm: The arm's key.
        form: Digest of the arm's settings and prompts.
        model: Who answered.
        seed: By which the methods were chosen.
        most: How many methods were asked for at most.
        figures: Tests, lines, mutants, tokens, CPU.
        funnel: How far the candidates came; None of a peer, which judges its own.
        methods: The methods, one by one.
        about: What is so of the case.
        seconds: Wall time of judging, without the model's; of a peer with its own. None where other cases were worked
            on at the same time, so that neither it nor the CPU time of the tests says anything.
    """

    case: str
    project: str
    split: str
    arm: str
    form: str
    model: str
    seed: int
    most: int
    figures: WayFigures
    funnel: Funnel | None
    methods: tuple[MethodResult, ...]
    about: CaseFigures
    seconds: float | None

    @property
    def key(self) -> ResultKey:
        """What it is the result of."""
        return self.case, self.arm, self.form, self.model, self.seed, self.most

    @property
    def measure(self) -> tuple[object, ...]:
        """By what it is measured: the methods, and what the project's own tests leave of the change."""
        about = self.about
        return about.changed, about.before, about.missing, tuple((one.target, one.missing) for one in self.methods)

    @property
    def share(self) -> float:
        """Share of the missing lines that the arm's tests execute."""
        return self.figures.lines / self.about.missing if self.about.missing else 0.0

    @property
    def is_whole(self) -> bool:
        """Whether every line that was missing is executed."""
        return self.figures.lines >= self.about.missing > 0


ResultKey = tuple[str, str, str, str, int, int]


_FILES = Recordings(ArmResult, "results of this version of the benchmark", "--out")


class ResultStore:
    """Results so far, in a file to which each is appended; of two of the same the later one counts."""

    def __init__(self, path: Path) -> None:
        """Read what is there.

        Raises:
            UsageError: The file cannot be read, or holds something else.
        """
        self._path = path
        self._known: dict[ResultKey, ArmResult] = {result.key: result for result in _FILES.resume(path)}

    def __iter__(self) -> Iterator[ArmResult]:
        """All results, in the order in which they were first found."""
        return iter(tuple(self._known.values()))

    def find(self, key: ResultKey) -> ArmResult | None:
        """The result of that; None if there is none yet."""
        return self._known.get(key)

    def add(self, result: ArmResult) -> None:
        """Keep a result, and write it down at once.

        Raises:
            UsageError: The file cannot be written.
        """
        self._known[result.key] = result
        _FILES.add(self._path, [result])


def read_results(data: bytes, path: Path) -> tuple[ArmResult, ...]:
    """The results that a file holds, which is left as it is; of two of the same the later one counts.

    Args:
        data: Its bytes.
        path: Its name, for errors.

    Raises:
        UsageError: It ends in half a line, or a line of it is no result of this version.
    """
    known: dict[ResultKey, ArmResult] = {}
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                result = ArmResult.model_validate_json(line)
                known[result.key] = result
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            if number == len(lines) and first["type"] == "json_invalid":
                msg = (
                    f"{path} ends in half a line: a run still writes it, or was stopped; run `llm-testgen bench"
                    " pull-requests` to its end with --out that folder, or remove the line"
                )
                raise UsageError(msg) from error
            where = ".".join(map(str, first["loc"])) or "line"
            msg = (
                f"{path}, line {number:,}: no result of this version of the benchmark ({where}: {first['msg']}): pass"
                " the results.jsonl that `llm-testgen bench pull-requests` of this version wrote"
            )
            raise UsageError(msg) from error
    return tuple(known.values())


def together(results: Sequence[ArmResult]) -> WayFigures:
    """The sums of an arm over cases; lines and mutants of different cases are never the same."""
    first = results[0].figures
    summed = {
        name: sum(getattr(result.figures, name) for result in results)
        for name, info in WayFigures.model_fields.items()
        if info.annotation in {int, float}
    }
    cpu: dict[str, list[float]] = {}
    for result in results:
        for part in result.figures.parts:
            runs = cpu.setdefault(part.part, [0, 0.0])
            runs[0] += part.runs
            runs[1] += part.cpu
    parts = tuple(PartReport(part=name, runs=int(runs), cpu=spent) for name, (runs, spent) in cpu.items())
    return first.model_copy(update={**summed, "parts": parts})


def by_case(results: Sequence[ArmResult]) -> Mapping[str, ArmResult]:
    """Results of one arm and model, by the case's name."""
    return {result.case: result for result in results}
