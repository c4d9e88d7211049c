"""The graph of calls: what Python calls unseen, overrides, and methods known by their name."""

import pytest


@pytest.fixture
def calls(indexed):
    """The functions that a function of ``main.py`` may call, by the lines on which it does."""

    def find(code, qualname="f", **files):
        index = indexed({"main.py": code, **{f"{name}.py": text for name, text in files.items()}})
        graph = index.call_graph()
        found = [call for call in graph if (call.path, call.qualname) == ("main.py", qualname)]
        return [(call.line, call.target) for call in found]

    return find


def targets(found):
    return {target for _, target in found}


SPECIAL = ["__len__", "__iter__", "__getitem__", "__contains__", "__enter__", "__exit__", "__add__", "__radd__"]
SPECIAL += [
    "__eq__",
    "__str__",
    "__repr__",
    "__bool__",
    "__neg__",
    "__hash__",
    "__setitem__",
    "__delitem__",
    "__call__",
]
CLASS = "class A:\n" + "".join(f"    def {name}(self, *a): return 1\n" for name in SPECIAL)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("len(x)", {"__len__"}),
        ("for y in x: ...", {"__iter__"}),
        ("[y for y in x]", {"__iter__"}),
        ("list(x)", {"__iter__"}),
        ("g(*x)", {"__iter__"}),
        ("yield from x", {"__iter__"}),
        ("x[0]", {"__getitem__"}),
        ("x[0] = 1", {"__setitem__"}),
        ("del x[0]", {"__delitem__"}),
        ("1 in x", {"__contains__"}),
        ("with x: ...", {"__enter__", "__exit__"}),
        ("x + 1", {"__add__"}),
        ("1 + x", {"__radd__"}),
        ("x += 1", {"__add__"}),
        ("x == 1", {"__eq__"}),
        ("1 == x", {"__eq__"}),
        ("str(x)", {"__str__"}),
        ("f'{x}'", {"__str__"}),
        ("f'{x!r}'", {"__repr__"}),
        ("if x: ...", {"__bool__"}),
        ("not x", {"__bool__"}),
        ("x and 1", {"__bool__"}),
        ("-x", {"__neg__"}),
        ("{}[x]", {"__hash__", "__eq__"}),
        ("x()", {"__call__"}),
        ("x is None", set()),
        ("y = x", set()),
    ],
)
def test_what_python_calls_unseen(calls, body, names):
    assert targets(calls(f"{CLASS}\n\ndef f(x: A):\n    {body}\n")) == {f"A.{name}" for name in names}


def test_another_special_method_stands_in_only_where_all_bases_are_known(calls):
    code = "class A:\n    def __len__(self): return 1\nclass B(dict):\n    def __len__(self): return 1\n"
    assert calls(f"{code}def f(a: A):\n    if a: ...\n") == [(6, "A.__len__")]
    assert calls(f"{code}def f(b: B):\n    if b: ...\n") == []


DISPATCH = """
class Base:
    def run(self):
        self.step()
        self.stub()

    def step(self): return 1

    def stub(self):
        raise NotImplementedError


class Left(Base):
    def step(self): return 2

    def stub(self): return 3


class Right(Base):
    def run(self):
        return 0

    def stub(self): return 4


class Unused(Base):
    def step(self): return 5


def make():
    Left().step()
    return [Base(), Left(), Right()]


def f(base: Base):
    base.step()


def g():
    new = Base()
    new.step()
"""


def test_a_method_of_self_may_be_that_of_an_heir_that_does_not_override_the_caller(calls):
    assert targets(calls(DISPATCH, "Base.run")) == {"Base.step", "Left.step", "Left.stub"}


def test_a_declared_object_may_be_one_of_an_heir_and_a_new_one_is_not(calls):
    assert targets(calls(DISPATCH, "f")) == {"Base.step", "Left.step"}
    assert targets(calls(DISPATCH, "g")) == {"Base.step"}


def test_of_many_overrides_only_the_declared_class_is_told_for_other_objects(calls):
    heirs = "".join(f"class H{n}(Base):\n    def step(self): return {n}\n" for n in range(5))
    made = "def make(): return [Base(), H0(), H1(), H2(), H3(), H4()]\n"
    code = f"class Base:\n    def step(self): return 1\n    def run(self): self.step()\n{heirs}{made}"
    assert targets(calls(f"{code}def f(base: Base): base.step()\n")) == {"Base.step"}
    assert len(calls(f"{code}", "Base.run")) == 6


def test_a_method_is_known_by_its_name_where_one_family_alone_has_it(calls):
    family = "class A:\n    def group_tokens(self): return 1\nclass B(A):\n    def group_tokens(self): return 2\n"
    assert targets(calls(f"{family}def f(x): x.group_tokens()\n")) == {"A.group_tokens", "B.group_tokens"}
    assert targets(calls(f"{family}def f(x): x.y[0].group_tokens()\n")) == {"A.group_tokens", "B.group_tokens"}


