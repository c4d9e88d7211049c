"""The graph of calls, where what is called has come from elsewhere: callbacks, tables, registries, computed names."""

import pytest

HANDLERS = "def g(x): return x\ndef h(x): return x\n"


@pytest.fixture
def targets(indexed):
    """The functions that a function of ``main.py`` may call."""

    def find(code, qualname="f", **files):
        index = indexed({"main.py": code, **{f"{name}.py": text for name, text in files.items()}})
        return {call.target for call in index.call_graph() if (call.path, call.qualname) == ("main.py", qualname)}

    return find


@pytest.mark.parametrize(
    "code",
    [
        "def f(back): back(1)\ndef use():\n    f(g)\n    f(back=h)\n",
        "def f(x, *backs):\n    for back in backs: back(x)\ndef use(): f(1, g, h)\n",
        "def f(**backs):\n    for name, back in backs.items(): back(name)\ndef use(): f(a=g, b=h)\n",
        "def f(back=g): back(1)\ndef use(): f(h)\n",
        "def f(back): (lambda: back(1))()\ndef use():\n    f(g)\n    f(h)\n",
        "def f(backs): backs[0](1)\ndef use(): f([g] + [h])\n",
        "TAKE = [lambda x: g if x else h]\ndef f(x): TAKE[0](x)(1)\n",
        "def f(x):\n    call = {1: g, 2: h}.get(x)\n    call(x)\n",
        "TABLE = {'a': g}\nTABLE['b'] = h\ndef f(x): TABLE[x](1)\n",
        "TABLE = {'a': g}\nTABLE.update(b=h)\ndef f(x):\n    for name, back in sorted(TABLE.items()): back(1)\n",
        "from functools import partial\nBACK = partial(g, 1), h\ndef f(x):\n    for back in BACK: back(x)\n",
    ],
    ids=[
        "parameters",
        "the rest of them",
        "those by name",
        "defaults",
        "in a lambda",
        "in a list",
        "results",
        "a table here",
        "a table of the module",
        "what is added to it",
        "partial",
    ],
)
def test_a_function_that_is_handed_over_may_be_called_where_it_arrives(targets, code):
    assert targets(HANDLERS + code) == {"g", "h"}


REGISTRY = (
    HANDLERS
    + """
class Hub:
    backs = [g]

    def __init__(self):
        self.table = {}

    def register(self, name, back):
        self.table[name] = back

    def run(self, name):
        return self.table[name](1)

    def run_all(self):
        for back in self.backs:
            back(1)


class Other:
    def __init__(self, table):
        self.table = table


def use(hub: Hub):
    hub.register("h", h)
    hub.backs.append(h)
    Other({"a": use})
"""
)


def test_a_function_that_an_object_keeps_may_be_called_where_it_looks_it_up(targets):
    assert targets(REGISTRY, "Hub.run") == {"h"}
    assert targets(REGISTRY, "Hub.run_all") == {"g", "h"}


def test_what_a_base_class_is_given_its_heirs_have_and_classes_beside_them_do_not(targets):
    code = HANDLERS + "class A:\n    def __init__(self, back): self.back = back\n"
    code += "class B(A):\n    def run(self): self.back(1)\nclass C(A):\n    def run(self): self.back(1)\n"
    code += "class D:\n    def __init__(self, back): self.back = back\n    def run(self): self.back(1)\n"
    code += "def make(): return A(g), D(h)\n"
    assert targets(code, "B.run") == targets(code, "C.run") == {"g"}
    assert targets(code, "D.run") == {"h"}


def test_a_data_class_keeps_what_it_is_given(targets):
    code = HANDLERS + "from dataclasses import dataclass\n@dataclass\nclass Step:\n    name: str\n    back: object\n"
    code += "STEPS = [Step('a', g), Step('b', back=h)]\ndef f():\n    for step in STEPS: step.back(1)\n"
    assert targets(code) == {"g", "h"}


def test_classes_and_objects_that_are_handed_over_are_made_and_called(targets):
    code = "class A:\n    def __init__(self): pass\n    def __call__(self): pass\n    def process(self): pass\n"
    assert targets(f"{code}def f(kind): kind()\ndef use(): f(A)\n") == {"A.__init__"}
    assert targets(f"{code}def f(back): back()\ndef use(): f(A())\n") == {"A.__call__"}
    twins = f"{code}class B:\n    def process(self): pass\n"
    assert targets(f"{twins}def f(x): x.process()\ndef use(): f(A())\n") == {"A.process"}


