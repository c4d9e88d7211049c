"""What calls resolve to, one language feature at a time."""

import pytest

from llm_testgen.records import Relation


@pytest.fixture
def callees(indexed):
    """The callees of ``main.py::f`` (or another definition) in a project that holds ``main.py`` and other files."""

    def find(main, qualname="f", **files):
        index = indexed({"main.py": main, **{name.replace("__", "/") + ".py": text for name, text in files.items()}})
        related = index.related("main.py", qualname)
        return [item.method.id for item in related if item.relation is Relation.CALLEE]

    return find


@pytest.fixture
def calls(indexed):
    """Like ``callees``, for any files; the target is ``path::qualname``."""

    def find(files, target):
        path, _, qualname = target.partition("::")
        related = indexed(files).related(path, qualname)
        return [item.method.id for item in related if item.relation is Relation.CALLEE]

    return find


SHAPES = """
class Shape:
    def __init__(self):
        pass

    def area(self):
        return 0

    @property
    def size(self):
        return 1

    @classmethod
    def unit(cls):
        return cls()

    @staticmethod
    def helper():
        pass
"""


@pytest.mark.parametrize(
    "code",
    [
        "from shapes import Shape\ndef f(): Shape().area()",
        "import shapes\ndef f(): shapes.Shape().area()",
        "import shapes as s\ndef f(): s.Shape().area()",
        "from shapes import Shape as S\ndef f(): S().area()",
        "from shapes import *\ndef f(): Shape().area()",
        "def f():\n    from shapes import Shape\n    Shape().area()",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shapes import Shape\ndef f(s: 'Shape'): s.area()",
        "try:\n    from fast_shapes import Shape\nexcept ImportError:\n    from shapes import Shape\ndef f(): Shape().area()",
        "from shapes import Shape\ndef f(s: Shape): s.area()",
        "from shapes import Shape\ndef f(*, s: Shape): s.area()",
        "import shapes\ndef f(s: shapes.Shape): s.area()",
        "from shapes import Shape\ndef f(s: 'Shape'): s.area()",
        "from shapes import Shape\ndef f(s: Shape | None = None): s.area()",
        "from shapes import Shape\ndef f(s: 'Shape | None'): s.area()",
        "from typing import Optional\nfrom shapes import Shape\ndef f(s: Optional[Shape]): s.area()",
        "import typing as t\nfrom shapes import Shape\ndef f(s: t.Optional['Shape']): s.area()",
        "from typing import Union\nfrom shapes import Shape\ndef f(s: Union[Shape, None]): s.area()",
        "from typing import Annotated\nfrom shapes import Shape\ndef f(s: Annotated[Shape, 1]): s.area()",
        "from shapes import Shape\ndef f(s: type[Shape]): s().area()",
        "from shapes import Shape\ndef f():\n    s = Shape()\n    s.area()",
        "from shapes import Shape\ndef f():\n    s = None\n    s = Shape()\n    s.area()",
        "from shapes import Shape\ndef f():\n    s: Shape = make()\n    s.area()",
        "from shapes import Shape\ndef f(s=None):\n    t = s or Shape()\n    t.area()",
        "from shapes import Shape\ndef f(flag):\n    s = Shape() if flag else None\n    s.area()",
        "from shapes import Shape\ndef f():\n    with Shape() as s:\n        s.area()",
        "from shapes import Shape\ndef f():\n    if (s := Shape()):\n        s.area()",
        "from shapes import Shape\ndef f():\n    a, s = 1, Shape()\n    s.area()",
        "from shapes import Shape\ndef f(): Shape.unit().area()",
        "from shapes import Shape\ndef f(): Shape.area(None)",
        "from shapes import Shape\ns = Shape()\ndef f(): s.area()",
        "from shapes import Shape\nAlias = Shape\ndef f(): Alias().area()",
        "from shapes import Shape\ndef make() -> Shape: ...\ndef f(): make().area()",
        "from shapes import Shape\ndef make():\n    return Shape()\ndef f(): make().area()",
        "from shapes import Shape\nasync def make():\n    return Shape()\nasync def f(): (await make()).area()",
        "from shapes import Shape\ndef f():\n    def inner():\n        Shape().area()\n    return inner",
        "from shapes import Shape\ndef f(xs): return [Shape().area() for x in xs]",
        "from shapes import Shape\ndef f(xs): return sorted(xs, key=lambda x: Shape().area())",
        (
            "from contextlib import contextmanager\nfrom shapes import Shape\n@contextmanager\ndef opened():\n"
            "    yield Shape()\ndef f():\n    with opened() as s:\n        s.area()"
        ),
        (
            "from collections.abc import Iterator\nfrom contextlib import contextmanager\nfrom shapes import Shape\n"
            "@contextmanager\ndef opened() -> Iterator[Shape]: ...\ndef f():\n    with opened() as s:\n        s.area()"
        ),
    ],
)
def test_a_method_is_found_through(callees, code):
    assert "shapes.py::Shape.area" in callees(code, shapes=SHAPES)


