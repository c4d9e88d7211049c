"""LoRA adapters of peft as GGUF files that llama.cpp applies to a model while it serves it.

llama.cpp adds (alpha / r) B A to a weight, r being the rank of B and alpha one number for the whole file
(``src/llama-adapter.cpp``); where an adapter scales otherwise, as rank-stabilised ones do or by patterns of modules,
the difference goes into B.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, GGUFReader, GGUFValueType
from gguf.constants import Keys
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from llm_testgen.errors import UsageError
from llm_testgen.tuning.quantising import files
from llm_testgen.tuning.quantising.architectures import ARCHITECTURES, naming, row_order
from llm_testgen.tuning.quantising.checkpoint import load_config
from llm_testgen.tuning.quantising.export import Content, Weight
from llm_testgen.tuning.quantising.files import Entry

CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_MIXTURE = "mixture.json"
_PREFIX = "base_model.model."
_A, _B = ".lora_A.weight", ".lora_B.weight"
_LAYER = re.compile(r"\.layers\.(\d+)\.")
# Others change the base model's own weights when the adapter is loaded, and A and B count from those.
_PLAIN_STARTS = (True, False, "gaussian", "eva", "orthogonal")
# By which peft computes something else from A and B, or applies them elsewhere or not always.
_MORE_THAN_LORA = (
    *("alora_invocation_tokens", "arrow_config", "kasa_config", "layer_replication", "monteclora_config"),
    *("target_parameters", "use_bdlora", "use_qalora"),
)


@dataclass(frozen=True, slots=True)
class Base:
    """What has to be known of the model that an adapter is for.

    Attributes:
        name: For messages.
        architecture: llama.cpp's.
        config: With the numbers of layers and heads.
        shapes: Of the weights that can be adapted, and maybe of others, by GGUF names, rows first.
    """

    name: str
    architecture: MODEL_ARCH
    config: Any
    shapes: dict[str, tuple[int, ...]]


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter of peft, or a mixture of them."""
    return (folder / CONFIG).is_file() or (folder / _MIXTURE).is_file()


def adapter_content(folder: Path, base: str | None) -> Content:
    """What the GGUF file of an adapter holds.

    Args:
        folder: As peft saves it.
        base: A GGUF file, folder or name of the model that it is for; None for what the adapter itself says.

    Raises:
        UsageError: It is no plain LoRA, or changes what llama.cpp cannot change; the message says what to do.
    """
    settings = _settings(folder)
    found = _base(base or str(settings.get("base_model_name_or_path") or ""), folder)
    weights = _read(folder / _WEIGHTS)
    pairs = sorted({name.removesuffix(_A).removesuffix(_B) for name in weights})
    names = naming(found.architecture, found.config.num_hidden_layers)
    alpha = settings["lora_alpha"]
    made: list[Weight] = []
    for module in pairs:
        if module + _A not in weights or module + _B not in weights:
            msg = f"{folder} holds other weights than those of LoRA, such as {module}: only LoRA can be exported"
            raise UsageError(msg)
        own = module.removeprefix(_PREFIX)
        known = names(f"{own}.weight")
        if known is None or not known.startswith("blk."):
            raise UsageError(_why_unknown(found, own))
        down, up = weights[module + _A], weights[module + _B]
        up = up * np.float32(_scale(settings, own, len(down)) * len(down) / alpha)
        order = row_order(found.architecture, known, found.config)
        _check_shape(found, known, (up.shape[0], down.shape[1]))
        made += [_whole(f"{known}.lora_a", down), _whole(f"{known}.lora_b", up if order is None else up[order])]
    return Content(
        MODEL_ARCH_NAMES[found.architecture],
        (
            Entry(Keys.General.TYPE, "adapter", GGUFValueType.STRING),
            Entry(Keys.Adapter.TYPE, "lora", GGUFValueType.STRING),
            Entry(Keys.Adapter.LORA_ALPHA, alpha, GGUFValueType.FLOAT32),
            Entry(Keys.General.NAME, folder.absolute().name, GGUFValueType.STRING),
        ),
        tuple(made),
    )


def _settings(folder: Path) -> dict[str, Any]:
    """What peft says of an adapter, with ``alpha_pattern`` by compiled patterns of modules.

    Raises:
        UsageError: It cannot be read, or is more than plain LoRA.
    """
    if (folder / _MIXTURE).is_file():
        msg = (
            f"{folder} is a mixture of LoRA experts, whose gates llama.cpp cannot compute: serve it with --adapter, "
            "or export one of its experts"
        )
        raise UsageError(msg)
    try:
        settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind, rank, alpha = settings["peft_type"], int(settings["r"]), float(settings["lora_alpha"])
        # As get_pattern_key of peft.utils.other has it.
        patterns = {
            re.compile(rf"(.*\.)?({key})$"): float(value)
            for key, value in (settings.get("alpha_pattern") or {}).items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, re.error) as error:
        msg = f"{folder / CONFIG} is no configuration of a LoRA adapter ({type(error).__name__}): save it with peft"
        raise UsageError(msg) from error
    start = settings.get("init_lora_weights", True)
    refused = {
        f"is of peft's type {kind}": kind != "LORA",
        "has no rank": rank < 1 or not alpha,
        "uses DoRA": settings.get("use_dora"),
        "has biases": settings.get("bias", "none") != "none" or settings.get("lora_bias"),
        "holds whole modules beside LoRA (modules_to_save)": settings.get("modules_to_save"),
        "changes single tokens (trainable_token_indices)": settings.get("trainable_token_indices"),
        "was made for transposed weights": settings.get("fan_in_fan_out"),
        f"began with {start}, which changes the model": start not in _PLAIN_STARTS,
    } | {f"is more than LoRA ({key})": settings.get(key) for key in _MORE_THAN_LORA}
    for what, it_is in refused.items():
        if it_is:
            msg = (
                f"the adapter in {folder} {what}, which llama.cpp cannot apply: merge it into its model and export that"
            )
            raise UsageError(msg)
    return {**settings, "lora_alpha": alpha, "alpha_pattern": patterns}


