"""What the facts of a tree's files resolve to, written into the tables of edges."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from llm_testgen.index.entities import ClassEntity, FunctionEntity, ModuleEntity, enclosing
from llm_testgen.index.facts import CALLED, BindingKind, BlobFacts, ImportFact
from llm_testgen.index.fixtures import bound, requested
from llm_testgen.index.modules import ModuleMap
from llm_testgen.index.resolve import Resolver
from llm_testgen.index.store import delete_edges
from llm_testgen.index.targets import SUPER, call_target, leads_nowhere
from llm_testgen.paths import is_test
from llm_testgen.records import MODULE_QUALNAME, MethodKind

FileIds = Mapping[str, tuple[int, int]]
_RECEIVERS = frozenset({BindingKind.INSTANCE, BindingKind.CLASS})


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


@dataclass(frozen=True, slots=True)
class _Scope:
    """A definition in which a name means the same as in some others, and what chains from that name on reach there."""

    owner: str
    targets: dict[str, tuple[str, str] | None] = field(default_factory=dict)


class _Scopes:
    """Where the names of one file get their meaning: most in the module, many in a class whose methods share an object.

    What a chain reaches is so found once for all definitions in which it means the same.
    """

    def __init__(self, resolver: Resolver, path: str) -> None:
        self._resolver = resolver
        self._path = path
        self._view = resolver.view(path)
        self._found: dict[tuple[str, ...], _Scope | None] = {}

    def find(self, owner: str, name: str) -> _Scope | None:
        """The scope of a name that a definition writes; None where it is nothing of the project, as most are."""
        key = self._key(owner, name)
        if key not in self._found:
            place = owner if key[0] else MODULE_QUALNAME
            nowhere = leads_nowhere(self._resolver, name, self._path, place)
            self._found[key] = None if nowhere else _Scope(place)
        return self._found[key]

    def _key(self, owner: str, name: str) -> tuple[str, ...]:
        """The same for all definitions in which a name means the same; it begins with "" where that is the module's."""
        view = self._view
        if (owner, name) in view.imports or f"{owner}.{name}" in view.definitions:
            return owner, name
        facts = view.bindings.get((owner, name))
        if not facts:
            return (enclosing(owner), name, view.definitions[owner].kind) if name == SUPER else ("", name)
        shared = len(facts) == 1 and facts[0].kind in _RECEIVERS
        return (enclosing(owner), name, facts[0].kind) if shared else (owner, name)


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
        self._insert("fixture_name", row, [(name,) for name in bound(self._resolver, path)])

    def _insert(self, table: str, row: int, edges: Sequence[tuple[str | int, ...]]) -> None:
        if edges:
            marks = ", ?" * len(edges[0])
            self._connection.executemany(
                f"INSERT INTO {table} VALUES (?{marks})",  # noqa: S608 - names of our own tables
                [(row, *edge) for edge in edges],
            )

    def _calls(self, path: str, expressions: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, int, int, str]]:
        scopes = _Scopes(self._resolver, path)
        for owner, texts in expressions.items():
            found: dict[str, _Scope | None] = {}
            for position, text in enumerate(texts):
                name = text.partition(".")[0].rstrip("()[]")
                if name in found:
                    scope = found[name]
                else:
                    scope = found[name] = scopes.find(owner, name)
                if scope is None:
                    continue
                if text not in scope.targets:
                    scope.targets[text] = call_target(self._resolver, text, path, scope.owner)
                target = scope.targets[text]
                if target is not None:
                    yield owner, position, self._files[target[0]][0], target[1]

    def _fixture_requests(self, path: str) -> Iterator[tuple[str, int, int, str]]:
        """A test that has a fixture as parameter runs it before its own body."""
        view = self._resolver.view(path)
        if not is_test(path) and not any(definition.fixture for definition in view.definitions.values()):
            return
        requests = (BindingKind.PARAMETER, BindingKind.ANNOTATION)
        for place, ((owner, name), bindings) in enumerate(view.bindings.items(), start=1):
            fixture = requested(self._resolver, name, path, owner) if bindings[0].kind in requests else None
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
