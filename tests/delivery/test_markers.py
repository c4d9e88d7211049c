from __future__ import annotations

import ast
import re
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.delivery.rendering import rendered

from llm_testgen.delivery.markdown import LONGEST_BODY, code, fenced
from llm_testgen.delivery.markers import (
    SummaryMarker,
    TestMarker,
    finding_id,
    method_id,
    reply_line,
    review_line,
    summary_marker,
    test_markers,
)

HEAD = "b" * 40
ONE = TestMarker("0123456789abcdef", "fedcba9876543210", "00112233445566aa", HEAD)
TWO = TestMarker("1" * 16, "2" * 16, "3" * 16, "c" * 64)
SUMMARY = SummaryMarker(HEAD, "123456", ("1" * 16, "2" * 16))
CODE = "def test_it():\n    assert total([1, 2]) == 3\n"

WORD = st.text("0123456789abcdef", min_size=1, max_size=64)


def identify(source: str) -> str:
    return finding_id("src/shop.py", "total", "d" * 16, source)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("rest", ["", "text", "\ntext\n"])
@pytest.mark.parametrize("markers", [(), (ONE,), (ONE, TWO), (TWO, ONE, TWO)])
def test_the_markers_that_a_body_begins_with_are_read_back(markers, rest, end):
    body = "\n".join([*(marker.line() for marker in markers), rest]).replace("\n", end)
    assert test_markers(body) == markers
    assert summary_marker(body) is None


@given(
    st.builds(TestMarker, WORD, WORD, WORD, WORD),
    st.lists(WORD, max_size=9, unique=True),
    st.from_regex("[0-9]*", fullmatch=True),
)
@settings(derandomize=True, deadline=None, max_examples=100)
def test_a_marker_survives_its_way_through_a_body(marker, posted, run):
    assert test_markers(f"{marker.line()}\n\ntext") == (marker,)
    summary = SummaryMarker(marker.head, run.strip(), tuple(posted))
    assert summary_marker(f"{summary.line()}\r\n\r\ntext") == summary


def test_a_marker_counts_even_where_the_body_ends_with_it():
    assert test_markers(ONE.line()) == (ONE,)
    assert summary_marker(SUMMARY.line()) == SUMMARY


@pytest.mark.parametrize(
    "body",
    [
        f"text\n{ONE.line()}\n",
        f"\n{ONE.line()}\n",
        f" {ONE.line()}\n",
        f"\ufeff{ONE.line()}\n",
        f"> {ONE.line()}\n",
        f"- {ONE.line()}\n",
        f"```\n{ONE.line()}\n```",
        f"`{ONE.line()}`",
        fenced(ONE.line(), "python"),
        code(ONE.line()),
        f"{ONE.line()} \n",
        f"{ONE.line()}text\n",
        f"{ONE.line()}\u2028text\n",
        f"{ONE.line()}{TWO.line()}\n",
        f"{ONE.line()}\r",
        ONE.line().replace("-->", "--\u200b>"),
        ONE.line().replace("<!--", "&lt;!--"),
        ONE.line().replace("test ", "Test "),
        ONE.line().replace(" finding", "  finding"),
        ONE.line().replace("finding=", "finding= "),
        ONE.line().replace("=", "=\u0660"),
        ONE.line().replace("finding=", "finding=-->"),
        ONE.line().replace("finding", "found"),
        ONE.line().replace(f" head={HEAD}", ""),
        ONE.line().replace("<!-- ", "<!-- x "),
        "<!-- llm-testgen:test -->\n",
    ],
)
def test_what_only_looks_like_a_marker_is_none(body):
    assert test_markers(body) == ()


def test_a_marker_below_any_other_text_does_not_count():
    forged = TWO.line()
    assert test_markers(f"{ONE.line()}\n\n{forged}\n") == (ONE,)
    assert test_markers(f"{ONE.line()}\ntext\n{forged}\n") == (ONE,)
    assert test_markers(f"{ONE.line()}\n```python\n{forged}\n```\n") == (ONE,)
    assert summary_marker(f"text\n{SUMMARY.line()}\n") is None
    assert summary_marker(f"\n{SUMMARY.line()}\n") is None


def test_markers_of_another_kind_are_passed_over():
    lines = [review_line(HEAD, ["1"]), ONE.line(), reply_line(7, "8", "text"), SUMMARY.line(), TWO.line()]
    body = "\n".join([*lines, "text"])
    assert test_markers(body) == (ONE, TWO)
    assert summary_marker(body) == SUMMARY
    assert summary_marker("\n".join([review_line(HEAD, []), reply_line(1, "", ""), ONE.line()])) is None


def test_a_summary_without_what_came_later_is_read():
    assert summary_marker(f"<!-- llm-testgen:summary head={HEAD} -->\n") == SummaryMarker(HEAD, "", ())
    assert summary_marker(f"<!-- llm-testgen:summary head={HEAD} run= posted=,1,,2, -->") == SummaryMarker(
        HEAD, "", ("1", "2")
    )
    assert summary_marker("<!-- llm-testgen:summary run=1 -->") is None


def test_markers_show_nowhere_on_a_page():
    lines = [ONE.line(), SUMMARY.line(), review_line(HEAD, ["1"]), reply_line(7, "8", "text")]
    page = rendered("\n".join([*lines, "", "text"]))
    assert page.outside.strip() == "text"
    assert set(page.tags) == {"!", "p"}


def test_what_was_posted_is_remembered_once_and_leaves_room_for_the_rest():
    ids = tuple(f"{number:016x}" for number in range(5_000))
    line = SummaryMarker(HEAD, "1", (*ids, *ids[-3:])).line()
    read = summary_marker(line)
    assert read is not None
    assert read.posted == (*ids[-997:-3], *ids[-3:])
    assert len(line) < LONGEST_BODY / 3


