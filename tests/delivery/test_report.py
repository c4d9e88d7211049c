from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.delivery.rendering import rendered
from tests.delivery.reports import ALL_ENDS, KINDS, MARKER, RUN, comment, job, report, table
from tests.delivery.samples import HEAD, SOURCE, TEST, Rest, Test, fault, regression

from llm_testgen.delivery.findings import Finding
from llm_testgen.delivery.markers import summary_marker
from llm_testgen.delivery.plan import Place
from llm_testgen.delivery.report import job_summary, summary_comment
from llm_testgen.proposal import Funnel, SkipRecord
from llm_testgen.records import Label, Outcome


def test_the_summary_comment_tells_all_in_one_page():
    told = report(
        [Test(), ALL_ENDS[3]],
        Rest(skipped=[SkipRecord(path="a.py", qualname="", reason="a stub")], notes=["a note"]),
        run=RUN,
    )
    (test,) = told.findings
    assert comment(told) == (
        f"{MARKER.line()}\n\n"
        "### llm-testgen: 1 test raises diff coverage from 50.00 % to 75.00 %\n"
        "\n"
        "| test | id | of | executes for the first time | faults noticed | at base | where |\n"
        "|---|---|---|---|---|---|---|\n"
        f"| `test_it` | `{test.short_id}` | `total` | `src/shop.py` 3-4 |  |  | below |\n"
        "\n"
        "<details><summary><code>test_it</code> for <code>tests/test_shop.py</code></summary>\n"
        "\n"
        "**`test_it`** executes lines 3-4 of `src/shop.py`, which no test executed before, and fails when `total` is made"
        " to raise.<br><small>passed 3 of 3 runs · 12 ms each · expected values by the model `scripted`"
        f" · id `{test.short_id}`</small>\n"
        "\n"
        "```python\n"
        "def test_it():\n"
        "    assert total() == 7\n"
        "```\n"
        "\n"
        "</details>\n"
        "\n"
        "<details><summary>As a patch for <code>git apply</code></summary>\n"
        "\n"
        "```diff\n"
        "+def test_it():\n"
        "+    assert total() == 7\n"
        "```\n"
        "\n"
        "</details>\n"
        "\n"
        "> `a note`\n"
        "\n"
        "<details><summary>Left out: 1 changed part</summary>\n"
        "\n"
        "- `a.py`: `a stub`\n"
        "\n"
        "</details>\n"
        "\n"
        "<small>Filter by filter: 2 written → 2 built → 1 passed → 1 stable → 1 new lines → 1 accepted</small>\n"
        "\n"
        f"<small>tested at `{HEAD[:10]}` · model `scripted` · 83 s · [run]({RUN}) ·"
        " `/gen-tests apply` commits the tests, `/gen-tests help` says more</small>\n"
    )


def test_the_jobs_summary_has_every_test_a_chart_and_why_others_were_refused():
    told = report([Test("test_a"), *ALL_ENDS], place=Place.DIFF)
    page = rendered(job(told))
    assert [language for language, _ in page.blocks] == ["mermaid", "python", "python", "diff"]
    assert table(job(told), "refused")[0] == ["unparsable", "1", "`because of unparsable`"]
    assert page.outside.startswith("\nllm-testgen: 2 tests raise diff coverage".lstrip("\n"))
    assert page.outside.rstrip().endswith("says more")


@pytest.mark.parametrize(
    ("tests", "rest", "headline"),
    [
        (
            [],
            Rest(regressions=[regression()]),
            "1 possible regression; no test to propose, diff coverage stays at 50.00 %",
        ),
        (
            [Test()],
            Rest(regressions=[regression()] * 2),
            "2 possible regressions; 1 test raises diff coverage from 50.00 % to 75.00 %",
        ),
        ([], Rest(before=0, after=0), "no test to propose, diff coverage stays at 0.00 %"),
        ([ALL_ENDS[3]], Rest(before=66.666, after=66.666), "no test to propose, diff coverage stays at 66.67 %"),
        ([Test()], Rest(before=33.333, after=100), "1 test raises diff coverage from 33.33 % to 100.00 %"),
        ([Test("test_a"), Test("test_b")], None, "2 tests raise diff coverage from 50.00 % to 75.00 %"),
    ],
)
def test_the_headline_says_what_came_of_it(tests, rest, headline):
    told = report(tests, rest)
    assert comment(told).split("\n")[2] == f"### llm-testgen: {headline}"
    assert job(told).split("\n")[0] == f"## llm-testgen: {headline}"


