"""What may be somewhere in a project, and the places where it may be."""

from __future__ import annotations

from dataclasses import dataclass

from llm_testgen.index.entities import ClassEntity, FunctionEntity, InstanceEntity, ModuleEntity
from llm_testgen.index.terms import Inner, Parameters, Text


@dataclass(frozen=True, slots=True)
class Place:
    """A file and one of its definitions: where a term is written."""

    path: str
    owner: str


@dataclass(frozen=True, slots=True)
class Made:
    """An object that was made by calling its class, and so is none of an heir."""

    cls: ClassEntity


@dataclass(frozen=True, slots=True)
class Nested:
    """A function nested in a definition."""

    at: Place
    inner: Inner


@dataclass(frozen=True, slots=True)
class Slot:
    """Where values may be: a name of a definition, an attribute of a class, or what a function gives."""

    path: str
    owner: str
    name: str
    inner: tuple[int, int] | None = None


Value = FunctionEntity | ClassEntity | InstanceEntity | ModuleEntity | Made | Nested | Text


def class_of(value: Value) -> ClassEntity | None:
    """The class of an object, or the class itself; None for anything else."""
    match value:
        case ClassEntity():
            return value
        case InstanceEntity() | Made():
            return value.cls
        case _:
            return None


def parameter_for(parameters: Parameters, key: int | str) -> str:
    """The parameter that takes an argument; empty when there is none."""
    if isinstance(key, int):
        return parameters.names[key] if key < len(parameters.names) else parameters.rest
    return key if key in parameters.names or key in parameters.keywords else parameters.others


def without_first(parameters: Parameters) -> Parameters:
    """The parameters of a method that is called on its object."""
    return Parameters(parameters.names[1:], parameters.keywords, parameters.rest, parameters.others)
