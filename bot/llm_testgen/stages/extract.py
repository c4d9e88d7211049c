"""Reply → candidates: whatever shape a model answers in, each test function becomes a module of its own.

Replies come fenced or bare, wrapped in prose, cut off in the middle, with the code under test copied into
them, with imports missing or made up. What can be told from the text alone is mended here; what only a run
can tell is left to the filters.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from llm_testgen.records import MODULE_QUALNAME, Candidate, Reply
from llm_testgen.repairs.base import ALL_REPAIRS, ProjectNames, RepairKind
from llm_testgen.repairs.shaping import as_test, is_class_of_tests, shaped, unfolded
from llm_testgen.source import DefinitionNode, FunctionNode
from llm_testgen.statements import Piece, bound_names, grouped_imports, pieces_of, pieces_of_module

_ASSIGNED = ast.Assign | ast.AnnAssign
_BUILTINS = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__"}
_COMMON_MODULES = {
    "np": "import numpy as np",
    "pd": "import pandas as pd",
    "pytest": "import pytest",
    "mock": "from unittest import mock",
    "Mock": "from unittest.mock import Mock",
    "MagicMock": "from unittest.mock import MagicMock",
    "AsyncMock": "from unittest.mock import AsyncMock",
    "patch": "from unittest.mock import patch",
    "TestCase": "from unittest import TestCase",
    "Path": "from pathlib import Path",
    "Decimal": "from decimal import Decimal",
    "Fraction": "from fractions import Fraction",
}


class Names(ProjectNames, Protocol):
    """What the project says about names: how a test of one module gets hold of them."""

    def helper(self, name: str) -> str | None:
        """Source of the fixture, function or constant ``name`` of the test file that the target's tests belong to."""

    def is_defined(self, name: str) -> bool:
        """Whether the module under test itself defines ``name`` at its top level."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """The statements of a reply, sorted by what they are for."""

    imports: tuple[Piece, ...]
    helpers: tuple[Piece, ...]
    tests: tuple[Piece, ...]


def extract(reply: Reply, names: Names, kinds: frozenset[RepairKind] = ALL_REPAIRS) -> tuple[Candidate, ...]:
    """Every test function of a reply as a candidate, in order; none when the reply holds no test.

    Args:
        reply: What the model answered.
        names: The project's names as seen from the target's module.
        kinds: What may be mended. Without ``SALVAGE`` only blocks that are valid as a whole count, and tests stay as
            they are; without ``IMPORTS`` what the reply does not import is not imported.
    """
    salvage = RepairKind.SALVAGE in kinds
    pieces = pieces_of(reply.text, salvage=salvage, truncated=reply.truncated)
    parts = _salvaged(pieces, names, reply) if salvage else _sort(pieces)
    mending = names if RepairKind.IMPORTS in kinds else None
    return tuple(
        Candidate(reply=reply, name=name, code=_module(piece, parts, names, mending))
        for name, piece in _single_tests(parts.tests)
    )


def _sort(pieces: Iterable[Piece]) -> _Parts:
    imports: list[Piece] = []
    helpers: list[Piece] = []
    tests: list[Piece] = []
    for piece in pieces:
        if isinstance(piece.node, ast.Import | ast.ImportFrom):
            imports.append(piece)
        elif _is_test(piece.node):
            tests.append(piece)
        elif isinstance(piece.node, DefinitionNode | ast.Assign | ast.AnnAssign):
            helpers.append(piece)
    return _Parts(tuple(imports), tuple(helpers), tuple(tests))


def _salvaged(pieces: Iterable[Piece], names: Names, reply: Reply) -> _Parts:
    """The statements of a reply, without what the model copied; of one without a test what can be made one."""
    inner = [one for piece in pieces for one in unfolded(piece)]
    own = [piece for piece in inner if _is_test(piece.node) or not _is_copy(piece.node, names, reply)]
    parts = _sort(own)
    tests = tuple(shaped(piece, _copied_names(piece, names, reply)) for piece in parts.tests)
    bare = [piece for piece in own if isinstance(piece.node, ast.Assert)]
    if not tests and bare:
        tests = (_wrap([piece for piece in own if isinstance(piece.node, ast.Assert | _ASSIGNED)], reply),)
    if tests:
        return replace(parts, tests=tests)
    found = {id(piece): test for piece in parts.helpers if (test := as_test(piece))}
    helpers = tuple(piece for piece in parts.helpers if id(piece) not in found)
    return replace(parts, helpers=helpers, tests=tuple(found.values()))


def _copied_names(piece: Piece, names: Names, reply: Reply) -> frozenset[str]:
    """Names of the definitions inside of a test that are copies of the code under test."""
    inner = [node for node in ast.walk(piece.node) if isinstance(node, DefinitionNode) and node is not piece.node]
    return frozenset(node.name for node in inner if _is_copy(node, names, reply))


def _is_test(node: ast.stmt) -> bool:
    if isinstance(node, FunctionNode):
        return node.name.startswith("test") and not _is_fixture(node)
    if not isinstance(node, ast.ClassDef):
        return False
    return is_class_of_tests(node) or (_is_test_class(node) and any(_is_test(child) for child in node.body))


def _is_test_class(node: ast.ClassDef) -> bool:
    """As pytest tells them; a helper may have methods named ``test_connection`` too."""
    return node.name.startswith("Test") or any("TestCase" in ast.unparse(base) for base in node.bases)


def _is_fixture(node: FunctionNode) -> bool:
    return any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)


def _is_copy(node: ast.stmt, names: Names, reply: Reply) -> bool:
    """Whether the model copied the project's code: the real one must be imported instead."""
    context = reply.prompt.context
    if isinstance(node, _ASSIGNED):
        statements = {name: f"from {context.module} import {name}" for name in bound_names(node)}
        known = (name.isupper() and names.import_for(name) == statement for name, statement in statements.items())
        return bool(statements) and all(known)
    if not isinstance(node, DefinitionNode):
        return False
    if node.name == context.target.method.name and not (isinstance(node, FunctionNode) and _is_fixture(node)):
        return True
    return names.is_defined(node.name)


