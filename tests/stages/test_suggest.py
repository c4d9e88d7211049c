from __future__ import annotations

import ast

import pytest
from tests.placing import candidate_of

from llm_testgen.records import Candidate, Placement
from llm_testgen.stages.suggest import choose_test_path, place
from llm_testgen.testfiles import render

HEAD = "from pkg.mod import double\n\n\n"
CODE = f"{HEAD}def test_it():\n    assert double(1) == 2\n"
EXISTING = '"""Tests."""\n\nimport os\n\nfrom pkg.mod import double\n\n\ndef test_old():\n    assert double(0) == 0\n'


def candidate(code: str = CODE, name: str = "test_it", path: str = "tests/test_mod.py") -> Candidate:
    return candidate_of(code, name, path)


def one(text: str, own: Candidate) -> Placement:
    """Where a candidate goes, its file having some text."""
    (placement,) = place([own], {"tests/test_mod.py": text})[1]
    return placement


def test_a_new_file_holds_imports_and_tests():
    (file,), (placed,) = place([candidate()], {})
    assert (file.path, file.before, file.after) == ("tests/test_mod.py", "", CODE)
    assert (placed.path, placed.name) == ("tests/test_mod.py", "test_it")


def test_a_test_goes_to_the_end_of_an_existing_file_and_imports_only_what_is_missing():
    code = f"import pytest\n{HEAD}def test_it():\n    assert double(1) == pytest.approx(2)\n"
    (file,), _ = place([candidate(code)], {"tests/test_mod.py": EXISTING})
    assert file.before == EXISTING
    assert file.after == (
        '"""Tests."""\n\nimport os\n\nfrom pkg.mod import double\nimport pytest\n\n\ndef test_old():\n    assert double(0) == 0\n'
        "\n\ndef test_it():\n    assert double(1) == pytest.approx(2)\n"
    )


def test_a_name_that_is_taken_gets_a_number():
    other = candidate(f"{HEAD}def test_it():\n    assert double(2) == 4\n")
    (file,), placed = place([candidate(), other, other], {})
    assert [entry.name for entry in placed] == ["test_it", "test_it_2", "test_it_3"]
    assert ast.parse(file.after)
    assert "def test_it_2():" in file.after


def test_a_class_whose_name_is_taken_gets_a_number_and_its_tests_go_with_it():
    code = "class TestIt:\n    def test_one(self):\n        assert True\n"
    _, placed = place([candidate(code, "TestIt::test_one")] * 2, {})
    assert [entry.name for entry in placed] == ["TestIt::test_one", "TestIt_2::test_one"]


def test_a_helper_that_two_tests_share_stands_there_once():
    code = f"{HEAD}def help(x):\n    return x\n\n\ndef {{}}():\n    assert double(help(1)) == 2\n"
    (file,), _ = place([candidate(code.format("test_a"), "test_a"), candidate(code.format("test_b"), "test_b")], {})
    assert file.after.count("def help(x)") == 1


def test_a_helper_that_the_file_has_already_is_not_repeated():
    existing = EXISTING + "\n\ndef help(x):\n    return x\n"
    code = f"{HEAD}def help(x):\n    return x\n\n\ndef test_it():\n    assert double(help(1)) == 2\n"
    (file,), _ = place([candidate(code)], {"tests/test_mod.py": existing})
    assert file.after.count("def help(x)") == 1


@pytest.mark.parametrize(
    "code",
    [
        "from pkg.other import double\n\n\ndef test_it():\n    assert double(1) == 2\n",
        "import json as os\n\n\ndef test_it():\n    assert os\n",
        f"{HEAD}def test_old():\n    return 1\n\n\ndef test_it():\n    assert double(test_old()) == 2\n",
    ],
)
def test_a_name_that_means_something_else_in_the_file_sends_the_test_to_a_file_beside_it(code):
    files, (placed,) = place([candidate(code)], {"tests/test_mod.py": EXISTING})
    assert placed.path == "tests/test_mod_generated.py"
    assert [file.path for file in files] == ["tests/test_mod_generated.py"]


def test_an_existing_file_that_cannot_be_parsed_is_left_alone():
    _, (placed,) = place([candidate()], {"tests/test_mod.py": "def broken(:\n"})
    assert placed.path == "tests/test_mod_generated.py"


def test_a_file_with_windows_line_ends_keeps_them():
    (file,), _ = place([candidate()], {"tests/test_mod.py": EXISTING.replace("\n", "\r\n")})
    assert file.after.count("\r\n") == file.after.count("\n")
    assert file.after.startswith(file.before)


