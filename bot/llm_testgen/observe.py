"""Candidate → the same test with values that were seen in a run, where it expected others or claimed nothing.

A probe is the test rewritten so that it reports its values and claims instead of holding to them. It is run twice,
with two orders of hashes; what is the same in both is what the code gives. Such a test says what is, not what should
be, and its candidate says so.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llm_testgen.records import Candidate, Observation, Run
from llm_testgen.repairs.assertions import assertions, asserts, is_weak
from llm_testgen.repairs.claims import Claim, claims_of, says_little, values_of
from llm_testgen.repairs.edits import Code, block_text
from llm_testgen.repairs.probing import OBSERVE, report_claims, report_values
from llm_testgen.repairs.settling import Rewriting, Seen, Settling, operand
from llm_testgen.source import FunctionNode

__all__ = ["OBSERVE", "Probe", "amplify", "asserts_nothing", "is_silent", "probe", "value_at", "with_observed"]

_MOST_ADDED = 4


@dataclass(frozen=True, slots=True)
class Probe:
    """A test that reports what it sees.

    Attributes:
        candidate: What is to be run, with a builtin `OBSERVE` that takes a key and a value.
        amplifying: Whether it reports values of which the test claims nothing.
        places: First and last line of the test's own assertions, with the key of the value that each is about.
    """

    candidate: Candidate
    amplifying: bool = False
    places: tuple[tuple[int, int, int], ...] = ()

    @property
    def code(self) -> str:
        """What is to be run."""
        return self.candidate.code


def probe(candidate: Candidate, *, amplifying: bool = False) -> Probe | None:
    """The test rewritten to report; None when there is nothing that it could.

    Args:
        candidate: A test that fails at an assertion; to amplify one that passes.
        amplifying: Report values of which the test claims nothing, and leave its claims as they are.
    """
    test = _Test.of(candidate)
    if test is None:
        return None
    claims = values_of(candidate, test.code) if amplifying else claims_of(candidate, test.code)
    if not claims:
        return None
    places = tuple((one.statement.lineno, one.statement.end_lineno or 0, one.value_key) for one in claims)
    report = report_values if amplifying else report_claims
    report(test.node, claims)
    text = ast.unparse(ast.fix_missing_locations(test.code.tree))
    return Probe(replace(candidate, code=f"{text}\n"), amplifying, places)


def value_at(probe: Probe, run: Run, line: int) -> str:
    """What the assertion at a line of the test is about, as a run of its probe has shown it; empty if it did not."""
    keys = {key for first, last, key in probe.places if first <= line <= last}
    return next((one.expression for one in run.observed if one.key in keys and one.expression), "")


def is_silent(candidate: Candidate) -> bool:
    """Whether a test says next to nothing of any value: it has no assertion, or only such as hold with nearly any."""
    test = _Test.of(candidate)
    return test is not None and all(map(says_little, assertions(test.node)))


def asserts_nothing(candidate: Candidate) -> bool:
    """Whether there is no assertion at all in a candidate's code, not in its helpers either."""
    code = Code.read(candidate.code)
    return code is not None and not asserts(code.tree)


def with_observed(candidate: Candidate, probe: Probe, first: Run, second: Run) -> Candidate | None:
    """The test with the values that were seen in place of those that it expected wrongly.

    What it claims rightly stays as it was written. What fails and has no value that is the same in both runs is
    dropped. None when nothing can be changed, or nothing would be left that it asserts.

    Args:
        candidate: What was probed.
        probe: Its probe.
        first: A run of the probe.
        second: Another one, with another hash seed.
    """
    test = _Test.of(candidate)
    if test is None or probe.amplifying:
        return None
    settling = Settling(test.code, test.node, Seen(first.observed, second.observed))
    claims = claims_of(candidate, test.code)
    for statement in dict.fromkeys(claim.statement for claim in claims):
        settling.settle([claim for claim in claims if claim.statement is statement])
    settling.drop_orphans()
    return settling.rewriting.apply(candidate, test.code)


def amplify(candidate: Candidate, probe: Probe, first: Run, second: Run) -> Candidate | None:
    """The test with assertions of the values that it only computed; None when none is the same in both runs.

    Args:
        candidate: What was probed.
        probe: Its probe, made with ``amplifying``.
        first: A run of the probe.
        second: Another one, with another hash seed.
    """
    test = _Test.of(candidate)
    if test is None or not probe.amplifying:
        return None
    seen = Seen(first.observed, second.observed)
    rewriting = Rewriting()
    added = []
    for claim, shown, value in _worth_asserting(values_of(candidate, test.code), seen, test.code):
        line = f"assert {shown} {rewriting.take(shown, value)}"
        weak = [node for node in assertions(test.node) if is_weak(node, claim.name)]
        if not claim.name:
            rewriting.changes[claim.statement] = line
        elif weak and weak[-1] not in rewriting.changes:
            rewriting.changes[weak[-1]] = line
        else:
            added.append(line)
    if added:
        last = test.node.body[-1]
        before = rewriting.changes.get(last) or block_text(test.code, [last])
        rewriting.changes[last] = "\n".join([before, *added])
    return rewriting.apply(candidate, test.code)


def _worth_asserting(claims: Sequence[Claim], seen: Seen, code: Code) -> list[tuple[Claim, str, Observation]]:
    """Values that were the same in both runs, with how a test gets at them: None only where there is nothing else."""
    found: list[tuple[Claim, str, Observation]] = []
    for claim in claims:
        if claim.actual is None:
            continue
        values = seen.values(claim)
        if len(values) == 1:
            found.append((claim, operand(claim.actual, code), values[0]))
        elif (text := seen.shown(claim)) is not None:
            found.append((claim, f"repr({code.segment(claim.actual)})", text))
    telling = [one for one in found if one[2].expression != "None"]
    return (telling or [one for one in found if one[0].name])[:_MOST_ADDED]


@dataclass(frozen=True, slots=True)
class _Test:
    """A candidate's code and its test function."""

    code: Code
    node: FunctionNode

    @classmethod
    def of(cls, candidate: Candidate) -> _Test | None:
        code = Code.read(candidate.code)
        node = code.test(candidate) if code else None
        return cls(code, node) if code and node else None
