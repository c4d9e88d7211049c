"""A mixture as a folder: its experts as peft saves adapters, its gates, and a card that says what they are.

* ``experts/NAME/``: a LoRA adapter that peft can load by itself
* ``gates.safetensors``: the gates' parameters, by layer
* ``mixture.json``: the card, written last, so that a folder without it is not whole
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import torch
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from llm_testgen.bounds import Bounded
from llm_testgen.errors import UsageError
from llm_testgen.tuning.mixtures.building import mix
from llm_testgen.tuning.mixtures.config import MOST_EXPERTS, AdaMoLEConfig, MoLEConfig
from llm_testgen.tuning.mixtures.experts import STATE_PREFIX, check_sizes, is_base, read_experts
from llm_testgen.tuning.mixtures.mixture import Mixture

CARD = "mixture.json"
_GATES = "gates.safetensors"
_EXPERTS = "experts"
_LIBRARIES = ("llm-testgen", "peft", "torch", "transformers")
_Name = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]


class MixtureCard(Bounded):
    """What a saved mixture is, as one file, version 1.

    Attributes:
        version: Of this form.
        kind: Of mixture.
        base_model: Name of the model that it was trained for; empty if that has none.
        experts: Their names, in the order of the weights.
        mole: Settings of a MoLE.
        adamole: Settings of an AdaMoLE.
        libraries: Versions of what wrote it.
    """

    version: Literal[1] = 1
    kind: Literal["mole", "adamole"]
    base_model: Annotated[str, Field(max_length=4096)]
    experts: Annotated[tuple[_Name, ...], Field(min_length=1, max_length=MOST_EXPERTS)]
    mole: MoLEConfig | None = None
    adamole: AdaMoLEConfig | None = None
    libraries: Annotated[dict[str, str], Field(max_length=100)]

    @property
    def config(self) -> MoLEConfig | AdaMoLEConfig | None:
        """The settings of its kind; None if they are not there."""
        return self.mole if self.kind == "mole" else self.adamole


def save_pretrained(mixture: Mixture, folder: Path) -> None:
    """Write a mixture to a folder, over one that is there.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CARD).unlink(missing_ok=True)
        for name in mixture.experts:
            _save_expert(mixture, name, folder / _EXPERTS / name)
        save_file(_on_cpu(mixture.gate_parameters()), folder / _GATES)
        (folder / CARD).write_text(_card(mixture).model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8")
    except (OSError, SafetensorError) as error:
        msg = f"the mixture cannot be written to {folder} ({error}): choose a folder on a disk with room"
        raise UsageError(msg) from error


def from_pretrained(model: PreTrainedModel, folder: Path, *, any_base: bool = False) -> Mixture:
    """Put a saved mixture into its base model.

    Args:
        model: The base model; changed in place.
        folder: What `save_pretrained` wrote.
        any_base: Whether the mixture may name a base model of another name.

    Raises:
        UsageError: The folder holds no whole mixture, or one for another model.
    """
    card, config = _read_card(folder)
    if not any_base and not is_base(card.base_model, model.name_or_path):
        msg = (
            f"the mixture in {folder} was trained for {card.base_model}, and this is {model.name_or_path}: load that "
            "model, or say that any base will do if it is the same one under another name"
        )
        raise UsageError(msg)
    found = read_experts([folder / _EXPERTS / name for name in card.experts])
    check_sizes(found, model)
    adapters = dict(zip(card.experts, found, strict=True))
    try:
        gates = load_file(folder / _GATES)
    except (OSError, SafetensorError) as error:
        msg = f"the gates of the mixture in {folder} cannot be read ({error}): save it anew"
        raise UsageError(msg) from error
    mixture = mix(model, adapters, config)
    parameters = mixture.gate_parameters()
    if {name: tensor.shape for name, tensor in gates.items()} != {name: one.shape for name, one in parameters.items()}:
        msg = f"the gates in {folder} do not fit its experts: save the mixture anew"
        raise UsageError(msg)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(gates[name])
    return mixture


def base_of(folder: Path) -> str:
    """Name of the model that a saved mixture was trained for; empty if that has none.

    Raises:
        UsageError: The folder holds no whole mixture.
    """
    return _read_card(folder)[0].base_model


def _card(mixture: Mixture) -> MixtureCard:
    config = mixture.config
    return MixtureCard(
        kind="mole" if isinstance(config, MoLEConfig) else "adamole",
        base_model=mixture.model.name_or_path,
        experts=tuple(mixture.experts),
        mole=config if isinstance(config, MoLEConfig) else None,
        adamole=config if isinstance(config, AdaMoLEConfig) else None,
        libraries={name: version(name) for name in _LIBRARIES},
    )


def _read_card(folder: Path) -> tuple[MixtureCard, MoLEConfig | AdaMoLEConfig]:
    try:
        card = MixtureCard.model_validate_json((folder / CARD).read_bytes())
    except OSError as error:
        msg = f"{folder} holds no {CARD}: give the folder of a mixture that was saved whole"
        raise UsageError(msg) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        msg = f"{folder / CARD} is no card of version 1: {where}: {first['msg']}"
        raise UsageError(msg) from error
    if card.config is None:
        msg = f"{folder / CARD} has no settings of its kind, {card.kind}: save the mixture anew"
        raise UsageError(msg)
    return card, card.config


def _save_expert(mixture: Mixture, name: str, folder: Path) -> None:
    """Save one expert as peft does, which knows nothing of the layers around it."""
    folder.mkdir(parents=True, exist_ok=True)
    weights: dict[str, Tensor] = {}
    for path, layer in mixture.layers.items():
        for part, matrices in (("lora_A", layer.lora.lora_A), ("lora_B", layer.lora.lora_B)):
            weights[f"{STATE_PREFIX}{path}.{part}.weight"] = matrices.get_parameter(f"{name}.weight")
    save_file(_on_cpu(weights), folder / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})
    mixture.experts[name].save_pretrained(str(folder))


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
