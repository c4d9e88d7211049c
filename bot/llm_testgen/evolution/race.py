"""When a recipe is given up before it has been tried on every method: once it cannot reach those that did well.

Each generation goes through the methods in one order. After each of them it is asked what a recipe would score if it
did as well on all that are left as the best recipe of the earlier generations did there, and as cheaply as the
cheapest. If even that would not reach the median of the elite, no prompt is spent on it any more. The first
generation runs to its end: there is nothing yet to compare with.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from llm_testgen.evolution.score import Gain, rate, score, total


@dataclass(frozen=True, slots=True)
class Race:
    """What earlier generations have shown.

    Attributes:
        weight_in: What a token read costs, in tokens written.
        mark: The lines per 1,000 tokens that a recipe must be able to reach.
        lines: The most lines that any recipe gained, for each method in order.
        cost: The least that any recipe cost there.
    """

    weight_in: float
    mark: float
    lines: tuple[int, ...]
    cost: tuple[float, ...]

    @classmethod
    def after(cls, runs: Sequence[Sequence[Gain]], elite: int, weight_in: float) -> Race | None:
        """The race that follows upon recipes which were tried on all methods; None if there is none yet.

        Args:
            runs: What each recipe gained on each method.
            elite: How many of the best are the elite.
            weight_in: What a token read costs, in tokens written.
        """
        if not runs:
            return None
        rates = sorted((score(total(run), weight_in).rate for run in runs), reverse=True)
        each = list(zip(*runs, strict=True))
        return cls(
            weight_in,
            statistics.median(rates[:elite]),
            tuple(max(gain.lines for gain in gains) for gains in each),
            tuple(min(gain.cost(weight_in) for gain in gains) for gains in each),
        )

    def can_win(self, gains: Sequence[Gain]) -> bool:
        """Whether a recipe that gained this on the first methods can still reach the mark."""
        so_far, rest = total(gains), slice(len(gains), None)
        best = rate(so_far.lines + sum(self.lines[rest]), so_far.cost(self.weight_in) + sum(self.cost[rest]))
        return best >= self.mark

    def given_up(self, gains: Sequence[Gain]) -> float:
        """What a recipe scores that was given up: as if it had gained nothing more, as cheaply as can be."""
        so_far = total(gains)
        return rate(so_far.lines, so_far.cost(self.weight_in) + sum(self.cost[len(gains) :]))
