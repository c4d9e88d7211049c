"""The top-level statements of Python that a model wrote: found between prose and fences, salvaged where cut off."""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llm_testgen.source import DefinitionNode, FunctionNode, SourceError, definition_start, parse_tree

_FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<marks>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$")
_THINKING = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
# A new top-level statement begins at a line that starts with a letter, an underscore or a decorator.
_STATEMENT_START = re.compile(r"[A-Za-z_@]")
_ASSERTION = re.compile(r"(?P<indentation>[ \t]+)assert (?P<actual>.*[)\]\w]) == \S")
_TEST_START = re.compile(r"^(?:async )?def test", re.MULTILINE)
_DIFF_ADDED = re.compile(r"^\+(?!\+\+)", re.MULTILINE)
_NO_END = " $"  # no Python
_MOST_JOINED_CHUNKS = 12
_MOST_FAULTS = 6
_TAB = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """One top-level statement with its own text, decorators included; the node's lines count from the text's first."""

    node: ast.stmt
    text: str

    def without(self, dropped: Iterable[ast.stmt]) -> Piece:
        """The same class without some of the statements of its body."""
        gone: set[int] = set()
        for child in dropped:
            gone.update(range(_first_line(child), (child.end_lineno or child.lineno) + 1))
        kept: list[str] = []
        for number, line in enumerate(self.text.split("\n"), start=1):
            if number not in gone:
                kept.append(line)
            elif number - 1 not in gone:
                while kept and not kept[-1].strip():
                    kept.pop()
        text = "\n".join(kept).rstrip()
        return Piece(parse_tree(text).body[0], text)


def pieces_of(reply: str, *, salvage: bool = True, truncated: bool = False) -> tuple[Piece, ...]:
    """The top-level statements of all the Python in a reply, in order; what cannot be parsed is left out.

    Args:
        reply: What a model answered.
        salvage: Take what can be parsed out of a block that cannot as a whole.
        truncated: It was cut off: its last line may say something else than what was meant, even if it is valid.
    """
    if salvage and truncated and not reply.endswith(("\n", "`", "~")):
        reply += _NO_END
    reply = _THINKING.sub("", reply).replace("\r\n", "\n").replace("\ufeff", "")
    blocks = (block for block in _blocks(reply) if salvage or _parses(block))
    return tuple(piece for block in blocks for piece in _pieces(block))


def pieces_of_module(code: str) -> tuple[Piece, ...]:
    """The top-level statements of a module's code that is known to be valid."""
    return tuple(_pieces(code))


def bound_names(node: ast.stmt) -> tuple[str, ...]:
    """Names that a top-level statement binds."""
    if isinstance(node, FunctionNode | ast.ClassDef):
        return (node.name,)
    if isinstance(node, ast.Import):
        return tuple(alias.asname or alias.name.partition(".")[0] for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return tuple(alias.asname or alias.name for alias in node.names)
    return tuple(
        child.id for child in ast.walk(node) if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store)
    )


def grouped_imports(statements: Iterable[str]) -> list[str]:
    """Import statements without repetition, sorted, those of the standard library first and a blank line between."""
    groups: dict[bool, list[str]] = {True: [], False: []}
    for statement in sorted(dict.fromkeys(statements), key=lambda line: (line.startswith("from"), line)):
        module = statement.split()[1].partition(".")[0]
        groups[module in sys.stdlib_module_names].append(statement)
    separator = [""] if groups[True] and groups[False] else []
    return [*groups[True], *separator, *groups[False]]


def _blocks(reply: str) -> list[str]:
    """The fenced blocks of a reply, an unclosed last one included; the whole reply when there is no fence."""
    blocks: list[str] = []
    current: list[str] | None = None
    outside: list[str] = []
    closing = ""
    diff = False
    for line in reply.split("\n"):
        fence = _FENCE.match(line)
        if current is None:
            if fence and not fence["info"].strip() and _TEST_START.search("\n".join(outside)):
                # The fence at the beginning is missing: this one is the end.
                blocks.append(_block(outside, diff=False))
                outside = []
            elif fence:
                current, closing, outside = [], fence["marks"], []
                diff = fence["info"].strip().lower() in {"diff", "patch"}
            else:
                outside.append(line)
        elif fence and fence["marks"].startswith(closing) and not fence["info"].strip():
            blocks.append(_block(current, diff=diff))
            current = None
        else:
            current.append(line)
    if current is not None:
        blocks.append(_block(current, diff=diff))
    return blocks or [_block(reply.split("\n"), diff=False)]


