"""How long examples are: in characters, or in the tokens of a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from llm_testgen.errors import UsageError
from llm_testgen.tuning.data.examples import Example
from llm_testgen.tuning.data.instructions import missing_extra


def characters(example: Example) -> int:
    """Characters of a conversation and its answer."""
    return sum(len(turn.content) for turn in (*example.prompt, *example.completion))


def tokens_by(named: str) -> Callable[[Example], int]:
    """What counts the tokens of an example as a model's chat template renders it.

    Args:
        named: A folder with a tokenizer, a GGUF file, or a model of the hub.

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
        text = tokenizer.apply_chat_template(turns, tokenize=False)
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
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        msg = f"there is no tokenizer to be had of {named} ({reason}): pass a folder, a GGUF file or a model of the hub"
        raise UsageError(msg) from error
