from __future__ import annotations

import copy
import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from peft import PeftModel  # noqa: E402
from tests.tuning.mixtures import tiny  # noqa: E402

from llm_testgen.errors import UsageError  # noqa: E402
from llm_testgen.tuning.mixtures.building import add_mole  # noqa: E402
from llm_testgen.tuning.mixtures.config import GateScope, MoLEConfig, MoLEGate  # noqa: E402

pytestmark = pytest.mark.filterwarnings(tiny.OLD_NAME)

FORMS = [
    MoLEConfig(),
    MoLEConfig(scope=GateScope.BLOCK),
    MoLEConfig(gate=MoLEGate.INPUT),
    MoLEConfig(gate=MoLEGate.INPUT, scope=GateScope.MODEL),
]


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    return tiny.save_adapters(tmp_path_factory.mktemp("adapters"))


def mole(adapters, config=None, model=None):
    """One whose gates have been trained a little."""
    mixture = add_mole(model or tiny.llama(), adapters, config or MoLEConfig())
    tiny.disturb(mixture.gate_parameters().values())
    return mixture


def by_hand(layer, weights, token):
    outputs = [tiny.expert_output(layer, name, token) for name in layer.lora.r]
    mixed = [tiny.dot(weights, numbers) for numbers in zip(*outputs, strict=True)]
    return layer.lora.base_layer(token) + torch.stack(mixed)


@pytest.mark.parametrize("kind", list(MoLEGate))
def test_a_layer_and_its_gradients_are_those_of_the_formula(adapters, kind):
    layer = mole(adapters, MoLEConfig(gate=kind, temperature=0.1), tiny.llama().double()).layers[
        "model.layers.0.self_attn.q_proj"
    ]
    layer.double()
    x = torch.randn(1, 5, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    tokens = []
    for token in x[0]:
        outputs = [tiny.expert_output(layer, name, token) for name in layer.lora.r]
        reads_outputs = kind is MoLEGate.OUTPUTS
        weights = tiny.mole_weights(layer.gate, outputs) if reads_outputs else tiny.input_weights(layer.gate, token)
        tokens.append(by_hand(layer, weights, token))
    wanted = torch.stack(tokens)[None]
    got = layer(x)
    assert (got - layer.lora.base_layer(x)).abs().max() > 0.1
    assert torch.allclose(got, wanted, rtol=0, atol=1e-10)
    parts = torch.arange(got.numel(), dtype=torch.float64).reshape(got.shape).cos()
    sought = [x, *layer.gate.parameters()]
    pairs = zip(
        torch.autograd.grad((got * parts).sum(), sought),
        torch.autograd.grad((wanted * parts).sum(), sought),
        strict=True,
    )
    for one, other in pairs:
        assert one.abs().max() > 1e-3
        assert torch.allclose(one, other, rtol=1e-8, atol=1e-10)


def test_with_one_expert_it_is_the_plain_lora_model(adapters):
    plain = PeftModel.from_pretrained(tiny.llama(), str(adapters[1]))
    expected = tiny.logits(plain, tiny.tokens())
    assert torch.equal(tiny.logits(mole(adapters[1:2]).model, tiny.tokens()), expected)
    assert not torch.allclose(tiny.logits(tiny.llama(), tiny.tokens()), expected, atol=1e-2)


def test_with_identical_experts_the_gate_does_not_matter(adapters):
    plain = PeftModel.from_pretrained(tiny.llama(), str(adapters[1]))
    mixture = mole([adapters[1]] * 3, MoLEConfig(temperature=0.05))
    assert torch.allclose(
        tiny.logits(mixture.model, tiny.tokens()), tiny.logits(plain, tiny.tokens()), rtol=0, atol=1e-5
    )
    assert max(mixture.usage().weights) > 0.34


def test_with_different_experts_the_gate_matters(adapters):
    mixture = add_mole(tiny.llama(), adapters)
    before = tiny.logits(mixture.model, tiny.tokens())
    tiny.disturb(mixture.gate_parameters().values())
    assert (tiny.logits(mixture.model, tiny.tokens()) - before).abs().max() > 1e-2


@pytest.mark.parametrize("config", FORMS, ids=lambda config: f"{config.gate}-{config.scope}")
def test_training_lowers_the_loss_and_changes_the_gates_alone(adapters, config):
    mixture = add_mole(tiny.llama(), adapters, config)
    model = mixture.model.train()
    trainable = mixture.trainable_parameters()
    assert {id(one) for one in trainable.values()} == {id(one) for one in mixture.gate_parameters().values()}
    frozen = {name: one.detach().clone() for name, one in model.named_parameters() if name not in trainable}
    started = {name: one.detach().clone() for name, one in trainable.items()}
    assert sum("lora_" in name for name in frozen) == 4 * 3 * 2
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    ids = tiny.tokens(batch=4, length=8)
    losses = []
    for _ in range(12):
        loss = model(input_ids=ids, labels=ids).loss + mixture.auxiliary_loss()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] - 0.02
    now = dict(model.named_parameters())
    assert all(torch.equal(now[name], value) for name, value in frozen.items())
    assert all(not torch.equal(now[name], value) for name, value in started.items())


