"""Which expressions of a test come from the code under test, and which say what is expected of it."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable, Iterator

from llm_testgen.records import Context
from llm_testgen.repairs.edits import own_nodes, read_names, stored_names
from llm_testgen.source import FunctionNode

_BUILTINS = frozenset(dir(builtins))
# Libraries that a test works with; all others are taken for the code under test.
_HELPING = sys.stdlib_module_names | {"freezegun", "hypothesis", "numpy", "pandas", "pytest", "mock"}
_GIVEN_BY_PYTEST = frozenset(
    {
        "cache",
        "capfd",
        "caplog",
        "capsys",
        "monkeypatch",
        "recwarn",
        "request",
        "tmp_path",
        "tmp_path_factory",
        "tmpdir",
        "self",
        "cls",
    }
)
# What binds names: statements, and parts of them.
_BINDING = ast.stmt | ast.comprehension | ast.NamedExpr | ast.withitem


class Origins:
    """Where the names of one test come from."""

    def __init__(self, tree: ast.Module, test: FunctionNode, context: Context) -> None:
        """Follow the names.

        Args:
            tree: The module.
            test: Its test.
            context: What the prompt said of the code under test.
        """
        self._package = context.module.partition(".")[0]
        self._target = context.target.method.name
        self._tested: set[str] = set()
        self._expected: set[str] = set(_BUILTINS)
        self._changeable: set[str] = set()
        for statement in tree.body:
            if statement is not test:
                self._bind(statement)
        self._arguments(test)
        nodes = (node for node in own_nodes(test) if isinstance(node, _BINDING))
        for node in sorted(nodes, key=_position):
            self._bind(node)

    def is_tested(self, node: ast.AST) -> bool:
        """Whether an expression calls or reads something of the code under test."""
        return not self._tested.isdisjoint(read_names(node))

    def is_expected(self, node: ast.AST) -> bool:
        """Whether an expression is made of literals and of what helps to write a test."""
        return read_names(node) <= self._expected | stored_names(node)

    def actual(self, left: ast.expr, right: ast.expr) -> ast.expr | None:
        """The side of a comparison that the code under test gives; None where that is not one of them alone."""
        if self.is_tested(left) != self.is_tested(right):
            return left if self.is_tested(left) else right
        if self.is_expected(left) != self.is_expected(right):
            return right if self.is_expected(left) else left
        if self._calls_target(left) != self._calls_target(right):
            return left if self._calls_target(left) else right
        return None

    def _calls_target(self, node: ast.AST) -> bool:
        calls = (child.func for child in ast.walk(node) if isinstance(child, ast.Call))
        return any(ast.unparse(function).rpartition(".")[2] == self._target for function in calls)

    def _arguments(self, test: FunctionNode) -> None:
        given = parametrized(test)
        for argument in [*test.args.posonlyargs, *test.args.args, *test.args.kwonlyargs]:
            if argument.arg in given:
                self._expected.add(argument.arg)
            elif argument.arg not in _GIVEN_BY_PYTEST:
                self._tested.add(argument.arg)

    def _bind(self, node: ast.AST) -> None:
        match node:
            case ast.Import() | ast.ImportFrom():
                self._imported(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._named([node.name], node)
            case ast.Assign(value=value):
                self._named(stored_names(node), value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                self._named([name], value)
            case ast.AugAssign(target=ast.Name(id=name), value=value) if self.is_tested(value):
                self._named([name], value)
            case ast.NamedExpr(target=target, value=value):
                self._named([target.id], value)
            case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
                self._named(stored_names(target), value)
            case ast.withitem(context_expr=manager, optional_vars=ast.expr() as target):
                self._entered(manager, target)
        self._handed_over(node)

    def _entered(self, manager: ast.expr, target: ast.expr) -> None:
        """What a block binds: an exception that was caught comes from the code under test."""
        caught = isinstance(manager, ast.Call) and ast.unparse(manager.func).endswith("raises")
        if caught:
            self._tested |= stored_names(target)
        else:
            self._named(stored_names(target), manager)

    def _imported(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
            top = module.partition(".")[0]
            name = alias.asname or (alias.name if isinstance(node, ast.ImportFrom) else top)
            relative = isinstance(node, ast.ImportFrom) and node.level > 0
            own = relative or top == self._package or top not in _HELPING
            (self._tested if own else self._expected).add(name)

    def _named(self, names: Iterable[str], value: ast.AST) -> None:
        tested, expected = self.is_tested(value), self.is_expected(value)
        if not isinstance(value, ast.Constant | ast.UnaryOp | ast.Tuple | ast.JoinedStr):
            self._changeable.update(names)
        for name in names:
            self._tested.discard(name)
            self._expected.discard(name)
            if tested:
                self._tested.add(name)
            elif expected:
                self._expected.add(name)

    def _handed_over(self, node: ast.AST) -> None:
        """What is handed to the code under test may be something else afterwards."""
        for call in _calls(node):
            if self.is_tested(call):
                handed = [*call.args, *(keyword.value for keyword in call.keywords)]
                self._expected -= {one.id for one in handed if isinstance(one, ast.Name) and one.id in self._changeable}


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Expr):
        yield from (child for child in ast.walk(node) if isinstance(child, ast.Call))


def parametrized(test: FunctionNode) -> set[str]:
    """Names of the arguments that marks give values to."""
    names: set[str] = set()
    for decorator in test.decorator_list:
        match decorator:
            case ast.Call(func=function, args=[given, *_]) if ast.unparse(function).endswith("parametrize"):
                constants = [node.value for node in ast.walk(given) if isinstance(node, ast.Constant)]
                for text in constants:
                    names.update(part.strip() for part in str(text).split(","))
    return names


def _position(node: ast.AST) -> tuple[int, int]:
    target = node.target if isinstance(node, ast.comprehension) else node
    target = node.context_expr if isinstance(node, ast.withitem) else target
    return getattr(target, "lineno", 0), getattr(target, "col_offset", 0)
