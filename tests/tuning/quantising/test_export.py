from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

np = pytest.importorskip("numpy")
gguf = pytest.importorskip("gguf")
torch = pytest.importorskip("torch")

from tests.tuning.quantising.tiny import (  # noqa: E402
    TEXT,
    llama_cpp_answers,
    make_model,
    make_tokenizer,
    transformers_answers,
)

from llm_testgen.cli import main  # noqa: E402
from llm_testgen.errors import UsageError  # noqa: E402
from llm_testgen.tuning.quantising import files, ggml  # noqa: E402
from llm_testgen.tuning.quantising.mixes import ExportType, types_of  # noqa: E402


def export(*arguments, code=0):
    result = CliRunner().invoke(main, ["quantize", "export", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def qwen_file(tiny_qwen, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("files") / "qwen.gguf"
    export(tiny_qwen.folder, "--out", path, "--type", "f32")
    return path


def values(path: Path):
    return {tensor.name: files.numbers(tensor) for tensor in files.open_model(path).tensors}


def types(path: Path):
    return {tensor.name: tensor.tensor_type.name for tensor in files.open_model(path).tensors}


def test_llama_cpp_answers_as_transformers_does(tiny, tmp_path):
    path = tmp_path / "model.gguf"
    said = export(tiny.folder, "--out", path, "--type", "f32")
    assert "as f32" in said
    assert "32.00 bits a weight" in said
    answer = llama_cpp_answers(path, TEXT, tiny.tokens)
    assert answer["tokens"] == tiny.tokenizer(TEXT)["input_ids"]
    expected = transformers_answers(tiny.model, answer["tokens"])
    assert answer["logprobs"] == pytest.approx(expected.tolist(), abs=5e-3)
    assert answer["prompt"] == "<|im_start|>hi<|im_end|>"


def test_positions_of_llama_3_are_scaled_as_transformers_does_it(tmp_path):
    scaled = {
        "rope_type": "llama3",
        "rope_theta": 10_000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    }
    model = make_model("llama", rope_parameters=scaled)
    model.save_pretrained(tmp_path / "model")
    make_tokenizer("llama").save_pretrained(tmp_path / "model")
    export(tmp_path / "model", "--out", tmp_path / "m.gguf", "--type", "f32")
    factors = values(tmp_path / "m.gguf")["rope_freqs.weight"][0]
    assert factors[0] == 1.0
    assert factors[-1] == 8.0
    assert ((factors > 1) & (factors < 8)).any()
    answer = llama_cpp_answers(tmp_path / "m.gguf", TEXT, 300)
    expected = transformers_answers(model, answer["tokens"])
    assert answer["logprobs"] == pytest.approx(expected.tolist(), abs=5e-3)


def test_a_model_in_parts_and_in_bfloat16_gives_the_same_file(tiny_qwen, qwen_file, tmp_path):
    folder = tmp_path / "parts"
    tiny_qwen.model.save_pretrained(folder, max_shard_size="100KB")
    tiny_qwen.tokenizer.save_pretrained(folder)
    assert len(list(folder.glob("*.safetensors"))) > 1
    export(folder, "--out", tmp_path / "parts.gguf", "--type", "f32")
    assert all((found == values(qwen_file)[name]).all() for name, found in values(tmp_path / "parts.gguf").items())
    halved = make_model("qwen2").to(torch.bfloat16)
    halved.save_pretrained(tmp_path / "half")
    tiny_qwen.tokenizer.save_pretrained(tmp_path / "half")
    export(tmp_path / "half", "--out", tmp_path / "half.gguf", "--type", "bf16")
    expected = halved.model.layers[0].mlp.up_proj.weight.float().numpy(force=True)
    assert (values(tmp_path / "half.gguf")["blk.0.ffn_up.weight"] == expected).all()


@pytest.mark.parametrize(
    ("kind", "bits"), [("q8_0", 8.5), ("q5_1", 6), ("q5_0", 5.5), ("q4_1", 5), ("q4_0", 4.5), ("f16", 16), ("bf16", 16)]
)
def test_each_type_keeps_the_weights_as_well_as_its_bits_allow(qwen_file, tmp_path, kind, bits):
    out = tmp_path / "m.gguf"
    export(qwen_file, "--out", out, "--type", kind)
    assert types(out)["blk.0.attn_q.weight"] == kind.upper()
    assert types(out)["blk.0.attn_norm.weight"] == "F32"
    before, after = values(qwen_file)["blk.0.attn_q.weight"], values(out)["blk.0.attn_q.weight"]
    wrong = np.linalg.norm(before - after) / np.linalg.norm(before)
    assert 0 < wrong < {8.5: 0.01, 6: 0.05, 5.5: 0.06, 5: 0.1, 4.5: 0.12, 16: 0.002}[bits]
    # What makes the logits keeps 8 bits.
    assert types(out)["token_embd.weight"] == (kind.upper() if bits > 8 else "Q8_0")
    written = next(one for one in files.open_model(out).tensors if one.name == "blk.0.attn_q.weight")
    assert 8 * written.n_bytes / written.n_elements == bits


def test_k_types_are_mixed_as_llama_cpp_does_it(tiny_qwen, tmp_path):
    pytest.importorskip("xllamacpp")
    model = make_model("qwen2", hidden_size=256, intermediate_size=512, num_hidden_layers=8)
    model.save_pretrained(tmp_path / "model")
    tiny_qwen.tokenizer.save_pretrained(tmp_path / "model")
    out = tmp_path / "m.gguf"
    export(tmp_path / "model", "--out", out, "--type", "q4_k_m")
    found = types(out)
    assert found["token_embd.weight"] == "Q6_K"  # noqa: S105 - a weight
    assert found["blk.1.attn_q.weight"] == "Q4_K"
    # The first and the last eighth of eight layers, and each third one between.
    assert [found[f"blk.{layer}.ffn_down.weight"] for layer in range(8)] == [
        "Q6_K" if layer in {0, 3, 6, 7} else "Q4_K" for layer in range(8)
    ]
    before = model.model.layers[1].self_attn.q_proj.weight.numpy(force=True)
    after = values(out)["blk.1.attn_q.weight"]
    assert np.linalg.norm(before - after) / np.linalg.norm(before) < 0.1


def test_rows_that_are_no_whole_blocks_get_another_type(tiny_qwen, tmp_path):
    pytest.importorskip("xllamacpp")
    out = tmp_path / "m.gguf"
    export(tiny_qwen.folder, "--out", out, "--type", "q4_k_m")
    assert Counter(types(out).values()) == Counter({"Q5_0": 12, "F32": 11, "Q8_0": 3})
    shapes = {"blk.0.attn_q.weight": (8, 40)}
    assert types_of(shapes, ExportType.Q4_0)["blk.0.attn_q.weight"].name == "F16"


def test_a_file_written_anew_keeps_its_metadata_and_what_has_the_type_already(qwen_file, tmp_path):
    once, twice = tmp_path / "once.gguf", tmp_path / "twice.gguf"
    export(qwen_file, "--out", once, "--type", "q4_0")
    said = export(once, "--out", twice, "--type", "q4_0")
    assert "errors add up" not in said
    assert once.read_bytes() == twice.read_bytes()
    of = {entry.key: entry.value for entry in files.entries(files.open_model(qwen_file))}
    again = {entry.key: entry.value for entry in files.entries(files.open_model(once))}
    assert of.pop("general.file_type") == 0
    assert again.pop("general.file_type") == 2
    assert of == again
    assert "errors add up" in export(once, "--out", tmp_path / "other.gguf", "--type", "q5_0")


def test_chunks_of_a_weight_give_the_same_as_the_whole(tiny, tmp_path, monkeypatch):
    export(tiny.folder, "--out", tmp_path / "whole.gguf", "--type", "q8_0")
    monkeypatch.setattr(files, "NUMBERS_AT_ONCE", 500)
    export(tiny.folder, "--out", tmp_path / "chunks.gguf", "--type", "q8_0")
    assert (tmp_path / "whole.gguf").read_bytes() == (tmp_path / "chunks.gguf").read_bytes()


def test_the_tokenizer_may_come_from_a_file_of_the_same_model(tiny_qwen, qwen_file, tmp_path):
    bare = tmp_path / "bare"
    tiny_qwen.model.save_pretrained(bare)
    export(bare, "--out", tmp_path / "m.gguf", "--type", "f32", "--tokenizer", qwen_file)
    assert (tmp_path / "m.gguf").read_bytes().count(b"<|im_start|>") == qwen_file.read_bytes().count(b"<|im_start|>")
    other = make_model("qwen2", vocab_size=310)
    other.save_pretrained(tmp_path / "other")
    said = export(tmp_path / "other", "--out", tmp_path / "o.gguf", "--tokenizer", qwen_file, code=2)
    assert "has 300 tokens and the model 310" in said
    assert "there is no tokenizer beside the weights" in export(bare, "--out", tmp_path / "o.gguf", code=2)


def changed(folder: Path, into: Path, **settings) -> Path:
    shutil.copytree(folder, into)
    config = json.loads((into / "config.json").read_text())
    (into / "config.json").write_text(json.dumps(config | settings))
    return into


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"},
            "is a Qwen3ForCausalLM: only LlamaForCausalLM",
        ),
        ({"hidden_act": "gelu"}, "with the activation silu"),
        ({"use_sliding_window": True}, "sliding window"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}, "scaled by 'dynamic'"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}, "name the model that they"),
        ({"num_hidden_layers": 3, "layer_types": None}, "lacks 9 weights, such as blk.2."),
        ({"num_hidden_layers": 1, "layer_types": None}, "no name for the weight model.layers.1."),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(tiny_qwen, tmp_path, settings, said):
    folder = changed(tiny_qwen.folder, tmp_path / "model", **settings)
    assert said in export(folder, "--out", tmp_path / "m.gguf", code=2)
    assert not list(tmp_path.glob("*.gguf*"))


