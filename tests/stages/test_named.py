"""What a name means in a small project that is really indexed, and what tests are then made for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha1
from textwrap import dedent

import pytest

from llm_testgen.errors import UsageError
from llm_testgen.index import Index
from llm_testgen.paths import is_test, is_vendored
from llm_testgen.records import Change, ChangeStatus, FileChange, FileStatus, FileType, MethodKind, Snapshot, TreeFile
from llm_testgen.stages.diff import changed_methods
from llm_testgen.stages.named import Definitions, Found, as_if_changed, find_named

SHAPES = '''\
"""Shapes."""

from typing import overload

from shop.base import Base


class Box(Base):
    sides = 6

    def __init__(self, side):
        self.side = side

    @property
    def area(self):
        return self.side ** 2

    @area.setter
    def area(self, value):
        self.side = value ** 0.5

    def volume(self): ...

    class Lid:
        def open(self):
            return True


class Bag(Base):
    """Only inherits."""


def grade(x):
    return x


@overload
def scale(x: int) -> int: ...
def scale(x):
    return x
'''
FILES = {
    "src/shop/__init__.py": "from shop.shapes import Box\n",
    "src/shop/shapes.py": SHAPES,
    "src/shop/base.py": "class Root:\n    def describe(self):\n        return 1\n\n\nclass Base(Root):\n    pass\n",
    "src/shop/cart.py": "class Cart:\n    def add(self):\n        return 1\n",
    "src/shop/admin/cart.py": "class Cart:\n    def add(self):\n        return 2\n",
    "src/shop/admin/__init__.py": "",
    "src/shop/_vendor/six.py": "class Six:\n    def add(self):\n        return 6\n\n\nclass Box:\n    pass\n",
    "src/shop/broken.py": "class Half(:\n",
    "tests/test_shapes.py": "from shop.shapes import Box\n\n\nclass TestBox:\n    def test_it(self):\n        assert Box(1)\n\n\nclass Helper:\n    pass\n",
}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Definitions]:
    tree = tuple(TreeFile(path, sha1(text.encode()).hexdigest()) for path, text in sorted(FILES.items()))  # noqa: S324 - git's own kind of id
    with Index.open(tmp_path_factory.mktemp("index") / "session.sqlite") as index:
        index.update(Snapshot("0" * 40, tree, lambda file: FILES[file.path].encode()))
        yield Definitions(
            all=index.methods(),
            module=index.module_name,
            bases=lambda method: index.bases(method.path, method.qualname),
            left_out=lambda path: "test code" if is_test(path) else "vendored code" if is_vendored(path) else "",
            unread={failure.path: failure.reason for failure in index.failures()},
            advice="; try elsewhere",
        )


Find = Callable[[str], Found]


@pytest.fixture
def find_class(definitions: Definitions) -> Find:
    return lambda name: find_named(name, MethodKind.CLASS, definitions)


@pytest.fixture
def find_method(definitions: Definitions) -> Find:
    return lambda name: find_named(name, MethodKind.METHOD, definitions)


def refusal(find: Find, name: str) -> str:
    with pytest.raises(UsageError) as raised:
        find(name)
    return str(raised.value)


@pytest.mark.parametrize(
    "name",
    [
        "Box",
        "shapes.Box",
        "shop.shapes.Box",
        "shop.Box",
        "src/shop/shapes.py::Box",
        "./src/shop/shapes.py::Box",
        "shapes.py::Box",
    ],
)
def test_a_class_has_several_names(find_class: Find, name: str):
    assert find_class(name) == (find_class("Box").method, "")
    assert find_class(name).method.id == "src/shop/shapes.py::Box"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Box.area", "src/shop/shapes.py::Box.area"),
        ("area", "src/shop/shapes.py::Box.area"),
        ("shop.shapes.Box.area", "src/shop/shapes.py::Box.area"),
        ("shop.Box.area", "src/shop/shapes.py::Box.area"),
        ("src/shop/shapes.py::Box.area", "src/shop/shapes.py::Box.area"),
        ("src/shop/shapes.py::Box::area", "src/shop/shapes.py::Box.area"),
        ("Lid.open", "src/shop/shapes.py::Box.Lid.open"),
        ("admin.cart.Cart.add", "src/shop/admin/cart.py::Cart.add"),
    ],
)
def test_a_method_has_several_names(find_method: Find, name: str, found: str):
    assert find_method(name).method.id == found


@pytest.mark.parametrize("name", ["grade", "shop.shapes.grade", "src/shop/shapes.py::grade", "scale"])
def test_a_plain_function_is_found_under_either_heading(find_class: Find, find_method: Find, name: str):
    assert find_class(name).method == find_method(name).method
    assert find_class(name).method.name in {"grade", "scale"}


def test_an_inherited_method_is_found_where_it_is_defined_and_said(find_method: Find):
    found = find_method("Bag.describe")
    assert found.method.id == "src/shop/base.py::Root.describe"
    assert found.note == (
        "src/shop/shapes.py::Bag inherits describe from src/shop/base.py::Root:"
        " the tests are for src/shop/base.py::Root.describe"
    )


def test_an_inherited_method_is_found_by_the_path_of_the_class_too(find_method: Find):
    assert find_method("src/shop/shapes.py::Bag.describe") == find_method("Bag.describe")


def test_a_name_with_several_meanings_lists_them(find_class: Find, find_method: Find):
    both = "src/shop/admin/cart.py::Cart, src/shop/cart.py::Cart"
    assert refusal(find_class, "Cart") == f"Cart is defined more than once: name one of {both}"
    assert refusal(find_method, "Cart.nothing") == f"Cart is defined more than once: name one of {both}"
    assert refusal(find_method, "Cart.add").endswith("src/shop/admin/cart.py::Cart.add, src/shop/cart.py::Cart.add")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Helper", "no tests are made for tests/test_shapes.py::Helper: test code"),
        ("Six", "no tests are made for src/shop/_vendor/six.py::Six: vendored code"),
        ("Box.area", "src/shop/shapes.py::Box.area is a method: `llm-testgen method src/shop/shapes.py::Box.area`"),
        ("box", "there is no class or function box; the closest: src/shop/shapes.py::Box"),
        ("Gradde", "there is no class or function Gradde; the closest: src/shop/shapes.py::grade"),
        ("Xyzzy", "there is no class or function Xyzzy; try elsewhere"),
        ("src/shop/cart.py::Box", "there is no class or function Box in src/shop/cart.py; try elsewhere"),
        ("src/shop/card.py::Cart", "there is no Python file src/shop/card.py; the closest: src/shop/cart.py"),
        ("src/shop/broken.py::Half", "src/shop/broken.py cannot be read: not valid Python"),
        ("src/shop/cart.py", "src/shop/cart.py is a file: name what is in it, such as src/shop/cart.py::Class"),
        ("src/shop/cart.py::<module>", "there is no class or function <module> in src/shop/cart.py"),
        ("src/shop/cart.py::", "is a file: name what is in it, such as src/shop/cart.py::Class"),
    ],
)
def test_what_is_not_found_as_a_class_says_why(find_class: Find, name: str, message: str):
    assert message in refusal(find_class, name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Box", "src/shop/shapes.py::Box is a class: `llm-testgen class src/shop/shapes.py::Box` makes tests for it"),
        ("Box.aera", "src/shop/shapes.py::Box has no method aera; the closest: src/shop/shapes.py::Box.area"),
        ("Box.xyz", "src/shop/shapes.py::Box has no method xyz; it has: src/shop/shapes.py::Box.__init__, src/shop"),
        ("Bxo.area", "there is no method or function Bxo.area; the closest: src/shop/shapes.py::Box.area"),
        ("test_it", "no tests are made for tests/test_shapes.py::TestBox.test_it: test code"),
    ],
)
def test_what_is_not_found_as_a_method_says_why(find_method: Find, name: str, message: str):
    assert message in refusal(find_method, name)


def test_a_method_inherited_from_code_that_no_tests_are_made_for_says_so(definitions: Definitions):
    left_out = replace(definitions, left_out=lambda path: "vendored" if path.endswith("base.py") else "")
    message = refusal(lambda name: find_named(name, MethodKind.METHOD, left_out), "Bag.describe")
    assert message == (
        "src/shop/shapes.py::Bag inherits describe from src/shop/base.py::Root, and no tests are made for that: vendored"
    )


def whole(text: str) -> Change:
    data = dedent(text).encode()
    lines = frozenset(range(1, data.count(b"\n") + 1))
    file = FileChange("src/shop/shapes.py", "", FileStatus.ADDED, FileType.REGULAR, b"", data, lines)
    return changed_methods("0" * 40, "0" * 40, [file])


def of(name: str, kind: MethodKind, definitions: Definitions) -> Change:
    named = find_named(name, kind, definitions).method
    here = [method for method in definitions.all if method.path == named.path]
    return as_if_changed(named, whole(SHAPES), here)


def test_a_class_stands_for_all_that_is_in_it_and_for_its_own_statements(definitions: Definitions):
    change = of("Box", MethodKind.CLASS, definitions)
    names = [target.qualname for target in change.targets]
    assert names == ["Box", "Box.__init__", "Box.area", "Box.Lid.open"]
    lines = {target.qualname: sorted(target.lines) for target in change.targets}
    assert lines == {
        "Box": [8, 9],
        "Box.__init__": [11, 12],
        "Box.area": [14, 15, 16, 18, 19, 20],
        "Box.Lid.open": [25, 26],
    }
    assert change.changed_lines == {"src/shop/shapes.py": frozenset(line for own in lines.values() for line in own)}
    assert [(skip.qualname, skip.reason) for skip in change.skipped] == [
        ("Box.volume", "nothing of it runs: it is abstract, an overload or a stub")
    ]


def test_a_method_stands_for_itself_and_was_the_same_before(definitions: Definitions):
    (target,) = of("area", MethodKind.METHOD, definitions).targets
    assert len(target.definitions) == 2
    assert target.status is ChangeStatus.MODIFIED
    assert target.base_source == "\n".join(definition.source for definition in target.definitions)


def test_a_class_that_only_inherits_stands_for_nothing(definitions: Definitions):
    change = of("Bag", MethodKind.CLASS, definitions)
    assert (change.targets, change.skipped, change.changed_lines) == ((), (), {})
