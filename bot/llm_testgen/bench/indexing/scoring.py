"""How well edges between functions agree with the calls that were really made.

*Observed* is a call whose caller and callee are both functions of the library, with no frame in between. A call of
what is decorated, when it goes through a wrapper of the library's own decorator, counts as made by the wrapper's
caller. What a function calls of itself is left out.

*Recall* is the share of the observed pairs that are edges: callbacks and dynamic dispatch count, and count against.

*Precision* is the share of the edges that were seen to be true, of those that had the chance: the caller was run, and
so was the line of the call. Seen to be true is a call made directly, or through code that is not the library's: what is
given to ``map`` or entered by ``contextlib`` is called too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from llm_testgen.bench.indexing.catalogue import Catalogue, Function

Pair = tuple[Function, Function]


@dataclass(frozen=True, slots=True)
class ObservedCall:
    """A call that was made.

    Attributes:
        caller: Who called.
        callee: What was called.
        direct: Whether no frame lies in between.
        via: The decorator's function whose wrapper lies in between, if one does.
    """

    caller: Function
    callee: Function
    direct: bool
    via: Function | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """A call that a tool expects.

    Attributes:
        caller: Who calls.
        callee: What is called.
        line: Where; 0 when the tool does not tell.
    """

    caller: Function
    callee: Function
    line: int = 0


@dataclass(frozen=True, slots=True)
class Truth:
    """What was seen while a suite ran.

    Attributes:
        observed: Pairs called directly.
        passed_on: Pairs called directly or through others' code.
        lines: The statements that were run, by path.
        ran: The functions that were run.
    """

    observed: frozenset[Pair]
    passed_on: frozenset[Pair]
    lines: Mapping[str, frozenset[int]]
    ran: frozenset[Function]


@dataclass(frozen=True, slots=True)
class Score:
    """How edges agree with the truth.

    Attributes:
        found: Observed pairs that are edges.
        observed: Observed pairs.
        right: Edges that were seen to be true.
        judged: Edges that had the chance.
        edges: All edges, judged or not.
    """

    found: int
    observed: int
    right: int
    judged: int
    edges: int

    @property
    def recall(self) -> float:
        """Share of what was observed; 0 where nothing was."""
        return self.found / self.observed if self.observed else 0.0

    @property
    def precision(self) -> float:
        """Share of what was judged; 0 where nothing was."""
        return self.right / self.judged if self.judged else 0.0

    def __add__(self, other: Score) -> Score:
        """Both together."""
        return Score(
            self.found + other.found,
            self.observed + other.observed,
            self.right + other.right,
            self.judged + other.judged,
            self.edges + other.edges,
        )


def truth(calls: Collection[ObservedCall], lines: Mapping[str, frozenset[int]], catalogue: Catalogue) -> Truth:
    """What calls say, those through the wrappers of decorators put right."""
    wrapped = {
        (call.caller, call.callee, call.via)
        for call in calls
        if call.via is not None and catalogue.decorated_with(call.callee, call.via)
    }
    in_between = {(caller, via) for caller, _, via in wrapped} | {(via, callee) for _, callee, via in wrapped}
    through = {(caller, callee) for caller, callee, _ in wrapped}
    plain = [call for call in calls if call.via is None]
    direct = {(call.caller, call.callee) for call in plain if call.direct}
    observed = (direct - in_between) | through
    passed_on = observed | {(call.caller, call.callee) for call in plain} | in_between
    return Truth(_between_two(observed), _between_two(passed_on), lines, catalogue.ran(lines))


def score(edges: Collection[Edge], seen: Truth, catalogue: Catalogue) -> Score:
    """Compare a tool's edges with the truth."""
    pairs = _between_two((edge.caller, edge.callee) for edge in edges)
    judged = {
        (edge.caller, edge.callee)
        for edge in edges
        if edge.caller in seen.ran and _ran(edge, seen, catalogue) and edge.caller != edge.callee
    }
    return Score(
        found=len(seen.observed & pairs),
        observed=len(seen.observed),
        right=len(judged & seen.passed_on),
        judged=len(judged),
        edges=len(pairs),
    )


def _ran(edge: Edge, seen: Truth, catalogue: Catalogue) -> bool:
    """Whether the line of a call was run; where it is not told, the caller's having run must do."""
    path = edge.caller[0]
    return not edge.line or catalogue.statement(path, edge.line) in seen.lines.get(path, frozenset())


def _between_two(pairs: Iterable[Pair]) -> frozenset[Pair]:
    return frozenset(pair for pair in pairs if pair[0] != pair[1])
