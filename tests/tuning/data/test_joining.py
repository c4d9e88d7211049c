from __future__ import annotations

import random

import pytest

from llm_testgen.records import Message
from llm_testgen.tuning.data import contamination
from llm_testgen.tuning.data.card import card
from llm_testgen.tuning.data.contamination import HeldOut
from llm_testgen.tuning.data.examples import UNKNOWN, About, Origin, make_example
from llm_testgen.tuning.data.joining import Limits, join
from llm_testgen.tuning.data.lengths import characters
from llm_testgen.tuning.data.pool import PartReport

CLEAN = HeldOut(frozenset({"click"}), frozenset(), frozenset(), frozenset())
SOURCE = '''def render(self, context, width=80):
    """Write the whole table with its title and all borders to the stream of the context."""
    self.stream.write(context.title.center(width, self.border_character))
    return len(self.columns) * width
'''


def example(project="box", answer="", origin=Origin.MINED, licence="MIT", asked="Test it."):
    answer = answer or " ".join(random.Random(f"{project}{origin}").choices("abcdefghijklmnop", k=40))  # noqa: S311
    return make_example([Message("user", asked)], answer, About(origin=origin, project=project, licence=licence))


def several(project, count, origin=Origin.MINED):
    lot = random.Random(project)  # noqa: S311
    return [example(project, " ".join(lot.choices("abcdefghijklmnop", k=40)), origin) for _ in range(count)]


def joined(examples, what=CLEAN, **limits):
    return join(examples, Limits(**limits), what, characters)


def held_out(text):
    grams, lines = frozenset(contamination._grams(text)), frozenset(contamination._lines(text))
    return HeldOut(frozenset({"click"}), frozenset({"click"}), grams, lines)


def test_equal_and_nearly_equal_answers_are_taken_once():
    words = [str(number) for number in range(100)]
    near = " ".join([*words[:-1], "x"])
    other = " ".join(reversed(words))
    found = joined(
        [example("a", " ".join(words)), example("a", " ".join(words)), example("b", near), example("c", other)]
    )
    assert {one.meta.project for one in found.train + found.validation} == {"a", "c"}
    assert found.left_out == {
        "it is the same as another one": 1,
        "its answer is nearly the same as another one": 1,
    }


def test_of_equal_answers_the_proven_one_is_kept():
    answer = " ".join(map(str, range(50)))
    found = joined([example("alpaca", answer, Origin.INSTRUCTIONS, asked="Do."), example("box", answer)])
    assert [one.meta.project for one in found.train] == ["box"]


def test_licences_that_are_not_known_are_left_out_unless_they_are_allowed():
    examples = [example("a"), example("b", licence=UNKNOWN)]
    assert joined(examples).left_out == {"its licence is not known": 1}
    assert not joined(examples, unknown_licences=True).left_out


def test_long_examples_and_those_beyond_the_limit_of_a_project_are_left_out():
    examples = [*several("a", 5), example("b", "x " * 500)]
    found = joined(examples, length=300, per_project=3)
    assert found.left_out == {"it is too long": 1, "its project has enough others": 2}
    assert len(found.train) == 3


def test_projects_are_in_one_part_each_and_instructions_in_both():
    examples = [one for name in "abcdefghij" for one in several(name, 10)]
    examples += several("alpaca", 40, Origin.INSTRUCTIONS)
    found = joined(examples, validation=0.2)
    mined = [
        {one.meta.project for one in part if one.meta.origin is Origin.MINED}
        for part in (found.train, found.validation)
    ]
    assert not mined[0] & mined[1]
    assert [len(part) for part in mined] == [8, 2]
    assert sum(one.meta.project == "alpaca" for one in found.validation) == 8


def test_a_project_is_the_same_however_its_name_is_written():
    mined, sessions = several("Some.Box", 6), several("some-box", 6, Origin.SESSION)
    found = joined([*mined, *sessions, *several("a", 40)], validation=0.1)
    assert {one.meta.project for one in found.validation} == {"Some.Box", "some-box"}
    assert joined([*mined, *sessions], per_project=7).left_out == {"its project has enough others": 5}


def test_the_smallest_project_is_set_aside_where_all_are_large():
    found = joined([*several("a", 30), *several("b", 12), *several("c", 30)], validation=0.1)
    assert {one.meta.project for one in found.validation} == {"b"}


def test_nothing_is_set_aside_of_one_project_or_where_none_is_wanted():
    assert not joined(several("a", 30), validation=0.1).validation
    assert not joined([*several("a", 30), *several("b", 30)], validation=0).validation


def test_the_seed_tells_the_order():
    examples = [one for name in "abcdef" for one in several(name, 5)]
    assert joined(examples) == joined(list(reversed(examples)))
    assert joined(examples).train != joined(examples, seed=1).train


def test_a_data_set_of_instructions_is_no_project_of_its_name():
    instructions = several("click", 3, Origin.INSTRUCTIONS)
    assert not joined(instructions).left_out
    others = several("some.box", 3, Origin.INSTRUCTIONS) + several("some-box", 3, Origin.SESSION)
    assert not joined(others, per_project=3).left_out


@pytest.mark.parametrize("name", ["click", "Click"])
def test_projects_that_are_measured_on_are_left_out(name):
    assert joined([example(name), example("box")]).left_out == {"its project is one that the benchmark measures on": 1}


def test_what_was_not_there_to_be_compared_with_is_told():
    assert joined([example("box")]).uncompared == ("click",)
    assert joined([example("box")], held_out(SOURCE)).uncompared == ()


def test_thirteen_words_in_a_row_are_too_many():
    what = held_out(SOURCE)
    line = "Write the whole table with its title and all borders to the stream"
    assert what.fault(example(answer=f"x = '{line}'")).startswith("it shares 13 words")
    assert what.fault(example(answer="x", asked=f"Test this: {line}")).startswith("it shares 13 words")
    assert not what.fault(example(answer=line.replace("with", "and")))


def test_runs_of_numbers_are_in_many_tables():
    numbers = ", ".join(map(str, range(20)))
    assert not held_out(f"x = [{numbers}]").fault(example(answer=f"assert f() == [{numbers}]"))


def test_most_of_the_lines_are_too_many():
    what = held_out(SOURCE)
    shared = "return len(self.columns) * width"
    assert what.fault(example(answer=f"{shared}\nassert something == 'else'\n{shared}")).startswith("most of its lines")
    assert not what.fault(example(answer=f"{shared}\nassert something == 'else'"))


def test_the_card_says_what_is_in_the_data_set_and_what_is_not():
    parts = [
        PartReport(name="m", key="k", origin=Origin.MINED, project="a", licence="MIT", examples=4, counts={"tests": 7}),
    ]
    found = joined([*several("a", 4), *several("b", 3), example("c", licence=UNKNOWN)], seed=7, per_project=9)
    text = card(found, parts, Limits(seed=7, per_project=9, length=100), CLEAN, "characters")
    front, _, rest = text.removeprefix("---\n").partition("\n---\n")
    assert 'license: "mit"' in front
    assert "path: train.jsonl" in front
    for said in (
        "| train | 4 |",
        "| a | 4 |",
        "| MIT | 7 |",
        "| its licence is not known | 1 |",
        "| tests | 7 |",
        "with seed 7",
        "none longer than 100 characters",
        "at most 9 of one project",
        "(click)",
        "compared with all pinned releases of none of them; not compared with click, of which not all could be had",
    ):
        assert said in rest
