from __future__ import annotations

from dataclasses import replace

import pytest
from tests.repairs.cases import case, mended

from llm_testgen.records import Ending
from llm_testgen.repairs.drops import drop_assertion, run_only

HEAD = "from pkg.mod import double, Box\n\ndef test_it():\n"


@pytest.mark.parametrize(
    ("assertion", "left"),
    [
        ("assert double(1) == 3", "double(1)"),
        ("assert len(double([1])) == double(2)", "double([1])\n    double(2)"),
        ("assert Box(double(1)).size() == 3, 'no'", "Box(double(1)).size()"),
        ("assert not any(double(x) for x in ())", "pass"),
        ("assert double", "pass"),
    ],
)
def test_a_smoke_test_runs_what_it_claimed_something_of(assertion, left):
    failing = case(f"{HEAD}    {assertion}\n", "assert 2 == 3", at="assert")
    assert mended(run_only, failing) == ""
    assert mended(run_only, replace(failing, asserting=False)) == f"{HEAD}    {left}\n"


def test_a_call_that_raises_is_not_what_was_claimed():
    failing = replace(case(f"{HEAD}    double(1)\n", "no", kind="KeyError", at="double(1)"), asserting=False)
    assert mended(run_only, failing) == ""
    assert mended(run_only, replace(failing, ending=Ending.TIMEOUT)) == ""


def test_an_assertion_among_others_is_dropped_and_never_the_only_one():
    both = f"{HEAD}    assert double(1) == 3\n    assert double(2) == 4\n"
    failing = case(both, "assert 2 == 3", at="== 3")
    assert mended(drop_assertion, failing) == f"{HEAD}    assert double(2) == 4\n"
    only = case(f"{HEAD}    assert double(1) == 3\n", "assert 2 == 3", at="== 3")
    assert mended(drop_assertion, only) == ""