def test_a_model_with_fewer_tokens_than_its_tokenizer_is_refused(tiny_qwen, tmp_path):
    small = changed(tiny_qwen.folder, tmp_path / "small")
    make_model("qwen2", vocab_size=100).save_pretrained(small)
    assert "tokens and the model 100" in export(small, "--out", tmp_path / "m.gguf", code=2)


def test_what_is_no_model_is_refused(tiny_qwen, qwen_file, tmp_path):
    out = tmp_path / "out.gguf"
    text = tmp_path / "notes.gguf"
    text.write_text("no model")
    assert "is no GGUF file" in export(text, "--out", out, code=2)
    text.write_bytes(b"")
    assert "is no GGUF file" in export(text, "--out", out, code=2)
    cut = tmp_path / "cut.gguf"
    for length in (6, 100, 5_000, len(qwen_file.read_bytes()) - 20_000):
        cut.write_bytes(qwen_file.read_bytes()[:length])
        assert "is damaged or cut off" in export(cut, "--out", out, code=2)
    assert "transformers loads no model from it" in export(tmp_path / "nowhere", "--out", out, code=2)
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(tiny_qwen.folder / "config.json", bare)
    assert "has no weights as safetensors" in export(bare, "--out", out, code=2)
    (bare / "model.safetensors").write_bytes(b"broken")
    assert "is damaged" in export(bare, "--out", out, code=2)
    assert not out.exists()


