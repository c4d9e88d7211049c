from __future__ import annotations

import ast
import textwrap

import pytest

from llm_testgen.records import Method, MethodKind
from llm_testgen.source import FunctionNode, SourceError, decode, definition_start, parse, parse_tree, signature


def methods(source: str) -> dict[str, Method]:
    """Definitions by name; the last of several."""
    module = parse("a.py", textwrap.dedent(source).lstrip("\n").encode())
    return {entry.method.qualname: entry.method for entry in module.definitions}


def header(source: str) -> str:
    node = ast.parse(source).body[0]
    assert isinstance(node, FunctionNode | ast.ClassDef)
    return signature(node)


def test_utf_8_is_the_encoding_unless_the_file_says_otherwise():
    assert decode("é".encode()) == "é"
    assert decode(b"# coding: latin-1\nx = '\xe9'\n") == "# coding: latin-1\nx = 'é'\n"


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert decode(b"\xef\xbb\xbfx = 1\n") == "x = 1\n"


def test_windows_newlines_become_plain_ones():
    assert decode(b"a\r\nb\r\n") == "a\nb\n"


def test_an_empty_file_is_an_empty_module():
    module = parse("a.py", b"")
    (whole,) = module.definitions
    assert (module.text, whole.method.start, whole.method.end, whole.method.source) == ("", 1, 1, "")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"a = 1\rb = 2\n", "a carriage return stands inside a line"),
        (b"a = 1\r\r\n", "a carriage return stands inside a line"),
        (b"x = '\xe9'\n", "cannot be decoded"),
        (b"# coding: no-such-thing\n", "cannot be decoded"),
        (b"\xef\xbb\xbf# coding: latin-1\n", "cannot be decoded"),
        (b"# coding: ascii\nx = '\xc3\xa9'\n", "cannot be decoded"),
        (b"\xff\xfea\x00", "cannot be decoded"),
        (b"# coding: rot13\n", "cannot be decoded"),
        (b"# coding: hex\n", "cannot be decoded"),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_the_reason(data, reason):
    with pytest.raises(SourceError, match=reason):
        decode(data)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f(:\n", "line 1"),
        ("x = 1\n  y = 2\n", "line 2"),
        ("print 'x'\n", "not valid Python 3"),
        ("x = '\0'\n", "null bytes|cannot be parsed"),
        ("(" * 1000 + ")" * 1000, "not valid Python|cannot be parsed"),
        ("x = " + "-" * 200_000 + "1", "cannot be parsed|not valid Python"),
        ("x = " + "9" * 5000, "not valid Python|cannot be parsed"),
    ],
)
def test_text_that_is_no_python_is_refused_with_the_reason(text, reason):
    with pytest.raises(SourceError, match=reason) as raised:
        parse_tree(text)
    assert "\n" not in str(raised.value)


def test_nesting_too_deep_to_walk_is_refused():
    with pytest.raises(SourceError):
        parse("a.py", ("x = " + "a." * 60_000 + "b\ndef f(y=" + "a." * 60_000 + "b): pass\n").encode())


def test_literals_that_python_warns_of_are_read_in_silence():
    assert isinstance(parse_tree("x = '\\d'\nassert (1, 'always')\ny = 1 is 1\n"), ast.Module)


def test_definitions_stand_in_file_order_the_module_first():
    module = parse(
        "a.py", b"x = 1\nclass A:\n    def f(self): ...\n    class B:\n        def g(self): ...\ndef h(): ...\n"
    )
    found = [(entry.method.qualname, entry.method.kind) for entry in module.definitions]
    assert found == [
        ("<module>", MethodKind.MODULE),
        ("A", MethodKind.CLASS),
        ("A.f", MethodKind.METHOD),
        ("A.B", MethodKind.CLASS),
        ("A.B.g", MethodKind.METHOD),
        ("h", MethodKind.FUNCTION),
    ]


def test_a_function_inside_a_function_belongs_to_it():
    assert set(methods("def f():\n    def g(): ...\n    class C: ...\n    return g\n")) == {"<module>", "f"}


