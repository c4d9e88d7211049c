from __future__ import annotations

import ast
import dataclasses

import pytest
from tests.samples import ModuleNames, reply

from llm_testgen.records import Candidate, Ending, Failure, Outcome, Run, Verdict
from llm_testgen.stages.repair import ALL_REPAIRS, RepairKind, repair

NAMES = ModuleNames("double", Limit="from pkg.other import Limit")


def refused(code: str, failure: Failure, outcome: Outcome = Outcome.FAILING, ending: Ending = Ending.FAILED) -> Verdict:
    return Verdict(Candidate(reply(code), "test_it", code), outcome, "…", runs=(Run(ending, failure),))


def failed_at(code: str, text: str, kind: str = "AssertionError", message: str = "assert 4 == 5") -> Verdict:
    line = next(number for number, line in enumerate(code.split("\n"), start=1) if text in line)
    return refused(code, Failure(kind, message, line, "call"))


def broken(code: str, kind: str, message: str) -> Verdict:
    return refused(code, Failure(kind, message, 1, "collect"), Outcome.BROKEN, Ending.NOT_COLLECTED)


def test_the_failing_assertion_is_dropped_when_others_hold():
    code = "def test_it():\n    assert double(1) == 2\n    assert double(2) == 5\n    assert double(3) == 6\n"
    mended = repair(failed_at(code, "== 5"), NAMES)
    assert mended is not None
    assert mended.code == "def test_it():\n    assert double(1) == 2\n    assert double(3) == 6\n"
    assert mended.repairs == ("dropped the failing `assert double(2) == 5`",)


def test_the_only_assertion_is_never_dropped():
    assert repair(failed_at("def test_it():\n    assert double(2) == 5\n", "== 5"), NAMES) is None


def test_an_assertion_over_several_lines_goes_as_a_whole():
    code = "def test_it():\n    assert double(1)\n    assert double(\n        2\n    ) == 5\n"
    mended = repair(failed_at(code, "        2"), NAMES)
    assert mended is not None
    assert mended.code == "def test_it():\n    assert double(1)\n"


def test_a_raises_block_that_did_not_raise_counts_as_an_assertion():
    code = "def test_it():\n    assert double(1) == 2\n    with pytest.raises(ValueError):\n        double(2)\n"
    mended = repair(failed_at(code, "with pytest", "Failed", "DID NOT RAISE <class 'ValueError'>"), NAMES)
    assert mended is not None
    assert "raises" not in mended.code


def test_a_raises_block_goes_as_a_whole_when_a_line_inside_it_raises_something_else():
    code = "def test_it():\n    assert double(1) == 2\n    with pytest.raises(ValueError):\n        double(2)\n"
    mended = repair(failed_at(code, "        double(2)", "TypeError", "no"), NAMES)
    assert mended is not None
    assert mended.code == "def test_it():\n    assert double(1) == 2\n"


def test_assert_methods_of_unittest_count_as_assertions():
    code = (
        "class T(TestCase):\n    def test_it(self):\n        self.assertEqual(1, 1)\n        self.assertEqual(1, 2)\n"
    )
    mended = repair(failed_at(code, "(1, 2)"), NAMES)
    assert mended is not None
    assert "(1, 2)" not in mended.code


def test_a_line_that_raises_and_asserts_nothing_is_no_case_for_dropping():
    code = "def test_it():\n    double(None)\n    assert double(1) == 2\n"
    assert repair(failed_at(code, "None", "TypeError", "no"), NAMES) is None


def test_an_assertion_alone_in_its_block_is_not_dropped():
    code = "def test_it():\n    assert double(1) == 2\n    for x in (1, 2):\n        assert double(x) == 5\n"
    assert repair(failed_at(code, "== 5"), NAMES) is None


@pytest.mark.parametrize("ending", [Ending.TIMEOUT, Ending.CRASHED, Ending.SKIPPED])
def test_what_did_not_end_with_a_failure_is_not_mended(ending):
    code = "def test_it():\n    assert double(1) == 2\n    assert double(2) == 5\n"
    assert repair(refused(code, Failure("X", "…", 3, "call"), ending=ending), NAMES) is None


@pytest.mark.parametrize("outcome", [Outcome.FLAKY, Outcome.NO_GAIN, Outcome.ACCEPTED])
def test_only_broken_and_failing_tests_are_mended(outcome):
    code = "def test_it():\n    assert double(1) == 2\n    assert double(2) == 5\n"
    assert repair(refused(code, Failure("AssertionError", "…", 3, "call"), outcome), NAMES) is None


def test_a_verdict_without_a_run_is_not_mended():
    assert repair(Verdict(Candidate(reply(""), "", ""), Outcome.UNPARSABLE, "…"), NAMES) is None


