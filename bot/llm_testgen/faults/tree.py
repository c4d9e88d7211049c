"""A text and its concrete syntax tree: where each node stands, and a changed node as an edit of the text."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from itertools import accumulate

import libcst as cst
from libcst.metadata import CodePosition, CodeRange, MetadataWrapper, PositionProvider

from llm_testgen.faults.kinds import Edit, Span
from llm_testgen.source import SourceError, parse_tree

# Layout, names that are bound, and what is there for readers and type checkers alone.
_NO_CODE = frozenset(
    {"annotation", "asname", "attr", "bases", "comma", "decorators", "equal", "footer", "header", "keyword"}
    | {"leading_lines", "lines_after_decorators", "lpar", "name", "returns", "rpar", "semicolon", "semicolons"}
    | {"trailing_whitespace", "type_parameters"}
)
_WITH_COLON = (
    cst.ClassDef
    | cst.ExceptHandler
    | cst.ExceptStarHandler
    | cst.For
    | cst.FunctionDef
    | cst.MatchCase
    | cst.Try
    | cst.TryStar
    | cst.With
)
# Of a hundred files of the standard library and of well-known packages, one has more than twenty.
_DEEPEST = 64
_ATOMS = (cst.Name, cst.BaseNumber, cst.SimpleString)


class TreeError(ValueError):
    """A text that has no concrete syntax tree here."""


class Tree:
    """A parsed text.

    Attributes:
        text: The text.
        module: Its tree.
    """

    def __init__(self, text: str) -> None:
        """Parse the text.

        Raises:
            TreeError: It cannot be parsed, or not without loss.
        """
        try:
            # What Python itself refuses, or what is nested without end, can crash libcst's parser.
            if _is_deep(parse_tree(text)):
                msg = "nested too deeply"
                raise TreeError(msg)
            self.module = cst.parse_module(text)
            # The parser makes every node anew, so the copy that guards against shared ones can be spared.
            wrapper = MetadataWrapper(self.module, unsafe_skip_copy=True)
            self._ranges = wrapper.resolve(PositionProvider)
            lossless = self.module.code == text
        except (cst.ParserSyntaxError, cst.CSTValidationError, RecursionError, SourceError) as error:
            raise TreeError(str(error)) from error
        if not lossless:
            msg = "the tree does not give the text"
            raise TreeError(msg)
        self.text = text
        self._starts = (0, *accumulate(len(line) + 1 for line in text.split("\n")))

    def span(self, node: cst.CSTNode) -> Span:
        """Where a node stands, without parentheses around it."""
        where = self._range(node)
        return Span(self._offset(where.start), self._offset(where.end))

    def outer_span(self, node: cst.CSTNode) -> Span:
        """Where a node stands, with its parentheses."""
        if isinstance(node, cst.BaseExpression) and node.lpar:
            return Span(self.span(node.lpar[0]).start, self.span(node.rpar[-1]).end)
        return self.span(node)

    def lines(self, node: cst.CSTNode) -> tuple[int, int]:
        """First and last line of a node, decorators included."""
        where = self._range(node)
        decorators = node.decorators if isinstance(node, cst.FunctionDef | cst.ClassDef) else ()
        first = self._range(decorators[0]).start.line if decorators else where.start.line
        return first, where.end.line

    def line(self, node: cst.CSTNode) -> int:
        """Line where a node begins."""
        return self._range(node).start.line

    def header(self, node: cst.CSTNode) -> Span:
        """Where a statement stands without the blocks in it."""
        start, end = self.span(node)
        if isinstance(node, cst.If | cst.While):
            end = self.outer_span(node.test).end
        elif isinstance(node, cst.Match):
            end = self.outer_span(node.subject).end
        elif isinstance(node, _WITH_COLON):
            end = self.span(node.whitespace_before_colon).start
        return Span(start, end)

    def text_of(self, node: cst.CSTNode) -> str:
        """A node as it is written, with its parentheses."""
        start, end = self.outer_span(node)
        return self.text[start:end]

    def replacement(self, node: cst.CSTNode, text: str) -> Edit:
        """The edit that puts a text where a node stands, parentheses included."""
        return self.edit(self.outer_span(node), text, self.line(node))

    def edit(self, span: Span, text: str, line: int) -> Edit:
        """An edit; blanks keep its text apart from the words around it, as in ``return~x``."""
        before, after = self.text[: span.start][-1:], self.text[span.end : span.end + 1]
        if _in_word(before) and _in_word(text[:1]):
            text = f" {text}"
        if _in_word(text[-1:]) and _in_word(after):
            text = f"{text} "
        return Edit(span, text, line)

    def change(self, old: cst.CSTNode, new: cst.CSTNode) -> tuple[Edit, cst.CSTNode, cst.CSTNode | None]:
        """The smallest edit that makes a node another, with the part that it replaces and the new part.

        The new part is None where the old one is left out.
        """
        found = _difference(old, new)
        if isinstance(found, _Omission):
            return self.omission(found.among, found.index), found.among[found.index], None
        old, new = found
        if isinstance(old, cst.AugAssign) and isinstance(new, cst.Assign):
            return self.edit(self.span(old.operator), "=", self.line(old.operator)), old, new
        if isinstance(new, _ATOMS) and not new.lpar:
            return self.replacement(old, self.module.code_for_node(new)), old, new
        return self.edit(self.span(old), self._code(old, new), self.line(old)), old, new

    def omission(self, among: Sequence[cst.CSTNode], index: int) -> Edit:
        """The edit that leaves out one of several nodes in a row, and the comma that it needs no more."""
        dropped = among[index]
        if index + 1 < len(among):
            span = Span(self.span(dropped).start, self.span(among[index + 1]).start)
        elif index > 0:
            span = Span(self.span(among[index - 1]).end, self.span(dropped).end)
        else:
            span = self.span(dropped)
        return Edit(span, "", self.line(dropped))

    def _code(self, old: cst.CSTNode, new: cst.CSTNode) -> str:
        """The text of a new node in the place of an old one, whose parentheses stay."""
        if new in self._ranges:
            return self.text_of(new)
        if not isinstance(new, cst.BaseExpression):
            return self.module.code_for_node(new).strip()
        if isinstance(old, cst.BaseExpression) and old.lpar and new.lpar is old.lpar:
            new = new.with_changes(lpar=(), rpar=())
        start = self.span(old).start
        if "\n" not in self.text[start : self.span(old).end]:
            return self.module.code_for_node(new)
        # Only a block knows the indentation of the lines that follow the first.
        line = self.text[self.text.rfind("\n", 0, start) + 1 :]
        indent = line[: len(line) - len(line.lstrip(" \t"))] or " "
        block = cst.IndentedBlock([cst.SimpleStatementLine([cst.Expr(new)])], indent=indent)
        code = cst.Module([cst.If(cst.Name("True"), block)]).code
        return code.partition("\n")[2].removeprefix(indent).removesuffix("\n")

    def _range(self, node: cst.CSTNode) -> CodeRange:
        return self._ranges[node]

    def _offset(self, position: CodePosition) -> int:
        return self._starts[position.line - 1] + position.column


def children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The parts of a node that hold code."""
    for name in _code_fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            yield value
        elif isinstance(value, list | tuple):
            yield from value


