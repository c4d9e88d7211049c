"""Conversations as tokens: the model's own chat template, and labels on the answer alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from llm_testgen.errors import UsageError
from llm_testgen.tuning.training.records import Record
from llm_testgen.tuning.training.settings import TooLong

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MOST_WORDS = 200
_LETTER = "a"
# What tokens seldom go on from.
_BEFORE = ("\n", ")")


@dataclass(frozen=True, slots=True)
class Tokens:
    """An example as a model sees it.

    Attributes:
        ids: Of the conversation, then of the answer.
        prompt: How many of them the model is given, which are not learned: the conversation's, and those of what its
            answer is begun with.
    """

    ids: tuple[int, ...]
    prompt: int

    @property
    def answer(self) -> int:
        """How many tokens are learned."""
        return len(self.ids) - self.prompt


def require_template(tokenizer: PreTrainedTokenizerBase, model: str) -> None:
    """See that a tokenizer has a chat template.

    Raises:
        UsageError: It has none.
    """
    if not tokenizer.chat_template:
        msg = (
            f"the tokenizer of {model} has no chat template, which says how a conversation is written for it: name a "
            "model that was made to follow instructions, or set chat_template and save the tokenizer with the model"
        )
        raise UsageError(msg)


def tokenise(tokenizer: PreTrainedTokenizerBase, record: Record) -> Tokens:
    """One example as tokens.

    The conversation is written as when a model is asked, with what the answer is begun with, so that it learns to go on
    from just that, and from the same tokens: those at a border are others than in the middle of a text. The answer
    ends with what ends a turn, and not with the template's white space after it.

    Raises:
        UsageError: The template does not take the conversation.
    """
    prompt = _written(tokenizer, record.turns, record, more=True)
    whole = _written(tokenizer, (*record.turns, {"role": "assistant", "content": record.answer}), record, more=False)
    end = str(tokenizer.eos_token or "")
    # Some templates write a turn that is asked for otherwise than one that is there, with a place to think, say.
    answer = whole.removeprefix(prompt) if whole.startswith(prompt) else record.answer + end
    answer = record.answer + end if answer.strip() == record.answer.strip() else answer.rstrip()
    given = record.prefill if answer.startswith(record.prefill) else ""
    before = prompt + given
    ids, learned = _ids(tokenizer, before), _ids_behind(tokenizer, before, answer.removeprefix(given))
    return Tokens((*ids, *learned), len(ids))


def fit(examples: Iterable[Tokens], length: int, too_long: TooLong) -> tuple[tuple[Tokens, ...], Counter[str]]:
    """Examples that are no longer than they may be, and what became of the others, by reason."""
    kept: list[Tokens] = []
    counts: Counter[str] = Counter()
    for one in examples:
        if len(one.ids) <= length:
            kept.append(one)
        elif too_long is TooLong.LEAVE_OUT:
            counts[f"left out: longer than {length:,} tokens"] += 1
        elif one.prompt >= length:
            counts[f"left out: its conversation alone has {length:,} tokens"] += 1
        else:
            counts[f"cut to {length:,} tokens"] += 1
            kept.append(Tokens(one.ids[:length], one.prompt))
    return tuple(kept), counts


def require_some(kept: Sequence[Tokens], examples: Sequence[Tokens], length: int) -> None:
    """See that something is left to train on.

    Raises:
        UsageError: All examples are too long; the message says which length would do for half of them.
    """
    if not kept:
        half = sorted(len(one.ids) for one in examples)[len(examples) // 2]
        msg = (
            f"none of the {len(examples)} examples fits into {length:,} tokens; half of them have {half:,} or fewer: "
            f"pass --length {half}, or make shorter examples"
        )
        raise UsageError(msg)


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _ids_behind(tokenizer: PreTrainedTokenizerBase, before: str, text: str) -> list[int]:
    """Tokens of a text that goes on from another one, whose tokens are there already.

    Those of SentencePiece put a space before a text of its own, which one that goes on from another has not got. Their
    tokens are what comes in addition if both are in one piece, behind what goes before or, where the border would be
    within a token, behind something that no token goes on from.
    """
    own = _ids(tokenizer, text)
    if not _puts_something_first(tokenizer):
        return own
    for other in (before, *_BEFORE):
        first, both = _ids(tokenizer, other), _ids(tokenizer, other + text)
        if first and both[: len(first)] == first:
            return both[len(first) :]
    return own


def _puts_something_first(tokenizer: PreTrainedTokenizerBase) -> bool:
    once, twice = ("".join(tokenizer.convert_ids_to_tokens(_ids(tokenizer, _LETTER * count))) for count in (1, 2))
    return twice != 2 * once


def _written(tokenizer: PreTrainedTokenizerBase, turns: Sequence[dict[str, str]], record: Record, *, more: bool) -> str:
    try:
        text = tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=more)
    except (TemplateError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:_MOST_WORDS]
        msg = (
            f"{record.where}: the model's chat template does not take the conversation ({reason}): leave out what it "
            "refuses, such as a system message, or choose another model"
        )
        raise UsageError(msg) from error
    return str(text)
