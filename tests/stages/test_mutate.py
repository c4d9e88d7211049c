from __future__ import annotations

import ast
import subprocess
import sys
import sysconfig
import textwrap
from dataclasses import replace
from pathlib import Path

import libcst
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutmut.mutation import mutators
from tests.samples import changed_method

from llm_testgen.faults import operators
from llm_testgen.faults.kinds import Kind
from llm_testgen.records import ChangedMethod, ChangeStatus, Lines, Mutant
from llm_testgen.source import parse
from llm_testgen.stages import mutate
from llm_testgen.stages.mutate import mutants


def found(source: str, lines: Lines | None = None, qualname: str = "f") -> tuple[Mutant, ...]:
    """Mutants of a definition that is written down without its margin, in all its lines unless said."""
    target = changed_method(textwrap.dedent(source).lstrip("\n"), qualname)
    return mutants(target, target.lines if lines is None else lines)


def in_body(statement: str) -> list[tuple[str, str]]:
    """Operator and changed statement of the mutants of a function that does only this."""
    header = "async def f(a, b, c):\n" if "await" in statement else "def f(a, b, c):\n"
    return [(mutant.operator, mutant.after) for mutant in found(header + textwrap.indent(statement, "    "))]


ONE_LINE = {
    "a < b": [("comparison", "a <= b")],
    "if a: b()": [
        ("negated condition", "if not a"),
        ("fixed condition", "if True"),
        ("fixed condition", "if False"),
        ("deleted statement", "pass"),
    ],
    "if a < b and c: b()": [
        ("negated condition", "if not (a < b and c)"),
        ("comparison", "if a <= b and c"),
        ("fixed condition", "if True"),
        ("fixed condition", "if False"),
        ("deleted statement", "pass"),
        ("and/or", "if a < b or c"),
    ],
    "if not a: b()": [
        ("negated condition", "if a"),
        ("fixed condition", "if True"),
        ("fixed condition", "if False"),
        ("deleted statement", "pass"),
    ],
    "if a in b: c()": [
        ("comparison", "if a not in b"),
        ("fixed condition", "if True"),
        ("fixed condition", "if False"),
        ("deleted statement", "pass"),
    ],
    "if (n := a) is None: c()": [
        ("comparison", "if (n := a) is not None"),
        ("fixed condition", "if True"),
        ("fixed condition", "if False"),
        ("deleted statement", "pass"),
    ],
    "while a >= b: a()": [
        ("negated condition", "while not (a >= b)"),
        ("comparison", "while a > b"),
        ("fixed condition", "while False"),
        ("deleted statement", "pass"),
    ],
    "while True: a()": [("deleted statement", "pass"), ("true/false", "while False")],
    "return a": [("return value", "return None")],
    "return True": [("true/false", "return False")],
    "return None": [],
    "return": [],
    "return a, b": [("return value", "return None")],
    "return (a, b)": [("return value", "return None")],
    "return~a": [("return value", "return None"), ("arithmetic", "return a")],
    "return not a": [("negated condition", "return a"), ("return value", "return None")],
    "return -a": [("return value", "return None"), ("arithmetic", "return +a")],
    "return a if b else c": [
        ("return value", "return None"),
        ("fixed condition", "return a if (b) and False else c"),
        ("fixed condition", "return a if (b) or True else c"),
    ],
    "return [x for x in a if x]": [
        ("negated condition", "return [x for x in a if not x]"),
        ("return value", "return None"),
        ("fixed condition", "return [x for x in a if True]"),
        ("fixed condition", "return [x for x in a if False]"),
    ],
    "return lambda: a": [("return value", "return None"), ("lambda", "return lambda: None")],
    "yield a": [("return value", "yield None")],
    "await a(b)": [("deleted statement", "pass"), ("argument", "await a(None)")],
    "a()": [("deleted statement", "pass")],
    "a(b=c)": [("deleted statement", "pass"), ("dropped argument", "a()"), ("argument", "a(b=None)")],
    "a(*b)": [("deleted statement", "pass"), ("dropped argument", "a()")],
    "a(1, b=c)": [
        ("deleted statement", "pass"),
        ("number", "a(2, b=c)"),
        ("dropped argument", "a(1)"),
        ("argument", "a(None, b=c)"),
        ("argument", "a(1, b=None)"),
        ("argument", "a(b=c)"),
    ],
    "dict(b=c)": [
        ("deleted statement", "pass"),
        ("keyword", "dict(bXX=c)"),
        ("dropped argument", "dict()"),
        ("argument", "dict(b=None)"),
    ],
    "a.b = c": [("deleted statement", "pass"), ("assignment", "a.b = None")],
    "a[b] = None": [("deleted statement", "pass"), ("assignment", 'a[b] = ""')],
    "a.b: int = c": [("deleted statement", "pass"), ("assignment", "a.b: int = None")],
    "a.b: int": [],
    "a = b": [("assignment", "a = None")],
    "a = True": [("true/false", "a = False")],
    "a += b": [("deleted statement", "pass"), ("arithmetic", "a -= b"), ("augmented assignment", "a = b")],
    "del a[b]": [("deleted statement", "pass")],
    "raise a": [("exception not raised", "pass")],
    "raise a(b) from c": [("exception not raised", "pass"), ("argument", "raise a(None) from c")],
    "a = b.lower()": [("assignment", "a = None"), ("string method", "a = b.upper()")],
    "a = b.split(c, 1)[0]": [
        ("number", "a = b.split(c, 2)[0]"),
        ("number", "a = b.split(c, 1)[1]"),
        ("assignment", "a = None"),
        ("string method", "a = b.rsplit(c, 1)[0]"),
        ("argument", "a = b.split(None, 1)[0]"),
        ("argument", "a = b.split(c, None)[0]"),
        ("argument", "a = b.split(1)[0]"),
        ("argument", "a = b.split(c)[0]"),
    ],
    "a = deepcopy(b)": [("assignment", "a = None"), ("argument", "a = deepcopy(None)"), ("copy depth", "a = copy(b)")],
    "a = 'b'": [("assignment", "a = None"), ("string", "a = 'XXbXX'"), ("string", "a = 'B'")],
    "a = f\"x{b['y']}\"": [
        ("assignment", "a = None"),
        ("string", "a = f\"x{b['XXyXX']}\""),
        ("string", "a = f\"x{b['Y']}\""),
    ],
    "a.b = 1; c(a)": [
        ("deleted statement", "pass"),
        ("deleted statement", "pass"),
        ("number", "a.b = 2"),
        ("assignment", "a.b = None"),
        ("argument", "c(None)"),
    ],
    "global g; g = 1.5": [("number", "g = 2.5"), ("assignment", "g = None")],
}


