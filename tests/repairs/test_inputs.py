from __future__ import annotations

import pytest
from tests.repairs.cases import case, mended

from llm_testgen.repairs.inputs import add_attribute, drop_keyword, give_attributes, make_folder, pass_bytes

TRACE = ("tests/test_candidate.py:2 in test_it", "src/pkg/mod.py:7 in double")


@pytest.mark.parametrize(
    ("test", "result"),
    [
        ("assert double({'x': 1, 'y': f(2)}) == 2", "assert double(SimpleNamespace(x=1, y=f(2))) == 2"),
        ("a = {'x': 1}\n    assert double(a) == 2", "a = SimpleNamespace(x=1)\n    assert double(a) == 2"),
        ("assert double({'z': 1}, {'x': 1}) == 2", "assert double({'z': 1}, SimpleNamespace(x=1)) == 2"),
        ("a = {'x': 1}\n    assert double(a) == a['x']", ""),
        ("assert double({1: 1}) == 2", ""),
        ("assert double({}) == 2", ""),
    ],
)
def test_an_object_with_attributes_is_given_where_the_code_reads_them(test, result):
    failing = case(f"def test_it():\n    {test}\n", "'dict' object has no attribute 'x'", trace=TRACE)
    expected = f"from types import SimpleNamespace\ndef test_it():\n    {result}\n" if result else ""
    assert mended(give_attributes, failing) == expected


@pytest.mark.parametrize(
    ("test", "result"),
    [
        ("assert double(Namespace(x=1)) == 2", "assert double(Namespace(x=1, y=None)) == 2"),
        ("a = argparse.Namespace()\n    assert double(a)", "a = argparse.Namespace(y=None)\n    assert double(a)"),
        ("assert double(Namespace(y=1)) == 2", ""),
    ],
)
def test_a_plain_object_gets_the_attribute_that_the_code_reads(test, result):
    failing = case(f"def test_it():\n    {test}\n", "'types.SimpleNamespace' object has no attribute 'y'", trace=TRACE)
    assert mended(add_attribute, failing) == (f"def test_it():\n    {result}\n" if result else "")


@pytest.mark.parametrize("repair", [give_attributes, add_attribute])
@pytest.mark.parametrize("kind", ["dict", "Namespace"])
def test_what_the_test_itself_reads_is_its_own_affair(repair, kind):
    code = "def test_it():\n    assert double({'x': 1}, Namespace()).x\n"
    assert mended(repair, case(code, f"'{kind}' object has no attribute 'x'", trace=TRACE[:1])) == ""


@pytest.mark.parametrize(
    ("test", "function", "result"),
    [
        ("assert double(1, base=2) == 2", "double", "assert double(1) == 2"),
        ("assert Box(base=2, side=1).area() == 2", "Box.__init__", "assert Box(side=1).area() == 2"),
        ("assert double(1) == 2", "double", ""),
        ("assert double(1, base=2) == 2", "inner", ""),
    ],
)
def test_a_keyword_that_there_is_not_is_not_passed(test, function, result):
    message = f"{function}() got an unexpected keyword argument 'base'"
    failing = case(f"def test_it():\n    {test}\n", message, kind="TypeError")
    assert mended(drop_keyword, failing) == (f"def test_it():\n    {result}\n" if result else "")


def test_bytes_are_passed_where_text_is_refused():
    code = "def test_it():\n    double(1, 'é')\n    double('b')\n"
    failing = case(code, "a bytes-like object is required, not 'str'", kind="TypeError", at="'é'")
    assert mended(pass_bytes, failing) == "def test_it():\n    double(1, b'\\xc3\\xa9')\n    double('b')\n"
    assert mended(pass_bytes, case(code, "assert 1", at="'é'")) == ""


@pytest.mark.parametrize(
    ("kind", "trace", "applies"),
    [
        ("FileNotFoundError", TRACE[:1], True),
        ("FileNotFoundError", TRACE, False),
        ("OSError", TRACE[:1], False),
    ],
)
def test_the_folder_of_a_file_that_a_test_writes_is_made(kind, trace, applies):
    code = "def test_it(tmp_path):\n    (tmp_path / 'a' / 'b').touch()\n    assert double(tmp_path)\n"
    made = code.replace("    (tmp", "    (tmp_path / 'a' / 'b').parent.mkdir(parents=True, exist_ok=True)\n    (tmp", 1)
    failing = case(code, "[Errno 2] No such file or directory", kind=kind, at="touch", trace=trace)
    assert mended(make_folder, failing) == (made if applies else "")
