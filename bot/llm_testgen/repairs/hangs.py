"""Repairs of tests that do not end: what waits is taken out."""

from __future__ import annotations

import ast

from llm_testgen.records import Candidate, Ending
from llm_testgen.repairs.base import Case, short
from llm_testgen.repairs.edits import Code, blocks, stored_names

_WAITS = frozenset({"time.sleep", "sleep", "input", "asyncio.sleep"})


def drop_waiting(case: Case) -> Candidate | None:
    """Drop the statements of a test that only wait, where it did not end in time."""
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    if code is None or test is None or case.ending is not Ending.TIMEOUT:
        return None
    waiting = [statement for block in blocks(test) for statement in block if _only_waits(statement)]
    text = code.changed([(statement, "") for statement in waiting]) if waiting else None
    shown = ", ".join(f"`{short(ast.unparse(statement))}`" for statement in waiting)
    return case.candidate.repaired(text, f"dropped {shown}: the test did not end in time") if text else None


def _only_waits(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Await(value=ast.Call(func=function)) | ast.Call(func=function)):
            return ast.unparse(function) in _WAITS
        case ast.While(test=ast.Constant(value=True)):
            ends = (ast.Break, ast.Return, ast.Raise)
            return not stored_names(statement) and not any(isinstance(node, ends) for node in ast.walk(statement))
    return False
