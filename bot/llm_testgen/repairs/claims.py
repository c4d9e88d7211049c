"""What a test claims of the values that the code under test gives it, one by one, each with a number of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from llm_testgen.records import Candidate
from llm_testgen.repairs.assertions import assertions, called_name, claim_of, is_raises
from llm_testgen.repairs.edits import Code, blocks, own_nodes
from llm_testgen.repairs.origins import Origins
from llm_testgen.source import FunctionNode

# What is true or false of a value says too little to be turned into what the value is.
_ABOUT = frozenset({"all", "any", "callable", "hasattr", "isinstance", "issubclass"})
# Calls whose being true says next to nothing of a value.
_OF_TYPES = frozenset({"isinstance", "issubclass", "hasattr", "callable"})
_VALUES = ast.Call | ast.Name | ast.Attribute | ast.Subscript | ast.Await


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of an assertion, or a value of which nothing is claimed yet.

    Attributes:
        key: Its number, of which three are made to report under.
        statement: The assertion; for a value without a claim the statement that gives it.
        test: True when the claim holds; None where that is no expression, as of a block of ``raises``.
        actual: The value that it is about; None when that cannot be told.
        expected: The other side of a comparison with ``==``.
        name: The variable that holds a value without a claim.
    """

    key: int
    statement: ast.stmt
    test: ast.expr | None = None
    actual: ast.expr | None = None
    expected: ast.expr | None = None
    name: str = ""

    @property
    def value_key(self) -> int:
        """The number under which the value is reported."""
        return 3 * self.key

    @property
    def held_key(self) -> int:
        """The number under which it is reported whether the claim holds."""
        return 3 * self.key + 1

    @property
    def shown_key(self) -> int:
        """The number under which it is reported what ``repr`` makes of the value."""
        return 3 * self.key + 2


def claims_of(candidate: Candidate, code: Code) -> tuple[Claim, ...]:
    """What a test's own assertions claim, in their order."""
    test = code.test(candidate)
    if test is None:
        return ()
    origins = _origins(candidate, code, test)
    found = assertions(test)
    blocks_of_raises = [node for node in found if isinstance(node, ast.With | ast.AsyncWith)]
    inside = {id(node) for block in blocks_of_raises for part in block.body for node in ast.walk(part)}
    drafts: list[Claim] = []
    for statement in found:
        if id(statement) in inside:
            continue
        asserted = claim_of(statement)
        if asserted is None:
            drafts.append(Claim(0, statement, actual=_awaited_failure(statement)))
        else:
            drafts += (_claim(statement, part, origins) for part in _parts(statement, asserted))
    return tuple(
        Claim(key, draft.statement, draft.test, draft.actual, draft.expected) for key, draft in enumerate(drafts)
    )


