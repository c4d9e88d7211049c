"""The index of a project: one file that answers what its code defines, calls and tests."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from llm_testgen.index import imports, reach, relations, suites
from llm_testgen.index.callgraph import FunctionCall, call_graph
from llm_testgen.index.lookup import Lookup
from llm_testgen.index.modules import ModuleMap
from llm_testgen.index.resolve import Resolver
from llm_testgen.index.store import connect, connect_to_read, load_facts, load_text, meta
from llm_testgen.index.update import update
from llm_testgen.records import Method, RelatedMethod, Skip, Snapshot

_TOTALS = """
    SELECT
        count(*), total(error != ''), total(classes), total(methods), total(is_test * tests), total(fixtures),
        total(calls), total(resolved)
    FROM source_file JOIN source_blob ON source_blob.id = blob_id
"""


@dataclass(frozen=True, slots=True)
class IndexStats:
    """What the index holds of the tree of the last update, and what that update did.

    Attributes:
        files: Python files of the tree.
        parsed: Blobs that this update parsed.
        reused: Files whose blob was in the index already.
        failed: Files that could not be parsed or were skipped.
        classes: Classes.
        methods: Functions and methods.
        tests: Test functions and test methods.
        fixtures: Definitions that are pytest fixtures.
        calls: Calls, each callee once per definition.
        resolved: Those of them that lead to a definition of the project.
        seconds: Wall-clock time of the update.
    """

    files: int
    parsed: int
    reused: int
    failed: int
    classes: int
    methods: int
    tests: int
    fixtures: int
    calls: int
    resolved: int
    seconds: float


class Index:
    """The project index. It answers for the snapshot of the last `update`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Answer from an open database; `open` is the usual way."""
        self._connection = connection
        self._lookup = Lookup(connection)
        self._modules: ModuleMap | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the index in a database file, which is made, with its folder, when there is none.

        Raises:
            UsageError: The file cannot be opened, or is no SQLite database.
        """
        return cls(connect(path))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Open an index that is there to ask it, and change nothing in its file.

        Raises:
            UsageError: The file holds no index of this version.
        """
        return cls(connect_to_read(path))

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def __enter__(self) -> Self:
        """The index itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the database."""
        self.close()

    def update(self, snapshot: Snapshot, progress: Callable[[int, int], None] | None = None) -> IndexStats:
        """Make the index answer for a snapshot; only blobs that it has never seen are parsed.

        Args:
            snapshot: The tree.
            progress: Told the number of blobs parsed and to be parsed, after each.

        Raises:
            UsageError: The database is in use by another process, or the disk is full.
        """
        started = time.perf_counter()
        self._modules = None
        done = update(self._connection, snapshot, progress)
        return self._stats(done.parsed, done.reused, time.perf_counter() - started)

    def failures(self) -> tuple[Skip, ...]:
        """The files that could not be parsed or were skipped, with the reasons, in path order."""
        rows = self._connection.execute(
            "SELECT path, error FROM source_file JOIN source_blob ON source_blob.id = blob_id"
            " WHERE error != '' ORDER BY path"
        )
        return tuple(Skip(path, reason) for path, reason in rows)

    def source_roots(self) -> tuple[str, ...]:
        """Folders to put on ``sys.path``, ``""`` for the repository's root, that with most product files first."""
        return tuple(meta(self._connection, "roots").split("\n"))

    def module_name(self, path: str) -> str:
        """The dotted name under which a file is imported: ``pkg.mod`` for ``src/pkg/mod.py``."""
        return self._module_map().name(path)

    def method(self, path: str, qualname: str) -> Method | None:
        """A definition by name; of several of that name the last that is no setter or deleter of a property."""
        key = self._lookup.key(path, qualname)
        return self._lookup.method(key) if key else None

    def methods(self, path: str | None = None) -> tuple[Method, ...]:
        """Every definition of a file, or of the tree, modules and classes included, by path and line."""
        return self._lookup.all(path)

    def related(self, path: str, qualname: str) -> tuple[RelatedMethod, ...]:
        """The methods that help to understand a method, without repetition, the most telling first."""
        return relations.related(self._lookup, path, qualname)

    def bases(self, path: str, qualname: str) -> tuple[Method, ...]:
        """The classes of the project that a class inherits from, in the order in which Python looks into them."""
        key = self._lookup.key(path, qualname)
        return self._lookup.methods(relations.ancestors(self._lookup, key)) if key else ()

    def callers_by_name(self, path: str, qualname: str) -> tuple[Method, ...]:
        """Product methods with an unresolved call of that name: a guess, for where `related` knows no caller."""
        return relations.callers_by_name(self._lookup, path, qualname)

    def stored_calls(self) -> tuple[FunctionCall, ...]:
        """Every edge that an update has written, without lines, by file and owner."""
        rows = self._connection.execute(
            "SELECT source_file.path, owner, 0, target_file.path, target FROM call_edge"
            " JOIN source_file ON source_file.id = file_id"
            " JOIN source_file AS target_file ON target_file.id = target_file_id ORDER BY 1, 2, position"
        )
        return tuple(FunctionCall(*row) for row in rows)

    def call_graph(self) -> tuple[FunctionCall, ...]:
        """Which functions of product files call which, more fully than `related` says; made anew each time."""
        rows = list(self._connection.execute("SELECT path, blob_id FROM source_file"))
        facts = {path: load_facts(self._connection, blob) for path, blob in rows}
        texts = {path: partial(load_text, self._connection, blob) for path, blob in rows}
        return call_graph(Resolver(self._module_map(), facts.__getitem__), texts)

    def tests_of(self, path: str, qualname: str) -> tuple[Method, ...]:
        """Existing tests that reach a method: by resolved calls, the nearest first, then by its name."""
        return reach.tests_of(self._lookup, path, qualname)

    def test_files_of(self, path: str) -> tuple[str, ...]:
        """Existing test files for a source module, the best first."""
        return suites.test_files_of(self._lookup, path)

    def test_files(self) -> tuple[str, ...]:
        """All files that hold test functions or test methods, in path order."""
        return suites.test_files(self._lookup)

    def fixtures_for(self, test_path: str) -> tuple[str, ...]:
        """Names of the project's fixtures that a test in a file, there or yet to be written, may request."""
        return suites.fixtures_for(self._lookup, test_path)

    def import_for(self, name: str, path: str) -> str | None:
        """The import statement that binds a name for a test of the module ``path``; None when none is certain."""
        return imports.import_for(self._lookup, self._module_map(), name, path)

    def _module_map(self) -> ModuleMap:
        if self._modules is None:
            paths = [path for (path,) in self._connection.execute("SELECT path FROM source_file")]
            self._modules = ModuleMap(paths, self.source_roots())
        return self._modules

    def _stats(self, parsed: int, reused: int, seconds: float) -> IndexStats:
        row = self._connection.execute(_TOTALS).fetchone()
        files, failed, classes, methods, tests, fixtures, calls, resolved = map(int, row)
        return IndexStats(
            files=files,
            parsed=parsed,
            reused=reused,
            failed=failed,
            classes=classes,
            methods=methods,
            tests=tests,
            fixtures=fixtures,
            calls=calls,
            resolved=resolved,
            seconds=seconds,
        )
