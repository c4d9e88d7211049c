"""Examples: a conversation and the answer to it, one JSON object a line.

It is the conversational prompt-completion form of trl's trainers, which compute the loss on the completion alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm_testgen.errors import UsageError
from llm_testgen.records import Message

UNKNOWN = "unknown"
_DIGITS = 16


class Origin(StrEnum):
    """Where an example comes from."""

    MINED = "mined"
    SAMPLED = "sampled"
    SESSION = "session"
    INSTRUCTIONS = "instructions"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Turn(_Record):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class About(_Record):
    """What an example is about.

    Attributes:
        origin: Where it comes from.
        project: The project, or the data set of instructions.
        version: Of the project; empty where there is none.
        licence: SPDX expression, or as the project words it; ``unknown`` where it does not say.
        target: ``path::qualname`` of the method that is tested; empty for an instruction.
        test: ``path::qualname`` of the tests that the answer was made from, separated by spaces; or their names.
        author: The model that wrote the answer; empty where people did, or where it is not known.
        digest: Of the conversation and its answer.
    """

    origin: Origin
    project: str
    version: str = ""
    licence: str
    target: str = ""
    test: str = ""
    author: str = ""
    digest: str = ""


class Example(_Record):
    """A conversation, its answer, and what it is about.

    Attributes:
        prompt: The conversation.
        completion: The answer, as the only turn.
        prefill: What the answer begins with that a model is given, and does not write; may be empty.
        meta: What it is about.
    """

    prompt: Annotated[tuple[Turn, ...], Field(min_length=1)]
    completion: Annotated[tuple[Turn, ...], Field(min_length=1, max_length=1)]
    prefill: str = ""
    meta: About

    @property
    def answer(self) -> str:
        """The text of the answer."""
        return self.completion[0].content

    @property
    def text(self) -> str:
        """All that a model reads and is to write."""
        return "\n".join(turn.content for turn in (*self.prompt, *self.completion))


def make_example(messages: Iterable[Message], answer: str, about: About, prefill: str = "") -> Example:
    """An example with its digest.

    Args:
        messages: The conversation.
        answer: The whole reply, with what our prompt begins it with.
        about: What it is about; its digest is filled in.
        prefill: What our prompt begins the reply with; of an answer that begins otherwise nothing is given.
    """
    prompt = tuple(Turn.model_validate({"role": one.role, "content": _writable(one.content)}) for one in messages)
    completion = (Turn(role="assistant", content=_writable(answer)),)
    said = json.dumps([turn.model_dump() for turn in (*prompt, *completion)])
    digest = hashlib.sha256(said.encode()).hexdigest()[:_DIGITS]
    begun = _writable(prefill)
    return Example(
        prompt=prompt,
        completion=completion,
        prefill=begun if completion[0].content.startswith(begun) else "",
        meta=about.model_copy(update={"digest": digest}),
    )


def as_lines(examples: Iterable[Example]) -> str:
    """Examples as JSON Lines."""
    return "".join(f"{example.model_dump_json()}\n" for example in examples)


def read_examples(path: Path) -> tuple[Example, ...]:
    """The examples of a file of JSON Lines.

    Raises:
        UsageError: It cannot be read, or holds something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        return tuple(Example.model_validate_json(line) for line in lines if line)
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}): make it anew with `llm-testgen tune data`"
        raise UsageError(msg) from error
    except (ValidationError, UnicodeDecodeError) as error:
        msg = f"{path} holds no examples of this version: delete it and make it anew with `llm-testgen tune data`"
        raise UsageError(msg) from error


def _writable(text: str) -> str:
    """A text without halves of characters, which no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
