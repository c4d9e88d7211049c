"""Replies and the contracts that are found in them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.samples import SIZES_HEAD, changed_method

from llm_testgen.assertions import assertion_of
from llm_testgen.embedding import applied, embed, insertions, is_same_code
from llm_testgen.records import MODULE_QUALNAME, ChangedMethod, Spot
from llm_testgen.source import FunctionNode, parse
from llm_testgen.stages.contract import contracts, opening, room

GRADE = changed_method(SIZES_HEAD, "grade")
AREA = changed_method(SIZES_HEAD, "Box.area")

CLAMP = changed_method(
    '''def clamp(values: list, low, high):
    """Clamp them."""
    if low > high:
        raise ValueError(low)
    out = []
    for value in values:
        out.append(min(max(value, low), high))
    if not out:
        return None
    return sorted(out)
''',
    "clamp",
)


def found(target: ChangedMethod, body: str, taken=()) -> list[str]:
    """The contracts of a reply that holds this body of the method, as ``line spot: statement``."""
    lines = body.strip("\n").split("\n")
    return told(target, f"Here it is:\n```python\ndef {target.method.name}(x):\n" + "\n".join(lines) + "\n```", taken)


def told(target: ChangedMethod, reply: str, taken=()) -> list[str]:
    made = contracts(target, reply, taken)
    assert all(embed(target.method, [one]) for one in made)
    lines = target.method.source.split("\n")
    return [f"{lines[one.line - target.method.start].strip()} {one.spot}: {one.statement}" for one in made]


def test_each_assertion_that_was_added_is_a_contract_where_it_stands():
    body = '''
    """Clamp them."""
    assert low is not None
    if low > high:
        raise ValueError(low)
    assert low <= high, "bounds"
    out = []
    for value in values:
        assert value is not None
        out.append(min(max(value, low), high))
        assert low <= out[-1] <= high
    assert len(out) == len(values)
    if not out:
        assert not values
        return None
    return sorted(out)
'''
    assert found(CLAMP, body) == [
        "if low > high: before: assert low is not None",
        "out = [] before: assert low <= high, 'bounds'",
        "out.append(min(max(value, low), high)) before: assert value is not None",
        "out.append(min(max(value, low), high)) after: assert low <= out[-1] <= high",
        "if not out: before: assert len(out) == len(values)",
        "return None before: assert not values",
    ]


RETURNED = """
    if low > high:
        raise ValueError(low)
    out = []
    for value in values:
        out.append(min(max(value, low), high))
    if not out:
        return None
    {name} = sorted(out)
    assert {name}[0] >= low
    assert len({name}) == len(values)
    return {name}
"""


@pytest.mark.parametrize("name", ["result", "ordered", "returned"])
def test_what_is_said_of_a_value_that_got_a_name_is_a_contract_of_the_return(name):
    assert found(CLAMP, RETURNED.format(name=name)) == [
        "return sorted(out) return: assert result[0] >= low",
        "return sorted(out) return: assert len(result) == len(values)",
    ]


def test_an_annotation_of_the_name_does_not_matter():
    body = RETURNED.format(name="result").replace("result = sorted", "result: list = sorted")
    assert len(found(CLAMP, body)) == 2


def test_the_name_is_one_that_is_free():
    target = changed_method("def f(result):\n    return result + 1\n", "f")
    (made,) = contracts(
        target, "```python\ndef f(result):\n    x = result + 1\n    assert x > result\n    return x\n```"
    )
    assert (made.name, made.statement) == ("returned", "assert returned > result")
    (made,) = contracts(
        changed_method("def f(x):\n    return x + 1\n", "f"),
        "```python\ndef f(x):\n    y = x + 1\n    assert y > x\n    return y\n```",
        {"result", "returned"},
    )
    assert made.statement == "assert outcome > x"


def test_a_name_that_is_there_already_stays_what_it_is():
    target = changed_method("def f(x):\n    y = x + 1\n    return y\n", "f")
    assert found(target, "    y = x + 1\n    assert y > x\n    return y") == ["return y before: assert y > x"]


def test_what_is_said_of_a_rewritten_result_is_tried_at_each_return():
    body = """
    if low > high:
        raise ValueError(low)
    result = None
    clamped = [min(max(value, low), high) for value in values]
    if clamped:
        result = sorted(clamped)
    assert result is None or result[0] >= low
    return result
