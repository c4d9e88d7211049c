"""Records to start a stage from, made as the stages before would make them."""

from __future__ import annotations

from collections.abc import Mapping

from llm_testgen.records import ChangedMethod, ChangeStatus, Context, Message, Method, Prompt, Reply, Usage
from llm_testgen.repairs.base import closest
from llm_testgen.source import parse

# A change of a small module, hardly tested.
SIZES_BASE = '"""Sizes."""\n\n\ndef grade(x):\n    return "all"\n'
SIZES_HEAD = '''"""Sizes."""

LIMIT = 10


def grade(x):
    if x < 0:
        raise ValueError(x)
    if x > LIMIT:
        return "large"
    return "small"


class Box:
    def __init__(self, side):
        self.side = side

    def area(self):
        if self.side == 1:
            return 1
        return self.side ** 2
'''


def changed_method(
    source: str = "def double(x):\n    return 2 * x\n", qualname: str = "double", path: str = "src/pkg/mod.py"
) -> ChangedMethod:
    module = parse(path, source.encode())
    definitions = tuple(entry.method for entry in module.definitions if entry.method.qualname == qualname)
    lines = frozenset(line for method in definitions for line in range(method.start, method.end + 1))
    return ChangedMethod(definitions, lines, ChangeStatus.ADDED)


def prompt(target: ChangedMethod | None = None, *, test_path: str = "tests/test_mod.py", attempt: int = 1) -> Prompt:
    target = target or changed_method()
    context = Context(target, "pkg.mod", "from pkg.mod import double", target.lines, test_path)
    return Prompt(context, (Message("user", "Write tests."),), "", attempt)


def reply(text: str, target: ChangedMethod | None = None, *, truncated: bool = False) -> Reply:
    return Reply(prompt(target), text, "scripted", Usage(10, 20, 0.5), truncated=truncated)


class ModuleNames:
    """The names of a module ``pkg.mod`` that defines some of them."""

    def __init__(
        self,
        *defined: str,
        helpers: Mapping[str, str] | None = None,
        source: str = "",
        fixtures: tuple[str, ...] = (),
        **imports: str,
    ) -> None:
        self._defined = frozenset(defined)
        self._helpers = helpers or {}
        self._imports = imports
        self._definitions = parse("src/pkg/mod.py", source.encode()).definitions
        self._fixtures = fixtures

    def import_for(self, name: str) -> str | None:
        if name in self._defined:
            return f"from pkg.mod import {name}"
        return self._imports.get(name)

    def helper(self, name: str) -> str | None:
        return self._helpers.get(name)

    def is_defined(self, name: str) -> bool:
        return name in self._defined

    def is_project_module(self, module: str) -> bool:
        return module in {"pkg", "pkg.mod", "pkg.other"}

    def definition(self, qualname: str) -> Method | None:
        found = [entry.method for entry in self._definitions if entry.method.qualname == qualname]
        return found[-1] if found else None

    def similar(self, name: str) -> str | None:
        return closest(name, {*self._defined, *self._imports})

    def fixtures(self) -> tuple[str, ...]:
        return self._fixtures
