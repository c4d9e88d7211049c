"""Which contracts hold and what they notice, with a runner that runs small functions in this very process."""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import replace

import pytest
from tests.samples import changed_method, reply

from llm_testgen.records import Candidate, Contract, Ending, Failure, Mutant, Run, Spot, Upheld
from llm_testgen.stages.uphold import Input, find_inputs, uphold

SOURCE = """def share(total, parts):
    if parts < 1:
        raise ValueError(parts)
    each = total // parts
    if each > 100:
        each = 100
    return each
"""
SHARE = changed_method(SOURCE, "share")
METHOD = SHARE.method
PATH = SHARE.path
LINES = frozenset(range(1, 8))


class Runner:
    """Runs a candidate's code with the definition, or what takes its place; keeps what it was asked."""

    def __init__(self, seconds: float = 0.01, covered: frozenset[int] = LINES) -> None:
        self.seconds = seconds
        self.covered = covered
        self.asked: list[tuple[str, str, int, float | None]] = []

    async def run_candidate(self, candidate, *, hash_seed, mutant=None, seconds=None) -> Run:
        self.asked.append((candidate.name, mutant.operator if mutant else "", hash_seed, seconds))
        names: dict[str, object] = {"hash_seed": hash_seed}
        exec(compile(mutant.source if mutant else SOURCE, PATH, "exec"), names)  # noqa: S102 - small functions of this file
        try:
            exec(compile(candidate.code, "test_it.py", "exec"), names)  # noqa: S102
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - whatever a test raises
            frames = traceback.extract_tb(error.__traceback__)
            trace = tuple(
                f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames if frame.filename == PATH
            )
            failure = Failure(type(error).__name__, str(error), 1, "call", trace)
            return Run(Ending.FAILED, failure, seconds=self.seconds)
        return Run(Ending.PASSED, covered={} if mutant else {PATH: self.covered}, seconds=self.seconds)


def candidate(code: str, name: str = "test_it") -> Candidate:
    return Candidate(reply("x", SHARE), name, code)


def an_input(code: str, *, existing: bool = False, covered: frozenset[int] = LINES) -> Input:
    return Input(candidate(code), existing, covered, 0.01)


def contract(statement: str, line: int = 7, spot: Spot = Spot.BEFORE) -> Contract:
    return Contract(METHOD, spot, line, statement, "result" if spot is Spot.RETURN else "")


def mutant(before: str, after: str) -> Mutant:
    assert METHOD.source.count(before) == 1
    line = METHOD.source[: METHOD.source.index(before)].count("\n") + 1
    return Mutant(METHOD, line, "fault", before, after, METHOD.source.replace(before, after))


UP = mutant("total // parts", "total * parts")
UNCAPPED = mutant("each = 100", "pass")
NONE = mutant("return each", "return None")
MUTANTS = (UP, UNCAPPED, NONE)
SMOKE = an_input("share(10, 5)\nshare(1000, 2)")


def tried(*contracts: Contract, inputs=(SMOKE,), mutants=MUTANTS, runner: Runner | None = None) -> dict[str, Upheld]:
    found = asyncio.run(uphold(contracts, inputs, mutants, runner or Runner()))
    return {one.contract.statement: one for one in found}


def test_a_contract_that_holds_is_told_with_the_faults_that_break_it_and_those_that_do_not():
    (one,) = tried(contract("assert each <= total")).values()
    assert (one.killed, one.earlier, one.survived) == ((UP,), (), (UNCAPPED, NONE))


def test_a_contract_of_what_is_returned_is_tried_with_other_values_of_it():
    (one,) = tried(contract("assert isinstance(result, int)", spot=Spot.RETURN)).values()
    assert one.killed == (NONE,)


@pytest.mark.parametrize(
    "statement",
    ["assert each > 50", "assert nothing", "assert each.size", "assert 1 / (each - 2) < 0", "assert each == total"],
)
def test_what_is_false_or_raises_with_any_input_does_not_hold(statement):
    other = "assert each <= total"
    assert set(tried(contract(statement), contract(other))) == {other}


def test_what_fails_only_under_another_hash_seed_does_not_hold():
    code = "share(10 if hash_seed == 0 else -10, 5)"
    assert tried(contract("assert each > 0"), inputs=[an_input(code)]) == {}


def test_a_contract_that_only_another_way_of_failing_tells_of_does_not_hold():
    code = "try:\n    seen = share(10, 5)\nexcept AssertionError:\n    seen = None\nif seen != 2:\n    raise KeyError(seen)"
    found = tried(
        contract("assert each > 5"), contract("assert each <= total"), inputs=[an_input(code), an_input("share(10, 1)")]
    )
    assert set(found) == {"assert each <= total"}


def test_an_error_that_is_expected_must_stay_the_same_error():
    code = "try:\n    share(1, 0)\nexcept ValueError:\n    pass"
    assert tried(contract("assert parts > 0", line=2), inputs=[an_input(code)]) == {}


