from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from tests.tuning.mixtures import tiny  # noqa: E402

from llm_testgen.errors import UsageError  # noqa: E402
from llm_testgen.tuning.mixtures.building import add_adamole  # noqa: E402
from llm_testgen.tuning.mixtures.config import AdaMoLEConfig, Selection  # noqa: E402


def adamole(model=None, **values):
    """One that has been trained a little."""
    torch.manual_seed(5)
    mixture = add_adamole(model or tiny.llama(), AdaMoLEConfig(**{"experts": 3, "rank": 2, "dropout": 0.0} | values))
    tiny.disturb(mixture.trainable_parameters().values(), scale=0.3)
    return mixture


def weights_by_hand(gate, config, token):
    values = tiny.gate_values(gate, token)
    if config.selection is Selection.TOP_K:
        return tiny.largest_weights(values, config.top_k)
    if config.selection is Selection.FIXED:
        return tiny.share_weights(values, config.highest_threshold)
    return tiny.margin_weights(values, tiny.learned_threshold(gate, token, config.highest_threshold))


@pytest.mark.parametrize("selection", list(Selection))
def test_a_layer_and_its_gradients_are_those_of_the_formula(selection):
    mixture = adamole(tiny.llama().double(), selection=selection)
    layer = mixture.layers["model.layers.1.self_attn.v_proj"].double()
    x = torch.randn(1, 6, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    tokens = []
    for token in x[0]:
        weights = weights_by_hand(layer.gate, mixture.config, token)
        outputs = [tiny.expert_output(layer, name, token) for name in mixture.experts]
        mixed = [tiny.dot(weights, numbers) for numbers in zip(*outputs, strict=True)]
        tokens.append(layer.lora.base_layer(token) + torch.stack(mixed))
    wanted = torch.stack(tokens)[None]
    got = layer(x)
    assert torch.allclose(got, wanted, rtol=0, atol=1e-10)
    parts = torch.arange(got.numel(), dtype=torch.float64).reshape(got.shape).cos()
    sought = [x, *(one for one in layer.parameters() if one.requires_grad)]
    assert len(sought) == 1 + 3 * 2 + (3 if selection is Selection.ADAPTIVE else 1)
    pairs = zip(
        torch.autograd.grad((got * parts).sum(), sought),
        torch.autograd.grad((wanted * parts).sum(), sought),
        strict=True,
    )
    for one, other in pairs:
        assert one.abs().max() > 1e-3
        assert torch.allclose(one, other, rtol=1e-8, atol=1e-10)


def test_a_fresh_one_is_the_base_model():
    mixture = add_adamole(tiny.llama(), AdaMoLEConfig())
    assert torch.equal(tiny.logits(mixture.model, tiny.tokens()), tiny.logits(tiny.llama(), tiny.tokens()))


@pytest.mark.parametrize("selection", list(Selection))
def test_training_lowers_the_loss_and_changes_experts_and_gates_alone(selection):
    torch.manual_seed(0)
    mixture = add_adamole(tiny.llama(), AdaMoLEConfig(experts=3, rank=2, selection=selection))
    model = mixture.model.train()
    trainable = mixture.trainable_parameters()
    assert all(".lora.lora_" in name or ".gate." in name for name in trainable)
    frozen = {name: one.detach().clone() for name, one in model.named_parameters() if name not in trainable}
    started = {name: one.detach().clone() for name, one in trainable.items()}
    assert not any("lora_" in name for name in frozen)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    ids = tiny.tokens(batch=4, length=8)
    losses = []
    for _ in range(15):
        loss = model(input_ids=ids, labels=ids).loss + mixture.auxiliary_loss()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] - 0.5
    now = dict(model.named_parameters())
    assert all(torch.equal(now[name], value) for name, value in frozen.items())
    assert all(not torch.equal(now[name], value) for name, value in started.items())


def test_the_balance_loss_is_that_of_switch_transformers():
    mixture = adamole(balance=0.1)
    tiny.logits(mixture.model, tiny.tokens())
    losses = [
        tiny.switch_loss(list(one.gates.double().flatten(0, 1)), list(one.weights.double().flatten(0, 1)))
        for one in mixture.record.routings.values()
    ]
    assert len(losses) == 4
    wanted = sum(losses) / 4
    assert mixture.balance_loss().item() == pytest.approx(float(wanted), rel=1e-5)
    assert mixture.auxiliary_loss().item() == pytest.approx(0.1 * float(wanted), rel=1e-5)


def test_the_balance_loss_moves_the_gates_towards_even_use():
    mixture = adamole()
    gates = list(mixture.gate_parameters().values())
    optimizer = torch.optim.Adam(gates, lr=0.02)
    losses = []
    for _ in range(8):
        mixture.model(input_ids=tiny.tokens())
        loss = mixture.balance_loss()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] - 0.05


def test_the_usage_counts_experts_and_weights_without_padding():
    mixture = adamole(selection=Selection.TOP_K, top_k=2)
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 4:] = 0
    tiny.logits(mixture.model, tiny.tokens(), attention_mask=mask)
    usage = mixture.usage()
    assert (usage.tokens, usage.experts_per_token) == (4 * (9 + 4), pytest.approx(2))
    assert sum(usage.weights) == pytest.approx(1)
    kept = torch.cat([one.weights[mask.bool()] for one in mixture.record.routings.values()])
    assert usage.weights == pytest.approx(kept.mean(0).tolist(), rel=1e-5)
    by_gate = mixture.usage_by_gate()
    assert list(by_gate) == list(mixture.layers)
    assert {one.tokens for one in by_gate.values()} == {13}


