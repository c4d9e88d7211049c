"""Contracts in review comments, in plans and in summaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest
from tests.delivery.hostile import IN_RECORDS
from tests.delivery.planning import REVIEW, A, own, summary
from tests.delivery.rendering import rendered
from tests.delivery.reports import KINDS, MARKER, table
from tests.delivery.samples import (
    DIGEST,
    PATCHES,
    SOURCE,
    Rest,
    comment,
    findings,
    patch_of,
    posted,
    proposal,
    regression,
    standing,
)

from llm_testgen.clauses import AssertRecord, ContractRecord, FaultRecord
from llm_testgen.delivery.contracts import Clause, Clauses, clause_comment, clauses_of, clauses_section
from llm_testgen.delivery.markdown import LONGEST_BODY
from llm_testgen.delivery.markers import test_markers as markers_of
from llm_testgen.delivery.plan import Delivery, Place, Plan, Rules, make_plan
from llm_testgen.delivery.report import Report, job_summary, summary_comment
from llm_testgen.proposal import Proposal, TargetRecord
from llm_testgen.pulls import Standing

# The diff shows the lines 1-20 of the source.
SHOWN, FAR = 3, 33


def fault(before: str = "price - cut", after: str = "price + cut", line: int = 4) -> FaultRecord:
    return FaultRecord(line=line, operator="arithmetic", before=before, after=after)


def asserted(text: str = "assert cut <= price", **fields: object) -> AssertRecord:
    values = {"killed": (fault(),), "survived": (fault(after="price * cut"), fault(after="None"))}
    return AssertRecord(text=text, **values | fields)


def contract(line: int = SHOWN, method: str = "total", **fields: object) -> ContractRecord:
    one = fields.pop("one", None) or asserted()
    before = fields.pop("before", "    return price - cut")
    values = {
        "target": f"{SOURCE}::{method}",
        "path": SOURCE,
        "start": line,
        "line": line + before.count("\n"),
        "before": before,
        "text": f"    {one.text}\n{before}",
        "asserts": (one,),
        "model": "scripted",
    }
    return ContractRecord(**values | fields)


def proposed(
    *contracts: ContractRecord, tests: Sequence = (), digest: str = DIGEST, rest: Rest | None = None
) -> Proposal:
    made = proposal(tests, rest=rest)
    known = {target.id for target in made.targets}
    targets = [
        TargetRecord(id=name, path=SOURCE, lines=(3, 4), digest=digest)
        for name in dict.fromkeys(one.target for one in contracts)
        if name not in known
    ]
    return made.model_copy(update={"contracts": contracts, "targets": (*made.targets, *targets)})


def patch(clauses: Sequence[Clause]) -> str:
    return "".join(f"+{one.record.text}\n" for one in clauses)


def clauses(made: Proposal, secrets: Sequence[str] = ()) -> Clauses:
    return replace(clauses_of(made, secrets), patch_of=patch)


def clause(*arguments: object, **fields: object) -> Clause:
    (found,) = clauses(proposed(contract(*arguments, **fields))).found
    return found


def test_a_comment_holds_the_marker_the_proof_and_the_suggestion():
    one = clause()
    marker, told, suggestion = clause_comment(one).split("\n\n")
    assert markers_of(f"{marker}\n") == (one.marker,)
    assert told == (
        "**`assert cut <= price`** fails with 1 of 3 faults put into the method that no test which was tried notices:"
        " `price - cut` becoming `price + cut` in line 4.<br>"
        "<small>it held in every run of the tests that were tried · written by the model `scripted`"
        f" · id `{one.short_id}`</small>"
    )
    assert suggestion == "```suggestion\n    assert cut <= price\n    return price - cut\n```"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"killed": (), "earlier": (fault(),)},
            "fails with 1 of 3 faults put into the method, which tests notice too, if later: `price - cut` becoming",
        ),
        ({"earlier": (fault(line=9),)}, "in line 4; and with 1 that tests notice too."),
        ({"survived": ()}, "fails with 1 of 1 fault put into"),
        ({"killed": tuple(fault(line=line) for line in range(1, 6))}, "in line 3; and 2 more."),
        ({"killed": (fault(after=""),)}, "`price - cut` left out in line 4."),
        ({"killed": (), "survived": ()}, "is not known to notice anything."),
    ],
)
def test_what_an_assertion_notices_is_told_as_it_is(fields, told):
    assert told in clause_comment(clause(one=asserted(**fields)))


def test_what_cannot_be_seen_is_named():
    assert r"It holds characters that cannot be seen: `\u200b`" in clause_comment(clause(before="    x = '\u200b'"))


def test_the_same_assertion_at_two_places_of_a_method_is_two():
    made = clauses(proposed(contract(3), contract(9), contract(12)))
    assert len({one.id for one in made.found}) == 3
    assert [one.record.start for one in made.found] == [3, 9, 12]


def test_it_is_the_same_again_wherever_the_method_has_moved_to_and_another_one_where_that_has_changed():
    assert clause(3).id == clause(20).id
    assert clause(3).id != clause(3, one=asserted("assert cut < price")).id
    (changed,) = clauses(proposed(contract(), digest="f" * 16)).found
    assert changed.id != clause().id


def test_what_is_about_no_changed_method_is_left_out():
    made = proposed(contract())
    assert clauses(made.model_copy(update={"targets": ()})).found == ()
    elsewhere = made.targets[0].model_copy(update={"path": "src/other.py"})
    assert clauses(made.model_copy(update={"targets": (elsewhere,)})).found == ()


@pytest.mark.parametrize(
    "record",
    [
        contract(one=asserted("assert key != 'correct-horse-battery'")),
        contract(before="    key = 'correct-horse-battery'"),
        contract(model="correct-horse-battery"),
        contract(one=asserted(killed=(fault(after="'correct-horse-battery'"),))),
        contract(one=asserted(survived=(fault(before="'correct-horse-battery'"),))),
        contract(one=asserted(earlier=(fault(before="'correct-horse-battery'"),))),
    ],
)
def test_what_holds_a_secret_is_withheld(record):
    made = proposed(record, contract(9))
    found = clauses(made, ["correct-horse-battery"])
    assert [one.record.start for one in found.found] == [9]
    assert found.withheld == ("assertions for total",)
    told = Report(made, (), {}, clauses=found)
    for page in (summary_comment(told, MARKER.line(), patch_of), job_summary(told, patch_of)):
        assert "correct-horse" not in page
        assert "Withheld, since they hold what looks like a secret: `assertions for total`" in page


# What is posted


def plan(made: Proposal, there: Standing | None = None, rules: Rules = REVIEW) -> Plan:
    return make_plan(made, findings(made), there or standing(), rules, patch_of, clauses=clauses(made).found)


def places(made: Proposal, found: Plan) -> list[Place]:
    return [found.places[one.id] for one in clauses(made).found]


def test_a_contract_is_suggested_on_its_lines_where_the_diff_shows_them():
    long = contract(10, before="    return (\n        price)")
    made = proposed(contract(), long, contract(20), contract(FAR))
    found = plan(made)
    assert [(draft.path, draft.start, draft.line) for draft in found.drafts] == [
        (SOURCE, 3, 3),
        (SOURCE, 10, 11),
        (SOURCE, 20, 20),
    ]
    assert [draft.findings for draft in found.drafts] == [(one.id,) for one in clauses(made).found[:3]]
    assert places(made, found) == [Place.DIFF, Place.DIFF, Place.DIFF, Place.SUMMARY]
    assert found.drafts[0].body == clause_comment(clauses(made).found[0])


@pytest.mark.parametrize("patches", [{}, {SOURCE: None}, {"src/other.py": PATCHES[SOURCE]}])
def test_where_the_diff_does_not_show_the_file_it_stands_in_the_summary(patches):
    made = proposed(contract())
    found = plan(made, standing(patches=patches))
    assert (found.drafts, places(made, found)) == ((), [Place.SUMMARY])


def test_lines_that_reach_out_of_the_diff_are_none_of_it():
    made = proposed(contract(20, before="    return (\n        price)"))
    assert places(made, plan(made)) == [Place.SUMMARY]


def test_what_is_too_long_for_a_comment_stands_in_the_summary():
    made = proposed(contract(before=f"    x = '{'x' * LONGEST_BODY}'"))
    assert places(made, plan(made)) == [Place.SUMMARY]


@pytest.mark.parametrize("delivery", [Delivery.SUMMARY, Delivery.NONE])
def test_without_a_review_all_stand_in_the_summary(delivery):
    made = proposed(contract())
    found = plan(made, rules=Rules(delivery))
    assert (found.drafts, places(made, found)) == ((), [Place.SUMMARY])


def test_contracts_share_the_limit_of_a_review_and_come_before_what_no_click_commits():
    made = proposed(contract(3), contract(9), contract(12), tests=[A])
    found = plan(made, rules=Rules(most=2))
    assert [draft.start for draft in found.drafts] == [3, 9]
    assert places(made, found) == [Place.DIFF, Place.DIFF, Place.SUMMARY]
    assert len(plan(made).drafts) == 4


def said(made: Proposal, **fields: object):
    marker = clauses(made).found[0].marker.line()
    return comment(f"{marker}\n\ntext", **fields)


def test_what_stands_there_is_not_posted_again():
    made = proposed(contract(3), contract(9))
    there = standing(posted(plan(made).drafts))
    for rules in (REVIEW, Rules(asked=True)):
        found = plan(made, there, rules)
        assert (found.drafts, places(made, found)) == ((), [Place.DIFF, Place.DIFF])


@pytest.mark.parametrize("fate", [{"resolved": True}, {"thumbs_down": 1}, {"minimized": True}])
def test_what_a_person_dismissed_does_not_come_back(fate):
    made = proposed(contract())
    found = plan(made, standing([said(made, **fate)]), Rules(asked=True))
    assert (found.drafts, places(made, found)) == ((), [Place.DISMISSED])


def test_what_a_person_deleted_does_not_come_back():
    made = proposed(contract())
    (one,) = clauses(made).found
    found = plan(made, standing([], [summary(one.id)]))
    assert (found.drafts, places(made, found)) == ((), [Place.DISMISSED])


def test_a_comment_about_code_that_has_changed_since_is_hidden():
    old, new = proposed(contract(), digest="f" * 16), proposed(contract())
    found = plan(new, standing([said(old)], [summary(clauses(old).found[0].id)]))
    assert found.outdated == ("node-1",)
    assert [draft.start for draft in found.drafts] == [SHOWN]


def test_assertions_that_wait_keep_others_from_being_posted_unless_they_are_asked_for():
    made, other = proposed(contract()), proposed(contract(one=asserted("assert cut < price")))
    other = other.model_copy(update={"head": "c" * 40})
    there = standing([said(other)])
    assert places(made, plan(made, there)) == [Place.QUIET]
    assert places(made, plan(made, there, Rules(asked=True))) == [Place.DIFF]


def test_tests_that_wait_do_not_keep_assertions_from_being_posted_nor_the_other_way_round():
    tests, asserts = proposed(tests=[A]), proposed(contract())
    assert places(asserts, plan(asserts, standing([own(tests, 0)]))) == [Place.DIFF]
    found = plan(tests, standing([said(asserts)]))
    assert [found.places[one.id] for one in findings(tests)] == [Place.DIFF]


def test_another_persons_comment_is_none_of_ours():
    made = proposed(contract())
    assert places(made, plan(made, standing([said(made, author="mallory", resolved=True)]))) == [Place.DIFF]


# What a summary tells


def report(made: Proposal, place: Place = Place.SUMMARY, **fields: object) -> Report:
    found = clauses(made)
    tests = findings(made)
    where = dict.fromkeys((one.id for one in (*tests, *found.found)), place)
    return Report(made, tests, where, clauses=found, **fields)


@pytest.mark.parametrize("kind", KINDS)
def test_a_summary_lists_them_and_holds_in_full_what_stands_nowhere_else(kind):
    made = proposed(contract(), contract(FAR, "Cart.total"))
    page = kind(report(made))
    one, two = clauses(made).found
    assert table(page, "assertions") == [
        ["`assert cut <= price`", f"`{one.short_id}`", "`total`", "1 of 3", "below"],
        ["`assert cut <= price`", f"`{two.short_id}`", "`Cart.total`", "1 of 3", "below"],
    ]
    assert "2 assertions to add to the methods; no test to propose" in page.split("\n")[0 if kind is KINDS[1] else 2]
    assert ("diff", patch([one, two])) in rendered(page).blocks
    assert page.count("Proof for <code>") == 2
    assert "model `scripted`" in page
    posted_page = kind(report(made, Place.DIFF))
    assert "Proof for" not in posted_page
    assert table(posted_page, "assertions")[0][-1] == "on the diff"


def test_a_link_leads_to_the_suggestion_and_what_is_not_posted_says_why():
    made = proposed(contract())
    (one,) = clauses(made).found
    told = replace(report(made, Place.DIFF), links={one.id: "https://github.test/x"})
    page = summary_comment(told, MARKER.line(), patch_of)
    assert table(page, "assertions")[0][-1] == "[on the diff](https://github.test/x)"
    page = summary_comment(report(made, Place.QUIET), MARKER.line(), patch_of)
    assert table(page, "assertions")[0][-1] == "not posted: the method has assertions waiting"


@pytest.mark.parametrize("kind", KINDS)
def test_without_contracts_nothing_is_said_of_them(kind):
    assert "ssertion" not in kind(report(proposed(tests=[A]), Place.DIFF))


def test_where_no_file_is_at_hand_there_is_no_patch():
    made = proposed(contract())
    told = Report(made, (), {}, clauses=clauses_of(made))
    assert "git apply" not in job_summary(told, patch_of)
    assert "Proof for <code>total</code>" in job_summary(told, patch_of)


def hostile(text: str) -> Proposal:
    """A proposal of contracts that have a text in every place that can hold one."""
    inside = "".join(one for one in text if one.isprintable() and one not in "'\\")[:60]
    some = text or "x"
    faults = (FaultRecord(line=1, operator=text, before=some, after=text),) * 4
    one = AssertRecord(text=f"assert x != '{inside}'", killed=faults, earlier=faults, survived=faults)
    line = text.replace("\n", " ")
    record = contract(method=some[:15_000], one=one, before=f"    x = 1  # {line}", model=some)
    return proposed(record, contract(FAR, method=some[:15_000], one=one, before=f"    # {line}", model=some))


@pytest.mark.parametrize("text", IN_RECORDS, ids=count())
def test_nothing_acts_on_a_page_whatever_they_hold(text):
    made = hostile(text)
    quiet = hostile("harmless")
    for clause_, plain in zip(clauses(made).found, clauses(quiet).found, strict=True):
        body, page = clause_comment(clause_), rendered(clause_comment(clause_))
        assert markers_of(body) == (clause_.marker,)
        assert not page.unbalanced
        assert not page.links
        assert set(page.tags) <= set(rendered(clause_comment(plain)).tags) | {"strong"}
    for kind in KINDS:
        page = rendered(kind(report(made)))
        assert not page.unbalanced
        assert page.links == rendered(kind(report(quiet))).links
        assert set(page.tags) <= set(rendered(kind(report(quiet))).tags)


@pytest.mark.parametrize(
    ("text", "number"),
    [("x" * 18_000, 1), ("x" * 18_000, 12), ("`" * 1_000, 40), ("<" * 10_000, 12), ("short", 5), ("short", 400)],
)
def test_a_summary_has_room_for_all_of_it_and_for_all_else(text, number):
    (record, _) = hostile(text).contracts
    records = [record.model_copy(update={"start": line, "line": line}) for line in range(1, number + 1)]
    regressions = [regression(str(one), target=text[:5_000], assertion=text, expected=text) for one in range(12)]
    rest = Rest(notes=[text] * 12, regressions=regressions)
    made = proposed(*records, tests=[A] * 3, rest=rest)
    body = summary_comment(report(made), MARKER.line(), patch_of)
    assert len(body) <= LONGEST_BODY
    assert not rendered(body).unbalanced
    assert len(job_summary(report(made), patch_of).encode()) <= 1 << 20


def test_a_section_that_has_no_room_is_left_out():
    made = clauses(proposed(contract()))
    where = {one.id: "below" for one in made.found}
    for room in range(0, 2_000, 7):
        assert len(clauses_section(made, where, made.found, room)) <= room
    assert "Proof for" in clauses_section(made, where, made.found, 2_000)
