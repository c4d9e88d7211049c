"""What was tried, in a file of JSON Lines: a search that was interrupted finds it there and goes on where it was.

Nothing is ever changed in it, only added: a line that was cut off, by a kill or a full disk, is the last one, and is
dropped when the file is next opened.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from llm_testgen.bounds import Bounded, Count
from llm_testgen.errors import UsageError
from llm_testgen.evolution.score import Gain

_DIGITS = 32
_ADVICE = "move it away to begin anew"


class _Tried(Bounded):
    """One line: a recipe tried on a method."""

    version: Literal[1] = 1
    key: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{_DIGITS}}}$")]
    recipe: Annotated[str, Field(max_length=64)]
    target: Annotated[str, Field(max_length=10_000)]
    accepted: Count
    lines: Count
    killed: Count
    tokens_in: Count
    tokens_out: Count


class TrialStore:
    """What recipes gained on methods, by key.

    Attributes:
        path: The file.
        known: How many trials it held when it was opened.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there.

        Raises:
            UsageError: The file cannot be read or written, or holds something else; the message names the line.
        """
        self.path = path
        self._gains: dict[str, Gain] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes() if path.exists() else b""
            whole = data[: data.rfind(b"\n") + 1]
            if whole != data:
                path.write_bytes(whole)
        except OSError as error:
            msg = f"{path} cannot be used to go on from: {error.strerror}; {_ADVICE}"
            raise UsageError(msg) from error
        for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
            self._read(line, number)
        self.known = len(self._gains)

    def recall(self, key: str) -> Gain | None:
        """What was gained when this was tried; None if it was not."""
        return self._gains.get(key)

    def remember(self, key: str, gain: Gain, *, recipe: str, target: str) -> None:
        """Keep what was gained.

        Raises:
            UsageError: The file cannot be written.
        """
        self._gains[key] = gain
        line = _Tried(
            key=key,
            recipe=recipe,
            target=target,
            accepted=gain.accepted,
            lines=gain.lines,
            killed=gain.killed,
            tokens_in=gain.tokens_in,
            tokens_out=gain.tokens_out,
        )
        try:
            with self.path.open("ab", buffering=0) as file:
                file.write(f"{line.model_dump_json()}\n".encode())
        except OSError as error:
            msg = f"{self.path} cannot be written: {error.strerror}; make room, and the same command goes on"
            raise UsageError(msg) from error

    def _read(self, line: bytes, number: int) -> None:
        try:
            tried = _Tried.model_validate_json(line)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]["msg"]
            msg = f"{self.path}:{number} is no line of a search ({fault}): {_ADVICE}"
            raise UsageError(msg) from error
        self._gains[tried.key] = Gain(tried.accepted, tried.lines, tried.killed, tried.tokens_in, tried.tokens_out)


def key_of(*parts: object) -> str:
    """The key of a trial: of all that decides how it ends."""
    # A set has no order of its own.
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=sorted).encode()).hexdigest()[:_DIGITS]
