"""Recipe ↔ genome: the fields of a recipe that a search may change, and the values that each may take.

A genome is a number for each gene, the position of its value among those that the gene may have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from llm_testgen.recipe import DEFAULT_RECIPE, Begun, Choice, Kind, Recipe
from llm_testgen.records import Relation

Value = bool | int | float | str
Genome = tuple[int, ...]

DIGEST_DIGITS = 16
_TASK = "task"

# Tests that assert something, which is what lines per token measure; the other kinds write something else. Lessons are
# left out too: a method's first prompt is sent before there are any, and a search sends no other.
KINDS = (Kind.UNIT, Kind.COMMENTED)
_STEPS: dict[str, tuple[Value, ...]] = {
    "kind": KINDS,
    "goals": (False, True),
    "prefill": tuple(Begun),
    "tests": (1, 2, 3, 4, 6, 8),
    "context_tokens": (0, 200, 400, 600, 900, 1400),
    "body_share": (0.0, 0.3, 0.6, 0.9),
    "example_share": (0.15, 0.25, 0.5),
    "examples": (0, 1, 2, 3),
    "choice": (Choice.NEAREST, Choice.SHORTEST),
    "temperature": (0.0, 0.2, 0.4, 0.7),
}


@dataclass(frozen=True, slots=True)
class Gene:
    """One thing that a search may change.

    Attributes:
        field: The field of the recipe.
        values: What it may be.
        relation: The relation that ``context`` holds if the value is true; None for a field of its own.
    """

    field: str
    values: tuple[Value, ...]
    relation: Relation | None = None


class Genes:
    """The genes of a search, and the recipe that it sets out from."""

    def __init__(self, start: Recipe, instructions: Iterable[str] = ()) -> None:
        """Settle what may change.

        Args:
            start: The recipe to set out from; what is not searched over stays as it is there.
            instructions: Names of the instructions that the templates have beside ``task``.
        """
        self.start = plain(start)
        steps = _STEPS | {"instructions": (_TASK, *instructions)}
        fields = [Gene(field, _with(values, getattr(self.start, field))) for field, values in steps.items()]
        relations = [Gene("context", (False, True), relation) for relation in Relation]
        self.all: Sequence[Gene] = tuple(gene for gene in (*fields, *relations) if len(gene.values) > 1)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each gene may have."""
        return tuple(len(gene.values) for gene in self.all)

    def genome(self, recipe: Recipe) -> Genome:
        """The genome of a recipe that has none but known values."""
        return tuple(
            gene.values.index(getattr(recipe, gene.field) if gene.relation is None else gene.relation in recipe.context)
            for gene in self.all
        )

    def recipe(self, genome: Genome) -> Recipe:
        """The recipe of a genome, with the fields plain that mean nothing beside the others."""
        chosen = [(gene, gene.values[number]) for gene, number in zip(self.all, genome, strict=True)]
        values: dict[str, Any] = {gene.field: value for gene, value in chosen if gene.relation is None}
        values["context"] = tuple(gene.relation for gene, value in chosen if gene.relation is not None and value)
        return plain(Recipe.model_validate(self.start.model_dump() | values))


def plain(recipe: Recipe) -> Recipe:
    """The recipe that makes the same prompts and has the default wherever a field has nothing to say.

    So that one and the same prompt is not tried twice, and the file of a recipe does not claim what it does not do.
    """
    values: dict[str, Any] = {}
    silent: list[str] = []
    shows_accepted = recipe.choice is Choice.ACCEPTED and recipe.lesson_tokens > 0
    if recipe.context_tokens == 0 or not recipe.context:
        values["context"] = ()
        silent.append("body_share")
    if not shows_accepted and (recipe.context_tokens == 0 or recipe.examples == 0 or recipe.example_share == 0):
        values["examples"] = 0
        silent += ["example_share", "choice"]
    if values.keys() >= {"context", "examples"}:
        values["context_tokens"] = 0
    return recipe.model_copy(update={field: getattr(DEFAULT_RECIPE, field) for field in silent} | values)


def digest(recipe: Recipe) -> str:
    """What tells one recipe from another, in a few digits."""
    return hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()[:DIGEST_DIGITS]


def _with(values: tuple[Value, ...], own: Value) -> tuple[Value, ...]:
    """The values, and the one that the recipe to set out from has."""
    if own in values:
        return values
    every = (*values, own)
    return tuple(sorted(every, key=float)) if all(isinstance(value, int | float) for value in every) else every
