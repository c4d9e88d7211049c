"""Methods made to raise: a test that passes all the same proves nothing about them.

A trap is ``{"path": absolute path, "starts": [first lines of its definitions, decorators included], "name": its
name, "whole": whether the body of a class or module is meant}``.
"""

from __future__ import annotations

import ast
import builtins
import gc
import importlib.machinery
import types
from typing import Any

_NAME = "__llm_testgen_trap__"


class Sprung(BaseException):
    """A trapped method was called. No `Exception`: a test that expects some error must not be satisfied by it."""


def set_in_memory(traps: list[dict[str, Any]]) -> bool:
    """Make functions that exist already raise when called; False when one is not found, or is no function."""
    setattr(builtins, _NAME, Sprung)
    if any(trap["whole"] for trap in traps):
        return False
    gc.unfreeze()
    wanted = {(trap["path"], trap["name"], start) for trap in traps for start in trap["starts"]}
    found = set()
    for function in gc.get_objects():
        if type(function) is types.FunctionType:  # not what it says that it is
            code = function.__code__
            key = (code.co_filename, code.co_name, code.co_firstlineno)
            if key in wanted:
                found.add(key[:2])
                function.__code__ = _raising(code)
    return found == {key[:2] for key in wanted}


def _raising(code: types.CodeType) -> types.CodeType:
    """Code that raises, to be put in the place of another: it must have the same free variables."""
    free = ", ".join(code.co_freevars)
    lines = [f"def outer({free}):", " def inner(*args, **kwargs):", f"  {free or 'pass'}", f"  raise {_NAME}"]
    namespace: dict[str, Any] = {}
    exec("\n".join([*lines, " return inner"]), namespace)  # noqa: S102 - names of variables only
    inner: types.FunctionType = namespace["outer"](*code.co_freevars)
    return inner.__code__


def set_on_import(traps: list[dict[str, Any]]) -> None:
    """Make modules that are imported from now on raise: where a trapped method is called, or at their import."""
    setattr(builtins, _NAME, Sprung)
    by_path: dict[str, list[dict[str, Any]]] = {}
    for trap in traps:
        by_path.setdefault(trap["path"], []).append(trap)
    original = importlib.machinery.SourceFileLoader.get_code

    def get_code(loader: Any, fullname: str) -> Any:
        path = loader.get_filename(fullname)
        if path not in by_path:
            return original(loader, fullname)
        tree = ast.parse(loader.get_data(path), path)
        return compile(trapped(tree, by_path[path]), path, "exec", dont_inherit=True)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]


def trapped(tree: ast.Module, traps: list[dict[str, Any]]) -> ast.Module:
    """A module whose trapped definitions raise."""
    for trap in traps:
        if trap["whole"] and trap["name"] == "<module>":
            tree.body.insert(_first_code(tree.body), _raise())
            continue
        for node in ast.walk(tree):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if node.name == trap["name"] and start in trap["starts"]:
                node.body.insert(0, _raise())
    return ast.fix_missing_locations(tree)


def _first_code(body: list[ast.stmt]) -> int:
    """Where a statement may stand in a module: after its docstring and its imports from the future."""
    for position, node in enumerate(body):
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not future and not text:
            return position
    return len(body)


def _raise() -> ast.stmt:
    return ast.Raise(exc=ast.Name(id=_NAME, ctx=ast.Load()), cause=None)
