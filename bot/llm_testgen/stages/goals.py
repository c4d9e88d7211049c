"""Uncovered lines → what tests must make happen: one goal for each block of code that nothing executes.

A small model that is told "cover the marked lines" writes variations of one call. Told for each test which
statement it must reach, and under which conditions that statement is reached, it finds different inputs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from llm_testgen.records import ChangedMethod, Goal, Lines, Method, MethodKind
from llm_testgen.source import SourceError, parse_tree

_LONGEST = 100
_MOST_CONDITIONS = 4
_OPPOSITE: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Lt: ast.GtE(),
    ast.GtE: ast.Lt(),
    ast.Gt: ast.LtE(),
    ast.LtE: ast.Gt(),
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
}
_LEAVES = (ast.Return, ast.Raise, ast.Break, ast.Continue)


def goals(target: ChangedMethod, uncovered: Lines) -> tuple[Goal, ...]:
    """One goal for each block that has uncovered statements, in the order of their lines.

    Args:
        target: The changed method.
        uncovered: Its lines, in the numbering of the file, that no test executes.
    """
    found = [goal for method in target.definitions for goal in _of_method(method, uncovered)]
    return tuple(sorted(found, key=lambda goal: goal.line))


def _of_method(method: Method, uncovered: Lines) -> Iterator[Goal]:
    # An indented definition is parsed inside a block: to dedent it would stop at a string that stands further left.
    indented = method.kind is not MethodKind.MODULE and method.source[:1].isspace()
    try:
        body = parse_tree(f"if True:\n{method.source}" if indented else method.source).body
    except SourceError:
        return
    if indented and isinstance(body[0], ast.If):
        body = body[0].body
    before = method.start - 1 - indented
    for goal in _of_block(body, (), frozenset(line - before for line in uncovered)):
        yield Goal(goal.line + before, goal.statement, goal.conditions)


def _of_block(block: Sequence[ast.stmt], conditions: tuple[str, ...], uncovered: Lines) -> Iterator[Goal]:
    """The goal of a block itself, its last uncovered plain statement, and those of the blocks inside it."""
    last: Goal | None = None
    for statement in block:
        inner = list(_inner_blocks(statement))
        for condition, body in inner:
            yield from _of_block(body, (*conditions, *condition), uncovered)
        if not inner and _lines(statement) & uncovered:
            last = Goal(statement.lineno, _short(statement), conditions[-_MOST_CONDITIONS:])
        if isinstance(statement, ast.If) and not statement.orelse and isinstance(statement.body[-1], _LEAVES):
            # What follows runs only if this condition did not hold.
            conditions = (*conditions, _negated(statement.test))
    if last is not None:
        yield last


def _inner_blocks(statement: ast.stmt) -> Iterator[tuple[tuple[str, ...], Sequence[ast.stmt]]]:
    """The blocks of a compound statement, each with the condition under which it runs."""
    match statement:
        case ast.If(test=test, body=body, orelse=orelse):
            yield (_text(test),), body
            yield (_negated(test),), orelse
        case ast.For(body=body, orelse=orelse) | ast.AsyncFor(body=body, orelse=orelse):
            yield (f"{_text(statement.iter)} is not empty",), body
            yield (), orelse
        case ast.While(test=test, body=body, orelse=orelse):
            yield (_text(test),), body
            yield (), orelse
        case ast.With(body=body) | ast.AsyncWith(body=body):
            yield (), body
        case (
            ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final)
            | ast.TryStar(body=body, handlers=handlers, orelse=orelse, finalbody=final)
        ):
            yield (), body
            for handler in handlers:
                kind = _text(handler.type) if handler.type else "an exception"
                yield (f"{kind} is raised",), handler.body
            yield (), [*orelse, *final]
        case ast.Match(subject=subject, cases=cases):
            for case in cases:
                yield (f"{_text(subject)} matches {_text(case.pattern)}",), case.body
        case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body) | ast.ClassDef(body=body):
            yield (), body


def _lines(statement: ast.stmt) -> Lines:
    return frozenset(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))


def _negated(test: ast.expr) -> str:
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _text(ast.Compare(test.left, [_OPPOSITE[type(test.ops[0])]], test.comparators))
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _text(test.operand)
    return f"not ({_text(test)})"


def _text(node: ast.AST) -> str:
    return _cut(ast.unparse(node))


def _short(statement: ast.stmt) -> str:
    return _cut(" ".join(ast.unparse(statement).split()))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
