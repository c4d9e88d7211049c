"""A definition that is replaced by a faulty version of itself, in a warm interpreter and in a fresh one."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.conftest import GitProject
from tests.project_python import project_python
from tests.samples import changed_method, prompt, reply

from llm_testgen.edges.git import Repository
from llm_testgen.records import Candidate, Ending, Mutant, Run
from llm_testgen.runner.base import Conditions, Limits, Project, Runner
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.interpreter import inspect
from llm_testgen.runner.sandbox import detect
from llm_testgen.runner.warm import WarmRunner
from llm_testgen.source import parse

ENVIRON = {"PATH": os.environ["PATH"]}
PATH = "src/pkg/mod.py"
SOURCE = '''\
"""Docstring."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys

LIMIT = 10


def plain(x: Unknown, *, more=1):
    """Lines \\d that are odd."""
    if x < LIMIT:
        return x + more
    return LIMIT


@functools.lru_cache(maxsize=None)
def cached(x):
    return x + 1


def keeps(function):
    @functools.wraps(function)
    def around(*arguments):
        return function(*arguments)
    return around


@keeps
def hidden(x):
    return x + 1


@contextlib.contextmanager
def opened(x):
    yield x + 1


async def waits(x):
    await asyncio.sleep(0)
    return x + 1


def counts(x):
    yield x
    yield x + 1


async def streams(x):
    yield x + 1


def loops(x):
    while x > 0:
        x -= 1
    return x


def nests(x):
    def inner(y):
        return x + y
    return [inner(value) for value in range(3) if value + x > 1]


if sys.version_info >= (3,):
    def chosen(x):
        return x + 1
else:
    def chosen(x):
        return x - 1

try:
    import nothing_of_that_name
except ImportError:
    class Fallback:
        if LIMIT:
            def value(self):
                return self.__value()

        def __value(self):
            return 1


class Base:
    def __init__(self, side=1):
        self.side = side

    def area(self):
        return self.side


class Box(Base):
    size = 1
    __hidden = 2

    def __init__(self, side=3):
        super().__init__(side)
        self.__own = 5

    def area(self):
        text = """
first
  second"""
        return super().area() * self.side + len(text)

    def named(self):
        return __class__.__name__ + str(self.__own + self.__hidden)

    @property
    def value(self):
        return self.size + 1

    @value.setter
    def value(self, new):
        self.size = new + 1

    @staticmethod
    def static(x):
        return x + 1

    @classmethod
    def made(cls):
        return cls(side=7)

    class Inner:
        def __secret(self):
            return 1

        def told(self):
            return self.__secret() + 1


def at_import(x):
    return x + 1


TABLE = {1: at_import(1)}


def one_line(x): return x + 1


def replaced(x):
    return x + 1


replaced = functools.partial(pow, 2)


class Proxy:
    @property
    def __class__(self):
        raise RuntimeError


