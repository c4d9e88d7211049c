from __future__ import annotations

import ast

import pytest
from tests.samples import ModuleNames, changed_method, reply

from llm_testgen.records import Candidate
from llm_testgen.repairs.base import ALL_REPAIRS, RepairKind
from llm_testgen.stages.extract import extract

NAMES = ModuleNames("double", "Box")
TEST = "def test_double():\n    assert double(2) == 4"
WITH_IMPORT = "from pkg.mod import double\n\n\ndef test_double():\n    assert double(2) == 4\n"


def candidates(text: str, names: ModuleNames = NAMES) -> tuple[Candidate, ...]:
    found = extract(reply(text), names)
    for candidate in found:
        ast.parse(candidate.code)
    return found


def only(text: str, names: ModuleNames = NAMES) -> Candidate:
    (candidate,) = candidates(text, names)
    return candidate


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{TEST}\n```",
        f"```py\n{TEST}\n```",
        f"```Python3\n{TEST}\n```",
        f"```\n{TEST}\n```",
        f"~~~python\n{TEST}\n~~~",
        f"````python\n{TEST}\n````",
        TEST,
        f"Here is the test you asked for:\n\n```python\n{TEST}\n```\n\nIt checks that 2 doubles to 4.",
        f"Here is the test:\n\n{TEST}\n\nThis test checks the function.",
        f"Sure!\n```python\n{TEST}",
        f"```python\n{TEST}\n```".replace("\n", "\r\n"),
        f"1. The test:\n\n    ```python\n    {TEST.replace(chr(10), chr(10) + '    ')}\n    ```",
        f"<think>\nI could write\n```python\ndef test_wrong(): ...\n```\n</think>\n```python\n{TEST}\n```",
        "```diff\n--- a/tests/test_mod.py\n+++ b/tests/test_mod.py\n@@ -0,0 +1,2 @@\n+"
        + TEST.replace("\n", "\n+")
        + "\n```",
        f"```python\n{TEST}\n\n\nif __name__ == '__main__':\n    pytest.main()\n```",
        f"```python\nimport sys\nsys.path.insert(0, 'src')\n{TEST}\nprint('done')\n```",
        f"\ufeff```python\n{TEST}\n```",
        f"```python\n{TEST}\n```".replace("    ", "\u00a0\u00a0\u00a0\u00a0"),
    ],
)
def test_the_test_is_found_whatever_the_shape_of_the_reply(text):
    candidate = only(text)
    assert candidate.name == "test_double"
    assert candidate.code == WITH_IMPORT


@pytest.mark.parametrize(
    "text", ["", "I cannot help with that.", "```python\n```", "```python\nx = 1\n```", "def f(:\n"]
)
def test_a_reply_without_a_test_has_no_candidates(text):
    assert candidates(text) == ()


def test_each_test_function_is_its_own_candidate():
    first, second = candidates(f"```python\n{TEST}\n\ndef test_zero():\n    assert double(0) == 0\n```")
    assert (first.name, second.name) == ("test_double", "test_zero")
    assert "test_zero" not in first.code
    assert "test_double" not in second.code


def test_several_blocks_are_read_as_one():
    found = candidates(
        "First the import:\n```python\nimport math\n```\nThen a test:\n```python\ndef test_pi():\n"
        "    assert double(math.pi) > 6\n```\nand another:\n```\ndef test_e():\n    assert double(math.e) > 5\n```"
    )
    assert [candidate.name for candidate in found] == ["test_pi", "test_e"]
    assert all(candidate.code.startswith("import math\n\nfrom pkg.mod import double\n") for candidate in found)


def test_a_tail_that_was_cut_off_ends_at_the_last_whole_statement():
    first, second = candidates(
        f"```python\n{TEST}\n\n\ndef test_more():\n    value = double(3)\n    assert value == 6\n    assert double(4) == (8"
    )
    assert first.code == WITH_IMPORT
    assert second.code.endswith("def test_more():\n    value = double(3)\n    assert value == 6\n")


