r"""Test files as places: where imports, tests and methods may be put in, and the file with them.

Whatever is put in, all of the old file stays there byte for byte. Lines are counted as git counts them, at ``\\n``
alone; a place is named by the number of lines that stand before it.
"""

from __future__ import annotations

import ast
import codecs
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from llm_testgen.source import FunctionNode, SourceError, definition_start, parse_tree
from llm_testgen.statements import grouped_imports
from llm_testgen.toplevel import imports_something, is_docstring, is_main_block

# Blank lines above a definition.
BETWEEN_DEFINITIONS = 2
BETWEEN_METHODS = 1

_MARK = "\ufeff"
_COOKIE = re.compile(r"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_UTF8 = frozenset({"utf-8", "utf-8-sig"})
# What has to run before the project can be imported, in a file that has it.
_PREPARES_IMPORTS = re.compile(r"\b(sys\.path|importorskip)\b")


class Addition(Protocol):
    """A test as it goes into a file: a `Placement`, or what the proposal holds of it."""

    @property
    def imports(self) -> tuple[str, ...]:
        """Import statements that the file lacks for it."""

    @property
    def pieces(self) -> tuple[str, ...]:
        """Definitions that the file lacks for it, and the test itself as the last."""

    @property
    def into(self) -> str:
        """The class whose method it becomes; empty for the top level."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Neighbouring places: after any of the lines ``first`` to ``last``; but for the first these lines are blank."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Layout:
    r"""A file as lines and statements.

    Attributes:
        lines: Its lines, without what ends them.
        body: Its top-level statements.
        newline: What ends its lines, ``\\n`` or ``\\r\\n``.
        mark: The byte order mark that it begins with, or nothing.
        closed: Its last line has an end too.
    """

    lines: tuple[str, ...]
    body: tuple[ast.stmt, ...]
    newline: str
    mark: str
    closed: bool

    @property
    def text(self) -> str:
        """The whole file."""
        end = self.newline if self.closed and self.lines else ""
        return self.mark + self.newline.join(self.lines) + end

    def with_lines(self, place: int, added: Sequence[str]) -> Layout:
        """The file with more lines; what is added at its end is ended by a newline.

        Raises:
            SourceError: It is not valid any more.
        """
        lines = (*self.lines[:place], *added, *self.lines[place:])
        closed = self.closed or place == len(self.lines)
        return Layout(lines, _statements(lines), self.newline, self.mark, closed)

    def spaced(self, place: int, block: Iterable[str], above: int, below: int) -> list[str]:
        """Lines for a place, with the blank lines above and below them that are missing there.

        At the top of a file none are missing above, at its end none below.
        """
        over = [not line.strip() for line in reversed(self.lines[:place])]
        under = [not line.strip() for line in self.lines[place:]]
        missing_above = 0 if all(over) else max(0, above - _leading(over))
        missing_below = 0 if all(under) else max(0, below - _leading(under))
        return [*[""] * missing_above, *block, *[""] * missing_below]

    def test_gaps(self) -> dict[int, Gap]:
        """Where tests may stand, by the number of statements before it; at least one, the last being the best.

        Not amid the imports or before them, and not after the ``if __name__ == "__main__":`` that ends a script.
        """
        scripted = bool(self.body) and is_main_block(self.body[-1])
        statements = self.body[:-1] if scripted else self.body
        fixed = [number for number, node in enumerate(statements, start=1) if imports_something(node)]
        least = max(fixed, default=int(bool(statements) and is_docstring(statements[0])))
        gaps = self._gaps()
        return {number: gap for number in range(least, len(statements) + 1) if (gap := gaps[number])}

    def class_gap(self, node: ast.ClassDef) -> tuple[Gap, str] | None:
        """The end of a top-level class, and the indentation of its body; None if the body begins beside the header."""
        start = self.start_of(node.body[0])
        line = self.lines[start - 1]
        indent = line[: len(line) - len(line.lstrip(" \t"))]
        decorated = start < node.body[0].lineno and line.startswith("@", len(indent))
        if not indent or not (decorated or node.body[0].col_offset == len(indent)):
            return None
        following = (self.start_of(other) for other in self.body if other.lineno > node.lineno)
        limit = min(following, default=len(self.lines) + 1) - 1
        return self._gap(self._with_inner_comments(self.end_of(node), limit), limit), indent

    def import_place(self) -> tuple[int, bool]:
        """The place for more imports, and whether they follow imports there without a blank line."""
        place, joined = self._header(), False
        for number, node in enumerate(self.body):
            if isinstance(node, FunctionNode | ast.ClassDef) or is_main_block(node):
                break
            if number == 0 and is_docstring(node):
                place = self.end_of(node)
            elif isinstance(node, ast.Import | ast.ImportFrom) or _prepares_imports(node):
                place, joined = self.end_of(node), True
        for node in self.body:
            if self.start_of(node) <= place < self.end_of(node):
                place = self.end_of(node)
        return place, joined

    def with_imports(self, statements: Iterable[str]) -> Layout:
        """The file with more imports: after those that it begins with, else after its docstring, else at its top.

        Raises:
            SourceError: It is not valid any more, or one of them is no import.
        """
        imports = list(dict.fromkeys(statements))
        for statement in imports:
            _require_import(statement)
        if not imports:
            return self
        place, joined = self.import_place()
        if joined:
            return self.with_lines(place, imports)
        future = [statement for statement in imports if statement.startswith("from __future__ ")]
        others = grouped_imports(statement for statement in imports if statement not in future)
        block = [*future, *[""] * bool(future and others), *others]
        return self.with_lines(place, self.spaced(place, block, 1, BETWEEN_DEFINITIONS))

    def start_of(self, node: ast.stmt) -> int:
        """First line of a statement, decorators included."""
        return definition_start(node) if isinstance(node, FunctionNode | ast.ClassDef) else node.lineno

    def end_of(self, node: ast.stmt) -> int:
        """Last line of a statement, with the empty one that a backslash at its end has joined to it."""
        end = node.end_lineno or node.lineno
        tail = self.lines[end - 1].encode()[node.end_col_offset or 0 :].decode()
        while tail.endswith("\\") and "#" not in tail and end < len(self.lines):
            end += 1
            tail = self.lines[end - 1]
        return end

    def _gaps(self) -> list[Gap | None]:
        """The gap before each top-level statement, None where it shares a line with the one before; the end's last.

        A comment belongs to the statement below it; to the one above it if it is indented, or touches that one alone.
        """
        gaps: list[Gap | None] = []
        end = 0
        for number, node in enumerate(self.body):
            start = self.start_of(node)
            first = self._with_own_comments(end, start - 1) if number else min(self._header(), start - 1)
            gaps.append(self._gap(first, start - 1) if end < start else None)
            end = max(end, self.end_of(node))
        last = max((number for number, line in enumerate(self.lines, start=1) if line.strip()), default=0)
        return [*gaps, Gap(max(last, end), len(self.lines))]

    def _gap(self, first: int, limit: int) -> Gap:
        return Gap(first, first + _leading(not line.strip() for line in self.lines[first:limit]))

    def _with_own_comments(self, end: int, limit: int) -> int:
        """Last line of the comments of the statement that ends at a line; ``limit`` is the last before the next one."""
        inner = self._with_inner_comments(end, limit)
        if inner > end:
            return inner
        block = end + _leading(line.startswith("#") for line in self.lines[end:limit])
        return block if block < limit and not self.lines[block].strip() else end

    def _with_inner_comments(self, end: int, limit: int) -> int:
        """Last line of the indented comments that follow a statement."""
        last = end
        for number, line in enumerate(self.lines[end:limit], start=end + 1):
            if line.strip() and not (line[0] in " \t" and line.lstrip().startswith("#")):
                break
            last = number if line.strip() else last
        return last

    def _header(self) -> int:
        """How many comment lines the file begins with that are about all of it, such as a licence."""
        block = _leading(line.startswith("#") for line in self.lines)
        if block == len(self.lines) or not self.lines[block].strip():
            return block
        # What touches the first statement is its own, but for what only counts in these lines.
        return _leading(line.startswith("#!") or bool(_COOKIE.match(line)) for line in self.lines[: min(block, 2)])


def layout_of(text: str) -> Layout:
    """A file's text as lines and statements.

    Raises:
        SourceError: It is not valid Python, it is written in another encoding than UTF-8, or its lines end in
            different ways.
    """
    mark = _MARK if text.startswith(_MARK) else ""
    plain = text.removeprefix(mark)
    newline = "\r\n" if "\r\n" in plain else "\n"
    if plain.count("\r") != plain.count("\r\n") or (newline == "\r\n" and plain.count("\n") != plain.count("\r\n")):
        msg = "its lines end in different ways"
        raise SourceError(msg)
    lines = plain.replace("\r\n", "\n").split("\n")
    closed = lines[-1] == ""
    if closed:
        lines.pop()
    if not all(_is_utf8(cookie[1]) for line in lines[:2] if (cookie := _COOKIE.match(line))):
        msg = "it declares an encoding other than UTF-8"
        raise SourceError(msg)
    return Layout(tuple(lines), _statements(lines), newline, mark, closed)


def render(before: str, additions: Iterable[Addition]) -> str:
    """A file with any of the tests that were placed into it; what several of them bring is written once.

    Args:
        before: The file at head; empty for a new one.
        additions: Its placements, or records of them.

    Raises:
        SourceError: The file, or what it would become, is no file that tests can be added to.
    """
    added = list(additions)
    layout = layout_of(before).with_imports(statement for addition in added for statement in addition.imports)
    pieces: list[str] = []
    for addition in added:
        if not addition.into:
            pieces += addition.pieces
            continue
        pieces += addition.pieces[:-1]
        layout = _with_method(layout, addition.into, addition.pieces[-1])
    if not pieces:
        return layout.text
    place = max(layout.test_gaps().items())[1].first
    block = stacked(unique(pieces), BETWEEN_DEFINITIONS)
    return layout.with_lines(place, layout.spaced(place, block, BETWEEN_DEFINITIONS, BETWEEN_DEFINITIONS)).text


def unique(pieces: Iterable[str]) -> list[str]:
    """Definitions, each of those that mean the same once.

    Raises:
        SourceError: One of them is not valid.
    """
    found: dict[str, str] = {}
    for piece in pieces:
        found.setdefault(ast.dump(parse_tree(piece)), piece)
    return list(found.values())


def stacked(pieces: Iterable[str], blank: int) -> list[str]:
    """The lines of definitions with so many blank ones between them."""
    lines: list[str] = []
    for piece in pieces:
        lines += [*([""] * blank if lines else []), *piece.split("\n")]
    return lines


def top_level_class(layout: Layout, name: str) -> ast.ClassDef:
    """The last class of that name at a file's top level.

    Raises:
        SourceError: It has none.
    """
    for node in reversed(layout.body):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    msg = f"it has no class {name}"
    raise SourceError(msg)


def method_lines(layout: Layout, gap: Gap, place: int, methods: Iterable[str]) -> list[str]:
    """Lines for a place at the end of a class; what follows the class keeps its distance."""
    distance = min(gap.last - gap.first, BETWEEN_DEFINITIONS)
    return layout.spaced(place, stacked(methods, BETWEEN_METHODS), BETWEEN_METHODS, distance)


def _with_method(layout: Layout, name: str, method: str) -> Layout:
    found = layout.class_gap(top_level_class(layout, name))
    if found is None:
        msg = f"class {name} has no lines of its own"
        raise SourceError(msg)
    gap, _ = found
    return layout.with_lines(gap.first, method_lines(layout, gap, gap.first, [method]))


def _statements(lines: Iterable[str]) -> tuple[ast.stmt, ...]:
    return tuple(parse_tree("\n".join(lines) + "\n").body)


def _require_import(statement: str) -> None:
    body = parse_tree(statement).body
    if "\n" in statement or len(body) != 1 or not isinstance(body[0], ast.Import | ast.ImportFrom):
        msg = "what is to be imported is no import statement of one line"
        raise SourceError(msg)


def _prepares_imports(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr | ast.Assign) and bool(_PREPARES_IMPORTS.search(ast.unparse(node)))


def _is_utf8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name in _UTF8
    except LookupError:
        return False


def _leading(flags: Iterable[bool]) -> int:
    """How many of them are true before the first that is not."""
    return sum(1 for _ in takewhile(bool, flags))
