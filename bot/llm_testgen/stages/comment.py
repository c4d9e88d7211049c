"""Reply → the target's source with comments: what a model wrote about the code is taken over, the code never.

Small models write better tests of code that says in words what it does. Where the reply holds the very same code,
it is taken as it stands; where the model changed or left out some of it, its comments are put to the lines that it
left alone.
"""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from llm_testgen.recipe import tokens
from llm_testgen.records import ChangedMethod, MethodKind
from llm_testgen.source import DefinitionNode, definition_start, in_block, single_definition
from llm_testgen.statements import pieces_of

# Longer ones cost more than their comments are worth, and a small model loses its way in them.
_LONGEST_TARGET = 80
_LONGEST_COMMENT = 160
_MOST_COMMENTS = 3  # above one line
_LONGEST_DOCSTRING = 800
_ROOM = 200
_QUOTES = '"""'
_NOTHING = frozenset({tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING})


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of code of a reply.

    Attributes:
        key: Its code, by which it is told again; empty for a line without code.
        above: Comments on the lines before it.
        beside: Its own comment; empty for none.
    """

    key: str
    above: tuple[str, ...] = ()
    beside: str = ""


def opening(target: ChangedMethod) -> str:
    """The beginning of the commented source, for the model to continue: up to the docstring's first quotes or its end.

    Empty when comments are not to be asked for: of a module, of what is too long or stands on one line.
    """
    source = target.method.source
    node = single_definition(source)
    lines = source.split("\n")
    if node is None or target.method.kind is MethodKind.MODULE or len(lines) > _LONGEST_TARGET:
        return ""
    first = _inside(node)
    if not _has_lines_of_its_own(node, lines):
        return ""
    documented = ast.get_docstring(node, clean=False) is not None
    end = (node.body[0].end_lineno or first) if documented else first - 1
    shown = lines[:end] if documented else [*lines[:end], f"{_margin(lines[first - 1])}{_QUOTES}"]
    outer = target.qualname.rpartition(".")[0].rpartition(".")[2]
    return "\n".join([f"class {outer}:", *shown] if outer else shown)


def room(target: ChangedMethod) -> int:
    """Tokens that the commented source may take."""
    return 2 * tokens(target.method.source) + _ROOM


def commented(target: ChangedMethod, reply: str) -> str | None:
    """The source of ``target.method`` with the comments of a reply; None when there are none to take over.

    Args:
        target: What was to be commented.
        reply: The whole text of the reply, its prefill included.
    """
    try:
        return _commented(target, reply)
    except RecursionError:
        return None  # nested too deeply to be compared


def _commented(target: ChangedMethod, reply: str) -> str | None:
    source = target.method.source
    longest = 3 * len(source) + 2 * _LONGEST_DOCSTRING
    copies = list(_copies(target, reply))
    for text, _ in copies:
        if text != source and len(text) <= longest and _margin(text) == _margin(source) and _is_same(text, source):
            return text
    docstring = next((found for _, node in copies if (found := ast.get_docstring(node))), "")
    text = _merged(source, reply, docstring)
    return text if text != source and _is_same(text, source) else None


def _copies(target: ChangedMethod, reply: str) -> Iterator[tuple[str, DefinitionNode]]:
    """Definitions of a reply that have the target's name, each with its text."""
    for piece in pieces_of(reply):
        lines = piece.text.split("\n")
        for node in ast.walk(piece.node):
            if isinstance(node, DefinitionNode) and node.name == target.method.name:
                yield "\n".join(lines[definition_start(node) - 1 : node.end_lineno]), node


def _merged(source: str, reply: str, docstring: str) -> str:
    """A source with the comments that a reply has at the same lines, and with a docstring if it has none."""
    node = single_definition(source)
    if node is None:
        return source
    lines = source.split("\n")
    starts, ends = _logical_lines(source)
    notes = {number: line for number, line in _matched(lines, reply) if number in starts}
    own = {_comment_of(line)[1] for line in lines}
    first = _inside(node)
    takes_docstring = _has_lines_of_its_own(node, lines) and ast.get_docstring(node, clean=False) is None
    merged: list[str] = []
    for number, line in enumerate(lines, start=1):
        if number == first and takes_docstring:
            merged += _docstring_lines(docstring, _margin(line))
        note = notes.get(number, _Line(""))
        merged += [f"{_margin(line)}{text}" for text in note.above if text not in own]
        beside = note.beside if number in ends and note.beside not in own else ""
        merged.append(f"{line}  {beside}" if beside else line)
    return "\n".join(merged)


