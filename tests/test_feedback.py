from __future__ import annotations

from dataclasses import replace

import pytest
from tests.samples import SIZES_HEAD, changed_method, reply

from llm_testgen.feedback import Feedback, Observed, Refused, Unnoticed, called, feedback
from llm_testgen.records import (
    MODULE_QUALNAME,
    Candidate,
    Ending,
    Failure,
    Mutant,
    Outcome,
    Proof,
    Run,
    Verdict,
)

GRADE = changed_method(SIZES_HEAD, "grade")
AREA = changed_method(SIZES_HEAD, "Box.area")
INIT = changed_method(SIZES_HEAD, "Box.__init__")


def verdict(body, outcome=Outcome.ACCEPTED, *, target=GRADE, attempt=1, observed=(), **more):
    lines = "\n".join(f"    {line}" for line in body.split("\n"))
    made = reply("x", target)
    made = replace(made, prompt=replace(made.prompt, attempt=attempt))
    candidate = Candidate(made, "test_it", f"def test_it():\n{lines}\n", observed=observed)
    return Verdict(candidate, outcome, **more)


def failing(body, kind, message, line=2, **more):
    made = verdict(body, Outcome.FAILING, reason=f"{kind}: {message}", **more)
    return replace(made, runs=(Run(Ending.FAILED, Failure(kind, message, line, "call")),))


@pytest.mark.parametrize(
    ("body", "message", "line", "observed"),
    [
        (
            "assert grade(5) == 'minus'",
            "assert 'small' == 'minus'\n  \n  - minus\n  + small",
            2,
            Observed("grade(5)", "'small'"),
        ),
        ("assert 'x' == grade(5)", "assert 'x' == 'small'", 2, Observed("grade(5)", "'small'")),
        ("assert 'x' in grade(5)", "assert 'x' in 'small'", 2, Observed("grade(5)", "'small'")),
        ("assert not grade(5)", "assert not 'small'", 2, Observed("grade(5)", "'small'")),
        ("assert grade(5)", "assert ''\n +  where '' = grade(5)", 2, Observed("grade(5)", "''")),
        (
            "size = 5\nresult = grade(size)\nassert result == 'x'",
            "assert 'small' == 'x'",
            4,
            Observed("grade(5)", "'small'"),
        ),
        ("for n in [1, 2]:\n    assert grade(n) == 'x'", "assert 'small' == 'x'", 3, Observed("grade(n)", "'small'")),
    ],
)
def test_a_failing_assertion_tells_the_value(body, message, line, observed):
    assert feedback(GRADE, [failing(body, "AssertionError", message, line)]) == Feedback(observed=(observed,))


def test_an_exception_tells_what_raised_it():
    made = failing("assert grade(-1) == 'small'", "ValueError", "-1")
    assert feedback(GRADE, [made]).observed == (Observed("grade(-1)", raised="ValueError: -1"),)


def test_another_exception_than_expected_is_told():
    made = failing("with pytest.raises(KeyError):\n    grade(-1)", "ValueError", "-1", 2)
    assert feedback(GRADE, [made]).observed == (Observed("grade(-1)", raised="ValueError: -1"),)


def test_a_call_that_raises_nothing_is_told():
    made = failing("with pytest.raises(ValueError):\n    grade(5)", "Failed", "DID NOT RAISE <class 'ValueError'>")
    assert feedback(GRADE, [made]).observed == (Observed("grade(5)"),)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("assert missing == 1", "NameError", "name 'missing' is not defined"),
        ("assert grade(5) == 'x'", "AssertionError", "assert <object at 0x1> == 'x'"),
        ("assert grade(5) == 'x'", "AssertionError", "it went wrong"),
        ("assert 1 == 2", "AssertionError", "assert 1 == 2"),
        (f"assert grade('{'y' * 200}') == 1", "AssertionError", "assert 2 == 1"),
    ],
)
def test_where_no_value_can_be_told_the_reason_is(body, kind, message):
    made = feedback(GRADE, [failing(body, kind, message)])
    assert made.observed == ()
    assert made.failures == (f"{kind}: {message}",)


def test_a_failure_outside_the_test_function_is_told_as_it_is():
    made = failing("help_it()", "AssertionError", "assert 1 == 2", 40)
    assert feedback(GRADE, [made]).failures == ("AssertionError: assert 1 == 2",)


def test_values_that_were_taken_from_a_run_are_told():
    made = verdict("assert grade(1) == 'small'\nassert area() == pytest.approx(2.5)", observed=('"small"', "2.5"))
    assert feedback(GRADE, [made]).observed == (Observed("grade(1)", "'small'"), Observed("area()", "2.5"))


