"""What was found before, and whether it is found again: each claim as the ratio of two arms, with its interval."""

from __future__ import annotations

import enum
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from llm_testgen.bench.pulls.estimates import Interval, Part, bootstrap, compare
from llm_testgen.bench.pulls.results import ArmResult
from llm_testgen.bench.pulls.tables import SURE, Series, Table, points

_NONE = "-"


class Measure(enum.StrEnum):
    """What a claim is about."""

    PASSING = "passing tests"
    LINES = "lines"

    def of(self, result: ArmResult) -> int:
        """How much of it a case has."""
        if self is Measure.LINES:
            return result.figures.lines
        return result.funnel.passed if result.funnel else 0


@dataclass(frozen=True, slots=True)
class Claim:
    """One arm is said to bring more than another.

    Attributes:
        text: What is said.
        more: The key of the arm that brings more.
        less: The key of the other.
        measure: More of what.
        of_smaller: Whether it is said to do so for the first model more than for the second: models are named from the
            smallest on.
    """

    text: str
    more: str
    less: str
    measure: Measure
    of_smaller: bool = False


def claims_table(claims: Sequence[Claim], series: Sequence[Series]) -> Table | None:
    """Each claim with each model, as far as there are results; None where there are none."""
    rows = [row for claim in claims for row in (_by_size if claim.of_smaller else _by_model)(claim, series)]
    headings = ("what was found before", "model", "cases", *Measure, "found again")
    return Table("What was found before", headings, rows) if rows else None


def _by_model(claim: Claim, series: Sequence[Series]) -> Iterator[Sequence[str]]:
    for model, more, less in _pairs(claim, series):
        changes = {measure: change(more, less, measure.of) for measure in Measure}
        found = changes[claim.measure]
        cells = [_NONE if one is None else _percent(one) for one in changes.values()]
        again = _NONE if found is None else verdict(found, _p(more, less, claim.measure))
        yield (claim.text, model, str(len(more.results)), *cells, again)


def _by_size(claim: Claim, series: Sequence[Series]) -> Iterator[Sequence[str]]:
    pairs = list(_pairs(claim, series))
    if len(pairs) < 2:  # noqa: PLR2004 - a smaller and a larger model
        return
    measures = [{result.case: result.measure for result in more.results} for _, more, _ in pairs[:2]]
    shared = {case for case, _ in measures[0].items() & measures[1].items()}
    effects = [
        {case: effect for case, effect in _effects(more, less, claim.measure).items() if case in shared}
        for _, more, less in pairs[:2]
    ]
    projects = {result.case: result.project for _, more, _ in pairs[:2] for result in more.results}
    if not shared:
        return
    found = compare(effects[0], effects[1], projects.__getitem__)
    cells = [f"{points(found.interval)} points" if measure is claim.measure else _NONE for measure in Measure]
    again = verdict(found.interval, found.p)
    yield (claim.text, f"{pairs[0][0]} less {pairs[1][0]}", str(found.cases), *cells, again)


def _pairs(claim: Claim, series: Sequence[Series]) -> Iterator[tuple[str, Series, Series]]:
    known = {(one.model, one.arm.key): one for one in series}
    for model in dict.fromkeys(one.model for one in series):
        more, less = known.get((model, claim.more)), known.get((model, claim.less))
        if more and less:
            yield model, more, less


def _effects(more: Series, less: Series, measure: Measure) -> dict[str, float]:
    """By case: how much more the first brings, over what the case has: missing lines, or tests that were written."""
    whole = {result.case: result for result in less.results}
    return {one.case: _share(one, measure) - _share(whole[one.case], measure) for one in more.results}


def _share(result: ArmResult, measure: Measure) -> float:
    if measure is Measure.LINES:
        return result.share
    return result.funnel.passed / result.funnel.candidates if result.funnel and result.funnel.candidates else 0.0


def change(more: Series, less: Series, measure: Callable[[ArmResult], int]) -> Interval | None:
    """The ratio of two arms on the same cases, less 1; None where the other arm has nothing at all."""
    others = {result.case: result for result in less.results}
    groups: defaultdict[str, list[Part]] = defaultdict(list)
    for result in more.results:
        groups[result.project].append((measure(result), measure(others[result.case])))
    if not sum(second for group in groups.values() for _, second in group):
        return None
    # Drawn cases may have nothing to divide by: half a test stands in, so that there is a ratio.
    found = bootstrap(groups, stand_in=0.5)
    return Interval(found.value - 1, found.low - 1, found.high - 1)


def _p(more: Series, less: Series, measure: Measure) -> float:
    """How often chance alone sets the sums of two arms as far apart."""
    first, second = ({one.case: float(measure.of(one)) for one in each.results} for each in (more, less))
    projects = {one.case: one.project for one in more.results}
    return compare(first, second, projects.__getitem__).p


def verdict(difference: Interval, p: float) -> str:
    """Whether an interval lies on the side that was claimed, and a test agrees.

    The interval alone will not do: of a few projects that all point one way every draw does, which is soon chance.
    """
    if p >= SURE:
        return "undecided"
    if difference.low > 0:
        return "yes"
    return "no, the contrary" if difference.high < 0 else "undecided"


def _percent(interval: Interval) -> str:
    if interval.low == -math.inf:
        return f"{100 * interval.value:+.0f} %"
    return f"{100 * interval.value:+.0f} % ({100 * interval.low:+.0f} to {100 * interval.high:+.0f})"
