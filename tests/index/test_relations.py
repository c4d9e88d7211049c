"""The methods that help to understand a method."""

import pytest

FILES = {
    "src/shop/__init__.py": "",
    "src/shop/base.py": """
        class Item:
            kind = "item"

            def __init__(self, price):
                self.price = price

            def total(self):
                return self.price
    """,
    "src/shop/cart.py": """
        from shop.base import Item
        from shop.tax import tax

        class Book(Item):
            def total(self):
                self.check()
                return tax(super().total())

            def check(self): ...

        class Novel(Book):
            def total(self): ...

        def checkout(book: Book):
            return book.total()
    """,
    "src/shop/tax.py": "def tax(amount): return amount\n",
    "src/shop/report.py": "from shop.cart import Book\ndef report(): return Book(1).total()\ndef guess(x): x.total()\n",
    "scripts/run.py": "from shop.cart import Book\ndef run(): Book(1).total()\n",
    "tests/test_cart.py": """
        from shop.cart import Book
        class FakeBook(Book):
            def total(self): ...
        def test_total(): Book(1).total()
    """,
}


@pytest.fixture
def shop(indexed):
    return indexed(FILES)


def names(related):
    return [(str(item.relation), item.method.id.removeprefix("src/shop/")) for item in related]


def test_a_method_is_related_to_its_class_its_callees_its_callers_and_its_overrides(shop):
    assert names(shop.related("src/shop/cart.py", "Book.total")) == [
        ("init", "base.py::Item.__init__"),
        ("class", "cart.py::Book"),
        ("callee", "cart.py::Book.check"),
        ("callee", "base.py::Item.total"),
        ("callee", "tax.py::tax"),
        ("caller", "cart.py::checkout"),
        ("caller", "report.py::report"),
        ("caller", "scripts/run.py::run"),
        ("override", "cart.py::Novel.total"),
        ("base", "base.py::Item"),
    ]


def test_the_definition_that_a_method_overrides_is_its_base(shop):
    found = names(shop.related("src/shop/cart.py", "Novel.total"))
    assert [name for relation, name in found if relation == "base"] == [
        "cart.py::Book.total",
        "base.py::Item.total",
        "cart.py::Book",
        "base.py::Item",
    ]


def test_a_class_is_related_to_its_init_its_bases_and_those_who_make_one(shop):
    assert names(shop.related("src/shop/base.py", "Item")) == [
        ("init", "base.py::Item.__init__"),
        ("caller", "report.py::report"),
        ("caller", "scripts/run.py::run"),
    ]
    found = names(shop.related("src/shop/cart.py", "Book"))
    assert found == [("init", "base.py::Item.__init__"), ("base", "base.py::Item")]


def test_the_makers_of_an_object_call_its_init(shop):
    found = names(shop.related("src/shop/base.py", "Item.__init__"))
    assert found == [
        ("class", "base.py::Item"),
        ("caller", "report.py::report"),
        ("caller", "scripts/run.py::run"),
    ]


def test_a_function_has_callers_and_no_class(shop):
    assert names(shop.related("src/shop/tax.py", "tax")) == [("caller", "cart.py::Book.total")]


def test_module_level_code_has_callees(indexed):
    index = indexed({"a.py": "def f(): ...\nf()\n"})
    assert names(index.related("a.py", "<module>")) == [("callee", "a.py::f")]
    assert names(index.related("a.py", "f")) == [("caller", "a.py::<module>")]


def test_a_method_that_calls_itself_is_not_related_to_itself(indexed):
    assert indexed({"a.py": "def f(): f()\n"}).related("a.py", "f") == ()


def test_what_does_not_exist_is_related_to_nothing(shop):
    assert shop.related("src/shop/cart.py", "Missing") == ()
    assert shop.related("missing.py", "f") == ()


def test_unresolved_calls_of_the_same_name_are_a_guess_of_its_own(shop):
    assert [m.name for m in shop.callers_by_name("src/shop/base.py", "Item.total")] == ["guess"]
    assert ("caller", "report.py::guess") not in names(shop.related("src/shop/base.py", "Item.total"))


def test_a_guess_from_a_file_that_imports_the_module_comes_first(indexed):
    index = indexed(
        {
            "m.py": "class A:\n    def go(self): ...\n",
            "a.py": "def f(x): x.go()\n",
            "b.py": "import m\ndef g(x): x.go()\n",
        }
    )
    assert [m.id for m in index.callers_by_name("m.py", "A.go")] == ["b.py::g", "a.py::f"]


def test_the_bases_of_a_class_come_in_the_order_in_which_python_looks_into_them(indexed):
    index = indexed(FILES)
    assert [cls.id for cls in index.bases("src/shop/cart.py", "Novel")] == [
        "src/shop/cart.py::Book",
        "src/shop/base.py::Item",
    ]
    assert index.bases("src/shop/base.py", "Item") == index.bases("src/shop/base.py", "Nothing") == ()
