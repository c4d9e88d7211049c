r"""Contracts in the text of a definition: the lines that hold them, and the proof that the rest is still the same code.

Lines are put between lines, and nothing else is touched, but for a ``return x`` whose value a contract speaks of: it
becomes ``result = x`` and ``return result`` with the contract between them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from llm_testgen.records import Contract, Method, Spot
from llm_testgen.source import (
    DefinitionNode,
    SourceError,
    definition_start,
    parse_tree,
    single_definition,
)


@dataclass(frozen=True, slots=True)
class Embedded:
    """A definition with contracts in it.

    Attributes:
        source: Its text.
        lines: Line of the file at which each contract stands then; one that has no place there is not among them.
    """

    source: str
    lines: Mapping[Contract, int]


@dataclass(frozen=True, slots=True)
class Insertion:
    r"""Lines of a file, and what takes their place: the same with contracts among them.

    Attributes:
        start: First line that is replaced.
        line: Last line that is replaced.
        before: These lines; newlines as ``\\n``, with no newline at the end.
        text: What takes their place, written the same way.
        contracts: What it adds, in the order of their lines.
    """

    start: int
    line: int
    before: str
    text: str
    contracts: tuple[Contract, ...]

    @property
    def path(self) -> str:
        """The file."""
        return self.contracts[0].path


class Piece(Protocol):
    """Lines of a file and what takes their place: an `Insertion`, or what the proposal holds of it."""

    @property
    def start(self) -> int:
        """First line that is replaced."""

    @property
    def line(self) -> int:
        """Last line that is replaced."""

    @property
    def text(self) -> str:
        """What takes their place."""


@dataclass(frozen=True, slots=True)
class _Edit:
    """What contracts of one place do to the lines of a definition; lines count from its first.

    Attributes:
        line: Line that they go above or below.
        above: Whether above it.
        indent: How what is added is indented.
        contracts: In their order.
        swapped: First line of a ``return`` statement, and what it becomes; None anywhere else.
    """

    line: int
    above: bool
    indent: str
    contracts: tuple[Contract, ...]
    swapped: tuple[int, str] | None = None

    @property
    def start(self) -> int:
        """First line that is not left as it is; the one beside what is added where all are."""
        return self.swapped[0] if self.swapped else self.line

    def lines(self) -> Iterator[tuple[str, Contract | None]]:
        """What is added."""
        for contract in self.contracts:
            yield f"{self.indent}{contract.statement}", contract
        if self.swapped:
            yield f"{self.indent}return {self.contracts[0].name}", None


class _Text:
    """The lines of a definition with edits in them."""

    def __init__(self, source: str, edits: Sequence[_Edit]) -> None:
        self.old = source.split("\n")
        self.new: list[str] = []
        self.places: dict[Contract, int] = {}
        self._bounds: list[tuple[int, int]] = []
        swapped = dict(edit.swapped for edit in edits if edit.swapped)
        for number, line in enumerate(self.old, start=1):
            first = len(self.new)
            here = [edit for edit in edits if edit.line == number]
            self._add([edit for edit in here if edit.above])
            self.new.append(swapped.get(number, line))
            # What is indented deeper ends first.
            self._add(sorted((edit for edit in here if not edit.above), key=lambda edit: -len(edit.indent)))
            self._bounds.append((first, len(self.new)))

    def _add(self, edits: Iterable[_Edit]) -> None:
        for edit in edits:
            for line, contract in edit.lines():
                self.new.append(line)
                if contract is not None:
                    self.places[contract] = len(self.new)

    def between(self, start: int, line: int) -> tuple[str, str]:
        """Some lines before and after."""
        first, last = self._bounds[start - 1][0], self._bounds[line - 1][1]
        return "\n".join(self.old[start - 1 : line]), "\n".join(self.new[first:last])


def embed(definition: Method, contracts: Iterable[Contract], source: str | None = None) -> Embedded | None:
    """A definition with contracts in it; None where none of them has a place, or where that changes what it does.

    Args:
        definition: The definition.
        contracts: Contracts of it.
        source: Another text of it to put them into, such as a mutant's; None for its own.
    """
    text = definition.source if source is None else source
    edits = _edits(definition, contracts, text)
    made = _Text(text, edits)
    whole = "\n".join(made.new)
    if not edits or not _is_same_definition(text, whole):
        return None
    before = definition.start - 1
    return Embedded(whole, {contract: line + before for contract, line in made.places.items()})


def insertions(definition: Method, contracts: Iterable[Contract]) -> tuple[Insertion, ...]:
    """Contracts of a definition as pieces of its file that can be taken one by one; in the order of the lines."""
    edits = sorted(_edits(definition, contracts, definition.source), key=lambda edit: (edit.start, edit.line))
    made = _Text(definition.source, edits)
    groups: list[list[_Edit]] = []
    for edit in edits:
        if groups and edit.start <= max(other.line for other in groups[-1]):
            groups[-1].append(edit)
        else:
            groups.append([edit])
    found = []
    for group in groups:
        start, line = group[0].start, max(edit.line for edit in group)
        before, text = made.between(start, line)
        added = sorted((one for edit in group for one in edit.contracts), key=made.places.__getitem__)
        offset = definition.start - 1
        found.append(Insertion(start + offset, line + offset, before, text, tuple(added)))
    return tuple(found)


def applied(text: str, pieces: Iterable[Piece]) -> str:
    """A file once some of its lines were replaced, its line ends as they were."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.replace("\r\n", "\n").split("\n")
    for piece in sorted(pieces, key=lambda piece: piece.start, reverse=True):
        lines[piece.start - 1 : piece.line] = piece.text.split("\n")
    return newline.join(lines)


