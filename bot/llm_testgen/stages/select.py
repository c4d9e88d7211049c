"""Accepted verdicts → the smallest set of them that holds the whole gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llm_testgen.records import LinesByPath, Outcome, Verdict

_Line = tuple[str, int]


def select(verdicts: Sequence[Verdict], most: int | None) -> tuple[tuple[Verdict, ...], tuple[int, ...]]:
    """Choose among the accepted verdicts, greedily by what each adds.

    Where that is equal, the one comes first that kills more mutants, then one whose expected values are the model's
    and not the run's, then the shorter.

    Args:
        verdicts: All verdicts of a run.
        most: How many tests to choose at most; None for no limit.

    Returns:
        The verdicts, those not chosen now refused as ``NO_GAIN`` with the reason, and the indices of the chosen
        ones in the order in which they were chosen.
    """
    open_: dict[int, frozenset[_Line]] = {
        index: _lines(verdict.gained) for index, verdict in enumerate(verdicts) if verdict.outcome is Outcome.ACCEPTED
    }
    chosen: list[int] = []
    covered: frozenset[_Line] = frozenset()
    while open_ and (most is None or len(chosen) < most):
        best = max(open_, key=lambda index: (len(open_[index] - covered), *_worth(verdicts[index]), -index))
        if not open_[best] - covered:
            break
        covered |= open_.pop(best)
        chosen.append(best)
    chosen = _needed(chosen, verdicts)
    judged = list(verdicts)
    for index, verdict in enumerate(verdicts):
        if verdict.outcome is Outcome.ACCEPTED and index not in chosen:
            left = _lines(verdict.gained) - covered
            reason = "more tests were accepted than asked for" if left else "other accepted tests cover the same lines"
            judged[index] = replace(verdict, outcome=Outcome.NO_GAIN, reason=reason)
    return tuple(judged), tuple(chosen)


def _worth(verdict: Verdict) -> tuple[int, int, int]:
    candidate = verdict.candidate
    return len(verdict.proof.killed), -len(candidate.observed), -len(candidate.code)


def _needed(chosen: list[int], verdicts: Sequence[Verdict]) -> list[int]:
    """Without those that the later choices have made superfluous."""
    kept = list(chosen)
    for index in chosen:
        others = frozenset[_Line]().union(*(_lines(verdicts[other].gained) for other in kept if other != index))
        if _lines(verdicts[index].gained) <= others:
            kept.remove(index)
    return kept


def _lines(gained: LinesByPath) -> frozenset[_Line]:
    return frozenset((path, line) for path, lines in gained.items() for line in lines)
