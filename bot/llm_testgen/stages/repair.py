"""Refused candidate → mended candidate, without a model.

Each repair is a small function from a candidate and its failure to a candidate, or to None where it does not
apply. What it did stands on the candidate, and the whole chain of filters runs again.
"""

from __future__ import annotations

import ast
import re
from typing import Protocol

from llm_testgen.records import Candidate, Ending, Failure, Outcome, Verdict
from llm_testgen.source import FunctionNode, SourceError, parse_tree

_UNDEFINED = re.compile(r"name '(?P<name>\w+)' is not defined")
_NOT_IN_MODULE = re.compile(r"cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)'")
_NO_MODULE = re.compile(r"No module named '(?P<module>[\w.]+)'")


class Imports(Protocol):
    """Where the project's names are imported from."""

    def import_for(self, name: str) -> str | None:
        """The import statement that binds ``name``; None if unknown."""


def repair(verdict: Verdict, imports: Imports) -> Candidate | None:
    """The candidate of a refused verdict, mended in one point; None when no repair applies."""
    failure = verdict.runs[0].failure if verdict.runs else None
    if failure is None:
        return None
    if verdict.outcome not in {Outcome.BROKEN, Outcome.FAILING}:
        return None
    if mended := _import(verdict.candidate, failure, imports):
        return mended
    if verdict.runs[0].ending is Ending.FAILED:
        return _drop_assertion(verdict.candidate, failure)
    return None


def _import(candidate: Candidate, failure: Failure, imports: Imports) -> Candidate | None:
    """Import a name from where the project has it, when it was not imported or from somewhere else."""
    if undefined := _UNDEFINED.search(failure.message):
        statement = imports.import_for(undefined["name"])
        if statement and statement not in candidate.code:
            return candidate.repaired(f"{statement}\n{candidate.code}", f"added `{statement}`")
        return None
    if failure.phase != "collect":
        return None
    wrong = _NOT_IN_MODULE.search(failure.message) or _NO_MODULE.search(failure.message)
    return _reimport(candidate, wrong["module"], imports) if wrong else None


def _reimport(candidate: Candidate, module: str, imports: Imports) -> Candidate | None:
    """Replace what is imported from a module by the project's own imports of the same names."""
    lines = candidate.code.split("\n")
    done = []
    for node in parse_tree(candidate.code).body:
        if not isinstance(node, ast.ImportFrom) or node.module != module:
            continue
        known = [imports.import_for(alias.name) for alias in node.names]
        statements = [statement for statement in known if statement is not None]
        if len(statements) < len(known) or ast.unparse(node) in statements:
            return None
        lines[node.lineno - 1 : node.end_lineno] = [
            "; ".join(statements),
            *[""] * ((node.end_lineno or node.lineno) - node.lineno),
        ]
        done += statements
    if not done:
        return None
    return candidate.repaired("\n".join(lines), f"imported by `{'; '.join(done)}`")


def _drop_assertion(candidate: Candidate, failure: Failure) -> Candidate | None:
    """Drop the assertion that failed, if the test still asserts something without it."""
    try:
        tree = parse_tree(candidate.code)
    except SourceError:
        return None
    tests = [node for node in ast.walk(tree) if isinstance(node, FunctionNode) and _holds(node, failure.line)]
    if not tests:
        return None
    test = tests[-1]
    assertions = [node for node in ast.walk(test) if isinstance(node, ast.stmt) and _is_assertion(node)]
    failed = [node for node in assertions if _holds(node, failure.line)]
    # A loop that asserts, or a raises block that holds the failing line, counts as what stands around it.
    if not failed or not any(node not in failed and not _inside(node, failed[0]) for node in assertions):
        return None
    dropped = failed[0]
    if _bound_in(dropped) & _read_outside(dropped, test) or _shares_a_line(dropped, test):
        return None
    code = _without(candidate.code, dropped)
    if code is None:
        return None
    return candidate.repaired(code, f"dropped the failing `{_short(ast.unparse(dropped))}`")


def _shares_a_line(statement: ast.stmt, test: ast.stmt) -> bool:
    """Whether another statement stands on its lines, before or after a semicolon."""
    others = (node for node in ast.walk(test) if isinstance(node, ast.stmt) and node is not statement)
    return any(
        other.lineno in {statement.lineno, statement.end_lineno} and not _inside(statement, other)
        for other in others
        if not _inside(other, statement)
    )


def _bound_in(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _read_outside(statement: ast.stmt, test: ast.stmt) -> set[str]:
    names = (node for node in ast.walk(test) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    return {name.id for name in names if not _holds(statement, name.lineno)}


def _is_assertion(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assert):
        return True
    if isinstance(node, ast.With | ast.AsyncWith):
        return any(_is_raises(item.context_expr) for item in node.items)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        function = node.value.func
        return isinstance(function, ast.Attribute) and function.attr.startswith("assert")
    return False


def _is_raises(expression: ast.expr) -> bool:
    if not isinstance(expression, ast.Call):
        return False
    return ast.unparse(expression.func).rpartition(".")[2] in {"raises", "assertRaises", "assertRaisesRegex", "warns"}


def _without(code: str, dropped: ast.stmt) -> str | None:
    """The code without one statement; None when what is left is not valid, as an emptied block is not."""
    end = dropped.end_lineno or dropped.lineno
    lines = code.split("\n")
    text = "\n".join(lines[: dropped.lineno - 1] + lines[end:])
    try:
        parse_tree(text)
    except SourceError:
        return None
    return text


def _holds(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _inside(node: ast.stmt, outer: ast.stmt) -> bool:
    return _holds(outer, node.lineno) and _holds(outer, node.end_lineno or node.lineno)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"  # noqa: PLR2004 - the width of a terminal
