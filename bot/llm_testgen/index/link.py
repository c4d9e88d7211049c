"""What the facts of a tree's files resolve to, written into the tables of edges."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from llm_testgen.index.entities import ClassEntity, FunctionEntity, ModuleEntity
from llm_testgen.index.facts import BindingKind, ImportFact
from llm_testgen.index.modules import ModuleMap
from llm_testgen.index.resolve import Resolver
from llm_testgen.index.store import delete_edges, load_calls, load_facts
from llm_testgen.index.targets import call_target
from llm_testgen.records import MethodKind

FileIds = Mapping[str, tuple[int, int]]


def link(connection: sqlite3.Connection, modules: ModuleMap, files: FileIds, stale: Sequence[str]) -> None:
    """Resolve the calls, imports, classes and fixtures of some files anew.

    Args:
        connection: The index.
        modules: The importable files of the tree.
        files: For each path its file id and blob id.
        stale: The paths to resolve; what the index holds of them is replaced.
    """
    resolver = Resolver(modules, lambda path: load_facts(connection, files[path][1]))
    linker = _Linker(connection, resolver, files)
    delete_edges(connection, [files[path][0] for path in stale])
    for path in stale:
        linker.write(path)


class _Linker:
    def __init__(self, connection: sqlite3.Connection, resolver: Resolver, files: FileIds) -> None:
        self._connection = connection
        self._resolver = resolver
        self._files = files

    def write(self, path: str) -> None:
        """Write all edges that start in a file."""
        row = self._files[path][0]
        self._connection.executemany(
            "INSERT INTO call_edge VALUES (?, ?, ?, ?, ?)",
            ((row, *edge) for edge in [*self._calls(path), *self._fixture_requests(path)]),
        )
        self._connection.executemany(
            "INSERT INTO import_edge VALUES (?, ?)", ((row, target) for target in self._imports(path))
        )
        self._connection.executemany(
            "INSERT INTO class_ancestor VALUES (?, ?, ?, ?, ?)",
            ((row, *ancestor) for ancestor in self._ancestors(path)),
        )
        names = self._resolver.fixtures.bound(path)
        self._connection.executemany("INSERT INTO fixture_name VALUES (?, ?)", ((row, name) for name in names))

    def _calls(self, path: str) -> Iterator[tuple[str, int, int, str]]:
        for call in load_calls(self._connection, self._files[path][1]):
            target = call_target(self._resolver, call, path)
            if target is not None:
                yield call.owner, call.position, self._files[target[0]][0], target[1]

    def _fixture_requests(self, path: str) -> Iterator[tuple[str, int, int, str]]:
        """A test that has a fixture as parameter runs it before its own body."""
        requests = (BindingKind.PARAMETER, BindingKind.ANNOTATION)
        for place, ((owner, name), bindings) in enumerate(self._resolver.view(path).bindings.items(), start=1):
            fixture = self._resolver.fixtures.requested(name, path, owner) if bindings[0].kind in requests else None
            if fixture is not None:
                yield owner, -place, self._files[fixture.path][0], fixture.qualname

    def _imports(self, path: str) -> set[int]:
        view = self._resolver.view(path)
        facts = [*view.stars, *(fact for facts in view.imports.values() for fact in facts)]
        targets = {target for fact in facts for target in self._imported_files(fact, path)}
        return {self._files[target][0] for target in targets if target in self._files and target != path}

    def _imported_files(self, fact: ImportFact, path: str) -> Iterator[str]:
        """The module that a statement names, and the file that defines what it takes from there."""
        module = self._resolver.modules.target(fact, path)
        if module is not None:
            yield module
        match self._resolver.imported(fact, path):
            case ModuleEntity(found) | ClassEntity(found, _) | FunctionEntity(found, _, _):
                yield found

    def _ancestors(self, path: str) -> Iterable[tuple[str, int, int, str]]:
        for definition in self._resolver.view(path).definitions.values():
            if definition.kind is MethodKind.CLASS:
                order = self._resolver.order(ClassEntity(path, definition.qualname))
                for position, ancestor in enumerate(order[1:]):
                    yield definition.qualname, position, self._files[ancestor.path][0], ancestor.qualname
