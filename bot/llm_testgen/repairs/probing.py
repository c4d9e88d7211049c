"""Tests rewritten so that they report what they see: the tree is changed, since nobody reads the text."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping, Sequence

from llm_testgen.repairs.claims import Claim
from llm_testgen.source import FunctionNode

# The builtin that a probe calls with a key and a value.
OBSERVE = "__llm_testgen_observe__"
_VALUE = "__llm_testgen_value__"


def report_claims(test: FunctionNode, claims: Sequence[Claim]) -> None:
    """Have a test report the values that its claims are about, and whether they hold, in place of its assertions."""
    reports: dict[int, list[ast.stmt]] = {}
    for claim in claims:
        reports.setdefault(id(claim.statement), []).append(_report(claim))
    _Replacing(reports).visit(test)


def report_values(test: FunctionNode, values: Sequence[Claim]) -> None:
    """Have a test report values of which it claims nothing: what it binds at its end, what it does not where it is."""
    reports: dict[int, list[ast.stmt]] = {}
    for value in values:
        if value.actual is None:
            continue
        if value.name:
            body = [_assigned(value.actual), _observed(value.value_key, _read()), _shown(value)]
            test.body.append(_guarded(body))
        else:
            kept = [_assigned(value.actual), _observed(value.value_key, _read()), _guarded([_shown(value)])]
            reports.setdefault(id(value.statement), []).extend(kept)
    _Replacing(reports).visit(test)


class _Replacing(ast.NodeTransformer):
    """Puts statements in the place of others."""

    def __init__(self, reports: Mapping[int, list[ast.stmt]]) -> None:
        self._reports = reports

    def visit(self, node: ast.AST) -> ast.AST | list[ast.stmt]:
        """The node, or what stands in its place."""
        return self._reports[id(node)] if id(node) in self._reports else self.generic_visit(node)


def _report(claim: Claim) -> ast.stmt:
    """One claim: its value, and whether it holds; what is raised says that it does not."""
    body: list[ast.stmt]
    if claim.test is None:
        body = [_watching(claim), _observed(claim.held_key, ast.Constant(value=True))]
    elif claim.actual is None:
        body = [_observed(claim.held_key, _truth(claim.test))]
    else:
        # The value is computed once: computing it may change what comes after.
        memo: dict[int, object] = {id(claim.actual): _read()}
        body = [
            _assigned(claim.actual),
            _observed(claim.value_key, _read()),
            _guarded([_shown(claim)]),
            _observed(claim.held_key, _truth(copy.deepcopy(claim.test, memo))),
        ]
    return _guarded(body, _observed(claim.held_key, ast.Constant(value=False)))


def _watching(claim: Claim) -> ast.stmt:
    """A block that is to raise, which reports what its last statement gives if it does not."""
    block = claim.statement
    if claim.actual is None or not isinstance(block, ast.With):
        return block
    last = block.body[-1]
    found = [_assigned(claim.actual), _observed(claim.value_key, _read()), _guarded([_shown(claim)])]
    if isinstance(last, ast.Assign):
        found.append(ast.Assign(last.targets, _read()))
    return ast.With(block.items, [*block.body[:-1], *found])


def _guarded(body: list[ast.stmt], otherwise: ast.stmt | None = None) -> ast.stmt:
    """Statements that stop at what they raise, and nothing else with them."""
    handler = ast.ExceptHandler(ast.Name("BaseException", ast.Load()), None, [otherwise or ast.Pass()])
    return ast.Try(body, [handler], [], [])


def _observed(key: int, value: ast.expr) -> ast.stmt:
    return ast.Expr(ast.Call(ast.Name(OBSERVE, ast.Load()), [ast.Constant(key), value], []))


def _shown(claim: Claim) -> ast.stmt:
    return _observed(claim.shown_key, ast.Call(ast.Name("repr", ast.Load()), [_read()], []))


def _assigned(value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(_VALUE, ast.Store())], value)


def _read() -> ast.expr:
    return ast.Name(_VALUE, ast.Load())


def _truth(test: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("bool", ast.Load()), [test], [])
