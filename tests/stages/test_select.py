from __future__ import annotations

from dataclasses import replace

from tests.samples import changed_method, reply

from llm_testgen.records import Candidate, Mutant, Outcome, Proof, Verdict
from llm_testgen.stages.select import select


def accepted(*lines: int, code: str = "x", path: str = "a.py") -> Verdict:
    return Verdict(Candidate(reply(code), "test_it", code), Outcome.ACCEPTED, gained={path: frozenset(lines)})


def test_all_are_kept_when_each_adds_something():
    verdicts = (accepted(1), accepted(2), accepted(1, path="b.py"))
    judged, chosen = select(verdicts, None)
    assert sorted(chosen) == [0, 1, 2]
    assert judged == verdicts


def test_the_test_that_adds_most_comes_first():
    assert select((accepted(1), accepted(2, 3)), None)[1] == (1, 0)


def test_a_test_whose_lines_others_cover_is_refused_with_the_reason():
    judged, chosen = select((accepted(1, 2, 3), accepted(2)), None)
    assert chosen == (0,)
    assert judged[1].outcome is Outcome.NO_GAIN
    assert judged[1].reason == "other accepted tests cover the same lines"
    assert judged[1].gained == {"a.py": frozenset({2})}


def test_of_two_with_the_same_gain_the_shorter_is_chosen():
    assert select((accepted(1, code="longer"), accepted(1, code="short")), None)[1] == (1,)


def test_of_two_with_the_same_gain_the_one_that_kills_more_mutants_is_chosen_before_the_shorter():
    method = changed_method().method
    mutants = tuple(Mutant(method, line, "number", "1", "2", method.source) for line in (1, 2))
    strong, weak = accepted(1, code="longer"), accepted(1, code="short")
    verdicts = (replace(weak, proof=Proof(mutants[:1])), replace(strong, proof=Proof(mutants)))
    assert select(verdicts, None)[1] == (1,)


def test_of_two_that_prove_the_same_the_one_is_chosen_whose_expected_values_are_the_models():
    characterisation = replace(accepted(1, code="short").candidate, observed=("5",))
    verdicts = (replace(accepted(1), candidate=characterisation), accepted(1, code="longer"))
    assert select(verdicts, None)[1] == (1,)


def test_a_first_choice_that_later_ones_make_superfluous_is_dropped():
    verdicts = (accepted(1, 2, 3, 4), accepted(1, 2, 5), accepted(3, 4, 6))
    assert sorted(select(verdicts, None)[1]) == [1, 2]


def test_no_more_are_chosen_than_asked_for():
    judged, chosen = select((accepted(1), accepted(2, 3), accepted(4)), 1)
    assert chosen == (1,)
    assert {judged[0].reason, judged[2].reason} == {"more tests were accepted than asked for"}


def test_refused_verdicts_stay_as_they_are():
    failing = Verdict(Candidate(reply(""), "test_it", "x"), Outcome.FAILING, "why")
    judged, chosen = select((failing, accepted(1)), None)
    assert judged[0] is failing
    assert chosen == (1,)


def test_nothing_is_chosen_from_nothing():
    assert select((), None) == ((), ())
