"""The existing test files of a project, their fixtures, and the file where a module's tests stand."""

from __future__ import annotations

from dataclasses import dataclass

from llm_testgen.index.conventions import mirrored, module_stem, name_match
from llm_testgen.index.fixtures import conftests
from llm_testgen.index.lookup import Key, Lookup
from llm_testgen.paths import is_tooling

_TESTS = """
    SELECT source_file.id, qualname, path FROM source_file JOIN definition USING (blob_id)
    WHERE is_test AND kind IN ('function', 'method') AND (qualname GLOB 'test*' OR qualname GLOB '*.test*')
"""


@dataclass(frozen=True, slots=True)
class _Fit:
    """How well a test file fits a module."""

    path: str
    aside: bool
    name: int
    mirrored: int
    imports: bool
    reaching: int

    @property
    def rank(self) -> tuple[bool, int, int, bool, int, str]:
        mirrored = -self.mirrored if self.name else 0
        return self.aside, -self.name, mirrored, not self.imports, -self.reaching, self.path


def test_files(lookup: Lookup) -> tuple[str, ...]:
    """All files that hold tests, in path order."""
    rows = lookup.connection.execute(_TESTS)
    return tuple(sorted({path for file, qualname, path in rows if Key(file, qualname).is_test}))


def fixtures_for(lookup: Lookup, test_path: str) -> tuple[str, ...]:
    """Names of the project's fixtures that a test in a file, there or yet to be written, may request."""
    paths = frozenset(path for (path,) in lookup.connection.execute("SELECT path FROM source_file"))
    names: set[str] = set()
    for place in (test_path, *conftests(test_path, paths)):
        rows = lookup.connection.execute(
            "SELECT name FROM fixture_name JOIN source_file ON source_file.id = file_id WHERE path = ?", (place,)
        )
        names.update(name for (name,) in rows)
    return tuple(sorted(names))


def test_files_of(lookup: Lookup, path: str) -> tuple[str, ...]:
    """Existing test files for a source module: by name, then by import, then by the number of tests that reach it.

    A name alone counts only where no other module has it. Tests of examples and tools come last for a module that is
    none of them: they run with what that example needs.
    """
    stems = [
        module_stem(other) for (other,) in lookup.connection.execute("SELECT path FROM source_file WHERE NOT is_test")
    ]
    reaching, importing = _reaching(lookup, path), _importing(lookup, path)
    only = stems.count(module_stem(path)) <= 1
    fits = []
    for test_path in test_files(lookup):
        used = test_path in reaching or test_path in importing
        name = name_match(path, test_path, stems) if used or only else 0
        if used or name:
            fit = _Fit(
                path=test_path,
                aside=is_tooling(test_path) and not is_tooling(path),
                name=name,
                mirrored=mirrored(path, test_path),
                imports=test_path in importing,
                reaching=reaching.get(test_path, 0),
            )
            fits.append(fit)
    return tuple(fit.path for fit in sorted(fits, key=lambda fit: fit.rank))


def _reaching(lookup: Lookup, path: str) -> dict[str, int]:
    """For each test file the number of its definitions that call into a module."""
    rows = lookup.connection.execute(
        """
        SELECT source_file.path, count(DISTINCT owner)
        FROM call_edge
        JOIN source_file ON source_file.id = file_id
        JOIN source_file AS target_file ON target_file.id = target_file_id
        WHERE target_file.path = ? AND source_file.is_test AND file_id != target_file_id
        GROUP BY source_file.path
        """,
        (path,),
    )
    return dict(rows)


def _importing(lookup: Lookup, path: str) -> frozenset[str]:
    rows = lookup.connection.execute(
        """
        SELECT source_file.path
        FROM import_edge
        JOIN source_file ON source_file.id = file_id
        JOIN source_file AS target_file ON target_file.id = target_file_id
        WHERE target_file.path = ? AND source_file.is_test
        """,
        (path,),
    )
    return frozenset(importer for (importer,) in rows)
