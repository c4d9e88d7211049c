from __future__ import annotations

import ast

import pytest

from llm_testgen.statements import Piece, bound_names, grouped_imports, pieces_of, pieces_of_module

TEST = "def test_it():\n    assert double(1) == 2"


def texts(reply: str) -> list[str]:
    return [piece.text for piece in pieces_of(reply)]


def fenced(code: str, info: str = "python", marks: str = "```") -> str:
    return f"Here it is:\n\n{marks}{info}\n{code}\n{marks}\n\nIt shows that 1 doubles.\n"


def names(source: str) -> tuple[str, ...]:
    return bound_names(ast.parse(source).body[0])


@pytest.mark.parametrize("info", ["python", "py", "", "Python 3", "python title=a.py"])
def test_code_is_found_in_a_fence_whatever_it_is_called(info):
    assert texts(fenced(TEST, info)) == [TEST]


@pytest.mark.parametrize("marks", ["```", "````", "~~~"])
def test_fences_of_all_kinds_are_known(marks):
    assert texts(fenced(TEST, marks=marks)) == [TEST]


def test_a_longer_fence_may_hold_a_shorter_one():
    code = 'TEXT = """\n```\nno end\n```\n"""'
    assert texts(fenced(code, marks="````")) == [code]


def test_a_fence_with_a_language_does_not_close_a_block():
    code = 'TEXT = """\n```python\nno end\n"""'
    assert texts(fenced(code)) == [code]


def test_all_blocks_count_in_their_order():
    assert texts(fenced("import os") + fenced(TEST)) == ["import os", TEST]


def test_a_fence_that_was_never_closed_is_read_to_the_end():
    assert texts(f"```python\n{TEST}\n") == [TEST]


def test_a_fence_that_was_never_opened_ends_the_code_before_it():
    assert texts(f"import os\n\n{TEST}\n```\n\nThis doubles.\n") == ["import os", TEST]


def test_without_salvage_a_block_that_is_not_valid_holds_nothing():
    reply = fenced(TEST) + fenced(f"{TEST}\n\ndef test_cut(:")
    assert [piece.text for piece in pieces_of(reply, salvage=False)] == [TEST]
    assert [piece.text for piece in pieces_of(reply)] == [TEST, TEST]


def test_a_reply_without_a_fence_is_code_as_a_whole():
    assert texts(f"import os\n\n{TEST}\n") == ["import os", TEST]


def test_code_between_prose_is_found_without_a_fence():
    assert texts(f"Sure! Here is the test you asked for:\n\n{TEST}\n\nI hope this helps.\n") == [TEST]


def test_an_indented_block_is_moved_to_the_margin():
    indented = "\n".join(f"    {line}" for line in ["```python", *TEST.split("\n"), "```"])
    assert texts(f"1. A test:\n\n{indented}\n") == [TEST]


def test_of_a_diff_the_added_lines_count():
    diff = "--- a/t.py\n+++ b/t.py\n@@ -0,0 +1,2 @@\n-import gone\n+def test_it():\n+    assert double(1) == 2"
    assert texts(fenced(diff, "diff")) == [TEST]


@pytest.mark.parametrize("thinking", ["<think>\ndef test_no(): ...\n</think>", "<think>a</think><think>b</think>"])
def test_what_a_model_thinks_aloud_is_left_out(thinking):
    assert texts(f"{thinking}\n{fenced(TEST)}") == [TEST]


def test_a_reply_that_never_stopped_thinking_holds_nothing():
    assert texts(f"<think>\n{fenced(TEST)}") == []


@pytest.mark.parametrize("reply", ["", "\n", "I cannot write tests for this.", "```", "```python\n```", "def", "\x00"])
def test_a_reply_without_code_holds_nothing(reply):
    assert texts(reply) == []


def test_foreign_spaces_and_newlines_do_no_harm():
    assert texts("\ufeff```python\r\ndef test_it():\r\n\u00a0   assert double(1) == 2\r\n```") == [TEST]


def test_a_joined_statement_of_several_lines_keeps_its_meaning():
    assert [ast.literal_eval(text.partition(" = ")[2]) for text in texts('x = 1; y = """a\nb"""; z = 3')] == [
        1,
        "a\nb",
        3,
    ]


def test_a_decorator_belongs_to_its_function():
    code = f"@pytest.mark.parametrize(\n    'x', [1]\n)\n{TEST}"
    (piece,) = pieces_of(code)
    assert piece.text == code
    assert isinstance(piece.node, ast.FunctionDef)
    assert piece.node.lineno == 4


def test_the_lines_of_a_piece_count_from_its_own_first():
    _, second = pieces_of(f"import os\n\n\n{TEST}")
    assert (second.node.lineno, second.node.end_lineno) == (1, 2)


