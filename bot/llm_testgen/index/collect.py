"""A file's tree to its definitions, and the imports, bindings and calls of each, in one walk.

Functions nested in a function belong to it: their calls count as its own, and the names that they bind hide
outer ones, since a wrong resolution costs more than a missing one.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from llm_testgen.index.expressions import alternatives, chain, is_known, type_text
from llm_testgen.index.facts import (
    ATTRIBUTE,
    CALLED,
    PYTEST_PLUGINS,
    RETURNED,
    STAR,
    YIELDED,
    BindingFact,
    BindingKind,
    ImportFact,
)
from llm_testgen.index.part import Part
from llm_testgen.records import MODULE_QUALNAME, MethodKind
from llm_testgen.source import DefinitionNode, FunctionNode

_CLASS_RECEIVERS = frozenset({"__new__", "__init_subclass__", "__class_getitem__"})
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def collect(tree: ast.Module) -> list[Part]:
    """Every addressable definition of a file, the module first, with what is its own and not of one inside it."""
    found: list[Part] = []
    module = _Collector(Part(MODULE_QUALNAME, tree, MethodKind.MODULE), found)
    module.visit_all(tree.body)
    return found


class _Collector:
    def __init__(self, part: Part, found: list[Part]) -> None:
        """Fill a part; it and those of the definitions inside it are added to ``found``."""
        found.append(part)
        self.found = found
        self.kind = part.kind
        self.owner = part.owner
        self.imports = part.imports
        self.bindings = part.bindings
        self.expressions = part.expressions
        self._in_function = part.kind in {MethodKind.FUNCTION, MethodKind.METHOD}
        self._receiver = ""
        self._depth = 0
        self._globals: set[str] = set()

    def visit(self, node: ast.AST) -> None:
        """Collect from a node and what lies below it."""
        kind = node.__class__
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, node)
        elif kind not in _LEAVES:
            for name in _fields(kind):
                child = getattr(node, name)
                if child.__class__ is list:
                    self.visit_all(child)
                elif isinstance(child, ast.AST):
                    self.visit(child)

    def visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        """Collect from several nodes in order."""
        for node in nodes:
            kind = node.__class__
            if kind in _LEAVES:
                continue
            handler = _HANDLERS.get(kind)
            if handler is not None:
                handler(self, node)
            elif isinstance(node, ast.AST):
                self.visit(node)

    def decorators(self, decorators: list[ast.expr]) -> None:
        """A decorator is called whether it is written with arguments or without."""
        for decorator in decorators:
            self.visit(decorator if isinstance(decorator, ast.Call) else ast.Call(decorator, [], []))

    def function(self, node: FunctionNode) -> None:
        """Collect from the definition's own function."""
        arguments = node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        if "." in self.owner and positional:
            decorators = {chain(decorator) for decorator in node.decorator_list}
            if "staticmethod" not in decorators:
                receiver = positional[0]
                self._receiver = receiver.arg
                of_class = "classmethod" in decorators or node.name in _CLASS_RECEIVERS
                self._bind_name(receiver.arg, BindingKind.CLASS if of_class else BindingKind.INSTANCE)
                positional = positional[1:]
        self._parameters(arguments, positional)
        self.visit_all(node.body)

    def _parameters(self, arguments: ast.arguments, positional: list[ast.arg]) -> None:
        for argument in [*positional, *arguments.kwonlyargs]:
            if argument.annotation is None:
                self._bind_name(argument.arg, BindingKind.PARAMETER)
            else:
                self._bind_name(argument.arg, BindingKind.ANNOTATION, type_text(argument.annotation))
        for rest in (arguments.vararg, arguments.kwarg):
            if rest is not None:
                self._bind_name(rest.arg, BindingKind.VALUE)
        self.visit_all(arguments.defaults)
        self.visit_all(arguments.kw_defaults)

    def _bind_name(self, name: str, kind: BindingKind, value: str = "") -> None:
        if name not in self._globals:
            self.bindings.append(BindingFact(self.owner, name, kind, value))

    def _bind(self, target: ast.AST, kind: BindingKind, value: str) -> None:
        if isinstance(target, ast.Name):
            self._bind_name(target.id, kind, value)
            return
        match target:
            case ast.Attribute(value=ast.Name(id=name)) if name == self._receiver:
                self._bind_name(ATTRIBUTE + target.attr, kind, value)
                self.expressions.append(chain(target))
            case ast.Tuple() | ast.List():
                for element in target.elts:
                    self._bind(element, BindingKind.VALUE, "")
            case ast.Starred():
                self._bind(target.value, BindingKind.VALUE, "")
            case _:
                self.visit(target)

    def on_call(self, node: ast.Call) -> None:
        function = node.func
        kind = function.__class__
        if kind is ast.Attribute:
            function = function.value  # type: ignore[attr-defined]
            kind = function.__class__
        if kind is not ast.Name:
            self.visit(function)
        if node.args:
            self.visit_all(node.args)
        for keyword in node.keywords:
            self.visit(keyword.value)
        self.expressions.append(chain(node.func) + CALLED)

    def on_attribute(self, node: ast.Attribute) -> None:
        self.visit(node.value)
        text = chain(node)
        if is_known(text):
            self.expressions.append(text)

    def on_assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id == PYTEST_PLUGINS:
                self._plugins(node.value)
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                self._unpack(target, node.value)
            else:
                self._bind(target, BindingKind.VALUE, alternatives(node.value))

    def _unpack(self, target: ast.Tuple, given: ast.Tuple) -> None:
        if len(target.elts) != len(given.elts):
            self._bind(target, BindingKind.VALUE, "")
            return
        for element, value in zip(target.elts, given.elts, strict=True):
            self._bind(element, BindingKind.VALUE, alternatives(value))

    def _plugins(self, value: ast.expr) -> None:
        """``pytest_plugins`` brings the fixtures of the modules that it names, as a star import would."""
        for node in ast.walk(value):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.imports.append(ImportFact(self.owner, PYTEST_PLUGINS, node.value, STAR))

    def on_annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
        self._bind(node.target, BindingKind.ANNOTATION, type_text(node.annotation))

    def on_augmented(self, node: ast.AugAssign) -> None:
        self.visit(node.target)
        self.visit(node.value)

    def on_named(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._bind(node.target, BindingKind.VALUE, alternatives(node.value))

    def on_for(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._bind(node.target, BindingKind.VALUE, "")
        self.visit_all(node.body)
        self.visit_all(node.orelse)

    def on_comprehension(self, node: _Comprehension) -> None:
        for generator in node.generators:
            self.visit(generator.iter)
            self._bind(generator.target, BindingKind.VALUE, "")
            self.visit_all(generator.ifs)
        if isinstance(node, ast.DictComp):
            self.visit(node.key)
            self.visit(node.value)
        else:
            self.visit(node.elt)

    def on_with(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars is not None:
                self._bind(item.optional_vars, BindingKind.ENTERED, alternatives(item.context_expr))
        self.visit_all(node.body)

    def on_except(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self.visit(node.type)
        if node.name is not None:
            self._bind_name(node.name, BindingKind.ANNOTATION, type_text(node.type))
        self.visit_all(node.body)

    def on_capture(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if isinstance(node, ast.MatchAs) and node.pattern is not None:
            self.visit(node.pattern)
        if node.name is not None:
            self._bind_name(node.name, BindingKind.VALUE)

    def on_return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.visit(node.value)
            self._result(RETURNED, node.value)

    def on_yield(self, node: ast.Yield) -> None:
        if node.value is not None:
            self.visit(node.value)
            self._result(YIELDED, node.value)

    def _result(self, name: str, value: ast.expr) -> None:
        if self._depth == 0:
            self._bind_name(name, BindingKind.VALUE, alternatives(value))

    def on_function(self, node: FunctionNode) -> None:
        if not self._in_function:
            inner = self._inner(node, MethodKind.FUNCTION if self.kind is MethodKind.MODULE else MethodKind.METHOD)
            inner.decorators(node.decorator_list)
            inner.function(node)
            return
        self._bind_name(node.name, BindingKind.VALUE)
        self.decorators(node.decorator_list)
        self._nested(node.args, node.body)

    def on_lambda(self, node: ast.Lambda) -> None:
        self._nested(node.args, [node.body])

    def _nested(self, arguments: ast.arguments, body: Iterable[ast.AST]) -> None:
        receiver, self._depth = self._receiver, self._depth + 1
        positional = [*arguments.posonlyargs, *arguments.args]
        self._parameters(arguments, positional)
        if any(argument.arg == receiver for argument in positional):
            self._receiver = ""
        self.visit_all(body)
        self._receiver, self._depth = receiver, self._depth - 1

    def on_class(self, node: ast.ClassDef) -> None:
        if not self._in_function:
            inner = self._inner(node, MethodKind.CLASS)
            inner.decorators(node.decorator_list)
            inner.visit_all(node.body)
            return
        self._bind_name(node.name, BindingKind.VALUE)
        self.decorators(node.decorator_list)
        self._depth += 1
        self.visit_all(node.body)
        self._depth -= 1

    def _inner(self, node: DefinitionNode, kind: MethodKind) -> _Collector:
        prefix = "" if self.kind is MethodKind.MODULE else f"{self.owner}."
        return _Collector(Part(prefix + node.name, node, kind), self.found)

    def on_global(self, node: ast.Global) -> None:
        self._globals.update(node.names)

    def on_import(self, node: ast.Import) -> None:
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            self.imports.append(ImportFact(self.owner, bound, alias.name))

    def on_import_from(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            bound = STAR if alias.name == STAR else alias.asname or alias.name
            self.imports.append(ImportFact(self.owner, bound, node.module or "", alias.name, node.level))

    def on_expression(self, node: ast.Expr) -> None:
        self.visit(node.value)

    def on_if(self, node: ast.If) -> None:
        self.visit(node.test)
        self.visit_all(node.body)
        if node.orelse:
            self.visit_all(node.orelse)


_HANDLERS: dict[type, Callable[..., None]] = {
    ast.Call: _Collector.on_call,
    ast.Attribute: _Collector.on_attribute,
    ast.Assign: _Collector.on_assign,
    ast.AnnAssign: _Collector.on_annotated,
    ast.AugAssign: _Collector.on_augmented,
    ast.NamedExpr: _Collector.on_named,
    ast.Expr: _Collector.on_expression,
    ast.If: _Collector.on_if,
    ast.For: _Collector.on_for,
    ast.AsyncFor: _Collector.on_for,
    ast.ListComp: _Collector.on_comprehension,
    ast.SetComp: _Collector.on_comprehension,
    ast.DictComp: _Collector.on_comprehension,
    ast.GeneratorExp: _Collector.on_comprehension,
    ast.With: _Collector.on_with,
    ast.AsyncWith: _Collector.on_with,
    ast.ExceptHandler: _Collector.on_except,
    ast.MatchAs: _Collector.on_capture,
    ast.MatchStar: _Collector.on_capture,
    ast.Return: _Collector.on_return,
    ast.Yield: _Collector.on_yield,
    ast.FunctionDef: _Collector.on_function,
    ast.AsyncFunctionDef: _Collector.on_function,
    ast.Lambda: _Collector.on_lambda,
    ast.ClassDef: _Collector.on_class,
    ast.Global: _Collector.on_global,
    ast.Import: _Collector.on_import,
    ast.ImportFrom: _Collector.on_import_from,
}
# These hold nothing, and most nodes are of these kinds.
_LEAVES = frozenset({ast.Name, ast.Constant, ast.Pass, ast.Break, ast.Continue, ast.Nonlocal, type(None), str})
_EMPTY = frozenset({"ctx", "op", "ops"})
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {}


def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    """The fields of a kind of node that may hold something."""
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(name for name in kind._fields if name not in _EMPTY)
    return _FIELDS[kind]
