from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
pytest.importorskip("gguf")

from safetensors.torch import load_file, save_file  # noqa: E402
from tests.tuning.quantising.tiny import TEXT, llama_cpp_answers, make_model, transformers_answers  # noqa: E402

from llm_testgen.cli import main  # noqa: E402
from llm_testgen.tuning.quantising import files  # noqa: E402

# peft asks transformers by a name that will go.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def export(*arguments, code=0):
    result = CliRunner().invoke(main, ["quantize", "export", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def make_adapter(folder, kind="qwen2", changes=None, **settings):
    """A random adapter of the tiny model, or of one with changes; gives the model with it."""
    chosen = {"r": 4, "lora_alpha": 8, "target_modules": ALL, "task_type": "CAUSAL_LM"} | settings
    model = peft.get_peft_model(make_model(kind, **changes or {}), peft.LoraConfig(**chosen))
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.2)
    model.save_pretrained(folder, save_embedding_layers=False)
    return model.eval()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 2, "layers.1.mlp.up_proj": 8}, "alpha_pattern": {"v_proj": 24, r".*\.0\.mlp.*": 2}},
        {"target_modules": ["k_proj"], "layers_to_transform": [1]},
    ],
    ids=["plain", "rank-stabilised", "patterns", "one-layer"],
)
def test_llama_cpp_applies_it_as_peft_does(tiny, tmp_path, settings):
    kind = tiny.model.config.model_type
    adapted = make_adapter(tmp_path / "lora", kind, **settings)
    export(tiny.folder, "--out", tmp_path / "model.gguf", "--type", "f32")
    said = export(tmp_path / "lora", "--out", tmp_path / "lora.gguf", "--base", tiny.folder, "--type", "f32")
    assert f"LoRA adapter for {kind} as f32" in said
    answer = llama_cpp_answers(tmp_path / "model.gguf", TEXT, tiny.tokens, tmp_path / "lora.gguf")
    expected = transformers_answers(adapted, answer["tokens"])
    # llama.cpp computes with tables and in float16 here and there, which adds up over large random matrices.
    assert answer["logprobs"] == pytest.approx(expected.tolist(), abs=0.02)
    assert np.abs(expected - transformers_answers(tiny.model, answer["tokens"])).max() > 0.1


