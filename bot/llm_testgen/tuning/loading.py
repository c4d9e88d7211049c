"""How a model is loaded in 8 or 4 bits."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from llm_testgen.errors import UsageError

if TYPE_CHECKING:
    import torch
    from transformers import BitsAndBytesConfig

_BITS = (8, 4)


def quantised_loading(bits: int, compute: torch.dtype, *, gpu: bool) -> BitsAndBytesConfig:
    """How transformers loads a model in 8 bits (Dettmers et al., *LLM.int8()*, 2022) or 4 (*QLoRA*, 2023: NF4, twice).

    Args:
        bits: 8 or 4.
        compute: The type that is computed in; with 8 bits the library has its own.
        gpu: Whether there is an Nvidia GPU.

    Raises:
        UsageError: There is none, or the library is not installed.
    """
    if bits not in _BITS:
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
    from transformers import BitsAndBytesConfig  # noqa: PLC0415 - an extra

    if bits == 8:  # noqa: PLR2004 - as it was asked for
        return BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call,unused-ignore]  # transformers'
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call,unused-ignore]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )
