"""What a test reports of its values, read as a claim: its text goes into the source of another test.

What `guest.literals` writes passes; so does nothing else, whoever wrote it.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re

from pydantic import BaseModel, ConfigDict, Field

from llm_testgen.records import Observation
from llm_testgen.source import SourceError, parse_tree

MOST = 300
_LONGEST = 1000
_LARGEST = 10**30
_IMPORT = re.compile(r"import ([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)", re.ASCII)
_NAMES = frozenset({name for name, value in vars(builtins).items() if isinstance(value, type)} | {"NotImplemented"})
_INFINITE = frozenset({"inf", "-inf"})
# What may be called with one text, and with whole numbers.
_OF_TEXT = frozenset(
    {
        "decimal.Decimal",
        "pathlib.Path",
        "pathlib.PurePath",
        "pathlib.PurePosixPath",
        "pathlib.PureWindowsPath",
        "uuid.UUID",
    }
)
_OF_NUMBERS = frozenset(
    {"datetime.date", "datetime.datetime", "datetime.time", "datetime.timedelta", "fractions.Fraction", "range"}
)
_OF_NUMBERS_BY_NAME = frozenset({"days", "seconds", "microseconds", "fold"})
_UTC = "datetime.timezone.utc"
# A class and its member, at least.
_LEAST_PARTS = 2


class ObservationClaim(BaseModel):
    """One value, as it was reported."""

    model_config = ConfigDict(frozen=True)

    key: int = Field(ge=0, le=10_000)
    type: str = Field(max_length=100)
    expression: str = Field(default="", max_length=_LONGEST)
    imports: tuple[str, ...] = Field(default=(), max_length=10)

    def observation(self) -> Observation:
        """What to make of it: an expression that could not have been written honestly is none."""
        kind = self.type if self.type.isidentifier() else "object"
        return _checked(self.expression, self.imports, Observation(self.key, kind))


def _checked(expression: str, imports: tuple[str, ...], nothing: Observation) -> Observation:
    modules = [match[1] for match in map(_IMPORT.fullmatch, imports) if match]
    if not expression or len(modules) != len(imports) or any(map(_is_odd, modules)):
        return nothing
    try:
        (statement,) = parse_tree(expression).body
    except (SourceError, ValueError):  # none, or several
        return nothing
    if not isinstance(statement, ast.Expr):
        return nothing
    tree = statement.value
    grammar = _Grammar(frozenset(modules))
    if not grammar.is_value(tree) or grammar.used != grammar.modules:
        return nothing
    # Written anew: no comment, no end of a line and no bracket is left of how it came.
    written = ast.unparse(tree)
    if len(written) > _LONGEST or not written.isprintable():
        return nothing
    needed = tuple(f"import {module}" for module in sorted(modules))
    return Observation(nothing.key, nothing.type, written, needed, _is_approximate(tree))


class _Grammar:
    """What an expression may consist of.

    Args:
        modules: What is imported for it.

    Attributes:
        modules: The same.
        used: Those of them that it names.
    """

    def __init__(self, modules: frozenset[str]) -> None:
        self.modules = modules
        self.used: set[str] = set()

    def is_value(self, node: ast.expr | None) -> bool:
        """Whether a node is a literal, or what stands for a value that has none."""
        match node:
            case ast.Constant(value=value):
                return not isinstance(value, int) or -_LARGEST < value < _LARGEST
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return all(map(self.is_value, items))
            case ast.Dict(keys=keys, values=values):
                return all(map(self.is_value, (*keys, *values)))
            case ast.Name() | ast.Attribute():
                name = _dotted(node)
                return name in _NAMES or self._is_member(name)
            case ast.Call(func=function, args=arguments, keywords=named):
                return self._is_call(_dotted(function), arguments, named)
            case _:
                return _is_number(node)

    def _is_member(self, name: str) -> bool:
        """Whether it is a member of a class, of a module that is imported."""
        for module in sorted(self.modules, key=len, reverse=True):
            parts = name.removeprefix(f"{module}.").split(".")
            if name.startswith(f"{module}.") and len(parts) >= _LEAST_PARTS and not any(map(_is_private, parts)):
                self.used.add(module)
                return True
        return False

    def _is_call(self, name: str, arguments: list[ast.expr], named: list[ast.keyword]) -> bool:
        module = name.rpartition(".")[0]
        if module:
            self.used.add(module)
        if name in _OF_NUMBERS:
            return all(map(_is_whole, arguments)) and all(map(_is_named, named))
        match name, arguments, named:
            case "set" | "frozenset", [], []:
                return True
            case "frozenset", [ast.Set() as inner], []:
                return self.is_value(inner)
            case _, [ast.Constant(value=str() as text)], []:
                return name in _OF_TEXT or (name == "float" and text in _INFINITE)
            case _:
                return False


def _is_named(given: ast.keyword) -> bool:
    if given.arg == "tzinfo":
        return _dotted(given.value) == _UTC
    return given.arg in _OF_NUMBERS_BY_NAME and _is_whole(given.value)


def _is_whole(node: ast.expr) -> bool:
    inner = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else node
    return isinstance(inner, ast.Constant) and type(inner.value) is int and inner.value < _LARGEST


def _is_number(node: ast.expr | None) -> bool:
    """Whether a node is a number with a sign, or a complex one in two parts."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() | complex())):
            return True
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=ast.Constant(value=complex())):
            return isinstance(left, ast.Constant | ast.UnaryOp) and (_is_number(left) or _is_real(left))
        case _:
            return False


def _is_real(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def _is_approximate(tree: ast.expr) -> bool:
    return any(isinstance(node, ast.Constant) and isinstance(node.value, float | complex) for node in ast.walk(tree))


def _dotted(node: ast.expr) -> str:
    """A dotted name; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _is_private(name: str) -> bool:
    return name.startswith("_") or not name.isascii()


def _is_odd(module: str) -> bool:
    return any(keyword.iskeyword(part) or part.startswith("__") for part in module.split("."))