def _wrap(statements: list[Piece], reply: Reply) -> Piece:
    """A test function around bare assertions."""
    qualname = reply.prompt.target.qualname
    subject = "module" if qualname == MODULE_QUALNAME else qualname.replace(".", "_").lower()
    body = "\n".join("    " + line for piece in statements for line in piece.text.split("\n"))
    text = f"def test_{subject.strip('_')}():\n{body}"
    return Piece(ast.parse(text).body[0], text)


def _single_tests(tests: tuple[Piece, ...]) -> Iterator[tuple[str, Piece]]:
    """Test functions one by one; a class is repeated with one of its test methods each time."""
    for piece in tests:
        node = piece.node
        if isinstance(node, ast.ClassDef):
            methods = [child for child in node.body if isinstance(child, FunctionNode) and _is_test(child)]
            for method in methods:
                dropped = [other for other in methods if other is not method]
                yield f"{node.name}::{method.name}", piece.without(dropped)
        elif isinstance(node, FunctionNode):
            yield node.name, piece


def _module(test: Piece, parts: _Parts, names: Names, mending: Names | None) -> str:
    """The text of a module that holds one test and what it needs."""
    own = {name: piece for piece in parts.helpers for name in bound_names(piece.node)}
    given = {name for piece in parts.imports for name in bound_names(piece.node)}
    helpers = [piece for piece in parts.helpers if _is_automatic(piece.node)]
    borrowed: dict[str, Piece] = {}
    read: dict[str, None] = {}
    waiting = [test, *helpers]
    while waiting:
        node = waiting.pop(0).node
        free = _free_names(node)
        read.update(dict.fromkeys(free))
        for name in (*free, *_requested_fixtures(node)):
            if name in borrowed or (name in given and name not in own):
                continue
            if name not in own and (helper := _borrow(name, names)):
                borrowed[name] = helper
                waiting.append(helper)
            elif name in own and own[name] not in helpers:
                helpers.append(own[name])
                waiting.append(own[name])
    kept = [piece for piece in parts.helpers if piece in helpers]
    unbound = [name for name in read if name not in own and name not in borrowed]
    head = "\n".join(grouped_imports(_import_lines(unbound, parts.imports, mending)))
    body = "\n\n\n".join(piece.text for piece in (*reversed(borrowed.values()), *kept, test))
    return f"{head}\n\n\n{body}\n" if head else f"{body}\n"


