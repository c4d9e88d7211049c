"""The classes of a project as families: what a method's name may mean for an object of a class or of its heirs."""

from __future__ import annotations

import builtins
from collections import defaultdict
from collections.abc import Iterable

from llm_testgen.index.entities import ClassEntity, FunctionEntity, enclosing
from llm_testgen.index.facts import CALLED, BindingKind, last_name
from llm_testgen.index.resolve import Resolver
from llm_testgen.records import MODULE_QUALNAME, MethodKind

# What objects from elsewhere have too: a method of such a name is not known by its name.
_COMMON = frozenset(
    name
    for kind in (
        str,
        bytes,
        list,
        dict,
        set,
        tuple,
        int,
        float,
        complex,
        type,
        BaseException,
        memoryview,
        range,
        builtins,
    )
    for name in dir(kind)
)
_OF_LIBRARIES = frozenset(
    {
        "acquire",
        "add_argument",
        "alive",
        "call",
        "cancel",
        "close",
        "connect",
        "cursor",
        "date",
        "day",
        "debug",
        "decompress",
        "done",
        "end",
        "error",
        "exception",
        "execute",
        "exists",
        "feed",
        "fileno",
        "finditer",
        "flush",
        "fullmatch",
        "get_nowait",
        "getvalue",
        "group",
        "groups",
        "info",
        "is_dir",
        "is_file",
        "isatty",
        "isoformat",
        "iterdir",
        "join",
        "log",
        "match",
        "mkdir",
        "month",
        "name",
        "names",
        "now",
        "open",
        "parse",
        "path",
        "put",
        "read",
        "readable",
        "readline",
        "readlines",
        "release",
        "request",
        "reset",
        "result",
        "run",
        "save",
        "search",
        "seek",
        "seekable",
        "send",
        "set",
        "shutdown",
        "span",
        "start",
        "stat",
        "stop",
        "sub",
        "submit",
        "tell",
        "time",
        "today",
        "total",
        "truncate",
        "unlink",
        "url",
        "value",
        "values",
        "wait",
        "warning",
        "writable",
        "write",
        "writelines",
        "year",
    }
)
_WIDE = 3  # so many methods that a call may reach are still told; of more it will be one or two
_NO_BASES = frozenset({"object", "Generic", "typing.Generic", "Protocol", "typing.Protocol", "ABC", "abc.ABC"})


