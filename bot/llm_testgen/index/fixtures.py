"""Which pytest fixture a parameter of a test stands for."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from llm_testgen.index.entities import ClassEntity, Entity, FunctionEntity, enclosing
from llm_testgen.paths import is_test
from llm_testgen.records import MODULE_QUALNAME, MethodKind

if TYPE_CHECKING:  # the two resolve through each other
    from llm_testgen.index.resolve import Resolver


def bound(resolver: Resolver, path: str) -> dict[str, FunctionEntity]:
    """The fixtures bound at the top level of a file, its own and imported ones, by the names that tests request."""
    if path in resolver.fixtures:
        return resolver.fixtures[path]
    found = resolver.fixtures[path] = {}
    view = resolver.view(path)
    for star in view.stars:
        module = resolver.modules.target(star, path)
        if module is not None and module != path:
            found.update(bound(resolver, module))
    for (owner, _), facts in view.imports.items():
        for fact in facts if owner == MODULE_QUALNAME else ():
            _add(resolver, found, resolver.imported(fact, path))
    for definition in view.definitions.values():
        if definition.fixture and "." not in definition.qualname:
            _add(resolver, found, FunctionEntity(path, definition.qualname))
    return found


def _add(resolver: Resolver, found: dict[str, FunctionEntity], entity: Entity | None) -> None:
    if isinstance(entity, FunctionEntity):
        name = resolver.definition(entity).fixture
        if name:
            found[name] = entity


def requested(resolver: Resolver, name: str, path: str, owner: str) -> FunctionEntity | None:
    """The fixture that a test or fixture gets for one of its parameters; None for any other function."""
    definition = resolver.view(path).definitions[owner]
    is_function = definition.kind in {MethodKind.FUNCTION, MethodKind.METHOD}
    collected = is_function and owner.rpartition(".")[2].startswith("test") and is_test(path)
    if not (definition.fixture or collected):
        return None
    if definition.kind is MethodKind.METHOD:
        member = resolver.member(ClassEntity(path, enclosing(owner)), name)
        if isinstance(member, FunctionEntity) and resolver.definition(member).fixture == name:
            return member
    extends = definition.fixture == name  # a fixture that requests its own name means the one that it hides
    around = [place for place in conftests(path, resolver.modules.paths) if place != path]
    places = around if extends else [path, *around]
    return next((bound(resolver, place)[name] for place in places if name in bound(resolver, place)), None)


def conftests(path: str, paths: Collection[str]) -> list[str]:
    """The conftest.py files that apply to a file, the nearest first."""
    folders = path.split("/")[:-1]
    places = ["/".join([*folders[:depth], "conftest.py"]) for depth in range(len(folders), -1, -1)]
    return [place for place in places if place in paths]
