"""Where faults can go: every node of the given lines whose change a test could notice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from llm_testgen.faults.tree import Tree, children
from llm_testgen.records import Lines

_PRAGMA = re.compile(r"#.*\bpragma:\s*no mutate\b[\s:]*(?P<scope>\w*)")
_Clause = cst.ExceptHandler | cst.ExceptStarHandler | cst.MatchCase
_Statement = cst.BaseSmallStatement | cst.BaseCompoundStatement | _Clause
_Skipped = (
    cst.Annotation
    | cst.BaseParenthesizableWhitespace
    | cst.Global
    | cst.Import
    | cst.ImportFrom
    | cst.Nonlocal
    | cst.TypeAlias
    | cst.TypeParameters
)
_SimpleDefault = cst.Name | cst.BaseNumber | cst.BaseString | cst.UnaryOperation

_DECLARING = frozenset({"__all__", "__slots__"})
_TYPE_MAKERS = frozenset({"NamedTuple", "NewType", "ParamSpec", "TypeVar", "TypeVarTuple", "TypedDict"})
_LOG_METHODS = frozenset(
    {"critical", "debug", "error", "exception", "fatal", "info", "log", "trace", "warn", "warning"}
)
_LOGS = frozenset({"log", "logging", "getlogger", "get_logger"})
_WARNINGS = frozenset({"warn", "warn_explicit"})
_CAST = "cast"
# How long to wait or how much to hold: a test that told one more from the other would be no good.
_TUNING = frozenset({"buffering", "maxsize", "stacklevel", "timeout"})


@dataclass(frozen=True, slots=True)
class Place:
    """A node that can be changed.

    Attributes:
        node: The node.
        statement: The statement, or clause of one, that it is in or that it is.
        first_line: Line where that begins, decorators included.
        minor: It stands in the text of an exception or the like.
    """

    node: cst.CSTNode
    statement: cst.CSTNode
    first_line: int
    minor: bool = False


def places(tree: Tree, lines: Lines) -> Iterator[Place]:
    """The nodes that begin in the lines, or whose statement does."""
    return _Walk(tree, lines).below(Place(tree.module, tree.module, 0))


class _Walk:
    def __init__(self, tree: Tree, lines: Lines) -> None:
        self._tree = tree
        self._lines = lines
        self._pragmas = _pragmas(tree.text)
        self._logs = "log" in tree.text.lower()
        # Variables of the functions around that are only written to logs.
        self._unread: frozenset[str] = frozenset()

    def below(self, place: Place) -> Iterator[Place]:
        node = place.node
        for child in _parts(node):
            if isinstance(child, _Skipped):
                continue
            if isinstance(child, _Statement):
                if not self._is_left_out(child):
                    yield from self._statement(child)
                continue
            inner = Place(child, place.statement, place.first_line, place.minor or _is_minor(node, child))
            if self._is_wanted(inner):
                yield inner
            yield from self.below(inner)

    def _statement(self, node: cst.CSTNode) -> Iterator[Place]:
        place = Place(node, node, self._tree.lines(node)[0])
        scopes = self._scopes(node)
        if not scopes and self._is_wanted(place):
            yield place
        before = self._unread
        if self._logs and isinstance(node, cst.FunctionDef):
            self._unread |= _only_logged(node)
        for inner in self.below(place):
            if not (scopes and inner.statement is node):
                yield inner
        self._unread = before

    def _is_wanted(self, place: Place) -> bool:
        in_lines = place.first_line in self._lines or self._tree.line(place.node) in self._lines
        return in_lines and not _is_opaque(place.node)

    def _is_left_out(self, node: cst.CSTNode) -> bool:
        """Nothing of a statement is to be changed."""
        first, last = self._tree.lines(node)
        if self._lines.isdisjoint(range(first, last + 1)) or _is_declaration(node) or "block" in self._scopes(node):
            return True
        # What calls something may do more than give a value.
        return (
            isinstance(node, cst.Assign)
            and self._unread >= _targets(node) > frozenset()
            and len(_targets(node)) == len(node.targets)
            and "(" not in self._tree.text_of(node)
        )

    def _scopes(self, node: cst.CSTNode) -> frozenset[str]:
        """What the comments in the lines of a statement's header say must not be changed."""
        if not self._pragmas:
            return frozenset()
        first = self._tree.line(node)
        last = first + self._tree.text.count("\n", *self._tree.header(node))
        return frozenset(self._pragmas[line] for line in range(first, last + 1) if line in self._pragmas)


