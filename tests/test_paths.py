from __future__ import annotations

import pytest

from llm_testgen.paths import LONGEST_PATH, is_inside, is_python, is_test, is_tooling, is_vendored, printable_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a.py", True), ("pkg/a.py", True), ("a.pyi", False), ("a.pyc", False), ("py", False), ("a.py.txt", False)],
)
def test_python_is_what_ends_in_py(path, expected):
    assert is_python(path) is expected


@pytest.mark.parametrize(
    "path",
    [
        "test_a.py",
        "a_test.py",
        "test.py",
        "tests.py",
        "conftest.py",
        "pkg/conftest.py",
        "tests/helpers.py",
        "test/helpers.py",
        "pkg/tests/deep/helpers.py",
        "src/pkg/test_a.py",
        "tests/data/expected.json",
    ],
)
def test_tests_are_known_by_their_name_or_their_folder(path):
    assert is_test(path)


@pytest.mark.parametrize(
    "path",
    [
        "a.py",
        "testing.py",
        "pkg/testing/a.py",
        "contest.py",
        "latest.py",
        "tests",
        "pkg/attest.py",
        "pkg/testsuite/a.py",
        "Tests/a.py",
        "src/pkg/unittest.py",
    ],
)
def test_what_only_sounds_like_a_test_is_none(path):
    assert not is_test(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("pkg/_vendor/six.py", True),
        ("third_party/a/b.py", True),
        (".venv/lib/python3.11/site-packages/a.py", True),
        ("pkg/vendor.py", False),
        ("vendor", False),
        ("pkg/vendors/a.py", False),
    ],
)
def test_other_peoples_code_lies_in_folders_named_for_it(path, expected):
    assert is_vendored(path) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("setup.py", True),
        ("pkg/conftest.py", True),
        ("noxfile.py", True),
        ("docs/conf.py", True),
        ("scripts/a/b.py", True),
        (".github/x.py", True),
        ("pkg/scripts/a.py", False),
        ("src/pkg/docs/a.py", False),
        ("docs", False),
        ("docs.py", False),
        ("pkg/tools.py", False),
    ],
)
def test_tooling_lies_at_the_top_or_has_a_known_name(path, expected):
    assert is_tooling(path) is expected


@pytest.mark.parametrize(
    "path",
    ["a.py", "a b/é 試.py", "..a/b..py", "a/...", "-x/t.py", ".github/x.py", "👩\u200d🔬.py", "a" * LONGEST_PATH],
)
def test_a_path_that_every_tool_takes_is_inside(path):
    assert is_inside(path)
    assert printable_path(path) == path


@pytest.mark.parametrize("path", ["", "/a", "a/", "../a", "a/../b", "a/./b", "a//b", ".git/a", "a/.GIT/b"])
def test_a_path_that_may_lead_elsewhere_is_not(path):
    assert not is_inside(path)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("a\\b.py", "a\ufffdb.py"),
        ("a\0\n\x1b\x85.py", "a\ufffd\ufffd\ufffd\ufffd.py"),
        ("a\udcff\u2028.py", "a\ufffd\ufffd.py"),
        ("a" * 2000, "a" * (LONGEST_PATH - 1) + "…"),
    ],
)
def test_a_path_that_cannot_be_shown_is_not_inside_and_can_be_made_so(path, shown):
    assert not is_inside(path)
    assert printable_path(path) == shown
    assert is_inside(shown)
