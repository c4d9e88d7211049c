"""A linear layer with LoRA experts and what weighs them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from llm_testgen.tuning.mixtures.gates import InputGate, OutputGate, ThresholdGate
from llm_testgen.tuning.mixtures.record import ForwardRecord

AnyGate = OutputGate | InputGate | ThresholdGate


class MixtureLinear(nn.Module):
    """y = W x + Σ_i w_i E_i(x), with E_i(x) = (alpha / rank) B_i A_i dropout(x) and weights w_i for each token.

    Stands where peft's LoRA layer stood, which keeps the frozen layer and the experts. All experts are computed for all
    tokens: their ranks are small, and skipping tokens would take longer than it saves.
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
        self._scope = scope
        self._record = record

    def forward(self, inputs: Tensor) -> Tensor:
        """From (…, features in) to (…, features out), in the frozen layer's type."""
        base: Tensor = self.lora.base_layer(inputs)
        narrow = inputs.to(self._dtype)
        if self.gate is not None and self.gate.reads_outputs:
            outputs = torch.stack([self._up(name, self._down(name, narrow)) for name in self._experts], dim=-2)
            routing = self.gate(inputs, outputs)
            self._record.put(self._scope, routing)
            mixed = (routing.weights.to(outputs.dtype).unsqueeze(-2) @ outputs).squeeze(-2)
        else:
            if self.gate is not None:
                self._record.put(self._scope, self.gate(inputs, None))
            # An expert is linear after its dropout, so the few values between its two matrices can be weighed.
            weights = self._record.weights(self._scope, inputs.shape[:-1]).to(narrow)
            parts = (
                self._up(name, self._down(name, narrow) * weights[..., place, None])
                for place, name in enumerate(self._experts)
            )
            mixed = reduce(torch.add, parts)
        result: Tensor = (base + mixed).to(base.dtype)
        return result

    def expert_parameters(self) -> Iterator[nn.Parameter]:
        """The matrices of the experts."""
        for name in self._experts:
            yield from self.lora.lora_A[name].parameters()
            yield from self.lora.lora_B[name].parameters()

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.expert_parameters()).dtype

    def _down(self, name: str, inputs: Tensor) -> Tensor:
        down: Tensor = self.lora.lora_A[name](self.lora.lora_dropout[name](inputs))
        return down

    def _up(self, name: str, narrow: Tensor) -> Tensor:
        up: Tensor = self.lora.lora_B[name](narrow) * self.lora.scaling[name]
        return up
