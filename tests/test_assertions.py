"""What an assertion may say, by example."""

from __future__ import annotations

import ast

import pytest

from llm_testgen.assertions import LONGEST_STATEMENT, assertion_of, bound_in, is_pure, is_trivial, restates, uses_up


def expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def function(text: str) -> ast.FunctionDef:
    (node,) = ast.parse(text).body
    assert isinstance(node, ast.FunctionDef)
    return node


@pytest.mark.parametrize(
    "text",
    [
        "x > 0",
        "0 <= x < len(items) <= 10 ** 2",
        "isinstance(x, (int, float)) and not isinstance(x, bool)",
        "all(0 < item.price for item in self.items if item is not None)",
        "sum(abs(part) for part in parts) == max(parts, default=0) - min(parts)",
        "{name: size for name, size in pairs}[x] != [1, 2][-1:]",
        "sorted(set(names), reverse=True) == list(names)",
        "hasattr(x, 'read') or callable(x) or type(x) is str",
        "x if y else z",
        "text[1:3] in {'a', 'b'}",
    ],
)
def test_a_question_about_values_is_pure(text):
    assert is_pure(expression(text))


@pytest.mark.parametrize(
    "text",
    [
        "check(x)",
        "items.pop() == 1",
        "x.is_valid()",
        "(y := x) > 0",
        "[(y := item) for item in items]",
        "(lambda: 1)() == 1",
        "max(items, key=lambda item: item)",
        "x.__class__.__subclasses__()",
        "x.__dict__ == {}",
        "print(x) is None",
        "open('x') is not None",
        "eval('x')",
        "getattr(x, 'y')",
        "f'{x!r}' == 'x'",
        "max(*items) > 0",
        "[*items] == []",
        "all([x async for x in items])",
        "[0 for self.x in items] == []",
        "[0 for items[0] in items] == []",
        "1 << x > 0",
        "10 ** x > 0",
        "10 ** 100 > x",
        "x @ y == z",
        "len(" * 40 + "x" + ")" * 40,
    ],
)
def test_what_runs_other_code_or_changes_something_is_not(text):
    assert not is_pure(expression(text))


@pytest.mark.parametrize("kind", ["await x", "(yield x)", "(yield from x)"])
def test_what_waits_or_gives_is_not(kind):
    (node,) = ast.parse(f"async def f():\n    {kind}" if kind.startswith("a") else f"def f():\n    {kind}").body
    assert not is_pure(node.body[0].value)


@pytest.mark.parametrize(
    ("text", "trivial"),
    [
        ("True", True),
        ("1 < 2", True),
        ("'x'", True),
        ("x == x", True),
        ("a.b is a.b", True),
        ("0 < x <= x", True),
        ("(x, 'message')", True),
        ("[x]", True),
        ("(y for y in x)", True),
        ("len(x) >= 0", True),
        ("abs(x) >= 0", True),
        ("isinstance(x, object)", True),
        ("not True", True),
        ("x > 0 or True", True),
        ("x > 0 and x == x", True),
        ("isinstance(1, int)", True),
        ("x", False),
        ("not x", False),
        ("len(x) > 0", False),
        ("len(x) >= 1", False),
        ("x == y", False),
        ("isinstance(x, int)", False),
        ("x > 0 or y > 0", False),
        ("LIMIT > 0", False),
    ],
)
def test_what_can_be_seen_to_hold_or_to_fail_says_nothing(text, trivial):
    assert is_trivial(expression(text)) is trivial


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("result == x + 1", True),
        ("x + 1 == result", True),
        ("result is x + 1", True),
        ("result > 0 and result == x + 1", True),
        ("result == x + 2", False),
        ("result != x + 1", False),
        ("result > x + 1", False),
        ("other == x + 1", False),
    ],
)
def test_that_a_value_is_what_it_was_set_to_is_no_news(test, said):
    assert restates(expression(test), expression("x + 1"), "result") is said


