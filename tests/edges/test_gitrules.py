from __future__ import annotations

import pytest

from llm_testgen.edges.gitrules import common_tail, is_binary, is_rename, is_safe, safe_path


def test_half_of_the_larger_file_makes_a_rename():
    assert is_rename(b"a\nb\n", b"a\nc\n")
    assert not is_rename(b"a\nb\n", b"a\ncc\n")
    assert is_rename(b"", b"")
    assert not is_rename(b"", b"a\n")


def test_a_line_that_stands_twice_is_taken_over_only_as_often_as_it_was_there():
    assert not is_rename(b"a\n", b"a\na\na\n")


def test_line_ends_do_not_count_for_a_rename():
    assert is_rename(b"first\r\nsecond\r\n", b"first\nsecond\n")


def test_long_lines_are_compared_in_pieces():
    assert is_rename(b"x" * 64 + b"y" * 63 + b"\n", b"x" * 64 + b"z" * 63 + b"\n")


def test_a_zero_byte_near_the_beginning_makes_a_file_binary():
    assert is_binary(b"a\0")
    assert not is_binary(b"a" * 8000 + b"\0")


def test_the_common_tail_is_whole_blocks_cut_to_whole_lines():
    line = b"0123456789abcde\n"
    tail = line * 64
    assert common_tail(b"old\n" + tail, b"new\n" + tail) == 1024 - len(line)
    assert common_tail(b"old" + tail[1:], b"new" + tail[1:]) == 0
    assert common_tail(b"x" * 3000, b"x" * 2048) == 0


@pytest.mark.parametrize("path", ["", "/a", "a/", "../a", "a/../b", "a/./b", "a//b", ".git/a", "a/.GIT/b", "a\udcff"])
def test_paths_that_lead_astray_are_not_safe(path: str):
    assert not is_safe(path)


@pytest.mark.parametrize("path", ["a", "a/b.py", "..a/b..py", ".github/x.py", "é.py"])
def test_other_paths_are(path: str):
    assert is_safe(path)


def test_bytes_that_are_no_text_are_no_path():
    assert safe_path(b"a\xff") is None
    assert safe_path("é".encode()) == "é"