@pytest.mark.parametrize(
    "source",
    [
        "if x:\n    def f(): ...\n",
        "if x:\n    pass\nelse:\n    def f(): ...\n",
        "try:\n    pass\nexcept E:\n    def f(): ...\n",
        "try:\n    pass\nfinally:\n    def f(): ...\n",
        "for x in y:\n    def f(): ...\n",
        "while x:\n    def f(): ...\n",
        "with x:\n    async def f(): ...\n",
        "match x:\n    case 1:\n        def f(): ...\n",
    ],
)
def test_definitions_are_found_inside_every_statement(source):
    assert methods(source)["f"].kind is MethodKind.FUNCTION


def test_a_definition_inside_a_class_inside_a_condition_keeps_its_name_and_kind():
    assert methods("class A:\n    if x:\n        def f(self): ...\n")["A.f"].kind is MethodKind.METHOD


def test_a_method_begins_at_its_first_decorator_and_ends_at_its_last_line():
    source = '''
        import x

        @x.first
        @x.second(
            1,
        )
        def f(a):
            """What it does.

            More.
            """
            return (
                a
            )

        y = 1
    '''
    method = methods(source)["f"]
    assert (method.start, method.end) == (3, 14)
    assert method.source.startswith("@x.first\n@x.second(\n")
    assert method.source.endswith("return (\n        a\n    )")
    assert method.docstring == "What it does.\n\nMore."
    assert (method.id, method.name) == ("a.py::f", "f")


def test_a_definition_starts_at_the_earliest_of_header_and_decorators():
    node = ast.parse("@a\n@b\nclass C: ...\n").body[0]
    assert isinstance(node, ast.ClassDef)
    assert definition_start(node) == 1


def test_the_module_ends_at_its_last_line_with_or_without_a_newline():
    assert parse("a.py", b"x = 1\ny = 2\n").definitions[0].method.end == 2
    assert parse("a.py", b"x = 1\ny = 2").definitions[0].method.end == 2


@pytest.mark.parametrize("character", ["\f", "\v", "\x1c", "\x85", "\u2028"])
def test_lines_are_counted_at_newlines_alone(character):
    source = (
        f"x = '''a{character}b'''\n\n\ndef f():\n    return 1\n"
        if character != "\f"
        else "\f\nx = 1\n\ndef f():\n    return 1\n"
    )
    method = parse("a.py", source.encode()).definitions[1].method
    assert (method.start, method.source) == (4, "def f():\n    return 1")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "def f(a, /, b: int = 1, *args, c, d=2, **kw) -> str: ...",
            "def f(a, /, b: int=1, *args, c, d=2, **kw) -> str",
        ),
        ("async def f(): ...", "async def f()"),
        ("@decorated\ndef f(\n    a,\n    b,\n): ...", "def f(a, b)"),
        ("class C: ...", "class C"),
        ("class C(): ...", "class C"),
        ("class C(a.B, metaclass=M): ...", "class C(a.B, metaclass=M)"),
    ],
)
def test_a_signature_is_the_header_in_one_line(source, expected):
    assert header(source) == expected


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "a, /",
        "a, /, b",
        "a=1, /, b=None, *, c",
        "*, c=True, d",
        "*args, c",
        "*args: int, **kw: t.Any",
        "a: 'A' = 'it\\'s', b=\"x\", c=b'y', d=u'z'",
        "a: t.Optional[int]=..., b: x.y.z=p.q.r, c: A | None=-1",
        "a=lambda x, y=1: (x, y), b=(1,), c=(), d=[*x], e={1: 2}, f=f'{x!r:>{y}}'",
        "a=1e400, b=2j, c=1.50, d=0xFF, e=x[1:2], f=not y, g=(z := 3), h=1 .real",
        "a='\\n\\u2028\u00e9', *c, d=yes if no else maybe, **e",
    ],
)
def test_parameters_are_written_as_python_itself_writes_them(parameters):
    node = ast.parse(f"def f({parameters}): ...").body[0]
    assert isinstance(node, FunctionNode)
    assert signature(node) == f"def f({ast.unparse(node.args)})"


def test_own_lines_are_those_of_no_definition_inside():
    module = parse(
        "a.py", b"import x\n\nclass A:\n    y = 1\n    @x\n    def f(self):\n        z = 2\n    w = 3\n\nv = 4\n"
    )
    own = {entry.method.qualname: module.own_lines(entry) for entry in module.definitions}
    assert own == {"<module>": {1, 2, 9, 10}, "A": {3, 4, 8}, "A.f": {5, 6, 7}}
