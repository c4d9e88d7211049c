"""Which methods a search is done on, and which are kept for the comparison at its end.

All order comes from digests of names and the seed, so that a method more or less in the project leaves the choice of
the others as it is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llm_testgen.errors import UsageError
from llm_testgen.records import ChangedMethod, LinesByPath, MethodKind

# Two to search on and one to compare on.
FEWEST_TARGETS = 3
_KINDS = frozenset({MethodKind.FUNCTION, MethodKind.METHOD})
_SHARE = 3


@dataclass(frozen=True, slots=True)
class Split:
    """The methods of a search.

    Attributes:
        training: Those that recipes are scored on, in the order in which they are tried.
        held_out: Those that nothing but the comparison at the end looks at.
        apart: Whether no file has methods of both.
    """

    training: tuple[ChangedMethod, ...]
    held_out: tuple[ChangedMethod, ...]
    apart: bool = True


def sample(targets: Iterable[ChangedMethod], missing: LinesByPath, count: int, seed: int) -> tuple[ChangedMethod, ...]:
    """So many of the functions and methods that existing tests do not fully cover, by lot.

    Args:
        targets: Any code of the project.
        missing: Lines that the existing tests do not execute.
        count: How many; there may be fewer.
        seed: Of the lot.

    Raises:
        UsageError: There are not enough to search on some and to compare on others.
    """
    open_ones = {
        target.id: target
        for target in targets
        if target.method.kind in _KINDS and missing.get(target.path, frozenset()) & target.lines
    }
    if len(open_ones) < FEWEST_TARGETS:
        found = {0: "no method", 1: "1 method"}.get(len(open_ones), f"{len(open_ones)} methods")
        msg = (
            f"a search takes {FEWEST_TARGETS} methods or more that existing tests do not fully cover,"
            f" and there is {found}: pass another --repo, or another --base"
        )
        raise UsageError(msg)
    turn: Counter[str] = Counter()
    ranked: list[tuple[int, int, str]] = []
    for name in sorted(open_ones, key=lambda name: _lot(seed, name)):
        path = open_ones[name].path
        ranked.append((turn[path], len(ranked), name))
        turn[path] += 1
    # One of each file before a second of any: there is more to learn from, and whole files can be kept for the end.
    return tuple(open_ones[name] for _, _, name in sorted(ranked)[:count])


def split(targets: Sequence[ChangedMethod], seed: int) -> Split:
    """Keep a third of the methods for the end: whole files of them, as long as there are two files."""
    by_file: dict[str, list[ChangedMethod]] = {}
    for target in targets:
        by_file.setdefault(target.path, []).append(target)
    wanted = max(1, len(targets) // _SHARE)
    kept = _nearest({path: len(found) for path, found in by_file.items()}, wanted, seed)
    if not kept:
        return Split(tuple(targets[wanted:]), tuple(targets[:wanted]), apart=False)
    return Split(
        tuple(target for target in targets if target.path not in kept),
        tuple(target for target in targets if target.path in kept),
    )


def _nearest(sizes: Mapping[str, int], wanted: int, seed: int) -> frozenset[str]:
    """The files that together have as nearly as can be the wanted number of methods, and not all of them."""
    whole = sum(sizes.values())
    sums: dict[int, tuple[str, ...]] = {0: ()}
    for path in sorted(sizes, key=lambda name: _lot(seed, name)):
        for size, paths in list(sums.items()):
            sums.setdefault(size + sizes[path], (*paths, path))
    possible = [size for size in sums if 0 < size < whole - 1]
    return frozenset(sums[min(possible, key=lambda size: (abs(size - wanted), size))]) if possible else frozenset()


def _lot(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