def is_same_code(before: str, after: str) -> bool:
    """Whether two modules are the same but for assertions, and for values that get a name before they are returned."""
    try:
        one, other = (_bare(parse_tree(text.removeprefix("\ufeff"))) for text in (before, after))
        return ast.dump(one) == ast.dump(other)
    except (SourceError, RecursionError):
        return False


def own_statements(function: DefinitionNode) -> Iterator[ast.stmt]:
    """Statements of a function at any depth, in no order that matters, but for those of definitions inside it."""
    waiting = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, DefinitionNode):
            waiting += (statement for block in blocks(node).values() for statement in block)


def blocks(node: ast.stmt) -> dict[str, list[ast.stmt]]:
    """The blocks of statements inside a compound statement, each with a name for it."""
    found = {name: block for name in ("body", "orelse", "finalbody") if (block := getattr(node, name, None))}
    for name in ("handlers", "cases"):
        found |= {f"{name}{number}": part.body for number, part in enumerate(getattr(node, name, ()))}
    return found


def start_of(node: ast.stmt) -> int:
    """First line of a statement, decorators included."""
    return definition_start(node) if isinstance(node, DefinitionNode) else node.lineno


def _edits(definition: Method, contracts: Iterable[Contract], source: str) -> list[_Edit]:
    function = single_definition(source)
    if function is None:
        return []
    groups: dict[tuple[Spot, int], list[Contract]] = {}
    for contract in contracts:
        groups.setdefault((contract.spot, contract.line), []).append(contract)
    statements: dict[int, list[ast.stmt]] = {}
    for node in own_statements(function):
        statements.setdefault(start_of(node), []).append(node)
    ends = {node.end_lineno or node.lineno for node in own_statements(function)}
    found = []
    for (spot, line), group in groups.items():
        number = _moved(definition.source, source, line - definition.start + 1)
        nodes = statements.get(number, []) if number else []
        edit = _edit(spot, nodes[0], source.split("\n"), ends, tuple(group)) if len(nodes) == 1 else None
        found += [edit] if edit else []
    return found


def _edit(
    spot: Spot, node: ast.stmt, lines: Sequence[str], ends: set[int], contracts: tuple[Contract, ...]
) -> _Edit | None:
    """What contracts do at a statement; None where it has no lines of its own."""
    start, end = start_of(node), node.end_lineno or node.lineno
    first, last = lines[start - 1], lines[end - 1]
    indent = first[: len(first) - len(first.lstrip())]
    rest = last.encode()[node.end_col_offset or 0 :].decode().strip()
    is_decorated = start != node.lineno
    if len(indent) != node.col_offset or (is_decorated and not first.startswith(f"{indent}@")):
        return None
    if first.lstrip().startswith("elif") or (spot is not Spot.BEFORE and rest and not rest.startswith("#")):
        return None
    if spot is Spot.AFTER:
        return _Edit(end, above=False, indent=indent, contracts=contracts)
    if spot is Spot.BEFORE:
        line = start
        while line - 1 not in ends and line > 1 and lines[line - 2].startswith(f"{indent}#"):
            line -= 1
        return _Edit(line, above=True, indent=indent, contracts=contracts)
    if not isinstance(node, ast.Return) or node.value is None:
        return None
    value = first[len(f"{indent}return") :].lstrip()
    swapped = (start, f"{indent}{contracts[0].name} = {value}")
    return _Edit(end, above=False, indent=indent, contracts=contracts, swapped=swapped)


def _moved(source: str, other: str, number: int) -> int | None:
    """Where a line stands in another text of the same definition; None where that cannot be told."""
    ours, theirs = source.split("\n"), other.split("\n")
    if len(ours) == len(theirs):
        return number
    most = min(len(ours), len(theirs))
    same = next((index for index in range(most) if ours[index] != theirs[index]), most)
    if number <= same + 1:
        return number
    left = most - same
    alike = next((index for index in range(left) if ours[-1 - index] != theirs[-1 - index]), left)
    return number + len(theirs) - len(ours) if number > len(ours) - alike else None


def _is_same_definition(before: str, after: str) -> bool:
    one, other = single_definition(before), single_definition(after)
    if one is None or other is None:
        return False
    try:
        return ast.dump(_bare(one)) == ast.dump(_bare(other))
    except RecursionError:
        return False


class _Bare(ast.NodeTransformer):
    """Takes assertions out, and names that a value has only to be returned."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Change the blocks of a node, those inside it first."""
        super().generic_visit(node)
        for name, value in ast.iter_fields(node):
            if isinstance(value, list) and any(isinstance(item, ast.stmt) for item in value):
                setattr(node, name, _plain(value))
        return node


def _bare(tree: ast.AST) -> ast.AST:
    return _Bare().visit(tree)  # type: ignore[no-any-return]  # typeshed says Any


def _plain(block: Iterable[ast.stmt]) -> list[ast.stmt]:
    plain: list[ast.stmt] = []
    for node in block:
        match plain[-1:], node:
            case _, ast.Assert():
                pass
            case [ast.Assign(targets=[ast.Name(id=name)], value=value)], ast.Return(value=ast.Name(id=found)) if (
                name == found
            ):
                plain[-1] = ast.Return(value)
            case _:
                plain.append(node)
    return plain or [ast.Pass()]
