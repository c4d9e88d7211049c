"""Files of records, one JSON object a line: read whole, added to line by line, shipped compressed.

Several processes may add to the same file: each waits for the others, so that nobody sees half a line of theirs.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from llm_testgen.errors import UsageError

_GZIP = b"\x1f\x8b"
Record = TypeVar("Record", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Recordings(Generic[Record]):
    """How records of one kind are kept.

    Attributes:
        kind: What a line is.
        name: What they are called, in errors.
        option: By which the user names the file, in errors.
    """

    kind: type[Record]
    name: str
    option: str

    def read(self, path: Path | Traversable) -> list[Record]:
        """The records of a file, compressed or not.

        Raises:
            UsageError: It cannot be read, or holds something else.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            msg = f"{path} cannot be read ({error.strerror or error}): pass {self.option} another one, or a new one"
            raise UsageError(msg) from error
        return self._parsed(data, path)

    def resume(self, path: Path) -> list[Record]:
        """The records of a file that is to be gone on with, none if it is not there yet.

        Half a line at its end, which a run leaves that was killed while it wrote, is dropped.

        Raises:
            UsageError: It cannot be read, holds something else, or is compressed, so that nothing can be added to it.
        """
        if not path.exists():
            return []
        try:
            data = whole_lines(path, self._beginning)
        except OSError as error:
            msg = f"{path} cannot be gone on with ({error.strerror}): pass {self.option} another one"
            raise UsageError(msg) from error
        found = self._parsed(data, path)
        if data.startswith(_GZIP):
            msg = f"{path} is compressed, and nothing can be added to it: unpack it, or pass {self.option} another one"
            raise UsageError(msg)
        return found

    def add(self, path: Path, records: Iterable[Record]) -> None:
        """Write records at the end of a file: all of them, or none.

        Raises:
            UsageError: It cannot be written.
        """
        try:
            add_lines(path, self._lines(records))
        except OSError as error:
            msg = f"{path} cannot be written ({error.strerror}): pass {self.option} another one"
            raise UsageError(msg) from error

    def pack(self, records: Iterable[Record]) -> bytes:
        """Records in a form that can be shipped: compressed, and the same each time."""
        return gzip.compress(self._lines(records), mtime=0)

    @property
    def _beginning(self) -> bytes:
        """How each line begins."""
        return f'{{"{next(iter(self.kind.model_fields))}"'.encode()

    @staticmethod
    def _lines(records: Iterable[Record]) -> bytes:
        return "".join(json.dumps(record.model_dump()) + "\n" for record in records).encode("ascii")

    def _parsed(self, data: bytes, path: Path | Traversable) -> list[Record]:
        try:
            text = (gzip.decompress(data) if data.startswith(_GZIP) else data).decode("utf-8")
            return [self.kind.model_validate_json(line) for line in text.split("\n") if line]
        except (ValidationError, UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            msg = f"{path} holds no {self.name}: pass {self.option} another one"
            raise UsageError(msg) from error


def whole_lines(path: Path, beginning: bytes) -> bytes:
    """What a file holds, which is to be gone on with: half a line that a killed run has left at its end is cut off.

    Args:
        path: The file.
        beginning: How each line begins. What begins otherwise is somebody else's, and stays.

    Raises:
        OSError: It cannot be read, or not be cut.
    """
    with path.open("rb") as stream, _locked(stream):
        data = stream.read()
        whole = data.rfind(b"\n") + 1
        half = data[whole:]
        if not half or half[: len(beginning)] != beginning[: len(half)]:
            return data
        os.truncate(path, whole)
        return data[:whole]


def add_lines(path: Path, lines: bytes) -> None:
    """Write lines behind the whole ones of a file, which is made if need be: all of them, or none.

    Raises:
        OSError: It cannot be written.
    """
    with path.open("a+b", buffering=0) as stream, _locked(stream):
        file = stream.fileno()
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            # Another process was killed since `whole_lines` looked.
            size = os.pread(file, size, 0).rfind(b"\n") + 1
            os.ftruncate(file, size)
        left = memoryview(lines)
        try:
            while left:
                left = left[os.write(file, left) :]
        except BaseException:
            os.ftruncate(file, size)
            raise


@contextmanager
def _locked(stream: IO[bytes]) -> Iterator[None]:
    """While nobody else reads or writes the file; closing it gives it free."""
    fcntl.flock(stream, fcntl.LOCK_EX)
    yield
