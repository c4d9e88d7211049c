from __future__ import annotations

import asyncio
import itertools
import random
import sys
from dataclasses import replace

import pytest
from tests.evolution.synthetic import PLAN, Asked, Heard, evolve, gain, methods

from llm_testgen.errors import ModelError, UsageError
from llm_testgen.evolution.breeding import Breeder
from llm_testgen.evolution.generations import Evolution, TokensSpentError
from llm_testgen.evolution.genome import Genes
from llm_testgen.evolution.score import Gain, score, total
from llm_testgen.evolution.store import TrialStore, key_of
from llm_testgen.recipe import DEFAULT_RECIPE


def remembering(store: TrialStore, attempt: Asked):
    """As a trial does it: what is in the store is not asked again."""

    async def answer(recipe, target):
        key = key_of(recipe.model_dump_json(), target.id)
        known = store.recall(key)
        if known is None:
            known = await attempt(recipe, target)
            store.remember(key, known, recipe="0", target=target.id)
        return known

    return answer


def test_the_search_finds_a_better_recipe():
    found = asyncio.run(evolve(Asked()))
    assert score(found.gain, 0.25) > score(found.start, 0.25)
    assert found.recipe != DEFAULT_RECIPE
    assert found.gain == total(gain(found.recipe, target) for target in methods(4))


def test_the_best_never_gets_worse_and_the_average_gets_better():
    heard = Heard()
    asyncio.run(evolve(Asked(), replace(PLAN, generations=8), heard=heard))
    best = [summary.best for summary in heard.summaries]
    assert best == sorted(best)
    assert heard.summaries[-1].mean > heard.summaries[0].mean
    assert [summary.number for summary in heard.summaries] == list(range(1, 9))


def test_the_same_seed_finds_the_same_whatever_else_draws_by_lot():
    random.seed(1)
    one = asyncio.run(evolve(Asked()))
    random.seed(2)
    before = random.getstate()
    assert asyncio.run(evolve(Asked())) == one
    assert random.getstate() == before
    assert asyncio.run(evolve(Asked(), replace(PLAN, seed=4))) != one


def test_how_many_are_asked_at_once_changes_nothing():
    waits = itertools.cycle([0.002, 0, 0.001])

    async def slowly(recipe, target):
        await asyncio.sleep(next(waits))
        return gain(recipe, target)

    assert asyncio.run(evolve(slowly, replace(PLAN, at_once=4))) == asyncio.run(evolve(Asked()))


def test_no_recipe_is_tried_twice_on_a_method():
    asked = Asked()
    asyncio.run(evolve(asked))
    assert len(asked.calls) == len({(recipe.model_dump_json(), target) for recipe, target in asked.calls})


def test_the_recipe_to_set_out_from_is_tried_first():
    asked = Asked()
    asyncio.run(evolve(asked))
    assert asked.calls[0][0] == DEFAULT_RECIPE


@pytest.mark.parametrize("point", [0, 5, 40, 60])
def test_an_interrupted_search_goes_on_and_comes_to_the_same(tmp_path, point):
    whole = Asked()
    expected = asyncio.run(evolve(whole))
    store = TrialStore(tmp_path / "evolve.jsonl")
    first = Asked(fails_at=point)
    with pytest.raises(ExceptionGroup):
        asyncio.run(evolve(remembering(store, first)))
    second = Asked()
    again = TrialStore(tmp_path / "evolve.jsonl")
    assert again.known == point
    assert asyncio.run(evolve(remembering(again, second))) == expected
    assert len(first.calls) + len(second.calls) == len(whole.calls)


def test_a_search_that_is_over_is_answered_from_the_store_alone(tmp_path):
    expected = asyncio.run(evolve(remembering(TrialStore(tmp_path / "s.jsonl"), Asked())))
    nobody = Asked(fails_at=0)
    assert asyncio.run(evolve(remembering(TrialStore(tmp_path / "s.jsonl"), nobody))) == expected


