"""Tests written from their syntax trees, all in one style, so that a model learns one."""

from __future__ import annotations

import ast
import copy
import io
import re
import tokenize
from collections.abc import Iterable, Iterator

_SINGLE_QUOTED = re.compile(r"[bru]{0,2}'(?:[^'\"\\]|\\[^'\"])*'", re.IGNORECASE)


def in_our_style(node: ast.FunctionDef) -> str:
    """A test as text.

    Raises:
        ValueError: ast cannot write it: a text within a text, say.
    """
    return double_quoted(ast.unparse(_Identical().visit(copy.deepcopy(ast.fix_missing_locations(node)))))


class _Identical(ast.NodeTransformer):
    """Writes ``is None`` for ``== None``, and what is expected on the right."""

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.Compare(ops=[ast.Eq()], comparators=[ast.Constant(value=None | True | False)]):
                node.ops = [ast.Is()]
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]) if _is_plain(left) and not _is_plain(
                right
            ):
                node.left, node.comparators = right, [left]
        return node


def _is_plain(node: ast.expr) -> bool:
    """Whether a value is written out."""
    return not any(isinstance(one, ast.Call | ast.Name | ast.Attribute) for one in ast.walk(node))


def double_quoted(text: str) -> str:
    """Code with double quotes around its strings where that changes nothing else."""
    lines = text.split("\n")
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    for token in (tokens[place] for place in whole_strings(tokenize.tok_name[token.type] for token in tokens)):
        if _SINGLE_QUOTED.fullmatch(token.string) and token.start[0] == token.end[0]:
            row, start, end = token.start[0] - 1, token.start[1], token.end[1]
            lines[row] = lines[row][:start] + token.string.replace("'", '"') + lines[row][end:]
    return "\n".join(lines)


def whole_strings(kinds: Iterable[str]) -> Iterator[int]:
    """Places of the strings among tokens, without those that stand within an f-string or a t-string.

    From Python 3.12 on these are tokens of their own, and before it they must not have the quotes around them.

    Args:
        kinds: Of all tokens of a text, as `tokenize.tok_name` has them.
    """
    depth = 0
    for place, kind in enumerate(kinds):
        if kind.endswith("STRING_START"):
            depth += 1
        elif kind.endswith("STRING_END"):
            depth -= 1
        elif kind == "STRING" and not depth:
            yield place
