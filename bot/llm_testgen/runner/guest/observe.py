"""What a test reports of its values, by ``__llm_testgen_observe__(key, value)``, as Python source of equal ones.

Only values of exact, known types are looked into, and members of enumerations that are found where they say they are:
nothing of the project or of a test is called for it. What will be another value tomorrow, or on another machine, has
no source.
"""

from __future__ import annotations

import builtins
import contextlib
import keyword
import sys
from typing import Any, NamedTuple

from . import literals, volatile

NAME = "__llm_testgen_observe__"
_MOST = 300
_LARGEST_KEY = 10_000
_LONGEST_NAME = 100


class Written(NamedTuple):
    """A value as source.

    Attributes:
        expression: It evaluates to an equal value; empty where there is no such.
        imports: Statements that it needs.
    """

    expression: str = ""
    imports: tuple[str, ...] = ()


class Observer:
    """Keeps what a test reports, from now on.

    Args:
        folders: Paths that are others in the next run.
    """

    def __init__(self, *folders: str) -> None:
        """Give tests the means to report."""
        self._folders = folders
        self.observed: list[dict[str, Any]] = []
        setattr(builtins, NAME, self.observe)

    def observe(self, key: Any, value: Any) -> Any:
        """Keep what a value is now, since it may be changed later; returns the value."""
        if type(key) is int and 0 <= key <= _LARGEST_KEY and len(self.observed) < _MOST:
            expression, imports = written(value, self._folders)
            name = _type_name(value)
            self.observed.append({"key": key, "type": name, "expression": expression, "imports": imports})
        return value


def written(value: Any, folders: tuple[str, ...] = ()) -> Written:
    """A value as source."""
    # Whatever is the matter with it, there is no source.
    with contextlib.suppress(Exception):
        writer = literals.Writer(volatile.Volatile(folders))
        expression = writer.write(value)
        if len(expression) <= literals.LONGEST and _is_equal(expression, writer.modules, value):
            return Written(expression, tuple(f"import {name}" for name in sorted(writer.modules)))
    return Written()


def _is_equal(expression: str, modules: set[str], value: Any) -> bool:
    """Whether an expression gives the value again, in a namespace with nothing but the imports."""
    roots = {name.partition(".")[0] for name in modules}
    named = {root: literals.MODULES.get(root) or sys.modules[root] for root in roots}
    namespace = {"__builtins__": literals.BUILTINS, **named}
    again = eval(expression, namespace)  # noqa: S307 - it was written here
    return type(again) is type(value) and (again is value or bool(again == value))


def _type_name(value: Any) -> str:
    name: str = literals.name_of(type(value))
    return name if name.isidentifier() and not keyword.iskeyword(name) and len(name) <= _LONGEST_NAME else "object"