@pytest.mark.parametrize("statement", ONE_LINE)
def test_a_statement_has_these_faults_in_this_order(statement):
    assert in_body(statement) == ONE_LINE[statement]


SPARED = {
    "an empty string as documentation": '"Text."',
    "an ellipsis": "...",
    "an annotation": "a: Literal['x', 1]",
    "logging": "logger.warning('no %s', a + 1)",
    "logging by an attribute": "self._log.info('n', extra={'a': 1})",
    "logging by the module": "logging.getLogger('x').error('y')",
    "a value that is only logged": "n = a + 1\nlogger.info('%s', n)",
    "a type": "T = TypeVar('T', bound='X')",
    "an alias": "T: TypeAlias = 'list[int]'",
    "an import": "from copy import deepcopy",
    "type checking": "if TYPE_CHECKING:\n    a(1)",
    "type checking, dotted": "if typing.TYPE_CHECKING:\n    a(1)",
    "a program's start": "if __name__ == '__main__':\n    a(1)",
    "the names of a class": "__slots__ = ('a', 'b')",
    "the names of a module": "__all__ += ['a']",
    "more names of a module": "__all__.extend(['a'])",
    "what a comment excepts": "a(1)  # pragma: no mutate",
    "what a comment excepts, in a long statement": "a(\n    1,\n    2,\n)  # pragma: no mutate",
    "a block that a comment excepts": "if a:  # pragma: no mutate block\n    b(1)",
    "lines that two comments except": "# pragma: no mutate start\na(1)\n# pragma: no mutate end",
    "an overload": "@overload\ndef g(x=1): ...",
    "a decorator": "@a.route('/x', times=3)\ndef g(): ...",
    "a default that is computed": "def g(x=a(1)): ...",
}


@pytest.mark.parametrize("statement", SPARED.values(), ids=SPARED)
def test_what_no_test_could_notice_is_spared(statement):
    assert in_body(statement) == []


def test_what_stands_beside_what_is_spared_is_not():
    assert ("exception not raised", "pass") in in_body("if TYPE_CHECKING:\n    a(1)\nelse:\n    raise a")
    assert in_body("n = a + 1\nlogger.info('%s', n)\nb(n)") != []
    assert in_body("n = send(a)\nlogger.info('%s', n)") != []
    assert in_body("global n\nn = a\nlogger.info('%s', n)") != []
    assert in_body("# pragma: no mutate start\na(1)\n# pragma: no mutate end\nb()") == [("deleted statement", "pass")]
    assert in_body("if a:  # pragma: no mutate\n    b()") == [("deleted statement", "pass")]


