"""The import statement that gives a test a name."""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter

from llm_testgen.index.facts import STAR, ImportFact
from llm_testgen.index.lookup import Key, Lookup
from llm_testgen.index.modules import ModuleMap
from llm_testgen.paths import is_tooling, is_vendored
from llm_testgen.records import MODULE_QUALNAME


def import_for(lookup: Lookup, modules: ModuleMap, name: str, path: str) -> str | None:
    """The statement that binds ``name`` as a test of the module ``path`` most likely means it.

    In this order: what the module defines, what it imports, what the project's tests import under that name, the
    only top-level definition of that name in product code, a module of the standard library.
    """
    if not name.isidentifier():
        return None
    connection = lookup.connection
    if _defines(lookup, path, name):
        return _from(modules.name(path), name)
    return (
        _imported_by(connection, modules, name, path)
        or _starred_by(lookup, modules, name, path)
        or _imported_by_tests(connection, modules, name)
        or _defined_elsewhere(connection, modules, name)
        or (f"import {name}" if name in sys.stdlib_module_names else None)
    )


def statement(fact: ImportFact, module: str) -> str | None:
    """An import statement for one bound name, ``module`` being the absolute name of the fact's module."""
    if fact.name:
        return _from(module, fact.name, fact.bound)
    plain = fact.bound == module.partition(".")[0]
    return f"import {module}" if plain else f"import {module} as {fact.bound}"


def _from(module: str, name: str, bound: str = "") -> str | None:
    alias = f" as {bound}" if bound and bound != name else ""
    return f"from {module} import {name}{alias}" if module else None


def _defines(lookup: Lookup, path: str, name: str) -> bool:
    """Whether a name is defined or assigned at the top level of a file."""
    file = lookup.file(path)
    if file is None:
        return False
    return lookup.defines(Key(file, name)) or lookup.assigns(file, MODULE_QUALNAME, name)


def _imported_by(connection: sqlite3.Connection, modules: ModuleMap, name: str, path: str) -> str | None:
    rows = connection.execute(
        "SELECT owner, bound, module, name, level FROM source_file JOIN imported_name USING (blob_id)"
        " WHERE path = ? AND bound = ? ORDER BY owner != ?, ordinal",
        (path, name, MODULE_QUALNAME),
    )
    return next((text for row in rows if (text := _absolute(ImportFact(*row), modules, path))), None)


def _starred_by(lookup: Lookup, modules: ModuleMap, name: str, path: str) -> str | None:
    rows = lookup.connection.execute(
        "SELECT owner, bound, module, name, level FROM source_file JOIN imported_name USING (blob_id)"
        " WHERE path = ? AND bound = ?",
        (path, STAR),
    )
    for row in rows:
        source = modules.target(ImportFact(*row), path)
        if source is not None and _defines(lookup, source, name):
            return _from(modules.name(source), name)
    return None


def _imported_by_tests(connection: sqlite3.Connection, modules: ModuleMap, name: str) -> str | None:
    """The binding that most files of tests agree on; of equals the first by alphabet."""
    rows = connection.execute(
        "SELECT DISTINCT path, owner, bound, module, name, level FROM imported_name JOIN source_file USING (blob_id)"
        " WHERE bound = ? AND is_test",
        (name,),
    )
    texts = (_absolute(ImportFact(*row), modules, path) for path, *row in rows)
    counts = Counter(text for text in texts if text)
    return min(counts, key=lambda text: (-counts[text], text)) if counts else None


def _defined_elsewhere(connection: sqlite3.Connection, modules: ModuleMap, name: str) -> str | None:
    rows = connection.execute(
        "SELECT DISTINCT path FROM definition JOIN source_file USING (blob_id) WHERE qualname = ? AND NOT is_test",
        (name,),
    )
    paths = [path for (path,) in rows if not is_tooling(path) and not is_vendored(path)]
    return _from(modules.name(paths[0]), name) if len(paths) == 1 else None


def _absolute(fact: ImportFact, modules: ModuleMap, path: str) -> str | None:
    module = modules.absolute(fact, path)
    return statement(fact, module) if module and module != "__future__" else None
