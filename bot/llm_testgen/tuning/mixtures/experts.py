"""The experts: trained adapters as peft saves them, checked before they are loaded, and fresh ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, LoraModel, PeftConfig
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from peft.utils.constants import CONFIG_NAME, TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from llm_testgen.errors import UsageError
from llm_testgen.tuning.mixtures.config import ALL_LINEAR, MOST_EXPERTS, AdaMoLEConfig

# Peft's names of weights: the prefix and the layer's name in the model, then these.
STATE_PREFIX = "base_model.model."
_PARTS = ("lora_A", "lora_B")
_DOWN, _UP = (f".{part}.weight" for part in _PARTS)
# Others change the frozen weights when an adapter is loaded, and so would change them for the other experts too.
_HARMLESS_STARTS = (True, False, "gaussian")
_NARROW = (torch.bfloat16, torch.float16)
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Adapter:
    """A trained adapter on disk.

    Attributes:
        folder: Where it lies.
        config: As peft describes it.
        sizes: Features in and out of each layer that it adapts, by the layer's name.
    """

    folder: Path
    config: LoraConfig
    sizes: Mapping[str, tuple[int, int]]


def read_adapter(folder: Path) -> Adapter:
    """Describe a trained adapter; its weights are not read.

    Raises:
        UsageError: The folder holds none, or one that is more than plain LoRA.
    """
    weights = folder / SAFETENSORS_WEIGHTS_NAME
    # Peft would ask the hub for what is not there.
    for path in (folder / CONFIG_NAME, weights):
        if not path.is_file():
            msg = f"{folder} holds no {path.name}: give the folder of a LoRA adapter that peft saved"
            raise UsageError(msg)
    try:
        config = PeftConfig.from_pretrained(str(folder))
        with safe_open(weights, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        msg = f"{folder} holds no adapter that can be read ({' '.join(str(error).split())}): save it anew with peft"
        raise UsageError(msg) from error
    if not isinstance(config, LoraConfig) or config.init_lora_weights not in _HARMLESS_STARTS:
        msg = f"the adapter in {folder} is no plain LoRA: only such can be experts"
        raise UsageError(msg)
    return Adapter(folder, config, _sizes(folder, shapes))


def read_experts(folders: Sequence[Path]) -> list[Adapter]:
    """Describe trained adapters that are to be the experts of one mixture.

    Raises:
        UsageError: There are none or too many, or they adapt different layers; and see `read_adapter`.
    """
    if not folders:
        msg = "a mixture of trained adapters needs at least one: give their folders"
        raise UsageError(msg)
    if len(folders) > MOST_EXPERTS:
        msg = f"there are {len(folders)} adapters: a mixture takes {MOST_EXPERTS} at most"
        raise UsageError(msg)
    adapters = [read_adapter(folder) for folder in folders]
    first = adapters[0]
    for adapter in adapters:
        others = sorted(set(adapter.sizes) ^ set(first.sizes))
        if others:
            msg = (
                f"the adapters in {first.folder} and {adapter.folder} adapt different layers, {_listed(others)} among "
                "them: train all experts with the same target modules"
            )
            raise UsageError(msg)
    return adapters


def check_bases(adapters: Sequence[Adapter], name: str) -> None:
    """Check that adapters say that they were trained for the model of a name.

    Raises:
        UsageError: One was trained for another one.
    """
    for adapter in adapters:
        trained_for = adapter.config.base_model_name_or_path
        if not is_base(trained_for, name):
            msg = (
                f"the adapter in {adapter.folder} was trained for {trained_for}, and this is {name}: name that model, "
                "or pass --any-base if it is the same one under another name"
            )
            raise UsageError(msg)


def is_base(trained_for: str | None, name: str | None) -> bool:
    """Whether a model may be what something was trained for, by the last part of its name: folders may have moved."""
    return not trained_for or not name or Path(trained_for).name.lower() == Path(name).name.lower()


def check_sizes(adapters: Sequence[Adapter], model: PreTrainedModel) -> None:
    """Check that a model has the layers of adapters.

    Raises:
        UsageError: They were trained for another base model.
    """
    for adapter in adapters:
        _check_sizes(adapter, model)


def load_experts(adapters: Mapping[str, Adapter], model: PreTrainedModel) -> None:
    """Load adapters into a model, by the names that its LoRA layers shall know them by.

    Raises:
        UsageError: The model has adapters already, a file of weights cannot be read, or holds other matrices than its
            configuration says.
    """
    check_untouched(model)
    _inject(model, {name: adapter.config for name, adapter in adapters.items()})
    for name, adapter in adapters.items():
        try:
            state = load_file(adapter.folder / SAFETENSORS_WEIGHTS_NAME)
        except (OSError, SafetensorError) as error:
            msg = f"the adapter in {adapter.folder} cannot be read ({error}): save it anew with peft"
            raise UsageError(msg) from error
        matrices = {
            f"{STATE_PREFIX}{path}.{part}.weight": model.get_parameter(f"{path}.{part}.{name}.weight")
            for path, module in model.named_modules()
            if isinstance(module, LoraLayer)
            for part in _PARTS
        }
        _check_matrices(adapter, state, matrices)
        with torch.no_grad():
            for key, matrix in matrices.items():
                matrix.copy_(state[key])


def _check_matrices(adapter: Adapter, state: Mapping[str, Tensor], matrices: Mapping[str, Tensor]) -> None:
    """Check that the weights of an adapter are those that its configuration has room for.

    A matrix that is narrower would be repeated, and one that is left out would stay as it was drawn.
    """
    for key in sorted({*state, *matrices}):
        there, due = (tuple(found[key].shape) if key in found else None for found in (state, matrices))
        if there != due:
            msg = (
                f"the adapter in {adapter.folder} contradicts itself: {key} is {there or 'not there'}, and by its "
                f"{CONFIG_NAME} it is {due or 'not there'}: save it anew with peft"
            )
            raise UsageError(msg)


def add_experts(names: Sequence[str], model: PreTrainedModel, config: AdaMoLEConfig) -> dict[str, LoraConfig]:
    """Add fresh LoRA adapters to a model.

    Raises:
        UsageError: A target module names no linear layer of it, or none is known for its architecture.
    """
    check_untouched(model)
    targets = target_modules(model, config)
    configs = {
        name: LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,  # type: ignore[arg-type]  # peft divides it, nothing else
            lora_dropout=config.dropout,
            target_modules=targets,
            task_type="CAUSAL_LM",
            base_model_name_or_path=model.name_or_path,
        )
        for name in names
    }
    _inject(model, configs)
    return configs


def target_modules(model: PreTrainedModel, config: AdaMoLEConfig) -> list[str] | str:
    """Which layers to adapt, as peft takes it.

    Raises:
        UsageError: A name is that of no linear layer, or none is known for the model's architecture.
    """
    if config.target_modules == ALL_LINEAR:
        return ALL_LINEAR
    linear = _linear_layers(model)
    last_names = sorted({name.rpartition(".")[2] for name in linear})
    if config.target_modules is None:
        known = TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.get(model.config.model_type)
        if known is None:
            msg = (
                f"no target modules are known for models of type {model.config.model_type}: "
                f"name some of {_listed(last_names)}"
            )
            raise UsageError(msg)
        return known if isinstance(known, str) else list(known)
    for name in config.target_modules:
        if not any(path == name or path.endswith(f".{name}") for path in linear):
            msg = f"the model has no linear layer named {name}: the names are {_listed(last_names)}"
            raise UsageError(msg)
    return list(config.target_modules)


def check_untouched(model: PreTrainedModel) -> None:
    """Check that a model has no adapters yet.

    Raises:
        UsageError: It has.
    """
    if any(isinstance(module, BaseTunerLayer) for module in model.modules()):
        msg = "the model has adapters already: load it anew, and without them"
        raise UsageError(msg)


def _inject(model: PreTrainedModel, configs: Mapping[str, LoraConfig]) -> None:
    """Put LoRA layers into a model, in float32 where it is narrower: their updates are small.

    Raises:
        UsageError: Peft cannot adapt its layers.
    """
    names = list(configs)
    try:
        tuner = LoraModel(model, configs[names[0]], names[0])
        for name in names[1:]:
            tuner.peft_config[name] = configs[name]
            tuner.inject_adapter(model, name)
    except ValueError as error:
        msg = (
            f"peft cannot adapt the model ({' '.join(str(error).split())}): name other target modules, and load it "
            "without packed weights"
        )
        raise UsageError(msg) from error
    for module in model.modules():
        if isinstance(module, LoraLayer):
            for matrix in (*module.lora_A.values(), *module.lora_B.values()):
                if next(matrix.parameters()).dtype in _NARROW:
                    matrix.float()


def _linear_layers(model: nn.Module) -> dict[str, nn.Linear | Conv1D]:
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)}


def _sizes(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, int]]:
    """Features in and out of each adapted layer."""
    strange = [name for name in shapes if not (name.startswith(STATE_PREFIX) and name.endswith((_DOWN, _UP)))]
    if strange:
        msg = (
            f"the adapter in {folder} holds {_listed(sorted(strange))}, which are no plain LoRA of linear layers: "
            "train it without biases, DoRA, modules to save and adapted embeddings"
        )
        raise UsageError(msg)
    layers = {name.removesuffix(_DOWN) for name in shapes if name.endswith(_DOWN)}
    try:
        return {
            layer.removeprefix(STATE_PREFIX): (shapes[layer + _DOWN][1], shapes[layer + _UP][0])
            for layer in sorted(layers)
        }
    except (KeyError, IndexError) as error:
        msg = f"the adapter in {folder} is not whole: save it anew with peft"
        raise UsageError(msg) from error


def _check_sizes(adapter: Adapter, model: PreTrainedModel) -> None:
    linear = _linear_layers(model)
    for name, (inputs, outputs) in adapter.sizes.items():
        found = linear.get(name)
        # A quantised weight has another shape, so it is the features that count.
        size = (getattr(found, "in_features", None), getattr(found, "out_features", None))
        if isinstance(found, Conv1D):
            size = (found.nx, found.nf)
        if size != (inputs, outputs):
            here = "is no linear layer of this model" if found is None else f"is {size[0]} to {size[1]} in this model"
            msg = (
                f"the adapter in {adapter.folder} was trained for another base model: {name} is {inputs} to {outputs} "
                f"in the adapter and {here}"
            )
            raise UsageError(msg)


def _listed(names: Sequence[str]) -> str:
    more = ["…"] if len(names) > _SHOWN else []
    return ", ".join([*names[:_SHOWN], *more])
