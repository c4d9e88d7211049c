"""Exceptions that a run has shown: expected in place of others, or where a value was expected."""

from __future__ import annotations

import ast
import builtins
import re
from dataclasses import replace

from llm_testgen.paths import is_test
from llm_testgen.records import Candidate, Ending
from llm_testgen.repairs.assertions import assertions, called_name, claim_of, is_assertion, is_raises, raises_with
from llm_testgen.repairs.base import Case, definition_node, short
from llm_testgen.repairs.edits import (
    Change,
    Code,
    block_text,
    blocks,
    indented,
    own_nodes,
    read_names,
    stored_names,
    with_imports,
    without_unread,
)
from llm_testgen.repairs.origins import Origins
from llm_testgen.source import FunctionNode

_PLACE = re.compile(r"(?P<path>.+):(?P<line>\d+) in ")
_ACTUAL_MESSAGE = re.compile(r"(?:Actual message|Input): (?P<text>'.*'|\".*\")\s*\Z", re.DOTALL)
_LONGEST_MESSAGE = 100
# What a slip of the test raises as readily as the code under test.
_OF_SLIPS = frozenset(
    {
        "AssertionError",
        "AttributeError",
        "Failed",
        "ImportError",
        "MemoryError",
        "ModuleNotFoundError",
        "NameError",
        "RecursionError",
        "SyntaxError",
        "TimeoutError",
        "TypeError",
        "UnboundLocalError",
    }
)
# What a test expects that passes something odd on purpose.
_OF_BAD_INPUT = frozenset({"AttributeError", "Exception", "TypeError", "ValueError"})
# What says nothing of the code under test, wherever it is raised.
_NEVER = frozenset({"AssertionError", "Failed", "ImportError", "MemoryError", "ModuleNotFoundError", "NameError"})


def expect_other_exception(case: Case) -> Candidate | None:
    """Expect the exception that the code under test raised, where the test expected another one."""
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    block = raises_with(test, case.failure.line) if test else None
    kind = case.failure.kind
    if code is None or block is None or kind in _NEVER or not _is_of_project(case):
        return None
    calls = [item.context_expr for item in block.items if is_raises(item.context_expr)]
    call = calls[0]
    binding = _import_of(kind, case)
    if binding is None or not isinstance(call, ast.Call) or not call.args or ast.unparse(call.args[0]) == kind:
        return None
    if not (_is_meant(case) or ast.unparse(call.args[0]) in _OF_BAD_INPUT):
        return None
    function = ast.unparse(call.func)
    before = short(ast.unparse(call))
    text = code.changed([(call, f"{function.replace('Regex', '')}({kind})")])
    if text is None:
        return None
    said = f"`{kind}` expected where it was `{before}`: taken from a run"
    return _observed(case.candidate.repaired(with_imports(text, binding), said), kind)


def expect_exception(case: Case) -> Candidate | None:
    """Expect the exception that the code under test raised, where the test expected a value."""
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    kind = case.failure.kind
    if code is None or test is None or case.ending is not Ending.FAILED or raises_with(test, case.failure.line):
        return None
    binding = _import_of(kind, case)
    statement, rest = _failing(test, case.failure.line)
    if binding is None or statement is None or not _is_of_project(case) or not _is_meant(case):
        return None
    origins = Origins(code.tree, test, case.candidate.reply.prompt.context)
    raised = _raising(statement, origins)
    if raised is None or not code.alone(statement):
        return None
    lost = stored_names(statement)
    changes: list[Change] = []
    for other in rest:
        if lost & read_names(other):
            lost |= stored_names(other)
            changes.append((other, ""))
    changes.append((statement, f"with pytest.raises({kind}):\n{indented(code.segment(raised))}"))
    text = code.changed(changes)
    if text is None:
        return None
    gone = f", and {len(changes) - 1} statements after it dropped" if len(changes) > 1 else ""
    said = f"`{kind}` expected of `{short(code.segment(raised))}`: taken from a run{gone}"
    text = with_imports(without_unread(text, case.code), ["import pytest", *binding])
    return _observed(case.candidate.repaired(text, said), kind)


def expect_message(case: Case) -> Candidate | None:
    """Expect the message that the exception had, or any where it cannot be told."""
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    block = raises_with(test, case.failure.line) if test else None
    if code is None or block is None or "attern did not match" not in case.failure.message:
        return None
    calls = [item.context_expr for item in block.items if is_raises(item.context_expr)]
    keyword = next(
        (one for call in calls if isinstance(call, ast.Call) for one in call.keywords if one.arg == "match"), None
    )
    call = calls[0]
    if keyword is None or not isinstance(call, ast.Call):
        return None
    message = _message(case.failure.message)
    if message:
        text = code.changed([(keyword.value, repr(re.escape(message)))])
        said = f"message of the exception taken from a run: {short(repr(message))}"
        return _observed(case.candidate.repaired(text, said), repr(message)) if text else None
    rest = [ast.unparse(argument) for argument in call.args]
    text = code.changed([(call, f"{ast.unparse(call.func)}({', '.join(rest)})")])
    return case.candidate.repaired(text, "no longer expects a message of the exception") if text else None


