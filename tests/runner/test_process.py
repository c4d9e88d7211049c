"""What is kept of what a process printed."""

from __future__ import annotations

import pytest

from llm_testgen.runner.process import last_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("one\ntwo\n\n", "two"),
        ("ValueError: no\nat the end\n", "ValueError: no"),
        ("\x1b[31mFAILED\x1b[0m - \x1b[1mAssertionError\x1b[0m: no\r\n", "FAILED - AssertionError: no"),
    ],
)
def test_the_last_line_that_names_an_error_is_told_without_colours(text, line):
    assert last_line(text) == line