def test_what_a_decorator_wraps_is_called_by_its_wrapper(targets):
    code = "def plain(back):\n    def wrapper(): return back()\n    return wrapper\n"
    code += "def named(name):\n    def wrap(back):\n        def wrapper(): return back()\n        return wrapper\n    return wrap\n"
    code += "@plain\ndef g(): ...\n@named('h')\ndef h(): ...\n"
    assert targets(code, "plain") == {"g"}
    assert targets(code, "named") == {"h"}


def test_a_nested_function_that_is_handed_over_belongs_to_the_one_around_it(targets):
    code = "def f(match): match(1)\ndef use():\n    def match(x): return x\n    f(match)\n"
    assert targets(code) == {"use"}


def test_what_an_imported_table_holds_is_called(targets):
    table = f"{HANDLERS}TABLE = [g, h]\n"
    assert targets("from tables import TABLE\ndef f(n): TABLE[n](1)\n", tables=table) == {"g", "h"}
    assert targets("import tables\ndef f(n): tables.TABLE[n](1)\n", tables=table) == {"g", "h"}


VISITOR = "class A:\n    def visit_a(self): return 1\n    def visit_b(self): return 2\n    def visit(self): return 3\n"


@pytest.mark.parametrize(
    "body",
    [
        "self.table = {k: getattr(self, f'visit_{k}') for k in x}\n        self.table[x]()",
        "name = 'visit_{}'.format(x).lower()\n        getattr(self, name, self.visit_a)()",
        "self.call('visit_' + x)",
        "for name in ('visit_a', 'visit_b'): getattr(self, name)()",
    ],
    ids=["kept in a table", "in a variable", "handed over", "whole names"],
)
def test_a_method_whose_name_is_put_together_may_be_called_where_it_arrives(targets, body):
    code = f"{VISITOR}    def call(self, name): getattr(self, name)()\n    def f(self, x):\n        {body}\n"
    qualname = "A.call" if "self.call" in body else "A.f"
    assert targets(code, qualname) == {"A.visit_a", "A.visit_b"}


@pytest.mark.parametrize("made", ["type(self)(1)", "self.__class__(1)"])
def test_the_class_of_an_object_makes_one_more(targets, made):
    code = f"class A:\n    def __init__(self, x): pass\n    def copy(self): return {made}\n"
    assert targets(code, "A.copy") == {"A.__init__"}
    heir = "class B(A):\n    def __init__(self): pass\ndef make(): return A(1), B()\n"
    assert targets(code + heir, "A.copy") == {"A.__init__", "B.__init__"}


def test_a_method_of_self_that_comes_back_is_none_of_an_heir_that_overrides_the_caller(targets):
    code = "class A:\n    def get(self): return [self.one]\n    def one(self): return 1\n    def run(self): self.get()[0]()\n"
    code += "class B(A):\n    def one(self): return 2\n    def run(self): return 3\n"
    code += "class C(A):\n    def one(self): return 3\ndef make(): return A(), B(), C()\n"
    assert targets(code, "A.run") == {"A.get", "A.one", "C.one"}


def test_a_method_taken_from_a_class_is_called_by_the_one_that_overrides_it(targets):
    code = "class A:\n    def put(self, x): pass\nclass B(A):\n    def put(self, x, put=A.put): put(self, x)\n"
    assert targets(code, "B.put") == {"A.put"}


@pytest.mark.parametrize(
    "code",
    [
        "def f(back): back.append(1)\ndef use():\n    xs = []\n    xs.append(Bag())\n    f(xs)\n",
        "def f(back): return back\ndef use(): f(g)\n",
        "def f(self, x): getattr(self, x)()\n",
    ],
    ids=["a container", "not called", "a name that nobody knows"],
)
def test_what_tells_nothing_is_no_call(targets, code):
    assert targets(f"{HANDLERS}class Bag:\n    def append(self, x): pass\n{code}") == set()


def test_where_too_much_arrives_nothing_is_told(targets):
    def code(number):
        functions = "".join(f"def g{n}(): ...\n" for n in range(number))
        return f"{functions}def f(back): back()\ndef use():\n" + "".join(f"    f(g{n})\n" for n in range(number))

    assert len(targets(code(40))) == 40
    assert targets(code(41)) == set()


def test_functions_that_are_handed_round_in_a_circle_come_to_an_end(targets):
    code = HANDLERS + "def f(back):\n    back(1)\n    k(back)\ndef k(back):\n    f(back)\n    f(h)\ndef use(): k(g)\n"
    assert targets(code) == {"g", "h", "k"}


def test_an_expression_that_is_nested_too_deeply_does_no_harm(targets):
    deep = " + ".join(["'a'"] * 600)
    assert targets(f"{HANDLERS}def deep():\n    x = {deep}\n    g(x)\ndef f(back): back(1)\ndef use(): f(h)\n") == {"h"}
