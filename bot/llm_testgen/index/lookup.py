"""Rows of the index as the records of the pipeline."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from llm_testgen.index.store import is_test_name, load_facts, load_text
from llm_testgen.records import Method, MethodKind

_TEXTS_KEPT = 128


@dataclass(frozen=True, slots=True)
class Key:
    """A definition's name in the index: the row of its file and its qualified name."""

    file: int
    qualname: str

    @property
    def name(self) -> str:
        """The last part of the qualified name."""
        return self.qualname.rpartition(".")[2]

    @property
    def owner(self) -> str:
        """The qualified name around it; empty at the top level."""
        return self.qualname.rpartition(".")[0]

    @property
    def is_test(self) -> bool:
        """Whether a test runner would collect it, if its file is one of tests."""
        return is_test_name(self.qualname)


class Lookup:
    """Definitions of the tree by file and name."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Look up in an open index."""
        self.connection = connection
        self._lines = lru_cache(_TEXTS_KEPT)(lambda blob: load_text(connection, blob).split("\n"))

    def file(self, path: str) -> int | None:
        """The row of a file; None when the tree has no such Python file."""
        row = self.connection.execute("SELECT id FROM source_file WHERE path = ?", (path,)).fetchone()
        return row[0] if row else None

    def key(self, path: str, qualname: str) -> Key | None:
        """The key of a definition; None when there is none of that name."""
        file = self.file(path)
        key = Key(file, qualname) if file is not None else None
        return key if key is not None and self.defines(key) else None

    def defines(self, key: Key) -> bool:
        """Whether the file holds a definition of that name."""
        return self.method(key) is not None

    def assigns(self, file: int, owner: str, name: str) -> bool:
        """Whether a definition of the file binds a name, by an assignment or otherwise."""
        (blob,) = self.connection.execute("SELECT blob_id FROM source_file WHERE id = ?", (file,)).fetchone()
        return any(fact.owner == owner and fact.name == name for fact in load_facts(self.connection, blob).bindings)

    def method(self, key: Key) -> Method | None:
        """The definition that stands for all of its name: the last that is no setter or deleter."""
        row = self.connection.execute(
            "SELECT path, blob_id, qualname, kind, start_line, end_line, signature, docstring"
            " FROM source_file JOIN definition USING (blob_id)"
            " WHERE source_file.id = ? AND qualname = ? ORDER BY accessor, ordinal DESC LIMIT 1",
            (key.file, key.qualname),
        ).fetchone()
        return self._record(row) if row else None

    def methods(self, keys: Iterable[Key]) -> tuple[Method, ...]:
        """The definitions of several keys, in their order; keys without one are left out."""
        found = (self.method(key) for key in keys)
        return tuple(method for method in found if method is not None)

    def all(self, path: str | None) -> tuple[Method, ...]:
        """Every definition of one file or of all, by path and line."""
        rows = self.connection.execute(
            "SELECT path, blob_id, qualname, kind, start_line, end_line, signature, docstring"
            " FROM source_file JOIN definition USING (blob_id) WHERE ? IN (path, '') ORDER BY path, ordinal",
            (path or "",),
        )
        return tuple(self._record(row) for row in rows)

    def _record(self, row: tuple[str, int, str, str, int, int, str, str]) -> Method:
        path, blob, qualname, kind, start, end, signature, docstring = row
        lines = self._lines(blob)
        whole = kind == MethodKind.MODULE
        return Method(
            path=path,
            qualname=qualname,
            kind=MethodKind(kind),
            start=start,
            end=end,
            signature=signature,
            docstring=docstring,
            source="\n".join(lines if whole else lines[start - 1 : end]),
        )
