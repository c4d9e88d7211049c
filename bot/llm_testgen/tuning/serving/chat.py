"""Answers of a mixture to chats, drawn with transformers just as llama.cpp's server draws those of a GGUF file.

So that what the two serve can be compared: the same prompt, the same ends of a reply, and the same way of drawing where
a request leaves it open (``common/common.h``, ``common/chat.cpp``, ``src/llama-vocab.cpp`` and
``tools/server/server-context.cpp`` of llama.cpp; `request` has what it says of a request). A seed gives other numbers
there than here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    MinPLogitsWarper,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from llm_testgen.tuning.mixtures.experts import is_base
from llm_testgen.tuning.mixtures.storage import base_of, from_pretrained
from llm_testgen.tuning.serving.request import Request
from llm_testgen.tuning.training.devices import has_gpu
from llm_testgen.tuning.training.models import find_base, load_base, precision_of, require_memory_to_load
from llm_testgen.tuning.training.settings import Precision

# What llama.cpp draws from unless a request says otherwise.
_TOP_K, _MIN_P = 40, 0.05
# Tokens that end a reply wherever they are in a vocabulary, whatever it says itself, as in llama.cpp.
_ENDS = (
    *("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>", "</s>"),
    *("<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<eos>", "<end_of_utterance>", "<\uff5cend\u2581of\u2581sentence\uff5c>"),
    *("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"),
    *("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>"),
)
_MARGIN = 4  # tokens that are looked at before those that a stop text can have
_MOST_BEFORE = 4  # tokens that the last character before others can have
_NO_CHARACTER = "\ufffd"  # what part of one is decoded to


class RefusedError(Exception):
    """The request cannot be answered; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply.

    Attributes:
        text: With what it was begun with, and without what ended it.
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


def other_base(weights: Path, mixture: Path) -> str:
    """What to say where a mixture was trained for a model of another name; empty where it was not.

    Raises:
        UsageError: The folder holds no mixture.
    """
    trained_for = base_of(mixture)
    if is_base(trained_for, str(weights)):
        return ""
    return (
        f"the mixture in {mixture} was trained for {trained_for}, and this is {weights}: unless that is the same model "
        "under another name, its replies are worth nothing"
    )


def load(weights: Path, mixture: Path, threads: int, precision: Precision | None = None) -> Served:
    """Load a model, and put a mixture into it.

    Args:
        weights: A GGUF file, or a folder of transformers.
        mixture: The folder of a mixture.
        threads: That compute, where there is no GPU.
        precision: Of the weights; None for what this machine is faster with.

    Raises:
        UsageError: One of them cannot be read, they do not belong together, or there is not enough memory.
    """
    torch.set_num_threads(threads)
    base = find_base(str(weights))
    chosen = precision or precision_of(Precision.AUTO)
    require_memory_to_load(base, chosen)
    model = load_base(base, chosen)
    # The file may have another name here than where the mixture was trained; its shapes are checked in any case.
    from_pretrained(model, mixture, any_base=True)
    # Transformers would fill up ours with the model's own, such as a penalty for repeating, that llama.cpp has not.
    model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call,unused-ignore]
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

    def answer(self, request: Request, wanted: Callable[[], bool] = lambda: True) -> Answer:
        """Draw a reply.

        Args:
            request: What is asked.
            wanted: Whether someone still waits for the reply; asked at each token, and drawing ends once it is not so.

        Raises:
            RefusedError: The prompt does not fit, or the model's chat template does not take the chat.
        """
        model, tokenizer = self.served.model, self.served.tokenizer
        ids = self._ids(request)
        room = self.context_tokens - len(ids)
        if room < 1:
            msg = f"the prompt has {len(ids):,} tokens, more than the context of {self.context_tokens:,} has room for"
            raise RefusedError(msg)
        if request.seed is not None:
            torch.manual_seed(request.seed)  # type: ignore[no-untyped-call,unused-ignore]
        watch = _Watch(tokenizer, len(ids), request.stops, wanted)
        inputs = torch.tensor([ids], device=model.device)
        with torch.inference_mode():
            output: Any = model.generate(  # type: ignore[operator,unused-ignore]  # a mixin's
                inputs,
                attention_mask=torch.ones_like(inputs),
                generation_config=_how(request, tokenizer, min(request.max_tokens or room, room)),
                logits_processor=_drawing(request),
                stopping_criteria=StoppingCriteriaList([watch]),
            )
        drawn = output[0].tolist()[len(ids) :]
        ended = bool(drawn) and drawn[-1] in _ends(tokenizer) and not request.ignore_eos
        text = _text_behind(tokenizer, ids, drawn[:-1] if ended else drawn)
        cut = min((text.find(stop) for stop in request.stops if stop in text), default=None)
        return Answer(
            # The beginning comes first, as llama.cpp sends it: else a client cannot tell that it was continued.
            text=request.begun + text[:cut],
            truncated=not ended and cut is None,
            tokens_in=len(ids),
            tokens_out=len(drawn),
            reading=watch.first - watch.started,
            writing=watch.last - watch.first,
        )

    def _ids(self, request: Request) -> list[int]:
        """The prompt's tokens.

        Templates may write an answer that is there otherwise than one that is asked for, and so what it begins with is
        put behind the latter, as in training.
        """
        turns = [turn.model_dump() for turn in request.messages]
        if turns[-1]["role"] == "assistant":
            turns.pop()
        tokenizer = self.served.tokenizer
        try:
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        # A template may take no chat that is empty, and fails in its own way.
        except (TemplateError, ValueError, TypeError, LookupError) as error:
            msg = f"the model's chat template does not take the chat: {' '.join(str(error).split())[:200]}"
            raise RefusedError(msg) from error
        return list(tokenizer(f"{text}{request.begun}", add_special_tokens=False)["input_ids"])


