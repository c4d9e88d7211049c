from __future__ import annotations

import ast

import pytest

from llm_testgen.tuning.data.style import double_quoted, in_our_style, whole_strings


@pytest.mark.parametrize(
    "text",
    [
        """assert f"{x['a']}" == 1""",
        """assert f"{x['a']}{f'{y}'}" == 1""",
        """assert f'{x["a"]}' == 1""",
        """assert f"{x!r:{'>'}{width}}" == 1""",
    ],
)
def test_strings_within_a_formatted_one_keep_their_quotes(text):
    assert double_quoted(f"{text}, 'a'") == f'{text}, "a"'


def test_a_test_with_a_formatted_string_stays_valid():
    node = ast.parse("def test_f():\n    assert f(f\"{x['a']}\") == 'b'").body[0]
    assert isinstance(node, ast.FunctionDef)
    text = in_our_style(node)
    assert ast.dump(ast.parse(text).body[0]) == ast.dump(node)
    assert text.endswith('== "b"')


@pytest.mark.parametrize(
    ("kinds", "places"),
    [
        ("NAME STRING OP STRING", [1, 3]),
        ("STRING FSTRING_START OP NAME STRING OP FSTRING_MIDDLE FSTRING_END STRING", [0, 8]),
        ("FSTRING_START OP FSTRING_START OP STRING OP FSTRING_END STRING OP FSTRING_END STRING", [10]),
        ("TSTRING_START OP STRING OP TSTRING_END OP STRING", [6]),
        ("FSTRING_START FSTRING_MIDDLE FSTRING_END FSTRING_START OP STRING OP FSTRING_END", []),
    ],
)
def test_the_tokens_of_later_pythons_within_a_formatted_string_are_no_strings(kinds, places):
    assert list(whole_strings(kinds.split())) == places
