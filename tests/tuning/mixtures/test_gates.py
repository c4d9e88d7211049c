from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from tests.tuning.mixtures import tiny  # noqa: E402

from llm_testgen.tuning.mixtures.config import AdaMoLEConfig, MoLEConfig, MoLEGate, Selection  # noqa: E402
from llm_testgen.tuning.mixtures.gates import Experts, InputGate, OutputGate, ThresholdGate, mole_gate  # noqa: E402

FEATURES = 5


def inputs(count=12, features=FEATURES):
    return torch.randn(2, count // 2, features, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def some_experts(*ranks, count=12):
    generator = torch.Generator().manual_seed(4)
    ups = tuple(torch.randn(FEATURES, rank, dtype=torch.float64, generator=generator) for rank in ranks)
    return Experts(inputs(count, sum(ranks)), ups)


def outputs_of(experts, token):
    """Of one token: a list of numbers for each expert."""
    parts = token.split([up.shape[1] for up in experts.ups])
    return [[tiny.dot(row, part) for row in up] for up, part in zip(experts.ups, parts, strict=True)]


def threshold_gate(**values):
    torch.manual_seed(2)
    gate = ThresholdGate(AdaMoLEConfig(**values), FEATURES).double()
    tiny.disturb(gate.parameters())
    return gate


def by_hand(gate, config, token):
    values = tiny.gate_values(gate, token)
    if config.selection is Selection.TOP_K:
        return tiny.largest_weights(values, config.top_k)
    if config.selection is Selection.FIXED:
        return tiny.share_weights(values, config.highest_threshold)
    return tiny.margin_weights(values, tiny.learned_threshold(gate, token, config.highest_threshold))


def gradients(output, parameters):
    """Of a sum in which every number has another part."""
    parts = torch.arange(1, output.numel() + 1, dtype=torch.float64).reshape(output.shape).cos()
    return torch.autograd.grad((output * parts).sum(), parameters, retain_graph=True)


@pytest.mark.parametrize(
    "values",
    [
        {"experts": 4},
        {"experts": 3, "threshold": 0.2},
        {"experts": 4, "selection": Selection.FIXED, "threshold": 0.2},
        {"experts": 4, "selection": Selection.FIXED},
        {"experts": 4, "selection": Selection.TOP_K, "top_k": 2},
    ],
)
def test_the_weights_of_an_adamole_and_their_gradients_are_those_of_the_formula(values):
    gate = threshold_gate(**values)
    x = inputs()
    routing = gate(x, None)
    tokens = [token for sequence in x for token in sequence]
    expected = [by_hand(gate, AdaMoLEConfig(**values), token) for token in tokens]
    wanted = torch.stack([torch.stack(row) for row in expected]).reshape(routing.weights.shape)
    assert torch.allclose(routing.weights, wanted, rtol=0, atol=1e-12)
    assert torch.equal(routing.selected, wanted > 0)
    values_by_hand = torch.stack([torch.stack(tiny.gate_values(gate, token)) for token in tokens])
    assert torch.allclose(routing.gates.flatten(0, 1), values_by_hand, rtol=0, atol=1e-12)
    for got, want in zip(
        gradients(routing.weights, list(gate.parameters())), gradients(wanted, list(gate.parameters())), strict=True
    ):
        assert got.abs().max() > 1e-3
        assert torch.allclose(got, want, rtol=1e-9, atol=1e-12)


def test_the_weights_of_a_mole_and_their_gradients_are_those_of_the_formula():
    gate = OutputGate(3, FEATURES, temperature=0.7).double()
    tiny.disturb(gate.parameters())
    experts = some_experts(2, 3, 1)
    routing = gate(inputs(), experts)
    outputs = [outputs_of(experts, token) for sequence in experts.inner for token in sequence]
    expected = [torch.stack(tiny.mole_weights(gate, token)) for token in outputs]
    wanted = torch.stack(expected).reshape(routing.weights.shape)
    assert torch.allclose(routing.weights, wanted, rtol=0, atol=1e-12)
    for got, want in zip(
        gradients(routing.weights, list(gate.parameters())), gradients(wanted, list(gate.parameters())), strict=True
    ):
        assert got.abs().max() > 1e-3
        assert torch.allclose(got, want, rtol=1e-9, atol=1e-12)


def test_the_weights_of_the_plain_gate_and_their_gradients_are_those_of_the_formula():
    gate = InputGate(3, FEATURES).double()
    tiny.disturb(gate.parameters())
    routing = gate(inputs(), None)
    expected = [torch.stack(tiny.input_weights(gate, token)) for sequence in inputs() for token in sequence]
    wanted = torch.stack(expected).reshape(routing.weights.shape)
    assert torch.allclose(routing.weights, wanted, rtol=0, atol=1e-12)
    assert torch.allclose(routing.gates, wanted / wanted.sum(-1, keepdim=True), rtol=0, atol=1e-12)
    for got, want in zip(
        gradients(routing.weights, list(gate.parameters())), gradients(wanted, list(gate.parameters())), strict=True
    ):
        assert torch.allclose(got, want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("selection", list(Selection))
def test_the_gradient_of_an_adamole_is_that_of_finite_differences(selection):
    gate = threshold_gate(experts=3, selection=selection)

    def weights(x, *parameters):
        names = [name for name, _ in gate.named_parameters()]
        return torch.func.functional_call(gate, dict(zip(names, parameters, strict=True)), (x, None)).weights

    arguments = [tensor.detach().clone().requires_grad_() for tensor in (inputs(4), *gate.parameters())]
    assert torch.autograd.gradcheck(weights, arguments)


@pytest.mark.parametrize("kind", list(MoLEGate))
def test_the_gradient_of_a_mole_is_that_of_finite_differences(kind):
    gate = mole_gate(MoLEConfig(gate=kind), 3, FEATURES, FEATURES).double()
    tiny.disturb(gate.parameters())

    def weights(x, inner, *parameters):
        names = [name for name, _ in gate.named_parameters()]
        given = (x, experts._replace(inner=inner))
        return torch.func.functional_call(gate, dict(zip(names, parameters, strict=True)), given).weights

    experts = some_experts(2, 1, 2, count=2)
    arguments = [tensor.detach().clone().requires_grad_() for tensor in (inputs(2), experts.inner, *gate.parameters())]
    assert torch.autograd.gradcheck(weights, arguments)


@pytest.mark.parametrize("kind", list(MoLEGate))
def test_a_new_mole_weighs_all_experts_the_same(kind):
    gate = mole_gate(MoLEConfig(gate=kind), 4, FEATURES, FEATURES)
    routing = gate(inputs().float(), some_experts(1, 2, 3, 2))
    assert torch.allclose(routing.weights, torch.full_like(routing.weights, 0.25))


def test_a_token_that_no_expert_reaches_has_none_and_a_finite_gradient():
    gate = threshold_gate(experts=4, threshold=0.9)
    with torch.no_grad():
        gate.gate.weight.zero_()
        gate.threshold.bias.fill_(50.0)
    routing = gate(inputs(), None)
    assert torch.equal(routing.weights, torch.zeros_like(routing.weights))
    assert not routing.selected.any()
    for gradient in gradients(routing.weights, list(gate.parameters())):
        assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("experts", [2, 3, 5, 6, 7, 11, 49])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding_leaves_no_token_without_an_expert(experts, dtype):
    gate = threshold_gate(experts=experts).to(dtype)
    with torch.no_grad():
        gate.gate.weight.zero_()
        gate.threshold.weight.zero_()
        gate.threshold.bias.fill_(100.0)
    routing = gate(inputs().to(dtype), None)
    assert routing.selected.all()
    assert torch.allclose(routing.weights, torch.full_like(routing.weights, 1 / experts))


@pytest.mark.parametrize("selection", list(Selection))
def test_the_weights_of_an_adamole_sum_to_one_where_the_threshold_is_at_most_one_nth(selection):
    gate = threshold_gate(experts=4, selection=selection)
    routing = gate(100 * inputs(), None)
    assert torch.allclose(routing.weights.sum(-1), torch.ones(2, 6, dtype=torch.float64))
    assert (routing.weights >= 0).all()


def test_gates_compute_in_float32_whatever_they_are_given_and_under_autocast():
    gate = ThresholdGate(AdaMoLEConfig(experts=3), FEATURES)
    outputs = OutputGate(3, FEATURES, 1.0)
    tiny.disturb([*gate.parameters(), *outputs.parameters()])
    x = inputs().bfloat16()
    exact = gate(x.float(), None).weights
    wide = some_experts(2, 2, 2)
    experts = Experts(wide.inner.bfloat16(), tuple(up.bfloat16() for up in wide.ups))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for one in (gate(x, None), outputs(x, experts), InputGate(3, FEATURES)(x, None)):
            assert one.weights.dtype == one.gates.dtype == torch.float32
        assert torch.equal(gate(x, None).weights, exact)
    assert gate.bfloat16()(x, None).weights.dtype == torch.float32


def test_experts_that_say_nothing_weigh_the_same_and_have_finite_gradients():
    gate = OutputGate(2, FEATURES, 1.0).double()
    tiny.disturb(gate.parameters())
    experts = some_experts(1, 2)
    silent = Experts(experts.inner.clone().requires_grad_(), tuple(torch.zeros_like(up) for up in experts.ups))
    routing = gate(inputs(), silent)
    assert torch.equal(routing.weights, torch.full_like(routing.weights, 0.5))
    for gradient in gradients(routing.weights, [silent.inner, *gate.parameters()]):
        assert torch.equal(gradient, torch.zeros_like(gradient))
