"""Placed tests → the suggestions that a review can make at the lines that a pull request's diff shows.

A suggestion replaces lines of one hunk by the same lines with the tests put between them. Where a test's imports
cannot be reached from there they go into the test itself, or right above it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from llm_testgen.records import Hunk, Inline, Placement
from llm_testgen.source import FunctionNode, SourceError, definition_start, parse_tree
from llm_testgen.testfiles import (
    BETWEEN_DEFINITIONS,
    BETWEEN_METHODS,
    Gap,
    Layout,
    layout_of,
    method_lines,
    stacked,
    top_level_class,
    unique,
)
from llm_testgen.toplevel import binding_statements, bound_by, is_docstring, is_main_block, loaded_names, read_at_import

_FARTHEST_IMPORTS = 12  # lines above a test that a suggestion repeats to reach the file's imports


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place of a hunk where tests may be put in: after line ``place``, by replacing line ``line``."""

    place: int
    line: int
    hunk: Hunk


@dataclass(frozen=True, slots=True)
class _Home:
    """What tests are put into: the top level, or a class; and its spots, the best first."""

    spots: tuple[_Spot, ...]
    gap: Gap | None = None  # at the end of the class


def anchor(text: str, placements: Sequence[Placement], hunks: Iterable[Hunk]) -> tuple[Inline, ...]:
    """The suggestions that add tests to a file where the diff shows it.

    Each test has a suggestion of its own, at lines of its own, as long as there are places; then it joins another.
    Tests that bring the same definition share one. They can be taken in any order, or together.

    Args:
        text: The file at head.
        placements: Tests that were placed into it.
        hunks: Its lines that the diff shows.

    Returns:
        The suggestions in the order of their lines. A test that has no place among the hunks is in none of them.
    """
    try:
        layout = layout_of(text)
        plans = _plans(layout, placements, list(_shown(layout, hunks)))
    except SourceError:
        return ()
    ranges = {spot: (spot.line, spot.line) for spot, _, _ in plans}
    made: list[Inline] = []
    for spot, home, joined in plans:
        others = [taken for other, taken in ranges.items() if other != spot]
        inline = _inline(layout, spot, home, joined, others)
        if inline is not None:
            ranges[spot] = inline.start, inline.line
            made.append(inline)
    return tuple(sorted(made, key=lambda inline: inline.start))


