"""Accepted tests of our own sessions: the prompts as they were asked, with the tests that were accepted."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llm_testgen.edges.session import AcceptedTest, Exchange, Session
from llm_testgen.errors import UsageError
from llm_testgen.repairs.shaping import shaped
from llm_testgen.source import DefinitionNode, FunctionNode, SourceError, definition_start, parse_tree
from llm_testgen.statements import Piece, bound_names, pieces_of, pieces_of_module
from llm_testgen.tuning.data.examples import About, Example, make_example
from llm_testgen.tuning.data.suite import UnfitError, free_names

_FENCE = "```"
_HEADING = re.compile(r"^# (?P<number>\d+): (?P<goal>.*)$", re.MULTILINE)
_COUNT = re.compile(r"\b(?P<count>\d+) short test functions?\b")
_DEFINITION = re.compile(r"^(?:async )?def (?P<name>test\w*)\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Kept:
    """An accepted test.

    Attributes:
        test: As it was kept.
        text: The test by itself, with the imports that it needs inside of it.
        number: Of the goal that it reaches; 0 where the prompt lists none.
    """

    test: AcceptedTest
    text: str
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
    exchanges = session.exchanges()
    accepted = _by_exchange(session.accepted(), exchanges, counts)
    examples: dict[str, Example] = {}
    for exchange in exchanges:
        counts["exchanges"] += 1
        try:
            made = _example(exchange, _kept(exchange, accepted[exchange.digest], counts), about)
        except UnfitError as error:
            counts[f"exchange left out: {error}"] += 1
            continue
        examples[made.meta.digest] = made
    return list(examples.values()), counts


def _by_exchange(
    tests: Sequence[AcceptedTest], exchanges: Sequence[Exchange], counts: Counter[str]
) -> dict[str, dict[str, AcceptedTest]]:
    """Accepted tests by the digest of the exchange that they came from, and by name."""
    asked: defaultdict[tuple[str, int], list[Exchange]] = defaultdict(list)
    for exchange in exchanges:
        asked[exchange.target, exchange.attempt].append(exchange)
    found: dict[str, dict[str, AcceptedTest]] = {exchange.digest: {} for exchange in exchanges}
    for test in tests:
        counts["accepted tests"] += 1
        if not _is_valid(test.code):
            counts["accepted test left out: it is not valid for the Python that runs this"] += 1
            continue
        digest = test.exchange or _origin(test, asked[test.target, test.attempt])
        if digest in found:
            found[digest].setdefault(test.name, test)
        else:
            counts["accepted test left out: which exchange it came from cannot be told"] += 1
    return found


def _origin(test: AcceptedTest, asked: Sequence[Exchange]) -> str:
    """Digest of the exchange that a test came from, where the session does not know it; empty where it is not told.

    Repairs may have changed the test: of several replies it is in the one that has it word for word, if there is one.
    """
    found = {exchange.digest for exchange in asked}
    if len(found) > 1:
        found = {exchange.digest for exchange in asked if _is_in(test, exchange.reply)}
    return found.pop() if len(found) == 1 else ""


def _is_in(test: AcceptedTest, reply: str) -> bool:
    """Whether a reply has a test as it was accepted, but for its layout and for what no test prints."""
    accepted = ast.dump(_own_piece(test).node)
    written = (piece for piece in pieces_of(reply) if test.name in bound_names(piece.node))
    return any(accepted in {ast.dump(piece.node), ast.dump(shaped(piece, ()).node)} for piece in written)


def _kept(exchange: Exchange, known: Mapping[str, AcceptedTest], counts: Counter[str]) -> list[_Kept]:
    """The accepted tests of a reply that need nothing else of it, each once, in the order of their goals."""
    given = {name for piece in pieces_of_module(_code_of(_head(exchange))) for name in bound_names(piece.node)}
    alone: dict[str, str] = {}
    for test in known.values():
        try:
            alone[test.name] = _alone(test, given)
        except UnfitError as error:
            counts[f"accepted test left out: {error}"] += 1
    written: dict[str, _Kept] = {}
    for match in _DEFINITION.finditer(exchange.reply):
        name = match["name"]
        if name in alone and not _has_helpers(known[name], exchange.reply):
            before = list(_HEADING.finditer(exchange.reply, 0, match.start()))
            written[name] = _Kept(known[name], alone[name], int(before[-1]["number"]) if before else 0)
    if _lists_goals(exchange):
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


def _example(exchange: Exchange, kept: Sequence[_Kept], about: About) -> Example:
    """The example of an exchange.

    Raises:
        UnfitError: It gives none.
    """
    if not kept:
        msg = "none of its tests was accepted, reaches its goal, and can stand by itself"
        raise UnfitError(msg)
    numbers = [one.number for one in kept]
    listed = {int(match["number"]): match["goal"] for match in _HEADING.finditer(exchange.messages[-1].content)}
    *before, last = exchange.messages
    fits = not listed or (len(set(numbers)) == len(numbers) and set(numbers) <= set(listed))
    narrowed = _narrowed(last.content, numbers, len(kept)) if fits else None
    if narrowed is None:
        msg = "its prompt cannot ask for the accepted tests alone"
        raise UnfitError(msg)
    asked = (*before, replace(last, content=narrowed))
    goals = [listed[number] for number in numbers] if listed else []
    answer = _reply(_head(exchange), [one.text for one in kept], goals)
    more = {"target": exchange.target, "test": " ".join(one.test.name for one in kept), "author": exchange.model}
    begun = _begun(exchange.prefill, goals)
    return make_example(asked, answer, about.model_copy(update=more), begun)


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


def _reply(head: str, tests: Sequence[str], goals: Sequence[str]) -> str:
    """The reply with these tests.

    Raises:
        UnfitError: It would not be valid.
    """
    comments = [f"# {number}: {goal}\n" for number, goal in enumerate(goals, 1)] or [""] * len(tests)
    reply = head + "\n\n\n".join(map("".join, zip(comments, tests, strict=True)))
    if not _is_valid(_code_of(reply)):
        msg = "its answer would be no valid Python"
        raise UnfitError(msg)
    return f"{reply}\n{_FENCE}"


def _begun(prefill: str, goals: Sequence[str]) -> str:
    """What a prompt for these goals begins a reply with."""
    head, listed, first = prefill.partition("# 1: ")
    _, _, test = first.partition("\n")
    return f"{head}{listed}{goals[0]}\n{test}" if goals and listed else prefill


def _lists_goals(exchange: Exchange) -> bool:
    return _HEADING.search(exchange.messages[-1].content) is not None


def _head(exchange: Exchange) -> str:
    """What the reply to a prompt begins with, without the test."""
    prefill = exchange.prefill
    match = None if _lists_goals(exchange) else _DEFINITION.search(prefill + "(")
    head = prefill[: match.start()] if match else prefill.partition("# 1: ")[0]
    return head if head.startswith(_FENCE) else f"{_FENCE}python\n"


def _code_of(reply: str) -> str:
    return reply.partition("\n")[2]


def _alone(test: AcceptedTest, given: Collection[str]) -> str:
    """A test with the imports that it needs beyond the names that are given, inside of it.

    Raises:
        UnfitError: It needs them outside of its body too, or there is no place for them.
    """
    piece = _own_piece(test)
    imports = [(one.text, set(bound_names(one.node)).difference(given)) for one in _others(test) if _is_import(one)]
    if not _read_outside(piece.node).isdisjoint(name for _, names in imports for name in names):
        msg = "its decorators, defaults or annotations need an import"
        raise UnfitError(msg)
    wanted = free_names(piece.node)
    moved = [statement for statement, names in imports if names.intersection(wanted)]
    text = _with_imports(piece, moved) if moved else piece.text
    if not _is_valid(text):
        msg = "there is no place in it for the imports that it needs"
        raise UnfitError(msg)
    return text


def _read_outside(node: ast.stmt) -> set[str]:
    """Names that a function reads where it is defined: outside of its body."""
    parts: list[ast.AST] = []
    if isinstance(node, FunctionNode):
        parts = [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
    return {child.id for part in parts for child in ast.walk(part) if isinstance(child, ast.Name)}


def _with_imports(piece: Piece, statements: Sequence[str]) -> str:
    """A test with statements at the beginning of its body, below what documents it."""
    node, lines = piece.node, piece.text.split("\n")
    if not isinstance(node, FunctionNode):
        return piece.text
    documented = ast.get_docstring(node) is not None
    for first in reversed(node.body[: 1 + documented]):
        row = definition_start(first) if isinstance(first, DefinitionNode) else first.lineno
        before, rest = _split(lines[row - 1], first.col_offset)
        if not before.strip():
            added = [f"{before}{statement}" for statement in statements]
            return "\n".join([*lines[: row - 1], *added, *lines[row - 1 :]])
    # The body begins in the line of the definition.
    added = [f"    {statement}" for statement in (*statements, rest)]
    return "\n".join([*lines[: row - 1], before.rstrip(), *added, *lines[row:]])


def _split(line: str, column: int) -> tuple[str, str]:
    """The two parts of a line at a column of its syntax tree, which counts bytes."""
    data = line.encode()
    return data[:column].decode(), data[column:].decode()


def _is_valid(code: str) -> bool:
    try:
        return bool(parse_tree(code).body)
    except SourceError:
        return False


def _own_piece(test: AcceptedTest) -> Piece:
    """The test itself, which is the last of its module."""
    return pieces_of_module(test.code)[-1]


def _others(test: AcceptedTest) -> tuple[Piece, ...]:
    """What a test's module holds beside it."""
    return pieces_of_module(test.code)[:-1]


def _has_helpers(test: AcceptedTest, reply: str) -> bool:
    """Whether a test leans on definitions that its reply made; others it has from the project's own tests."""
    names = [name for piece in _others(test) if not _is_import(piece) for name in bound_names(piece.node)]
    return any(re.search(rf"^(?:(?:async )?def|class) {name}\b|^{name}\s*[:=]", reply, re.MULTILINE) for name in names)


def _is_import(piece: Piece) -> bool:
    return isinstance(piece.node, ast.Import | ast.ImportFrom)
