"""Changes of code that leave everything else as its author wrote it: spans of the text are replaced, not trees."""

from __future__ import annotations

import ast
import itertools
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from llm_testgen.records import Candidate
from llm_testgen.source import DefinitionNode, FunctionNode, SourceError, definition_start, parse_tree

Spanned = ast.stmt | ast.expr | ast.arg | ast.alias | ast.keyword
# What stands where a node stood; nothing takes a statement away, with its lines.
Change = tuple[Spanned, str]


@dataclass(frozen=True, slots=True)
class Code:
    """A module's text together with its tree."""

    text: str
    tree: ast.Module

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The tree of a text; None when it is not valid."""
        try:
            return cls(text, parse_tree(text))
        except SourceError:
            return None

    def test(self, candidate: Candidate) -> FunctionNode | None:
        """The candidate's test function; of several of its name the last."""
        class_name, _, name = candidate.name.rpartition("::")
        body = self.tree.body
        if class_name:
            classes = [node for node in body if isinstance(node, ast.ClassDef) and node.name == class_name]
            body = classes[-1].body if classes else []
        found = [node for node in body if isinstance(node, FunctionNode) and node.name == name]
        return found[-1] if found else None

    def segment(self, node: ast.expr | ast.stmt) -> str:
        """A node as it is written, in one line at least where it is an expression."""
        text = ast.get_source_segment(self.text, node)
        return ast.unparse(node) if text is None or "\n" in text else text

    def indentation(self, node: ast.stmt) -> str:
        """The blanks that a statement's line begins with."""
        line = self.text.split("\n")[node.lineno - 1]
        return line[: len(line) - len(line.lstrip())]

    def changed(self, changes: Iterable[Change]) -> str | None:
        """The text with some nodes replaced; None when it is not valid then, or a change does not fit.

        A statement that is taken away, or for which several lines are put in, must share its lines with no other.
        """
        data = self.text.encode()
        starts = [0]
        for line in data.split(b"\n"):
            starts.append(starts[-1] + len(line) + 1)
        spans = sorted((self._span(node, text, starts) for node, text in changes), reverse=True)
        for (start, _, _), (_, end, _) in itertools.pairwise(spans):
            if end > start:
                return None
        for start, end, text in spans:
            data = data[:start] + text.encode() + data[end:]
        changed = data.decode()
        return changed if Code.read(changed) is not None else None

    def _span(self, node: Spanned, text: str, starts: Sequence[int]) -> tuple[int, int, str]:
        first = definition_start(node) if isinstance(node, DefinitionNode) else node.lineno
        last = node.end_lineno or node.lineno
        if isinstance(node, ast.stmt) and not text:
            first, last = self._with_its_comment(first, last)
            return starts[first - 1], min(starts[last], len(self.text.encode())), ""
        end = starts[last - 1] + (node.end_col_offset or 0)
        if isinstance(node, ast.stmt):
            head, separator, rest = text.partition("\n")
            text = head + separator + textwrap.indent(rest, self.indentation(node))
            # A comment behind a statement speaks of what stood there.
            after = self.text.split("\n")[last - 1].encode()[node.end_col_offset :]
            end += len(after) if after.strip().startswith(b"#") else 0
        return starts[first - 1] + node.col_offset, end, text

    def _with_its_comment(self, first: int, last: int) -> tuple[int, int]:
        """The lines of a statement together with those of a comment that is about it alone, and one blank line."""
        lines = ["", *self.text.split("\n"), ""]
        after = lines[last + 1].strip()
        start = first
        while lines[start - 1].strip().startswith("#") and (not after or after.startswith("#")):
            start -= 1
        is_blank_twice = not lines[start - 1].strip() and not after and last + 1 < len(lines) - 1
        return start, last + 1 if is_blank_twice else last

    def with_arguments(self, function: FunctionNode, arguments: str, changes: Iterable[Change] = ()) -> str | None:
        """The text with a function's arguments replaced, and other changes made in its body; None as `changed`."""
        there = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        there += [one for one in (function.args.vararg, function.args.kwarg) if one]
        text = self.changed(changes)
        lines = (text or "").split("\n")
        start, end = function.lineno - 1, function.body[0].lineno - 1
        head = "\n".join(lines[start:end])
        opening = re.match(r"\s*(?:async\s+)?def\s+\w+\s*\(", head)
        has_defaults = function.args.defaults or any(function.args.kw_defaults)
        if text is None or not there or has_defaults or opening is None or start == end:
            return None
        last = max(there, key=lambda one: (one.lineno, one.col_offset))
        tail = head.split("\n", last.lineno - function.lineno)[-1].encode()[last.end_col_offset :].decode()
        if ")" not in tail:
            return None
        rest = tail[tail.index(")") :]
        changed = "\n".join([*lines[:start], *f"{opening[0]}{arguments}{rest}".split("\n"), *lines[end:]])
        return changed if Code.read(changed) is not None else None

    def alone(self, node: ast.stmt) -> bool:
        """Whether a statement shares its lines with no other."""
        lines = self.text.encode().split(b"\n")
        first = definition_start(node) if isinstance(node, DefinitionNode) else node.lineno
        before = lines[first - 1][: node.col_offset].strip()
        after = lines[(node.end_lineno or node.lineno) - 1][node.end_col_offset :].strip()
        return not before and (not after or after.startswith(b"#"))


