"""Which test files need nothing of pytest: most of what a model writes, and it runs at a third of the cost without it.

A plain file holds imports, constants, helpers and test functions without arguments or decorators. What passes without
pytest passes in pytest too, unless the project's own plugins, fixtures or filters of warnings interfere, which is for
the guest to know: see `guest.surroundings`.
"""

from __future__ import annotations

import ast
from functools import lru_cache

# Names by which pytest, or its support of older runners, finds more than test functions.
_MEANT_FOR_PYTEST = ("test", "Test", "pytest", "setup", "teardown", "setUp", "tearDown", "load_tests", "__test")
_KEPT = 256


# A candidate is run several times: again with other hash seeds, with traps, with mutants.
@lru_cache(_KEPT)
def plain_tests(text: str) -> tuple[str, ...]:
    """The names of a plain file's test functions, in their order; empty when it is not plain, or no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    tests = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            given = node.args
            if node.decorator_list or any((given.posonlyargs, given.args, given.kwonlyargs, given.vararg, given.kwarg)):
                return ()
            tests.append(node.name)
        elif not _is_support(node):
            return ()
    return tuple(tests) if len(set(tests)) == len(tests) else ()


def _is_support(node: ast.stmt) -> bool:
    """Whether a statement of a module means nothing to pytest."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        names = [alias.asname or alias.name.partition(".")[0] for alias in node.names]
        return not any(name == "*" or _is_special(name) for name in names if name != "pytest")
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        bases = node.bases if isinstance(node, ast.ClassDef) else []
        return not (node.decorator_list or bases or _is_special(node.name))
    if isinstance(node, ast.Assign):
        return not any(not isinstance(target, ast.Name) or _is_special(target.id) for target in node.targets)
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_special(name: str) -> bool:
    return name.startswith(_MEANT_FOR_PYTEST)
