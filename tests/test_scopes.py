from __future__ import annotations

import ast

import pytest

from llm_testgen.scopes import OWN_MODULE, PARAMETER, Bindings, elements, names_bound


def bindings(code: str) -> Bindings:
    found = Bindings()
    found.add(ast.parse(code), found.root)
    return found


def bound(code: str, name: str) -> list[str]:
    """What the module's scope has for a name, expressions as their text."""
    kept = bindings(code).root.bound.get(name, [])
    return [one if isinstance(one, str) else ast.unparse(one[0]) for one in kept]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("import a.b, c", [("a", "a"), ("c", "c")]),
        ("import a.b as d", [("d", "a.b")]),
        ("from a import b as c, d", [("c", "a.b"), ("d", "a.d")]),
        ("from ..a import b", [("b", "..a.b")]),
        ("from . import b", [("b", "..b")]),
        ("from a import *", [("*", "a.*")]),
        ("def f(): pass", [("f", f"{OWN_MODULE}.f")]),
        ("async def f(): pass", [("f", f"{OWN_MODULE}.f")]),
        ("class C: pass", [("C", f"{OWN_MODULE}.C")]),
        ("x = 1", []),
    ],
)
def test_imports_and_definitions_bind_dotted_names(statement, expected):
    assert list(names_bound(ast.parse(statement).body[0])) == expected


def test_what_is_caught_or_captured_is_given_from_elsewhere():
    assert bound("try: pass\nexcept E as e: pass", "e") == [PARAMETER]
    assert bound("match x:\n    case [1, *rest] as whole: pass", "rest") == [PARAMETER]
    assert bound("match x:\n    case [1, *rest] as whole: pass", "whole") == [PARAMETER]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = y = a", ["a"]),
        ("x = a\nx += b", ["a", "x + b"]),
        ("x: int = a\nx: int", ["a"]),
        ("print(x := a)", ["a"]),
        ("for x in (a, b): pass", ["a", "b"]),
        ("for x in a: pass", ["a"]),
        ("[x for x in [a]]", ["a"]),
        ("with a as x: pass", ["a"]),
        ("x, y = a, b", ["a"]),
        ("y, *x = a, b", ["b"]),
        ("x, y = a", ["a[None]"]),
        ("y.x = a\ny['x'] = a", []),
    ],
)
def test_a_name_is_bound_to_the_expressions_that_are_assigned_to_it(code, expected):
    assert bound(code, "x") == expected


def test_a_scope_finds_the_nearest_that_binds_a_name_and_no_class_around_a_method():
    found = bindings("")
    tree = ast.parse("a = 1\nclass C:\n    a = 2\n    b = 3\n    def f(self, c):\n        a; b; c")
    scopes = {node.id: scope for node, scope in found.add(tree, found.root) if isinstance(node, ast.Name)}
    method = scopes["c"]
    assert method.owner("a") is found.root
    assert method.owner("b") is None
    assert method.owner("c") is method
    assert method.outer is found.root


def test_a_global_or_nonlocal_name_is_kept_with_the_module():
    assert bound("def f():\n    global x\n    x = a", "x") == ["a"]
    assert bound("def f():\n    x = a", "x") == []


def test_star_imports_and_all_string_literals_are_noted():
    found = bindings("from a.b import *\nx = 'one'\ndef f(y='two'): '''three'''")
    assert found.starred == {"a.b"}
    assert found.texts == {"one", "two", "three"}


@pytest.mark.parametrize(("expression", "count"), [("(a, b)", 2), ("[a]", 1), ("{a, b}", 2), ("{a: b}", 0), ("a", 0)])
def test_elements_are_those_of_a_displayed_sequence_or_set(expression, count):
    assert len(elements(ast.parse(expression, mode="eval").body)) == count