@cache
def _code_fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    names = (field.name for field in fields(kind))
    return tuple(name for name in names if name not in _NO_CODE and not name.startswith("whitespace"))


class _Omission:
    """One of several nodes in a row that is gone."""

    def __init__(self, among: Sequence[cst.CSTNode], index: int) -> None:
        self.among = among
        self.index = index


def _difference(old: cst.CSTNode, new: cst.CSTNode) -> tuple[cst.CSTNode, cst.CSTNode] | _Omission:
    """The smallest parts in which two nodes differ."""
    if type(old) is not type(new):
        return old, new
    pairs = [(getattr(old, field.name), getattr(new, field.name)) for field in fields(old)]
    differing = [(one, other) for one, other in pairs if not _same(one, other)]
    if len(differing) != 1:
        return old, new
    one, other = differing[0]
    if isinstance(one, cst.CSTNode) and isinstance(other, cst.CSTNode):
        return _difference(one, other)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        places = [index for index, pair in enumerate(zip(one, other, strict=False)) if not _same(*pair)]
        if len(one) == len(other) and len(places) == 1:
            return _difference(one[places[0]], other[places[0]])
        if len(one) == len(other) + 1:
            return _Omission(one, places[0] if places else len(other))
    return old, new


def _same(one: object, other: object) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, cst.CSTNode) and isinstance(other, cst.CSTNode):
        return one is other or one.deep_equals(other)
    return one is other or one == other


def _is_deep(tree: ast.Module) -> bool:
    """Nodes stand in each other more often than the parser bears, where a chain of and-s counts as nested."""
    pending: list[tuple[ast.AST, int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > _DEEPEST:
            return True
        chained = isinstance(node, ast.BoolOp)
        inner = enumerate(ast.iter_child_nodes(node), start=1)
        pending.extend((child, depth + (index if chained else 1)) for index, child in inner)
    return False


def _in_word(character: str) -> bool:
    return f"_{character}".isidentifier() and bool(character)