def test_a_test_cut_off_before_its_first_statement_is_dropped():
    assert only(f"```python\n{TEST}\n\n\ndef test_more():\n    assert double(").name == "test_double"


def test_a_test_that_cannot_be_parsed_does_not_take_the_others_with_it():
    found = candidates(
        f"```python\ndef test_bad():\n    assert double(2 == \n\n{TEST}\n\ndef test_last():\n    assert double(1)\n```"
    )
    assert [candidate.name for candidate in found] == ["test_double", "test_last"]


def test_a_string_with_text_at_the_left_margin_is_kept_whole_when_something_else_is_broken():
    text = '```python\ndef test_text():\n    assert double("""\nleft\n""") == """\nleft\n\nleft\n"""\n\ndef test_cut(:\n```'
    assert '"""\nleft\n""")' in only(text).code


def test_a_copy_of_the_code_under_test_is_replaced_by_its_import():
    assert only(f"```python\ndef double(x):\n    return x + x\n\n{TEST}\n```").code == WITH_IMPORT


def test_a_copied_class_is_replaced_by_its_import():
    code = only("class Box:\n    pass\n\ndef test_box():\n    assert Box()\n").code
    assert code == "from pkg.mod import Box\n\n\ndef test_box():\n    assert Box()\n"


def test_a_method_copied_as_a_function_is_dropped():
    target = changed_method("class Box:\n    def open(self):\n        return 1\n", "Box.open")
    (candidate,) = extract(
        reply("def open(self):\n    return 1\n\ndef test_open():\n    assert Box().open() == 1\n", target), NAMES
    )
    assert "def open" not in candidate.code
    assert "from pkg.mod import Box" in candidate.code


def test_a_name_that_the_model_forgot_to_import_is_imported_from_where_the_project_has_it():
    names = ModuleNames("double", Limit="from pkg.other import Limit")
    assert "from pkg.other import Limit\n" in only("def test_limit():\n    assert double(Limit) == 2\n", names).code


@pytest.mark.parametrize(
    ("expression", "statement"),
    [
        ("pytest.approx(4)", "import pytest"),
        ("math.pi", "import math"),
        ("Decimal(2)", "from decimal import Decimal"),
        ("Mock()", "from unittest.mock import Mock"),
    ],
)
def test_a_well_known_name_that_the_model_forgot_is_imported(expression, statement):
    assert statement in only(f"def test_it():\n    assert double(2) != {expression}\n").code.split("\n")


def test_imports_that_the_test_does_not_use_are_left_out():
    assert (
        only(f"```python\nimport os\nimport pytest\nfrom pkg.mod import double, Box\n\n{TEST}\n```").code == WITH_IMPORT
    )


@pytest.mark.parametrize("module", ["your_module", "src.pkg.mod", "mod", ".mod", "solution"])
def test_an_import_from_a_made_up_module_becomes_the_projects_own(module):
    assert only(f"```python\nfrom {module} import double\n\n{TEST}\n```").code == WITH_IMPORT


def test_an_import_from_another_module_of_the_project_is_left_as_it_is():
    code = only(f"```python\nfrom pkg.other import double\n\n{TEST}\n```").code
    assert code.startswith("from pkg.other import double\n")


def test_an_alias_stays_an_alias():
    code = only("from my_code import double as twice\n\ndef test_it():\n    assert twice(1) == 2\n").code
    assert code.startswith("from pkg.mod import double as twice\n")


def test_an_import_inside_the_test_stays_where_it_is():
    code = only("def test_it():\n    from pkg.mod import double\n    assert double(1) == 2\n").code
    assert code == "def test_it():\n    from pkg.mod import double\n    assert double(1) == 2\n"


def test_helpers_come_along_with_what_they_need_in_their_order():
    code = only(
        "import json\n\nBASE = 2\n\ndef unused():\n    pass\n\ndef make(x):\n    return json.loads(str(x * BASE))\n\n"
        "def test_it():\n    assert double(make(1)) == 4\n"
    ).code
    assert code.index("import json") < code.index("BASE = 2") < code.index("def make") < code.index("def test_it")
    assert "unused" not in code


