"""Replies of a model that were written down once, and a model that gives them again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from llm_testgen.bench.recordings import Recordings
from llm_testgen.edges.models import Model, Sampling
from llm_testgen.errors import ModelError, PromptRefusedError
from llm_testgen.records import Prompt, Reply, Usage

RECORDED = files("llm_testgen.bench") / "data" / "chain.jsonl.gz"
_Key = tuple[str, str, str, int]


class ChainReply(BaseModel):
    """One reply, and what it answers.

    Attributes:
        change: The change's name.
        target: ``path::qualname``.
        way: Whose prompt it was: ``plain`` or ``ours``.
        attempt: Which prompt about the target.
        digest: Of the prompt's words, so that another prompt is noticed.
        reply: The text, with the prefill.
        model: Who answered.
        truncated: Whether it was cut off.
        tokens_in: Of the prompt.
        tokens_out: Of the reply.
        seconds: How long it took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    change: str
    target: str
    way: str
    attempt: int
    digest: str
    reply: str
    model: str
    truncated: bool
    tokens_in: int
    tokens_out: int
    seconds: float

    @property
    def key(self) -> _Key:
        """What it answers, whatever the words of the prompt."""
        return self.change, self.target, self.way, self.attempt

    def as_reply(self, prompt: Prompt) -> Reply:
        """The reply to a prompt."""
        usage = Usage(self.tokens_in, self.tokens_out, self.seconds)
        return Reply(prompt, self.reply, self.model, usage, self.truncated)


_FILES = Recordings(ChainReply, "replies of this benchmark", "--record")


class Replies:
    """A recording: what the file holds, and what is added to it. Of two replies to the same the later one counts."""

    def __init__(self, found: Iterable[ChainReply], path: Path | None = None) -> None:
        """Take what there is; what is added is written to the file, if there is one."""
        self._by_key: dict[_Key, dict[str, ChainReply]] = {}
        self._path = path
        for reply in found:
            self._keep(reply)

    def __len__(self) -> int:
        """How many replies there are."""
        return sum(map(len, self._by_key.values()))

    @classmethod
    def from_package(cls) -> Replies:
        """The recording that comes along.

        Raises:
            UsageError: There is none.
        """
        return cls(_FILES.read(RECORDED))

    @classmethod
    def from_file(cls, path: Path) -> Replies:
        """A recording that is there; nothing is added to it.

        Raises:
            UsageError: The file cannot be read, or is no recording.
        """
        return cls(_FILES.read(path))

    @classmethod
    def open(cls, path: Path) -> Replies:
        """A recording to go on with, or a new one.

        Raises:
            UsageError: The file cannot be read, or is no recording.
        """
        return cls(_FILES.resume(path), path)

    @property
    def models(self) -> str:
        """Who answered."""
        return ", ".join(sorted({reply.model for known in self._by_key.values() for reply in known.values()}))

    def has(self, key: _Key) -> bool:
        """Whether there is any reply under a key."""
        return key in self._by_key

    def find(self, key: _Key, digest: str) -> tuple[ChainReply | None, bool]:
        """The reply to that prompt, else the last one to another prompt under the key, and whether it is the former."""
        known = self._by_key.get(key, {})
        if digest in known:
            return known[digest], True
        return (list(known.values())[-1] if known else None), False

    def add(self, reply: ChainReply) -> None:
        """Keep a reply, and write it down at once.

        Raises:
            UsageError: The file cannot be written.
        """
        self._keep(reply)
        if self._path is not None:
            _FILES.add(self._path, [reply])

    def _keep(self, reply: ChainReply) -> None:
        self._by_key.setdefault(reply.key, {})[reply.digest] = reply


class ChainModel:
    """Answers one way's prompts about one change from a recording, and asks a real model what is not in it.

    Without a real model the reply to an earlier wording of the prompt counts, and `outdated` says how often.

    Args:
        replies: The recording.
        change: The change's name.
        way: Whose prompts these are.
        live: The real model; None to make do with the recording.

    Attributes:
        outdated: Replies that were given to another wording of the prompt.
        unanswered: Prompts that the recording has no reply to, and those that the real model would not take.
        fault: Why the real model stopped answering; None as long as it does.
    """

    def __init__(self, replies: Replies, change: str, way: str, live: Model | None = None) -> None:
        """Nothing is asked yet."""
        self.name = live.name if live else "recorded"
        self.concurrency = live.concurrency if live else 1
        self.shares_cores = live.shares_cores if live else True
        self.outdated = 0
        self.unanswered = 0
        self.fault: ModelError | None = None
        self._replies, self._change, self._way, self._live = replies, change, way, live

    async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply | None:
        """The reply as it was recorded, else the real model's, which is recorded; None where there is neither.

        Raises:
            ModelError: The real model gives no answer.
            UsageError: The recording cannot be written.
        """
        key, digest = (self._change, prompt.target.id, self._way, prompt.attempt), prompt_digest(prompt)
        known, same = self._replies.find(key, digest)
        if known is not None and (same or self._live is None):
            self.outdated += not same
            return known.as_reply(prompt)
        answer = await self._answer(self._live, prompt, sampling) if self._live else None
        if answer is None:
            self.unanswered += 1
            return None
        self._replies.add(as_chain_reply(answer, self._change, self._way))
        return answer

    async def _answer(self, live: Model, prompt: Prompt, sampling: Sampling) -> Reply | None:
        try:
            return await live.reply(prompt, sampling)
        except PromptRefusedError:
            return None
        except ModelError as error:
            # A search keeps what it has by then, which is no row that can be compared with others.
            self.fault = error
            raise

    async def close(self) -> None:
        """The real model is whoever's who opened it."""


def as_chain_reply(reply: Reply, change: str, way: str) -> ChainReply:
    """A reply, to be written down."""
    prompt, usage = reply.prompt, reply.usage
    return ChainReply(
        change=change,
        target=prompt.target.id,
        way=way,
        attempt=prompt.attempt,
        digest=prompt_digest(prompt),
        reply=reply.text.encode("utf-8", "replace").decode("utf-8"),
        model=reply.model,
        truncated=reply.truncated,
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
        seconds=round(usage.seconds, 2),
    )


def prompt_digest(prompt: Prompt) -> str:
    """What tells one wording of a prompt from another."""
    asked = [dataclasses.asdict(message) for message in prompt.messages]
    return hashlib.sha256(json.dumps([asked, prompt.prefill]).encode()).hexdigest()[:16]