def _borrow(name: str, names: Names) -> Piece | None:
    """A definition that the project's own tests share, unless the name can be imported."""
    if names.import_for(name) is not None:
        return None
    source = names.helper(name)
    pieces = pieces_of_module(source) if source else ()
    return pieces[0] if pieces else None


def _is_automatic(node: ast.stmt) -> bool:
    """An autouse fixture and the module's marks act on every test, whether they are named or not."""
    if isinstance(node, ast.Assign):
        return bound_names(node) == ("pytestmark",)
    return isinstance(node, FunctionNode) and any(
        "autouse=True" in ast.unparse(decorator) for decorator in node.decorator_list
    )


def _free_names(node: ast.stmt) -> tuple[str, ...]:
    """Names that a statement reads and does not bind itself, in order."""
    loaded: dict[str, None] = {}
    bound: set[str] = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
            loaded[child.id] = None
        elif isinstance(child, ast.Name):
            bound.add(child.id)
        elif isinstance(child, ast.alias):
            bound.add((child.asname or child.name).partition(".")[0])
        elif isinstance(child, ast.arg):
            bound.add(child.arg)
        elif isinstance(child, FunctionNode | ast.ClassDef | ast.ExceptHandler) and child.name:
            bound.add(child.name)
    return tuple(name for name in loaded if name not in bound | _BUILTINS)


def _requested_fixtures(node: ast.stmt) -> tuple[str, ...]:
    """Names that pytest will look up as fixtures: arguments, and what ``usefixtures`` lists."""
    functions = [child for child in ast.walk(node) if isinstance(child, FunctionNode)]
    arguments = [argument.arg for function in functions for argument in _all(function.args)]
    listed = [
        constant.value
        for child in ast.walk(node)
        if isinstance(child, ast.Call) and ast.unparse(child.func).endswith("usefixtures")
        for constant in child.args
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    ]
    return (*arguments, *listed)


def _all(arguments: ast.arguments) -> list[ast.arg]:
    extra = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra]


def _import_lines(needed: Iterable[str], imports: tuple[Piece, ...], names: Names | None) -> Iterator[str]:
    """One import statement for each needed name that one can be found for; without names those of the reply."""
    given: dict[str, list[tuple[ast.Import | ast.ImportFrom, ast.alias]]] = {}
    stars: list[str] = []
    for piece in imports:
        if isinstance(piece.node, ast.Import | ast.ImportFrom):
            for alias in piece.node.names:
                if alias.name == "*":
                    stars.append(piece.text)
                elif not (isinstance(piece.node, ast.ImportFrom) and piece.node.module == "__future__"):
                    given.setdefault(alias.asname or alias.name.partition(".")[0], []).append((piece.node, alias))
    for name in needed:
        if name in given:
            yield from (_mend(node, alias, names) for node, alias in given[name])
        elif names and (statement := names.import_for(name) or _COMMON_MODULES.get(name)):
            yield statement
        elif names and (name in sys.stdlib_module_names or names.is_project_module(name)):
            yield f"import {name}"
    yield from (star for star in stars if not star.startswith("from ."))


def _mend(node: ast.Import | ast.ImportFrom, alias: ast.alias, names: Names | None) -> str:
    """One name's import as the model wrote it, or the project's own where the model made the module up."""
    plain = _single_import(node, alias)
    if isinstance(node, ast.Import) or names is None:
        return plain
    module = node.module or ""
    top = module.partition(".")[0]
    if not node.level and (names.is_project_module(module) or top in sys.stdlib_module_names or top == "pytest"):
        return plain
    known = names.import_for(alias.name)
    if known is None or not (node.level or names.is_defined(alias.name) or _is_path_like(module, names)):
        return plain
    return f"{known} as {alias.asname}" if alias.asname and " as " not in known else known


def _is_path_like(module: str, names: Names) -> bool:
    """``src.pkg.mod``: the file's path written as a module."""
    return names.is_project_module(module.partition(".")[2])


def _single_import(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    """The text of an import statement cut down to one of its names."""
    single = ast.Import([alias]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [alias], node.level)
    return ast.unparse(single)
