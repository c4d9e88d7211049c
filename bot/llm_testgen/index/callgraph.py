"""Which function of a project may call which, more fully than the edges that an update writes.

Beside what names lead to, it knows what Python calls unseen (``with``, operators, ``len``), which overrides in
subclasses a call may reach, what is handed over to where it is called, and, where an object's class is unknown, which
classes have a method of that name if they are of one family. Nothing of it is stored: it is made from the texts in the
index when it is asked for.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from llm_testgen.index.entities import ClassEntity, Entity, FunctionEntity, InstanceEntity, SuperEntity, enclosing
from llm_testgen.index.expressions import chain
from llm_testgen.index.facts import CALLED, BindingKind, is_unknown, last_name
from llm_testgen.index.families import Families
from llm_testgen.index.flows import MOST, Flows
from llm_testgen.index.moves import Moves, moves_of
from llm_testgen.index.resolve import Resolver
from llm_testgen.index.sites import Site, SiteKind, sites
from llm_testgen.index.terms import Parameters, parameters
from llm_testgen.index.values import Made, Nested, Place
from llm_testgen.paths import is_test, is_tooling
from llm_testgen.records import MODULE_QUALNAME, MethodKind
from llm_testgen.source import DefinitionNode, FunctionNode, SourceError, parse


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call of one function of the project by another.

    Attributes:
        path: File of the caller.
        qualname: The caller.
        line: Where it calls.
        target_path: File of the callee.
        target: The callee.
    """

    path: str
    qualname: str
    line: int
    target_path: str
    target: str


def call_graph(resolver: Resolver, texts: Mapping[str, Callable[[], str]]) -> tuple[FunctionCall, ...]:
    """The calls between functions of product files, by file and line, each once for each line.

    Args:
        resolver: Resolves in the tree.
        texts: Gives the text of each file.
    """
    paths = [path for path in sorted(texts) if not is_test(path) and not is_tooling(path)]
    nodes = {path: list(_definitions(texts[path]())) for path in paths}
    functions = {path: [(name, node) for name, node in nodes[path] if isinstance(node, FunctionNode)] for path in paths}
    stubs = {
        (path, qualname) for path in paths for qualname, node in functions[path] if "." in qualname and _is_stub(node)
    }
    families = Families(resolver, paths, texts, stubs)
    flows = _flows(resolver, families, nodes)
    found: dict[FunctionCall, None] = {}
    for path in paths:
        for qualname, node in functions[path]:
            caller = _Caller(resolver, families, flows, path, qualname)
            for site in sites(node):
                for target in caller.targets(site):
                    if not families.is_stand_in(target):
                        found[FunctionCall(path, qualname, site.line, target.path, target.qualname)] = None
    return tuple(found)


def _definitions(text: str) -> Iterator[tuple[str, DefinitionNode | ast.Module]]:
    try:
        module = parse("", text.encode("utf-8", "surrogatepass"))
    except SourceError:
        return
    for definition in module.definitions:
        yield definition.method.qualname, definition.node


def _flows(
    resolver: Resolver, families: Families, nodes: Mapping[str, Sequence[tuple[str, DefinitionNode | ast.Module]]]
) -> Flows:
    moves: dict[Place, Moves] = defaultdict(Moves)
    signatures: dict[Place, Parameters] = {}
    for path, named in nodes.items():
        for qualname, node in named:
            place = Place(path, qualname)
            try:
                moved = moves_of(node)
            except RecursionError:  # a deeply nested expression hands nothing over that is worth more
                moved = Moves()
            moves[place].moves.extend(moved.moves)
            moves[place].calls.extend(moved.calls)
            if isinstance(node, FunctionNode):
                signatures[place] = parameters(node.args)
    return Flows(resolver, families, moves, signatures)


