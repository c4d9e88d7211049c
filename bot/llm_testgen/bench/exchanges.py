"""What other test generators asked a model and what it answered, written down once and given again."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from llm_testgen.errors import UsageError

RECORDED = files("llm_testgen.bench") / "data" / "peers.jsonl.gz"
_GZIP = b"\x1f\x8b"
# What an execution of the same test says differently each time, and a prompt may quote: see `request_digest`.
_VOLATILE = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"(?:/[^\s'\"/]+)*/llm-testgen-[^/\s'\"]+"), "/copy"),
    (re.compile(r"\btmp(_test_)?[a-z0-9_]{8}\b"), "tmp"),
    (re.compile(r"\bpytest-of-\w+/pytest-\d+"), "pytest"),
    (re.compile(r"\b0x[0-9a-f]{6,}"), "0x"),
    (re.compile(r"\b\d+\.\d+ ?s(?:econds)?\b"), "0s"),
)


class Exchange(BaseModel):
    """One request and its answer.

    Attributes:
        purse: Whose request it was.
        digest: Of what was asked, see `request_digest`.
        status: The answer's status of HTTP: a server that refuses a prompt does so again.
        reply: The answer's JSON.
        model: Who answered.
        tokens_in: Of the prompt.
        tokens_out: Of the reply.
        seconds: How long it took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    purse: str
    digest: str
    status: int
    reply: dict[str, JsonValue]
    model: str
    tokens_in: int
    tokens_out: int
    seconds: float


class Exchanges:
    """A recording: what the file holds, and what is added to it. Several answers to one request come in their order."""

    def __init__(self, found: Iterable[Exchange] = (), path: Path | None = None, lent: Iterable[Exchange] = ()) -> None:
        """Take what there is.

        Args:
            found: What the file holds.
            path: What is added is written to it; None to write nothing.
            lent: What another file holds; of a purse that is among those found, nothing is taken.
        """
        self._known: dict[tuple[str, str], list[Exchange]] = {}
        self._path = path
        for exchange in found:
            self._keep(exchange)
        own = {purse for purse, _ in self._known}
        self._lent: dict[str, list[Exchange]] = {}
        for exchange in lent:
            if exchange.purse not in own:
                self._keep(exchange)
                self._lent.setdefault(exchange.purse, []).append(exchange)

    def __len__(self) -> int:
        """How many exchanges there are."""
        return sum(map(len, self._known.values()))

    @classmethod
    def open(cls, path: Path) -> Exchanges:
        """A recording to go on with, or a new one, and what comes along.

        Raises:
            UsageError: The file cannot be read, or is no recording.
        """
        lent = _read(RECORDED) if RECORDED.is_file() else []
        if not path.exists():
            return cls((), path, lent)
        # A run that was killed while it wrote leaves half a line.
        data = path.read_bytes()
        if not data.startswith(_GZIP) and (whole := data.rfind(b"\n") + 1) < len(data):
            os.truncate(path, whole)
        return cls(_read(path), path, lent)

    @classmethod
    def from_file(cls, path: Path) -> Exchanges:
        """A recording that is there; nothing is added to it.

        Raises:
            UsageError: The file cannot be read, or is no recording.
        """
        return cls(_read(path))

    def find(self, purse: str, digest: str, times: int) -> Exchange | None:
        """The answer to what a purse has asked so many times before; None where it is not known."""
        known = self._known.get((purse, digest), [])
        return known[times] if times < len(known) else None

    def add(self, exchange: Exchange) -> None:
        """Keep an exchange, and write it down at once.

        Raises:
            UsageError: The file cannot be written.
        """
        self._keep(exchange)
        # The file holds all of a purse, or nothing of it.
        added = [*self._lent.pop(exchange.purse, []), exchange]
        if self._path is not None:
            try:
                with self._path.open("a", encoding="ascii") as stream:
                    stream.writelines(json.dumps(one.model_dump()) + "\n" for one in added)
            except OSError as error:
                msg = f"{self._path} cannot be written ({error.strerror}): pass another --record"
                raise UsageError(msg) from error

    def pack(self) -> bytes:
        """All of it in a form that can be shipped: compressed, and the same each time."""
        known = sorted(self._known.items(), key=lambda item: item[0])
        lines = "".join(json.dumps(one.model_dump()) + "\n" for _, found in known for one in found)
        return gzip.compress(lines.encode("ascii"), mtime=0)

    def _keep(self, exchange: Exchange) -> None:
        self._known.setdefault((exchange.purse, exchange.digest), []).append(exchange)


def request_digest(request: Mapping[str, object]) -> str:
    """What tells one request from another.

    Prompts quote what tests printed: colours, names of temporary files, addresses of objects and times taken differ
    from run to run, and do not count.
    """
    text = json.dumps(_steady(request), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _steady(value: object) -> object:
    if isinstance(value, str):
        for pattern, instead in _VOLATILE:
            value = pattern.sub(instead, value)
        return value
    if isinstance(value, Mapping):
        return {str(key): _steady(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_steady(item) for item in value]
    return value


def _read(path: Path | Traversable) -> list[Exchange]:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data.startswith(_GZIP) else data).decode("utf-8")
        return [Exchange.model_validate_json(line) for line in text.split("\n") if line]
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror or error}): pass a file of recorded exchanges, or a new one"
        raise UsageError(msg) from error
    except (ValidationError, UnicodeDecodeError, EOFError, zlib.error) as error:
        msg = f"{path} is no recording of exchanges: pass another file"
        raise UsageError(msg) from error
