"""A warm run says the same as a cold one, for hundreds of candidates of three real projects: a third of them at a time."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

from llm_testgen.edges.git import Repository
from llm_testgen.edges.gitwrite import create_repository
from llm_testgen.records import Ending
from llm_testgen.runner.base import Limits, Project
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.interpreter import inspect
from llm_testgen.runner.sandbox import detect
from llm_testgen.runner.warm import WarmRunner

ENVIRON = {"PATH": os.environ["PATH"]}

# What the projects offer: an import, an expression, and the repr of its value.
CALLS = {
    "cachetools": [
        ("from cachetools import LRUCache", "LRUCache(maxsize=2).maxsize", "2"),
        ("import cachetools", "cachetools.TTLCache(3, ttl=9).get('x', 1)", "1"),
        ("from cachetools.keys import hashkey", "hashkey(1, 2) == hashkey(1, 2)", "True"),
        ("from cachetools import cached", "cached(cache={})(lambda x: x + 1)(2)", "3"),
        ("from cachetools.func import lru_cache", "lru_cache(maxsize=4)(lambda x: x * 2)(4)", "8"),
        ("import cachetools.keys", "len({*cachetools.keys.typedkey('a', 'b', c=1)}) > 2", "True"),
    ],
    "click": [
        ("import click", "click.unstyle(click.style('a', fg='red'))", "'a'"),
        ("from click.formatting import wrap_text", "wrap_text('one two three', width=8)", "'one two\\nthree'"),
        ("import click", "click.IntRange(1, 5, clamp=True).convert(9, None, None)", "5"),
        ("from click.types import Choice", "Choice(['a', 'b']).convert('b', None, None)", "'b'"),
        ("import click\nfrom click.testing import CliRunner", "CliRunner().invoke(click.Command('x')).exit_code", "0"),
        ("from click.utils import make_str", "make_str(b'x')", "'x'"),
    ],
    "humanize": [
        ("import humanize", "humanize.intcomma(12345)", "'12,345'"),
        ("from humanize.filesize import naturalsize", "naturalsize(3_000_000)", "'3.0 MB'"),
        ("from humanize.number import ordinal", "ordinal(103)", "'103rd'"),
        ("from humanize.time import precisedelta", "precisedelta(3661)", "'1 hour, 1 minute and 1 second'"),
        ("import humanize.lists", "humanize.lists.natural_list(['a', 'b', 'c'])", "'a, b and c'"),
        ("from humanize import i18n", "i18n.thousands_separator()", "','"),
    ],
}
MEASURED = {
    "cachetools": ("__init__", "_cached", "func", "keys"),
    "click": ("core", "formatting", "types", "utils", "testing", "termui"),
    "humanize": ("number", "filesize", "time", "lists", "i18n"),
}

# What happens around each test: nothing, what is done without pytest, and what takes all of it.
CONFTESTS = {
    "cachetools": "",
    "click": """\
import click
import pytest


def pytest_collection_modifyitems(config, items):
    for item in items:
        if "slow" in item.keywords or "slow" in item.name:
            item.add_marker(pytest.mark.skip)


@pytest.fixture(scope="session")
def context():
    with click.Context(click.Command("all")) as context:
        yield context


