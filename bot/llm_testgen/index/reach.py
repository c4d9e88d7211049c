"""The existing tests that reach a method."""

from __future__ import annotations

from collections.abc import Iterator

from llm_testgen.index.conventions import mirrored, name_match
from llm_testgen.index.lookup import Key, Lookup
from llm_testgen.index.relations import descendants
from llm_testgen.index.store import load_expressions
from llm_testgen.records import Method, MethodKind

MAX_TESTS = 100

_MAX_DISTANCE = 4
_MAX_VISITED = 500
_SETUP = frozenset({"setUp", "asyncSetUp", "setUpClass", "setUpTestData", "setup_method", "setup_class"})

Ranks = dict[Key, int]


def tests_of(lookup: Lookup, path: str, qualname: str) -> tuple[Method, ...]:
    """The tests that reach a method: by resolved calls, the fewest steps first, then by its name.

    A test counts by name when its file imports the method's module and its body calls something of that name. At
    most `MAX_TESTS` are given.
    """
    target = lookup.key(path, qualname)
    method = lookup.method(target) if target else None
    if target is None or method is None:
        return ()
    ranks: Ranks = {}
    if method.kind is MethodKind.MODULE:
        _rank(ranks, _callers_into(lookup, target.file), 0)
    else:
        _rank_by_calls(lookup, ranks, target, method)
        for step, name in enumerate(_names(target, method), start=1):
            _rank(ranks, _callers_by_name(lookup, target.file, name), _MAX_DISTANCE + step)
    subject = target.name.strip("_").lower()
    nearest = sorted(ranks.items(), key=lambda item: (item[1], subject not in item[0].name.lower()))
    tests = [(rank, test) for key, rank in nearest[:MAX_TESTS] for test in lookup.methods([key])]
    tests.sort(key=lambda item: (item[0], subject not in item[1].name.lower(), *_place(path, item[1])))
    return tuple(test for _, test in tests)


def _place(path: str, test: Method) -> tuple[int, int, str, int]:
    return -name_match(path, test.path), -mirrored(path, test.path), test.path, test.start


def _rank(ranks: Ranks, keys: Iterator[Key], rank: int) -> None:
    for key in keys:
        ranks.setdefault(key, rank)


def _rank_by_calls(lookup: Lookup, ranks: Ranks, target: Key, method: Method) -> None:
    """Follow the calls backwards, step by step, through product code, helpers and fixtures."""
    level = [target]
    if method.kind is MethodKind.CLASS:
        level.append(Key(target.file, f"{target.qualname}.__init__"))
    visited = set(level)
    for distance in range(_MAX_DISTANCE):
        callers = [caller for key in level for caller in _callers(lookup, key)]
        _rank(ranks, (key for key, in_test in callers if in_test and key.is_test), distance)
        for key, in_test in callers:
            if in_test and key.name in _SETUP:
                _rank(ranks, _tests_in(lookup, key), distance + 1)
        if len(ranks) > MAX_TESTS:
            return
        others = dict.fromkeys(key for key, in_test in callers if not (in_test and key.is_test))
        level = [key for key in others if key not in visited][: _MAX_VISITED - len(visited)]
        visited.update(level)


def _names(target: Key, method: Method) -> list[str]:
    """What a test that reaches the method may write: its name, then its class's."""
    names = [] if target.name.startswith("__") else [target.name]
    return [*names, Key(0, target.owner).name] if method.kind is MethodKind.METHOD else names


def _callers(lookup: Lookup, key: Key) -> list[tuple[Key, bool]]:
    rows = lookup.connection.execute(
        "SELECT DISTINCT file_id, owner, is_test FROM call_edge JOIN source_file ON source_file.id = file_id"
        " WHERE target_file_id = ? AND target = ? ORDER BY is_test DESC, path, owner",
        (key.file, key.qualname),
    )
    return [(Key(file, owner), bool(in_test)) for file, owner, in_test in rows]


def _callers_into(lookup: Lookup, file: int) -> Iterator[Key]:
    """Tests that call anything in a file."""
    rows = lookup.connection.execute(
        "SELECT DISTINCT file_id, owner FROM call_edge JOIN source_file ON source_file.id = file_id"
        " WHERE target_file_id = ? AND is_test",
        (file,),
    )
    return (key for key in [Key(*row) for row in rows] if key.is_test)


def _callers_by_name(lookup: Lookup, file: int, name: str) -> Iterator[Key]:
    """Tests with a call of that name in files that import the file."""
    found = load_expressions(lookup.connection, name, importing=file)
    keys = (Key(*row) for row in sorted({(importer, owner) for importer, owner, _, _ in found}))
    return (key for key in keys if key.is_test)


def _tests_in(lookup: Lookup, setup: Key) -> Iterator[Key]:
    """The tests before which a set-up method runs: those of its class and of the classes that inherit from it."""
    cls = Key(setup.file, setup.owner)
    for owner in [cls, *descendants(lookup, cls, in_tests=True)]:
        rows = lookup.connection.execute(
            "SELECT qualname FROM source_file JOIN definition USING (blob_id)"
            " WHERE source_file.id = ? AND kind = 'method' AND qualname GLOB ?",
            (owner.file, f"{owner.qualname}.test*"),
        )
        keys = [Key(owner.file, qualname) for (qualname,) in rows]
        yield from (key for key in keys if key.owner == owner.qualname)