def test_a_file_without_a_last_newline_gets_one():
    (file,), _ = place([candidate()], {"tests/test_mod.py": EXISTING.rstrip("\n")})
    assert file.after == f"{EXISTING}\n\ndef test_it():\n    assert double(1) == 2\n"


def test_imports_go_below_the_docstring_of_a_file_that_imports_nothing():
    (file,), _ = place([candidate()], {"tests/test_mod.py": '"""Tests."""\n\nX = 1\n'})
    assert file.after.startswith('"""Tests."""\n\nfrom pkg.mod import double\n\n\n')
    assert ast.parse(file.after)


def test_imports_stay_below_a_future_import():
    existing = "from __future__ import annotations\n\n\ndef test_old():\n    assert True\n"
    (file,), _ = place([candidate()], {"tests/test_mod.py": existing})
    compile(file.after, "x", "exec")


def test_an_import_late_in_the_file_does_not_attract_the_others():
    existing = f"{EXISTING}\n\nimport late\n"
    code = f"import pytest\n{HEAD}def test_it():\n    assert double(1) == pytest.approx(2)\n"
    (file,), _ = place([candidate(code)], {"tests/test_mod.py": existing})
    assert file.after.index("import pytest") < file.after.index("def test_old")


@pytest.mark.parametrize(
    ("source", "existing", "test_files", "folder", "expected"),
    [
        ("src/pkg/mod.py", ("tests/test_pkg.py", "tests/test_x.py"), (), None, "tests/test_pkg.py"),
        (
            "src/pkg/mod.py",
            (),
            ("tests/unit/test_a.py", "tests/unit/test_b.py", "tests/test_c.py"),
            None,
            "tests/unit/test_mod.py",
        ),
        ("src/pkg/mod.py", (), (), None, "tests/test_mod.py"),
        ("src/pkg/mod.py", (), (), "checks", "checks/test_mod.py"),
        ("src/pkg/__init__.py", (), (), None, "tests/test_pkg.py"),
        ("src/pkg/_private.py", (), (), None, "tests/test_private.py"),
        ("mod.py", (), ("test_other.py",), None, "test_mod.py"),
    ],
)
def test_new_tests_go_where_the_project_keeps_its_tests(source, existing, test_files, folder, expected):
    assert choose_test_path(source, existing, test_files, folder) == expected


def test_two_modules_of_one_package_are_imported_side_by_side():
    one = candidate("import pkg.mod\n\n\ndef test_a():\n    assert pkg.mod.double(1) == 2\n", "test_a")
    other = candidate("import pkg.other\n\n\ndef test_b():\n    assert pkg.other.half(2) == 1\n", "test_b")
    (file,), _ = place([one, other], {})
    assert file.after.startswith("import pkg.mod\nimport pkg.other\n")


def test_a_test_that_fits_into_no_file_is_not_placed():
    files, placed = place([candidate("test_it = 1\n\n\ndef test_it():\n    assert test_it\n")], {})
    assert (files, placed) == ((), ())


def test_tests_that_share_nothing_get_as_many_files_as_it_takes():
    codes = [f"def data():\n    return {number}\n\n\ndef test_{number}():\n    assert data()\n" for number in range(5)]
    _, placed = place([candidate(code, f"test_{number}") for number, code in enumerate(codes)], {})
    assert len({entry.path for entry in placed}) == 5


def test_tests_stand_before_a_main_block():
    existing = f'{EXISTING}\n\nif __name__ == "__main__":\n    main()\n'
    (file,), _ = place([candidate()], {"tests/test_mod.py": existing})
    assert file.after.index("def test_it") < file.after.index('if __name__ == "__main__":')
    assert file.after.endswith("    main()\n")


def test_a_file_with_mixed_line_ends_is_left_alone():
    _, (placed,) = place([candidate()], {"tests/test_mod.py": EXISTING.replace("\n", "\r\n", 2)})
    assert placed.path == "tests/test_mod_generated.py"


def test_a_new_file_is_named_as_the_others_are():
    assert choose_test_path("src/pkg/mod.py", (), ("tests/a_test.py", "tests/b_test.py"), None) == "tests/mod_test.py"


