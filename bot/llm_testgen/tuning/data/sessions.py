"""Accepted tests of our own sessions: the prompts as they were asked, with the tests that were accepted."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llm_testgen.edges.session import AcceptedTest, Exchange, Session
from llm_testgen.errors import UsageError
from llm_testgen.statements import Piece, bound_names, pieces_of_module
from llm_testgen.tuning.data.examples import About, Example, make_example
from llm_testgen.tuning.data.suite import free_names

_FENCE = "```"
_HEADING = re.compile(r"^# (?P<number>\d+): (?P<goal>.*)$", re.MULTILINE)
_COUNT = re.compile(r"\b(?P<count>\d+) short test functions?\b")
_DEFINITION = re.compile(r"^(?:async )?def (?P<name>test\w*)\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Kept:
    """An accepted test, and the number of the goal that it reaches; 0 where the prompt lists none."""

    test: AcceptedTest
    number: int


def read_session(path: Path) -> Session:
    """The session of a file, or of the folder that a run wrote.

    Raises:
        UsageError: There is none.
    """
    found = sorted(path.glob("*.sqlite")) if path.is_dir() else [path]
    if len(found) != 1 or not found[0].is_file():
        msg = f"there is no session at {path}: pass the folder that propose wrote, such as .llm-testgen"
        raise UsageError(msg)
    return Session(found[0])


def session_examples(session: Session, about: About) -> tuple[list[Example], Counter[str]]:
    """An example for each reply of which tests were accepted, and what was left out, by reason.

    Where only some of a reply's tests were accepted, the prompt is made to ask for these alone.

    Args:
        session: What a run has kept.
        about: The project.
    """
    counts: Counter[str] = Counter()
    by_target: defaultdict[tuple[str, int], list[AcceptedTest]] = defaultdict(list)
    for test in session.accepted():
        counts["accepted tests"] += 1
        by_target[test.target, test.attempt].append(test)
    examples: dict[str, Example] = {}
    for exchange in session.exchanges():
        counts["exchanges"] += 1
        known = by_target.get((exchange.target, exchange.attempt), [])
        kept = _kept(exchange, known)
        if not kept:
            counts["exchange left out: none of its tests was accepted, reaches its goal, and can stand by itself"] += 1
            continue
        made = _example(exchange, kept, about)
        if made is None:
            counts["exchange left out: its prompt cannot ask for the accepted tests alone"] += 1
            continue
        examples[made.meta.digest] = made
    return list(examples.values()), counts


def _kept(exchange: Exchange, known: Sequence[AcceptedTest]) -> list[_Kept]:
    """The accepted tests of a reply that need nothing else of it, each once, in the order of their goals."""
    accepted = {test.name: test for test in known}
    written: dict[str, _Kept] = {}
    for match in _DEFINITION.finditer(exchange.reply):
        test = accepted.get(match["name"])
        if test is not None and not _has_helpers(test, exchange.reply):
            before = list(_HEADING.finditer(exchange.reply, 0, match.start()))
            written[test.name] = _Kept(test, int(before[-1]["number"]) if before else 0)
    if _HEADING.search(exchange.messages[-1].content):
        return sorted(_by_goal(list(written.values()), exchange.goals or ()), key=lambda one: one.number)
    return list(written.values())


def _by_goal(written: Sequence[_Kept], lines: Sequence[int]) -> Iterator[_Kept]:
    """Tests with the goals that they reach: those that they were written for, or else others that no test reaches.

    Args:
        written: Tests with the numbers of the goals that they were written for.
        lines: Of the goals, the first of which has the number 1.
    """
    reached = {
        one.test.name: [number for number, line in enumerate(lines, 1) if line in one.test.gained] for one in written
    }
    taken: set[int] = set()
    for one in written:
        if one.number in reached[one.test.name] and one.number not in taken:
            taken.add(one.number)
            yield one
    for one in written:
        left = [number for number in reached[one.test.name] if number not in taken]
        if one.number not in reached[one.test.name] and left:
            taken.add(left[0])
            yield replace(one, number=left[0])


def _example(exchange: Exchange, kept: Sequence[_Kept], about: About) -> Example | None:
    numbers = [one.number for one in kept]
    listed = {int(match["number"]): match["goal"] for match in _HEADING.finditer(exchange.messages[-1].content)}
    if listed and (len(set(numbers)) < len(numbers) or not set(numbers) <= set(listed)):
        return None
    *before, last = exchange.messages
    narrowed = _narrowed(last.content, numbers, len(kept))
    if narrowed is None:
        return None
    asked = (*before, replace(last, content=narrowed))
    goals = [listed[number] for number in numbers] if listed else []
    answer = _reply(exchange.prefill, [one.test for one in kept], goals)
    more = {"target": exchange.target, "test": " ".join(one.test.name for one in kept), "author": exchange.model}
    begun = _begun(exchange.prefill, goals)
    return make_example(asked, answer, about.model_copy(update=more), begun) if answer else None


def _narrowed(text: str, numbers: Sequence[int], count: int) -> str | None:
    """A prompt that asks for so many tests, for those of its goals alone; None where its words are not ours."""
    headings = list(_HEADING.finditer(text))
    counted = [match for match in _COUNT.finditer(text) if not headings or int(match["count"]) == len(headings)]
    if not counted:
        return None
    if int(counted[-1]["count"]) == count:
        return text
    for match in reversed(headings):
        number = int(match["number"])
        line = f"# {numbers.index(number) + 1}: {match['goal']}\n" if number in numbers else ""
        text = text[: match.start()] + line + text[match.end() :].removeprefix("\n")
    # The goals stand below the count, so that its place is still the same.
    start, end = counted[-1].span()
    plural = "s" if count > 1 else ""
    return f"{text[:start]}{count} short test function{plural}{text[end:]}"


def _reply(prefill: str, tests: Sequence[AcceptedTest], goals: Sequence[str]) -> str:
    """The reply with these tests; empty where they do not begin as the prompt begins them."""
    head = prefill.partition("# 1: ")[0] if goals else _head(prefill)
    if not head.startswith(_FENCE):
        head = f"{_FENCE}python\n"
    given = {name for piece in pieces_of_module(_code_of(head)) for name in bound_names(piece.node)}
    bodies = []
    for number, test in enumerate(tests):
        comment = f"# {number + 1}: {goals[number]}\n" if goals else ""
        bodies.append(comment + _alone(pieces_of_module(test.code), given))
    return head + "\n\n\n".join(bodies) + f"\n{_FENCE}"


def _begun(prefill: str, goals: Sequence[str]) -> str:
    """What a prompt for these goals begins a reply with."""
    head, listed, first = prefill.partition("# 1: ")
    _, _, test = first.partition("\n")
    return f"{head}{listed}{goals[0]}\n{test}" if goals and listed else prefill


def _head(prefill: str) -> str:
    """What a prompt begins a reply with, without the test."""
    match = _DEFINITION.search(prefill + "(")
    return prefill[: match.start()] if match else prefill


def _code_of(head: str) -> str:
    return head.partition("\n")[2]


def _alone(pieces: Sequence[Piece], given: set[str]) -> str:
    """A test with the imports that it needs beyond the names that are given, inside of it."""
    *others, test = pieces
    wanted = set(free_names(test.node)) - given
    imports = [piece.text for piece in others if _is_import(piece) and wanted.intersection(bound_names(piece.node))]
    lines = test.text.split("\n")
    place = next(number for number, line in enumerate(lines) if line.lstrip().startswith(("def ", "async def "))) + 1
    while not lines[place - 1].rstrip().endswith(":"):
        place += 1
    return "\n".join([*lines[:place], *(f"    {statement}" for statement in imports), *lines[place:]])


def _has_helpers(test: AcceptedTest, reply: str) -> bool:
    """Whether a test leans on definitions that its reply made; others it has from the project's own tests."""
    *others, _ = pieces_of_module(test.code)
    names = [name for piece in others if not _is_import(piece) for name in bound_names(piece.node)]
    return any(re.search(rf"^(?:(?:async )?def|class) {name}\b|^{name}\s*[:=]", reply, re.MULTILINE) for name in names)


def _is_import(piece: Piece) -> bool:
    return isinstance(piece.node, ast.Import | ast.ImportFrom)
