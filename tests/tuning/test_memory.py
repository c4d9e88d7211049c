from __future__ import annotations

import pytest

from llm_testgen.errors import UsageError
from llm_testgen.tuning.memory import (
    Memory,
    ModelSize,
    Training,
    available_memory,
    estimate,
    quantised_loading,
    require_memory,
    require_weights,
)

QWEN = ModelSize(
    parameters=630_167_424,
    in_layers=357_826_560,
    layers=24,
    hidden=896,
    intermediate=4864,
    heads=14,
    key_heads=2,
    tokens=151_936,
)
GB = 10**9


def test_weights_gradients_and_optimiser_are_counted_by_their_bytes():
    full = estimate(QWEN, Training(trained=QWEN.parameters, bits=32))
    assert full.weights == 4 * QWEN.parameters
    assert full.gradients == 4 * QWEN.parameters
    assert full.optimiser == 8 * QWEN.parameters
    few = estimate(QWEN, Training(trained=1_000_000, bits=16, small_optimiser=True))
    assert (few.weights, few.gradients, few.optimiser) == (2 * QWEN.parameters, 4e6, 2e6)


def test_in_8_and_4_bits_only_matrices_of_layers_are_smaller():
    outside = QWEN.parameters - QWEN.in_layers
    assert estimate(QWEN, Training(1, bits=8)).weights == QWEN.in_layers + 2 * outside
    assert estimate(QWEN, Training(1, bits=4)).weights == QWEN.in_layers * 0.5625 + 2 * outside


def test_activations_grow_with_the_batch_and_the_length_and_scores_with_its_square():
    one = estimate(QWEN, Training(1, length=100))
    assert estimate(QWEN, Training(1, length=100, batch=3)).activations == 3 * one.activations
    assert estimate(QWEN, Training(1, length=300)).activations == 3 * one.activations
    assert estimate(QWEN, Training(1, length=100)).logits == 12 * 100 * 151_936
    with_scores = estimate(QWEN, Training(1, length=100, scores=True)).activations - one.activations
    assert with_scores == 2 * 2 * 14 * 100**2 * 24
    longer = estimate(QWEN, Training(1, length=300, scores=True)).activations
    assert longer - 3 * one.activations == 9 * with_scores


def test_checkpointing_keeps_what_goes_from_layer_to_layer_and_one_layers_whole():
    plain = estimate(QWEN, Training(1, length=100)).activations
    kept = estimate(QWEN, Training(1, length=100, checkpointing=True)).activations
    assert kept == 24 * 100 * 2 * 896 + plain / 24


def test_what_lora_with_dropout_keeps_of_its_inputs_is_counted():
    plain = estimate(QWEN, Training(1, length=100)).activations
    assert estimate(QWEN, Training(1, length=100, adapted=2400)).activations == plain + 4 * 100 * 2400
    kept = estimate(QWEN, Training(1, length=100, checkpointing=True)).activations
    assert estimate(QWEN, Training(1, length=100, checkpointing=True, adapted=2400)).activations == kept + 4 * 100 * 100


def test_the_total_has_something_for_the_libraries():
    assert Memory(10 * GB, 0, 0, 0, 0).total == pytest.approx(11.5 * GB)
    assert str(Memory(10 * GB, GB, 0, 0, 0)).startswith("12.6 GB: weights 10.00, gradients 1.00, optimiser 0.00")


def test_enough_memory_is_no_error():
    training = Training(trained=10**6, bits=32, length=64)
    assert require_memory(QWEN, training, 100 * GB, gpu=False) == estimate(QWEN, training)


def test_too_little_memory_is_refused_with_what_would_do():
    training = Training(trained=10**6, bits=32, batch=16, length=512)
    with pytest.raises(UsageError) as caught:
        require_memory(QWEN, training, 8 * GB, gpu=False)
    said = str(caught.value)
    assert "there are 8.0 GB. Try gradient checkpointing (" in said
    assert "a batch of 1 with more accumulation (" in said
    assert "bfloat16" in said
    assert "4 bits" not in said
    with pytest.raises(UsageError, match=r"the model in 4 bits \("):
        require_memory(QWEN, training, 8 * GB, gpu=True)


def test_where_nothing_helps_a_smaller_model_is_the_advice():
    with pytest.raises(UsageError, match=r"Even with .* take a smaller model"):
        require_memory(QWEN, Training(trained=QWEN.parameters, bits=32, batch=8), GB, gpu=False)
    least = Training(trained=QWEN.parameters, bits=4, batch=1, length=1, checkpointing=True)
    with pytest.raises(UsageError, match="Take a smaller model"):
        require_memory(QWEN, least, GB, gpu=True)


def test_a_model_that_does_not_fit_is_not_loaded():
    require_weights(1_000_000_000, 16, 2_700_000_001)
    with pytest.raises(UsageError, match=r"takes about 4\.9 GB as it is loaded, with 32 bits a weight.* 4\.5 GB"):
        require_weights(1_000_000_000, 32, 4_500_000_000)


def test_other_numbers_of_bits_are_refused():
    with pytest.raises(UsageError, match="32, 16, 8, 4 bits, not 12"):
        estimate(QWEN, Training(1, bits=12))
    with pytest.raises(UsageError, match="8 or 4 bits, not 16"):
        quantised_loading(16, gpu=True)


def test_without_a_gpu_or_the_library_small_loading_says_what_else_to_do(monkeypatch):
    with pytest.raises(UsageError, match=r"needs an Nvidia GPU.*float32 or bfloat16, or take a smaller one"):
        quantised_loading(8, gpu=False)
    monkeypatch.setattr("llm_testgen.tuning.memory.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="pip install bitsandbytes"):
        quantised_loading(4, gpu=True)


def test_a_model_is_loaded_as_the_papers_have_it(monkeypatch):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    monkeypatch.setattr("llm_testgen.tuning.memory.find_spec", lambda _: True)
    assert quantised_loading(8, gpu=True).load_in_8bit
    four = quantised_loading(4, gpu=True)
    assert four.load_in_4bit
    assert four.bnb_4bit_quant_type == "nf4"
    assert four.bnb_4bit_use_double_quant
    assert four.bnb_4bit_compute_dtype == torch.bfloat16


def test_a_models_parameters_are_counted_without_making_them():
    transformers = pytest.importorskip("transformers")
    config = transformers.Qwen2Config(
        vocab_size=151_936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
    )
    assert ModelSize.of(config) == QWEN


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft's
def test_parameters_of_lora_are_those_that_peft_makes():
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=100,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    for targets, attention, mlp in (
        (["q_proj", "o_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "down_proj"], 4, 3),
        (["q_proj", "o_proj"], 2, 0),
    ):
        model = peft.get_peft_model(transformers.LlamaForCausalLM(config), peft.LoraConfig(r=4, target_modules=targets))
        trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
        assert ModelSize.of(config).lora_parameters(4, attention=attention, mlp=mlp) == trained


def test_memory_of_this_machine_is_told():
    pytest.importorskip("psutil")
    assert 10**7 < available_memory() < 10**14
