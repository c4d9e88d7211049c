"""The hunks of a file's patch, as GitHub gives it: where a review comment may be put."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llm_testgen.records import Hunk

_HEADER = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")


def hunks_of(patch: str) -> tuple[Hunk, ...]:
    """The lines at head that a patch shows, hunk by hunk; those that it only removes are at base alone."""
    found = []
    for line in patch.split("\n"):
        if header := _HEADER.match(line):
            start, count = int(header[1]), int(header[2] or "1")
            if count:
                found.append(Hunk(start, start + count - 1))
    return tuple(found)


def is_within(hunks: Iterable[Hunk], start: int, line: int) -> bool:
    """Whether both ends of a range of lines are shown in one hunk."""
    return any(hunk.start <= start <= line <= hunk.end for hunk in hunks)
