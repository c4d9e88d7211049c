from __future__ import annotations

import pytest
from tests.bench.pulls.made import result

from llm_testgen.bench.pulls.arms import COVERUP, OURS, PLAIN, TEMPERATURE
from llm_testgen.bench.pulls.estimates import Interval
from llm_testgen.bench.pulls.tables import (
    Table,
    by_model,
    cost_table,
    difference_table,
    experiment_table,
    funnel_table,
    human_rows,
    main_table,
    markdown,
    percent,
    points,
    scarce,
    series_of,
)

RESULTS = [
    *(result(OURS, f"{project}-1.0", lines=3) for project in "abcdefgh"),
    *(result(PLAIN, f"{project}-1.0", lines=1) for project in "abcdefgh"),
]
SERIES = series_of(RESULTS, (OURS, PLAIN), ("m",))


def row(table: Table, label: str) -> dict[str, str]:
    return next(dict(zip(table.headings, cells, strict=True)) for cells in table.rows if cells[0] == label)


def test_arms_are_compared_on_the_cases_that_all_of_them_have():
    results = [*RESULTS, result(OURS, "z-1.0"), result(OURS, "z-1.0", model="n")]
    series = series_of(results, (OURS, PLAIN), ("m", "n"))
    assert [(one.arm.key, one.model, len(one.results)) for one in series] == [
        ("ours", "m", 8),
        ("plain", "m", 8),
        ("ours", "n", 1),
    ]
    assert "z-1.0" not in {one.case for one in series[0].results}


def test_an_arm_with_few_results_does_not_take_the_cases_of_the_others():
    results = [*RESULTS, *(result(COVERUP, f"{project}-1.0") for project in "abcd")]
    arms = OURS, PLAIN, COVERUP
    assert [(one.arm.key, len(one.results)) for one in series_of(results, arms, ("m",))] == [("ours", 8), ("plain", 8)]
    assert list(scarce(results, arms, ("m", "n"))) == [(COVERUP, "m", 4)]
    results.append(result(COVERUP, "e-1.0"))
    assert [len(one.results) for one in series_of(results, arms, ("m",))] == [5, 5, 5]
    assert not list(scarce(results, arms, ("m",)))


def test_arms_that_were_judged_by_other_lines_are_not_compared():
    other = result(PLAIN, "h-1.0")
    other = other.model_copy(update={"about": other.about.model_copy(update={"before": 2})})
    series = series_of([*RESULTS[:-1], other], (OURS, PLAIN), ("m",))
    assert [len(one.results) for one in series] == [7, 7]


def test_results_of_another_form_of_an_arm_do_not_count():
    old = result(OURS).model_copy(update={"form": "an older one"})
    assert series_of([old], (OURS,), ("m",)) == ()


def test_the_main_table_says_what_each_arm_brings():
    table = main_table(SERIES)
    ours = row(table, OURS.label)
    assert (ours["cases"], ours["lines"], ours["tests"], ours["mutants killed"]) == ("8", "24/32", "24", "24/40")
    assert ours["missing lines, %"] == "75 (75 to 75)"
    assert ours["diff coverage, %"] == "60.0 → 90.0"
    assert ours["lines / 1,000 tokens"] == "3.00"
    human = dict(zip(table.headings, next(iter(human_rows(SERIES))), strict=True))
    assert (human["lines"], human["missing lines, %"], human["fully covered, %"]) == ("24/32", "75", "0")


def test_a_difference_stands_with_how_sure_it_is():
    (cells,) = difference_table(SERIES).rows
    assert cells == (PLAIN.label, "m", OURS.label, "8", "-50.0 (-50.0 to -50.0)", "0 / 8", "0.008 *")


def test_funnel_and_costs_are_sums():
    assert row(funnel_table(SERIES), OURS.label)["passed"] == "24"
    assert row(funnel_table(SERIES), OURS.label)["passing, %"] == "50 (50 to 50)"
    costs = row(cost_table(SERIES), PLAIN.label)
    assert (costs["tokens out"], costs["CPU s of tests"], costs["CPU s / case"]) == ("3,200", "12", "1.50")


def test_time_is_told_only_where_nothing_ran_beside():
    beside = result(PLAIN, "z-1.0").model_copy(update={"seconds": None})
    series = series_of([*RESULTS, beside, result(OURS, "z-1.0")], (OURS, PLAIN), ("m",))
    costs = row(cost_table(series), PLAIN.label)
    assert [costs[name] for name in ("CPU s of tests", "CPU s / case", "judging s / case")] == ["-"] * 3
    assert row(cost_table(series), OURS.label)["judging s / case"] == "2.00"


