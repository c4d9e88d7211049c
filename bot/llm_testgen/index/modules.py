"""Dotted names to files: what an import statement leads to inside one tree."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from llm_testgen.index.facts import ImportFact
from llm_testgen.index.roots import contains, dotted, package_base
from llm_testgen.paths import is_test

_INIT = "__init__.py"


class ModuleMap:
    """The importable files of a tree.

    A module is named by its file; a folder without ``__init__.py`` is a namespace package and is named by the
    folder with a slash at its end.
    """

    def __init__(self, paths: Iterable[str], roots: tuple[str, ...]) -> None:
        """Take the files of a tree and its source roots."""
        self.paths = frozenset(paths)
        self.roots = roots
        self._folders: set[str] = set()
        self._found: dict[str, str | None] = {}
        for path in self.paths:
            folder = path
            while (folder := folder.rpartition("/")[0]) and f"{folder}/" not in self._folders:
                self._folders.add(f"{folder}/")

    def name(self, path: str) -> str:
        """The dotted name of a file: by the source roots; for a test file by the packages around it."""
        if is_test(path):
            return dotted(path, package_base(path, self.paths))
        inside = [root for root in self.roots if contains(root, path)]
        return dotted(path, max(inside, key=len, default=""))

    def find(self, name: str, importer: str) -> str | None:
        """The module of an absolute dotted name, as an import in the file ``importer`` finds it."""
        if name not in self._found:
            self._found[name] = self._from_roots(name)
        found = self._found[name]
        if found is not None:
            return found
        if name.partition(".")[0] in sys.stdlib_module_names:
            return None
        beside = self._below(package_base(importer, self.paths), name)
        if beside is not None:
            return beside
        namespaces = (self._below(root, name) for root in (*self.roots, ""))
        return next((found for found in namespaces if found is not None), None)

    def _from_roots(self, name: str) -> str | None:
        """The file of a module or package below a source root."""
        for root in (*self.roots, ""):
            found = self._below(root, name)
            if found is not None and not found.endswith("/"):
                return found
        return None

    def submodule(self, package: str, name: str) -> str | None:
        """The module or package ``name`` inside a package."""
        if package.endswith(_INIT):
            return self._below(package.removesuffix(_INIT).rstrip("/"), name)
        return self._below(package.rstrip("/"), name) if package.endswith("/") else None

    def target(self, fact: ImportFact, importer: str) -> str | None:
        """The module that an import statement names: of ``from m import x`` it is ``m``."""
        if not fact.level:
            return self.find(fact.module, importer)
        folder = self._anchor(importer, fact.level)
        if folder is None:
            return None
        return self._below(folder, fact.module) if fact.module else self._package(folder)

    def absolute(self, fact: ImportFact, importer: str) -> str:
        """The dotted module of an import statement without leading dots; empty when it leads out of the tree."""
        if not fact.level:
            return fact.module
        parts = self.name(importer).split(".")
        if not importer.endswith(f"/{_INIT}"):
            parts = parts[:-1]
        kept = len(parts) - (fact.level - 1)
        if kept <= 0:
            return ""
        return ".".join([*parts[:kept], *([fact.module] if fact.module else [])])

    def _anchor(self, importer: str, level: int) -> str | None:
        parts = importer.split("/")[:-1]
        kept = len(parts) - (level - 1)
        return "/".join(parts[:kept]) if kept >= 0 else None

    def _package(self, folder: str) -> str | None:
        prefix = f"{folder}/" if folder else ""
        if prefix + _INIT in self.paths:
            return prefix + _INIT
        return prefix if prefix in self._folders else None

    def _below(self, folder: str, name: str) -> str | None:
        place = f"{folder}/{name.replace('.', '/')}" if folder else name.replace(".", "/")
        package = self._package(place)
        if package is not None and not package.endswith("/"):
            return package
        return f"{place}.py" if f"{place}.py" in self.paths else package
