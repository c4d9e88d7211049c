"""What a prompt brought and what it cost, and by which figure one recipe is better than another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import NamedTuple

# Reading a token takes a model a fraction of the time, and of the money, that writing one takes.
DEFAULT_WEIGHT_IN = 0.25
_PER = 1_000


@dataclass(frozen=True, slots=True)
class Gain:
    """What prompts brought, and what they cost.

    Attributes:
        accepted: Tests that were accepted.
        lines: Lines of the methods asked about that these execute and no existing test does.
        killed: Faults of these methods that they notice.
        tokens_in: Tokens that the model read.
        tokens_out: Tokens that it wrote.
    """

    accepted: int = 0
    lines: int = 0
    killed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def __add__(self, other: Gain) -> Gain:
        """Both together."""
        return Gain(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    @property
    def tokens(self) -> int:
        """Tokens in and out."""
        return self.tokens_in + self.tokens_out

    def cost(self, weight_in: float) -> float:
        """What the tokens cost, in tokens written."""
        return self.tokens_out + weight_in * self.tokens_in


class Score(NamedTuple):
    """By which recipes are ranked: the larger is better, and the first figure counts first.

    Attributes:
        rate: Lines newly covered per 1,000 tokens, a token read counting for a part of one.
        killed: Faults noticed.
    """

    rate: float
    killed: int


def score(gain: Gain, weight_in: float) -> Score:
    """The score of what a recipe brought on some methods."""
    return Score(rate(gain.lines, gain.cost(weight_in)), gain.killed)


def rate(lines: float, cost: float) -> float:
    """Lines per 1,000 tokens; none where nothing was asked."""
    return _PER * lines / cost if cost else 0.0


def total(gains: Iterable[Gain]) -> Gain:
    """All of them together."""
    return sum(gains, Gain())