def test_of_an_assertion_only_the_condition_is_changed():
    assert in_body("assert a > b, f'{a + 1}' + 'x'") == [("comparison", "assert a >= b, f'{a + 1}' + 'x'")]


def test_of_a_cast_only_the_value_is_changed():
    assert in_body("return cast('T', a + b)") == [
        ("return value", "return None"),
        ("arithmetic", "return cast('T', a - b)"),
    ]


def test_of_a_warning_only_that_it_is_given():
    assert in_body("warnings.warn('old', DeprecationWarning, stacklevel=2)") == [("deleted statement", "pass")]


def test_changes_that_do_the_same_are_left_out():
    assert in_body("return a.get(b, None)") == [
        ("return value", "return None"),
        ("argument", "return a.get(None, None)"),
        ("argument", "return a.get(None)"),
    ]
    assert in_body("return a.encode('utf-8')") == [
        ("return value", "return None"),
        ("argument", "return a.encode(None)"),
    ]
    assert in_body("while 1: a()") == [("deleted statement", "pass")]
    assert in_body("return isinstance(a, b)") == [("return value", "return None")]


def test_faults_with_the_same_bytecode_are_one():
    # Emptying the handler and not raising come to the same.
    assert [operator for operator, _ in in_body("try:\n    a()\nexcept b:\n    raise")] == [
        "deleted statement",
        "exception not raised",
    ]


def test_a_handler_is_emptied_as_a_whole():
    source = "try:\n    a()\nexcept b as e:\n    c(e)\n\n    # Why.\n    return 1"
    (mutant,) = [
        one for one in found("def f(a, b, c):\n" + textwrap.indent(source, "    ")) if "handler" in one.operator
    ]
    assert mutant.source == "def f(a, b, c):\n    try:\n        a()\n    except b as e:\n        pass"
    assert mutant.line == 5
    assert mutant.after == "except b as e: pass"


def test_a_match_loses_its_cases_one_by_one():
    source = """
        def f(a):
            match a:
                case 0:
                    return 1
                # The rest.
                case _ if a > 1:
                    return a
    """
    sources = [one.source for one in found(source) if one.operator == "deleted case"]
    assert sources == [
        "def f(a):\n    match a:\n        case _ if a > 1:\n            return a",
        "def f(a):\n    match a:\n        case 0:\n            return 1",
    ]
    assert ("negated condition", "case _ if not (a > 1)") in [(one.operator, one.after) for one in found(source)]


def test_loops_are_left_in_another_way():
    source = "for x in a:\n    if x: continue\n    if b: break\nreturn c"
    assert ("loop exit", "break") in in_body(source)
    assert ("loop exit", "return") in in_body(source)


def test_the_text_of_an_exception_comes_last():
    operators_found = [
        operator for operator, _ in in_body("if a:\n    raise ValueError('x', 1)\nreturn b == 'y' or 'z'")
    ]
    last = operators_found[-7:]
    assert set(last) <= {"argument", "number", "string"}
    assert "exception not raised" in operators_found[:3]


LADDER = """
    def f(x, y):
        if x < 0:
            raise ValueError(x)
        y = x + 1 - y
        g(x, key=y)
        return x == 1 or y >= 2
"""


def test_each_line_gets_one_before_any_gets_two():
    lines = [mutant.line for mutant in found(LADDER)]
    assert sorted(lines[:5]) == [2, 3, 4, 5, 6]
    assert sorted(lines[5:10]) == [2, 3, 4, 5, 6] or sorted(lines[5:9]) == [2, 4, 5, 6]


def test_the_order_is_always_the_same():
    assert found(LADDER) == found(LADDER)


def test_only_faults_of_the_given_lines_are_made():
    assert {mutant.line for mutant in found(LADDER, frozenset({3, 6}))} == {3, 6}
    assert found(LADDER, frozenset({0, 7, 100})) == ()
    assert found(LADDER, frozenset()) == ()


LONG = """
    def f(x, y):
        return g(
            x + 1,
            (
                x if
                y else 2
            ),
        )
"""


def test_a_statement_of_several_lines_counts_by_its_first_or_by_its_own():
    assert {mutant.line for mutant in found(LONG, frozenset({2}))} == {2, 3, 4, 5, 6}
    assert {mutant.line for mutant in found(LONG, frozenset({3}))} == {3}
    assert [one.operator for one in found(LONG, frozenset({3}))] == ["arithmetic", "number"]


