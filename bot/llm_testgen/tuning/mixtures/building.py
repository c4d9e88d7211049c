"""Puts mixtures into a model: loads or adds the experts, and gives its layers their gates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from llm_testgen.errors import UsageError
from llm_testgen.tuning.mixtures.config import AdaMoLEConfig, GateScope, MoLEConfig
from llm_testgen.tuning.mixtures.experts import Adapter, add_experts, check_sizes, load_experts, read_experts
from llm_testgen.tuning.mixtures.gates import ThresholdGate, mole_gate
from llm_testgen.tuning.mixtures.layer import AnyGate, MixtureLinear
from llm_testgen.tuning.mixtures.mixture import Mixture
from llm_testgen.tuning.mixtures.record import ForwardRecord

# Of a layer in a block: what stands before and with the block's number.
_BLOCK = re.compile(r"(?:.*?\.)?\d+(?=\.)")


def add_mole(model: PreTrainedModel, adapters: Sequence[Path], config: MoLEConfig | None = None) -> Mixture:
    """Put trained LoRA adapters into a model as the frozen experts of a MoLE; only its gates are left to train.

    Args:
        model: The base model that they were trained for, whatever its name; changed in place.
        adapters: Folders that peft saved, one for each expert.
        config: How they are weighed.

    Raises:
        UsageError: A folder holds no adapter, or they do not fit together or the model.
    """
    found = read_experts(adapters)
    check_sizes(found, model)
    return mix(model, dict(zip(_names(len(found)), found, strict=True)), config or MoLEConfig())


def add_adamole(model: PreTrainedModel, config: AdaMoLEConfig | None = None) -> Mixture:
    """Put fresh LoRA experts and gates into a model as an AdaMoLE; all of them are left to train, and nothing else.

    Args:
        model: The base model; changed in place.
        config: The experts, and how they are chosen.

    Raises:
        UsageError: A target module names no linear layer of the model, or none is known for its architecture.
    """
    config = config or AdaMoLEConfig()
    return _gated(model, add_experts(_names(config.experts), model, config), config)


def mix(model: PreTrainedModel, adapters: Mapping[str, Adapter], config: MoLEConfig | AdaMoLEConfig) -> Mixture:
    """Put checked adapters into a model as the experts of a mixture with new gates."""
    load_experts(adapters, model)
    return _gated(model, {name: adapter.config for name, adapter in adapters.items()}, config)


def gated_layers(layers: Iterable[str], config: MoLEConfig | AdaMoLEConfig) -> list[str]:
    """Those of a mixture's layers that have a gate: the first of each scope, in the order of the model."""
    scopes: dict[str, str] = {}
    for path in layers:
        scopes.setdefault(_scope(path, config), path)
    return list(scopes.values())


def gate_parameters(layers: Mapping[str, tuple[int, int]], experts: int, config: MoLEConfig | AdaMoLEConfig) -> int:
    """How many numbers the gates of a mixture have.

    Args:
        layers: Features in and out of its layers, by name, in the order of the model.
        experts: How many each of them has.
        config: How they are weighed.
    """
    with torch.device("meta"):
        gates = [_new_gate(experts, *layers[path], config) for path in gated_layers(layers, config)]
    return sum(parameter.numel() for gate in gates for parameter in gate.parameters())


def _names(experts: int) -> list[str]:
    return [f"expert_{number}" for number in range(experts)]


def _gated(model: PreTrainedModel, experts: Mapping[str, LoraConfig], config: MoLEConfig | AdaMoLEConfig) -> Mixture:
    """Give the LoRA layers of a model their gates, and freeze what is not to be trained."""
    record = ForwardRecord()
    layers: dict[str, MixtureLinear] = {}
    found = _lora_layers(model)
    gated = set(gated_layers((path for path, _ in found), config))
    for path, lora in found:
        gate = _gate(lora, len(experts), config) if path in gated else None
        if isinstance(config, MoLEConfig):
            dropout = nn.Dropout(config.dropout) if config.dropout else nn.Identity()
            lora.lora_dropout = nn.ModuleDict(dict.fromkeys(experts, dropout))
        layers[path] = MixtureLinear(lora, tuple(experts), gate, _scope(path, config), record)
    for path, layer in layers.items():
        model.set_submodule(path, layer)
    mixture = Mixture(model, config, dict(experts), layers, record)
    _freeze(mixture)
    # New modules begin in training, and a model that is only to answer must not drop anything.
    model.train(model.training)
    record.watch(model)
    return mixture


def _freeze(mixture: Mixture) -> None:
    mixture.model.requires_grad_(requires_grad=False)
    for parameter in mixture.gate_parameters().values():
        parameter.requires_grad_()
    if isinstance(mixture.config, AdaMoLEConfig):
        for layer in mixture.layers.values():
            for parameter in layer.expert_parameters():
                parameter.requires_grad_()


def _lora_layers(model: PreTrainedModel) -> list[tuple[str, LoraLayer]]:
    """The layers that peft adapted, in the order of the model.

    Raises:
        UsageError: One is not linear, or is adapted by more than plain LoRA.
    """
    found = [(path, module) for path, module in model.named_modules() if isinstance(module, LoraLayer)]
    for path, lora in found:
        if lora.lora_variant or not isinstance(lora.get_base_layer(), nn.Linear | Conv1D):
            msg = f"{path} is adapted by more than plain LoRA of a linear layer: only such can be experts"
            raise UsageError(msg)
    return found


def _gate(lora: LoraLayer, experts: int, config: MoLEConfig | AdaMoLEConfig) -> AnyGate:
    down, up = (next(matrices.parameters()) for matrices in (lora.lora_A, lora.lora_B))
    return _new_gate(experts, down.shape[1], up.shape[0], config).to(down.device)


def _new_gate(experts: int, features_in: int, features_out: int, config: MoLEConfig | AdaMoLEConfig) -> AnyGate:
    if isinstance(config, MoLEConfig):
        return mole_gate(config, experts, features_in, features_out)
    return ThresholdGate(config, features_in)


def _scope(path: str, config: MoLEConfig | AdaMoLEConfig) -> str:
    """The name of the gate that weighs a layer's experts."""
    if not isinstance(config, MoLEConfig) or config.scope is GateScope.LAYER:
        return path
    if config.scope is GateScope.MODEL:
        return ""
    block = _BLOCK.match(path)
    return block.group() if block else path
