from __future__ import annotations

import re

import pytest
from tests.samples import changed_method

from llm_testgen.recipe import Choice, Recipe
from llm_testgen.records import Detail, Method, MethodKind, RelatedMethod, Relation
from llm_testgen.source import parse
from llm_testgen.stages.context import Surroundings, build_context, class_outline, import_line

SOURCE = '''
class Box(Base):
    """A box."""

    side: int = 3
    kinds = ("a", "b")

    def __init__(self, side):
        self.side = side

    @property
    def area(self) -> int:
        """Area of a side."""
        return self.side ** 2


def helper(x, *, deep=False):
    """Help.

    At length.
    """
    return x


def long():
''' + "".join(f"    step_{number}()\n" for number in range(60))

METHODS = {entry.method.qualname: entry.method for entry in parse("src/pkg/box.py", SOURCE.encode()).definitions}
TARGET = changed_method()


def related(qualname: str, relation: Relation = Relation.CALLEE) -> RelatedMethod:
    return RelatedMethod(METHODS[qualname], relation)


def context(*entries: RelatedMethod, budget: int = 1000, tests=()):
    around = Surroundings("pkg.mod", entries, tests, ("client",), "tests/test_mod.py")
    return build_context(TARGET, around, budget)


def test_a_short_callee_is_shown_whole():
    (item,) = context(related("helper")).items
    assert item.detail is Detail.BODY
    assert item.text == METHODS["helper"].source


def test_a_method_is_moved_to_the_left_margin():
    (item,) = context(related("Box.__init__", Relation.INIT)).items
    assert item.text == "def __init__(self, side):\n    self.side = side"


def test_a_long_body_gives_way_to_its_signature():
    (item,) = context(related("long")).items
    assert (item.detail, item.text) == (Detail.SIGNATURE, "def long(): ...")


def test_a_signature_carries_the_first_line_of_its_docstring():
    (item,) = context(related("helper", Relation.CALLER)).items
    assert item.text == "def helper(x, *, deep=False): ...  # Help."


def test_a_class_is_outlined_by_its_attributes_and_signatures():
    assert class_outline(METHODS["Box"]) == (
        "class Box(Base):\n    side: int = 3\n    kinds = ('a', 'b')\n    def __init__(self, side): ...\n"
        "    @property\n    def area(self) -> int: ..."
    )


def test_the_most_telling_comes_first():
    entries = (related("long", Relation.CALLER), related("helper"), related("Box.__init__", Relation.INIT))
    relations = [item.related.relation for item in context(*entries).items]
    assert relations == [Relation.INIT, Relation.CALLEE, Relation.CALLER]


@pytest.mark.parametrize("budget", [0, 5, 20, 40, 80, 200])
def test_items_and_example_stay_within_the_budget(budget):
    made = context(related("helper"), related("Box"), related("long"), budget=budget, tests=(METHODS["helper"],))
    texts = [made.example, *(item.text for item in made.items)]
    assert sum(-(-len(text) // 3) for text in texts) <= budget


def test_no_budget_means_no_context():
    made = context(related("helper"), budget=0, tests=(METHODS["helper"],))
    assert made.items == ()
    assert made.example == ""


def test_the_nearest_test_that_is_short_enough_is_the_example():
    assert context(tests=(METHODS["long"], METHODS["helper"])).example == METHODS["helper"].source


def test_what_the_index_knows_is_passed_on():
    made = context()
    assert (made.module, made.test_path, made.fixtures) == ("pkg.mod", "tests/test_mod.py", ())


def test_only_fixtures_that_the_example_requests_are_passed_on():
    (test,) = (
        entry.method
        for entry in parse("tests/test_mod.py", b"def test_it(client):\n    assert client\n").definitions
        if entry.method.qualname == "test_it"
    )
    assert context(tests=(test,)).fixtures == ("client",)


@pytest.mark.parametrize(
    ("source", "qualname", "module", "expected"),
    [
        ("def f():\n    return 1\n", "f", "pkg.mod", "from pkg.mod import f"),
        (
            "class A:\n    class B:\n        def f(self):\n            return 1\n",
            "A.B.f",
            "pkg.mod",
            "from pkg.mod import A",
        ),
        ("x = 1\n", "<module>", "pkg.mod", "from pkg import mod"),
        ("x = 1\n", "<module>", "mod", "import mod"),
    ],
)
def test_the_import_line_binds_what_a_test_can_call(source, qualname, module, expected):
    assert import_line(changed_method(source, qualname), module) == expected


def near(name: str, lines: int) -> Method:
    source = f"def {name}():\n" + "    assert step()\n" * lines
    return Method("tests/test_mod.py", name, MethodKind.FUNCTION, 1, lines + 1, f"def {name}()", "", source.rstrip())


def example_of(recipe: Recipe, budget: int = 1000):
    tests = (near("test_a", 3), near("test_b", 1), near("test_c", 2))
    return build_context(TARGET, Surroundings("pkg.mod", (), tests, (), "tests/test_mod.py"), budget, recipe).example


@pytest.mark.parametrize(
    ("recipe", "names"),
    [
        (Recipe(), ["test_a"]),
        (Recipe(examples=0), []),
        (Recipe(examples=2), ["test_a", "test_b"]),
        (Recipe(examples=2, choice=Choice.SHORTEST), ["test_b", "test_c"]),
        (Recipe(examples=3, example_share=0.03), ["test_a"]),
        (Recipe(examples=3, example_share=0), []),
    ],
)
def test_a_recipe_chooses_the_examples(recipe, names):
    assert re.findall(r"test_\w", example_of(recipe)) == names


def test_a_recipe_chooses_which_related_code_is_shown():
    entries = (related("helper"), related("Box", Relation.CLASS), related("long", Relation.CALLER))
    around = Surroundings("pkg.mod", entries, (), (), "tests/test_mod.py")
    made = build_context(TARGET, around, 1000, Recipe(context=(Relation.CALLEE, Relation.CALLER)))
    assert [item.related.relation for item in made.items] == [Relation.CALLEE, Relation.CALLER]


def test_a_recipe_without_bodies_shows_signatures():
    around = Surroundings("pkg.mod", (related("helper"),), (), (), "tests/test_mod.py")
    (item,) = build_context(TARGET, around, 1000, Recipe(body_share=0)).items
    assert item.detail is Detail.SIGNATURE
