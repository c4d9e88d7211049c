"""What a test says of the change, by what it does at base."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.samples import changed_method, reply

from llm_testgen.records import Candidate, ChangeStatus, Ending, Failure, Label, Outcome, Run, Verdict
from llm_testgen.stages.compare import failing_assertion, is_suspicious, label, passes_at_base

TARGET = replace(changed_method(), status=ChangeStatus.MODIFIED)
CODE = "def test_it():\n    x = double(2)\n    assert x == (\n        5\n    )\n"
CANDIDATE = Candidate(reply("x", TARGET), "test_it", CODE)
PASSED = Run(Ending.PASSED, covered={TARGET.path: frozenset({1})})
FAILED = Run(Ending.FAILED, Failure("AssertionError", "assert 4 == 5", 4, "call"))


class Base:
    """A runner at base that ends runs as it was told, by hash seed."""

    def __init__(self, *runs: Run) -> None:
        self.runs = runs

    async def run_candidate(self, candidate, *, hash_seed) -> Run:
        return self.runs[hash_seed]


def refused(run: Run = FAILED, candidate: Candidate = CANDIDATE) -> Verdict:
    return Verdict(candidate, Outcome.FAILING, "AssertionError", runs=(run,))


@pytest.mark.parametrize(
    ("runs", "expected"),
    [((PASSED, PASSED), Label.HARDENS), ((FAILED, FAILED), Label.PINS), ((PASSED, FAILED), None)],
)
def test_what_an_accepted_test_does_at_base_says_what_it_is_for(runs, expected):
    verdict = Verdict(CANDIDATE, Outcome.ACCEPTED, runs=(PASSED,))
    assert asyncio.run(label(verdict, Base(*runs))).label is expected


def test_a_refused_test_gets_no_label():
    assert asyncio.run(label(refused(), Base(PASSED, PASSED))).label is None


def test_a_failing_assertion_about_a_method_that_base_had_is_suspicious():
    assert is_suspicious(refused())


@pytest.mark.parametrize(
    "failure",
    [
        Failure("AttributeError", "no such name", 2, "call"),
        Failure("AssertionError", "", 2, "call"),
        Failure("AssertionError", "", 4, "setup"),
        None,
    ],
)
def test_a_test_that_fails_in_another_way_says_nothing_about_behaviour(failure):
    assert not is_suspicious(refused(Run(Ending.FAILED, failure)))


def test_a_method_that_base_did_not_have_cannot_have_been_broken():
    added = replace(CANDIDATE, reply=reply("x", changed_method()))
    assert not is_suspicious(refused(candidate=added))
    assert not is_suspicious(replace(refused(), outcome=Outcome.BROKEN))


def test_a_test_counts_as_passing_at_base_with_either_order_of_sets_and_where_it_runs_the_file():
    assert asyncio.run(passes_at_base(refused(), Base(PASSED, PASSED)))
    assert not asyncio.run(passes_at_base(refused(), Base(PASSED, FAILED)))
    assert not asyncio.run(passes_at_base(refused(), Base(Run(Ending.PASSED), Run(Ending.PASSED))))


def test_the_assertion_that_failed_is_named_in_one_line():
    assert failing_assertion(CANDIDATE, FAILED.failure) == "assert x == 5"
    assert failing_assertion(CANDIDATE, Failure("ValueError", "", 4, "call")) == ""
    assert failing_assertion(replace(CANDIDATE, code="def ("), FAILED.failure) == ""
    long = replace(CANDIDATE, code=f"def test_it():\n    assert {'x + ' * 100} 1\n")
    assert len(failing_assertion(long, Failure("AssertionError", "", 2, "call"))) == 200
