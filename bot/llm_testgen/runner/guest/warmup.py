"""A small pytest session apart from the project, to have all parts of pytest imported and used once."""

from __future__ import annotations

import os
import sys

import pytest

from . import outcomes
from .files import write_files

# A comparison that fails, an error while importing, a wrong syntax: what reports them is imported and compiled once,
# here, and not once more in every child.
_FILES = {
    "test_warm.py": """\
import unittest
import pytest

@pytest.fixture
def given(tmp_path, monkeypatch, capsys):
    yield 1

@pytest.mark.parametrize("value", [1, 2])
def test_one(value, given):
    with pytest.raises(ValueError, match="x"):
        raise ValueError("x")
    assert value == pytest.approx(value)

def test_lists():
    assert [1, 2, 3] == [1, 2, 4]

def test_mappings():
    assert {"a": 1} == {"a": 2}

def test_texts():
    assert "one" == "two", "why"

class TestClass:
    def test_method(self):
        assert len("abc") == 4

class Case(unittest.TestCase):
    def test_case(self):
        self.assertEqual(1, 2)
""",
    "test_warm_import.py": "import llm_testgen_no_such_module\n",
}


def warm_up(folder: str) -> None:
    """Run it.

    Args:
        folder: For its files; it is made.
    """
    write_files({os.path.join(folder, name): text for name, text in _FILES.items()})
    plain = ["-q", "--tb=native", "--color=no", "--noconftest", "-p", "no:cacheprovider", f"--rootdir={folder}"]
    before = list(sys.path)
    pytest.main([*plain, "-c", os.devnull, "--override-ini=addopts=", folder], plugins=[outcomes.Recorder([])])
    sys.path[:] = before
    for name in _FILES:
        sys.modules.pop(name[:-3], None)
