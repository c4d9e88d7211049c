from __future__ import annotations

import ast

import pytest

from llm_testgen.source import SourceError
from llm_testgen.toplevel import (
    Meanings,
    acts_on_all,
    binding_statements,
    bound_by,
    imports_something,
    is_main_block,
    loaded_names,
    read_at_import,
)


def statement(text: str) -> ast.stmt:
    (node,) = ast.parse(text).body
    return node


def meanings(text: str) -> Meanings:
    return Meanings.of(ast.parse(text).body, text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import a.b, c as d", {"a", "d"}),
        ("from a import b, c as d", {"b", "d"}),
        ("def f(x):\n    y = 1", {"f"}),
        ("class C:\n    y = 1", {"C"}),
        ("a, (b, *c) = 1", {"a", "b", "c"}),
        ("a[0] = b.c = 1", set()),
        ("a: int = 1", {"a"}),
        ("if (a := 1):\n    b = 2\n    def f():\n        x = 1\nelse:\n    import c", {"a", "b", "f", "c"}),
        ("try:\n    import a\nexcept E as b:\n    c = 1\nelse:\n    d = 1\nfinally:\n    e = 1", {*"abcde"}),
        ("for a in (b for b in []):\n    c = 1", {"a", "c"}),
        ("[(a := b) for b in []]", {"a"}),
        ("with x as (a, b):\n    pass", {"a", "b"}),
        ("match x:\n    case {'k': a, **b}:\n        pass\n    case [c, *d]:\n        pass\n    case E() as e:\n        pass", {*"abcde"}),
        ("x = lambda y: (z := y)", {"x"}),
    ],
)  # fmt: skip
def test_what_a_statement_binds(text, names):
    assert bound_by(statement(text)) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@a(b)\ndef f(x: c = d, *y: e, **z) -> g:\n    h(i)", {"a", "b", "c", "d", "e", "g"}),
        ("class C(a, metaclass=b):\n    x = c\n    def f(self, y=d):\n        e()", {"a", "b", "c", "d"}),
        ("x = a(lambda: b)", {"a", "b"}),
        ("if a:\n    def f():\n        return b\nelse:\n    c()", {"a", "c"}),
        ("del a", {"a"}),
    ],
)
def test_what_a_statement_reads_while_the_module_is_imported(text, names):
    assert read_at_import(statement(text)) == names
    assert names <= loaded_names(statement(text))


def test_statements_that_must_have_run_are_found_through_each_other():
    body = ast.parse("def a():\n    return b\nimport c\nb = d\nd = 1\ne = 2\n").body
    assert {node.lineno for node in binding_statements(body, ["a", "c"])} == {1, 3, 4, 5}
    assert binding_statements(body, ["x"]) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("if __name__ == '__main__':\n    pass", True),
        ("if '__main__' == __name__ and x:\n    pass", True),
        ("if x:\n    __name__", False),
        ("__name__", False),
    ],
)
def test_a_main_block_is_known(text, expected):
    assert is_main_block(statement(text)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import a", True),
        ("if x:\n    try:\n        pass\n    except E:\n        import a", True),
        ("def f():\n    import a", False),
        ("if x:\n    def f():\n        import a", False),
        ("x = 1", False),
    ],
)
def test_imports_are_known_under_conditions_too(text, expected):
    assert imports_something(statement(text)) is expected


def test_what_acts_on_every_test_is_known():
    assert acts_on_all(statement("@pytest.fixture(autouse=True)\ndef f(): ..."))
    assert acts_on_all(statement("pytestmark = [x]"))
    assert not acts_on_all(statement("@pytest.fixture\ndef f(): ..."))


def test_the_last_of_several_meanings_counts_but_for_those_under_conditions():
    one, other = meanings("import a\na = 1\n"), meanings("import a\nif x:\n    a = 1\n")
    assert len(one.known["a"]) == 1
    assert len(other.known["a"]) == 2
    assert one.contradicts(meanings("import a\n"))
    assert not other.contradicts(meanings("import a\n"))
    assert other.contradicts(meanings("import b as a\n"))


def test_builtins_are_meant_where_nothing_else_is():
    assert meanings("def f(id):\n    return len(id)\n").known.keys() == {"f", "len"}
    assert meanings("len = 1\n").contradicts(meanings("len([])\n"))
    assert meanings("class C:\n    len = len\n").contradicts(meanings("from a import len\n"))


def test_what_cannot_be_compiled_has_no_meanings():
    with pytest.raises(SourceError, match="cannot be compiled"):
        meanings("def f():\n    nonlocal x\n")


def test_what_is_lacking_of_a_statement_is_told():
    file = meanings("import a.b\nfrom c import d\nif TYPE_CHECKING:\n    from e import f\nX = 1\n")

    def lacking(text: str) -> str:
        node = file.lacking(statement(text))
        return ast.unparse(node) if node else ""

    assert lacking("import a") == ""
    assert lacking("import a.b") == ""
    assert lacking("import a.c, a") == "import a.c"
    assert lacking("from c import d, g") == "from c import g"
    assert lacking("from e import f") == "from e import f"
    assert lacking("X = 1") == ""
    assert lacking("X = Y = 1") == "X = Y = 1"