"""
    assert found(CLAMP, body) == ["return sorted(out) return: assert result is None or result[0] >= low"]
    several = changed_method("def f(x):\n    if x:\n        return x + 1\n    return x - 1\n", "f")
    body = "    y = x + 1 if x else x - 1\n    assert y != x\n    return y"
    assert found(several, body) == [
        "return x + 1 return: assert result != x",
        "return x - 1 return: assert result != x",
    ]


def test_code_that_the_model_changed_is_not_taken_over():
    body = """
    assert low is not None
    if low >= high:
        return []
    out = list()
    for value in reversed(values):
        assert value > 0
        out.append(value)
    values.clear()
    assert values != out
    return out
"""
    made = contracts(CLAMP, f"```python\ndef clamp(values, low, high):\n{body}\n```")
    assert [one.statement for one in made] == ["assert low is not None", "assert values != out"]
    text = applied(CLAMP.method.source, insertions(CLAMP.method, made))
    assert is_same_code(CLAMP.method.source, text)
    assert "clear" not in text


@pytest.mark.parametrize(
    "statement",
    [
        "assert x == x",
        "assert True",
        "assert (x, 'message')",
        "assert check(x)",
        "assert x.is_valid()",
        "assert (y := x)",
        "assert x.pop() > 0",
        "assert all(x)",
        "assert 1 in x",
        "assert x == '" + "y" * 120 + "'",
        "if x: assert x > 0",
        "x > 0",
        "print(x)",
    ],
)
def test_what_is_no_pure_question_or_says_nothing_is_left_out(statement):
    target = changed_method("def f(x):\n    return x + 1\n", "f")
    assert found(target, f"    {statement}\n    return x + 1") == []


def test_that_the_value_is_what_is_returned_is_left_out():
    target = changed_method("def f(x):\n    return x + 1\n", "f")
    body = "    result = x + 1\n    assert result == x + 1\n    assert result > x\n    return result"
    assert found(target, body) == ["return x + 1 return: assert result > x"]


@pytest.mark.parametrize(
    ("source", "taken", "kept"),
    [
        ("def f(x):\n    return x + 1\n", (), True),
        ("def f(x):\n    return x + 1\n", ("other",), True),
        ("def f(x):\n    return x + 1\n", ("len",), False),
        ("def f(x):\n    return x + 1\n", ("*",), False),
        ("def f(x, len):\n    return x + 1\n", (), False),
        ("def f(x):\n    len = x\n    return x + 1\n", (), False),
    ],
)
def test_a_function_must_be_the_built_in_one(source, taken, kept):
    target = changed_method(source, "f")
    body = source.partition("\n")[2].replace("    return", "    assert len(x) > 1\n    return")
    assert bool(found(target, body, taken)) is kept


def test_a_message_is_kept_where_it_is_short_and_nothing_but_words():
    target = changed_method("def f(x):\n    return x + 1\n", "f")
    body = '    assert x > 0, "too few"\n    assert x > 1, f"{x}"\n    assert x > 2, "m" * 9\n    return x + 1'
    made = [line.partition(": ")[2] for line in found(target, body)]
    assert made == ["assert x > 0, 'too few'", "assert x > 1", "assert x > 2"]


def test_an_assertion_of_many_lines_becomes_one_line():
    target = changed_method("def f(x):\n    return x + 1\n", "f")
    body = "    assert (\n        x > 0\n        and x < 9\n    )\n    return x + 1"
    assert found(target, body) == ["return x + 1 before: assert x > 0 and x < 9"]


def test_own_assertions_are_not_added_again():
    target = changed_method("def f(x):\n    assert x > 0\n    return x + 1\n", "f")
    assert found(target, "    assert x > 0\n    assert x < 9\n    return x + 1") == [
        "return x + 1 before: assert x < 9"
    ]


@pytest.mark.parametrize(
    "source",
    [
        "def f(x):\n    step(x)\n    yield x\n    step(x)\n",
        "async def f(x):\n    step(x)\n    await x\n    step(x)\n",
    ],
)
def test_what_runs_in_pieces_gets_contracts_at_its_beginning_alone(source):
    target = changed_method(source, "f")
    header, *lines = source.rstrip("\n").split("\n")
    body = "\n".join([header, "    assert x > 0", lines[0], "    assert x > 1", *lines[1:], "    assert x > 2"])
    assert told(target, f"```python\n{body}\n```") == ["step(x) before: assert x > 0"]


def test_nothing_is_put_behind_what_leaves():
    body = "    if x < 0:\n        raise ValueError(x)\n        assert x\n    if x > LIMIT:\n        return 'large'\n    return 'small'\n    assert x < 99"
    assert found(GRADE, body) == []


BRANCHES = """def f(x):
    try:
        with open(x) as file:
            step(file)
    except OSError:
        x = 1
    else:
        x = 2
    finally:
        done(x)
    match x:
        case 1:
            step(x)
        case [y, *_]:
            step(y)
    while x:
        x -= 1
    else:
        step(x)
    if x:
        step(1)
    elif x is None:
        step(2)
    else:
        step(3)
    def inner():
        step(4)
    return x
