"""Where one definition moves functions, classes and objects: what it assigns, gives to calls, puts into containers."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from llm_testgen.index.expressions import chain, is_known
from llm_testgen.index.facts import RETURNED
from llm_testgen.index.terms import Inner, Terms, joined, parameters, terms
from llm_testgen.source import DefinitionNode, FunctionNode

# Which argument of these methods a container keeps.
_KEEPS = {"append": 0, "add": 0, "appendleft": 0, "extend": 0, "update": 0, "insert": 1, "setdefault": 1}
_SCOPES = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda})
_RESULTS = frozenset({ast.Return, ast.Yield, ast.YieldFrom})
_ASSIGNING = frozenset(
    {ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr, ast.For, ast.AsyncFor, ast.comprehension, ast.withitem}
)
# Nothing is moved in these, and most nodes are of these kinds.
_IDLE = frozenset({ast.Name, ast.Constant, ast.Load, ast.Store, ast.Pass, ast.alias, type(None), str})
_IDLE |= {ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Break, ast.Continue, ast.arguments}


@dataclass(frozen=True, slots=True)
class Move:
    """Something that gets to be elsewhere.

    Attributes:
        target: The chain of the place, or ``return``.
        source: What may be moved there.
        inner: The place of the nested function that returns it.
    """

    target: str
    source: Terms
    inner: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A call.

    Attributes:
        line: Where it begins.
        text: The chain of what is called.
        function: What may be called.
        arguments: What it is given, by position or name.
    """

    line: int
    text: str
    function: Terms
    arguments: tuple[tuple[int | str, Terms], ...] = ()


@dataclass(frozen=True, slots=True)
class Moves:
    """All that one definition moves."""

    moves: list[Move] = field(default_factory=list)
    calls: list[Given] = field(default_factory=list)


def moves_of(node: DefinitionNode | ast.Module) -> Moves:
    """What a definition's own code moves, with that of the functions nested in a function."""
    found = Moves()
    walker = _Walker(found, within_function=isinstance(node, FunctionNode))
    if isinstance(node, FunctionNode):
        walker.defaults(node.args)
    walker.walk_all(node.body, None)
    return found


class _Walker:
    """Goes through the code of one definition."""

    def __init__(self, found: Moves, *, within_function: bool) -> None:
        self._found = found
        self._within_function = within_function

    def walk_all(self, nodes: Iterable[ast.AST], inner: tuple[int, int] | None) -> None:
        """Collect from nodes and what lies below them; ``inner`` is the place of the nested function around them."""
        for node in nodes:
            self._walk(node, inner)

    def defaults(self, arguments: ast.arguments) -> None:
        """What parameters are where they are not given."""
        positional = [*arguments.posonlyargs, *arguments.args]
        given = zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True)
        for argument, default in (*given, *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)):
            self._move(argument.arg, terms(default))

    def _walk(self, node: ast.AST, inner: tuple[int, int] | None) -> None:
        kind = type(node)
        if kind in _IDLE:
            return
        if kind in _SCOPES:
            self._scope(node, inner)
            return
        if kind is ast.Call:
            self._call(node)  # type: ignore[arg-type]
        elif kind in _RESULTS:
            self._move(RETURNED, terms(node.value), inner)  # type: ignore[attr-defined]
        elif kind in _ASSIGNING:
            for target, source in _assigned(node):
                self._move(target, source)
        for name in kind._fields:
            child = getattr(node, name)
            if child.__class__ is list:
                self.walk_all(child, inner)
            elif isinstance(child, ast.AST):
                self._walk(child, inner)

    def _scope(self, node: ast.AST, inner: tuple[int, int] | None) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node)
            case ast.ClassDef():
                self._decorators(node, (node.name,))
                if self._within_function:
                    self.walk_all(node.body, inner)
            case ast.Lambda():
                place = (node.lineno, node.col_offset)
                self.defaults(node.args)
                self._move(RETURNED, terms(node.body), place)
                self._walk(node.body, place)

    def _decorators(self, node: DefinitionNode, itself: Terms) -> None:
        """A decorator is given what it decorates."""
        for decorator in node.decorator_list:
            given = Given(decorator.lineno, chain(decorator), terms(decorator), ((0, itself),))
            self._found.calls.append(given)
            self._walk(decorator, None)

    def _function(self, node: FunctionNode) -> None:
        if not self._within_function:
            self._decorators(node, (node.name,))
            return
        place = (node.lineno, node.col_offset)
        itself = (Inner(place, parameters(node.args)),)
        self._decorators(node, itself)
        self._move(node.name, itself)
        self.defaults(node.args)
        self.walk_all(node.body, place)

    def _move(self, target: str, source: Terms, inner: tuple[int, int] | None = None) -> None:
        if source:
            self._found.moves.append(Move(target, source, inner))

    def _call(self, node: ast.Call) -> None:
        arguments: list[tuple[int | str, Terms]] = list(_arguments(node))
        self._found.calls.append(Given(node.lineno, chain(node.func), terms(node.func), tuple(arguments)))
        if isinstance(node.func, ast.Attribute) and node.func.attr in _KEEPS:
            kept = [*node.args[_KEEPS[node.func.attr] :][:1], *(keyword.value for keyword in node.keywords)]
            target = _place(node.func.value)
            if target:
                self._move(target, joined(kept))


def _arguments(node: ast.Call) -> Iterator[tuple[int | str, Terms]]:
    for position, argument in enumerate(node.args):
        if isinstance(argument, ast.Starred):
            break
        if found := terms(argument):
            yield position, found
    for keyword in node.keywords:
        if keyword.arg is not None and (found := terms(keyword.value)):
            yield keyword.arg, found


def _assigned(node: ast.AST) -> Iterator[tuple[str, Terms]]:
    match node:
        case ast.Assign():
            for target in node.targets:
                yield from _to(target, node.value)
        case ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr():
            yield from _to(node.target, node.value)
        case ast.For() | ast.AsyncFor() | ast.comprehension():
            source = terms(node.iter)
            for place in _places(node.target):
                yield place, source
        case ast.withitem():
            source = terms(node.context_expr)
            for place in _places(node.optional_vars):
                yield place, source


def _to(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, Terms]]:
    for one, given in _pairs(target, value):
        source = terms(given)
        for place in _places(one):
            yield place, source


def _pairs(target: ast.expr, value: ast.expr | None) -> Sequence[tuple[ast.expr, ast.expr | None]]:
    match target, value:
        case ast.Tuple() | ast.List(), ast.Tuple() | ast.List() if len(target.elts) == len(value.elts):
            return list(zip(target.elts, value.elts, strict=True))
        case _:
            return [(target, value)]


def _places(target: ast.expr | None) -> Iterator[str]:
    if isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _places(element)
    elif isinstance(target, ast.Starred):
        yield from _places(target.value)
    elif target is not None and (place := _place(target)):
        yield place


def _place(node: ast.expr) -> str:
    """The chain of a variable or attribute that holds something, or whose container does; empty where there is none."""
    text = chain(node)
    while text.endswith("[]"):
        text = text.removesuffix("[]")
    return text if is_known(text) and not text.endswith(")") else ""