def unwrap(case: Case) -> Candidate | None:
    """Take what did not raise out of its block, where the test asserts something else too, or need not."""
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    block = raises_with(test, case.failure.line) if test and "DID NOT RAISE" in case.failure.message else None
    if code is None or test is None or block is None or len(block.items) > 1:
        return None
    others = [node for node in assertions(test) if node is not block and node not in block.body]
    bound = block.items[0].optional_vars
    lost = stored_names(bound) if bound else set()
    read = [node for node in own_nodes(test) if isinstance(node, ast.stmt) and lost & read_names(node)]
    if (case.asserting and not others) or read or not code.alone(block):
        return None
    text = code.changed([(block, block_text(code, block.body))])
    said = f"no longer expects `{short(ast.unparse(block.items[0].context_expr))}`, which was not raised"
    return case.candidate.repaired(text, said) if text else None


def _observed(candidate: Candidate, value: str) -> Candidate:
    return replace(candidate, observed=(*candidate.observed, value))


def _is_of_project(case: Case) -> bool:
    """Whether the innermost of the lines that led to the failure is the project's and no test's."""
    place = _PLACE.match(case.failure.trace[-1]) if case.failure.trace else None
    return place is not None and not is_test(place["path"])


def _is_meant(case: Case) -> bool:
    """Whether the code under test raised on purpose, or what no slip of the test raises."""
    if case.failure.kind in _NEVER:
        return False
    if case.failure.kind not in _OF_SLIPS:
        return True
    place = _PLACE.match(case.failure.trace[-1])
    for method in case.candidate.target.definitions:
        node = definition_node(method) if place and place["path"] == method.path else None
        line = int(place["line"]) - method.start + 1 if place else 0
        if node and any(
            isinstance(child, ast.Raise) and child.lineno <= line <= (child.end_lineno or 0) for child in ast.walk(node)
        ):
            return True
    return False


def _import_of(kind: str, case: Case) -> list[str] | None:
    """What binds an exception's name; None if that is not known."""
    builtin = getattr(builtins, kind, None)
    if isinstance(builtin, type) and issubclass(builtin, BaseException):
        return []
    code = Code.read(case.code)
    there = {
        alias.asname or alias.name
        for node in (code.tree.body if code else ())
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    if kind in there:
        return []
    statement = case.names.import_for(kind)
    return [statement] if statement and " as " not in statement else None


def _failing(test: FunctionNode, line: int) -> tuple[ast.stmt | None, list[ast.stmt]]:
    """The innermost statement at a line, and those after it in its block and in the test."""
    for block in reversed(list(blocks(test))):
        for position, statement in enumerate(block):
            simple = isinstance(statement, ast.Assert | ast.Expr | ast.Assign | ast.AnnAssign | ast.Return)
            if simple and statement.lineno <= line <= (statement.end_lineno or statement.lineno):
                return statement, block[position + 1 :] if block is test.body else _later(test, statement)
    return None, []


def _later(test: FunctionNode, statement: ast.stmt) -> list[ast.stmt]:
    """Statements of all blocks that begin after one has ended, those inside others left out."""
    end = statement.end_lineno or statement.lineno
    found = [one for block in blocks(test) for one in block if one.lineno > end]
    return [one for one in found if not any(other is not one and _holds(other, one) for other in found)]


def _holds(outer: ast.stmt, inner: ast.stmt) -> bool:
    return outer.lineno <= inner.lineno and (inner.end_lineno or 0) <= (outer.end_lineno or 0)


def _raising(statement: ast.stmt, origins: Origins) -> ast.expr | None:
    """The part of a statement that raised: of a comparison the side that is no literal."""
    value: ast.expr | None = None
    if isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign) and not is_assertion(statement):
        value = statement.value
    elif (claim := claim_of(statement)) is not None:
        value = claim
        match claim:
            case ast.Compare(left=left, comparators=[right]):
                value = right if origins.is_expected(left) else left if origins.is_expected(right) else claim
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value = operand
            case ast.Call(args=[inner, *_]) if called_name(claim) in {"isinstance", "len", "sorted"}:
                value = inner
    return value if value is not None and origins.is_tested(value) else None


def _message(text: str) -> str:
    """What the exception said; empty where that is cut off, long, or another one in each run."""
    found = _ACTUAL_MESSAGE.search(text)
    try:
        said = ast.literal_eval(found["text"]) if found else ""
    except (SyntaxError, ValueError):
        return ""
    is_plain = isinstance(said, str) and "\n" not in said and "0x" not in said
    return said if is_plain and len(said) <= _LONGEST_MESSAGE else ""
