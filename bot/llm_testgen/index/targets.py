"""The definition that a call reaches."""

from __future__ import annotations

from llm_testgen.index.entities import ClassEntity, FunctionEntity, InstanceEntity
from llm_testgen.index.facts import CALLED
from llm_testgen.index.resolve import Resolver

SUPER = "super"


def leads_nowhere(resolver: Resolver, name: str, path: str, owner: str) -> bool:
    """Whether a name is nothing of the project: whatever chain starts there leads nowhere then."""
    return name != SUPER and resolver.evaluate(name, path, owner) is None


def call_target(resolver: Resolver, expression: str, path: str, owner: str) -> tuple[str, str] | None:
    """Path and qualified name of what a call or an attribute access reaches; None when that is unknown.

    Making an object reaches its class's ``__init__``, or the class where the project defines none.

    Args:
        resolver: Resolves in the tree.
        expression: A chain that is called, with its last ``()``, read or set.
        path: The file that holds it.
        owner: The definition that holds it.
    """
    if not expression.endswith(CALLED):
        return _read(resolver, expression, path, owner)
    entity = resolver.evaluate(expression.removesuffix(CALLED), path, owner)
    if isinstance(entity, ClassEntity):
        made = resolver.member(entity, "__init__")
        entity = made if isinstance(made, FunctionEntity) else entity
    elif isinstance(entity, InstanceEntity):
        entity = resolver.member(entity.cls, "__call__")
    return (entity.path, entity.qualname) if isinstance(entity, FunctionEntity | ClassEntity) else None


def _read(resolver: Resolver, expression: str, path: str, owner: str) -> tuple[str, str] | None:
    entity = resolver.evaluate(expression, path, owner)
    if isinstance(entity, FunctionEntity):
        return (entity.path, entity.qualname) if resolver.definition(entity).is_property else None
    return None if isinstance(entity, ClassEntity) else _constant(resolver, expression, path, owner)


def _constant(resolver: Resolver, expression: str, path: str, owner: str) -> tuple[str, str] | None:
    """Reading a constant of a class, such as a member of an enumeration, reaches the class that assigns it."""
    head, _, name = expression.rpartition(".")
    holder = resolver.evaluate(head, path, owner)
    for cls in resolver.order(holder) if isinstance(holder, ClassEntity) else ():
        if (cls.qualname, name) in resolver.view(cls.path).bindings:
            return cls.path, cls.qualname
    return None
