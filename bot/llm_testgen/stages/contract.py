"""Reply → contracts: the assertions that a model added to a method, each by itself, and nothing else that it changed.

The method of the reply is compared with the original statement by statement, and each added assertion goes to where it
stands among statements that both have. Where the model gave what is returned a name to say something of it, that
becomes a contract of the ``return``. What it says is found out by running it, so a place that is not quite the one
that was meant costs nothing but the contract.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from llm_testgen.assertions import (
    FUNCTIONS,
    LONGEST_STATEMENT,
    assertion_of,
    bound_in,
    called,
    is_message,
    is_pure,
    is_trivial,
    names_in,
    restates,
    uses_up,
)
from llm_testgen.embedding import blocks, embed, own_statements, start_of
from llm_testgen.recipe import tokens
from llm_testgen.records import ChangedMethod, Contract, MethodKind, Spot
from llm_testgen.source import DefinitionNode, FunctionNode, single_definition
from llm_testgen.statements import pieces_of

_LONGEST_TARGET = 80
_ROOM = 240
_MOST = 12
# What a value that is returned is called, the first that is free.
_NAMES = ("result", "returned", "outcome", "result_")
_METHODS = frozenset({MethodKind.FUNCTION, MethodKind.METHOD})
_FINAL = ast.Return | ast.Raise | ast.Continue | ast.Break


@dataclass(slots=True)
class _Item:
    """A statement of a reply, with the assertions that were added to it.

    Attributes:
        key: By which it is told again; that of a plain ``return`` where the value got a name.
        node: The statement.
        above: Assertions before it.
        inside: Assertions about the value that is returned.
        name: What that is called.
    """

    key: str
    node: ast.stmt
    above: list[ast.Assert] = field(default_factory=list)
    inside: list[ast.Assert] = field(default_factory=list)
    name: str = ""


@dataclass(frozen=True, slots=True)
class _Placed:
    """An assertion and where it goes."""

    spot: Spot
    statement: ast.stmt
    node: ast.Assert
    name: str = ""


def opening(target: ChangedMethod) -> str:
    """The beginning of the method with assertions, for the model to continue: its header, and its docstring.

    Empty when there is nothing to ask for: of what is no function, is too long, or stands on one line.
    """
    source = target.method.source
    function = single_definition(source)
    lines = source.split("\n")
    if target.method.kind not in _METHODS or not isinstance(function, FunctionNode) or len(lines) > _LONGEST_TARGET:
        return ""
    first = start_of(function.body[0])
    if lines[first - 1][: function.body[0].col_offset].strip(" \t@"):
        return ""
    documented = ast.get_docstring(function, clean=False) is not None
    if documented and len(function.body) == 1:
        return ""
    end = function.body[0].end_lineno if documented else first - 1
    outer = target.qualname.rpartition(".")[0].rpartition(".")[2]
    shown = lines[:end]
    return "\n".join([f"class {outer}:", *shown] if outer else shown)


def room(target: ChangedMethod) -> int:
    """Tokens that the method with assertions may take."""
    return tokens(target.method.source) + _ROOM


def contracts(target: ChangedMethod, reply: str, taken: Collection[str] = ()) -> tuple[Contract, ...]:
    """What a reply asserts in a method, in the order of the lines; each of it can be put there.

    Args:
        target: What it was asked about.
        reply: The whole text of the reply, its prefill included.
        taken: Names that the module gives a meaning of its own.
    """
    function = single_definition(target.method.source)
    if not isinstance(function, FunctionNode) or target.method.kind not in _METHODS:
        return ()
    try:
        making = _Making(target, function, frozenset(taken))
        found = [one for text, copy in _copies(target, reply) for one in making.contracts(copy, text)]
    except RecursionError:
        return ()  # nested too deeply to be compared
    return tuple(sorted(dict.fromkeys(found), key=lambda one: one.line)[:_MOST])


def _copies(target: ChangedMethod, reply: str) -> Iterator[tuple[str, FunctionNode]]:
    """Functions of a reply that have the target's name, each with the text that its lines count in."""
    for piece in pieces_of(reply):
        for node in ast.walk(piece.node):
            if isinstance(node, FunctionNode) and node.name == target.method.name:
                yield piece.text, node


