"""The index's tables: facts in, facts out. The only module that opens the database."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from llm_testgen.errors import UsageError
from llm_testgen.index.facts import CALLED, BlobFacts, DefinitionFact, last_name
from llm_testgen.index.packing import pack, unpack, unpack_expressions
from llm_testgen.records import MethodKind

SCHEMA_VERSION = 2

# A newer Python may parse what an older one could not, so what was parsed belongs to one version.
_VERSION = f"{SCHEMA_VERSION} for Python {sys.version_info.major}.{sys.version_info.minor}"
_FORMER_TABLES = ("binding", "call")  # of earlier versions
_FUNCTIONS = frozenset({MethodKind.FUNCTION, MethodKind.METHOD})
_LEVEL = 1  # of compression: twice as fast as the next that is worth having, for a tenth more room
_PRODUCT = """
    SELECT source_file.id, facts FROM source_file JOIN source_blob ON source_blob.id = blob_id
    WHERE instr(facts, ?1) AND NOT is_test AND ?2 IS NULL
"""
_TESTS = """
    SELECT source_file.id, facts FROM source_file JOIN source_blob ON source_blob.id = blob_id
    WHERE is_test AND source_file.id IN (SELECT file_id FROM import_edge WHERE target_file_id = ?2) AND instr(facts, ?1)
"""
_CACHE = "PRAGMA cache_size = -65536"  # of pages, in KiB: an update of a large tree is one transaction


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


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open an index that is there, so that nothing in its file can be changed.

    Raises:
        UsageError: The file holds no index of this version.
    """
    connection = None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        if meta(connection, "version") == _VERSION:
            return connection
        reason = "it is of another version"
    except sqlite3.Error as error:
        reason = str(error)
    if connection is not None:
        connection.close()
    msg = f"{path} holds no index that can be read ({reason}): make one with `llm-testgen index`"
    raise UsageError(msg)


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the index's tables in one transaction, unless they are there in this version."""
    connection.execute(_CACHE)
    known = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'index_meta'").fetchone()[0]
    if known and meta(connection, "version") == _VERSION:
        return
    schema = _schema()
    drops = "".join(f'DROP TABLE IF EXISTS "{table}";' for table in (*_own_tables(schema), *_FORMER_TABLES))
    connection.executescript(f"BEGIN IMMEDIATE; {drops} {schema}")
    set_meta(connection, "version", _VERSION)
    connection.execute("COMMIT")


def drop_indexes(connection: sqlite3.Connection) -> list[str]:
    """Drop what only looking things up needs, before the first rows are written: sorting them once takes less.

    Returns:
        The statements that make it again.
    """
    own = _own_tables(_schema())
    rows = connection.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    indexes = [(name, sql) for name, table, sql in rows.fetchall() if table in own]
    for name, _ in indexes:
        connection.execute(f'DROP INDEX "{name}"')
    return [sql for _, sql in indexes]


def _schema() -> str:
    return resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")


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
    """A short name for a value made of sequences, mappings, numbers and texts."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]


def add_blob(connection: sqlite3.Connection, blob: str, facts: BlobFacts) -> int:
    """Store what a blob says; gives its id."""
    modules = sorted({(fact.module, fact.name) for fact in facts.imports if not fact.level})
    cursor = connection.execute(
        "INSERT INTO source_blob"
        " (blob, error, interface, imported, facts, text, classes, methods, tests, fixtures, calls)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            blob,
            facts.error,
            digest(facts.interface),
            digest(modules),
            pack(facts),
            zlib.compress(facts.text.encode("utf-8", "surrogatepass"), _LEVEL),
            *_counts(facts),
        ),
    )
    row = int(cursor.lastrowid or 0)
    connection.executemany(
        "INSERT INTO definition VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(row, ordinal, *_definition_row(fact)) for ordinal, fact in enumerate(facts.definitions)],
    )
    if facts.imports:
        connection.executemany(
            "INSERT INTO imported_name VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(row, ordinal, *fact) for ordinal, fact in enumerate(facts.imports)],
        )
    return row


def _counts(facts: BlobFacts) -> tuple[int, int, int, int, int]:
    """How many classes, functions and methods, names of tests, fixtures, and calls there are."""
    kinds = [fact.kind for fact in facts.definitions]
    functions = [fact for fact in facts.definitions if fact.kind in _FUNCTIONS]
    return (
        kinds.count(MethodKind.CLASS),
        len(functions),
        len({fact.qualname for fact in functions if is_test_name(fact.qualname)}),
        sum(bool(fact.fixture) for fact in facts.definitions),
        sum([text.endswith(CALLED) for texts in facts.expressions.values() for text in texts]),
    )


def is_test_name(qualname: str) -> bool:
    """Whether a test runner would collect a function of that name, if its file is one of tests."""
    return qualname.rpartition(".")[2].startswith("test")


def load_facts(connection: sqlite3.Connection, blob_id: int) -> BlobFacts:
    """What a blob says, without its text, docstrings and signatures."""
    (text,) = connection.execute("SELECT facts FROM source_blob WHERE id = ?", (blob_id,)).fetchone()
    return unpack(text)


def load_text(connection: sqlite3.Connection, blob_id: int) -> str:
    """The text of a blob, newlines as in `BlobFacts`."""
    (data,) = connection.execute("SELECT text FROM source_blob WHERE id = ?", (blob_id,)).fetchone()
    return zlib.decompress(data).decode("utf-8", "surrogatepass")


def load_expressions(
    connection: sqlite3.Connection, name: str, importing: int | None = None
) -> Iterator[tuple[int, str, int, str]]:
    """Calls, and attributes that are read or set, of a name: file, owner, position, chain with ``()`` if it is called.

    Args:
        connection: The index.
        name: The last part of the chain.
        importing: Those in test files that import this file; None for those in product files.
    """
    rows = connection.execute(_PRODUCT if importing is None else _TESTS, (json.dumps(name)[1:-1], importing))
    for file, packed in rows:
        for owner, texts in unpack_expressions(packed).items():
            for position, text in enumerate(texts):
                if name in text and last_name(text.removesuffix(CALLED)) == name:
                    yield file, owner, position, text


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
        fact.is_accessor,
    )