def test_a_gate_of_a_block_or_of_the_model_decides_in_its_first_layer(adapters):
    gates = {}
    for scope in GateScope:
        mixture = mole(adapters, MoLEConfig(scope=scope))
        tiny.logits(mixture.model, tiny.tokens())
        gates[scope] = [path for path, layer in mixture.layers.items() if layer.gate is not None]
        assert len(mixture.record.routings) == len(gates[scope])
    blocks = [f"model.layers.{block}.self_attn" for block in range(2)]
    assert gates[GateScope.LAYER] == [f"{block}.{name}" for block in blocks for name in tiny.ATTENTION]
    assert gates[GateScope.BLOCK] == [f"{block}.q_proj" for block in blocks]
    assert gates[GateScope.MODEL] == [f"{blocks[0]}.q_proj"]


def test_layers_that_share_a_gate_take_its_weights(adapters):
    mixture = mole(adapters, MoLEConfig(scope=GateScope.MODEL), tiny.llama().double())
    for layer in mixture.layers.values():
        layer.double()
    follower = mixture.layers["model.layers.1.self_attn.v_proj"]
    seen = {}
    follower.register_forward_hook(lambda _, inputs, output: seen.update(inputs=inputs[0], output=output))
    tiny.logits(mixture.model, tiny.tokens(batch=1, length=4))
    weights = mixture.record.routings[""].weights
    assert weights.std(dim=1).max() > 1e-3
    for place in range(4):
        expected = by_hand(follower, list(weights[0, place]), seen["inputs"][0, place])
        assert torch.allclose(seen["output"][0, place], expected, rtol=0, atol=1e-10)


def test_layers_that_see_other_tokens_than_their_gate_are_refused(adapters):
    mixture = mole(adapters, MoLEConfig(scope=GateScope.BLOCK))
    tiny.logits(mixture.model, tiny.tokens())
    with pytest.raises(UsageError, match=r"model\.layers\.0 do not all see the same tokens: give each layer its own"):
        mixture.layers["model.layers.0.self_attn.v_proj"](torch.zeros(1, 3, 32))


@pytest.mark.parametrize("config", FORMS, ids=lambda config: f"{config.gate}-{config.scope}")
def test_generation_with_the_cache_gives_what_generation_without_it_gives(adapters, config):
    mixture = mole(adapters, config)
    ids = tiny.tokens(batch=2, length=5)
    mask = torch.ones_like(ids)
    mask[0, :2] = 0
    runs = [
        mixture.model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=8, min_new_tokens=8, do_sample=False, use_cache=use_cache
        )
        for use_cache in (True, False)
    ]
    assert torch.equal(*runs)
    full = tiny.logits(mixture.model, runs[0])
    cache = None
    for place in range(runs[0].shape[1]):
        with torch.no_grad():
            step = mixture.model(input_ids=runs[0][:, place : place + 1], past_key_values=cache, use_cache=True)
        cache = step.past_key_values
        assert torch.allclose(step.logits[:, 0], full[:, place], rtol=0, atol=1e-4)


