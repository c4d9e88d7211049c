import asyncio
import hashlib
import json

import pytest
from click.testing import CliRunner
from tests.edges.fake_openai import PREFILL, FakeOpenAI, completion, make_prompt

from llm_testgen.commands.models import ModelOptions, models, open_model
from llm_testgen.edges import weights
from llm_testgen.edges.models import HubModel, Sampling
from llm_testgen.edges.replay import Recorder, ReplayModel
from llm_testgen.edges.weights import Weights
from llm_testgen.errors import ModelError, UsageError

CONTENT = b"weights"
SAMPLING = Sampling(0.0, None, 100)


def opened(environ=None, **options):
    async def run():
        model = await open_model(ModelOptions(**options), environ or {}, lambda *_: None)
        await model.close()
        return model

    return asyncio.run(run())


@pytest.fixture
def replies(tmp_path):
    path = tmp_path / "replies.jsonl"
    path.write_text('{"target": null, "reply": "recorded"}\n')
    return path


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A table of one embedded model, whose file lies in the cache."""
    model = Weights("tiny", "tiny.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "MIT", None, ())
    monkeypatch.setattr(weights, "EMBEDDED_MODELS", (model,))
    monkeypatch.setattr(weights, "DEFAULT_MODEL", model)
    monkeypatch.setenv("LLM_TESTGEN_CACHE", str(tmp_path))
    (tmp_path / model.file).write_bytes(CONTENT)
    return tmp_path / model.file


def test_a_replay_answers_from_its_file(replies):
    assert isinstance(opened(replay=replies), ReplayModel)


def test_an_endpoint_gets_its_own_key_and_never_the_hugging_face_token():
    async def run(url):
        environ = {"HF_TOKEN": "hf_secret", "LLM_API_KEY": " own-key\n"}
        model = await open_model(ModelOptions(endpoint=url, model="some/model"), environ, lambda *_: None)
        await model.reply(make_prompt(), SAMPLING)
        await model.close()

    with FakeOpenAI.scripted(completion("x")) as fake:
        asyncio.run(run(fake.url))
    assert fake.requests[0].headers["authorization"] == "Bearer own-key"
    assert fake.requests[0].body["model"] == "some/model"


def test_a_model_id_alone_is_asked_through_inference_providers():
    model = opened({"HF_TOKEN": "hf_x"}, model="Qwen/Qwen2.5-Coder-32B-Instruct")
    assert isinstance(model, HubModel)
    assert model.name == "Qwen/Qwen2.5-Coder-32B-Instruct"


@pytest.mark.parametrize("environ", [{}, {"HF_TOKEN": " "}, {"LLM_API_KEY": "x"}])
def test_without_a_token_the_person_is_told_how_to_get_one_or_do_without(environ):
    with pytest.raises(UsageError, match=r"HF_TOKEN.*settings/tokens.*leave --model out"):
        opened(environ, model="org/model")


def test_neither_model_nor_endpoint_means_the_embedded_default(tiny):
    with pytest.raises(ModelError, match=r"tiny\.gguf cannot be served|llm-testgen\[local\]"):
        opened({"LLM_TESTGEN_CACHE": str(tiny.parent)})


def test_an_embedded_models_name_means_that_one_even_with_a_token(tiny):
    with pytest.raises(ModelError, match=r"tiny\.gguf cannot be served|llm-testgen\[local\]"):
        opened({"LLM_TESTGEN_CACHE": str(tiny.parent), "HF_TOKEN": "hf_x"}, model="TINY")


@pytest.mark.parametrize("options", [{"endpoint": "http://127.0.0.1:1"}, {"model": "tiny"}])
def test_a_replay_next_to_a_model_is_a_contradiction(replies, options):
    with pytest.raises(UsageError, match=next(iter(options))):
        opened(replay=replies, **options)


def test_an_adapter_next_to_an_endpoint_is_told_to_the_server_instead(tmp_path):
    with pytest.raises(UsageError, match=r"--lora-modules NAME=FOLDER\) and pass --model NAME"):
        opened(endpoint="http://127.0.0.1:1", adapter=tmp_path)


def test_an_adapter_next_to_a_replay_is_a_contradiction(replies):
    with pytest.raises(UsageError, match="leave --adapter out"):
        opened(replay=replies, adapter=replies)


def test_an_adapter_cannot_be_put_on_a_model_elsewhere(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    with pytest.raises(UsageError, match="org/model is none; pass a GGUF file, or for a mixture a folder"):
        opened({"HF_TOKEN": "hf_x"}, model="org/model", adapter=tmp_path / "a.gguf")


def test_a_file_of_ones_own_is_served_with_an_adapter(tmp_path):
    for name in ("m.gguf", "a.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"m\.gguf with the adapter \S+a\.gguf cannot be served|llm-testgen\[local\]"):
        opened(model=str(tmp_path / "m.gguf"), adapter=tmp_path / "a.gguf")


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("options", "inside"),
    [
        ({}, True),
        ({"model": "tiny"}, True),
        ({"model": "own.gguf"}, True),
        ({"model": "org/model"}, False),
        ({"endpoint": "http://127.0.0.1:1"}, False),
        ({"model": "own.gguf", "endpoint": "http://127.0.0.1:1"}, False),
    ],
)
def test_what_runs_inside_the_job_needs_the_engine(options, inside):
    assert ModelOptions(**options).runs_inside == inside


@pytest.mark.usefixtures("tiny")
def test_a_folder_of_transformers_runs_inside_the_job_with_an_adapter_alone(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert ModelOptions(model=str(tmp_path), adapter=tmp_path).runs_inside
    assert not ModelOptions(model=str(tmp_path)).runs_inside


def test_a_recording_may_not_overwrite_the_replay_that_it_records(replies):
    with pytest.raises(UsageError, match="--record would write over"):
        opened(replay=replies, record=replies)
    assert "recorded" in replies.read_text()


def test_what_is_recorded_from_a_server_replays_without_it(tmp_path):
    path = tmp_path / "recorded.jsonl"

    async def ask(options):
        model = await open_model(options, {}, lambda *_: None)
        reply = await model.reply(make_prompt(), SAMPLING)
        await model.close()
        return model, reply

    with FakeOpenAI.scripted(completion("one():\n    pass\n", finish="length", usage=(9, 8))) as fake:
        recorder, said = asyncio.run(ask(ModelOptions(endpoint=fake.url, model="m", record=path)))
    assert isinstance(recorder, Recorder)
    _, again = asyncio.run(ask(ModelOptions(replay=path)))
    assert said.text == again.text == PREFILL + "one():\n    pass\n"
    assert (again.usage.tokens_in, again.usage.tokens_out, again.truncated, again.model) == (9, 8, True, "m")
    assert json.loads(path.read_text())["target"] == "pkg/size.py::human"


def test_a_recording_that_cannot_be_written_is_refused(replies, tmp_path):
    with pytest.raises(UsageError, match="--record"):
        opened(replay=replies, record=tmp_path / "absent" / "r")


def test_the_list_shows_size_licence_cache_and_default(monkeypatch, tmp_path):
    monkeypatch.setenv("LLM_TESTGEN_CACHE", str(tmp_path))
    result = CliRunner().invoke(models)
    assert result.exit_code == 0
    assert f"cache: {tmp_path}\n" in result.output
    assert "default: qwen2.5-coder-1.5b-instruct" in result.output
    rows = [line.split() for line in result.output.splitlines()[1:4]]
    assert [row[0] for row in rows] == [model.name for model in weights.EMBEDDED_MODELS]
    assert rows[0][1:] == ["1,117", "MB", "Apache-2.0", "no"]


def test_fetch_verifies_the_file_and_prints_where_it_is(tiny):
    result = CliRunner().invoke(models, ["fetch"])
    assert (result.exit_code, result.stdout) == (0, f"{tiny}\n")
    assert "yes" in CliRunner().invoke(models).output


def test_fetching_an_unknown_name_is_an_error_that_lists_the_known_ones():
    result = CliRunner().invoke(models, ["fetch", "gpt"])
    assert isinstance(result.exception, UsageError)
    assert "qwen2.5-coder-0.5b-instruct" in str(result.exception)
