"""Recorded replies in place of a model, and the recording of a model's replies.

A recording is JSON Lines. Each line holds ``target``, the ``path::qualname`` that the reply is for or null for any,
and ``reply``, the whole text. A recorder also writes what else a reply carries, and a replay gives it back; other keys
are left alone.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, ValidationError

from llm_testgen.edges.models import Model, Sampling
from llm_testgen.edges.tokens import estimate_tokens
from llm_testgen.errors import UsageError
from llm_testgen.records import Prompt, Reply, Usage

_SHAPE = '{"target": "src/x.py::Class.method" or null, "reply": "..."}'

_Count = Annotated[int, Field(ge=0)]


class RecordedReply(BaseModel):
    """One line of a recording. Strings are taken as they are: a model may have written half a surrogate pair."""

    model_config = ConfigDict(frozen=True, strict=True)

    target: InstanceOf[str] | None
    reply: InstanceOf[str]
    model: InstanceOf[str] = "replay"
    truncated: bool = False
    tokens_in: _Count = 0
    tokens_out: _Count | None = None

    def as_reply(self, prompt: Prompt) -> Reply:
        """The reply to a prompt; its tokens are estimated where the line does not give them."""
        tokens_out = estimate_tokens(self.reply) if self.tokens_out is None else self.tokens_out
        return Reply(prompt, self.reply, self.model, Usage(self.tokens_in, tokens_out), self.truncated)


class ReplayModel:
    """Gives recorded replies: a target's own in order, then those for any target, each once, then nothing more."""

    def __init__(self, recorded: tuple[RecordedReply, ...]) -> None:
        """Queue up the replies, in file order."""
        self.name = "replay"
        self.shares_cores = False
        self.concurrency = 1  # which prompt comes first decides who gets a reply that is for any target
        self._left: defaultdict[str | None, deque[RecordedReply]] = defaultdict(deque)
        for line in recorded:
            self._left[line.target].append(line)

    @classmethod
    def from_file(cls, path: Path) -> ReplayModel:
        """Read a recording.

        Raises:
            UsageError: The file cannot be read, or a line is not as it must be; the message names the line.
        """
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            message = f"{path} cannot be read ({error.strerror}): give --replay a file of recorded replies"
            raise UsageError(message) from error
        except UnicodeDecodeError as error:
            message = f"{path} is not UTF-8: a recording is JSON Lines of {_SHAPE}"
            raise UsageError(message) from error
        # Not splitlines(): JSON may hold other line separators inside its strings.
        lines = enumerate(text.split("\n"), start=1)
        return cls(tuple(_parse(line, f"{path}:{number}") for number, line in lines if line.strip()))

    async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply | None:  # noqa: ARG002  # nothing is sampled
        """The next reply for the prompt's target, its text as it was recorded; None when there is none left."""
        queue = self._left.get(prompt.target.id) or self._left.get(None)
        return queue.popleft().as_reply(prompt) if queue else None

    async def close(self) -> None:
        """Nothing is open."""


class Recorder:
    """A model whose replies are written down as they come, so that the run can be replayed."""

    def __init__(self, model: Model, path: Path) -> None:
        """Begin the recording, in place of what the file held.

        Raises:
            UsageError: The file cannot be written.
        """
        self.name = model.name
        self.concurrency = model.concurrency
        self.shares_cores = model.shares_cores
        self._model = model
        self._path = path
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            message = f"{path} cannot be written ({error.strerror}): give --record another file"
            raise UsageError(message) from error

    async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply | None:
        """What the model answers.

        Raises:
            ModelError: As the model does.
            UsageError: The recording cannot be written any further.
        """
        reply = await self._model.reply(prompt, sampling)
        if reply is not None:
            await asyncio.to_thread(self._write, _line(reply))
        return reply

    async def close(self) -> None:
        """Close the recording and the model."""
        self._file.close()
        await self._model.close()

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line)
        except OSError as error:
            message = f"{self._path} cannot be written ({error.strerror}): make room, or leave --record out"
            raise UsageError(message) from error


def _parse(line: str, where: str) -> RecordedReply:
    try:
        return RecordedReply.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][:1])
        reason = f"{key}: {first['msg']}" if key else first["msg"]
    except json.JSONDecodeError as error:
        reason = f"no JSON: {error.msg} at column {error.colno}"
    except (ValueError, RecursionError):  # a number of too many digits, brackets too deep
        reason = "no JSON that can be read"
    message = f"{where}: a line must look like {_SHAPE} ({reason})"
    raise UsageError(message)


def _line(reply: Reply) -> bytes:
    """A reply as a line; ASCII, so that no editor or codec changes what the model wrote."""
    record = {
        "target": reply.prompt.target.id,
        "reply": reply.text,
        "model": reply.model,
        "truncated": reply.truncated,
        "tokens_in": reply.usage.tokens_in,
        "tokens_out": reply.usage.tokens_out,
    }
    return json.dumps(record).encode("ascii") + b"\n"
