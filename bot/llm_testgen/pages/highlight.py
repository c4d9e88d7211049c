"""Python code as lines of spans that a style sheet can colour; what cannot be split into tokens stays plain."""

from __future__ import annotations

import io
import keyword
import tokenize
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from llm_testgen.delivery.markdown import is_visible

# Longer code is shown without colours: the page is to open at once.
_LONGEST = 200_000
_STRINGS = frozenset({"STRING", "FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END"})
_TEMPLATES = frozenset({"TSTRING_START", "TSTRING_MIDDLE", "TSTRING_END"})
_BREAKS = frozenset({"NEWLINE", "NL", "INDENT", "DEDENT", "COMMENT", "ENCODING"})


class Role(StrEnum):
    """What a piece of code is, as the style sheet names it."""

    PLAIN = ""
    KEYWORD = "k"
    STRING = "s"
    NUMBER = "n"
    COMMENT = "c"
    DEFINED = "f"
    DECORATOR = "d"
    UNSEEN = "u"


class Span(NamedTuple):
    """A piece of one line."""

    role: Role
    text: str


Line = tuple[Span, ...]


class _Mark(NamedTuple):
    """Columns of a line, from 0, that have a role."""

    start: int
    end: int
    role: Role


def plain_lines(code: str) -> tuple[Line, ...]:
    """Code without colours, in which characters that cannot be seen are shown by their numbers."""
    return tuple(tuple(_seen(Role.PLAIN, line)) for line in _split(code))


def highlight(code: str) -> tuple[Line, ...]:
    """Python code with its parts told apart, line by line; as `plain_lines` where it is no Python."""
    lines = _split(code)
    if len(code) > _LONGEST:
        return plain_lines(code)
    marks: dict[int, list[_Mark]] = {}
    try:
        for row, mark in _marks("\n".join(lines)):
            marks.setdefault(row, []).append(mark)
    except (tokenize.TokenError, SyntaxError, ValueError):
        return plain_lines(code)
    return tuple(tuple(_painted(line, marks.get(row, []))) for row, line in enumerate(lines, 1))


def _split(code: str) -> list[str]:
    return code.replace("\r\n", "\n").removesuffix("\n").split("\n")


def _marks(code: str) -> Iterator[tuple[int, _Mark]]:
    """What has a role, by its row: a token of several lines has a part in each."""
    before, decorates = "NEWLINE", False
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        kind = tokenize.tok_name[token.type]
        decorates = (token.string == "@" and before in _BREAKS) or (
            decorates and (kind == "NAME" or token.string == ".")
        )
        role = Role.DECORATOR if decorates else _role(kind, token.string, before)
        # A name counts for what follows it, so that the one after `def` is known.
        before = token.string if kind == "NAME" else kind
        if role is Role.PLAIN:
            continue
        (first, start), (last, end) = token.start, token.end
        for row in range(first, last + 1):
            yield row, _Mark(start if row == first else 0, end if row == last else len(code), role)


def _role(kind: str, text: str, before: str) -> Role:
    if kind in _STRINGS or kind in _TEMPLATES:
        return Role.STRING
    if kind == "COMMENT":
        return Role.COMMENT
    if kind == "NUMBER":
        return Role.NUMBER
    if kind == "NAME" and before in {"def", "class"}:
        return Role.DEFINED
    return Role.KEYWORD if kind == "NAME" and keyword.iskeyword(text) else Role.PLAIN


def _painted(line: str, marks: list[_Mark]) -> Iterator[Span]:
    """A line as spans; whatever the marks say, all of its text is there, once."""
    done = 0
    for mark in marks:
        start, end = max(mark.start, done), min(mark.end, len(line))
        if start >= end:
            continue
        yield from _seen(Role.PLAIN, line[done:start])
        yield from _seen(mark.role, line[start:end])
        done = end
    yield from _seen(Role.PLAIN, line[done:])


def _seen(role: Role, text: str) -> Iterator[Span]:
    """A text of one role, with what cannot be seen in it as spans of their own."""
    start = 0
    for position, character in enumerate(text):
        if character != "\t" and not is_visible(character):
            if start < position:
                yield Span(role, text[start:position])
            yield Span(Role.UNSEEN, f"\\u{ord(character):04x}")
            start = position + 1
    if start < len(text):
        yield Span(role, text[start:])
