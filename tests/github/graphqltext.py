"""The part of GraphQL's grammar that clients use: one operation, its variables, fields, arguments and fragments."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r'(?P<skip>[\s,\ufeff]+|#[^\n]*)|(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?)'
    r"|(?P<name>[_A-Za-z]\w*)|(?P<mark>\.\.\.|[{}()\[\]:=!$@|])"
)
_LITERALS = {"true": True, "false": False, "null": None}


class GraphQLError(Exception):
    """The text, or what it asks for, is not GraphQL or not in the schema."""


@dataclass(frozen=True, slots=True)
class Variable:
    name: str


@dataclass(frozen=True, slots=True)
class Field:
    key: str
    name: str
    arguments: dict[str, Any]
    selections: tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class Fragment:
    """The selections below ``... on TYPE``."""

    on: str
    selections: tuple[Selection, ...]


Selection = Field | Fragment


@dataclass(frozen=True, slots=True)
class GraphQLOperation:
    kind: str
    variables: dict[str, tuple[str, Any]]
    """Name → type and default."""
    selections: tuple[Selection, ...]


def parse(text: str) -> GraphQLOperation:
    return _Parser(text).operation()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        place = 0
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                message = f"Parse error on {text[place : place + 20]!r}"
                raise GraphQLError(message)
            place = match.end()
            if match.lastgroup != "skip":
                self._tokens.append((str(match.lastgroup), match.group()))
        self._tokens.append(("end", ""))

    def _peek(self) -> str:
        return self._tokens[0][1]

    def _next(self, *allowed: str) -> str:
        """The next token, which must be one of some marks or of a kind."""
        kind, text = self._tokens[0]
        if allowed and kind not in allowed and text not in allowed:
            message = f"Parse error on {text!r}: expected {' or '.join(allowed)}"
            raise GraphQLError(message)
        if kind != "end":
            self._tokens.pop(0)
        return text

    def _accept(self, mark: str) -> bool:
        if self._peek() != mark:
            return False
        self._next()
        return True

    def operation(self) -> GraphQLOperation:
        kind, variables = "query", {}
        if self._peek() != "{":
            kind = self._next("query", "mutation")
            if self._tokens[0][0] == "name":
                self._next()
            if self._accept("("):
                variables = self._variables()
        selections = self._selections()
        self._next("end")
        return GraphQLOperation(kind, variables, selections)

    def _variables(self) -> dict[str, tuple[str, Any]]:
        found = {}
        while not self._accept(")"):
            self._next("$")
            name = self._next("name")
            self._next(":")
            kind = self._type()
            found[name] = (kind, self._value() if self._accept("=") else None)
        return found

    def _type(self) -> str:
        if self._accept("["):
            text = f"[{self._type()}]"
            self._next("]")
        else:
            text = self._next("name")
        return text + ("!" if self._accept("!") else "")

    def _selections(self) -> tuple[Selection, ...]:
        self._next("{")
        found: list[Selection] = []
        while not self._accept("}"):
            found.append(self._fragment() if self._accept("...") else self._field())
        return tuple(found)

    def _fragment(self) -> Fragment:
        self._next("on")
        return Fragment(self._next("name"), self._selections())

    def _field(self) -> Field:
        key = name = self._next("name")
        if self._accept(":"):
            name = self._next("name")
        arguments = {}
        if self._accept("("):
            while not self._accept(")"):
                argument = self._next("name")
                self._next(":")
                arguments[argument] = self._value()
        return Field(key, name, arguments, self._selections() if self._peek() == "{" else ())

    def _value(self) -> Any:
        if self._accept("$"):
            return Variable(self._next("name"))
        if self._accept("["):
            items = []
            while not self._accept("]"):
                items.append(self._value())
            return items
        if self._accept("{"):
            members = {}
            while not self._accept("}"):
                name = self._next("name")
                self._next(":")
                members[name] = self._value()
            return members
        kind = self._tokens[0][0]
        text = self._next("string", "number", "name")
        if kind in {"string", "number"}:
            return json.loads(text)
        return _LITERALS.get(text, text)
