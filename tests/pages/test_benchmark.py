from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from tests.bench.pulls.made import result
from tests.pages.markup import Page
from tests.pages.scenes import benchmark, benchmark_results

from llm_testgen.bench.pulls.arms import COVERUP, FIRST, OURS, PLAIN, TEMPERATURE
from llm_testgen.bench.pulls.report import benchmark_html
from llm_testgen.bench.pulls.report_cases import overviews
from llm_testgen.bench.pulls.report_charts import funnel_charts, lines_chart, passing_chart
from llm_testgen.bench.pulls.results import MethodResult, read_results
from llm_testgen.bench.pulls.run import RESULTS
from llm_testgen.bench.pulls.tables import series_of
from llm_testgen.commands import report
from llm_testgen.errors import UsageError
from llm_testgen.pages.blocks import Segment, Tone
from llm_testgen.pages.render import TEMPLATES

PATH = Path("some/results.jsonl")
HOSTILE = "</table></style><script>alert(1)</script><img src=x onerror=alert(1)>\"' {{ 7 * 7 }} &lt;\u202e"


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(benchmark(benchmark_results()))


def series(arms, models=("m",), **changes):
    results = [
        result(arm, f"{project}-1.0", model=model, **changes) for arm in arms for project in "ab" for model in models
    ]
    return series_of(results, arms, models)


def test_a_page_has_all_that_was_measured(page):
    for told in (
        "Tests for 3 real changes, in 3 ways",
        "Seed 0",
        "real changes of 3 projects",
        "Gained by llm-testgen",
        "9 of 12 lines, 75 % (75 to 75)",  # of the first arm, with its interval
        "the authors' own tests",
        "What each arm brings: m, 3 cases",
        "How sure the differences are: m, 3 cases",
        "-50.0 (-50.0 to -50.0)",
        "llm-testgen: 50 % (50 to 50) of the candidates pass",
        "What it costs: m",
        "Tests by temperature",
        "Whether a model that dares more writes more tests that pass, or fewer.",
        "CoverUp 0.6.3 judges its own candidates",
        "3 of 5",  # mutants killed in a case
        "a.py::f",
        "60.0 % by the older tests",
        "4 of 8 tests fail already",
    ):
        assert told in page.text, told
    assert page.faults == []


def test_every_table_has_a_caption_and_scopes_and_headings_go_down_one_step_at_a_time(page):
    tags = [tag for tag, _ in page.tags]
    assert tags.count("table") == tags.count("caption") > 20
    assert all(own.get("scope") in {"row", "col"} for tag, own in page.tags if tag == "th")
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise([1, *levels]))


def test_every_row_has_a_cell_for_each_column():
    text = benchmark(benchmark_results())
    tables = [table for table in re.findall(r"<table.*?</table>", text, re.DOTALL) if 'class="plain"' in table]
    assert len(tables) > 10
    for table in tables:
        counts = {len(re.findall(r"<t[hd]\b", row)) for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)}
        assert len(counts) == 1, table


def test_what_is_drawn_is_hidden_from_those_who_hear_it_and_stands_there_as_text(page):
    drawn = [own for tag, own in page.tags if own.get("class") == "drawn" and tag == "td"]
    outside = sum(tag == "tfoot" for tag, _ in page.tags)
    assert len(drawn) > outside > 0
    assert sum(own.get("aria-hidden") == "true" for own in drawn) == len(drawn) - outside
    assert all(own.get("aria-hidden") == "true" for tag, own in page.tags if tag == "tfoot")


def test_an_experiment_of_one_way_is_none():
    one = [result(TEMPERATURE[0], f"{project}-1.0") for project in "ab"]
    assert "Experiments" not in Page(benchmark(one)).text
    two = [*one, *(result(TEMPERATURE[4], f"{project}-1.0") for project in "ab")]
    shown = Page(benchmark(two))
    assert "A temperature of 0 is no better than one of 0.8" in shown.text  # what was found before
    assert shown.values("id").count("e-temperature") == 1
    assert "arms" not in shown.values("id")  # none of the main ones
    assert shown.faults == []


def test_models_are_compared_with_each_other_where_the_arm_is_the_same():
    results = [result(FIRST, f"{project}-1.0", model=model) for model in ("m", "n") for project in "ab"]
    shown = Page(benchmark(results[:-1]))
    assert "Tests by model" in shown.text
    assert "Tests by what was tuned" not in shown.text
    assert "cases of which a model has no result are left out" in shown.text
    assert "cases of which a model has no result are left out" not in Page(benchmark(results)).text


def test_a_chart_has_bars_with_whiskers_and_the_authors_without():
    ours, authors = lines_chart(series((OURS,), lines=3), is_main=True).bars
    assert (ours.value, ours.segments, ours.whisker) == (
        "6 of 8 lines, 75 % (75 to 75)",
        (Segment(Tone.GAINED, 0, 75),),
        (75, 75),
    )
    assert (authors.value, authors.whisker) == ("6 of 8 lines, 75 %", None)