@pytest.mark.parametrize("make", KINDS)
def test_a_possible_regression_is_a_question_with_both_values_and_its_test_folded(make):
    page = make(report(rest=Rest(regressions=[regression()])))
    assert (
        "\n\n#### Possible regressions\n"
        "\n"
        "**`size`**: `assert size(5) == '5 B'` holds at base and fails at head: base gives `'5 B'`, head gives"
        " `'5 Bytes'`. Is this meant?\n"
        "\n"
        "<details><summary>The test: <code>test_size</code></summary>\n"
        "\n"
        "```python\n"
        "def test_size():\n"
        "    assert size(5) == '5 B'\n"
        "```\n"
        "\n"
        "</details>\n"
        "\n"
    ) in page
    assert "suggestion" not in page
    assert "git apply" not in page
    assert "apply" not in page.split("\n")[-2]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"expected": ""}, ": head gives `'5 Bytes'`, `AssertionError: assert '5 Bytes' == '5 B'`. Is"),
        ({"actual": ""}, ": base gives `'5 B'`, `AssertionError: assert '5 Bytes' == '5 B'`. Is"),
        ({"expected": "", "actual": ""}, "fails at head: `AssertionError: assert '5 Bytes' == '5 B'`. Is"),
        ({"expected": "", "actual": "", "reason": ""}, "`assert size(5) == '5 B'` holds at base and fails at head. Is"),
        ({"assertion": ""}, "**`size`**: `test_size` holds at base"),
        ({"target": f"{SOURCE}::Box.size"}, "**`Box.size`**: "),
    ],
)
def test_what_is_not_known_of_a_possible_regression_is_not_told(fields, told):
    assert told in comment(report(rest=Rest(regressions=[regression(**fields)])))


def test_a_possible_regression_without_its_test_has_nothing_folded():
    page = rendered(comment(report(rest=Rest(regressions=[regression(code="")]))))
    assert "details" not in page.tags
    assert page.blocks == []


@pytest.mark.parametrize("make", KINDS)
def test_of_many_possible_regressions_the_first_are_told(make):
    asked = [regression(f"test_{index}", assertion=f"assert {index}") for index in range(12)]
    page = make(report(rest=Rest(regressions=asked)))
    assert page.count("Is this meant?") == 10
    assert "`assert 9`" in page
    assert "\n\nAnd 2 more, in the run's artifact.\n\n" in page
    assert "more" not in make(report(rest=Rest(regressions=asked[:10])))


@pytest.mark.parametrize("make", KINDS)
def test_the_table_says_what_each_test_notices_and_what_it_does_at_base(make):
    tests = [
        Test("test_a", killed=(fault(), fault(line=4)), survived=(fault(line=5),), label=Label.PINS),
        Test("test_b", survived=(fault(),), label=Label.HARDENS, observed=("1",)),
        Test("test_c"),
    ]
    rows = table(make(report(tests)), "test")
    assert [(row[0], *row[4:6]) for row in rows] == [
        ("`test_a`", "2 of 3", "fails"),
        ("`test_b` (characterisation)", "0 of 1", "passes"),
        ("`test_c`", "", ""),
    ]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(
    ("killed", "survived", "tally"),
    [
        ([(3,), (4,)], [(5,), ()], "2 of 3"),
        ([(3,), (3,)], [(), ()], "1 of 1"),
        ([(3,), ()], [(), (3,)], "1 of 1"),
        ([(3, 3), ()], [(3,), ()], "2 of 3"),
        ([(), ()], [(3,), (3,)], "0 of 1"),
    ],
)
def test_a_fault_that_one_test_notices_counts_as_noticed_once(make, killed, survived, tally):
    tests = [
        Test(f"test_{index}", killed=tuple(fault(line=n) for n in one), survived=tuple(fault(line=n) for n in other))
        for index, (one, other) in enumerate(zip(killed, survived, strict=True))
    ]
    tests.append(Test("test_refused", outcome=Outcome.VACUOUS, survived=(fault(line=99),)))
    assert f"The accepted tests notice {tally} faults put into lines that they run" in make(report(tests))
    assert "faults put into" not in make(report([Test()]))


@pytest.mark.parametrize("make", KINDS)
def test_without_a_test_there_is_no_table_and_nothing_to_apply(make):
    told = make(report())
    assert "| test |" not in told
    assert "apply" not in told
    assert "git apply" not in told
    assert told.endswith(f"<small>tested at `{HEAD[:10]}` · 83 s · `/gen-tests help`</small>\n")


