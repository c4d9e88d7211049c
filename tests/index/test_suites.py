"""Existing tests: which reach a method, which file is a module's, which fixtures a test may request."""

import pytest

from llm_testgen.index.conventions import mirrored, name_match

CART = """
    class Cart:
        def __init__(self): ...
        def add(self, x):
            return self._check(x)
        def _check(self, x):
            return deep(x)
    def deep(x): ...
"""


def reached(index, path, qualname):
    return [test.id.removeprefix("tests/") for test in index.tests_of(path, qualname)]


def test_the_test_with_the_fewest_steps_to_the_method_comes_first(indexed):
    tests = """
        from shop.cart import Cart, deep
        def helper(): return Cart()
        def test_add(): Cart().add(1)
        def test_helped(): helper()._check(1)
        def test_deep(): deep(1)
        def test_other(): ...
    """
    index = indexed({"shop/__init__.py": "", "shop/cart.py": CART, "tests/test_cart.py": tests})
    assert reached(index, "shop/cart.py", "deep") == [
        "test_cart.py::test_deep",
        "test_cart.py::test_helped",
        "test_cart.py::test_add",
    ]
    assert reached(index, "shop/cart.py", "Cart.add") == ["test_cart.py::test_add"]


def test_a_test_reaches_a_method_through_a_fixture(indexed):
    index = indexed(
        {
            "cart.py": CART,
            "tests/conftest.py": "import pytest\nfrom cart import Cart\n@pytest.fixture\ndef cart():\n    yield Cart()\n",
            "tests/test_a.py": "def test_add(cart): cart.add(1)\ndef test_no(other): other.add(1)\n",
        }
    )
    assert reached(index, "cart.py", "Cart.add") == ["test_a.py::test_add"]
    assert reached(index, "cart.py", "Cart.__init__") == ["test_a.py::test_add"]


def test_a_fixture_that_extends_another_gets_that_one(indexed):
    index = indexed(
        {
            "cart.py": CART,
            "tests/conftest.py": "import pytest\nfrom cart import Cart\n@pytest.fixture\ndef cart() -> Cart: ...\n",
            "tests/test_a.py": (
                "import pytest\n@pytest.fixture\ndef cart(cart):\n    cart.add(1)\n    return cart\n"
                "def test_x(cart): cart._check(1)\n"
            ),
        }
    )
    assert reached(index, "cart.py", "Cart.add") == ["test_a.py::test_x"]


def test_a_set_up_method_runs_before_the_tests_of_its_class_and_of_its_heirs(indexed):
    tests = """
        import unittest
        from cart import Cart
        class Base(unittest.TestCase):
            def setUp(self):
                self.cart = Cart()
            def test_base(self): self.cart.add(1)
        class Heir(Base):
            def test_heir(self): ...
        class Other(unittest.TestCase):
            def test_other(self): ...
    """
    index = indexed({"cart.py": CART, "tests/test_cart.py": tests})
    assert reached(index, "cart.py", "Cart.__init__") == [
        "test_cart.py::Base.test_base",
        "test_cart.py::Heir.test_heir",
    ]
    assert reached(index, "cart.py", "Cart.add") == ["test_cart.py::Base.test_base"]


def test_a_name_counts_only_in_a_file_that_imports_the_module(indexed):
    index = indexed(
        {
            "cart.py": CART,
            "tests/test_a.py": "import cart\ndef test_x(y): y.add(1)\n",
            "tests/test_b.py": "def test_x(y): y.add(1)\n",
            "tests/test_c.py": "import cart\ndef test_x(y): y.remove(1)\n",
        }
    )
    assert reached(index, "cart.py", "Cart.add") == ["test_a.py::test_x"]


def test_a_resolved_call_comes_before_a_name(indexed):
    index = indexed(
        {
            "cart.py": CART,
            "tests/test_a.py": "import cart\ndef test_guess(y): y.add(1)\n",
            "tests/test_b.py": "import cart\ndef test_sure(): cart.Cart().add(1)\n",
        }
    )
    assert reached(index, "cart.py", "Cart.add") == ["test_b.py::test_sure", "test_a.py::test_guess"]