@pytest.mark.parametrize(
    "code",
    [
        "def f(s): s.area()",
        "def f(): area()",
        "def f(Shape): Shape().area()",
        "from shapes import Shape\ndef f(Shape): Shape().area()",
        "from shapes import Shape\ndef f(xs):\n    for Shape in xs:\n        Shape.area()",
        "from shapes import Shape\ndef f():\n    s = Shape()\n    s = other()\n    s.area()",
        "from shapes import Shape, Other\ndef f(s: Shape | int): s.area()",
        "from shapes import Shape\ndef f(s: list[Shape]): s.area()",
        "from outside.shapes import Shape\ndef f(): Shape().area()",
        "from .shapes.missing import Shape\ndef f(): Shape().area()",
        "from ...shapes import Shape\ndef f(): Shape().area()",
        "import shapes\ndef f(): shapes.missing.Shape().area()",
        "from shapes import Shape\ndef f(): registry[Shape].area()",
        "def f():\n    def area(): ...\n    area()",
        "x = x.y\ndef f(): x.area()",
        "def a(): return b()\ndef b(): return a()\ndef f(): a().area()",
        "from main import g\ndef f(): g().area()",
    ],
)
def test_a_method_is_not_guessed_by_its_name(callees, code):
    assert "shapes.py::Shape.area" not in callees(code, shapes=SHAPES + "\n\nOther = object()\n\ndef area(): ...\n")


def test_making_an_object_calls_its_own_or_inherited_init_or_else_the_class(callees):
    code = """
        class Own:
            def __init__(self): ...
        class Heir(Own): ...
        class Plain: ...
        def f():
            Heir()
            Plain()
    """
    assert callees(code) == ["main.py::Own.__init__", "main.py::Plain"]


def test_callees_come_in_the_order_in_which_they_run(callees):
    code = """
        def first(): ...
        def second(x): ...
        def third(): ...
        def f():
            second(first())
            third()
            first()
    """
    assert callees(code) == ["main.py::first", "main.py::second", "main.py::third"]


def test_self_and_cls_lead_to_the_class_and_super_past_it(callees):
    code = """
        class A:
            def run(self): ...
            def other(self): ...
        class B(A):
            def run(self):
                super().run()
                self.other()
                self.make()
            @classmethod
            def make(cls):
                return cls.build()
            @staticmethod
            def build(): ...
    """
    assert callees(code, "B.run") == ["main.py::A.run", "main.py::A.other", "main.py::B.make"]
    assert callees(code, "B.make") == ["main.py::B.build"]


def test_super_with_arguments_is_super(callees):
    code = "class A:\n    def g(self): ...\nclass B(A):\n    def g(self):\n        super(B, self).g()\n"
    assert callees(code, "B.g") == ["main.py::A.g"]


def test_a_diamond_is_looked_up_as_python_does(callees):
    code = """
        class Top:
            def who(self): ...
        class Left(Top): ...
        class Right(Top):
            def who(self): ...
        class Bottom(Left, Right): ...
        def f(): Bottom().who()
    """
    assert "main.py::Right.who" in callees(code)


def test_a_method_of_a_nested_class_and_of_a_generic_base(callees):
    code = """
        from typing import Generic, TypeVar
        T = TypeVar("T")
        class Base(Generic[T]):
            def g(self): ...
        class Outer:
            class Inner(Base[int]): ...
        def f(): Outer.Inner().g()
    """
    assert "main.py::Base.g" in callees(code)


@pytest.mark.parametrize(
    "init",
    [
        "def __init__(self):\n        self.shape = Shape()",
        "def __init__(self, shape: Shape):\n        self.shape = shape",
        "def __init__(self, shape=None):\n        self.shape = shape or Shape()",
        "def __init__(self):\n        self.shape: Shape = make()",
        "shape: Shape",
        "shape: 'Shape | None' = None",
        "shape = Shape()",
        "@property\n    def shape(self) -> Shape: ...",
        "@cached_property\n    def shape(self):\n        return Shape()",
    ],
)
def test_an_attribute_has_the_type_of(callees, init):
    code = f"from shapes import Shape\nclass Holder:\n    {init}\n    def g(self):\n        self.shape.area()\n"
    assert "shapes.py::Shape.area" in callees(code, "Holder.g", shapes=SHAPES)


def test_an_inherited_attribute_has_its_type_in_a_subclass_too(callees):
    code = """
        from shapes import Shape
        class A:
            def __init__(self):
                self.shape = Shape()
        class B(A):
            def g(self):
                self.shape.area()
    """
    assert callees(code, "B.g", shapes=SHAPES) == ["shapes.py::Shape.area"]


