"""What a name or an expression of a module may stand for, read from its text alone.

Every expression has a set of values: strings, where the text tells them, and the dotted names of what it leads to,
such as ``os._exit`` for ``getattr(os, "_" + "exit")``. Followed are imports, assignments, attributes, items of
namespaces, and the calls that look a name up or leave a text as it is. It errs on the side of too many: what happens
first, or at all, is not asked. The work is bounded, whatever the module.
"""

from __future__ import annotations

import ast
import builtins
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, product

from llm_testgen.scopes import OWN_MODULE, PARAMETER, Bindings, Located, Scope, elements

# What is among the dotted names of an expression when they do not tell all, beside `PARAMETER`.
UNKNOWN = "?"  # an object that is not known; begins the names of its members
NUMBER = "#"  # a number that the module makes up, greater than the descriptors of the standard streams
# The name of a member or an item that is not known.
COMPUTED = "<computed>"

# Functions that look names up.
GETTERS = frozenset({"builtins.getattr", "inspect.getattr_static"})
_MEMBER_GETTERS = frozenset({"operator.attrgetter", "operator.methodcaller"})
_NAMESPACES = frozenset({"builtins.globals", "builtins.locals", "builtins.vars"})
_IMPORTERS = frozenset(
    {"builtins.__import__", "importlib.__import__", "importlib.import_module", "pytest.importorskip"}
)
# Functions that leave a text as it is, and such as give numbers.
_TRANSPARENT = frozenset({"ast.parse", "builtins.compile", "inspect.cleandoc", "textwrap.dedent"})
_NUMBERS = frozenset({"builtins.int", "builtins.range"})
# Parameters of the functions looked at that may be given by their names as well.
_POSITIONAL = frozenset(
    {"attribute", "dic", "fd", "fd2", "file", "in_dict", "name", "obj", "target", "values"},
)

_STANDARD_ERROR = 2
_REPR_CONVERSION = ord("r")
_MOST_STEPS = 40_000  # in following names; an honest candidate needs some hundred
_MOST_VALUES = 3_000  # of one name
_MOST_TEXTS = 60  # of one name or expression
_LONGEST_TEXT = 20_000
_LONGEST_TAIL = 3  # parts of a dotted name


class ObscureError(Exception):
    """The names of a module cannot be followed with reasonable effort."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A string as a value, to tell it from a dotted name."""

    text: str


_Value = str | _Text
_NO_VALUES: frozenset[_Value] = frozenset()
# What stands for the `repr` of the project's objects, which tests like to evaluate.
_REPR = _Text("None")


