from __future__ import annotations

import pytest

from llm_testgen.bench.pulls.run import PullOptions, chosen_models
from llm_testgen.edges import weights
from llm_testgen.errors import UsageError


@pytest.fixture
def files(tmp_path):
    for name in ("own.gguf", "lora.gguf", "other.gguf"):
        (tmp_path / name).write_bytes(b"GGUF" + name.encode())
    return tmp_path


def test_without_a_name_it_is_the_default_one():
    found = chosen_models(PullOptions())
    assert list(found) == [weights.DEFAULT_MODEL.name]
    assert found[weights.DEFAULT_MODEL.name].base == weights.DEFAULT_MODEL


def test_adapters_are_put_on_the_first_model_and_stand_behind_all(files):
    own = str(files / "own.gguf")
    adapters = (files / "lora.gguf", files / "other.gguf")
    found = chosen_models(PullOptions(models=(own, "qwen2.5-coder-0.5b-instruct"), adapters=adapters))
    names = list(found)
    assert names[0].startswith("own-")
    assert names[1] == "qwen2.5-coder-0.5b-instruct"
    assert [name.rpartition("-")[0] for name in names[2:]] == [f"{names[0]}+lora", f"{names[0]}+other"]
    assert [found[name].adapter for name in names[2:]] == list(adapters)
    assert {found[name].base for name in names[2:]} == {files / "own.gguf"}


def test_a_folder_is_there_for_mixtures_and_not_compared_by_itself(files):
    base, mixture = files / "base", files / "mole"
    for folder, card in ((base, "config.json"), (mixture, "mixture.json")):
        folder.mkdir()
        (folder / card).write_text("{}")
    own = str(files / "own.gguf")
    found = chosen_models(PullOptions(models=(str(base), own), adapters=(mixture,)))
    assert [name.rpartition("-")[0] for name in found] == ["own", f"{list(found)[1].partition('+')[0]}+mole"]
    assert [model.base for model in found.values()] == [files / "own.gguf", base]
    with pytest.raises(UsageError, match=r"base does not run inside the job.*for a mixture a folder"):
        chosen_models(PullOptions(models=(str(base),), adapters=(mixture, files / "lora.gguf")))


def test_names_that_are_not_known_here_may_be_those_of_a_recording():
    assert chosen_models(PullOptions(models=("own-12345678+lora-90abcdef",))) == {"own-12345678+lora-90abcdef": None}


def test_an_endpoints_models_are_its_own(files):
    assert chosen_models(PullOptions(models=("qwen2.5-coder-0.5b-instruct",), endpoint="http://127.0.0.1:1")) == {
        "qwen2.5-coder-0.5b-instruct": None
    }
    with pytest.raises(UsageError, match="leave --adapter out"):
        chosen_models(PullOptions(adapters=(files / "lora.gguf",), endpoint="http://127.0.0.1:1"))


def test_an_adapter_cannot_be_put_on_a_model_elsewhere(files):
    with pytest.raises(UsageError, match="org/model does not run inside the job"):
        chosen_models(PullOptions(models=("org/model",), adapters=(files / "lora.gguf",)))


def test_only_a_server_is_asked_about_several_cases_at_once():
    with pytest.raises(UsageError, match="pass --endpoint"):
        chosen_models(PullOptions(at_once=2))
    assert chosen_models(PullOptions(models=("m",), at_once=2, endpoint="http://127.0.0.1:1")) == {"m": None}
