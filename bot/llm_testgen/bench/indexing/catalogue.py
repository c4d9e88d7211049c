"""The functions and methods of a library, found by file and line."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from llm_testgen.records import MethodKind
from llm_testgen.source import FunctionNode, Module, SourceError, parse

Function = tuple[str, str]
_FUNCTIONS = frozenset({MethodKind.FUNCTION, MethodKind.METHOD})


@dataclass(frozen=True, slots=True)
class _Span:
    """A definition, the lines that it takes, and the first line of its body."""

    start: int
    end: int
    body: int
    qualname: str
    is_function: bool


class Catalogue:
    """All definitions of a library's files. A function is known by its path and qualified name.

    What is nested in a function belongs to it, as in the index.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Read the files of a library, path → bytes; what cannot be parsed holds nothing."""
        self._spans: dict[str, list[_Span]] = {}
        self._statements: dict[str, list[int]] = {}
        self._decorators: dict[Function, frozenset[str]] = {}
        for path, data in files.items():
            try:
                self._read(path, parse(path, data))
            except SourceError:
                continue

    def _read(self, path: str, module: Module) -> None:
        self._spans[path] = [
            _Span(
                d.method.start,
                d.method.end,
                d.node.body[0].lineno if d.node.body else 1,
                d.method.qualname,
                d.method.kind in _FUNCTIONS,
            )
            for d in module.definitions
        ]
        nodes = list(ast.walk(module.tree))
        self._statements[path] = sorted({node.lineno for node in nodes if isinstance(node, ast.stmt)})
        for definition in module.definitions:
            if isinstance(definition.node, FunctionNode):
                names = {name for node in definition.node.decorator_list for name in _names(node)}
                function = (path, definition.method.qualname)
                self._decorators[function] = self._decorators.get(function, frozenset()) | names

    @property
    def functions(self) -> frozenset[Function]:
        """All functions and methods."""
        return frozenset(self._decorators)

    def at(self, path: str, line: int) -> Function | None:
        """The function that a line belongs to; None for the code of a module or class."""
        inner = None
        for span in self._spans.get(path, ()):
            if span.start <= line <= span.end:
                inner = span
        return (path, inner.qualname) if inner is not None and inner.is_function else None

    def ran(self, lines: Mapping[str, frozenset[int]]) -> frozenset[Function]:
        """The functions of whose bodies a line was run."""
        return frozenset(
            (path, span.qualname)
            for path, run in lines.items()
            for span in self._spans.get(path, ())
            if span.is_function and any(span.body <= line <= span.end for line in run)
        )

    def decorated_with(self, function: Function, decorator: Function) -> bool:
        """Whether a function has a decorator of that name, or of the name of the class around it."""
        return not self._decorators.get(function, frozenset()).isdisjoint(decorator[1].split("."))

    def statement(self, path: str, line: int) -> int:
        """The line on which the statement begins that a line belongs to."""
        starts = self._statements.get(path, [])
        place = bisect_right(starts, line)
        return starts[place - 1] if place else line


def _names(node: ast.expr) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr
