"""How much memory training takes, told before a model is loaded.

With P parameters, L layers, hidden size h, intermediate size f, n norms in a layer, a attention heads of d numbers, V
tokens, batches of b examples of s tokens, w bytes a parameter and c bytes an activation (4 in float32, else 2), and T
numbers of adapters and gates that are trained beside F that are not:

- weights: w P, and 4 (T + F) as these are in float32, with 2 (T + F) for the copies in half precision that autocast
  keeps of them, or in float32 4 J for the J of them that a mixture puts side by side. In 8 or 4 bits only the matrices
  of the layers are, at 1 byte and at 0.5 + 1/16 (a scale for each 64 numbers): peft's
  ``prepare_model_for_kbit_training`` casts all else to float32, and so are the activations. The head's copy in half
  precision is 2 h V then.
- gradients: 4 T
- optimiser: 8 T of AdamW (two moments in float32), 2 T with 8 bits
- activations: L b s (4 n h + 3 c a d + 3 c f + A / L). A norm computes in float32 and keeps its input; attention keeps
  what it multiplies, the queries and the keys and values as often as they are repeated; the MLP keeps what its
  activation is given and gives, and what that is multiplied with. Frozen matrices keep nothing, but A bytes are kept of
  a token for what is trained; `training.sizes` counts them. With gradient checkpointing L b s c h, and one layer whole.
- scores: 6 a b s^2 L where attention keeps them: the softmax in float32 and its copy in half precision (4 in float32)
- logits: 12 b s V, in float32, with their softmax and gradient, as if all tokens were learned; with many tokens the
  largest part by far

Korthikanti et al., *Reducing Activation Recomputation in Large Transformer Models* (2022), count so; these are the
tensors that torch keeps for the gradients of the layers of transformers (``modeling_qwen2.py`` and its
``eager_attention_forward``), and a test counts them. Layers of other kinds are counted as if they were such.

It is an estimate: what libraries hold for themselves is counted as 10 % and half a GB.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llm_testgen.errors import UsageError

_GB = 1e9
_OVERHEAD = 1.1
_FIXED = 0.5 * _GB
_BYTES = {32: 4.0, 16: 2.0, 8: 1.0, 4: 0.5 + 1 / 16}
_FLOAT32, _HALF = 32, 16
_LOADED_SMALL = (8, 4)
_GROUP = Path("/sys/fs/cgroup")
_NO_LIMIT = "max"
_MOST_WORDS = 200


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What of a model decides how much memory it takes.

    Attributes:
        parameters: All of them.
        in_layers: Those of the layers' matrices, which can be loaded in 8 or 4 bits.
        layers: How many there are.
        hidden: Numbers that stand for a token between layers.
        intermediate: Numbers that stand for a token within the MLP.
        heads: Of attention; 0 where there is none.
        head: Numbers that stand for a token in one of them.
        norms: Of a layer.
        tokens: Of the vocabulary.
    """

    parameters: int
    in_layers: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    head: int
    norms: int
    tokens: int

    @classmethod
    def of(cls, config: Any) -> ModelSize:  # noqa: ANN401 - transformers' configurations have many classes
        """Count a model's parameters without making them.

        Args:
            config: As transformers has it, of a causal language model.

        Raises:
            UsageError: It does not tell the sizes that decide.
        """
        import torch  # noqa: PLC0415 - an extra
        from transformers import AutoModelForCausalLM  # noqa: PLC0415

        try:
            with torch.device("meta"):
                model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call,unused-ignore]  # transformers'
            # Of a model that takes images too, what writes the text.
            text = config.get_text_config(decoder=True)
            return cls._counted(model, text)
        except (AttributeError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:_MOST_WORDS]
            msg = (
                f"how much memory models of type {config.model_type} take cannot be told ({reason}): name a model of "
                "another type"
            )
            raise UsageError(msg) from error

    @classmethod
    def _counted(cls, model: Any, text: Any) -> ModelSize:  # noqa: ANN401 - many classes
        import torch  # noqa: PLC0415 - an extra

        outer = {id(one) for one in (model.get_input_embeddings(), model.get_output_embeddings())}
        matrices = (
            module.weight.numel()
            for module in model.modules()
            if isinstance(module, torch.nn.Linear) and id(module) not in outer
        )
        layers, hidden = text.num_hidden_layers, text.hidden_size
        heads = _stated(text, "num_attention_heads", 0)
        decoder = model.get_decoder() or model
        norms = sum("norm" in type(module).__name__.lower() for module in decoder.modules())
        return cls(
            parameters=sum(one.numel() for one in model.parameters()),
            in_layers=sum(matrices),
            layers=layers,
            hidden=hidden,
            intermediate=_stated(text, "intermediate_size", 4 * hidden),
            heads=heads,
            head=_stated(text, "head_dim", hidden // heads) if heads else 0,
            norms=norms // layers,
            tokens=text.vocab_size,
        )


@dataclass(frozen=True, slots=True)
class Training:
    """How a model is trained.

    Attributes:
        trained: Numbers of adapters and gates that are.
        bits: Of a weight as it is loaded: 32, 16, 8 or 4.
        batch: Examples that are computed together, before their gradients are accumulated.
        length: Tokens of an example.
        checkpointing: Whether activations are computed anew for the gradients.
        scores: Whether attention keeps its scores; PyTorch's own, and flash attention, do not.
        adapted: Bytes of a token that are kept for what is trained, in all layers.
        frozen: Numbers of adapters that are not trained.
        joined: Numbers of adapters that a mixture puts side by side.
        small_optimiser: Whether the optimiser's states have 8 bits.
    """

    trained: int
    bits: int = 16
    batch: int = 1
    length: int = 512
    checkpointing: bool = False
    scores: bool = False
    adapted: int = 0
    frozen: int = 0
    joined: int = 0
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
    is_small = training.bits in _LOADED_SMALL
    small = size.in_layers if is_small else 0
    outside = (size.parameters - small) * _BYTES[_FLOAT32 if is_small else training.bits]
    added = training.trained + training.frozen
    copies = 2.0 * added if training.bits != _FLOAT32 else 4.0 * training.joined
    copies += 2.0 * size.hidden * size.tokens if is_small else 0.0
    places = training.batch * training.length
    return Memory(
        weights=small * _BYTES[training.bits] + outside + 4.0 * added + copies,
        gradients=4.0 * training.trained,
        optimiser=(2.0 if training.small_optimiser else 8.0) * training.trained,
        activations=places * _kept_of_token(size, training),
        logits=12.0 * places * size.tokens,
    )


def _kept_of_token(size: ModelSize, training: Training) -> float:
    """Bytes of activations of a token that are kept for the gradients."""
    each = 2 if training.bits == _HALF else 4
    layer = 4 * size.norms * size.hidden + 3 * each * (size.heads * size.head or size.hidden)
    layer += 3 * each * size.intermediate
    if training.scores:
        layer += (4 if training.bits == _FLOAT32 else 6) * size.heads * training.length
    if training.checkpointing:
        return size.layers * each * size.hidden + layer + training.adapted / size.layers
    return float(size.layers * layer + training.adapted)


def available_memory(device: str = "cpu") -> int:
    """Bytes that can still be used: of a GPU by its name, such as ``cuda:0``, else of this machine or its container."""
    if device.startswith("cuda"):
        import torch  # noqa: PLC0415 - an extra

        return int(torch.cuda.mem_get_info(device)[0])
    import psutil  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415 - an extra

    free = int(psutil.virtual_memory().available)
    limit, used = (_number(_GROUP / name) for name in ("memory.max", "memory.current"))
    if limit is None or used is None:
        return free
    # What is kept of files counts as used, and goes once something else needs the room.
    return max(0, min(free, limit - max(0, used - _kept_of_files())))


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
    elif training.bits == _FLOAT32:
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


def _stated(config: Any, name: str, default: int) -> int:  # noqa: ANN401 - many classes
    """What a configuration says, the most where it says it for each layer; the default if nothing."""
    try:
        said = getattr(config, name, None)
    except (RuntimeError, ValueError):  # how transformers says that its layers have several
        said = None
    return max(said, default=default) if isinstance(said, list | tuple) else said or default


def _kept_of_files() -> int:
    try:
        lines = (_GROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return 0
    stated = dict(line.split(maxsplit=1) for line in lines if " " in line)
    found = (stated.get(name, "") for name in ("inactive_file", "active_file"))
    return sum(int(one) for one in found if one.isdecimal())


def _number(path: Path) -> int | None:
    try:
        said = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return int(said) if said != _NO_LIMIT and said.isdecimal() else None
