"""A search without a model: what a recipe brings on a method follows from its fields."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from tests.samples import changed_method

from llm_testgen.evolution.generations import Evolution, Found, Plan, Summary
from llm_testgen.evolution.genome import Genes
from llm_testgen.evolution.score import Gain
from llm_testgen.recipe import DEFAULT_RECIPE, Begun, Recipe
from llm_testgen.records import ChangedMethod, Relation

PLAN = Plan(population=8, generations=5, seed=3)


def methods(count: int, path: str = "src/pkg/mod.py") -> tuple[ChangedMethod, ...]:
    names = [f"method{number}" for number in range(count)]
    source = "".join(f"def {name}(x):\n    if x:\n        return 1\n    return 2\n\n\n" for name in names)
    return tuple(changed_method(source, name, path) for name in names)


def gain(recipe: Recipe, target: ChangedMethod) -> Gain:
    """More lines for a reply that is hardly begun, cooler, and with callees; tokens for all that is shown."""
    noise = hashlib.sha256(f"{recipe.model_dump_json()}{target.id}".encode()).digest()[0] % 2
    lines = 2 + 3 * (recipe.prefill is Begun.IMPORTS) + 2 * (Relation.CALLEE in recipe.context) + noise
    lines -= round(2 * recipe.temperature)
    return Gain(1, max(0, lines), lines // 2, 200 + recipe.context_tokens, 40 * recipe.tests)


class Asked:
    """An attempt that remembers what it was asked."""

    def __init__(self, answer=gain, *, fails_at: int | None = None, error: Exception | None = None) -> None:
        self.calls: list[tuple[Recipe, str]] = []
        self._answer = answer
        self._fails_at = fails_at
        self._error = error or RuntimeError("stop")

    async def __call__(self, recipe: Recipe, target: ChangedMethod) -> Gain:
        if len(self.calls) == self._fails_at:
            raise self._error
        self.calls.append((recipe, target.id))
        return self._answer(recipe, target)


class Heard:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.summaries: list[Summary] = []
        self.rounds: list[tuple[int, int, int, int]] = []

    def trying(self, generation: int, place: int, places: int, recipes: int) -> None:
        self.rounds.append((generation, place, places, recipes))

    def bred(self, summary: Summary) -> None:
        self.summaries.append(summary)


async def evolve(attempt, plan: Plan = PLAN, targets: Sequence[ChangedMethod] | None = None, heard=None) -> Found:
    search = Evolution(Genes(DEFAULT_RECIPE, ("terse", "single")), attempt, plan, heard or Heard())
    return await search.run(methods(4) if targets is None else targets)
