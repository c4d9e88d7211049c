"""Numbers of a model's weights for the study: whole rows, drawn at random, by the kind of layer."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llm_testgen.errors import UsageError
from llm_testgen.tuning.quantising import files
from llm_testgen.tuning.quantising.study import Draw, Source

_KINDS = (
    ("attention", re.compile(r"\battn_(?:q|k|v|qkv|output)\b|\b(?:self_attn|attention|attn)\.")),
    ("MLP", re.compile(r"\bffn_(?:gate|up|down)(?:_exps|_shexp)?\.|\b(?:mlp|feed_forward)\.")),
    ("embeddings", re.compile(r"^(?:token_embd|output)\.weight$|\b(?:embed_tokens|lm_head|wte|embed_out)\b")),
)
_MATRIX = 2
_Rows = Callable[[int, int], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class _Matrix:
    name: str
    shape: tuple[int, ...]
    rows: _Rows


def weight_sources(model: str, sample: int) -> tuple[tuple[Source, ...], str]:
    """Rows of all matrices of a model.

    Args:
        model: A GGUF file, a folder of transformers, or a name on the hub.
        sample: At most so many numbers of each matrix, but at least one row.

    Returns:
        One source for each kind of layer, and what has to be known about the weights.

    Raises:
        UsageError: The model cannot be read, or has no matrix.
    """
    path = Path(model)
    if path.is_file():
        matrices, note = _of_file(path)
    else:
        matrices, note = _of_checkpoint(model), ""
    draws: defaultdict[str, list[Draw]] = defaultdict(list)
    for number, matrix in enumerate(sorted(matrices, key=lambda one: one.name)):
        kind = next((kind for kind, pattern in _KINDS if pattern.search(matrix.name)), None)
        if kind is not None and len(matrix.shape) >= _MATRIX and matrix.name.endswith(".weight"):
            draws[kind].append(_draw(matrix, sample, number))
    if not draws:
        msg = f"{model} has no weights of attention, MLP or embeddings: name a language model"
        raise UsageError(msg)
    return tuple(Source(kind, tuple(draws[kind])) for kind, _ in _KINDS if draws[kind]), note


def _of_file(path: Path) -> tuple[list[_Matrix], str]:
    reader = files.open_model(path)
    found = [
        _Matrix(one.name, files.shape_of(one), lambda start, stop, one=one: files.numbers(one, start, stop))  # type: ignore[misc]
        for one in reader.tensors
    ]
    quantised = sorted({one.tensor_type.name for one in reader.tensors if files.is_quantised(one)})
    note = (
        f"the weights of this file have been quantised before ({', '.join(quantised)}): they lie on few values, and "
        "the errors here come on top of those"
    )
    return found, note if quantised else ""


def _of_checkpoint(model: str) -> list[_Matrix]:
    from llm_testgen.tuning.quantising.checkpoint import open_checkpoint  # noqa: PLC0415 - it imports torch

    checkpoint = open_checkpoint(model)
    tied = bool(getattr(checkpoint.config, "tie_word_embeddings", False))
    return [
        _Matrix(name, shape, lambda start, stop, name=name: checkpoint.rows(name, start, stop))  # type: ignore[misc]
        for name, shape in checkpoint.shapes.items()
        if not (tied and name == "lm_head.weight")
    ]


def _draw(matrix: _Matrix, sample: int, seed: int) -> Draw:
    count, columns = int(np.prod(matrix.shape[:-1], dtype=np.int64)), matrix.shape[-1]
    step = max(1, files.NUMBERS_AT_ONCE // columns)
    wanted = np.sort(np.random.default_rng(seed).permutation(count)[: max(1, min(count, sample // columns))])
    kept: list[NDArray[np.float32]] = []
    low, high = np.inf, -np.inf
    for start in range(0, count, step):
        rows = matrix.rows(start, min(count, start + step)).reshape(-1, columns)
        low, high = min(low, float(rows.min())), max(high, float(rows.max()))
        kept.append(rows[wanted[(wanted >= start) & (wanted < start + step)] - start])
    return Draw(np.concatenate(kept), (low, high))