def test_recipes_that_cannot_win_any_more_are_given_up_and_never_chosen():
    heard = Heard()
    asked = Asked()
    found = asyncio.run(evolve(asked, replace(PLAN, generations=8), methods(8), heard))
    given_up = sum(summary.given_up for summary in heard.summaries)
    tried = sum(summary.tried for summary in heard.summaries)
    assert heard.summaries[0].given_up == 0
    assert 0 < given_up < tried
    assert len(asked.calls) < tried * 8
    assert sum(recipe == found.recipe for recipe, _ in asked.calls) == 8


def test_the_budget_ends_the_search_and_keeps_what_the_comparison_takes():
    found = asyncio.run(evolve(Asked(), replace(PLAN, max_tokens=60_000, kept=4)))
    assert found.note == "the tokens were spent before all generations were tried"
    assert found.tokens <= 60_000
    assert 1 <= len(found.generations) < PLAN.generations


def test_an_attempt_that_the_budget_does_not_allow_ends_the_search_too():
    found = asyncio.run(evolve(Asked(fails_at=40, error=TokensSpentError())))
    assert len(found.generations) == 1
    assert "tokens were spent" in found.note


def test_a_budget_for_less_than_one_generation_is_an_error():
    with pytest.raises(UsageError, match=r"tokens were spent before one generation was tried.* up to 32 prompts"):
        asyncio.run(evolve(Asked(), replace(PLAN, max_tokens=5_000)))


def test_the_deadline_ends_the_search():
    async def slowly(recipe, target):
        await asyncio.sleep(0.001)
        return gain(recipe, target)

    found = asyncio.run(evolve(slowly, replace(PLAN, generations=500, deadline=0.4)))
    assert "deadline passed" in found.note
    assert found.generations


def test_a_fault_of_the_model_ends_it_and_what_was_begun_is_ended_first():
    done = []
    error = ModelError("the server died")

    async def failing(recipe, target):
        number = len(done)
        done.append(recipe)
        await asyncio.sleep(0.01)
        if number == 1:
            raise error
        done.append("ended")
        return gain(recipe, target)

    with pytest.raises(ModelError, match="the server died"):
        asyncio.run(evolve(failing, replace(PLAN, at_once=3)))
    assert done.count("ended") == 2
    assert len(done) == 5


def test_a_model_that_brings_nothing_leaves_the_recipe_that_it_set_out_from():
    found = asyncio.run(evolve(Asked(lambda *_: Gain(tokens_in=10, tokens_out=10))))
    assert found.recipe == DEFAULT_RECIPE


def test_a_space_with_nothing_new_in_it_ends_the_search():
    genes = Genes(DEFAULT_RECIPE)
    genes.all = tuple(gene for gene in genes.all if gene.field == "goals")
    search = Evolution(genes, Asked(), PLAN, Heard())
    found = asyncio.run(search.run(methods(3)))
    assert found.note == "there was no recipe left that had not been tried"


def test_children_differ_from_generation_to_generation_and_are_new():
    breeder = Breeder((5,) * 12, 0)
    parents = [(genome, (1.0, 0)) for genome in breeder.first((0,) * 12, 6, lambda _: True)]
    known = {genome for genome, _ in parents}
    second = breeder.children(parents, 6, 2, lambda genome: genome not in known)
    assert len(second) == 6
    assert not known & set(second)
    assert second != breeder.children(parents, 6, 3, lambda genome: genome not in known)
    assert all(0 <= value < 5 for genome in second for value in genome)


def test_better_parents_are_chosen_more_often():
    breeder = Breeder((2,) * 30, 0)
    good, bad = (1,) * 30, (0,) * 30
    children = breeder.children([(good, (9.0, 0)), (bad, (1.0, 0))], 200, 1, lambda _: True)
    assert sum(map(sum, children)) > 0.6 * 200 * 30


def test_without_deap_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "deap", None)
    monkeypatch.delitem(sys.modules, "llm_testgen.evolution.breeding")
    with pytest.raises(UsageError, match=r"pip install 'llm-testgen\[evolve\]'"):
        __import__("llm_testgen.evolution.breeding")
