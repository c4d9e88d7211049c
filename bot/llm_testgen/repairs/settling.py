"""What runs of a probe have shown, and how it changes a test."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from llm_testgen.records import Candidate, Observation
from llm_testgen.repairs.assertions import asserts
from llm_testgen.repairs.base import short
from llm_testgen.repairs.claims import Claim, only_binding, row_of
from llm_testgen.repairs.edits import (
    Code,
    Spanned,
    block_text,
    blocks,
    read_names,
    stored_names,
    with_imports,
    without_unread,
)
from llm_testgen.source import FunctionNode

_LONGEST = 400
# A text of a value that names its type and shows what is in it, and no address.
_SAYS = re.compile(r"""\A['"](?!.*0x)\w[\w.]*\(.+\)['"]\Z""")
_SINGLETONS = frozenset({"None", "True", "False"})
_ITERATORS = frozenset(
    {"generator", "map", "filter", "zip", "enumerate", "reversed", "list_iterator", "dict_keys", "dict_values"}
    | {"dict_items", "range_iterator", "tuple_iterator", "callable_iterator", "str_iterator", "list_reverseiterator"}
    | {name for name in vars(itertools) if not name.startswith("_")}
)
# Operands that need no parentheses beside ``==``.
_OPERANDS = ast.Call | ast.Name | ast.Attribute | ast.Subscript | ast.BinOp | ast.Constant | ast.List | ast.Tuple


class Seen:
    """What two runs of a probe reported."""

    def __init__(self, first: Sequence[Observation], second: Sequence[Observation]) -> None:
        """Take the reports of both."""
        self._runs = (first, second)

    def holds(self, claim: Claim) -> list[bool]:
        """Whether a claim held in both runs, each time that it was reached; empty if it never was."""
        first, second = ([one.expression == "True" for one in _of(claim.held_key, run)] for run in self._runs)
        return first if first == second else [False] * len(first)

    def values(self, claim: Claim) -> list[Observation]:
        """What a claim is about, each time; empty where the runs do not agree or a value cannot be written down."""
        first, second = (_of(claim.value_key, run) for run in self._runs)
        return first if first == second and all(map(_can_be_expected, first)) else []

    def shown(self, claim: Claim) -> Observation | None:
        """What ``repr`` makes of a value that cannot be written down, where that says what it is and is always so."""
        first, second = (_of(claim.shown_key, run) for run in self._runs)
        is_one = bool(first) and first == second and all(one == first[0] for one in first)
        if not is_one or self.values(claim) or self.kind(claim) in _ITERATORS:
            return None
        return first[0] if _SAYS.search(first[0].expression) and _can_be_expected(first[0]) else None

    def kind(self, claim: Claim) -> str:
        """The type of what a claim is about; empty if it could not be computed."""
        return next((one.type for one in _of(claim.value_key, self._runs[0])), "")


@dataclass(slots=True)
class Rewriting:
    """What is to be changed in a test, and what is to be said of it."""

    changes: dict[Spanned, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    observed: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)

    def take(self, value: str, observation: Observation) -> str:
        """Put a value that was seen on record; gives the comparison with it."""
        expected = self.expect(observation)
        self.done.append(f"expected value of `{short(value)}` taken from a run: {short(observation.expression)}")
        return f"is {expected}" if expected in _SINGLETONS else f"== {expected}"

    def expect(self, observation: Observation) -> str:
        """Put a value on record without words; gives it as it is to be written."""
        self.observed.append(observation.expression)
        self.imports += observation.imports
        if not observation.approximate:
            return observation.expression
        self.imports.append("import pytest")
        return f"pytest.approx({observation.expression})"

    def apply(self, candidate: Candidate, code: Code) -> Candidate | None:
        """The candidate with the changes; None when there are none, or nothing would be left that it asserts."""
        text = code.changed(self.changes.items()) if self.changes else None
        changed = Code.read(text) if text else None
        if text is None or changed is None or not asserts(changed.tree):
            return None
        return replace(
            candidate,
            code=with_imports(without_unread(text, candidate.code), self.imports),
            repairs=(*candidate.repairs, *self.done),
            observed=(*candidate.observed, *self.observed),
        )


