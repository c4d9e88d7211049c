from __future__ import annotations

import ast

from tests.samples import SIZES_HEAD, changed_method

from llm_testgen.records import Context, Method, MethodKind
from llm_testgen.stages.goals import goals
from llm_testgen.tuning.data.answers import in_reply
from llm_testgen.tuning.data.pairing import Ran, all_pairs, body_lines, lines_for, match, names_target
from llm_testgen.tuning.data.plain import PlainTest
from llm_testgen.tuning.data.suite import Needs

PATH = "src/pkg/mod.py"
GRADE = changed_method(SIZES_HEAD, "grade")
AREA = changed_method(SIZES_HEAD, "Box.area")
INIT = changed_method(SIZES_HEAD, "Box.__init__")
# Lines of `grade` and of `Box`: see SIZES_HEAD.
NEGATIVE, LARGE, SMALL = {7, 8}, {7, 9, 10}, {7, 9, 11}
SIDE, ONE, SQUARE = {16}, {19, 20}, {19, 21}


def plain(code, name="test_it", **imports):
    text = f"def {name}():\n    {code}"
    origin = Method("tests/test_mod.py", name, MethodKind.FUNCTION, 1, 2, "", "", text)
    return PlainTest(origin, text, Needs(imports))


def ran(code, lines, name="test_it", reached=1):
    return Ran(plain(code, name), {PATH: frozenset(lines)}, reached)


def chosen(pairs):
    return [pair.ran.test.code.partition("\n    ")[2] for pair in pairs]


def test_the_lines_of_a_body_are_those_that_a_call_runs():
    assert body_lines(GRADE) == {7, 8, 9, 10, 11}
    assert body_lines(INIT) == {16}


def test_a_test_must_name_the_method_and_execute_it():
    tests = [ran("assert grade(11)", LARGE), ran("assert size(11)", LARGE), ran("assert grade", {1})]
    assert chosen(all_pairs([GRADE], tests)[GRADE.id]) == ["assert grade(11)"]


def test_the_best_tests_are_named_after_the_method_and_those_that_run_much_else_are_about_none():
    tests = [
        ran("assert grade(13)", LARGE, reached=9),
        ran("assert grade(12)", LARGE),
        ran("assert grade(11)", LARGE, "test_grade"),
    ]
    assert chosen(all_pairs([GRADE], tests)[GRADE.id]) == ["assert grade(11)", "assert grade(12)"]


def test_a_test_is_not_about_what_it_only_uses():
    tests = [ran("assert Box(2).area() == 4", SIDE | SQUARE, "test_area", 2)]
    pairs = all_pairs([AREA, INIT], tests)
    assert [len(pairs[target.id]) for target in (AREA, INIT)] == [1, 0]


def test_a_test_of_a_constructor_runs_little_else_and_one_of_another_special_method_says_so():
    few, many = ran("assert Box(2)", SIDE), ran("assert Box(3)", SIDE, reached=3)
    assert chosen(all_pairs([INIT], [few, many])[INIT.id]) == ["assert Box(2)"]
    source = "class Box:\n    def __len__(self):\n        return 1\n"
    length = changed_method(source, "Box.__len__")
    tests = [ran("assert len(Box()) == 1", {3}, "test_box_len"), ran("assert list(Box())", {3}, "test_box_list")]
    assert chosen(all_pairs([length], tests)[length.id]) == ["assert len(Box()) == 1"]


def test_no_two_goals_get_nearly_the_same_test():
    start = "value = grade(11)\n    other = [value, value.upper()]\n    assert other"
    tests = [ran(f"{start} == ['large', 'LARGE']", LARGE), ran(f"{start} != ['large', 'LARGE']", NEGATIVE | SMALL)]
    every = goals(GRADE, body_lines(GRADE))
    assert len(match(every, all_pairs([GRADE], tests)[GRADE.id], PATH, 4)) == 1


def test_a_special_method_is_named_by_its_class():
    assert names_target("assert Box(1)", INIT)
    assert not names_target("assert box.__init__", INIT)
    assert names_target("assert box.area()", AREA)


def test_each_goal_gets_a_test_of_its_own():
    tests = [ran("assert grade(11)", LARGE), ran("assert grade(1)", SMALL), ran("assert grade(2)", SMALL)]
    every = goals(GRADE, body_lines(GRADE))
    found = match(every, all_pairs([GRADE], tests)[GRADE.id], PATH, 4)
    assert [goal.line for goal in found] == [10, 11]
    assert chosen(found.values()) == ["assert grade(11)", "assert grade(1)"]
    assert len(match(every, all_pairs([GRADE], tests)[GRADE.id], PATH, 1)) == 1


def test_what_counts_as_uncovered_gives_these_goals_and_no_other():
    every = goals(GRADE, body_lines(GRADE))
    wanted = [goal for goal in every if goal.line == 10]
    lines = lines_for(GRADE, wanted, frozenset(LARGE | NEGATIVE))
    assert list(goals(GRADE, lines)) == wanted
    assert 8 not in lines


def test_the_target_goes_by_the_name_that_the_prompt_imports():
    context = Context(GRADE, "pkg.mod", "from pkg.mod import grade", GRADE.lines, "tests/test_mod.py")

    def written(code, **imports):
        text = in_reply(plain(code, **imports), context, frozenset({"pkg"}))
        ast.parse(text)
        return text.removeprefix("def test():\n    ").replace("\n    ", "\n")

    assert written("assert p.mod.grade(1)", p="import pkg as p") == "assert grade(1)"
    assert written("assert g(1)", g="from pkg import grade as g") == "assert grade(1)"
    assert written("assert grade(1)", grade="from pkg import grade") == "assert grade(1)"
    local = "from pkg import grade, LIMIT\n    assert grade(1)"
    assert written(local) == "assert grade(1)"
    assert written(local.replace("(1)", "(LIMIT)")) == "from pkg import LIMIT\nassert grade(LIMIT)"
    assert written("assert grade(p.LIMIT)", p="import pkg as p") == "import pkg as p\nassert grade(p.LIMIT)"
    assert written("assert q.grade(1)", q="import other as q") == "import other as q\nassert q.grade(1)"
