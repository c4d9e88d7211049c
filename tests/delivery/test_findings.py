from __future__ import annotations

import re

import pytest
from tests.delivery.samples import DIGEST, SOURCE, At, Rest, Test, fault, findings, proposal, regression

from llm_testgen.delivery.findings import findings_of, without_secrets
from llm_testgen.delivery.markers import TestMarker, finding_id, method_id
from llm_testgen.proposal import SkipRecord
from llm_testgen.records import Outcome

VALUE = "correct-Horse/battery+Staple"


def test_each_accepted_test_is_a_finding_in_the_order_of_the_suggestions():
    made = proposal(
        [Test("test_a"), Test("test_b", outcome=Outcome.FAILING), Test("test_c", "Cart.total"), Test("test_d")]
    )
    found = findings(made)
    assert [(finding.index, finding.suggestion.name, finding.verdict.name) for finding in found] == [
        (0, "test_a", "test_a"),
        (1, "test_c", "test_c"),
        (2, "test_d", "test_d"),
    ]
    assert [finding.qualname for finding in found] == ["total", "Cart.total", "total"]
    assert [finding.target.path for finding in found] == [SOURCE] * 3


def test_a_finding_has_the_marker_by_which_it_is_found_again():
    (found,) = findings(proposal([Test()], rest=Rest(head="c" * 64)))
    assert found.marker == TestMarker(
        finding_id(SOURCE, "total", DIGEST, found.verdict.code), method_id(SOURCE, "total"), DIGEST, "c" * 64
    )
    assert found.id == found.marker.finding
    assert re.fullmatch("[0-9a-f]{8}", found.short_id)
    assert found.id.startswith(found.short_id)


def test_the_same_test_is_known_again_at_another_commit_in_another_file_and_by_another_model():
    (one,) = findings(proposal([Test()]))
    (other,) = findings(
        proposal(
            [Test("test_x", outcome=Outcome.FLAKY), Test(path="tests/test_b.py", model="m", seconds=1, lines=(9,))],
            rest=Rest(head="c" * 40),
        )
    )
    assert one.id == other.id


def test_a_test_of_the_method_as_it_was_is_another_one():
    (one,) = findings(proposal([Test()]))
    (other,) = findings(proposal([Test(digest="f" * 16)]))
    assert one.id != other.id
    assert one.marker.method == other.marker.method


def test_the_same_test_counts_once():
    found = findings(proposal([Test("test_a"), Test("test_b", code="def test_a():\n    assert total() == 6  # again")]))
    assert [finding.index for finding in found] == [0]


@pytest.mark.parametrize(
    "test",
    [
        Test("test_b", code=f"def test_b():\n    assert total() == {VALUE!r}"),
        Test("test_b", code=f"def test_b():\n    assert total() == {VALUE[:9]!r} + {VALUE[9:]!r}"),
        Test("test_b", code=f"def test_b():  # {VALUE}\n    assert total()"),
        Test("test_b", imports=(f"import x  # {VALUE[::-1]}",)),
        Test(
            "test_b",
            code="def test_b():\n    assert total() == b'" + "".join(f"\\x{ord(one):02x}" for one in VALUE) + "'",
        ),
    ],
)
def test_a_test_that_gives_away_a_secret_is_withheld_by_name(test):
    made = proposal([Test("test_a"), test, Test("test_c")], [At((0, 1), 2), At((2,), 3)])
    found, withheld = findings_of(made, ["unused-value", VALUE])
    assert [finding.index for finding in found] == [0, 2]
    assert withheld == ("test_b",)
    assert len(findings(made)) == 3


def test_a_test_with_a_token_of_anybodys_is_withheld():
    token = "ghp_" + "q8Zr3vKx0TnB7mWcY5sLd2JfHg9PaR4eUo1i"
    _, withheld = findings_of(proposal([Test(code=f"def test_it():\n    assert total({token!r})")]))
    assert withheld == ("test_it",)


def test_a_secret_in_the_name_of_a_test_is_not_told_as_that_name():
    token = "ghp_" + "q8Zr3vKx0TnB7mWcY5sLd2JfHg9PaR4eUo1i"
    found, withheld = findings_of(proposal([Test(f"test_{token}"), Test("test_b")]))
    assert [finding.index for finding in found] == [1]
    assert withheld == ("a test whose name is one",)


def test_a_secret_in_what_was_repaired_withholds_the_test():
    _, withheld = findings_of(proposal([Test(repairs=("the import of x was added", f"expects {VALUE}"))]), [VALUE])
    assert withheld == ("test_it",)


