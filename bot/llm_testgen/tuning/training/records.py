"""What is trained on: conversations with answers, as ``llm-testgen tune data`` writes them, one JSON object a line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from llm_testgen.errors import UsageError
from llm_testgen.tuning.data.examples import Turn

TRAIN = "train.jsonl"
VALIDATION = "validation.jsonl"
_DIGITS = 16


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)

    role: Literal["assistant"]
    content: Annotated[str, Field(min_length=1)]


class _Chat(BaseModel):
    # Other keys, such as where it comes from, do not matter here.
    model_config = ConfigDict(frozen=True)

    prompt: Annotated[tuple[Turn, ...], Field(min_length=1)]
    completion: Annotated[tuple[_Answer, ...], Field(min_length=1, max_length=1)]
    prefill: str = ""

    @model_validator(mode="after")
    def _begins(self) -> _Chat:
        if not self.completion[0].content.removeprefix(self.prefill):
            msg = "the completion holds no more than the prefill"
            raise ValueError(msg)
        if not self.completion[0].content.startswith(self.prefill):
            msg = "the completion does not begin with the prefill"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True)
class Record:
    """A conversation and its answer.

    Attributes:
        turns: What comes before the answer, as chat templates take it.
        answer: Its text.
        where: The file and the line, for messages.
        prefill: What the answer begins with that the model is given when it is asked; may be empty.
    """

    turns: tuple[dict[str, str], ...]
    answer: str
    where: str
    prefill: str = ""


@dataclass(frozen=True, slots=True)
class Records:
    """All that is trained on.

    Attributes:
        train: What the model learns from.
        validation: What it is evaluated on; may be empty.
        digest: Of the files.
    """

    train: tuple[Record, ...]
    validation: tuple[Record, ...]
    digest: str


def read_records(source: Path) -> Records:
    """Read a data set.

    Args:
        source: The folder that ``llm-testgen tune data join`` wrote, or a file of the same form, without validation.

    Raises:
        UsageError: It cannot be read, holds something else, or nothing.
    """
    if source.is_dir():
        train, validation = source / TRAIN, source / VALIDATION
        if not train.is_file():
            msg = f"{source} holds no {TRAIN}: make it with `llm-testgen tune data join --out {source}`"
            raise UsageError(msg)
        files = [train, validation] if validation.is_file() else [train]
    else:
        files = [source]
    digest = hashlib.sha256()
    found: list[tuple[Record, ...]] = []
    for file in files:
        raw = _read(file)
        digest.update(hashlib.sha256(raw).digest())
        found.append(_parse(file, raw))
    if not found[0]:
        msg = f"{files[0]} holds no examples: make them with `llm-testgen tune data`"
        raise UsageError(msg)
    return Records(found[0], found[1] if len(found) > 1 else (), digest.hexdigest()[:_DIGITS])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}): pass --data the folder of `llm-testgen tune data`, or a file"
        raise UsageError(msg) from error


def _parse(path: Path, raw: bytes) -> tuple[Record, ...]:
    records: list[Record] = []
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            chat = _Chat.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            said = f"{where}: {first['msg']}" if where else first["msg"]
            msg = (
                f'{path}, line {number}: {said}. A line is {{"prompt": [{{"role": …, "content": …}}, …], '
                '"completion": [{"role": "assistant", "content": …}]}, as `llm-testgen tune data` writes it'
            )
            raise UsageError(msg) from error
        turns = tuple({"role": turn.role, "content": turn.content} for turn in chat.prompt)
        records.append(Record(turns, chat.completion[0].content, f"{path}, line {number}", chat.prefill))
    return tuple(records)
