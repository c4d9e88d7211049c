"""What a name can stand for in a project, and one file's facts arranged for looking names up."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from llm_testgen.index.facts import ATTRIBUTE, STAR, BindingFact, BlobFacts, DefinitionFact, ImportFact
from llm_testgen.records import MODULE_QUALNAME


@dataclass(frozen=True, slots=True)
class ModuleEntity:
    """A module of the project, by its file, or a namespace package, by its folder with a slash at the end."""

    path: str


@dataclass(frozen=True, slots=True)
class ClassEntity:
    """A class of the project."""

    path: str
    qualname: str


@dataclass(frozen=True, slots=True)
class InstanceEntity:
    """An object of a class of the project."""

    cls: ClassEntity


@dataclass(frozen=True, slots=True)
class FunctionEntity:
    """A function of the project, with the class that it was looked up on when it is a method."""

    path: str
    qualname: str
    receiver: ClassEntity | None = None


@dataclass(frozen=True, slots=True)
class SuperEntity:
    """``super()`` in a method of a class."""

    cls: ClassEntity


@dataclass(frozen=True, slots=True)
class YieldsEntity:
    """An iterator of objects, or a context manager that gives one."""

    item: Entity


Entity = ModuleEntity | ClassEntity | InstanceEntity | FunctionEntity | SuperEntity | YieldsEntity


class ModuleView:
    """One file's facts by name. Of several definitions of one name the last that is no setter stands for all."""

    def __init__(self, facts: BlobFacts) -> None:
        """Arrange the facts."""
        self.definitions: dict[str, DefinitionFact] = {}
        self.imports: dict[tuple[str, str], list[ImportFact]] = defaultdict(list)
        self.stars: list[ImportFact] = []
        self.bindings: dict[tuple[str, str], list[BindingFact]] = defaultdict(list)
        self.attributes: dict[tuple[str, str], list[BindingFact]] = defaultdict(list)
        for definition in facts.definitions:
            if definition.qualname not in self.definitions or not definition.is_accessor:
                self.definitions[definition.qualname] = definition
        for fact in facts.imports:
            if fact.name == STAR:
                self.stars.append(fact)
            if fact.bound != STAR:
                self.imports[fact.owner, fact.bound].append(fact)
        for binding in facts.bindings:
            self.bindings[binding.owner, binding.name].append(binding)
            if binding.name.startswith(ATTRIBUTE):
                self.attributes[enclosing(binding.owner), binding.name[1:]].append(binding)


def enclosing(qualname: str) -> str:
    """The qualified name around a definition; ``<module>`` for a top-level one."""
    return qualname.rpartition(".")[0] or MODULE_QUALNAME
