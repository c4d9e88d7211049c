from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests.bench.test_chain import CHANGE, HEAD, OLD
from tests.project_python import project_python

from llm_testgen.bench.chain_ground import Machine, open_ground
from llm_testgen.bench.chain_ledger import RunStore
from llm_testgen.bench.judging import Judgement, alone, judge, new_tests
from llm_testgen.edges.gitwrite import create_repository
from llm_testgen.records import Outcome
from llm_testgen.runner.interpreter import inspect
from llm_testgen.runner.sandbox import detect

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="CPU time is read from /proc")

GOOD = """\
from tiny.more import sign


def test_positive():
    assert sign(3) == 1


class TestSign:
    def test_zero_again(self):
        assert sign(0) == 0

    def test_loose(self):
        sign(-3)
"""
# One of its tests fails, one depends on the other.
BAD = """\
from tiny.more import sign

SEEN = []


def test_negative():
    SEEN.append(1)
    assert sign(-3) == 0


def test_after():
    assert SEEN
    assert sign(-4) == -1
"""
# What stands there already, with one more test that fails every second time.
EXTENDED = OLD["tests/test_more.py"].decode() + (
    """

def test_flaky(tmp_path_factory):
    import os
    assert sign(2) == 1
    assert int(os.environ["PYTHONHASHSEED"]) == 0
"""
)
BROKEN = "def test_(:\n"
FILES = {
    "tests/test_good.py": GOOD,
    "tests/test_bad.py": BAD,
    "tests/test_more.py": EXTENDED,
    "tests/test_broken.py": BROKEN,
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Judgement:
    """One judgement of several files, which takes a while: it is looked at from several sides."""
    home = tmp_path_factory.mktemp("judging")
    create_repository(home / "change", {"tiny 1.0": OLD, "tiny 1.1": HEAD})
    interpreter = inspect(Path(project_python()), os.environ)
    machine = Machine(interpreter, detect(interpreter, os.environ).confinement, os.environ, 2)
    existing = {"tests/test_more.py": OLD["tests/test_more.py"].decode()}

    async def run():
        async with open_ground(CHANGE, home / "change", machine, home / "index.sqlite") as ground:
            return await judge(FILES, existing, ground, RunStore(), most=4)

    return asyncio.run(run())


def test_a_file_counts_as_it_was_left_only_if_all_of_it_passes(judged):
    files = {file.path: file for file in judged.files}
    good, bad = files["tests/test_good.py"], files["tests/test_bad.py"]
    assert (good.passed, good.tests, good.gained) == (True, 3, {"tiny/more.py": frozenset({3, 5, 6})})
    assert (bad.passed, bad.tests, bad.gained) == (False, 2, {})
    assert "1 failed, first AssertionError" in bad.reason
    broken = files["tests/test_broken.py"]
    assert (broken.passed, broken.tests) == (False, 0)
    assert judged.gained_as_left == {"tiny/more.py": frozenset({3, 5, 6})}


def test_each_new_test_is_judged_alone(judged):
    found = {f"{test.path}::{test.name}": test.verdict for test in judged.tests}
    assert {name.partition("/")[2]: verdict.outcome for name, verdict in found.items()} == {
        "test_good.py::test_positive": Outcome.ACCEPTED,
        "test_good.py::TestSign::test_zero_again": Outcome.NO_GAIN,
        "test_good.py::TestSign::test_loose": Outcome.ACCEPTED,
        "test_bad.py::test_negative": Outcome.FAILING,
        "test_bad.py::test_after": Outcome.FAILING,
        "test_more.py::test_flaky": Outcome.FLAKY,
    }
    assert [test.passes for test in judged.tests] == [True, True, True, False, False, False]
    assert judged.gained == {"tiny/more.py": frozenset({3, 5, 6})}


def test_mutants_of_what_a_test_gains_tell_whether_it_checks_it(judged):
    proofs = {test.name: test.proof for test in judged.tests}
    assert proofs["test_positive"].killed
    assert proofs["TestSign::test_loose"].survived
    assert not proofs["TestSign::test_zero_again"].tried
    assert judged.killed < judged.tried


def test_the_gaining_tests_are_tried_together_in_several_orders(judged):
    assert (judged.trial.tests, judged.trial.flaky, judged.trial.order_dependent) == (2, (), ())
    assert judged.trial.runs == 8


def test_a_test_alone_has_all_that_stands_around_it():
    text = alone(GOOD, "TestSign::test_loose")
    assert "test_positive" not in text
    assert "test_zero_again" not in text
    assert "class TestSign:" in text
    assert new_tests(alone(GOOD, "test_positive"), "") == ("test_positive",)
    assert "class TestSign:\n    pass\n\n    pass\n" in alone(GOOD, "test_positive")
    assert alone("@mark\ndef test_a(): pass\ndef test_b(): pass", "test_b") == "def test_b(): pass"


def test_new_tests_are_those_that_were_not_there_or_were_otherwise():
    before = "def test_a():\n    assert 1\n\ndef test_b():\n    assert 2\n"
    after = "# moved\ndef test_b():\n    assert 2\n\ndef test_a():\n    assert 3\n\ndef test_c(): pass\ndef test_c(): pass\n"
    assert new_tests(after, before) == ("test_a", "test_c")
    assert new_tests("def test_(:", before) == ()
