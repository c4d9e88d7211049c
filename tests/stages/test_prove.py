"""What a test proves, with a scripted runner: which faults it notices, and what follows from that."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.samples import changed_method, reply

from llm_testgen.records import Candidate, Ending, Failure, MethodKind, Mutant, Outcome, Run, Verdict
from llm_testgen.stages.prove import Demand, describe, find_idle, prove, telling

SOURCE = "def grade(x):\n    if x < 3:\n        return 1\n    return 2\n\n\ndef other(x):\n    return x\n"
GRADE = changed_method(SOURCE, "grade")
OTHER = changed_method(SOURCE, "other")
PATH = GRADE.path
CODE = "def test_it():\n    assert grade(1) == 1\n    assert grade(5)\n    x = 3\n    assert x == 3\n"
CANDIDATE = Candidate(reply("x", GRADE), "test_it", CODE)


def mutant(line: int, after: str, target=GRADE) -> Mutant:
    return Mutant(target.method, line, "comparison", "x < 3", after, target.method.source)


BOUNDARY, NEGATED, RETURN = mutant(2, "x <= 3"), mutant(2, "x >= 3"), mutant(4, "return 3")
MUTANTS = (BOUNDARY, NEGATED, RETURN)


class Faulty:
    """A runner in which a test notices some mutants, each at a line of it, and some trapped methods."""

    def __init__(self, noticed: dict[str, list[int]] | None = None, *, trapped: set[str] | None = None) -> None:
        self.noticed = noticed or {}
        self.trapped = {"grade", "other"} if trapped is None else trapped
        self.asked: list[str] = []
        self.limits: set[float] = set()

    async def run_candidate(self, candidate, *, hash_seed, trapped=(), mutant=None, seconds=None) -> Run:
        if trapped:
            self.asked.append(f"trap {trapped[0].qualname}")
            return Run(Ending.FAILED if trapped[0].qualname in self.trapped else Ending.PASSED)
        self.asked.append(mutant.after)
        self.limits.add(seconds)
        for line in self.noticed.get(mutant.after, []):
            if "assert" in candidate.code.split("\n")[line - 1]:
                return Run(Ending.FAILED, Failure("AssertionError", "", line, "call"))
        return Run(Ending.PASSED)


def accepted(candidate: Candidate = CANDIDATE, *, gained=frozenset({2, 4}), covered=frozenset({1, 2, 3, 4})) -> Verdict:
    run = Run(Ending.PASSED, covered={PATH: covered}, seconds=0.5)
    return Verdict(candidate, Outcome.ACCEPTED, gained={PATH: gained}, runs=(run,))


def proved(runner: Faulty, verdict: Verdict | None = None, **demand) -> Verdict:
    wanted = Demand(targets=(GRADE, OTHER), mutants=lambda target: MUTANTS if target is GRADE else (), **demand)
    return asyncio.run(prove(verdict or accepted(), runner, wanted))


def test_a_test_that_notices_a_fault_is_accepted_with_what_it_notices_and_what_not():
    verdict = proved(Faulty({"x >= 3": [2], "return 3": [3]}))
    assert verdict.outcome is Outcome.ACCEPTED
    assert (verdict.proof.killed, verdict.proof.survived) == ((NEGATED, RETURN), (BOUNDARY,))
    assert verdict.proof.tried == 3


def test_a_method_in_which_a_fault_was_noticed_need_not_be_made_to_raise():
    runner = Faulty({"x >= 3": [2]})
    proved(runner)
    assert not any(asked.startswith("trap") for asked in runner.asked)


def test_a_test_that_notices_no_fault_is_vacuous_and_says_of_which():
    verdict = proved(Faulty())
    assert verdict.outcome is Outcome.VACUOUS
    assert verdict.reason == "notices none of 3 faults in the lines it covers: `x < 3` becoming `x <= 3` in line 2"
    assert verdict.gained


def test_a_smoke_test_need_not_notice_a_fault_but_must_notice_that_the_method_raises():
    assert proved(Faulty(), asserting=False).outcome is Outcome.ACCEPTED
    verdict = proved(Faulty(trapped=set()), asserting=False)
    assert (verdict.outcome, verdict.reason) == (Outcome.VACUOUS, "passes even when grade raises instead of running")


def test_where_there_is_no_fault_to_try_the_method_must_raise_for_the_test_to_fail():
    assert proved(Faulty(), most=0).outcome is Outcome.ACCEPTED
    assert proved(Faulty(trapped=set()), most=0).outcome is Outcome.VACUOUS


def test_lines_of_a_method_that_it_does_not_depend_on_are_no_gain():
    verdict = accepted(gained=frozenset({2, 8}))
    runner = Faulty({"x >= 3": [2]}, trapped=set())
    assert proved(runner, verdict).gained == {PATH: frozenset({2})}
    assert "trap other" in runner.asked


def test_what_was_not_accepted_is_not_run():
    runner = Faulty()
    refused = replace(accepted(), outcome=Outcome.NO_GAIN)
    assert proved(runner, refused) is refused
    assert not runner.asked


def test_a_fault_that_makes_a_loop_run_on_is_given_up_after_ten_times_the_usual():
    runner = Faulty()
    proved(runner)
    assert runner.limits == {5.0}


@pytest.mark.parametrize(("needed", "noticed"), [(6.0, False), (1000.0, True)])
def test_what_takes_too_long_is_given_more_time_before_it_counts_as_noticed(needed, noticed):
    class Slow(Faulty):
        async def run_candidate(self, candidate, *, seconds=None, **conditions) -> Run:
            run = await super().run_candidate(candidate, seconds=seconds, **conditions)
            return Run(Ending.TIMEOUT) if seconds and seconds < needed else run

    runner = Slow({RETURN.after: [2]})
    proof = proved(runner).proof
    assert (BOUNDARY in proof.killed) == noticed
    assert runner.limits == {5.0, 25.0}


def test_faults_of_gained_lines_come_first_and_those_of_lines_that_do_not_run_are_not_tried():
    far = mutant(3, "return 9")
    chosen = telling([BOUNDARY, far, RETURN], {PATH: frozenset({4})}, {PATH: frozenset({2, 4})}, 5)
    assert chosen == (RETURN, BOUNDARY)
    assert telling([BOUNDARY, RETURN], {PATH: frozenset({4})}, {PATH: frozenset({2, 4})}, 1) == (RETURN,)
    assert telling([BOUNDARY], {"other.py": frozenset({2})}, {"other.py": frozenset({2})}, 5) == ()


def test_of_what_runs_at_import_only_a_few_faults_are_tried_as_each_takes_a_process():
    body = replace(GRADE.method, kind=MethodKind.CLASS)
    slow = [replace(mutant(2, f"x < {number}"), definition=body) for number in range(9)]
    lines = {PATH: frozenset({2, 4})}
    assert telling([*slow, RETURN], lines, lines, 5) == (*slow[:3], RETURN)


def idle_of(noticed: dict[str, list[int]], code: str = CODE) -> tuple[str, ...]:
    runner = Faulty(noticed)
    verdict = proved(runner, accepted(replace(CANDIDATE, code=code)))
    return asyncio.run(find_idle(verdict, runner)).proof.idle


def test_assertions_that_notice_nothing_are_told_from_those_that_do():
    assert idle_of({"x >= 3": [2], "return 3": [3]}) == ("assert x == 3",)


def test_an_assertion_that_another_one_hides_is_no_idle_one():
    assert idle_of({"x >= 3": [2, 3]}) == ("assert x == 3",)


def test_the_only_assertion_of_a_test_has_killed_them_all():
    runner = Faulty({"x >= 3": [2]})
    verdict = proved(runner, accepted(replace(CANDIDATE, code="def test_it():\n    assert grade(1) == 1\n")))
    before = len(runner.asked)
    assert asyncio.run(find_idle(verdict, runner)) is verdict
    assert len(runner.asked) == before


def test_assertions_of_several_lines_and_behind_a_semicolon_are_found():
    code = "def test_it():\n    assert grade(\n        1\n    ) == 1\n    y = 2; assert grade(5)\n    assert y\n"
    assert idle_of({"x >= 3": [2], "return 3": [5]}, code) == ("assert y",)


def test_a_fault_is_described_in_a_few_words():
    assert describe(BOUNDARY) == "`x < 3` becoming `x <= 3` in line 2"