def _is_stub(node: FunctionNode) -> bool:
    """Whether a method only says that heirs have to define it."""
    if any(chain(decorator).rpartition(".")[2].startswith("abstract") for decorator in node.decorator_list):
        return True
    body = [one for one in node.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
    if len(body) != 1 or not isinstance(body[0], ast.Raise) or body[0].exc is None:
        return not body
    return chain(body[0].exc).removesuffix(CALLED) == "NotImplementedError"


class _Caller:
    """What the places in one function lead to."""

    def __init__(self, resolver: Resolver, families: Families, flows: Flows, path: str, qualname: str) -> None:
        self._resolver = resolver
        self._flows = flows
        self._place = Place(path, qualname)
        self._own_function = FunctionEntity(path, qualname)
        around = resolver.view(path).definitions.get(enclosing(qualname))
        is_method = around is not None and around.kind is MethodKind.CLASS
        self._cls = ClassEntity(path, enclosing(qualname)) if is_method else None
        self._families = families
        self._path = path
        self._qualname = qualname

    def targets(self, site: Site) -> list[FunctionEntity]:
        """The functions that may be called there."""
        match site.kind:
            case SiteKind.CALL:
                return self._called(site.text) or self._handed(site)
            case SiteKind.ATTRIBUTE:
                return self._read(site.text)
            case SiteKind.PASSED:
                return self._passed(site)
            case SiteKind.PROTOCOL:
                return self._asked(site)

    def _evaluate(self, text: str) -> Entity | None:
        return None if is_unknown(text) else self._resolver.evaluate(text, self._path, self._qualname)

    def _called(self, text: str) -> list[FunctionEntity]:
        head, _, name = text.rpartition(".")
        if head:
            dispatched = self._dispatched(head, name, called=True)
            if dispatched is not None:
                return dispatched
        entity = self._evaluate(text)
        if isinstance(entity, FunctionEntity):
            return self._families.overrides(entity) or [entity]
        if isinstance(entity, ClassEntity):
            return self._made(entity)
        if isinstance(entity, InstanceEntity):
            return self._families.dispatched(entity.cls, "__call__")
        return self._families.named(name, called=True) if head and self._may_be_ours(head) else []

    def _handed(self, site: Site) -> list[FunctionEntity]:
        """What has come from elsewhere to where it is called."""
        found: dict[FunctionEntity, None] = {}
        for value in self._flows.called(self._place, site.line, site.text):
            match value:
                case FunctionEntity() if self._may_be_of_self(value):
                    found[FunctionEntity(value.path, value.qualname)] = None
                case Nested() if value.at != self._place and self._flows.is_function(value.at):
                    found[FunctionEntity(value.at.path, value.at.owner)] = None
                case ClassEntity():
                    found.update(dict.fromkeys(self._made(value)))
                case InstanceEntity():
                    found.update(dict.fromkeys(self._families.dispatched(value.cls, "__call__")))
                case Made():
                    member = self._resolver.member(value.cls, "__call__")
                    found.update({member: None} if isinstance(member, FunctionEntity) else {})
        targets = self._families.without_stubs(found)
        return sorted(targets, key=lambda one: (one.path, one.qualname)) if len(targets) <= MOST else []

    def _may_be_of_self(self, function: FunctionEntity) -> bool:
        """Whether a method of this method's family is one of an object that has this method, and not an override."""
        if function.receiver is None or not self._cls:
            return True
        return self._families.share_object(self._cls, self._own_function, function)

    def _made(self, cls: ClassEntity) -> list[FunctionEntity]:
        members = (self._resolver.member(cls, name) for name in ("__new__", "__init__", "__post_init__"))
        return [member for member in members if isinstance(member, FunctionEntity)]

    def _read(self, text: str) -> list[FunctionEntity]:
        head, _, name = text.rpartition(".")
        dispatched = self._dispatched(head, name, called=False)
        if dispatched is not None:
            return dispatched
        return self._families.named(name, called=False) if self._may_be_ours(head) else []

    def _dispatched(self, head: str, name: str, *, called: bool) -> list[FunctionEntity] | None:
        """What a method or property of an object leads to; None when it is no known object."""
        entity = self._resolver.value(self._evaluate(head))
        if isinstance(entity, SuperEntity):
            return None if called else []
        if isinstance(entity, InstanceEntity):
            cls = entity.cls
        elif isinstance(entity, ClassEntity) and self._is_receiver(head):
            cls = entity
        else:
            return [] if entity is not None and not called else None
        exact = self._is_new(head)
        if exact:
            member = self._resolver.member(cls, name)
            functions = [member] if isinstance(member, FunctionEntity) else []
        else:
            functions = self._families.dispatched(cls, name, within=self._own(head))
        fitting = [one for one in functions if self._resolver.definition(one).is_property is not called]
        if fitting:
            return fitting
        return None if called else []

    def _own(self, head: str) -> FunctionEntity | None:
        """The method itself, where the object is the one that it is called on."""
        facts = self._resolver.view(self._path).bindings.get((self._qualname, head), [])
        own = {BindingKind.INSTANCE, BindingKind.CLASS}
        return FunctionEntity(self._path, self._qualname) if {fact.kind for fact in facts} & own else None

    def _is_receiver(self, head: str) -> bool:
        facts = self._resolver.view(self._path).bindings.get((self._qualname, head), [])
        return any(fact.kind is BindingKind.CLASS for fact in facts)

    def _is_new(self, head: str) -> bool:
        """Whether an object was made here, so that its class is known and no heir of it."""
        if head.endswith(CALLED):
            return isinstance(self._evaluate(head.removesuffix(CALLED)), ClassEntity)
        facts = self._resolver.view(self._path).bindings.get((self._qualname, head), [])
        return bool(facts) and all(
            fact.kind is BindingKind.VALUE and fact.value.endswith(CALLED) and self._is_new(fact.value)
            for fact in facts
        )

    def _passed(self, site: Site) -> list[FunctionEntity]:
        """A function that is given to code of others is called by it, as it seems to the profiler, from here."""
        if site.called and self._evaluate(site.called) is not None:
            return []
        entity = self._evaluate(site.text)
        is_function = isinstance(entity, FunctionEntity) and not self._resolver.definition(entity).is_property
        return [entity] if is_function and isinstance(entity, FunctionEntity) else []

    def _asked(self, site: Site) -> list[FunctionEntity]:
        entity = self._resolver.value(self._evaluate(site.text))
        if not isinstance(entity, InstanceEntity):
            return []
        names = site.protocols if self._families.is_complete(entity.cls) else site.protocols[:1]
        for name in names:
            if self._is_new(site.text):
                members = [self._resolver.member(entity.cls, name)]
            else:
                members = [*self._families.dispatched(entity.cls, name, within=self._own(site.text))]
            found = [member for member in members if isinstance(member, FunctionEntity)]
            if found:
                return found
        return []

    def _may_be_ours(self, head: str) -> bool:
        """Whether an unknown object may be one of the project's: not what is imported from elsewhere, nor a literal."""
        if self._evaluate(head) is not None:
            return False
        name = head.partition(".")[0].rstrip("()[]")
        view = self._resolver.view(self._path)
        imported = (self._qualname, name) in view.imports or (MODULE_QUALNAME, name) in view.imports
        return not imported and last_name(head) != "super"