def _parts(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """What is looked at below a node."""
    match node:
        case cst.Assert():
            yield node.test
        case cst.If() if _is_never_tested(node.test):
            if node.orelse is not None:
                yield node.orelse
        case cst.Param():
            # Other defaults would fail where the function is defined, or are made there once for all.
            if isinstance(node.default, _SimpleDefault):
                yield node.default
        case cst.Call() if _is_opaque(node):
            yield from node.args[1:2] if last_name(node.func) == _CAST else ()
        case _:
            yield from children(node)


def _is_opaque(node: cst.CSTNode) -> bool:
    """A node is not to be changed itself, whatever is done with the parts of it that are looked at."""
    match node:
        case cst.If():
            return _is_never_tested(node.test)
        case cst.Call():
            return is_logging(node) or last_name(node.func) in _WARNINGS | {_CAST}
    return False


def last_name(node: cst.CSTNode) -> str:
    """The last part of a dotted name; of a call, that of the function; empty for anything else."""
    match node:
        case cst.Name():
            return node.value
        case cst.Attribute():
            return node.attr.value
        case cst.Call():
            return last_name(node.func)
    return ""


def is_logging(node: cst.CSTNode) -> bool:
    """A node is a call that writes to a log."""
    if not (isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute)):
        return False
    owner = last_name(node.func.value).lower().strip("_")
    return node.func.attr.value in _LOG_METHODS and (owner in _LOGS or owner.endswith("logger"))


def _is_minor(node: cst.CSTNode, child: cst.CSTNode) -> bool:
    """What stands in a part of a node would hardly be missed."""
    match node:
        case cst.Raise():
            return isinstance(child, cst.Call)
        case cst.Arg():
            return node.keyword is not None and node.keyword.value in _TUNING
        case cst.Call():
            return last_name(node.func) == "sleep"
    return False


def _is_declaration(node: cst.CSTNode) -> bool:
    """A statement does nothing that a test could notice, or only says what there is."""
    match node:
        case cst.Expr(value=cst.BaseString() | cst.Ellipsis()):
            return True
        case cst.Expr(value=cst.Call(func=cst.Attribute(value=cst.Name(value=name)))) if name in _DECLARING:
            return True
        case cst.Expr():
            return is_logging(node.value)
        case cst.Assign() | cst.AnnAssign() | cst.AugAssign():
            made = isinstance(node.value, cst.Call) and last_name(node.value.func) in _TYPE_MAKERS
            alias = isinstance(node, cst.AnnAssign) and last_name(node.annotation.annotation) == "TypeAlias"
            return made or alias or not _DECLARING.isdisjoint(_targets(node))
        case cst.FunctionDef():
            return any(last_name(decorator.decorator) == "overload" for decorator in node.decorators)
    return False


def _is_never_tested(test: cst.BaseExpression) -> bool:
    """A condition holds for type checkers alone, or where the module is run as a program."""
    if isinstance(test, cst.Comparison):
        return last_name(test.left) == "__name__"
    return last_name(test) == "TYPE_CHECKING"


def _targets(node: cst.Assign | cst.AnnAssign | cst.AugAssign) -> frozenset[str]:
    """Plain names that an assignment binds."""
    targets = [target.target for target in node.targets] if isinstance(node, cst.Assign) else [node.target]
    return frozenset(target.value for target in targets if isinstance(target, cst.Name))


def _only_logged(function: cst.FunctionDef) -> frozenset[str]:
    """Names that a function reads nowhere but in calls that write to a log."""
    used: Counter[str] = Counter()
    logged: set[str] = set()
    pending: list[tuple[cst.CSTNode, bool]] = [(function.body, False)]
    while pending:
        node, inside = pending.pop()
        inside = inside or is_logging(node)
        match node:
            case cst.Name():
                logged.add(node.value) if inside else used.update([node.value])
            case cst.Global() | cst.Nonlocal():
                used.update(last_name(item.name) for item in node.names)
            case cst.Assign():
                used.subtract(_targets(node))
        pending.extend((child, inside) for child in children(node))
    return frozenset(name for name in logged if not used[name])


def _pragmas(text: str) -> dict[int, str]:
    """Lines that a comment excepts, each with ``block`` or another word that says how much more."""
    found: dict[int, str] = {}
    started = False
    for number, line in enumerate(text.split("\n"), start=1):
        match = _PRAGMA.search(line)
        scope = match["scope"] if match else ""
        started = scope == "start" or (started and scope != "end")
        if match or started:
            found[number] = scope
    return found
