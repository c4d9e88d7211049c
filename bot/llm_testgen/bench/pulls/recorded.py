"""Replies that were written down once: the same prompt, drawn in the same way, gets the same reply again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from llm_testgen.bench.recordings import Recordings
from llm_testgen.edges.models import Model, Sampling
from llm_testgen.errors import ModelError, PromptRefusedError
from llm_testgen.records import Prompt, Reply, Usage

RECORDED = files("llm_testgen.bench") / "data" / "pull-requests.jsonl.gz"
# A reply that has less room than this ends in the middle of its first test.
_LEAST_TOKENS = 96


class RecordedReply(BaseModel):
    """One reply, and what it answers.

    Attributes:
        model: Who answered.
        digest: Of the prompt's words and of how the reply was drawn; see `digest_of`.
        case: The case that it was first asked for.
        target: ``path::qualname``.
        arm: The arm that first asked.
        reply: The text, with the prefill.
        truncated: Whether it was cut off.
        tokens_in: Of the prompt.
        tokens_out: Of the reply.
        seconds: How long it took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    digest: str
    case: str
    target: str
    arm: str
    reply: str
    truncated: bool
    tokens_in: int
    tokens_out: int
    seconds: float


_FILES = Recordings(RecordedReply, "replies of this benchmark", "--out")


class Recording:
    """Recorded replies: what some files hold, and what is added to the last of them."""

    def __init__(self, found: Iterable[RecordedReply], path: Path | None = None) -> None:
        """Take what there is; what is added is appended to the file, if there is one."""
        self._known = {(reply.model, reply.digest): reply for reply in found}
        self._path = path

    @classmethod
    def open(cls, path: Path | None) -> Self:
        """The recording that comes along, together with a file to go on with.

        Args:
            path: The file, which may not be there yet; None to add nothing.

        Raises:
            UsageError: The file cannot be read, or is no recording.
        """
        found = _shipped()
        if path is not None:
            found += _FILES.resume(path)
        return cls(found, path)

    def find(self, model: str, digest: str) -> RecordedReply | None:
        """The reply of a model to a prompt; None if it was never asked."""
        return self._known.get((model, digest))

    def add(self, reply: RecordedReply) -> None:
        """Keep a reply, and write it down at once.

        Raises:
            UsageError: The file cannot be written.
        """
        self._known[reply.model, reply.digest] = reply
        if self._path is not None:
            _FILES.add(self._path, [reply])


class RecordedModel:
    """Answers one arm's prompts about one case from a recording, and asks a real model what is not in it.

    Args:
        name: The model's name in the recording.
        recording: What it has answered before.
        live: The real model; None to make do with the recording.
        case: The case's name.
        arm: The arm's key.
        purse: Tokens that replies about one target may take together.

    Attributes:
        unanswered: Prompts that the recording has no reply to.
        refused: Prompts that the real model would not take, so that they have no reply to be recorded either.
        fault: Why the real model stopped answering; None as long as it does.
        waited: Seconds that the real model took: none for what was recorded before.
        outdated: Always 0: another wording is another prompt here.
    """

    def __init__(  # noqa: PLR0913 - each by its name
        self, *, name: str, recording: Recording, live: Model | None, case: str, arm: str, purse: int
    ) -> None:
        """Nothing is asked yet."""
        self.name = name
        # Whoever answers, one prompt follows the other: a second one at once would be another at a replay.
        self.concurrency = 1
        self.shares_cores = True
        self.unanswered = 0
        self.refused = 0
        self.fault: ModelError | None = None
        self.waited = 0.0
        self.outdated = 0
        self._recording, self._live, self._case, self._arm = recording, live, case, arm
        self._left: defaultdict[str, int] = defaultdict(lambda: purse)

    async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply | None:
        """The recorded reply, else the real model's, which is recorded; None without either, or without tokens left.

        Raises:
            ModelError: The real model gives no answer.
            UsageError: The recording cannot be written.
        """
        target = prompt.target.id
        if self._left[target] < _LEAST_TOKENS:
            return None
        sampling = replace(sampling, max_tokens=min(sampling.max_tokens, self._left[target]))
        digest = digest_of(prompt, sampling)
        known = self._recording.find(self.name, digest)
        if known is None:
            answer = await self._answer(self._live, prompt, sampling) if self._live else None
            if answer is None:
                self.unanswered += 1
                return None
            self.waited += answer.usage.seconds
            known = self._as_recorded(answer, digest)
            self._recording.add(known)
        self._left[target] -= known.tokens_out
        usage = Usage(known.tokens_in, known.tokens_out, known.seconds)
        return Reply(prompt, known.reply, known.model, usage, known.truncated)

    async def _answer(self, live: Model, prompt: Prompt, sampling: Sampling) -> Reply | None:
        try:
            return await live.reply(prompt, sampling)
        except PromptRefusedError:
            self.refused += 1
            return None
        except ModelError as error:
            # A search keeps what it has by then, which is no result that can be compared with others.
            self.fault = error
            raise

    async def close(self) -> None:
        """The real model is whoever's who opened it."""

    def _as_recorded(self, reply: Reply, digest: str) -> RecordedReply:
        return RecordedReply(
            model=self.name,
            digest=digest,
            case=self._case,
            target=reply.prompt.target.id,
            arm=self._arm,
            reply=reply.text.encode("utf-8", "replace").decode("utf-8"),
            truncated=reply.truncated,
            tokens_in=reply.usage.tokens_in,
            tokens_out=reply.usage.tokens_out,
            seconds=round(reply.usage.seconds, 2),
        )


def digest_of(prompt: Prompt, sampling: Sampling) -> str:
    """What tells one request from another: its words, and how the reply is drawn."""
    asked = [dataclasses.asdict(message) for message in prompt.messages]
    drawn = [sampling.temperature, sampling.seed, sampling.max_tokens]
    return hashlib.sha256(json.dumps([asked, prompt.prefill, drawn]).encode()).hexdigest()[:20]


def pack(path: Path) -> bytes:
    """A recording that can be shipped: what comes along and what a file adds, compressed, and the same each time.

    Raises:
        UsageError: The file cannot be read, or is no recording.
    """
    added = _FILES.read(path) if path.exists() else []
    found = {(reply.model, reply.case, reply.target, reply.digest): reply for reply in (*_shipped(), *added)}
    return _FILES.pack(found[key] for key in sorted(found))


def _shipped() -> list[RecordedReply]:
    return _FILES.read(RECORDED) if RECORDED.is_file() else []
