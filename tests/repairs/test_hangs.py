from __future__ import annotations

import pytest
from tests.repairs.cases import case, mended

from llm_testgen.records import Ending
from llm_testgen.repairs.hangs import drop_waiting


@pytest.mark.parametrize(
    ("test", "result"),
    [
        ("time.sleep(60)\n    assert double(1) == 2", "assert double(1) == 2"),
        ("input()\n    assert double(1) == 2", "assert double(1) == 2"),
        ("while True:\n        double(1)\n    assert double(1) == 2", "assert double(1) == 2"),
        ("while True:\n        break\n    assert double(1) == 2", ""),
        ("assert double(1) == 2", ""),
    ],
)
def test_what_waits_is_dropped(test, result):
    failing = case(f"def test_it():\n    {test}\n", "did not end within 20 s", ending=Ending.TIMEOUT)
    assert mended(drop_waiting, failing) == (f"def test_it():\n    {result}\n" if result else "")


def test_what_waits_stays_where_the_test_ended():
    assert mended(drop_waiting, case("def test_it():\n    time.sleep(1)\n    assert 0\n", "assert 0")) == ""