class _Watch(StoppingCriteria):
    """Ends a reply at a stop text, and where nobody waits for it any more; notes when tokens came.

    Transformers' own criterion for texts looks at the prompt too: a stop text that begins there would end the reply.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, prompt: int, stops: tuple[str, ...], wanted: Callable[[], bool]
    ) -> None:
        self.started = self.first = self.last = time.monotonic()
        self._tokenizer, self._prompt, self._stops, self._wanted = tokenizer, prompt, stops, wanted
        self._most = _MARGIN + max((len(stop.encode()) for stop in stops), default=0)
        self._any = False

    def __call__(self, input_ids: torch.LongTensor, _scores: torch.FloatTensor, **_: Any) -> torch.BoolTensor:  # noqa: ANN401 - transformers'
        self.last = time.monotonic()
        if not self._any:
            self.first, self._any = self.last, True
        ends = self._is_at_stop(input_ids) or not self._wanted()
        return torch.full((input_ids.shape[0],), ends, dtype=torch.bool, device=input_ids.device)  # type: ignore[return-value]

    def _is_at_stop(self, input_ids: torch.LongTensor) -> bool:
        if not self._stops:
            return False
        tokens: list[int] = input_ids[0].tolist()
        begin = max(self._prompt, len(tokens) - self._most)
        last = _text_behind(self._tokenizer, tokens[:begin], tokens[begin:])
        return any(stop in last for stop in self._stops)


def _text_behind(tokenizer: PreTrainedTokenizerBase, before: list[int], tokens: list[int]) -> str:
    """What tokens say behind others, every space as it is.

    Tokenizers like SentencePiece's leave out the space that the first token begins with, and so the last character of
    what goes before is decoded with them.
    """
    for count in range(1, _MOST_BEFORE + 1):
        begun = _text(tokenizer, before[-count:])
        whole = _text(tokenizer, [*before[-count:], *tokens])
        if _NO_CHARACTER not in begun and whole.startswith(begun):
            return whole[len(begun) :]
    return _text(tokenizer, tokens)


def _text(tokenizer: PreTrainedTokenizerBase, tokens: list[int]) -> str:
    """What tokens say: some tokenizers would tidy up their spaces."""
    return str(tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _drawing(request: Request) -> LogitsProcessorList:
    """What is left to draw from, in llama.cpp's order: the temperature comes last, and widens no choice."""
    if not request.temperature:
        return LogitsProcessorList()
    return LogitsProcessorList(
        [
            TopKLogitsWarper(_TOP_K),
            TopPLogitsWarper(request.top_p),
            MinPLogitsWarper(_MIN_P),
            TemperatureLogitsWarper(request.temperature),
        ]
    )


def _how(request: Request, tokenizer: PreTrainedTokenizerBase, most: int) -> GenerationConfig:
    """How a reply is drawn, but for what `_drawing` says."""
    ends = sorted(_ends(tokenizer))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else (ends or [0])[0]
    # Else transformers has a top-k of its own.
    drawn = {"temperature": 1.0, "top_k": 0, "top_p": 1.0} if request.temperature else {}
    least = {"min_new_tokens": most} if request.ignore_eos else {}
    # The class has no types.
    return GenerationConfig(  # type: ignore[no-untyped-call,unused-ignore]
        max_new_tokens=most,
        eos_token_id=ends or None,
        pad_token_id=pad,
        do_sample=bool(request.temperature),
        **drawn,
        **least,
    )


def _ends(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Tokens that end a reply: the tokenizer's own, and those that do so by their names."""
    found = {tokenizer.eos_token_id}
    for name in _ENDS:
        number = tokenizer.convert_tokens_to_ids(name)
        # For a name that is not there some tokenizers give the token that stands for all unknown ones.
        if isinstance(number, int) and tokenizer.convert_ids_to_tokens(number) == name:
            found.add(number)
    return {number for number in found if isinstance(number, int)}
