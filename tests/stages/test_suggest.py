from __future__ import annotations

import ast
from dataclasses import replace

import pytest
from tests.samples import changed_method, prompt, reply

from llm_testgen.records import Candidate
from llm_testgen.stages.suggest import choose_test_path, place

HEAD = "from pkg.mod import double\n\n\n"
CODE = f"{HEAD}def test_it():\n    assert double(1) == 2\n"
EXISTING = '"""Tests."""\n\nimport os\n\nfrom pkg.mod import double\n\n\ndef test_old():\n    assert double(0) == 0\n'


def candidate(code: str = CODE, name: str = "test_it", path: str = "tests/test_mod.py") -> Candidate:
    answer = replace(reply(code), prompt=prompt(changed_method(), test_path=path))
    return Candidate(answer, name, code)


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
