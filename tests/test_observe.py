from __future__ import annotations

import ast
import sys
import types

import pytest
from tests.samples import changed_method, reply

from llm_testgen import observe
from llm_testgen.observe import Probe, amplify, asserts_nothing, is_silent, probe, value_at, with_observed
from llm_testgen.records import Candidate, Ending, Observation, Run

MODULE = """
import itertools

calls = itertools.count()

def double(x):
    if x < 0:
        raise ValueError("less than nothing")
    return 2 * x

def third(x):
    return x / 3

def upto(n):
    yield from range(n)

def thing():
    return object()

def tag(x):
    return f"<{x}>"

def number():
    return next(calls)

def fill(items):
    items.append(1)

class Pair:
    def __init__(self, one, other):
        self.one = one
        self.other = other

    def __repr__(self):
        return f"Pair({self.one}, {self.other})"

class Sum:
    def __init__(self):
        self.total = 0
        self._last = None

    def add(self, x):
        self.total += x
        self._last = x
"""
HEAD = "import pytest\nfrom pkg.mod import Pair, Sum, double, fill, number, tag, thing, third, upto\n\n\n"


@pytest.fixture(autouse=True)
def module(monkeypatch):
    made = types.ModuleType("pkg.mod")
    exec(MODULE, vars(made))  # noqa: S102 - a module of this file's own
    monkeypatch.setitem(sys.modules, "pkg", types.ModuleType("pkg"))
    monkeypatch.setitem(sys.modules, "pkg.mod", made)


def expression(value: object) -> str:
    try:
        return repr(value) if ast.literal_eval(repr(value)) == value else ""
    except (SyntaxError, ValueError):
        return ""


def run(probe: Probe) -> Run:
    """What a runner gives: it provides the builtin, and runs a test once for each of its parameters."""
    seen: list[Observation] = []

    def report(key: int, value: object) -> None:
        text = expression(value)
        seen.append(Observation(key, type(value).__name__, text, (), approximate="." in text and "'" not in text))

    space = {observe.OBSERVE: report}
    exec(compile(probe.code, "test_it.py", "exec"), space)  # noqa: S102 - what a runner does
    test = space["test_it"]
    rows = [{}]
    for mark in getattr(test, "pytestmark", ()):
        names = [name.strip() for name in mark.args[0].split(",")]
        rows = [dict(zip(names, row if len(names) > 1 else [row], strict=True)) for row in mark.args[1]]
    ending = Ending.PASSED
    for row in rows:
        try:
            test(**row)
        except Exception:  # noqa: BLE001 - whatever a test raises
            ending = Ending.FAILED
    return Run(ending, observed=tuple(seen))


def candidate(test: str, target=None, *, decorators: str = "", arguments: str = "") -> Candidate:
    body = "\n".join(f"    {line}" for line in test.split("\n"))
    code = f"{HEAD}{decorators}def test_it({arguments}):\n{body}\n"
    return Candidate(reply(code, target), "test_it", code)


def observed(test: str, *, decorators: str = "", arguments: str = "") -> Candidate | None:
    made = candidate(test, decorators=decorators, arguments=arguments)
    probing = probe(made)
    assert probing is not None
    return with_observed(made, probing, run(probing), run(probing))


def amplified(test: str, target=None) -> Candidate | None:
    made = candidate(test, target)
    probing = probe(made, amplifying=True)
    return amplify(made, probing, run(probing), run(probing)) if probing else None


def body(made: Candidate | None) -> str:
    assert made is not None
    lines = made.code.partition("):\n")[2].rstrip("\n").split("\n")
    return "\n".join(line.removeprefix("    ") for line in lines)


