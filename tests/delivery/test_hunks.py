from __future__ import annotations

import random

import pytest
from tests.delivery.samples import SOURCE_PATCH, TEST_PATCH

from llm_testgen.delivery.hunks import hunks_of, is_within
from llm_testgen.records import Hunk

NUMBERS = "".join(f"line {number}\n" for number in range(1, 41))


@pytest.fixture
def patch(git_project):
    """What GitHub gives as the patch of a file: what git says of it, from the first hunk on."""

    def make(before: str | None, after: str, *options: str) -> str:
        git_project.write("other.txt", "x")
        if before is not None:
            git_project.write("a.py", before)
        base = git_project.commit()
        git_project.write("a.py", after)
        head = git_project.commit()
        said = git_project.git("diff", "--no-color", *options, base, head, "--", "a.py")
        return said[said.index("\n@@ ") + 1 :] if "\n@@ " in said else ""

    return make


def test_the_lines_that_a_patch_shows_are_told_with_those_around_them(patch):
    after = NUMBERS.replace("line 5\n", "line five\nand more\n").replace("line 30\n", "")
    assert hunks_of(patch(NUMBERS, after)) == (Hunk(2, 9), Hunk(28, 33))


def test_a_new_file_is_shown_whole(patch):
    assert hunks_of(patch(None, NUMBERS)) == (Hunk(1, 40),)


def test_a_single_line_has_no_count(patch):
    said = patch(None, "x = 1\n")
    assert said.startswith("@@ -0,0 +1 @@\n")
    assert hunks_of(said) == (Hunk(1, 1),)


def test_what_is_only_removed_is_not_at_head(patch):
    assert hunks_of(patch(NUMBERS, "")) == ()
    said = "@@ -3,2 +2,0 @@ def f():\n-a\n-b\n@@ -9 +6 @@\n-c\n+d"
    assert hunks_of(said) == (Hunk(6, 6),)


def test_a_file_without_a_last_newline_has_no_line_more(patch):
    said = patch("a\nb", "a\nb\nc")
    assert said.count("\\ No newline at end of file") == 2
    assert hunks_of(said) == (Hunk(1, 3),)
    assert hunks_of(patch("a\n", "b")) == (Hunk(1, 1),)


def test_the_line_after_the_header_is_the_first_of_the_hunk_even_with_no_context(patch):
    assert hunks_of(patch(NUMBERS, NUMBERS.replace("line 7\n", "x\ny\n"), "--unified=0")) == (Hunk(7, 8),)


@pytest.mark.parametrize(
    "line", ["@@ -1 +100 @@", "@@ -1,5 +100,7 @@ x", " @@ -1 +100 @@", "+@@ -1 +100 @@", "--- a/a.py", "\\ No newline"]
)
def test_lines_of_a_file_that_look_like_headers_are_none(patch, line):
    added = hunks_of(patch(NUMBERS, NUMBERS.replace("line 20\n", f"{line}\n")))
    assert added == (Hunk(17, 23),)


@pytest.mark.parametrize("line", ["@@ -1 +100 @@", "@@ -1,5 +100,7 @@ x"])
def test_lines_around_and_before_a_change_that_look_like_headers_are_none(patch, line):
    strange = NUMBERS.replace("line 18\n", f"{line}\n").replace("line 20\n", f"{line}\n")
    assert hunks_of(patch(strange, strange.replace("line 19\n", "x\n"))) == (Hunk(16, 22),)
    assert hunks_of(patch(strange, strange.replace(f"{line}\nline 21", "line 21"))) == (Hunk(17, 22),)


def test_a_header_shows_any_line_of_the_file_behind_it(patch):
    before = "def f(a='@@ -1 +100 @@'):\n" + "".join(f"    x{number}\n" for number in range(20))
    said = patch(before, before.replace("x15", "y"))
    assert said.split("\n")[0].endswith("@@ def f(a='@@ -1 +100 @@'):")
    assert hunks_of(said) == (Hunk(14, 20),)


@pytest.mark.parametrize("end", ["\r", "\x0c", "\u2028", "\x85"])
def test_lines_end_at_newlines_alone(patch, end):
    text = "".join(f"line {number}{end}@@ -1 +100 @@\n" for number in range(1, 21))
    assert hunks_of(patch(text, text.replace("line 10", "x"))) == (Hunk(7, 13),)


def test_hunks_are_those_of_git_however_a_file_changed(patch):
    chance = random.Random(3)  # noqa: S311 - the same files each time
    for _ in range(10):
        lines = [f"{chance.choice(['', '@@ -1 +9 @@', '-', '+x', 'y'])} {number}" for number in range(60)]
        after = [line for line in lines if chance.random() > 0.05]
        after = [
            more for line in after for more in ([line] if chance.random() > 0.05 else [line, "new", "@@ -2 +2 @@"])
        ]
        said = patch("\n".join(lines) + "\n", "\n".join(after) + "\n")
        assert hunks_of(said) == tuple(walked(said)), said


def walked(patch: str) -> list[Hunk]:
    """The hunks of a patch by counting the lines of each, as a program that applies it would."""
    found = []
    old = new = 0
    for line in patch.split("\n"):
        if old <= 0 and new <= 0 and line.startswith("@@"):
            _, removed, added, *_ = line.split(" ")
            old, new = (int(part.partition(",")[2] or 1) for part in (removed, added))
            start = int(added[1:].split(",")[0])
            if new:
                found.append(Hunk(start, start + new - 1))
        else:
            old -= line[:1] in {" ", "-"}
            new -= line[:1] in {" ", "+"}
    return found


@pytest.mark.parametrize(
    "patch", ["", "\n", "Binary files differ", "@@", "@@ -1 +1 ", "@@@ -1 -1 +1,2 @@@", "@@ -a +b @@"]
)
def test_what_is_no_patch_shows_nothing(patch):
    assert hunks_of(patch) == ()


def test_the_patches_of_the_other_tests_show_what_they_say():
    assert hunks_of(SOURCE_PATCH) == (Hunk(1, 20),)
    assert hunks_of(TEST_PATCH) == (Hunk(1, 10),)


@pytest.mark.parametrize(
    ("start", "line", "inside"),
    [
        (2, 9, True),
        (2, 2, True),
        (9, 9, True),
        (28, 33, True),
        (1, 2, False),
        (9, 10, False),
        (8, 29, False),
        (10, 27, False),
        (5, 4, False),
        (0, 0, False),
    ],
)
def test_both_ends_of_a_comment_lie_in_one_hunk(start, line, inside):
    assert is_within((Hunk(2, 9), Hunk(28, 33)), start, line) is inside
    assert not is_within((), start, line)
