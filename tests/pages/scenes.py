"""Proposals to show, with the source of their methods, and results of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.bench.pulls.made import result
from tests.delivery.samples import SOURCE, Rest, Test, fault, proposal, regression

from llm_testgen.bench.pulls.arms import COVERUP, OURS, PLAIN, TEMPERATURE
from llm_testgen.bench.pulls.report import benchmark_html
from llm_testgen.bench.pulls.results import ArmResult
from llm_testgen.pages.render import render
from llm_testgen.pages.run import run_page
from llm_testgen.proposal import Proposal, SkipRecord
from llm_testgen.records import Label, Method, MethodKind, Outcome
from llm_testgen.source import parse

TOTAL = f"{SOURCE}::total"
TEXT = '''def total(prices, discount=0):
    """What it comes to."""
    if discount:
        return sum(prices) * discount
    return sum(prices)
'''


def source(text: str = TEXT, name: str = TOTAL) -> dict[str, tuple[Method, ...]]:
    """The source of one method."""
    path, _, qualname = name.partition("::")
    methods = [
        found.method for found in parse(path, text.encode()).definitions if found.method.kind != MethodKind.MODULE
    ]
    return {name: tuple(method for method in methods if method.qualname == qualname)}


def one_of_each() -> Proposal:
    """A verdict of each outcome, with all that there is to say of one."""
    accepted = Test(
        name="test_discount",
        lines=(1, 2, 3, 4, 5),
        gained={SOURCE: (3, 4)},
        code="def test_discount():\n    assert total([2], 0.5) == 1  # half\n",
        repairs=("added the import of total",),
        observed=("1",),
        killed=(fault("if discount", "if not discount", 3),),
        survived=(fault("return sum(prices)", "", 5),),
        idle=("assert total([]) == 0",),
        label=Label.PINS,
    )
    refused = [
        Test(name=f"test_{outcome.value}", lines=(1, 2, 3, 4, 5), outcome=outcome, reason=f"because {outcome.value}")
        for outcome in Outcome
        if outcome is not Outcome.ACCEPTED
    ]
    rest = Rest(
        skipped=[SkipRecord(path="src/old.py", qualname="gone", reason="it was only moved")],
        notes=["the deadline has passed"],
        regressions=[regression()],
        replies=3,
    )
    return proposal([accepted, *refused], rest=rest)


def many(count: int = 300, methods: int = 20) -> Proposal:
    """A large run: every ninth verdict is an accepted one."""
    outcomes = list(Outcome)
    tests = [
        Test(
            name=f"test_{number}",
            method=f"method_{number % methods}",
            outcome=outcomes[-1 - number % len(outcomes)],
            reason="" if number % len(outcomes) == 0 else "AssertionError: assert 1 == 2",
            code=f"import pytest\n\n\n@pytest.mark.slow\ndef test_{number}():\n    assert f'{{1}}' == {number}  # so\n",
            killed=(fault(),),
        )
        for number in range(count)
    ]
    return proposal(tests)


def shown(made: Proposal, sources: dict[str, tuple[Method, ...]] | None = None) -> str:
    """The page of a proposal."""
    return render("run.html.jinja", run_page(made, sources or {}, "1.0")).decode()


def benchmark_results() -> list[ArmResult]:
    """Results of three arms, one of which does not count its candidates, and of an experiment."""
    cases = ("a-1.0", "b-2.0", "c-3.0")
    lines = {OURS: 3, PLAIN: 1, COVERUP: 2, TEMPERATURE[0]: 1, TEMPERATURE[5]: 2}
    results = [result(arm, case, lines=count) for arm, count in lines.items() for case in cases]
    about = results[0].about.model_copy(update={"notes": ("4 of 8 tests fail already",)})
    results[0] = results[0].model_copy(update={"about": about})
    return [one.model_copy(update={"funnel": None}) if one.arm == COVERUP.key else one for one in results]


def benchmark(results: Sequence[ArmResult]) -> str:
    """The page of a benchmark's results."""
    data = "".join(f"{one.model_dump_json()}\n" for one in results).encode()
    return benchmark_html(data, Path("results.jsonl"), "1.0").decode()
