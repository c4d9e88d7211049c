"""The top-level statements of a module: what each binds, what that means, and what it reads while it is imported."""

from __future__ import annotations

import ast
import builtins
import symtable
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from llm_testgen.source import FunctionNode, SourceError

_BUILTINS = frozenset(dir(builtins))
_BUILTIN = "builtin"  # what a name means that nothing binds
# Statements whose body may not run, or not last.
_CONDITIONAL = ast.If | ast.Try | ast.TryStar | ast.For | ast.While | ast.With | ast.Match
_OWN_SCOPE = FunctionNode | ast.ClassDef | ast.Lambda
# Names by which pytest and unittest find what acts on every test of a module.
_HOOKS = frozenset(
    {
        "pytestmark",
        "pytest_plugins",
        "setup_module",
        "teardown_module",
        "setup_function",
        "teardown_function",
        "setUpModule",
        "tearDownModule",
    }
)


@dataclass(slots=True)
class Meanings:
    """What the names of a module mean once it is imported.

    Attributes:
        known: What each name may mean there; more than one thing where that depends on a condition.
        typing_only: Names that only a type checker sees.
        modules: Dotted names of modules that ``import a.b`` makes reachable by their full name.
    """

    known: dict[str, frozenset[str]] = field(default_factory=dict)
    typing_only: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, body: Iterable[ast.stmt], text: str) -> Meanings:
        """The meanings of the names that some of a module's statements bind, and of the builtins that its text uses.

        Raises:
            SourceError: Python would not compile the text.
        """
        made = cls()
        for node in body:
            made.add(node)
        for name in _builtins_used(text):
            made.known.setdefault(name, frozenset({_BUILTIN}))
        return made

    def add(self, node: ast.stmt) -> None:
        """Take in one more top-level statement."""
        conditional = isinstance(node, _CONDITIONAL)
        for name, binding, typing_only in _bindings(node, typing_only=False):
            before = self.known.get(name, frozenset()) if conditional else frozenset()
            if typing_only and (name not in self.known or name in self.typing_only):
                self.typing_only.add(name)
            else:
                self.typing_only.discard(name)
            self.known[name] = before | {_meaning(name, binding, node)}
        if isinstance(node, ast.Import):
            self.modules.update(alias.name for alias in node.names if not alias.asname)
        elif isinstance(node, ast.Delete):
            for name in loaded_names(node):
                self.known.pop(name, None)

    def copy(self) -> Meanings:
        """The same, to be added to."""
        return Meanings(dict(self.known), set(self.typing_only), set(self.modules))

    def contradicts(self, other: Meanings) -> bool:
        """Whether a name means something else here than it does there."""
        return any(not meanings <= self.known.get(name, meanings) for name, meanings in other.known.items())

    def lacks(self, name: str) -> bool:
        """Whether nothing binds a name when the module runs."""
        return name not in self.known or name in self.typing_only

    def lacking(self, node: ast.stmt) -> ast.stmt | None:
        """What of a statement a module needs that has these names already: None, all, or some of an import's names."""
        if isinstance(node, ast.Import):
            missing = [alias for alias in node.names if self._lacks_import(alias)]
            return ast.Import(missing) if missing else None
        if isinstance(node, ast.ImportFrom):
            missing = [alias for alias in node.names if self.lacks(alias.asname or alias.name)]
            return ast.ImportFrom(node.module, missing, node.level) if missing else None
        bound = bound_by(node)
        return node if any(self.lacks(name) for name in bound) else None

    def _lacks_import(self, alias: ast.alias) -> bool:
        """``import a.b`` does something even where ``a`` is bound already."""
        if alias.asname or "." not in alias.name:
            return self.lacks(alias.asname or alias.name)
        return alias.name not in self.modules or self.lacks(alias.name.partition(".")[0])


