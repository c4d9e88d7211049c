from __future__ import annotations

import ast
import time

import pytest

from llm_testgen.names import COMPUTED, NUMBER, UNKNOWN, Names, ObscureError, alternatives, positional, tails
from llm_testgen.scopes import OWN_MODULE, PARAMETER


def last(code: str):
    """A module's names, and its last expression statement with the scope that it stands in."""
    names = Names(ast.parse(code))
    node, scope = [(node.value, scope) for node, scope in names.nodes if isinstance(node, ast.Expr)][-1]
    return names, node, scope


def dotted(code: str) -> set[str]:
    names, node, scope = last(code)
    return set(names.dotted(node, scope))


def texts(code: str) -> set[str]:
    names, node, scope = last(code)
    return set(names.texts(node, scope))


def keys(code: str) -> set[str]:
    names, node, scope = last(code)
    return set(names.keys(node, scope))


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import os\nos.sep", "os.sep"),
        ("import os.path\nos", "os"),
        ("import os.path as p\np.join", "os.path.join"),
        ("from os import sep as s\ns", "os.sep"),
        ("from . import labels\nlabels.os", "..labels.os"),
        ("import os\nx = y = os\nz = y\nz.sep", "os.sep"),
        ("import os, sys\na, [b, *c] = sys, [os, 1]\nb.sep", "os.sep"),
        ("import os\nwith os as o:\n    o.sep", "os.sep"),
        ("import os\n(m := os).sep", "os.sep"),
        ("import os\nx: object = os\nx.sep", "os.sep"),
        ("import os\nfor m in [1, os]:\n    m.sep", "os.sep"),
        ("import os\n[m.sep for m in {os}]\n(m.sep if m else None)", "os.sep"),
        ("import os\n(os if x else None).sep", "os.sep"),
        ("import os\n(None or os).sep", "os.sep"),
        ("import os\n{'a': os}['a'].sep", "os.sep"),
        ("print", "builtins.print"),
        ("__builtins__", "builtins.__builtins__"),
        ("def f(): pass\nf.x", f"{OWN_MODULE}.f.x"),
        ("class C: pass\nC", f"{OWN_MODULE}.C"),
    ],
)
def test_a_name_stands_for_what_it_is_bound_to(code, name):
    assert name in dotted(code)


def test_what_nothing_binds_is_unknown_and_so_are_its_members():
    assert dotted("x") == set()
    assert dotted("x.y.z") == {f"{UNKNOWN}.y.z"}
    assert dotted("f()") == {UNKNOWN}


def test_a_name_stands_for_all_that_it_is_bound_to_in_whatever_order():
    assert dotted("import os, sys\nx = os\nx.path\nx = sys") == {"os.path", "sys.path"}
    assert dotted("import os\na = b\nb = a\na = os\nb") == {"os"}


def test_a_star_import_may_give_any_name_that_nothing_else_binds():
    assert dotted("from os import *\n_exit") == {"os._exit"}
    assert dotted("from os import *\nfrom sys import path\npath") == {"sys.path"}


def test_an_import_hides_a_builtin_while_an_assignment_may_come_too_late_to():
    assert dotted("from parcel import open\nopen") == {"parcel.open"}
    assert dotted("import parcel\nopen = parcel.open\nopen") == {"parcel.open", "builtins.open"}


@pytest.mark.parametrize(
    "look_up",
    [
        "getattr(os, 'sep')",
        "getattr(*(os, 'sep'))",
        "getattr(os, 's' + 'ep')",
        "getattr(os, f's{\"ep\"}')",
        "getattr(os, 'pes'[::-1])",
        "getattr(os, ''.join(('s', 'ep')))",
        "getattr(os, ' sep '.strip())",
        "(lambda: 0, getattr)[1](os, 'sep')",
        "inspect.getattr_static(os, 'sep')",
        "os.__getattribute__('sep')",
        "object.__getattribute__(os, 'sep')",
        "operator.attrgetter('sep')(os)",
        "os.__dict__['sep']",
        "os.__dict__.get('sep')",
        "vars(os)['sep']",
        "sys.modules['os'].sep",
        "sys.modules.get('os').sep",
        "__import__('os').sep",
        "__import__(name='os').sep",
        "importlib.import_module('o' + 's').sep",
        "pytest.importorskip('os').sep",
    ],
)
def test_a_member_is_found_in_whatever_way_it_is_looked_up(look_up):
    assert "os.sep" in dotted(f"import importlib, inspect, operator, os, pytest, sys\n{look_up}")


