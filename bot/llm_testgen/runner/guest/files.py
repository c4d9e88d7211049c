"""Files that a guest writes, and what it may take of the machine."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping

from . import kernel

_KINDS = {
    "memory": resource.RLIMIT_AS,
    "file": resource.RLIMIT_FSIZE,
    "cpu": resource.RLIMIT_CPU,
    "processes": resource.RLIMIT_NPROC,
}


def write_files(files: Mapping[str, str]) -> None:
    """Put test files where they belong, in the place of what stands there."""
    for path, text in files.items():
        folder = os.path.dirname(path)
        if folder and not os.path.isdir(folder):
            os.makedirs(folder)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)


def limit_resources(limits: Mapping[str, int]) -> None:
    """Bound what this process and all that it starts may take: bytes of memory and of a file, seconds, processes."""
    for name, bound in limits.items():
        kernel.limit(_KINDS[name], bound)
    kernel.limit(resource.RLIMIT_CORE, 0)