def test_at_the_same_distance_the_test_named_for_the_method_comes_first(indexed):
    tests = "from cart import deep\ndef test_a(): deep(1)\ndef test_deep(): deep(1)\n"
    index = indexed({"cart.py": CART, "tests/test_cart.py": tests})
    assert reached(index, "cart.py", "deep") == ["test_cart.py::test_deep", "test_cart.py::test_a"]


def test_a_class_is_reached_by_making_one(indexed):
    tests = "from cart import Cart\ndef test_make(): Cart()\ndef test_other(): ...\n"
    index = indexed({"cart.py": CART, "tests/test_cart.py": tests})
    assert reached(index, "cart.py", "Cart") == ["test_cart.py::test_make"]


def test_module_level_code_is_reached_by_the_tests_that_call_into_the_module(indexed):
    tests = "from cart import deep\ndef test_deep(): deep(1)\ndef test_other(): ...\n"
    index = indexed({"cart.py": CART, "tests/test_cart.py": tests})
    assert reached(index, "cart.py", "<module>") == ["test_cart.py::test_deep"]


def test_what_does_not_exist_is_reached_by_no_test(indexed):
    assert indexed({"cart.py": CART}).tests_of("cart.py", "Missing") == ()


def test_files_that_hold_tests_are_known_by_their_test_functions(indexed):
    index = indexed(
        {
            "cart.py": "def test_not_really(): ...\n",
            "tests/test_a.py": "def test_x(): ...\n",
            "tests/test_b.py": "class TestB:\n    def test_x(self): ...\n",
            "tests/test_c.py": "def helper(): ...\nclass test_case:\n    def helper(self): ...\n",
            "tests/conftest.py": "",
            "pkg/x_test.py": "async def test_x(): ...\n",
        }
    )
    assert index.test_files() == ("pkg/x_test.py", "tests/test_a.py", "tests/test_b.py")


TEST = "def test_x(): ...\n"


def test_the_name_comes_before_the_import_and_that_before_the_number_of_tests(indexed):
    index = indexed(
        {
            "pkg/__init__.py": "",
            "pkg/cart.py": CART,
            "tests/test_cart.py": TEST,
            "tests/test_cart_more.py": "import pkg.cart\n" + TEST,
            "tests/test_one.py": "from pkg.cart import deep\ndef test_x(): deep(1)\n",
            "tests/test_two.py": "from pkg.cart import deep\ndef test_x(): deep(1)\ndef test_y(): deep(1)\n",
            "tests/test_unrelated.py": TEST,
        }
    )
    assert index.test_files_of("pkg/cart.py") == (
        "tests/test_cart.py",
        "tests/test_cart_more.py",
        "tests/test_two.py",
        "tests/test_one.py",
    )


def test_tests_of_examples_come_last_unless_it_is_an_example_that_is_tested(indexed):
    index = indexed(
        {
            "pkg/cart.py": CART,
            "examples/shop/app.py": "import pkg.cart\ndef shop(): ...\n",
            "examples/shop/tests/test_cart.py": "from pkg.cart import deep\nimport examples.shop.app\n" + TEST,
            "tests/test_other.py": "import pkg.cart\nimport examples.shop.app\n" + TEST,
        }
    )
    assert index.test_files_of("pkg/cart.py") == ("tests/test_other.py", "examples/shop/tests/test_cart.py")
    assert index.test_files_of("examples/shop/app.py")[0] == "examples/shop/tests/test_cart.py"


def test_of_modules_with_one_name_each_has_the_file_that_mirrors_its_folder(indexed):
    index = indexed(
        {
            "pkg/a/utils.py": "def f(): ...\n",
            "pkg/b/utils.py": "def g(): ...\n",
            "tests/a/test_utils.py": "from pkg.a.utils import f\n" + TEST,
            "tests/b/test_utils.py": "from pkg.a.utils import f\nfrom pkg.b.utils import g\n" + TEST,
        }
    )
    assert index.test_files_of("pkg/a/utils.py") == ("tests/a/test_utils.py", "tests/b/test_utils.py")
    assert index.test_files_of("pkg/b/utils.py") == ("tests/b/test_utils.py",)


