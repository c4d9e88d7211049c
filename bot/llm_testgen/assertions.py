"""What an assertion may say that is added to a program: questions whose answer changes nothing.

Whatever stands here is only a question about values: no call of the project's own code, nothing that is assigned,
awaited or used up. The same rules hold for what a model wrote and for what another job claims that it wrote.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

from llm_testgen.source import FunctionNode, SourceError, parse_tree


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LONGEST_STATEMENT = 110
_LONGEST_MESSAGE = 60
_MOST_NODES = 80
_HIGHEST_POWER = 4

# Built-in functions that only look at what they are given.
FUNCTIONS = _words(
    "abs all any bool bytes callable enumerate float frozenset hasattr int isinstance issubclass len list max min range"
    " round set sorted str sum tuple type zip"
)
# Those that go through what they are given, which uses an iterator up.
_ITERATING = _words("all any bytes enumerate frozenset list max min set sorted sum tuple zip")
_PURE = (
    *(ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare, ast.IfExp, ast.Constant, ast.Name, ast.Subscript, ast.Slice),
    *(ast.Tuple, ast.List, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.keyword),
    *(ast.boolop, ast.unaryop, ast.cmpop, ast.expr_context),
    # No shift: it can make a number that no memory holds. No `@`: it is always somebody's own.
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr, ast.BitXor),
)
_DISPLAY = ast.List | ast.Tuple | ast.Set | ast.Dict | ast.ListComp | ast.SetComp | ast.DictComp | ast.JoinedStr
# What can be gone through again and again, as annotations and calls name it.
_LASTING = _words(
    "Collection Counter DefaultDict Dict FrozenSet List Mapping MutableMapping MutableSequence MutableSet OrderedDict"
    " Sequence Set Tuple bytearray bytes defaultdict deque dict frozenset list range set sorted str tuple"
)
_FLEETING = _words("Any AsyncIterator Generator Iterable Iterator object")
_OF_CONTAINERS = _words("append count extend index insert items keys pop remove sort split strip update values")


def assertion_of(line: str) -> ast.Assert | None:
    """The assertion that a line is, if it is one, in one line, and pure."""
    if len(line) > LONGEST_STATEMENT or not line.isprintable():
        return None
    try:
        body = parse_tree(line).body
    except SourceError:
        return None
    found = body[0] if len(body) == 1 else None
    if not isinstance(found, ast.Assert) or not is_message(found.msg) or not is_pure(found.test):
        return None
    # A comment behind it would say something that nobody has proved.
    return found if len(line.encode()) == found.end_col_offset else None


def is_message(node: ast.expr | None) -> bool:
    """Whether an assertion has no message, or a short one that is nothing but words."""
    if node is None:
        return True
    text = node.value if isinstance(node, ast.Constant) else None
    return isinstance(text, str) and len(text) <= _LONGEST_MESSAGE and text.isprintable()


def is_pure(test: ast.expr) -> bool:
    """Whether an expression asks about values with nothing but operators, attributes and a few built-in functions."""
    nodes = list(ast.walk(test))
    return len(nodes) <= _MOST_NODES and all(map(_is_pure, nodes))


def called(test: ast.expr) -> frozenset[str]:
    """Names of the functions that an expression calls."""
    return frozenset(
        node.func.id for node in ast.walk(test) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )


def names_in(node: ast.AST) -> frozenset[str]:
    """Names that a node mentions, parameters included."""
    found = {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}
    return frozenset(found | {child.arg for child in ast.walk(node) if isinstance(child, ast.arg)})


def is_trivial(test: ast.expr) -> bool:
    """Whether an expression can be seen to hold always, or always to fail, whatever the code does."""
    match test:
        case ast.Tuple() | ast.List() | ast.Set() | ast.Dict() | ast.GeneratorExp():
            return True
        case ast.BoolOp(values=values):
            return any(map(is_trivial, values))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return is_trivial(operand)
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [left, *others]
            pairs = list(itertools.pairwise(sides))
            alike = any(ast.dump(one) == ast.dump(other) for one, other in pairs)
            return alike or (len(ops) == 1 and _is_no_length(left, ops[0], others[0])) or not _asks(test)
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, ast.Name(id="object")]):
            return True
        case _:
            return not _asks(test)


def restates(test: ast.expr, value: ast.expr, name: str) -> bool:
    """Whether an expression says of a name just that it is what was assigned to it."""
    said = ast.dump(value)
    for node in ast.walk(test):
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq | ast.Is):
            sides = (node.left, node.comparators[0])
            is_name = [isinstance(side, ast.Name) and side.id == name for side in sides]
            if any(is_name) and any(ast.dump(side) == said for side in sides):
                return True
    return False


def uses_up(test: ast.expr, function: FunctionNode, name: str = "", value: ast.expr | None = None) -> bool:
    """Whether an expression goes through something that may be an iterator, of which less would be left then.

    Args:
        test: The expression.
        function: The function that it is to stand in.
        name: A name that it has for the value that is returned; empty for none.
        value: That value.
    """
    own = {
        child.id
        for node in ast.walk(test)
        if isinstance(node, ast.comprehension)
        for child in ast.walk(node.target)
        if isinstance(child, ast.Name)
    }
    for one in _gone_through(test):
        if isinstance(one, ast.Name) and one.id not in own and not _is_lasting_in(test, one.id):
            known = _is_lasting_value(value, function) if one.id == name else _is_lasting(one.id, function)
            if not known:
                return True
    return False


def _is_pure(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name), args=arguments):
            pure = name in FUNCTIONS and not any(isinstance(argument, ast.Starred) for argument in arguments)
        case ast.Attribute(attr=attr):
            pure = not attr.startswith("__")
        case ast.BinOp(op=ast.Pow(), right=right):
            power = right.value if isinstance(right, ast.Constant) else None
            pure = isinstance(power, int) and power <= _HIGHEST_POWER
        case ast.comprehension(target=target, is_async=is_async):
            bound = (child for child in ast.walk(target) if not isinstance(child, ast.expr_context))
            pure = not is_async and all(isinstance(child, ast.Name | ast.Tuple) for child in bound)
        case _:
            pure = isinstance(node, _PURE)
    return pure


def _asks(test: ast.expr) -> bool:
    """Whether it is about anything but constants and functions."""
    return bool(names_in(test) - FUNCTIONS - {"None", "True", "False"})


def _is_no_length(left: ast.expr, op: ast.cmpop, right: ast.expr) -> bool:
    """Whether a comparison says that a length, or something absolute, is not negative."""
    is_size = isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id in {"len", "abs"}
    return is_size and isinstance(op, ast.GtE) and isinstance(right, ast.Constant) and right.value == 0


def _gone_through(test: ast.expr) -> Iterator[ast.expr]:
    for node in ast.walk(test):
        match node:
            case ast.comprehension(iter=iterated):
                yield iterated
            case ast.Call(func=ast.Name(id="max" | "min"), args=[_, _, *_]):
                pass  # these it compares
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in _ITERATING:
                yield from arguments
            case ast.Compare(ops=ops, comparators=others):
                yield from (other for op, other in zip(ops, others, strict=True) if isinstance(op, ast.In | ast.NotIn))


def _is_lasting_in(test: ast.AST, name: str) -> bool:
    """Whether code asks for a thing's length, looks into it by a key, or does what only containers can do."""
    for node in ast.walk(test):
        match node:
            case ast.Call(func=ast.Name(id="len"), args=[ast.Name(id=found)]) if found == name:
                return True
            case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=found), types]) if found == name:
                if _is_lasting_type(types):
                    return True
            case ast.Subscript(value=ast.Name(id=found)) if found == name:
                return True
            case ast.Attribute(value=ast.Name(id=found), attr=attr) if found == name and attr in _OF_CONTAINERS:
                return True
    return False


