"""Verdicts → what a model should hear of them: observed values, tests that are there, tests refused, faults unnoticed.

Each is a short line and there are few of them: a small model that is told much heeds nothing.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeGuard

from llm_testgen.records import ChangedMethod, Failure, MethodKind, Mutant, Outcome, Verdict
from llm_testgen.source import FunctionNode, SourceError, parse_tree

_MOST = 3
_MOST_DONE = 6
_LONGEST = 100
_LONGEST_REASON = 200
# What a test gets wrong by itself: it says nothing of the code under test.
_OF_THE_TEST = frozenset({"ImportError", "ModuleNotFoundError", "NameError", "SyntaxError", "UnboundLocalError"})
_NOT_RAISED = "DID NOT RAISE"


@dataclass(frozen=True, slots=True)
class Observed:
    """What an expression did when a test ran it.

    Attributes:
        expression: Its source in one line, with the test's own variables put in.
        value: Source of its value; empty when it gave none or should have raised.
        raised: What it raised, in one line; empty when it raised nothing.
    """

    expression: str
    value: str = ""
    raised: str = ""


class Refused(NamedTuple):
    """What a test that says nothing calls, and why it was refused."""

    test: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unnoticed:
    """A fault that no test notices.

    Attributes:
        statement: The line where it is, stripped; empty when ``before`` is not just a part of it.
        before: What stands there.
        after: What could stand there instead.
    """

    statement: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """What became of the tests of one target so far.

    Attributes:
        failures: Why tests failed, where it cannot be said by a value.
        observed: What expressions did.
        done: Calls of the target that accepted tests make.
        refused: Tests that passed and were not accepted all the same.
        unnoticed: Faults that no accepted test notices, of different lines first, else in the order of the proofs.
    """

    failures: tuple[str, ...] = ()
    observed: tuple[Observed, ...] = ()
    done: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    unnoticed: tuple[Unnoticed, ...] = ()


NO_FEEDBACK = Feedback()


def feedback(target: ChangedMethod, verdicts: Sequence[Verdict]) -> Feedback:
    """What a model should hear of the verdicts on a target's tests, those of the latest attempt first."""
    latest = sorted(verdicts, key=lambda verdict: -verdict.candidate.attempt)
    observed: dict[str, Observed] = {}
    failures: dict[str, None] = {}
    for verdict in latest:
        seen = list(_observed(verdict))
        for found in seen:
            observed.setdefault(found.expression, found)
        if not seen and verdict.outcome in {Outcome.FAILING, Outcome.BROKEN}:
            failures[_cut(verdict.reason, _LONGEST_REASON)] = None
    accepted = [verdict for verdict in verdicts if verdict.outcome is Outcome.ACCEPTED]
    done = dict.fromkeys(line for verdict in accepted for line in called(verdict))
    refused = {verdict.reason: refusal(verdict) for verdict in latest if is_telling(verdict)}
    return Feedback(
        failures=tuple(failures)[:_MOST],
        observed=tuple(observed.values())[:_MOST],
        done=tuple(done)[:_MOST_DONE],
        refused=tuple(refused.values())[:_MOST],
        unnoticed=tuple(_unnoticed(target, accepted)),
    )


def is_telling(verdict: Verdict) -> bool:
    """Whether a test was refused for something that the next one can be told to avoid."""
    return verdict.outcome in {Outcome.VACUOUS, Outcome.FLAKY, Outcome.UNSAFE}


def refusal(verdict: Verdict) -> Refused:
    """A refused test and why, in short."""
    return Refused(called(verdict)[0], _cut(verdict.reason, _LONGEST_REASON))


def called(verdict: Verdict) -> tuple[str, ...]:
    """The calls of its target that a test makes, in one line each; its name where there are none."""
    target, name = verdict.target, verdict.candidate.name
    method = target.method
    wanted = target.qualname.rpartition(".")[0].rpartition(".")[2] if method.name == "__init__" else method.name
    found: dict[str, None] = {}
    for test in _tests(verdict):
        for node in ast.walk(test):
            if isinstance(node, ast.Call) and method.kind is not MethodKind.MODULE and _name(node.func) == wanted:
                text = _text(node, test)
                if text and _is_short(text):
                    found[text] = None
    return tuple(found) or (name.rpartition("::")[2],)


def _observed(verdict: Verdict) -> Iterator[Observed]:
    """What a test's expressions did: by the values that were taken from a run, and by how it failed."""
    failure = verdict.runs[0].failure if verdict.runs and verdict.outcome is Outcome.FAILING else None
    for test in _tests(verdict):
        found = [_taken(node, test, verdict.candidate.observed) for node in ast.walk(test)]
        if failure is not None and failure.phase == "call":
            found.append(_failed(test, failure))
        for one in found:
            if one is not None and "(" in one.expression and _is_short(one.expression) and _is_short(one.value):
                yield one


def _taken(node: ast.AST, test: FunctionNode, values: Sequence[str]) -> Observed | None:
    """The left side of a comparison with a value that was taken from a run."""
    if not _is_comparison(node) or not values:
        return None
    expected = node.comparators[0]
    if isinstance(expected, ast.Call) and _name(expected.func) == "approx" and expected.args:
        expected = expected.args[0]
    value = _written(expected)
    return Observed(_text(node.left, test), value) if value in {_plain(text) for text in values} else None


