"""Contracts as the proposal holds them: lines of a file, and the same lines with assertions among them.

They are read as untrusted data, and they are about the code itself: what is added may be nothing but assertions whose
answers change nothing, and every line that was there must be there still.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from llm_testgen.assertions import LONGEST_STATEMENT, assertion_of
from llm_testgen.bounds import FEW, MANY, Bounded, Code, Ordinal, PythonPath, Text

_RETURN = re.compile(r"(?P<indent>[ \t]*)return\b[ \t]*(?P<value>.*)")
_NAMED = re.compile(r"(?P<indent>[ \t]*)(?P<name>[A-Za-z_]\w*) = (?P<value>.*)", re.ASCII)


class FaultRecord(Bounded):
    """A fault in the method that an assertion was tried with.

    Attributes:
        line: Its line at head where the fault begins.
        operator: The kind of fault.
        before: What stands there.
        after: What stood there instead.
    """

    line: Ordinal
    operator: Text
    before: Text
    after: Text


class AssertRecord(Bounded):
    """An assertion, with what it notices.

    Attributes:
        text: The statement, without its indentation.
        killed: Faults that break it, and that no test which was tried notices.
        earlier: Faults that break it, and that a test notices too.
        survived: Faults that do not break it.
    """

    text: Annotated[str, Field(min_length=1, max_length=LONGEST_STATEMENT)]
    killed: Annotated[tuple[FaultRecord, ...], FEW] = ()
    earlier: Annotated[tuple[FaultRecord, ...], FEW] = ()
    survived: Annotated[tuple[FaultRecord, ...], FEW] = ()


class ContractRecord(Bounded):
    r"""Assertions that can be added to a method at one place.

    Attributes:
        target: Id of the changed method.
        path: The file that holds it.
        start: First line at head that is replaced.
        line: Last line at head that is replaced.
        before: These lines; newlines as ``\\n``, with no newline at the end.
        text: What takes their place, written the same way: the same lines with the assertions among them, and in the
            place of ``return x`` a name for ``x`` and the return of that.
        asserts: What is added, in the order of the lines.
        model: The model that wrote it.
    """

    target: Text
    path: PythonPath
    start: Ordinal
    line: Ordinal
    before: Code
    text: Code
    asserts: Annotated[tuple[AssertRecord, ...], Field(min_length=1, max_length=100)]
    model: Text = ""

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if not self.target.startswith(f"{self.path}::"):
            msg = "a contract must be about a method of its file"
            raise ValueError(msg)
        if self.before.count("\n") != self.line - self.start:
            msg = "a contract must hold the lines that it replaces"
            raise ValueError(msg)
        if _added(self.before, self.text) != [one.text for one in self.asserts]:
            msg = "a contract must add its assertions to the lines that it replaces, and change nothing else"
            raise ValueError(msg)
        return self


def _apart(records: tuple[ContractRecord, ...]) -> tuple[ContractRecord, ...]:
    """The same, if no two of them replace the same line."""
    last: dict[str, int] = {}
    for record in sorted(records, key=lambda record: record.start):
        if record.start <= last.get(record.path, 0):
            msg = "contracts must not replace the same line twice"
            raise ValueError(msg)
        last[record.path] = record.line
    return records


Contracts = Annotated[tuple[ContractRecord, ...], MANY, AfterValidator(_apart)]


def _added(before: str, after: str) -> list[str] | None:
    """The assertions that a text has more than another one; None where that is not all that differs."""
    added: list[str] = []
    left: Iterator[str] = iter(before.split("\n"))
    expected = next(left, None)
    ending = ""
    for line in after.split("\n"):
        statement = line.lstrip(" \t")
        name = _name_for(expected, line) if expected is not None and not ending else ""
        if expected is not None and (line == expected or name):
            ending = f"{line[: len(line) - len(statement)]}return {name}" if name else ending
            expected = next(left, None)
        elif ending and line == ending:
            ending = ""
        elif assertion_of(statement) is None:
            return None
        else:
            added.append(statement)
    return None if ending or expected is not None else added


def _name_for(expected: str, line: str) -> str:
    """The name that the value of a ``return`` gets in a line; empty where the line is nothing of that kind."""
    one, other = _RETURN.fullmatch(expected), _NAMED.fullmatch(line)
    if one is None or other is None or not one["value"]:
        return ""
    same = (one["indent"], one["value"]) == (other["indent"], other["value"])
    return other["name"] if same else ""
