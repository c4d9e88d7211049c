"""Which functions, classes and objects may be where a name of a project leads to no single thing.

A callback goes from the call that hands it over, through a parameter, into an attribute or a table, and from there to
where it is called. All such moves are followed until nothing new arrives anywhere: Andersen's analysis, where of a
container only its content counts and an attribute is told apart by the class that sets it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping

from llm_testgen.index.entities import ClassEntity, Entity, FunctionEntity, InstanceEntity, ModuleEntity, YieldsEntity
from llm_testgen.index.facts import ATTRIBUTE, CALLED, RETURNED, BindingKind
from llm_testgen.index.families import Families
from llm_testgen.index.moves import Given, Move, Moves
from llm_testgen.index.resolve import Resolver
from llm_testgen.index.terms import Got, Inner, Parameters, Terms, Text
from llm_testgen.index.values import Made, Nested, Place, Slot, Value, class_of, parameter_for, without_first
from llm_testgen.records import MODULE_QUALNAME, MethodKind

MOST = 40  # a place where more may be tells nothing
_CONSTRUCTORS = ("__init__", "__new__", "__post_init__")
# Of these names no attribute is looked for: a container is not told from what is in it, so it may be the container's.
_OF_CONTAINERS = frozenset(name for kind in (list, dict, set, tuple, str, bytes) for name in dir(kind))
# Methods of containers that give what is in them.
_GIVING = frozenset({"get", "values", "items", "pop", "popitem", "copy", "setdefault", "popleft", "keys", "elements"})


class Flows:
    """What may be where, in some files."""

    def __init__(
        self,
        resolver: Resolver,
        families: Families,
        moves: Mapping[Place, Moves],
        signatures: Mapping[Place, Parameters],
    ) -> None:
        """Follow all moves of a project.

        Args:
            resolver: Resolves in the tree.
            families: Its classes.
            moves: Of each definition.
            signatures: The parameters of each function.
        """
        self._resolver = resolver
        self._families = families
        self._signatures = signatures
        self._held: dict[Slot, dict[Value, None]] = defaultdict(dict)
        self._full: set[Slot] = set()
        self._fields: dict[str, dict[ClassEntity, None]] = defaultdict(dict)
        self._readers: dict[Slot | str, set[int]] = defaultdict(set)
        self._steps: list[tuple[Place, Move | Given]] = []
        for place, found in moves.items():
            self._steps += [(place, step) for step in found.moves]
            self._steps += [(place, step) for step in found.calls]
        self._calls: dict[tuple[Place, int, str], list[Given]] = defaultdict(list)
        for place, found in moves.items():
            for call in found.calls:
                self._calls[place, call.line, call.text].append(call)
        self._waiting = deque(range(len(self._steps)))
        self._is_waiting = set(self._waiting)
        self._current = -1
        self._run()

    def called(self, place: Place, line: int, text: str) -> dict[Value, None]:
        """What may be called on a line by that chain, each once."""
        calls = self._calls.get((place, line, text), ())
        return dict.fromkeys(value for call in calls for value in self._all(call.function, place))

    def is_function(self, place: Place) -> bool:
        """Whether a definition is a function and no class or module."""
        return place in self._signatures

    def _run(self) -> None:
        while self._waiting:
            self._current = self._waiting.popleft()
            self._is_waiting.discard(self._current)
            place, step = self._steps[self._current]
            self._move(step, place) if isinstance(step, Move) else self._give(step, place)
        self._current = -1

    def _wake(self, slot: Slot | str) -> None:
        for step in self._readers[slot]:
            if step not in self._is_waiting:
                self._is_waiting.add(step)
                self._waiting.append(step)

    def _add(self, slot: Slot, values: Iterable[Value]) -> bool:
        """Put values there; whether anything is new."""
        held = self._held[slot]
        before = len(held)
        held.update(() if slot in self._full else dict.fromkeys(values))
        if len(held) == before:
            return False
        if len(held) > MOST:
            self._full.add(slot)
            held.clear()
            return False
        self._wake(slot)
        return True

    def _read(self, slot: Slot) -> Iterable[Value]:
        if self._current >= 0:
            self._readers[slot].add(self._current)
        return self._held.get(slot, ())

    def _move(self, move: Move, place: Place) -> None:
        values = self._all(move.source, place)
        if not values:
            return
        if move.target == RETURNED:
            self._add(Slot(place.path, place.owner, RETURNED, move.inner), values)
            return
        head, dot, name = move.target.rpartition(".")
        if not dot:
            slot = self._variable(name, place)
            if slot is not None and slot.name.startswith(ATTRIBUTE):
                self._keep(ClassEntity(slot.path, slot.owner), name, values)
            elif slot is not None:
                self._add(slot, values)
            return
        for holder in self._chain(head, place):
            self._keep(holder, name, values)

    def _keep(self, holder: Value, name: str, values: Iterable[Value]) -> None:
        cls = class_of(holder)
        if cls is not None:
            slot = Slot(cls.path, cls.qualname, ATTRIBUTE + name)
            self._fields[name][cls] = None
            if self._add(slot, values):
                self._wake(name)
        elif isinstance(holder, ModuleEntity):
            self._add(Slot(holder.path, MODULE_QUALNAME, name), values)

    def _give(self, call: Given, place: Place) -> None:
        if not call.arguments:
            return
        for callee in self._all(call.function, place):
            for function, parameters in self._takers(callee):
                for key, given in call.arguments:
                    name = parameter_for(parameters, key)
                    values = self._all(given, place) if name else ()
                    if values:
                        self._add(Slot(function.path, function.owner, name), values)
            if isinstance(callee, ClassEntity) and self._resolver.member(callee, "__init__") is None:
                self._fill(callee, call, place)

    def _fill(self, cls: ClassEntity, call: Given, place: Place) -> None:
        """A class without a constructor of its own, as data classes are: what it is given are its attributes."""
        names = [
            name
            for base in reversed(self._resolver.order(cls))
            for (owner, name), facts in self._resolver.view(base.path).bindings.items()
            if owner == base.qualname and facts[0].kind is BindingKind.ANNOTATION
        ]
        for key, given in call.arguments:
            name = key if isinstance(key, str) else names[key] if key < len(names) else ""
            values = self._all(given, place) if name else ()
            if values:
                self._keep(cls, name, values)

    def _takers(self, callee: Value) -> Iterator[tuple[Place, Parameters]]:
        """The functions that a call of a value runs, without the parameter that is their object."""
        match callee:
            case Nested():
                yield callee.at, callee.inner.parameters
            case FunctionEntity():
                place = Place(callee.path, callee.qualname)
                parameters = self._signatures.get(place)
                if parameters is not None:
                    bound = callee.receiver is not None and not self._is_static(callee)
                    yield place, without_first(parameters) if bound else parameters
            case ClassEntity():
                for name in _CONSTRUCTORS:
                    member = self._resolver.member(callee, name)
                    if isinstance(member, FunctionEntity):
                        yield from self._takers(member)
            case InstanceEntity() | Made():
                member = self._resolver.member(callee.cls, "__call__")
                if isinstance(member, FunctionEntity):
                    yield from self._takers(member)

    def _is_static(self, function: FunctionEntity) -> bool:
        return "staticmethod" in self._resolver.definition(function).decorators

    def _all(self, terms: Terms, place: Place) -> dict[Value, None]:
        """What any of some terms may be, each once, in an order that does not depend on hashes."""
        found: dict[Value, None] = {}
        for term in terms:
            match term:
                case str():
                    found.update(dict.fromkeys(self._chain(term, place)))
                case Inner():
                    found[Nested(place, term)] = None
                case Text():
                    if self._families.has_method(term.text, whole=term.whole):
                        found[term] = None
                case Got():
                    found.update(dict.fromkeys(self._got(term, place)))
        return found

    def _chain(self, text: str, place: Place) -> Iterable[Value]:
        entity = self._resolver.value(self._resolver.evaluate(text, place.path, place.owner))
        if entity is not None:
            return self._known(entity, text, place)
        if text.endswith("[]"):
            return self._chain(text[:-2], place)
        if text.endswith(CALLED):
            return self._results(text.removesuffix(CALLED), place)
        head, dot, name = text.rpartition(".")
        return self._attributes(head, name, place) if dot else self._named(name, place)

    def _named(self, name: str, place: Place) -> Iterable[Value]:
        slot = self._variable(name, place)
        return self._read(slot) if slot is not None else ()

    def _attributes(self, head: str, name: str, place: Place) -> Iterable[Value]:
        if name == "__class__":
            return self._classes(self._chain(head, place))
        if name in _OF_CONTAINERS:
            return ()
        holders = self._chain(head, place)
        return dict.fromkeys(value for holder in holders for value in self.attribute(holder, name))

    def _known(self, entity: Entity, text: str, place: Place) -> Iterable[Value]:
        """What names alone have told, as values; ``text`` is the chain that led there, if one did."""
        match entity:
            case InstanceEntity():
                made = text.removesuffix(CALLED)
                maker = self._resolver.evaluate(made, place.path, place.owner) if made != text else None
                return {Made(maker) if isinstance(maker, ClassEntity) else entity}
            case FunctionEntity():
                return self._function(entity, text, place)
            case YieldsEntity():
                return self._known(entity.item, "", place)
            case ClassEntity() | ModuleEntity():
                return {entity}
            case _:
                return ()

    def _function(self, function: FunctionEntity, text: str, place: Place) -> Iterable[Value]:
        head, _, name = text.rpartition(".")
        holder = self._resolver.value(self._resolver.evaluate(head, place.path, place.owner)) if head else None
        if isinstance(holder, InstanceEntity):
            return self._families.dispatched(holder.cls, name)
        return {self._of_no_object(function) if isinstance(holder, ClassEntity) else function}

    def _of_no_object(self, function: FunctionEntity) -> FunctionEntity:
        """A method that was read from its class, as ``Class.method``: it is given its object when it is called."""
        is_bound = "classmethod" in self._resolver.definition(function).decorators
        return function if is_bound else FunctionEntity(function.path, function.qualname)

    def _classes(self, values: Iterable[Value]) -> Iterator[Value]:
        """The classes of objects, with those of heirs where an object may be one of an heir."""
        for value in values:
            if isinstance(value, Made):
                yield value.cls
            elif isinstance(value, InstanceEntity):
                yield from self._families.may_be(value.cls)

    def _variable(self, name: str, place: Place) -> Slot | None:
        """The slot of a name that is written somewhere; None when nothing of the project binds it."""
        view = self._resolver.view(place.path)
        if place.owner != MODULE_QUALNAME and (place.owner, name) in view.bindings:
            definition = view.definitions.get(place.owner)
            is_class = definition is not None and definition.kind is MethodKind.CLASS
            return Slot(place.path, place.owner, ATTRIBUTE + name if is_class else name)
        for owner in (place.owner, MODULE_QUALNAME):
            for fact in view.imports.get((owner, name), ()):
                module = self._resolver.modules.target(fact, place.path)
                if module is not None and fact.name:
                    return Slot(module, MODULE_QUALNAME, fact.name)
        return Slot(place.path, MODULE_QUALNAME, name) if (MODULE_QUALNAME, name) in view.bindings else None

    def attribute(self, holder: Value, name: str) -> Iterable[Value]:
        """What an attribute of a value may be."""
        match holder:
            case ModuleEntity():
                entity = self._resolver.module_attribute(holder.path, name)
                at = Place(holder.path, MODULE_QUALNAME)
                return self._known(entity, "", at) if entity else self._read(Slot(holder.path, MODULE_QUALNAME, name))
            case ClassEntity() | InstanceEntity() | Made():
                return self._of_class(holder, name)
            case _:
                return ()

    def _of_class(self, holder: ClassEntity | InstanceEntity | Made, name: str) -> Iterable[Value]:
        cls = holder if isinstance(holder, ClassEntity) else holder.cls
        member = self._resolver.member(cls, name)
        if isinstance(member, FunctionEntity):
            if self._resolver.definition(member).is_property:
                known = self._resolver.value(member)
                at = Place(member.path, member.qualname)
                return self._known(known, "", at) if known else self._read(Slot(member.path, member.qualname, RETURNED))
            return {member} if not isinstance(holder, InstanceEntity) else self._families.dispatched(cls, name)
        if isinstance(member, ClassEntity | InstanceEntity | ModuleEntity):
            return {member}
        return self._field(cls, name)

    def _field(self, cls: ClassEntity, name: str) -> Iterable[Value]:
        if self._current >= 0:
            self._readers[name].add(self._current)
        own = self._resolver.order(cls)
        found: dict[Value, None] = {}
        for other in self._fields.get(name, ()):
            if other in own or cls in self._resolver.order(other):
                found.update(self._held[Slot(other.path, other.qualname, ATTRIBUTE + name)])
        return found

    def _results(self, text: str, place: Place) -> Iterable[Value]:
        """What calling a chain may give."""
        found: dict[Value, None] = {}
        for callee in self._chain(text, place):
            match callee:
                case ClassEntity():
                    found[Made(callee)] = None
                case Nested():
                    found.update(
                        dict.fromkeys(self._read(Slot(callee.at.path, callee.at.owner, RETURNED, callee.inner.place)))
                    )
                case FunctionEntity():
                    found.update(dict.fromkeys(self._read(Slot(callee.path, callee.qualname, RETURNED))))
                case InstanceEntity() | Made():
                    member = self._resolver.member(callee.cls, "__call__")
                    if isinstance(member, FunctionEntity):
                        found.update(dict.fromkeys(self._read(Slot(member.path, member.qualname, RETURNED))))
        head, _, name = text.rpartition(".")
        if not found and head and name in _GIVING:
            return self._chain(head, place)
        return found

    def _got(self, term: Got, place: Place) -> Iterator[Value]:
        """The attributes that ``getattr`` may give, by all names that may be asked for."""
        names = [value for value in self._all(term.name, place) if isinstance(value, Text)]
        for holder in self._all(term.of, place):
            if isinstance(holder, ModuleEntity):
                for name in names:
                    if name.whole:
                        yield from self.attribute(holder, name.text)
            elif isinstance(holder, ClassEntity | InstanceEntity | Made):
                cls = holder if isinstance(holder, ClassEntity) else holder.cls
                for name in names:
                    if name.whole:
                        yield from self.attribute(holder, name.text)
                    else:
                        for full in self._families.names_of(cls, (name.text,)):
                            yield from self._families.dispatched(cls, full)
