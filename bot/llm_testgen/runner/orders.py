"""What guests are told of methods that are to raise, and of definitions that are to be replaced."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from llm_testgen.records import ChangedMethod, MethodKind, Mutant
from llm_testgen.runner.guest.mutation import FunctionNode, definition, surrounded
from llm_testgen.source import SourceError, parse_tree

_WHOLE = frozenset({MethodKind.CLASS, MethodKind.MODULE})
_KEPT = 512


def describe_traps(root: Path, methods: Iterable[ChangedMethod]) -> list[dict[str, object]]:
    """Methods of a copy of the tree as `guest.trap` takes them."""
    return [
        {
            "path": str(root / method.path),
            "starts": [definition.start for definition in method.definitions],
            "name": method.method.name,
            "whole": method.method.kind in _WHOLE,
        }
        for method in methods
    ]


def describe_mutant(root: Path, mutant: Mutant | None) -> dict[str, object] | None:
    """A mutant of a copy of the tree as `guest.mutation` takes it."""
    return None if mutant is None else {**_described(mutant), "path": str(root / mutant.path)}


# One mutant meets many tests.
@lru_cache(_KEPT)
def _described(mutant: Mutant) -> dict[str, object]:
    method = mutant.definition
    described: dict[str, object] = {
        "path": method.path,
        "name": method.name,
        "classes": method.qualname.split(".")[:-1],
        "start": method.start,
        "body": method.start,
        "end": method.end,
        "source": mutant.source,
        "whole": True,
    }
    if method.kind in _WHOLE:
        return described
    real, faulty = _function({**described, "source": method.source}), _function(described)
    if real is None or faulty is None:
        return described
    return {**described, "body": real.body[0].lineno, "whole": _header(real) != _header(faulty)}


def _function(described: dict[str, object]) -> FunctionNode | None:
    try:
        return definition(parse_tree(surrounded(described)), described)
    except SourceError:
        return None


def _header(function: FunctionNode) -> str:
    """All but the body, which runs when the function is defined and not when it is called."""
    parts = {name: value for name, value in ast.iter_fields(function) if name != "body"}
    return ast.dump(type(function)(**parts, body=[]))
