from __future__ import annotations

import textwrap
from dataclasses import replace

import pytest
from tests.samples import changed_method

from llm_testgen.records import Goal, Lines
from llm_testgen.stages.goals import goals


def found(source: str, uncovered: Lines | None = None, qualname: str = "f") -> tuple[Goal, ...]:
    """Goals of a function that is written down without its header's margin; everything uncovered unless said."""
    target = changed_method(textwrap.dedent(source).lstrip("\n"), qualname)
    return goals(target, target.lines if uncovered is None else uncovered)


def paths(source: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(goal.statement, goal.conditions) for goal in found(source)]


LADDER = """
    def f(x):
        if x < 0:
            raise ValueError(x)
        if x > 10:
            return "large"
        return "small"
"""


def test_what_follows_a_block_that_leaves_needs_its_condition_not_to_hold():
    assert paths(LADDER) == [
        ("raise ValueError(x)", ("x < 0",)),
        ("return 'large'", ("x >= 0", "x > 10")),
        ("return 'small'", ("x >= 0", "x <= 10")),
    ]


def test_what_follows_a_block_that_does_not_leave_needs_no_condition():
    source = """
        def f(x):
            if x < 0:
                x = -x
            return x
    """
    assert paths(source) == [("x = -x", ("x < 0",)), ("return x", ())]


def test_only_blocks_with_uncovered_lines_have_a_goal():
    assert [goal.statement for goal in found(LADDER, frozenset({5}))] == ["return 'large'"]


def test_nothing_uncovered_gives_no_goal():
    assert found(LADDER, frozenset()) == ()


def test_lines_outside_the_method_give_no_goal():
    assert found(LADDER, frozenset({1, 2, 4, 100})) == ()


def test_a_block_has_one_goal_its_last_uncovered_statement():
    source = """
        def f(x):
            a = x
            b = a
            return b
    """
    assert [goal.line for goal in found(source)] == [4]
    assert [goal.line for goal in found(source, frozenset({2, 3}))] == [3]


def test_a_statement_of_several_lines_counts_by_any_of_them():
    source = """
        def f(x):
            return (
                x
                + 1
            )
    """
    (goal,) = found(source, frozenset({4}))
    assert goal == Goal(2, "return x + 1", ())


def test_goals_come_in_the_order_of_lines_though_blocks_are_left_from_inside():
    source = """
        def f(x):
            if x:
                if x > 1:
                    y = 2
                y = 1
            return y
    """
    assert [goal.line for goal in found(source)] == [4, 5, 6]


def test_lines_and_indentation_of_a_method_are_those_of_its_file():
    source = '''
        import os


        class Box:
            """A box."""

            def f(self, x):
                if x:
                    return 1
                return 2
    '''
    assert [(goal.line, goal.conditions) for goal in found(source, qualname="Box.f")] == [
        (9, ("x",)),
        (10, ("not (x)",)),
    ]


def test_decorators_are_counted_and_are_no_goal():
    source = """
        @cache
        @other(
            1,
        )
        def f(x):
            return x
    """
    assert [(goal.line, goal.statement) for goal in found(source)] == [(6, "return x")]


def test_every_definition_of_a_name_has_goals():
    source = """
        if True:
            def f(x):
                return 1
        else:
            def f(x):
                return 2
    """
    assert [goal.statement for goal in found(source)] == ["return 1", "return 2"]


def test_the_body_of_a_class_and_of_its_methods_are_blocks_of_their_own():
    source = """
        class f:
            limit = 1

            def inner(self):
                return self.limit
    """
    assert [goal.statement for goal in found(source)] == ["limit = 1", "return self.limit"]


@pytest.mark.parametrize(
    ("test", "negated"),
    [
        ("x < y", "x >= y"),
        ("x >= y", "x < y"),
        ("x > y", "x <= y"),
        ("x <= y", "x > y"),
        ("x == y", "x != y"),
        ("x != y", "x == y"),
        ("x in y", "x not in y"),
        ("x not in y", "x in y"),
        ("x is y", "x is not y"),
        ("x is not y", "x is y"),
        ("not x", "x"),
        ("x", "not (x)"),
        ("x and y", "not (x and y)"),
        ("0 < x < 9", "not (0 < x < 9)"),
    ],
)
def test_the_other_branch_needs_the_opposite(test, negated):
    source = f"""
        def f(x, y):
            if {test}:
                a = 1
            else:
                a = 2
    """
    assert paths(source) == [("a = 1", (test,)), ("a = 2", (negated,))]


