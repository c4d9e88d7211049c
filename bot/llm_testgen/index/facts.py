"""What one file says by itself: its definitions, imports, bindings and calls, whatever its path is.

Expressions are kept as *chains*, the part of Python that says where a name leads: ``self.repo.find()``,
``Shop().total``, ``super().area``. ``()`` stands for a call with any arguments, ``[]`` for any subscript,
and ``?`` for an expression that is no chain.

Annotations are kept as *type texts*: a chain for an instance of that class, ``type[chain]`` for the class
itself, ``yields[chain]`` for an iterator of it, and empty for what is no single type.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from llm_testgen.records import MethodKind

UNKNOWN_CHAIN = "?"
ATTRIBUTE = "."
RETURNED = "return"
YIELDED = "yield"
STAR = "*"
PYTEST_PLUGINS = "pytest_plugins"

_ACCESSORS = (".setter", ".deleter")


class BindingKind(StrEnum):
    """How a name got its value."""

    VALUE = "value"
    ANNOTATION = "annotation"
    PARAMETER = "parameter"
    ENTERED = "entered"
    INSTANCE = "instance"
    CLASS = "class"


@dataclass(frozen=True, slots=True)
class DefinitionFact:
    """A definition without its path and text.

    Attributes:
        qualname: Dotted name inside the module; ``<module>`` for the module.
        kind: What it is.
        start: First line, decorators included.
        end: Last line.
        signature: Its header in one line.
        docstring: Cleaned docstring, or empty.
        bases: Chains of a class's bases.
        decorators: Chains of its decorators, calls without their ``()``.
        returns: Type text of what a function is annotated to return.
        fixture: The name under which tests request it, if it is a pytest fixture; else empty.
    """

    qualname: str
    kind: MethodKind
    start: int
    end: int
    signature: str
    docstring: str
    bases: tuple[str, ...] = ()
    decorators: tuple[str, ...] = ()
    returns: str = ""
    fixture: str = ""

    @property
    def is_accessor(self) -> bool:
        """Whether it is the setter or deleter of a property."""
        return any(decorator.endswith(_ACCESSORS) for decorator in self.decorators)

    @property
    def is_property(self) -> bool:
        """Whether reading it as an attribute runs it."""
        names = [decorator.rpartition(".")[2] for decorator in self.decorators]
        return self.is_accessor or any(name.endswith("property") or name == "reify" for name in names)

    @property
    def is_context_manager(self) -> bool:
        """Whether it is a generator made a context manager."""
        return any(decorator.endswith("contextmanager") for decorator in self.decorators)


@dataclass(frozen=True, slots=True)
class ImportFact:
    """One name bound by an import statement.

    Attributes:
        owner: Qualified name of the definition that holds the statement.
        bound: The name that it binds; ``*`` for a star import, ``pytest_plugins`` for what pytest loads.
        module: The dotted module as written, without leading dots.
        name: What is imported from the module; empty for ``import module``.
        level: Number of leading dots.
    """

    owner: str
    bound: str
    module: str
    name: str = ""
    level: int = 0


@dataclass(frozen=True, slots=True)
class BindingFact:
    """One way in which a name gets a value.

    Attributes:
        owner: Qualified name of the definition that holds it.
        name: A local name, ``.attribute`` for an attribute of the instance, ``return`` or ``yield``.
        kind: How it is bound.
        value: A type text for an annotation, else chains of the alternatives joined by ``|``; empty when unknown.
    """

    owner: str
    name: str
    kind: BindingKind
    value: str = ""


@dataclass(frozen=True, slots=True)
class CallFact:
    """A call, or an attribute that is read or set and may turn out to be a property. Each chain once per owner.

    Attributes:
        owner: Qualified name of the definition that holds it.
        position: Its place among the owner's calls, in the order of evaluation.
        callee: The chain that is called, read or set, without the last ``()``.
        called: False for an attribute that is only read or set.
    """

    owner: str
    position: int
    callee: str
    called: bool = True

    @property
    def name(self) -> str:
        """The last part of the chain."""
        return self.callee.rpartition(".")[2].rstrip("()[]")


@dataclass(frozen=True)
class BlobFacts:
    """Everything that is known of one blob. A file that cannot be read has an error and nothing else."""

    definitions: tuple[DefinitionFact, ...] = ()
    imports: tuple[ImportFact, ...] = ()
    bindings: tuple[BindingFact, ...] = ()
    calls: tuple[CallFact, ...] = ()
    text: str = ""
    error: str = ""

    @cached_property
    def interface(self) -> tuple[object, ...]:
        """What the resolution of calls in *other* files may depend on."""
        shapes = tuple((d.qualname, d.kind, d.bases, d.decorators, d.returns, d.fixture) for d in self.definitions)
        functions = {d.qualname for d in self.definitions if d.kind in {MethodKind.FUNCTION, MethodKind.METHOD}}
        telling = {
            binding.owner for binding in self.bindings if binding.name in {RETURNED, YIELDED} or binding.name[0] == "."
        }
        private = functions - telling
        return (
            shapes,
            tuple(fact for fact in self.imports if fact.owner not in private),
            tuple(fact for fact in self.bindings if fact.owner not in private),
        )