class _Making:
    """Makes contracts of one method."""

    def __init__(self, target: ChangedMethod, function: FunctionNode, taken: frozenset[str]) -> None:
        self._text = ""
        self._definition = target.method
        self._function = function
        self._known = names_in(function) | bound_in(function)
        # What `import *` brings may be anything.
        self._shadowed = FUNCTIONS if "*" in taken else (taken | bound_in(function)) & FUNCTIONS
        self._name = next((name for name in _NAMES if name not in self._known | taken), "")
        self._returns = [node for node in own_statements(function) if isinstance(node, ast.Return) and node.value]
        self._first = _undocumented(function)[0] if _undocumented(function) else None

    def contracts(self, copy: FunctionNode, text: str) -> Iterator[Contract]:
        """What a copy of the method asserts, which stands in a text."""
        self._text = text
        returned = {
            node.value.id
            for node in own_statements(copy)
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Name)
        }
        fresh = returned - self._known
        for placed in self._aligned(_undocumented(self._function), _undocumented(copy)):
            about = names_in(placed.node.test) & fresh
            if about and placed.spot is not Spot.RETURN:
                # The model has rewritten how the value comes about: what it says of it holds at each return or not.
                yield from self._made(
                    _Placed(Spot.RETURN, node, placed.node, name) for name in about for node in self._returns
                )
            else:
                yield from self._made([placed])

    def _made(self, placed: Iterable[_Placed]) -> Iterator[Contract]:
        for one in placed:
            contract = self._contract(one)
            if contract is not None and embed(self._definition, [contract]) is not None:
                yield contract

    def _contract(self, placed: _Placed) -> Contract | None:
        """A contract of what is pure and says something; None for anything else."""
        test, message = placed.node.test, placed.node.msg
        if not is_pure(test) or is_trivial(test) or called(test) & self._shadowed:
            return None
        name, value = "", None
        if placed.spot is Spot.RETURN:
            name = self._name
            value = placed.statement.value if isinstance(placed.statement, ast.Return) else None
            test = _renamed(test, placed.name, name) if name else test
            if not name or value is None or restates(test, value, name):
                return None
        if uses_up(test, self._function, name, value) or not self._may_stand(placed):
            return None
        statement = self._statement(test, placed.node.test, message if is_message(message) else None)
        if assertion_of(statement) is None:
            return None
        line = start_of(placed.statement) + self._definition.start - 1
        return Contract(self._definition, placed.spot, line, statement, name)

    def _statement(self, test: ast.expr, written: ast.expr, message: ast.expr | None) -> str:
        """An assertion in one line, as the model wrote it where that is one; its message only where there is room."""
        shown = ast.unparse(test)
        # Python itself writes a generator that is the only argument with one pair of brackets too many.
        forms = [" ".join((ast.get_source_segment(self._text, written) or "").split())]
        forms += [shown.replace("((", "(").replace("))", ")"), shown]
        text = next(form for form in forms if _is_expression(form, test))
        whole = f"assert {text}, {ast.unparse(message)}" if message else f"assert {text}"
        return whole if len(whole) <= LONGEST_STATEMENT else f"assert {text}"

    def _may_stand(self, placed: _Placed) -> bool:
        """What runs in pieces, such as a generator, gets contracts at its beginning alone."""
        in_pieces = isinstance(self._function, ast.AsyncFunctionDef) or _yields(self._function)
        return not in_pieces or (placed.spot is Spot.BEFORE and placed.statement is self._first)

    def _aligned(self, ours: Sequence[ast.stmt], theirs: Sequence[ast.stmt]) -> Iterator[_Placed]:
        """Assertions that were added to a block, and to those inside it."""
        if not ours:
            return
        keys = [_key(node) for node in ours]
        items, trailing = _items(theirs, frozenset(keys))
        matcher = SequenceMatcher(None, keys, [item.key for item in items], autojunk=False)
        pairs = {
            block.b + offset: block.a + offset
            for block in matcher.get_matching_blocks()
            for offset in range(block.size)
        }
        for number, item in enumerate(items):
            yield from self._above(item.above, number, pairs, ours)
            if (position := pairs.get(number)) is None:
                continue
            own = ours[position]
            yield from (_Placed(Spot.RETURN, own, node, item.name) for node in item.inside)
            if not isinstance(own, DefinitionNode):
                inner = blocks(item.node)
                for name, block in blocks(own).items():
                    yield from self._aligned(block, inner.get(name, []))
        yield from self._above(trailing, len(items), pairs, ours)

    def _above(
        self, nodes: Iterable[ast.Assert], number: int, pairs: dict[int, int], ours: Sequence[ast.stmt]
    ) -> Iterator[_Placed]:
        """Assertions that stand before an item of a reply, placed by the nearest statement that both have."""
        for node in nodes:
            if number in pairs:
                yield _Placed(Spot.BEFORE, ours[pairs[number]], node)
                continue
            position = 0 if number == 0 else pairs[number - 1] + 1 if number - 1 in pairs else None
            if position is None:
                position = next((pairs[other] for other in sorted(pairs) if other > number), None)
            if position is None and isinstance(ours[-1], _FINAL):
                position = len(ours) - 1  # behind what the model wrote in the place of that
            if position is not None and position < len(ours):
                yield _Placed(Spot.BEFORE, ours[position], node)
            elif not isinstance(ours[-1], _FINAL):
                yield _Placed(Spot.AFTER, ours[-1], node)