def _is_lasting(name: str, function: FunctionNode) -> bool:
    arguments = function.args
    for one in (arguments.vararg, arguments.kwarg):
        if one and one.arg == name:
            return True
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if argument.arg == name and argument.annotation is not None:
            return _is_lasting_type(argument.annotation)
    values = [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == name
    ]
    if values and all(isinstance(value, ast.expr) and _is_lasting_expression(value) for value in values):
        return True
    return _is_lasting_in(function, name)


def _is_lasting_value(value: ast.expr | None, function: FunctionNode) -> bool:
    if value is None:
        return False
    if isinstance(value, ast.Name) and _is_lasting(value.id, function):
        return True
    is_annotated = function.returns is not None and _is_lasting_type(function.returns)
    return is_annotated or _is_lasting_expression(value)


def _is_lasting_expression(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=constant):
            return isinstance(constant, str | bytes)
        case ast.Call(func=ast.Name(id=name)):
            return name in _LASTING
        case ast.Call(func=ast.Attribute(attr=attr)):
            return attr in {"join", "split", "splitlines", "strip", "lower", "upper", "replace", "format"}
        case _:
            return isinstance(value, _DISPLAY)


def _is_lasting_type(annotation: ast.expr) -> bool:
    names: set[str] = set()
    for node in ast.walk(annotation):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.update("".join(c if c.isidentifier() or c.isdigit() else " " for c in node.value).split())
    names |= {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(annotation) if isinstance(node, ast.Attribute)}
    return bool(names & _LASTING) and not names & _FLEETING


def bound_in(node: ast.AST) -> frozenset[str]:
    """Names that code gives a meaning of its own, in whatever way."""
    found: set[str] = set()
    for child in ast.walk(node):
        match child:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.alias(name=name, asname=asname):
                found.add((asname or name).partition(".")[0])
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
    return frozenset(found)