def _block(lines: list[str], *, diff: bool) -> str:
    if diff:
        lines = [_DIFF_ADDED.sub("", line) for line in lines if not line.startswith(("-", "@@", "+++", "diff "))]
    return textwrap.dedent("\n".join(lines))


def _pieces(block: str) -> Iterator[Piece]:
    try:
        tree = parse_tree(block)
    except SourceError:
        # Models indent with no-break spaces at times; inside strings of valid code they are meant.
        plain = block.replace("\u00a0", " ")
        yield from _pieces(plain) if plain != block else _salvage(block)
        return
    lines = block.split("\n")
    for node in tree.body:
        start, end = _first_line(node), node.end_lineno or node.lineno
        yield _exact(node, "\n".join(lines[start - 1 : end]))


def _exact(node: ast.stmt, text: str) -> Piece:
    """A statement with its own text, parsed again so that its lines count from 1; written anew if ``;`` joined it."""
    try:
        body = parse_tree(text).body
    except SourceError:
        body = []
    if len(body) != 1:
        text = ast.unparse(node)
        body = parse_tree(text).body
    return Piece(body[0], text)


def _salvage(block: str) -> Iterator[Piece]:
    """Statements of a block that does not parse as a whole: each run of lines that does, cut where it must be."""
    chunks = _chunks(block)
    position = 0
    while position < len(chunks):
        for count in range(1, min(_MOST_JOINED_CHUNKS, len(chunks) - position) + 1):
            text = "\n".join(chunks[position : position + count])
            if _parses(text):
                yield from _pieces(text)
                position += count
                break
        else:
            yield from _without_faults(chunks[position]) or _cut(chunks[position])
            position += 1


def _chunks(block: str) -> list[str]:
    """Runs of lines that each begin where a top-level statement may."""
    chunks: list[list[str]] = [[]]
    for line in block.split("\n"):
        if _STATEMENT_START.match(line) and chunks[-1]:
            chunks.append([])
        chunks[-1].append(line)
    return ["\n".join(chunk) for chunk in chunks]


def _without_faults(chunk: str) -> list[Piece]:
    """The definition of a chunk in whose middle a few lines are no Python, without them or moved; none if it is not so.

    A fault in the last line is left to the cut: what stands there was to go on.
    """
    lines = chunk.expandtabs(_TAB).rstrip().split("\n")
    for _ in range(_MOST_FAULTS):
        fault = _fault("\n".join(lines))
        if fault is None:
            pieces = list(_pieces("\n".join(lines)))
            return pieces if len(pieces) == 1 and isinstance(pieces[0].node, DefinitionNode) else []
        number = fault.lineno or 0
        if not 1 < number < len(lines):
            return []
        before = next((line for line in reversed(lines[: number - 1]) if line.strip()), "")
        if isinstance(fault, IndentationError) and not before.rstrip().endswith(":"):
            indentation = before[: len(before) - len(before.lstrip())]
            lines[number - 1] = indentation + lines[number - 1].lstrip()
        elif isinstance(fault, IndentationError):
            return []
        else:
            del lines[number - 1]
    return []


def _fault(text: str) -> SyntaxError | None:
    try:
        parse_tree(text)
    except SourceError as error:
        return error.__cause__ if isinstance(error.__cause__, SyntaxError) else SyntaxError(str(error))
    return None


def _cut(chunk: str) -> Iterator[Piece]:
    """The longest beginning of a chunk that is a whole definition."""
    lines = chunk.rstrip().split("\n")
    for end in range(len(lines) - 1, 0, -1):
        text = "\n".join(lines[:end]).rstrip()
        # Of an only assertion that was cut off in the value that it expects, the other side is whole.
        begun = None if "assert" in text else _ASSERTION.match(lines[end])
        longer = f"{text}\n{begun['indentation']}{begun['actual']}" if begun else ""
        text = longer if longer and _parses(longer) else text
        if _parses(text):
            pieces = list(_pieces(text))
            if pieces and isinstance(pieces[0].node, DefinitionNode):
                yield from pieces
            return


def _parses(text: str) -> bool:
    try:
        return bool(parse_tree(text).body)
    except SourceError:
        return False


def _first_line(node: ast.stmt) -> int:
    return definition_start(node) if isinstance(node, FunctionNode | ast.ClassDef) else node.lineno
