from __future__ import annotations

import asyncio

import pytest
from tests.evolution.synthetic import Asked, methods

from llm_testgen.evolution.comparison import Comparison, compare, remark
from llm_testgen.evolution.score import Gain
from llm_testgen.evolution.written import written
from llm_testgen.recipe import DEFAULT_RECIPE, Kind, Recipe, read_recipe
from llm_testgen.records import Relation

OTHER = Recipe(kind=Kind.COMMENTED, context=(Relation.CALLEE,), temperature=0.2, body_share=0.3)


def comparison(start, found):
    return Comparison(
        tuple(Gain(lines=lines, tokens_out=100) for lines in start),
        tuple(Gain(lines=lines, tokens_out=100) for lines in found),
        0.25,
    )


def test_both_recipes_are_tried_on_each_method():
    asked = Asked()
    result = asyncio.run(compare(DEFAULT_RECIPE, OTHER, methods(2), asked, 0.25))
    assert [recipe for recipe, _ in asked.calls] == [DEFAULT_RECIPE, OTHER] * 2
    assert len(result.start) == len(result.found) == 2


def test_the_winner_is_praised_only_where_it_wins():
    assert "beats the default recipe" in remark(comparison([1, 2], [2, 2]), "the default recipe", same=False)
    assert "better on 1 of 2 methods and worse on 0" in remark(
        comparison([1, 2], [2, 2]), "the default recipe", same=False
    )
    assert "does not beat" in remark(comparison([2, 2], [1, 2]), "the default recipe", same=False)
    assert "does not beat" in remark(comparison([2, 2], [2, 2]), "the default recipe", same=False)
    assert "may be chance" in remark(comparison([2, 2], [2, 2]), "the default recipe", same=False)


def test_a_win_by_a_few_methods_is_not_made_more_of_than_it_is():
    assert "may be chance" in remark(comparison([1, 9, 1], [9, 1, 9]), "the default recipe", same=False)
    assert "chance" not in remark(comparison([1, 1, 1], [2, 2, 2]), "the default recipe", same=False)


def test_the_same_recipe_and_a_spent_budget_are_said():
    assert "no recipe better" in remark(comparison([2], [2]), "the default recipe", same=True)
    assert "not compared" in remark(None, "the default recipe", same=False)


def test_as_many_lines_and_more_faults_noticed_are_said_as_what_they_are():
    one = Comparison((Gain(lines=2, killed=1, tokens_out=10),), (Gain(lines=2, killed=3, tokens_out=10),), 0.25)
    assert one.is_better
    assert "notices more faults" in remark(one, "the default recipe", same=False)


@pytest.mark.parametrize("recipe", [DEFAULT_RECIPE, OTHER, Recipe(templates="../prompts", reply_tokens=300)])
def test_a_written_recipe_is_read_back(tmp_path, recipe):
    path = tmp_path / "recipe.toml"
    path.write_text(written(recipe, ["Found by a\nsearch.", "", '# model = "x"']))
    assert read_recipe(path) == recipe
    assert path.read_text().startswith("# Found by a search.\n#\n# # model")
