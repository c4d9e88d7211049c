"""Where the next prompt buys the most: a bandit over the changed methods, by covered lines per token.

Each method is an arm that pays less with each prompt, so what is learnt is not about the single method but about
prompts of a kind: a first one, one after tests that were accepted, one after none was. What a kind has paid so far in
the run, with a prior that a few prompts outweigh, and a bonus for kinds seldom tried (UCB1: Auer, Cesa-Bianchi and
Fischer, 2002), times the lines that are left, by the tokens that a prompt about the method takes, is what the next
one promises.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Moment(StrEnum):
    """What was seen of a method before the prompt."""

    FIRST = "first"
    AFTER_GAIN = "after_gain"
    AFTER_NONE = "after_none"


# Shares of the lines asked for that prompts of each kind cover, as `bench chain` finds them, and its weight in prompts.
_PRIOR = {Moment.FIRST: 0.4, Moment.AFTER_GAIN: 0.05, Moment.AFTER_NONE: 0.03}
_PRIOR_WEIGHT = 4.0
_CURIOSITY = 0.1


@dataclass(frozen=True, slots=True)
class Arm:
    """A prompt that could be sent.

    Attributes:
        number: Which method it is about.
        moment: What was seen of it before.
        lines: Changed lines of it that nothing covers yet.
        tokens: What the prompt will take, in and out, about.
    """

    number: int
    moment: Moment
    lines: int
    tokens: int


class Bandit:
    """Chooses among prompts, and learns from what they bring."""

    def __init__(self) -> None:
        """Know the prior only."""
        self._shares: dict[Moment, float] = dict.fromkeys(Moment, 0.0)
        self._prompts: dict[Moment, int] = dict.fromkeys(Moment, 0)

    def choose(self, arms: Iterable[Arm], most: int) -> Sequence[Arm]:
        """The arms that promise the most lines per token, best first; of equal ones that of the earlier method."""
        return sorted(arms, key=lambda arm: (-self._promise(arm), arm.number))[:most]

    def learn(self, moment: Moment, asked: int, gained: int) -> None:
        """A prompt that asked for so many lines has gained so many of them."""
        self._shares[moment] += min(1.0, gained / max(1, asked))
        self._prompts[moment] += 1

    def _promise(self, arm: Arm) -> float:
        tried = self._prompts[arm.moment]
        mean = (self._shares[arm.moment] + _PRIOR[arm.moment] * _PRIOR_WEIGHT) / (tried + _PRIOR_WEIGHT)
        total = sum(self._prompts.values())
        bonus = _CURIOSITY * math.sqrt(2 * math.log(total + 1) / (tried + _PRIOR_WEIGHT))
        return (mean + bonus) * arm.lines / max(1, arm.tokens)
