"""One snapshot into the index: parse the blobs that are new, resolve what that makes stale."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from llm_testgen.index.facts import BlobFacts
from llm_testgen.index.link import FileIds, link
from llm_testgen.index.modules import ModuleMap
from llm_testgen.index.parse import parse_blob
from llm_testgen.index.roots import source_roots
from llm_testgen.index.stale import affected
from llm_testgen.index.store import (
    add_blob,
    delete_edges,
    digest,
    drop_indexes,
    load_facts,
    meta,
    set_meta,
    transaction,
)
from llm_testgen.paths import is_python, is_test
from llm_testgen.records import Snapshot, TreeFile

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an update had to read: the blobs that it parsed, and the files whose blob was there already."""

    parsed: int
    reused: int


def update(connection: sqlite3.Connection, snapshot: Snapshot, progress: Progress | None = None) -> Parsed:
    """Make the index answer for a snapshot.

    Args:
        connection: The index.
        snapshot: The tree.
        progress: Told the number of blobs parsed and to be parsed, after each.
    """
    # What is known meanwhile is gone when the search for cycles goes on, which would look at all of it.
    with transaction(connection), _no_search_for_cycles():
        return _update(connection, snapshot, progress)


def _update(connection: sqlite3.Connection, snapshot: Snapshot, progress: Progress | None) -> Parsed:
    files = [file for file in snapshot.files if is_python(file.path)]
    known = {blob for (blob,) in connection.execute("SELECT blob FROM source_blob")}
    indexes = [] if known else drop_indexes(connection)
    new = {file.blob: file for file in files if file.blob not in known}
    facts = _Facts(connection, _parse_new(connection, new, snapshot.read, progress))
    before = _file_ids(connection)
    changed = _store_tree(connection, files)
    paths = _file_ids(connection)
    roots = _find_roots(connection, files, _pyproject(snapshot))
    interface = _interface(connection, roots)
    if interface != meta(connection, "interface"):
        same_places = before.keys() == paths.keys() and "\n".join(roots) == meta(connection, "roots")
        changed = _stale(connection, before, paths, changed, facts) if same_places else sorted(paths)
    if changed:
        link(connection, ModuleMap(paths, roots), paths, changed, facts.of)
    for statement in indexes:
        connection.execute(statement)
    set_meta(connection, "interface", interface)
    set_meta(connection, "roots", "\n".join(roots))
    return Parsed(len(new), sum(file.blob in known for file in files))


def _stale(
    connection: sqlite3.Connection, before: FileIds, now: FileIds, changed: list[str], facts: _Facts
) -> list[str]:
    """The paths that have to be resolved anew when files say something else and none came or went."""
    pairs = [(facts.of(before[path][1]), facts.of(now[path][1])) for path in changed]
    rows = connection.execute("SELECT id, facts FROM source_blob WHERE id IN (SELECT blob_id FROM source_file)")
    blobs = affected(pairs, dict(rows))
    if blobs is None:
        return sorted(now)
    return sorted({*changed, *(path for path, (_, blob) in now.items() if blob in blobs)})


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Syntax trees are millions of objects without cycles: looking for some costs as much as walking the trees."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Facts:
    """The facts of blobs by their ids: those that were parsed just now, and what the database holds."""

    def __init__(self, connection: sqlite3.Connection, fresh: dict[int, BlobFacts]) -> None:
        self._connection = connection
        self._known = fresh

    def of(self, blob_id: int) -> BlobFacts:
        if blob_id not in self._known:
            self._known[blob_id] = load_facts(self._connection, blob_id)
        return self._known[blob_id]


def _parse_new(
    connection: sqlite3.Connection,
    new: Mapping[str, TreeFile],
    read: Callable[[TreeFile], bytes],
    progress: Progress | None,
) -> dict[int, BlobFacts]:
    """Parse and store blobs; gives their facts, without the texts, by their ids."""
    fresh = {}
    for done, (blob, file) in enumerate(new.items(), start=1):
        facts = parse_blob(read(file))
        fresh[add_blob(connection, blob, facts)] = replace(facts, text="")
        if progress is not None:
            progress(done, len(new))
    return fresh


def _store_tree(connection: sqlite3.Connection, files: list[TreeFile]) -> list[str]:
    """Write the tree's files; gives the paths that are new or have another blob than before."""
    blobs = dict(connection.execute("SELECT blob, id FROM source_blob"))
    before = {path: (row, blob) for row, path, blob in connection.execute("SELECT id, path, blob_id FROM source_file")}
    now = {file.path: blobs[file.blob] for file in files}
    gone = [(before[path][0],) for path in before.keys() - now.keys()]
    connection.executemany("DELETE FROM source_file WHERE id = ?", gone)
    changed = sorted(path for path, blob in now.items() if path not in before or before[path][1] != blob)
    connection.executemany(
        "INSERT INTO source_file (path, blob_id, is_test, resolved) VALUES (?, ?, ?, 0)"
        " ON CONFLICT (path) DO UPDATE SET blob_id = excluded.blob_id",
        ((path, now[path], is_test(path)) for path in changed),
    )
    delete_edges(connection, [row for (row,) in gone])
    return changed


def _pyproject(snapshot: Snapshot) -> str:
    for file in snapshot.files:
        if file.path == "pyproject.toml":
            return snapshot.read(file).decode("utf-8", "replace")
    return ""


def _find_roots(connection: sqlite3.Connection, files: list[TreeFile], pyproject: str) -> tuple[str, ...]:
    """The source roots; as before where nothing has changed that they are found from."""
    rows = connection.execute(
        "SELECT path, imported FROM source_file JOIN source_blob ON blob_id = source_blob.id ORDER BY path"
    )
    layout = digest([pyproject, *rows])
    if layout == meta(connection, "layout"):
        return tuple(meta(connection, "roots").split("\n"))
    set_meta(connection, "layout", layout)
    imported = connection.execute(
        "SELECT module, name FROM imported_name JOIN source_file USING (blob_id) WHERE level = 0"
    )
    names = [name for module, taken in imported for name in (f"{module}.{taken}" if taken else module,)]
    return source_roots([file.path for file in files], names, pyproject)


def _interface(connection: sqlite3.Connection, roots: tuple[str, ...]) -> str:
    """Digest of all that the resolution of an unchanged file may depend on."""
    rows = connection.execute(
        "SELECT path, interface FROM source_file JOIN source_blob ON blob_id = source_blob.id ORDER BY path"
    )
    return digest([roots, *rows])


def _file_ids(connection: sqlite3.Connection) -> FileIds:
    rows = connection.execute("SELECT path, id, blob_id FROM source_file")
    return {path: (row, blob) for path, row, blob in rows}
