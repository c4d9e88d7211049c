"""Syntax trees of expressions and annotations as the texts that `facts` defines."""

from __future__ import annotations

import ast

from llm_testgen.index.facts import UNKNOWN_CHAIN

_TRANSPARENT = frozenset(
    {"Optional", "Annotated", "ClassVar", "Final", "Required", "NotRequired", "ReadOnly", "Awaitable"}
)
_ITERATORS = frozenset(
    {"Iterator", "Generator", "AsyncIterator", "AsyncGenerator", "Iterable", "AsyncIterable", "ContextManager"}
)
_CLASSES = frozenset({"type", "Type"})
_NONE = "None"
_SINGLE = frozenset({ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Await})


def chain(node: ast.expr) -> str:
    """An expression as a chain; it begins with ``?`` when it does not start at a name."""
    # Asked for every call and attribute there is: plain comparisons take a third of the time of a match.
    kind = type(node)
    if kind is ast.Name:
        return node.id  # type: ignore[attr-defined,no-any-return]
    if kind is ast.Attribute:
        return f"{chain(node.value)}.{node.attr}"  # type: ignore[attr-defined]
    if kind is ast.Call:
        return f"{chain(node.func)}()"  # type: ignore[attr-defined]
    if kind is ast.Subscript:
        return f"{chain(node.value)}[]"  # type: ignore[attr-defined]
    if kind is ast.Await:
        return chain(node.value)  # type: ignore[attr-defined]
    return UNKNOWN_CHAIN


def is_known(text: str) -> bool:
    """Whether a chain starts at a name."""
    return not text.startswith(UNKNOWN_CHAIN)


def alternatives(node: ast.expr | None) -> str:
    """What a value may be, as chains joined by ``|``; empty when nothing is known of it."""
    if type(node) in _SINGLE:
        text = chain(node)  # type: ignore[arg-type]
        return text if is_known(text) else ""
    return "|".join(dict.fromkeys(_alternatives(node)))


def _alternatives(node: ast.expr | None) -> list[str]:
    match node:
        case None | ast.Constant(value=None):
            return [_NONE]
        case ast.BoolOp():
            return [text for operand in node.values for text in _alternatives(operand)]
        case ast.IfExp():
            return [*_alternatives(node.body), *_alternatives(node.orelse)]
        case ast.NamedExpr():
            return _alternatives(node.value)
        case _:
            text = chain(node)
            return [text] if is_known(text) else []


def type_text(node: ast.expr | None) -> str:
    """An annotation as a type text."""
    match node:
        case ast.Name() | ast.Attribute():
            text = chain(node)
            return text if is_known(text) and "(" not in text else ""
        case ast.Constant(value=None):
            return _NONE
        case ast.Constant(value=str(quoted)):
            return _quoted(quoted)
        case ast.BinOp(op=ast.BitOr()):
            return _union([node.left, node.right])
        case ast.Subscript():
            return _subscript(node)
        case _:
            return ""


def _quoted(text: str) -> str:
    try:
        return type_text(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError):
        return ""


def _subscript(node: ast.Subscript) -> str:
    generic = chain(node.value)
    name = generic.rpartition(".")[2]
    arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if not arguments or not is_known(generic):
        return ""
    if name == "Union":
        return _union(arguments)
    if name in _TRANSPARENT:
        return type_text(arguments[0])
    if name == "Coroutine":
        return type_text(arguments[-1])
    form = "yields" if name in _ITERATORS else "type" if name in _CLASSES else ""
    if not form:
        return generic
    inner = type_text(arguments[0])
    return f"{form}[{inner}]" if inner else ""


def _union(members: list[ast.expr]) -> str:
    """The one type beside None; a union of several is no single type."""
    texts = {type_text(member) for member in members} - {_NONE}
    return texts.pop() if len(texts) == 1 else ""