def test_what_nothing_gets_to_does_not_count():
    one = contract("assert each > 100", line=6)
    assert tried(one, inputs=[an_input("share(10, 5)", covered=LINES - {6})]) == {}
    # What is covered is only a claim: in its place what always fails must fail.
    assert tried(one, inputs=[an_input("share(10, 5)")]) == {}
    found = tried(one, inputs=[an_input("share(10, 5)"), an_input("share(1000, 2)")])
    assert set(found) == {one.statement}


def test_a_contract_that_holds_and_notices_nothing_says_so():
    (one,) = tried(contract("assert total is not None", line=2)).values()
    assert (one.killed, one.earlier, one.survived) == ((), (), MUTANTS)


def test_a_fault_that_a_test_notices_too_is_noticed_earlier():
    existing = an_input("assert share(10, 5) == 2", existing=True)
    (one,) = tried(contract("assert each <= total"), inputs=[SMOKE, existing]).values()
    assert (one.killed, one.earlier) == ((), (UP,))


def test_a_test_of_our_own_that_notices_a_fault_does_not_make_it_known():
    noticing = an_input("assert share(10, 5) == 2")
    (one,) = tried(contract("assert each <= total"), inputs=[SMOKE, noticing]).values()
    assert one.killed == (UP,)


def test_contracts_are_not_hidden_by_those_before_them():
    statements = ("assert each <= total", "assert each < 9999", "assert each < 1500")
    found = tried(*(contract(statement, line=5) for statement in statements))
    assert [found[statement].killed for statement in statements] == [(UP,), (), (UP,)]


def test_another_error_at_the_same_line_is_no_proof():
    (one,) = tried(contract("assert result > 0", spot=Spot.RETURN)).values()
    assert NONE in one.survived


def test_an_assertion_of_the_code_itself_is_no_proof():
    fault = mutant("each = 100", "assert each < 100")
    (one,) = tried(contract("assert each <= total"), mutants=[fault]).values()
    assert (one.killed, one.earlier) == ((), ())


def test_a_mutant_that_leaves_no_place_for_a_contract_is_not_counted():
    gone = mutant("return each", "pass")
    (one,) = tried(contract("assert result < 200", spot=Spot.RETURN), mutants=[gone, UP]).values()
    assert one.survived == (UP,)


def test_without_inputs_or_contracts_nothing_is_run():
    runner = Runner()
    assert tried(contract("assert each"), inputs=(), runner=runner) == {}
    assert tried(runner=runner) == {}
    assert runner.asked == []


def test_what_has_no_place_is_left_out():
    assert tried(contract("assert each", line=99)) == {}


def test_a_fault_is_given_the_time_that_it_would_take_and_no_more():
    runner = Runner()
    tried(contract("assert each <= total"), inputs=[replace(SMOKE, seconds=0.5)], runner=runner)
    assert {(operator, seconds) for _, operator, _, seconds in runner.asked} == {("contract", None), ("fault", 5.0)}
    assert replace(SMOKE, seconds=0.01).limit == 1.0


def looked_for(*codes: str, runner: Runner | None = None, existing: bool = True) -> list[str]:
    candidates = [candidate(code, str(number)) for number, code in enumerate(codes)]
    found = asyncio.run(find_inputs(SHARE, candidates, runner or Runner(), existing=existing))
    assert all(one.existing is existing and one.covered for one in found)
    return [one.candidate.name for one in found]


def test_what_passes_and_runs_the_method_is_an_input():
    assert looked_for("share(1, 1)", "share(1, 0)", "assert hash_seed == 0", "share(2, 1)") == ["0", "3"]
    assert looked_for("share(1, 1)", existing=False) == ["0"]


def test_what_is_slow_or_runs_the_header_alone_is_none():
    assert looked_for("share(1, 1)", runner=Runner(seconds=6)) == []
    assert looked_for("share(1, 1)", runner=Runner(covered=frozenset({1, 50}))) == []


RAISES = "import pytest\nwith pytest.raises({}):\n    share({})\n"


def test_a_test_that_was_made_for_it_only_runs_the_method_whatever_it_expects():
    wrong = ("assert share(1, 1) == 99", RAISES.format("KeyError", "4, 2"))
    assert looked_for(*wrong) == []
    assert looked_for(*wrong, RAISES.format("KeyError", "1, 0"), "share(", existing=False) == ["0", "1"]


def test_an_error_that_it_expects_rightly_is_still_expected():
    candidates = [candidate(RAISES.format("ValueError", "1, 0"))]
    (one,) = asyncio.run(find_inputs(SHARE, candidates, Runner(), existing=False))
    assert "raises(ValueError)" in one.candidate.code
    assert tried(contract("assert parts > 0", line=2), inputs=[one]) == {}