class Names:
    """What the expressions of a module may stand for, over all that its names are bound to anywhere.

    Attributes:
        root: The scope of the module itself.
        nodes: Its nodes in the order of the text, each with the scope that it stands in.
    """

    def __init__(self, tree: ast.Module) -> None:
        """Follow the names of a module.

        Raises:
            ObscureError: That takes too much work; any other method raises it too.
            RecursionError: The tree is nested too deeply; any other method raises it too.
        """
        self._bindings = Bindings()
        self._known: dict[tuple[str, Scope], frozenset[_Value]] = {}
        self._cache: dict[tuple[ast.expr, Scope], frozenset[_Value]] = {}
        self._steps = 0
        self._own_repr = any(getattr(node, "name", getattr(node, "id", "")) == "__repr__" for node in ast.walk(tree))
        self.root = self._bindings.root
        self.nodes = self.add(tree, self.root)

    def add(self, tree: ast.AST, scope: Scope) -> list[Located]:
        """Take in code that is executed in a scope; its nodes as in `nodes`."""
        nodes = self._bindings.add(tree, scope)
        while self._learn({inner: None for _, inner in nodes}):
            pass
        return nodes

    def dotted(self, node: ast.expr, scope: Scope) -> frozenset[str]:
        """The dotted names that an expression may stand for, `UNKNOWN`, `NUMBER` and `PARAMETER` among them."""
        return frozenset(value for value in self._values(node, scope) if isinstance(value, str))

    def texts(self, node: ast.expr, scope: Scope) -> frozenset[str]:
        """The strings that an expression may stand for."""
        return _texts(self._values(node, scope))

    def keys(self, node: ast.expr, scope: Scope) -> frozenset[str]:
        """The strings that an expression may give, as the name of a member or as code.

        That is any string of the module for a parameter, and `COMPUTED` among them if the text does not tell all.
        """
        names, texts = self.dotted(node, scope), self.texts(node, scope)
        if PARAMETER in names:
            texts |= self._bindings.texts
        # A builtin's name is there because an assignment of the module hides it: no string is lost by it.
        if not texts or any(not name.startswith("builtins.") for name in names - {PARAMETER}):
            texts |= {COMPUTED}
        return texts

    def members(self, owner: ast.expr, names: Iterable[str], scope: Scope) -> Iterator[str]:
        """The dotted names of an object's members; of long ones the beginning and the end."""
        for one, name in product(self._objects(owner, scope), names):
            self._spend(1)
            first, *rest = f"{one}.{name}".split(".")
            yield ".".join([first, *rest[-_LONGEST_TAIL:]])

    def items(self, mapping: ast.expr, keys: Iterable[str], scope: Scope) -> Iterator[str]:
        """The dotted names of a mapping's items, if it is the namespace of an object, or ``sys.modules``."""
        names = self.dotted(mapping, scope) | self.texts(mapping, scope)  # `patch.dict` takes a mapping's name as text
        spaces = {name.removesuffix("__dict__") for name in names if name.endswith(".__dict__")}
        if "sys.modules" in names:
            spaces.add("")
        return (f"{space}{key}" for space, key in product(spaces, keys))

    def origins(self, node: ast.expr, scope: Scope) -> Iterator[ast.AST]:
        """Every node of an expression and of all that the names in it are bound to."""
        seen: set[tuple[str, Scope]] = set()
        waiting = [(node, scope)]
        while waiting:
            expression, where = waiting.pop()
            for part in ast.walk(expression):
                yield part
                if not isinstance(part, ast.Name):
                    continue
                owner = where.owner(part.id)
                if owner and (part.id, owner) not in seen:
                    seen.add((part.id, owner))
                    waiting += [one for one in owner.bound[part.id] if not isinstance(one, str)]

    def _learn(self, scopes: Iterable[Scope]) -> bool:
        """Evaluate what every name of some scopes is bound to, by what is known so far; tells whether that is new."""
        self._cache.clear()
        learned = False
        for scope in scopes:
            for name, bound in scope.bound.items():
                known = self._known.get((name, scope), _NO_VALUES)
                values = known.union(*([one] if isinstance(one, str) else self._values(*one) for one in bound))
                if len(_texts(values)) > _MOST_TEXTS:
                    values = known | {value for value in values if isinstance(value, str)} | {UNKNOWN}
                if len(values) > _MOST_VALUES:
                    raise ObscureError
                self._known[name, scope] = values
                learned |= len(values) > len(known)
        return learned

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > _MOST_STEPS:
            raise ObscureError

    def _objects(self, node: ast.expr, scope: Scope) -> frozenset[str]:
        """The dotted names of objects that may have members and items."""
        return self.dotted(node, scope) - {PARAMETER, NUMBER} or frozenset({UNKNOWN})

    def _values(self, node: ast.expr, scope: Scope) -> frozenset[_Value]:
        """All that an expression may stand for."""
        if (node, scope) not in self._cache:
            self._spend(1)
            values = frozenset(self._each_value(node, scope))
            surplus = frozenset(map(_Text, sorted(_texts(values))[_MOST_TEXTS:]))
            self._cache[node, scope] = values - surplus | {UNKNOWN} if surplus else values
        return self._cache[node, scope]

    def _each_value(self, node: ast.expr, scope: Scope) -> Iterator[_Value]:
        match node:
            case ast.Constant(value=str(text)):
                yield _Text(text)
            case ast.Constant(value=int(number)) if number > _STANDARD_ERROR:
                yield NUMBER
            case ast.Name(id=name):
                yield from self._named(name, scope)
            case ast.Attribute(value=value, attr=attr):
                yield from self.members(value, [attr], scope)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
                yield from self._joined("", [left, right], scope)
            case ast.JoinedStr(values=parts):
                yield from self._joined("", parts, scope)
            case ast.Subscript():
                yield from self._item(node, scope)
            case ast.Call():
                yield from self._result(node, scope)
            case ast.FormattedValue(conversion=conversion) if conversion == _REPR_CONVERSION and not self._own_repr:
                yield _REPR
            case _:
                parts = alternatives(node)
                yield from chain(*(self._values(part, scope) for part in parts)) if parts else [UNKNOWN]

    def _named(self, name: str, scope: Scope) -> Iterator[_Value]:
        owner = scope.owner(name)
        yield from self._known.get((name, owner), _NO_VALUES) if owner else ()
        # A module's own assignment may come after a use of the builtin; an import or a definition stands for the name.
        if not owner or (owner is self.root and not any(isinstance(one, str) for one in owner.bound[name])):
            yield from (f"{module}.{name}" for module in self._bindings.starred)
            if name == "__name__":
                yield _Text(OWN_MODULE)
            elif hasattr(builtins, name) or name == "__builtins__":
                yield f"builtins.{name}"

    def _item(self, node: ast.Subscript, scope: Scope) -> Iterator[_Value]:
        match node.slice:
            case ast.Slice(lower=None, upper=None, step=ast.UnaryOp(op=ast.USub())):
                yield from (_Text(text[::-1]) for text in self.texts(node.value, scope))
            case ast.Slice():
                yield UNKNOWN
            case key:
                items = list(self.items(node.value, self.keys(key, scope), scope))
                yield from items or self._objects(node.value, scope)

    def _result(self, node: ast.Call, scope: Scope) -> Iterator[_Value]:
        """What a call gives: followed are the functions that look names up and those that leave a text as it is."""
        functions = self.dotted(node.func, scope)
        match node.func, positional(node):
            case _, [name, *_] if functions & _IMPORTERS:
                yield from self.keys(name, scope)
            case _, [owner, name, *_] if functions & GETTERS:
                yield from self.members(owner, self.keys(name, scope), scope)
            case _, [owner, *_] if functions & _NAMESPACES:
                yield from self.members(owner, ["__dict__"], scope)
            case _, [] if functions & _NAMESPACES:
                yield f"{OWN_MODULE}.__dict__"
            case _, [text, *_] if functions & _TRANSPARENT:
                keys = self.keys(text, scope)
                yield from (UNKNOWN if key == COMPUTED else _Text(textwrap.dedent(key)) for key in keys)
            case _, _ if functions & _NUMBERS:
                yield NUMBER
            case _, [_] if "builtins.repr" in functions and not self._own_repr:
                yield _REPR
            case ast.Call(func=maker, args=[name, *_]), [owner] if self.dotted(maker, scope) & _MEMBER_GETTERS:
                yield from self.members(owner, self.keys(name, scope), scope)
            case ast.Attribute(value=owner, attr=method), arguments:
                yield from self._method_result(owner, method, arguments, scope)
            case _:
                yield UNKNOWN

    def _method_result(self, owner: ast.expr, method: str, arguments: list[ast.expr], scope: Scope) -> Iterator[_Value]:
        match method, arguments:
            case ("__getattribute__", [name]):
                yield from self.members(owner, self.keys(name, scope), scope)
            case ("__getattribute__", [instance, name]):  # as in `object.__getattribute__(os, "name")`
                yield from self.members(instance, self.keys(name, scope), scope)
            case (("get" | "pop" | "setdefault" | "__getitem__"), [key, *_]):
                yield from list(self.items(owner, self.keys(key, scope), scope)) or [UNKNOWN]
            case ("join", [ast.Tuple(elts=parts) | ast.List(elts=parts)]):
                for glue in self.texts(owner, scope):
                    yield from self._joined(glue, parts, scope)
            case (("strip" | "lstrip" | "rstrip"), []):
                yield from (_Text(text.strip()) for text in self.texts(owner, scope))
            case _:
                yield UNKNOWN

    def _joined(self, glue: str, parts: Iterable[ast.expr], scope: Scope) -> Iterator[_Value]:
        """The texts, or the number, that parts add up to, and `UNKNOWN` if that is not all."""
        joined = [""]
        for position, part in enumerate(parts):
            values = self._values(part, scope)
            texts = sorted(_texts(values))
            longer = [text + (glue if position else "") + more for text, more in product(joined, texts)]
            self._spend(len(longer) // _MOST_TEXTS)
            joined = [text for text in longer if len(text) <= _LONGEST_TEXT][:_MOST_TEXTS]
            if len(texts) < len(values) or not values or len(joined) < len(longer):
                yield UNKNOWN
            if NUMBER in values or (isinstance(part, ast.Constant) and isinstance(part.value, int)):
                yield NUMBER
        yield from map(_Text, joined)


def tails(name: str) -> Iterator[str]:
    """A dotted name from each of its last parts on, as ``os._exit`` of ``parcel.labels._os._exit``."""
    *owners, member = name.split(".")[-_LONGEST_TAIL:]
    return (".".join([owner.lstrip("_") for owner in owners[start:]] + [member]) for start in range(len(owners)))


def positional(node: ast.Call) -> list[ast.expr]:
    """The arguments of a call in their order, also those that it displays behind a star or gives by their names."""
    given = [part for one in node.args for part in (elements(one.value) if isinstance(one, ast.Starred) else [one])]
    return given + [keyword.value for keyword in node.keywords if keyword.arg in _POSITIONAL]


def alternatives(node: ast.expr) -> list[ast.expr]:
    """The expressions of which another one gives one, or of which it displays all."""
    match node:
        case ast.NamedExpr(value=value) | ast.Starred(value=value) | ast.Await(value=value):
            return [value]
        case ast.FormattedValue(value=value, format_spec=None):
            return [value]
        case ast.IfExp(body=body, orelse=other):
            return [body, other]
        case ast.BoolOp(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return parts
        case ast.Dict(values=parts):
            return parts
    return []


def _texts(values: Iterable[_Value]) -> frozenset[str]:
    return frozenset(value.text for value in values if isinstance(value, _Text))