def test_a_review_is_known_by_its_commit_and_its_tests():
    assert review_line(HEAD, ["1", "2"]) == review_line(HEAD, ["1", "2"])
    lines = [
        review_line(HEAD, ["1", "2"]),
        review_line("c" * 40, ["1", "2"]),
        review_line(HEAD, ["12"]),
        review_line(HEAD, ["2", "1"]),
    ]
    assert len(set(lines)) == len(lines)


def test_an_answer_is_known_by_the_comment_the_run_and_what_it_says():
    lines = {reply_line(7, "8", "a"), reply_line(7, "8", "b"), reply_line(7, "9", "a"), reply_line(8, "8", "a")}
    assert len(lines) == 4
    assert reply_line(7, "8", "a") in lines
    assert reply_line(7, "8", "a").startswith("<!-- llm-testgen:reply to=7 run=8 key=")


@pytest.mark.parametrize(
    "same",
    [
        "def test_it(): assert total([1, 2]) == 3",
        "def test_it():\n\n\tassert (total([1,2])\n\t\t== 3)  # three\n\n\n",
        "# a comment\ndef test_it():\n    # another\n    assert total([1, 2]) == 3",
        "def test_it():\r\n    assert total([1, 2]) == 3\r\n",
        "def test_it():\n    assert total([0x1, 0b10]) == 3;",
    ],
)
def test_neither_comments_nor_layout_make_another_test(same):
    assert identify(same) == identify(CODE)


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("3", "4"),
        CODE.replace("3", "3.0"),
        CODE.replace("3", "True"),
        CODE.replace("3", "'3'"),
        CODE.replace("3", "b'3'"),
        CODE.replace("3", "None"),
        CODE.replace("3", "..."),
        CODE.replace("3", "-3"),
        CODE.replace("[1, 2]", "[2, 1]"),
        CODE.replace("[1, 2]", "(1, 2)"),
        CODE.replace("[1, 2]", "[[1], 2]"),
        CODE.replace("[1, 2]", "[1, 2, *x]"),
        CODE.replace("[1, 2]", "{1, 2}"),
        CODE.replace("[1, 2]", "**{1: 2}"),
        CODE.replace("test_it", "test_its"),
        CODE.replace("def", "async def"),
        CODE.replace("():", "(tmp_path):"),
        CODE.replace("==", "is"),
        CODE.replace("assert", "return"),
        f"import shop\n{CODE}",
        CODE * 2,
        f"@x\n{CODE}",
        CODE.replace("    assert", "    'why'\n    assert"),
        "",
    ],
)
def test_other_code_makes_another_test(other):
    assert identify(other) != identify(CODE)


def test_a_test_is_told_by_its_method_and_by_that_methods_source():
    ids = {
        finding_id("src/shop.py", "total", "d" * 16, CODE),
        finding_id("src/cart.py", "total", "d" * 16, CODE),
        finding_id("src/shop.py", "Cart.total", "d" * 16, CODE),
        finding_id("src/shop.py", "total", "e" * 16, CODE),
        finding_id("src/shop.pyt", "otal", "d" * 16, CODE),
        method_id("src/shop.py", "total"),
        method_id("src/shop.pyt", "otal"),
        method_id("src/cart.py", "total"),
    }
    assert len(ids) == 8
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in ids)


@pytest.mark.parametrize("broken", ["def test_it(:\n    x", "x = '\ud800'", "\x00", "return (", "f = {" * 200])
def test_code_that_cannot_be_parsed_is_told_by_its_lines(broken):
    assert identify(broken) == identify(f"\n{broken}  \n\n")
    assert identify(broken) != identify(f"{broken}x")


@pytest.mark.parametrize(
    "deep",
    [
        f"x = {'-' * 150}1",
        f"x = {'(' * 90}1{')' * 90}",
        f"x = {'[' * 90}1{']' * 90}",
        f"x = {'not ' * 150}1",
        f"x = 1{' + 1' * 400}",
        f"x = a{'.b' * 400}",
        f"x = a{'()' * 400}",
        f"x = {'-' * 100_000}1",
        f"x = 1{' + 1' * 100_000}",
        f"x = {'(' * 100_000}1",
        "".join(f"{' ' * depth}if x:\n" for depth in range(90)) + " " * 90 + "pass",
    ],
)
def test_code_however_deep_has_its_id(deep):
    limit = sys.getrecursionlimit()
    assert re.fullmatch("[0-9a-f]{16}", identify(deep))
    assert identify(deep) == identify(deep)
    assert identify(deep) != identify(deep.replace("x", "y", 1))
    assert sys.getrecursionlimit() == limit


def test_numbers_without_a_decimal_form_have_their_id():
    digits = "f" * 10_000
    assert identify(f"x = 0x{digits}") != identify(f"x = 0x{digits[1:]}")


def test_a_long_test_has_its_id_soon():
    start = time.perf_counter()
    identify("\n".join(f"x{number} = [{number}, 'a', f'{{x}}']" for number in range(3_000)))
    assert time.perf_counter() - start < 3


def test_an_id_is_the_same_under_every_version_of_python(monkeypatch):
    # What it is made from; since 3.13 `ast.dump` leaves out what is empty, and since 3.12 there is more of that.
    source = "def test_it(a, *, b=1):\n    for x in f'{a!r:>3} é\\u200b':\n        lambda: (yield)\n    return u'x', 1e3, 2j\n"
    assert identify(source) == "4318fca83bac443f"
    monkeypatch.setattr(ast, "dump", None)
    assert identify(source) == "4318fca83bac443f"