@pytest.mark.parametrize(
    "code",
    [
        "class A:\n    def go_on(self): return 1\nclass B:\n    def go_on(self): return 2\ndef f(x): x.go_on()\n",
        "class A:\n    def append(self, x): return 1\ndef f(x): x.append(1)\n",
        "class A:\n    def close(self): return 1\ndef f(x): x.close()\n",
        "import os\nclass A:\n    def go_on(self): return 1\ndef f(x): os.go_on()\n",
        "class A:\n    def go_on(self): return 1\nclass B:\n    def __init__(self): self.go_on = 1\ndef f(x): x.go_on()\n",
        "class A:\n    def go_on(self): return 1\ndef f(x): x.go_on\n",
    ],
    ids=["two families", "a builtin's", "a file's", "a module's", "an attribute too", "only read"],
)
def test_a_name_that_others_have_too_tells_nothing(calls, code):
    assert calls(code) == []


def test_a_function_that_is_given_to_others_code_is_called_from_there(calls):
    code = "def g(x): return x\ndef h(k): return k\ndef f(xs):\n    sorted(xs, key=g)\n    h(g)\n    for one in (g, h): one(1)\n"
    assert calls(code) == [(4, "g"), (5, "h"), (6, "g"), (6, "h")]


def test_making_an_object_calls_all_that_makes_it(calls):
    code = "class A:\n    def __new__(cls): ...\n    def __init__(self): ...\ndef f():\n    A()\n    raise A\n"
    assert calls(code) == [(5, "A.__new__"), (5, "A.__init__"), (6, "A.__new__"), (6, "A.__init__")]


def test_reading_a_property_calls_it_of_an_heir_too(calls):
    code = "class A:\n    @property\n    def x(self): return 1\n    def g(self): return self.x\n"
    code += "class B(A):\n    @property\n    def x(self): return 2\ndef make(): return A(), B()\n"
    assert targets(calls(code, "A.g")) == {"A.x", "B.x"}


def test_what_stands_in_for_a_failed_import_is_not_called(calls):
    code = "try:\n    from fast import go\nexcept ImportError:\n    def go(): return 1\ndef f(): go()\n"
    assert calls(code) == []


def test_nested_functions_belong_to_the_one_around_them_and_headers_to_none(calls):
    code = "def g(x=1): return x\ndef f(y=g()):\n    def inner():\n        g()\n    return inner\n"
    assert calls(code) == [(4, "g")]


def test_tests_are_no_callers_and_files_that_cannot_be_parsed_do_no_harm(indexed):
    index = indexed(
        {"a.py": "def f(): ...\n", "tests/test_a.py": "from a import f\ndef test_f(): f()\n", "b.py": "def (\n"}
    )
    assert index.call_graph() == ()
    assert [(call.qualname, call.target, call.line) for call in index.stored_calls()] == [("test_f", "f", 0)]


def test_a_name_that_is_put_together_may_be_that_of_any_method_that_begins_so(calls):
    code = "class A:\n    def visit_a(self): return 1\n    def visit_b(self): return 2\n    def visit(self): return 3\n"
    for asked in (
        'getattr(self, f"visit_{kind}")()',
        'getattr(self, "visit_" + kind)()',
        'getattr(self, "visit_%s" % kind)()',
    ):
        found = calls(f"{code}    def f(self, kind):\n        {asked}\n", "A.f")
        assert targets(found) == {"A.visit_a", "A.visit_b"}
    assert calls(f'{code}    def f(self, kind):\n        return f"visit_{{kind}}"\n', "A.f") == []


def test_a_method_that_is_got_by_a_name_and_kept_is_not_called(calls):
    code = 'class A:\n    def visit_a(self): return 1\n    def f(self, kind):\n        self.x = getattr(self, f"visit_{kind}")\n'
    assert calls(code, "A.f") == []
    called = code.replace("self.x =", "found =") + "        return found(1)\n"
    assert targets(calls(called, "A.f")) == {"A.visit_a"}


def test_of_a_class_that_nothing_makes_only_the_heirs_have_objects(calls):
    code = "class A:\n    def go(self): self.step()\n    def step(self): return 1\n"
    code += "class B(A):\n    def step(self): return 2\ndef make(): return B()\n"
    assert targets(calls(code, "A.go")) == {"B.step"}
    assert targets(calls(f"{code}def more(): return A()\n", "A.go")) == {"A.step", "B.step"}
    kept = f"{code}MAKER = A\n"
    assert targets(calls(kept, "A.go")) == {"A.step", "B.step"}


def test_an_heir_that_is_only_kept_under_another_name_has_objects_too(calls):
    code = "class A:\n    def go(self): self.step()\n    def step(self): raise NotImplementedError\n"
    code += "class B(A):\n    def step(self): return 2\n"
    assert targets(calls(code, "A.go")) == {"A.step"}
    assert targets(calls(f"{code}Best = B\n", "A.go")) == {"B.step"}


def test_for_a_stub_that_is_named_itself_its_overrides_are_called(calls):
    code = "class A:\n    @staticmethod\n    def step(): raise NotImplementedError\n"
    code += "class B(A):\n    @staticmethod\n    def step(): return 2\ndef make(): return B()\n"
    assert targets(calls(f"{code}def f(cls: type[A]): cls.step()\n")) == {"B.step"}
