"""A model with mixtures of LoRA experts in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from peft import LoraConfig
from torch import Tensor, nn
from transformers import PreTrainedModel

from llm_testgen.errors import UsageError
from llm_testgen.tuning.mixtures.balance import (
    Usage,
    mean_over,
    mole_balance_loss,
    switch_balance_loss,
    total_usage,
    usage_of,
)
from llm_testgen.tuning.mixtures.config import AdaMoLEConfig, MoLEConfig, MoLEGate
from llm_testgen.tuning.mixtures.gates import Routing
from llm_testgen.tuning.mixtures.layer import MixtureLinear
from llm_testgen.tuning.mixtures.record import ForwardRecord


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """A model with mixtures in it, and the handle to them.

    The model is what it was: it trains, generates and moves between devices as any transformers model. A trainer adds
    `auxiliary_loss` to the task's loss after each forward pass.

    Attributes:
        model: The model; its layers are changed in place.
        config: How its experts are weighed.
        experts: The experts by name, as peft describes them, in the order of the weights.
        layers: The changed layers, by their names in the model.
        record: What the gates decided in the last forward pass.
    """

    model: PreTrainedModel
    config: MoLEConfig | AdaMoLEConfig
    experts: Mapping[str, LoraConfig]
    layers: Mapping[str, MixtureLinear]
    record: ForwardRecord

    def trainable_parameters(self) -> dict[str, nn.Parameter]:
        """What training changes, by name: the gates, and AdaMoLE's experts. Everything else is frozen."""
        return {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}

    def gate_parameters(self) -> dict[str, nn.Parameter]:
        """The gates' parameters, by the names of the layers that hold them."""
        return {
            f"{path}.{name}": parameter
            for path, layer in self.layers.items()
            if layer.gate is not None
            for name, parameter in layer.gate.named_parameters()
        }

    def auxiliary_loss(self) -> Tensor:
        """What to add to the task's loss: the balance loss of the last forward pass, times its weight.

        Padding, which the forward pass was told of by ``attention_mask``, does not count.

        Raises:
            UsageError: The pass went through gradient checkpoints of the old kind, which lose the gradient.
            RuntimeError: There was no forward pass yet.
        """
        return self.config.balance * self.balance_loss()

    def balance_loss(self) -> Tensor:
        """The balance loss of the last forward pass, not weighted; see `auxiliary_loss`."""
        routings = self._routings()
        if self.record.graded and any(parameter.requires_grad for parameter in self.gate_parameters().values()):
            self._check_graded()
        masks = [self.record.mask_of(routing) for routing in routings.values()]
        gates = [mean_over(routing.gates, mask) for routing, mask in zip(routings.values(), masks, strict=True)]
        if isinstance(self.config, MoLEConfig):
            return mole_balance_loss(_together(gates))
        selected = [
            mean_over(one.selected.to(one.gates), mask) for one, mask in zip(routings.values(), masks, strict=True)
        ]
        return switch_balance_loss(_together(gates), _together(selected))

    def usage(self) -> Usage:
        """How the experts were used in the last forward pass, over all gates.

        Raises:
            RuntimeError: There was no forward pass yet.
        """
        return total_usage(self.usage_by_gate())

    def usage_by_gate(self) -> dict[str, Usage]:
        """How the experts were used in the last forward pass, for each gate; see `usage`."""
        return {name: usage_of(routing, self.record.mask_of(routing)) for name, routing in self._routings().items()}

    def merge(self) -> PreTrainedModel:
        """Put the experts into the model's weights, and give the plain model, which then needs no mixture any more.

        Raises:
            UsageError: That cannot be done: weights that differ between tokens are no matrix.
        """
        always_one = not (isinstance(self.config, MoLEConfig) and self.config.gate is MoLEGate.INPUT)
        if len(self.experts) > 1 or not always_one:
            msg = (
                "a mixture cannot be merged into the model, since it weighs its experts anew for each token: "
                "serve it with --adapter, or train a single LoRA adapter and merge that"
            )
            raise UsageError(msg)
        for path, layer in self.layers.items():
            layer.lora.merge(safe_merge=True, adapter_names=list(self.experts))
            self.model.set_submodule(path, layer.lora.get_base_layer())
        return self.model

    def _routings(self) -> dict[str, Routing]:
        if not self.record.routings:
            msg = "there was no forward pass of the model yet"
            raise RuntimeError(msg)
        return self.record.routings

    def _check_graded(self) -> None:
        if not all(routing.gates.requires_grad for routing in self.record.routings.values()):
            msg = (
                "re-entrant gradient checkpoints lose the balance loss's gradient: switch them on with "
                'gradient_checkpointing_kwargs={"use_reentrant": False}'
            )
            raise UsageError(msg)


def _together(tensors: list[Tensor]) -> list[Tensor]:
    """Tensors on the first one's device: a model may be spread over several."""
    return [tensor.to(tensors[0].device) for tensor in tensors]
