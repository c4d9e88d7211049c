"""Test files out of parts, candidates to place into them, and what must hold of a file once tests were put into it."""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
import types
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from hypothesis import strategies as st
from tests.samples import changed_method, prompt, reply

from llm_testgen.records import Candidate, Hunk, Placement
from llm_testgen.source import FunctionNode
from llm_testgen.stages.suggest import place

PATH = "tests/test_mod.py"

HEADERS = [
    "",
    '"""Tests."""\n',
    '"""Tests\n\nof a module.\n"""\n',
    '"""Tests.""" ; X0 = 1\n',
    "# A licence.\n# Of two lines.\n\n",
    "# About the first statement.\n",
    "#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n",
    "#!/usr/bin/env python\n# A licence.\n\n'''Tests.'''\n",
    "\n\n",
    "\f\n",
]
IMPORTS = [
    "",
    "import os\n",
    "import pkg\n",
    "import json, os\n",
    "from pkg.mod import double\n",
    "from pkg.mod import (\n    double,\n    # a comment\n    half,\n)\n",
    "import os; import sys\n",
    "import os; TEXT0 = '''\nimport nothing\n'''\n",
    "import os  # comment \\\n",
    "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from pkg.mod import double\n",
    "try:\n    import json\nexcept ImportError:\n    json = None\n",
    "import sys\n\nsys.path.insert(0, 'somewhere')\n",
    "import pytest\n\nother = pytest.importorskip('pkg.other')\n",
    "from pkg.mod import *\n",
]
PARTS = [
    "def test_old{n}():\n    assert True\n",
    "def test_one_line{n}(): assert True\n",
    "# About it.\n# More about it.\ndef test_commented{n}():\n    assert True\n    # the end of it\n",
    "# A heading.\n\ndef test_below_heading{n}():\n    assert True\n",
    "async def test_async{n}():\n    assert True\n",
    "@fixed\n# between\n@fixed\ndef test_decorated{n}():\n    assert True\n",
    "def fixed(function):\n    return function\n",
    "CASES{n} = [\n    1,\n\n    2,\n]\n",
    "TEXT{n} = '''\ndef test_in_text():\n\n\n    pass\n'''\n",
    "a{n} = 1; b{n} = 2; \\\nc{n} = 3\n",
    "d{n} = 1 \\\n\n",
    "e{n} = 1;\n",
    "class TestBox:\n    def test_a(self):\n        assert True\n",
    "class TestBox:\n\tdef test_a(self):\n\t\tassert True\n\n\t# the end of it\n",
    "class TestBox:\n  '''Doc.'''\n\n  x = 1; y = 2\n",
    "class TestBox(object):\n    @staticmethod\n    def test_a():\n        assert True\n\n\n    z = (1,\n2)\n",
    "class TestBox: pass\n",
    "class TestLast:\n    def test_a(self):\n        assert True\n# touches it\n",
    "if True:\n    def test_conditional{n}():\n        pass\nelse:\n    test_conditional{n} = None\n",
    "for loop{n} in range(2):\n    pass\n",
    "\f\ndef test_paged{n}():\n    assert True\n",
    "import late{n}\n",
    "with open(__file__) as handle{n}:\n    pass\n",
    "def helped(x):\n    return x\n",
    "X{n} = [y for y in range(3)]\n",
    "assert len('x') == 1\n",
    "def test_nested{n}():\n    def inner():\n        return '''\n# no comment\n'''\n    assert inner()\n",
]
TAILS = [
    "",
    "\n\n\n",
    "# vim: set ts=4:\n",
    "\n# The end.\n\n",
    "    ",
    'if __name__ == "__main__":\n    print("run")\n',
    '\n\n# How to run it.\nif __name__ == "__main__":\n    print("run")\n    # the end\n\n\n',
]