@pytest.mark.parametrize(
    ("source", "test", "used"),
    [
        ("def f(items): return g(items)", "all(items)", True),
        ("def f(items): return g(items)", "all(item for item in items)", True),
        ("def f(items): return g(items)", "x in items", True),
        ("def f(items): return g(items)", "x not in items", True),
        ("def f(items): return g(items)", "sorted(items) == []", True),
        ("def f(items): return g(items)", "max(items) > 0", True),
        ("def f(items): return g(items)", "sum(a for a, b in zip(items, items))", True),
        ("def f(items: Iterable[int]): return g(items)", "all(items)", True),
        ("def f(items: 'Iterator[int]'): return g(items)", "all(items)", True),
        ("def f(items: Iterable[list]): return g(items)", "all(items)", True),
        ("def f(items):\n    items = g(items)\n    return items", "all(items)", True),
        ("def f(items): return g(items)", "max(items, x) > 0", False),
        ("def f(items): return g(items)", "len(items) > 0 and all(items)", False),
        ("def f(items): return g(items)", "isinstance(items, (list, tuple)) and all(items)", False),
        ("def f(items): return len(items)", "all(items)", False),
        ("def f(items): return items[0]", "all(items)", False),
        ("def f(items): return items.append(1)", "all(items)", False),
        ("def f(items: list[int]): return g(items)", "all(items)", False),
        ("def f(items: 'typing.Sequence[int] | None'): return g(items)", "all(items)", False),
        ("def f(items: dict): return g(items)", "x in items", False),
        ("def f(*items): return g(items)", "all(items)", False),
        ("def f(**items): return g(items)", "x in items", False),
        ("def f(x):\n    items = [x]\n    return g(items)", "all(items)", False),
        ("def f(x):\n    items = sorted(x)\n    return g(items)", "all(items)", False),
        ("def f(x): return x", "all(y for y in range(x))", False),
        ("def f(self): return self", "all(self.items)", False),
        ("def f(items: list): return items", "all(all(row) for row in items)", False),
    ],
)
def test_what_might_be_an_iterator_must_not_be_gone_through(source, test, used):
    assert uses_up(expression(test), function(source)) is used


@pytest.mark.parametrize(
    ("source", "value", "used"),
    [
        ("def f(x): return x", "g(x)", True),
        ("def f(x): return x", "map(g, x)", True),
        ("def f(x) -> Iterator[int]: return x", "g(x)", True),
        ("def f(x) -> list[int]: return x", "g(x)", False),
        ("def f(x): return x", "[y for y in x]", False),
        ("def f(x): return x", "sorted(x)", False),
        ("def f(x): return x", "', '.join(x)", False),
        ("def f(x): return x", "'text'", False),
        ("def f(x: list): return x", "x", False),
    ],
)
def test_nor_must_a_value_that_might_be_one_before_it_is_returned(source, value, used):
    assert uses_up(expression("all(result)"), function(source), "result", expression(value)) is used


@pytest.mark.parametrize(
    "line",
    ["assert x > 0", "assert x, 'too few'", "assert(x > 0)", "assert x > 0 and (y or z)", f"assert x == '{'é' * 9}'"],
)
def test_a_line_that_is_one_assertion_is_taken_for_one(line):
    assert assertion_of(line) is not None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "x > 0",
        "assert check(x)",
        "assert x > 0; y = 1",
        "assert x > 0  # proved",
        "assert x > 0 ",
        " assert x > 0",
        "assert (x >\n 0)",
        "assert x,",
        "assert x, y",
        "assert x, f'{y}'",
        "assert x, str(y)",
        f"assert x, '{'m' * 61}'",
        "assert x == '\u202e'",
        "assert x == 1" + " + 1" * 40,
        "if x: assert x",
        "pass",
    ],
)
def test_anything_else_is_not(line):
    assert assertion_of(line) is None


def test_an_assertion_has_a_longest_length():
    assert assertion_of(f"assert {'x' * (LONGEST_STATEMENT - 7)}") is not None
    assert assertion_of(f"assert {'x' * (LONGEST_STATEMENT - 6)}") is None


def test_names_are_bound_in_many_ways():
    text = (
        "import os.path, a as b\nfrom c import d, e as f\nfrom g import *\ndef h(i, *j, k=1, **l):\n    m = 1\n"
        "class n: pass\nfor o in p: pass\nwith q as r: pass\ntry: pass\nexcept E as s: pass\n"
        "match t:\n    case [u, *v]: pass\n    case w: pass\n(x := 1)\ny: int = 1\nz += 1\n"
    )
    assert bound_in(ast.parse(text)) == set("bdfhijklmnorsuvwxyz") | {"os", "*"}