def test_nothing_is_said_of_what_another_generator_does_by_itself():
    found = result(COVERUP)
    found = found.model_copy(update={"funnel": None, "figures": found.figures.model_copy(update={"parts": ()})})
    series = series_of([found], (COVERUP,), ("m",))
    assert set(row(funnel_table(series), COVERUP.label).values()) == {COVERUP.label, "m", "-"}
    costs = row(cost_table(series), COVERUP.label)
    assert (costs["CPU s of tests"], costs["CPU s / case"], costs["tokens out"]) == ("-", "-", "400")


def test_the_authors_tests_stand_once_for_all_models_of_the_same_cases_in_whatever_order():
    results = [
        result(OURS, f"{project}-1.0", model=model) for model, order in (("m", "ab"), ("n", "ba")) for project in order
    ]
    assert [cells[1] for cells in human_rows(series_of(results, (OURS,), ("m", "n")))] == ["-"]


def test_the_authors_tests_count_where_those_of_an_arm_do():
    found = result(OURS, missing=4)
    about = found.about.model_copy(update={"changed": 20, "human": 18})
    (cells,) = human_rows(series_of([found.model_copy(update={"about": about})], (OURS,), ("m",)))
    assert cells[3:7] == ("3/4", "75", "0", "30.0 → 45.0 (all: 90.0)")


def test_the_authors_tests_stand_with_each_model_where_cases_differ():
    results = [result(OURS, model=model) for model in ("m", "n", "o")]
    series = series_of([*results, result(OURS, "b-1.0", model="o")], (OURS,), ("m", "n", "o"))
    assert [cells[1:3] for cells in human_rows(series)] == [("m", "1"), ("n", "1"), ("o", "2")]


def test_the_authors_tests_stand_with_each_model_where_other_lines_are_missing():
    series = series_of([result(OURS), result(OURS, model="n", missing=8)], (OURS,), ("m", "n"))
    assert [cells[1:4] for cells in human_rows(series)] == [("m", "1", "3/4"), ("n", "1", "7/8")]


def test_an_experiment_stands_by_what_it_changes():
    results = [
        result(arm, f"{project}-1.0", passed=number) for number, arm in enumerate(TEMPERATURE) for project in "ab"
    ]
    table = experiment_table("Tests by temperature", series_of(results, TEMPERATURE, ("m",)))
    assert [cells[0] for cells in table.rows] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert [cells[4].split()[0] for cells in table.rows] == ["0", "17", "33", "50", "67", "83"]


@pytest.mark.parametrize(
    ("interval", "shown", "difference"),
    [
        (None, "-", None),
        (Interval(0.5, float("-inf"), float("inf")), "50", "+50.0"),
        (Interval(0.125, 0.0, 0.5), "12 (0 to 50)", "+12.5 (+0.0 to +50.0)"),
    ],
)
def test_what_is_not_known_is_not_made_up(interval, shown, difference):
    assert percent(interval) == shown
    assert difference is None or points(interval) == difference


def test_a_table_in_markdown_keeps_its_columns():
    table = Table("T", ("a", "b"), [("x | y", "1")])
    assert list(markdown(table)) == ["| a | b |", "|---|---:|", r"| x \| y | 1 |"]


def test_a_terminal_shows_a_table_of_each_model_without_columns_that_say_the_same_in_each_row():
    results = [*RESULTS, *[one.model_copy(update={"model": "n"}) for one in (RESULTS[0], RESULTS[8])]]
    series = series_of(results, (OURS, PLAIN), ("m", "n"))
    main = main_table(series)
    whole = Table(main.title, main.headings, [*main.rows, *human_rows(series)])
    first, second = by_model(whole)
    assert (first.title, second.title) == ("What each arm brings: m, 8 cases", "What each arm brings: n, 1 case")
    assert first.headings == tuple(name for name in main.headings if name not in {"model", "cases"})
    assert [cells[0] for cells in second.rows] == [OURS.label, PLAIN.label, "the authors' own tests"]
    assert all(len(cells) == len(first.headings) for cells in first.rows)


def test_models_stay_side_by_side_where_nothing_else_differs():
    results = [result(OURS, model=model) for model in ("m", "n")]
    table = experiment_table("Tests by model", series_of(results, (OURS,), ("m", "n")))
    assert list(by_model(table)) == [table]