def test_statements_on_one_line_are_taken_apart():
    assert texts("import os; import sys") == ["import os", "import sys"]


def test_a_test_that_was_cut_off_is_left_out_and_the_others_stay():
    assert texts(f"```python\nimport os\n\n{TEST}\n\ndef test_cut():\n    assert double(") == ["import os", TEST]


def test_of_a_test_that_was_cut_off_its_whole_statements_are_kept():
    cut = "def test_cut():\n    x = 1\n    assert double(x) == 2\n    assert double("
    assert texts(f"```python\n{cut}") == ["def test_cut():\n    x = 1\n    assert double(x) == 2"]


def test_of_a_class_that_was_cut_off_its_whole_methods_are_kept():
    cut = "class TestIt:\n    def test_a(self):\n        assert True\n\n    def test_b(self):\n        assert dou(ble"
    (piece,) = pieces_of(f"```python\n{cut}")
    assert piece.text == "class TestIt:\n    def test_a(self):\n        assert True"


def test_one_broken_statement_does_not_cost_the_others():
    assert texts(f"import os\n\ndef broken(:\n    pass\n\n{TEST}") == ["import os", TEST]


def test_a_string_with_text_at_the_margin_is_not_torn_when_something_else_is_broken():
    code = 'TEXT = """\nword one\nword two\n"""'
    assert texts(f"{code}\n\ndef broken(:\n    pass\n\n{TEST}") == [code, TEST]


def test_a_long_broken_reply_is_read_in_reasonable_time():
    assert texts("word word\n" * 3000 + TEST) == [TEST]


def test_the_pieces_of_a_module_are_its_statements():
    assert [piece.text for piece in pieces_of_module(f"import os\n\n# a comment\n{TEST}\n")] == ["import os", TEST]


def class_piece(body: str) -> Piece:
    (piece,) = pieces_of_module(f"class TestIt:\n{body}")
    return piece


def test_a_class_can_be_had_without_some_of_its_statements():
    piece = class_piece(
        "    x = 1\n\n    @mark\n    def test_a(self):\n        pass\n\n    def test_b(self):\n        pass\n"
    )
    assert isinstance(piece.node, ast.ClassDef)
    left = piece.without([piece.node.body[1]])
    assert left.text == "class TestIt:\n    x = 1\n\n    def test_b(self):\n        pass"
    assert isinstance(left.node, ast.ClassDef)
    assert [ast.unparse(child).partition("(")[0] for child in left.node.body] == ["x = 1", "def test_b"]


def test_a_class_without_nothing_is_as_it_was():
    piece = class_piece("    x = 1")
    assert piece.without([]).text == piece.text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a): b = 1", ("f",)),
        ("async def f(): ...", ("f",)),
        ("class C:\n    x = 1", ("C",)),
        ("import os.path", ("os",)),
        ("import os.path as p, sys", ("p", "sys")),
        ("from a import b, c as d", ("b", "d")),
        ("x = y = 1", ("x", "y")),
        ("x: int = 1", ("x",)),
        ("(x, *y), z.w = 1, 2", ("x", "y")),
        ("for i in range(3):\n    j = i", ("i", "j")),
        ("assert x", ()),
        ("x.y = 1", ()),
    ],
)
def test_names_that_a_statement_binds(source, expected):
    assert sorted(names(source)) == sorted(expected)


def test_imports_are_grouped_sorted_and_without_repetition():
    given = ["from pkg import b", "import pytest", "from os import path", "import sys", "import pytest", "import abc"]
    assert grouped_imports(given) == [
        "import abc",
        "import sys",
        "from os import path",
        "",
        "import pytest",
        "from pkg import b",
    ]


@pytest.mark.parametrize("given", [[], ["import os"], ["import pytest"], ["import os.path"], ["import pkg.os"]])
def test_one_group_needs_no_blank_line(given):
    assert grouped_imports(given) == given


@pytest.mark.parametrize(
    ("cut", "kept"),
    [
        ("    x = 1\n    assert double(x) == [(1,", "    x = 1\n    double(x)"),
        ("    assert double([1]) == {\n        1: 2,", "    double([1])"),
        ("    x = double(1)\n    expected = [\n        1,", "    x = double(1)"),
        ("    x = 1\n    assert (double(x) == [(1,", "    x = 1"),
        ("    x = 1\n    assert double(x", "    x = 1"),
    ],
)
def test_of_an_assertion_that_was_cut_off_the_value_that_it_is_about_is_kept(cut, kept):
    assert texts(f"```python\ndef test_it():\n{cut}") == [f"def test_it():\n{kept}"]
