"""Assertions in all their forms: what counts as one, and what each asserts as a plain expression."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from llm_testgen.repairs.edits import own_nodes
from llm_testgen.source import FunctionNode

_COMPARED: dict[str, type[ast.cmpop]] = {
    "assertEqual": ast.Eq,
    "assertEquals": ast.Eq,
    "assertListEqual": ast.Eq,
    "assertDictEqual": ast.Eq,
    "assertTupleEqual": ast.Eq,
    "assertSetEqual": ast.Eq,
    "assertSequenceEqual": ast.Eq,
    "assertMultiLineEqual": ast.Eq,
    "assertNotEqual": ast.NotEq,
    "assertNotEquals": ast.NotEq,
    "assertIs": ast.Is,
    "assertIsNot": ast.IsNot,
    "assertIn": ast.In,
    "assertNotIn": ast.NotIn,
    "assertGreater": ast.Gt,
    "assertGreaterEqual": ast.GtE,
    "assertLess": ast.Lt,
    "assertLessEqual": ast.LtE,
}
_RAISERS = frozenset({"raises", "assertRaises", "assertRaisesRegex", "warns", "deprecated_call", "assertWarns"})


def is_assertion(node: ast.stmt) -> bool:
    """Whether a statement asserts something: ``assert``, a method of unittest or of a mock, a block of ``raises``."""
    if isinstance(node, ast.Assert):
        return True
    if isinstance(node, ast.With | ast.AsyncWith):
        return any(is_raises(item.context_expr) for item in node.items)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        function = node.value.func
        if isinstance(function, ast.Attribute) and function.attr.startswith("assert"):
            return True
        return is_raises(node.value)
    return False


def is_raises(expression: ast.expr) -> bool:
    """Whether it is ``pytest.raises(…)`` or one of its kind."""
    return isinstance(expression, ast.Call) and called_name(expression) in _RAISERS


def called_name(call: ast.Call) -> str:
    """The last part of the name that a call's function goes by; empty when it has none."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def assertions(test: ast.AST) -> list[ast.stmt]:
    """The assertions of a test, in the order of their lines."""
    found = [node for node in own_nodes(test) if isinstance(node, ast.stmt) and is_assertion(node)]
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def asserts(tree: ast.AST) -> bool:
    """Whether there is any assertion in a tree, in helpers too."""
    return any(isinstance(node, ast.stmt) and is_assertion(node) for node in ast.walk(tree))


def is_weak(node: ast.stmt, name: str) -> bool:
    """Whether an assertion says no more than that a variable is not None."""
    match claim_of(node):
        case ast.Compare(left=ast.Name(id=other), ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
            return other == name
    return False


def claim_of(node: ast.stmt) -> ast.expr | None:
    """What an assertion asserts, as an expression that is true when it holds; None where there is none so plain."""
    if isinstance(node, ast.Assert):
        return node.test
    match node:
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name), args=arguments) as call
        ):
            return _claim_of_method(name, arguments, call)
    return None


def _claim_of_method(name: str, arguments: Sequence[ast.expr], call: ast.Call) -> ast.expr | None:
    """What a method of unittest's asserts."""
    is_odd = any(isinstance(argument, ast.Starred) for argument in arguments)
    is_rounded = name.startswith("assertAlmost") and len(arguments) > len(("one", "other"))
    if is_odd or is_rounded or any(keyword.arg != "msg" for keyword in call.keywords):
        return None
    if name in _OF_ONE and arguments:
        return _OF_ONE[name](arguments[0])
    if len(arguments) > 1 and name in _COMPARED:
        return ast.Compare(arguments[0], [_COMPARED[name]()], [arguments[1]])
    return _OF_TWO[name](arguments[0], arguments[1]) if len(arguments) > 1 and name in _OF_TWO else None


def _call(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.parse(name, mode="eval").body, list(arguments), [])


def _negated(value: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), value)


_OF_ONE: dict[str, Callable[[ast.expr], ast.expr]] = {
    "assertTrue": lambda value: value,
    "assertFalse": _negated,
    "assertIsNone": lambda value: ast.Compare(value, [ast.Is()], [ast.Constant(None)]),
    "assertIsNotNone": lambda value: ast.Compare(value, [ast.IsNot()], [ast.Constant(None)]),
}
_OF_TWO: dict[str, Callable[[ast.expr, ast.expr], ast.expr]] = {
    "assertIsInstance": lambda value, kind: _call("isinstance", value, kind),
    "assertNotIsInstance": lambda value, kind: _negated(_call("isinstance", value, kind)),
    "assertCountEqual": lambda one, other: ast.Compare(_call("sorted", one), [ast.Eq()], [_call("sorted", other)]),
    "assertAlmostEqual": lambda one, other: ast.Compare(one, [ast.Eq()], [_call("pytest.approx", other)]),
    "assertAlmostEquals": lambda one, other: ast.Compare(one, [ast.Eq()], [_call("pytest.approx", other)]),
    "assertRegex": lambda text, pattern: _call("re.search", pattern, text),
    "assertNotRegex": lambda text, pattern: _negated(_call("re.search", pattern, text)),
}


def raises_with(function: FunctionNode, line: int) -> ast.With | ast.AsyncWith | None:
    """The innermost block of ``raises`` that holds a line."""
    found = [
        node
        for node in own_nodes(function)
        if isinstance(node, ast.With | ast.AsyncWith)
        and is_assertion(node)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(found, key=lambda node: node.lineno, default=None)
