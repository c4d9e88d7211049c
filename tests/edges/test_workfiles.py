from __future__ import annotations

from pathlib import Path

import pytest

from llm_testgen.edges.workfiles import write_files
from llm_testgen.errors import UsageError
from llm_testgen.records import TestFile

OLD = "def test_old():\r\n    assert 'é'\r\n"
NEW = OLD + "\r\n\r\ndef test_new():\r\n    pass\r\n"
EXTENDED = TestFile("tests/test_mod.py", OLD, NEW)
ADDED = TestFile("tests/deep/test_other.py", "", "def test_it():\n    pass\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with one test file that may be executed."""
    file = tmp_path / "tree" / EXTENDED.path
    file.parent.mkdir(parents=True)
    file.write_bytes(OLD.encode())
    file.chmod(0o755)
    return tmp_path / "tree"


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def refusal(root: Path, *files: TestFile) -> str:
    before = contents(root)
    with pytest.raises(UsageError) as raised:
        write_files(root, files)
    assert contents(root) == before
    return str(raised.value)


def test_files_become_what_they_are_to_be_byte_for_byte_and_keep_their_mode(root: Path):
    write_files(root, [EXTENDED, ADDED])
    assert contents(root) == {EXTENDED.path: NEW.encode(), ADDED.path: ADDED.after.encode()}
    assert (root / EXTENDED.path).stat().st_mode & 0o777 == 0o755
    assert (root / ADDED.path).stat().st_mode & 0o100 == 0


def test_a_file_that_is_not_what_it_was_is_not_written_nor_any_other(root: Path):
    (root / EXTENDED.path).write_text("# mine\n")
    message = refusal(root, ADDED, EXTENDED)
    assert message == (
        "nothing was written to the checkout: tests/test_mod.py is not what it was when the tests were run"
    )


def test_a_file_that_is_gone_is_not_what_it_was(root: Path):
    (root / EXTENDED.path).unlink()
    assert "tests/test_mod.py is not what it was" in refusal(root, EXTENDED)


def test_a_file_that_is_new_must_not_be_there(root: Path):
    assert "tests/test_mod.py is there already" in refusal(root, TestFile(EXTENDED.path, "", "x = 1\n"))


def test_nothing_is_written_through_a_link(root: Path):
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "links").symlink_to(outside)
    (outside / "target.py").write_text("x")
    (root / "link.py").symlink_to(outside / "target.py")
    for path in ("links/test_a.py", "links/deep/test_a.py", "link.py"):
        assert f"{path} is reached by a symbolic link" in refusal(root, TestFile(path, "", "y"))
    assert [path.name for path in outside.iterdir()] == ["target.py"]


def test_what_cannot_be_written_is_said_and_leaves_nothing_half_written(root: Path):
    (root / "tests/.test_mod.py.partial").mkdir()
    (root / "file").write_text("x")
    assert "tests/test_mod.py cannot be written: " in refusal(root, EXTENDED)
    assert "file/test_a.py cannot be written: " in refusal(root, TestFile("file/test_a.py", "", "x"))
