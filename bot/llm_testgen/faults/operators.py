"""The mistakes that are made: mutmut's operators under our names, and some that it lacks.

Those of our own are PIT's and Major's: a condition negated or fixed, no value returned, a statement or an exception
left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import libcst as cst
from mutmut.mutation.mutators import mutation_operators

from llm_testgen.faults.kinds import Edit, Fault, Kind, Span
from llm_testgen.faults.places import Place, is_logging, last_name, places
from llm_testgen.faults.tree import Tree
from llm_testgen.records import Lines

# The kinds of mutmut's operators by name. Two of them make several kinds, told by what they replace.
KINDS: Mapping[str, Kind] = {
    "operator_arg_removal": Kind.ARGUMENT,
    "operator_assignment": Kind.ASSIGNMENT,
    "operator_augmented_assignment": Kind.UPDATE,
    "operator_dict_arguments": Kind.KEYWORD,
    "operator_if_exp": Kind.BRANCH,
    "operator_keywords": Kind.LOOP,
    "operator_lambda": Kind.LAMBDA,
    "operator_match": Kind.CASE,
    "operator_name": Kind.BOOLEAN,
    "operator_number": Kind.NUMBER,
    "operator_remove_unary_ops": Kind.CONDITION,
    "operator_string": Kind.STRING,
    "operator_swap_op": Kind.ARITHMETIC,
    "operator_symmetric_string_methods_swap": Kind.METHOD,
    "operator_unsymmetrical_string_methods_swap": Kind.METHOD,
}
_BY_NODE: tuple[tuple[type[cst.CSTNode], Kind], ...] = (
    (cst.BaseCompOp, Kind.COMPARISON),
    (cst.BaseBooleanOp, Kind.JUNCTION),
)

# mutmut's exchange of these operators negates a condition already.
_EXCHANGED = cst.Equal | cst.NotEqual | cst.Is | cst.IsNot | cst.In | cst.NotIn
_TIGHT = cst.Attribute | cst.Call | cst.Name | cst.Subscript
_CONSTANTS = frozenset({"True", "False"})
# They refuse any other argument, whatever is done with the answer.
_STRICT = frozenset({"callable", "hasattr", "isinstance", "issubclass", "iter", "len", "super"})
_CODECS = frozenset({"ascii", "iso-8859-1", "latin-1", "latin1", "utf-16", "utf-8", "utf-8-sig", "utf8"})

_Made = tuple[Edit, Kind, bool]


def faults(tree: Tree, lines: Lines) -> Iterator[Fault]:
    """The faults that can be put in the lines of a text, each once, in no order that matters.

    Args:
        tree: The text.
        lines: Lines of the text. A statement counts by its first, whatever line of it the fault is in.
    """
    for place in places(tree, lines):
        statement = tree.header(place.statement)
        for edit, kind, minor in (*_own(tree, place), *_of_mutmut(tree, place)):
            # What begins in one of the lines may have its operator in another.
            if place.first_line not in lines and edit.line not in lines:
                continue
            around = Span(min(statement.start, edit.span.start), max(statement.end, edit.span.end))
            yield Fault(edit, kind, around, place.first_line, minor or place.minor)


def _of_mutmut(tree: Tree, place: Place) -> Iterator[_Made]:
    node = place.node
    for name, operator in _operators(type(node)):
        changed: list[tuple[Edit, cst.CSTNode, cst.CSTNode | None]] = []
        # It makes nothing of some nodes, such as a number of too many digits.
        with suppress(cst.CSTValidationError, ArithmeticError, TypeError, ValueError):
            changed.extend(tree.change(node, new) for new in operator(node))
        for edit, old, new in changed:
            if not _is_idle(name, node, old, new):
                kind = _kind(name, node, old, new)
                yield edit, kind, _is_minor(kind, edit)


@cache
def _operators(kind: type[cst.CSTNode]) -> tuple[tuple[str, Callable[[Any], Iterable[cst.CSTNode]]], ...]:
    return tuple((operator.__name__, operator) for wanted, operator in mutation_operators if issubclass(kind, wanted))


def _kind(name: str, node: cst.CSTNode, old: cst.CSTNode, new: cst.CSTNode | None) -> Kind:
    """What mistake one of mutmut's operators made."""
    for wanted, kind in _BY_NODE:
        if isinstance(old, wanted):
            return kind
    if isinstance(old, cst.Arg) and new is None:
        return Kind.ARGUMENT if old.keyword is None and not old.star else Kind.DROPPED
    if name == "operator_remove_unary_ops" and isinstance(node, cst.UnaryOperation):
        return Kind.CONDITION if isinstance(node.operator, cst.Not) else Kind.ARITHMETIC
    if name == "operator_name" and isinstance(node, cst.Name) and node.value not in _CONSTANTS:
        return Kind.COPY
    return KINDS.get(name, Kind.OTHER)


