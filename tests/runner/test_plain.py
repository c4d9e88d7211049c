from __future__ import annotations

import pytest

from llm_testgen.runner.plain import plain_tests

PLAIN = [
    "def test_it():\n    assert 1\n",
    '"""Doc."""\nimport os\nfrom os import path as p\nLIMIT = 3\n\ndef helper(x):\n    return x\n\nclass Box:\n    pass\n\ndef test_it():\n    assert helper(LIMIT)\n\ndef test_other():\n    pass\n',
    "import pytest\n\ndef test_it():\n    with pytest.raises(ValueError):\n        int('x')\n",
]
NOT_PLAIN = [
    ("a fixture is asked for", "def test_it(tmp_path):\n    pass\n"),
    ("an argument with a default", "def test_it(x=1):\n    pass\n"),
    ("a decorator", "import pytest\n\n@pytest.mark.skip\ndef test_it():\n    pass\n"),
    ("a fixture of its own", "import pytest\n\n@pytest.fixture(autouse=True)\ndef around():\n    pass\n\ndef test_it():\n    pass\n"),
    ("a class of tests", "class TestIt:\n    def test_it(self):\n        pass\n\ndef test_other():\n    pass\n"),
    ("a unittest", "import unittest\n\nclass It(unittest.TestCase):\n    def test_it(self):\n        pass\n\ndef test_other():\n    pass\n"),
    ("a mark for the module", "import pytest\npytestmark = pytest.mark.skip\n\ndef test_it():\n    pass\n"),
    ("a coroutine", "async def test_it():\n    pass\n"),
    ("a setup", "def setup_module():\n    pass\n\ndef test_it():\n    pass\n"),
    ("an older setup", "def setup():\n    pass\n\ndef test_it():\n    pass\n"),
    ("an imported test", "from pkg import test_more\n\ndef test_it():\n    pass\n"),
    ("anything may be imported", "from pkg import *\n\ndef test_it():\n    pass\n"),
    ("a test by assignment", "test_more = print\n\ndef test_it():\n    pass\n"),
    ("a test in a condition", "if True:\n    def test_more():\n        pass\n\ndef test_it():\n    pass\n"),
    ("the same name twice", "def test_it():\n    assert 0\n\ndef test_it():\n    pass\n"),
    ("a hook", "def pytest_generate_tests(metafunc):\n    pass\n\ndef test_it():\n    pass\n"),
    ("no test", "x = 1\n"),
]  # fmt: skip


@pytest.mark.parametrize("text", PLAIN)
def test_what_needs_nothing_of_pytest_is_plain(text):
    assert plain_tests(text)[0] == "test_it"


@pytest.mark.parametrize("text", [text for _, text in NOT_PLAIN], ids=[reason for reason, _ in NOT_PLAIN])
def test_what_pytest_may_see_otherwise_is_not_plain(text):
    assert plain_tests(text) == ()


def test_what_is_no_python_is_not_plain():
    assert plain_tests("def test_it(:\n") == plain_tests("x = '\0'\n") == plain_tests("(" * 10_000) == ()


def test_the_tests_are_told_in_their_order():
    assert plain_tests("def test_b():\n    pass\n\ndef test_a():\n    pass\n") == ("test_b", "test_a")