def test_reading_a_property_calls_it_and_reading_a_method_does_not(callees):
    code = "from shapes import Shape\ndef f(s: Shape):\n    s.size\n    s.area\n"
    assert callees(code, shapes=SHAPES) == ["shapes.py::Shape.size"]


def test_setting_a_property_calls_it(callees):
    code = """
        class A:
            def __init__(self):
                self.x = 1
            @property
            def x(self): ...
            @x.setter
            def x(self, value): ...
        def f(a: A):
            a.x = 2
    """
    assert callees(code) == ["main.py::A.x"]
    assert callees(code, "A.__init__") == ["main.py::A.x"]


def test_reading_a_member_of_an_enumeration_reaches_its_class(callees):
    code = "import enum\nclass Color(enum.Enum):\n    RED = 1\ndef f(): return Color.RED\n"
    assert callees(code) == ["main.py::Color"]


def test_calling_an_object_calls_its_call_method(callees):
    code = "class A:\n    def __call__(self): ...\ndef f():\n    a = A()\n    a()\n"
    assert callees(code) == ["main.py::A", "main.py::A.__call__"]


def test_a_method_that_returns_self_keeps_the_type_of_the_subclass(callees):
    code = """
        class A:
            def set(self):
                return self
        class B(A):
            def go(self): ...
        def f(): B().set().go()
    """
    assert "main.py::B.go" in callees(code)


def test_a_decorator_is_called_by_what_it_decorates(callees):
    assert callees("def deco(g): ...\n@deco\ndef f(): ...\n") == ["main.py::deco"]


def test_a_name_from_an_except_clause_is_of_the_exceptions_class(callees):
    code = "class E(Exception):\n    def why(self): ...\ndef f():\n    try: ...\n    except E as e:\n        e.why()\n"
    assert "main.py::E.why" in callees(code)


PACKAGE = {
    "src/pkg/__init__.py": "from .shapes import Shape\nfrom . import tools\nfrom .star import *\n",
    "src/pkg/shapes.py": SHAPES,
    "src/pkg/tools.py": "def tool(): ...\ndef _private(): ...\n",
    "src/pkg/star.py": "def starred(): ...\ndef _hidden(): ...\n",
    "src/pkg/sub/__init__.py": "",
}


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from . import tools\ndef f(): tools.tool()", "src/pkg/tools.py::tool"),
        ("from .tools import tool as t\ndef f(): t()", "src/pkg/tools.py::tool"),
        ("import pkg.tools\ndef f(): pkg.tools.tool()", "src/pkg/tools.py::tool"),
        ("import pkg.tools as t\ndef f(): t.tool()", "src/pkg/tools.py::tool"),
        ("import pkg\ndef f(): pkg.tools.tool()", "src/pkg/tools.py::tool"),
        ("from pkg import Shape\ndef f(): Shape.helper()", "src/pkg/shapes.py::Shape.helper"),
        ("from . import Shape\ndef f(): Shape.helper()", "src/pkg/shapes.py::Shape.helper"),
        ("from pkg import starred\ndef f(): starred()", "src/pkg/star.py::starred"),
    ],
)
def test_a_package_leads_to_its_modules_and_re_exports(calls, code, found):
    assert calls({**PACKAGE, "src/pkg/main.py": code}, "src/pkg/main.py::f") == [found]


def test_a_relative_import_may_climb(calls):
    code = "from ..tools import tool\nfrom .. import shapes\ndef f():\n    tool()\n    shapes.Shape.helper()\n"
    found = calls({**PACKAGE, "src/pkg/sub/main.py": code}, "src/pkg/sub/main.py::f")
    assert found == ["src/pkg/tools.py::tool", "src/pkg/shapes.py::Shape.helper"]


def test_a_star_import_gives_no_private_names(calls):
    code = "from .star import *\ndef f(): _hidden()\n"
    assert calls({**PACKAGE, "src/pkg/main.py": code}, "src/pkg/main.py::f") == []


def test_modules_that_import_each_other_are_resolved(calls):
    files = {
        "a.py": "from b import B\nclass A(B):\n    def f(self):\n        self.g()\n",
        "b.py": "import a\nclass B:\n    def g(self):\n        return a.A()\n",
    }
    assert calls(files, "a.py::A.f") == ["b.py::B.g"]
    assert calls(files, "b.py::B.g") == ["a.py::A"]


def test_classes_that_inherit_from_each_other_do_no_harm(calls):
    files = {"a.py": "class A(B):\n    def f(self):\n        self.g()\nclass B(A):\n    def g(self): ...\n"}
    assert calls(files, "a.py::A.f") in ([], ["a.py::B.g"])


def test_a_very_long_chain_of_aliases_does_no_harm(calls):
    aliases = "".join(f"def a{i}():\n    return a{i + 1}()\n" for i in range(2000))
    assert calls({"a.py": f"{aliases}def f(): a0().x()\n"}, "a.py::f") == ["a.py::a0"]
