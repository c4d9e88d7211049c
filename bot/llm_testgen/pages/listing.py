"""The source of a method as a page shows it: each changed line with what became of it, and which test did that."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from llm_testgen.pages.blocks import Tone
from llm_testgen.pages.highlight import Line, highlight
from llm_testgen.pages.lines import Lines
from llm_testgen.pages.words import Phrase, code
from llm_testgen.records import Method

# Longer sources are shown around their changed lines only.
_LONGEST = 150
_AROUND = 3
_MOST_TESTS = 3
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Link:
    """A test that executes a line, and where it is on the page."""

    name: Phrase
    href: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a listing; one without a number stands for lines that are left out.

    Attributes:
        number: Of the line in its file.
        line: Its code.
        tone: What became of it; None where it did not change or begins no statement.
        tests: Tests that newly execute it, the first of them.
        more: How many more there are.
    """

    number: int
    line: Line = ()
    tone: Tone | None = None
    tests: tuple[Link, ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """The source of a method, of all of its definitions if it has several."""

    rows: tuple[Row, ...]


def listing(
    definitions: Sequence[Method],
    lines: Lines,
    path: str,
    gained: Mapping[tuple[str, int], Sequence[int]],
    tests: Mapping[int, str],
) -> Listing:
    """A method's source, line by line.

    Args:
        definitions: Its definitions at head.
        lines: What became of its changed lines.
        path: The file that holds it.
        gained: Indices of the verdicts that newly execute a line.
        tests: Names of the tests that are on the page, by the indices of their verdicts.
    """

    def row(number: int, line: Line) -> Row:
        indices = gained.get((path, number), ()) if number in lines.tones else ()
        there = [index for index in indices if index in tests][:_MOST_TESTS]
        links = tuple(Link(code(tests[index], _LONGEST_NAME), f"#v{index}") for index in there)
        return Row(number, line, lines.tones.get(number), links, len(indices) - len(links))

    rows = (row(number, line) for method in definitions for number, line in _numbered(method))
    kept = list(rows)
    if len(kept) > _LONGEST:
        near = {row.number + offset for row in kept if row.tone for offset in range(-_AROUND, _AROUND + 1)}
        kept = [row for row in kept if row.number in near]
    return Listing(tuple(_with_gaps(kept)))


def _numbered(method: Method) -> Iterable[tuple[int, Line]]:
    return enumerate(highlight(textwrap.dedent(method.source)), method.start)


def _with_gaps(rows: Iterable[Row]) -> Iterator[Row]:
    before = None
    for row in rows:
        if before is not None and row.number != before + 1:
            yield Row(0)
        before = row.number
        yield row
