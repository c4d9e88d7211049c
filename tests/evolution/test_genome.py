from __future__ import annotations

import random

import pytest

from llm_testgen.evolution.genome import Genes, digest, plain
from llm_testgen.recipe import DEFAULT_RECIPE, Begun, Choice, Kind, Recipe
from llm_testgen.records import Relation

GENES = Genes(DEFAULT_RECIPE, ("single", "terse"))


def anywhere(count, genes=GENES):
    draw = random.Random(0)  # noqa: S311 - any genomes will do
    return [tuple(draw.randrange(size) for size in genes.sizes) for _ in range(count)]


def test_the_default_recipe_has_a_genome_and_comes_back_from_it():
    assert GENES.recipe(GENES.genome(DEFAULT_RECIPE)) == DEFAULT_RECIPE


def test_every_genome_is_a_recipe_with_a_genome_that_gives_it_back():
    for genome in anywhere(500):
        recipe = GENES.recipe(genome)
        assert GENES.recipe(GENES.genome(recipe)) == recipe


def test_every_value_of_every_gene_is_reached():
    recipes = [GENES.recipe(genome) for genome in anywhere(2000)]
    assert {recipe.kind for recipe in recipes} == {Kind.UNIT, Kind.COMMENTED}
    assert {recipe.prefill for recipe in recipes} == set(Begun)
    assert {recipe.instructions for recipe in recipes} == {"task", "single", "terse"}
    assert {relation for recipe in recipes for relation in recipe.context} == set(Relation)
    assert {recipe.goals for recipe in recipes} == {True, False}
    assert {recipe.examples for recipe in recipes} == {0, 1, 2, 3}


def test_what_a_first_prompt_cannot_use_stays_as_it_is():
    genes = Genes(Recipe(lesson_tokens=300, reply_tokens=512))
    recipes = [genes.recipe(genome) for genome in anywhere(100, genes)]
    assert {(recipe.lesson_tokens, recipe.reply_tokens) for recipe in recipes} == {(300, 512)}


def test_what_the_start_has_beside_the_usual_values_is_one_of_them():
    start = Recipe(kind=Kind.COMMENTED, context_tokens=555, temperature=1.3, instructions="own", templates="../prompts")
    genes = Genes(start)
    assert genes.recipe(genes.genome(genes.start)) == genes.start
    tokens = next(gene.values for gene in genes.all if gene.field == "context_tokens")
    assert tokens == (0, 200, 400, 555, 600, 900, 1400)
    assert {genes.recipe(genome).templates for genome in anywhere(50, genes)} == {"../prompts"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"context_tokens": 0}, {"context_tokens": 0, "examples": 3, "body_share": 0.1, "context": ()}),
        ({"examples": 0}, {"examples": 0, "example_share": 0.5, "choice": "shortest"}),
        ({"examples": 0}, {"examples": 2, "example_share": 0}),
        ({"context": ()}, {"context": (), "body_share": 0.9}),
        ({"context": (), "examples": 0}, {"context_tokens": 0}),
    ],
)
def test_recipes_that_make_the_same_prompts_are_one(one, other):
    assert plain(Recipe.model_validate(one)) == plain(Recipe.model_validate(other))


def test_an_accepted_test_to_follow_needs_no_room_for_context():
    recipe = Recipe(choice=Choice.ACCEPTED, lesson_tokens=200, context_tokens=0, context=())
    assert plain(recipe).examples == 1
    assert plain(recipe).choice is Choice.ACCEPTED


def test_a_digest_tells_recipes_apart():
    recipes = {GENES.recipe(genome) for genome in anywhere(300)}
    assert len({digest(recipe) for recipe in recipes}) == len(recipes)
    assert digest(Recipe()) == digest(Recipe())