"""


def test_every_kind_of_block_is_looked_into_but_definitions():
    asked = ("step", "x =", "x -=", "done")
    lines = []
    for line in BRANCHES.split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        lines += [f"{indent}assert x != '{line.strip()}'"] * line.lstrip().startswith(asked)
        lines.append(line)
    made = contracts(changed_method(BRANCHES, "f"), "```python\n" + "\n".join(lines) + "```")
    own = BRANCHES.split("\n")
    assert [f"assert x != '{own[one.line - 1].strip()}'" for one in made] == [one.statement for one in made]
    inside = [line for line in own if line.lstrip().startswith(asked)]
    assert len(made) == len(inside) - 1
    assert "assert x != 'step(4)'" not in [one.statement for one in made]


def test_a_method_is_found_in_its_class_and_gets_its_indentation():
    text = "```python\nclass Box:\n  def area(self):\n    assert self.side > 0\n    if self.side == 1:\n      return 1\n    return self.side ** 2\n```"
    (made,) = contracts(AREA, text)
    assert made.line == AREA.method.start + 1
    assert "\n        assert self.side > 0\n        if self.side == 1:" in embed(AREA.method, [made]).source


def test_a_reply_that_was_cut_off_gives_what_it_holds():
    text = "```python\ndef grade(x):\n    assert x is not None\n    if x < 0:\n        raise ValueError(x)\n    assert x >= 0\n    if x > LIM"
    assert told(GRADE, text) == ["if x < 0: before: assert x is not None", "if x > LIMIT: before: assert x >= 0"]


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I cannot do that.",
        "```python\nassert x > 0\n```",
        "```python\ndef other(x):\n    assert x > 0\n    return x\n```",
        "```python\ndef grade(x): assert x > 0\n```",
        "```python\nclass grade:\n    assert x > 0\n```",
        "```python\ndef grade(x):\n    " + "(" * 500 + "\n```",
    ],
)
def test_a_reply_that_holds_nothing_of_the_kind_gives_nothing(reply):
    assert contracts(GRADE, reply) == () or "other" not in reply


@pytest.mark.parametrize("qualname", ["Box", MODULE_QUALNAME])
def test_only_functions_have_contracts(qualname):
    target = changed_method(SIZES_HEAD, qualname)
    assert opening(target) == ""
    assert contracts(target, f"```python\n{SIZES_HEAD}\nassert LIMIT > 3\n```") == ()


def test_there_is_an_end_to_how_many():
    body = "\n".join(f"    assert x != {number}" for number in range(50))
    target = changed_method("def f(x):\n    return x + 1\n", "f")
    assert len(found(target, f"{body}\n    return x + 1")) == 12


@pytest.mark.parametrize(
    ("source", "qualname", "begun"),
    [
        (SIZES_HEAD, "grade", "def grade(x):"),
        (SIZES_HEAD, "Box.area", "class Box:\n    def area(self):"),
        ("def f(x):\n    '''Doc.'''\n    return x\n", "f", "def f(x):\n    '''Doc.'''"),
        ("@cache\ndef f(\n    x,\n):\n    return x\n", "f", "@cache\ndef f(\n    x,\n):"),
        ("def f(x):\n    @cache\n    def g(): pass\n    return g\n", "f", "def f(x):"),
        ("def f(x): return x\n", "f", ""),
        ("def f(x):\n    '''Doc.'''\n", "f", ""),
        ("def f(x):\n" + "    step()\n" * 200, "f", ""),
    ],
)
def test_the_reply_is_begun_up_to_the_first_statement(source, qualname, begun):
    assert opening(changed_method(source, qualname)) == begun


def test_there_is_room_for_the_code_and_for_assertions():
    assert room(GRADE) > len(GRADE.method.source) // 3 + 200


OWN = Path(__file__).parents[2] / "bot" / "llm_testgen"
FUNCTIONS = [
    changed_method(path.read_text(), entry.method.qualname, f"bot/{path.name}")
    for path in (OWN / "testfiles.py", OWN / "search.py", OWN / "statements.py", OWN / "records.py", OWN / "scopes.py")
    for entry in parse(path.name, path.read_bytes()).definitions
    if isinstance(entry.node, FunctionNode)
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FUNCTIONS), st.data())
def test_whatever_a_reply_adds_the_code_stays_the_same(target, data):
    """Assertions are put anywhere into functions of this very project, and other statements too."""
    source = target.method.source
    tree = ast.parse(f"if True:\n{source}" if source[0].isspace() else source)
    blocks = [
        value
        for node in ast.walk(tree)
        for _, value in ast.iter_fields(node)
        if isinstance(value, list) and value and isinstance(value[0], ast.stmt) and not isinstance(node, ast.Module)
    ]
    for number in range(data.draw(st.integers(1, 6))):
        block = data.draw(st.sampled_from(blocks))
        kind = data.draw(st.sampled_from([f"assert self.size != {number}", f"value = {number}", "return None", "pass"]))
        block.insert(data.draw(st.integers(0, len(block))), ast.parse(kind).body[0])
    made = contracts(target, f"```python\n{ast.unparse(tree)}\n```")
    chosen = [one for one in made if data.draw(st.booleans())]
    pieces = insertions(target.method, chosen)
    module = "\n" * (target.method.start - 1) + source + "\n"
    text = applied(module, pieces)
    wrapped = [f"if True:\n{code}" if source[0].isspace() else code for code in (module.strip("\n"), text.strip("\n"))]
    assert is_same_code(*wrapped)
    assert all(assertion_of(one.statement) for one in chosen)
    embedded = embed(target.method, chosen)
    if chosen:
        assert set(embedded.lines) == set(chosen)
        assert text.strip("\n") == embedded.source
        lines = text.split("\n")
        assert all(lines[line - 1].strip() == one.statement for one, line in embedded.lines.items())
        assert [one for piece in pieces for one in piece.contracts] == sorted(chosen, key=embedded.lines.__getitem__)
        assert all(one.name for one in chosen if one.spot is Spot.RETURN)
