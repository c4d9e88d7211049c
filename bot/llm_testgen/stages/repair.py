"""Refused candidate → mended candidate, without a model.

Each repair is a small function of `llm_testgen.repairs`, from a case to a candidate or to None where it does not
apply. What it did stands on the candidate, and the whole chain of filters runs again.
"""

from __future__ import annotations

from llm_testgen.records import Candidate, Failure, Outcome, Verdict
from llm_testgen.repairs.assertions import asserts
from llm_testgen.repairs.base import ALL_REPAIRS, Case, ProjectNames, Repair, RepairKind
from llm_testgen.repairs.calls import call_as_method, call_on_instance, gather, pass_text, read_property
from llm_testgen.repairs.coroutines import await_calls, run_async_test
from llm_testgen.repairs.drops import drop_assertion, run_only
from llm_testgen.repairs.edits import Code
from llm_testgen.repairs.fixtures import mend_argument
from llm_testgen.repairs.hangs import drop_waiting
from llm_testgen.repairs.imports import import_from_elsewhere, import_moved, import_undefined
from llm_testgen.repairs.inputs import add_attribute, drop_keyword, give_attributes, make_folder, pass_bytes
from llm_testgen.repairs.marks import add_argument, mark_by_name, mend_mark
from llm_testgen.repairs.raises import expect_exception, expect_message, expect_other_exception, unwrap
from llm_testgen.repairs.structure import drop_self, plain_assertions

__all__ = ["ALL_REPAIRS", "RepairKind", "repair"]

# In the order in which they are tried: what says exactly what is wrong, before what takes something away.
_REPAIRS: tuple[tuple[RepairKind, tuple[Repair, ...]], ...] = (
    (RepairKind.STRUCTURE, (drop_self, plain_assertions, mend_mark, mark_by_name, add_argument)),
    (RepairKind.IMPORTS, (import_undefined, import_from_elsewhere, import_moved)),
    (RepairKind.FIXTURES, (mend_argument,)),
    (RepairKind.ASYNC, (run_async_test, await_calls)),
    (RepairKind.CALLS, (call_on_instance, call_as_method, read_property, gather, pass_text)),
    (RepairKind.INPUTS, (give_attributes, add_attribute, drop_keyword, pass_bytes, make_folder)),
    (RepairKind.HANGS, (drop_waiting,)),
    (RepairKind.RAISES, (expect_other_exception, expect_exception, expect_message)),
    (RepairKind.DROP, (run_only, unwrap, drop_assertion)),
)


def repair(
    verdict: Verdict, names: ProjectNames, kinds: frozenset[RepairKind] = ALL_REPAIRS, *, asserting: bool = True
) -> Candidate | None:
    """The candidate of a refused verdict, mended in one point; None when no repair applies.

    The same thing is not done twice.

    Args:
        verdict: What the chain of filters said.
        names: The project's names as seen from the target's module.
        kinds: Which repairs may be made. ``SALVAGE`` is for `extract`, ``OBSERVED`` for `observe`.
        asserting: Whether a test that asserted something must still do so.
    """
    if not verdict.runs or verdict.outcome not in {Outcome.BROKEN, Outcome.FAILING}:
        return None
    run = verdict.runs[0]
    case = Case(verdict.candidate, run.failure or Failure("", "", 0, ""), run.ending, names, asserting)
    for kind, mends in _REPAIRS:
        for mend in mends if kind in kinds else ():
            mended = mend(case)
            if mended is not None and _is_better(mended, case):
                return mended
    return None


def _is_better(mended: Candidate, case: Case) -> bool:
    code, old = Code.read(mended.code), Code.read(case.code)
    if code is None or mended.code == case.code or mended.repairs[-1] in case.candidate.repairs:
        return False
    return not case.asserting or old is None or not asserts(old.tree) or asserts(code.tree)