def test_the_base_may_be_a_gguf_file_which_is_checked(tiny, tmp_path):
    kind = tiny.model.config.model_type
    make_adapter(tmp_path / "lora", kind)
    export(tiny.folder, "--out", tmp_path / "model.gguf", "--type", "q8_0")
    export(tmp_path / "lora", "--out", tmp_path / "one.gguf", "--base", tmp_path / "model.gguf")
    shutil.copyfile(tmp_path / "one.gguf", tmp_path / "first.gguf")
    export(tmp_path / "lora", "--out", tmp_path / "one.gguf", "--base", tiny.folder, "--force")
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "first.gguf").read_bytes()
    reader = files.open_gguf(tmp_path / "one.gguf")
    assert files.text(reader, "general.type") == "adapter"
    assert files.text(reader, "adapter.type") == "lora"
    assert {tensor.tensor_type.name for tensor in reader.tensors} == {"F16"}
    assert len(reader.tensors) == 2 * 2 * len(ALL)
    other = peft.get_peft_model(make_model(kind, hidden_size=128), peft.LoraConfig(r=2, target_modules=["q_proj"]))
    other.save_pretrained(tmp_path / "other")
    said = export(tmp_path / "other", "--out", tmp_path / "m.gguf", "--base", tmp_path / "model.gguf", code=2)
    assert "pass --base the model it is for" in said


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
@pytest.mark.parametrize(
    ("changes", "targets", "said"),
    [
        ({"num_key_value_heads": 1}, ["k_proj"], "blk.0.attn_k.weight of (32, 64), which is (16, 64)"),
        ({"num_key_value_heads": 4}, ["k_proj"], "blk.0.attn_k.weight of (32, 64), which is (64, 64)"),
        ({"num_key_value_heads": 4}, ["v_proj"], "blk.0.attn_v.weight of (32, 64), which is (64, 64)"),
        ({"num_attention_heads": 2, "head_dim": 16}, ["q_proj"], "blk.0.attn_q.weight of (64, 64), which is (32, 64)"),
        ({"num_attention_heads": 8, "head_dim": 16}, ["q_proj"], "blk.0.attn_q.weight of (64, 64), which is (128, 64)"),
        ({"head_dim": 32}, ["o_proj"], "blk.0.attn_output.weight of (64, 64), which is (64, 128)"),
        ({"hidden_size": 128}, ["q_proj"], "blk.0.attn_q.weight of (64, 64), which is (128, 128)"),
        ({"intermediate_size": 64}, ["gate_proj"], "blk.0.ffn_gate.weight of (96, 64), which is (64, 64)"),
        ({"intermediate_size": 64}, ["up_proj"], "blk.0.ffn_up.weight of (96, 64), which is (64, 64)"),
        ({"intermediate_size": 64}, ["down_proj"], "blk.0.ffn_down.weight of (64, 96), which is (64, 64)"),
    ],
)
def test_an_adapter_for_another_model_than_that_in_a_folder_is_refused(tmp_path, kind, changes, targets, said):
    make_adapter(tmp_path / "lora", kind, target_modules=targets)
    make_model(kind, **changes).save_pretrained(tmp_path / "other")
    heard = export(tmp_path / "lora", "--out", tmp_path / "m.gguf", "--base", tmp_path / "other", code=2)
    assert said in heard
    assert "pass --base the model it is for" in heard
    assert not (tmp_path / "m.gguf").exists()


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_heads_may_be_of_a_width_of_their_own(tmp_path, kind):
    changes = {"head_dim": 32}
    make_adapter(tmp_path / "lora", kind, changes)
    make_model(kind, **changes).save_pretrained(tmp_path / "base")
    export(tmp_path / "lora", "--out", tmp_path / "m.gguf", "--base", tmp_path / "base")
    shapes = {tensor.name: files.shape_of(tensor) for tensor in files.open_gguf(tmp_path / "m.gguf").tensors}
    assert shapes["blk.1.attn_q.weight.lora_b"] == (128, 4)
    assert shapes["blk.1.attn_output.weight.lora_a"] == (4, 128)


def test_an_adapter_for_a_model_of_more_layers_is_refused(tiny, tmp_path):
    make_adapter(tmp_path / "lora", tiny.model.config.model_type, {"num_hidden_layers": 3}, target_modules=["q_proj"])
    export(tiny.folder, "--out", tmp_path / "model.gguf", "--type", "q8_0")
    for base in (tiny.folder, tmp_path / "model.gguf"):
        said = export(tmp_path / "lora", "--out", tmp_path / "m.gguf", "--base", base, code=2)
        assert f"the adapter changes model.layers.2.self_attn.q_proj, and {base} has 2 layers" in said
        assert "pass --base the model it is for" in said


def test_an_adapter_for_weights_that_its_base_does_not_have_is_refused(tmp_path):
    make_adapter(tmp_path / "lora", "llama", target_modules=["up_proj"])
    path = tmp_path / "lora" / "adapter_model.safetensors"
    save_file({name.replace("mlp.up_proj", "mlp.gate"): value for name, value in load_file(path).items()}, path)
    make_model("llama").save_pretrained(tmp_path / "base")
    said = export(tmp_path / "lora", "--out", tmp_path / "m.gguf", "--base", tmp_path / "base", code=2)
    assert "changes blk.0.ffn_gate_inp.weight of (96, 64), which is not there in" in said


