"""Answers of a mixture to chats, drawn with transformers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from pydantic import BaseModel, ConfigDict, Field
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)

from llm_testgen.tuning.mixtures.storage import from_pretrained
from llm_testgen.tuning.training.devices import has_gpu
from llm_testgen.tuning.training.models import find_base, load_base, precision_of
from llm_testgen.tuning.training.settings import Precision


class Turn(BaseModel):
    """One message of a chat."""

    model_config = ConfigDict(extra="ignore")

    role: str
    content: str


class Request(BaseModel):
    """What is asked: the part of OpenAI's chat completions that is heeded here.

    Attributes:
        messages: The chat; where the last message is the assistant's, it is continued.
        max_tokens: Of the reply.
        temperature: 0 for the likeliest reply.
        seed: Makes the same request give the same reply.
        stop: Texts at which the reply ends; they are not part of it.
        ignore_eos: Whether the reply goes on where the model would end it.
    """

    model_config = ConfigDict(extra="ignore")

    messages: tuple[Turn, ...] = Field(min_length=1)
    max_tokens: int = Field(default=512, ge=1, le=65_536)
    temperature: float = Field(default=0.0, ge=0, le=2)
    seed: int | None = None
    stop: tuple[str, ...] | str | None = None
    ignore_eos: bool = False

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts at which the reply ends."""
        return (self.stop,) if isinstance(self.stop, str) else self.stop or ()


class RefusedError(Exception):
    """The request cannot be answered; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply.

    Attributes:
        text: Without what ended it.
        truncated: Whether it reached its limit.
        tokens_in: Of the prompt.
        tokens_out: Of the reply, what ended it included.
        reading: Seconds until its first token was there.
        writing: Seconds from then on.
    """

    text: str
    truncated: bool
    tokens_in: int
    tokens_out: int
    reading: float
    writing: float


@dataclass(frozen=True, slots=True)
class Served:
    """A model with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load(weights: Path, mixture: Path, threads: int, precision: Precision | None = None) -> Served:
    """Load a model, and put a mixture into it.

    Args:
        weights: A GGUF file, or a folder of transformers.
        mixture: The folder of a mixture.
        threads: That compute, where there is no GPU.
        precision: Of the weights; None for what this machine is faster with.

    Raises:
        UsageError: One of them cannot be read, or they do not belong together.
    """
    torch.set_num_threads(threads)
    base = find_base(str(weights))
    model = load_base(base, precision or precision_of(Precision.AUTO))
    # The file may lie elsewhere here than where the mixture was trained; its shapes are checked in any case.
    from_pretrained(model, mixture, any_base=True)
    model = model.to("cuda" if has_gpu() else "cpu")  # type: ignore[arg-type,unused-ignore]  # as torch has it
    return Served(model.eval(), base.tokenizer)


@dataclass(slots=True)
class Chat:
    """Answers one request at a time.

    Attributes:
        served: The model.
        context_tokens: Room for a prompt and its reply together.
    """

    served: Served
    context_tokens: int

    def answer(self, request: Request) -> Answer:
        """Draw a reply.

        Raises:
            RefusedError: The prompt does not fit, or the model's chat template does not take the chat.
        """
        model, tokenizer = self.served.model, self.served.tokenizer
        ids = self._ids(request)
        room = self.context_tokens - len(ids)
        if room < 1:
            msg = f"the prompt has {len(ids):,} tokens, more than the context of {self.context_tokens:,} has room for"
            raise RefusedError(msg)
        most = min(request.max_tokens, room)
        if request.seed is not None:
            torch.manual_seed(request.seed)  # type: ignore[no-untyped-call,unused-ignore]
        clock = _Clock()
        inputs = torch.tensor([ids], device=model.device)
        stops = request.stops
        with torch.inference_mode():
            output: Any = model.generate(  # type: ignore[operator,unused-ignore]  # a mixin's
                inputs,
                attention_mask=torch.ones_like(inputs),
                generation_config=_how(request, tokenizer, most),
                stopping_criteria=StoppingCriteriaList([clock]),
                tokenizer=tokenizer if stops else None,
            )
        drawn = output[0].tolist()[len(ids) :]
        ends = _ends(tokenizer)
        ended = bool(drawn) and drawn[-1] in ends and not request.ignore_eos
        text = str(tokenizer.decode(drawn[:-1] if ended else drawn, skip_special_tokens=True))
        cut = min((text.find(stop) for stop in stops if stop in text), default=None)
        return Answer(
            text=text if cut is None else text[:cut],
            truncated=not ended and cut is None,
            tokens_in=len(ids),
            tokens_out=len(drawn),
            reading=clock.first - clock.started,
            writing=clock.last - clock.first,
        )

    def _ids(self, request: Request) -> list[int]:
        turns = [turn.model_dump() for turn in request.messages]
        begun = turns[-1]["role"] == "assistant"
        tokenizer = self.served.tokenizer
        try:
            text = tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=not begun, continue_final_message=begun
            )
        except (TemplateError, ValueError, TypeError) as error:
            msg = f"the model's chat template does not take the chat: {' '.join(str(error).split())[:200]}"
            raise RefusedError(msg) from error
        return list(tokenizer(str(text), add_special_tokens=False)["input_ids"])


class _Clock(StoppingCriteria):
    """Never stops; notes when tokens came."""

    def __init__(self) -> None:
        self.started = self.first = self.last = time.monotonic()
        self._any = False

    def __call__(self, input_ids: torch.LongTensor, _scores: torch.FloatTensor, **_: Any) -> torch.BoolTensor:  # noqa: ANN401 - transformers'
        self.last = time.monotonic()
        if not self._any:
            self.first, self._any = self.last, True
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)  # type: ignore[return-value]


def _how(request: Request, tokenizer: PreTrainedTokenizerBase, most: int) -> GenerationConfig:
    """How a reply is drawn: nothing of the model's own settings, such as a penalty for repeating, as elsewhere."""
    ends = sorted(_ends(tokenizer))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else (ends or [0])[0]
    drawn: dict[str, Any] = {"do_sample": False}
    if request.temperature:
        drawn = {"do_sample": True, "temperature": request.temperature, "top_k": 0, "top_p": 1.0}
    least = {"min_new_tokens": most} if request.ignore_eos else {}
    # The class has no types.
    return GenerationConfig(  # type: ignore[no-untyped-call,unused-ignore]
        max_new_tokens=most,
        eos_token_id=ends or None,
        pad_token_id=pad,
        stop_strings=list(request.stops) or None,
        **drawn,
        **least,
    )


def _ends(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Tokens that end a reply: the tokenizer's own, and the one that ends a turn in its chat template."""
    found = {tokenizer.eos_token_id}
    for name in ("<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end|>"):
        number = tokenizer.convert_tokens_to_ids(name)
        if isinstance(number, int) and number != tokenizer.unk_token_id:
            found.add(number)
    return {number for number in found if isinstance(number, int)}
