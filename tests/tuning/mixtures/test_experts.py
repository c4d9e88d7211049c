from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from tests.tuning.mixtures import tiny  # noqa: E402

from llm_testgen.errors import UsageError  # noqa: E402
from llm_testgen.tuning.mixtures.building import add_mole  # noqa: E402
from llm_testgen.tuning.mixtures.experts import check_bases, read_experts  # noqa: E402

pytestmark = pytest.mark.filterwarnings(tiny.OLD_NAME)


def test_a_mixture_needs_adapters():
    with pytest.raises(UsageError, match="needs at least one"):
        add_mole(tiny.llama(), [])


def test_a_folder_without_an_adapter_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"holds no adapter_config\.json: give the folder of a LoRA adapter"):
        add_mole(tiny.llama(), [tmp_path])
    folder = tiny.save_adapter(tmp_path / "cut", 0)
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"cut holds no adapter_model\.safetensors"):
        add_mole(tiny.llama(), [folder])


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_damaged_adapter_is_named(tmp_path, name):
    folder = tiny.save_adapter(tmp_path / "damaged", 0)
    (folder / name).write_bytes(b"{")
    with pytest.raises(UsageError, match="damaged holds no adapter that can be read"):
        add_mole(tiny.llama(), [folder])


def test_adapters_with_different_target_modules_are_refused(tmp_path):
    folders = [
        tiny.save_adapter(tmp_path / "attention", 0),
        tiny.save_adapter(tmp_path / "more", 1, targets=("q_proj", "v_proj", "o_proj")),
    ]
    with pytest.raises(
        UsageError, match=r"adapt different layers, model\.layers\.0\.self_attn\.o_proj, .* same target"
    ):
        add_mole(tiny.llama(), folders)


def test_adapters_for_another_base_are_refused_by_name_and_by_size(tmp_path):
    folder = tiny.save_adapter(tmp_path / "foreign", 0, tiny.llama("made/wide", hidden=64))
    found = read_experts([folder])
    with pytest.raises(UsageError, match=r"trained for made/wide, and this is made/tiny-llama: .* or pass --any-base"):
        check_bases(found, tiny.NAME)
    check_bases(found, "/moved/Wide")
    model = tiny.llama()
    with pytest.raises(UsageError, match=r"q_proj is 64 to 64 in the adapter and is 32 to 32 in this model"):
        add_mole(model, [folder])
    with pytest.raises(UsageError, match=r"q_proj is 64 to 64 in the adapter and is no linear layer of this model"):
        add_mole(tiny.gpt2(), [folder])
    assert not any("lora" in name for name, _ in model.named_modules())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"use_dora": True}, "lora_magnitude_vector"),
        ({"modules_to_save": ["lm_head"]}, "no plain LoRA of linear layers"),
        ({"targets": ("q_proj", "embed_tokens")}, "lora_embedding_A"),
        ({"init_lora_weights": "pissa"}, "is no plain LoRA: only such can be experts"),
    ],
)
def test_adapters_that_are_more_than_plain_lora_are_refused(tmp_path, more, message):
    folder = tiny.save_adapter(tmp_path / "rich", 0, **more)
    with pytest.raises(UsageError, match=message):
        add_mole(tiny.llama(), [folder])


def test_an_adapter_that_adds_what_its_weights_do_not_show_is_refused(tmp_path):
    folder = tiny.save_adapter(tmp_path / "invoked", 0)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"alora_invocation_tokens": [5, 6]}))
    with pytest.raises(UsageError, match="adapted by more than plain LoRA of a linear layer"):
        add_mole(tiny.llama(), [folder])


def test_another_kind_of_adapter_is_refused(tmp_path):
    folder = tiny.save_adapter(tmp_path / "other", 0)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({"peft_type": "IA3", "target_modules": ["q_proj"], "feedforward_modules": []}))
    with pytest.raises(UsageError, match="is no plain LoRA"):
        add_mole(tiny.llama(), [folder])


def test_rank_stabilised_adapters_keep_their_scaling(tmp_path):
    folder = tiny.save_adapter(tmp_path / "stable", 0, use_rslora=True)
    layer = add_mole(tiny.llama(), [folder]).layers["model.layers.0.self_attn.q_proj"]
    assert layer.lora.scaling == {"expert_0": 4.0}


def test_an_adapter_that_is_left_open_for_training_is_frozen_too(tmp_path):
    folder = tiny.save_adapter(tmp_path / "open", 0)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"inference_mode": False}))
    mixture = add_mole(tiny.llama(), [folder])
    assert not any("lora_" in name for name in mixture.trainable_parameters())


def test_the_model_stays_in_training_where_it_was(tmp_path):
    folder = tiny.save_adapter(tmp_path / "adapter", 0)
    assert add_mole(tiny.llama().train(), [folder]).model.training
    assert not add_mole(tiny.llama().eval(), [folder]).model.training


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # A matrix of one column would fill all of them.
        ({"r": 4}, r"q_proj\.lora_A\.weight is \(1, 32\), and by its adapter_config\.json it is \(4, 32\)"),
        ({"target_modules": ["q_proj"]}, r"v_proj\.lora_A\.weight is \(1, 32\), and by its .* it is not there"),
        ({"target_modules": ["q_proj", "v_proj", "o_proj"]}, r"o_proj\.lora_A\.weight is not there, and by its"),
    ],
)
def test_an_adapter_whose_weights_are_not_those_of_its_configuration_is_refused(tmp_path, changes, message):
    folder = tiny.save_adapter(tmp_path / "torn", 0, r=1)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(UsageError, match=rf"torn contradicts itself: .*{message}"):
        add_mole(tiny.llama(), [folder])
