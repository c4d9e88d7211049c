"""What is trained on: this processor or a GPU, by one process or by several that accelerate started."""

from __future__ import annotations

from typing import TypeVar

import torch
from accelerate import PartialState  # type: ignore[import-untyped,import-not-found,unused-ignore]
from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped,import-not-found,unused-ignore]

_Value = TypeVar("_Value")


def has_gpu() -> bool:
    """Whether there is a GPU that PyTorch trains on."""
    return torch.cuda.is_available()


def processes() -> int:
    """How many processes train together."""
    return int(_state().num_processes)


def is_first() -> bool:
    """Whether this is the process that writes and talks."""
    return bool(_state().is_main_process)


def of_first(value: _Value) -> _Value:
    """What the first process has, in all of them."""
    _state()
    held = [value]
    broadcast_object_list(held)
    return held[0]


def _state() -> PartialState:
    return PartialState(cpu=not has_gpu())