def applied(text: str, inlines: Iterable[Inline]) -> str:
    """A file once suggestions about it were taken, its line ends as they were."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.replace("\r\n", "\n").split("\n")
    for inline in sorted(inlines, key=lambda inline: inline.start, reverse=True):
        lines[inline.start - 1 : inline.line] = inline.text.split("\n")
    return newline.join(lines)


def _shown(layout: Layout, hunks: Iterable[Hunk]) -> Iterator[Hunk]:
    """The hunks, cut to lines that may be replaced: a byte order mark must stay before its line."""
    for hunk in hunks:
        start, end = max(hunk.start, 2 if layout.mark else 1), min(hunk.end, len(layout.lines))
        if start <= end:
            yield Hunk(start, end)


def _plans(
    layout: Layout, placements: Sequence[Placement], hunks: Sequence[Hunk]
) -> list[tuple[_Spot, _Home, list[Placement]]]:
    """Which tests go to which spot; classes come first, for they end at one place only."""
    plans: list[tuple[_Spot, _Home, list[Placement]]] = []
    for into in sorted({placement.into for placement in placements}, reverse=True):
        members = [placement for placement in placements if placement.into == into]
        used = frozenset(spot.line for spot, _, _ in plans)
        home = _class_home(layout, members, hunks, used) if into else _top_level(layout, hunks, used)
        own: dict[_Spot, list[Placement]] = {}
        for group in _groups(members):
            least = max(_least(layout, placement) for placement in group)
            fitting = [spot for spot in home.spots if spot.place >= least]
            lines = {spot.line for spot in own}
            free = [spot for spot in fitting if spot.line not in lines]
            for spot in (free or [spot for spot in fitting if spot in own])[:1]:
                own.setdefault(spot, []).extend(group)
        plans += [(spot, home, joined) for spot, joined in own.items()]
    return plans


def _groups(placements: Iterable[Placement]) -> list[list[Placement]]:
    """Placements together that bring the same definition: accepted one by one they would define it twice."""
    groups: list[tuple[frozenset[str], list[Placement]]] = []
    for placement in placements:
        brought = frozenset(ast.dump(parse_tree(piece)) for piece in placement.pieces[:-1])
        group = [placement]
        for other in [other for other in groups if other[0] & brought]:
            groups.remove(other)
            brought, group = brought | other[0], [*other[1], *group]
        groups.append((brought, group))
    return [group for _, group in groups]


def _top_level(layout: Layout, hunks: Sequence[Hunk], used: frozenset[int]) -> _Home:
    """Where tests may stand for themselves, leaving alone the lines that suggestions about classes replace."""
    gaps = [gap for _, gap in sorted(layout.test_gaps().items(), reverse=True)]
    return _Home(tuple(spot for gap in gaps for spot in _spots(gap, hunks, used)))


def _class_home(layout: Layout, members: Sequence[Placement], hunks: Sequence[Hunk], used: frozenset[int]) -> _Home:
    """The end of the class that tests go into."""
    found = layout.class_gap(top_level_class(layout, members[0].into))
    if found is None:
        return _Home(())
    gap, _ = found
    spots = _spots(gap, hunks, used)[:1]
    if all(len(placement.pieces) == 1 for placement in members):
        # A second test has a place of its own, below the first blank line after the class; but not where what the
        # first one brings beside itself would already end the class.
        second = gap.first + 1
        spots += [_Spot(second, second, hunk) for hunk in hunks if _holds(hunk, second) and second <= gap.last]
    return _Home(tuple(spot for spot in dict.fromkeys(spots) if spot.line not in used), gap)


def _spots(gap: Gap, hunks: Sequence[Hunk], used: frozenset[int]) -> list[_Spot]:
    """Where a gap can be reached from a hunk: below what stands before it, and above what follows it."""
    if gap.last + 1 in used:
        return []
    first = max([gap.first, *(line + 1 for line in used if gap.first <= line <= gap.last)])
    below = [
        _Spot(line, line, hunk) for hunk in hunks for line in range(max(first, hunk.start), min(gap.last, hunk.end) + 1)
    ]
    above = [_Spot(gap.last, gap.last + 1, hunk) for hunk in hunks if _holds(hunk, gap.last + 1)]
    roomy = gap.last - gap.first >= BETWEEN_DEFINITIONS
    return [*below[:1], *(above if roomy or not below else [])]


def _holds(hunk: Hunk, line: int) -> bool:
    return hunk.start <= line <= hunk.end


def _least(layout: Layout, placement: Placement) -> int:
    """The line below which a test must stand: what it needs while the file is imported is bound there."""
    nodes = [node for piece in placement.pieces[:-1] for node in parse_tree(piece).body]
    names = frozenset[str]().union(*map(loaded_names, nodes), read_at_import(_test(placement)[0]))
    body = [node for node in layout.body if not is_main_block(node)]
    return max(map(layout.end_of, binding_statements(body, names)), default=0)


def _test(placement: Placement) -> tuple[ast.stmt, int]:
    """The statement of a placement's last piece, and by how many lines its line numbers are too high."""
    text, wrapped = placement.pieces[-1], bool(placement.into)
    (node,) = parse_tree(f"class _:\n{text}" if wrapped else text).body
    return (node.body[0], 1) if wrapped and isinstance(node, ast.ClassDef) else (node, 0)


def _inline(
    layout: Layout, spot: _Spot, home: _Home, placements: Sequence[Placement], others: Iterable[tuple[int, int]]
) -> Inline | None:
    """The suggestion that puts tests in at a spot; None where they cannot be."""
    imports = [statement for placement in placements for statement in placement.imports]
    start = _start_at_imports(layout, spot, others) if imports else None
    base = layout if start is None else layout.with_imports(imports)
    tests = [_Test(placement, () if start else placement.imports) for placement in placements]
    if home.gap is not None:
        tests = [test for test in tests if not test.above]
    if not tests:
        return None
    place = spot.place + len(base.lines) - len(layout.lines)
    added = _block(base, place, home, tests)
    try:
        whole = base.with_lines(place, added).lines
    except SourceError:
        return None
    first = start or spot.line
    last = spot.line + len(whole) - len(layout.lines)
    return Inline(first, spot.line, "\n".join(whole[first - 1 : last]), tuple(test.placement for test in tests))


