from __future__ import annotations

import pytest

from llm_testgen.errors import UsageError
from llm_testgen.evolution.score import Gain
from llm_testgen.evolution.store import TrialStore, key_of

GAIN = Gain(2, 7, 3, 410, 95)


def filled(path, count=3):
    store = TrialStore(path)
    for number in range(count):
        store.remember(key_of(number), GAIN, recipe="0123456789abcdef", target="src/pkg/mod.py::f")
    return store


def test_what_was_tried_is_there_the_next_time(tmp_path):
    filled(tmp_path / "deep" / "evolve.jsonl")
    again = TrialStore(tmp_path / "deep" / "evolve.jsonl")
    assert again.known == 3
    assert again.recall(key_of(1)) == GAIN
    assert again.recall(key_of(9)) is None


def test_a_line_that_was_cut_off_is_dropped_and_the_next_one_is_whole(tmp_path):
    path = tmp_path / "evolve.jsonl"
    filled(path)
    path.write_bytes(path.read_bytes()[:-20])
    store = TrialStore(path)
    assert store.known == 2
    store.remember(key_of(7), GAIN, recipe="0123456789abcdef", target="t")
    assert TrialStore(path).recall(key_of(7)) == GAIN


@pytest.mark.parametrize("line", ["no json", "{}", "[]", "\x00", '{"version": 2}', '{"version":1,"key":"a"}'])
def test_a_file_that_holds_something_else_is_refused_with_its_line(tmp_path, line):
    path = tmp_path / "evolve.jsonl"
    filled(path)
    path.write_bytes(path.read_bytes() + f"{line}\n".encode())
    with pytest.raises(UsageError, match=r"evolve\.jsonl:4 is no line of a search .*move it away"):
        TrialStore(path)


def test_a_negative_figure_is_refused(tmp_path):
    path = tmp_path / "evolve.jsonl"
    filled(path, 1)
    path.write_text(path.read_text().replace('"lines":7', '"lines":-7'))
    with pytest.raises(UsageError, match="greater than or equal to 0"):
        TrialStore(path)


def test_a_folder_in_its_place_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be used to go on from"):
        TrialStore(tmp_path)


def test_a_file_that_cannot_be_written_is_an_error_that_says_how_to_go_on(tmp_path):
    store = filled(tmp_path / "evolve.jsonl")
    store.path.unlink()
    store.path.mkdir()
    with pytest.raises(UsageError, match=r"cannot be written: .* the same command goes on"):
        store.remember(key_of(8), GAIN, recipe="0", target="t")


def test_a_key_depends_on_all_of_its_parts():
    assert key_of("a", "b") == key_of("a", "b")
    assert len({key_of("a", "b"), key_of("ab", ""), key_of("a", "c"), key_of("b", "a")}) == 4
