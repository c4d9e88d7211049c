"""GGUF files: opened with errors that help, and their weights as numbers; and files that are to be written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, ReaderTensor, dequantize
from numpy.typing import NDArray

from llm_testgen.errors import UsageError

MAGIC = b"GGUF"
NUMBERS_AT_ONCE = 1 << 22  # a weight is never in memory as a whole in float32
_FIXED = ("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count")
_WHOLE = frozenset({GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.BF16})


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a file's metadata.

    Attributes:
        key: Its name.
        value: A number, a string, a truth value, or a list of them.
        type: What it is.
        of: What a list holds; None for anything else.
    """

    key: str
    value: object
    type: GGUFValueType
    of: GGUFValueType | None = None


def is_gguf(path: Path) -> bool:
    """Whether a file begins as GGUF files do."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def open_model(path: Path) -> GGUFReader:
    """Open a GGUF file that holds a model with its weights.

    Raises:
        UsageError: It is not there or no such file; the message says what it is instead.
    """
    reader = open_gguf(path)
    kind = text(reader, "general.type")
    if kind not in {"", "model"}:
        msg = f"{path} holds no model: its general.type is {kind!r}. Name the model's own file"
        raise UsageError(msg)
    shards = reader.get_field("split.count")
    if shards is not None and int(shards.contents()) > 1:
        msg = f"{path} is one of {shards.contents()} parts: join them first, with llama-gguf-split --merge"
        raise UsageError(msg)
    if not reader.tensors:
        msg = f"{path} holds no weights, only metadata: name a file of the whole model"
        raise UsageError(msg)
    return reader


def open_gguf(path: Path) -> GGUFReader:
    """Open any GGUF file.

    Raises:
        UsageError: It cannot be read, is none, is damaged, or was made for machines of the other byte order.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}): name a GGUF file"
        raise UsageError(msg) from error
    if start != MAGIC:
        msg = f"{path} is no GGUF file: it does not begin with the letters GGUF"
        raise UsageError(msg)
    try:
        reader = GGUFReader(path)
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, MemoryError) as error:
        msg = f"{path} is damaged or cut off ({' '.join(str(error).split())[:150]}): download or make it anew"
        raise UsageError(msg) from error
    if reader.byte_order != "I":
        msg = f"{path} was made for machines of the other byte order: convert it with gguf-convert-endian"
        raise UsageError(msg)
    return reader


def text(reader: GGUFReader, key: str) -> str:
    """A string of the metadata; empty where there is none."""
    field = reader.get_field(key)
    value = None if field is None else field.contents()
    return value if isinstance(value, str) else ""


def number(reader: GGUFReader, key: str) -> int:
    """A whole number of the metadata; 0 where there is none."""
    field = reader.get_field(key)
    value = None if field is None else field.contents()
    return value if isinstance(value, int) else 0


def entries(reader: GGUFReader, prefix: str = "") -> Iterator[Entry]:
    """The metadata, in the file's order.

    Args:
        reader: The file.
        prefix: Only keys that begin so.

    Raises:
        UsageError: A value is no valid text.
    """
    for key, field in reader.fields.items():
        if key in _FIXED or not key.startswith(prefix):
            continue
        if field.types[0] is GGUFValueType.ARRAY and not field.data:
            continue  # an empty list does not say of what, and means the same as none
        try:
            value = field.contents()
        except UnicodeDecodeError as error:
            msg = f"the file's value of {key} is no valid text: make the file anew"
            raise UsageError(msg) from error
        yield Entry(key, value, field.types[0], field.types[-1] if field.types[0] is GGUFValueType.ARRAY else None)


def shape_of(tensor: ReaderTensor) -> tuple[int, ...]:
    """Rows first, as NumPy and torch have it."""
    return tuple(int(size) for size in reversed(tensor.shape.tolist()))


def is_quantised(tensor: ReaderTensor) -> bool:
    """Whether its numbers have been quantised."""
    return tensor.tensor_type not in _WHOLE


def numbers(tensor: ReaderTensor, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
    """Some rows of a weight, or all; the last axis counts the columns and all others together the rows.

    Raises:
        UsageError: Its type is one that the package ``gguf`` cannot read.
    """
    rows = tensor.data.reshape(-1, tensor.data.shape[-1])[start:stop]
    try:
        return np.asarray(dequantize(np.ascontiguousarray(rows), tensor.tensor_type), dtype=np.float32)
    except NotImplementedError as error:
        msg = f"weights of type {tensor.tensor_type.name} cannot be read: take another file of this model, such as Q8_0"
        raise UsageError(msg) from error


def refuse_output(path: Path, *, force: bool, sources: tuple[Path, ...] = ()) -> None:
    """See that a file can be written.

    Args:
        path: The file.
        force: Whether one that is there may be written over.
        sources: What is read meanwhile.

    Raises:
        UsageError: It cannot; the message says why.
    """
    folder = path.absolute().parent
    if path.is_dir():
        msg = f"{path} is a folder: pass --out a file"
    elif not folder.is_dir():
        msg = f"the folder {folder} is not there: make it, or pass another --out"
    elif not os.access(folder, os.W_OK):
        msg = f"the folder {folder} cannot be written to: pass another --out"
    elif any(path.exists() and source.exists() and path.samefile(source) for source in sources):
        msg = f"{path} is what would be read: pass another --out"
    elif path.exists() and not force:
        msg = f"{path} is there already: pass --force to write over it, or another --out"
    else:
        return
    raise UsageError(msg)


def require_disk(path: Path, size: int) -> None:
    """See that a file fits.

    Raises:
        UsageError: It does not.
    """
    free = shutil.disk_usage(path.absolute().parent).free
    if size > free:
        msg = (
            f"{path} takes {size / 1e9:,.2f} GB and there are {free / 1e9:,.2f} GB free: free some, pass --out on "
            "another disk, or a smaller --type"
        )
        raise UsageError(msg)


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Where to write what becomes a file when all is well; else nothing stays.

    Raises:
        UsageError: The machine does not take it.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        msg = f"{path} cannot be written ({error.strerror or error}): pass another --out"
        raise UsageError(msg) from error
    finally:
        part.unlink(missing_ok=True)