def test_the_balance_loss_is_that_of_the_formula(adapters):
    mixture = mole(adapters, MoLEConfig(balance=0.5))
    tiny.logits(mixture.model, tiny.tokens())
    layers = [list(one.weights.double().flatten(0, 1)) for one in mixture.record.routings.values()]
    assert mixture.balance_loss().item() == pytest.approx(tiny.mole_loss(layers), rel=1e-5)
    assert mixture.auxiliary_loss().item() == pytest.approx(0.5 * tiny.mole_loss(layers), rel=1e-5)
    assert mixture.balance_loss().item() > 3 * math.log(3)


@pytest.mark.parametrize("kind", list(MoLEGate))
def test_the_balance_loss_is_least_where_all_experts_weigh_the_same(adapters, kind):
    mixture = add_mole(tiny.llama(), adapters, MoLEConfig(gate=kind))
    tiny.logits(mixture.model, tiny.tokens())
    assert mixture.balance_loss().item() == pytest.approx(3 * math.log(3), rel=1e-6)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_neither_the_balance_loss_nor_its_gradient_nor_the_usage(adapters, side):
    mixture = mole(adapters)
    ids = tiny.tokens(batch=1, length=6)
    padding = torch.zeros(1, 5, dtype=ids.dtype)
    parts = [padding, ids] if side == "left" else [ids, padding]
    mask = torch.cat([part.ne(0).long() for part in parts], dim=1)
    found = []
    for arguments in ({"input_ids": ids}, {"input_ids": torch.cat(parts, dim=1), "attention_mask": mask}):
        if side == "left" and "attention_mask" in arguments:
            arguments["position_ids"] = (mask.cumsum(-1) - 1).clamp_min(0)
        mixture.model.zero_grad()
        mixture.model(**arguments)
        mixture.balance_loss().backward()
        gradients = [one.grad.clone() for one in mixture.gate_parameters().values()]
        found.append((mixture.balance_loss().item(), mixture.usage(), gradients))
    (plain, usage, gradients), (padded, padded_usage, padded_gradients) = found
    assert padded == pytest.approx(plain, rel=1e-5)
    assert padded_usage.tokens == usage.tokens == 6 * 4
    assert padded_usage.weights == pytest.approx(usage.weights, rel=1e-4)
    assert all(
        torch.allclose(one, other, rtol=1e-3, atol=1e-6) for one, other in zip(gradients, padded_gradients, strict=True)
    )
    mixture.model(input_ids=torch.cat(parts, dim=1))
    assert abs(mixture.balance_loss().item() - plain) > 1e-4


def test_a_mask_by_position_counts_too(adapters):
    mixture = mole(adapters)
    ids = tiny.tokens(batch=1, length=6)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0]])
    with torch.no_grad():
        mixture.model(ids, mask)
    assert mixture.usage().tokens == 4 * 4


def test_with_a_cache_the_mask_counts_for_the_tokens_that_are_new(adapters):
    mixture = mole(adapters)
    ids = tiny.tokens(length=6)
    mask = torch.ones_like(ids)
    mask[0, :3] = 0
    with torch.no_grad():
        begun = mixture.model(input_ids=ids[:, :4], attention_mask=mask[:, :4], use_cache=True)
        assert mixture.usage().tokens == 4 * (1 + 4)
        mixture.model(input_ids=ids[:, 4:], attention_mask=mask, past_key_values=begun.past_key_values)
        assert mixture.usage().tokens == 4 * (2 + 2)


