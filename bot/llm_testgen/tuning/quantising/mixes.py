"""Which type each weight of a model gets: most the one that was asked for, some a finer one, as llama.cpp does it.

The K mixes follow ``llama_tensor_get_type`` of llama.cpp's ``src/llama-quant.cpp``: half of the value and down
projections, and what makes the output, get Q6_K; a row that is no whole number of blocks of 256 gets the next type with
blocks of 32. One rule differs: with the older types of 4 and 5 bits the output gets Q8_0, where llama.cpp has Q6_K.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType

_T = GGMLQuantizationType
_BLOCK = re.compile(r"^blk\.(\d+)\.")
_EMBEDDING = "token_embd.weight"
_OUTPUT = "output.weight"
_MATRIX = 2


class ExportType(StrEnum):
    """What a model's weights are written as."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"
    Q6_K = "q6_k"
    Q5_K_M = "q5_k_m"
    Q5_1 = "q5_1"
    Q5_0 = "q5_0"
    Q4_K_M = "q4_k_m"
    Q4_1 = "q4_1"
    Q4_0 = "q4_0"


@dataclass(frozen=True, slots=True)
class Mix:
    """What the weights of a model become.

    Attributes:
        most: Most of them.
        output: What makes the logits: the output matrix, or the embeddings where they do that too.
        some: Half of the value and down projections; None where they are as the others.
        file: The number that the file says of itself.
    """

    most: GGMLQuantizationType
    output: GGMLQuantizationType
    some: GGMLQuantizationType | None
    file: LlamaFileType


MIXES: Mapping[ExportType, Mix] = MappingProxyType(
    {
        ExportType.F32: Mix(_T.F32, _T.F32, None, LlamaFileType.ALL_F32),
        ExportType.F16: Mix(_T.F16, _T.F16, None, LlamaFileType.MOSTLY_F16),
        ExportType.BF16: Mix(_T.BF16, _T.BF16, None, LlamaFileType.MOSTLY_BF16),
        ExportType.Q8_0: Mix(_T.Q8_0, _T.Q8_0, None, LlamaFileType.MOSTLY_Q8_0),
        ExportType.Q6_K: Mix(_T.Q6_K, _T.Q6_K, None, LlamaFileType.MOSTLY_Q6_K),
        ExportType.Q5_K_M: Mix(_T.Q5_K, _T.Q6_K, _T.Q6_K, LlamaFileType.MOSTLY_Q5_K_M),
        ExportType.Q5_1: Mix(_T.Q5_1, _T.Q8_0, None, LlamaFileType.MOSTLY_Q5_1),
        ExportType.Q5_0: Mix(_T.Q5_0, _T.Q8_0, None, LlamaFileType.MOSTLY_Q5_0),
        ExportType.Q4_K_M: Mix(_T.Q4_K, _T.Q6_K, _T.Q6_K, LlamaFileType.MOSTLY_Q4_K_M),
        ExportType.Q4_1: Mix(_T.Q4_1, _T.Q8_0, None, LlamaFileType.MOSTLY_Q4_1),
        ExportType.Q4_0: Mix(_T.Q4_0, _T.Q8_0, None, LlamaFileType.MOSTLY_Q4_0),
    }
)
_NARROWER: Mapping[GGMLQuantizationType, GGMLQuantizationType] = MappingProxyType(
    {_T.Q4_K: _T.Q5_0, _T.Q5_K: _T.Q5_1, _T.Q6_K: _T.Q8_0}
)


def types_of(shapes: Mapping[str, tuple[int, ...]], wanted: ExportType) -> dict[str, GGMLQuantizationType]:
    """The type of each weight.

    Args:
        shapes: Of all weights of a model by their GGUF names, rows first.
        wanted: What was asked for.
    """
    mix = MIXES[wanted]
    blocks = 1 + max((int(found[1]) for name in shapes if (found := _BLOCK.match(name))), default=0)
    output = _OUTPUT if _OUTPUT in shapes else _EMBEDDING
    return {name: _type_of(name, shape, mix, blocks, output) for name, shape in shapes.items()}


def _type_of(name: str, shape: tuple[int, ...], mix: Mix, blocks: int, output: str) -> GGMLQuantizationType:
    if len(shape) < _MATRIX or not name.endswith(".weight") or "_norm" in name or "ffn_gate_inp" in name:
        return _T.F32
    found = _BLOCK.match(name)
    wanted = mix.most
    if name == output:
        wanted = mix.output
    elif mix.some is not None and found is not None and name.endswith(("attn_v.weight", "ffn_down.weight")):
        wanted = mix.some if _gets_more(int(found[1]), blocks) else mix.most
    return _fitting(wanted, shape[-1])


def _gets_more(block: int, blocks: int) -> bool:
    """The first and the last eighth of the layers, and each third one between."""
    eighth = blocks // 8
    return block < eighth or block >= 7 * blocks // 8 or (block - eighth) % 3 == 2  # noqa: PLR2004 - llama.cpp's


def _fitting(wanted: GGMLQuantizationType, columns: int) -> GGMLQuantizationType:
    """The same, or a type whose blocks make up a row."""
    if columns % GGML_QUANT_SIZES[wanted][0] == 0:
        return wanted
    narrower = _NARROWER.get(wanted, wanted)
    return narrower if columns % GGML_QUANT_SIZES[narrower][0] == 0 else _T.F16