def test_fixtures_of_the_reply_come_along():
    code = only(
        "import pytest\n\n@pytest.fixture\ndef number():\n    return 2\n\n@pytest.fixture\ndef other():\n    return 3\n\n"
        "def test_it(number):\n    assert double(number) == 4\n"
    ).code
    assert "@pytest.fixture\ndef number():" in code
    assert "other" not in code


def test_an_autouse_fixture_comes_along_although_nothing_names_it():
    code = only(
        "import pytest\n\n@pytest.fixture(autouse=True)\ndef zone(monkeypatch):\n    monkeypatch.setenv('TZ', 'UTC')\n\n"
        "def test_it():\n    assert double(1) == 2\n"
    ).code
    assert "autouse=True" in code


def test_an_argument_is_a_fixture_and_not_imported_though_the_project_has_such_a_name():
    names = ModuleNames("double", client="from pkg.other import client")
    assert "import client" not in only("def test_it(client):\n    assert double(client) == 2\n", names).code


def test_decorators_belong_to_the_test():
    code = only(
        "import pytest\n\n@pytest.mark.parametrize(('x', 'y'), [(1, 2), (2, 4)])\ndef test_it(x, y):\n    assert double(x) == y\n"
    ).code
    assert "@pytest.mark.parametrize" in code
    assert code.startswith("import pytest\nfrom pkg.mod import double\n")


def test_a_class_of_tests_gives_a_candidate_for_each_method_with_the_rest_of_the_class():
    first, second = candidates(
        "class TestDouble:\n    limit = 3\n\n    def setup_method(self):\n        self.x = 2\n\n    def test_two(self):\n"
        "        assert double(self.x) == 4\n\n    def test_limit(self):\n        assert double(self.limit) == 6\n"
    )
    assert (first.name, second.name) == ("TestDouble::test_two", "TestDouble::test_limit")
    for candidate, other in ((first, "test_limit"), (second, "test_two")):
        assert "def setup_method" in candidate.code
        assert "limit = 3" in candidate.code
        assert other not in candidate.code


def test_a_unittest_class_keeps_its_base():
    code = only(
        "import unittest\n\nclass DoubleTest(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual(double(1), 2)\n"
    ).code
    assert "class DoubleTest(unittest.TestCase):" in code
    assert code.startswith("import unittest\n\nfrom pkg.mod import double\n")


def test_an_asynchronous_test_is_a_test():
    assert only("async def test_it():\n    assert double(1) == 2\n").name == "test_it"


def test_bare_assertions_become_a_test():
    candidate = only("```python\nx = 2\nassert double(x) == 4\nassert double(0) == 0\n```")
    assert candidate.name == "test_double"
    assert candidate.code == (
        "from pkg.mod import double\n\n\ndef test_double():\n    x = 2\n    assert double(x) == 4\n    assert double(0) == 0\n"
    )


def test_a_word_of_prose_that_is_valid_python_is_no_statement():
    assert only(f"Certainly\n{TEST}\nDone").code == WITH_IMPORT


def test_two_statements_on_a_line_are_two():
    assert "import json" in only("import json; import os\n\ndef test_it():\n    assert double(json.loads('1'))\n").code


def test_comments_inside_the_test_survive():
    assert "# doubles" in only("def test_it():\n    # doubles\n    assert double(1) == 2  # twice\n").code


def test_a_name_bound_by_the_test_itself_is_not_imported():
    names = ModuleNames("double", value="from pkg.other import value")
    assert "pkg.other" not in only("def test_it():\n    value = double(1)\n    assert value == 2\n", names).code


def test_the_candidate_knows_where_it_came_from():
    answer = reply(TEST)
    (candidate,) = extract(answer, NAMES)
    assert candidate.reply is answer
    assert candidate.target.id == "src/pkg/mod.py::double"
    assert candidate.attempt == 1
    assert candidate.repairs == ()