@pytest.mark.parametrize(
    ("place", "link", "where"),
    [
        (Place.DIFF, "https://github.test/x#r1", "[on the diff](https://github.test/x#r1)"),
        (Place.DIFF, "", "on the diff"),
        (Place.SUMMARY, "https://github.test/x#r1", "below"),
        (Place.DISMISSED, "https://github.test/x#r1", "dismissed before"),
        (Place.QUIET, "", "not posted: the method has tests waiting"),
    ],
)
def test_each_test_is_told_with_where_it_stands(place, link, where):
    told = report([Test()], place=place)
    told = replace(told, links={told.findings[0].id: link})
    for page in (comment(told), job(told)):
        assert table(page, "test")[0][-1] == where


def test_a_test_with_no_place_yet_stands_below():
    told = replace(report([Test()]), places={})
    assert table(job(told), "test")[0][-1] == "below"


@pytest.mark.parametrize("place", [Place.DIFF, Place.DISMISSED, Place.QUIET])
def test_the_comment_has_the_code_of_tests_that_stand_nowhere_else_and_the_jobs_summary_of_all(place):
    told = report([Test("test_a"), Test("test_b")])
    told = replace(told, places={told.findings[0].id: place, told.findings[1].id: Place.SUMMARY})
    assert [text for _, text in rendered(comment(told)).blocks] == [
        "def test_b():\n    assert total() == 6\n",
        "+def test_b():\n+    assert total() == 6\n",
    ]
    assert sum(language == "python" for language, _ in rendered(job(told)).blocks) == 2


@pytest.mark.parametrize(
    ("gained", "cell"),
    [
        ({SOURCE: (3, 4, 9)}, "`src/shop.py` 3-4, 9"),
        ({"b.py": (1,), "a.py": (2,)}, "`a.py` 2; `b.py` 1"),
        (dict.fromkeys("abcde", (1,)), "`a` 1; `b` 1; `c` 1; 2 more files"),
        (dict.fromkeys("abc", (1,)), "`a` 1; `b` 1; `c` 1"),
        ({SOURCE: ()}, "`src/shop.py`"),
        ({}, ""),
    ],
)
def test_the_lines_that_a_test_executes_first_are_in_the_table(gained, cell):
    assert table(comment(report([Test(gained=gained)])), "test")[0][3] == cell


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(
    ("number", "more"),
    [(50, []), (51, ["and 1 more, in the run's artifact"]), (300, ["and 250 more, in the run's artifact"])],
)
def test_of_many_tests_the_first_are_told(make, number, more):
    rows = table(make(report([Test(f"test_{index}") for index in range(number)], place=Place.DIFF)), "test")
    assert [row[0] for row in rows[50:]] == more
    assert all(len(row) == 7 for row in rows)


def test_reasons_are_counted_and_the_first_of_each_is_told():
    tests = [
        Test("test_a", outcome=Outcome.NO_GAIN, reason="a"),
        Test("test_b", outcome=Outcome.FAILING, reason="b | c"),
        Test("test_c", outcome=Outcome.FAILING, reason="d"),
        Test("test_d", outcome=Outcome.VACUOUS),
        Test("test_e"),
    ]
    assert rendered(job(report(tests))).codes.count("b | c") == 1
    page = job(report(tests)).replace("b \\| c", "b - c")
    assert table(page, "refused") == [["failing", "2", "`b - c`"], ["no gain", "1", "`a`"], ["vacuous", "1", ""]]
    assert "| refused |" not in job(report([Test()]))
    assert "| refused |" not in comment(report(tests))


@pytest.mark.parametrize("make", KINDS)
def test_what_was_left_out_is_told_with_its_reason(make):
    skipped = [
        SkipRecord(path="a.py", qualname="", reason="a stub"),
        SkipRecord(path="b.py", qualname="C.f", reason="too long"),
    ]
    page = make(report(rest=Rest(skipped=skipped)))
    assert "<summary>Left out: 2 changed parts</summary>\n\n- `a.py`: `a stub`\n- `b.py::C.f`: `too long`\n" in page


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(("number", "last"), [(20, "- `19.py`: `x`"), (21, "- and 1 more"), (5_000, "- and 4980 more")])
def test_of_much_that_was_left_out_the_first_is_told(make, number, last):
    page = make(
        report(rest=Rest(skipped=[SkipRecord(path=f"{index}.py", qualname="", reason="x") for index in range(number)]))
    )
    assert f"Left out: {number:,} changed parts" in page
    assert f"\n{last}\n\n</details>" in page


