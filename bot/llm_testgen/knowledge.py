"""What the index knows, in the terms of the pipeline's stages."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping

from llm_testgen.index import Index
from llm_testgen.paths import is_python, is_test
from llm_testgen.records import ChangedMethod, Method, Snapshot
from llm_testgen.repairs.base import closest
from llm_testgen.source import SourceError, parse
from llm_testgen.stages.context import Surroundings
from llm_testgen.stages.suggest import choose_test_path
from llm_testgen.statements import bound_names, pieces_of_module


class ModuleNames:
    """What names mean to a test of one module."""

    def __init__(self, index: Index, path: str, modules: frozenset[str], test_text: str, test_path: str) -> None:
        """Look from the module at ``path``.

        Args:
            index: Of the project.
            path: The module's file.
            modules: Dotted names of the project's own modules.
            test_text: The test file to which its tests belong; empty when there is none yet.
            test_path: Where that file is or will be.
        """
        self._index = index
        self._path = path
        self._modules = modules
        self._test_path = test_path
        self._shared = {
            name: piece.text
            for piece in pieces_of_module(test_text)
            if not isinstance(piece.node, ast.Import | ast.ImportFrom)
            for name in bound_names(piece.node)
            if not name.lower().startswith("test")
        }
        self._defined = frozenset(method.qualname for method in index.methods(path) if "." not in method.qualname)

    def import_for(self, name: str) -> str | None:
        """The import statement that binds ``name``; None if unknown."""
        return self._index.import_for(name, self._path)

    def helper(self, name: str) -> str | None:
        """Source of what the test file itself defines under that name, tests excepted."""
        return self._shared.get(name)

    def is_defined(self, name: str) -> bool:
        """Whether the module defines a function or class of that name."""
        return name in self._defined

    def is_project_module(self, module: str) -> bool:
        """Whether it is one of the project's own modules."""
        return module in self._modules

    def definition(self, qualname: str) -> Method | None:
        """A definition of the module by its qualified name."""
        return self._index.method(self._path, qualname)

    def similar(self, name: str) -> str | None:
        """The one name of the module, or else of the project, that is meant by a slip or by another case."""
        found = closest(name, self._defined) or closest(name, self._all_defined)
        return found if found and self.import_for(found) else None

    def fixtures(self) -> tuple[str, ...]:
        """Names of the project's fixtures that a test of the module may request."""
        return self._index.fixtures_for(self._test_path)

    @functools.cached_property
    def _all_defined(self) -> frozenset[str]:
        """Names of the top-level definitions of all product code."""
        methods = self._index.methods()
        return frozenset(one.qualname for one in methods if "." not in one.qualname and not is_test(one.path))


class ProjectKnowledge:
    """The index of one snapshot.

    Args:
        index: Brought up to date with the snapshot.
        snapshot: The tree at head.
        test_folder: Where new test files go when the project has none to show it; None for ``tests``.
    """

    def __init__(self, index: Index, snapshot: Snapshot, test_folder: str | None) -> None:
        """Look at one snapshot."""
        self._index = index
        self._snapshot = snapshot
        self._test_folder = test_folder
        self._paths = frozenset(file.path for file in snapshot.files if is_python(file.path))
        self._modules = frozenset(map(index.module_name, self._paths))

    def surroundings(self, target: ChangedMethod) -> Surroundings:
        """Module, related code, tests and fixtures of a changed method."""
        index = self._index
        test_path = self._test_path(target)
        return Surroundings(
            module=index.module_name(target.path),
            related=index.related(target.path, target.qualname),
            tests=index.tests_of(target.path, target.qualname),
            fixtures=index.fixtures_for(test_path),
            test_path=test_path,
        )

    def names(self, target: ChangedMethod) -> ModuleNames:
        """What names mean in a changed method's module."""
        path = self._test_path(target)
        text = self._texts.get(path, "").replace("\r\n", "\n")
        return ModuleNames(self._index, target.path, self._modules, text, path)

    def test_files(self) -> Mapping[str, str]:
        """Text of every file of the test suite at head, by path; those that are no UTF-8 are left out."""
        return self._texts

    def text(self, path: str) -> str | None:
        """Text of a Python file at head, its line ends as they are; None where it is no UTF-8."""
        found = next((file for file in self._snapshot.files if file.path == path and is_python(path)), None)
        try:
            return None if found is None else self._snapshot.read(found).decode("utf-8")
        except UnicodeDecodeError:
            return None

    def _test_path(self, target: ChangedMethod) -> str:
        existing = [path for path in self._index.test_files_of(target.path) if path in self._texts]
        path = choose_test_path(target.path, existing, self._index.test_files(), self._test_folder)
        # A file that is there and has no text that could be extended must not be taken for a new one.
        while path in self._paths and not self._texts.get(path):
            path = f"{path.removesuffix('.py')}_generated.py"
        return path

    @functools.cached_property
    def _texts(self) -> dict[str, str]:
        texts = {}
        for file in self._snapshot.files:
            if is_python(file.path) and is_test(file.path):
                data = self._snapshot.read(file)
                try:
                    parse(file.path, data)
                    texts[file.path] = data.decode("utf-8")
                except (SourceError, UnicodeDecodeError):
                    continue
        return texts