CANDIDATES = {
    "test_it": "from pkg.mod import double\n\n\ndef test_it():\n    assert double(1) == 2\n",
    "test_old0": "from pkg.mod import double\n\n\ndef test_old0():\n    '''Doc.'''\n    # why\n    assert double(1) == 2\n",
    "test_async": "from pkg.mod import double\n\n\nasync def test_async():\n    assert double(1) == 2\n",
    "test_cases": (
        "import pytest\nfrom pkg.mod import double\n\n\n"
        "@pytest.mark.parametrize('number', [1, 2])\ndef test_cases(number):\n    assert double(number) == 2 * number\n"
    ),
    "test_case_list": (
        "from pkg.mod import double\n\n\nCASES = [double(1)]\n\n\ndef test_case_list(case=CASES[0]):\n    assert case == 2\n"
    ),
    "test_fixture": (
        "import json\nimport pytest\n\n\n@pytest.fixture\ndef given():\n    return json.loads('1')\n\n\n"
        "def test_fixture(given):\n    assert given\n"
    ),
    "test_helper": "def helped(x):\n    return x\n\n\ndef test_helper():\n    assert helped(1) == 1\n",
    "test_other_helper": "def helped(x):\n    return x + 1\n\n\ndef test_other_helper():\n    assert helped(1) == 2\n",
    "test_text": "import json\n\n\ndef test_text():\n    text = '''\n  1\n'''\n    assert json.loads(text) == 1\n",
    "test_module": "import pkg.mod\n\n\ndef test_module():\n    assert pkg.mod.double(1) == 2\n",
    "test_single": "from pkg.mod import double\n\n\ndef test_single(): assert double(1) == 2\n",
    "TestBox::test_a": (
        "from pkg.mod import double\n\n\nclass TestBox:\n    '''Doc.'''\n\n    def test_a(self):\n        assert double(1) == 2\n"
    ),
    "TestBox::test_b": (
        "import json\nimport pytest\n\n\nclass TestBox:\n    @pytest.mark.parametrize('text', ['1'])\n"
        "    def test_b(self, text):\n        assert json.loads(text) == 1\n"
    ),
    "TestBox::test_c": (
        "import json\n\n\nclass TestBox:\n    def test_c(self):\n        text = '''\n        1\n        '''\n"
        "        assert json.loads(text) == 1\n"
    ),
    "TestBox::test_d": (
        "def helped(x):\n    return x\n\n\nclass TestBox:\n    async def test_d(self):\n\n        assert helped(1) == 1\n"
    ),
    "TestOther::test_a": (
        "class TestOther:\n    def setup_method(self):\n        self.x = 1\n\n    def test_a(self):\n        assert self.x == 1\n"
    ),
}


def candidate(name: str) -> Candidate:
    """One of `CANDIDATES`."""
    return candidate_of(CANDIDATES[name], name)


def candidate_of(code: str, name: str = "test_it", path: str = PATH) -> Candidate:
    return Candidate(replace(reply(code), prompt=prompt(changed_method(), test_path=path)), name, code)


CLASSES = [part for part in PARTS if part.startswith("class TestBox")]


@st.composite
def files(draw: st.DrawFn) -> str:
    """A valid test file out of parts."""
    text = draw(st.sampled_from(HEADERS))
    if draw(st.booleans()) and "X0" not in text:
        text += "from __future__ import annotations\n"
    text += "".join(draw(st.lists(st.sampled_from(IMPORTS), max_size=3)))
    decorates = False
    for number in range(draw(st.integers(0, 5))):
        part = draw(st.sampled_from(PARTS) | st.sampled_from(CLASSES) if number == 0 else st.sampled_from(PARTS))
        if part.startswith("@fixed") and not decorates:
            part = PARTS[0]
        decorates |= part.startswith("def fixed")
        text += "\n" * draw(st.integers(0, 3)) + part.replace("{n}", str(number))
    text += "\n" * draw(st.integers(0, 2)) + draw(st.sampled_from(TAILS))
    text = text.rstrip("\n") if draw(st.booleans()) and not text.rstrip("\n").endswith("\\") else text
    text = text.replace("\n", "\r\n") if draw(st.booleans()) else text
    return "\ufeff" + text if draw(st.booleans()) else text


def placements(draw: st.DrawFn, text: str, most: int = 4) -> list[Placement]:
    """Candidates of every kind, as far as they were placed into the file itself."""
    names = draw(st.lists(st.sampled_from(sorted(CANDIDATES)), min_size=1, max_size=most))
    _, placed = place([candidate(name) for name in names], {PATH: text} if text else {})
    return [placement for placement in placed if placement.path == PATH]


