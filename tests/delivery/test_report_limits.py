from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.delivery.hostile import IN_RECORDS
from tests.delivery.rendering import Page, rendered
from tests.delivery.reports import KINDS, MARKER, RUN, comment, job, report, table
from tests.delivery.samples import HEAD, PULL, SOURCE, Rest, Test, fault, patch_of, regression

from llm_testgen.delivery.markdown import LONGEST_BODY
from llm_testgen.delivery.markers import SummaryMarker, summary_marker
from llm_testgen.delivery.plan import Place
from llm_testgen.delivery.report import Report, job_summary, skip_summary, summary_comment
from llm_testgen.proposal import RegressionRecord, SkipRecord
from llm_testgen.records import Label, Outcome

MEBIBYTE = 1 << 20


ARTIFACT = "_What is too long to be shown here is in the run's artifact._"


def of(text: str) -> Report:
    """A report that has a text in every place that can hold one."""
    path = "a/" + "".join(one for one in text if one.isprintable() and one not in "\\/")[:500] + "x.py"
    mutant = fault(text, text if text.strip() else "x", path=path)
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
            killed=(mutant,),
            survived=(mutant,),
            observed=(text,),
            idle=(text,),
            label=Label.PINS,
        ),
        Test(outcome=Outcome.FAILING, reason=text or "x"),
        Test(outcome=Outcome.NO_GAIN, reason="x", model=text or "x"),
    ]
    rest = Rest(
        skipped=[SkipRecord(path=path, qualname=text or "x", reason=text)], notes=[text], regressions=asked(text)
    )
    return report(tests, rest, withheld=(text, "x"))


def asked(text: str) -> list[RegressionRecord]:
    """Questions that have a text in every place that can hold one."""
    some = text or "x"
    # What is longer is not shown.
    told = regression(text, target=text, code=some[:1_000], assertion=some, expected=some, actual=some, reason=some)
    return [told, regression(some, code="x", assertion="", expected="", actual="", reason=some)]


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


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(("number", "size", "shown"), [(1, 100, 1), (1, 20_000, 0), (10, 100, 10), (10, 3_000, 3)])
def test_tests_of_possible_regressions_are_shown_as_far_as_there_is_room(make, number, size, shown):
    asked = [regression(f"test_{index}", code="#" * size) for index in range(number)]
    page = make(report(rest=Rest(regressions=asked)))
    assert page.count("Is this meant?") == number
    assert [language for language, _ in rendered(page).blocks] == ["python"] * shown
    assert (ARTIFACT in page) is (shown < number)


@pytest.mark.parametrize("make", KINDS)
def test_a_test_that_is_too_long_leaves_room_for_the_next_one(make):
    asked = [regression("test_long", code="#" * 20_000), regression("test_short", code="x")]
    page = rendered(make(report(rest=Rest(regressions=asked))))
    assert page.blocks == [("python", "x\n")]


@pytest.mark.parametrize("length", range(54_000, 56_500, 97))
def test_questions_leave_tests_no_more_room_than_there_is(length):
    told = report([Test()], Rest(regressions=[regression(code="#" * 9_000)] * 2))
    body = summary_comment(told, MARKER.line(), lambda _: "x" * length)
    assert len(body) <= LONGEST_BODY
    assert not rendered(body).unbalanced


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
    assert body.rstrip().endswith("says more</small>")


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
    assert body.rstrip().endswith("says more</small>")


def test_a_jobs_summary_that_has_no_room_for_the_patch_has_the_tests():
    told = sizes(3, 100)
    body = job_summary(told, lambda _: "x" * MEBIBYTE)
    assert [language for language, _ in rendered(body).blocks] == ["mermaid", "python", "python", "python"]
    assert ARTIFACT in body


def largest(filling: str) -> tuple[Report, Mapping[str, str]]:
    """A report in which everything is longer than what is shown of it, and there is more of everything."""
    text = (filling * 1_500)[:1_500]
    path = "a/" + "|" * 900 + ".py"
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
            killed=(fault(text, text, path=path),) * 10,
            survived=(fault(text, text, path=path),) * 10,
            observed=(text,) * 10,
            idle=(text,) * 10,
            label=Label.HARDENS,
        )
        for number in range(60)
    ]
    refused = [
        replace(test, outcome=outcome, reason=text)
        for test in accepted[:3]
        for outcome in Outcome
        if outcome is not Outcome.ACCEPTED
    ]
    questions = [
        regression(text, target=text, code=text * 2, assertion=text, expected=text, actual=text, reason=text),
        regression(text, target=text, code=text, assertion=text, expected=text, actual="", reason=text),
    ]
    rest = Rest(
        skipped=[SkipRecord(path=path, qualname=text, reason=text)] * 100,
        notes=[text] * 100,
        tokens=10**12,
        regressions=questions * 50,
    )
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
    assert body.rstrip().endswith("says more</small>")
    assert not rendered(body).unbalanced
    assert len(job(told).encode()) <= MEBIBYTE - 5_000
    assert not rendered(job(told)).unbalanced