def test_elif_needs_the_earlier_tests_not_to_hold():
    source = """
        def f(x):
            if x == 1:
                a = 1
            elif x == 2:
                a = 2
            else:
                a = 3
    """
    assert paths(source) == [("a = 1", ("x == 1",)), ("a = 2", ("x != 1", "x == 2")), ("a = 3", ("x != 1", "x != 2"))]


@pytest.mark.parametrize("leaving", ["return 0", "raise ValueError", "break", "continue"])
def test_whatever_leaves_a_block_bars_what_follows(leaving):
    source = f"""
        def f(xs):
            for x in xs:
                if x:
                    {leaving}
                y = x
    """
    assert paths(source)[-1] == ("y = x", ("xs is not empty", "not (x)"))


@pytest.mark.parametrize(
    ("header", "conditions"),
    [
        ("for y in x:", ("x is not empty",)),
        ("async for y in x:", ("x is not empty",)),
        ("while x > 1:", ("x > 1",)),
        ("with x as y:", ()),
        ("async with x as y:", ()),
    ],
)
def test_conditions_of_compound_statements(header, conditions):
    source = f"""
        async def f(x):
            {header}
                a = 1
    """
    assert paths(source) == [("a = 1", conditions)]


@pytest.mark.parametrize(("star", "kind"), [("", "ValueError"), ("*", "ValueError"), ("", "(ValueError, OSError)")])
def test_an_exception_handler_needs_the_exception(star, kind):
    source = f"""
        def f(x):
            try:
                a = 1
            except{star} {kind}:
                a = 2
            else:
                a = 3
            finally:
                a = 4
    """
    assert paths(source) == [("a = 1", ()), ("a = 2", (f"{kind} is raised",)), ("a = 4", ())]


def test_a_bare_handler_needs_some_exception():
    source = """
        def f(x):
            try:
                a = 1
            except:
                a = 2
    """
    assert paths(source)[1] == ("a = 2", ("an exception is raised",))


def test_the_else_of_a_loop_needs_no_condition():
    source = """
        def f(x):
            while x:
                a = 1
            else:
                a = 2
    """
    assert paths(source) == [("a = 1", ("x",)), ("a = 2", ())]


def test_cases_say_what_is_matched():
    source = """
        def f(x):
            match x:
                case [first, *_]:
                    a = first
                case _:
                    a = 2
    """
    assert paths(source) == [("a = first", ("x matches [first, *_]",)), ("a = 2", ("x matches _",))]


def test_of_many_conditions_the_innermost_are_kept():
    nested = (
        "def f(x):\n" + "".join(f"{'    ' * depth}if x > {depth}:\n" for depth in range(1, 7)) + " " * 28 + "a = 1\n"
    )
    (goal,) = found(nested)
    assert goal.conditions == ("x > 3", "x > 4", "x > 5", "x > 6")


def test_long_statements_and_conditions_are_cut():
    name = "x" * 200
    source = f"""
        def f({name}):
            if {name}:
                return {name}
    """
    (goal,) = found(source)
    assert (len(goal.statement), goal.statement[-1]) == (100, "…")
    assert [len(condition) for condition in goal.conditions] == [100]


def test_a_statement_of_many_lines_is_told_in_one():
    source = '''
        def f(x):
            return """a
              b""" + x
    '''
    assert "\n" not in found(source)[0].statement


def test_module_level_code_has_goals():
    target = changed_method("import os\n\nLIMIT = 1\nif os.name == 'nt':\n    LIMIT = 2\n", "<module>")
    assert [goal.statement for goal in goals(target, frozenset({3, 5}))] == ["LIMIT = 1", "LIMIT = 2"]


def test_a_string_that_stands_further_left_than_its_method_does_no_harm():
    source = 'class Box:\n    def f(self):\n        a = """\nleft\n"""\n        return a\n'
    assert [(goal.line, goal.statement) for goal in found(source, qualname="Box.f")] == [(6, "return a")]


def test_a_module_that_begins_with_blank_lines_has_goals():
    target = changed_method("  \n\nLIMIT = 1\n", "<module>")
    assert goals(target, target.lines) == (Goal(3, "LIMIT = 1", ()),)


def test_source_that_cannot_be_parsed_has_no_goals():
    target = changed_method()
    broken = replace(target, definitions=(replace(target.method, source="def double(x:\n    return"),))
    assert goals(broken, target.lines) == ()
