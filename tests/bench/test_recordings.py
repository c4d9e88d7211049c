from __future__ import annotations

import fcntl
import gzip
import os
import threading

import pytest
from pydantic import BaseModel

from llm_testgen.bench.recordings import Recordings
from llm_testgen.errors import UsageError


class Note(BaseModel):
    text: str


FILES = Recordings(Note, "notes", "--out")
LINE = b'{"text": "first"}\n'


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_bytes(LINE)
    return path


def texts(path):
    return [note.text for note in FILES.read(path)]


def test_nobody_cuts_a_line_that_another_process_is_writing(path):
    with path.open("ab", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(b'{"text": "sec')
        found = []
        resuming = threading.Thread(target=lambda: found.extend(FILES.resume(path)))
        adding = threading.Thread(target=FILES.add, args=(path, [Note(text="third")]))
        for thread in (resuming, adding):
            thread.start()
            thread.join(0.2)
        assert found == []
        other.write(b'ond"}\n')
    resuming.join()
    adding.join()
    assert texts(path) == ["first", "second", "third"]
    assert [note.text for note in found][:2] == ["first", "second"]


def test_nothing_is_written_behind_half_a_line_that_a_process_left_meanwhile(path):
    assert len(FILES.resume(path)) == 1
    with path.open("ab") as other:
        other.write(b'{"text": "sec')
    FILES.add(path, [Note(text="second")])
    assert texts(path) == ["first", "second"]


@pytest.mark.parametrize("trouble", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_records_are_written_all_or_none(path, monkeypatch, trouble):
    write = os.write

    def full(file, data):
        if len(data) < len(LINE):
            raise trouble
        return write(file, data[: len(LINE)])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises((UsageError, KeyboardInterrupt)):
        FILES.add(path, [Note(text="second"), Note(text="3")])
    assert path.read_bytes() == LINE
    monkeypatch.undo()
    FILES.add(path, [Note(text="second")])
    assert texts(path) == ["first", "second"]


@pytest.mark.parametrize("data", [b"a thesis", b"a\nthesis", LINE + b"a thesis", b'{"thesis": 1}'])
def test_nothing_is_cut_from_a_file_that_somebody_else_has_written(path, data):
    path.write_bytes(data)
    with pytest.raises(UsageError, match="holds no notes: pass --out another one"):
        FILES.resume(path)
    assert path.read_bytes() == data


@pytest.mark.parametrize("half", [b"{", b'{"te', b'{"text": "sec', b'{"text": "second"}'])
def test_half_a_line_of_a_killed_run_is_cut(path, half):
    path.write_bytes(LINE + half)
    assert len(FILES.resume(path)) == 1
    assert path.read_bytes() == LINE


def test_a_compressed_file_is_read_but_not_gone_on_with(path):
    packed = FILES.pack(FILES.read(path))
    path.write_bytes(packed)
    assert texts(path) == ["first"]
    with pytest.raises(UsageError, match="is compressed, and nothing can be added to it: unpack it, or pass --out"):
        FILES.resume(path)
    assert path.read_bytes() == packed
    assert gzip.decompress(packed) == LINE
