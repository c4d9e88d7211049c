"""The models that are adapted: found, their memory estimated before they are loaded, and loaded."""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, GgufConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from llm_testgen.errors import UsageError
from llm_testgen.tuning.data.lengths import load_tokenizer
from llm_testgen.tuning.loading import quantised_loading
from llm_testgen.tuning.memory import (
    Memory,
    ModelSize,
    Training,
    available_memory,
    estimate,
    require_memory,
    require_weights,
)
from llm_testgen.tuning.quantising.checkpoint import load_config
from llm_testgen.tuning.training.devices import has_gpu
from llm_testgen.tuning.training.rendering import require_template
from llm_testgen.tuning.training.settings import ALL_LINEAR, ATTENTION, Attention, Precision, Settings
from llm_testgen.tuning.training.sizes import Added

_TYPES = {
    Precision.FLOAT32: torch.float32,
    Precision.BFLOAT16: torch.bfloat16,
    Precision.FLOAT16: torch.float16,
}
_BITS = {Precision.FLOAT32: 32, Precision.BFLOAT16: 16, Precision.FLOAT16: 16}
_WHOLE = 16
# Projections of attention, by the type of the model, where its name does not tell them.
_OF_ATTENTION = {"phi3": ("qkv_proj", "o_proj")}
_ATTENTION = ("attn", "attention")
# How torch, and what it is built on, say in other words than MemoryError that memory does not suffice.
_NO_MEMORY = ("out of memory", "not enough memory", "cannot allocate memory", "defaultcpuallocator")
_MOST_WORDS = 300


@dataclass(frozen=True, slots=True)
class Base:
    """A model that is to be adapted, not loaded yet.

    Attributes:
        name: What it is loaded by: an absolute path, or a name on the hub.
        config: As transformers has it.
        tokenizer: Its own.
        layers: Features in and out of its linear layers but the head, by name.
        parameters: How many numbers its weights are.
    """

    name: str
    config: Any
    tokenizer: PreTrainedTokenizerBase
    layers: dict[str, tuple[int, int]]
    parameters: int


def find_base(model: str) -> Base:
    """Find a model, without its weights.

    Args:
        model: A name on the hub, a folder, or a GGUF file.

    Raises:
        UsageError: There is none, it is no causal language model, or its tokenizer has no chat template.
    """
    path = Path(model)
    name = str(path.absolute()) if path.exists() else model
    config = _config_of_file(Path(name)) if path.is_file() else load_config(name)
    tokenizer = load_tokenizer(name)
    require_template(tokenizer, model)
    try:
        with torch.device("meta"):
            made = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call,unused-ignore]  # transformers'
    except (ValueError, AttributeError, TypeError, RuntimeError, ImportError) as error:
        msg = f"{model} is no causal language model that transformers can train ({_words(error)}): name another one"
        raise UsageError(msg) from error
    return Base(name, config, tokenizer, _linear_layers(made), sum(one.numel() for one in made.parameters()))


def targets_of(base: Base, settings: Settings) -> tuple[str, ...]:
    """Last names of the layers that are adapted, or the last two where one is that of other layers too.

    Raises:
        UsageError: A name is that of no linear layer, or none is known for the architecture.
    """
    if settings.targets == ALL_LINEAR:
        chosen = set(base.layers)
    elif settings.targets == ATTENTION:
        names = _OF_ATTENTION.get(base.config.model_type, ())
        chosen = {
            layer
            for layer in base.layers
            if (_ends(layer, names) if names else any(part in layer.rpartition(".")[0].lower() for part in _ATTENTION))
        }
    else:
        return _named_targets(base, settings.targets)
    if not chosen:
        msg = f"no target modules are known for models of type {base.config.model_type}: pass --targets {_listed(base)}"
        raise UsageError(msg)
    others = Counter(layer.rpartition(".")[2] for layer in set(base.layers) - chosen)
    named = {
        layer.rpartition(".")[2] if layer.rpartition(".")[2] not in others else ".".join(layer.split(".")[-2:])
        for layer in chosen
    }
    return tuple(sorted(named))


