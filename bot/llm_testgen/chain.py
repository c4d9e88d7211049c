"""Candidate → verdict, with all that can be mended mended: the chain of filters, run again after each repair.

What costs least is tried first: repairs by the text alone, then repairs by values that the test's own expressions
have in a run. A prompt is the last resort, and not for this module to send.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llm_testgen.observe import Probe, amplify, is_silent, probe, value_at, with_observed
from llm_testgen.records import (
    Candidate,
    ChangedMethod,
    LinesByPath,
    Mutant,
    Outcome,
    Regression,
    Run,
    Verdict,
)
from llm_testgen.repairs.base import RepairKind
from llm_testgen.runner.base import Runner
from llm_testgen.runner.lazy import LazyRunner
from llm_testgen.settings import Generation
from llm_testgen.stages.assure import Requirement, assure, unsafe
from llm_testgen.stages.compare import failing_assertion, is_suspicious, passes_at_base
from llm_testgen.stages.extract import Names
from llm_testgen.stages.mutate import mutants
from llm_testgen.stages.prove import Demand, prove
from llm_testgen.stages.repair import repair
from llm_testgen.stages.screen import screen

_MOST_LOOKS = 2


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the chain says of a candidate, and the regression that it may show."""

    verdict: Verdict
    regression: Regression | None = None


class Chain:
    """Judges candidates.

    Args:
        runner: Executes them at head.
        base: Executes them at base; None where there is no base to compare with.
        settings: How to go about it.
        missing: Changed lines that the existing tests do not execute.
        targets: The changed methods.
    """

    def __init__(
        self,
        runner: Runner,
        base: LazyRunner | None,
        settings: Generation,
        missing: LinesByPath,
        targets: Sequence[ChangedMethod],
    ) -> None:
        """Nothing is run yet."""
        self._runner = runner
        self._base = base
        self._settings = settings
        self._requirement = Requirement(missing, settings.repeats)
        self._demand = Demand(tuple(targets), self._mutants_of, settings.mutants, asserting=settings.asserting)
        self._mutants: dict[str, tuple[Mutant, ...]] = {}

    async def judge(self, candidate: Candidate, names: Names) -> Judgement:
        """Judge a candidate, and what repairs make of it where it is refused."""
        verdict = await self._judge_once(candidate)
        kinds = self._settings.repairing
        whole = await self._repaired(verdict, names, kinds - {RepairKind.DROP})
        for judged in [verdict] if whole is verdict else [verdict, whole]:
            if (regression := await self._regression(judged)) is not None:
                return Judgement(replace(judged, reason=f"possible regression: {judged.reason}"), regression)
        forms = [whole]
        if RepairKind.DROP in kinds:
            # Without an assertion that fails a test is the model's own; with the value from a run it may cover more.
            forms.append(await self._repaired(whole, names, kinds))
        if RepairKind.OBSERVED in kinds:
            forms += await self._with_values(whole, names, kinds - {RepairKind.DROP})
        return Judgement(max(forms, key=_worth))

    async def _with_values(self, verdict: Verdict, names: Names, kinds: frozenset[RepairKind]) -> list[Verdict]:
        """Verdicts on what values from runs make of a test: what one look has mended may need another."""
        forms: list[Verdict] = []
        for _ in range(_MOST_LOOKS):
            observed = await self._observed(verdict)
            if observed is None:
                break
            verdict = await self._repaired(observed, names, kinds)
            forms += [observed, verdict]
        return forms

    async def _judge_once(self, candidate: Candidate) -> Verdict:
        if reason := screen(candidate):
            return unsafe(candidate, reason)
        verdict = await assure(candidate, self._runner, self._requirement)
        return await prove(verdict, self._runner, self._demand)

    async def _repaired(self, verdict: Verdict, names: Names, kinds: frozenset[RepairKind]) -> Verdict:
        """The verdict on the furthest that repairs by the text can make of a refused candidate."""
        seen = {verdict.candidate.code}
        for _ in range(self._settings.repairs):
            mended = repair(verdict, names, kinds, asserting=self._settings.asserting)
            if mended is None or mended.code in seen:
                break
            seen.add(mended.code)
            verdict = await self._judge_once(mended)
        return verdict

    async def _observed(self, verdict: Verdict) -> Verdict | None:
        """The verdict on the test with values that its expressions have in a run; None where that changes nothing."""
        candidate = verdict.candidate
        amplifying = verdict.outcome in {Outcome.ACCEPTED, Outcome.VACUOUS}
        if amplifying and not (self._settings.asserting and is_silent(candidate)):
            return None
        if not amplifying and verdict.outcome is not Outcome.FAILING:
            return None
        if (probing := probe(candidate, amplifying=amplifying)) is None or screen(probing.candidate):
            return None
        first, second = [await self._look(probing, self._runner, seed) for seed in (0, 1)]
        mended = (amplify if amplifying else with_observed)(candidate, probing, first, second)
        return None if mended is None else await self._judge_once(mended)

    async def _look(self, probing: Probe, runner: Runner | LazyRunner, seed: int = 0) -> Run:
        """A run in which a test reports its values instead of holding to what it claims of them."""
        return await runner.run_candidate(probing.candidate, hash_seed=seed, observing=True)

    async def _regression(self, verdict: Verdict) -> Regression | None:
        """What a test shows that fails at head, where it passes at base and fails at head once more."""
        base = self._base
        if base is None or not is_suspicious(verdict) or not await passes_at_base(verdict, base):
            return None
        again = await self._runner.run_candidate(verdict.candidate, hash_seed=1)
        failure = verdict.runs[0].failure
        if failure is None or again.failure is None or again.failure.line != failure.line:
            return None
        expected = actual = ""
        if (probing := probe(verdict.candidate)) is not None:
            expected = value_at(probing, await self._look(probing, base), failure.line)
            actual = value_at(probing, await self._look(probing, self._runner), failure.line)
        assertion = failing_assertion(verdict.candidate, failure)
        return Regression(verdict.candidate, assertion, expected, actual, verdict.reason)

    def _mutants_of(self, target: ChangedMethod) -> tuple[Mutant, ...]:
        if target.id not in self._mutants:
            self._mutants[target.id] = mutants(target, target.lines) if self._settings.mutants else ()
        return self._mutants[target.id]


def _worth(verdict: Verdict) -> tuple[bool, int, bool, int]:
    """Of two forms of a test the accepted one is worth more, then what gains more lines, then what says something.

    Of what is then the same, the one comes first whose expected values are the model's.
    """
    candidate = verdict.candidate
    gained = sum(map(len, verdict.gained.values()))
    return verdict.outcome is Outcome.ACCEPTED, gained, not is_silent(candidate), -len(candidate.observed)