@pytest.mark.parametrize("scope", list(GateScope))
def test_gradient_checkpoints_change_no_gradient(adapters, scope):
    ids = tiny.tokens()
    found = []
    for checkpointed in (False, True):
        mixture = mole(adapters, MoLEConfig(scope=scope, balance=1.0))
        mixture.model.train()
        if checkpointed:
            mixture.model.activation_checkpointing_enable()
        output = mixture.model(input_ids=ids, labels=ids, use_cache=False)
        auxiliary = mixture.auxiliary_loss()
        (output.loss + auxiliary).backward()
        found.append([one.grad for one in mixture.trainable_parameters().values()])
        assert mixture.auxiliary_loss().item() == auxiliary.item()
    assert all(torch.allclose(one, other, rtol=1e-4, atol=1e-7) for one, other in zip(*found, strict=True))


def test_checkpoints_that_lose_the_balance_loss_are_refused(adapters):
    mixture = mole(adapters)
    mixture.model.train()
    mixture.model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": True})
    mixture.model(input_ids=tiny.tokens(), use_cache=False)
    with pytest.raises(UsageError, match="use_reentrant"):
        mixture.auxiliary_loss()


def test_the_balance_loss_needs_a_forward_pass(adapters):
    with pytest.raises(RuntimeError, match="no forward pass"):
        mole(adapters).balance_loss()


def test_dropout_is_that_of_the_mixture_and_only_in_training(adapters):
    for rate in (0.0, 0.5):
        mixture = mole(adapters, MoLEConfig(dropout=rate))
        calm = tiny.logits(mixture.model, tiny.tokens())
        mixture.model.train()
        assert torch.equal(tiny.logits(mixture.model, tiny.tokens()), calm) == (rate == 0.0)
        mixture.model.eval()
        assert torch.equal(tiny.logits(mixture.model, tiny.tokens()), calm)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_narrow_base_keeps_its_type_and_the_gates_are_float32(adapters, dtype):
    exact = tiny.logits(mole(adapters).model, tiny.tokens())
    mixture = mole(adapters, model=tiny.llama().to(dtype))
    assert {one.dtype for one in mixture.gate_parameters().values()} == {torch.float32}
    output = tiny.logits(mixture.model, tiny.tokens())
    assert output.dtype == dtype
    assert (output.float() - exact).abs().max() < 0.05 * exact.abs().max()


def test_a_copy_of_the_model_has_a_record_of_its_own(adapters):
    mixture = mole(adapters)
    other = copy.deepcopy(mixture)
    tiny.logits(other.model, tiny.tokens())
    assert len(other.record.routings) == 4
    assert mixture.record.routings == {}


def test_layers_that_store_their_weights_the_other_way_round_can_be_mixed(tmp_path):
    folders = [
        tiny.save_adapter(tmp_path / str(seed), seed, tiny.gpt2(), targets=("c_attn",), fan_in_fan_out=True)
        for seed in range(2)
    ]
    mixture = mole(folders, model=tiny.gpt2())
    assert tiny.logits(mixture.model, tiny.tokens()).isfinite().all()
    single = mole(folders[:1], model=tiny.gpt2())
    plain = PeftModel.from_pretrained(tiny.gpt2(), str(folders[0]))
    assert torch.equal(tiny.logits(single.model, tiny.tokens()), tiny.logits(plain, tiny.tokens()))


def test_one_expert_can_be_merged_and_several_cannot(adapters):
    mixture = mole(adapters[:1])
    expected = tiny.logits(mixture.model, tiny.tokens())
    merged = mixture.merge()
    assert not any("lora" in name or "gate." in name for name, _ in merged.named_modules())
    assert torch.allclose(tiny.logits(merged, tiny.tokens()), expected, rtol=0, atol=1e-4)
    for refused in (mole(adapters), mole(adapters[:1], MoLEConfig(gate=MoLEGate.INPUT))):
        with pytest.raises(UsageError, match="weighs its experts anew for each token: serve it with --adapter"):
            refused.merge()
