"""A test file as a source of tests: what its names are bound to, and what a piece of it needs to stand by itself."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from llm_testgen.paths import is_test
from llm_testgen.repairs.edits import Code
from llm_testgen.source import DefinitionNode, FunctionNode
from llm_testgen.statements import bound_names

_BUILTINS = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__"}
_LONGEST_HELPER = 8  # lines
_MOST_HELPERS = 3


class UnfitError(Exception):
    """A test that cannot be made an answer; the message says why, in a few words that are the same for all like it."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a piece of a test file needs to stand by itself.

    Attributes:
        imports: Import statements of one name each, by the name that they bind.
        helpers: Source of definitions and constants of the file, each after those that it needs.
    """

    imports: dict[str, str] = field(default_factory=dict)
    helpers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suite:
    """One test file.

    Attributes:
        path: The file.
        imports: Its import statements, by the name that they bind.
        defined: Its top-level definitions and constants, by name.
    """

    path: str
    imports: dict[str, str]
    defined: dict[str, ast.stmt]

    @classmethod
    def read(cls, path: str, text: str) -> Suite | None:
        """The names of a test file; None where it is not valid."""
        code = Code.read(text)
        if code is None:
            return None
        imports: dict[str, str] = {}
        defined: dict[str, ast.stmt] = {}
        for node in code.tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                imports.update(_single_imports(node))
            else:
                defined.update(dict.fromkeys(bound_names(node), node))
        return cls(path, imports, defined)

    def class_of(self, qualname: str) -> ast.ClassDef | None:
        """The top-level class that a test is a method of, if it is one."""
        node = self.defined.get(qualname.partition(".")[0])
        return node if isinstance(node, ast.ClassDef) and "." in qualname else None

    def constant(self, name: str) -> ast.expr | None:
        """What a constant of the file is bound to."""
        match self.defined.get(name):
            case ast.Assign(targets=[ast.Name()], value=value):
                return value
        return None

    def needs(self, function: FunctionNode) -> Needs:
        """What a function of the file needs.

        Raises:
            UnfitError: It needs what cannot be taken along: much code, or other test files.
        """
        imports: dict[str, str] = {}
        helpers: dict[str, str] = {}
        self._gather(function, imports, helpers, ())
        if len(helpers) > _MOST_HELPERS:
            msg = "it needs many helpers"
            raise UnfitError(msg)
        return Needs(imports, tuple(helpers.values()))

    def _gather(
        self, node: ast.stmt, imports: dict[str, str], helpers: dict[str, str], around: tuple[str, ...]
    ) -> None:
        for name in free_names(node):
            if name in self.imports:
                imports[name] = self._import(name)
            elif name in self.defined and name not in helpers:
                self._take(name, imports, helpers, around)

    def _import(self, name: str) -> str:
        statement = self.imports[name]
        module = statement.split()[1]
        if module.startswith(".") or is_test(f"{module.replace('.', '/')}.py"):
            msg = "it imports from other test files"
            raise UnfitError(msg)
        return statement

    def _take(self, name: str, imports: dict[str, str], helpers: dict[str, str], around: tuple[str, ...]) -> None:
        node = self.defined[name]
        text = ast.unparse(node)
        if name in around or text.count("\n") >= _LONGEST_HELPER or _is_fixture(node):
            msg = "it needs a long helper"
            raise UnfitError(msg)
        self._gather(node, imports, helpers, (*around, name))
        helpers[name] = text


def free_names(node: ast.AST) -> tuple[str, ...]:
    """Names that code reads and does not bind itself, builtins left out, in order."""
    read: dict[str, None] = {}
    bound: set[str] = set()
    for child in ast.walk(node):
        match child:
            case ast.Name(id=name, ctx=ast.Load()):
                read[name] = None
            case ast.Name(id=name) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                bound.add(name)
            case ast.alias():
                bound.add((child.asname or child.name).partition(".")[0])
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
    return tuple(name for name in read if name not in bound | _BUILTINS)


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of an expression that is no more than that; empty for another."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            outer = dotted(value)
            return f"{outer}.{name}" if outer else ""
    return ""


def origin_of(statement: str) -> str:
    """The dotted name of what an import statement of one name gives."""
    node = ast.parse(statement).body[0]
    if isinstance(node, ast.ImportFrom):
        return f"{node.module}.{node.names[0].name}"
    assert isinstance(node, ast.Import)  # noqa: S101 - it is one of `Suite.imports`
    alias = node.names[0]
    return alias.name if alias.asname else alias.name.partition(".")[0]


def _single_imports(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """An import statement for each name that one binds."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            yield (alias.asname or alias.name.partition(".")[0]), ast.unparse(ast.Import([alias]))
        elif node.module != "__future__" and alias.name != "*":
            statement = ast.unparse(ast.ImportFrom(node.module, [alias], node.level))
            yield alias.asname or alias.name, statement


def _is_fixture(node: ast.stmt) -> bool:
    return isinstance(node, DefinitionNode) and bool(node.decorator_list)


def joined(lines: Iterable[str]) -> str:
    """Statements one below the other."""
    return "\n".join(lines)