def test_a_name_that_is_not_defined_is_imported():
    code = "def test_it():\n    assert double(Limit) == 2\n"
    mended = repair(failed_at(code, "Limit", "NameError", "name 'Limit' is not defined"), NAMES)
    assert mended is not None
    assert mended.code == f"from pkg.other import Limit\n{code}"
    assert mended.repairs == ("added `from pkg.other import Limit`",)


def test_a_name_that_the_project_does_not_know_stays_undefined():
    code = "def test_it():\n    assert double(missing) == 2\n"
    assert repair(failed_at(code, "missing", "NameError", "name 'missing' is not defined"), NAMES) is None


def test_an_import_that_is_there_already_is_not_added_again():
    code = "from pkg.other import Limit\n\ndef test_it():\n    assert Limit\n"
    assert repair(failed_at(code, "assert", "NameError", "name 'Limit' is not defined"), NAMES) is None


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("ImportError", "cannot import name 'double' from 'pkg' (/x/pkg/__init__.py)"),
        ("ModuleNotFoundError", "No module named 'pkg'"),
    ],
)
def test_a_name_imported_from_the_wrong_module_is_imported_from_the_right_one(kind, message):
    code = "from pkg import (\n    double,\n    Limit,\n)\n\ndef test_it():\n    assert double(Limit)\n"
    mended = repair(broken(code, kind, message), NAMES)
    assert mended is not None
    ast.parse(mended.code)
    assert "from pkg.mod import double; from pkg.other import Limit" in mended.code
    assert "from pkg import" not in mended.code


def test_an_import_of_names_that_the_project_does_not_know_is_left():
    code = "from pkg import nothing\n\ndef test_it():\n    assert nothing\n"
    assert repair(broken(code, "ImportError", "cannot import name 'nothing' from 'pkg'"), NAMES) is None


def test_an_import_that_is_already_the_projects_own_is_left():
    code = "from pkg.mod import double\n\ndef test_it():\n    assert double(1)\n"
    assert repair(broken(code, "ImportError", "cannot import name 'double' from 'pkg.mod'"), NAMES) is None


def test_an_assertion_that_binds_a_name_read_later_is_not_dropped():
    code = (
        "def test_it():\n    with pytest.raises(ValueError) as error:\n        double(2)\n    assert str(error.value)\n"
    )
    assert repair(failed_at(code, "with pytest", "Failed", "DID NOT RAISE"), NAMES) is None


def test_what_says_exactly_what_is_wrong_is_tried_before_anything_is_dropped():
    code = "def test_it():\n    assert double(1) == 2\n    assert double(Limit) == 5\n"
    mended = repair(failed_at(code, "Limit", "NameError", "name 'Limit' is not defined"), NAMES)
    assert mended is not None
    assert mended.repairs == ("added `from pkg.other import Limit`",)


def test_a_family_of_repairs_can_be_switched_off():
    code = "def test_it():\n    assert double(1) == 2\n    assert double(2) == 5\n"
    assert repair(failed_at(code, "== 5"), NAMES, ALL_REPAIRS - {RepairKind.DROP}) is None
    assert repair(failed_at(code, "== 5"), NAMES, frozenset({RepairKind.DROP})) is not None
    assert repair(failed_at(code, "== 5"), NAMES, frozenset()) is None


def test_the_same_thing_is_not_done_twice():
    code = "def test_it():\n    assert double(1) == 2\n    assert double(2) == 5\n"
    verdict = failed_at(code, "== 5")
    again = dataclasses.replace(verdict.candidate, repairs=("dropped the failing `assert double(2) == 5`",))
    assert repair(dataclasses.replace(verdict, candidate=again), NAMES) is None


def test_a_test_that_ran_into_its_limit_is_mended_without_knowing_where():
    code = "def test_it():\n    time.sleep(60)\n    assert double(1) == 2\n"
    mended = repair(
        refused(code, Failure("TimeoutError", "did not end within 20 s", 0, "call"), ending=Ending.TIMEOUT), NAMES
    )
    assert mended is not None
    assert mended.code == "def test_it():\n    assert double(1) == 2\n"


def test_a_literal_that_is_bound_anew_before_it_is_read_goes_too():
    code = "def test_it():\n    e = 5\n    assert double(2) == e\n    e = 6\n    assert double(3) == e\n"
    mended = repair(failed_at(code, "(2) == e"), NAMES)
    assert mended is not None
    assert mended.code == "def test_it():\n    e = 6\n    assert double(3) == e\n"


def test_what_was_only_there_for_the_dropped_assertion_goes_with_it():
    code = (
        "def test_it():\n    assert double(1) == 2\n\n    # two\n    expected = 5\n    assert double(2) == expected\n\n"
        "    # three\n    assert double(3) == 6\n"
    )
    mended = repair(failed_at(code, "== expected"), NAMES)
    assert mended is not None
    assert mended.code == "def test_it():\n    assert double(1) == 2\n\n    # three\n    assert double(3) == 6\n"
