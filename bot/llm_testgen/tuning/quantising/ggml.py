"""Numbers as the blocks of GGUF files: by the package ``gguf``, and for K types by llama.cpp itself.

``gguf`` has the older types in NumPy, bit for bit as llama.cpp makes them; of the K types it can only read. llama.cpp's
own code for those is in the engine of the extra ``local``, whose library exports ``ggml_quantize_chunk``
(``ggml/include/ggml.h``); it is tried on known numbers before it is trusted.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import numpy as np
from gguf import GGMLQuantizationType, dequantize, quantize
from gguf.quants import quant_shape_to_byte_shape
from numpy.typing import NDArray

from llm_testgen.errors import UsageError

K_TYPES = frozenset({GGMLQuantizationType.Q4_K, GGMLQuantizationType.Q5_K, GGMLQuantizationType.Q6_K})
_Chunk = Callable[[int, int, int, int, int, int, None], int]
_WRONG = 0.1  # of four bits the error's norm is 7 % of that of normal numbers


def bytes_of(shape: tuple[int, ...], kind: GGMLQuantizationType) -> int:
    """How many bytes numbers take."""
    whole = {GGMLQuantizationType.F32: 4, GGMLQuantizationType.F16: 2}
    if kind in whole:
        return int(np.prod(shape, dtype=np.int64)) * whole[kind]
    return int(np.prod(quant_shape_to_byte_shape(shape, kind), dtype=np.int64))


def encode_rows(rows: NDArray[np.float32], kind: GGMLQuantizationType) -> NDArray[np.uint8]:
    """Rows of numbers as rows of bytes.

    Raises:
        UsageError: It is a K type, and the engine that makes them is not there.
    """
    if kind in K_TYPES:
        return _by_engine(_engine(), np.ascontiguousarray(rows, np.float32), kind)
    return np.ascontiguousarray(quantize(rows, kind)).view(np.uint8)


def require(kinds: set[GGMLQuantizationType]) -> None:
    """See that all these types can be made.

    Raises:
        UsageError: They cannot.
    """
    if kinds & K_TYPES:
        _engine()


@cache
def _engine() -> _Chunk:
    """llama.cpp's function, which has given the right bytes for known numbers."""
    try:
        import xllamacpp  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415 - an extra

        chunk = ctypes.CDLL(xllamacpp.xllamacpp.__file__).ggml_quantize_chunk
    except ImportError as error:
        msg = "K types are made by llama.cpp: pip install 'llm-testgen[local]', or take --type q8_0, q5_1 or q4_1"
        raise UsageError(msg) from error
    except (AttributeError, OSError) as error:
        msg = f"this release of xllamacpp does not give llama.cpp's K types ({error}): take --type q8_0, q5_1 or q4_1"
        raise UsageError(msg) from error
    numbers, pointer = ctypes.c_int64, ctypes.c_void_p
    chunk.restype = ctypes.c_size_t
    chunk.argtypes = [ctypes.c_int, pointer, pointer, numbers, numbers, numbers, pointer]
    known = np.random.default_rng(0).standard_normal((2, 256)).astype(np.float32)
    for kind in sorted(K_TYPES):
        returned = dequantize(_by_engine(chunk, known, kind), kind)
        if np.linalg.norm(returned - known) > _WRONG * np.linalg.norm(known):
            msg = "this release of xllamacpp makes K types that gguf does not read: take --type q8_0, q5_1 or q4_1"
            raise UsageError(msg)
    made: _Chunk = chunk
    return made


def _by_engine(chunk: _Chunk, rows: NDArray[np.float32], kind: GGMLQuantizationType) -> NDArray[np.uint8]:
    made = np.empty(quant_shape_to_byte_shape(rows.shape, kind), np.uint8)
    written = chunk(int(kind), rows.ctypes.data, made.ctypes.data, 0, rows.shape[0], rows.shape[1], None)
    if written != made.nbytes:
        msg = f"llama.cpp made {written} bytes of type {kind.name} where {made.nbytes} were due"
        raise RuntimeError(msg)
    return made
