"""Whatever a test file is made of, tests that are put into it leave all of it as it was, and work there."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.placing import (
    CANDIDATES,
    PATH,
    candidate,
    check_nothing_is_lost,
    check_runs,
    check_tests,
    count_lines,
    files,
    hunks,
    placements,
)

from llm_testgen.records import Inline, Placement
from llm_testgen.stages.anchor import anchor, applied
from llm_testgen.stages.suggest import place
from llm_testgen.testfiles import render

settings.register_profile(
    "placing", derandomize=True, deadline=None, max_examples=150, suppress_health_check=list(HealthCheck), database=None
)
PROFILE = settings.get_profile("placing")


def subset(draw: st.DrawFn, items):
    return [item for item in items if draw(st.booleans())]


@PROFILE
@given(st.data())
def test_any_of_the_placements_can_be_added_to_a_file(data: st.DataObject):
    text = data.draw(files())
    placed = placements(data.draw, text)
    taken = subset(data.draw, placed)
    after = render(text, taken)
    check_nothing_is_lost(text, after)
    check_tests(after, taken, [one for one in placed if one not in taken])
    check_runs(after, taken)


@PROFILE
@given(st.data())
def test_the_files_hold_all_placements(data: st.DataObject):
    text = data.draw(files())
    names = data.draw(st.lists(st.sampled_from(sorted(CANDIDATES)), max_size=6))
    made, placed = place([candidate(name) for name in names], {PATH: text} if text else {})
    assert len(placed) == len(names)
    for file in made:
        own = [placement for placement in placed if placement.path == file.path]
        assert own
        assert file.before == (text if file.path == PATH else "")
        assert file.after == render(file.before, own)
        check_nothing_is_lost(file.before, file.after)
        check_tests(file.after, own, [])
        check_runs(file.after, own)


def suggestions(draw: st.DrawFn) -> tuple[str, list[Placement], tuple[Inline, ...]]:
    text = draw(files())
    placed = placements(draw, text)
    shown = draw(hunks(count_lines(text)))
    made = anchor(text, placed, shown)
    for inline in made:
        assert any(hunk.start <= inline.start <= inline.line <= hunk.end for hunk in shown)
    return text, placed, made


@PROFILE
@given(st.data())
def test_any_of_the_inline_suggestions_can_be_taken(data: st.DataObject):
    text, placed, made = suggestions(data.draw)
    taken = subset(data.draw, made)
    tests = [placement for inline in taken for placement in inline.placements]
    after = applied(text, taken)
    check_nothing_is_lost(text, after)
    check_tests(after, tests, [one for one in placed if one not in tests])
    check_runs(after, tests)


@PROFILE
@given(st.data())
def test_each_inline_suggestion_holds_the_lines_that_it_replaces_and_more(data: st.DataObject):
    text, _, made = suggestions(data.draw)
    lines = text.replace("\r\n", "\n").split("\n")
    last = 0
    for inline in made:
        assert last < inline.start <= inline.line
        last = inline.line
        replaced, text_lines = lines[inline.start - 1 : inline.line], inline.text.split("\n")
        left = iter(text_lines)
        assert all(line in left for line in replaced)
        assert len(text_lines) > len(replaced)
        assert "\r" not in inline.text


@PROFILE
@given(st.data())
def test_inline_suggestions_can_be_taken_in_any_order(data: st.DataObject):
    text, _, made = suggestions(data.draw)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.split(newline)
    done: list[Inline] = []
    for inline in data.draw(st.permutations(made)):
        shift = sum(
            other.text.count("\n") + 1 - (other.line - other.start + 1) for other in done if other.line < inline.start
        )
        lines[inline.start - 1 + shift : inline.line + shift] = inline.text.split("\n")
        done.append(inline)
    assert newline.join(lines) == applied(text, made)


@PROFILE
@given(st.data())
def test_a_test_is_suggested_once_or_not_at_all(data: st.DataObject):
    _, placed, made = suggestions(data.draw)
    suggested = [id(placement) for inline in made for placement in inline.placements]
    assert len(set(suggested)) == len(suggested)
    assert set(suggested) <= set(map(id, placed))
