from __future__ import annotations

import asyncio

import pytest
from tests.samples import reply

from llm_testgen.records import Candidate, Ending, Failure, Outcome, Run
from llm_testgen.stages.assure import Requirement, assure, explain, unparsable

CANDIDATE = Candidate(reply("x"), "test_it", "def test_it(): ...\n")
REQUIREMENT = Requirement({"a.py": frozenset({3, 4}), "b.py": frozenset({1})}, repeats=2)


class Scripted:
    """A runner that ends each run as it was told, by hash seed."""

    def __init__(self, *runs: Run) -> None:
        self.runs = runs
        self.seeds: list[int] = []

    async def run_candidate(self, candidate: Candidate, *, hash_seed: int) -> Run:
        assert candidate is CANDIDATE
        self.seeds.append(hash_seed)
        return self.runs[min(len(self.seeds), len(self.runs)) - 1]


def judge(*runs: Run):
    runner = Scripted(*runs)
    return asyncio.run(assure(CANDIDATE, runner, REQUIREMENT)), runner


def passed(**covered: set[int]) -> Run:
    return Run(Ending.PASSED, covered={f"{name}.py": frozenset(lines) for name, lines in covered.items()})


def test_a_test_that_passes_every_time_and_covers_missing_lines_is_accepted():
    verdict, runner = judge(passed(a={1, 3, 4}))
    assert verdict.outcome is Outcome.ACCEPTED
    assert verdict.gained == {"a.py": frozenset({3, 4})}
    assert runner.seeds == [0, 1, 0]
    assert len(verdict.runs) == 3


def test_lines_that_only_some_runs_execute_are_no_gain():
    verdict, _ = judge(passed(a={3, 4}), passed(a={4}), passed(a={4}))
    assert verdict.gained == {"a.py": frozenset({4})}


def test_a_test_that_covers_nothing_new_has_no_gain():
    verdict, _ = judge(passed(a={1, 2}, c={9}))
    assert (verdict.outcome, verdict.gained) == (Outcome.NO_GAIN, {})


@pytest.mark.parametrize("ending", [Ending.FAILED, Ending.TIMEOUT, Ending.CRASHED, Ending.SKIPPED])
def test_a_test_that_does_not_pass_is_failing_and_is_not_run_again(ending):
    verdict, runner = judge(Run(ending, Failure("AssertionError", "assert 1 == 2", 3, "call")))
    assert verdict.outcome is Outcome.FAILING
    assert runner.seeds == [0]


def test_a_test_that_cannot_be_collected_is_broken():
    verdict, _ = judge(Run(Ending.NOT_COLLECTED, Failure("ImportError", "no such name", 1, "collect")))
    assert (verdict.outcome, verdict.reason) == (Outcome.BROKEN, "ImportError: no such name")


def test_a_test_that_fails_with_another_hash_seed_is_flaky():
    verdict, _ = judge(passed(a={3}), passed(a={3}), Run(Ending.FAILED, Failure("AssertionError", "order", 2, "call")))
    assert (verdict.outcome, verdict.reason) == (Outcome.FLAKY, "passed, then: AssertionError: order")


def test_a_reason_is_one_line_of_bounded_length():
    text = explain(Failure("ValueError", "first\nsecond   third" + "x" * 1000, 1, "call"))
    assert text.startswith("ValueError: first second third")
    assert "\n" not in text
    assert len(text) <= 300


def test_a_reply_without_a_test_says_whether_it_was_cut_off():
    assert unparsable(reply("Sorry.")).reason == "the reply holds no test function"
    assert unparsable(reply("def te", truncated=True)).reason == "the reply was cut off before a whole test"
    assert unparsable(reply("Sorry.")).candidate.code == "Sorry."
