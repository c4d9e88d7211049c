"""One snapshot into the index: parse the blobs that are new, resolve what that makes stale."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from llm_testgen.index.link import FileIds, link
from llm_testgen.index.modules import ModuleMap
from llm_testgen.index.parse import parse_blob
from llm_testgen.index.roots import source_roots
from llm_testgen.index.store import add_blob, delete_edges, digest, meta, set_meta, transaction
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
    files = [file for file in snapshot.files if is_python(file.path)]
    with transaction(connection):
        parsed = _parse_new(connection, files, snapshot.read, progress)
        changed = _store_tree(connection, files)
        roots = _find_roots(connection, files, _pyproject(snapshot))
        interface = _interface(connection, roots)
        paths = _file_ids(connection)
        if interface != meta(connection, "interface"):
            changed = sorted(paths)
        if changed:
            link(connection, ModuleMap(paths, roots), paths, changed)
        set_meta(connection, "interface", interface)
        set_meta(connection, "roots", "\n".join(roots))
    return parsed


def _parse_new(
    connection: sqlite3.Connection,
    files: list[TreeFile],
    read: Callable[[TreeFile], bytes],
    progress: Progress | None,
) -> Parsed:
    known = {blob for (blob,) in connection.execute("SELECT blob FROM source_blob")}
    new = {file.blob: file for file in files if file.blob not in known}
    for done, (blob, file) in enumerate(new.items(), start=1):
        add_blob(connection, blob, parse_blob(read(file)))
        if progress is not None:
            progress(done, len(new))
    return Parsed(len(new), sum(file.blob in known for file in files))


def _store_tree(connection: sqlite3.Connection, files: list[TreeFile]) -> list[str]:
    """Write the tree's files; gives the paths that are new or have another blob than before."""
    blobs = dict(connection.execute("SELECT blob, id FROM source_blob"))
    before = {path: (row, blob) for row, path, blob in connection.execute("SELECT id, path, blob_id FROM source_file")}
    now = {file.path: blobs[file.blob] for file in files}
    gone = [(before[path][0],) for path in before.keys() - now.keys()]
    connection.executemany("DELETE FROM source_file WHERE id = ?", gone)
    changed = sorted(path for path, blob in now.items() if path not in before or before[path][1] != blob)
    connection.executemany(
        "INSERT INTO source_file (path, blob_id, is_test) VALUES (?, ?, ?)"
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
    return digest((roots, tuple(rows)))


def _file_ids(connection: sqlite3.Connection) -> FileIds:
    rows = connection.execute("SELECT path, id, blob_id FROM source_file")
    return {path: (row, blob) for path, row, blob in rows}
