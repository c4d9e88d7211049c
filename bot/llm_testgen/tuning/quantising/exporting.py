"""What is asked to be exported: a model of transformers, a GGUF file or an adapter, planned and carried out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gguf import MODEL_ARCH_NAMES, GGMLQuantizationType

from llm_testgen.errors import UsageError
from llm_testgen.tuning.quantising import files, ggml
from llm_testgen.tuning.quantising.export import Content, content_of, described, write
from llm_testgen.tuning.quantising.files import Entry
from llm_testgen.tuning.quantising.mixes import ExportType, types_of

_TOKENS = "tokenizer.ggml.tokens"
_TEMPLATE = "tokenizer.chat_template"
_EMBEDDING = "token_embd.weight"
_FOR_ADAPTERS = {
    ExportType.F32: GGMLQuantizationType.F32,
    ExportType.F16: GGMLQuantizationType.F16,
    ExportType.BF16: GGMLQuantizationType.BF16,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A file that is to be written.

    Attributes:
        content: What it holds.
        types: Of its weights, in order.
        what: What it is, in words.
        note: What has to be known about it; empty for nothing.
    """

    content: Content
    types: tuple[GGMLQuantizationType, ...]
    what: str
    note: str = ""

    @property
    def size(self) -> int:
        """Bytes of the weights."""
        pairs = zip(self.content.weights, self.types, strict=True)
        return sum(ggml.bytes_of(weight.shape, kind) for weight, kind in pairs)

    @property
    def numbers(self) -> int:
        """How many numbers the weights hold."""
        return sum(math.prod(weight.shape) for weight in self.content.weights)


def plan(model: str, kind: str | None, tokenizer: Path | None = None, base: str | None = None) -> Plan:
    """Read all but the weights of what is to be exported.

    Args:
        model: A GGUF file, the folder of an adapter, or a folder or name of transformers.
        kind: One of `ExportType`; None for the usual one.
        tokenizer: A GGUF file whose tokenizer is taken; None for the model's own.
        base: The model that an adapter is for; None for what it says itself.

    Raises:
        UsageError: It cannot be exported; the message says why and what to do.
    """
    path = Path(model)
    if path.is_file():
        _refuse(base=base is not None, tokenizer=tokenizer is not None, of="a GGUF file")
        return _again(path, ExportType(kind or ExportType.Q8_0))
    from llm_testgen.tuning.quantising import adapters  # noqa: PLC0415 - it imports torch

    if adapters.is_adapter(path):
        _refuse(base=False, tokenizer=tokenizer is not None, of="an adapter")
        return _adapter(path, ExportType(kind or ExportType.F16), base)
    _refuse(base=base is not None, tokenizer=False, of="a model")
    return _model(model, ExportType(kind or ExportType.Q8_0), tokenizer)


def carry_out(planned: Plan, path: Path, advance: Callable[[int], None]) -> int:
    """Write a file; see `write`.

    Args:
        planned: What it is to be.
        path: Where it goes.
        advance: Called with the bytes of each weight that is written.

    Returns:
        Its size in bytes.
    """
    return write(planned.content, planned.types, path, advance)


def _refuse(*, base: bool, tokenizer: bool, of: str) -> None:
    for option, given in (("--base", base), ("--tokenizer", tokenizer)):
        if given:
            msg = f"{option} means nothing for {of}: leave it out"
            raise UsageError(msg)


def _again(path: Path, kind: ExportType) -> Plan:
    reader = files.open_model(path)
    content = content_of(reader)
    if not content.architecture:
        msg = f"{path} does not say its architecture, so nothing could load what was made of it: take another file"
        raise UsageError(msg)
    types = _types(content, kind)
    lost = any(
        files.is_quantised(tensor) and tensor.tensor_type is not made
        for tensor, made in zip(reader.tensors, types, strict=True)
    )
    note = "its weights had been quantised before: the errors add up" if lost else ""
    return Plan(described(content, kind), types, f"{content.architecture} as {kind}", note)


def _adapter(folder: Path, kind: ExportType, base: str | None) -> Plan:
    from llm_testgen.tuning.quantising.adapters import adapter_content  # noqa: PLC0415 - it imports torch

    if kind not in _FOR_ADAPTERS:
        msg = f"adapters are small and are not quantised to {kind}: pass --type f16, bf16 or f32"
        raise UsageError(msg)
    content = adapter_content(folder, base)
    what = f"LoRA adapter for {content.architecture} as {kind}"
    return Plan(content, (_FOR_ADAPTERS[kind],) * len(content.weights), what)


def _model(model: str, kind: ExportType, tokenizer: Path | None) -> Plan:
    from llm_testgen.tuning.quantising import architectures  # noqa: PLC0415 - it imports torch
    from llm_testgen.tuning.quantising.checkpoint import load_tokenizer, open_checkpoint  # noqa: PLC0415
    from llm_testgen.tuning.quantising.vocabulary import vocabulary  # noqa: PLC0415

    checkpoint = open_checkpoint(model)
    architecture = architectures.architecture_of(checkpoint)
    metadata = architectures.metadata_of(checkpoint, architecture)
    weights = architectures.weights_of(checkpoint, architecture)
    (rows,) = (weight.shape[0] for weight in weights if weight.name == _EMBEDDING)
    words = vocabulary(load_tokenizer(model), rows) if tokenizer is None else _tokenizer_of(tokenizer, rows)
    content = Content(MODEL_ARCH_NAMES[architecture], (*metadata, *words), weights)
    has_template = any(entry.key == _TEMPLATE for entry in words)
    note = "" if has_template else "it has no chat template: servers will guess one, or need one to be named"
    return Plan(described(content, kind), _types(content, kind), f"{content.architecture} as {kind}", note)


def _tokenizer_of(path: Path, rows: int) -> tuple[Entry, ...]:
    found = tuple(files.entries(files.open_gguf(path), "tokenizer."))
    tokens = next((entry.value for entry in found if entry.key == _TOKENS), None)
    if not isinstance(tokens, list) or len(tokens) != rows:
        count = len(tokens) if isinstance(tokens, list) else "no"
        msg = f"{path} has {count} tokens and the model {rows}: pass --tokenizer a GGUF file of the same model"
        raise UsageError(msg)
    return found


def _types(content: Content, kind: ExportType) -> tuple[GGMLQuantizationType, ...]:
    return tuple(types_of({weight.name: weight.shape for weight in content.weights}, kind).values())