def _builtins_used(text: str) -> frozenset[str]:
    """Names of builtins that a module reads as such or would, were they not its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            waiting = [symtable.symtable(text, "<module>", "exec")]
        except (SyntaxError, ValueError, RecursionError) as error:
            msg = f"cannot be compiled: {error}"
            raise SourceError(msg) from error
    used: set[str] = set()
    while waiting:
        table = waiting.pop()
        waiting.extend(table.get_children())
        # What the body of a class reads and binds too may be the builtin when it is read.
        is_local = table.get_type() == "function"
        used.update(
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (symbol.is_global() or not is_local)
        )
    return frozenset(used & _BUILTINS)


def bound_by(node: ast.stmt) -> frozenset[str]:
    """Names that a top-level statement may bind."""
    return frozenset(name for name, _, _ in _bindings(node, typing_only=False))


def loaded_names(node: ast.AST) -> frozenset[str]:
    """Names that occur anywhere in a statement other than to be bound."""
    return frozenset(
        child.id for child in ast.walk(node) if isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Store)
    )


def read_at_import(node: ast.stmt) -> frozenset[str]:
    """Names that a statement reads when it is executed: all that it mentions outside the bodies of functions."""
    names: set[str] = set()
    waiting: list[ast.AST] = [node]
    while waiting:
        child = waiting.pop()
        if isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Store):
            names.add(child.id)
        later = child.body if isinstance(child, FunctionNode) else []
        waiting.extend(inner for inner in ast.iter_child_nodes(child) if inner not in later)
    return frozenset(names)


def binding_statements(body: Sequence[ast.stmt], names: Iterable[str]) -> list[ast.stmt]:
    """Statements that must have run before code that reads the names runs: what binds them, and what that needs."""
    needed = set(names)
    left = list(body)
    found: list[ast.stmt] = []
    while more := [node for node in left if bound_by(node) & needed]:
        found += more
        left = [node for node in left if node not in more]
        needed.update(name for node in more for name in loaded_names(node))
    return found


def is_main_block(node: ast.stmt) -> bool:
    """Whether it is the ``if __name__ == "__main__":`` of a script."""
    return isinstance(node, ast.If) and "__name__" in loaded_names(node.test)


def imports_something(node: ast.AST) -> bool:
    """Whether it is an import, or one under a condition."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    blocks = [child for child in _inner(node) if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case)]
    return any(map(imports_something, blocks))


def is_docstring(node: ast.stmt) -> bool:
    """Whether it would be a docstring where it stands first."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def acts_on_all(node: ast.stmt) -> bool:
    """Whether it acts on every test of its module: an autouse fixture, a mark of the module, a setup function."""
    if isinstance(node, FunctionNode) and any("autouse=True" in ast.unparse(one) for one in node.decorator_list):
        return True
    return not _HOOKS.isdisjoint(bound_by(node))


def _bindings(node: ast.AST, *, typing_only: bool) -> Iterator[tuple[str, ast.AST, bool]]:
    """Names bound in a module's own scope, the node that binds each, and whether only a type checker sees it."""
    yield from ((name, node, typing_only) for name in _bound_at(node))
    for child in _inner(node):
        hidden = isinstance(node, ast.If) and child in node.body and "TYPE_CHECKING" in ast.unparse(node.test)
        yield from _bindings(child, typing_only=typing_only or hidden)


def _bound_at(node: ast.AST) -> Iterator[str]:
    """Names that one node itself binds."""
    match node:
        case ast.Import(names=aliases):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in aliases)
        case ast.ImportFrom(names=aliases):
            yield from (alias.asname or alias.name for alias in aliases)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case (
            ast.Name(id=name, ctx=ast.Store())
            | ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
            | ast.MatchMapping(rest=str(name))
        ):
            yield name


def _meaning(name: str, node: ast.AST, whole: ast.stmt) -> str:
    """What a name means that a node of a top-level statement binds; for a value that is the whole statement."""
    match node:
        case ast.Import(names=aliases):
            # Without an alias `import a.b` binds `a`, as `import a.c` does: they go together.
            return next((f"import {alias.name}" for alias in aliases if alias.asname == name), f"import {name}")
        case ast.ImportFrom(names=aliases):
            origin = next(alias.name for alias in aliases if (alias.asname or alias.name) == name)
            return ast.unparse(ast.ImportFrom(node.module, [ast.alias(origin)], node.level))
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return ast.dump(node)
    return ast.dump(whole)


def _inner(node: ast.AST) -> list[ast.AST]:
    """What is below a node and in the same scope; of a comprehension only what it binds outside itself."""
    if isinstance(node, _OWN_SCOPE):
        return []
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return [child.target for child in ast.walk(node) if isinstance(child, ast.NamedExpr)]
    return list(ast.iter_child_nodes(node))
