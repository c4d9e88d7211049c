from __future__ import annotations

import pytest
from tests.repairs.cases import case, mended

from llm_testgen.repairs.marks import add_argument, mark_by_name, mend_mark


@pytest.mark.parametrize(
    ("message", "mark", "result"),
    [
        ("'slow' not found in `markers` configuration option", "slow", ""),
        ("Unknown pytest.mark.slow - is this a typo?", "slow", ""),
        ("Unknown pytest.mark.slow - is this a typo?", "slow(\n    reason=1\n)", ""),
        ("Unknown pytest.mark.slow - is this a typo?", "fast", "none"),
        (
            "Unknown 'parameterize' mark, did you mean 'parametrize'?",
            "parameterize('x', [1])",
            "@pytest.mark.parametrize('x', [1])\n",
        ),
    ],
)
def test_a_mark_that_is_not_known_is_dropped_or_spelt_as_it_was_meant(message, mark, result):
    code = f"import pytest\n\n@pytest.mark.{mark}\ndef test_it(x):\n    assert x\n"
    found = mended(mend_mark, case(code, message, phase="collect"))
    assert found == ("" if result == "none" else f"import pytest\n\n{result}def test_it(x):\n    assert x\n")


def test_a_mark_that_was_looked_for_in_pytest_itself_is_taken_for_one():
    code = "@pytest.parametrize('x', [1])\ndef test_it(x):\n    assert x\n"
    message = "module 'pytest' has no attribute 'parametrize'"
    assert mended(mark_by_name, case(code, message)).startswith("@pytest.mark.parametrize('x', [1])\n")
    assert mended(mark_by_name, case(code, "module 'pytest' has no attribute 'what'")) == ""


def test_a_test_gets_the_argument_that_its_table_has_values_for():
    code = "@pytest.mark.parametrize('x, y', [(1, 2)])\ndef test_it(x):\n    assert x == y\n"
    message = "In test_it: function uses no argument 'y'"
    assert "def test_it(x, y):" in mended(add_argument, case(code, message, phase="collect"))
    assert mended(add_argument, case("def test_it():\n    assert 1\n", message)) == ""