def settings_of(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_adapter_says_itself_what_it_is_for(tiny_qwen, tmp_path):
    make_adapter(tmp_path / "lora")
    settings_of(tmp_path / "lora", base_model_name_or_path=None)
    said = export(tmp_path / "lora", "--out", tmp_path / "m.gguf", code=2)
    assert "does not say which model it is for" in said
    settings_of(tmp_path / "lora", base_model_name_or_path=str(tmp_path / "gone"))
    assert "is not there: pass --base" in export(tmp_path / "lora", "--out", tmp_path / "m.gguf", code=2)
    settings_of(tmp_path / "lora", base_model_name_or_path=str(tiny_qwen.folder))
    export(tmp_path / "lora", "--out", tmp_path / "m.gguf")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"peft_type": "IA3"}, "is of peft's type IA3"),
        ({"use_dora": True}, "uses DoRA"),
        ({"bias": "all"}, "has biases"),
        ({"modules_to_save": ["lm_head"]}, "holds whole modules beside LoRA"),
        ({"trainable_token_indices": [1]}, "changes single tokens"),
        ({"lora_alpha": 0}, "has no rank"),
        ({"r": "many"}, "is no configuration of a LoRA adapter"),
        ({"lora_alpha": "much"}, "is no configuration of a LoRA adapter"),
        ({"alpha_pattern": ["q_proj"]}, "is no configuration of a LoRA adapter"),
        ({"alpha_pattern": {"q_proj(": 4}}, "is no configuration of a LoRA adapter"),
        ({"init_lora_weights": "pissa_niter_4"}, "began with pissa_niter_4, which changes the model"),
        ({"alora_invocation_tokens": [5, 6]}, "is more than LoRA (alora_invocation_tokens)"),
        ({"layer_replication": [[0, 2], [1, 2]]}, "is more than LoRA (layer_replication)"),
    ],
)
def test_what_llama_cpp_cannot_apply_is_refused(tiny_qwen, tmp_path, changes, said):
    make_adapter(tmp_path / "lora", target_modules=["q_proj"])
    settings_of(tmp_path / "lora", **changes)
    assert said in export(tmp_path / "lora", "--out", tmp_path / "m.gguf", "--base", tiny_qwen.folder, code=2)


def test_modules_without_a_name_in_llama_cpp_are_refused(tiny_qwen, tmp_path):
    make_adapter(tmp_path / "head", kind="llama", target_modules=["lm_head"])
    said = export(tmp_path / "head", "--out", tmp_path / "m.gguf", "--base", tiny_qwen.folder, code=2)
    assert "llama.cpp applies no LoRA to lm_head" in said
    make_adapter(tmp_path / "tokens", kind="llama", target_modules=["q_proj", "embed_tokens"])
    said = export(tmp_path / "tokens", "--out", tmp_path / "m.gguf", "--base", tiny_qwen.folder, code=2)
    assert "other weights than those of LoRA" in said


def test_a_mixture_is_refused_and_says_what_can_be_exported(tmp_path):
    (tmp_path / "mixture.json").write_text("{}")
    assert "is a mixture of LoRA experts" in export(tmp_path, "--out", tmp_path / "m.gguf", code=2)


def test_an_adapter_without_its_weights_is_refused(tiny_qwen, tmp_path):
    make_adapter(tmp_path / "lora", target_modules=["q_proj"])
    weights = tmp_path / "lora" / "adapter_model.safetensors"
    shutil.copyfile(tiny_qwen.folder / "config.json", weights)
    arguments = (tmp_path / "lora", "--out", tmp_path / "m.gguf", "--base", tiny_qwen.folder)
    assert "cannot be read" in export(*arguments, code=2)
    weights.unlink()
    assert "cannot be read" in export(*arguments, code=2)


def test_adapters_are_not_quantised(tiny_qwen, tmp_path):
    make_adapter(tmp_path / "lora", target_modules=["q_proj"])
    said = export(tmp_path / "lora", "--out", tmp_path / "m.gguf", "--base", tiny_qwen.folder, "--type", "q4_0", code=2)
    assert "pass --type f16, bf16 or f32" in said
