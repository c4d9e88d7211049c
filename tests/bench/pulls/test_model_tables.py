from __future__ import annotations

import pytest
from tests.bench.pulls.made import result

from llm_testgen.bench.pulls.arms import FIRST, OURS
from llm_testgen.bench.pulls.model_tables import model_tables, on_shared_cases
from llm_testgen.bench.pulls.tables import series_of

RESULTS = [
    result(arm, f"{project}-1.0", model=model, lines=lines, passed=passed)
    for arm in (FIRST, OURS)
    for project in "abcdefgh"
    for model, lines, passed in (("base", 1, 2), ("base+tuned", 3, 5))
]
SERIES = series_of(RESULTS, (FIRST, OURS), ("base", "base+tuned"))


def cells(table, name):
    return next(dict(zip(table.headings, row, strict=True)) for row in table.rows if row[0] == name)


def test_models_stand_side_by_side_for_each_arm():
    tables = list(model_tables(SERIES))
    titles = ["From reply to test", "What it brings", "Compared with base"]
    assert [table.title for table in tables] == [
        f"{title}: {arm.label}, 8 cases" for arm in (FIRST, OURS) for title in titles
    ]
    funnel, brought, sure = tables[:3]
    assert [row[0] for row in funnel.rows] == ["base", "base+tuned"]
    tuned = cells(funnel, "base+tuned")
    assert (tuned["replies"], tuned["tests"], tuned["passed"], tuned["accepted"]) == ("16", "48", "40", "8")
    assert tuned["passing, %"] == "83 (83 to 83)"
    assert cells(brought, "base")["lines"] == "8/32"
    assert cells(brought, "base+tuned")["missing lines, %"] == "75 (75 to 75)"
    assert cells(brought, "base+tuned")["mutants killed"] == "24/40"
    assert sure.rows == [("base+tuned", "+50.0 (+50.0 to +50.0)", "8 / 0", "0.008 *")]


def test_each_model_is_seen_on_the_same_cases():
    more = result(OURS, "z-1.0", model="base", lines=4)
    series = series_of([*RESULTS, more, result(FIRST, "z-1.0", model="base")], (FIRST, OURS), ("base", "base+tuned"))
    assert {len(one.results) for one in series if one.model == "base"} == {9}
    assert {len(one.results) for one in on_shared_cases(series)} == {8}
    assert [table.rows for table in model_tables(series)] == [table.rows for table in model_tables(SERIES)]


def test_a_case_of_which_other_lines_are_missing_is_another_case():
    results = [result(OURS, "a-1.0", model=model, missing=missing) for model, missing in (("one", 4), ("other", 8))]
    assert not on_shared_cases(series_of(results, (OURS,), ("one", "other")))


def test_one_model_alone_has_nothing_to_be_compared_with():
    alone = [one for one in SERIES if one.model == "base"]
    assert not [table for table in model_tables(alone) if "Compared" in table.title]


def test_models_with_no_case_in_common_leave_no_table():
    results = [result(OURS, "a-1.0", model="one"), result(OURS, "b-1.0", model="other")]
    assert not list(model_tables(series_of(results, (OURS,), ("one", "other"))))


@pytest.mark.parametrize("count", [1, 2])
def test_cases_are_counted(count):
    results = [result(OURS, f"{number}-1.0", model="one") for number in range(count)]
    (first, *_) = model_tables(series_of(results, (OURS,), ("one",)))
    assert first.title.endswith("1 case" if count == 1 else "2 cases")
