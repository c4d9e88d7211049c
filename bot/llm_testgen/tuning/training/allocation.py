"""How this process gets its memory while it trains."""

from __future__ import annotations

import ctypes
import sys

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = -1
_MOST = 32 * 1024 * 1024  # what glibc takes at most; larger tensors would leave holes that nothing else fits into


def keep_memory() -> None:
    """Keep memory that is freed from now on, for what is needed next, where glibc is the C library; else do nothing.

    What was freed before goes back to the kernel. By default so does all that is free at the end of the heap, and the
    kernel fills it with zeros before it is used again: with a small model on a processor that takes as long as a good
    part of the arithmetic.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        library = ctypes.CDLL(None)
        mallopt, trim = library.mallopt, library.malloc_trim
    except (AttributeError, OSError):
        return
    trim(0)
    for parameter, value in ((_MMAP_THRESHOLD, _MOST), (_TRIM_THRESHOLD, _NEVER)):
        mallopt(parameter, value)