@pytest.mark.parametrize(
    ("test", "mended"),
    [
        ("assert double(2) == 5", "assert double(2) == 4"),
        ("assert 5 == double(2)", "assert double(2) == 4"),
        ("assert double(2) == 5, 'twice two'", "assert double(2) == 4"),
        ("assert double(2) == 5  # twice two", "assert double(2) == 4"),
        ("assert double(2) is None", "assert double(2) == 4"),
        ("assert double(0)", "assert double(0) == 0"),
        ("assert not tag(0)", "assert tag(0) == '<0>'"),
        ("assert fill([]) is not None", "assert fill([]) is None"),
        ("assert (double(2) > 3) == False", "assert (double(2) > 3) is True"),
        ("assert 'x' in tag(1)", "assert tag(1) == '<1>'"),
        ("assert double(1) in (3, 4)", "assert double(1) == 2"),
        ("assert len(tag(1)) > 3", "assert len(tag(1)) == 3"),
        ("assert third(1) == 0.3", "assert third(1) == pytest.approx(0.3333333333333333)"),
        ("self.assertEqual(double(2), 5)", "assert double(2) == 4"),
        ("self.assertTrue(double(0))", "assert double(0) == 0"),
        ("assert double(\n    2\n) == 5", "assert double(2) == 4"),
        ("x = double(2)\nassert x == 5", "x = double(2)\nassert x == 4"),
        ("expected = 5\nassert double(2) == expected", "expected = 4\nassert double(2) == expected"),
        (
            "e = 5\nassert double(2) == e\ne = 7\nassert double(3) == e",
            "e = 4\nassert double(2) == e\ne = 6\nassert double(3) == e",
        ),
        ("if double(1):\n    e = 5\nassert double(2) == e", "if double(1):\n    e = 5\nassert double(2) == 4"),
        (
            "e = [2, 1]\nassert sorted(upto(2)) == sorted(e)",
            "e = [0, 1]\nassert sorted(upto(2)) == sorted(e)",
        ),
        (
            "e = 5\nassert double(2) == e\nassert double(e) == 10",
            "e = 5\nassert double(2) == 4\nassert double(e) == 10",
        ),
        ("assert double(1) == 3 and double(2) == 4", "assert double(1) == 2\nassert double(2) == 4"),
        ("with pytest.raises(ValueError):\n    double(2)", "assert double(2) == 4"),
        ("with pytest.raises(ValueError):\n    x = 2\n    double(x)", "x = 2\nassert double(x) == 4"),
        (
            "with pytest.raises(ValueError) as e:\n    double(2)\nassert str(e.value) == 'no'",
            "assert double(2) == 4",
        ),
        (
            "with pytest.raises(ValueError) as e:\n    double(-2)\nassert str(e.value) == 'no'",
            "with pytest.raises(ValueError) as e:\n    double(-2)\nassert str(e.value) == 'less than nothing'",
        ),
        (
            "for x, y in [(1, 2), (2, 5)]:\n    assert double(x) == y",
            "for x, y in [(1, 2), (2, 4)]:\n    assert double(x) == y",
        ),
        ("items = []\nfill(items)\nassert items == [2]", "items = []\nfill(items)\nassert items == [1]"),
    ],
)
def test_an_expected_value_that_is_wrong_is_taken_from_the_run(test, mended):
    made = observed(test)
    assert body(made) == mended
    assert made is not None
    assert len(made.observed) >= 1
    assert "taken from a run" in made.repairs[0]


def test_what_was_taken_stands_on_the_candidate():
    made = observed("assert double(2) == 5\nassert tag(2) == 'x'")
    assert made is not None
    assert made.observed == ("4", "'<2>'")
    assert made.repairs == (
        "expected value of `double(2)` taken from a run: 4",
        "expected value of `tag(2)` taken from a run: '<2>'",
    )


def test_what_the_model_expected_rightly_stays_as_it_wrote_it():
    assert body(observed("assert double(2) ==  4  # right\nassert double(3) == 7")) == (
        "assert double(2) ==  4  # right\nassert double(3) == 6"
    )


def test_nothing_is_changed_where_all_holds():
    assert observed("assert double(2) == 4\nwith pytest.raises(ValueError):\n    double(-1)") is None