@pytest.mark.parametrize(
    ("kind", "said"),
    [("model", "holds no weights"), ("adapter", "its general.type is 'adapter'"), ("imatrix", "'imatrix'")],
)
def test_files_without_a_model_are_refused(tmp_path, kind, said):
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "qwen2")
    writer.add_type(kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    assert said in export(tmp_path / "m.gguf", "--out", tmp_path / "out.gguf", code=2)


def test_a_file_is_written_whole_or_not_at_all(qwen_file, tmp_path, monkeypatch):
    out = tmp_path / "m.gguf"
    out.write_text("mine")
    assert "pass --force" in export(qwen_file, "--out", out, code=2)
    assert out.read_text() == "mine"
    export(qwen_file, "--out", out, "--force")
    assert types(out)["blk.0.attn_q.weight"] == "Q8_0"
    assert "is what would be read" in export(out, "--out", out, "--force", code=2)
    assert "is a folder" in export(qwen_file, "--out", tmp_path, code=2)
    assert "is not there: make it" in export(qwen_file, "--out", tmp_path / "no" / "m.gguf", code=2)

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ggml, "encode_rows", fails)
    assert "No space left on device" in export(qwen_file, "--out", out, "--force", code=2)
    assert types(out)["blk.0.attn_q.weight"] == "Q8_0"
    assert not list(tmp_path.glob("*.part"))


def test_a_disk_that_is_too_small_is_seen_before_writing(qwen_file, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000))
    said = export(qwen_file, "--out", tmp_path / "m.gguf", code=2)
    assert "GB free" in said
    assert not list(tmp_path.iterdir())


def test_options_that_mean_nothing_are_refused(tiny_qwen, qwen_file, tmp_path):
    out = tmp_path / "m.gguf"
    assert "--base means nothing for a GGUF file" in export(qwen_file, "--out", out, "--base", "x", code=2)
    assert "--tokenizer means" in export(qwen_file, "--out", out, "--tokenizer", tiny_qwen.folder, code=2)
    assert "--base means nothing for a model" in export(tiny_qwen.folder, "--out", out, "--base", "x", code=2)


def test_the_engine_is_asked_for_where_it_is_missing(monkeypatch):
    ggml._engine.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "xllamacpp", None)
    with pytest.raises(UsageError, match=r"pip install 'llm-testgen\[local\]'"):
        ggml.require({gguf.GGMLQuantizationType.Q4_K})
    ggml._engine.cache_clear()


def test_the_extra_is_asked_for_where_it_is_missing(qwen_file, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    assert "pip install 'llm-testgen[tune]'" in export(qwen_file, "--out", tmp_path / "m.gguf", code=2)
