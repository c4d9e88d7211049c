"""A tokenizer as a GGUF file has it: byte-level BPE, with the name by which llama.cpp knows how its text is split."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from gguf import GGUFValueType, TokenType
from gguf.constants import Keys

from llm_testgen.errors import UsageError
from llm_testgen.tuning.quantising.files import Entry

_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
# How text is split before it is merged; llama.cpp has each of them under a name (src/llama-vocab.cpp).
_BY_PATTERN: Mapping[str, str] = MappingProxyType(
    {
        rf"{_ENDINGS}|{_WORDS}|\p{{N}}|{_REST}": "qwen2",
        rf"{_ENDINGS}|{_WORDS}|\p{{N}}{{1,3}}|{_REST}": "llama-bpe",
    }
)
_BYTES = 256  # each is a token; of a model without tokenizer transformers makes an empty one
# Not all that are meant so are said to be; as does_token_look_special of llama.cpp's converter has it.
_LOOKS_SPECIAL = re.compile(r"<[|\uff5c].*[|\uff5c]>|<unused.*>|<pad>|<mask>|<2mass>|\[@BOS@\]", re.DOTALL)
_GPT2 = "gpt-2"
_DIGITS_APART = "smollm"
_ELSE = "pass --tokenizer a GGUF file of the same model"
_SPECIAL = (
    ("bos_token_id", Keys.Tokenizer.BOS_ID),
    ("eos_token_id", Keys.Tokenizer.EOS_ID),
    ("unk_token_id", Keys.Tokenizer.UNK_ID),
    ("pad_token_id", Keys.Tokenizer.PAD_ID),
)


def vocabulary(tokenizer: Any, rows: int) -> tuple[Entry, ...]:  # noqa: ANN401 - transformers' tokenizers have many classes
    """The metadata that holds a tokenizer and its chat template.

    Args:
        tokenizer: As transformers loads it.
        rows: Of the embeddings; tokens that are fewer are filled up with unused ones.

    Raises:
        UsageError: It is no byte-level BPE, splits text in a way that has no name here, or has too many tokens.
    """
    parts = _parts(tokenizer)
    tokens, types = _tokens(parts, rows)
    strings, numbers = GGUFValueType.STRING, GGUFValueType.INT32
    merges = [one if isinstance(one, str) else " ".join(one) for one in parts["model"]["merges"]]
    return (
        Entry(Keys.Tokenizer.MODEL, "gpt2", strings),
        Entry(Keys.Tokenizer.PRE, _name_of_split(parts), strings),
        Entry(Keys.Tokenizer.LIST, tokens, GGUFValueType.ARRAY, strings),
        Entry(Keys.Tokenizer.TOKEN_TYPE, types, GGUFValueType.ARRAY, numbers),
        *([Entry(Keys.Tokenizer.MERGES, merges, GGUFValueType.ARRAY, strings)] if merges else []),
        *_special(tokenizer),
    )


def _parts(tokenizer: Any) -> dict[str, Any]:  # noqa: ANN401
    """What the tokenizer is made of, as its library writes it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    parts: dict[str, Any] = json.loads(backend.to_str()) if backend is not None else {}
    model = parts.get("model") or {}
    kinds = {part["type"] for part in _sequence(parts.get("pre_tokenizer"), "pretokenizers")}
    if model.get("type") != "BPE" or "ByteLevel" not in kinds or model.get("byte_fallback"):
        msg = f"{type(tokenizer).__name__} is no byte-level BPE, which is the one kind that is written here: {_ELSE}"
        raise UsageError(msg)
    if len(model["vocab"]) < _BYTES:
        msg = f"there is no tokenizer beside the weights, or one without the bytes: save it there, or {_ELSE}"
        raise UsageError(msg)
    return parts


def _sequence(part: Mapping[str, Any] | None, key: str) -> list[Mapping[str, Any]]:
    if part is None:
        return []
    return list(part[key]) if part["type"] == "Sequence" else [part]


def _name_of_split(parts: Mapping[str, Any]) -> str:
    steps = _sequence(parts["pre_tokenizer"], "pretokenizers")
    *before, last = steps
    if last["type"] == "ByteLevel" and not last.get("add_prefix_space"):
        if not before and last.get("use_regex", True):
            return _GPT2
        if len(before) == 1:
            (first,) = before
            pattern = str((first.get("pattern") or {}).get("Regex"))
            if pattern in _BY_PATTERN and first.get("behavior") == "Isolated" and not last.get("use_regex", True):
                return _BY_PATTERN[pattern]
            if first["type"] == "Digits" and first.get("individual_digits") and last.get("use_regex", True):
                return _DIGITS_APART
    msg = f"the way in which the tokenizer splits text has no name here that llama.cpp knows: {_ELSE}"
    raise UsageError(msg)


def _tokens(parts: Mapping[str, Any], rows: int) -> tuple[list[str], list[int]]:
    by_number = {number: (token, TokenType.NORMAL) for token, number in parts["model"]["vocab"].items()}
    for added in parts.get("added_tokens") or ():
        controls = added["special"] or _LOOKS_SPECIAL.fullmatch(added["content"])
        kind = TokenType.CONTROL if controls else TokenType.USER_DEFINED
        by_number[added["id"]] = (added["content"], kind)
    if max(by_number) >= rows:
        msg = f"the tokenizer has {max(by_number) + 1} tokens and the model {rows}: use the one it was trained with"
        raise UsageError(msg)
    for number in range(rows):
        unused = f"[PAD{number}]"  # as llama.cpp's converter calls them, and as they come back from its files
        if by_number.get(number, (unused, TokenType.NORMAL)) == (unused, TokenType.NORMAL):
            by_number[number] = (unused, TokenType.UNUSED)
    made = [by_number[number] for number in range(rows)]
    return [token for token, _ in made], [int(kind) for _, kind in made]


def _special(tokenizer: Any) -> Iterator[Entry]:  # noqa: ANN401
    for attribute, key in _SPECIAL:
        number = getattr(tokenizer, attribute, None)
        if number is not None:
            yield Entry(key, int(number), GGUFValueType.UINT32)
    added, bare = tokenizer.encode("a"), tokenizer.encode("a", add_special_tokens=False)
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    adds_start = start is not None and added[:1] == [start] and bare[:1] != [start]
    adds_end = end is not None and added[-1:] == [end] and bare[-1:] != [end]
    yield Entry(Keys.Tokenizer.ADD_BOS, adds_start, GGUFValueType.BOOL)
    yield Entry(Keys.Tokenizer.ADD_EOS, adds_end, GGUFValueType.BOOL)
    template = getattr(tokenizer, "chat_template", None)
    template = template.get("default") if isinstance(template, dict) else template
    if template:
        yield Entry(Keys.Tokenizer.CHAT_TEMPLATE, str(template), GGUFValueType.STRING)
