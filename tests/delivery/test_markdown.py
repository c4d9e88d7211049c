from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.delivery.hostile import HOSTILE
from tests.delivery.rendering import rendered

from llm_testgen.delivery.command import quoted
from llm_testgen.delivery.markdown import (
    LONGEST_BODY,
    cell,
    code,
    details,
    fenced,
    fitting,
    html,
    is_visible,
    joined,
    plural,
    ranges,
    unseen,
    visible,
)

SEPARATORS = ["", " ", "  ", "    ", "\t", "\n", "\r", "\r\n"]
# Pieces of which Markdown and HTML are made, beside any characters.
PIECES = st.one_of(
    st.text(max_size=8),
    st.sampled_from([*SEPARATORS, "`", "``", "```", "````", "~~~", "|", "\\", "<b>", "</code>", "</pre>", "-->", "@x"]),
)
TEXTS = st.lists(PIECES, max_size=20).map("".join)
PROPERTY = settings(derandomize=True, deadline=None, max_examples=400)


def as_shown(text: str) -> str:
    """A text as a page shows it: with its own ends of lines, and without NUL and halves of characters."""
    text = text.encode("utf-8", "replace").decode()
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd")


def check_fence(text: str) -> None:
    page = rendered(f"before\n\n{fenced(text, 'python')}\n\nafter")
    ((language, shown),) = page.blocks
    assert language == "python"
    assert as_shown(shown) == as_shown(text.removesuffix("\n") + "\n")
    assert page.tags == ["p", "pre", "code", "p"]
    assert page.outside.split() == ["before", "after"]


def check_span(text: str) -> None:
    page = rendered(f"before {code(text)} after")
    assert page.tags == ["p", "code"]
    assert page.codes == [visible(text) or "  "]
    assert page.outside.strip() == "before  after"


def check_cells(text: str) -> None:
    page = rendered(f"| a | b |\n|---|---|\n| {cell(text)} | {cell(text)} |\n| c | d |")
    assert page.codes == [visible(text) or "  "] * 2
    assert page.tags == [
        "table",
        "thead",
        "tr",
        "th",
        "th",
        "tbody",
        *["tr", "td", "code", "td", "code"],
        "tr",
        *["td"] * 2,
    ]
    assert page.outside.split() == ["a", "b", "c", "d"]


def check_html(text: str) -> None:
    page = rendered(f"{details(html(text), 'content')}\n\nafter")
    assert page.codes == [visible(text)]
    assert page.tags == ["details", "summary", "code", "p", "p"]
    assert page.outside.split() == ["content", "after"]
    assert not page.unbalanced


CHECKS = [check_fence, check_span, check_cells, check_html]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_never_leaves_its_code(check, text):
    check(text)


@pytest.mark.parametrize("check", CHECKS)
@given(text=TEXTS)
@example(text="\n```\n")
@example(text="\ufeff")
@PROPERTY
def test_any_text_is_exactly_one_element_of_code(check, text):
    check(text)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 40, 253, 254, 255, 256, 300, 1_000])
@pytest.mark.parametrize("indent", ["", " ", "   ", "    ", "\t", " \t", "> ", "- "])
def test_a_fence_ends_at_no_run_of_backticks_or_tildes_in_it(length, indent):
    for mark in "`~":
        for before, after in [("", ""), ("x\n", "\ny"), ("x\r", "\ry")]:
            check_fence(f"{before}{indent}{mark * length}{after}")


def test_a_fence_that_would_be_too_long_for_the_renderer_is_html_that_ends_nowhere_in_the_text():
    run = "`" * 255
    text = f"{run}\n\n</code></pre>\n{run} <img src=http://evil.example> &lt; @everyone\n\n~~~\n{run}\n"
    check_fence(text)
    assert fenced(text).startswith("<pre")
    assert fenced(run[1:]).startswith("`" * 255 + "\n")


@pytest.mark.parametrize("start", ["- ", "> ", "1. ", "", "**", "<sub>"])
def test_a_span_that_begins_a_line_opens_no_fence(start):
    page = rendered(f"{start}{code('a ` b `` c')}\n\nafter")
    assert page.codes == ["a ` b `` c"]
    assert page.blocks == []
    assert "after" in page.outside


def test_a_fence_keeps_all_of_a_text_but_one_last_newline():
    assert fenced("a\n\n") == "```\na\n\n```"
    assert fenced("a\n") == fenced("a")
    assert fenced("\n\n a \n \n") == "```\n\n\n a \n \n```"
    assert fenced("") == "```\n\n```"