def test_a_fault_in_several_lines_leaves_their_layout_alone():
    forced = [one.source for one in found(LONG) if one.operator == "fixed condition"]
    assert forced == [
        textwrap.dedent(LONG).strip("\n").replace("y else", "(y) and False else"),
        textwrap.dedent(LONG).strip("\n").replace("y else", "(y) or True else"),
    ]
    source = """
        def f(a):
            x = [
                1,  # One.
                not (
                  a
                ),
            ]
            return (x if (a  # Why.
                   or
                b) else 3)
    """
    text = textwrap.dedent(source).strip("\n")
    changed = {one.source for one in found(source)}
    assert text.replace("not (\n", "(\n") in changed
    assert text.replace("(a  # Why.", "((a  # Why.").replace("b) else", "b) and False) else") in changed


def test_what_is_shown_of_a_long_statement_is_the_part_around_the_change():
    source = f"def f(a, b):\n    return g({', '.join(f'argument_{i}' for i in range(20))}, a < b, {'b' * 90})"
    (mutant,) = [one for one in found(source) if one.operator == "comparison"]
    assert len(mutant.before) <= 100
    assert mutant.before.startswith("…")
    assert mutant.before.endswith("…")
    assert ", a < b, b" in mutant.before
    assert ", a <= b, b" in mutant.after


def test_a_method_keeps_its_indentation_and_its_lines_of_the_file():
    source = '''
        X = 1


        class C:
            @property
            def f(self):
                """Two
        lines."""
        # A comment further left.
                return """
        text
            """ + self.x
    '''
    made = found(source, qualname="C.f")
    assert [(one.line, one.operator) for one in made] == [(10, "return value"), (12, "arithmetic")]
    original = textwrap.dedent(source).lstrip("\n").split("\n")[4:12]
    assert made[1].source == "\n".join(original).replace("+", "-")
    assert made[1].definition.qualname == "C.f"
    assert made[1].path == "src/pkg/mod.py"


def test_every_definition_of_a_name_counts():
    source = """
        class C:
            @property
            def f(self):
                return self.x

            @f.setter
            def f(self, x):
                self.x = x
    """
    assert [(one.line, one.operator) for one in found(source, qualname="C.f")] == [
        (4, "return value"),
        (8, "deleted statement"),
        (8, "assignment"),
    ]


def test_a_class_and_a_module_can_be_changed_in_their_own_lines():
    source = """
        LIMIT = 10


        class C(Base, final=True):
            "Text."
            size: int = 3

            def f(self):
                return 1
    """
    assert [one.after for one in found(source, frozenset({4, 5, 6}), "C")] == [
        "class C(Base, final=False)",
        "size: int = 4",
        "size: int = None",
    ]
    made = found(source, frozenset({1}), "<module>")
    assert [one.after for one in made] == ["LIMIT = 11", "LIMIT = None"]
    assert made[0].source == textwrap.dedent(source).lstrip("\n").replace("10", "11")


def test_functions_within_and_async_ones_are_changed_too():
    source = """
        async def f(a):
            async with a as b:
                async for x in b:
                    yield x
            @decorated(1)
            def g(n=1):
                return n
            await a(g)
    """
    assert [(one.line, one.operator) for one in found(source)] == [
        (4, "return value"),
        (7, "return value"),
        (8, "deleted statement"),
        (6, "number"),
        (8, "argument"),
    ]


def test_other_letters_do_not_move_what_is_changed():
    assert in_body("é = 'ñ𐐨' ; b.ß = a < b") == [
        ("comparison", "b.ß = a <= b"),
        ("deleted statement", "pass"),
        ("assignment", "é = None"),
        ("assignment", "b.ß = None"),
        ("string", "é = 'XXñ𐐨XX'"),
        ("string", "é = 'Ñ𐐀'"),
    ]


def test_a_definition_that_cannot_be_parsed_has_no_faults():
    target = changed_method()
    broken = replace(target.method, source="def double(x):\n    return 2 *\n")
    assert mutants(replace(target, definitions=(broken,)), target.lines) == ()


def test_what_is_nested_so_deeply_that_it_could_crash_the_parser_has_no_faults():
    target = changed_method()
    for value in ("[" * 3000 + "x" + "]" * 3000, "1 + " * 900 + "x", "x and " * 10_000 + "x", "'x' " * 10_000):
        deep = replace(target.method, source=f"def double(x):\n    return {value}\n")
        assert mutants(replace(target, definitions=(deep,)), target.lines) == ()
    assert in_body(f"return {'1 + ' * 40}a") != []