def _base(source: str, folder: Path) -> Base:
    if not source:
        msg = f"the adapter in {folder} does not say which model it is for: pass --base"
        raise UsageError(msg)
    if files.is_gguf(Path(source)):
        return _base_of_file(source, files.open_model(Path(source)))
    try:
        config = load_config(source)
    except UsageError as error:
        msg = (
            f"the model {source} that the adapter in {folder} is for is not there: pass --base a folder or a GGUF file"
        )
        raise UsageError(msg) from error
    named = (getattr(config, "architectures", None) or [""])[0]
    if named not in ARCHITECTURES:
        msg = f"{source} is a {named or config.model_type}: only adapters of {' and '.join(ARCHITECTURES)} are exported"
        raise UsageError(msg)
    return Base(source, ARCHITECTURES[named], config, _projections(config))


def _projections(config: Any) -> dict[str, tuple[int, ...]]:  # noqa: ANN401 - transformers' configurations
    """Shapes of the weights of attention and MLPs, as transformers makes them of a configuration."""
    hidden, inner = config.hidden_size, config.intermediate_size
    width = getattr(config, "head_dim", None) or hidden // config.num_attention_heads
    queries, keys = config.num_attention_heads * width, config.num_key_value_heads * width
    of_layer = {
        "attn_q": (queries, hidden),
        "attn_k": (keys, hidden),
        "attn_v": (keys, hidden),
        "attn_output": (hidden, queries),
        "ffn_gate": (inner, hidden),
        "ffn_up": (inner, hidden),
        "ffn_down": (hidden, inner),
    }
    return {
        f"blk.{layer}.{part}.weight": shape
        for layer in range(config.num_hidden_layers)
        for part, shape in of_layer.items()
    }


def _base_of_file(source: str, reader: GGUFReader) -> Base:
    of = files.text(reader, Keys.General.ARCHITECTURE)
    known = {MODEL_ARCH_NAMES[one]: one for one in ARCHITECTURES.values()}
    if of not in known:
        msg = f"{source} is a {of or 'model of no architecture'}: only adapters of {' and '.join(known)} are exported"
        raise UsageError(msg)
    heads = files.number(reader, Keys.Attention.HEAD_COUNT.format(arch=of))
    config = SimpleNamespace(
        num_hidden_layers=files.number(reader, Keys.LLM.BLOCK_COUNT.format(arch=of)),
        num_attention_heads=heads,
        num_key_value_heads=files.number(reader, Keys.Attention.HEAD_COUNT_KV.format(arch=of)) or heads,
        hidden_size=files.number(reader, Keys.LLM.EMBEDDING_LENGTH.format(arch=of)),
        head_dim=files.number(reader, Keys.Attention.KEY_LENGTH.format(arch=of)) or None,
    )
    return Base(source, known[of], config, {tensor.name: files.shape_of(tensor) for tensor in reader.tensors})


def _read(path: Path) -> dict[str, NDArray[np.float32]]:
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: np.asarray(file.get_tensor(name).float().numpy(), np.float32) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        msg = f"{path} cannot be read ({' '.join(str(error).split())[:150]}): save the adapter with peft"
        raise UsageError(msg) from error
    if not found:
        msg = f"{path} holds no weights: save the adapter with peft once it is trained"
        raise UsageError(msg)
    return found


def _scale(settings: dict[str, Any], module: str, rank: int) -> float:
    """By what peft multiplies B A for a module."""
    fits = (value for pattern, value in settings["alpha_pattern"].items() if pattern.match(module))
    own = next(fits, settings["lora_alpha"])
    return float(own / (rank**0.5 if settings.get("use_rslora") else rank))


def _why_unknown(base: Base, module: str) -> str:
    """Why a layer has no name in llama.cpp's model, and what to do."""
    layer, layers = _LAYER.search(f".{module}"), base.config.num_hidden_layers
    if layer is not None and int(layer[1]) >= layers:
        return (
            f"the adapter changes {module}, and {base.name} has {layers} layers, counted from 0: pass --base the model "
            "it is for"
        )
    return f"llama.cpp applies no LoRA to {module}: train the adapter on attention and MLP projections alone"


def _check_shape(base: Base, name: str, shape: tuple[int, int]) -> None:
    there = base.shapes.get(name)
    if there != shape:
        what = "which is not there" if there is None else f"which is {there}"
        msg = f"the adapter changes {name} of {shape}, {what} in {base.name}: pass --base the model it is for"
        raise UsageError(msg)


def _whole(name: str, values: NDArray[np.float32]) -> Weight:
    return Weight(name, values.shape, lambda start, stop: values[start:stop])
