"""Models of transformers as llama.cpp has them: names of weights, the order of rows, and the metadata.

The same as llama.cpp's own converter makes (``conversion/llama.py`` and ``conversion/qwen.py``), of Llama and Qwen2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, GGUFValueType, RopeScalingType, get_tensor_name_map
from gguf.constants import Keys
from numpy.typing import NDArray

from llm_testgen.errors import UsageError
from llm_testgen.tuning.quantising.checkpoint import Checkpoint
from llm_testgen.tuning.quantising.export import Weight
from llm_testgen.tuning.quantising.files import Entry

ARCHITECTURES: Mapping[str, MODEL_ARCH] = MappingProxyType(
    {"LlamaForCausalLM": MODEL_ARCH.LLAMA, "Qwen2ForCausalLM": MODEL_ARCH.QWEN2}
)
_SUFFIXES = (".weight", ".bias")
_OF_LAYER = ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down")
_ROPE_FACTORS = "rope_freqs.weight"
_FLOAT, _UINT = GGUFValueType.FLOAT32, GGUFValueType.UINT32

Naming = Callable[[str], str | None]


def architecture_of(checkpoint: Checkpoint) -> MODEL_ARCH:
    """llama.cpp's architecture.

    Raises:
        UsageError: It is another than those known here, or does what llama.cpp's does not.
    """
    config = checkpoint.config
    named = (getattr(config, "architectures", None) or [""])[0]
    if named not in ARCHITECTURES:
        msg = (
            f"{checkpoint.source} is a {named or config.model_type}: only {' and '.join(ARCHITECTURES)} can be exported"
        )
        raise UsageError(msg)
    if config.hidden_act != "silu":
        msg = f"llama.cpp computes {named} with the activation silu, and {checkpoint.source} has {config.hidden_act}"
        raise UsageError(msg)
    if getattr(config, "use_sliding_window", False):
        msg = f"{checkpoint.source} attends within a sliding window, which llama.cpp does not for {named}"
        raise UsageError(msg)
    return ARCHITECTURES[named]


def weights_of(checkpoint: Checkpoint, architecture: MODEL_ARCH) -> tuple[Weight, ...]:
    """All weights by llama.cpp's names, in the order of the layers.

    Raises:
        UsageError: One has no name there, or one that llama.cpp needs is missing.
    """
    config = checkpoint.config
    names = get_tensor_name_map(architecture, config.num_hidden_layers)
    found: dict[str, Weight] = {}
    for name in checkpoint.shapes:
        if name.endswith(".rotary_emb.inv_freq") or (name == "lm_head.weight" and config.tie_word_embeddings):
            continue
        known = names.get_name(name, _SUFFIXES)
        if known is None:
            msg = f"llama.cpp has no name for the weight {name} of {checkpoint.source}: export a model without it"
            raise UsageError(msg)
        found[known] = _weight(checkpoint, name, known, row_order(architecture, known, config))
    missing = [name for name in _needed(config) if name not in found]
    if missing:
        msg = f"{checkpoint.source} lacks {len(missing)} weights, such as {missing[0]}: save the whole model"
        raise UsageError(msg)
    if (factors := _rope_factors(config)) is not None:
        found[_ROPE_FACTORS] = Weight(_ROPE_FACTORS, factors.shape, lambda _start, _stop: factors[None, :])
    return tuple(found[name] for name in sorted(found, key=_place))


def _needed(config: Any) -> Iterator[str]:  # noqa: ANN401 - transformers' configurations
    yield from ("token_embd.weight", "output_norm.weight")
    if not config.tie_word_embeddings:
        yield "output.weight"
    for layer in range(config.num_hidden_layers):
        yield from (f"blk.{layer}.{part}.weight" for part in _OF_LAYER)


def _place(name: str) -> tuple[int, str]:
    first, _, rest = name.partition(".")
    return (int(rest.partition(".")[0]), name) if first == "blk" else (-1, name)


def _weight(checkpoint: Checkpoint, name: str, known: str, order: NDArray[np.int64] | None) -> Weight:
    shape = checkpoint.shapes[name]

    def read(start: int, stop: int) -> NDArray[np.float32]:
        if len(shape) == 1:
            whole = checkpoint.rows(name, 0, shape[0])
            return (whole if order is None else whole[order])[None, :]
        if order is None:
            return checkpoint.rows(name, start, stop)
        return checkpoint.rows(name, 0, shape[0])[order[start:stop]]

    return Weight(known, shape, read)


def row_order(architecture: MODEL_ARCH, name: str, config: Any) -> NDArray[np.int64] | None:  # noqa: ANN401
    """Where each row of a weight stands in transformers; None where nothing moves.

    transformers rotates the first half of a head against the second; llama.cpp does so with Qwen2, and with Llama it
    rotates neighbours, as the model was published. So Llama's query and key rows change places.

    Args:
        architecture: llama.cpp's.
        name: The weight's, as llama.cpp has it.
        config: With ``num_attention_heads`` and ``num_key_value_heads``.
    """
    if architecture is not MODEL_ARCH.LLAMA or not any(f".{part}." in name for part in ("attn_q", "attn_k")):
        return None
    heads = config.num_attention_heads if ".attn_q." in name else config.num_key_value_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return np.arange(heads * width).reshape(heads, 2, width // 2).swapaxes(1, 2).reshape(-1)


def metadata_of(checkpoint: Checkpoint, architecture: MODEL_ARCH) -> tuple[Entry, ...]:
    """The metadata of a model, but for its tokenizer.

    Raises:
        UsageError: Its positions are scaled in a way that is not known here.
    """
    config = checkpoint.config
    llm, attention = Keys.LLM, Keys.Attention
    heads, width = config.num_attention_heads, getattr(config, "head_dim", None)
    numbers: list[tuple[str, int]] = [
        (llm.BLOCK_COUNT, config.num_hidden_layers),
        (llm.CONTEXT_LENGTH, config.max_position_embeddings),
        (llm.EMBEDDING_LENGTH, config.hidden_size),
        (llm.FEED_FORWARD_LENGTH, config.intermediate_size),
        (attention.HEAD_COUNT, heads),
        (attention.HEAD_COUNT_KV, config.num_key_value_heads),
        (llm.VOCAB_SIZE, config.vocab_size),
    ]
    if width is not None and width * heads != config.hidden_size:
        numbers += [(attention.KEY_LENGTH, width), (attention.VALUE_LENGTH, width)]
    if architecture is MODEL_ARCH.LLAMA:
        numbers.append((Keys.Rope.DIMENSION_COUNT, width or config.hidden_size // heads))
    of = MODEL_ARCH_NAMES[architecture]
    return (
        Entry(Keys.General.TYPE, "model", GGUFValueType.STRING),
        Entry(Keys.General.NAME, checkpoint.name, GGUFValueType.STRING),
        *(Entry(key.format(arch=of), int(value), _UINT) for key, value in numbers),
        Entry(attention.LAYERNORM_RMS_EPS.format(arch=of), float(config.rms_norm_eps), _FLOAT),
        *_rope(config, of),
    )


def _positions(config: Any) -> dict[str, Any]:  # noqa: ANN401
    """How positions are told, as transformers 5 says it, or as 4 did."""
    told = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    return {"rope_type": "default", "rope_theta": getattr(config, "rope_theta", 10_000.0)} | dict(told)


def _rope(config: Any, of: str) -> Iterator[Entry]:  # noqa: ANN401
    told, rope = _positions(config), Keys.Rope
    yield Entry(rope.FREQ_BASE.format(arch=of), float(told["rope_theta"]), _FLOAT)
    kind = told["rope_type"]
    if kind in {"default", "llama3"}:
        return
    if kind not in {"linear", "yarn"}:
        msg = f"positions that are scaled by {kind!r} cannot be exported: only linear, yarn and llama3 can"
        raise UsageError(msg)
    scaling = RopeScalingType.LINEAR if kind == "linear" else RopeScalingType.YARN
    yield Entry(rope.SCALING_TYPE.format(arch=of), scaling.value, GGUFValueType.STRING)
    yield Entry(rope.SCALING_FACTOR.format(arch=of), float(told["factor"]), _FLOAT)
    if kind == "yarn":
        length = told.get("original_max_position_embeddings") or config.max_position_embeddings
        yield Entry(rope.SCALING_ORIG_CTX_LEN.format(arch=of), int(length), _UINT)


def _rope_factors(config: Any) -> NDArray[np.float32] | None:  # noqa: ANN401
    """By what each frequency is divided in Llama 3.1 and later; None where none is."""
    told = _positions(config)
    if told["rope_type"] != "llama3":
        return None
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    waves = 2 * math.pi * told["rope_theta"] ** (np.arange(0, width, 2, dtype=np.float64) / width)
    factor, low, high = told["factor"], told["low_freq_factor"], told["high_freq_factor"]
    smooth = np.clip((told["original_max_position_embeddings"] / waves - low) / (high - low), 0, 1)
    return np.asarray(1 / ((1 - smooth) / factor + smooth), np.float32)


def naming(architecture: MODEL_ARCH, layers: int) -> Naming:
    """Gives llama.cpp's name of a weight of transformers; None where it has none."""
    names = get_tensor_name_map(architecture, layers)
    return lambda name: names.get_name(name, _SUFFIXES)
