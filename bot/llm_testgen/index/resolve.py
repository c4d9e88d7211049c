"""Chains of names to what they stand for in one tree.

Nothing is guessed: a name that leads out of the project, or to several things, leads nowhere. Types come from
annotations, from constructor calls and from what functions return; the last value is not told from the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from llm_testgen.index.entities import (
    ClassEntity,
    Entity,
    FunctionEntity,
    InstanceEntity,
    ModuleEntity,
    ModuleView,
    SuperEntity,
    YieldsEntity,
    enclosing,
)
from llm_testgen.index.facts import (
    RETURNED,
    STAR,
    YIELDED,
    BindingFact,
    BindingKind,
    BlobFacts,
    DefinitionFact,
    ImportFact,
)
from llm_testgen.index.fixtures import requested
from llm_testgen.index.hierarchy import linearize
from llm_testgen.index.modules import ModuleMap
from llm_testgen.records import MODULE_QUALNAME, MethodKind

_MAX_DEPTH = 40  # each step takes a handful of Python's own frames
Known = dict[str, Entity | None]  # chains, in one definition of one file
_SELF_RESULTS = frozenset({"self", "cls", "cls()", "self.__class__()"})


class Resolver:
    """Resolves names in one tree; what it has found out is kept, so it serves one tree only."""

    def __init__(self, modules: ModuleMap, load: Callable[[str], BlobFacts]) -> None:
        """Resolve between the modules of a tree; ``load`` gives the facts of one of its files."""
        self.modules = modules
        self._load = load
        self._views: dict[str, ModuleView] = {}
        self._scopes: dict[tuple[str, str], Known] = {}
        self._names: dict[tuple[str, str], Entity | None] = {}
        self._orders: dict[ClassEntity, tuple[ClassEntity, ...]] = {}
        self._members: dict[tuple[ClassEntity, str], Entity | None] = {}
        self._results: dict[FunctionEntity, Entity | None] = {}
        self.fixtures: dict[str, dict[str, FunctionEntity]] = {}  # of files, as `fixtures` finds them
        self._depth = 0

    def view(self, path: str) -> ModuleView:
        """A file's facts by name; empty for a namespace package."""
        if path not in self._views:
            self._views[path] = ModuleView(BlobFacts() if path.endswith("/") else self._load(path))
        return self._views[path]

    def expressions(self, path: str) -> Mapping[str, Sequence[str]]:
        """What each definition of a file calls, reads and sets."""
        return self._load(path).expressions

    def evaluate(self, chain: str, path: str, owner: str) -> Entity | None:
        """What a chain stands for inside a definition of a file."""
        known = self._scopes.get((path, owner))
        if known is None:
            known = self._scopes[path, owner] = {}
        return known[chain] if chain in known else self._find_out(chain, path, owner, known)

    def _find_out(self, chain: str, path: str, owner: str, known: Known) -> Entity | None:
        """What a chain stands for, that is then known in its scope."""
        if self._depth >= _MAX_DEPTH:
            return None
        known[chain] = None  # an expression that leads back to itself leads nowhere
        self._depth += 1
        entity = known[chain] = self._evaluate(chain, path, owner, known)
        self._depth -= 1
        return entity

    def order(self, cls: ClassEntity) -> tuple[ClassEntity, ...]:
        """The method resolution order over the classes of the project, the class itself first."""
        if cls not in self._orders:
            self._orders[cls] = (cls,)  # a class that inherits from itself
            bases = self.bases(cls)
            self._orders[cls] = linearize(cls, bases, [self.order(base) for base in bases])
        return self._orders[cls]

    def bases(self, cls: ClassEntity) -> tuple[ClassEntity, ...]:
        """The direct bases that are classes of the project."""
        definition = self.view(cls.path).definitions.get(cls.qualname)
        chains = definition.bases if definition else ()
        found = (self.evaluate(chain, cls.path, enclosing(cls.qualname)) for chain in chains)
        return tuple(dict.fromkeys(base for base in found if isinstance(base, ClassEntity) and base != cls))

    def imported(self, fact: ImportFact, path: str) -> Entity | None:
        """What the name bound by an import statement stands for."""
        if not fact.name:
            top = fact.module.partition(".")[0]
            found = self.modules.find(top if fact.bound == top else fact.module, path)
            return ModuleEntity(found) if found else None
        module = self.modules.target(fact, path)
        if module is None or fact.name == STAR:
            return None
        entity = None if module == path else self.module_attribute(module, fact.name)
        return entity or self._submodule(module, fact.name)

    def module_attribute(self, path: str, name: str) -> Entity | None:
        """What a name stands for at the top level of a module."""
        key = (path, name)
        if key not in self._names:
            self._names[key] = None  # modules that import a name from each other
            self._names[key] = self._module_attribute(path, name)
        return self._names[key]

    def _evaluate(self, chain: str, path: str, owner: str, known: Known) -> Entity | None:
        if chain == "super()":
            method = self.view(path).definitions[owner]
            inside = method.kind is MethodKind.METHOD
            return SuperEntity(ClassEntity(path, enclosing(owner))) if inside else None
        last = chain[-1]
        if last in ")]":
            inner = chain[:-2]
            name = ""
        else:
            inner, dot, name = chain.rpartition(".")
            if not dot:
                return self._name(name, path, owner)
        entity = known[inner] if inner in known else self._find_out(inner, path, owner, known)
        if entity is None:
            return None
        if last == "]":
            return entity if isinstance(entity, ClassEntity) else None
        entity = self.value(entity)
        return self._attribute(entity, name) if name else self._result_of(entity)

    def _name(self, name: str, path: str, owner: str) -> Entity | None:
        view = self.view(path)
        if owner != MODULE_QUALNAME:
            if (owner, name) in view.imports:
                return self._first_import(view.imports[owner, name], path)
            member = view.definitions.get(f"{owner}.{name}")
            if member is not None:
                return _defined(path, member)
            if (owner, name) in view.bindings:
                return self._bound(view.bindings[owner, name], path, strict=True)
        return self.module_attribute(path, name)

    def _module_attribute(self, path: str, name: str) -> Entity | None:
        view = self.view(path)
        definition = view.definitions.get(name)
        if definition is not None and name != MODULE_QUALNAME:
            return _defined(path, definition)
        if (MODULE_QUALNAME, name) in view.imports:
            return self._first_import(view.imports[MODULE_QUALNAME, name], path)
        if (MODULE_QUALNAME, name) in view.bindings:
            return self._bound(view.bindings[MODULE_QUALNAME, name], path, strict=True)
        if not name.startswith("_"):
            for star in reversed(view.stars):
                module = self.modules.target(star, path)
                entity = self.module_attribute(module, name) if module and star.bound == STAR else None
                if entity is not None:
                    return entity
        return self._submodule(path, name)

    def _first_import(self, facts: Iterable[ImportFact], path: str) -> Entity | None:
        return next((entity for fact in facts if (entity := self.imported(fact, path)) is not None), None)

    def _submodule(self, package: str, name: str) -> ModuleEntity | None:
        found = self.modules.submodule(package, name)
        return ModuleEntity(found) if found else None

    def _attribute(self, entity: Entity | None, name: str) -> Entity | None:
        match entity:
            case ModuleEntity():
                return self.module_attribute(entity.path, name)
            case ClassEntity():
                return self.member(entity, name)
            case InstanceEntity():
                return self.member(entity.cls, name)
            case SuperEntity():
                ancestors = self.order(entity.cls)[1:]
                return self._lookup(ancestors, name, entity.cls)
            case _:
                return None

    def member(self, cls: ClassEntity, name: str) -> Entity | None:
        """What an attribute of a class or of its instances stands for."""
        key = (cls, name)
        if key not in self._members:
            self._members[key] = None  # an attribute that is assigned from itself
            self._members[key] = self._lookup(self.order(cls), name, cls)
        return self._members[key]

    def _lookup(self, order: Iterable[ClassEntity], name: str, receiver: ClassEntity) -> Entity | None:
        for cls in order:
            view = self.view(cls.path)
            definition = view.definitions.get(f"{cls.qualname}.{name}")
            if definition is not None:
                return _defined(cls.path, definition, receiver)
            for facts in (view.bindings.get((cls.qualname, name)), view.attributes.get((cls.qualname, name))):
                entity = self._bound(facts, cls.path, strict=False) if facts else None
                if entity is not None:
                    return entity
        return None

    def _bound(self, facts: list[BindingFact], path: str, *, strict: bool) -> Entity | None:
        """The one thing that a name is bound to; ``strict`` when an unknown binding makes all uncertain."""
        for fact in facts:
            if fact.kind is BindingKind.ANNOTATION:
                return self._annotated(fact.value, path, fact.owner)
        if strict and any(fact.kind is BindingKind.VALUE and not fact.value for fact in facts):
            return None
        known = [entity for fact in facts if fact.value != "None" for entity in self._possible(fact, path)]
        if strict and None in known:
            return None
        distinct = {entity for entity in known if entity is not None}
        return distinct.pop() if len(distinct) == 1 else None

    def _possible(self, fact: BindingFact, path: str) -> set[Entity | None]:
        """What one binding may give; None when nothing is known of it."""
        match fact.kind:
            case BindingKind.INSTANCE:
                return {InstanceEntity(ClassEntity(path, enclosing(fact.owner)))}
            case BindingKind.CLASS:
                return {ClassEntity(path, enclosing(fact.owner))}
            case BindingKind.PARAMETER:
                fixture = requested(self, fact.name, path, fact.owner)
                return {self._given(fixture) if fixture else None}
        texts = [text for text in fact.value.split("|") if text != "None"]
        entities = {self.value(self.evaluate(text, path, fact.owner)) for text in texts if text}
        if fact.kind is BindingKind.ENTERED:
            entities = {self._entered(entity) for entity in entities}
        return (entities - {None}) or {None}

    def _annotated(self, text: str, path: str, owner: str) -> Entity | None:
        inner = text.partition("[")[2].removesuffix("]")
        if text.startswith("type["):
            entity = self.evaluate(inner, path, owner)
            return entity if isinstance(entity, ClassEntity) else None
        if text.startswith("yields["):
            item = self._annotated(inner, path, owner)
            return YieldsEntity(item) if item else None
        if text.rpartition(".")[2] == "Self":
            return InstanceEntity(ClassEntity(path, enclosing(owner)))
        entity = self.evaluate(text, path, owner) if text else None
        return InstanceEntity(entity) if isinstance(entity, ClassEntity) else None

    def value(self, entity: Entity | None) -> Entity | None:
        """What reading an attribute gives: of a property that is what its function returns."""
        if isinstance(entity, FunctionEntity) and self.definition(entity).is_property:
            return self._result(entity)
        return entity

    def _result_of(self, entity: Entity | None) -> Entity | None:
        match entity:
            case ClassEntity():
                return InstanceEntity(entity)
            case FunctionEntity():
                return self._result(entity)
            case InstanceEntity():
                method = self.member(entity.cls, "__call__")
                return self._result(method) if isinstance(method, FunctionEntity) else None
            case _:
                return None

    def _result(self, function: FunctionEntity) -> Entity | None:
        """What a call of a function gives."""
        if function not in self._results:
            self._results[function] = None  # functions that return each other's results
            self._results[function] = self._computed_result(function)
        return self._results[function]

    def _computed_result(self, function: FunctionEntity) -> Entity | None:
        definition, view = self.definition(function), self.view(function.path)
        if definition.is_context_manager:
            item = self._yielded(function)
            return YieldsEntity(item) if item else None
        returned = view.bindings.get((function.qualname, RETURNED), [])
        own = definition.returns.rpartition(".")[2] == "Self" or (
            not definition.returns and {fact.value for fact in returned} & _SELF_RESULTS == {f.value for f in returned}
        )
        if function.receiver is not None and own and (returned or definition.returns):
            is_class = {fact.value for fact in returned} == {"cls"}
            return function.receiver if is_class else InstanceEntity(function.receiver)
        if definition.returns:
            return self._annotated(definition.returns, function.path, function.qualname)
        return self._bound(returned, function.path, strict=True)

    def _yielded(self, function: FunctionEntity) -> Entity | None:
        returns = self.definition(function).returns
        if returns:
            entity = self._annotated(returns, function.path, function.qualname)
            return entity.item if isinstance(entity, YieldsEntity) else None
        facts = self.view(function.path).bindings.get((function.qualname, YIELDED), [])
        return self._bound(facts, function.path, strict=True)

    def _given(self, fixture: FunctionEntity) -> Entity | None:
        """What a test gets from a fixture."""
        return self._yielded(fixture) or self._result(fixture)

    def _entered(self, entity: Entity | None) -> Entity | None:
        """What ``with … as`` binds."""
        if isinstance(entity, YieldsEntity):
            return entity.item
        if not isinstance(entity, InstanceEntity):
            return None
        method = self.member(entity.cls, "__enter__") or self.member(entity.cls, "__aenter__")
        return self._result(method) if isinstance(method, FunctionEntity) else entity

    def definition(self, function: FunctionEntity) -> DefinitionFact:
        """The facts of a function."""
        return self.view(function.path).definitions[function.qualname]


def _defined(path: str, definition: DefinitionFact, receiver: ClassEntity | None = None) -> Entity:
    if definition.kind is MethodKind.CLASS:
        return ClassEntity(path, definition.qualname)
    return FunctionEntity(path, definition.qualname, receiver)
