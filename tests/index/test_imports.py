"""The import statement that gives a test a name."""

import pytest

FILES = {
    "src/shop/__init__.py": "",
    "src/shop/cart.py": """
        from __future__ import annotations
        import json as j
        import os.path
        import xml.etree.ElementTree as ET
        from decimal import Decimal as D
        from . import tax
        from .tax import rate as percent
        from .names import *
        from ..outside import nothing

        LIMIT = 3
        SIZE: int = 4

        class Cart: ...
        def add():
            from fractions import Fraction
    """,
    "src/shop/tax.py": "def rate(): ...\ndef common(): ...\n",
    "src/shop/names.py": "class Starred: ...\n",
    "src/shop/one.py": "class Unique: ...\nclass Twice: ...\n",
    "src/shop/two.py": "class Twice: ...\n",
    "scripts/run.py": "class Tool: ...\n",
    "tests/__init__.py": "",
    "tests/helpers.py": "def helper(): ...\n",
    "tests/test_a.py": "import numpy as np\nfrom shop.tax import common\nfrom .helpers import helper\nfrom mock import Mock\n",
    "tests/test_b.py": "from unittest.mock import Mock\n",
    "tests/test_c.py": "from unittest.mock import Mock\n",
}


@pytest.fixture
def shop(indexed):
    return indexed(FILES)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Cart", "from shop.cart import Cart"),
        ("add", "from shop.cart import add"),
        ("LIMIT", "from shop.cart import LIMIT"),
        ("SIZE", "from shop.cart import SIZE"),
        ("j", "import json as j"),
        ("os", "import os.path"),
        ("ET", "import xml.etree.ElementTree as ET"),
        ("D", "from decimal import Decimal as D"),
        ("tax", "from shop import tax"),
        ("percent", "from shop.tax import rate as percent"),
        ("Fraction", "from fractions import Fraction"),
        ("Starred", "from shop.names import Starred"),
        ("np", "import numpy as np"),
        ("Mock", "from unittest.mock import Mock"),
        ("helper", "from tests.helpers import helper"),
        ("common", "from shop.tax import common"),
        ("Unique", "from shop.one import Unique"),
        ("math", "import math"),
        ("Twice", None),
        ("Tool", None),
        ("nothing", None),
        ("annotations", None),
        ("no_such_name", None),
        ("not a name", None),
        ("shop.cart", None),
    ],
)
def test_a_name_is_imported_from_where_the_test_most_likely_means_it(shop, name, line):
    assert shop.import_for(name, "src/shop/cart.py") == line


def test_a_definition_of_the_module_comes_before_one_that_tests_import(indexed):
    index = indexed({"a.py": "class Mock: ...\n", "tests/test_a.py": "from unittest.mock import Mock\n"})
    assert index.import_for("Mock", "a.py") == "from a import Mock"


def test_a_module_of_the_project_comes_before_the_standard_library(indexed):
    index = indexed(
        {"a.py": "from . import b\n", "p/__init__.py": "", "p/a.py": "from . import queue\n", "p/queue.py": ""}
    )
    assert index.import_for("queue", "p/a.py") == "from p import queue"


def test_the_modules_own_import_at_the_top_comes_before_one_inside_a_function(indexed):
    index = indexed({"a.py": "def f():\n    from x import n\nfrom y import n\n"})
    assert index.import_for("n", "a.py") == "from y import n"


def test_a_file_that_is_not_there_still_gets_what_the_project_knows(shop):
    assert shop.import_for("Unique", "src/shop/new.py") == "from shop.one import Unique"
