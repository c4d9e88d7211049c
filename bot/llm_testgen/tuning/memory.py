"""How much memory training takes, told before a model is loaded; and how a model is loaded in 8 or 4 bits.

With P parameters of which T are trained, L layers, hidden size h, intermediate size f, a attention heads, k of them
for keys and values, V tokens, batches of b examples of s tokens, and w bytes a parameter:

- weights: w P; in 8 or 4 bits only the matrices of the layers are, at 1 byte and at 0.5 + 1/16 (a scale for each 64
  numbers), and all else at 2 bytes
- gradients: 4 T
- optimiser: 8 T of AdamW (two moments in float32), 2 T with 8 bits
- activations, c bytes each (2, or 4 in float32): L s b c (8 h + 2 h k / a + 4 f), and 2 c a b s^2 L where attention
  keeps its scores; with gradient checkpointing L s b c h and one layer's whole. See Korthikanti et al., *Reducing
  Activation Recomputation in Large Transformer Models* (2022), whose count is of another kind of layer.
- what LoRA with dropout keeps: 2 c b s for each input of each layer that it is on, the input and what is dropped of it;
  a layer's share with gradient checkpointing
- logits: 12 b s V, in float32, with their softmax and gradient; with many tokens the largest part by far

It is an estimate: what libraries hold for themselves is counted as 10 % and half a GB.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_testgen.errors import UsageError

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig

_GB = 1e9
_OVERHEAD = 1.1
_FIXED = 0.5 * _GB
_BYTES = {32: 4.0, 16: 2.0, 8: 1.0, 4: 0.5 + 1 / 16}
_LOADED_SMALL = (8, 4)
_NO_LIMIT = "max"


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What of a model decides how much memory it takes.

    Attributes:
        parameters: All of them.
        in_layers: Those of the layers' matrices, which can be loaded in 8 or 4 bits.
        layers: How many there are.
        hidden: Numbers that stand for a token between layers.
        intermediate: Numbers that stand for a token within the MLP.
        heads: Of attention.
        key_heads: Of keys and values.
        tokens: Of the vocabulary.
    """

    parameters: int
    in_layers: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_heads: int
    tokens: int

    @classmethod
    def of(cls, config: Any) -> ModelSize:  # noqa: ANN401 - transformers' configurations have many classes
        """Count a model's parameters without making them.

        Args:
            config: As transformers has it, of a causal language model.
        """
        import torch  # noqa: PLC0415 - an extra
        from transformers import AutoModelForCausalLM  # noqa: PLC0415

        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call,unused-ignore]  # transformers'
        outer = {id(one) for one in (model.get_input_embeddings(), model.get_output_embeddings())}
        matrices = (
            module.weight.numel()
            for module in model.modules()
            if isinstance(module, torch.nn.Linear) and id(module) not in outer
        )
        heads = config.num_attention_heads
        return cls(
            parameters=sum(one.numel() for one in model.parameters()),
            in_layers=sum(matrices),
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            intermediate=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
            heads=heads,
            key_heads=getattr(config, "num_key_value_heads", None) or heads,
            tokens=config.vocab_size,
        )

    def lora_parameters(self, rank: int, *, attention: int = 4, mlp: int = 3) -> int:
        """How many parameters LoRA trains.

        Args:
            rank: Of each pair of matrices.
            attention: How many of q, o, k and v it is put on, in this order.
            mlp: How many of gate, up and down.
        """
        keys = self.hidden * self.key_heads // self.heads
        of_attention = (2 * self.hidden, 2 * self.hidden, self.hidden + keys, self.hidden + keys)[:attention]
        return self.layers * rank * (sum(of_attention) + mlp * (self.hidden + self.intermediate))


