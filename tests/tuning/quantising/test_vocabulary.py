from __future__ import annotations

import pytest

pytest.importorskip("gguf")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

from tests.tuning.quantising.tiny import TEMPLATE, make_tokenizer  # noqa: E402

from llm_testgen.errors import UsageError  # noqa: E402
from llm_testgen.tuning.quantising.vocabulary import vocabulary  # noqa: E402


def entries(tokenizer, rows=300):
    return {entry.key.removeprefix("tokenizer."): entry.value for entry in vocabulary(tokenizer, rows)}


def split_by(kind, *steps):
    tokenizer = make_tokenizer(kind)
    tokenizer.backend_tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(list(steps))
    return tokenizer


def byte_level(**settings):
    return tokenizers.pre_tokenizers.ByteLevel(**({"add_prefix_space": False} | settings))


def test_tokens_their_kinds_and_merges_are_those_of_the_tokenizer():
    tokenizer = make_tokenizer("qwen2")
    found = entries(tokenizer)
    names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    assert found["ggml.tokens"] == [*names, *(f"[PAD{number}]" for number in range(len(tokenizer), 300))]
    assert found["ggml.token_type"][:4] == [3, 3, 3, 1]
    assert set(found["ggml.token_type"][len(tokenizer) :]) == {5}
    first, second = found["ggml.merges"][0].split(" ")
    assert first + second in tokenizer.get_vocab()
    assert found["chat_template"] == TEMPLATE


def test_special_tokens_and_what_is_put_around_a_text():
    tokenizer = make_tokenizer("llama")
    found = entries(tokenizer)
    assert found["ggml.eos_token_id"] == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert found["ggml.padding_token_id"] == 0
    assert "ggml.bos_token_id" not in found
    assert found["ggml.add_bos_token"] is False
    tokenizer.bos_token = "<|im_start|>"  # noqa: S105 - of text
    start = tokenizer.convert_tokens_to_ids("<|im_start|>")
    tokenizer.backend_tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<|im_start|> $A", pair="<|im_start|> $A $B", special_tokens=[("<|im_start|>", start)]
    )
    found = entries(tokenizer)
    assert found["ggml.add_bos_token"] is True
    assert found["ggml.add_eos_token"] is False


def test_tokens_that_were_added_but_are_not_special_stay_whole_too():
    tokenizer = make_tokenizer("qwen2")
    tokenizer.add_tokens(["<think>"])
    found = entries(tokenizer)
    number = found["ggml.tokens"].index("<think>")
    assert found["ggml.token_type"][number] == 4


def test_tokens_that_look_special_are_even_where_the_tokenizer_does_not_say_so():
    """Else llama.cpp would write them into replies, and read them in the code that it is shown."""
    tokenizer = make_tokenizer("qwen2")
    tokenizer.add_tokens(["<|fim_pad|>", "<tool_call>"])
    found = entries(tokenizer)
    types = dict(zip(found["ggml.tokens"], found["ggml.token_type"], strict=True))
    assert (types["<|fim_pad|>"], types["<tool_call>"]) == (3, 4)


@pytest.mark.parametrize(
    ("tokenizer", "name"),
    [
        (lambda: make_tokenizer("qwen2"), "qwen2"),
        (lambda: make_tokenizer("llama"), "llama-bpe"),
        (lambda: split_by("qwen2", byte_level()), "gpt-2"),
        (lambda: split_by("qwen2", tokenizers.pre_tokenizers.Digits(individual_digits=True), byte_level()), "smollm"),
    ],
    ids=["qwen2", "llama-bpe", "gpt-2", "smollm"],
)
def test_the_way_text_is_split_has_llama_cpps_name(tokenizer, name):
    assert entries(tokenizer())["ggml.pre"] == name


@pytest.mark.parametrize(
    "steps",
    [
        lambda: [tokenizers.pre_tokenizers.Split(tokenizers.Regex("[a-z]+"), "isolated"), byte_level(use_regex=False)],
        lambda: [byte_level(add_prefix_space=True)],
        lambda: [tokenizers.pre_tokenizers.Digits(individual_digits=False), byte_level()],
        lambda: [tokenizers.pre_tokenizers.Whitespace(), byte_level()],
    ],
    ids=["pattern", "space", "digits", "whitespace"],
)
def test_other_ways_to_split_are_refused(steps):
    with pytest.raises(UsageError, match="splits text has no name here"):
        vocabulary(split_by("qwen2", *steps()), 300)


def test_tokenizers_that_do_not_merge_bytes_are_refused():
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a"))  # noqa: S106 - of text
    pieces = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True))
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    for made in (words, pieces):
        with pytest.raises(UsageError, match="is no byte-level BPE"):
            vocabulary(transformers.PreTrainedTokenizerFast(tokenizer_object=made), 300)
    with pytest.raises(UsageError, match="is no byte-level BPE"):
        vocabulary(object(), 300)