def _matched(lines: Sequence[str], reply: str) -> Iterator[tuple[int, _Line]]:
    """Numbers of lines that a reply has too, in the same order, with what it says about them."""
    ours = [(number, key) for number, line in enumerate(lines, start=1) if (key := _comment_of(line)[0])]
    theirs = list(_lines(reply))
    matcher = SequenceMatcher(None, [key for _, key in ours], [line.key for line in theirs], autojunk=False)
    for block in matcher.get_matching_blocks():
        for offset in range(block.size):
            yield ours[block.a + offset][0], theirs[block.b + offset]


def _lines(reply: str) -> Iterator[_Line]:
    """The lines of a reply that hold anything but a comment."""
    above: list[str] = []
    for text in reply.splitlines():
        key, comment = _comment_of(text)
        if key:
            yield _Line(key, tuple(above[-_MOST_COMMENTS:]), comment)
            above = []
        elif comment:
            above.append(comment)


def _comment_of(line: str) -> tuple[str, str]:
    """The code of a line, without spaces and in one kind of quotes, and its comment."""
    text = line.strip()
    found = ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                found, text = token.string, text[: token.start[1]]
    except (tokenize.TokenError, SyntaxError):
        pass  # a line is seldom a whole statement: what was found before its end counts
    comment = "" if len(found) > _LONGEST_COMMENT or "```" in found or not found.isprintable() else found
    return "".join(text.split()).replace('"', "'"), comment


def _logical_lines(source: str) -> tuple[frozenset[int], frozenset[int]]:
    """Numbers of the lines where a statement, or a part such as ``else``, begins, and of those where its text ends."""
    starts: set[int] = set()
    ends: set[int] = set()
    commented_lines: set[int] = set()
    between = True
    text, before = in_block(source)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        number = token.start[0] - before
        if token.type == tokenize.COMMENT:
            commented_lines.add(number)
        if token.type == tokenize.NEWLINE:
            ends.add(number)
            between = True
        elif token.type not in _NOTHING and between:
            starts.add(number)
            between = False
    return frozenset(starts), frozenset(ends - commented_lines)


def _docstring_lines(docstring: str, margin: str) -> list[str]:
    text = inspect.cleandoc(docstring)
    is_usable = text and len(text) <= _LONGEST_DOCSTRING and text.replace("\n", "").isprintable()
    if not is_usable or "\\" in text or _QUOTES in text or "```" in text:
        return []
    first, *others = text.split("\n")
    if not others and not first.endswith('"'):
        return [f"{margin}{_QUOTES}{first}{_QUOTES}"]
    shown = [f"{margin}{line}" if line else "" for line in others]
    return [f"{margin}{_QUOTES}{first}", *shown, f"{margin}{_QUOTES}"]


def _is_same(one: str, other: str) -> bool:
    """Whether two definitions are the same code, whatever their docstrings and comments say."""
    trees = [single_definition(text) for text in (one, other)]
    first, second = (ast.dump(_undocumented(tree)) if tree else "" for tree in trees)
    return first == second != ""


def _undocumented(tree: DefinitionNode) -> DefinitionNode:
    for node in ast.walk(tree):
        if isinstance(node, DefinitionNode) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def _has_lines_of_its_own(node: DefinitionNode, lines: Sequence[str]) -> bool:
    """Whether the body of a definition begins on another line than its header ends."""
    return not lines[_inside(node) - 1][: node.body[0].col_offset].strip()


def _inside(node: DefinitionNode) -> int:
    """The first line of a definition's body."""
    first = node.body[0]
    return definition_start(first) if isinstance(first, DefinitionNode) else first.lineno


def _margin(text: str) -> str:
    return text[: len(text) - len(text.lstrip())]