def without_unread(text: str, before: str) -> str:
    """A changed text without the literals that were bound for what is gone, and that nothing reads any more."""
    code, old = Code.read(text), Code.read(before)
    if code is None or old is None:
        return text
    lost = Counter(_loads(old.tree)) - Counter(_loads(code.tree))
    names = sorted(
        (node for node in ast.walk(code.tree) if isinstance(node, ast.Name) and node.id in lost),
        key=lambda node: (node.lineno, node.col_offset),
    )
    unread = [
        node
        for block in _all_blocks(code.tree)
        for node in block
        if isinstance(node, ast.Assign) and _is_literal(node.value) and code.alone(node)
        if isinstance(target := node.targets[0], ast.Name) and _is_overwritten(target, names, block)
    ]
    return code.changed([(node, "") for node in unread]) or text


def _loads(tree: ast.AST) -> list[str]:
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]


def _all_blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    """The blocks that run from top to bottom once."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | FunctionNode | ast.With):
            yield node.body


def _is_overwritten(target: ast.Name, names: Sequence[ast.Name], block: Sequence[ast.stmt]) -> bool:
    """Whether nothing reads a variable, or its block binds it anew before anything does."""
    others = [node for node in names if node.id == target.id]
    if target not in others:
        return False
    later = others[others.index(target) + 1 :]
    if not later:
        return all(isinstance(node.ctx, ast.Store) for node in others) or others.index(target) > 0
    bindings = [node.targets[0] for node in block if isinstance(node, ast.Assign) and len(node.targets) == 1]
    return later[0] in bindings


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def block_text(code: Code, statements: Sequence[ast.stmt]) -> str:
    """Statements of one block as text at the left margin."""
    lines = code.text.split("\n")[statements[0].lineno - 1 : statements[-1].end_lineno]
    whole = all(code.alone(node) for node in (statements[0], statements[-1]))
    if not whole or any(_is_long_text(child) for node in statements for child in ast.walk(node)):
        return "\n".join(map(ast.unparse, statements))
    return textwrap.dedent("\n".join(lines))


def _is_long_text(node: ast.AST) -> bool:
    """Whether it is a string over several lines, whose inner lines must not be moved."""
    is_text = isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    )
    return is_text and isinstance(node, ast.expr) and node.lineno != node.end_lineno


def indented(text: str) -> str:
    """Lines one step further to the right."""
    return textwrap.indent(text, "    ")


def with_imports(text: str, statements: Iterable[str]) -> str:
    """The text with import statements at its top that it does not have yet."""
    code = Code.read(text)
    there = {ast.unparse(node) for node in code.tree.body} if code else set()
    lacking = [statement for statement in dict.fromkeys(statements) if statement not in there]
    return "".join(f"{statement}\n" for statement in lacking) + text


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function's body, in no order, those of functions and classes inside it left out."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, DefinitionNode | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def blocks(function: FunctionNode) -> Iterator[list[ast.stmt]]:
    """The blocks of a function, the outermost first, those of functions and classes inside it left out."""
    waiting: list[ast.AST] = [function]
    while waiting:
        node = waiting.pop(0)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block:
                yield block
                waiting.extend(child for child in block if not isinstance(child, DefinitionNode))
        waiting.extend(getattr(node, "handlers", ()))
        waiting.extend(getattr(node, "cases", ()))


def parents(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    """The node around each node."""
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def read_names(node: ast.AST) -> set[str]:
    """Names that are read anywhere in a node."""
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load)}


def stored_names(node: ast.AST) -> set[str]:
    """Names that are bound anywhere in a node, by assignments and the like."""
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store)}
