from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_testgen.pages.highlight import Role, highlight, plain_lines

SAMPLE = '''@pytest.mark.slow
async def test_it(x):  # a comment
    """A text
    of two lines."""
    assert f"{x!r} is" == 0x1F and x
'''


def text_of(lines):
    return "\n".join("".join(span.text for span in line) for line in lines)


def roles_of(code):
    """Role of each piece that has one, by its text."""
    return {span.text: span.role for line in highlight(code) for span in line if span.role}


def test_the_parts_of_code_are_told_apart():
    roles = roles_of(SAMPLE)
    assert roles["test_it"] is Role.DEFINED
    assert roles["# a comment"] is Role.COMMENT
    assert roles["0x1F"] is Role.NUMBER
    assert roles["assert"] is roles["and"] is roles["async"] is Role.KEYWORD
    assert roles['"""A text'] is roles['    of two lines."""'] is Role.STRING
    assert roles["@"] is roles["pytest"] is roles["mark"] is roles["slow"] is Role.DECORATOR
    assert "x" not in roles


def test_a_matrix_product_is_no_decorator():
    assert Role.DECORATOR not in roles_of("y = a @ b\n").values()


def test_indented_code_is_told_apart_too():
    assert roles_of("    def area(self):\n        return 1\n")["area"] is Role.DEFINED


@pytest.mark.parametrize(
    "code", ["def f(:\n  '''", "x = (\n", "\tif x:\n  y\n", "f'{", "a\0b", "Here is a test:\n\"it's", ""]
)
def test_what_cannot_be_split_into_tokens_keeps_its_text(code):
    assert text_of(highlight(code)).replace("\\u0000", "\0") == code.removesuffix("\n")


@given(st.text(st.sampled_from("ab'\"\\{}f#@\n\t ()=1é漢"), max_size=60))
def test_no_character_is_lost_and_none_is_shown_twice(code):
    assert text_of(highlight(code)) == text_of(plain_lines(code)) == code.removesuffix("\n")


def test_the_code_of_the_tool_itself_survives():
    code = Path(highlight.__code__.co_filename).read_text(encoding="utf-8")
    assert text_of(highlight(code)) == code.removesuffix("\n")


def test_characters_that_cannot_be_seen_are_shown_by_their_numbers():
    span, unseen, *_ = highlight("x \u202e= 1")[0]
    assert (span.text, unseen.text, unseen.role) == ("x ", "\\u202e", Role.UNSEEN)
