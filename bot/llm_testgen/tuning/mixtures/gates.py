"""The gates: from what a layer sees of a token to the weights of its experts.

A gate's parameters are float32 and it computes in float32 at least, also under autocast: a softmax over nearly equal
logits and a comparison with a threshold do not survive eight bits of mantissa.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from llm_testgen.tuning.mixtures.config import AdaMoLEConfig, MoLEConfig, MoLEGate, Selection

_LEAST = 1e-24  # of a squared length: torch's `normalize` takes its root for the least length


class Routing(NamedTuple):
    """What a gate decided, for each token; all of the shape (…, experts).

    Attributes:
        weights: What each expert's output is multiplied by.
        gates: The experts' shares before any selection; they sum to one.
        selected: Whether the token uses the expert.
    """

    weights: Tensor
    gates: Tensor
    selected: Tensor


class Experts(NamedTuple):
    """All that tells the outputs of a layer's experts, which are larger: each is the product of its two parts.

    Attributes:
        inner: Side by side, what each expert's second matrix is multiplied by: (…, Σ ranks).
        ups: These matrices: (features out, rank) each.
    """

    inner: Tensor
    ups: tuple[Tensor, ...]


class Gate(Protocol):
    """A gate is a module that weighs experts."""

    reads_outputs: bool

    def __call__(self, inputs: Tensor, experts: Experts | None) -> Routing:
        """Weigh the experts.

        Args:
            inputs: Of the layer: (…, features in).
            experts: What they are; None where the gate does not read their outputs.
        """
        ...


class OutputGate(nn.Module):
    """MoLE's gate: looks at the outputs of all experts together.

    Wu, Huang and Wei, *Mixture of LoRA Experts*, ICLR 2024 (arXiv 2404.13628), section 3.2:

    * E_Ω(x) = Normalization(E_1(x) ⊕ … ⊕ E_N(x)), ⊕ for concatenation
    * ε = Flatten(E_Ω(x))ᵀ · e, with e learned
    * G(ε_i) = exp(ε_i / τ) / Σ_j exp(ε_j / τ), with τ learned

    It departs from the paper in three things. The paper flattens over a sequence of fixed length, and so has one weight
    for all of its tokens; texts differ in length, and a token must not depend on those after it, so here each token is
    weighed by itself: e has N·d_out rows, and generation with a cache gives what a full pass gives. The paper does not
    say which normalisation: here it is that to unit length, so that the size of the experts does not sharpen the
    softmax. And log τ is what is learned, so that τ stays positive. With e zero all experts weigh the same at first.

    An expert's output is E_i(x) = B_i v_i, with few numbers v_i. So no output is computed: its part of ε is
    v_iᵀ (B_iᵀ e_i), with the rows e_i of e that are its own, and of the squared length v_iᵀ (B_iᵀ B_i) v_i.
    """

    reads_outputs = True

    def __init__(self, experts: int, features: int, temperature: float) -> None:
        """Weigh evenly.

        Args:
            experts: How many there are.
            features: Length of an expert's output.
            temperature: The first τ.
        """
        super().__init__()
        self.embedding = nn.Parameter(torch.zeros(experts * features, experts, dtype=torch.float32))
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature), dtype=torch.float32))

    def forward(self, inputs: Tensor, experts: Experts | None) -> Routing:
        """See `Gate`."""
        assert experts is not None  # noqa: S101 - for mypy; the layer hands them over
        with torch.autocast(inputs.device.type, enabled=False):
            inner, embedding, log_temperature, *ups = _wide(
                experts.inner, self.embedding, self.log_temperature, *experts.ups
            )
            rows = embedding.chunk(len(ups))
            directions = torch.cat([up.T @ own for up, own in zip(ups, rows, strict=True)])
            products = torch.block_diag(*(up.T @ up for up in ups))  # type: ignore[no-untyped-call,unused-ignore]  # torch's
            squares = ((inner @ products) * inner).sum(dim=-1, keepdim=True)
            # Bounded within the root, whose gradient is infinite at zero.
            scores = (inner @ directions) / squares.clamp_min(_LEAST).sqrt()
            gates = torch.softmax(scores / log_temperature.exp(), dim=-1)
        return Routing(gates, gates, torch.ones_like(gates, dtype=torch.bool))


class InputGate(nn.Module):
    """The gate of a MoLE in its plain form: sigmoid(W x + b) of the layer's input x, for each expert by itself.

    The weights need not sum to one, so identical experts add up to more or less than one of them. They start at 1/N
    each, a half where there is one expert. The balance loss sees them divided by their sum: else it would only ask for
    all of them to be large.
    """

    reads_outputs = False

    def __init__(self, experts: int, features: int) -> None:
        """Weigh evenly; ``features`` is the length of the layer's input."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(experts, features, dtype=torch.float32))
        self.bias = nn.Parameter(torch.full((experts,), -math.log(max(1, experts - 1)), dtype=torch.float32))

    def forward(self, inputs: Tensor, experts: Experts | None) -> Routing:  # noqa: ARG002 - see `Gate`
        """See `Gate`."""
        with torch.autocast(inputs.device.type, enabled=False):
            weights = torch.sigmoid(functional.linear(*_wide(inputs, self.weight, self.bias)))
            total = weights.sum(dim=-1, keepdim=True)
            gates = weights / total.clamp_min(torch.finfo(total.dtype).tiny)
        return Routing(weights, gates, torch.ones_like(gates, dtype=torch.bool))


