from __future__ import annotations

import textwrap

import pytest

from llm_testgen.records import MethodKind
from llm_testgen.source import parse
from llm_testgen.tuning.data.plain import PlainTest, plain_tests
from llm_testgen.tuning.data.style import double_quoted
from llm_testgen.tuning.data.suite import Suite, UnfitError

PATH = "tests/test_box.py"


def made_of(text: str, name: str = "") -> tuple[PlainTest, ...]:
    """The plain tests of the last test of a file, or of one by its name."""
    text = textwrap.dedent(text)
    suite = Suite.read(PATH, text)
    assert suite is not None
    tests = [
        one.method
        for one in parse(PATH, text.encode()).definitions
        if one.method.name.startswith("test") and one.method.kind in {MethodKind.FUNCTION, MethodKind.METHOD}
    ]
    return plain_tests(next(test for test in reversed(tests) if not name or test.name == name), suite)


def codes(text: str) -> list[str]:
    return [plain.code for plain in made_of(text)]


def body(text: str) -> str:
    (code,) = codes(text)
    return textwrap.dedent(code.partition("\n")[2])


def test_a_method_of_unittest_becomes_a_function_with_plain_assertions():
    (code,) = codes("""
        class BoxTests(TestCase):
            def test_area(self):
                '''It is the square.'''
                self.assertEqual(Box(3).area(), 9)
        """)
    assert code == "def test_area():\n    assert Box(3).area() == 9"


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("self.assertTrue(f(1))", "assert f(1)"),
        ("self.assertIsNone(f(1))", "assert f(1) is None"),
        ("self.assertEqual(f(1), None)", "assert f(1) is None"),
        ("self.assertIn(1, f(1))", "assert 1 in f(1)"),
        ("self.assertRaises(ValueError, f, 1, key=2)", "with pytest.raises(ValueError):\n    f(1, key=2)"),
        ("self.assertRaises(ValueError, lambda: list(f(1)))", "with pytest.raises(ValueError):\n    list(f(1))"),
        (
            "self.assertRaisesRegex(ValueError, 'less', f, 1)",
            'with pytest.raises(ValueError, match="less"):\n    f(1)',
        ),
        ("assert f(1) == 2, 'why'", "assert f(1) == 2"),
        ("assert [1, 2] == f(1)", "assert f(1) == [1, 2]"),
        ("assert [1, 2] == [1, 2]", "assert [1, 2] == [1, 2]"),
    ],
)
def test_ways_of_asserting_become_pytests(line, plain):
    assert body(f"class Tests(TestCase):\n    def test_f(self):\n        {line}\n") == plain


def test_what_was_raised_is_read_as_pytest_gives_it():
    whole, first = codes("""
        class Tests(TestCase):
            def test_f(self):
                with self.assertRaises(ValueError) as caught:
                    f(1)
                self.assertEqual(str(caught.exception), "no")
        """)
    assert first == "def test_f():\n    with pytest.raises(ValueError) as caught:\n        f(1)"
    assert whole == f'{first}\n    assert str(caught.value) == "no"'


def test_each_row_of_a_parametrised_test_is_a_test():
    assert codes("""
        ROWS = [pytest.param((2,), "2", id="two"), ([1, True], None), pytest.param([3], "3", marks=pytest.mark.xfail)]

        @pytest.mark.parametrize("args, expected", ROWS)
        def test_f(args: list[int], expected: str) -> None:
            assert f(*args) == expected
        """) == ['def test_f():\n    assert f(2) == "2"', "def test_f():\n    assert f(1, True) is None"]


def test_each_turn_of_a_loop_over_written_values_is_a_test():
    assert codes("""
        class Tests(TestCase):
            def test_f(self):
                for value, expected in ((1, 2), (3, 4)):
                    with self.subTest(value=value):
                        self.assertEqual(f(value), expected)
        """) == ["def test_f():\n    assert f(1) == 2", "def test_f():\n    assert f(3) == 4"]


