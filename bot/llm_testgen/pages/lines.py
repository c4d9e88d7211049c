"""What became of the changed lines: executed before, newly executed and by which test, or still not.

A proposal that does not record which lines were executed before still says which ones the tests gain, and how many
there are. Of such a one a line that no test gains is only judged where what is known leaves no doubt.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llm_testgen.delivery.markdown import plural
from llm_testgen.pages.blocks import Tone
from llm_testgen.proposal import Proposal, TargetRecord
from llm_testgen.records import Method
from llm_testgen.source import SourceError, in_block, parse_tree

_Line = tuple[str, int]

_WORDS = {
    Tone.BEFORE: "executed before",
    Tone.GAINED: "newly executed",
    Tone.MISSING: "still not executed",
    Tone.UNTOLD: "executed before or still not",
}


@dataclass(frozen=True, slots=True)
class Reached:
    """What the tests of a proposal execute that nothing executed before.

    Attributes:
        gained: Indices of the accepted verdicts that newly execute a line.
        refused: Lines that only tests which were not accepted newly execute.
        shared: Lines that a test executes, if they are changed ones, without gaining them: existing tests do too.
        rest: What is true of any other changed line.
    """

    gained: Mapping[_Line, tuple[int, ...]]
    refused: frozenset[_Line]
    shared: frozenset[_Line]
    rest: Tone

    def tone(self, path: str, line: int) -> Tone:
        """What became of a changed line that begins a statement."""
        key = (path, line)
        if key in self.gained:
            return Tone.GAINED
        if key in self.refused:
            return Tone.MISSING
        return Tone.BEFORE if key in self.shared else self.rest


@dataclass(frozen=True, slots=True)
class Lines:
    """The changed lines of one method that begin a statement, each with what became of it."""

    tones: Mapping[int, Tone]

    def count(self, tone: Tone) -> int:
        """How many became that."""
        return sum(found is tone for found in self.tones.values())


def reached(proposal: Proposal) -> Reached:
    """What a proposal says of lines, whatever method they are of."""
    gained: dict[_Line, tuple[int, ...]] = {}
    for index in proposal.accepted:
        for line in _lines(proposal.verdicts[index].gained):
            gained[line] = (*gained.get(line, ()), index)
    seen = {line for verdict in proposal.verdicts for line in _lines(verdict.gained)}
    # Who notices a fault in a line executes it.
    executed = {(mutant.path, mutant.line) for verdict in proposal.verdicts for mutant in verdict.killed}
    figures = proposal.coverage
    rest = Tone.UNTOLD
    if figures.covered_after == figures.changed_lines:
        rest = Tone.BEFORE
    elif figures.covered_before == 0:
        rest = Tone.MISSING
    return Reached(gained, frozenset(seen - gained.keys()), frozenset(executed - seen), rest)


def lines_of(target: TargetRecord, definitions: Sequence[Method], known: Reached) -> Lines:
    """The lines of a changed method.

    Args:
        target: Which.
        definitions: Its source; none where it is not at hand, and then every changed line counts.
        known: What the proposal says.
    """
    if target.measured is not None:
        return Lines({line: _recorded(target, line, known) for line in target.measured})
    statements = _statements(definitions)
    return Lines(
        {
            line: known.tone(target.path, line)
            for line in target.lines
            if statements is None or line in statements or (target.path, line) in known.gained
        }
    )


def _recorded(target: TargetRecord, line: int, known: Reached) -> Tone:
    """What became of a line of which the proposal says whether it was executed before."""
    if line in target.covered:
        return Tone.BEFORE
    return Tone.GAINED if (target.path, line) in known.gained else Tone.MISSING


def told(lines: Lines) -> str:
    """What became of the lines of a method, in words."""
    counts = ((lines.count(tone), words) for tone, words in _WORDS.items())
    said = ", ".join(f"{count:,} {words}" for count, words in counts if count)
    return f"{plural(len(lines.tones), 'changed line')}: {said}" if said else ""


def _lines(gained: Mapping[str, Iterable[int]]) -> list[_Line]:
    return [(path, line) for path, lines in gained.items() for line in lines]


def _statements(definitions: Sequence[Method]) -> frozenset[int] | None:
    """Lines at which statements of some definitions begin; None where that cannot be told."""
    found: set[int] = set()
    for method in definitions:
        text, before = in_block(method.source)
        try:
            tree = parse_tree(text)
        except SourceError:
            return None
        offset = method.start - 1 - before
        found.update(offset + line for line in _first_lines(tree))
    return frozenset(found) if definitions else None


def _first_lines(tree: ast.Module) -> Iterable[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not _is_text(node):
            yield node.lineno
        for decorator in getattr(node, "decorator_list", ()):
            yield decorator.lineno


def _is_text(node: ast.stmt) -> bool:
    """A docstring, or another text that stands alone: nothing that runs."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