def says_little(node: ast.stmt) -> bool:
    """Whether an assertion would hold with nearly any value: not None, of some type, a constant."""
    match claim_of(node):
        case ast.Constant():
            return True
        case ast.Compare(ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in _OF_TYPES
    return False


def values_of(candidate: Candidate, code: Code) -> tuple[Claim, ...]:
    """Values that the code under test gives to a test that claims nothing of them."""
    test = code.test(candidate)
    if test is None:
        return ()
    origins = _origins(candidate, code, test)
    found: list[tuple[ast.stmt, ast.expr, str]] = []
    attributes = _attributes_set(candidate)
    for statement in _straight(test.body):
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_given(value, origins):
                found.append((statement, ast.Name(name, ast.Load()), name))
            case ast.Expr(value=value) if _is_given(value, origins) and not is_raises(value):
                found.append((statement, value, ""))
        for receiver in _receivers(statement, candidate.target.method.name):
            found += ((statement, _attribute(receiver, name), f"{receiver}.{name}") for name in attributes)
    last = {name or id(statement): (statement, value, name) for statement, value, name in found}
    return tuple(
        Claim(key, statement, actual=value, name=name) for key, (statement, value, name) in enumerate(last.values())
    )


def _origins(candidate: Candidate, code: Code, test: FunctionNode) -> Origins:
    return Origins(code.tree, test, candidate.reply.prompt.context)


def _parts(statement: ast.stmt, test: ast.expr) -> list[ast.expr]:
    """What an assertion claims, apart: ``assert a and b`` is two claims."""
    if isinstance(statement, ast.Assert) and isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return test.values
    return [test]


def _claim(statement: ast.stmt, test: ast.expr, origins: Origins) -> Claim:
    actual = expected = None
    match test:
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if not isinstance(operator, ast.NotEq):
            actual = origins.actual(left, right)
            if isinstance(operator, ast.Eq) and actual is not None:
                expected = right if actual is left else left
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            actual = _truth(operand, origins)
        case _:
            actual = _truth(test, origins)
    return Claim(0, statement, test, actual, expected)


def _truth(value: ast.expr, origins: Origins) -> ast.expr | None:
    """What is claimed to be true or false by itself."""
    about = isinstance(value, ast.Call) and called_name(value) in _ABOUT
    return value if isinstance(value, _VALUES) and not about and not origins.is_expected(value) else None


def _awaited_failure(statement: ast.stmt) -> ast.expr | None:
    """What the last statement of a block of ``raises`` evaluates; None for any other assertion."""
    if isinstance(statement, ast.With) and len(statement.items) == 1:
        match statement.body[-1]:
            case ast.Expr(value=value) | ast.Assign(targets=[ast.Name()], value=value):
                return value
    return None


def _straight(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run once each, those of ``with`` blocks too; what raises on purpose is left out."""
    for statement in body:
        if isinstance(statement, ast.With):
            if not any(is_raises(item.context_expr) for item in statement.items):
                yield from _straight(statement.body)
        else:
            yield statement


def _is_given(value: ast.expr, origins: Origins) -> bool:
    return isinstance(value, ast.Call | ast.Await) and origins.is_tested(value)


def _attributes_set(candidate: Candidate) -> list[str]:
    """Public attributes of its instance that the method under test sets."""
    code = Code.read(f"class _:\n{candidate.target.method.source}") or Code.read(candidate.target.method.source)
    if code is None or "." not in candidate.target.qualname:
        return []
    found = (
        node.attr
        for node in ast.walk(code.tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    )
    return [name for name in dict.fromkeys(found) if not name.startswith("_")]


def _receivers(statement: ast.stmt, method: str) -> list[str]:
    """Variables on which a statement calls the method under test, or which it makes by the class's constructor."""
    made = method == "__init__"
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call()) if made:
            return [name]
    calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return [
        call.func.value.id
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == method and isinstance(call.func.value, ast.Name)
    ]


def _attribute(receiver: str, name: str) -> ast.expr:
    return ast.Attribute(ast.Name(receiver, ast.Load()), name, ast.Load())


def row_of(claim: Claim, test: FunctionNode) -> list[ast.expr] | None:
    """Where the expected value of a claim comes from a table: the entries that it takes, in their order.

    A table is the list that a mark of ``parametrize`` or a ``for`` goes over.
    """
    if not isinstance(claim.expected, ast.Name):
        return None
    name = claim.expected.id
    loops = [node for node in own_nodes(test) if isinstance(node, ast.For) and name in _target_names(node.target)]
    marks = [node for node in test.decorator_list if name in _mark_names(node)]
    if len(loops) + len(marks) != 1:
        return None
    if marks:
        mark = marks[0]
        if len(test.decorator_list) > 1 or not isinstance(mark, ast.Call) or len(mark.args) != 2:  # noqa: PLR2004 - names and values
            return None
        return _column(mark.args[1], _mark_names(mark), name)
    around = [block for block in blocks(test) if loops[0] in block]
    if around and around[0] is not test.body:
        return None
    return _column(loops[0].iter, _target_names(loops[0].target), name)


def _column(table: ast.expr, names: list[str], name: str) -> list[ast.expr] | None:
    """The entries of one column of a table that is written out."""
    if not isinstance(table, ast.List | ast.Tuple):
        return None
    if len(names) == 1:
        return None if any(isinstance(row, ast.Starred) for row in table.elts) else table.elts
    position = names.index(name)
    rows = [row for row in table.elts if isinstance(row, ast.Tuple | ast.List) and len(row.elts) == len(names)]
    return [row.elts[position] for row in rows] if len(rows) == len(table.elts) else None


def _target_names(target: ast.expr) -> list[str]:
    parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    return [part.id for part in parts if isinstance(part, ast.Name)]


def _mark_names(decorator: ast.expr) -> list[str]:
    """The names that a mark of ``parametrize`` gives values to, in their order."""
    match decorator:
        case ast.Call(func=function, args=[names, *_]) if ast.unparse(function).endswith("parametrize"):
            match names:
                case ast.Constant(value=str(text)):
                    return [part.strip() for part in text.split(",") if part.strip()]
                case ast.Tuple(elts=parts) | ast.List(elts=parts):
                    return [str(part.value) for part in parts if isinstance(part, ast.Constant)]
    return []


def only_binding(claim: Claim, test: FunctionNode) -> ast.expr | None:
    """The value of the assignment that gives a claim its expected value, where nothing else reads it."""
    variable = claim.expected
    match variable:
        case ast.Call(func=ast.Name(id="sorted" | "list" | "tuple" | "set" | "frozenset"), args=[inner], keywords=[]):
            variable = inner
    if not isinstance(variable, ast.Name):
        return None
    name = variable.id
    around = next((block for block in blocks(test) if claim.statement in block), [])
    named = [node for node in ast.walk(test) if isinstance(node, ast.Name) and node.id == name]
    named.sort(key=lambda node: (node.lineno, node.col_offset))
    place = named.index(variable)
    before, after = named[max(place - 1, 0)], named[place + 1 : place + 2]
    if any(isinstance(node.ctx, ast.Load) for node in after):
        return None
    for statement in around[: around.index(claim.statement)] if around else ():
        if isinstance(statement, ast.Assign) and statement.targets == [before] and statement.value is not before:
            return statement.value
    return None