def _is_minor(kind: Kind, edit: Edit) -> bool:
    """A string in another case, or a positional argument left out, which few functions accept."""
    return (kind is Kind.STRING and "XX" not in edit.text) or (kind is Kind.ARGUMENT and not edit.text)


def _is_idle(name: str, node: cst.CSTNode, old: cst.CSTNode, new: cst.CSTNode | None) -> bool:
    """A change does what was done before, or what another one does better."""
    if name == "operator_assignment":
        # The exchange of the two tells more than None, which is as good as False.
        return last_name(old) in _CONSTANTS
    if name == "operator_string":
        return isinstance(old, cst.SimpleString) and _is_codec(old)
    if name != "operator_arg_removal" or not isinstance(node, cst.Call):
        return False
    arguments = [argument for argument in node.args if old in {argument, argument.value}]
    if last_name(node.func) in _STRICT or not arguments:
        return True
    value, keyword = arguments[0].value, arguments[0].keyword
    if new is None:
        return last_name(node.func) == "get" and last_name(value) == "None"
    return last_name(value) in _CONSTANTS or (keyword is not None and keyword.value == "encoding")


def _is_codec(node: cst.SimpleString) -> bool:
    return node.raw_value.lower() in _CODECS


def _own(tree: Tree, place: Place) -> Iterator[_Made]:
    """The faults that mutmut does not make."""
    node = place.node
    match node:
        case cst.If() | cst.While() | cst.CompIf():
            yield from _conditions(tree, node.test, endless=isinstance(node, cst.While))
        case cst.MatchCase(guard=cst.BaseExpression() as guard):
            yield from _conditions(tree, guard)
        case cst.Return(value=cst.BaseExpression() as value) | cst.Yield(value=cst.BaseExpression() as value):
            if last_name(value) not in _CONSTANTS | {"None"}:
                yield tree.replacement(value, "None"), Kind.RETURN, False
        case cst.Raise():
            yield tree.replacement(node, "pass"), Kind.RAISE, False
        case cst.ExceptHandler() | cst.ExceptStarHandler():
            yield from _emptied(tree, node.body)
        case cst.Call(args=[cst.Arg() as only]) if only.keyword is not None or only.star:
            yield tree.omission(node.args, 0), Kind.DROPPED, False
        case _ if _is_effect(node):
            yield tree.replacement(node, "pass"), Kind.STATEMENT, False


def _conditions(tree: Tree, test: cst.BaseExpression, *, endless: bool = False) -> Iterator[_Made]:
    """A condition negated, where mutmut does not do that, and one that always or never holds."""
    if last_name(test) in _CONSTANTS or isinstance(test, cst.BaseNumber):
        return
    if not _is_negated_by_mutmut(test):
        start, end = span = tree.span(test)
        text = tree.text[start:end]
        negated = f"not {text}" if isinstance(test, _TIGHT) else f"not ({text})"
        yield tree.edit(span, negated, tree.line(test)), Kind.CONDITION, False
    for constant in ("False",) if endless else ("True", "False"):
        yield tree.replacement(test, constant), Kind.BRANCH, False


def _is_negated_by_mutmut(test: cst.BaseExpression) -> bool:
    match test:
        case cst.Comparison(comparisons=[only]):
            return isinstance(only.operator, _EXCHANGED)
        case cst.UnaryOperation():
            return isinstance(test.operator, cst.Not)
    return False


def _emptied(tree: Tree, body: cst.BaseSuite) -> Iterator[_Made]:
    """The body of a handler replaced by nothing."""
    statements = body.body
    span = Span(tree.span(statements[0]).start, tree.span(statements[-1]).end)
    yield tree.edit(span, "pass", tree.line(statements[0])), Kind.HANDLER, False


def _is_effect(node: cst.CSTNode) -> bool:
    """A statement is there for what it does to something else."""
    match node:
        case cst.Expr(value=cst.Call() | cst.Await()):
            return not is_logging(node.value)
        case cst.Assign():
            return all(isinstance(target.target, cst.Attribute | cst.Subscript) for target in node.targets)
        case cst.AnnAssign(value=cst.BaseExpression()):
            return isinstance(node.target, cst.Attribute | cst.Subscript)
    return isinstance(node, cst.AugAssign | cst.Del)
