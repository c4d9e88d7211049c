"""What a fault is: an edit of a text, and the kind of mistake that it stands for."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """Kinds of faults in plain words, those first that tell most about the tests that miss them."""

    CONDITION = "negated condition"
    COMPARISON = "comparison"
    RETURN = "return value"
    BRANCH = "fixed condition"
    STATEMENT = "deleted statement"
    RAISE = "exception not raised"
    HANDLER = "emptied handler"
    ARITHMETIC = "arithmetic"
    UPDATE = "augmented assignment"
    JUNCTION = "and/or"
    BOOLEAN = "true/false"
    NUMBER = "number"
    LOOP = "loop exit"
    CASE = "deleted case"
    LAMBDA = "lambda"
    ASSIGNMENT = "assignment"
    METHOD = "string method"
    KEYWORD = "keyword"
    DROPPED = "dropped argument"
    ARGUMENT = "argument"
    COPY = "copy depth"
    OTHER = "other"
    STRING = "string"

    @property
    def rank(self) -> int:
        """Its place among them."""
        return _RANKS[self]


_RANKS = {kind: rank for rank, kind in enumerate(Kind)}


class Span(NamedTuple):
    """A piece of a text, from an offset to the one behind its end."""

    start: int
    end: int


class Edit(NamedTuple):
    """A replacement in a text.

    Attributes:
        span: What is replaced.
        text: What takes its place.
        line: Line of the text where that begins which is changed.
    """

    span: Span
    text: str
    line: int


class Fault(NamedTuple):
    """An edit that makes a mistake.

    Attributes:
        edit: What is changed.
        kind: The mistake.
        statement: The header of the statement that it is in; all of a simple one.
        first_line: Line of the text where that statement begins, by which coverage counts it.
        minor: It tells little: every test notices it, or hardly any should, as in the text of an exception.
    """

    edit: Edit
    kind: Kind
    statement: Span
    first_line: int
    minor: bool
