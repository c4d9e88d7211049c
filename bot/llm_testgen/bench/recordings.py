"""Files of records, one JSON object a line: read whole, added to line by line, shipped compressed."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Generic, TypeVar

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
            text = (gzip.decompress(data) if data.startswith(_GZIP) else data).decode("utf-8")
            return [self.kind.model_validate_json(line) for line in text.split("\n") if line]
        except (ValidationError, UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            msg = f"{path} holds no {self.name}: pass {self.option} another one"
            raise UsageError(msg) from error
        except OSError as error:
            msg = f"{path} cannot be read ({error.strerror or error}): pass {self.option} another one, or a new one"
            raise UsageError(msg) from error

    def resume(self, path: Path) -> list[Record]:
        """The records of a file that is to be gone on with, none if it is not there yet.

        Half a line at its end, which a run leaves that was killed while it wrote, is dropped.

        Raises:
            UsageError: It cannot be read, or holds something else.
        """
        if not path.exists():
            return []
        try:
            data = path.read_bytes()
            if not data.startswith(_GZIP) and (whole := data.rfind(b"\n") + 1) < len(data):
                os.truncate(path, whole)
        except OSError as error:
            msg = f"{path} cannot be gone on with ({error.strerror}): pass {self.option} another one"
            raise UsageError(msg) from error
        return self.read(path)

    def add(self, path: Path, records: Iterable[Record]) -> None:
        """Write records at the end of a file.

        Raises:
            UsageError: It cannot be written.
        """
        try:
            with path.open("a", encoding="ascii") as stream:
                stream.writelines(json.dumps(record.model_dump()) + "\n" for record in records)
        except OSError as error:
            msg = f"{path} cannot be written ({error.strerror}): pass {self.option} another one"
            raise UsageError(msg) from error

    @staticmethod
    def pack(records: Iterable[Record]) -> bytes:
        """Records in a form that can be shipped: compressed, and the same each time."""
        lines = "".join(json.dumps(record.model_dump()) + "\n" for record in records)
        return gzip.compress(lines.encode("ascii"), mtime=0)
