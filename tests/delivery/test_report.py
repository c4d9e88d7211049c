from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.delivery.hostile import IN_RECORDS
from tests.delivery.rendering import Page, rendered
from tests.delivery.samples import (
    HEAD,
    PULL,
    SOURCE,
    TEST,
    Rest,
    Test,
    findings,
    patch_of,
    proposal,
)

from llm_testgen.delivery.findings import Finding
from llm_testgen.delivery.markdown import LONGEST_BODY
from llm_testgen.delivery.markers import SummaryMarker, summary_marker
from llm_testgen.delivery.plan import Place
from llm_testgen.delivery.report import Report, job_summary, skip_summary, summary_comment
from llm_testgen.proposal import Funnel, SkipRecord
from llm_testgen.records import Outcome

MEBIBYTE = 1 << 20
MARKER = SummaryMarker(HEAD, "9", ("1" * 16,))
ARTIFACT = "_What is too long to be shown here is in the run's artifact._"
RUN = "https://github.test/octo/shop/actions/runs/9"
ALL_ENDS = [Test(f"test_{outcome.value}", outcome=outcome, reason=f"because of {outcome.value}") for outcome in Outcome]


def report(
    tests: Sequence[Test] = (), rest: Rest | None = None, place: Place = Place.SUMMARY, **fields: object
) -> Report:
    """What there is to tell of a proposal whose accepted tests stand in one place."""
    made = proposal(tests, rest=rest)
    found = findings(made)
    return Report(made, found, dict.fromkeys((one.id for one in found), place), **fields)  # type: ignore[arg-type]


def comment(told: Report) -> str:
    return summary_comment(told, MARKER.line(), patch_of)


def job(told: Report) -> str:
    return job_summary(told, patch_of)


KINDS = [comment, job]


def table(page: str, title: str) -> list[list[str]]:
    """The rows of the table whose first column has a title."""
    lines = page.split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {title} |"))
    end = next(number for number in range(start, len(lines)) if not lines[number].startswith("|"))
    assert re.fullmatch(r"(\|---)+\|", lines[start + 1])
    return [[part.strip() for part in line.strip("|").split("|")] for line in lines[start + 2 : end]]


