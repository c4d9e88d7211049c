from __future__ import annotations

import pytest
from click.testing import CliRunner
from huggingface_hub.errors import HTTPError

from llm_testgen.errors import UsageError
from llm_testgen.records import Message
from llm_testgen.tuning.cli import tune
from llm_testgen.tuning.data import commands
from llm_testgen.tuning.data.examples import About, Origin, make_example
from llm_testgen.tuning.data.lengths import characters, tokens_by
from llm_testgen.tuning.data.pool import PartReport, Pool

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


def test_a_chat_template_that_refuses_a_conversation_is_told(tmp_path):
    template = "{{ raise_exception('System role not supported') }}"
    count = tokens_by(tokenizer(tmp_path, template))
    with pytest.raises(UsageError, match=r"conversation of box \(System role not supported\): pass the --tokenizer of"):
        count(EXAMPLE)


def test_a_connection_that_is_lost_is_told(monkeypatch):
    def lose(*_args, **_more):
        message = "lost"
        raise HTTPError(message)

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lose)
    with pytest.raises(UsageError, match=r"there is no tokenizer to be had of a/b \(lost\)"):
        tokens_by("a/b")


def test_the_name_of_an_embedded_model_means_its_file(tmp_path, monkeypatch):
    report = PartReport(name="m", key="k", origin=Origin.MINED, project="box", licence="MIT", examples=1)
    Pool(tmp_path / "data").add(report, [EXAMPLE])
    asked, folder = [], tokenizer(tmp_path / "model", TEMPLATE)

    def file_of(name, _console):
        asked.append(name)
        return folder

    monkeypatch.setattr(commands, "file_of", file_of)
    arguments = ["--out", str(tmp_path / "data"), "--work", str(tmp_path), "--allow-uncompared", "--tokenizer", "tiny"]
    done = CliRunner().invoke(tune, ["data", "join", *arguments])
    assert asked == ["tiny"]
    assert "1 examples to train on" in done.output


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no tokenizer to be had of"):
        tokens_by(str(tmp_path / "none"))
