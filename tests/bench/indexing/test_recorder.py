"""The plugin that writes down who calls whom, in a real run of pytest."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from llm_testgen.bench.indexing.children import GUESTS

LIBRARY = """
import functools


def numbers(limit):
    yield from range(limit)


def made(limit):
    return numbers(limit)


def consumed(limit):
    return list(made(limit))


def double(value):
    return 2 * value


def mapped(values):
    return list(map(double, values))


def cached(function):
    def wrapper(*args):
        return function(*args)

    return wrapper


@cached
def decorated():
    return double(1)


def user():
    return [decorated() for _ in range(2)]


class Box:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def entered():
    with Box():
        return functools.reduce(lambda a, b: double(a) + b, [1, 2])
"""
TESTS = """
from lib import core


def test_all():
    assert core.consumed(2) == [0, 1]
    assert core.mapped([1]) == [2]
    assert core.user() == [2, 2]
    assert core.entered() == 4
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Calls as names: caller, callee, whether direct, and what lies in between."""
    tree = tmp_path_factory.mktemp("tree")
    for path, text in {"lib/__init__.py": "", "lib/core.py": LIBRARY, "tests/test_core.py": TESTS}.items():
        (tree / path).parent.mkdir(exist_ok=True)
        (tree / path).write_text(textwrap.dedent(text))
    result = tree / "calls.json"
    request = tree / "request.json"
    request.write_text(json.dumps({"library": [f"{tree}/lib/"], "tree": f"{tree}/", "result": str(result)}))
    environment = {**os.environ, "RECORDER": str(request), "PYTHONPATH": f"{tree}{os.pathsep}{GUESTS}"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "recorder", "-p", "no:cacheprovider", "tests"]
    subprocess.run(command, cwd=tree, env=environment, check=True, timeout=60, capture_output=True)
    lines = (tree / "lib/core.py").read_text().split("\n")
    names = {number: line.strip() for number, line in enumerate(lines, 1)}

    def name(place):
        if place is None:
            return None
        text = names[place[1]]
        return "decorated" if text.startswith("@") else text.partition("(")[0].removeprefix("def ")

    rows = json.loads(result.read_text())["calls"]
    return {(name(caller), name(callee), direct, name(via)) for caller, callee, direct, via in rows}


def test_a_generator_is_called_by_what_makes_it_and_not_by_what_runs_it(recorded):
    assert ("made", "numbers", True, None) in recorded
    assert not [call for call in recorded if call[:2] == ("consumed", "numbers")]


def test_what_the_interpreter_calls_for_a_function_is_called_by_it(recorded):
    assert ("mapped", "double", True, None) in recorded
    assert {("entered", "__enter__", True, None), ("entered", "__exit__", True, None)} <= recorded


def test_a_wrapper_is_told_together_with_its_caller(recorded):
    assert {("user", "wrapper", True, None), ("wrapper", "decorated", True, None)} <= {
        (a.partition(" ")[2] if a.startswith("return [") else a, b, c, d) for a, b, c, d in recorded
    } | {("user", b, c, d) for a, b, c, d in recorded if a.startswith("return [")}
    assert [call for call in recorded if call[1] == "decorated" and call[3] == "wrapper"]


def test_calls_from_the_tests_are_not_told(recorded):
    assert not [call for call in recorded if call[0].startswith("test")]