def test_the_summary_comment_tells_all_in_one_page():
    told = report(
        [Test(), ALL_ENDS[3]],
        Rest(skipped=[SkipRecord(path="a.py", qualname="", reason="a stub")], notes=["a note"]),
        run=RUN,
    )
    (test,) = told.findings
    assert comment(told) == (
        f"{MARKER.line()}\n"
        "\n"
        "### llm-testgen: 1 test raises diff coverage from 50.00 % to 75.00 %\n"
        "\n"
        "| test | id | of | executes for the first time | where |\n"
        "|---|---|---|---|---|\n"
        f"| `test_it` | `{test.short_id}` | `total` | `src/shop.py` 3-4 | below |\n"
        "\n"
        "<details><summary><code>test_it</code> for <code>tests/test_shop.py</code></summary>\n"
        "\n"
        "**`test_it`** executes lines 3-4 of `src/shop.py`, which no test executed before, and fails when `total` is made"
        " to raise.<br><sub>passed 3 of 3 runs · 12 ms each · expected values by the model `scripted`"
        f" · id `{test.short_id}`</sub>\n"
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
        "<sub>Filter by filter: 2 written → 2 built → 1 passed → 1 stable → 1 new lines → 1 accepted</sub>\n"
        "\n"
        f"<sub>tested at `{HEAD[:10]}` · model `scripted` · 83 s · [run]({RUN}) ·"
        " `/gen-tests apply` commits the tests, `/gen-tests help` says more</sub>\n"
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
def test_without_a_test_there_is_no_table_and_nothing_to_apply(make):
    told = make(report())
    assert "| test |" not in told
    assert "apply" not in told
    assert "git apply" not in told
    assert told.endswith(f"<sub>tested at `{HEAD[:10]}` · 83 s · `/gen-tests help`</sub>\n")


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
    assert all(len(row) == 5 for row in rows)


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


@pytest.mark.parametrize(
    ("rest", "models", "said"),
    [
        (Rest(), ["scripted"], "· model `scripted` · 83 s ·"),
        (Rest(tokens=1_234), [""], "` · 2,468 tokens · 83 s ·"),
        (Rest(), ["a", "b", "a", "c", "d"], "· model `a`, `b`, `c` · 83 s"),
        (Rest(head="c" * 64), ["x"], "<sub>tested at `cccccccccc` · "),
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


def of(text: str) -> Report:
    """A report that has a text in every place that can hold one."""
    path = "a/" + "".join(one for one in text if one.isprintable() and one not in "\\/")[:500] + "x"
    tests = [
        Test(
            text,
            text,
            gained={path: (1,), SOURCE: (2,)},
            path=path,
            code=f"# \u200b\n{text}",
            imports=(text,),
            model=text or "x",
            repairs=(text,),
        ),
        Test(outcome=Outcome.FAILING, reason=text or "x"),
        Test(outcome=Outcome.NO_GAIN, reason="x", model=text or "x"),
    ]
    rest = Rest(skipped=[SkipRecord(path=path, qualname=text or "x", reason=text)], notes=[text])
    return report(tests, rest, withheld=(text, "x"))


def words(page: Page, told: Report) -> str:
    """What a page says outside of code."""
    return page.outside.replace(told.findings[0].short_id, "ID")


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("text", IN_RECORDS, ids=count())
def test_hostile_text_acts_nowhere_in_a_report(make, text):
    hostile, plain = of(text), of("x")
    there, here = rendered(make(hostile)), rendered(make(plain))
    # Of the models of the plain one two are the same.
    assert [tag for tag in there.tags if tag != "code"] == [tag for tag in here.tags if tag != "code"]
    assert words(there, hostile).replace(", ", "") == words(here, plain).replace(", ", "")
    assert there.links == []
    assert not there.unbalanced
    assert not here.unbalanced


@given(
    st.lists(
        st.one_of(st.text(max_size=5), st.sampled_from(["`", "```", "\n", "|", "\\", "<b>", "</code>", "</pre>", "@x"]))
    ).map("".join)
)
@settings(derandomize=True, deadline=None, max_examples=100)
def test_any_text_stays_in_its_code_in_a_report(text):
    for make in KINDS:
        told = of(text)
        page = rendered(make(told))
        assert not page.unbalanced
        assert page.links == []
        assert words(page, told).replace(", ", "") == words(rendered(make(of("x"))), of("x")).replace(", ", "")


@pytest.mark.parametrize("text", IN_RECORDS, ids=count())
def test_a_reason_to_do_nothing_is_code(text):
    page = rendered(skip_summary(text))
    assert page.tags == ["h2", "p", "code"]
    assert page.outside.split() == ["llm-testgen", "did", "nothing"]


def sizes(number: int, size: int, unit: str = "#") -> Report:
    return report(
        [Test(f"test_{index}", code=f"def test_{index}(): {unit * size}") for index in range(number)], run=RUN
    )


@pytest.mark.parametrize(
    ("number", "size"),
    [(1, 1_000), (1, 31_000), (1, 33_000), (1, 66_000), (2, 20_000), (300, 10), (300, 200), (3, 40_000)],
)
def test_the_comment_is_no_longer_than_github_takes_and_says_where_the_rest_is(number, size):
    told = sizes(number, size)
    body = comment(told)
    page = rendered(body)
    assert len(body) <= LONGEST_BODY
    assert not page.unbalanced
    whole = len(page.blocks) == number + 1
    assert whole is (ARTIFACT not in body)
    assert whole or len(body) + size > LONGEST_BODY - 1_000
    assert len(table(body, "test")) == min(number, 51)
    assert body.rstrip().endswith("says more</sub>")


def test_the_patch_is_shown_before_single_tests_are():
    body = comment(sizes(30, 1_200))
    assert rendered(body).blocks[-1][0] == "diff"
    assert body.index("As a patch") > body.index("```python")
    assert ARTIFACT in body


@pytest.mark.parametrize("length", range(62_000, 66_000, 137))
def test_a_comment_just_around_the_bound_is_not_over_it(length):
    told = report([Test()])
    body = summary_comment(told, MARKER.line(), lambda _: "x" * length)
    assert len(body) <= LONGEST_BODY
    assert (ARTIFACT in body) is (len(rendered(body).blocks) < 2)


@pytest.mark.parametrize("unit", ["#", "é", "\U0001f600"])
@pytest.mark.parametrize(("number", "size"), [(3, 10), (20, 12_000), (12, 60_000), (40, 20_000)])
def test_the_jobs_summary_is_no_longer_in_bytes_than_github_takes(unit, number, size):
    size //= len(unit.encode())
    body = job(sizes(number, size, unit))
    assert len(body.encode()) <= MEBIBYTE - 5_000
    page = rendered(body)
    assert not page.unbalanced
    shown = sum(language == "python" for language, _ in page.blocks)
    assert (ARTIFACT in body) is (shown < number or page.blocks[-1][0] != "diff")
    assert body.rstrip().endswith("says more</sub>")


def test_a_jobs_summary_that_has_no_room_for_the_patch_has_the_tests():
    told = sizes(3, 100)
    body = job_summary(told, lambda _: "x" * MEBIBYTE)
    assert [language for language, _ in rendered(body).blocks] == ["mermaid", "python", "python", "python"]
    assert ARTIFACT in body


def largest(filling: str) -> tuple[Report, Mapping[str, str]]:
    """A report in which everything is longer than what is shown of it, and there is more of everything."""
    text = (filling * 1_500)[:1_500]
    path = "a/" + "|" * 900
    gained = {f"{path}{number}": tuple(range(1, 400, 2)) for number in range(6)}
    accepted = [
        Test(
            f"{number}{text}",
            f"m{text}",
            path=path,
            gained=gained,
            model=f"{number}{text}",
            repairs=(text,) * 4,
            code=f"{text}{number}",
        )
        for number in range(60)
    ]
    refused = [
        replace(test, outcome=outcome, reason=text)
        for test in accepted[:3]
        for outcome in Outcome
        if outcome is not Outcome.ACCEPTED
    ]
    rest = Rest(skipped=[SkipRecord(path=path, qualname=text, reason=text)] * 100, notes=[text] * 100, tokens=10**12)
    told = report(
        [*accepted, *refused], rest, withheld=(text,) * 100, run=RUN, notes=tuple(f"`{'x' * 500}`" for _ in range(50))
    )
    links = {finding.id: f"{PULL.url}#discussion_r{10**10 + number}" for number, finding in enumerate(told.findings)}
    return told, links


@pytest.mark.parametrize("filling", ["`", "\u200b", "x", "|", "<", "` ", "\U0001f600"])
@pytest.mark.parametrize("place", [Place.SUMMARY, Place.DIFF])
def test_the_largest_records_make_no_page_that_github_does_not_take(filling, place):
    told, links = largest(filling)
    told = replace(told, places=dict.fromkeys(told.places, place), links=links)
    marker = SummaryMarker(HEAD, "1" * 12, tuple(f"{number:016x}" for number in range(2_000))).line()
    body = summary_comment(told, marker, patch_of)
    assert len(body) <= LONGEST_BODY
    assert summary_marker(body)
    assert body.count("\n| ") >= 10
    assert body.rstrip().endswith("says more</sub>")
    assert not rendered(body).unbalanced
    assert len(job(told).encode()) <= MEBIBYTE - 5_000
    assert not rendered(job(told)).unbalanced


def test_a_patch_that_is_not_needed_is_not_made():
    def never(_: Sequence[Finding]) -> str:
        raise AssertionError

    assert summary_comment(report([Test()], place=Place.DIFF), MARKER.line(), never)
    assert job_summary(report(), never)
    assert TEST in comment(report([Test()]))
