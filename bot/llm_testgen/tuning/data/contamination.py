"""Whether an example holds a part of what the benchmark measures on: its projects' sources and tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from llm_testgen.bench.cases import known_cases
from llm_testgen.bench.changes import PinnedRelease
from llm_testgen.bench.environments import Workshop
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.paths import is_python
from llm_testgen.tuning.data.examples import Example, Origin
from llm_testgen.tuning.data.releases import held_out_projects, normalised
from llm_testgen.tuning.data.similarity import runs, words

# As many words as Brown et al., *Language models are few-shot learners* (2020), looked for.
_WORDS = 13
_LEAST_NAMES = 7  # of them; runs of numbers are in many tables
_SHORTEST_LINE = 16  # characters; shorter lines are alike everywhere
_MOST_LINES = 0.5
_MOST_FAILURES = 2  # projects; where as many cannot be had, it is the index that is out of reach


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What no example may hold.

    Attributes:
        projects: Their names.
        compared: Those of them of which every release was there to be compared with.
        grams: Runs of 13 words of these files.
        lines: Lines of these files.
    """

    projects: frozenset[str]
    compared: frozenset[str]
    grams: frozenset[int]
    lines: frozenset[int]

    def fault(self, example: Example) -> str:
        """Why an example must not be trained on; empty if it may be."""
        is_project = example.meta.origin is not Origin.INSTRUCTIONS  # which come from a data set of any name
        if is_project and normalised(example.meta.project) in self.projects:
            return "its project is one that the benchmark measures on"
        if not self.grams.isdisjoint(_grams(example.text)):
            return f"it shares {_WORDS} words in a row with what the benchmark measures on"
        own = list(_lines(example.answer))
        shared = sum(line in self.lines for line in own)
        return "most of its lines are in what the benchmark measures on" if shared > len(own) * _MOST_LINES else ""


def held_out(workshop: Workshop, tell: Callable[[str], None], *, allow_uncompared: bool = False) -> HeldOut:
    """What the benchmark measures on: the releases of its cases, fetched where they are not in the work folder.

    Args:
        workshop: Where they are kept.
        tell: Called with what is looked at.
        allow_uncompared: Whether to go on without what cannot be had.

    Raises:
        UsageError: A release cannot be had.
    """
    grams: set[int] = set()
    lines: set[int] = set()
    lacking: set[str] = set()
    releases = _releases()
    for number, release in enumerate(releases, 1):
        name = normalised(release.name)
        if (name in lacking or len(lacking) >= _MOST_FAILURES) and not workshop.archive(release).exists():
            lacking.add(name)
            continue
        tell(f"reading {release.name} {release.version}, to compare with: {number} of {len(releases)}")
        try:
            tree = workshop.source(release, workshop.python)
        except ProjectError as error:
            if not allow_uncompared:
                msg = f"examples must be compared with what the benchmark measures on, but {error}; or pass"
                msg += " --allow-uncompared, to go on without the projects that cannot be had"
                raise UsageError(msg) from error
            lacking.add(name)
            continue
        for path, data in tree.items():
            if is_python(path):
                text = data.decode("utf-8", "replace")
                grams.update(_grams(text))
                lines.update(_lines(text))
    projects = held_out_projects()
    return HeldOut(projects, projects - lacking, frozenset(grams), frozenset(lines))


def _releases() -> tuple[PinnedRelease, ...]:
    """The releases of the cases that the benchmark measures on, each once."""
    cases = [case for case in known_cases() if normalised(case.project) in held_out_projects()]
    return tuple(dict.fromkeys(release for case in cases for release in (case.old, case.new)))


def _grams(text: str) -> Iterator[int]:
    found = words(text)
    before = list(accumulate((not word[0].isdigit() for word in found), initial=0))
    for run, start, end in zip(runs(found, _WORDS), before, before[_WORDS:], strict=False):
        if end - start >= _LEAST_NAMES:
            yield hash(run)


def _lines(text: str) -> Iterator[int]:
    return (hash(line.strip()) for line in text.split("\n") if len(line.strip()) >= _SHORTEST_LINE)