def test_fixtures_of_the_projects_own_test_file_are_borrowed_with_what_they_need():
    names = ModuleNames(
        "double",
        "Box",
        helpers={"SIDE": "SIDE = 3", "box": "@pytest.fixture\ndef box():\n    return Box(SIDE)"},
    )
    code = only("def test_it(box):\n    assert double(box.side) == 6\n", names).code
    assert code == (
        "import pytest\nfrom pkg.mod import Box\nfrom pkg.mod import double\n\n\nSIDE = 3\n\n\n"
        "@pytest.fixture\ndef box():\n    return Box(SIDE)\n\n\ndef test_it(box):\n    assert double(box.side) == 6\n"
    )


def test_what_the_reply_defines_itself_is_not_borrowed():
    names = ModuleNames("double", helpers={"number": "number = 1"})
    assert "number = 2" in only("number = 2\n\ndef test_it():\n    assert double(number) == 4\n", names).code


def test_two_modules_of_one_package_are_both_imported():
    code = only("import pkg.mod\nimport pkg.other\n\ndef test_it():\n    assert pkg.mod.x == pkg.other.x\n").code
    assert code.startswith("import pkg.mod\nimport pkg.other\n")


def test_marks_of_the_module_come_along():
    code = only("import pytest\n\npytestmark = pytest.mark.slow\n\ndef test_it():\n    assert double(1) == 2\n").code
    assert "pytestmark = pytest.mark.slow" in code


def test_a_helper_class_with_a_method_named_like_a_test_is_a_helper():
    code = only(
        "class FakeClient:\n    def test_connection(self):\n        return 1\n\n"
        "def test_it():\n    assert double(FakeClient().test_connection()) == 2\n"
    ).code
    assert "class FakeClient:" in code


def test_strings_keep_their_blank_lines_and_no_break_spaces():
    code = only(
        'class TestDouble:\n    def test_a(self):\n        assert double(1) == """\n\n\n\u00a0x"""\n\n    def test_b(self):\n        pass\n'.replace(
            "\n\n    def test_b(self):\n        pass\n", "\n"
        )
    ).code
    assert '"""\n\n\n\u00a0x"""' in code


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("print('hello')\n    assert double(1) == 2", "assert double(1) == 2"),
        ("print(double(1))", "double(1)"),
        ("print(f'{double(1)} and {str(double(2))}')", "double(1)\n    double(2)"),
        ("x = double(1)\n    print(x, end='')", "x = double(1)"),
        (
            "for x in (1, 2):\n        print(x)\n    assert double(1)",
            "for x in (1, 2):\n        pass\n    assert double(1)",
        ),
        ("print(double(1), file=log)", "print(double(1), file=log)"),
    ],
)
def test_what_a_test_prints_is_left_out_and_what_it_calls_is_not(body, kept):
    names = ModuleNames("double", log="from pkg.other import log")
    assert only(f"def test_it():\n    {body}\n", names).code.endswith(f"def test_it():\n    {kept}\n")


def test_a_test_that_reads_its_output_may_print():
    assert (
        "print(double(1))"
        in only("def test_it(capsys):\n    print(double(1))\n    assert capsys.readouterr().out\n").code
    )


def test_tests_are_found_where_the_module_runs_as_a_program():
    candidate = only(f"if __name__ == '__main__':\n    {TEST.replace(chr(10), chr(10) + '    ')}\n    pytest.main()\n")
    assert candidate.code == WITH_IMPORT


def test_imports_that_may_fail_are_imports():
    code = only(
        "try:\n    from solution import double as twice\nexcept ImportError:\n    twice = None\n\ndef test_it():\n    assert twice(1)\n"
    ).code
    assert code.startswith("from pkg.mod import double as twice\n")


def test_tests_inside_of_a_test_are_tests():
    first, second = candidates(
        'def test_all():\n    """All."""\n    def test_one():\n        assert double(1) == 2\n\n    def test_two():\n        assert double(2) == 4\n'
    )
    assert (first.name, second.name) == ("test_one", "test_two")


def test_a_copy_of_the_code_under_test_inside_of_a_test_is_left_out():
    code = only("def test_it():\n    def double(x):\n        return x + x\n\n    assert double(1) == 2\n").code
    assert code == "from pkg.mod import double\n\n\ndef test_it():\n    assert double(1) == 2\n"