def adapted_layers(base: Base, targets: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Features in and out of the layers that are adapted, by name."""
    return {layer: size for layer, size in base.layers.items() if _ends(layer, targets)}


def precision_of(wanted: Precision) -> Precision:
    """The type that the weights get on this machine, which may not have what is wanted."""
    if wanted is Precision.AUTO:
        if has_gpu():
            # Torch emulates it on GPUs that have none, far more slowly than these compute in float16.
            has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
            return Precision.BFLOAT16 if has_bfloat16 else Precision.FLOAT16
        return Precision.BFLOAT16 if _seconds(torch.bfloat16) < _seconds(torch.float32) else Precision.FLOAT32
    if wanted is Precision.FLOAT16 and not has_gpu():
        return Precision.FLOAT32
    return wanted


def attention_of(base: Base, training: Training) -> Attention:
    """How attention is computed on this machine: on a processor eagerly, if there is memory for the scores."""
    if has_gpu():
        return Attention.PREFERRED
    needed = estimate(ModelSize.of(base.config), replace(training, scores=True))
    return Attention.EAGER if needed.total <= available_memory() else Attention.PREFERRED


def bits_of(settings: Settings, precision: Precision) -> int:
    """Bits of a weight of the model as it is loaded."""
    return settings.load_bits if settings.load_bits != _WHOLE else _BITS[precision]


def training_of(settings: Settings, precision: Precision, added: Added) -> Training:
    """What of a run decides how much memory it takes.

    Args:
        settings: Of the run.
        precision: Of the model's weights.
        added: What is put into the model.
    """
    return Training(
        added.trained,
        bits=bits_of(settings, precision),
        batch=settings.batch,
        length=settings.length,
        checkpointing=settings.checkpointing,
        adapted=added.kept,
        frozen=added.frozen,
        joined=added.joined,
    )


def require_room(base: Base, training: Training) -> Memory:
    """See that there is memory enough to train.

    Args:
        base: The model.
        training: How it is trained.

    Returns:
        How much it takes.

    Raises:
        UsageError: There is not; the message says what to change.
    """
    gpu = has_gpu()
    device = f"cuda:{torch.cuda.current_device()}" if gpu else "cpu"
    return require_memory(ModelSize.of(base.config), training, available_memory(device), gpu=gpu)


def require_memory_to_load(base: Base, precision: Precision) -> None:
    """See that a model's weights alone fit into this machine's memory, where they are loaded first.

    Raises:
        UsageError: They do not.
    """
    require_weights(base.parameters, _BITS[precision], available_memory())


def load_base(
    base: Base, precision: Precision, load_bits: int = _WHOLE, attention: Attention | None = None
) -> PreTrainedModel:
    """Load a model's weights; those of a GGUF file are dequantised.

    Args:
        base: The model.
        precision: Of its weights.
        load_bits: 8 or 4 to load them so, on a GPU; 16 for `precision`.
        attention: How it is computed; None for what transformers prefers.

    Raises:
        UsageError: They cannot be read or do not fit into memory.
    """
    path = Path(base.name)
    more: dict[str, Any] = {}
    place = base.name
    if path.is_file():
        place = str(path.parent)
        more = {"gguf_file": path.name, "quantization_config": GgufConfig(dequantize=True)}  # type: ignore[no-untyped-call,unused-ignore]
    if load_bits != _WHOLE:
        if path.is_file():
            msg = f"{path} is a GGUF file, which is dequantised: pass --load-bits with a model of transformers"
            raise UsageError(msg)
        more["quantization_config"] = quantised_loading(load_bits, _TYPES[precision], gpu=has_gpu())
        more["device_map"] = {"": torch.cuda.current_device()}
    if attention is Attention.EAGER:
        more["attn_implementation"] = attention.value
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(place, dtype=_TYPES[precision], **more)
    except (OSError, ValueError, RuntimeError, MemoryError, ImportError, KeyError, SafetensorError) as error:
        msg = f"the weights of {base.name} cannot be loaded ({_words(error)}): download or save the model anew"
        if _lacks_memory(error):
            msg = f"the weights of {base.name} do not fit into memory: close other programs, or take a smaller model"
        raise UsageError(msg) from error
    # An adapter names its model by this, and two GGUF files of one folder are two models.
    model.name_or_path = base.name
    model.config._name_or_path = base.name  # noqa: SLF001 - where transformers and peft look for it
    return model


def spare_head(model: PreTrainedModel) -> None:
    """Give a model's head a copy of what it computes.

    That is a part of a larger tensor where only the last places are kept, and as such PyTorch's matrix product copies
    the head's weights in each forward pass: a quarter of a billion bytes of a model of half a billion parameters.
    """
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call,unused-ignore]  # transformers'
    if head is not None:
        head.register_forward_pre_hook(_copied)


def _copied(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(one.clone(memory_format=torch.contiguous_format) for one in given)


def _config_of_file(path: Path) -> Any:  # noqa: ANN401 - each kind of model has its own class
    try:
        return AutoConfig.from_pretrained(str(path.parent), gguf_file=path.name)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError) as error:
        msg = f"{path} is no GGUF file of a model that transformers can load: {_words(error)}"
        raise UsageError(msg) from error


def _linear_layers(model: nn.Module) -> dict[str, tuple[int, int]]:
    head = getattr(model, "get_output_embeddings", lambda: None)()
    found: dict[str, tuple[int, int]] = {}
    for name, module in model.named_modules():
        if module is head:
            continue
        if isinstance(module, nn.Linear):
            found[name] = (module.in_features, module.out_features)
        elif isinstance(module, Conv1D):
            found[name] = (module.nx, module.nf)
    return found


def _named_targets(base: Base, names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if not any(_ends(layer, (name,)) for layer in base.layers):
            msg = f"the model has no linear layer named {name}: pass --targets some of {_listed(base)}"
            raise UsageError(msg)
    return tuple(names)


def _ends(layer: str, names: Sequence[str]) -> bool:
    """Whether a layer has one of the names, as peft takes them."""
    return any(layer == name or layer.endswith(f".{name}") for name in names)


def _listed(base: Base) -> str:
    return ", ".join(sorted({layer.rpartition(".")[2] for layer in base.layers}))


def _seconds(kind: torch.dtype) -> float:
    """How long this processor takes to multiply matrices as large as those of a small model's layers."""
    one, other = torch.ones(256, 896, dtype=kind), torch.ones(896, 2048, dtype=kind)
    times: list[float] = []
    for _ in range(5):
        start = time.perf_counter()
        torch.mm(one, other)
        times.append(time.perf_counter() - start)
    return min(times)


def _lacks_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return any(words in str(error).lower() for words in _NO_MEMORY)


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:_MOST_WORDS]
