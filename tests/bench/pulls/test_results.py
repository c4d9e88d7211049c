from __future__ import annotations

import pytest
from tests.bench.pulls.made import result

from llm_testgen.bench.pulls.arms import OURS, PLAIN
from llm_testgen.bench.pulls.results import ResultStore, together
from llm_testgen.errors import UsageError


def test_results_are_there_on_the_next_run_and_the_later_of_two_counts(tmp_path):
    path = tmp_path / "results.jsonl"
    store = ResultStore(path)
    first, second = result(OURS, lines=1), result(OURS, lines=2)
    for one in (first, result(PLAIN), second):
        store.add(one)
    again = ResultStore(path)
    assert again.find(first.key) == second
    assert list(again) == [second, result(PLAIN)]
    assert again.find(result(OURS, model="other").key) is None


def test_half_a_line_of_a_run_that_was_killed_is_forgotten(tmp_path):
    path = tmp_path / "results.jsonl"
    ResultStore(path).add(result(OURS))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert list(ResultStore(path)) == [result(OURS)]
    assert path.read_bytes() == whole


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text('{"case": 1}\n')
    with pytest.raises(UsageError, match="holds no results of this version"):
        ResultStore(path)


def test_what_is_left_to_cover_counts_and_a_case_without_anything_left_is_whole():
    assert (result(OURS).share, result(OURS).is_whole) == (0.5, False)
    assert result(OURS, lines=4).is_whole


def test_cases_together_are_sums():
    figures = together([result(OURS), result(OURS, "b-2.0", lines=1)])
    assert (figures.lines, figures.missing, figures.tokens, figures.killed) == (3, 8, 2000, 6)
    assert [(part.part, part.runs, part.cpu) for part in figures.parts] == [
        ("first runs", 6, 1.0),
        ("mutants", 10, 2.0),
    ]
