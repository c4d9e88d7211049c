from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.index.conftest import Files, make_snapshot
from tests.samples import changed_method

from llm_testgen.index import Index
from llm_testgen.knowledge import ProjectKnowledge
from llm_testgen.records import ChangedMethod, Relation
from llm_testgen.source import decode

SHOP = """
    import math
    from decimal import Decimal as D

    from shop.tax import rate

    LIMIT = 10


    class Cart:
        def __init__(self, items):
            self.items = items

        def total(self):
            return rounded(sum(self.items) * rate())


    def rounded(x):
        return math.ceil(x)
"""
TESTS = """
    import pytest

    from shop.cart import Cart

    FEW = [1, 2]


    @pytest.fixture
    def cart():
        return Cart(FEW)


    def make(count):
        return Cart([1] * count)


    class TestCart:
        def test_all(self, cart):
            assert cart.total()


    def test_total(cart):
        assert cart.total() == 4
"""
PROJECT = {
    "src/shop/__init__.py": "",
    "src/shop/cart.py": SHOP,
    "src/shop/tax.py": "def rate():\n    return 1.2\n",
    "tests/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef till():\n    return 1\n",
    "tests/test_cart.py": TESTS,
    "README.md": "A shop.",
}

Know = Callable[..., ProjectKnowledge]


@pytest.fixture
def know(tmp_path) -> Iterator[Know]:
    """What is known of a project that is written down as a dict of path to text."""
    with Index.open(tmp_path / "session.sqlite") as index:

        def build(files: Files = PROJECT, test_folder: str | None = None) -> ProjectKnowledge:
            snapshot = make_snapshot(files)
            index.update(snapshot)
            return ProjectKnowledge(index, snapshot, test_folder)

        yield build


def target(qualname: str = "Cart.total", path: str = "src/shop/cart.py", files: Files = PROJECT) -> ChangedMethod:
    snapshot = make_snapshot(files)
    (file,) = (file for file in snapshot.files if file.path == path)
    return changed_method(decode(snapshot.read(file)), qualname, path)


def test_surroundings_are_what_the_index_knows_of_a_method(know):
    around = know().surroundings(target())
    assert (around.module, around.test_path) == ("shop.cart", "tests/test_cart.py")
    related = {(entry.method.qualname, entry.relation) for entry in around.related}
    assert {
        ("Cart.__init__", Relation.INIT),
        ("rounded", Relation.CALLEE),
        ("rate", Relation.CALLEE),
        ("Cart", Relation.CLASS),
    } <= related
    assert {test.qualname for test in around.tests} == {"test_total", "TestCart.test_all"}
    assert {"cart", "till"} <= set(around.fixtures)


def test_a_module_without_tests_gets_a_new_file_beside_the_others(know):
    around = know().surroundings(target("rate", "src/shop/tax.py"))
    assert around.test_path == "tests/test_tax.py"
    assert set(around.fixtures) == {"till"}


@pytest.mark.parametrize(("folder", "expected"), [(None, "tests/test_tax.py"), ("checks", "checks/test_tax.py")])
def test_the_first_tests_of_a_project_go_to_the_given_folder(know, folder, expected):
    files = {"src/shop/__init__.py": "", "src/shop/tax.py": PROJECT["src/shop/tax.py"]}
    around = know(files, folder).surroundings(target("rate", "src/shop/tax.py"))
    assert (around.test_path, around.tests, around.fixtures) == (expected, (), ())


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("Cart", "from shop.cart import Cart"),
        ("rounded", "from shop.cart import rounded"),
        ("LIMIT", "from shop.cart import LIMIT"),
        ("rate", "from shop.tax import rate"),
        ("math", "import math"),
        ("D", "from decimal import Decimal as D"),
        ("pytest", "import pytest"),
        ("json", "import json"),
        ("no_such_name", None),
        ("not a name", None),
    ],
)
def test_names_are_imported_as_the_module_means_them(know, name, statement):
    assert know().names(target()).import_for(name) == statement


def test_functions_and_classes_of_the_module_are_defined_in_it_and_nothing_else(know):
    names = know().names(target())
    asked = ["Cart", "rounded", "rate", "math", "total", "Cart.total", "LIMIT", "<module>"]
    assert [name for name in asked if names.is_defined(name)] == ["Cart", "rounded", "<module>"]