PROXY = Proxy()
'''
LAZY = "def late(x):\n    return x + 1\n"
USES = {
    "plain": "assert mod.plain(2, more=3) == 5",
    "cached": "assert mod.cached(1) == 2",
    "hidden": "assert mod.hidden(1) == 2",
    "opened": "with mod.opened(1) as got:\n        assert got == 2",
    "waits": "assert asyncio.run(mod.waits(1)) == 2",
    "counts": "assert list(mod.counts(1)) == [1, 2]",
    "streams": "async def all():\n        return [item async for item in mod.streams(1)]\n    assert asyncio.run(all()) == [2]",
    "loops": "assert mod.loops(3) == 0",
    "nests": "assert mod.nests(1) == [2, 3]",
    "chosen": "assert mod.chosen(1) == 2",
    "Fallback.value": "assert mod.Fallback().value() == 1",
    "Box.__init__": "assert (mod.Box().side, mod.Box()._Box__own) == (3, 5)",
    "Box.area": "assert mod.Box().area() == 24",
    "Box.named": "assert mod.Box().named() == 'Box7'",
    "Box.value": "box = mod.Box()\n    assert box.value == 2\n    box.value = 3\n    assert box.size == 4",
    "Box.static": "assert mod.Box.static(1) == 2",
    "Box.made": "assert mod.Box.made().side == 7",
    "Box.Inner.told": "assert mod.Box.Inner().told() == 2",
    "Box": "assert mod.Box.size == 1",
    "<module>": "assert mod.LIMIT == 10",
    "at_import": "assert mod.TABLE[1] == 2",
    "one_line": "assert mod.one_line(1) == 2",
    "replaced": "assert mod.replaced(1) == 2",
}


@dataclass(frozen=True)
class Case:
    """A fault, which of several definitions of the name has it, and whether a test with it can be forked."""

    qualname: str
    before: str
    after: str
    which: int = -1
    forked: bool = True
    noticed: bool = True

    def __str__(self) -> str:
        return f"{self.qualname}: {self.before} -> {self.after or 'nothing'}"

    @property
    def mutant(self) -> Mutant:
        return mutant(SOURCE, self.qualname, self.before, self.after, self.which)

    @property
    def code(self) -> str:
        return f"import asyncio\nfrom pkg import mod\n\ndef test_it():\n    {USES[self.qualname]}\n"


CASES = [
    Case("plain", "x < LIMIT", "x > LIMIT"),
    Case("plain", "        return x + more\n", "        return x + more + len('''\n\n''')\n"),
    Case("plain", '    """Lines \\d that are odd."""\n', "", noticed=False),
    Case("cached", "x + 1", "x - 1"),
    Case("hidden", "x + 1", "x - 1"),
    Case("opened", "x + 1", "x - 1"),
    Case("waits", "x + 1", "x - 1"),
    Case("waits", "    await asyncio.sleep(0)\n    return x + 1", "    return None"),
    Case("counts", "    yield x + 1", "    pass"),
    Case("counts", "    yield x\n    yield x + 1", "    return []", forked=False),
    Case("streams", "x + 1", "x - 1"),
    Case("nests", "x + y", "x - y"),
    Case("nests", "> 1", ">= 1"),
    Case("chosen", "x + 1", "x - 1", which=0),
    Case("chosen", "x - 1", "x + 2", noticed=False, forked=False),
    Case("Fallback.value", "self.__value()", "-self.__value()"),
    Case("Box.__init__", "        super().__init__(side)\n", ""),
    Case("Box.__init__", "self.__own = 5", "self.__own = 6"),
    Case("Box.area", "super().area() *", "super().area() +"),
    Case("Box.area", "return super().area() * self.side + len(text)", "return None"),
    Case("Box.named", "+ self.__hidden", "- self.__hidden"),
    Case("Box.value", "self.size + 1", "self.size - 1", which=0),
    Case("Box.value", "new + 1", "new - 1"),
    Case("Box.static", "x + 1", "x - 1"),
    Case("Box.made", "side=7", "side=8"),
    Case("Box.Inner.told", "self.__secret() + 1", "self.__secret() - 1"),
    Case("plain", "more=1", "more=2", noticed=False),
    Case("Box.__init__", "side=3", "side=4"),
    Case("Box", "size = 1", "size = 2", forked=False),
    Case("<module>", "LIMIT = 10", "LIMIT = 11", forked=False),
    Case("at_import", "x + 1", "x - 1", forked=False),
    Case("one_line", "x + 1", "x - 1"),
    Case("replaced", "x + 1", "x - 1", noticed=False, forked=False),
    Case("hidden", "x + 1", "x +", noticed=False, forked=False),
]


def mutant(source: str, qualname: str, before: str, after: str, which: int = -1) -> Mutant:
    path = PATH if source == SOURCE else "src/pkg/lazy.py"
    found = [one.method for one in parse(path, source.encode()).definitions if one.method.qualname == qualname]
    method = found[which]
    assert method.source.count(before) == 1
    return Mutant(method, method.start, "fault", before, after, method.source.replace(before, after))


def candidate(code: str) -> Candidate:
    answer = replace(reply(code), prompt=prompt(changed_method(), test_path="tests/test_mod.py"))
    return Candidate(answer, "test_it", code)


class Bench:
    """A runner of the project, and a loop of its own."""

    def __init__(self, project: GitProject, *, warm: bool) -> None:
        self._loop = asyncio.Runner()
        modules = {PATH: "pkg.mod", "src/pkg/lazy.py": ""}
        described = Project(
            Repository.open(project.root).snapshot("HEAD"), {}, ("src",), tuple(modules), "tests", {PATH: "pkg.mod"}
        )
        found = inspect(Path(project_python()), ENVIRON)
        cold = ColdRunner(described, found, detect(found, ENVIRON).confinement, Limits(seconds=20), ENVIRON)
        self.runner: Runner = WarmRunner(cold, workers=1) if warm else cold
        ready = self._loop.run(self.runner.prepare())
        assert (ready.problem, ready.cold) == ("", "")

    def run(self, code: str, mutant: Mutant | None = None, **conditions) -> Run:
        return self._loop.run(self.runner.run_candidate(candidate(code), hash_seed=0, mutant=mutant, **conditions))

    def close(self) -> None:
        self._loop.run(self.runner.close())
        self._loop.close()


def _bench(project: GitProject, *, warm: bool) -> Iterator[Bench]:
    bench = Bench(project, warm=warm)
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> GitProject:
    project = GitProject(tmp_path_factory.mktemp("mutants") / "project")
    project.root.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    project.write("src/pkg/__init__.py", "")
    project.write(PATH, SOURCE)
    project.write("src/pkg/lazy.py", LAZY)
    project.write("tests/test_mod.py", "def test_nothing():\n    pass\n")
    project.commit()
    return project


@pytest.fixture(scope="module")
def warm(project):
    yield from _bench(project, warm=True)


@pytest.fixture(scope="module")
def cold(project):
    yield from _bench(project, warm=False)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_is_noticed_in_a_forked_process_as_in_a_fresh_one(case, warm, cold):
    forked, fresh = warm.run(case.code, case.mutant), cold.run(case.code, case.mutant)
    expected = Ending.FAILED if case.noticed else Ending.PASSED
    assert (forked.ending, fresh.ending) == (expected, expected)
    if case.noticed:
        assert (forked.failure.kind, forked.failure.line) == (fresh.failure.kind, fresh.failure.line)
        assert forked.failure.phase == "call"
    assert bool(forked.cpu) is case.forked
    if case.qualname != "replaced":
        assert warm.run(case.code).failure is None


@pytest.mark.parametrize("qualname", [name for name in USES if name != "replaced"])
def test_without_a_fault_the_tests_of_these_tests_pass(qualname, warm):
    assert warm.run(f"import asyncio\nfrom pkg import mod\n\ndef test_it():\n    {USES[qualname]}\n").failure is None


FAULT = mutant(SOURCE, "plain", "x < LIMIT", "x > LIMIT")
WAYS = {
    "a module that is imported anew": "import sys\nfrom pkg import mod\n\ndef test_it():\n    del sys.modules['pkg.mod']\n    from pkg.mod import plain\n    assert plain(1) == 2\n",
    "a module that is loaded again": "import importlib\nfrom pkg import mod\n\ndef test_it():\n    importlib.reload(mod)\n    assert mod.plain(1) == 2\n",
    "a test that needs pytest": "from pkg import mod\n\ndef test_it(tmp_path):\n    assert mod.plain(1) == 2\n",
    "a test that expects an error": "import pytest\nfrom pkg import mod\n\ndef test_it():\n    with pytest.raises(ZeroDivisionError):\n        1 / (mod.plain(1) - 2)\n",
    "a test that ends the process": "import os\nfrom pkg import mod\n\ndef test_it():\n    mod.plain(1) == 2 or os.abort()\n",
    "a test that leaves by itself": "import sys\nfrom pkg import mod\n\ndef test_it():\n    mod.plain(1) == 2 or sys.exit(1)\n",
    "an import of a name": "from pkg.mod import plain\n\nVALUE = plain(1)\n\ndef test_it():\n    assert VALUE == 2\n",
}


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS)
def test_a_fault_reaches(code, warm, cold):
    forked, fresh = warm.run(code, FAULT), cold.run(code, FAULT)
    assert forked.ending is fresh.ending
    assert forked.ending in {Ending.FAILED, Ending.CRASHED}
    assert (forked.failure.kind, forked.failure.line) == (fresh.failure.kind, fresh.failure.line)
    assert forked.cpu
    assert warm.run(code).ending is Ending.PASSED


def test_a_fault_reaches_a_module_that_was_not_imported_ahead(warm, cold):
    fault = mutant(LAZY, "late", "x + 1", "x - 1")
    code = "from pkg.lazy import late\n\ndef test_it():\n    assert late(1) == 2\n"
    forked = warm.run(code, fault)
    assert (forked.ending, cold.run(code, fault).ending) == (Ending.FAILED, Ending.FAILED)
    assert forked.cpu
    assert warm.run(code).ending is Ending.PASSED


def test_a_skipped_test_is_skipped_with_a_fault_too(warm, cold):
    code = "import pytest\nfrom pkg import mod\n\ndef test_it():\n    mod.plain(1) == 2 or pytest.skip('no')\n"
    assert (warm.run(code, FAULT).ending, cold.run(code, FAULT).ending) == (Ending.SKIPPED, Ending.SKIPPED)


@pytest.mark.parametrize("kind", ["warm", "cold"])
def test_a_fault_that_makes_a_loop_run_for_ever_is_ended_in_the_time_for_this_run(kind, request):
    bench = request.getfixturevalue(kind)
    fault = mutant(SOURCE, "loops", "x -= 1", "x -= 0")
    code = "from pkg import mod\n\ndef test_it():\n    assert mod.loops(3) == 0\n"
    bench.run(code)
    started = time.monotonic()
    run = bench.run(code, fault, seconds=3)
    assert run.ending is Ending.TIMEOUT
    assert run.failure.message == "did not end within 3 s"
    assert time.monotonic() - started < 15
    assert bench.run(code).ending is Ending.PASSED


def test_the_time_for_one_run_is_never_more_than_that_for_any():
    assert Conditions(seconds=3).limit(20) == 3
    assert Conditions(seconds=30).limit(20) == Conditions().limit(20) == 20
