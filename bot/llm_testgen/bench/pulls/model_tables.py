"""Models side by side, for each arm: what their replies became, what that brought, and how sure the differences are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from llm_testgen.bench.pulls.results import together
from llm_testgen.bench.pulls.tables import SURE, Series, Table, difference, percent, points

_STAGES = ("replies", "candidates", "built", "passed", "stable", "gained", "accepted")
# Not "model": such tables are shown for each model by itself.
_BY = "tests by"


def on_shared_cases(series: Sequence[Series]) -> tuple[Series, ...]:
    """The same with the cases alone that all models of an arm have, by one measure: each is seen on the same lines."""
    cases: dict[str, set[tuple[str, tuple[object, ...]]]] = {}
    for one in series:
        here = {(result.case, result.measure) for result in one.results}
        cases[one.arm.key] = cases.get(one.arm.key, here) & here
    found = (
        replace(one, results=tuple(each for each in one.results if (each.case, each.measure) in cases[one.arm.key]))
        for one in series
    )
    return tuple(one for one in found if one.results)


def by_arm(series: Sequence[Series]) -> list[tuple[Series, ...]]:
    """The series of each arm, on the cases that all its models have."""
    found: defaultdict[str, list[Series]] = defaultdict(list)
    for one in on_shared_cases(series):
        found[one.arm.key].append(one)
    return [tuple(own) for own in found.values()]


def model_tables(series: Sequence[Series]) -> Iterator[Table]:
    """Tables of each arm, the models in their order, all on the same cases."""
    for found in by_arm(series):
        label = found[0].label
        count = len(found[0].results)
        cases = f"{label}, {count} case{'' if count == 1 else 's'}"
        yield Table(f"From reply to test: {cases}", (_BY, *_heads()), [_funnel_row(one) for one in found])
        yield Table(
            f"What it brings: {cases}",
            (_BY, "lines", "missing lines, %", "mutants killed", "tokens in", "tokens out"),
            [_yield_row(one) for one in found],
        )
        if len(found) > 1:
            yield Table(
                f"Compared with {found[0].model}: {cases}",
                (_BY, "difference, points", "ahead / behind", "p"),
                [_difference_row(found[0], one) for one in found[1:]],
            )


def _heads() -> Iterator[str]:
    for stage in _STAGES:
        yield "tests" if stage == "candidates" else stage
    yield "passing, %"


def _funnel_row(one: Series) -> Sequence[str]:
    funnels = [result.funnel for result in one.results if result.funnel is not None]
    counts = (sum(getattr(funnel, stage) for funnel in funnels) for stage in _STAGES)
    return (one.model, *map(str, counts), percent(one.passing))


def _yield_row(one: Series) -> Sequence[str]:
    figures = together(one.results)
    missing = sum(result.about.missing for result in one.results)
    return (
        *(one.model, f"{figures.lines}/{missing}", percent(one.share), f"{figures.killed}/{figures.tried}"),
        *(f"{figures.tokens_in:,}", f"{figures.tokens_out:,}"),
    )


def _difference_row(first: Series, other: Series) -> Sequence[str]:
    found = difference(first, other)
    sure = f"{found.p:.3f}{' *' if found.p < SURE else ''}"
    return (other.model, points(found.interval), f"{found.better} / {found.worse}", sure)
