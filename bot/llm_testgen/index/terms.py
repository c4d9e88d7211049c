"""What an expression may give, as *terms*.

A term is a chain, as `facts` defines them, a function nested in another one, a text that may be the name of a method,
or what ``getattr`` gets. A container is not told from what is in it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass

from llm_testgen.index.expressions import chain, is_known

_PREFIX = re.compile(r"_?[a-z]+_")
# What gives back what it is given, in another form or one by one.
_THROUGH = frozenset(
    {"list", "tuple", "set", "frozenset", "dict", "iter", "next", "reversed", "sorted", "enumerate", "zip", "filter"}
    | {"OrderedDict", "deque", "defaultdict", "chain", "cast", "copy", "MappingProxyType", "wraps"}
)
_FIRST = frozenset({"partial", "partialmethod", "staticmethod", "classmethod", "update_wrapper"})
_GETS = frozenset({"getattr", "object.__getattribute__", "super().__getattribute__"})
# Methods of texts that leave them the name of the same method, more or less.
_OF_TEXTS = frozenset({"lower", "upper", "casefold", "strip", "replace", "format", "removesuffix"})
_DEFAULTS = frozenset({"get", "pop", "setdefault"})


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a function, by name; of those that take the rest empty where there is none."""

    names: tuple[str, ...]
    keywords: frozenset[str]
    rest: str = ""
    others: str = ""


@dataclass(frozen=True, slots=True)
class Inner:
    """A function that is nested in another one, or a lambda, by the place where it begins."""

    place: tuple[int, int]
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Text:
    """A text that may be the name of a method, or, if it is not ``whole``, the beginning of one."""

    text: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Got:
    """An attribute of an object by a name that is computed."""

    of: tuple[Term, ...]
    name: tuple[Term, ...]


Term = str | Inner | Text | Got
Terms = tuple[Term, ...]


def parameters(arguments: ast.arguments) -> Parameters:
    """The parameters of a function."""
    return Parameters(
        names=tuple([argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]),
        keywords=frozenset([argument.arg for argument in arguments.kwonlyargs]),
        rest=arguments.vararg.arg if arguments.vararg else "",
        others=arguments.kwarg.arg if arguments.kwarg else "",
    )


def terms(node: ast.AST | None) -> Terms:
    """What an expression may give."""
    match node:
        case ast.Name() | ast.Attribute() | ast.Subscript() | ast.Await():
            text = chain(node)
            found: Terms = (text,) if is_known(text) else ()
        case ast.Call():
            found = _of_call(node)
        case ast.Lambda():
            found = (Inner((node.lineno, node.col_offset), parameters(node.args)),)
        case ast.Constant(value=str(text)):
            beginning, brace, _ = text.partition("{")
            found = _text(beginning, whole=not brace)
        case ast.BinOp() | ast.JoinedStr():
            found = _put_together(node)
        case _:
            found = ()
    return found or joined(_alternatives(node))


def _alternatives(node: ast.AST | None) -> Iterable[ast.AST | None]:
    match node:
        case ast.List() | ast.Tuple() | ast.Set():
            return node.elts
        case ast.Dict() | ast.BoolOp():
            return node.values
        case ast.IfExp():
            return (node.body, node.orelse)
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
            return (node.elt,)
        case ast.DictComp() | ast.NamedExpr() | ast.Starred() | ast.Subscript() | ast.Await():
            return (node.value,)
        case _:
            return ()


def joined(nodes: Iterable[ast.AST | None]) -> Terms:
    """What any of some expressions may give."""
    return tuple(dict.fromkeys(term for node in nodes for term in terms(node)))


def _of_call(node: ast.Call) -> Terms:
    text = chain(node.func)
    name = text.rpartition(".")[2]
    if text == "type" and len(node.args) == 1:
        return tuple([f"{term}.__class__" for term in terms(node.args[0]) if isinstance(term, str)])
    if text in _GETS:
        return _got(node)
    if name in _THROUGH:
        return joined([*node.args, *(keyword.value for keyword in node.keywords)])
    if name in _FIRST:
        return joined(node.args[:1])
    return _of_method(node, text, name)


def _of_method(node: ast.Call, text: str, name: str) -> Terms:
    if name in _OF_TEXTS and isinstance(node.func, ast.Attribute):
        return tuple([term for term in terms(node.func.value) if not isinstance(term, Inner)])
    own: Terms = (f"{text}()",) if is_known(text) else ()
    if name in _DEFAULTS and isinstance(node.func, ast.Attribute):
        return (*(own or terms(node.func.value)), *joined(node.args[1:2]))
    return own


def _got(node: ast.Call) -> Terms:
    given = node.args if isinstance(node.func, ast.Name) else [ast.Name("self"), *node.args][-2:]
    return (Got(terms(given[0]), terms(given[1])), *joined(given[2:])) if len(given) > 1 else ()


def _put_together(node: ast.BinOp | ast.JoinedStr) -> Terms:
    match node:
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), ast.FormattedValue(), *_]):
            beginning = text
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Add()):
            beginning = text
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod()):
            beginning = text.partition("%")[0]
        case ast.BinOp(op=ast.Add() | ast.BitOr()):
            return joined([node.left, node.right])
        case _:
            return ()
    return _text(beginning, whole=False)


def _text(text: str, *, whole: bool) -> Terms:
    return (Text(text, whole),) if text.isidentifier() and (whole or _PREFIX.fullmatch(text)) else ()