def test_a_higher_threshold_uses_fewer_experts():
    counts = []
    for threshold in (0.05, 0.3, 1.0):
        mixture = adamole(threshold=threshold)
        tiny.logits(mixture.model, tiny.tokens())
        counts.append(mixture.usage().experts_per_token)
    assert counts[0] > counts[1] > counts[2]
    assert counts[1] >= 1


def test_padding_does_not_change_the_balance_loss():
    mixture = adamole()
    ids = tiny.tokens(batch=1, length=6)
    padded = torch.cat([ids, torch.zeros(1, 4, dtype=ids.dtype)], dim=1)
    found = []
    for arguments in (
        {"input_ids": ids},
        {"input_ids": padded, "attention_mask": padded.ne(0).long()},
        {"input_ids": padded},
    ):
        tiny.logits(mixture.model, arguments.pop("input_ids"), **arguments)
        found.append(mixture.balance_loss().item())
    assert found[1] == pytest.approx(found[0], rel=1e-5)
    assert abs(found[2] - found[0]) > 1e-4


def test_generation_with_the_cache_gives_what_generation_without_it_gives():
    mixture = adamole()
    runs = [
        mixture.model.generate(
            input_ids=tiny.tokens(length=5),
            attention_mask=torch.ones(2, 5, dtype=torch.long),
            max_new_tokens=10,
            min_new_tokens=10,
            do_sample=False,
            use_cache=use_cache,
        )
        for use_cache in (True, False)
    ]
    assert torch.equal(*runs)


def test_gradient_checkpoints_change_no_gradient_not_even_with_dropout():
    ids = tiny.tokens()
    found = []
    for checkpointed in (False, True):
        mixture = adamole(dropout=0.3, balance=1.0)
        mixture.model.train()
        if checkpointed:
            mixture.model.activation_checkpointing_enable()
        torch.manual_seed(11)
        output = mixture.model(input_ids=ids, labels=ids, use_cache=False)
        (output.loss + mixture.auxiliary_loss()).backward()
        found.append([one.grad for one in mixture.trainable_parameters().values()])
    assert all(torch.allclose(one, other, rtol=1e-4, atol=1e-7) for one, other in zip(*found, strict=True))


def task_loss(model, ids, mask):
    return model(input_ids=ids, attention_mask=mask, labels=ids, use_cache=False).loss


def test_two_passes_before_their_backward_passes_do_not_mix_under_checkpoints():
    batches = [(tiny.tokens(length=9), tiny.tokens(length=9).ne(-1).long()), (tiny.tokens(length=5, seed=4), None)]
    found = []
    for together in (False, True):
        mixture = adamole(balance=1.0)
        mixture.model.train()
        mixture.model.activation_checkpointing_enable()
        loss = task_loss(mixture.model, *batches[0]) + mixture.auxiliary_loss()
        if together:
            later = task_loss(mixture.model, *batches[1])
            loss.backward()
        else:
            loss.backward()
            later = task_loss(mixture.model, *batches[1])
        (later + mixture.auxiliary_loss()).backward()
        found.append([one.grad for one in mixture.trainable_parameters().values()])
    assert all(torch.allclose(one, other, rtol=1e-4, atol=1e-6) for one, other in zip(*found, strict=True))


def test_a_narrow_base_keeps_its_type_and_experts_and_gates_are_float32():
    mixture = adamole(tiny.llama().bfloat16())
    assert {one.dtype for one in mixture.trainable_parameters().values()} == {torch.float32}
    ids = tiny.tokens()
    output = mixture.model(input_ids=ids, labels=ids)
    assert output.logits.dtype == torch.bfloat16
    (output.loss + mixture.auxiliary_loss()).backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in mixture.trainable_parameters().values())


def test_target_modules_are_those_of_the_architecture_unless_they_are_named():
    def layers(**values):
        names = add_adamole(tiny.llama(), AdaMoLEConfig(experts=1, **values)).layers
        return {name.rpartition(".")[2] for name in names}

    assert layers() == {"q_proj", "v_proj"}
    assert layers(target_modules=("down_proj",)) == {"down_proj"}
    everywhere = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert layers(target_modules="all-linear") == everywhere


def test_unknown_target_modules_are_refused_with_the_names_that_there_are():
    with pytest.raises(UsageError, match=r"no linear layer named query: the names are down_proj, gate_proj"):
        add_adamole(tiny.llama(), AdaMoLEConfig(target_modules=("q_proj", "query")))
    model = tiny.llama()
    model.config.model_type = "made"
    with pytest.raises(
        UsageError, match=r"no target modules are known for models of type made: name some of down_proj"
    ):
        add_adamole(model, AdaMoLEConfig())


def test_a_model_that_peft_cannot_adapt_is_refused():
    model = tiny.llama()
    model.config.model_type = "gpt_neox"
    with pytest.raises(
        UsageError, match=r"peft cannot adapt the model \(.*query_key_value.*\): name other target modules"
    ):
        add_adamole(model, AdaMoLEConfig())


def test_a_model_that_has_adapters_is_refused():
    mixture = adamole()
    with pytest.raises(UsageError, match="has adapters already: load it anew"):
        add_adamole(mixture.model, AdaMoLEConfig())


def test_several_experts_cannot_be_merged():
    with pytest.raises(UsageError, match="cannot be merged"):
        adamole().merge()
    mixture = adamole(experts=1)
    expected = tiny.logits(mixture.model, tiny.tokens())
    assert torch.allclose(tiny.logits(mixture.merge(), tiny.tokens()), expected, rtol=0, atol=1e-4)