def test_an_interval_without_bounds_is_not_drawn():
    one = series_of([result(OURS)], (OURS,), ("m",))
    (bar, _) = lines_chart(one, is_main=True).bars
    assert (bar.value, bar.whisker) == ("2 of 4 lines, 50 %", None)


def test_filters_of_all_arms_are_on_one_scale_and_an_arm_without_a_count_has_none():
    results = [result(OURS, passed=6, candidates=12), result(PLAIN, passed=1), result(COVERUP)]
    results[2] = results[2].model_copy(update={"funnel": None})
    charts = list(funnel_charts(series_of(results, (OURS, PLAIN, COVERUP), ("m",))))
    assert [chart.caption.partition(":")[0] for chart in charts] == [OURS.label, PLAIN.label]
    candidates = [next(bar for bar in chart.bars if bar.value in {"12", "6"}).segments for chart in charts]
    assert [drawn[0].width for drawn in candidates] == [100, 50]
    assert passing_chart(series_of(results[2:], (COVERUP,), ("m",))) is None


def test_cases_stand_in_each_order():
    def case(name, missing, ours, plain):
        return [
            result(arm, name, missing=missing, lines=lines)
            for arm, lines in ((OURS, ours), (PLAIN, plain))
            if lines is not None
        ]

    results = [*case("a-1", 4, 0, 3), *case("b-1", 9, 5, None), *case("c-1", 6, 6, 2)]
    found = {one.key: [row[0][0].text for row in one.tables[0].rows] for one in overviews(results, (OURS, PLAIN))}
    assert found == {
        "name": ["a-1", "b-1", "c-1"],
        "changed": ["a-1", "b-1", "c-1"],
        "missing": ["b-1", "c-1", "a-1"],
        "gained": ["c-1", "b-1", "a-1"],
        "behind": ["a-1", "c-1", "b-1"],
    }
    (table,) = overviews(results, (OURS, PLAIN))[2].tables
    assert table.links == ("#c1", "#c2", "#c0")
    assert [cell[0].text for cell in table.rows[0]] == ["b-1", "10", "1", "9", "5", "-", "8"]
    assert overviews(results[:1], (OURS,)) == ()


def test_every_order_has_its_rule_in_the_style_sheet():
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    keys = [one.key for one in overviews(benchmark_results(), (OURS,))]
    assert len(keys) == style.count(":root:has(#order-") == 5
    assert all(f":root:has(#order-{key}:checked) .ordered:not(.by-{key})" in style for key in keys)


def test_what_is_not_compared_is_told():
    lacking = result(OURS, "d-1.0")
    others = [result(OURS, "d-1.0", seed=7), result(PLAIN).model_copy(update={"form": "an older one"})]
    text = Page(benchmark([*benchmark_results(), lacking, *others])).text
    assert "1 of 4 cases with m cannot be compared: an arm has no result there" in text
    assert "results of other draws are not shown (seed 7, 4 methods a case)" in text
    assert "1 result of other forms of the arms, from another version, not shown" in text
    assert "d-1.0" in text


def test_cases_of_one_project_have_no_interval_and_the_page_says_so():
    assert (
        "with m all cases are of one project, from which no interval can be told"
        in Page(benchmark([result(OURS)])).text
    )


def test_hostile_names_stay_text():
    method = MethodResult(target=HOSTILE, missing=2, gained=1, human=1)
    about = result(OURS).about.model_copy(update={"notes": (HOSTILE,)})
    update = {
        "case": HOSTILE,
        "project": HOSTILE,
        "split": HOSTILE,
        "model": HOSTILE,
        "methods": (method,),
        "about": about,
    }
    page = Page(benchmark([result(arm).model_copy(update=update) for arm in (OURS, PLAIN)]))
    assert page.faults == []
    assert "\u202e" not in page.text
    assert page.text.count("alert(1)") > 8


def test_the_same_results_give_the_same_page():
    assert benchmark(benchmark_results()) == benchmark(benchmark_results())


def test_of_two_results_of_the_same_the_later_one_counts():
    lines = [result(OURS, lines=number).model_dump_json() for number in (1, 2)]
    assert [one.figures.lines for one in read_results("\n\n".join(lines).encode(), PATH)] == [2]


def test_results_of_another_version_are_refused():
    old = result(OURS).model_copy(update={"form": "an older one"})
    with pytest.raises(UsageError, match=r"^some/results.jsonl holds only results of other forms .*: make them anew"):
        benchmark_html(old.model_dump_json().encode(), PATH, "1.0")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (b'{"case": "a", "ar', r"^some/results.jsonl ends in half a line: .* or remove the line"),
        (b'{"case": "a", "arm": "b"}', r"^some/results.jsonl, line 2: no result of this version .*project.*: pass"),
        (b"\xff\n", r"^some/results.jsonl, line 2: no result of this version"),
    ],
)
def test_a_line_that_is_no_result_is_refused_with_its_number(more, told):
    with pytest.raises(UsageError, match=told):
        read_results(result(OURS).model_dump_json().encode() + b"\n" + more, PATH)


def test_the_command_looks_for_the_file_that_the_benchmark_writes():
    assert report.RESULTS == RESULTS