def test_entries_of_a_table_of_parameters_are_taken_from_the_run():
    mark = '@pytest.mark.parametrize("x, y", [(1, 2), (2, 5)])\n'
    made = observed("assert double(x) == y", decorators=mark, arguments="x, y")
    assert made is not None
    assert "[(1, 2), (2, 4)]" in made.code
    assert made.repairs == ("a value of `double(x)` taken from a run: 4 for 5",)


@pytest.mark.parametrize(
    ("test", "mended"),
    [
        ("assert thing() == 1\nassert double(1) == 2", "assert double(1) == 2"),
        ("assert number() == -1\nassert double(1) == 2", "assert double(1) == 2"),
        ("assert isinstance(double(1), str)\nassert double(1) == 2", "assert double(1) == 2"),
        ("assert double(1) != 2\nassert double(1) == 2", "assert double(1) == 2"),
        ("assert double(1) == double(2)\nassert double(1) == 2", "assert double(1) == 2"),
    ],
)
def test_what_fails_and_cannot_be_expected_is_dropped_where_more_is_asserted(test, mended):
    made = observed(test)
    assert body(made) == mended
    assert made is not None
    assert made.observed == ()
    assert made.repairs[0].startswith("dropped the failing")


@pytest.mark.parametrize(
    "test",
    [
        "assert thing() == 1",
        "assert number() == -1",
        "assert double(1) == double(2)",
        "assert double(-1) == 2",
        "for x in (1, 2):\n    assert double(x) == 5",
        "with pytest.raises(KeyError):\n    double(-1)",
        f"assert double('{'x' * 300}') == 5",
    ],
)
def test_a_test_that_would_assert_nothing_is_left(test):
    assert observed(test) is None


def test_what_comes_one_by_one_is_compared_as_a_whole():
    made = observed("assert upto(2) == [0, 1]")
    assert body(made) == "assert list(upto(2)) == [0, 1]"
    assert made is not None
    assert made.observed == ()


def test_a_value_that_cannot_be_written_down_is_known_by_its_own_text():
    made = observed("assert Pair(1, 2) == Pair(1, 3)\nassert Pair(0, 0) is None")
    assert made is not None
    assert "    assert repr(Pair(0, 0)) == 'Pair(0, 0)'\n" in made.code
    assert body(amplified("x = Pair(1, double(1))\ny = thing()")) == (
        "x = Pair(1, double(1))\ny = thing()\nassert repr(x) == 'Pair(1, 2)'"
    )


def test_of_two_sides_of_the_code_under_test_the_one_that_calls_the_target_is_the_value():
    assert body(observed("assert double(2) == third(3)")) == "assert double(2) == 4"


def test_floating_point_numbers_are_compared_with_a_tolerance():
    assert (
        body(observed("assert [third(1), 1] == []")) == "assert [third(1), 1] == pytest.approx([0.3333333333333333, 1])"
    )


def test_nested_floating_point_numbers_cannot_be_expected():
    assert observed("assert [[third(1)]] == []") is None


def test_imports_that_an_expected_value_needs_are_added():
    made = candidate("assert double(2) == 5")
    value = Observation(0, "Decimal", "Decimal('4')", ("from decimal import Decimal",))
    seen = Run(Ending.PASSED, observed=(value, Observation(1, "bool", "False")))
    probing = probe(made)
    assert probing is not None
    mended = with_observed(made, probing, seen, seen)
    assert mended is not None
    assert mended.code.startswith("from decimal import Decimal\n")
    assert "assert double(2) == Decimal('4')" in mended.code


def test_values_that_differ_between_the_runs_are_not_taken():
    made = candidate("assert double(2) == 5")
    probing = probe(made)
    assert probing is not None
    first, second = (
        Run(Ending.PASSED, observed=(Observation(0, "int", text), Observation(1, "bool", "False"))) for text in "46"
    )
    assert with_observed(made, probing, first, second) is None


