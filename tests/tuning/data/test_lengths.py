from __future__ import annotations

import pytest

from llm_testgen.errors import UsageError
from llm_testgen.records import Message
from llm_testgen.tuning.data.examples import About, Origin, make_example
from llm_testgen.tuning.data.lengths import characters, tokens_by

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")

ABOUT = About(origin=Origin.MINED, project="box", licence="MIT")
EXAMPLE = make_example([Message("user", "say it")], "it is", ABOUT)
TEMPLATE = "{% for message in messages %}<s> {{ message['content'] }} {% endfor %}"


def tokenizer(folder, template):
    words = {word: number for number, word in enumerate(["?", "<s>", "say", "it", "is"])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="?"))  # noqa: S106
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=made, unk_token="?")  # noqa: S106
    fast.chat_template = template
    fast.save_pretrained(folder)
    return str(folder)


def test_characters_are_those_of_all_turns():
    assert characters(EXAMPLE) == len("say it") + len("it is")


def test_tokens_are_those_of_the_rendered_conversation(tmp_path):
    assert tokens_by(tokenizer(tmp_path, TEMPLATE))(EXAMPLE) == 6


def test_a_tokenizer_without_a_chat_template_is_refused(tmp_path):
    with pytest.raises(UsageError, match="has no chat template"):
        tokens_by(tokenizer(tmp_path, None))


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no tokenizer to be had of"):
        tokens_by(str(tmp_path / "none"))