class Families:
    """The classes of some files: who inherits from whom, and who defines what."""

    def __init__(
        self, resolver: Resolver, paths: Iterable[str], every: Iterable[str], stubs: set[tuple[str, str]]
    ) -> None:
        """Take the classes of ``paths``; a class that no file of ``every`` names has no objects.

        Args:
            resolver: Resolves in the tree.
            paths: The product files.
            every: All files, tests too.
            stubs: Path and qualified name of the methods that only say that heirs have to define them.
        """
        self.resolver = resolver
        self._used: set[str] = set()
        self._made: set[str] = set()
        for path in every:
            texts = [text for texts in resolver.expressions(path).values() for text in texts]
            self._made.update([last_name(text[:-2]) for text in texts if text.endswith(CALLED)])
            self._used.update([last_name(text) for text in texts if not text.endswith(CALLED)])
            facts = [fact for facts in resolver.view(path).bindings.values() for fact in facts]
            values = [fact.value for fact in facts if fact.kind is BindingKind.VALUE]
            self._made.update([last_name(one) for value in values for one in value.split("|")])
        self._used |= self._made
        self.heirs: dict[ClassEntity, list[ClassEntity]] = defaultdict(list)
        self._owners: dict[str, list[ClassEntity]] = defaultdict(list)
        self._plain: set[str] = set()
        for path in paths:
            view = resolver.view(path)
            for qualname, definition in view.definitions.items():
                if definition.kind is MethodKind.CLASS:
                    cls = ClassEntity(path, qualname)
                    for ancestor in resolver.order(cls)[1:]:
                        self.heirs[ancestor].append(cls)
                elif definition.kind is MethodKind.METHOD:
                    self._owners[qualname.rpartition(".")[2]].append(ClassEntity(path, enclosing(qualname)))
            self._plain |= {name for _, name in view.attributes}
        self._stubs = stubs
        self._found: dict[tuple[ClassEntity, str, FunctionEntity | None], list[FunctionEntity]] = {}
        self._candidates: dict[ClassEntity, list[ClassEntity]] = {}

    def dispatched(self, cls: ClassEntity, name: str, *, within: FunctionEntity | None = None) -> list[FunctionEntity]:
        """What an attribute of that name may be, of objects of a class or of its heirs.

        Args:
            cls: The class.
            name: Of the attribute.
            within: The method whose own object it is, which heirs that override it do not get to.
        """
        key = (cls, name, within)
        if key not in self._found:
            self._found[key] = self._dispatched(cls, name, within)
        return self._found[key]

    def _dispatched(self, cls: ClassEntity, name: str, within: FunctionEntity | None) -> list[FunctionEntity]:
        classes = self.may_be(cls)
        if within is not None:
            own = within.qualname.rpartition(".")[2]
            classes = [one for one in classes if self._place(one, own) in {None, (within.path, within.qualname)}]
        members = (self.resolver.member(one, name) for one in classes)
        found = self.without_stubs(member for member in members if isinstance(member, FunctionEntity))
        if within is None and len(found) > _WIDE:
            member = self.resolver.member(cls, name)
            return self.without_stubs([member]) if isinstance(member, FunctionEntity) else []
        return found

    def overrides(self, method: FunctionEntity) -> list[FunctionEntity]:
        """What may be called for a method that is only there to be overridden; empty for any other."""
        if method.receiver is None or (method.path, method.qualname) not in self._stubs:
            return []
        return self.dispatched(method.receiver, method.qualname.rpartition(".")[2])

    def may_be(self, cls: ClassEntity) -> list[ClassEntity]:
        """The classes that an object of a class may be of: itself and the heirs that anything names."""
        found = self._candidates.get(cls)
        if found is None:
            heirs = [one for one in self.heirs.get(cls, ()) if self._is_used(one)]
            is_made = not heirs or cls.qualname.rpartition(".")[2] in self._made
            found = self._candidates[cls] = [cls, *heirs] if is_made else heirs
        return found

    def names_of(self, cls: ClassEntity, prefixes: tuple[str, ...]) -> list[str]:
        """The names of the methods of a class and its heirs that begin so."""
        return [
            name
            for name, owners in self._owners.items()
            if name.startswith(prefixes)
            and any(cls in self.resolver.order(owner) or owner in self.resolver.order(cls) for owner in owners)
        ]

    def has_method(self, text: str, *, whole: bool) -> bool:
        """Whether a method has that name, or one that begins so."""
        return text in self._owners if whole else any(name.startswith(text) for name in self._owners)

    def share_object(self, cls: ClassEntity, method: FunctionEntity, other: FunctionEntity) -> bool:
        """Whether an object may have both of two methods, the first being of ``cls``; True for one of no relative."""
        owner = ClassEntity(other.path, enclosing(other.qualname))
        if set(self.resolver.order(cls)).isdisjoint(self.resolver.order(owner)):
            return True
        name, other_name = (one.qualname.rpartition(".")[2] for one in (method, other))
        return any(
            self._place(one, name) == (method.path, method.qualname)
            and self._place(one, other_name) == (other.path, other.qualname)
            for one in (cls, *self.heirs.get(cls, ()))
        )

    def _place(self, cls: ClassEntity, name: str) -> tuple[str, str] | None:
        member = self.resolver.member(cls, name)
        return (member.path, member.qualname) if isinstance(member, FunctionEntity) else None

    def _is_used(self, cls: ClassEntity) -> bool:
        """Whether anything names a class, or an heir of it."""
        return any(one.qualname.rpartition(".")[2] in self._used for one in (cls, *self.heirs[cls]))

    def is_stand_in(self, function: FunctionEntity) -> bool:
        """Whether it is there only for where an import of the same name fails."""
        top = function.qualname.partition(".")[0]
        return (MODULE_QUALNAME, top) in self.resolver.view(function.path).imports

    def is_complete(self, cls: ClassEntity) -> bool:
        """Whether everything that a class inherits is the project's."""
        return all(len(self.resolver.bases(one)) == len(self._written_bases(one)) for one in self.resolver.order(cls))

    def _written_bases(self, cls: ClassEntity) -> list[str]:
        definition = self.resolver.view(cls.path).definitions.get(cls.qualname)
        return [base for base in (definition.bases if definition else ()) if base not in _NO_BASES]

    def named(self, name: str, *, called: bool) -> list[FunctionEntity]:
        """The methods (or properties) of a name, if they are of one family and nothing else has that name."""
        if name in _COMMON or name in _OF_LIBRARIES or name.startswith("__"):
            return []
        owners = self._owners.get(name, [])
        if not owners or name in self._plain or not self._related(owners):
            return []
        functions = [FunctionEntity(cls.path, f"{cls.qualname}.{name}") for cls in owners]
        of_kind = [one for one in functions if self.resolver.definition(one).is_property is not called]
        found = self.without_stubs(of_kind) if len(of_kind) == len(functions) else []
        return found if len(found) <= (_WIDE if called else 1) else []

    def _related(self, classes: list[ClassEntity]) -> bool:
        shared = set(self.resolver.order(classes[0]))
        for cls in classes[1:]:
            shared &= set(self.resolver.order(cls))
        return bool(shared)

    def without_stubs(self, functions: Iterable[FunctionEntity]) -> list[FunctionEntity]:
        """Each once, without those that are only there to be overridden."""
        found = {(one.path, one.qualname): one for one in functions}
        return [one for place, one in found.items() if place not in self._stubs]
