"""Changed method → mutants: what could be wrong in the given lines without any test that notices."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from types import CodeType
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from llm_testgen.records import ChangedMethod, Lines, Method, MethodKind, Mutant

if TYPE_CHECKING:
    from llm_testgen.faults.kinds import Fault

_LONGEST = 100
# Of what is changed, where something stands around it.
_LONGEST_PART = 60
_ELLIPSIS = "…"
_MOST = 500
# Each mutant is compiled, so a long text gets fewer: together this many characters, which takes a second or two.
_MOST_COMPILED = 10_000_000
_BLOCK = "if True:\n"

_Item = TypeVar("_Item")


class _Found(NamedTuple):
    """A mutant with its fault, and the line of the file that it counts for."""

    fault: Fault
    counted: int
    mutant: Mutant


def mutants(target: ChangedMethod, lines: Lines) -> tuple[Mutant, ...]:
    """The faults that can be put in some lines of a method, the most telling first.

    Each line gets its best fault before any gets a second one. What does not compile is left out, and so is what comes
    to the same bytecode as the definition or as another fault. A target with very many gets the first of them.

    Args:
        target: The changed method.
        lines: Lines in the numbering of the file. A statement of several lines counts by its first, as in coverage.
    """
    found = [one for method in target.definitions for one in _of_definition(method, lines)]
    return tuple(one.mutant for one in _in_turns(found, lambda one: one.fault, lambda one: one.counted))


def _of_definition(method: Method, lines: Lines) -> Iterator[_Found]:
    lines = lines.intersection(range(method.start, method.end + 1))
    if not lines:
        return
    from llm_testgen.faults import operators, tree  # noqa: PLC0415 - libcst takes a third of a second to import

    # An indented definition is parsed inside a block: to dedent it would stop at a string that stands further left.
    indented = method.kind is not MethodKind.MODULE and method.source[:1].isspace()
    text = f"{_BLOCK}{method.source}" if indented else method.source
    before = method.start - 1 - indented
    wanted = frozenset(line - before for line in lines)
    try:
        faults = list(operators.faults(tree.Tree(text), wanted))
    except (tree.TreeError, RecursionError):
        return
    ordered = _in_turns(faults, lambda fault: fault, lambda fault: _counted(fault, wanted))
    for fault, source in _with_effect(text, ordered):
        old, new = _shown(text, fault)
        changed = source.removeprefix(_BLOCK) if indented else source
        mutant = Mutant(method, fault.edit.line + before, fault.kind.value, old, new, changed)
        yield _Found(fault, _counted(fault, wanted) + before, mutant)


def _counted(fault: Fault, wanted: Lines) -> int:
    """The line that a fault counts for: the first of its statement, or its own where only that is wanted."""
    return fault.first_line if fault.first_line in wanted else fault.edit.line


def _in_turns(
    items: Iterable[_Item], fault_of: Callable[[_Item], Fault], line_of: Callable[[_Item], int]
) -> list[_Item]:
    """The best of each line, then the second best and so on; minor ones last, where they are not the only of a line."""

    def worth(item: _Item) -> tuple[bool, int, int]:
        fault = fault_of(item)
        return fault.minor, fault.kind.rank, fault.edit.span.start

    by_line: defaultdict[int, list[_Item]] = defaultdict(list)
    for item in items:
        by_line[line_of(item)].append(item)
    places = {
        (turn > 0 and fault_of(item).minor, turn, *worth(item), line): item
        for line, of_line in by_line.items()
        for turn, item in enumerate(sorted(of_line, key=worth))
    }
    return [places[place] for place in sorted(places)]


def _with_effect(text: str, faults: Iterable[Fault]) -> Iterator[tuple[Fault, str]]:
    """The faults that give code of its own, each with the text that has it."""
    left = min(_MOST, _MOST_COMPILED // len(text) + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        original = _effect(text)
        seen = {None, original}
        for fault in faults if original is not None else ():
            start, end = fault.edit.span
            changed = f"{text[:start]}{fault.edit.text}{text[end:]}"
            effect = _effect(changed)
            if effect in seen:
                continue
            seen.add(effect)
            yield fault, changed
            left -= 1
            if not left:
                return


def _effect(text: str) -> tuple[object, ...] | None:
    """What a text comes to when it is compiled, wherever it stands in its lines; None when it cannot be."""
    try:
        return _of_code(compile(text, "<mutant>", "exec", dont_inherit=True))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _of_code(code: CodeType) -> tuple[object, ...]:
    return (
        (code.co_name, code.co_flags, code.co_code, code.co_exceptiontable),
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
        (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars),
        tuple(map(_of_constant, code.co_consts)),
    )


def _of_constant(value: object) -> object:
    """A constant so that 1, 1.0 and True differ, and zero from its negative."""
    match value:
        case CodeType():
            return _of_code(value)
        case tuple():
            return tuple(map(_of_constant, value))
        case frozenset():
            return frozenset(map(_of_constant, value))
    return type(value), repr(value)


def _shown(text: str, fault: Fault) -> tuple[str, str]:
    """The statement of a fault before and after it, in one line; of a long one the part around the change."""
    (start, end), (first, last) = fault.edit.span, fault.statement
    most = _LONGEST if (start, end) == (first, last) else _LONGEST_PART
    old, new = _cut(text[start:end], most), _cut(fault.edit.text, most)
    left, right = _joined(text[first:start]), _joined(text[end:last])
    room = _LONGEST - max(len(old), len(new))
    most_left = max(room // 2, room - len(right))
    if len(left) > most_left:
        left = _ELLIPSIS + left[len(left) - most_left + 1 :]
    if len(right) > room - len(left):
        right = right[: room - len(left) - 1] + _ELLIPSIS
    return f"{left}{old}{right}".strip(), f"{left}{new}{right}".strip()


def _cut(text: str, most: int) -> str:
    text = _joined(text)
    return text if len(text) <= most else text[: most - 1] + _ELLIPSIS


def _joined(text: str) -> str:
    """A text in one line, a blank at an end kept as one."""
    words = " ".join(text.split())
    return f"{' ' * text[:1].isspace()}{words}{' ' * text[-1:].isspace()}" if words else " " * bool(text)
