"""Rules of git's own that libgit2 lacks or decides otherwise, and on which the lines of a diff depend.

Pure functions on bytes and paths; each names the place in git's source that it follows.
"""

from __future__ import annotations

import re
from collections import Counter

_BINARY_PROBE = 8000
_TAIL_BLOCK = 1024
_RENAME_SHARE = 0.5
_SPAN = re.compile(rb"[^\n]{0,63}\n|[^\n]{1,64}")


def is_binary(data: bytes) -> bool:
    """Whether git takes a file for binary when no attribute tells (``buffer_is_binary`` in xdiff-interface.c)."""
    return b"\0" in data[:_BINARY_PROBE]


def is_rename(old: bytes, new: bytes) -> bool:
    """Whether two files are alike enough to be one that was renamed (``estimate_similarity`` in diffcore-rename.c).

    At least half of the larger one's bytes must be in spans, lines or 64 bytes, that both have.
    """
    if old == new:
        return True
    before, after = _spans(old), _spans(new)
    copied = sum(min(count, after[span]) * len(span) for span, count in before.items())
    return copied >= _RENAME_SHARE * max(len(old), len(new))


def common_tail(old: bytes, new: bytes) -> int:
    """Bytes at both ends that git leaves out when it compares without context.

    An end that is left out stops a hunk from being slid over it (``trim_common_tail`` in xdiff-interface.c).
    """
    size = min(len(old), len(new))
    same = 0
    while same + _TAIL_BLOCK <= size and _block(old, same) == _block(new, same):
        same += _TAIL_BLOCK
    newline = old.find(b"\n", len(old) - same)
    return len(old) - newline - 1 if same and newline >= 0 else 0


def is_safe(path: str) -> bool:
    """Whether a path is text and stays inside the tree and outside ``.git`` (``verify_path`` in read-cache.c)."""
    parts = path.split("/")
    if any(part in {"", ".", ".."} or part.lower() == ".git" for part in parts):
        return False
    return not any("\ud800" <= character <= "\udfff" for character in path)


def safe_path(raw: bytes) -> str | None:
    """A path's bytes as text; None where they are no UTF-8 or the path is not safe."""
    path = raw.decode("utf-8", errors="surrogateescape")
    return path if is_safe(path) else None


def _spans(data: bytes) -> Counter[bytes]:
    return Counter(_SPAN.findall(data.replace(b"\r\n", b"\n")))


def _block(data: bytes, from_end: int) -> bytes:
    end = len(data) - from_end
    return data[end - _TAIL_BLOCK : end]