@st.composite
def hunks(draw: st.DrawFn, count: int) -> tuple[Hunk, ...]:
    """What a diff shows of a file of so many lines: changed lines with three around them, drawn together."""
    if not count:
        return ()
    if draw(st.integers(0, 4)) == 0:
        return (Hunk(1, count),)
    found: list[Hunk] = []
    for line in sorted(draw(st.sets(st.integers(1, count), max_size=5))):
        start, end = max(1, line - 3), min(count, line + 3)
        if found and found[-1].end + 1 >= start:
            start = found.pop().start
        found.append(Hunk(start, end))
    return tuple(found)


def count_lines(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n") and text.removeprefix("\ufeff") != "")


def plain(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def check_nothing_is_lost(before: str, after: str) -> None:
    """All lines are still there, in order, with their ends, and so are all statements."""
    assert after.startswith("\ufeff") == before.startswith("\ufeff")
    newline = "\r\n" if "\r\n" in before else "\n"
    assert "\r\n" not in before or after.count("\r\n") == after.count("\n")
    left = iter(after.removeprefix("\ufeff").split(newline))
    assert all(line in left for line in before.removeprefix("\ufeff").split(newline)[: count_lines(before)])
    old, new = (ast.parse(plain(text)).body for text in (before, after))
    compile(plain(after), "test_mod.py", "exec")
    found = iter(new)
    for node in old:
        assert any(_is_same(node, other) for other in found), f"lost: {ast.unparse(node)}"


def _is_same(old: ast.stmt, new: ast.stmt) -> bool:
    """Whether a statement is as it was, methods at the end of a class aside."""
    if isinstance(old, ast.ClassDef) and isinstance(new, ast.ClassDef):
        new = ast.ClassDef(new.name, new.bases, new.keywords, new.body[: len(old.body)], new.decorator_list)
        old = ast.ClassDef(old.name, old.bases, old.keywords, old.body, old.decorator_list)
    return ast.dump(old) == ast.dump(new)


def check_tests(text: str, expected: Iterable[Placement], absent: Iterable[Placement]) -> None:
    """Each test stands there once and at its level, and those that were not taken do not."""
    names = list(_test_names(ast.parse(plain(text))))
    for placement in expected:
        assert names.count(placement.name) == 1, placement.name
    for placement in absent:
        assert placement.name not in names


def _test_names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, FunctionNode):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from (f"{node.name}::{child.name}" for child in node.body if isinstance(child, FunctionNode))


@contextmanager
def _modules() -> Iterator[None]:
    """The modules that the parts and the candidates import."""
    names = ["pkg", "pkg.mod", "pkg.other", *(f"late{number}" for number in range(5))]
    made = {name: types.ModuleType(name) for name in names}
    made["pkg.mod"].double = lambda x: 2 * x  # type: ignore[attr-defined]
    made["pkg.mod"].half = lambda x: x / 2  # type: ignore[attr-defined]
    made["pkg"].mod, made["pkg"].other = made["pkg.mod"], made["pkg.other"]  # type: ignore[attr-defined]
    saved, path = {name: sys.modules.get(name) for name in names}, list(sys.path)
    sys.modules.update(made)
    try:
        yield
    finally:
        sys.path[:] = path
        for name, module in saved.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def check_runs(text: str, tests: Sequence[Placement]) -> None:
    """The file can be imported, and the tests in it pass."""
    with _modules():
        space: dict[str, object] = {"__name__": "test_mod", "__file__": __file__}
        exec(compile(plain(text), "test_mod.py", "exec"), space)  # noqa: S102 - parts of this module
        for placement in tests:
            owner, _, method = placement.name.rpartition("::")
            if owner:
                instance = space[owner]()  # type: ignore[operator]
                getattr(instance, "setup_method", lambda: None)()
                test = getattr(instance, method)
            else:
                test = space[method]
            needed = inspect.signature(test).parameters
            given = {"number": 1, "text": "1", "given": 1}
            result = test(**{name: value for name, value in given.items() if name in needed})
            if inspect.iscoroutine(result):
                asyncio.run(result)
