"""Verdict → what the test says of the change, by what it does at base.

A test that passes at both revisions hardens what was there; one that passes at head only pins what the change does;
one that passes at base only is no test but a question: was that meant to change?
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Protocol

from llm_testgen.records import Candidate, ChangeStatus, Ending, Failure, Label, Outcome, Run, Verdict
from llm_testgen.source import SourceError, parse_tree

_SEEDS = (0, 1)
_LONGEST = 200


class RunsAtBase(Protocol):
    """A runner of the tree at base."""

    async def run_candidate(self, candidate: Candidate, *, hash_seed: int) -> Run:
        """One candidate alone."""


async def label(verdict: Verdict, base: RunsAtBase) -> Verdict:
    """Say of an accepted test whether it passes at base too; where it does now this and now that, nothing is said."""
    if verdict.outcome is not Outcome.ACCEPTED:
        return verdict
    passes = {(await base.run_candidate(verdict.candidate, hash_seed=seed)).ending is Ending.PASSED for seed in _SEEDS}
    if len(passes) > 1:
        return verdict
    return replace(verdict, label=Label.HARDENS if passes == {True} else Label.PINS)


def is_suspicious(verdict: Verdict) -> bool:
    """Whether a test may show a regression: it fails at head in an assertion about a method that base had too.

    A test that fails in another way, for want of a name or by an exception in its own set-up, says nothing about
    behaviour.
    """
    failure = verdict.runs[0].failure if verdict.runs else None
    return (
        verdict.outcome is Outcome.FAILING
        and verdict.target.status is ChangeStatus.MODIFIED
        and failure is not None
        and failure.phase == "call"
        and bool(failing_assertion(verdict.candidate, failure))
    )


def failing_assertion(candidate: Candidate, failure: Failure) -> str:
    """The ``assert`` at which a test failed, in one line; empty when it was no such statement."""
    if failure.kind != "AssertionError":
        return ""
    try:
        tree = parse_tree(candidate.code)
    except SourceError:
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and node.lineno <= failure.line <= (node.end_lineno or node.lineno):
            text = " ".join(ast.unparse(node).split())
            return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return ""


async def passes_at_base(verdict: Verdict, base: RunsAtBase) -> bool:
    """Whether a test passes at base, with either order of sets, and executes the method that it is about."""
    for seed in _SEEDS:
        run = await base.run_candidate(verdict.candidate, hash_seed=seed)
        if run.ending is not Ending.PASSED or not run.covered.get(verdict.target.path):
            return False
    return True
