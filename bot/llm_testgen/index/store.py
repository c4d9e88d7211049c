"""The index's tables: facts in, facts out. The only module that opens the database."""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from llm_testgen.errors import UsageError
from llm_testgen.index.facts import BindingFact, BindingKind, BlobFacts, CallFact, DefinitionFact, ImportFact
from llm_testgen.records import MethodKind

SCHEMA_VERSION = 1

# A newer Python may parse what an older one could not, so what was parsed belongs to one version.
_VERSION = f"{SCHEMA_VERSION} for Python {sys.version_info.major}.{sys.version_info.minor}"


def connect(path: Path) -> sqlite3.Connection:
    """Open the database with the index's tables in it; tables of an other version are made anew.

    Raises:
        UsageError: The file cannot be opened, or is no SQLite database.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        msg = f"{path} cannot be opened ({error}): name another place"
        raise UsageError(msg) from error
    try:
        _prepare(connection)
    except sqlite3.Error as error:
        connection.close()
        msg = f"{path} cannot be used as an index ({error}): delete it or name another place"
        raise UsageError(msg) from error
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the index's tables in one transaction, unless they are there in this version."""
    known = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'index_meta'").fetchone()[0]
    if known and meta(connection, "version") == _VERSION:
        return
    schema = resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")
    drops = "".join(f'DROP TABLE IF EXISTS "{table}";' for table in _own_tables(schema))
    connection.executescript(f"BEGIN IMMEDIATE; {drops} {schema}")
    set_meta(connection, "version", _VERSION)
    connection.execute("COMMIT")


def _own_tables(schema: str) -> list[str]:
    """The tables that the schema makes, as SQLite itself reads it."""
    scratch = sqlite3.connect(":memory:")
    try:
        scratch.executescript(schema)
        return [name for (name,) in scratch.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    finally:
        scratch.close()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing.

    Raises:
        UsageError: The database is in use by another process, or the disk is full.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.rollback()
            raise
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        msg = f"the index cannot be written ({error}): see that no other run uses it, or delete it"
        raise UsageError(msg) from error


def meta(connection: sqlite3.Connection, key: str) -> str:
    """A value kept about the index; empty when there is none."""
    row = connection.execute("SELECT value FROM index_meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else ""


def set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    """Keep a value about the index."""
    connection.execute("INSERT OR REPLACE INTO index_meta VALUES (?, ?)", (key, value))


def digest(value: object) -> str:
    """A short name for a value made of tuples and texts."""
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def add_blob(connection: sqlite3.Connection, blob: str, facts: BlobFacts) -> None:
    """Store what a blob says."""
    text = zlib.compress(facts.text.encode("utf-8", "surrogatepass"), 3)
    cursor = connection.execute(
        "INSERT INTO source_blob (blob, error, interface, text) VALUES (?, ?, ?, ?)",
        (blob, facts.error, digest(facts.interface), text),
    )
    row = cursor.lastrowid
    connection.executemany(
        "INSERT INTO definition VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((row, ordinal, *_definition_row(fact)) for ordinal, fact in enumerate(facts.definitions)),
    )
    connection.executemany(
        "INSERT INTO imported_name VALUES (?, ?, ?, ?, ?, ?, ?)",
        ((row, i, f.owner, f.bound, f.module, f.name, f.level) for i, f in enumerate(facts.imports)),
    )
    connection.executemany(
        "INSERT INTO binding VALUES (?, ?, ?, ?, ?, ?)",
        ((row, i, f.owner, f.name, f.kind, f.value) for i, f in enumerate(facts.bindings)),
    )
    connection.executemany(
        "INSERT INTO call VALUES (?, ?, ?, ?, ?, ?)",
        ((row, f.owner, f.position, f.callee, f.name, f.called) for f in facts.calls),
    )


def load_facts(connection: sqlite3.Connection, blob_id: int) -> BlobFacts:
    """What a blob says, without its calls and its text."""
    definitions = connection.execute(
        "SELECT qualname, kind, start_line, end_line, signature, docstring, bases, decorators, returns, fixture"
        " FROM definition WHERE blob_id = ? ORDER BY ordinal",
        (blob_id,),
    )
    imports = connection.execute(
        "SELECT owner, bound, module, name, level FROM imported_name WHERE blob_id = ? ORDER BY ordinal", (blob_id,)
    )
    bindings = connection.execute(
        "SELECT owner, name, kind, value FROM binding WHERE blob_id = ? ORDER BY ordinal", (blob_id,)
    )
    return BlobFacts(
        definitions=tuple(_definition(row) for row in definitions),
        imports=tuple(ImportFact(*row) for row in imports),
        bindings=tuple(BindingFact(owner, name, BindingKind(kind), value) for owner, name, kind, value in bindings),
    )


def load_calls(connection: sqlite3.Connection, blob_id: int) -> Iterable[CallFact]:
    """The calls of a blob, by owner and in order."""
    rows = connection.execute("SELECT owner, position, callee, called FROM call WHERE blob_id = ?", (blob_id,))
    return [CallFact(owner, position, callee, bool(called)) for owner, position, callee, called in rows]


def load_text(connection: sqlite3.Connection, blob_id: int) -> str:
    """The text of a blob, newlines as in `BlobFacts`."""
    (data,) = connection.execute("SELECT text FROM source_blob WHERE id = ?", (blob_id,)).fetchone()
    return zlib.decompress(data).decode("utf-8", "surrogatepass")


def delete_edges(connection: sqlite3.Connection, files: Iterable[int]) -> None:
    """Forget what some files resolve to."""
    rows = [(file,) for file in files]
    connection.executemany("DELETE FROM call_edge WHERE file_id = ?", rows)
    connection.executemany("DELETE FROM import_edge WHERE file_id = ?", rows)
    connection.executemany("DELETE FROM class_ancestor WHERE file_id = ?", rows)
    connection.executemany("DELETE FROM fixture_name WHERE file_id = ?", rows)


def _definition_row(fact: DefinitionFact) -> tuple[str | int, ...]:
    return (
        fact.qualname,
        fact.kind,
        fact.start,
        fact.end,
        fact.signature,
        fact.docstring,
        " ".join(fact.bases),
        " ".join(fact.decorators),
        fact.returns,
        fact.fixture,
        fact.is_accessor,
    )


def _definition(row: tuple[str, str, int, int, str, str, str, str, str, str]) -> DefinitionFact:
    qualname, kind, start, end, signature, docstring, bases, decorators, returns, fixture = row
    return DefinitionFact(
        qualname=qualname,
        kind=MethodKind(kind),
        start=start,
        end=end,
        signature=signature,
        docstring=docstring,
        bases=tuple(bases.split()),
        decorators=tuple(decorators.split()),
        returns=returns,
        fixture=fixture,
    )