def _failed(test: FunctionNode, failure: Failure) -> Observed | None:
    """What the statement that failed shows of its expression."""
    statements = [node for node in ast.walk(test) if isinstance(node, ast.stmt) and node is not test]
    around = [node for node in statements if node.lineno <= failure.line <= (node.end_lineno or node.lineno)]
    if not around:
        return None
    statement = around[-1]
    raising = next((node.body for node in around if isinstance(node, ast.With)), [])
    if failure.message.startswith(_NOT_RAISED):
        return Observed(_text(raising[0], test)) if len(raising) == 1 else None
    if failure.kind == "AssertionError":
        return _compared(statement, failure.message, test) if isinstance(statement, ast.Assert) else None
    if failure.kind in _OF_THE_TEST:
        return None
    ran = statement.body[0] if isinstance(statement, ast.With) else statement
    call = next((node for node in ast.walk(ran) if isinstance(node, ast.Call)), None)
    raised = _cut(f"{failure.kind}: {' '.join(failure.message.split())}".removesuffix(": "), _LONGEST)
    return Observed(_text(call, test), raised=raised) if call else None


def _compared(statement: ast.Assert, message: str, test: FunctionNode) -> Observed | None:
    """The value of the side of an assertion that computes something: pytest's message repeats it with both values."""
    try:
        said = parse_tree(message.partition("\n")[0]).body
    except SourceError:
        return None
    if len(said) != 1 or not isinstance(said[0], ast.Assert):
        return None
    expression, value = statement.test, said[0].test
    if isinstance(expression, ast.UnaryOp) and isinstance(value, ast.UnaryOp):
        expression, value = expression.operand, value.operand
    elif _is_comparison(expression) and _is_comparison(value):
        is_right = isinstance(expression.left, ast.Constant)
        expression, value = (
            (expression.comparators[0], value.comparators[0]) if is_right else (expression.left, value.left)
        )
    return Observed(_text(expression, test), _written(value))


def _is_comparison(node: ast.AST) -> TypeGuard[ast.Compare]:
    return isinstance(node, ast.Compare) and len(node.ops) == 1


def _unnoticed(target: ChangedMethod, accepted: Sequence[Verdict]) -> Iterator[Unnoticed]:
    """Faults of the target that some accepted test met and none noticed."""
    killed = {_key(mutant) for verdict in accepted for mutant in verdict.proof.killed}
    alive = {
        _key(mutant): mutant
        for verdict in accepted
        for mutant in verdict.proof.survived
        if mutant.definition in target.definitions and _key(mutant) not in killed
    }
    turn: Counter[int] = Counter()
    turns: list[tuple[int, Mutant]] = []
    for mutant in alive.values():
        turns.append((turn[mutant.line], mutant))
        turn[mutant.line] += 1
    for _, mutant in sorted(turns, key=lambda entry: entry[0]):
        lines = mutant.definition.source.split("\n")
        index = mutant.line - mutant.definition.start
        statement = lines[index].strip() if 0 <= index < len(lines) else ""
        is_part = mutant.before in statement and mutant.before != statement.rstrip(":")
        yield Unnoticed(
            _cut(statement, _LONGEST) if is_part else "", _cut(mutant.before, _LONGEST), _cut(mutant.after, _LONGEST)
        )


def _key(mutant: Mutant) -> tuple[int, str, str, str]:
    return mutant.line, mutant.before, mutant.after, mutant.source


def _tests(verdict: Verdict) -> list[FunctionNode]:
    """The test function of a verdict; none where the code has none."""
    try:
        tree = parse_tree(verdict.candidate.code)
    except SourceError:
        return []
    name = verdict.candidate.name.rpartition("::")[2]
    return [node for node in ast.walk(tree) if isinstance(node, FunctionNode) and node.name == name]


class _PutIn(ast.NodeTransformer):
    """Puts in what a test assigned to its variables."""

    def __init__(self, values: dict[str, ast.expr]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        # A copy: what is put into a value that holds its own name must not end up in itself.
        return copy.deepcopy(self._values.get(node.id, node)) if isinstance(node.ctx, ast.Load) else node


def _text(node: ast.AST, test: FunctionNode) -> str:
    """An expression in one line, with the variables put in that the test assigns once, if that stays short."""
    stored = Counter(
        child.id for child in ast.walk(test) if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store)
    )
    given = {argument.arg for argument in ast.walk(test) if isinstance(argument, ast.arg)}
    values = {
        child.targets[0].id: child.value
        for child in ast.walk(test)
        if isinstance(child, ast.Assign) and isinstance(child.targets[0], ast.Name)
        if len(child.targets) == 1 and stored[child.targets[0].id] == 1 and child.targets[0].id not in given
    }
    plain = _written(node)
    try:
        # Twice: an object is often made from arguments that have names too.
        full = _written(_PutIn(values).visit(_PutIn(values).visit(parse_tree(plain))))
    except (SourceError, RecursionError):
        return plain
    return full if len(full) <= _LONGEST else plain


def _written(node: ast.AST) -> str:
    """The source of a node; empty when it is nested too deeply to be one that can be shown."""
    try:
        return ast.unparse(node)
    except RecursionError:
        return ""


def _plain(text: str) -> str:
    """Source of an expression as it is written anew."""
    try:
        body = parse_tree(text).body
    except SourceError:
        return text
    return _written(body[0].value) if len(body) == 1 and isinstance(body[0], ast.Expr) else text


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_short(text: str) -> bool:
    return len(text) <= _LONGEST and text.isprintable() and "```" not in text


def _cut(text: str, longest: int) -> str:
    line = "".join(character for character in text if character.isprintable()).replace("```", "'''")
    return line if len(line) <= longest else line[: longest - 1] + "…"
