"""What other test generators asked a model and what it answered, written down once and given again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from operator import itemgetter
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue

from llm_testgen.bench.recordings import Recordings

RECORDED = files("llm_testgen.bench") / "data" / "peers.jsonl.gz"
# What an execution of the same test says differently each time, and a prompt may quote: see `request_digest`.
_VOLATILE = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    # Where packages and the standard library are, and at which line of the latter, is up to the machine.
    (re.compile(r"(?:\.\.)?(?:/[^\s'\":/]+)*/site-packages/"), "/site-packages/"),
    (
        re.compile(r"(?:\.\.)?(?:/[^\s'\":/]+)*/lib(?:64)?/python3\.\d+/([^\s:\"]+)(:|\", line )\d+"),
        r"/lib/python/\1\g<2>0",
    ),
    (re.compile(r"<frozen ([\w.]+)>(:|\", line )\d+"), r"<frozen \1>\g<2>0"),
    (re.compile(r"(?:/[^\s'\"/]+)*/llm-testgen-[^/\s'\"]+"), "/copy"),
    (re.compile(r"\btmp(_test_)?[a-z0-9_]{8}\b"), "tmp"),
    (re.compile(r"\bpytest-of-\w+/pytest-\d+"), "pytest"),
    (re.compile(r"\b0x[0-9a-f]{6,}"), "0x"),
    (re.compile(r"\bid='\d+'"), "id='0'"),  # of a mock
    (re.compile(r"\bstarted (daemon )?\d+"), r"started \g<1>0"),  # of a thread
    (re.compile(r"\b\d+\.\d+ ?s(?:econds)?\b( \(\d+:\d+:\d+\))?"), "0s"),
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


_FILES = Recordings(Exchange, "exchanges with a model", "--out")


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
        lent = _FILES.read(RECORDED) if RECORDED.is_file() else []
        return cls(_FILES.resume(path), path, lent)

    @classmethod
    def from_file(cls, path: Path) -> Exchanges:
        """A recording that is there; nothing is added to it.

        Raises:
            UsageError: The file cannot be read, or is no recording.
        """
        return cls(_FILES.read(path))

    def knows(self, purse: str) -> bool:
        """Whether anything of a purse is there."""
        return any(name == purse for name, _ in self._known)

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
            _FILES.add(self._path, added)

    def pack(self) -> bytes:
        """All of it in a form that can be shipped: compressed, and the same each time."""
        return _FILES.pack(one for _, found in sorted(self._known.items(), key=itemgetter(0)) for one in found)

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
