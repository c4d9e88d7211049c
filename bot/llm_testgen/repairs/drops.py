"""The last resort: the assertion that fails is taken out of a test that says something, or need not, without it."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from llm_testgen.records import Candidate, Ending
from llm_testgen.repairs.assertions import is_assertion
from llm_testgen.repairs.base import Case, short
from llm_testgen.repairs.edits import Code, read_names, stored_names, without_unread
from llm_testgen.source import FunctionNode


def run_only(case: Case) -> Candidate | None:
    """Make the calls of an assertion that failed, and claim nothing of them, where a test need not."""
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    if case.asserting or case.ending is not Ending.FAILED or code is None or test is None:
        return None
    asserts = (node for node in ast.walk(test) if isinstance(node, ast.Assert) and _holds(node, case.failure.line))
    failed = next(asserts, None)
    if failed is None or not code.alone(failed):
        return None
    calls = [segment for call in _calls(failed.test) if (segment := code.segment(call))]
    text = code.changed([(failed, "\n".join(calls) or "pass")])
    said = f"no longer claims the failing `{short(ast.unparse(failed.test))}`"
    return case.candidate.repaired(text, said) if text else None


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """The outermost calls that are no builtin's: ``len(f(x)) == 2`` runs ``f(x)``."""
    if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and hasattr(builtins, node.func.id)):
        yield node
        return
    # What stands in these runs only with the names that they bind.
    if not isinstance(node, ast.Lambda | ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp):
        for child in ast.iter_child_nodes(node):
            yield from _calls(child)


def drop_assertion(case: Case) -> Candidate | None:
    """Drop the assertion that failed, if the test still asserts something without it."""
    code = Code.read(case.code)
    line = case.failure.line
    if case.ending is not Ending.FAILED or code is None:
        return None
    tests = [node for node in ast.walk(code.tree) if isinstance(node, FunctionNode) and _holds(node, line)]
    if not tests:
        return None
    test = tests[-1]
    assertions = [node for node in ast.walk(test) if isinstance(node, ast.stmt) and is_assertion(node)]
    failed = [node for node in assertions if _holds(node, line)]
    # A loop that asserts, or a raises block that holds the failing line, counts as what stands around it.
    if not failed or not any(node not in failed and not _inside(node, failed[0]) for node in assertions):
        return None
    dropped = failed[0]
    if stored_names(dropped) & _read_outside(dropped, test) or not code.alone(dropped):
        return None
    text = code.changed([(dropped, "")])
    if text is None:
        return None
    text = without_unread(text, case.code)
    return case.candidate.repaired(text, f"dropped the failing `{short(ast.unparse(dropped))}`")


def _read_outside(statement: ast.stmt, test: ast.stmt) -> set[str]:
    inside = set(map(id, ast.walk(statement)))
    return {
        name
        for node in ast.walk(test)
        if isinstance(node, ast.Name) and id(node) not in inside
        for name in read_names(node)
    }


def _holds(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _inside(node: ast.stmt, outer: ast.stmt) -> bool:
    return _holds(outer, node.lineno) and _holds(outer, node.end_lineno or node.lineno)
