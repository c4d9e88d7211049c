"""The definition that a call reaches."""

from __future__ import annotations

from llm_testgen.index.entities import ClassEntity, FunctionEntity, InstanceEntity
from llm_testgen.index.facts import CallFact
from llm_testgen.index.resolve import Resolver


def call_target(resolver: Resolver, call: CallFact, path: str) -> tuple[str, str] | None:
    """Path and qualified name of what a call or an attribute access in a file reaches; None when that is unknown.

    Making an object reaches its class's ``__init__``, or the class where the project defines none.
    """
    entity = resolver.evaluate(call.callee, path, call.owner)
    if not call.called:
        if isinstance(entity, FunctionEntity):
            return (entity.path, entity.qualname) if resolver.definition(entity).is_property else None
        return None if isinstance(entity, ClassEntity) else _constant(resolver, call, path)
    if isinstance(entity, ClassEntity):
        made = resolver.member(entity, "__init__")
        entity = made if isinstance(made, FunctionEntity) else entity
    elif isinstance(entity, InstanceEntity):
        entity = resolver.member(entity.cls, "__call__")
    return (entity.path, entity.qualname) if isinstance(entity, FunctionEntity | ClassEntity) else None


def _constant(resolver: Resolver, call: CallFact, path: str) -> tuple[str, str] | None:
    """Reading a constant of a class, such as a member of an enumeration, reaches the class that assigns it."""
    head, _, name = call.callee.rpartition(".")
    owner = resolver.evaluate(head, path, call.owner)
    for cls in resolver.order(owner) if isinstance(owner, ClassEntity) else ():
        if (cls.qualname, name) in resolver.view(cls.path).bindings:
            return cls.path, cls.qualname
    return None