class ThresholdGate(nn.Module):
    """AdaMoLE's gate, and its relatives with a fixed threshold or a fixed number of experts.

    Liu and Luo, *AdaMoLE: Fine-Tuning Large Language Models with Adaptive Mixture of Low-Rank Adaptation Experts*,
    COLM 2024 (arXiv 2405.00361):

    * p = softmax(W_g x), τ = τ_max · sigmoid(W_τ x + b_τ)
    * w_i = 1(p_i ≥ τ) (p_i - τ) / Σ_j 1(p_j ≥ τ) (p_j - τ)

    With `Selection.FIXED` τ is a constant, and w_i = 1(p_i ≥ τ) p_i / Σ_j 1(p_j ≥ τ) p_j. With `Selection.TOP_K` the
    same holds for the k largest p_i, as in MixLoRA (Li et al., arXiv 2404.15159).

    Where all (p_i - τ) are zero or below, the experts with p_i = τ share evenly, and a token that no expert reaches has
    none: the frozen layer alone. With τ_max ≤ 1/N that cannot be, as the largest p_i is 1/N at least, rounded or not.
    """

    reads_outputs = False

    def __init__(self, config: AdaMoLEConfig, features: int) -> None:
        """Draw the weights as torch draws those of a linear layer; ``features`` is the length of the layer's input."""
        super().__init__()
        self._config = config
        self.gate = nn.Linear(features, config.experts, bias=False, dtype=torch.float32)
        self.threshold = nn.Linear(features, 1, dtype=torch.float32) if config.selection is Selection.ADAPTIVE else None

    def forward(self, inputs: Tensor, experts: Experts | None) -> Routing:  # noqa: ARG002 - see `Gate`
        """See `Gate`."""
        with torch.autocast(inputs.device.type, enabled=False):
            inputs, weight = _wide(inputs, self.gate.weight)
            gates = torch.softmax(functional.linear(inputs, weight), dim=-1)
            if self._config.selection is Selection.TOP_K:
                selected = torch.zeros_like(gates, dtype=torch.bool)
                selected.scatter_(-1, gates.topk(self._config.top_k, dim=-1).indices, value=True)
                return Routing(_normalised(gates, selected), gates, selected)
            threshold = self._threshold(inputs)
            selected = gates >= threshold
            amounts = gates - threshold if self.threshold is not None else gates
            return Routing(_normalised(amounts, selected), gates, selected)

    def _threshold(self, inputs: Tensor) -> Tensor | float:
        """τ of each token, (…, 1), or of all."""
        highest = self._config.highest_threshold
        if self.threshold is None:
            return highest
        return highest * torch.sigmoid(functional.linear(*_wide(inputs, self.threshold.weight, self.threshold.bias)))


def mole_gate(config: MoLEConfig, experts: int, features_in: int, features_out: int) -> OutputGate | InputGate:
    """A new gate for a layer of a MoLE."""
    if config.gate is MoLEGate.INPUT:
        return InputGate(experts, features_in)
    return OutputGate(experts, features_out, config.temperature)


def _normalised(amounts: Tensor, selected: Tensor) -> Tensor:
    """The selected amounts divided by their sum; evenly where that is zero, and zero where none is selected."""
    kept = torch.where(selected, amounts, 0.0)
    total = kept.sum(dim=-1, keepdim=True)
    evenly = selected.to(kept.dtype) / selected.sum(dim=-1, keepdim=True).clamp_min(1)
    # The inner `where` keeps the gradient of the branch that is not taken finite.
    return torch.where(total > 0, kept / torch.where(total > 0, total, 1.0), evenly)


def _wide(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Tensors in one type, float32 or wider."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return tuple(tensor.to(dtype) for tensor in tensors)