def test_the_namespace_of_the_module_has_its_own_names():
    assert dotted("globals()['x']") == {f"{OWN_MODULE}.x"}
    assert dotted("import sys\nsys.modules[__name__].x") == {f"{OWN_MODULE}.x"}


def test_a_name_that_the_text_does_not_tell_is_a_computed_one():
    assert dotted("import os\ngetattr(os, f())") == {f"os.{COMPUTED}"}
    assert dotted("import os\nn = 's'\nn += g()\ngetattr(os, n)") == {"os.s", f"os.{COMPUTED}"}


def test_long_names_keep_their_beginning_and_their_end():
    assert dotted("import os\nos.a.b.c.d.e") == {"os.c.d.e"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("'a'", {"a"}),
        ("x = 'a'\nx = 'b'\nx", {"a", "b"}),
        ("'a' + ('b' if x else 'c')", {"ab", "ac"}),
        ("'-'.join(['a', 'b'])", {"a-b"}),
        ("for x in ('a', 'b'): pass\nx", {"a", "b"}),
        ("__name__", {OWN_MODULE}),
        ("repr(x)", {"None"}),
        ("class E:\n    def __repr__(self): return 'x'\nrepr(E())", set()),
        ("import textwrap\ntextwrap.dedent('  a')", {"a"}),
        ("compile('a', 'f', 'eval')", {"a"}),
        ("'a' * 3", set()),
        ("'a'[1:]", set()),
        ("b'a'", set()),
    ],
)
def test_texts_are_those_that_an_expression_may_give(code, expected):
    assert texts(code) == expected


def test_a_text_is_no_dotted_name():
    assert dotted("'os'") == set()
    assert dotted("'os'.x") == {f"{UNKNOWN}.x"}


def test_keys_tell_whether_the_text_knows_them_all():
    assert keys("'a'") == {"a"}
    assert keys("f()") == {COMPUTED}
    assert keys("x = 'a'\nx = f()\nx") == {"a", COMPUTED}


def test_a_parameter_may_be_any_text_of_the_module():
    assert keys("TEXTS = 'a', ['b']\ndef f(x):\n    x") == {"a", "b"}
    assert dotted("def f(x):\n    x") == {PARAMETER}
    assert keys("def f(x):\n    x") == {COMPUTED}


def test_the_builtin_that_an_assignment_hides_takes_no_key_away_and_adds_none():
    assert keys("id = 'a'\nid") == {"a"}


@pytest.mark.parametrize(
    ("code", "numbers"),
    [
        ("7", True),
        ("2", False),
        ("1 + 1", True),
        ("x = 5\nx", True),
        ("range(9)", True),
        ("int('7')", True),
        ("for fd in (4, 5): pass\nfd", True),
        ("import os\nr, w = os.pipe()\nw + 1", True),
        ("import os\nr, w = os.pipe()\nw", False),
        ("True", False),
        ("'7'", False),
    ],
)
def test_numbers_that_the_module_makes_up_are_told_from_those_that_it_was_given(code, numbers):
    assert (NUMBER in dotted(code)) is numbers


def test_a_function_sees_its_own_names_before_those_of_the_module():
    assert dotted("import os as m\ndef f():\n    import sys as m\n    m.path") == {"sys.path"}
    assert dotted("def f():\n    import sys as m\nm.path") == {f"{UNKNOWN}.path"}
    assert dotted("def f():\n    import sys as m\n    def g():\n        m.path") == {"sys.path"}


def test_a_method_does_not_see_the_names_of_its_class():
    assert dotted("import os as m\nclass C:\n    import sys as m\n    def f(self):\n        m.path") == {"os.path"}
    assert dotted("import os as m\nclass C:\n    import sys as m\n    m.path") == {"sys.path"}


def test_a_default_is_evaluated_outside_the_function_and_joins_what_is_given():
    assert dotted("import os as m\ndef f(m=m):\n    m") == {"os", PARAMETER}
    assert dotted("import os as m\ndef f(a, b=1, *, m=m, c):\n    m") == {"os", PARAMETER}
    assert dotted("import os as m\ndef f(a, b, m=m):\n    a") == {PARAMETER}


def test_global_and_nonlocal_names_belong_to_the_module():
    assert dotted("def f():\n    global m\n    import os as m\nm.sep") == {"os.sep"}


@pytest.mark.parametrize(
    "function",
    ["def test_it(request):\n    request.x", "import pytest\n@pytest.fixture\ndef f(request):\n    request.x"],
)
def test_the_fixtures_of_pytest_are_known_where_pytest_gives_them(function):
    assert "FixtureRequest.x" in dotted(function)
    assert dotted("def view(request):\n    request.x") == {f"{UNKNOWN}.x"}


