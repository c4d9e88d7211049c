from __future__ import annotations

from types import SimpleNamespace

import pytest

from llm_testgen.errors import UsageError
from llm_testgen.tuning import memory
from llm_testgen.tuning.loading import quantised_loading
from llm_testgen.tuning.memory import (
    Memory,
    ModelSize,
    Training,
    available_memory,
    estimate,
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
    head=64,
    norms=2,
    tokens=151_936,
)
GB = 10**9


def test_weights_gradients_and_optimiser_are_counted_by_their_bytes():
    many = estimate(QWEN, Training(trained=10**9, bits=32))
    assert many.weights == 4 * QWEN.parameters + 4e9
    assert many.gradients == 4e9
    assert many.optimiser == 8e9
    few = estimate(QWEN, Training(trained=1_000_000, bits=16, small_optimiser=True))
    assert (few.gradients, few.optimiser) == (4e6, 2e6)


def test_adapters_are_in_float32_with_copies_in_half_precision_and_frozen_ones_have_no_gradients():
    for bits, each in ((32, 4), (16, 2)):
        own = estimate(QWEN, Training(trained=0, bits=bits)).weights
        assert own == each * QWEN.parameters
        both = estimate(QWEN, Training(trained=1_000_000, bits=bits, frozen=2_000_000))
        assert both.weights == own + 3e6 * (4 if bits == 32 else 6)
        assert (both.gradients, both.optimiser) == (4e6, 8e6)


def test_in_8_and_4_bits_only_matrices_of_layers_are_smaller_and_all_else_is_in_float32():
    outside, copy_of_head = QWEN.parameters - QWEN.in_layers, 2 * 896 * 151_936
    assert estimate(QWEN, Training(0, bits=8)).weights == QWEN.in_layers + 4 * outside + copy_of_head
    assert estimate(QWEN, Training(0, bits=4)).weights == QWEN.in_layers * 0.5625 + 4 * outside + copy_of_head
    assert estimate(QWEN, Training(0, bits=4)).activations == estimate(QWEN, Training(0, bits=32)).activations


def test_activations_grow_with_the_batch_and_the_length_and_scores_with_its_square():
    one = estimate(QWEN, Training(1, length=100))
    assert estimate(QWEN, Training(1, length=100, batch=3)).activations == 3 * one.activations
    assert estimate(QWEN, Training(1, length=300)).activations == 3 * one.activations
    assert estimate(QWEN, Training(1, length=100)).logits == 12 * 100 * 151_936
    with_scores = estimate(QWEN, Training(1, length=100, scores=True)).activations - one.activations
    assert with_scores == 6 * 14 * 100**2 * 24
    whole = (estimate(QWEN, Training(1, bits=32, length=100, scores=scores)).activations for scores in (False, True))
    assert -next(whole) + next(whole) == 4 * 14 * 100**2 * 24
    longer = estimate(QWEN, Training(1, length=300, scores=True)).activations
    assert longer - 3 * one.activations == 9 * with_scores


def test_checkpointing_keeps_what_goes_from_layer_to_layer_and_one_layers_whole():
    plain = estimate(QWEN, Training(1, length=100)).activations
    kept = estimate(QWEN, Training(1, length=100, checkpointing=True)).activations
    assert kept == 24 * 100 * 2 * 896 + plain / 24


def test_what_is_kept_for_what_is_trained_is_counted():
    plain = estimate(QWEN, Training(1, length=100)).activations
    assert estimate(QWEN, Training(1, length=100, adapted=2400)).activations == plain + 100 * 2400
    kept = estimate(QWEN, Training(1, length=100, checkpointing=True)).activations
    assert estimate(QWEN, Training(1, length=100, checkpointing=True, adapted=2400)).activations == kept + 100 * 100


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
        quantised_loading(16, None, gpu=True)


def test_without_a_gpu_or_the_library_small_loading_says_what_else_to_do(monkeypatch):
    with pytest.raises(UsageError, match=r"needs an Nvidia GPU.*float32 or bfloat16, or take a smaller one"):
        quantised_loading(8, None, gpu=False)
    monkeypatch.setattr("llm_testgen.tuning.loading.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="pip install bitsandbytes"):
        quantised_loading(4, None, gpu=True)


def test_a_model_is_loaded_as_the_papers_have_it_and_computes_as_the_run_does(monkeypatch):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    monkeypatch.setattr("llm_testgen.tuning.loading.find_spec", lambda _: True)
    assert quantised_loading(8, torch.float16, gpu=True).load_in_8bit
    four = quantised_loading(4, torch.float16, gpu=True)
    assert four.load_in_4bit
    assert four.bnb_4bit_quant_type == "nf4"
    assert four.bnb_4bit_use_double_quant
    assert four.bnb_4bit_compute_dtype == torch.float16


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


def test_of_a_model_that_takes_images_too_it_is_the_texts_sizes_that_count():
    transformers = pytest.importorskip("transformers")
    text = {
        "vocab_size": 500,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
    }
    vision = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2}
    size = ModelSize.of(transformers.Gemma3Config(text_config=text, vision_config=vision))
    assert (size.layers, size.hidden, size.intermediate, size.tokens) == (2, 32, 48, 500)
    assert (size.heads, size.head, size.norms) == (4, 16, 6)


def test_a_model_without_attention_has_no_scores():
    transformers = pytest.importorskip("transformers")
    size = ModelSize.of(transformers.MambaConfig(vocab_size=100, hidden_size=32, state_size=4, num_hidden_layers=2))
    assert (size.heads, size.head) == (0, 0)
    plain, scores = (estimate(size, Training(1, scores=scores)).activations for scores in (False, True))
    assert plain == scores > 0


def test_a_configuration_that_does_not_tell_its_sizes_is_told(monkeypatch):
    transformers = pytest.importorskip("transformers")
    config = transformers.Qwen2Config(vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
    monkeypatch.setattr(transformers.Qwen2Config, "get_text_config", lambda *_, **__: SimpleNamespace(hidden_size=32))
    with pytest.raises(
        UsageError, match=r"models of type qwen2 take cannot be told \(.* no attribute .*: name a model"
    ):
        ModelSize.of(config)


def test_what_a_container_keeps_of_files_is_free(monkeypatch, tmp_path):
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    assert available_memory() == 1000
    (tmp_path / "memory.max").write_text("900\n")
    (tmp_path / "memory.current").write_text("800\n")
    assert available_memory() == 100
    (tmp_path / "memory.stat").write_text("anon 300\nfile 480\ninactive_file 250\nactive_file 150\nshmem 80\n")
    assert available_memory() == 500
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory() == 1000


def test_memory_of_this_machine_is_told():
    pytest.importorskip("psutil")
    assert 10**7 < available_memory() < 10**14
