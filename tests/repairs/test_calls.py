from __future__ import annotations

import pytest
from tests.repairs.cases import case, mended

from llm_testgen.repairs.calls import call_as_method, call_on_instance, gather, pass_text, read_property


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("def test_it():\n    assert Box.area() == 1\n", "def test_it():\n    assert Box().area() == 1\n"),
        ("def test_it():\n    assert Crate.area() == 1\n", "def test_it():\n    assert Crate().area() == 1\n"),
        ("def test_it():\n    assert Shelf.area() == 1\n", ""),
    ],
)
def test_a_method_is_called_on_an_instance(code, result):
    message = "Box.area() missing 1 required positional argument: 'self'"
    assert mended(call_on_instance, case(code, message, kind="TypeError")) == result


def test_an_argument_that_took_the_place_of_the_instance_is_an_argument():
    code = "def test_it():\n    assert Box.area(2) == 2\n    assert Box.unit() == 1\n"
    message = "Box.area() missing 1 required positional argument: 'scale'"
    assert mended(call_on_instance, case(code, message, kind="TypeError")) == code.replace("Box.area", "Box().area")


@pytest.mark.parametrize(
    ("code", "of", "result"),
    [
        (
            "from pkg.mod import area\n\ndef test_it():\n    assert area(2) == 2\n",
            "Box.area",
            "from pkg.mod import Box\n\ndef test_it():\n    assert Box().area(2) == 2\n",
        ),
        (
            "from pkg.mod import unit, double\n\ndef test_it():\n    assert unit() == double(1)\n",
            "Box.unit",
            "from pkg.mod import Box\nfrom pkg.mod import double\n\ndef test_it():\n    assert Box.unit() == double(1)\n",
        ),
        (
            "def test_it():\n    assert count(Shelf([])) == 0\n",
            "Shelf.count",
            "from pkg.mod import Shelf\ndef test_it():\n    assert Shelf.count(Shelf([])) == 0\n",
        ),
        ("def test_it():\n    assert count() == 0\n", "Shelf.count", ""),
        ("def test_it():\n    assert area() == 0\n", "double", ""),
    ],
)
def test_what_is_a_method_is_called_as_one(code, of, result):
    name = of.rpartition(".")[2]
    message = f"cannot import name '{name}' from 'pkg.mod'" if "import" in code else f"name '{name}' is not defined"
    assert mended(call_as_method, case(code, message, of=of)) == result


@pytest.mark.parametrize(
    ("code", "message", "result"),
    [
        ("assert double(1) == [2]", "assert <generator ob...x…> == [2]", "assert list(double(1)) == [2]"),
        (
            "x = double(1)\n    assert x[0] == 2",
            "'map' object is not subscriptable",
            "x = list(double(1))\n    assert x[0] == 2",
        ),
        ("assert len(double(1)) == 2", "object of type 'zip' has no len()", "assert len(list(double(1))) == 2"),
        ("assert list(double(1)) == 2", "assert <generator ob...x…> == 2", ""),
        ("assert double(1) == 2", "assert 3 == 2", ""),
    ],
)
def test_what_comes_one_by_one_is_made_a_list(code, message, result):
    found = mended(gather, case(f"def test_it():\n    {code}\n", message))
    assert found == (f"def test_it():\n    {result}\n" if result else "")


def test_a_property_is_read():
    code = "def test_it():\n    assert Box().name() == 'box'\n"
    message = "'str' object is not callable"
    assert (
        mended(read_property, case(code, message, of="Box.name")) == "def test_it():\n    assert Box().name == 'box'\n"
    )
    assert mended(read_property, case(code, message, of="Box.area")) == ""


@pytest.mark.parametrize(
    ("test", "result"),
    [
        ("assert double(tmp_path / 'a') == 1", "assert double(str(tmp_path / 'a')) == 1"),
        (
            "p = tmp_path / 'a' / 'b'\n    assert double(x=p) == 1",
            "p = tmp_path / 'a' / 'b'\n    assert double(x=str(p)) == 1",
        ),
        ("a = ['-o', tmp_path]\n    assert double(a) == 1", "a = ['-o', str(tmp_path)]\n    assert double(a) == 1"),
        ("assert double(['-o', tmp_path / 'x'])", "assert double(['-o', str(tmp_path / 'x')])"),
        ("assert double(1) == 1", ""),
    ],
)
def test_a_path_is_passed_as_text_where_the_code_takes_no_other(test, result):
    code = f"def test_it(tmp_path):\n    {test}\n"
    failing = case(code, "unsupported operand type(s) for +: 'PosixPath' and 'str'", kind="TypeError", at="double")
    assert mended(pass_text, failing) == (f"def test_it(tmp_path):\n    {result}\n" if result else "")
    assert mended(pass_text, case(code, "assert 1", at="double")) == ""


def test_a_method_of_texts_is_called_on_a_path_as_text():
    code = "def test_it(tmp_path):\n    assert len(tmp_path.split('/')) == 1\n"
    failing = case(code, "'PosixPath' object has no attribute 'split'", kind="AttributeError", at="split")
    assert mended(pass_text, failing) == "def test_it(tmp_path):\n    assert len(str(tmp_path).split('/')) == 1\n"