def test_modules_of_the_project_are_told_from_others(know):
    names = know().names(target())
    asked = ["shop", "shop.cart", "shop.tax", "cart", "src.shop", "math", "shop.none", "README"]
    assert [module for module in asked if names.is_project_module(module)] == ["shop", "shop.cart", "shop.tax"]


def test_helpers_are_what_the_test_file_itself_defines_tests_excepted(know):
    names = know().names(target())
    assert names.helper("make") == "def make(count):\n    return Cart([1] * count)"
    assert names.helper("cart") == "@pytest.fixture\ndef cart():\n    return Cart(FEW)"
    assert names.helper("FEW") == "FEW = [1, 2]"
    for name in ("test_total", "TestCart", "pytest", "Cart", "till", "none"):
        assert names.helper(name) is None


def test_helpers_of_a_file_with_windows_newlines_have_plain_ones(know):
    files = {
        **PROJECT,
        "tests/test_cart.py": b"def make():\r\n    return 1\r\n\r\ndef test_it():\r\n    from shop.cart import Cart\r\n",
    }
    assert know(files).names(target()).helper("make") == "def make():\n    return 1"


def test_without_a_test_file_there_is_no_helper(know):
    assert know().names(target("rate", "src/shop/tax.py")).helper("make") is None


def test_test_files_are_given_as_they_are(know):
    data = "\ufefffrom shop.cart import Cart\r\n\r\ndef test_é(): pass\r\n".encode()
    texts = know({**PROJECT, "tests/test_cart.py": data}).test_files()
    assert texts == {"tests/conftest.py": PROJECT["tests/conftest.py"], "tests/test_cart.py": data.decode()}


UNREADABLE = [
    pytest.param(b"# coding: latin-1\ndef test_it():\n    assert '\xe9'\n", id="another encoding"),
    pytest.param(b"def test_it(:\n", id="no Python"),
    pytest.param(b"def test_it():\n    assert '\xe9'\n", id="no text"),
]


@pytest.mark.parametrize("data", UNREADABLE)
def test_test_files_that_cannot_be_read_or_written_again_are_left_out(know, data):
    files = {**PROJECT, "tests/test_tax.py": data}
    assert set(know(files).test_files()) == {"tests/conftest.py", "tests/test_cart.py"}


@pytest.mark.parametrize("data", [*UNREADABLE, pytest.param(b"", id="empty")])
def test_an_existing_file_that_cannot_be_extended_is_not_taken_for_a_new_one(know, data):
    knowledge = know({**PROJECT, "tests/test_tax.py": data})
    tax = target("rate", "src/shop/tax.py")
    assert knowledge.surroundings(tax).test_path == "tests/test_tax_generated.py"
    assert knowledge.names(tax).helper("test_it") is None


def test_the_existing_tests_of_a_module_that_cannot_be_extended_are_left_alone(know):
    data = b"# coding: latin-1\nfrom shop.tax import rate\n\ndef test_it():\n    assert rate(), '\xe9'\n"
    knowledge = know({**PROJECT, "tests/test_tax.py": data, "tests/test_tax_generated.py": data})
    around = knowledge.surroundings(target("rate", "src/shop/tax.py"))
    assert around.test_path == "tests/test_tax_generated_generated.py"


def test_an_existing_file_without_a_test_is_extended(know):
    knowledge = know({**PROJECT, "tests/test_tax.py": b"import os\n\nHELPERS = 1\n"})
    tax = target("rate", "src/shop/tax.py")
    assert knowledge.surroundings(tax).test_path == "tests/test_tax.py"
    assert knowledge.test_files()["tests/test_tax.py"] == "import os\n\nHELPERS = 1\n"
    assert knowledge.names(tax).helper("HELPERS") == "HELPERS = 1"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Rounded", "rounded"),
        ("roundet", "rounded"),
        ("Rate", "rate"),
        ("cart", "Cart"),
        ("total", None),
        ("xyz", None),
    ],
)
def test_a_slip_is_taken_for_the_one_name_that_can_be_imported(know, name, meant):
    assert know().names(target()).similar(name) == meant


def test_definitions_of_the_module_are_known_by_their_qualified_names(know):
    names = know().names(target())
    found = names.definition("Cart.total")
    assert found is not None
    assert found.signature == "def total(self)"
    assert names.definition("rate") is None


def test_fixtures_are_those_that_a_test_of_the_module_may_request(know):
    assert set(know().names(target()).fixtures()) == {"cart", "till"}