@pytest.mark.parametrize("field", ["observed", "idle"])
def test_a_secret_in_a_proof_withholds_the_test(field):
    made = proposal([Test(**{field: ("1", f"x == '{VALUE}'")})])
    assert findings_of(made, [VALUE]) == ((), ("test_it",))


@pytest.mark.parametrize("field", ["killed", "survived"])
@pytest.mark.parametrize("place", ["before", "after", "path"])
def test_a_fault_that_gives_a_secret_away_is_not_described_and_counts_all_the_same(field, place):
    bad = fault().model_copy(update={place: f"a {VALUE[::-1]}"})
    made = proposal([Test(**{field: (fault(), bad)}), Test("test_b", outcome=Outcome.VACUOUS, **{field: (fault(),)})])
    cleaned = without_secrets(made, [VALUE])
    kept, other = getattr(cleaned.verdicts[0], field)
    withheld = "(withheld: it holds what looks like a secret)"
    assert kept == fault()
    assert (other.before, other.after, other.path, other.line) == (withheld, withheld, withheld, 3)
    assert without_secrets(cleaned, [VALUE]) == cleaned
    assert len(findings_of(cleaned, [VALUE])[0]) == 1


@pytest.mark.parametrize("place", ["code", "assertion", "expected", "actual", "reason"])
def test_of_a_possible_regression_that_holds_a_secret_no_more_is_told_than_that_there_is_one(place):
    made = proposal(rest=Rest(regressions=[regression(**{place: f"x = {VALUE!r}"}), regression()]))
    cleaned = without_secrets(made, [VALUE])
    hidden = {"assertion": "(withheld: it holds what looks like a secret)"}
    hidden |= dict.fromkeys(("code", "expected", "actual", "reason"), "")
    assert cleaned.regressions == (regression(**hidden), regression())
    assert without_secrets(cleaned, [VALUE]) == cleaned


@pytest.mark.parametrize("place", ["target", "name"])
def test_a_secret_in_the_name_of_a_possible_regression_is_not_told(place):
    made = proposal(rest=Rest(regressions=[regression(code="x", **{place: f"a::{VALUE}"})]))
    withheld = "(withheld: it holds what looks like a secret)"
    assert without_secrets(made, [VALUE]).regressions == (regression(code="x", **{place: withheld}),)


def test_secrets_may_come_one_by_one():
    made = proposal([Test("test_a"), Test("test_b", code=f"def test_b():\n    assert {VALUE!r}")])
    assert findings_of(made, iter([VALUE]))[1] == ("test_b",)


def test_a_test_of_no_known_method_is_no_finding():
    made = proposal([Test("test_a"), Test("test_b", "other")])
    found, withheld = findings_of(made.model_copy(update={"targets": made.targets[:1]}))
    assert [finding.suggestion.name for finding in found] == ["test_a"]
    assert withheld == ()


def test_what_is_told_beside_the_tests_gives_no_secret_away():
    token = "ghp_" + "q8Zr3vKx0TnB7mWcY5sLd2JfHg9PaR4eUo1i"
    skipped = [
        SkipRecord(path="a.py", qualname=token, reason=f"x {VALUE}"),
        SkipRecord(path="b.py", qualname="f", reason="y"),
    ]
    tests = [
        Test("test_a", outcome=Outcome.FAILING, reason=f"AssertionError: {token}"),
        Test("test_b", outcome=Outcome.FAILING, reason="AssertionError: 1 != 2", model=VALUE[::-1]),
        Test("test_c"),
    ]
    made = proposal(tests, rest=Rest(skipped=skipped, notes=[f"a {VALUE}", "b"]))
    cleaned = without_secrets(made, iter([VALUE]))
    withheld = "(withheld: it holds what looks like a secret)"
    assert cleaned.notes == (withheld, "b")
    assert [(skip.qualname, skip.reason) for skip in cleaned.skipped] == [(withheld, withheld), ("f", "y")]
    assert [verdict.reason for verdict in cleaned.verdicts] == [withheld, "AssertionError: 1 != 2", ""]
    assert [verdict.model for verdict in cleaned.verdicts] == ["scripted", withheld, "scripted"]
    assert cleaned.suggestions == made.suggestions
    assert without_secrets(cleaned, [VALUE]) == cleaned


def test_no_test_makes_no_finding():
    assert findings_of(proposal([Test(outcome=Outcome.BROKEN)])) == ((), ())
    assert findings(proposal()) == ()
