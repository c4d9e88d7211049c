from __future__ import annotations

import base64
import hashlib
import itertools
import re

import pytest
from tests.delivery.samples import BASE, SOURCE, Rest, Test, fault, proposal, regression
from tests.pages.markup import Page
from tests.pages.scenes import TOTAL, many, one_of_each, shown, source

from llm_testgen.clauses import AssertRecord, ContractRecord, FaultRecord
from llm_testgen.pages.charts import coverage_chart, funnel_chart
from llm_testgen.pages.lines import lines_of, reached
from llm_testgen.pages.render import TEMPLATES, stylesheet
from llm_testgen.pages.run import run_page
from llm_testgen.pages.verdicts import LONGEST_SHOWN, MEANINGS, verdict_view
from llm_testgen.proposal import SkipRecord
from llm_testgen.records import Label, Outcome

HOSTILE = "</code></pre></style><script>alert(1)</script><img src=x onerror=alert(1)>\"' {{ 7 * 7 }} {% raw %} &lt;"


def contract(text="assert x >= 0"):
    kept = AssertRecord(text=text, killed=(FaultRecord(line=2, operator="o", before="<", after="<="),))
    return ContractRecord(
        target=TOTAL, path=SOURCE, start=2, line=2, before="    y = x", text=f"    {text}\n    y = x", asserts=(kept,)
    )


def test_a_page_has_all_that_is_known_of_a_run():
    page = Page(shown(one_of_each(), source()))
    for told in (
        "1 test raises diff coverage from 50.00 % to 75.00 %",
        BASE[:12],
        "1 of 8",  # tests accepted
        "candidates, from 3 replies",
        "Faults noticed",
        "83 s",
        "assert size(5) == '5 B' holds at base and fails at head: base gives '5 B', head gives '5 Bytes'. Is this meant?",
        "src/shop.py line 3-4",
        "fails at base: pins what this change does",
        "added the import of total",
        "was taken from a run, not worked out",
        "assert total([]) == 0",
        "if not discount",
        "left out",
        "because vacuous",
        "it was only moved",
        "src/old.py::gone",
        "the deadline has passed",
        "4 changed lines: 2 newly executed, 2 executed before or still not",
    ):
        assert told in page.text
    assert page.faults == []


