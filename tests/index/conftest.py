"""Snapshots and indexes of projects that are written down as a dict of path to text."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from llm_testgen.index import Index
from llm_testgen.records import Snapshot, TreeFile

Files = Mapping[str, str | bytes]


def make_snapshot(files: Files) -> Snapshot:
    data = {path: _bytes(text) for path, text in sorted(files.items())}
    tree = tuple(TreeFile(path, hashlib.sha1(content).hexdigest()) for path, content in data.items())  # noqa: S324 - git's own kind of id
    return Snapshot("0" * 40, tree, lambda file: data[file.path])


def _bytes(text: str | bytes) -> bytes:
    return textwrap.dedent(text).lstrip("\n").encode() if isinstance(text, str) else text


@pytest.fixture
def snapshot() -> Callable[[Files], Snapshot]:
    return make_snapshot


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "session.sqlite") as opened:
        yield opened


@pytest.fixture
def indexed(index: Index) -> Callable[[Files], Index]:
    """An index that holds the given files."""

    def build(files: Files) -> Index:
        index.update(make_snapshot(files))
        return index

    return build
