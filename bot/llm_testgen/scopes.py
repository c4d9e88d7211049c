"""The scopes of a module, and what each of their names is bound to, as far as the text tells.

Order and conditions are left aside: a name has everything that is bound to it anywhere in its scope.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from llm_testgen.source import FunctionNode

# What a name is bound to where the text shows no expression for it, beside the dotted names of imports.
PARAMETER = ""  # given from elsewhere
OWN_MODULE = "<module>"  # begins the dotted name of what the module itself defines

# pytest's own fixtures that lead to its session, by the type of what they give.
_PYTEST_FIXTURES = {"request": "FixtureRequest", "pytestconfig": "FixtureRequest.config"}


@dataclass(slots=True, eq=False)
class Scope:
    """A module, class or function, with all that each of its names is bound to."""

    outer: Scope | None = None
    is_class: bool = False
    bound: dict[str, list[Bound]] = field(default_factory=dict)

    def owner(self, name: str) -> Scope | None:
        """The scope that a name belongs to when it is used in this one; None if none binds it."""
        scope: Scope | None = self
        while scope and name not in scope.bound:
            scope = scope.outer
        return scope


# An expression and the scope that it is evaluated in; or a dotted name.
Bound = tuple[ast.expr, Scope] | str
# A node of a tree and the scope that it stands in.
Located = tuple[ast.AST, Scope]


class Bindings:
    """The scopes of one module, filled from its tree, and from the trees of code that it executes.

    Attributes:
        root: The scope of the module itself.
        starred: Dotted names of the modules from which it imports everything.
        texts: All string literals.
    """

    def __init__(self) -> None:
        """A module without code."""
        self.root = Scope()
        self.starred: set[str] = set()
        self.texts: set[str] = set()
        self._shared: set[str] = set()  # names that are declared global or nonlocal: the module has them all

    def add(self, tree: ast.AST, scope: Scope) -> list[Located]:
        """Take in a tree that runs in a scope; its nodes in the order of the text, each with its own scope."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Global | ast.Nonlocal):
                self._shared.update(node.names)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.texts.add(node.value)
        return list(self._collect(tree, scope))

    def _collect(self, node: ast.AST, scope: Scope) -> Iterator[Located]:
        yield node, scope
        for name, origin in names_bound(node):
            self._bind(name, origin, scope)
        for target, value in _assignments(node):
            self._assign(target, value, scope)
        inner, body = scope, frozenset[int]()
        if isinstance(node, FunctionNode | ast.Lambda | ast.ClassDef):
            # The names of a class are not seen in its methods; decorators, defaults and bases stand outside.
            inner = Scope(scope.outer if scope.is_class else scope, isinstance(node, ast.ClassDef))
            body = frozenset(map(id, [node.body] if isinstance(node, ast.Lambda) else node.body))
        if isinstance(node, FunctionNode | ast.Lambda):
            for name, default in _parameters(node):
                self._bind(name, default if isinstance(default, str) else (default, scope), inner)
        for child in ast.iter_child_nodes(node):
            yield from self._collect(child, inner if id(child) in body else scope)

    def _bind(self, name: str, bound: Bound, scope: Scope) -> None:
        if name == "*" and isinstance(bound, str):
            self.starred.add(bound.removesuffix(".*"))
        owner = self.root if name in self._shared else scope
        owner.bound.setdefault(name, []).append(bound)

    def _assign(self, target: ast.expr, value: ast.expr, scope: Scope) -> None:
        match target:
            case ast.Name(id=name):
                self._bind(name, (value, scope), scope)
            case ast.Starred(value=inner):
                self._assign(inner, value, scope)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                parts = elements(value)
                if len(parts) != len(targets):
                    parts = [ast.Subscript(value, ast.Constant(None), ast.Load())] * len(targets)
                for inner, part in zip(targets, parts, strict=True):
                    self._assign(inner, part, scope)


def names_bound(node: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that a node binds other than by assignment; for an import with the dotted name of what it imports."""
    match node:
        case ast.Import(names=aliases):
            for alias in aliases:
                root = alias.name.partition(".")[0]
                yield alias.asname or root, alias.name if alias.asname else root
        case ast.ImportFrom(names=aliases):
            module = "." * node.level + (node.module or "")
            for alias in aliases:
                yield alias.asname or alias.name, f"{module}.{alias.name}"
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name, f"{OWN_MODULE}.{node.name}"
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name, PARAMETER


def elements(node: ast.expr) -> list[ast.expr]:
    """The elements that a tuple, list or set displays; none of any other expression."""
    return node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else []


def _assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What a node assigns: targets with values; for a loop all that it displays, else what it goes over."""
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((target, value) for target in targets)
        case ast.AugAssign(target=ast.Name(id=name) as target, op=operator, value=value):
            yield target, ast.BinOp(ast.Name(name, ast.Load()), operator, value)
        case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
            yield target, value
        case ast.For() | ast.AsyncFor() | ast.comprehension():
            yield from ((node.target, element) for element in elements(node.iter) or [node.iter])
        case ast.withitem(optional_vars=ast.expr() as target, context_expr=value):
            yield target, value


def _parameters(node: FunctionNode | ast.Lambda) -> Iterator[tuple[str, ast.expr | str]]:
    """The parameters of a function, and their defaults; pytest's own fixtures are known by their names."""
    arguments = node.args
    fixtures = _PYTEST_FIXTURES if _is_called_by_pytest(node) else {}
    positional = [*arguments.posonlyargs, *arguments.args]
    for one in [*positional, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]:
        if one:
            yield one.arg, fixtures.get(one.arg, PARAMETER)
    with_default = positional[len(positional) - len(arguments.defaults) :]
    yield from _given(with_default, arguments.defaults)
    yield from _given(arguments.kwonlyargs, arguments.kw_defaults)


def _given(parameters: Iterable[ast.arg], defaults: Iterable[ast.expr | None]) -> Iterator[tuple[str, ast.expr]]:
    return ((one.arg, default) for one, default in zip(parameters, defaults, strict=True) if default)


def _is_called_by_pytest(node: FunctionNode | ast.Lambda) -> bool:
    return not isinstance(node, ast.Lambda) and (
        node.name.startswith("test") or any("fixture" in ast.unparse(one) for one in node.decorator_list)
    )