def _items(block: Sequence[ast.stmt], known: frozenset[str]) -> tuple[list[_Item], list[ast.Assert]]:
    """The statements of a block with what was added to each, and what was added at its end.

    Args:
        block: Of a reply.
        known: Keys of the original's statements.
    """
    items: list[_Item] = []
    waiting: list[ast.Assert] = []
    position = 0
    while position < len(block):
        node = block[position]
        if (folded := _folded(block, position, known)) is not None:
            item, position = folded
            item.above, waiting = waiting, []
            items.append(item)
            continue
        if isinstance(node, ast.Assert) and _key(node) not in known:
            waiting.append(node)
        else:
            items.append(_Item(_key(node), node, waiting))
            waiting = []
        position += 1
    return items, waiting


def _folded(block: Sequence[ast.stmt], position: int, known: frozenset[str]) -> tuple[_Item, int] | None:
    """A value that gets a name, is asserted something of and returned, as one item; and the position behind it."""
    match block[position]:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ):
            pass
        case _:
            return None
    key = _key(ast.Return(value))
    if key not in known or _key(block[position]) in known:
        return None
    end = position + 1
    inside: list[ast.Assert] = []
    while end < len(block) and isinstance(node := block[end], ast.Assert):
        inside.append(node)
        end += 1
    if end == len(block) or _key(block[end]) != _key(ast.Return(ast.Name(name, ast.Load()))):
        return None
    return _Item(key, block[end], inside=inside, name=name), end + 1


def _key(node: ast.stmt) -> str:
    """A statement without the blocks inside it."""
    if isinstance(node, DefinitionNode) or not blocks(node):
        return ast.dump(node)
    parts = [
        ast.dump(value) if isinstance(value, ast.AST) else _headers(value)
        for name, value in ast.iter_fields(node)
        if name not in {"body", "orelse", "finalbody"}
    ]
    return f"{type(node).__name__} {' '.join(parts)}"


def _headers(value: object) -> str:
    """Handlers, cases and context managers without what runs in them."""
    parts = value if isinstance(value, list) else [value]
    return " ".join(
        ast.dump(field) for part in parts for field in ([part] if isinstance(part, ast.withitem) else _fields(part))
    )


def _fields(part: object) -> Iterator[ast.AST]:
    if isinstance(part, ast.ExceptHandler | ast.match_case):
        yield from (value for _, value in ast.iter_fields(part) if isinstance(value, ast.AST))


def _undocumented(function: FunctionNode) -> list[ast.stmt]:
    return function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body


def _yields(function: FunctionNode) -> bool:
    """Whether a function is a generator; one inside it does not make it one, and is taken for it all the same."""
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function))


def _is_expression(text: str, expression: ast.expr) -> bool:
    try:
        return ast.dump(ast.parse(text, mode="eval").body) == ast.dump(expression)
    except (SyntaxError, ValueError):
        return False


def _renamed(test: ast.expr, old: str, new: str) -> ast.expr:
    class Renaming(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.Name:
            return ast.Name(new, node.ctx) if node.id == old else node

    return ast.parse(ast.unparse(Renaming().visit(test)), mode="eval").body
