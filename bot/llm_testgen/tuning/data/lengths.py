"""How long examples are: in characters, or in the tokens of a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HTTPError as TransportError  # type: ignore[attr-defined]  # httpx's, whichever it uses
from jinja2 import TemplateError

from llm_testgen.errors import UsageError
from llm_testgen.tuning.data.examples import Example
from llm_testgen.tuning.data.instructions import missing_extra

_LONGEST_REASON = 200


def characters(example: Example) -> int:
    """Characters of a conversation and its answer."""
    return sum(len(turn.content) for turn in (*example.prompt, *example.completion))


def tokens_by(named: str) -> Callable[[Example], int]:
    """What counts the tokens of an example as a model's chat template renders it.

    Args:
        named: A folder with a tokenizer, a GGUF file, or a model of the hub.

    Returns:
        What counts; it raises UsageError where the template does not take a conversation.

    Raises:
        UsageError: There is none, or it has no chat template.
    """
    tokenizer = load_tokenizer(named)
    if not tokenizer.chat_template:
        msg = (
            f"the tokenizer of {named} has no chat template: pass that of a model that was made to follow instructions"
        )
        raise UsageError(msg)

    def count(example: Example) -> int:
        turns = [turn.model_dump() for turn in (*example.prompt, *example.completion)]
        try:
            text = tokenizer.apply_chat_template(turns, tokenize=False)
        except (TemplateError, ValueError, TypeError) as error:
            msg = (
                f"the chat template of {named} does not take a conversation of {example.meta.project} "
                f"({_reason(error)}): pass the --tokenizer of a model that takes all that it has, such as a system "
                "message, or none, to count characters"
            )
            raise UsageError(msg) from error
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    return count


def load_tokenizer(named: str) -> Any:  # noqa: ANN401 - the library comes with an extra
    """A model's tokenizer.

    Args:
        named: A folder with one, a GGUF file, or a model of the hub.

    Raises:
        UsageError: There is none.
    """
    try:
        from transformers import AutoTokenizer  # noqa: PLC0415 - it comes with an extra
    except ImportError as error:
        what = "lengths in tokens"
        raise missing_extra(what) from error
    path = Path(named)
    try:
        if path.suffix.lower() == ".gguf":
            return AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
        return AutoTokenizer.from_pretrained(named)
    except (TransportError, OSError, ValueError, RuntimeError, ImportError) as error:
        msg = (
            f"there is no tokenizer to be had of {named} ({_reason(error)}): pass a folder, a GGUF file or a model of "
            "the hub"
        )
        raise UsageError(msg) from error


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:_LONGEST_REASON]