def test_the_latest_attempt_is_told_first_and_nothing_twice():
    old = failing("assert grade(5) == 'x'", "AssertionError", "assert 'small' == 'x'")
    new = failing("assert grade(50) == 'x'", "AssertionError", "assert 'large' == 'x'", attempt=2)
    assert [seen.expression for seen in feedback(GRADE, [old, old, new]).observed] == ["grade(50)", "grade(5)"]


def test_there_is_an_end_to_what_is_told():
    many = [failing(f"assert grade({n}) == 'x'", "AssertionError", "assert 'small' == 'x'") for n in range(20)]
    others = [failing("boom", "NameError", f"name {n}") for n in range(20)]
    passing = [verdict(f"assert grade({n}) == 'small'") for n in range(20)]
    empty = [verdict("assert True", Outcome.VACUOUS, reason=f"because of {n}") for n in range(20)]
    made = feedback(GRADE, [*many, *others, *passing, *empty])
    assert (len(made.observed), len(made.failures), len(made.done), len(made.refused)) == (3, 3, 6, 3)


def test_accepted_tests_are_told_by_their_calls():
    made = verdict("box = Box(3)\nassert box.area() == 9\nassert box.area() == 9", target=AREA)
    assert feedback(AREA, [made]).done == ("Box(3).area()",)


def test_a_constructor_is_called_by_the_name_of_its_class():
    assert called(verdict("assert Box(3).side == 3", target=INIT)) == ("Box(3)",)


def test_a_test_without_a_call_of_its_target_goes_by_its_name():
    target = changed_method(SIZES_HEAD, MODULE_QUALNAME)
    assert called(verdict("assert mod.LIMIT == 10", target=target)) == ("test_it",)


def test_a_value_that_holds_its_own_name_is_not_put_in():
    made = verdict("x = grade(x)\nassert x")
    made = replace(made, candidate=replace(made.candidate, code=made.candidate.code.replace("()", "(x)", 1)))
    assert called(made) == ("grade(x)",)


@pytest.mark.parametrize("outcome", [Outcome.VACUOUS, Outcome.FLAKY, Outcome.UNSAFE])
def test_tests_that_passed_for_nothing_are_told_with_the_reason(outcome):
    made = feedback(GRADE, [verdict("assert grade(1)", outcome, reason="it does not count")])
    assert made == Feedback(refused=(Refused("grade(1)", "it does not count"),))


def test_what_gained_nothing_or_was_no_test_is_not_told():
    nothing = Verdict(Candidate(reply("def", GRADE), "", "def"), Outcome.UNPARSABLE, "the reply holds no test function")
    assert feedback(GRADE, [verdict("assert grade(1)", Outcome.NO_GAIN, reason="no line"), nothing]) == Feedback()


def mutant(line, before, after, target=GRADE):
    return Mutant(target.method, line, "comparison", before, after, f"{before} {after}")


FIRST, SECOND, THIRD = mutant(7, "<", "<="), mutant(7, "0", "1"), mutant(9, "x > LIMIT", "x >= LIMIT")


def test_faults_that_no_accepted_test_notices_are_told_of_different_lines_first():
    made = verdict("assert grade(1)", proof=Proof(survived=(FIRST, SECOND, THIRD)))
    assert feedback(GRADE, [made]).unnoticed == (
        Unnoticed("if x < 0:", "<", "<="),
        Unnoticed("if x > LIMIT:", "x > LIMIT", "x >= LIMIT"),
        Unnoticed("if x < 0:", "0", "1"),
    )


def test_a_fault_that_one_test_notices_is_not_told():
    one = verdict("assert grade(1)", proof=Proof(survived=(FIRST, THIRD)))
    other = verdict("assert grade(-1)", proof=Proof(killed=(FIRST,)))
    assert [fault.before for fault in feedback(GRADE, [one, other]).unnoticed] == ["x > LIMIT"]


def test_faults_of_other_methods_and_of_refused_tests_are_not_told():
    other = verdict("assert grade(1)", proof=Proof(survived=(mutant(18, "1", "2", AREA),)))
    refused = verdict("assert grade(1)", Outcome.NO_GAIN, proof=Proof(survived=(FIRST,)))
    assert feedback(GRADE, [other, refused]).unnoticed == ()


@pytest.mark.parametrize(
    ("line", "before"), [(10, 'return "large"'), (9, "if x > LIMIT"), (9, "if x > LIMIT and y"), (99, "x")]
)
def test_a_fault_that_is_more_than_a_part_of_a_line_stands_alone(line, before):
    made = verdict("assert grade(1)", proof=Proof(survived=(mutant(line, before, "pass"),)))
    assert feedback(GRADE, [made]).unnoticed == (Unnoticed("", before, "pass"),)


def test_nesting_without_end_is_passed_over():
    deep = "grade(" + "1 + " * 3000 + "1)"
    assert feedback(GRADE, [verdict(f"assert {deep}")]).done == ("test_it",)