@pytest.mark.parametrize("code", ["def test_it(:\n", "x = 1\n", "def test_it():\n    double(1)\n"])
def test_without_an_assertion_there_is_nothing_to_probe(code):
    assert probe(Candidate(reply(code), "test_it", code)) is None


def test_a_probe_goes_on_after_what_fails_and_computes_each_value_once():
    made = candidate("assert number() == number()\nassert number() == 5\nassert thing().x == 1\nassert tag(1) == ''")
    probing = probe(made)
    assert probing is not None
    seen = run(probing)
    assert seen.ending is Ending.PASSED
    assert [one.expression for one in seen.observed if one.key % 3 == 0] == ["2", "'<1>'"]


def test_the_value_at_a_line_of_the_test_can_be_asked_for():
    made = candidate("assert double(1) == 2\nassert double(\n    2\n) == 5")
    probing = probe(made)
    assert probing is not None
    first = made.code.count("\n", 0, made.code.index("assert double(1)")) + 1
    seen = run(probing)
    assert [value_at(probing, seen, first + after) for after in range(5)] == ["2", "4", "4", "4", ""]


@pytest.mark.parametrize(
    ("test", "mended"),
    [
        ("double(3)", "assert double(3) == 6"),
        ("x = double(3)", "x = double(3)\nassert x == 6"),
        ("x = double(3)\nassert x is not None", "x = double(3)\nassert x == 6"),
        ("x = double(3)\nassert isinstance(x, int)", "x = double(3)\nassert isinstance(x, int)\nassert x == 6"),
        ("x = third(1)", "x = third(1)\nassert x == pytest.approx(0.3333333333333333)"),
        ("with open('/dev/null'):\n    x = double(1)", "with open('/dev/null'):\n    x = double(1)\nassert x == 2"),
        ("x = fill([])", "x = fill([])\nassert x is None"),
        ("x = thing()\ny = fill([])\nz = double(2)", "x = thing()\ny = fill([])\nz = double(2)\nassert z == 4"),
    ],
)
def test_values_that_a_test_only_computes_are_asserted(test, mended):
    made = amplified(test)
    assert body(made) == mended
    assert made is not None
    assert len(made.observed) == 1


def test_what_the_method_under_test_sets_is_asserted():
    target = changed_method(
        "class Sum:\n    def add(self, x):\n        self.total += x\n        self._last = x\n", "Sum.add"
    )
    assert (
        body(amplified("total = Sum()\ntotal.add(3)", target)) == "total = Sum()\ntotal.add(3)\nassert total.total == 3"
    )


@pytest.mark.parametrize("test", ["thing()", "x = len('abc')", "fill([])", "x = number()", "pass"])
def test_a_test_without_a_value_that_could_be_asserted_is_left(test):
    assert amplified(test) is None


def test_a_probe_of_one_kind_is_not_read_as_the_other():
    made = candidate("x = double(1)\nassert x == 3")
    seen = Run(Ending.PASSED)
    assert amplify(made, Probe(made), seen, seen) is None
    assert with_observed(made, Probe(made, amplifying=True), seen, seen) is None


@pytest.mark.parametrize(
    ("test", "silent"),
    [
        ("double(1)", True),
        ("assert True", True),
        ("x = double(1)\nassert x is not None", True),
        ("assert isinstance(double(1), int)", True),
        ("assert double(1) == 2", False),
        ("assert double(1)", False),
        ("with pytest.raises(ValueError):\n    double(-1)", False),
    ],
)
def test_a_test_is_silent_that_would_pass_with_nearly_any_value(test, silent):
    assert is_silent(candidate(test)) is silent


def test_an_assertion_in_a_helper_is_one():
    code = "def check(x):\n    assert x\n\ndef test_it():\n    check(1)\n"
    assert not asserts_nothing(Candidate(reply(code), "test_it", code))
    assert asserts_nothing(candidate("double(1)"))
