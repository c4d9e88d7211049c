"""A linear layer with LoRA experts and what weighs them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional

from llm_testgen.tuning.mixtures.gates import Experts, InputGate, OutputGate, ThresholdGate
from llm_testgen.tuning.mixtures.record import ForwardRecord

AnyGate = OutputGate | InputGate | ThresholdGate


class MixtureLinear(nn.Module):
    """y = W x + Σ_i w_i E_i(x), with E_i(x) = (alpha / rank) B_i A_i dropout(x) and weights w_i for each token.

    Stands where peft's LoRA layer stood, which keeps the frozen layer and the experts. All experts are computed for all
    tokens: their ranks are small, and skipping tokens would take longer than it saves. Their matrices are put side by
    side, so that all experts are two products and no tensor has an expert's whole output: as an expert is linear after
    its dropout, which drops the same for all, the few values between its two matrices can be weighed.
    """

    def __init__(
        self, lora: LoraLayer, experts: tuple[str, ...], gate: AnyGate | None, scope: str, record: ForwardRecord
    ) -> None:
        """Take over a LoRA layer.

        Args:
            lora: Peft's layer.
            experts: Names of its adapters, in the order of the weights.
            gate: What weighs them; None to follow the gate of another layer.
            scope: Name of the gate in the record.
            record: What the model's gates decided.
        """
        super().__init__()
        self.lora = lora
        self.gate = gate
        self._experts = experts
        self._ranks = tuple(lora.r[name] for name in experts)
        self._scope = scope
        self._record = record

    def forward(self, inputs: Tensor) -> Tensor:
        """From (…, features in) to (…, features out), in the frozen layer's type."""
        base: Tensor = self.lora.base_layer(inputs)
        inner, ups = self._inner(inputs), self._matrices(self.lora.lora_B)
        up = torch.cat(ups, dim=1)
        if self.gate is not None:
            experts = Experts(inner, ups) if self.gate.reads_outputs else None
            self._record.put(self._scope, self.gate(inputs, experts))
        weights = self._record.weights(self._scope, inputs.shape[:-1]).to(inner)
        mixed = functional.linear(inner * _spread(weights, self._ranks), up)
        result: Tensor = (base + mixed).to(base.dtype)
        return result

    def expert_parameters(self) -> Iterator[nn.Parameter]:
        """The matrices of the experts."""
        for name in self._experts:
            yield from self.lora.lora_A[name].parameters()
            yield from self.lora.lora_B[name].parameters()

    def _inner(self, inputs: Tensor) -> Tensor:
        """(alpha / rank) A_i dropout(x) of all experts, side by side: (…, Σ ranks)."""
        downs = self._matrices(self.lora.lora_A)
        # Peft has one dropout for each adapter, and here they are alike.
        dropped = self.lora.lora_dropout[self._experts[0]](inputs.to(downs[0].dtype))
        inner = functional.linear(dropped, torch.cat(downs))
        scalings = [self.lora.scaling[name] for name in self._experts]
        return inner * _spread(inner.new_tensor(scalings), self._ranks)

    def _matrices(self, parts: nn.ModuleDict) -> tuple[Tensor, ...]:
        return tuple(parts[name].get_parameter("weight") for name in self._experts)


def _spread(values: Tensor, ranks: tuple[int, ...]) -> Tensor:
    """From (…, experts) to (…, Σ ranks): what is an expert's own is that of each value between its matrices."""
    if len(set(ranks)) == 1:
        return values.repeat_interleave(ranks[0], dim=-1)
    repeats = torch.tensor(ranks, device=values.device)
    return values.repeat_interleave(repeats, dim=-1, output_size=sum(ranks))
