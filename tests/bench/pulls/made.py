"""Made-up results."""

from __future__ import annotations

from llm_testgen.bench.chain_report import PartReport, WayFigures
from llm_testgen.bench.pulls.results import ArmResult, CaseFigures, MethodResult
from llm_testgen.proposal import Funnel


def result(arm, case="a-1.0", *, model="m", lines=2, missing=4, passed=3, candidates=6, seed=0) -> ArmResult:  # noqa: PLR0913 - what tests set
    """A result of an arm on a case of the project that its name begins with."""
    figures = WayFigures(
        key=arm.key,
        label=arm.label,
        replies=2,
        outdated=0,
        unanswered=0,
        accepted=lines,
        kept=lines,
        lines=lines,
        missing=missing,
        killed=3,
        tried=5,
        tokens_in=600,
        tokens_out=400,
        model_seconds=10.0,
        parts=(PartReport(part="first runs", runs=3, cpu=0.5), PartReport(part="mutants", runs=5, cpu=1.0)),
    )
    passed = min(passed, candidates)
    return ArmResult(
        case=case,
        project=case.partition("-")[0],
        split="test",
        arm=arm.key,
        form=arm.digest(),
        model=model,
        seed=seed,
        most=4,
        figures=figures,
        funnel=Funnel(
            replies=2, candidates=candidates, built=candidates, passed=passed, stable=passed, gained=1, accepted=1
        ),
        methods=(MethodResult(target="a.py::f", missing=missing, gained=lines, human=missing - 1),),
        about=CaseFigures(changed=10, before=10 - missing, human=9, missing=missing, human_missing=missing - 1),
        seconds=2.0,
    )