class TestPlacements:
    def test_each_is_complete_against_the_file_at_head(self):
        code = (
            f"import json\n{HEAD}def help(x):\n    return json, x\n\n\ndef {{}}():\n    assert double(help(1)) == 2\n"
        )
        own = [candidate(code.format(name), name) for name in ("test_a", "test_b")]
        (file,), placed = place(own, {"tests/test_mod.py": EXISTING})
        helper = "def help(x):\n    return json, x"
        for placement, name in zip(placed, ("test_a", "test_b"), strict=True):
            assert placement.imports == ("import json",)
            assert placement.pieces == (helper, f"def {name}():\n    assert double(help(1)) == 2")
            assert placement.into == ""
        assert file.after == render(EXISTING, placed)
        assert file.after.count("import json") == file.after.count("def help") == 1

    def test_any_of_them_can_be_left_out(self):
        own = candidate(f"import pytest\n{HEAD}def test_it():\n    assert double(1) == pytest.approx(2)\n")
        _, (first, second) = place([candidate(), own], {"tests/test_mod.py": EXISTING})
        assert (first.name, second.name) == ("test_it", "test_it_2")
        after = render(EXISTING, [second])
        assert after == EXISTING.replace("double\n", "double\nimport pytest\n", 1) + (
            "\n\ndef test_it_2():\n    assert double(1) == pytest.approx(2)\n"
        )
        assert render(EXISTING, []) == EXISTING

    def test_helpers_that_mean_the_same_are_written_once_though_they_look_different(self):
        code = "def help(x):{}\n    return x\n\n\ndef {}():\n    assert help(1)\n"
        own = [candidate(code.format("  # why", "test_a"), "test_a"), candidate(code.format("", "test_b"), "test_b")]
        (file,), _ = place(own, {})
        assert file.after.count("def help") == 1

    def test_only_the_names_of_an_import_that_are_missing_are_imported(self):
        code = "from pkg.mod import double, half\nimport os, sys\n\n\ndef test_it():\n    assert half, sys\n"
        assert one(EXISTING, candidate(code)).imports == ("from pkg.mod import half", "import sys")

    def test_a_module_is_imported_by_its_full_name_though_its_package_is_there(self):
        own = candidate("import pkg.mod\n\n\ndef test_it():\n    assert pkg.mod.double(1) == 2\n")
        assert one("import pkg\n", own).imports == ("import pkg.mod",)
        assert one("import pkg.mod\n", own).imports == ()
        assert one("import pkg.mod as other\n", own).imports == ("import pkg.mod",)

    def test_a_helper_of_several_statements_is_brought_whole(self):
        own = candidate("X = []\nX += [1]\n\n\ndef test_it():\n    assert X\n")
        assert one(EXISTING, own).pieces == ("X = []", "X += [1]", "def test_it():\n    assert X")

    @pytest.mark.parametrize(
        ("text", "imports"),
        [
            ("if TYPE_CHECKING:\n    from pkg.mod import double\n", ("from pkg.mod import double",)),
            (
                "import typing\nif typing.TYPE_CHECKING:\n    from pkg.mod import double\n",
                ("from pkg.mod import double",),
            ),
            ("try:\n    from pkg.mod import double\nexcept ImportError:\n    double = None\n", ()),
            ("if X:\n    from pkg.mod import double\nelse:\n    from pkg.old import double\n", ()),
            ("if X:\n    pass\nelse:\n    from pkg.mod import double\n", ()),
        ],
    )
    def test_an_import_under_a_condition_counts_if_it_is_made_at_run_time(self, text, imports):
        placement = one(text, candidate())
        assert (placement.path, placement.imports) == ("tests/test_mod.py", imports)

    @pytest.mark.parametrize(
        "text",
        [
            "if TYPE_CHECKING:\n    from pkg.other import double\n",
            "try:\n    import fast as double\nexcept ImportError:\n    import slow as double\n",
            "with open('x') as double:\n    pass\n",
            "for double in range(2):\n    pass\n",
            "match 1:\n    case double:\n        pass\n",
            "if (double := 1):\n    pass\n",
            "from pkg.mod import double\n\ndouble = 1\n",
            "try:\n    pass\nexcept OSError as double:\n    pass\n",
        ],
    )
    def test_a_name_that_may_mean_something_else_sends_the_test_away(self, text):
        assert one(text, candidate()).path == "tests/test_mod_generated.py"

    @pytest.mark.parametrize(
        "text",
        [
            "def test_old(double):\n    double = 1\n",
            "class TestOld:\n    double = 1\n",
            "X = [double for double in range(2)]\n",
            "X = lambda double: double\n",
            "double = 1\ndel double\n",
        ],
    )
    def test_a_name_of_another_scope_does_not(self, text):
        assert one(text, candidate()).path == "tests/test_mod.py"

    def test_a_builtin_stays_what_it_is_for_the_tests_that_use_it(self):
        own = candidate("from pkg.mod import sum\n\n\ndef test_it():\n    assert sum(1)\n")
        assert one("def test_old():\n    assert sum([1])\n", own).path == "tests/test_mod_generated.py"
        assert one("def test_old(sum):\n    assert sum([1])\n", own).path == "tests/test_mod.py"
        user = candidate("def test_it():\n    assert sum([1])\n")
        assert one("from pkg.mod import sum\n", user).path == "tests/test_mod_generated.py"
        assert [placement.path for placement in place([own, user], {})[1]] == [
            "tests/test_mod.py",
            "tests/test_mod_generated.py",
        ]

    @pytest.mark.parametrize(
        "acting",
        [
            "@pytest.fixture(autouse=True)\ndef everywhere():\n    pass\n",
            "pytestmark = pytest.mark.slow\n",
            "def setup_function():\n    pass\n",
        ],
    )
    def test_what_acts_on_every_test_of_a_file_goes_only_where_all_have_it(self, acting):
        code = f"import pytest\n\n\n{acting}\n\ndef {{}}():\n    assert pytest\n"
        own = [candidate(code.format(name), name) for name in ("test_a", "test_b")]
        assert [placement.path for placement in place([*own, candidate()], {"tests/test_mod.py": EXISTING})[1]] == [
            "tests/test_mod_generated.py",
            "tests/test_mod_generated.py",
            "tests/test_mod.py",
        ]
        assert [placement.path for placement in place([candidate(), *own], {})[1]] == [
            "tests/test_mod.py",
            "tests/test_mod_generated.py",
            "tests/test_mod_generated.py",
        ]
        assert one(f"import pytest\n\n\n{acting}", own[0]).path == "tests/test_mod.py"

    def test_a_future_import_begins_a_new_file_and_is_added_to_none(self):
        code = f"import os\nfrom __future__ import annotations\n{HEAD}def test_it():\n    assert double(1) == 2, os\n"
        own = candidate(
            code.replace(
                "import os\nfrom __future__ import annotations\n", "from __future__ import annotations\nimport os\n"
            )
        )
        (file,), _ = place([own], {})
        assert file.after.startswith("from __future__ import annotations\n\nimport os\n")
        compile(file.after, "x", "exec")
        assert one(EXISTING, own).path == "tests/test_mod_generated.py"
        assert one(f"from __future__ import annotations\n{EXISTING[13:]}", own).path == "tests/test_mod.py"

    @pytest.mark.parametrize("encoding", ["latin-1", "no-such-encoding"])
    def test_a_file_in_another_encoding_is_left_alone(self, encoding):
        assert one(f"# coding: {encoding}\nX = 1\n", candidate()).path == "tests/test_mod_generated.py"

    def test_a_file_or_test_beyond_all_measure_is_left_alone(self):
        assert one(f"X = '{'x' * 2_000_000}'\n", candidate()).path == "tests/test_mod_generated.py"
        assert place([candidate(f"{CODE}    x = '{'x' * 100_000}'\n")], {}) == ((), ())
        large = f"X = '{'x' * 1_999_900}'\n"
        assert one(large, candidate()).path == "tests/test_mod_generated.py"

    def test_a_test_whose_file_has_a_name_that_cannot_be_told_is_left_out(self):
        assert place([candidate(path="tests/test\\mod.py")], {}) == ((), ())

    def test_a_test_whose_lines_end_in_a_lone_carriage_return_is_left_out(self):
        assert place([candidate(CODE.replace("2\n", "'\r'\n"))], {}) == ((), ())


