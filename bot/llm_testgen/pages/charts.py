"""The charts of a run: how many candidates came through each filter, and what of each method is executed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from llm_testgen.pages.blocks import Bar, BarChart, Tone, percent, segments
from llm_testgen.pages.lines import Lines
from llm_testgen.pages.words import Phrase, code, plain
from llm_testgen.proposal import Proposal
from llm_testgen.records import Outcome

_LONGEST_NAME = 200
_KEY = {
    Tone.BEFORE: "executed before",
    Tone.GAINED: "newly executed",
    Tone.MISSING: "still not executed",
    Tone.UNTOLD: "executed before or still not: the proposal does not say which",
}


def funnel_chart(proposal: Proposal) -> BarChart:
    """Replies and candidates, filter by filter, as the proposal counted them."""
    counted, outcomes = proposal.funnel, Counter(verdict.outcome for verdict in proposal.verdicts)
    gaining = Counter(verdict.outcome for verdict in proposal.verdicts if verdict.gained)
    # What gains and is not vacuous has proved something, whether it was needed in the end or not.
    proved = max(counted.accepted, counted.gained - gaining[Outcome.VACUOUS])
    needless = gaining[Outcome.NO_GAIN]
    stages = (
        ("replies", counted.replies, _stopped(("without a test", outcomes[Outcome.UNPARSABLE]))),
        ("candidates", counted.candidates, ""),
        (
            "builds",
            counted.built,
            _stopped(("unsafe", outcomes[Outcome.UNSAFE]), ("broken", outcomes[Outcome.BROKEN])),
        ),
        ("passes", counted.passed, _stopped(("failing", outcomes[Outcome.FAILING]))),
        ("stable", counted.stable, _stopped(("flaky", outcomes[Outcome.FLAKY]))),
        (
            "gains",
            counted.gained,
            _stopped(("without a new line", outcomes[Outcome.NO_GAIN] - needless)),
        ),
        ("proved", proved, _stopped(("without proof", outcomes[Outcome.VACUOUS]))),
        (
            "accepted",
            counted.accepted,
            _stopped(("not needed", needless), ("not confirmed", outcomes[Outcome.UNCONFIRMED])),
        ),
    )
    longest = max(count for _, count, _ in stages)
    return BarChart(
        "How many candidates came through each filter",
        ("Filter", "Left", "Stopped there"),
        tuple(
            Bar(
                plain(stage),
                f"{count:,}",
                segments([(_tone(stage), count)], longest),
                plain(stopped),
            )
            for stage, count, stopped in stages
        ),
    )


def _tone(stage: str) -> Tone:
    return Tone.GAINED if stage == "accepted" else Tone.PLAIN


def _stopped(*reasons: tuple[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in reasons if count)


def coverage_chart(proposal: Proposal, lines: Mapping[str, Lines]) -> BarChart:
    """What is executed of each method before and after, and of all changed lines."""
    figures = proposal.coverage
    bars = [_bar(plain("All changed lines"), "", _counts_of_all(proposal), figures.changed_lines)]
    tones = {Tone.BEFORE, Tone.GAINED, Tone.MISSING}
    # Each method once, as the page numbers them: anybody may have written the proposal.
    for number, target in enumerate({target.id: target for target in proposal.targets}.values()):
        counts = {tone: lines[target.id].count(tone) for tone in _KEY}
        tones.update(tone for tone, count in counts.items() if count)
        label = code(target.id.removeprefix(f"{target.path}::"), _LONGEST_NAME)
        bars.append(_bar(label, f"#m{number}", counts, len(lines[target.id].tones)))
    return BarChart(
        "Changed lines that tests execute, by method",
        ("Method", "Lines", ""),
        tuple(bars),
        tuple((tone, meaning) for tone, meaning in _KEY.items() if tone in tones),
    )


def _counts_of_all(proposal: Proposal) -> dict[Tone, int]:
    figures = proposal.coverage
    return {
        Tone.BEFORE: figures.covered_before,
        Tone.GAINED: max(0, figures.covered_after - figures.covered_before),
        Tone.MISSING: max(0, figures.changed_lines - figures.covered_after),
        Tone.UNTOLD: 0,
    }


def _bar(label: Phrase, href: str, counts: Mapping[Tone, int], whole: int) -> Bar:
    before, after = counts[Tone.BEFORE], counts[Tone.BEFORE] + counts[Tone.GAINED]
    if not whole:
        value = "no changed line begins a statement"
    elif counts[Tone.UNTOLD]:
        value = f"{counts[Tone.GAINED]:,} of {whole:,} newly executed"
    else:
        value = f"{before:,} → {after:,} of {whole:,} ({percent(before, whole)} → {percent(after, whole)})"
    return Bar(label, value, segments(counts.items(), whole), href=href)
