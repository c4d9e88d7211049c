from __future__ import annotations

import ast

import pytest

from llm_testgen.shapes import declaration_lines, has_own_code, outline, runnable_lines
from llm_testgen.source import parse


def shape(text: str, qualname: str = "f") -> object:
    return outline("m.py", text.encode()).shapes[qualname]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(a, b): return a", "def f(a,\n      b):\n    # why\n    return (a)"),
        ("def f(): pass", 'def f():\n    """Doc."""'),
        ("def f(): return 'a' 'b'", "def f(): return 'ab'"),
        ("def f(): return u'a'", "def f(): return 'a'"),
        ("def f(): return 10", "def f(): return 0xA"),
    ],
)
def test_layout_and_spelling_do_not_count(one: str, other: str):
    assert shape(one) == shape(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(a): return a", "def f(a): return -a"),
        ("def f(): return 1", "def f(): return 1.0"),
        ("def f(): return 1", "async def f(): return 1"),
        ("def f(a): return a", "def f(*a): return a"),
        ("def f(): a = [1, [2]]", "def f(): a = [[1], 2]"),
        ("def f(a: int): return a", "def f(a: str): return a"),
        ("def f(): return 1", "@d\ndef f(): return 1"),
        ("def f():\n    if a: b()\n    c()", "def f():\n    if a:\n        b()\n        c()"),
    ],
)
def test_what_may_change_the_behaviour_counts(one: str, other: str):
    assert shape(one) != shape(other)


def test_a_class_is_compared_without_its_methods_and_a_module_without_its_definitions():
    one = "class A:\n    x = 1\n    def f(self): return 1\n\nX = 1\n"
    other = "X = 1\nclass A:\n    def g(self): return 2\n    class B: y = 1\n    x = 1\n"
    assert shape(one, "A") == shape(other, "A")
    assert shape(one, "<module>") == shape(other, "<module>")


def test_definitions_of_one_name_are_grouped_in_file_order():
    found = outline("m.py", b"if a:\n    def f(): return 1\nelse:\n    def f(): return 2\n")
    assert [definition.method.start for definition in found.groups["f"]] == [2, 4]
    assert list(found.groups) == ["<module>", "f"]


def test_runnable_lines_are_those_with_code():
    text = '''\
"""Doc."""
# comment
import os

if TYPE_CHECKING:
    import a
else:
    b = """x

y"""
@overload
def f(): ...
def f(
    x,  # why

):
    "Doc."; return x
class P:
    """Doc."""  # fine
    def g(self):
        """Doc."""
        ...
'''
    assert runnable_lines(parse("m.py", text.encode())) == {3, 7, 8, 9, 10, 13, 14, 16, 17, 18}


def test_declaration_lines_are_imports_and_exports():
    imports = "import a\nfrom b import (\n    c,\n)\nX = 1; import d\n"
    text = imports + "__all__ = [\n]\n__all__: list[str] = []\n__all__ += []\n"
    assert declaration_lines(parse("m.py", text.encode())) == {1, 2, 3, 4, 6, 7, 8, 9}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("class A: pass", False),
        ("class A(B, metaclass=C):\n    '''Doc.'''\n    def f(self): pass\n    class D: x = 1", False),
        ("class A: x = 1", True),
        ("@d\nclass A: pass", True),
        ("class A:\n    if x:\n        def f(self): pass", True),
    ],
)
def test_a_class_has_code_of_its_own_beside_its_methods(text: str, *, expected: bool):
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.ClassDef)
    assert has_own_code(node) is expected
