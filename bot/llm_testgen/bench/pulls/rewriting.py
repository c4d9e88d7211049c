"""The same method without its author's comments: what a model makes of code alone."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import replace

from llm_testgen.records import ChangedMethod, Method
from llm_testgen.source import DefinitionNode, in_block, single_definition


def without_comments(target: ChangedMethod) -> ChangedMethod:
    """A changed method as it would read without comments and docstrings; every line of code keeps its number.

    A definition that cannot be read stays as it is.
    """
    return replace(target, definitions=tuple(map(_stripped, target.definitions)))


def _stripped(method: Method) -> Method:
    node = single_definition(method.source)
    if node is None:
        return method
    lines = method.source.split("\n")
    for inner in ast.walk(node):
        if isinstance(inner, DefinitionNode):
            _blank_docstring(inner, lines)
    for row, column in _comments(method.source):
        # A docstring that went may have held what looks like one.
        if lines[row - 1][column : column + 1] == "#":
            lines[row - 1] = lines[row - 1][:column].rstrip()
    source = "\n".join(lines)
    return replace(method, source=source, docstring="") if single_definition(source) else method


def _blank_docstring(node: DefinitionNode, lines: list[str]) -> None:
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is None or first.lineno == node.lineno:
        return
    last = first.end_lineno or first.lineno
    data = lines[first.lineno - 1].encode()
    if data[: first.col_offset].strip() or lines[last - 1].encode()[first.end_col_offset :].strip():
        return
    only = len(node.body) == 1
    margin = data[: first.col_offset].decode()
    lines[first.lineno - 1 : last] = [f"{margin}..." if only else "", *[""] * (last - first.lineno)]


def _comments(source: str) -> list[tuple[int, int]]:
    """Row and column of each comment; rows count from 1."""
    text, before = in_block(source)
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return []
    return [(token.start[0] - before, token.start[1]) for token in tokens if token.type == tokenize.COMMENT]