@pytest.mark.parametrize("make", KINDS)
def test_notes_are_told_each_in_a_paragraph_those_of_the_delivery_first(make):
    told = report(rest=Rest(notes=["one", "two"]), notes=("`b.py` was not taken", "3 could not be hidden."))
    assert "\n\n> `b.py` was not taken\n>\n> 3 could not be hidden.\n>\n> `one`\n>\n> `two`\n\n" in make(told)
    page = rendered(make(told))
    assert page.tags.count("blockquote") == 1
    assert page.tags[page.tags.index("blockquote") + 1 :].count("p") >= 4


@pytest.mark.parametrize("make", KINDS)
def test_of_many_notes_the_first_are_told(make):
    told = make(report(rest=Rest(notes=[f"note {number}" for number in range(30)])))
    assert "> `note 9`\n>\n> and 20 more\n" in told
    assert "note 10" not in told
    assert "more" not in make(report(rest=Rest(notes=[f"note {number}" for number in range(10)])))


@pytest.mark.parametrize("make", KINDS)
def test_tests_with_a_secret_are_named_and_not_shown(make):
    names = [f"test_{number}" for number in range(12)]
    assert "\n> Withheld, since they hold what looks like a secret: `test_0`\n" in make(report(withheld=names[:1]))
    told = make(report(withheld=names))
    assert "`test_8`, `test_9`, 2 more\n" in told
    assert "test_10" not in told
    assert "`test_8`, `test_9`\n" in make(report(withheld=names[:10]))


@pytest.mark.parametrize(
    ("rest", "models", "said"),
    [
        (Rest(), ["scripted"], "· model `scripted` · 83 s ·"),
        (Rest(tokens=1_234), [""], "` · 2,468 tokens · 83 s ·"),
        (Rest(), ["a", "b", "a", "c", "d"], "· model `a`, `b`, `c` · 83 s"),
        (Rest(head="c" * 64), ["x"], "<small>tested at `cccccccccc` · "),
    ],
)
def test_the_footer_says_what_was_tested_and_what_it_cost(rest, models, said):
    told = report([Test(f"test_{index}", model=model) for index, model in enumerate(models)], rest)
    assert said in comment(told).split("\n")[-2]
    assert said in job(told).split("\n")[-2]


def test_the_marker_of_the_comment_is_read_back():
    assert summary_marker(comment(report([Test()]))) == MARKER


@pytest.mark.parametrize("reply", [None, 0])
def test_filter_by_filter_is_told_if_the_model_was_asked(reply):
    assert ("Filter by filter" in comment(report([Test()], Rest(replies=reply)))) is (reply is None)


XYCHART = re.compile(
    r"""xychart-beta
    title "[^"\n]+"
    x-axis \["[^"\n]+"(?:, "[^"\n]+")*\]
    y-axis "[^"\n]+" (?P<least>\d+) --> (?P<most>\d+)
    bar \[(?P<bars>\d+(?:, \d+)*)\]
"""
)


@pytest.mark.parametrize(
    "counts", [(1, 0, 0, 0, 0, 0), (1, 1, 1, 1, 1, 1), (9, 8, 7, 7, 3, 2), (123_456, 99, 5, 5, 5, 5)]
)
def test_the_chart_has_a_bar_for_each_filter(counts):
    stages = dict(zip(("candidates", "built", "passed", "stable", "gained", "accepted"), counts, strict=True))
    told = report([Test()])
    made = told.proposal.model_copy(update={"funnel": Funnel(replies=1, **stages)})
    ((_, chart),) = [block for block in rendered(job(replace(told, proposal=made))).blocks if block[0] == "mermaid"]
    found = XYCHART.fullmatch(chart)
    assert found
    bars = tuple(map(int, found["bars"].split(", ")))
    assert bars == counts
    assert (int(found["least"]), int(found["most"])) == (0, max(counts))
    assert chart.count('"', chart.index("x-axis"), chart.index("y-axis")) == 2 * len(bars)


def test_nothing_written_makes_no_chart():
    assert "mermaid" not in job(report())
    assert "mermaid" not in job(report([Test(outcome=Outcome.UNPARSABLE)]))
    assert "mermaid" not in comment(report([Test()]))


def test_a_patch_that_is_not_needed_is_not_made():
    def never(_: Sequence[Finding]) -> str:
        raise AssertionError

    assert summary_comment(report([Test()], place=Place.DIFF), MARKER.line(), never)
    assert job_summary(report(), never)
    assert TEST in comment(report([Test()]))
