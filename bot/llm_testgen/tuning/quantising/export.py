"""Models written as GGUF files, weight by weight: none is in memory as a whole but in the type that it gets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, ReaderTensor
from gguf.constants import GGML_QUANT_VERSION, Keys
from numpy.typing import NDArray

from llm_testgen.tuning.quantising import files, ggml
from llm_testgen.tuning.quantising.files import Entry
from llm_testgen.tuning.quantising.mixes import MIXES, ExportType

Rows = Callable[[int, int], NDArray[np.float32]]

_MOST_THREADS = 8
_PER_ENTRY = 64  # bytes of a value's name, type and length, at most


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight of a model.

    Attributes:
        name: As GGUF files have it.
        shape: Rows first.
        rows: Gives rows from one number up to another, all axes but the last counted together; in float32.
        stored: The type that it has already; None for one that the file is not to keep as it is.
        raw: Its bytes in that type.
    """

    name: str
    shape: tuple[int, ...]
    rows: Rows
    stored: GGMLQuantizationType | None = None
    raw: NDArray[np.generic] | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What a GGUF file holds.

    Attributes:
        architecture: llama.cpp's name of it.
        entries: The metadata, but for the architecture and what says the type.
        weights: All of them.
    """

    architecture: str
    entries: tuple[Entry, ...]
    weights: tuple[Weight, ...]


def content_of(reader: GGUFReader) -> Content:
    """What a model's GGUF file holds."""
    own = {Keys.General.ARCHITECTURE, Keys.General.FILE_TYPE, Keys.General.QUANTIZATION_VERSION, Keys.General.ALIGNMENT}
    return Content(
        files.text(reader, Keys.General.ARCHITECTURE),
        tuple(entry for entry in files.entries(reader) if entry.key not in own),
        tuple(_weight(tensor) for tensor in reader.tensors),
    )


def _weight(tensor: ReaderTensor) -> Weight:
    return Weight(
        tensor.name,
        files.shape_of(tensor),
        lambda start, stop: files.numbers(tensor, start, stop),
        tensor.tensor_type,
        tensor.data,
    )


def described(content: Content, kind: ExportType) -> Content:
    """The same with the metadata that says what the weights are written as."""
    file_type = Entry(Keys.General.FILE_TYPE, int(MIXES[kind].file), GGUFValueType.UINT32)
    version = Entry(Keys.General.QUANTIZATION_VERSION, GGML_QUANT_VERSION, GGUFValueType.UINT32)
    return Content(content.architecture, (*content.entries, file_type, version), content.weights)


def write(content: Content, types: Sequence[GGMLQuantizationType], path: Path, advance: Callable[[int], None]) -> int:
    """Write a GGUF file.

    A weight that has its type already is copied, so that nothing is lost by writing it anew.

    Args:
        content: What it holds.
        types: Of the weights, in order.
        path: The file; what is there is written over once the new one is whole.
        advance: Called with the bytes of each weight that is written.

    Returns:
        The file's size in bytes.

    Raises:
        UsageError: The disk is too small or does not take it, or a type cannot be made or read.
    """
    ggml.require(set(types))
    sizes = [ggml.bytes_of(weight.shape, kind) for weight, kind in zip(content.weights, types, strict=True)]
    files.require_disk(path, sum(sizes) + sum(_size(entry) for entry in content.entries))
    with files.written(path) as part:
        writer = GGUFWriter(part, content.architecture)
        try:
            for entry in content.entries:
                writer.add_key_value(entry.key, entry.value, entry.type, entry.of)
            for weight, kind, size in zip(content.weights, types, sizes, strict=True):
                writer.add_tensor_info(weight.name, weight.shape, np.dtype(np.float32), size, raw_dtype=kind)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for weight, kind, size in zip(content.weights, types, sizes, strict=True):
                writer.write_tensor_data(_encoded(weight, kind))
                advance(size)
        finally:
            writer.close()
        return part.stat().st_size


def _size(entry: Entry) -> int:
    """How many bytes a value takes, or a little more."""
    value = entry.value
    if isinstance(value, list) and value and isinstance(value[0], str):
        return _PER_ENTRY + sum(8 + len(one.encode()) for one in value)
    return _PER_ENTRY + (
        len(value.encode()) if isinstance(value, str) else 8 * len(value) if isinstance(value, list) else 8
    )


def _encoded(weight: Weight, kind: GGMLQuantizationType) -> NDArray[np.generic]:
    if weight.stored is kind and weight.raw is not None:
        return weight.raw
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        parts = pool.map(lambda ends: ggml.encode_rows(weight.rows(*ends), kind), _chunks(weight.shape))
        return np.concatenate([part.reshape(-1) for part in parts])


def _chunks(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    rows, columns = int(np.prod(shape[:-1], dtype=np.int64)), shape[-1]
    step = max(1, files.NUMBERS_AT_ONCE // columns)
    for start in range(0, rows, step):
        yield start, min(rows, start + step)
