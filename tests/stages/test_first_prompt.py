"""The first prompt of the default recipe, byte for byte: recorded replies and their tokens belong to it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.samples import SIZES_HEAD, changed_method, prompt

from llm_testgen.records import MODULE_QUALNAME, Relation
from llm_testgen.records import RelatedMethod as Related
from llm_testgen.source import parse
from llm_testgen.stages.context import Surroundings, build_context
from llm_testgen.stages.goals import goals
from llm_testgen.stages.prompt import Templates, default_templates

GOLDEN = Path(__file__).with_name("first_prompts.json")

RELATED = '''class Base:
    """What a box is."""

    unit = "cm"

    def __init__(self, side, *, label=""):
        self.side = side
        self.label = label

    def open(self) -> bool:
        """Open it."""
        return True


def helper(x):
    return x + 1


def caller(x):
    """Call it.

    At length.
    """
    return Box(x).area()
'''
TESTS = "def test_box(tmp_path, box):\n    assert box.area() == 4\n"
METHODS = {
    entry.method.qualname: entry.method
    for text in (RELATED, TESTS)
    for entry in parse("src/pkg/box.py", text.encode()).definitions
}
RELATIONS = (
    Related(METHODS["caller"], Relation.CALLER),
    Related(METHODS["helper"], Relation.CALLEE),
    Related(METHODS["Base.__init__"], Relation.INIT),
    Related(METHODS["Base"], Relation.BASE),
    Related(METHODS["Base"], Relation.CLASS),
    Related(METHODS["Base.open"], Relation.OVERRIDE),
)
BRANCHES = "def grade(x):\n" + "".join(f"    if x == {n}:\n        return 'n{n}'\n" for n in range(9))
LONG = "def grade(x):\n    if x:\n        return 1\n" + "".join(f"    step_{n}()\n" for n in range(300))


def context(source, qualname, budget=600, *, related=RELATIONS, uncovered=None):
    target = changed_method(source, qualname)
    around = Surroundings(
        "pkg.mod", related, (METHODS["test_box"],), ("box", "tmp_path", "client"), "tests/test_mod.py"
    )
    missing = target.lines if uncovered is None else frozenset(uncovered)
    return replace(build_context(target, around, budget), uncovered=missing, goals=goals(target, missing))


CONTEXTS = {
    "a function with branches": context(SIZES_HEAD, "grade"),
    "a method": context(SIZES_HEAD, "Box.area"),
    "a constructor with one goal": context(SIZES_HEAD, "Box.__init__"),
    "a class": context(SIZES_HEAD, "Box"),
    "a module": context(SIZES_HEAD, MODULE_QUALNAME),
    "some lines only": context(SIZES_HEAD, "grade", uncovered={6, 10}),
    "nothing uncovered": context(SIZES_HEAD, "grade", uncovered=()),
    "no context": context(SIZES_HEAD, "grade", 0, related=()),
    "a small budget": context(SIZES_HEAD, "grade", 40),
    "more goals than tests": context(BRANCHES, "grade"),
    "a long target": context(LONG, "grade", uncovered={3, 200}),
    "bare": prompt().context,
}


def rendered(made):
    return {
        "messages": [[message.role, message.content] for message in made.messages],
        "prefill": made.prefill,
        "attempt": made.attempt,
        "tests": made.tests,
    }


@pytest.mark.parametrize("name", CONTEXTS)
def test_the_first_prompt_is_what_it_was(name):
    made = Templates(default_templates()).first(CONTEXTS[name])
    assert rendered(made) == json.loads(GOLDEN.read_text(encoding="utf-8"))[name]