@dataclass(frozen=True, slots=True)
class Training:
    """How a model is trained.

    Attributes:
        trained: Parameters that are.
        bits: Of a weight as it is loaded: 32, 16, 8 or 4.
        batch: Examples that are computed together, before their gradients are accumulated.
        length: Tokens of an example.
        checkpointing: Whether activations are computed anew for the gradients.
        scores: Whether attention keeps its scores; PyTorch's own, and flash attention, do not.
        adapted: Inputs of a token of all layers that LoRA with dropout is on.
        small_optimiser: Whether the optimiser's states have 8 bits.
    """

    trained: int
    bits: int = 16
    batch: int = 1
    length: int = 512
    checkpointing: bool = False
    scores: bool = False
    adapted: int = 0
    small_optimiser: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of each part."""

    weights: float
    gradients: float
    optimiser: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """All of it, with what libraries hold for themselves."""
        parts = self.weights + self.gradients + self.optimiser + self.activations + self.logits
        return _OVERHEAD * parts + _FIXED

    def __str__(self) -> str:
        """In words."""
        parts = (
            ("weights", self.weights),
            ("gradients", self.gradients),
            ("optimiser", self.optimiser),
            ("activations", self.activations),
            ("logits", self.logits),
        )
        return f"{self.total / _GB:.1f} GB: " + ", ".join(f"{name} {size / _GB:.2f}" for name, size in parts)


def estimate(size: ModelSize, training: Training) -> Memory:
    """How much memory training takes; the formula is that of this module.

    Raises:
        UsageError: Weights have no such number of bits.
    """
    if training.bits not in _BYTES:
        msg = f"models are loaded in {', '.join(map(str, _BYTES))} bits, not {training.bits}"
        raise UsageError(msg)
    small = size.in_layers if training.bits in _LOADED_SMALL else 0
    else_bytes = _BYTES[16] if small else _BYTES[training.bits]
    places = training.batch * training.length
    each = 4 if training.bits == 32 else 2  # noqa: PLR2004 - float32, or half of it
    layer = places * each * (8 * size.hidden + 2 * size.hidden * size.key_heads / size.heads + 4 * size.intermediate)
    layer += 2 * each * size.heads * places * training.length if training.scores else 0
    layer += 2 * each * places * training.adapted / size.layers
    kept = size.layers * places * each * size.hidden + layer if training.checkpointing else size.layers * layer
    return Memory(
        weights=small * _BYTES[training.bits] + (size.parameters - small) * else_bytes,
        gradients=4.0 * training.trained,
        optimiser=(2.0 if training.small_optimiser else 8.0) * training.trained,
        activations=float(kept),
        logits=12.0 * places * size.tokens,
    )


def available_memory(device: str = "cpu") -> int:
    """Bytes that can still be used: of a GPU by its name, such as ``cuda:0``, else of this machine or its container."""
    if device.startswith("cuda"):
        import torch  # noqa: PLC0415 - an extra

        return int(torch.cuda.mem_get_info(device)[0])
    import psutil  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415 - an extra

    free = int(psutil.virtual_memory().available)
    limit, used = (_number(Path("/sys/fs/cgroup") / name) for name in ("memory.max", "memory.current"))
    return free if limit is None or used is None else max(0, min(free, limit - used))


def _number(path: Path) -> int | None:
    try:
        said = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return int(said) if said != _NO_LIMIT and said.isdecimal() else None


def require_memory(size: ModelSize, training: Training, available: int, *, gpu: bool) -> Memory:
    """See that there is enough memory.

    Args:
        size: Of the model.
        training: How it is to be trained.
        available: Bytes that can be used.
        gpu: Whether they are a GPU's, which can hold weights in 8 and 4 bits.

    Returns:
        How much it takes.

    Raises:
        UsageError: There is not enough; the message says which changes would do.
    """
    needed = estimate(size, training)
    if needed.total <= available:
        return needed
    changes = [
        ("gradient checkpointing", replace(training, checkpointing=True)),
        ("a batch of 1 with more accumulation", replace(training, batch=1)),
        ("half the tokens of an example", replace(training, length=max(1, training.length // 2))),
    ]
    if gpu and training.bits > min(_LOADED_SMALL):
        changes.append(("the model in 4 bits", replace(training, bits=4)))
    elif training.bits == 32:  # noqa: PLR2004 - float32
        changes.append(("the model in bfloat16", replace(training, bits=16)))
    told = [
        f"{name} ({estimate(size, changed).total / _GB:.1f} GB)" for name, changed in changes if changed != training
    ]
    together = changes[0][1]
    for _, changed in changes[1:]:
        together = replace(
            together,
            batch=min(together.batch, changed.batch),
            length=min(together.length, changed.length),
            bits=min(together.bits, changed.bits),
        )
    least = estimate(size, together).total
    way = f"Try {', '.join(told)}" + (f", or all of it ({least / _GB:.1f} GB)" if len(told) > 1 else "")
    if least > available:
        way = (
            f"Even with {', '.join(told)} it takes {least / _GB:.1f} GB: take a smaller model"
            if told
            else "Take a smaller model"
        )
    msg = f"training would take about {needed}; there are {available / _GB:.1f} GB. {way}"
    raise UsageError(msg)


def require_weights(parameters: int, bits: int, available: int) -> None:
    """See that there is enough memory for a model's weights.

    Args:
        parameters: Of the model.
        bits: Of a weight: 32 or 16.
        available: Bytes that can be used.

    Raises:
        UsageError: There is not.
    """
    needed = _OVERHEAD * parameters * _BYTES[bits] + _FIXED
    if needed > available:
        msg = (
            f"the model takes about {needed / _GB:.1f} GB as it is loaded, with {bits} bits a weight, and there are "
            f"{available / _GB:.1f} GB: close other programs, use a machine with more memory, or take a smaller model"
        )
        raise UsageError(msg)


def quantised_loading(bits: int, *, gpu: bool) -> BitsAndBytesConfig:
    """How transformers loads a model in 8 bits (Dettmers et al., *LLM.int8()*, 2022) or 4 (*QLoRA*, 2023: NF4, twice).

    Args:
        bits: 8 or 4.
        gpu: Whether there is an Nvidia GPU.

    Raises:
        UsageError: There is none, or the library is not installed.
    """
    if bits not in _LOADED_SMALL:
        msg = f"models are loaded in 8 or 4 bits, not {bits}"
        raise UsageError(msg)
    if not gpu:
        msg = (
            f"a model in {bits} bits needs an Nvidia GPU, and there is none: load it in float32 or bfloat16, "
            "or take a smaller one"
        )
        raise UsageError(msg)
    if find_spec("bitsandbytes") is None:
        msg = f"a model in {bits} bits needs bitsandbytes: pip install bitsandbytes"
        raise UsageError(msg)
    import torch  # noqa: PLC0415 - an extra
    from transformers import BitsAndBytesConfig  # noqa: PLC0415

    if bits == 8:  # noqa: PLR2004 - as it was asked for
        return BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call,unused-ignore]  # transformers'
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call,unused-ignore]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
