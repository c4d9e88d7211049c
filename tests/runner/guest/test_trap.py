from __future__ import annotations

import ast
import builtins
import functools
import gc
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from llm_testgen.runner.guest import trap

BOT = Path(__file__).parents[3] / "bot"
SOURCE = '''\
"""Docstring."""

from __future__ import annotations

import functools

LIMIT = 3


def plain(x):
    return x


@functools.lru_cache(maxsize=None)
def cached(x):
    return x


def keeps(function):
    def around(*arguments):
        return function(*arguments)
    return around


@keeps
def hidden(x):
    return x


class Box:
    size = 1

    def method(self):
        return super().__repr__()

    @property
    def value(self):
        return 1

    @value.setter
    def value(self, new):
        self.new = new

    @staticmethod
    def static():
        return 2

    @classmethod
    def made(cls):
        return cls()

    async def waits(self):
        return 1

    def yields(self):
        yield 1


class Proxy:
    @property
    def __class__(self):
        raise RuntimeError


PROXY = Proxy()
'''
TREE = ast.parse(SOURCE)


def trap_for(path, name: str, *, whole: bool = False) -> dict:
    starts = [
        min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        for node in ast.walk(TREE)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name
    ]
    return {"path": str(path), "name": name, "starts": starts or [1], "whole": whole}


def run(tmp_path, setting: str, name: str, use: str, *, whole: bool = False) -> str:
    """What comes of using a module whose method is trapped, in a process of its own."""
    module = tmp_path / "mod.py"
    module.write_text(SOURCE)
    given = trap_for(module, name, whole=whole)
    code = {
        "in memory": "import mod\nimport gc; gc.freeze()\nprint(trap.set_in_memory([given]))\n",
        "on import": "trap.set_on_import([given])\n",
    }[setting]
    program = f"from llm_testgen.runner.guest import trap\ngiven = {given!r}\n{code}try:\n    import mod\n{textwrap.indent(use, '    ')}\nexcept trap.Sprung:\n    print('sprung')\nelse:\n    print('ran')\n"
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{BOT}:{tmp_path}"},
        text=True,
        capture_output=True,
        check=False,
        timeout=30,
    )
    return result.stdout.split("\n")[-2] if result.stdout else result.stderr


USES = [
    ("plain", "mod.plain(1)"),
    ("cached", "mod.cached(1)"),
    ("hidden", "mod.hidden(1)"),
    ("method", "mod.Box().method()"),
    ("value", "mod.Box().value"),
    ("value", "mod.Box().value = 2"),
    ("static", "mod.Box.static()"),
    ("made", "mod.Box.made()"),
    ("waits", "import asyncio; asyncio.run(mod.Box().waits())"),
    ("yields", "next(iter(mod.Box().yields()))"),
]


@pytest.mark.parametrize("setting", ["in memory", "on import"])
@pytest.mark.parametrize(("name", "use"), USES)
def test_a_trapped_method_raises_when_it_is_used(tmp_path, setting, name, use):
    assert run(tmp_path, setting, name, use) == "sprung"


@pytest.mark.parametrize("setting", ["in memory", "on import"])
def test_other_methods_are_left_alone(tmp_path, setting):
    assert run(tmp_path, setting, "plain", "mod.cached(1); mod.hidden(1); mod.Box().value") == "ran"


@pytest.mark.parametrize("name", ["Box", "<module>"])
def test_the_body_of_a_class_or_a_module_raises_at_the_import(tmp_path, name):
    assert run(tmp_path, "on import", name, "pass", whole=True) == "sprung"


def test_a_body_that_has_run_already_cannot_be_trapped():
    assert trap.set_in_memory([trap_for("mod.py", "Box", whole=True)]) is False


def test_a_method_that_is_not_found_is_said():
    gc.collect()
    assert trap.set_in_memory([trap_for("no_such_file.py", "plain")]) is False


def test_no_test_that_expects_an_error_is_satisfied_by_a_trap():
    assert not issubclass(trap.Sprung, Exception)


@pytest.fixture(autouse=True)
def _clean():
    yield
    if hasattr(builtins, trap._NAME):
        delattr(builtins, trap._NAME)


def test_a_wrapped_function_keeps_its_free_variables():
    free = 1

    @functools.wraps(print)
    def closure():
        return free

    closure.__code__ = trap._raising(closure.__code__)
    setattr(builtins, trap._NAME, trap.Sprung)
    with pytest.raises(trap.Sprung):
        closure()
