"""One definition's own code to its imports, bindings and calls.

Functions nested in a function belong to it: their calls count as its own, and the names that they bind hide
outer ones, since a wrong resolution costs more than a missing one.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from llm_testgen.index.expressions import alternatives, chain, is_known, type_text
from llm_testgen.index.facts import (
    ATTRIBUTE,
    PYTEST_PLUGINS,
    RETURNED,
    STAR,
    YIELDED,
    BindingFact,
    BindingKind,
    CallFact,
    ImportFact,
)
from llm_testgen.source import DefinitionNode, FunctionNode

_CLASS_RECEIVERS = frozenset({"__new__", "__init_subclass__", "__class_getitem__"})
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass
class Collected:
    """What was found in one definition, in the order of evaluation."""

    imports: list[ImportFact] = field(default_factory=list)
    bindings: list[BindingFact] = field(default_factory=list)
    calls: list[CallFact] = field(default_factory=list)


def collect(qualname: str, node: DefinitionNode | ast.Module) -> Collected:
    """Walk a definition, leaving out the definitions inside it that are addressable themselves."""
    collector = _Collector(qualname, in_function=isinstance(node, FunctionNode))
    if not isinstance(node, ast.Module):
        collector.decorators(node.decorator_list)
    if isinstance(node, FunctionNode):
        collector.function(node, is_method="." in qualname)
    else:
        collector.visit_all(node.body)
    return collector.found


class _Collector:
    def __init__(self, owner: str, *, in_function: bool) -> None:
        self.owner = owner
        self.found = Collected()
        self._in_function = in_function
        self._receiver = ""
        self._depth = 0
        self._globals: set[str] = set()

    def visit(self, node: ast.AST) -> None:
        """Collect from a node and what lies below it."""
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            handler(self, node)
        else:
            self.visit_all(ast.iter_child_nodes(node))

    def visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        """Collect from several nodes in order."""
        for node in nodes:
            if node is not None:
                self.visit(node)

    def decorators(self, decorators: list[ast.expr]) -> None:
        """A decorator is called whether it is written with arguments or without."""
        for decorator in decorators:
            self.visit(decorator if isinstance(decorator, ast.Call) else ast.Call(decorator, [], []))

    def function(self, node: FunctionNode, *, is_method: bool) -> None:
        """Collect from the definition's own function."""
        arguments = node.args
        decorators = {chain(decorator) for decorator in node.decorator_list}
        positional = [*arguments.posonlyargs, *arguments.args]
        if is_method and positional and "staticmethod" not in decorators:
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
        self.visit_all([*arguments.defaults, *arguments.kw_defaults])

    def _bind_name(self, name: str, kind: BindingKind, value: str = "") -> None:
        if name not in self._globals:
            self.found.bindings.append(BindingFact(self.owner, name, kind, value))

    def _bind(self, target: ast.AST, kind: BindingKind, value: str) -> None:
        match target:
            case ast.Name():
                self._bind_name(target.id, kind, value)
            case ast.Attribute(value=ast.Name(id=name)) if name == self._receiver:
                self._bind_name(ATTRIBUTE + target.attr, kind, value)
                self._call_to(target, called=False)
            case ast.Tuple() | ast.List():
                for element in target.elts:
                    self._bind(element, BindingKind.VALUE, "")
            case ast.Starred():
                self._bind(target.value, BindingKind.VALUE, "")
            case _:
                self.visit(target)

    def _call_to(self, function: ast.expr, *, called: bool = True) -> None:
        calls = self.found.calls
        calls.append(CallFact(self.owner, len(calls), chain(function), called))

    def on_call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute):
            self.visit(function.value)
        else:
            self.visit(function)
        self.visit_all(node.args)
        self.visit_all(keyword.value for keyword in node.keywords)
        self._call_to(function)

    def on_attribute(self, node: ast.Attribute) -> None:
        self.visit(node.value)
        if is_known(chain(node)):
            self._call_to(node, called=False)

    def on_assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id == PYTEST_PLUGINS:
                self._plugins(node.value)
            match target, node.value:
                case ast.Tuple(), ast.Tuple() if len(target.elts) == len(node.value.elts):
                    for element, value in zip(target.elts, node.value.elts, strict=True):
                        self._bind(element, BindingKind.VALUE, alternatives(value))
                case _:
                    self._bind(target, BindingKind.VALUE, alternatives(node.value))

    def _plugins(self, value: ast.expr) -> None:
        """``pytest_plugins`` brings the fixtures of the modules that it names, as a star import would."""
        for node in ast.walk(value):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.found.imports.append(ImportFact(self.owner, PYTEST_PLUGINS, node.value, STAR))

    def on_annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
        self._bind(node.target, BindingKind.ANNOTATION, type_text(node.annotation))

    def on_augmented(self, node: ast.AugAssign) -> None:
        self.visit_all([node.target, node.value])

    def on_named(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._bind(node.target, BindingKind.VALUE, alternatives(node.value))

    def on_for(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._bind(node.target, BindingKind.VALUE, "")
        self.visit_all([*node.body, *node.orelse])

    def on_comprehension(self, node: _Comprehension) -> None:
        for generator in node.generators:
            self.visit(generator.iter)
            self._bind(generator.target, BindingKind.VALUE, "")
            self.visit_all(generator.ifs)
        elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self.visit_all(elements)

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
            return
        self._bind_name(node.name, BindingKind.VALUE)
        self.decorators(node.decorator_list)
        self._nested(node.args, node.body)

    def on_lambda(self, node: ast.Lambda) -> None:
        self._nested(node.args, [node.body])

    def _nested(self, arguments: ast.arguments, body: Iterable[ast.AST]) -> None:
        receiver, self._depth = self._receiver, self._depth + 1
        self._parameters(arguments, [*arguments.posonlyargs, *arguments.args])
        if any(argument.arg == receiver for argument in [*arguments.posonlyargs, *arguments.args]):
            self._receiver = ""
        self.visit_all(body)
        self._receiver, self._depth = receiver, self._depth - 1

    def on_class(self, node: ast.ClassDef) -> None:
        if not self._in_function:
            return
        self._bind_name(node.name, BindingKind.VALUE)
        self.decorators(node.decorator_list)
        self._depth += 1
        self.visit_all(node.body)
        self._depth -= 1

    def on_global(self, node: ast.Global) -> None:
        self._globals.update(node.names)

    def on_import(self, node: ast.Import) -> None:
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            self.found.imports.append(ImportFact(self.owner, bound, alias.name))

    def on_import_from(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            bound = STAR if alias.name == STAR else alias.asname or alias.name
            fact = ImportFact(self.owner, bound, node.module or "", alias.name, node.level)
            self.found.imports.append(fact)

    def skip(self, node: ast.AST) -> None:
        """Names and constants hold nothing."""


_HANDLERS: dict[type[ast.AST], Callable[..., None]] = {
    ast.Name: _Collector.skip,
    ast.Constant: _Collector.skip,
    ast.Call: _Collector.on_call,
    ast.Attribute: _Collector.on_attribute,
    ast.Assign: _Collector.on_assign,
    ast.AnnAssign: _Collector.on_annotated,
    ast.AugAssign: _Collector.on_augmented,
    ast.NamedExpr: _Collector.on_named,
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
