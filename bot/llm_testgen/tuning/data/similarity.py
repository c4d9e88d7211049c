"""How alike texts are: words, shingles of them, and sets of texts without those that are nearly the same."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from fractions import Fraction

_TOKEN = re.compile(r"\w+|[^\w\s]")
_WORD = re.compile(r"\w+")
_SHINGLE = 5
# What tests are called says nothing about what they do.
_TEST_NAME = re.compile(r"\btest_\w+")


def words(text: str) -> list[str]:
    """The words, names and numbers of a text, in small letters."""
    return [word.lower() for word in _WORD.findall(text)]


def runs(items: Sequence[Hashable], length: int) -> Iterator[tuple[Hashable, ...]]:
    """All runs of so many items that follow one another."""
    return zip(*(items[start:] for start in range(length)), strict=False)


def shingles(text: str) -> frozenset[tuple[Hashable, ...]]:
    """Runs of five tokens of a text, names of tests left out; of a shorter one all of it."""
    tokens = _TOKEN.findall(_TEST_NAME.sub("test", text))
    return frozenset(runs(tokens, _SHINGLE)) or frozenset({tuple(tokens)})


def likeness(one: frozenset[tuple[Hashable, ...]], other: frozenset[tuple[Hashable, ...]]) -> float:
    """Jaccard's: the share of shingles that two texts have in common, of all that either has."""
    return len(one & other) / len(one | other) if one or other else 1.0


def containment(part: str, whole: str) -> float:
    """The share of a text's shingles that another one has too."""
    own = shingles(part)
    return len(own & shingles(whole)) / len(own)


def near_duplicates(texts: Sequence[str], threshold: float) -> frozenset[int]:
    """Indices of the texts that are nearly the same as an earlier one that is kept.

    All pairs are found, without comparing all: if two sets are alike enough, the rarest shingles of each, so many of
    them that what is left could not make up for it, have one in common (prefix filtering; Bayardo, Ma and Srikant,
    *Scaling up all pairs similarity search*, 2007).

    Args:
        texts: In the order of preference.
        threshold: The likeness from which on two are nearly the same, above 0.
    """
    sets = [shingles(text) for text in texts]
    frequency = Counter(shingle for found in sets for shingle in found)
    holders: defaultdict[tuple[Hashable, ...], list[int]] = defaultdict(list)
    dropped: set[int] = set()
    least = Fraction(threshold).limit_denominator(1000)
    for number, found in enumerate(sets):
        ordered = sorted(found, key=lambda shingle: (frequency[shingle], repr(shingle)))
        prefix = ordered[: len(ordered) - -(-len(ordered) * least.numerator // least.denominator) + 1]
        rivals = {holder for shingle in prefix for holder in holders[shingle]}
        if any(likeness(found, sets[rival]) >= threshold for rival in rivals):
            dropped.add(number)
            continue
        for shingle in prefix:
            holders[shingle].append(number)
    return frozenset(dropped)