@pytest.mark.parametrize("length", [1, 2, 3, 8, 200])
@pytest.mark.parametrize("text", ["x" * 500, "\u200b" * 500, "x \u200b" * 300, "`" * 500, "\U0001f600" * 300])
def test_a_span_is_cut_to_its_length_with_what_stands_for_invisible_characters(text, length):
    shown = visible(text, length)
    assert len(shown) == length
    assert shown.endswith("…")
    assert rendered(code(text, length)).codes == [shown]


def test_a_text_of_just_the_length_is_whole():
    assert visible("x" * 200) == "x" * 200
    assert visible("x" * 201) == "x" * 199 + "…"
    assert visible("\u200bab", 8) == "\\u200bab"
    assert visible("\u200bab", 7) == "\\u200b…"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  a\n\n b\t\u00a0c\u3000\x1cd ", "a b c d"),
        ("a\u200bb\u202ec", "a\\u200bb\\u202ec"),
        ("a\x00\x1b\x7f", "a\\u0000\\u001b\\u007f"),
        ("\ud800", "\\ud800"),
        ("\u3164\u2800\ufe0f\u034f", "\\u3164\\u2800\\ufe0f\\u034f"),
        ("\U000e0041", "\\ue0041"),
        ("größe 日本 é \U0001f600", "größe 日本 é \U0001f600"),
    ],
)
def test_what_cannot_be_seen_is_shown_by_its_number_in_one_line(text, shown):
    assert visible(text) == shown


@given(st.characters())
@settings(derandomize=True, deadline=None, max_examples=1_000)
def test_messages_and_pages_agree_on_what_can_be_seen(character):
    assert is_visible(character) is (quoted(character) != '""')
    if not character.isspace():
        assert (visible(character) == character) is is_visible(character)


def test_the_characters_that_cannot_be_seen_are_named_once():
    assert unseen("def f():\r\n\treturn 'größe 日本'\n") == ""
    assert unseen("a\u202eb\u200bc\u202ed\x00e\u00a0") == "\\u202e \\u200b \\u0000 \\u00a0"


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ((), ""),
        ((3,), "3"),
        ((3, 4), "3-4"),
        ((3, 4, 5, 9), "3-5, 9"),
        ((1, 3, 5), "1, 3, 5"),
        (tuple(range(1, 25, 2)), "1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23"),
        (tuple(range(1, 27, 2)), "1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23 and more"),
        (tuple(range(1, 200_001)), "1-200000"),
    ],
)
def test_lines_are_drawn_together(lines, shown):
    assert ranges(lines) == shown


def test_many_lines_are_told_in_a_few_words():
    assert len(ranges(tuple(range(1, 400_000, 2)))) < 60


@pytest.mark.parametrize(("count", "words"), [(0, "0 tests"), (1, "1 test"), (2, "2 tests"), (1234, "1,234 tests")])
def test_a_count_agrees_with_its_noun(count, words):
    assert plural(count, "test") == words


def test_a_comment_holds_as_much_as_github_takes():
    assert LONGEST_BODY == 65_536


def test_empty_parts_leave_no_gap():
    assert joined(["a", "", "b"]) == "a\n\nb"
    assert joined([]) == ""


@pytest.mark.parametrize(
    ("room", "kept"),
    [(0, []), (2, []), (3, ["a"]), (5, ["a"]), (7, ["a", "cc"]), (8, ["a", "bbb"]), (12, ["a", "bbb", "cc"])],
)
def test_what_has_room_is_kept_in_its_order(room, kept):
    assert fitting(["a", "bbb", "cc"], room) == kept
    assert len(joined(kept)) <= room


def test_room_is_measured_as_it_is_asked_for():
    assert fitting(["é", "e"], 3, lambda part: len(part.encode())) == ["e"]


def test_long_texts_are_no_trouble():
    start = time.perf_counter()
    for text in ("`" * 1_000_000, "` " * 500_000, "\u200b" * 1_000_000, "\n" * 1_000_000):
        assert len(code(text)) < 1_000
        assert len(html(text)) < 10_000
        fenced(text)
    assert time.perf_counter() - start < 5


def test_a_span_has_as_few_backticks_as_it_can():
    assert [code("a"), code("`"), code("a`b"), code("``"), code("` ``")] == [
        "`a`",
        "`` ` ``",
        "``a`b``",
        "` `` `",
        "``` ` `` ```",
    ]