@pytest.fixture(autouse=True)
def around(context, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    yield context.command.name
    assert click.get_current_context() is context


@pytest.fixture(autouse=True)
def before(around):
    return click.style(around)
""",
    "humanize": "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef around(request):\n    yield request.node.name\n",
}

# Shapes of tests, with the import, the expression and the value of a call.
SHAPES = {
    "passes": "{i}\n\ndef test_it():\n    assert {e} == {v}\n",
    "fails": "{i}\n\ndef test_it():\n    value = {e}\n    assert value == 'something else'\n",
    "misses a name": "{i}\n\ndef test_it():\n    assert {e} == missing\n",
    "imports what is not there": "{i}\nfrom os import nothing_of_that_name\n\ndef test_it():\n    assert {e} == {v}\n",
    "is no Python": "{i}\n\ndef test_it(:\n    assert {e} == {v}\n",
    "imports late": "def test_it():\n    {i0}\n    assert {e} == {v}\n",
    "is parametrised": "import pytest\n{i}\n\n@pytest.mark.parametrize('n', [1, 2])\ndef test_it(n):\n    assert [{e}] * n == [{v}] * n\n",
    "uses fixtures": "import pytest\n{i}\n\n@pytest.fixture\ndef value(tmp_path, monkeypatch):\n    monkeypatch.chdir(tmp_path)\n    yield {e}\n    tmp_path.joinpath('x').write_text('y')\n\ndef test_it(value, capsys):\n    print(value)\n    assert value == {v}\n    assert capsys.readouterr().out\n",
    "fails after the test": "import pytest\n{i}\n\n@pytest.fixture\ndef value():\n    yield {e}\n    raise RuntimeError('late')\n\ndef test_it(value):\n    assert value == {v}\n",
    "is a class": "{i}\n\nclass TestIt:\n    def setup_method(self):\n        self.value = {e}\n\n    def test_it(self):\n        assert self.value == {v}\n",
    "is a unittest": "import unittest\n{i}\n\nclass TestIt(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual({e}, 'nothing')\n",
    "does not raise": "import pytest\n{i}\n\ndef test_it():\n    with pytest.raises(ValueError):\n        {e}\n",
    "fails by name": "import pytest\n{i}\n\ndef test_it():\n    {e}\n    pytest.fail('no')\n",
    "exits": "import sys\n{i}\n\ndef test_it():\n    {e}\n    sys.exit(3)\n",
    "returns": "{i}\n\ndef test_it():\n    return {e}\n",
    "fails while it is imported": "{i}\n\ndef check(value):\n    assert value == 'nothing'\n\nVALUE = check({e})\n\ndef test_it():\n    pass\n",
    "is two tests": "{i}\n\ndef test_it():\n    assert {e} == {v}\n\ndef test_slow():\n    assert {e} == 'nothing'\n",
    "sees what is around": "import os\n{i}\n\ndef test_it():\n    {e}\n    width, name = os.environ.get('COLUMNS'), os.environ['PYTEST_CURRENT_TEST']\n    assert width == name\n",
    "is skipped": "import pytest\n{i}\n\ndef test_it():\n    {e}\n    pytest.skip('no')\n",
    "is expected to fail": "import pytest\n{i}\n\n@pytest.mark.xfail\ndef test_it():\n    assert {e} == 'nothing'\n",
    "warns": "import warnings\nimport pytest\n{i}\n\ndef test_it():\n    with pytest.warns(DeprecationWarning):\n        warnings.warn('old', DeprecationWarning)\n    assert {e} == {v}\n",
    "works in a thread": "import threading\n{i}\n\ndef test_it():\n    seen = []\n    thread = threading.Thread(target=lambda: seen.append({e}))\n    thread.start()\n    thread.join()\n    assert seen == [{v}]\n",
    "imports everything anew": "import sys\n\ndef test_it():\n    for name in [name for name in sys.modules if name.partition('.')[0] == '{p}']:\n        del sys.modules[name]\n    {i0}\n    assert {e} == {v}\n",
    "depends on nothing": "def test_it():\n    assert sorted({{'b', 'a'}}) == ['a', 'b']\n",
    "writes where it stands": "from pathlib import Path\n{i}\n\ndef test_it():\n    Path('written.txt').write_text(str({e}))\n    assert Path('written.txt').exists()\n",
}


def candidates(project: str, part: int) -> list[str]:
    """Every shape with two of the project's calls; the three parts have all."""
    return [
        shape.format(i=statement, i0=statement.replace("\n", "; "), e=expression, v=value, p=project)
        for number, (statement, expression, value) in enumerate(CALLS[project])
        for place, shape in enumerate(SHAPES.values())
        if (number + place) % 3 == part
    ]


def project(name: str, folder: Path) -> Project:
    """An installed package as a project with a test of its own."""
    (where,) = importlib.util.find_spec(name).submodule_search_locations
    shutil.copytree(where, folder / "src" / name, ignore=shutil.ignore_patterns("__pycache__"))
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files["tests/test_import.py"] = f"import {name}\n\n\ndef test_it():\n    assert {name}\n".encode()
    files["tests/conftest.py"] = CONFTESTS[name].encode()
    root = folder / "repository"
    root.mkdir()
    create_repository(root, {"start": files})
    measured = tuple(f"src/{name}/{module}.py" for module in MEASURED[name])
    modules = {f"src/{name}/{module}.py": f"{name}.{module}" for module in MEASURED[name]}
    snapshot = Repository.open(root).snapshot("HEAD")
    return Project(snapshot, {}, ("src",), measured, "tests", modules, ("tests/test_import.py",))


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.soak) for part in (1, 2))])
@pytest.mark.parametrize("name", sorted(CALLS))
def test_the_same_verdict_and_the_same_lines(name, part, tmp_path):
    texts = candidates(name, part)
    assert len(texts) == 2 * len(SHAPES)

    async def compare():
        interpreter = inspect(Path(sys.executable), ENVIRON)
        cold = ColdRunner(
            project(name, tmp_path), interpreter, detect(interpreter, ENVIRON).confinement, Limits(), ENVIRON
        )
        warm = WarmRunner(cold)
        try:
            ready = await warm.prepare()
            assert (ready.problem, ready.cold) == ("", "")

            async def both(text):
                return (
                    await cold.run_text("tests", text, hash_seed=0),
                    await warm.run_text("tests", text, hash_seed=0),
                )

            return await asyncio.gather(*map(both, texts))
        finally:
            await warm.close()

    pairs = asyncio.run(compare())
    for text, (plain, forked) in zip(texts, pairs, strict=True):
        assert (forked.ending, forked.failure) == (plain.ending, plain.failure), text
        assert forked.covered == plain.covered, text
        assert forked.branches == plain.branches, text
    endings = {plain.ending for plain, _ in pairs}
    assert endings >= {Ending.PASSED, Ending.FAILED, Ending.SKIPPED, Ending.NOT_COLLECTED}
    assert sum(bool(plain.covered) for plain, _ in pairs) > len(texts) / 2
    assert sum(bool(plain.branches) for plain, _ in pairs) > len(texts) / 3