def _start_at_imports(layout: Layout, spot: _Spot, others: Iterable[tuple[int, int]]) -> int | None:
    """First line of a suggestion that reaches from the file's imports to a spot; None where it would take too many."""
    place, _ = layout.import_place()
    start = min(place + 1, spot.line)
    if place > spot.place or start < spot.hunk.start or spot.line - start > _FARTHEST_IMPORTS:
        return None
    return None if any(start <= last and first <= spot.line for first, last in others) else start


class _Test:
    """A test as a suggestion writes it.

    Attributes:
        placement: Where it came from.
        text: Its own lines, with its imports in them where they can be.
        above: Import statements that have to stand above it.
    """

    def __init__(self, placement: Placement, imports: tuple[str, ...]) -> None:
        """A test whose file lacks some imports."""
        local = _with_local_imports(placement, imports) if imports else placement.pieces[-1]
        self.placement = placement
        self.text = placement.pieces[-1] if local is None else local
        self.above = imports if local is None else ()


def _block(layout: Layout, place: int, home: _Home, tests: Sequence[_Test]) -> list[str]:
    """The lines to put in at a place for some tests."""
    helpers = unique(piece for test in tests for piece in test.placement.pieces[:-1])
    texts = [test.text for test in tests]
    if home.gap is None:
        above = list(dict.fromkeys(statement for test in tests for statement in test.above))
        block = stacked(["\n".join(above)] * bool(above) + helpers + texts, BETWEEN_DEFINITIONS)
        return layout.spaced(place, block, BETWEEN_DEFINITIONS, BETWEEN_DEFINITIONS)
    if not helpers:
        return method_lines(layout, home.gap, place, texts)
    block = stacked(["\n".join(stacked(texts, BETWEEN_METHODS)), *helpers], BETWEEN_DEFINITIONS)
    return layout.spaced(place, block, BETWEEN_METHODS, BETWEEN_DEFINITIONS)


def _with_local_imports(placement: Placement, imports: Iterable[str]) -> str | None:
    """A test that imports what it needs itself; None where more than its body needs that, or that has no own lines."""
    statements = [parse_tree(statement).body[0] for statement in imports]
    names = frozenset[str]().union(*map(bound_by, statements))
    whole, offset = _test(placement)
    function = _test_function(whole, placement.name)
    helpers = [node for piece in placement.pieces[:-1] for node in parse_tree(piece).body]
    if function is None or "*" in names or any(names & loaded_names(helper) for helper in helpers):
        return None
    inside = [child for statement in function.body for child in ast.walk(statement)]
    own = frozenset(map(id, inside))
    outside = {child.id for child in ast.walk(whole) if isinstance(child, ast.Name) and id(child) not in own}
    declared = {name for child in inside if isinstance(child, ast.Global | ast.Nonlocal) for name in child.names}
    lines = placement.pieces[-1].split("\n")
    place = _body_place(function, lines, offset)
    if names & (outside | declared) or place is None:
        return None
    number, indent = place
    return "\n".join([*lines[:number], *(indent + statement for statement in imports), *lines[number:]])


def _test_function(node: ast.stmt, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The test itself, in a class or alone."""
    if isinstance(node, ast.ClassDef):
        method = name.rpartition("::")[2]
        return next((child for child in node.body if isinstance(child, FunctionNode) and child.name == method), None)
    return node if isinstance(node, FunctionNode) else None


def _body_place(
    function: ast.FunctionDef | ast.AsyncFunctionDef, lines: Sequence[str], offset: int
) -> tuple[int, str] | None:
    """How many lines stand before a function's first statement, its docstring aside, and how that is indented."""
    first = function.body[0]
    start = definition_start(first) if isinstance(first, FunctionNode | ast.ClassDef) else first.lineno
    line = lines[start - offset - 1]
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    if start <= function.lineno or not (line.startswith("@", len(indent)) or first.col_offset == len(indent)):
        return None
    if not is_docstring(first):
        number = start - offset - 1
        while not lines[number - 1].strip() or lines[number - 1].lstrip().startswith("#"):
            number -= 1
        return number, indent
    end = first.end_lineno or first.lineno
    following = function.body[1].lineno if len(function.body) > 1 else end + 1
    return (end - offset, indent) if following > end else None
