"""Which plain tests are about which method, and which of them reach what a prompt would ask for."""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from llm_testgen.records import ChangedMethod, Goal, Lines, LinesByPath
from llm_testgen.repairs.base import definition_node
from llm_testgen.source import FunctionNode
from llm_testgen.stages.goals import goals
from llm_testgen.tuning.data.plain import PlainTest
from llm_testgen.tuning.data.similarity import containment

_LEAST = 0.3
_CLEARLY = 0.05
_WEIGHTS = {"name": 0.4, "focus": 0.3, "share": 0.3}
_LENGTH = 0.001  # what a character of the test costs: short tests are what prompts ask for
_OF_CLASS = 0.5
_BESIDE_INIT = 2  # methods that a test of a constructor runs at most
_COPY = 0.7


@dataclass(frozen=True, slots=True)
class Ran:
    """A plain test that passed, with the lines of the project that it executed, and of how many methods they are."""

    test: PlainTest
    covered: LinesByPath
    reached: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A method and a test that is about it.

    Attributes:
        ran: The test.
        score: How much it is about the method: at most 1.
    """

    ran: Ran
    score: float


def body_lines(target: ChangedMethod) -> Lines:
    """Lines of a method that run when it is called, and not when its module is imported."""
    inside: set[int] = set()
    for method in target.definitions:
        node = definition_node(method)
        if isinstance(node, FunctionNode):
            body = node.body[1:] if method.docstring and len(node.body) > 1 else node.body
            inside.update(range(method.start - 1 + body[0].lineno, method.end + 1))
    return target.lines & inside


class Reach:
    """How many methods of a project a test executes."""

    def __init__(self, targets: Iterable[ChangedMethod]) -> None:
        """Look at all methods of the project."""
        self._owner = {(target.path, line): target.id for target in targets for line in body_lines(target)}

    def count(self, covered: LinesByPath) -> int:
        """Methods of which any line ran."""
        found = {self._owner.get((path, line)) for path, lines in covered.items() for line in lines}
        return len(found - {None})


def all_pairs(targets: Iterable[ChangedMethod], tests: Sequence[Ran]) -> dict[str, tuple[Pair, ...]]:
    """For each method by its id the tests that are about it, the best first.

    A test is about a method if it names and executes it. It counts for more the fewer other methods it executes, the
    more its name is like the method's, and the more of the method it executes. It is about no other method for which
    it counts clearly less.
    """
    found = {target.id: _pairs_of(target, tests) for target in targets}
    best: dict[str, float] = {}
    for pairs in found.values():
        for pair in pairs:
            best[pair.ran.test.code] = max(pair.score, best.get(pair.ran.test.code, 0.0))
    return {
        id_: tuple(pair for pair in pairs if pair.score >= best[pair.ran.test.code] - _CLEARLY)
        for id_, pairs in found.items()
    }


def _pairs_of(target: ChangedMethod, tests: Iterable[Ran]) -> tuple[Pair, ...]:
    lines = body_lines(target)
    found = []
    for ran in tests:
        executed = ran.covered.get(target.path, frozenset()) & lines
        if executed and names_target(ran.test.code, target) and _may_be_about(ran, target):
            score = _score(ran, target, len(executed) / len(lines))
            if score >= _LEAST:
                found.append(Pair(ran, score))
    return tuple(sorted(found, key=lambda pair: (-pair.score, pair.ran.test.origin.id, pair.ran.test.code)))


def names_target(code: str, target: ChangedMethod) -> bool:
    """Whether a test uses the method by its name; a special one by that of its class."""
    return used_name(target) in _names_in(code)


def used_name(target: ChangedMethod) -> str:
    """The name by which a test uses the method: its own; of a special one that of its class."""
    parts = target.qualname.split(".")
    return parts[-2] if parts[-1].startswith("__") and len(parts) > 1 else parts[-1]


def _may_be_about(ran: Ran, target: ChangedMethod) -> bool:
    """Whether a test may be about a special method: all that use its class run some of them.

    It is about ``__init__`` where it runs little else, and about another one where its name says so.
    """
    name = target.method.name
    if name == "__init__":
        return ran.reached <= _BESIDE_INIT
    return not (name.startswith("__") and name.endswith("__")) or _plain(name) in _plain(ran.test.origin.name)


@functools.lru_cache(maxsize=1 << 14)
def _names_in(code: str) -> frozenset[str]:
    """Names and attributes that code mentions."""
    nodes = list(ast.walk(ast.parse(code)))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return frozenset(names | {node.attr for node in nodes if isinstance(node, ast.Attribute)})


def _score(ran: Ran, target: ChangedMethod, share: float) -> float:
    parts = {"name": _likeness(ran.test, target), "focus": 1 / max(1, ran.reached), "share": share}
    return sum(weight * parts[part] for part, weight in _WEIGHTS.items()) - _LENGTH * len(ran.test.code)


def _likeness(test: PlainTest, target: ChangedMethod) -> float:
    """1 where the test is named after the method, some where it is named after its class."""
    where = _plain(test.origin.qualname)
    *outer, name = target.qualname.split(".")
    if _plain(name) in where and not name.startswith("__"):
        return 1.0
    return _OF_CLASS if any(_plain(part) in where for part in outer) else 0.0


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def match(goals_: Sequence[Goal], pairs: Sequence[Pair], path: str, most: int) -> dict[Goal, Pair]:
    """A test of its own for each goal that some test reaches, in the order of the goals.

    Args:
        goals_: What a prompt would ask for.
        pairs: Tests that are about the method, the best first.
        path: The method's file.
        most: Goals at most; those with the best tests are taken.
    """
    able = {goal: [pair for pair in pairs if goal.line in pair.ran.covered.get(path, frozenset())] for goal in goals_}
    chosen: dict[Goal, Pair] = {}
    for goal in sorted(able, key=lambda goal: (len(able[goal]), goal.line)):
        taken = [pair.ran.test.code for pair in chosen.values()]
        found = next((pair for pair in able[goal] if not _is_copy(pair.ran.test.code, taken)), None)
        if found is not None:
            chosen[goal] = found
    best = sorted(chosen, key=lambda goal: (-chosen[goal].score, goal.line))[:most]
    return {goal: chosen[goal] for goal in goals_ if goal in best}


def _is_copy(code: str, taken: Iterable[str]) -> bool:
    """Whether a test is the same as another one, or nearly."""
    return any(max(containment(code, other), containment(other, code)) >= _COPY for other in taken)


def lines_for(target: ChangedMethod, wanted: Collection[Goal], within: Lines) -> Lines:
    """Lines of a method that are to count as uncovered, so that a prompt asks for these goals and no other.

    They are lines of its body ``within`` those, without the blocks whose goal is none of them: as if other tests had
    covered these blocks.
    """
    lines = body_lines(target) & within
    lines |= {goal.line for goal in wanted}
    places = {goal.line for goal in wanted}
    while others := [goal for goal in goals(target, lines) if goal.line not in places]:
        # Each of them stands for a statement with a line left, at or after its own.
        lines -= {min(line for line in lines if line >= goal.line) for goal in others}
    return lines
