"""What an adapter or a mixture adds to a model: its numbers, and what torch keeps of a token for their gradients.

A matrix that is trained keeps its input, a frozen one nothing. In half precision autocast makes what it keeps of two
bytes; a mixture's gates compute in float32 and keep that. A test counts what is really kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_testgen.tuning.mixtures.building import gate_parameters, gated_layers
from llm_testgen.tuning.mixtures.config import AdaMoLEConfig, MoLEConfig, MoLEGate
from llm_testgen.tuning.mixtures.experts import Adapter

Layers = Mapping[str, tuple[int, int]]
"""Features in and out of linear layers, by name, in the order of the model."""

_FLOAT32, _SMALL = 32, (8, 4)
# Layers that are given the very same tensor, by their last names.
_ALIKE = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
_OF_GATE = 16  # bytes of what a gate says of a token and an expert, and of what becomes of that


@dataclass(frozen=True, slots=True)
class Added:
    """What is put into a model.

    Attributes:
        trained: Numbers that are.
        frozen: Numbers that are not.
        kept: Bytes of a token, in all layers.
        joined: Numbers of matrices that a mixture puts side by side, which are kept so.
    """

    trained: int
    frozen: int
    kept: int
    joined: int = 0


def of_lora(layers: Layers, rank: int, bits: int, *, dropout: bool) -> Added:
    """What LoRA adds.

    Args:
        layers: That it is put on.
        rank: Of its matrices.
        bits: Of a weight of the model as it is loaded.
        dropout: Whether it drops some of its input: each layer then keeps what is left of it, and what is dropped.
    """
    each = 4 if bits == _FLOAT32 else 2
    # With 8 or 4 bits the model's activations are in float32, and each layer has its own copy in half precision.
    inputs = _inputs(layers) if dropout or bits in _SMALL else _different_inputs(layers)
    kept = each * (inputs * (2 if dropout else 1) + rank * len(layers))
    return Added(rank * _features(layers), 0, kept)


def of_adamole(layers: Layers, config: AdaMoLEConfig, bits: int) -> Added:
    """What a mixture of experts adds that are trained with its gates.

    Args:
        layers: That it is put on.
        config: The mixture.
        bits: Of a weight of the model as it is loaded.
    """
    experts = config.experts
    dropped = (8 if bits == _FLOAT32 else 4) * _inputs(layers) if config.dropout else 0
    # In half precision the gate has its own copy of the input, and the experts theirs.
    inputs = 4 * _different_inputs(layers) if bits == _FLOAT32 else (4 + 2) * _inputs(layers)
    # Between an expert's matrices: the values, their weight, and the product.
    inner = 3 * (4 if bits == _FLOAT32 else 2) * config.rank
    kept = inputs + dropped + len(layers) * experts * (inner + _OF_GATE)
    joined = experts * config.rank * _features(layers)
    return Added(joined + gate_parameters(layers, experts, config), 0, kept, joined)


def of_mole(layers: Layers, adapters: Sequence[Adapter], config: MoLEConfig, bits: int) -> Added:
    """What a mixture of trained adapters adds: its gates are trained, and the adapters are not.

    Args:
        layers: That it is put on.
        adapters: Its experts.
        config: The mixture.
        bits: Of a weight of the model as it is loaded.
    """
    experts, ranks = len(adapters), sum(one.config.r for one in adapters)
    each = 4 if bits == _FLOAT32 else 2
    # Between an expert's matrices: the values, and their weight.
    kept = len(layers) * (2 * each * ranks + _OF_GATE * experts)
    if config.dropout:
        kept += 4 * _inputs(layers)
    if config.gate is MoLEGate.OUTPUTS:
        # In half precision the gate has its own copy of the values; and what gives the length of the outputs.
        kept += (4 if bits == _FLOAT32 else 8) * ranks * len(gated_layers(layers, config))
    else:
        kept += 4 * (_different_inputs(layers) if bits == _FLOAT32 else _inputs(layers))
    joined = ranks * _features(layers)
    return Added(gate_parameters(layers, experts, config), joined, kept, joined)


def _features(layers: Layers) -> int:
    return sum(map(sum, layers.values()))


def _inputs(layers: Layers) -> int:
    return sum(inputs for inputs, _ in layers.values())


def _different_inputs(layers: Layers) -> int:
    """Numbers of what layers are given, counted once where several are given the same."""
    found: dict[tuple[str, str], int] = {}
    for path, (inputs, _) in layers.items():
        parent, _, name = path.rpartition(".")
        found[parent, next((alike[0] for alike in _ALIKE if name in alike), name)] = inputs
    return sum(found.values())
