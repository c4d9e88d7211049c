"""What the recipe that was found does on methods that the search never saw, beside the one that it set out from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm_testgen.evolution.generations import Attempt
from llm_testgen.evolution.score import Gain, Score, score, total
from llm_testgen.recipe import Recipe
from llm_testgen.records import ChangedMethod

# By so many methods more than speak against it a recipe must do better before nothing is said of chance.
_CLEAR = 3


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two recipes on the same methods.

    Attributes:
        start: What the recipe brought that the search set out from, method by method.
        found: What the one brought that it found.
        weight_in: What a token read costs, in tokens written.
    """

    start: tuple[Gain, ...]
    found: tuple[Gain, ...]
    weight_in: float

    @property
    def scores(self) -> tuple[Score, Score]:
        """Of both, on all methods together."""
        return score(total(self.start), self.weight_in), score(total(self.found), self.weight_in)

    @property
    def is_better(self) -> bool:
        """Whether the recipe that was found beats the other one."""
        start, found = self.scores
        return found > start

    @property
    def tally(self) -> tuple[int, int]:
        """On how many methods it is better, and on how many it is worse."""
        pairs = [
            (score(start, self.weight_in), score(found, self.weight_in))
            for start, found in zip(self.start, self.found, strict=True)
        ]
        return sum(found > start for start, found in pairs), sum(found < start for start, found in pairs)


async def compare(
    start: Recipe, found: Recipe, targets: Sequence[ChangedMethod], attempt: Attempt, weight_in: float
) -> Comparison:
    """Try both on each method, one prompt each.

    Raises:
        TokensSpentError: The budget does not suffice.
        LlmTestgenError: Something that a person has to mend first.
    """
    pairs = [(await attempt(start, target), await attempt(found, target)) for target in targets]
    return Comparison(tuple(first for first, _ in pairs), tuple(second for _, second in pairs), weight_in)


def remark(comparison: Comparison | None, start: str, *, same: bool) -> str:
    """What there is to say of the recipe that was found, in a sentence that promises no more than was seen.

    Args:
        comparison: On the methods kept for it; None where there was no budget left for it.
        start: What the recipe is called that the search set out from.
        same: Whether the search came back to the recipe that it set out from.
    """
    if same:
        return f"The search found no recipe better than {start}: this is that one."
    if comparison is None:
        return "It was not compared on methods that the search never saw: the tokens were spent."
    before, found = comparison.scores
    better, worse = comparison.tally
    figures = (
        f"{found.rate:.2f} against {before.rate:.2f} lines per 1,000 tokens,"
        f" better on {better} of {len(comparison.found)} methods and worse on {worse}"
    )
    where = "On methods that the search never saw"
    if not comparison.is_better:
        return (
            f"{where} it does not beat {start}: {figures}. What it gained in the search may be chance:"
            " search longer, or on more methods, before you rely on it."
        )
    caution = " With so few methods that speak for it, this may be chance." if better < worse + _CLEAR else ""
    if found.rate > before.rate:
        return f"{where} it beats {start}: {figures}.{caution}"
    return f"{where} it covers as much as {start} and notices more faults: {figures}.{caution}"
