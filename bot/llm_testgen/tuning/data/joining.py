"""The parts of a data set → what is trained and validated on: nothing twice, contaminated or too long."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from llm_testgen.tuning.data.contamination import HeldOut
from llm_testgen.tuning.data.examples import UNKNOWN, Example, Origin
from llm_testgen.tuning.data.releases import normalised
from llm_testgen.tuning.data.similarity import near_duplicates

_PREFERRED = (Origin.SESSION, Origin.SAMPLED, Origin.MINED, Origin.INSTRUCTIONS)
_ROOM = 1.5  # how much larger than wanted a part for validation may be, as whole projects go into it

Length = Callable[[Example], int]


@dataclass(frozen=True, slots=True)
class Limits:
    """What of all examples is taken.

    Attributes:
        seed: Of the order and of the split.
        validation: Share that is set aside for validation, about: whole projects are.
        per_project: Examples of one project, or of one data set of instructions, at most; None for all.
        length: The most that an example may have of what ``measure`` counts; None for no limit.
        likeness: From which likeness on two answers are nearly the same.
        unknown_licences: Whether examples whose licence is not known are taken.
    """

    seed: int = 0
    validation: float = 0.1
    per_project: int | None = None
    length: int | None = None
    likeness: float = 0.8
    unknown_licences: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """A data set.

    Attributes:
        train: What is trained on, in the order of the lot.
        validation: What is set aside.
        left_out: How many examples were left out, by reason.
        uncompared: Projects that the benchmark measures on and that not all was compared with, as it could not be had.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    left_out: Counter[str]
    uncompared: tuple[str, ...]


def join(examples: Iterable[Example], limits: Limits, what: HeldOut, measure: Length) -> Joined:
    """Join examples to a data set.

    Args:
        examples: Of all parts.
        limits: What is taken.
        what: What the benchmark measures on.
        measure: Gives the length of an example.
    """
    left_out: Counter[str] = Counter()
    ordered = sorted(examples, key=_preference)
    kept = _sound(_each_once(ordered, left_out), limits, what, measure, left_out)
    similar = near_duplicates([example.answer for example in kept], limits.likeness)
    left_out["its answer is nearly the same as another one"] += len(similar)
    kept = [example for number, example in enumerate(kept) if number not in similar]
    lot = random.Random(limits.seed)  # noqa: S311 - nothing is secret
    lot.shuffle(kept)
    kept = _some_of_each(kept, limits.per_project, left_out)
    aside = _set_aside(kept, limits.validation, lot)
    return Joined(
        train=tuple(example for example in kept if _group(example) not in aside),
        validation=tuple(example for example in kept if _group(example) in aside),
        left_out=+left_out,
        uncompared=tuple(sorted(what.projects - what.compared)),
    )


def _preference(example: Example) -> tuple[int, str, str, str]:
    meta = example.meta
    return _PREFERRED.index(meta.origin), meta.project, meta.target, meta.digest


def _each_once(examples: Iterable[Example], left_out: Counter[str]) -> list[Example]:
    found: dict[str, Example] = {}
    for example in examples:
        left_out["it is the same as another one"] += example.meta.digest in found
        found.setdefault(example.meta.digest, example)
    return list(found.values())


def _sound(
    examples: Iterable[Example], limits: Limits, what: HeldOut, measure: Length, left_out: Counter[str]
) -> list[Example]:
    kept = []
    for example in examples:
        if reason := _fault(example, limits, what, measure):
            left_out[reason] += 1
        else:
            kept.append(example)
    return kept


def _fault(example: Example, limits: Limits, what: HeldOut, measure: Length) -> str:
    if example.meta.licence == UNKNOWN and not limits.unknown_licences:
        return "its licence is not known"
    if fault := what.fault(example):
        return fault
    return "it is too long" if limits.length is not None and measure(example) > limits.length else ""


def _some_of_each(examples: Sequence[Example], most: int | None, left_out: Counter[str]) -> list[Example]:
    taken: Counter[tuple[bool, str]] = Counter()
    kept = []
    for example in examples:
        # A data set of instructions may have the name of a project.
        source = example.meta.origin is Origin.INSTRUCTIONS, normalised(example.meta.project)
        taken[source] += 1
        if most is not None and taken[source] > most:
            left_out["its project has enough others"] += 1
        else:
            kept.append(example)
    return kept


def _group(example: Example) -> str:
    """What must not be in both parts: a project; of instructions, which have none, the example alone."""
    meta = example.meta
    return meta.digest if meta.origin is Origin.INSTRUCTIONS else normalised(meta.project)


def _set_aside(examples: Sequence[Example], share: float, lot: random.Random) -> set[str]:
    """The groups that are set aside: of projects and of instructions the same share, as far as whole ones give it."""
    aside: set[str] = set()
    for is_instruction in (False, True):
        groups: defaultdict[str, int] = defaultdict(int)
        for example in examples:
            if (example.meta.origin is Origin.INSTRUCTIONS) is is_instruction:
                groups[_group(example)] += 1
        aside |= _some_groups(groups, share, lot)
    return aside


def _some_groups(groups: dict[str, int], share: float, lot: random.Random) -> set[str]:
    wanted = sum(groups.values()) * share
    if not wanted or len(groups) == 1:
        return set()
    names = sorted(groups)
    lot.shuffle(names)
    chosen: set[str] = set()
    size = 0
    for name in names:
        if size < wanted and size + groups[name] <= wanted * _ROOM:
            chosen.add(name)
            size += groups[name]
    # Where every project is larger than what is wanted, the smallest one is.
    return chosen or {min(names, key=lambda name: groups[name])}
