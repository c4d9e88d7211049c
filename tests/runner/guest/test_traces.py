from __future__ import annotations

import os
import shutil

import pytest

from llm_testgen.runner.guest import traces
from llm_testgen.runner.guest.traces import UPPER, Traces

TEST = "tests/test_it.py"


@pytest.fixture
def box(tmp_path):
    """As `launch` makes it, with a test file; on a file system whose times are exact."""
    # A temporary folder may lie on one whose times are not, memory does not.
    folder = tmp_path
    if not traces._is_exact(str(tmp_path)) and os.path.isdir("/dev/shm"):  # noqa: PTH112, S108
        folder = type(tmp_path)("/dev/shm", f"traces-{os.getpid()}-{tmp_path.name}")  # noqa: S108
    for name in (f"{UPPER}/tests", "work", "shm", "scratch/home", "scratch/tmp"):
        (folder / name).mkdir(parents=True)
    (folder / UPPER / TEST).write_text("def test_it(): ...\n")
    (folder / "scratch/output").touch()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def remembered(box):
    if not traces._is_exact(str(box)):
        pytest.skip("this kernel's change times are coarse")
    found = Traces(str(box), str(box / "scratch/output"))
    found.remember([TEST])
    return found


def replace(path, text):
    other = path.with_name("other")
    other.write_text(text)
    other.rename(path)


WRITES = {
    "a new file": lambda box: (box / "scratch/home/x").touch(),
    "a new file that is deleted again": lambda box: ((box / "shm/x").touch(), (box / "shm/x").unlink()),
    "a new file in the tree": lambda box: (box / UPPER / "x.py").touch(),
    "a folder": lambda box: (box / "scratch/tmp/x").mkdir(),
    "a link": lambda box: (box / "scratch/home/x").symlink_to("/etc/passwd"),
    "a second name": lambda box: (box / "scratch/home/x").hardlink_to(box / UPPER / TEST),
    "other content of the same length": lambda box: (box / UPPER / TEST).write_text("def test_it(): 42!\n"),
    "content, and the old time": lambda box: (
        (box / UPPER / TEST).write_text("x"),
        os.utime(box / UPPER / TEST, ns=(0, 0)),
    ),
    "another file in its place": lambda box: replace(box / UPPER / TEST, "def test_it(): ...\n"),
    "a mode": lambda box: (box / UPPER / TEST).chmod(0o600),
    "a mode, and back": lambda box: [(box / "scratch/home").chmod(mode) for mode in (0o700, 0o755)],
    "a time": lambda box: os.utime(box / "scratch/tmp"),
    "an attribute": lambda box: os.setxattr(box / "scratch/home", "user.x", b"1"),
    "a folder that is gone": lambda box: (box / "scratch/home").rmdir(),
    "a folder under another name": lambda box: (box / "scratch/home").rename(box / "scratch/tmp/home"),
    "a file that is gone": lambda box: (box / UPPER / TEST).unlink(),
    "the output as a link": lambda box: (
        (box / "scratch/output").unlink(),
        (box / "scratch/output").symlink_to(box / UPPER / TEST),
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
def test_whatever_is_written_is_seen(box, remembered, write):
    assert remembered.are_none()
    write(box)
    assert not remembered.are_none()


def test_what_is_only_read_and_what_is_printed_leave_no_trace(box, remembered):
    (box / UPPER / TEST).read_text()
    list(box.rglob("*"))
    (box / "scratch/output").write_text("printed")
    assert remembered.are_none()


def test_what_the_zygote_writes_is_no_trace(box, remembered):
    (box / UPPER / TEST).write_text("def test_other(): ...\n")
    remembered.remember([TEST])
    assert remembered.are_none()


def test_what_a_child_wrote_is_not_forgotten_by_remembering_something_else(box, remembered):
    (box / "shm/x").touch()
    remembered.remember([TEST])
    assert not remembered.are_none()


def test_after_all_was_made_afresh_it_is_looked_at_anew(box, remembered):
    (box / "shm/x").touch()
    remembered.forget()
    assert not remembered.are_none()
    remembered.remember([TEST])
    assert remembered.are_none()


def test_where_times_are_coarse_everything_counts_as_written_to(box, monkeypatch):
    monkeypatch.setattr(traces, "_is_exact", lambda _: False)
    coarse = Traces(str(box), str(box / "scratch/output"))
    coarse.remember([TEST])
    assert not coarse.are_none()
