"""A method of a test class → a function: without ``self``, and with ``assert`` for the methods of unittest."""

from __future__ import annotations

import ast

from llm_testgen.repairs.assertions import claim_of
from llm_testgen.tuning.data.suite import UnfitError

_SELF = frozenset({"self", "cls"})
# What is called with an error, and a pattern for its message.
_RAISES = {"assertRaises": False, "assertRaisesRegex": True}


def without_self(node: ast.FunctionDef) -> None:
    """Make a function of a method, in place.

    Raises:
        UnfitError: It uses its instance for more than to assert.
    """
    if node.args.args and node.args.args[0].arg in _SELF:
        del node.args.args[0]
    plain = _Plain()
    node.body = [new for old in node.body for new in plain.statements(old)]
    if any(isinstance(one, ast.Name) and one.id in _SELF for statement in node.body for one in ast.walk(statement)):
        msg = "it uses its instance"
        raise UnfitError(msg)


class _Plain(ast.NodeTransformer):
    """Replaces unittest's ways of asserting."""

    def __init__(self) -> None:
        self._caught: set[str] = set()

    def statements(self, node: ast.stmt) -> list[ast.stmt]:
        """What a statement becomes."""
        made = self.visit(node)
        return made if isinstance(made, list) else [made]

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        """``self.assertEqual(a, b)`` and ``self.assertRaises(E, f, x)``."""
        self.generic_visit(node)
        claim = claim_of(node)
        if claim is not None:
            return ast.Assert(claim, None)
        return _raising_call(node.value) or node

    def visit_With(self, node: ast.With) -> ast.stmt | list[ast.stmt]:
        """``with self.assertRaises(E):`` and ``with self.subTest(…):``."""
        for item in node.items:
            made = _raises(item.context_expr)
            if made is not None:
                item.context_expr = made
                if isinstance(item.optional_vars, ast.Name):
                    self._caught.add(item.optional_vars.id)
        node.body = [new for old in node.body for new in self.statements(old)]
        return node.body if all(_called(item.context_expr) == "subTest" for item in node.items) else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """What was raised is the ``exception`` of unittest's context, and the ``value`` of pytest's."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id in self._caught and node.attr == "exception":
            node.attr = "value"
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        """An assertion's message says nothing that the assertion does not."""
        self.generic_visit(node)
        node.msg = None
        return node


def _called(node: ast.expr) -> str:
    """The method of its instance that is called; empty for anything else."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name)) if owner in _SELF:
            return name
    return ""


def _raises(node: ast.expr) -> ast.expr | None:
    """``self.assertRaises(E)`` as ``pytest.raises(E)``."""
    name = _called(node)
    if name not in _RAISES or not isinstance(node, ast.Call):
        return None
    given = node.args[: 1 + _RAISES[name]]
    keywords = [ast.keyword("match", given[1])] if _RAISES[name] and len(given) > 1 else []
    return ast.Call(ast.parse("pytest.raises", mode="eval").body, given[:1], keywords)


def _raising_call(node: ast.expr) -> ast.With | None:
    """``self.assertRaises(E, f, x)`` as a block with the call in it."""
    made = _raises(node)
    if made is None or not isinstance(node, ast.Call):
        return None
    match node.args[1 + _RAISES[_called(node)] :]:
        case []:
            return None
        case [ast.Lambda(args=ast.arguments(args=[], kwonlyargs=[]), body=body)]:
            call = body
        case [function, *arguments]:
            call = ast.Call(function, arguments, node.keywords)
    return ast.With([ast.withitem(made)], [ast.Expr(call)])
