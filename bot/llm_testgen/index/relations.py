"""The methods that help to understand a method."""

from __future__ import annotations

from collections.abc import Iterator

from llm_testgen.index.facts import CALLED
from llm_testgen.index.lookup import Key, Lookup
from llm_testgen.index.store import load_expressions
from llm_testgen.paths import is_tooling
from llm_testgen.records import Method, MethodKind, RelatedMethod, Relation

MAX_PER_RELATION = 40

_INIT = "__init__"


def related(lookup: Lookup, path: str, qualname: str) -> tuple[RelatedMethod, ...]:
    """What a method calls, what calls it, and its class's part, the most telling first.

    How to make the object comes first, then what the method leans on, then who uses it. Callers and overrides
    are cut at `MAX_PER_RELATION`.
    """
    target = lookup.key(path, qualname)
    method = lookup.method(target) if target else None
    if target is None or method is None:
        return ()
    found: dict[Key, RelatedMethod] = {}
    for relation, key in _relations(lookup, target, method):
        if key != target and key not in found:
            other = lookup.method(key)
            if other is not None:
                found[key] = RelatedMethod(other, relation)
    return tuple(found.values())


def callers_by_name(lookup: Lookup, path: str, qualname: str) -> tuple[Method, ...]:
    """Product methods with an unresolved call of that name: they may call it, or something else of that name.

    Those in files that import the method's module come first.
    """
    target = lookup.key(path, qualname)
    if target is None:
        return ()
    name = Key(0, target.owner).name if _is_dunder(target.name) and target.owner else target.name
    calls = [
        (Key(file, owner), position)
        for file, owner, position, text in load_expressions(lookup.connection, name)
        if text.endswith(CALLED)
    ]
    importing = {
        file
        for (file,) in lookup.connection.execute(
            "SELECT file_id FROM import_edge WHERE target_file_id = ?", (target.file,)
        )
    }
    paths = dict(lookup.connection.execute("SELECT id, path FROM source_file"))
    callers = {key for key, position in calls if not _is_resolved(lookup, key, position)}
    ordered = sorted(callers, key=lambda key: (key.file not in importing, paths[key.file], key.qualname))
    return lookup.methods(key for key in ordered[:MAX_PER_RELATION] if key != target)


def _is_resolved(lookup: Lookup, key: Key, position: int) -> bool:
    found = lookup.connection.execute(
        "SELECT 1 FROM call_edge WHERE file_id = ? AND owner = ? AND position = ?", (key.file, key.qualname, position)
    )
    return found.fetchone() is not None


def ancestors(lookup: Lookup, cls: Key) -> list[Key]:
    """The classes of the project that a class inherits from, in its method resolution order."""
    rows = lookup.connection.execute(
        "SELECT ancestor_file_id, ancestor FROM class_ancestor WHERE file_id = ? AND class = ? ORDER BY position",
        (cls.file, cls.qualname),
    )
    return [Key(*row) for row in rows]


def descendants(lookup: Lookup, cls: Key, *, in_tests: bool) -> list[Key]:
    """The classes in test files, or those outside, that inherit from a class, the nearest first."""
    rows = lookup.connection.execute(
        "SELECT file_id, class FROM class_ancestor JOIN source_file ON source_file.id = file_id"
        " WHERE ancestor_file_id = ? AND ancestor = ? AND is_test = ? ORDER BY position, path, class",
        (cls.file, cls.qualname, in_tests),
    )
    return [Key(*row) for row in rows]


def _relations(lookup: Lookup, target: Key, method: Method) -> Iterator[tuple[Relation, Key]]:
    cls = _class_of(target, method)
    lineage = [cls, *ancestors(lookup, cls)] if cls else []
    makers = (Key(ancestor.file, f"{ancestor.qualname}.{_INIT}") for ancestor in lineage)
    for key in [key for key in makers if lookup.defines(key)][:1]:
        yield Relation.INIT, key
    if cls and cls != target:
        yield Relation.CLASS, cls
    for key in _callees(lookup, target):
        yield Relation.CALLEE, key
    if cls and cls != target:
        for ancestor in lineage[1:]:
            yield Relation.BASE, Key(ancestor.file, f"{ancestor.qualname}.{target.name}")
    for key in _callers(lookup, target, method):
        yield Relation.CALLER, key
    if cls and cls != target:
        for key in _overrides(lookup, cls, target.name):
            yield Relation.OVERRIDE, key
    for ancestor in lineage[1:]:
        yield Relation.BASE, ancestor


def _class_of(target: Key, method: Method) -> Key | None:
    if method.kind is MethodKind.CLASS:
        return target
    return Key(target.file, target.owner) if method.kind is MethodKind.METHOD else None


def _callees(lookup: Lookup, target: Key) -> list[Key]:
    rows = lookup.connection.execute(
        "SELECT target_file_id, target FROM call_edge WHERE file_id = ? AND owner = ? ORDER BY position",
        (target.file, target.qualname),
    )
    return [Key(*row) for row in rows]


def _callers(lookup: Lookup, target: Key, method: Method) -> list[Key]:
    """Product methods that call it, those of its own file first and tooling last."""
    names = [target.qualname, f"{target.qualname}.{_INIT}" if method.kind is MethodKind.CLASS else target.qualname]
    rows = lookup.connection.execute(
        "SELECT DISTINCT file_id, owner, path FROM call_edge JOIN source_file ON source_file.id = file_id"
        " WHERE target_file_id = ? AND target IN (?, ?) AND NOT is_test",
        (target.file, *names),
    )
    ordered = sorted(rows, key=lambda row: (is_tooling(row[2]), row[0] != target.file, row[2], row[1]))
    return [Key(file, owner) for file, owner, _ in ordered[:MAX_PER_RELATION]]


def _overrides(lookup: Lookup, cls: Key, name: str) -> list[Key]:
    keys = (Key(sub.file, f"{sub.qualname}.{name}") for sub in descendants(lookup, cls, in_tests=False))
    return [key for key in keys if lookup.defines(key)][:MAX_PER_RELATION]


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
