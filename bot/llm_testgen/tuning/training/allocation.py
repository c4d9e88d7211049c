"""How this process gets its memory while it trains."""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = -1
_MOST = 32 * 1024 * 1024  # what glibc takes at most; larger tensors would leave holes that nothing else fits into
_STATM = Path("/proc/self/statm")
_RESIDENT = 1  # the field's place, in pages


def keep_memory() -> None:
    """Keep memory that is freed from now on, for what is needed next, where glibc is the C library; else do nothing.

    What was freed before goes back to the kernel. By default so does all that is free at the end of the heap, and the
    kernel fills it with zeros before it is used again: with a small model on a processor that takes as long as a good
    part of the arithmetic.
    """
    library = _glibc()
    if library is None:
        return
    library.malloc_trim(0)
    for parameter, value in ((_MMAP_THRESHOLD, _MOST), (_TRIM_THRESHOLD, _NEVER)):
        library.mallopt(parameter, value)


def give_back(more_than: float) -> None:
    """Give memory that is free back to the kernel, where glibc is the C library and too much is held.

    Examples of ever other lengths leave holes that the next do not fit into, so that kept memory grows over an hour.

    Args:
        more_than: Bytes that may be held.
    """
    if held() > more_than and (library := _glibc()) is not None:
        library.malloc_trim(0)


def held() -> int:
    """Bytes of memory that this process has; 0 where the system does not tell."""
    try:
        fields = _STATM.read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(fields[_RESIDENT]) * resource.getpagesize()


def _glibc() -> ctypes.CDLL | None:
    """The C library, if it has what is asked of it here."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(None)
    except OSError:
        return None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
