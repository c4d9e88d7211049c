from __future__ import annotations

from dataclasses import replace

import pytest
from tests.repairs.cases import MODULE, case, line_of, mended

from llm_testgen.repairs.raises import expect_exception, expect_message, expect_other_exception, unwrap

IN_TEST = "tests/test_candidate.py:3 in test_it"
IN_PROJECT = "src/pkg/other.py:7 in double"
AT_RAISE = f"src/pkg/mod.py:{line_of('raise TypeError', MODULE)} in double"
AT_RETURN = f"src/pkg/mod.py:{line_of('return 2 * x', MODULE)} in double"
HEAD = "import pytest\nfrom pkg.mod import double, Box\n\ndef test_it():\n    "


@pytest.mark.parametrize(
    ("kind", "trace", "result"),
    [
        ("KeyError", (IN_TEST, IN_PROJECT), "with pytest.raises(KeyError):"),
        ("TypeError", (IN_TEST, AT_RETURN), "with pytest.raises(TypeError):"),
        ("OddError", (IN_TEST, IN_PROJECT), "with pytest.raises(OddError):"),
        ("UnknownError", (IN_TEST, IN_PROJECT), ""),
        ("KeyError", (IN_TEST,), ""),
        ("NameError", (IN_TEST, IN_PROJECT), ""),
    ],
)
def test_the_exception_that_was_raised_is_expected_in_place_of_another(kind, trace, result):
    code = f"{HEAD}with pytest.raises(ValueError, match='no'):\n        double(1)\n"
    found = expect_other_exception(case(code, "'x'", kind=kind, at="        double", trace=trace))
    assert (result in found.code and "match" not in found.code) if found and result else found is None
    if found:
        assert found.observed == (kind,)
        assert f"`{kind}` expected where it was" in found.repairs[0]


def test_a_slip_of_a_test_that_expects_nothing_of_the_kind_is_not_expected():
    code = f"{HEAD}with pytest.raises(SystemExit):\n        double({{}})\n"
    failing = case(
        code, "'dict' object has no attribute 'x'", kind="AttributeError", at="({})", trace=(IN_TEST, IN_PROJECT)
    )
    assert mended(expect_other_exception, failing) == ""


def test_the_import_of_the_exception_is_added():
    code = f"{HEAD}with pytest.raises(ValueError):\n        double(1)\n"
    failing = case(code, "", kind="OddError", at="        double", trace=(IN_TEST, IN_PROJECT))
    assert mended(expect_other_exception, failing).startswith("from pkg.errors import OddError\n")


@pytest.mark.parametrize(
    ("test", "result"),
    [
        ("assert double('a') == 2", "with pytest.raises(ValueError):\n        double('a')"),
        ("assert 2 == double('a')", "with pytest.raises(ValueError):\n        double('a')"),
        ("assert not double('a')", "with pytest.raises(ValueError):\n        double('a')"),
        ("double('a')", "with pytest.raises(ValueError):\n        double('a')"),
        (
            "x = double('a')\n    y = x + 1\n    assert y == 2\n    assert double(1) == 2",
            "with pytest.raises(ValueError):\n        double('a')\n    assert double(1) == 2",
        ),
        (
            "self.assertEqual(double('a'), 2)",
            "with pytest.raises(ValueError):\n        double('a')",
        ),
    ],
)
def test_the_exception_that_was_raised_is_expected_in_place_of_a_value(test, result):
    failing = case(f"{HEAD}{test}\n", "a", kind="ValueError", at="'a'", trace=(IN_TEST, IN_PROJECT))
    assert mended(expect_exception, failing) == f"{HEAD}{result}\n"


def test_what_was_dropped_after_it_is_said():
    code = f"{HEAD}x = double('a')\n    assert x == 2\n"
    found = expect_exception(case(code, "", kind="ValueError", at="'a'", trace=(IN_TEST, IN_PROJECT)))
    assert found is not None
    assert found.repairs == (
        "`ValueError` expected of `double('a')`: taken from a run, and 1 statements after it dropped",
    )
    assert found.observed == ("ValueError",)


@pytest.mark.parametrize(
    ("kind", "trace", "applies"),
    [
        ("TypeError", (IN_TEST, AT_RAISE), True),
        ("TypeError", (IN_TEST, AT_RETURN), False),
        ("AttributeError", (IN_TEST, IN_PROJECT), False),
        ("ValueError", (IN_TEST,), False),
        ("AssertionError", (IN_TEST, AT_RAISE), False),
        ("OddError", (IN_TEST, AT_RETURN), True),
    ],
)
def test_an_exception_that_may_be_a_slip_of_the_test_is_only_expected_where_it_is_raised_on_purpose(
    kind, trace, applies
):
    failing = case(f"{HEAD}assert double('a') == 2\n", "", kind=kind, at="'a'", trace=trace)
    assert bool(mended(expect_exception, failing)) is applies


def test_what_the_test_itself_gives_is_not_expected_to_raise():
    failing = case(f"{HEAD}assert int('a') == 2\n", "", kind="ValueError", at="'a'", trace=(IN_TEST, IN_PROJECT))
    assert mended(expect_exception, failing) == ""


@pytest.mark.parametrize(
    ("message", "result"),
    [
        ("Regex pattern did not match.\n  Expected regex: 'no'\n  Actual message: 'a.b'", r"match='a\\.b'"),
        ("Regex pattern did not match.\n Regex: 'no'\n Input: \"it's\"", 'match="it\'s"'),
        (
            "Regex pattern did not match.\n  Expected regex: 'no'\n  Actual message: 'at 0xabc'",
            "pytest.raises(ValueError):",
        ),
        ("Regex pattern did not match.\n  Expected regex: 'no'\n  Actual message: 'cut", "pytest.raises(ValueError):"),
    ],
)
def test_the_message_of_an_exception_is_taken_from_the_run(message, result):
    code = f"{HEAD}with pytest.raises(ValueError, match='no'):\n        double('a')\n"
    assert result in mended(expect_message, case(code, message, at="'a'"))


def test_what_did_not_raise_is_taken_out_of_its_block():
    code = f"{HEAD}with pytest.raises(ValueError):\n        double(3)\n    assert double(1) == 2\n"
    failing = case(code, "DID NOT RAISE <class 'ValueError'>", kind="Failed", at="with pytest")
    assert mended(unwrap, failing) == f"{HEAD}double(3)\n    assert double(1) == 2\n"


@pytest.mark.parametrize(
    "test",
    [
        "with pytest.raises(ValueError):\n        double(3)\n",
        "with pytest.raises(ValueError) as e:\n        double(3)\n    assert str(e)\n    assert double(1) == 2\n",
    ],
)
def test_a_block_without_which_nothing_is_asserted_stays(test):
    failing = case(f"{HEAD}{test}", "DID NOT RAISE <class 'ValueError'>", kind="Failed", at="with pytest")
    assert mended(unwrap, failing) == ""


def test_a_smoke_test_need_not_assert_anything_else():
    code = f"{HEAD}with pytest.raises(ValueError):\n        double(3)\n"
    failing = case(code, "DID NOT RAISE <class 'ValueError'>", kind="Failed", at="with pytest")
    assert mended(unwrap, replace(failing, asserting=False)) == f"{HEAD}double(3)\n"
