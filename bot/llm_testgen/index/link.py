"""What the facts of a tree's files resolve to, written into the tables of edges."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from llm_testgen.index.entities import ClassEntity, FunctionEntity, ModuleEntity
from llm_testgen.index.facts import CALLED, BindingKind, BlobFacts, ImportFact
from llm_testgen.index.modules import ModuleMap
from llm_testgen.index.resolve import Resolver
from llm_testgen.index.store import delete_edges
from llm_testgen.index.targets import call_target, leads_nowhere
from llm_testgen.paths import is_test
from llm_testgen.records import MethodKind

FileIds = Mapping[str, tuple[int, int]]


def link(
    connection: sqlite3.Connection,
    modules: ModuleMap,
    files: FileIds,
    stale: Sequence[str],
    facts: Callable[[int], BlobFacts],
) -> None:
    """Resolve the calls, imports, classes and fixtures of some files anew.

    Args:
        connection: The index.
        modules: The importable files of the tree.
        files: For each path its file id and blob id.
        stale: The paths to resolve; what the index holds of them is replaced.
        facts: Gives those of a blob by its id.
    """
    resolver = Resolver(modules, lambda path: facts(files[path][1]))
    linker = _Linker(connection, resolver, files)
    delete_edges(connection, [files[path][0] for path in stale])
    for path in stale:
        linker.write(path, facts(files[path][1]).expressions)


class _Linker:
    def __init__(self, connection: sqlite3.Connection, resolver: Resolver, files: FileIds) -> None:
        self._connection = connection
        self._resolver = resolver
        self._files = files

    def write(self, path: str, expressions: Mapping[str, Sequence[str]]) -> None:
        """Write all edges that start in a file, given what it calls, reads and sets."""
        row = self._files[path][0]
        calls = list(self._calls(path, expressions))
        resolved = sum(expressions[owner][position].endswith(CALLED) for owner, position, _, _ in calls)
        self._connection.execute("UPDATE source_file SET resolved = ? WHERE id = ?", (resolved, row))
        self._insert("call_edge", row, [*calls, *self._fixture_requests(path)])
        self._insert("import_edge", row, [(target,) for target in self._imports(path)])
        self._insert("class_ancestor", row, list(self._ancestors(path)))
        self._insert("fixture_name", row, [(name,) for name in self._resolver.fixtures.bound(path)])

    def _insert(self, table: str, row: int, edges: Sequence[tuple[str | int, ...]]) -> None:
        if edges:
            marks = ", ?" * len(edges[0])
            self._connection.executemany(
                f"INSERT INTO {table} VALUES (?{marks})",  # noqa: S608 - names of our own tables
                [(row, *edge) for edge in edges],
            )

    def _calls(self, path: str, expressions: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, int, int, str]]:
        for owner, texts in expressions.items():
            nowhere: dict[str, bool] = {}
            for position, text in enumerate(texts):
                head = text.partition(".")[0]
                if head not in nowhere:
                    nowhere[head] = leads_nowhere(self._resolver, head, path, owner)
                if nowhere[head]:
                    continue
                target = call_target(self._resolver, text, path, owner)
                if target is not None:
                    yield owner, position, self._files[target[0]][0], target[1]

    def _fixture_requests(self, path: str) -> Iterator[tuple[str, int, int, str]]:
        """A test that has a fixture as parameter runs it before its own body."""
        view = self._resolver.view(path)
        if not is_test(path) and not any(definition.fixture for definition in view.definitions.values()):
            return
        requests = (BindingKind.PARAMETER, BindingKind.ANNOTATION)
        for place, ((owner, name), bindings) in enumerate(view.bindings.items(), start=1):
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
