from __future__ import annotations

import pygit2
import pytest
from tests.conftest import GitProject

from llm_testgen.edges.gitwrite import create_repository, unified_patch
from llm_testgen.records import TestFile

NEW = "def test_it():\n    assert True\n"
NAMES = [
    "tests/test_mod.py",
    "tests/test mod.py",
    "a folder/test mod .py",
    "tests/test_é_試験.py",
    'tests/test_"quoted".py',
    "tests/test_tab\there.py",
    "tests/back\\slash.py",
    "-test.py",
    "b/a/test.py",
]


def applied(project: GitProject, *files: TestFile) -> None:
    """Apply the patch of the files as a user would, and see that each is what it was to be."""
    patch = project.root.parent / "tests.patch"
    patch.write_bytes(unified_patch(files))
    project.git("apply", "--check", "--index", str(patch))
    project.git("apply", "--index", "--whitespace=nowarn", str(patch))
    for file in files:
        assert (project.root / file.path).read_bytes() == file.after.encode()


@pytest.mark.parametrize("name", NAMES)
def test_a_new_file_is_made(git_project, name):
    git_project.commit("empty")
    applied(git_project, TestFile(name, "", NEW))
    assert git_project.git("status", "--porcelain", "-z") == f"A  {name}\0"


@pytest.mark.parametrize("name", NAMES)
def test_an_existing_file_is_extended(git_project, name):
    before = "import os\n\n" + "".join(f"x{number} = {number}\n" for number in range(40))
    git_project.write(name, before)
    git_project.commit()
    applied(git_project, TestFile(name, before, f"import sys\n{before}\n\n{NEW}"))
    assert git_project.git("status", "--porcelain", "-z") == f"M  {name}\0"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1\r\ny = 2\r\n", "import os\r\nx = 1\r\ny = 2\r\n\r\n\r\nz = 3\r\n"),
        ("x = 1\r\ny = 2\n", "x = 1\r\ny = 2\nz = 3\r\n"),
        ("x = 1", "x = 1\n\n\nz = 3\n"),
        ("x = 1\n", "x = 1\nz = 3"),
        ("x = 1", "x = 1\nz = 3"),
        ("\ufeffx = 1\n", "\ufeffx = 1\nz = 3\n"),
        ("x = 'é'\n", "x = 'é'\ny = '試'\n"),
        ("x = '''a\fb\x0bc\x85d\u2028e'''\n", "x = '''a\fb\x0bc\x85d\u2028e'''\ny = 1\n"),
        ("--- a/x\n+++ b/x\n", "--- a/x\n+++ b/x\n@@ -1 +1 @@\n"),
        ("x = 1  \n\n\n\n", "x = 1  \n\n\n\ny = 2\t \n"),
        ("\n", "\nx = 1\n"),
    ],
)
def test_every_byte_is_kept(git_project, before, after):
    git_project.write("tests/test_mod.py", before)
    git_project.commit()
    applied(git_project, TestFile("tests/test_mod.py", before, after))


def test_one_patch_holds_all_files(git_project):
    git_project.write("tests/test_a.py", "x = 1\n")
    git_project.commit()
    files = (
        TestFile("tests/test_a.py", "x = 1\n", "x = 1\ny = 2\n"),
        TestFile("tests/deep/er/test_b.py", "", NEW),
        TestFile("test_c.py", "", NEW),
    )
    applied(git_project, *files)
    assert len(git_project.git("status", "--porcelain").splitlines()) == 3


def test_patches_hold_the_text_whatever_its_size_and_not_what_took_its_place_in_memory():
    for count in range(1, 300, 7):
        files = [TestFile(f"test_{n}.py", "", "".join(f"x{n} = {i}\n" for i in range(count))) for n in range(3)]
        lines = unified_patch(files).decode().splitlines()
        added = [line[1:] for line in lines if line.startswith("+") and not line.startswith("+++")]
        assert added == [line for file in files for line in file.after.splitlines()]


def test_no_file_and_no_difference_give_an_empty_patch():
    assert unified_patch([]) == b""
    assert unified_patch([TestFile("a.py", "x\n", "x\n")]) == b""


def test_a_patch_applies_though_the_file_was_changed_elsewhere_meanwhile(git_project):
    before = "".join(f"x{number} = {number}\n" for number in range(40))
    git_project.write("test_mod.py", f"import os\n{before}")
    git_project.commit()
    patch = git_project.root.parent / "tests.patch"
    patch.write_bytes(unified_patch([TestFile("test_mod.py", before, before + NEW)]))
    git_project.git("apply", str(patch))
    assert (git_project.root / "test_mod.py").read_text() == f"import os\n{before}{NEW}"


def test_a_repository_has_one_commit_after_the_other(tmp_path):
    first = {"a.py": b"x = 1\n", "deep/er/b é.py": b"\x00\xff\r\n", "gone.py": b""}
    second = {"a.py": b"x = 2\n", "deep/er/b é.py": b"\x00\xff\r\n"}
    create_repository(tmp_path / "made", {"one": first, "two": second})
    project = GitProject(tmp_path / "made")
    assert project.git("log", "--format=%s %an", "main").splitlines() == ["two llm-testgen", "one llm-testgen"]
    assert project.git("symbolic-ref", "HEAD").strip() == "refs/heads/main"
    assert project.git("status", "--porcelain") == ""
    assert project.git("fsck", "--strict") == ""
    assert project.git("show", "HEAD~1:a.py") == "x = 1\n"
    assert project.git("diff", "--name-status", "HEAD~1", "HEAD").splitlines() == ["M\ta.py", "D\tgone.py"]
    files = [path for path in project.root.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert {path.relative_to(project.root).as_posix(): path.read_bytes() for path in files} == second


def test_a_repository_is_made_in_an_existing_folder_and_heeds_no_configuration(tmp_path):
    config = tmp_path / "config"
    config.mkdir()
    (config / ".gitconfig").write_text("[init]\n\tdefaultBranch = trunk\n[core]\n\tautocrlf = true\n")
    (tmp_path / "made").mkdir()
    level = pygit2.enums.ConfigLevel.GLOBAL
    previous = pygit2.settings.search_path[level]
    pygit2.settings.search_path[level] = str(config)
    try:
        create_repository(tmp_path / "made", {"one": {"a.py": b"x\n"}})
    finally:
        pygit2.settings.search_path[level] = previous
    project = GitProject(tmp_path / "made")
    assert project.git("rev-parse", "--abbrev-ref", "HEAD").strip() == "main"
    assert (project.root / "a.py").read_bytes() == b"x\n"