def test_code_that_is_executed_sees_the_scope_it_runs_in_and_adds_to_it():
    names, _, scope = last("import os\nx = os\nx")
    nodes = names.add(ast.parse("y = x.path\ny.sep"), scope)
    node, inner = next((node.value, inner) for node, inner in nodes if isinstance(node, ast.Expr))
    assert inner is scope is names.root
    assert names.dotted(node, inner) == {"os.path.sep"}


def test_nodes_come_in_the_order_of_the_text_each_with_its_scope():
    names = Names(ast.parse("a\ndef f():\n    b\nc"))
    seen = [(node.id, scope is names.root) for node, scope in names.nodes if isinstance(node, ast.Name)]
    assert seen == [("a", True), ("b", False), ("c", True)]


@pytest.mark.parametrize(
    ("mapping", "items"),
    [
        ("sys.modules", {"os"}),
        ("'sys.modules'", {"os"}),
        ("vars(sys)", {"sys.os"}),
        ("sys.__dict__", {"sys.os"}),
        ("'sys.__dict__'", {"sys.os"}),
        ("globals()", {f"{OWN_MODULE}.os"}),
        ("{'os': 1}", set()),
        ("'sys'", set()),
    ],
)
def test_items_are_followed_in_namespaces_only(mapping, items):
    names, node, scope = last(f"import sys\n{mapping}")
    assert set(names.items(node, ["os"], scope)) == items


def test_origins_are_all_that_an_expression_was_made_from():
    names, node, scope = last("a = '1'\nb = [a, b]\nb += g('2')\nprint(b)")
    assert {part.value for part in names.origins(node, scope) if isinstance(part, ast.Constant)} == {"1", "2"}


def test_tails_have_no_leading_underscore_but_in_the_member():
    assert list(tails("parcel.labels._os._exit")) == ["labels.os._exit", "os._exit"]
    assert list(tails("os")) == []


def test_positional_arguments_are_those_in_order_and_those_that_functions_take_by_name_too():
    call = ast.parse("f(a, *(b, c), *rest, target=d, other=e)", mode="eval").body
    assert [ast.unparse(one) for one in positional(call)] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a if b else c", ["a", "c"]),
        ("a or b", ["a", "b"]),
        ("[a, *b]", ["a", "*b"]),
        ("{a: b}", ["b"]),
        ("(a := b)", ["b"]),
        ("a(b)", []),
    ],
)
def test_alternatives_are_what_an_expression_gives_one_of(expression, expected):
    assert [ast.unparse(one) for one in alternatives(ast.parse(expression, mode="eval").body)] == expected


def test_the_members_of_members_come_to_an_end():
    names = dotted("n = root\nwhile n:\n    n = n.left or n.right\nn")
    assert f"{UNKNOWN}.left.right.left" in names
    assert len(names) == 2 + 4 + 8


def test_more_texts_than_are_worth_following_leave_something_unknown():
    code = "x = 'a'\nfor y in z:\n    x = x + 'b' + str(y)\n    x += x\nx"
    assert len(texts(code)) <= 60
    assert UNKNOWN in dotted(code)
    digits = "(" + ", ".join(f"'{n}'" for n in range(10)) + ")"
    assert len(texts(f"for d in {digits}: pass\nd + d")) == 60
    assert UNKNOWN in dotted(f"for d in {digits}: pass\nd + d")


def test_a_text_that_grows_beyond_all_bounds_is_given_up():
    code = "x0 = 'ab'\n" + "".join(f"x{n + 1} = x{n} + x{n}\n" for n in range(60)) + "x60"
    assert texts(code) == set()
    assert UNKNOWN in dotted(code)


@pytest.mark.parametrize(
    "code",
    [
        "".join(f"a{n} = a{n + 1}\n" for n in range(800)) + "import os as a800",
        "for x in " + str([f"m{n}" for n in range(50)]) + ":\n    y = getattr(y, x).z\n    y = getattr(y, x)\n",
        "def f(n):\n    m = __import__(n)\nx = " + str([f"m{n}" for n in range(3001)]),
    ],
    ids=["long chain", "many members", "many modules"],
)
def test_a_module_that_takes_too_much_work_is_refused_in_little_time(code):
    start = time.process_time()
    with pytest.raises(ObscureError):
        Names(ast.parse(code))
    assert time.process_time() - start < 5
