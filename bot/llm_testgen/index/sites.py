"""The places in a function where other code may be run, as Python's syntax shows them: calls, and what is one unseen.

``with x`` enters ``x``, ``a + b`` adds to it, ``len(x)`` asks for its length. Each place names an object by its chain,
as `facts` defines them, and what is asked of it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from llm_testgen.index.expressions import chain, is_known
from llm_testgen.source import FunctionNode


class SiteKind(StrEnum):
    """What is asked for."""

    CALL = "call"
    ATTRIBUTE = "attribute"
    PROTOCOL = "protocol"
    PASSED = "passed"


@dataclass(frozen=True, slots=True)
class Site:
    """One place.

    Attributes:
        line: Where it begins.
        kind: What is asked for.
        text: The chain that is called, read, set or passed on, or of the object that a protocol is asked of.
        protocols: Of a protocol the names of special methods, of which the first that is there is called.
        called: Of a chain that is passed on, what it is given to.
    """

    line: int
    kind: SiteKind
    text: str
    protocols: tuple[str, ...] = ()
    called: str = ""


_ITER, _TRUTH, _TEXT = ("__iter__", "__getitem__"), ("__bool__", "__len__"), ("__str__", "__repr__")
_BUILTINS = {
    "len": ("__len__",),
    "str": _TEXT,
    "print": _TEXT,
    "repr": ("__repr__",),
    "ascii": ("__repr__",),
    "format": ("__format__", "__str__"),
    "hash": ("__hash__",),
    "bool": _TRUTH,
    "int": ("__int__", "__index__"),
    "float": ("__float__",),
    "abs": ("__abs__",),
    "bytes": ("__bytes__",),
    "next": ("__next__",),
    "reversed": ("__reversed__",),
    "round": ("__round__",),
    "dir": ("__dir__",),
    **dict.fromkeys(
        ("iter", "list", "tuple", "set", "frozenset", "sorted", "sum", "min", "max", "any", "all", "enumerate", "dict"),
        _ITER,
    ),
}
_OPERATORS = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "truediv",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
    ast.BitOr: "or",
    ast.BitAnd: "and",
    ast.BitXor: "xor",
}
_UNARY = {ast.USub: ("__neg__",), ast.UAdd: ("__pos__",), ast.Invert: ("__invert__",), ast.Not: _TRUTH}
_COMPARISONS = {
    ast.Eq: (("__eq__",), ("__eq__",)),
    ast.NotEq: (("__ne__", "__eq__"), ("__ne__", "__eq__")),
    ast.Lt: (("__lt__",), ("__gt__",)),
    ast.Gt: (("__gt__",), ("__lt__",)),
    ast.LtE: (("__le__",), ("__ge__",)),
    ast.GtE: (("__ge__",), ("__le__",)),
}
_SUBSCRIPTS = {ast.Load: "__getitem__", ast.Store: "__setitem__", ast.Del: "__delitem__"}


def sites(function: FunctionNode) -> Iterator[Site]:
    """Every place in a function's body, those in functions nested in it too; not its header, which runs earlier."""
    for statement in function.body:
        for node in ast.walk(statement):
            handler = _HANDLERS.get(type(node))
            if handler is not None:
                yield from handler(node)


def _protocol(node: ast.expr, *names: str) -> Iterator[Site]:
    text = chain(node)
    if is_known(text):
        yield Site(node.lineno, SiteKind.PROTOCOL, text, names)


def _on_call(node: ast.Call) -> Iterator[Site]:
    text = chain(node.func)
    yield Site(node.lineno, SiteKind.CALL, text)
    names = _BUILTINS.get(text, ())
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    for argument in given:
        if isinstance(argument, ast.Starred):
            yield from _protocol(argument.value, *_ITER)
        elif isinstance(argument, ast.Name | ast.Attribute):
            if names:
                yield from _protocol(argument, *names)
            passed = chain(argument)
            if is_known(passed):
                yield Site(argument.lineno, SiteKind.PASSED, passed, called=text)
        elif names and isinstance(argument, ast.Call | ast.Subscript):
            yield from _protocol(argument, *names)


def _on_attribute(node: ast.Attribute) -> Iterator[Site]:
    yield Site(node.lineno, SiteKind.ATTRIBUTE, chain(node))


def _on_subscript(node: ast.Subscript) -> Iterator[Site]:
    yield from _protocol(node.value, _SUBSCRIPTS[type(node.ctx)])
    yield from _as_key(node.slice)