class Settling:
    """Assertions changed to what two runs have shown.

    Args:
        code: The module.
        test: Its test.
        seen: What the runs reported.
    """

    def __init__(self, code: Code, test: FunctionNode, seen: Seen) -> None:
        """Nothing is changed yet."""
        self._code = code
        self._test = test
        self._seen = seen
        self._lost: set[str] = set()
        self.rewriting = Rewriting()

    def settle(self, claims: Sequence[Claim]) -> None:
        """Change one assertion, if one of its claims fails."""
        failing = [claim for claim in claims if not all(self._seen.holds(claim))]
        # A value that could not be computed is another repair's business.
        if not failing or any(claim.actual is not None and not self._seen.kind(claim) for claim in failing):
            return
        statement = claims[0].statement
        if len(claims) == 1 and (self._retabled(claims[0]) or self._rebound(claims[0])):
            return
        lines = [self._line(claim) if claim in failing else self._kept(claim) for claim in claims]
        kept = [line for line in lines if line]
        if len(kept) == len(claims):
            self.rewriting.changes[statement] = "\n".join(kept)
            self._lost |= _caught(statement)
        elif not stored_names(statement) and self._can_go(statement):
            self._drop(statement, "\n".join(kept))

    def drop_orphans(self) -> None:
        """Drop what reads an exception that was not raised."""
        for block in blocks(self._test):
            for statement in block:
                if self._lost & read_names(statement) and statement not in self.rewriting.changes:
                    self._drop(statement, "")
                    self._lost |= stored_names(statement)

    def _drop(self, statement: ast.stmt, instead: str) -> None:
        self.rewriting.changes[statement] = instead
        self.rewriting.done.append(f"dropped the failing `{short(ast.unparse(statement))}`")

    def _can_go(self, statement: ast.stmt) -> bool:
        around = next((block for block in blocks(self._test) if statement in block), [])
        return len(around) > 1 and self._code.alone(statement)

    def _kept(self, claim: Claim) -> str:
        return f"assert {self._code.segment(claim.test)}" if claim.test is not None else ""

    def _line(self, claim: Claim) -> str:
        """What takes the place of a failing claim; empty when nothing can."""
        if claim.actual is None:
            return ""
        shown = operand(claim.actual, self._code)
        values = self._seen.values(claim)
        if values and all(one == values[0] for one in values):
            return f"{self._before(claim)}assert {shown} {self.rewriting.take(shown, values[0])}"
        if (text := self._seen.shown(claim)) is not None:
            shown = f"repr({self._code.segment(claim.actual)})"
            return f"{self._before(claim)}assert {shown} {self.rewriting.take(shown, text)}"
        kind = self._seen.kind(claim)
        if claim.expected is None or kind not in _ITERATORS:
            return ""
        gathered = "tuple" if isinstance(claim.expected, ast.Tuple) else "list"
        self.rewriting.done.append(f"compared the items of `{short(shown)}`, which is no {gathered}")
        return f"assert {gathered}({shown}) == {operand(claim.expected, self._code)}"

    def _before(self, claim: Claim) -> str:
        """What stands before the value in a block that was to raise."""
        body = claim.statement.body[:-1] if isinstance(claim.statement, ast.With) else []
        return block_text(self._code, body) + "\n" if body else ""

    def _rebound(self, claim: Claim) -> bool:
        """Change the variable that holds the expected value, where it is there for nothing else."""
        binding = only_binding(claim, self._test)
        values = self._seen.values(claim)
        if binding is None or claim.actual is None or not values or any(one != values[0] for one in values):
            return False
        self.rewriting.take(operand(claim.actual, self._code), values[0])
        expected = values[0].expression
        self.rewriting.changes[binding] = f"pytest.approx({expected})" if values[0].approximate else expected
        return True

    def _retabled(self, claim: Claim) -> bool:
        """Change the entries of the table that an expected value comes from."""
        entries = row_of(claim, self._test)
        values, holds = self._seen.values(claim), self._seen.holds(claim)
        if entries is None or claim.actual is None or not len(entries) == len(values) == len(holds):
            return False
        shown = short(operand(claim.actual, self._code))
        for entry, value, right in zip(entries, values, holds, strict=True):
            if not right:
                self.rewriting.changes[entry] = self.rewriting.expect(value)
                was = short(ast.unparse(entry))
                self.rewriting.done.append(
                    f"a value of `{shown}` taken from a run: {short(value.expression)} for {was}"
                )
        return True


def _caught(statement: ast.stmt) -> set[str]:
    """Names under which a block of ``raises`` gives the exception."""
    items = statement.items if isinstance(statement, ast.With) else []
    return {name for item in items if item.optional_vars for name in stored_names(item.optional_vars)}


def operand(node: ast.expr, code: Code) -> str:
    """An expression as it can stand on one side of a comparison."""
    text = code.segment(node)
    return text if isinstance(node, _OPERANDS) else f"({text})"


def _of(key: int, observations: Iterable[Observation]) -> list[Observation]:
    return [one for one in observations if one.key == key]


def _can_be_expected(observation: Observation) -> bool:
    if not observation.expression or len(observation.expression) > _LONGEST:
        return False
    return not observation.approximate or _is_flat(ast.parse(observation.expression, mode="eval").body)


def _is_flat(value: ast.expr) -> bool:
    """Whether it is a number, or a list, tuple or dict of numbers: pytest compares nothing else with a tolerance."""
    parts = value.values if isinstance(value, ast.Dict) else getattr(value, "elts", [value])
    return not any(
        isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict) or _is_text(node)
        for part in parts
        if not isinstance(part, ast.Call)
        for node in ast.walk(part)
    ) and not isinstance(value, ast.Set)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and not isinstance(node.value, int | float | complex)
