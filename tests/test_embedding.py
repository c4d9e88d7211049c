"""Contracts in the text of a definition."""

from __future__ import annotations

import pytest
from tests.samples import changed_method

from llm_testgen.embedding import applied, embed, insertions, is_same_code
from llm_testgen.records import Contract, Method, Spot

SOURCE = '''"""Prices."""


class Shop:
    def reduce(self, prices):
        """Reduce them.

        # No comment.
        """
        # Nothing is free.
        total = 0
        for price in prices:
            # each by one
            total += price - 1
            if total > 9:
                return (
                    total,
                    9,
                )
            elif total:
                self.log(total)
        return total, 0  # as many
'''
REDUCE = changed_method(SOURCE, "Shop.reduce").method


def contract(spot: Spot, line: int, statement: str = "assert total", definition: Method = REDUCE) -> Contract:
    return Contract(definition, spot, line, statement, "result" if spot is Spot.RETURN else "")


def line_of(text: str, source: str = SOURCE) -> int:
    (number,) = [number for number, line in enumerate(source.split("\n"), start=1) if line.strip().startswith(text)]
    return number


def added(*contracts: Contract) -> str:
    """The file with contracts, as only the lines that differ from it, each below the one before it."""
    pieces = insertions(contracts[0].definition, contracts)
    old = SOURCE.split("\n")
    shown = []
    for line in applied(SOURCE, pieces).split("\n"):
        if old and line == old[0]:
            before = old.pop(0)
        else:
            shown.append(f"{before.strip()} | {line}")
    return "\n".join(shown)


def test_a_contract_stands_above_a_statement_and_its_comments():
    assert added(contract(Spot.BEFORE, line_of("total = 0"))) == '""" |         assert total'
    assert added(contract(Spot.BEFORE, line_of("total +="))) == "for price in prices: |             assert total"
    assert added(contract(Spot.BEFORE, line_of("if total"))) == "total += price - 1 |             assert total"


def test_a_contract_stands_below_a_whole_statement():
    assert added(contract(Spot.AFTER, line_of("for"))) == "self.log(total) |         assert total"
    assert added(contract(Spot.AFTER, line_of("total = 0"))) == "total = 0 |         assert total"


def test_what_is_returned_gets_a_name_and_keeps_its_lines_and_comments():
    one = contract(Spot.RETURN, line_of("return total"), "assert result[1] == 0")
    (piece,) = insertions(REDUCE, [one])
    assert piece.before == "        return total, 0  # as many"
    assert piece.text == "        result = total, 0  # as many\n        assert result[1] == 0\n        return result"
    other = contract(Spot.RETURN, line_of("return ("), "assert result[1] == 9")
    (piece,) = insertions(REDUCE, [other])
    assert piece.line - piece.start == 3
    assert piece.text.split("\n") == [
        "                result = (",
        "                    total,",
        "                    9,",
        "                )",
        "                assert result[1] == 9",
        "                return result",
    ]


def test_contracts_of_one_place_are_one_piece_and_those_of_other_places_others():
    last = line_of("return total")
    made = [
        contract(Spot.RETURN, last, "assert result"),
        contract(Spot.BEFORE, last, "assert total >= 0"),
        contract(Spot.RETURN, last, "assert result[0] == total"),
        contract(Spot.BEFORE, line_of("total +="), "assert price"),
    ]
    first, second = insertions(REDUCE, made)
    assert [one.statement for one in first.contracts] == ["assert price"]
    assert [one.statement for one in second.contracts] == [
        "assert total >= 0",
        "assert result",
        "assert result[0] == total",
    ]
    assert second.text.count("return result") == 1
    assert (first.path, first.start, first.line) == (REDUCE.path, line_of("# each"), line_of("# each"))


def test_what_ends_at_the_same_line_ends_from_the_inside():
    made = [contract(Spot.AFTER, line_of("for"), "assert 1"), contract(Spot.AFTER, line_of("self.log"), "assert 2")]
    (piece,) = insertions(REDUCE, made)
    lines = [line.strip() for line in piece.text.split("\n")]
    assert lines == ["self.log(total)", "assert 2", "assert 1"]
    assert [one.statement for one in piece.contracts] == ["assert 2", "assert 1"]


def test_the_line_of_each_contract_is_known():
    made = [
        contract(Spot.BEFORE, line_of("total = 0")),
        contract(Spot.AFTER, line_of("for"), "assert prices"),
        contract(Spot.RETURN, line_of("return total"), "assert result"),
    ]
    found = embed(REDUCE, made)
    lines = applied(SOURCE, insertions(REDUCE, made)).split("\n")
    assert {lines[line - 1].strip(): one for one, line in found.lines.items()} == {one.statement: one for one in made}
    assert found.source in applied(SOURCE, insertions(REDUCE, made))


