"""The hidden lines that the bot's own comments begin with: how it finds on the next run what it has said.

Only lines at the very start of a body count. What a model wrote is never there, so it cannot forge one; and a marker
counts only in a comment of the bot's own account, which is checked where the comments are read.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from llm_testgen.source import SourceError, parse_tree

_LINE = re.compile(r"<!-- llm-testgen:(?P<kind>[a-z]+)(?P<fields>(?: [a-z]+=[0-9A-Za-z,]*)*) -->(?:\r?\n|\Z)")
_DIGITS = 16
# Enough for years of a pull request, and small beside what a body may hold.
_MOST_POSTED = 1_000


@dataclass(frozen=True, slots=True)
class TestMarker:
    """One test in a review comment.

    Attributes:
        finding: `finding_id` of the test.
        method: `method_id` of the method that it tests.
        source: Digest of that method's source when it was tested.
        head: Commit that it was tested at.
    """

    finding: str
    method: str
    source: str
    head: str

    __test__ = False

    def line(self) -> str:
        """As the first lines of a body hold it."""
        return _line("test", finding=self.finding, method=self.method, source=self.source, head=self.head)


@dataclass(frozen=True, slots=True)
class SummaryMarker:
    """The summary comment.

    Attributes:
        head: Commit that it is about.
        run: Id of the workflow run that holds the proposal; empty outside a workflow.
        posted: Findings that were ever posted: one whose comment is gone was deleted by a person.
    """

    head: str
    run: str
    posted: tuple[str, ...]

    def line(self) -> str:
        """As the first line of a body holds it."""
        posted = ",".join(dict.fromkeys(self.posted[-_MOST_POSTED:]))
        return _line("summary", head=self.head, run=self.run, posted=posted)


def test_markers(body: str) -> tuple[TestMarker, ...]:
    """The tests that a review comment of the bot's own holds."""
    found = (fields for kind, fields in _leading(body) if kind == "test")
    return tuple(
        TestMarker(fields["finding"], fields["method"], fields["source"], fields["head"])
        for fields in found
        if {"finding", "method", "source", "head"} <= fields.keys()
    )


test_markers.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test where it is imported


def summary_marker(body: str) -> SummaryMarker | None:
    """What the summary comment says of itself; None for any other comment."""
    for kind, fields in _leading(body):
        if kind == "summary" and "head" in fields:
            posted = tuple(filter(None, fields.get("posted", "").split(",")))
            return SummaryMarker(fields["head"], fields.get("run", ""), posted)
    return None


def review_line(head: str, findings: Sequence[str]) -> str:
    """The first line of a review: the same review has the same."""
    return _line("review", head=head, key=_digest(*findings))


def reply_line(comment: int, run: str, body: str) -> str:
    """The first line of an answer to a command: the same answer has the same."""
    return _line("reply", to=str(comment), run=run, key=_digest(body))


def finding_id(path: str, qualname: str, source: str, code: str) -> str:
    """What makes a test the same test again.

    Args:
        path: File of the method that it tests.
        qualname: The method.
        source: Digest of the method's source.
        code: The test as a module; its comments and its layout do not count.
    """
    try:
        code = _shape(parse_tree(code))
    except SourceError:
        code = "\n".join(line.rstrip() for line in code.strip().split("\n"))
    return _digest(path, qualname, source, code)


def method_id(path: str, qualname: str) -> str:
    """A method, whatever its source."""
    return _digest(path, qualname)


def contract_method_id(path: str, qualname: str) -> str:
    """A method whose own lines are spoken of: what waits there keeps no test from being posted."""
    return _digest(path, qualname, "contracts")


def _line(kind: str, **fields: str) -> str:
    return f"<!-- llm-testgen:{kind} {' '.join(f'{name}={value}' for name, value in fields.items())} -->"


def _leading(body: str) -> list[tuple[str, dict[str, str]]]:
    """The markers at the start of a body, each with its fields."""
    found = []
    position = 0
    while match := _LINE.match(body, position):
        pairs = (field.partition("=") for field in match["fields"].split())
        found.append((match["kind"], {name: value for name, _, value in pairs}))
        position = match.end()
    return found


def _shape(tree: ast.AST) -> str:
    """A tree as text, the same under each version of Python and however deep it is: `ast.dump` is neither."""
    said: list[str] = []
    waiting: list[object] = [tree]
    while waiting:
        match waiting.pop():
            case ast.AST() as node:
                fields = [(name, value) for name, value in ast.iter_fields(node) if value is not None and value != []]
                said.append(f"{type(node).__name__}({' '.join(name for name, _ in fields)})")
                waiting += [value for _, value in reversed(fields)]
            case list() as values:
                said.append(f"[{len(values)}]")
                waiting += reversed(values)
            # Long integers have no decimal form.
            case int() as value if not isinstance(value, bool):
                said.append(hex(value))
            case value:
                said.append(ascii(value))
    return "\n".join(said)


def _digest(*parts: str) -> str:
    # A length before each part keeps ("ab", "c") from being ("a", "bc").
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
