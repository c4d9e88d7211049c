from __future__ import annotations

import asyncio
import sys
from collections import Counter
from dataclasses import replace

import pytest

from llm_testgen.bench.chain_ledger import Ledger, Part, Refusing, RunStore
from llm_testgen.bench.chain_trial import try_accepted
from llm_testgen.bench.chain_ways import FULL, WAYS, count_tests, file_of
from llm_testgen.records import (
    Candidate,
    ChangedMethod,
    ChangeStatus,
    Context,
    Ending,
    Method,
    MethodKind,
    Outcome,
    Prompt,
    Reply,
    Run,
    Usage,
    Verdict,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="CPU time is read from /proc")

METHOD = Method("x.py", "f", MethodKind.FUNCTION, 1, 2, "def f()", "", "def f():\n    pass")
TARGET = ChangedMethod((METHOD,), frozenset({2}), ChangeStatus.ADDED)
CONTEXT = Context(TARGET, "x", "from x import f", frozenset({2}), "tests/test_x.py")
REPLY = Reply(Prompt(CONTEXT, (), "", 1), "", "canned", Usage())


def candidate(name):
    return Candidate(REPLY, name, f"def {name}():\n    pass\n")


class Runner(Refusing):
    """Says of each test what the table says, and notes what it was asked."""

    def __init__(self, alone=None, after=None):
        self.asked = Counter()
        self._alone, self._after = alone or {}, after or {}

    async def run_candidate(self, candidate, *, hash_seed, **conditions):
        self.asked[candidate.name, hash_seed] += 1
        ending = self._alone.get((candidate.name, hash_seed), Ending.PASSED)
        return Run(ending, covered={"x.py": frozenset({self.asked.total()})}, seconds=2.0, cpu=0.5)

    async def run_together(self, candidates, *, hash_seed):
        names = [one.name for one in candidates]
        return tuple(
            Run(Ending.FAILED if self._after.get(name) in names[:place] else Ending.PASSED, seconds=3.0)
            for place, name in enumerate(names)
        )


def test_each_row_has_a_key_of_its_own_and_the_last_is_the_full_chain():
    assert len({way.key for way in WAYS}) == len(WAYS)
    assert WAYS[-1].key == FULL
    assert [way.whole for way in WAYS] == [True] + [False] * (len(WAYS) - 1)
    assert WAYS[-1].settings.attempts > WAYS[-2].settings.attempts == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Here:\n```python\nx = 1\n```\nand\n```\ny = 2\n```\n", "x = 1\n\n\ny = 2\n"),
        ("```python\ncut", "cut"),
        ("x = 1\n", "x = 1\n"),
    ],
)
def test_a_file_is_what_stands_between_the_fences(text, code):
    assert file_of(text) == code


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("def test_a(): pass\nasync def test_b(): pass\ndef helper(): pass", 2),
        ("class TestX:\n    def test_a(self): pass\n    def other(self): pass", 1),
        ("def test_a(:", 0),
    ],
)
def test_tests_are_counted(code, count):
    assert count_tests(code) == count


def test_a_second_way_has_the_runs_of_the_first_and_pays_for_them():
    runner, store = Runner(), RunStore()

    async def judge(ledger):
        one = candidate("test_a")
        mended = replace(candidate("test_b"), repairs=("added",))
        runs = [await ledger.run_candidate(one, hash_seed=seed) for seed in (0, 1, 0)]
        runs.append(await ledger.run_candidate(mended, hash_seed=0))
        runs.append(await ledger.run_candidate(mended, hash_seed=0, observing=True))
        runs.append(await ledger.run_candidate(mended, hash_seed=0, trapped=(TARGET,)))
        return runs

    async def judge_twice():
        first, second = Ledger(runner, store), Ledger(runner, store)
        same = await judge(first) == await judge(second)
        await second.run_candidate(candidate("test_a"), hash_seed=0)
        await second.run_together([candidate("test_a")], hash_seed=0)
        return first, second, same

    first, second, same = asyncio.run(judge_twice())
    assert same
    # The third run with that seed was new: the first way had but two.
    assert runner.asked == {("test_a", 0): 3, ("test_a", 1): 1, ("test_b", 0): 3}
    spent = {part: (first.spent[part].runs, first.spent[part].cost.cpu) for part in Part}
    assert spent == {
        Part.FIRST: (1, 0.5),
        Part.STABILITY: (2, 1.0),
        Part.REPAIRS: (2, 1.0),
        Part.PROOF: (1, 0.5),
        Part.TOGETHER: (0, 0.0),
    }
    assert (second.spent[Part.STABILITY].runs, second.spent[Part.TOGETHER].runs) == (3, 1)
    assert second.spent[Part.TOGETHER].cost.cpu >= 0


def accepted(*names):
    return [Verdict(candidate(name), Outcome.ACCEPTED) for name in names]


def test_tests_that_always_pass_are_neither_flaky_nor_order_dependent():
    runner = Runner()
    trial = asyncio.run(try_accepted(accepted("test_a", "test_b", "test_c"), runner))
    assert (trial.tests, trial.runs, trial.flaky, trial.order_dependent) == (3, 3 * 20 + 4 * 3, (), ())
    assert runner.asked["test_a", 0] == runner.asked["test_a", 1] == 10


def test_a_test_that_fails_with_another_order_of_sets_is_flaky():
    runner = Runner(alone={("test_b", 1): Ending.FAILED})
    trial = asyncio.run(try_accepted(accepted("test_a", "test_b"), runner, again=4))
    assert trial.flaky == ("x.py::f test_b: 2 of 4 failed",)
    assert trial.order_dependent == ()


def test_a_test_that_fails_after_another_depends_on_the_order():
    trial = asyncio.run(try_accepted(accepted("test_a", "test_b"), Runner(after={"test_a": "test_b"}), again=2))
    assert trial.flaky == ()
    assert trial.order_dependent == ("x.py::f test_a: failed",)


def test_no_test_at_all_is_no_trial():
    trial = asyncio.run(try_accepted([], Runner()))
    assert (trial.tests, trial.runs) == (0, 0)