def test_a_copied_constant_is_imported():
    names = ModuleNames("double", LIMIT="from pkg.mod import LIMIT")
    code = only("LIMIT = 3\n\ndef test_it():\n    assert double(LIMIT)\n", names).code
    assert (
        code == "from pkg.mod import LIMIT\nfrom pkg.mod import double\n\n\ndef test_it():\n    assert double(LIMIT)\n"
    )


def test_a_class_with_a_constructor_sets_up_before_each_test():
    code = only(
        "class TestDouble:\n    def __init__(self):\n        super().__init__()\n        self.x = 2\n\n    def test_it(self):\n        assert double(self.x) == 4\n"
    ).code
    assert "    def setup_method(self):\n        self.x = 2\n" in code


def test_a_class_of_tests_that_pytest_would_not_collect_gets_a_name_that_it_does():
    candidate = only("class DoubleTests:\n    def test_it(self):\n        assert double(1) == 2\n")
    assert candidate.name == "TestDoubleTests::test_it"
    assert "class TestDoubleTests:" in candidate.code


def test_a_function_that_asserts_is_a_test_where_there_is_no_other():
    assert only("def double_test():\n    assert double(1) == 2\n").name == "test_double"
    assert only(f"def check():\n    assert double(1)\n\n{TEST}").name == "test_double"


@pytest.mark.parametrize(
    "fault",
    [
        "    print 'two'\n",
        "    This doubles two.\n",
        "    assert double((2) == 4\n",
        "     x = 1\n",
    ],
)
def test_a_line_in_a_test_that_is_no_python_does_not_take_the_lines_after_it_along(fault):
    code = only(f"def test_it():\n    assert double(1) == 2\n{fault}    assert double(3) == 6\n").code
    assert "    assert double(1) == 2\n" in code
    assert "    assert double(3) == 6\n" in code


@pytest.mark.parametrize(
    "text",
    [
        f"{TEST}\n\ndef test_bad(:\n",
        "def check():\n    assert double(1) == 2\n",
        "assert double(1) == 2\n",
        f"if __name__ == '__main__':\n    {TEST.replace(chr(10), chr(10) + '    ')}\n",
    ],
)
def test_without_salvage_only_what_is_valid_as_a_whole_counts(text):
    assert extract(reply(text), NAMES, ALL_REPAIRS - {RepairKind.SALVAGE}) == ()
    assert len(extract(reply(text), NAMES)) == 1


def test_without_salvage_a_test_stays_as_it_is():
    (candidate,) = extract(reply(f"def double(x):\n    return 1\n\n{TEST}"), NAMES, frozenset({RepairKind.IMPORTS}))
    assert "def double" in candidate.code


def test_without_imports_nothing_is_imported_but_what_the_reply_imports():
    (candidate,) = extract(
        reply(f"from mod import double\nimport os\n\n{TEST}"), NAMES, frozenset({RepairKind.SALVAGE})
    )
    assert candidate.code.startswith("from mod import double\n\n\ndef")
    (candidate,) = extract(reply("def test_it():\n    assert math.pi\n"), NAMES, frozenset({RepairKind.SALVAGE}))
    assert candidate.code == "def test_it():\n    assert math.pi\n"


@pytest.mark.parametrize(
    ("line", "kept"),
    [("    assert x == 1", "    double(1)\n"), ("    y = dou", "    x = 2\n"), ("    y = 1\n", "    y = 1\n")],
)
def test_the_last_line_of_a_reply_that_was_cut_off_is_not_trusted_though_it_is_valid(line, kept):
    text = "def test_it():\n    x = 2\n" + line.replace("assert x", "assert double(1)")
    (candidate,) = extract(reply(f"```python\n{text}", truncated=True), NAMES)
    assert candidate.code.endswith(kept)
    (candidate,) = extract(reply(f"```python\n{text}"), NAMES)
    assert candidate.code.rstrip("\n").endswith(text.rstrip("\n"))
