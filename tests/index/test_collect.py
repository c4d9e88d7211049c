"""What one file says by itself."""

import textwrap

from llm_testgen.index.facts import BindingKind
from llm_testgen.index.parse import parse_blob


def facts(code):
    return parse_blob(textwrap.dedent(code).encode())


def calls(code, owner):
    return [(call.callee, call.called) for call in facts(code).calls if call.owner == owner]


def test_imports_are_found_wherever_they_stand():
    code = """
        import os.path, json as j
        from . import sibling
        from ..up import name as other
        from m import *
        try:
            import fast
        except ImportError:
            fast = None
        class A:
            def f(self):
                import late
    """
    found = [(i.owner, i.bound, i.module, i.name, i.level) for i in facts(code).imports]
    assert found == [
        ("<module>", "os", "os.path", "", 0),
        ("<module>", "j", "json", "", 0),
        ("<module>", "sibling", "", "sibling", 1),
        ("<module>", "other", "up", "name", 2),
        ("<module>", "*", "m", "*", 0),
        ("<module>", "fast", "fast", "", 0),
        ("A.f", "late", "late", "", 0),
    ]


def test_calls_are_written_as_chains_in_the_order_of_evaluation():
    code = """
        def f(x):
            self.area(g(1), k=h()).done()
            super().run()
            x[0].go()
            (a + b).never()
            "".join(x)
    """
    assert calls(code, "f") == [
        ("g", True),
        ("h", True),
        ("self.area", True),
        ("self.area().done", True),
        ("super", True),
        ("super().run", True),
        ("x[].go", True),
        ("?.never", True),
        ("?.join", True),
    ]


def test_a_callee_counts_once_per_definition_and_positions_are_unique():
    found = facts("def f():\n    a()\n    b()\n    a()\n    x.y\n    x.y\n").calls
    assert [(call.position, call.callee) for call in found] == [(0, "a"), (1, "b"), (2, "x.y")]


def test_definitions_of_one_name_share_their_calls():
    code = """
        class A:
            @property
            def x(self): return read()
            @x.setter
            def x(self, value): write(value)
    """
    found = [call for call in facts(code).calls if call.owner == "A.x"]
    assert [call.callee for call in found] == ["property", "read", "x.setter", "write"]
    assert [call.position for call in found] == [0, 1, 2, 3]


def test_code_belongs_to_the_innermost_definition_that_can_be_addressed():
    code = """
        top()
        class A(base()):
            in_class()
            def f(self, default=in_header()):
                def nested():
                    deep()
                class Local:
                    def g(self): deeper()
    """
    assert calls(code, "<module>") == [("top", True)]
    assert calls(code, "A") == [("in_class", True)]
    assert calls(code, "A.f") == [("in_header", True), ("deep", True), ("deeper", True)]


def test_annotations_are_no_calls():
    assert calls("def f(a: m.T, b: list[m.U] = None) -> m.R:\n    c: m.V = None\n", "f") == []


def test_an_attribute_that_is_only_read_or_set_is_kept_apart_from_calls():
    assert calls("def f(a):\n    a.b\n    a.c = 1\n    a.d += 1\n    a.e.f()\n", "f") == [
        ("a.b", False),
        ("a.c", False),
        ("a.d", False),
        ("a.e", False),
        ("a.e.f", True),
    ]


def test_every_way_to_bind_a_name_hides_outer_ones():
    code = """
        def f(p, *args, q: int, **kw):
            a = 1
            for b, (c, *d) in x: ...
            with o() as e: ...
            try: ...
            except ValueError as g: ...
            [h for h in x]
            (i := 1)
            lambda j: j
            match x:
                case {"k": k, **l}: ...
                case [m, *n]: ...
            def r(s): ...
            class T: ...
    """
    names = {binding.name for binding in facts(code).bindings if binding.owner == "f"}
    assert names >= {"p", "args", "q", "kw", *"abcdeghijkmnrsT"}


def test_a_global_name_is_not_bound_by_its_assignment():
    names = [binding.name for binding in facts("def f():\n    global g\n    g = 1\n").bindings]
    assert names == []


def test_the_first_parameter_of_a_method_is_the_instance_or_the_class():
    code = """
        class A:
            def f(this): ...
            @classmethod
            def g(klass): ...
            @staticmethod
            def h(x): ...
            def __new__(c): ...
    """
    kinds = {binding.name: binding.kind for binding in facts(code).bindings}
    assert kinds == {
        "this": BindingKind.INSTANCE,
        "klass": BindingKind.CLASS,
        "x": BindingKind.PARAMETER,
        "c": BindingKind.CLASS,
    }


def test_fixtures_are_known_by_their_decorator_and_given_name():
    code = """
        import pytest
        from pytest import fixture
        import pytest_asyncio
        @pytest.fixture
        def a(): ...
        @fixture(scope="module")
        def b(): ...
        @pytest.fixture(name="given")
        def c(): ...
        @pytest_asyncio.fixture
        async def d(): ...
        @pytest.mark.parametrize("x", [])
        def e(x): ...
    """
    found = {fact.qualname: fact.fixture for fact in facts(code).definitions}
    assert found == {"<module>": "", "a": "a", "b": "b", "c": "given", "d": "d", "e": ""}


def test_a_file_too_deeply_nested_has_an_error_and_nothing_else():
    found = facts("x = " + " + ".join(["1"] * 5000) + "\n")
    assert "cannot be parsed" in found.error
    assert found.definitions == ()


def test_the_interface_changes_with_what_other_files_may_see_and_with_nothing_else():
    base = facts("def f(a):\n    x = 1\n    return g(x)\n").interface
    assert facts("# moved\n\ndef f(a):\n    y = 2\n    other(y)\n    return g(x)\n").interface != base
    plain = facts("def f(a):\n    x = 1\n    g(x)\n").interface
    assert facts("# moved\n\ndef f(a):\n    '''Doc.'''\n    y = 2\n    h(y)\n").interface == plain
    assert facts("def f(a):\n    x = 1\n    g(x)\n\ndef new(): ...\n").interface != plain
    assert facts("import m\ndef f(a):\n    x = 1\n    g(x)\n").interface != plain