class TestMethods:
    TEXT = "class TestBox:\n    def test_a(self):\n        assert True\n\n\nX = 1\n"
    CODE = "class TestBox:\n    {}def test_a(self):\n        assert True\n"

    def own(self, code: str | None = None, name: str = "test_a") -> Candidate:
        return candidate(code or self.CODE.format(""), f"TestBox::{name}")

    def test_a_method_goes_to_the_end_of_the_class_of_its_name(self):
        placement = one(self.TEXT, self.own())
        assert (placement.name, placement.into) == ("TestBox::test_a_2", "TestBox")
        assert placement.pieces == ("    def test_a_2(self):\n        assert True",)
        assert render(self.TEXT, [placement]) == (
            "class TestBox:\n    def test_a(self):\n        assert True\n\n"
            "    def test_a_2(self):\n        assert True\n\n\nX = 1\n"
        )

    def test_several_methods_stand_one_below_the_other(self):
        (file,), placed = place([self.own()] * 3, {"tests/test_mod.py": self.TEXT})
        assert [entry.name.partition("::")[2] for entry in placed] == ["test_a_2", "test_a_3", "test_a_4"]
        assert file.after.count("\n\n    def test_a_") == 3
        assert file.after.endswith("        assert True\n\n\nX = 1\n")

    def test_the_docstring_of_its_own_class_is_left_behind_and_its_imports_are_not(self):
        code = "import json\n\n\nclass TestBox:\n    '''Doc.'''\n\n    def test_b(self):\n        assert json\n"
        placement = one(self.TEXT, self.own(code, "test_b"))
        assert (placement.into, placement.imports) == ("TestBox", ("import json",))
        assert placement.pieces == ("    def test_b(self):\n        assert json",)

    def test_decorators_and_async_go_along(self):
        code = "class TestBox:\n    @staticmethod\n    async def test_a():\n        assert True\n"
        assert one(self.TEXT, self.own(code)).pieces == (
            "    @staticmethod\n    async def test_a_2():\n        assert True",
        )

    @pytest.mark.parametrize("indent", ["\t", "  ", "        "])
    def test_a_method_is_indented_as_its_class_is(self, indent):
        text = f"class TestBox:\n{indent}x = 1\n"
        code = (
            "class TestBox:\n    def test_a(self):\n\n        if self:\n            assert (\n                True)\n"
        )
        placement = one(text, self.own(code))
        assert placement.into == "TestBox"
        assert placement.pieces[0].split("\n") == [
            f"{indent}def test_a(self):",
            "",
            f"{indent * 2}if self:",
            f"{indent * 3}assert (",
            f"{indent * 4}True)",
        ]

    def test_a_text_of_several_lines_is_not_indented_anew(self):
        code = "class TestBox:\n    def test_a(self):\n        assert '''\n        x'''\n"
        assert one("class TestBox:\n\tx = 1\n", self.own(code)).name == "TestBox_2::test_a"
        assert one("class TestBox:\n    x = 1\n", self.own(code)).into == "TestBox"

    @pytest.mark.parametrize(
        "text",
        [
            "class TestBox(Base):\n    x = 1\n",
            "@mark\nclass TestBox:\n    x = 1\n",
            "class TestBox(metaclass=M):\n    x = 1\n",
            "class TestBox: pass\n",
            "class TestBox: x = 1; y = 2\n",
            "if X:\n    class TestBox:\n        x = 1\n",
            "class TestBox:\n    x = 1\n\n\nTestBox = 1\n",
            "class TestBox:\n    def __init__(self):\n        pass\n",
            "class TestBox:\n    __test__ = False\n",
        ],
    )
    def test_a_class_that_is_another_is_not_extended(self, text):
        placement = one(text, self.own())
        assert (placement.into, placement.name) == ("", "TestBox_2::test_a")

    @pytest.mark.parametrize(
        "code",
        [
            "class TestBox:\n    x = 1\n\n    def test_a(self):\n        assert self.x\n",
            "class TestBox:\n    def setup_method(self):\n        pass\n\n    def test_a(self):\n        assert True\n",
        ],
    )
    def test_a_method_that_stands_on_more_of_its_class_stays_there(self, code):
        assert one(self.TEXT, self.own(code)).into == ""

    @pytest.mark.parametrize("code", ["@X\n    ", "@later\n    "])
    def test_what_it_needs_when_the_class_is_made_must_stand_above_the_class(self, code):
        text = f"{self.TEXT}\n\ndef later(x):\n    return x\n"
        assert one(text, self.own(self.CODE.format(code))).into == ""
        assert one(
            f"def later(x):\n    return x\n\n\nX = later\n\n\n{self.TEXT[:-9]}", self.own(self.CODE.format(code))
        ).into

    def test_what_it_brings_for_that_cannot_stand_below_the_class(self):
        code = "def deco(x):\n    return x\n\n\n" + self.CODE.format("@deco\n    ")
        assert one(self.TEXT, self.own(code)).into == ""

    def test_a_name_of_the_class_is_not_taken_for_one_of_the_module(self):
        text = "import mark\n\n\nclass TestBox:\n    mark = 1\n"
        code = "import mark\n\n\n" + self.CODE.format("@mark\n    ")
        assert one(text, self.own(code)).into == ""

    def test_it_stays_out_of_the_class_if_it_is_to(self):
        own = self.own()
        _, (placement,) = place([own], {"tests/test_mod.py": self.TEXT}, [own])
        assert (placement.into, placement.name) == ("", "TestBox_2::test_a")