def _as_key(node: ast.expr) -> Iterator[Site]:
    """An object that is looked for in a dictionary or set is hashed, then compared."""
    yield from _protocol(node, "__hash__")
    yield from _protocol(node, "__eq__")


def _on_binary(node: ast.BinOp) -> Iterator[Site]:
    name = _OPERATORS[type(node.op)]
    yield from _protocol(node.left, f"__{name}__")
    yield from _protocol(node.right, f"__r{name}__")


def _on_augmented(node: ast.AugAssign) -> Iterator[Site]:
    name = _OPERATORS[type(node.op)]
    yield from _protocol(node.target, f"__i{name}__", f"__{name}__")
    if isinstance(node.target, ast.Subscript):
        yield from _protocol(node.target.value, "__getitem__")


def _on_unary(node: ast.UnaryOp) -> Iterator[Site]:
    yield from _protocol(node.operand, *_UNARY[type(node.op)])


def _on_compare(node: ast.Compare) -> Iterator[Site]:
    for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
        if isinstance(operator, ast.In | ast.NotIn):
            yield from _protocol(right, "__contains__", *_ITER)
            yield from _as_key(left)
        elif type(operator) in _COMPARISONS:
            ours, theirs = _COMPARISONS[type(operator)]
            yield from _protocol(left, *ours)
            if not is_known(chain(left)):
                yield from _protocol(right, *theirs)


def _on_test(node: ast.If | ast.While | ast.IfExp | ast.Assert) -> Iterator[Site]:
    yield from _protocol(node.test, *_TRUTH)


def _on_logic(node: ast.BoolOp) -> Iterator[Site]:
    for value in node.values[:-1]:
        yield from _protocol(value, *_TRUTH)


def _on_loop(node: ast.For | ast.AsyncFor | ast.comprehension) -> Iterator[Site]:
    names = ("__aiter__",) if isinstance(node, ast.AsyncFor) else _ITER
    yield from _protocol(node.iter, *names)
    if names is _ITER:
        yield from _protocol(node.iter, "__next__")
    if isinstance(node.iter, ast.List | ast.Tuple) and isinstance(node.target, ast.Name):
        for element in node.iter.elts:
            if isinstance(element, ast.Name | ast.Attribute):
                yield Site(element.lineno, SiteKind.PASSED, chain(element))


def _on_with(node: ast.With | ast.AsyncWith) -> Iterator[Site]:
    prefix = "__a" if isinstance(node, ast.AsyncWith) else "__"
    for item in node.items:
        yield from _protocol(item.context_expr, f"{prefix}enter__")
        yield from _protocol(item.context_expr, f"{prefix}exit__")


def _on_formatted(node: ast.FormattedValue) -> Iterator[Site]:
    if node.conversion == ord("r"):
        yield from _protocol(node.value, "__repr__")
    else:
        yield from _protocol(node.value, "__format__", *_TEXT)


def _on_starred(node: ast.Starred) -> Iterator[Site]:
    yield from _protocol(node.value, *_ITER)


def _on_yield_from(node: ast.YieldFrom) -> Iterator[Site]:
    yield from _protocol(node.value, *_ITER)


def _on_raise(node: ast.Raise) -> Iterator[Site]:
    if isinstance(node.exc, ast.Name | ast.Attribute):
        yield Site(node.lineno, SiteKind.CALL, chain(node.exc))


_HANDLERS: dict[type, Callable[..., Iterator[Site]]] = {
    ast.Call: _on_call,
    ast.Attribute: _on_attribute,
    ast.Subscript: _on_subscript,
    ast.BinOp: _on_binary,
    ast.AugAssign: _on_augmented,
    ast.UnaryOp: _on_unary,
    ast.Compare: _on_compare,
    ast.If: _on_test,
    ast.While: _on_test,
    ast.IfExp: _on_test,
    ast.Assert: _on_test,
    ast.BoolOp: _on_logic,
    ast.For: _on_loop,
    ast.AsyncFor: _on_loop,
    ast.comprehension: _on_loop,
    ast.With: _on_with,
    ast.AsyncWith: _on_with,
    ast.FormattedValue: _on_formatted,
    ast.Starred: _on_starred,
    ast.YieldFrom: _on_yield_from,
    ast.Raise: _on_raise,
}
