from __future__ import annotations

import pytest

from llm_testgen.pages.blocks import Segment, Tone, duration, fitting, percent, segments
from llm_testgen.pages.words import NOTHING, Part, code, phrase, plain, quote


def test_segments_follow_each_other_and_empty_ones_are_left_out():
    drawn = segments([(Tone.BEFORE, 1), (Tone.UNTOLD, 0), (Tone.GAINED, 2)], 4)
    assert drawn == (Segment(Tone.BEFORE, 0, 25), Segment(Tone.GAINED, 25, 50))


def test_a_bar_of_nothing_has_no_segments():
    assert segments([(Tone.PLAIN, 0)], 0) == ()


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (0.5, "0.5 s"), (83.4, "83 s"), (120, "2 min"), (3600, "1 h 0 min")]
)
def test_times_are_said_as_people_say_them(seconds, said):
    assert duration(seconds) == said


def test_a_share_of_nothing_is_not_told():
    assert (percent(1, 3), percent(0, 0)) == ("33.3 %", "")


def test_what_does_not_fit_is_counted():
    assert fitting(["a", "b", "c"], 2) == (["a", "b"], 1)


def test_foreign_text_stays_apart_from_the_words_around_it():
    said = phrase(f"it gives {quote('<b>')}, not {quote('x')}.")
    assert said == (
        Part("it gives "),
        Part("<b>", is_code=True),
        Part(", not "),
        Part("x", is_code=True),
        Part("."),
    )


def test_foreign_text_cannot_end_its_quotation():
    _, quoted, rest = phrase("a " + quote("x\x03 and \x02y") + "!")
    assert quoted == Part("x\\u0003 and \\u0002y", is_code=True)
    assert rest == Part("!")


def test_empty_text_is_nothing():
    assert plain(" ") == code("") == phrase("") == NOTHING
