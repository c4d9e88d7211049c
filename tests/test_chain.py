"""The chain of filters with its repairs, with a scripted runner: what is tried after what, and what comes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.samples import ModuleNames, changed_method, reply

from llm_testgen.chain import Chain
from llm_testgen.records import (
    Candidate,
    ChangeStatus,
    Ending,
    Failure,
    Observation,
    Outcome,
    Run,
)
from llm_testgen.repairs.base import ALL_REPAIRS, RepairKind
from llm_testgen.settings import Generation

SOURCE = "def double(x):\n    return 2 * x\n"
TARGET = replace(changed_method(SOURCE), status=ChangeStatus.MODIFIED)
LINES = frozenset({2})
IMPORT = "from pkg.mod import double\n\n\n"


def candidate(body: str) -> Candidate:
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    return Candidate(reply("x", TARGET), "test_it", f"{IMPORT}def test_it():\n{lines}")


class Interpreter:
    """Runs candidates for real, against ``double`` or a faulty one, in this process: they are ours."""

    def __init__(self, source: str = SOURCE) -> None:
        self.source = source
        self.ran: list[str] = []

    async def run_candidate(self, candidate, *, hash_seed, trapped=(), mutant=None, observing=False, **_) -> Run:
        self.ran.append("trap" if trapped else "mutant" if mutant else "probe" if observing else "test")
        namespace: dict[str, object] = {}
        source = "def double(x):\n    raise BaseException\n" if trapped else mutant.source if mutant else self.source
        exec(source, namespace)  # noqa: S102 - our own text
        seen: list[Observation] = []

        def observe(key: int, value: object) -> object:
            seen.append(Observation(key, type(value).__name__, repr(value), (), isinstance(value, float)))
            return value

        namespace["__llm_testgen_observe__"] = observe
        code = candidate.code.replace("from pkg.mod import double", "")
        try:
            exec(compile(code, "test.py", "exec"), namespace)  # noqa: S102 - our own text
            namespace["test_it"]()
        except BaseException as error:  # noqa: BLE001 - whatever a test raises is how it ends
            trace = error.__traceback__
            line = 0
            while trace is not None:
                line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == "test.py" else line
                trace = trace.tb_next
            failure = Failure(type(error).__name__, str(error), line, "call")
            return Run(Ending.FAILED, failure, seconds=0.01, observed=tuple(seen))
        covered = {TARGET.path: LINES} if "double(" in candidate.code else {}
        return Run(Ending.PASSED, covered=covered, seconds=0.01, observed=tuple(seen))


def judge(body: str, *, base: Interpreter | None = None, runner: Interpreter | None = None, **settings):
    chain = Chain(runner or Interpreter(), base, Generation(**settings), {TARGET.path: LINES}, [TARGET])
    return asyncio.run(chain.judge(candidate(body), ModuleNames("double")))


def test_a_good_test_is_accepted_with_the_faults_that_it_notices():
    verdict = judge("assert double(3) == 6").verdict
    assert verdict.outcome is Outcome.ACCEPTED
    assert verdict.proof.killed
    assert verdict.candidate.repairs == ()


def test_a_test_that_asserts_what_holds_whatever_the_method_does_is_vacuous():
    verdict = judge("x = double(3)\nassert 1 == 1", repairing=ALL_REPAIRS - {RepairKind.OBSERVED}).verdict
    assert verdict.outcome is Outcome.VACUOUS


def test_a_wrong_expected_value_is_replaced_by_the_observed_one_and_that_is_put_on_record():
    verdict = judge("assert double(3) == 7").verdict
    assert verdict.outcome is Outcome.ACCEPTED
    assert "assert double(3) == 6" in verdict.candidate.code
    assert verdict.candidate.observed == ("6",)


def test_where_a_failing_assertion_can_go_the_test_stays_the_models_own():
    verdict = judge("assert double(3) == 6\nassert double(4) == 9").verdict
    assert verdict.outcome is Outcome.ACCEPTED
    assert verdict.candidate.observed == ()
    assert "double(4)" not in verdict.candidate.code


def test_a_test_that_only_runs_the_method_gets_assertions_of_what_it_gave():
    verdict = judge("result = double(3)").verdict
    assert verdict.outcome is Outcome.ACCEPTED
    assert "assert result == 6" in verdict.candidate.code
    assert verdict.candidate.observed == ("6",)


def test_a_smoke_test_stays_one():
    verdict = judge("result = double(3)", asserting=False).verdict
    assert verdict.outcome is Outcome.ACCEPTED
    assert "assert" not in verdict.candidate.code
    assert verdict.candidate.observed == ()


def test_what_is_switched_off_is_not_tried():
    runner = Interpreter()
    verdict = judge("assert double(3) == 7", runner=runner, repairing=frozenset(), mutants=0).verdict
    assert verdict.outcome is Outcome.FAILING
    assert runner.ran == ["test"]
    runner = Interpreter()
    assert judge("assert double(3) == 6", runner=runner, mutants=0).verdict.outcome is Outcome.ACCEPTED
    assert runner.ran == ["test"] * 3 + ["trap"]


def test_what_holds_at_base_and_not_at_head_is_a_question_and_no_test():
    before = Interpreter("def double(x):\n    return x + x + 1\n")
    judgement = judge("assert double(3) == 7", base=before)
    assert judgement.verdict.outcome is Outcome.FAILING
    assert judgement.verdict.reason.startswith("possible regression: ")
    assert judgement.verdict.candidate.observed == ()
    found = judgement.regression
    assert (found.assertion, found.expected, found.actual) == ("assert double(3) == 7", "7", "6")


def test_what_fails_at_base_too_is_the_models_mistake():
    judgement = judge("assert double(3) == 7", base=Interpreter())
    assert judgement.regression is None
    assert judgement.verdict.outcome is Outcome.ACCEPTED


def test_an_unsafe_test_is_not_run():
    runner = Interpreter()
    assert judge("import os\nos._exit(0)", runner=runner).verdict.outcome is Outcome.UNSAFE
    assert runner.ran == []