def test_a_test_of_many_behaviours_is_taken_apart_and_what_is_not_used_goes():
    assert codes("""
        def test_f():
            one = [1]
            two = [2]
            assert f(one) == 1
            two = [3]
            assert f(two) == 2
            assert f(3) == 3
        """) == [
        "def test_f():\n    one = [1]\n    assert f(one) == 1",
        "def test_f():\n    two = [3]\n    assert f(two) == 2",
        "def test_f():\n    assert f(3) == 3",
    ]


def test_a_test_takes_along_the_imports_and_short_helpers_that_it_needs():
    (plain,) = made_of("""
        import os.path as p
        from decimal import Decimal, localcontext
        import pytest

        def half(value):
            return Decimal(value) / 2

        def test_f():
            assert f(half(2)) == 1
        """)
    assert plain.needs.imports == {"Decimal": "from decimal import Decimal"}
    assert plain.needs.helpers == ("def half(value):\n    return Decimal(value) / 2",)
    compile(plain.module, PATH, "exec")
    assert plain.module.startswith("import pytest\nfrom decimal import Decimal\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("async def test_f():\n    assert f(1)", "asynchronous"),
        ("@pytest.mark.skip\ndef test_f():\n    assert f(1)", "marked"),
        ("@slow\nclass Tests:\n    def test_f(self):\n        assert f(1)", "its class is decorated"),
        ("class Tests:\n    def test_f(self):\n        assert f(self.value)", "uses its instance"),
        ("def test_f(box):\n    assert f(box)", "fixture"),
        ("def test_f():\n    f(1)", "asserts nothing"),
        ("import random\n\ndef test_f():\n    assert f(random.random())", "uses chance"),
        ("from time import sleep\n\ndef test_f():\n    assert f(sleep(1))", "uses chance, the clock"),
        ("def test_f():\n    from random import choices\n    assert f(choices([1]))", "uses chance"),
        ("def test_f():\n    import os, time as t\n    assert f(t.time())", "uses chance, the clock"),
        ("def test_f():\n    if f(1):\n        assert f(2)", "asserts nothing by itself"),
        ("@pytest.mark.parametrize('a', rows())\ndef test_f(a):\n    assert f(a)", "not written out"),
        ("from .helpers import g\n\ndef test_f():\n    assert f(g)", "other test files"),
        ("from tests.helpers import g\n\ndef test_f():\n    assert f(g)", "other test files"),
        ("def g():\n" + "    call()\n" * 12 + "\ndef test_f():\n    assert f(g)", "long helper"),
        ("def test_f():\n" + "    call()\n" * 20 + "    assert f(1)", "long"),
    ],
)
def test_what_cannot_stand_by_itself_is_left_out_with_the_reason(text, reason):
    with pytest.raises(UnfitError, match=reason):
        made_of(text)


def test_fixtures_of_pytest_itself_are_kept():
    assert codes("def test_f(tmp_path):\n    assert f(tmp_path)") == ["def test_f(tmp_path):\n    assert f(tmp_path)"]


def test_a_test_gives_no_more_than_so_many():
    rows = ", ".join(f"({number}, {number})" for number in range(300))
    found = codes(f'@pytest.mark.parametrize("a, b", [{rows}])\ndef test_f(a, b):\n    assert f(a) == b\n')
    assert len(found) == 24
    assert found[-1] == "def test_f():\n    assert f(287) == 287"


def test_strings_are_quoted_in_one_way_unless_that_changes_them():
    assert double_quoted("f('a', b'\\n', 'say \"b\"', '\\'')") == 'f("a", b"\\n", \'say "b"\', \'\\\'\')'


def test_an_assertion_leaves_those_behind_whose_variables_only_have_the_same_names():
    assert codes("""
        def test_f():
            assert f(x for x in "ab")
            assert f(x for x in "cd")
            assert f(x for x in "ef")
        """)[1:] == [
        'def test_f():\n    assert f((x for x in "cd"))',
        'def test_f():\n    assert f((x for x in "ef"))',
    ]
