"""What earlier tests of a repository teach the next: accepted ones to follow, refused ones to avoid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm_testgen.feedback import is_telling, refusal
from llm_testgen.recipe import tokens
from llm_testgen.records import ChangedMethod, Outcome, Verdict
from llm_testgen.statements import pieces_of_module

_MOST = 3
_LONGEST_TEST = 30
# Share of the budget that tests to follow may take; what is left goes to those to avoid.
_SHARE_OF_ACCEPTED = 0.8


@dataclass(frozen=True, slots=True)
class Lessons:
    """Tests of other methods of the same repository, the nearest first.

    Attributes:
        accepted: Sources of tests that were accepted.
        refused: What refused tests called, and why they were refused.
    """

    accepted: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.accepted or self.refused)


NO_LESSONS = Lessons()


def choose_lessons(
    target: ChangedMethod, accepted: Sequence[Verdict], refused: Sequence[Verdict], budget: int
) -> Lessons:
    """The lessons that tell a target's tests the most: of its module first, its class, a similar name, the short ones.

    Args:
        target: What tests are wanted for. Tests of itself are no lessons: they would be repeated.
        accepted: Verdicts on tests of any method; only accepted ones are looked at.
        refused: Verdicts on tests of any method; only those are looked at that say what to avoid.
        budget: Tokens that all lessons may take; 0 for none.
    """
    good = [verdict for verdict in accepted if verdict.outcome is Outcome.ACCEPTED and verdict.target.id != target.id]
    texts = [(_rank(target, verdict, text), text) for verdict in good if (text := _test(verdict))]
    followed = _fitting([text for _, text in sorted(texts)], int(budget * _SHARE_OF_ACCEPTED))
    left = budget - sum(map(tokens, followed))
    bad = [verdict for verdict in refused if is_telling(verdict) and verdict.target.id != target.id]
    ranked = sorted((_rank(target, verdict, ""), refusal(verdict)) for verdict in bad)
    avoided: dict[str, tuple[str, str]] = {}
    for _, (test, reason) in ranked:
        cost = tokens(test + reason)
        if reason not in avoided and cost <= left and len(avoided) < _MOST:
            avoided[reason] = (test, reason)
            left -= cost
    return Lessons(tuple(followed), tuple(avoided.values()))


def _test(verdict: Verdict) -> str:
    """The test alone, without the imports and helpers of its module; empty when it is too long to be an example."""
    pieces = pieces_of_module(verdict.candidate.code)
    text = pieces[-1].text if pieces else ""
    return text if text.count("\n") < _LONGEST_TEST and "```" not in text else ""


def _fitting(texts: Sequence[str], budget: int) -> list[str]:
    shown: list[str] = []
    for text in dict.fromkeys(texts):
        if tokens(text) <= budget and len(shown) < _MOST:
            shown.append(text)
            budget -= tokens(text)
    return shown


def _rank(target: ChangedMethod, verdict: Verdict, text: str) -> tuple[bool, bool, float, int]:
    """What puts one lesson before another; the smaller, the nearer."""
    other = verdict.target
    is_same_class = _owner(other) == _owner(target) != ""
    return other.path != target.path, not is_same_class, -_likeness(target.method.name, other.method.name), len(text)


def _owner(target: ChangedMethod) -> str:
    return target.qualname.rpartition(".")[0]


def _likeness(one: str, other: str) -> float:
    """Share of the words of two names that they have in common."""
    words, others = set(one.lower().split("_")) - {""}, set(other.lower().split("_")) - {""}
    return len(words & others) / (len(words | others) or 1)
