"""What happens around a test happens the same way without pytest, or the test is left to pytest."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.project_python import project_python

from llm_testgen.edges.git import Repository
from llm_testgen.records import Ending
from llm_testgen.runner.base import Limits, Project
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.interpreter import inspect
from llm_testgen.runner.sandbox import detect
from llm_testgen.runner.warm import WarmRunner

ENVIRON = {"PATH": os.environ["PATH"]}
SOURCE = "def double(n):\n    return 2 * n\n\n\ndef half(n):\n    if n % 2:\n        raise ValueError(n)\n    return n // 2\n"
TESTS = """\
import warnings

import pkg


def test_one():
    pkg.LOG.append("one")
    assert pkg.LOG[-1] == "one"


def test_two():
    pkg.LOG.append("two")
    warnings.warn("two", UserWarning)
    assert pkg.LOG == []
"""
# What is in the log when the second test has added to it is in its failure: the order of all that happened.
PREFIX = "import pytest\nimport pkg\nfrom pkg import mod\n\n"
CONFTESTS = {
    "nothing": "",
    "a value": "@pytest.fixture(autouse=True)\ndef around():\n    pkg.LOG.append(mod.double(1))\n    return 3\n",
    "before and after": "@pytest.fixture(autouse=True)\ndef around():\n    pkg.LOG.append('in')\n    yield\n    pkg.LOG.append('out')\n",
    "one for the file": "@pytest.fixture(autouse=True, scope='module')\ndef around():\n    pkg.LOG.append('in')\n    yield\n    pkg.LOG.append('out')\n",
    "one that asks for another": "@pytest.fixture(scope='session')\ndef whole():\n    pkg.LOG.append('whole')\n    yield mod.double(2)\n\n@pytest.fixture\ndef part(whole):\n    pkg.LOG.append(whole)\n    yield\n    pkg.LOG.append('part')\n\n@pytest.fixture(autouse=True)\ndef around(part, monkeypatch):\n    monkeypatch.setattr(pkg, 'NAME', 'patched')\n    pkg.LOG.append(pkg.NAME)\n",
    "a warning is an error": "import warnings\n\n@pytest.fixture(autouse=True)\ndef around():\n    warnings.simplefilter('error', UserWarning)\n",
    "it fails before": "@pytest.fixture(autouse=True)\ndef around():\n    if 'one' in pkg.LOG:\n        mod.half(1)\n",
    "it fails after": "@pytest.fixture(autouse=True)\ndef around():\n    yield\n    if 'one' in pkg.LOG:\n        mod.half(1)\n",
    "it goes on too long": "@pytest.fixture(autouse=True)\ndef around():\n    yield\n    if 'one' in pkg.LOG:\n        yield\n",
    "it skips": "@pytest.fixture(autouse=True)\ndef around():\n    if 'one' in pkg.LOG:\n        pytest.skip('enough')\n",
    "it asks who": "@pytest.fixture(autouse=True)\ndef around(request):\n    pkg.LOG.append(request.function.__name__)\n",
    "its own folder": "@pytest.fixture(autouse=True)\ndef around(tmp_path):\n    pkg.LOG.append(tmp_path.exists())\n",
    "once for each value": "@pytest.fixture(autouse=True, params=[1, 2])\ndef around(request):\n    pkg.LOG.append(request.param)\n",
    "in the place of another": "@pytest.fixture(autouse=True)\ndef monkeypatch(monkeypatch):\n    pkg.LOG.append('mine')\n    return monkeypatch\n",
    "the tests are looked at": "def pytest_collection_modifyitems(items):\n    pkg.LOG[:] = ([(item.name, item.obj.__name__, item.module.__name__[:4]) for item in items])\n",
    "the tests are turned round": "def pytest_collection_modifyitems(items):\n    items.reverse()\n",
    "a test is taken out": "def pytest_collection_modifyitems(items):\n    items[:] = [item for item in items if item.name != 'test_one']\n",
    "a test is marked": "def pytest_collection_modifyitems(items):\n    for item in items:\n        if 'one' in item.name:\n            item.add_marker(pytest.mark.xfail(strict=True))\n",
    "each test is looked at": "def pytest_runtest_setup(item):\n    pkg.LOG.append(item.name)\n",
}  # fmt: skip


@pytest.mark.parametrize("conftest", CONFTESTS.values(), ids=list(CONFTESTS))
def test_the_same_happens_around_a_test(git_project, conftest):
    git_project.write("pkg/__init__.py", "LOG = []\nNAME = 'original'\n")
    git_project.write("pkg/mod.py", SOURCE)
    git_project.write("tests/conftest.py", PREFIX + conftest)
    git_project.write("tests/test_it.py", "def test_it():\n    pass\n")
    git_project.commit()

    async def both():
        interpreter = inspect(Path(project_python()), ENVIRON)
        modules = {"pkg/mod.py": "pkg.mod"}
        project = Project(
            Repository.open(git_project.root).snapshot("HEAD"), {}, ("",), tuple(modules), "tests", modules
        )
        cold = ColdRunner(project, interpreter, detect(interpreter, ENVIRON).confinement, Limits(), ENVIRON)
        runner = WarmRunner(cold)
        try:
            ready = await runner.prepare()
            # Twice, so that what the first one leaves would show.
            warm = [await runner.run_text("tests", TESTS, hash_seed=0) for _ in range(2)]
            return ready, await cold.run_text("tests", TESTS, hash_seed=0), warm
        finally:
            await runner.close()

    ready, cold, warm = asyncio.run(both())
    assert ready.cold == ""
    for run in warm:
        assert (run.ending, run.failure) == (cold.ending, cold.failure)
        assert (run.covered, run.branches) == (cold.covered, cold.branches)
    assert cold.ending is not Ending.NOT_COLLECTED
