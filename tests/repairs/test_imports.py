from __future__ import annotations

import pytest
from tests.repairs.cases import case, mended

from llm_testgen.repairs.imports import import_from_elsewhere, import_moved, import_undefined


@pytest.mark.parametrize(
    ("code", "name", "result"),
    [
        (
            "def test_it():\n    assert Limit\n",
            "Limit",
            "from pkg.other import Limit\ndef test_it():\n    assert Limit\n",
        ),
        (
            "def test_it():\n    assert pkg.mod.double(1) == 2\n",
            "pkg",
            "import pkg.mod\ndef test_it():\n    assert pkg.mod.double(1) == 2\n",
        ),
        (
            "def test_it():\n    assert Double(1) == 2\n",
            "Double",
            "from pkg.mod import double\ndef test_it():\n    assert double(1) == 2\n",
        ),
        (
            "def test_it():\n    assert dubble(1) == dubble(1)\n",
            "dubble",
            "from pkg.mod import double\ndef test_it():\n    assert double(1) == double(1)\n",
        ),
        ("def test_it():\n    assert other(1) == 2\n", "other", ""),
        ("def test_it():\n    assert x == 2\n", "x", ""),
    ],
)
def test_a_name_that_is_not_defined_is_imported_or_taken_for_the_one_that_was_meant(code, name, result):
    assert mended(import_undefined, case(code, f"name '{name}' is not defined", kind="NameError")) == result


@pytest.mark.parametrize(
    ("code", "message", "result"),
    [
        (
            "from pkg import double, Limit\n",
            "cannot import name 'double' from 'pkg' (/x/pkg/__init__.py)",
            "from pkg.mod import double; from pkg.other import Limit\n",
        ),
        (
            "from pkg.nothing import double as twice\n",
            "No module named 'pkg.nothing'",
            "from pkg.mod import double as twice\n",
        ),
        (
            "from pkg.mod import Box, Duoble\n\nx = Duoble(1)\n",
            "cannot import name 'Duoble' from 'pkg.mod' (/x/pkg/mod.py)",
            "from pkg.mod import double\nfrom pkg.mod import Box\n\nx = double(1)\n",
        ),
        (
            "import pkg.nothing as n\n\nx = n.double(n.Limit)\n",
            "No module named 'pkg.nothing'",
            "from pkg.mod import double; from pkg.other import Limit\n\nx = double(Limit)\n",
        ),
        ("import pkg.nothing\n\nx = pkg.nothing.what()\n", "No module named 'pkg.nothing'", ""),
        ("from pkg import unknown\n", "cannot import name 'unknown' from 'pkg'", ""),
    ],
)
def test_names_are_imported_from_where_the_project_has_them(code, message, result):
    assert mended(import_from_elsewhere, case(code, message, kind="ImportError", phase="collect")) == result


@pytest.mark.parametrize(
    ("code", "message", "result"),
    [
        (
            "import pkg\n\nx = pkg.double(1)\n",
            "module 'pkg' has no attribute 'double'",
            "from pkg.mod import double\nimport pkg\n\nx = double(1)\n",
        ),
        (
            "from pkg import other as o\n\nx = o.double(1)\n",
            "module 'pkg.other' has no attribute 'double'",
            "from pkg.mod import double\nfrom pkg import other as o\n\nx = double(1)\n",
        ),
        (
            "from pkg.mod import Box\n\nx = Box.double(1)\n",
            "type object 'Box' has no attribute 'double'",
            "from pkg.mod import double\nfrom pkg.mod import Box\n\nx = double(1)\n",
        ),
        ("import pkg\n\nx = pkg.what(1)\n", "module 'pkg' has no attribute 'what'", ""),
        ("x = {}.double\n", "'dict' object has no attribute 'double'", ""),
    ],
)
def test_what_was_taken_for_an_attribute_is_imported(code, message, result):
    assert mended(import_moved, case(code, message, kind="AttributeError")) == result