def test_headings_go_down_one_step_at_a_time():
    levels = [int(tag[1]) for tag, _ in Page(shown(one_of_each(), source())).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_every_table_has_a_caption_and_scopes():
    page = Page(shown(one_of_each(), source()))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("table") == tags.count("caption") > 3
    assert all(own.get("scope") in {"row", "col"} for tag, own in page.tags if tag == "th")


def test_there_are_landmarks_and_a_way_to_skip_to_the_content():
    page = Page(shown(one_of_each()))
    assert [tag for tag, _ in page.tags if tag in {"header", "nav", "main", "footer"}] == [
        "header",
        "nav",
        "main",
        "footer",
    ]
    assert page.values("href", "a")[0] == "#main"
    assert page.values("lang", "html") == ["en"]


def test_the_policy_allows_the_one_style_sheet_and_nothing_else():
    text = shown(one_of_each())
    (style,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)
    assert policy.replace("&#39;", "'") == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_the_style_sheet_fetches_nothing():
    assert not re.search(r"url\(|@import|</", stylesheet())


@pytest.mark.parametrize("text", [HOSTILE, "\u202eevil\u2066", "\x02code\x03", "]]>-->"])
def test_whatever_a_proposal_holds_is_shown_as_text(text):
    test = Test(
        name=text,
        method=text,
        code=text,
        model=text,
        repairs=(text,),
        observed=(text,),
        killed=(fault(text, text),),
        survived=(fault("x", "y"),),
        idle=(text,),
    )
    refused = Test(name=text, method="other", outcome=Outcome.UNPARSABLE, reason=text, code=text)
    asked = regression(name=text, target=text, code=text, assertion=text, expected=text, actual=text, reason=text)
    skip = SkipRecord(path="src/a.py", qualname=text, reason=text)
    made = proposal([test, refused], rest=Rest(skipped=[skip], notes=[text], regressions=[asked]))
    page = Page(shown(made))
    assert page.faults == []
    assert "\u202e" not in page.source
    visible = text.translate({0x202E: "\\u202e", 0x2066: "\\u2066", 2: "\\u0002", 3: "\\u0003"})
    assert page.text.count(visible) > 10
    assert "49" not in page.text


def test_half_a_character_does_not_stop_it():
    made = proposal([Test()])
    half = made.verdicts[0].model_copy(update={"reason": "\ud800", "code": "x = '\ud800'"})
    assert "\\ud800" in shown(made.model_copy(update={"verdicts": (half,)}))


def test_the_funnel_counts_what_each_filter_stopped():
    chart = funnel_chart(one_of_each())
    found = {bar.label[0].text: (bar.value, "".join(part.text for part in bar.note)) for bar in chart.bars}
    assert found == {
        "replies": ("3", "1 without a test"),
        "candidates": ("8", ""),
        "builds": ("6", "1 unsafe, 1 broken"),
        "passes": ("5", "1 failing"),
        "stable": ("4", "1 flaky"),
        "gains": ("1", "1 without a new line"),
        "proved": ("1", "1 without proof"),
        "accepted": ("1", "1 not confirmed"),
    }
    assert [bar.segments[0].width for bar in chart.bars][:2] == [37.5, 100]


def test_tests_that_gain_and_are_not_needed_count_as_proved():
    made = proposal([Test(), Test(name="test_too", outcome=Outcome.NO_GAIN)])
    needless = made.verdicts[1].model_copy(update={"gained": {SOURCE: (3,)}})
    funnel = made.funnel.model_copy(update={"gained": 2})
    chart = funnel_chart(made.model_copy(update={"verdicts": (made.verdicts[0], needless), "funnel": funnel}))
    assert [(bar.value, bar.note) for bar in chart.bars][-3][0] == "2"
    assert [bar.value for bar in chart.bars][-2:] == ["2", "1"]
    assert chart.bars[-1].note[0].text == "1 not needed"


def test_coverage_is_shown_for_all_and_for_each_method():
    made = proposal([Test(lines=(1, 2, 3, 4, 5), gained={SOURCE: (3, 4)}, killed=(fault(line=5), fault(line=1)))])
    lines = {TOTAL: lines_of(made.targets[0], source()[TOTAL], reached(made))}
    everything, method = coverage_chart(made, lines).bars
    assert everything.value == "2 → 3 of 4 (50.0 % → 75.0 %)"
    assert (method.value, method.href) == ("2 → 4 of 4 (50.0 % → 100.0 %)", "#m0")


def test_a_method_that_is_named_twice_is_shown_once():
    made = proposal([Test(), Test(name="test_other", method="other")])
    page = Page(shown(made.model_copy(update={"targets": (made.targets[0], *made.targets)})))
    assert page.faults == []
    assert page.values("href", "a").count("#m1") == 1


def test_a_method_without_a_line_that_could_be_covered_divides_by_nothing():
    made = proposal([Test(lines=(2,), gained={SOURCE: (3,)})])
    lines = {TOTAL: lines_of(made.targets[0], source()[TOTAL], reached(made))}
    assert coverage_chart(made, lines).bars[1].value == "no changed line begins a statement"


def test_assertions_for_the_code_are_shown_with_what_they_notice():
    made = proposal().model_copy(update={"contracts": (contract(),)})
    page = Page(shown(made))
    assert "1 assertion to add to the changed code" in page.text
    assert "assert x >= 0 fails with 1 of 1 fault put into the method that no test which was tried notices" in page.text
    assert page.faults == []


def test_an_empty_proposal_is_shown_too():
    page = Page(shown(proposal(rest=Rest(after=50))))
    assert "No test to propose: diff coverage stays at 50.00 %" in page.text
    assert page.faults == []


def test_named_code_is_called_so():
    page = run_page(proposal([Test()], rest=Rest(head=BASE)), {}, "1.0")
    assert page.title.startswith("1 test raises coverage")
    assert page.about[0][0] == "Named code at"


def test_accepted_tests_come_first_and_verdicts_on_unknown_methods_last():
    made = proposal([Test(name="test_no", outcome=Outcome.FAILING), Test(name="test_yes")])
    stray = made.verdicts[0].model_copy(update={"target": "src/x.py::f", "name": "test_stray"})
    page = run_page(made.model_copy(update={"verdicts": (*made.verdicts, stray)}), {}, "1.0")
    names = [[verdict.name[0].text for verdict in method.verdicts] for method in page.methods]
    assert names == [["test_yes", "test_no"], ["test_stray"]]


def test_each_outcome_has_a_meaning_and_its_rules_in_the_style_sheet():
    assert MEANINGS.keys() == set(Outcome)
    for outcome in Outcome:
        assert f"#show-{outcome.value}:checked" in stylesheet()


def test_a_large_run_is_folded():
    page = Page(shown(many()))
    assert page.faults == []
    opened = [own for tag, own in page.tags if tag == "details" and "open" in own]
    assert opened == []
    assert page.source.count('<details class="verdict ') == 300


def test_of_too_many_verdicts_the_accepted_ones_are_shown(monkeypatch):
    monkeypatch.setattr("llm_testgen.pages.run._MOST_VERDICTS", 3)
    refused = [Test(name=f"test_no_{number}", lines=(3, 4), outcome=Outcome.FAILING) for number in range(4)]
    accepted = [Test(name=f"test_yes_{number}", gained={SOURCE: (3,)}) for number in range(2)]
    page = Page(shown(proposal([*refused, *accepted]), source()))
    assert page.faults == []
    assert [name for name in page.values("id") if re.fullmatch(r"v\d+", name)] == ["v4", "v5", "v0"]
    assert "3 more verdicts in proposal.json: this page shows 3, the accepted ones first" in page.text


def test_a_line_names_no_test_that_is_not_on_the_page(monkeypatch):
    monkeypatch.setattr("llm_testgen.pages.run._MOST_VERDICTS", 2)
    page = Page(shown(proposal([Test(name=f"test_{n}", gained={SOURCE: (3,)}) for n in range(4)]), source()))
    assert page.faults == []
    assert "test_0, test_1 and 2 more" in page.text


def test_very_long_code_is_cut_and_says_so():
    view = verdict_view(0, proposal([Test(code="x = 1\n" * (LONGEST_SHOWN // 4))]).verdicts[0])
    assert view.is_cut
    assert len(view.lines) < LONGEST_SHOWN


def test_what_is_said_of_a_folded_test():
    verdict = one_of_each().verdicts[0]
    assert verdict.label is Label.PINS
    assert verdict_view(0, verdict).facts == (
        "2 new lines",
        "1 of 2 faults noticed",
        "pins",
        "characterisation",
        "1 repair",
    )


def test_every_template_is_one_that_escapes():
    assert all("autoescape" not in path.read_text() for path in TEMPLATES.iterdir())
    assert [path.name for path in TEMPLATES.iterdir() if "| safe" in path.read_text()] == ["page.html.jinja"]