def test_there_is_an_end_to_the_number(monkeypatch):
    source = "X = [" + "\n".join(f"    {number}," for number in range(100)) + "]\n"
    assert len(found(source, qualname="<module>")) == 101
    monkeypatch.setattr(mutate, "_MOST", 10)
    assert len(found(source, qualname="<module>")) == 10


def test_every_operator_of_mutmut_has_a_name_here():
    assert {operator.__name__ for _, operator in mutators.mutation_operators} == set(operators.KINDS)


def test_an_operator_that_mutmut_gains_has_a_name_all_the_same(monkeypatch):
    def operator_new(node):
        yield node.with_changes(value="other")
        yield node.with_changes(value="not a name")

    monkeypatch.setattr(operators, "mutation_operators", [(libcst.Name, operator_new)])
    operators._operators.cache_clear()
    try:
        assert (Kind.OTHER, "other += c") in in_body("b += c")
    finally:
        operators._operators.cache_clear()


def test_the_libraries_are_imported_only_where_they_are_needed():
    code = """
import sys
from llm_testgen.stages import mutate
assert not {"libcst", "mutmut"} & sys.modules.keys()
import llm_testgen.faults.operators
assert "mutmut" in sys.modules
assert not {"textual", "setproctitle", "pytest", "coverage"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


LIBRARY = Path(sysconfig.get_path("stdlib"))
MODULES = ("argparse", "ast", "calendar", "configparser", "dataclasses", "difflib", "enum", "fractions", "functools")
MODULES += ("heapq", "inspect", "pathlib", "shlex", "statistics", "string", "tarfile", "textwrap", "tokenize", "typing")


@st.composite
def real_targets(draw) -> ChangedMethod:
    name = draw(st.sampled_from(MODULES))
    path = LIBRARY / f"{name}.py"
    path = path if path.exists() else LIBRARY / name / "__init__.py"
    module = parse(f"{name}.py", path.read_bytes())
    method = draw(st.sampled_from([entry.method for entry in module.definitions]))
    lines = draw(st.sets(st.integers(method.start, method.end), min_size=1, max_size=6))
    return ChangedMethod((method,), frozenset(lines), ChangeStatus.MODIFIED)


def common(one: str, other: str) -> int:
    """How far two texts are the same."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def statements_of(text: str) -> list[range]:
    """The lines of each statement and clause of a text, counted from its first line."""
    block = text[:1].isspace()
    nodes = ast.walk(ast.parse(f"if 1:\n{text}" if block else text))
    kinds = (ast.stmt, ast.excepthandler, ast.match_case)
    found = [node.pattern if isinstance(node, ast.match_case) else node for node in nodes if isinstance(node, kinds)]
    starts = {min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))]): node for node in found}
    return [range(start - block, node.end_lineno + 1 - block) for start, node in starts.items()]


def test_an_operator_in_a_line_that_did_not_change_stays():
    source = "def f(a, b):\n    if (a\n        or (a > 1\n            and b)):\n        return 1\n"
    target = changed_method(source, "f")
    assert {mutant.line for mutant in mutants(target, frozenset({3}))} == {3}
    assert 4 in {mutant.line for mutant in mutants(target, frozenset({2}))}


@settings(max_examples=50, deadline=None)
@given(real_targets())
def test_a_mutant_of_real_code_compiles_and_differs_in_one_place_of_the_given_lines(target):
    made = mutants(target, target.lines)
    (method,) = target.definitions
    assert len({one.source for one in made}) == len(made)
    statements = statements_of(method.source)
    wanted = {line - method.start + 1 for line in target.lines}
    for one in made:
        ast.parse(f"if 1:\n{one.source}" if one.source[:1].isspace() else one.source)
        assert one.before != one.after
        assert max(len(one.before), len(one.after)) <= 100
        assert "\n" not in one.before + one.after
        line = one.line - method.start + 1
        around = [lines for lines in statements if line in lines]
        assert line in wanted or any(lines.start in wanted for lines in around)
        # What is the same at both ends of the two texts lies outside of one statement.
        head = common(method.source, one.source)
        tail = common(method.source[head:][::-1], one.source[head:][::-1])
        first = 1 + method.source.count("\n", 0, head)
        last = 1 + method.source.count("\n", 0, len(method.source) - tail)
        assert any(lines.start - 1 <= first and last <= lines.stop for lines in around)
