"""The charts of a benchmark's page: shares with their intervals, and how far the candidates of each arm came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llm_testgen.bench.pulls.estimates import Interval
from llm_testgen.bench.pulls.tables import Series
from llm_testgen.delivery.markdown import visible
from llm_testgen.pages.blocks import Bar, BarChart, Tone, segments, whisker
from llm_testgen.pages.words import plain

LONGEST_NAME = 200
_AXIS = ("0", "25", "50", "75", "100 %")
_STAGES = {
    "replies": "replies",
    "candidates": "candidates",
    "built": "builds",
    "passed": "passes",
    "stable": "stable",
    "gained": "gains",
    "accepted": "accepted",
}


def lines_chart(series: Sequence[Series], *, is_main: bool) -> BarChart:
    """The share of the missing lines that each arm gains.

    Args:
        series: Of one model, or of one arm and several models.
        is_main: Whether the authors' own tests stand below.
    """
    bars = [_lines_bar(one, _label(one, series)) for one in series]
    # The same for each arm, for all have the same cases.
    if is_main:
        missing = sum(result.about.missing for result in series[0].results)
        covered = sum(result.about.human_missing for result in series[0].results)
        value = f"{covered:,} of {missing:,} lines, {_rounded(covered / missing if missing else 0.0)} %"
        bars.append(Bar(plain("the authors' own tests"), value, segments([(Tone.BEFORE, covered)], missing)))
    caption = _of_model("Lines gained, of those that no older test executes, with 95 % intervals", series)
    return BarChart(caption, (_kind(series, "Arm" if is_main else "Way"), "Lines", ""), tuple(bars), axis=_AXIS)


def passing_chart(series: Sequence[Series]) -> BarChart | None:
    """The share of the candidates that pass; None where no arm counts any."""
    bars = []
    for one in series:
        found = one.passing
        if found is not None:
            funnels = [result.funnel for result in one.results if result.funnel is not None]
            passed, candidates = (sum(getattr(each, name) for each in funnels) for name in ("passed", "candidates"))
            value = f"{passed:,} of {candidates:,} tests, {share(found)}"
            bars.append(_bar(_label(one, series), value, Tone.PLAIN, found))
    if not bars:
        return None
    caption = _of_model("Tests that pass, of those that were written, with 95 % intervals", series)
    return BarChart(caption, (_kind(series, "Way"), "Tests", ""), tuple(bars), axis=_AXIS)


def funnel_charts(series: Sequence[Series]) -> Iterator[BarChart]:
    """How many candidates of each arm came through each filter, all on one scale; arms without a count left out."""
    counted = [(one, counts) for one in series if (counts := _counts(one))]
    longest = max((max(counts.values()) for _, counts in counted), default=0)
    for one, counts in counted:
        passing = one.passing
        bars = tuple(
            Bar(
                plain(_STAGES[stage]),
                f"{count:,}",
                segments([(Tone.GAINED if stage == "accepted" else Tone.PLAIN, count)], longest),
            )
            for stage, count in counts.items()
        )
        told = f"{one.label}: {share(passing)} of the candidates pass" if passing else f"{one.label}: no candidate"
        yield BarChart(told, ("Filter", "Left", ""), bars)


def share(interval: Interval) -> str:
    """A share in per cent with its interval, if it has one: ``75 % (60 to 88)``."""
    told = f"{_rounded(interval.value)} %"
    ends = whisker(interval.low, interval.high, 1.0)
    return f"{told} ({_rounded(interval.low)} to {_rounded(interval.high)})" if ends else told


def _rounded(value: float) -> str:
    return f"{100 * value:.0f}"


def _counts(one: Series) -> dict[str, int]:
    """Candidates by filter; none of an arm that does not count them."""
    funnels = [result.funnel for result in one.results if result.funnel is not None]
    return {stage: sum(getattr(funnel, stage) for funnel in funnels) for stage in _STAGES} if funnels else {}


def _lines_bar(one: Series, label: str) -> Bar:
    found = one.share
    gained, missing = (
        sum(values) for values in zip(*((each.figures.lines, each.about.missing) for each in one.results), strict=True)
    )
    return _bar(label, f"{gained:,} of {missing:,} lines, {share(found)}", Tone.GAINED, found)


def _bar(label: str, value: str, tone: Tone, interval: Interval) -> Bar:
    ends = whisker(interval.low, interval.high, 1.0)
    return Bar(plain(label, LONGEST_NAME), value, segments([(tone, min(1.0, interval.value))], 1.0), whisker=ends)


def _label(one: Series, series: Sequence[Series]) -> str:
    """The arm, or the model where the arm is the same in all."""
    return one.model if _has_several_models(series) else one.label


def _kind(series: Sequence[Series], name: str) -> str:
    return "Model" if _has_several_models(series) else name


def _of_model(caption: str, series: Sequence[Series]) -> str:
    return caption if _has_several_models(series) else visible(f"{caption}: {series[0].model}", LONGEST_NAME)


def _has_several_models(series: Sequence[Series]) -> bool:
    return len({one.model for one in series}) > 1