def test_an_import_through_the_package_counts_for_the_module_that_defines_the_name(indexed):
    index = indexed(
        {
            "pkg/__init__.py": "from .cart import Cart\n",
            "pkg/cart.py": CART,
            "tests/test_shop.py": "from pkg import Cart\n" + TEST,
        }
    )
    assert index.test_files_of("pkg/cart.py") == ("tests/test_shop.py",)


@pytest.mark.parametrize(
    ("path", "test_path", "match"),
    [
        ("pkg/mod.py", "tests/test_mod.py", 3),
        ("pkg/mod.py", "tests/mod_test.py", 3),
        ("pkg/mod.py", "tests/test_pkg_mod.py", 3),
        ("src/pkg/sub/mod.py", "tests/test_sub_mod.py", 3),
        ("pkg/_mod.py", "tests/test_mod.py", 3),
        ("pkg/__init__.py", "tests/test_pkg.py", 3),
        ("pkg/mod.py", "tests/mod/test_method.py", 2),
        ("pkg/mod.py", "tests/test_mod/test_method.py", 2),
        ("pkg/mod.py", "tests/test_mod_edges.py", 1),
        ("pkg/mod.py", "tests/test_model.py", 0),
        ("pkg/mod.py", "tests/test_other.py", 0),
    ],
)
def test_a_test_files_name_says_which_module_it_is_for(path, test_path, match):
    assert name_match(path, test_path) == match


def test_a_name_that_is_another_modules_own_is_no_prefix():
    assert name_match("core.py", "tests/test_core_utils.py", ["core", "core_utils"]) == 0


def test_folders_are_mirrored_from_the_innermost():
    assert mirrored("src/pkg/sub/mod.py", "tests/pkg/sub/test_mod.py") == 2
    assert mirrored("src/pkg/sub/mod.py", "tests/sub/test_mod.py") == 1
    assert mirrored("src/pkg/sub/mod.py", "tests/test_mod.py") == 0


def test_fixtures_come_from_the_conftest_files_above_and_from_the_file_itself(indexed):
    fixture = "import pytest\n@pytest.fixture\ndef {}(): ...\n"
    index = indexed(
        {
            "conftest.py": fixture.format("root"),
            "tests/conftest.py": fixture.format("common"),
            "tests/unit/conftest.py": fixture.format("unit"),
            "tests/other/conftest.py": fixture.format("foreign"),
            "tests/unit/test_a.py": fixture.format("own")
            + "class TestA:\n    @pytest.fixture\n    def inner(self): ...\n",
            "tests/unit/test_b.py": fixture.format("neighbour"),
        }
    )
    assert index.fixtures_for("tests/unit/test_a.py") == ("common", "own", "root", "unit")
    assert index.fixtures_for("tests/unit/test_new.py") == ("common", "root", "unit")
    assert index.fixtures_for("tests/test_new.py") == ("common", "root")


def test_imported_fixtures_count_where_they_are_imported(indexed):
    index = indexed(
        {
            "tests/__init__.py": "",
            "tests/fixtures.py": "import pytest\n@pytest.fixture(name='given')\ndef one(): ...\n",
            "tests/stars.py": "import pytest\n@pytest.fixture\ndef two(): ...\n@pytest.fixture\ndef three(): ...\n",
            "tests/plugin.py": "import pytest\n@pytest.fixture\ndef four(): ...\n",
            "tests/conftest.py": (
                "from .fixtures import one\nfrom tests.stars import *\npytest_plugins = ['tests.plugin', 'outside']\n"
            ),
        }
    )
    assert index.fixtures_for("tests/test_a.py") == ("four", "given", "three", "two")
