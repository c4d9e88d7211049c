"""What one file says by itself: its definitions, imports, bindings and calls, whatever its path is.

Expressions are kept as *chains*, the part of Python that says where a name leads: ``self.repo.find()``,
``Shop().total``, ``super().area``. ``()`` stands for a call with any arguments, ``[]`` for any subscript,
and ``?`` for an expression that is no chain.

Annotations are kept as *type texts*: a chain for an instance of that class, ``type[chain]`` for the class
itself, ``yields[chain]`` for an iterator of it, and empty for what is no single type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from llm_testgen.records import MethodKind

UNKNOWN_CHAIN = "?"
ATTRIBUTE = "."
RETURNED = "return"
YIELDED = "yield"
STAR = "*"
PYTEST_PLUGINS = "pytest_plugins"
CALLED = "()"

_ACCESSORS = (".setter", ".deleter")


class BindingKind(StrEnum):
    """How a name got its value."""

    VALUE = "value"
    ANNOTATION = "annotation"
    PARAMETER = "parameter"
    ENTERED = "entered"
    INSTANCE = "instance"
    CLASS = "class"

    # Hashed in every binding there is, and an enumeration's own is written in Python.
    __hash__ = str.__hash__


# Of these there are so many that what making and comparing one costs is felt: tuples are the cheapest records.
class DefinitionFact(NamedTuple):
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
        return bool(self.decorators) and any(decorator.endswith(_ACCESSORS) for decorator in self.decorators)

    @property
    def is_property(self) -> bool:
        """Whether reading it as an attribute runs it."""
        if not self.decorators:
            return False
        names = [decorator.rpartition(".")[2] for decorator in self.decorators]
        return self.is_accessor or any(name.endswith("property") or name == "reify" for name in names)

    @property
    def is_context_manager(self) -> bool:
        """Whether it is a generator made a context manager."""
        return bool(self.decorators) and any(decorator.endswith("contextmanager") for decorator in self.decorators)


class ImportFact(NamedTuple):
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


class BindingFact(NamedTuple):
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


class CallFact(NamedTuple):
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


def is_unknown(chain: str) -> bool:
    """Whether a chain does not start at a name."""
    return chain.startswith(UNKNOWN_CHAIN)


def last_name(chain: str) -> str:
    """The last part of a chain."""
    return chain.rpartition(".")[2].rstrip("()[]")


@dataclass(frozen=True)
class BlobFacts:
    """Everything that is known of one blob. A file that cannot be read has an error and nothing else.

    Attributes:
        definitions: In file order, the module first.
        imports: Each once.
        bindings: Each once.
        expressions: For each owner the chains that it calls, with their last ``()``, reads and sets, in the order of
            evaluation: a chain's place is the position of its call.
        text: Of the file.
        error: Why it could not be read.
    """

    definitions: tuple[DefinitionFact, ...] = ()
    imports: tuple[ImportFact, ...] = ()
    bindings: tuple[BindingFact, ...] = ()
    expressions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    text: str = ""
    error: str = ""

    @property
    def calls(self) -> tuple[CallFact, ...]:
        """The expressions as calls."""
        return tuple(
            CallFact(owner, position, text.removesuffix(CALLED), text.endswith(CALLED))
            for owner, texts in self.expressions.items()
            for position, text in enumerate(texts)
        )

    @property
    def functions(self) -> frozenset[str]:
        """Qualified names of the functions and methods."""
        kinds = {MethodKind.FUNCTION, MethodKind.METHOD}
        return frozenset(definition.qualname for definition in self.definitions if definition.kind in kinds)

    @property
    def private(self) -> frozenset[str]:
        """The functions whose bodies tell other files nothing: no result, and no attribute of an object."""
        telling = {
            binding.owner for binding in self.bindings if binding.name in {RETURNED, YIELDED} or binding.name[0] == "."
        }
        return self.functions - telling

    @cached_property
    def interface(self) -> tuple[object, ...]:
        """What the resolution of calls in *other* files may depend on."""
        shapes = [(d.qualname, d.kind, d.bases, d.decorators, d.returns, d.fixture) for d in self.definitions]
        private = self.private
        return (
            tuple(shapes),
            tuple([fact for fact in self.imports if fact.owner not in private]),
            tuple([fact for fact in self.bindings if fact.owner not in private]),
        )
