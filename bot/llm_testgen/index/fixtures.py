"""Which pytest fixture a parameter of a test stands for."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from llm_testgen.index.entities import ClassEntity, Entity, FunctionEntity, enclosing
from llm_testgen.paths import is_test
from llm_testgen.records import MODULE_QUALNAME, MethodKind

if TYPE_CHECKING:  # the two resolve through each other
    from llm_testgen.index.resolve import Resolver


class Fixtures:
    """The fixtures of one tree, by the files that bind them."""

    def __init__(self, resolver: Resolver) -> None:
        """Find fixtures with the tree's resolver."""
        self._resolver = resolver
        self._bound: dict[str, dict[str, FunctionEntity]] = {}

    def bound(self, path: str) -> dict[str, FunctionEntity]:
        """The fixtures bound at the top level of a file, its own and imported ones, by the names that tests request."""
        if path in self._bound:
            return self._bound[path]
        found = self._bound[path] = {}
        view = self._resolver.view(path)
        for star in view.stars:
            module = self._resolver.modules.target(star, path)
            if module is not None and module != path:
                found.update(self.bound(module))
        for (owner, _), facts in view.imports.items():
            for fact in facts if owner == MODULE_QUALNAME else ():
                self._add(found, self._resolver.imported(fact, path))
        for definition in view.definitions.values():
            if definition.fixture and "." not in definition.qualname:
                self._add(found, FunctionEntity(path, definition.qualname))
        return found

    def requested(self, name: str, path: str, owner: str) -> FunctionEntity | None:
        """The fixture that a test or fixture gets for one of its parameters; None for any other function."""
        definition = self._resolver.view(path).definitions[owner]
        is_function = definition.kind in {MethodKind.FUNCTION, MethodKind.METHOD}
        collected = is_function and owner.rpartition(".")[2].startswith("test") and is_test(path)
        if not (definition.fixture or collected):
            return None
        if definition.kind is MethodKind.METHOD:
            member = self._resolver.member(ClassEntity(path, enclosing(owner)), name)
            if isinstance(member, FunctionEntity) and self._resolver.definition(member).fixture == name:
                return member
        extends = definition.fixture == name  # a fixture that requests its own name means the one that it hides
        around = [place for place in conftests(path, self._resolver.modules.paths) if place != path]
        places = around if extends else [path, *around]
        return next((self.bound(place)[name] for place in places if name in self.bound(place)), None)

    def _add(self, found: dict[str, FunctionEntity], entity: Entity | None) -> None:
        if isinstance(entity, FunctionEntity):
            name = self._resolver.definition(entity).fixture
            if name:
                found[name] = entity


def conftests(path: str, paths: Collection[str]) -> list[str]:
    """The conftest.py files that apply to a file, the nearest first."""
    folders = path.split("/")[:-1]
    places = ["/".join([*folders[:depth], "conftest.py"]) for depth in range(len(folders), -1, -1)]
    return [place for place in places if place in paths]