@pytest.mark.parametrize(
    ("spot", "line", "source"),
    [
        (Spot.BEFORE, 1, "def f(x): return x\n"),
        (Spot.RETURN, 1, "def f(x): return x\n"),
        (Spot.BEFORE, 2, "def f(x):\n    x = 1; y = 2\n    return y\n"),
        (Spot.RETURN, 2, "def f(x):\n    if x: return 1\n    return 2\n"),
        (Spot.RETURN, 2, "def f(x):\n    return x;\n"),
        (Spot.AFTER, 2, "def f(x):\n    g(x);\n"),
        (Spot.RETURN, 2, "def f(x):\n    return\n"),
        (Spot.RETURN, 2, "def f(x):\n    g(x)\n"),
        (Spot.BEFORE, 3, "def f(x):\n    y = [\n        x]\n    return y\n"),
        (Spot.BEFORE, 9, "def f(x):\n    return x\n"),
        (Spot.BEFORE, 4, "def f(x):\n    if x:\n        return 1\n    elif x is None:\n        return 2\n"),
        (Spot.BEFORE, 3, "def f(x):\n    def g():\n        return x\n    return g\n"),
        (Spot.BEFORE, 3, "class f:\n    def g(self):\n        return 1\n"),
    ],
)
def test_where_a_statement_has_no_lines_of_its_own_there_is_no_place(spot, line, source):
    definition = changed_method(source, "f").method
    one = contract(spot, line, definition=definition)
    assert embed(definition, [one]) is None
    assert insertions(definition, [one]) == ()


def test_a_comment_inside_of_a_string_is_none():
    source = 'def f(x):\n    y = """\n    # text"""\n    return y\n'
    definition = changed_method(source, "f").method
    (piece,) = insertions(definition, [contract(Spot.BEFORE, 4, definition=definition)])
    assert (piece.start, piece.text) == (4, "    assert total\n    return y")


def test_a_backslash_at_the_end_of_a_statement_is_no_place():
    source = "def f(x):\n    g(x) \\\n\n    h(x)\n"
    definition = changed_method(source, "f").method
    one = contract(Spot.AFTER, 2, definition=definition)
    assert embed(definition, [one]) is None or is_same_code(source, applied(source, insertions(definition, [one])))


def test_a_decorated_definition_inside_is_a_statement_like_others():
    source = "def f(x):\n    # inner\n    @keep\n    def g():\n        return x\n    return g\n"
    definition = changed_method(source, "f").method
    (piece,) = insertions(definition, [contract(Spot.BEFORE, 3, definition=definition)])
    assert (piece.start, piece.text) == (2, "    assert total\n    # inner")


def mutated(before: str, after: str, one: Contract) -> str | None:
    assert REDUCE.source.count(before) == 1
    source = REDUCE.source.replace(before, after)
    found = embed(REDUCE, [one], source)
    if found is None:
        return None
    line = found.lines[one] - REDUCE.start
    return found.source.split("\n")[line - 1].strip()


@pytest.mark.parametrize(
    ("before", "after", "spot", "at", "above"),
    [
        ("total > 9", "total >= 9", Spot.RETURN, "return total", "result = total, 0  # as many"),
        ("return total, 0", "return None", Spot.RETURN, "return total", "result = None  # as many"),
        ("return total, 0", "pass", Spot.RETURN, "return total", None),
        ("return total, 0", "pass", Spot.BEFORE, "return total", "self.log(total)"),
        ("total = 0", "total = None", Spot.BEFORE, "total = 0", '"""'),
        ("total = 0", "total = None", Spot.AFTER, "total = 0", "total = None"),
        ("(\n                    total,\n                    9,\n                )", "None", Spot.RETURN, "return (", "result = None"),
        ("(\n                    total,\n                    9,\n                )", "None", Spot.BEFORE, "total = 0", '"""'),
        ("(\n                    total,\n                    9,\n                )", "None", Spot.RETURN, "return total", "result = total, 0  # as many"),
        ("for price in prices:\n            # each by one\n            total += price - 1\n", "for price in prices:\n", Spot.BEFORE, "total +=", None),
    ],
)  # fmt: skip
def test_in_a_mutant_a_contract_stands_at_the_same_statement(before, after, spot, at, above):
    assert mutated(before, after, contract(spot, line_of(at))) == above


def test_lines_end_as_they_did():
    source = SOURCE.replace("\n", "\r\n")
    made = applied(source, insertions(REDUCE, [contract(Spot.BEFORE, line_of("total = 0"))]))
    assert made.count("\r\n") == made.count("\n") == source.count("\n") + 1


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("x = 1\n", "assert x\nx = 1\n", True),
        ("def f():\n    return 1\n", "def f():\n    a = 1\n    assert a\n    return a\n", True),
        ("def f():\n    return 1\n", "def f():\n    a = 1\n    return a\n", True),
        ("def f():\n    return 1\n", "def f():\n    a = 1\n    return b\n", False),
        ("def f():\n    return 1\n", "def f():\n    a = 2\n    assert a\n    return a\n", False),
        ("def f():\n    return 1\n", "def f():\n    a: int = 1\n    return a\n", False),
        ("x = 1\n", "x = 1\ny = 2\n", False),
        ("x = 1\n", "assert x\n", False),
        ("x = 1\n", "x = 2\n", False),
        ("x = 1\n", "x = \n", False),
        ("x = '''\n'''\n", "x = '''\nassert x\n'''\n", False),
        ("def f():\n    pass\n", "def f():\n    assert f\n", True),
        ("x = " + "(" * 150 + "1" + ")" * 150, "x = 1", True),
    ],
)
def test_code_is_the_same_but_for_assertions_and_named_values(before, after, same):
    assert is_same_code(before, after) is same
