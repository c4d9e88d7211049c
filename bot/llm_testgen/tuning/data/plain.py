"""A test of a suite → plain functions: no class, no unittest, no parameters, one row and one behaviour each.

What comes out is written anew from the syntax tree, in one style. Whether it still passes is for a run to say.
"""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from llm_testgen.records import Method
from llm_testgen.repairs.assertions import asserts
from llm_testgen.repairs.edits import read_names, stored_names
from llm_testgen.source import FunctionNode, single_definition
from llm_testgen.tuning.data.style import in_our_style
from llm_testgen.tuning.data.suite import Needs, Suite, UnfitError, dotted, origin_of
from llm_testgen.tuning.data.unittests import without_self

_One = TypeVar("_One")
_FIXTURES = frozenset({"capfd", "caplog", "capsys", "monkeypatch", "recwarn", "tmp_path"})
# What the rules of our prompts leave out.
_FORBIDDEN = frozenset(
    {"asyncio", "http", "multiprocessing", "random", "secrets", "signal", "socket", "subprocess", "threading", "time"}
)
_SKIPS = frozenset({"pytest.skip", "pytest.importorskip", "pytest.xfail"})
_MOST_VARIANTS = 24
LONGEST_LINE = 110  # characters
_LONGEST_TEST = 14  # lines
_MOST_ASSERTIONS = 2


@dataclass(frozen=True, slots=True)
class PlainTest:
    """A test that stands by itself.

    Attributes:
        origin: The test of the suite that it was made from.
        code: The function.
        needs: What it needs beside it.
    """

    origin: Method
    code: str
    needs: Needs

    @property
    def module(self) -> str:
        """It as a module that pytest can run."""
        head = "\n".join(dict.fromkeys(["import pytest", *self.needs.imports.values()]))
        return "\n\n\n".join([head, *self.needs.helpers, self.code]) + "\n"


def plain_tests(test: Method, suite: Suite) -> tuple[PlainTest, ...]:
    """The plain functions that one test of a suite makes: at most so many, spread over all that it could.

    Args:
        test: A function, or a method of a class.
        suite: The file that it stands in.

    Raises:
        UnfitError: It makes none.
    """
    node = single_definition(test.source)
    if not isinstance(node, ast.FunctionDef):
        msg = "it is asynchronous" if isinstance(node, FunctionNode) else "it cannot be read"
        raise UnfitError(msg)
    holder = suite.class_of(test.qualname)
    if holder is not None and holder.decorator_list:
        msg = "its class is decorated"
        raise UnfitError(msg)
    rows = list(_rows(node, suite))
    node.decorator_list, node.returns = [], None
    if holder is not None:
        without_self(node)
    _tidy(node)
    forms = [form for row in _spread(rows) for form in _forms(_with_values(node, row))]
    texts = list(dict.fromkeys(text for form in forms if (text := _written(form))))
    if not texts:
        msg = "it is long, or asserts nothing by itself"
        raise UnfitError(msg)
    return tuple(_needing(test, suite, text) for text in _spread(texts))


def _needing(test: Method, suite: Suite, text: str) -> PlainTest:
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)  # noqa: S101 - it was written as one
    needs = suite.needs(function)
    used = {origin_of(statement).partition(".")[0] for statement in needs.imports.values()}
    if not _FORBIDDEN.isdisjoint(used | _imported_in(function)):
        msg = "it uses chance, the clock, the network or other processes"
        raise UnfitError(msg)
    strange = {argument.arg for argument in function.args.args} - _FIXTURES
    if strange or function.args.kwonlyargs or function.args.vararg or function.args.kwarg:
        msg = "it needs a fixture of the project"
        raise UnfitError(msg)
    return PlainTest(test, text, needs)


def _imported_in(function: ast.FunctionDef) -> set[str]:
    """The top-level packages that a test imports itself."""
    nodes = list(ast.walk(function))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def _tidy(node: ast.FunctionDef) -> None:
    """Takes out what says nothing to a model: annotations and the docstring."""
    for argument in node.args.args:
        argument.annotation = None
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(node.body) > 1:
        del node.body[0]


def _rows(node: ast.FunctionDef, suite: Suite) -> Iterator[Mapping[str, ast.expr]]:
    """The values of each row of a parametrised test; one row without any for another test."""
    columns = [list(_parameters(decorator, suite)) for decorator in node.decorator_list]
    for chosen in itertools.islice(itertools.product(*columns), _MOST_VARIANTS * _MOST_VARIANTS):
        yield {name: value for row in chosen for name, value in row.items()}


def _parameters(decorator: ast.expr, suite: Suite) -> Iterator[Mapping[str, ast.expr]]:
    match decorator:
        case ast.Call(func=function, args=[names, values, *_], keywords=keywords) if dotted(function).endswith(
            "mark.parametrize"
        ):
            if any(keyword.arg == "indirect" for keyword in keywords):
                msg = "its parameters go through fixtures"
                raise UnfitError(msg)
            yield from _written_rows(_names(names), values, suite)
        case _:
            msg = "it is marked or decorated"
            raise UnfitError(msg)


def _names(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [name.strip() for name in text.split(",") if name.strip()]
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    msg = "its parameters are not written out"
    raise UnfitError(msg)


def _written_rows(names: Sequence[str], values: ast.expr, suite: Suite) -> Iterator[Mapping[str, ast.expr]]:
    if isinstance(values, ast.Name):
        values = suite.constant(values.id) or values
    if not isinstance(values, ast.List | ast.Tuple):
        msg = "its parameters are not written out"
        raise UnfitError(msg)
    for element in values.elts:
        match element:
            case ast.Call(func=function, args=parts, keywords=keywords) if dotted(function) == "pytest.param":
                if any(keyword.arg == "marks" for keyword in keywords):
                    continue
            case ast.Tuple(elts=parts) | ast.List(elts=parts) if len(names) > 1:
                pass
            case _:
                parts = [element]
        if len(parts) == len(names):
            yield dict(zip(names, parts, strict=True))


def _with_values(node: ast.FunctionDef, row: Mapping[str, ast.expr]) -> ast.FunctionDef:
    """A copy of a test with values in the places of some arguments."""
    node = copy.deepcopy(node)
    if any(isinstance(one, ast.Name) and one.id in row and isinstance(one.ctx, ast.Store) for one in ast.walk(node)):
        msg = "it binds its own parameters anew"
        raise UnfitError(msg)
    node.args.args = [argument for argument in node.args.args if argument.arg not in row]
    node.body = [_Filled(row).visit(statement) for statement in node.body]
    return node


class _Filled(ast.NodeTransformer):
    """Puts values in the places of names, and written-out arguments in those of ``*args`` and ``**kwargs``."""

    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        value = self._values.get(node.id)
        return node if value is None or not isinstance(node.ctx, ast.Load) else copy.deepcopy(value)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        node.args = [part for argument in node.args for part in _unpacked(argument)]
        node.keywords = [part for keyword in node.keywords for part in _unpacked_keyword(keyword)]
        return node


def _unpacked(argument: ast.expr) -> list[ast.expr]:
    match argument:
        case ast.Starred(value=ast.List(elts=parts) | ast.Tuple(elts=parts)):
            return parts
    return [argument]


def _unpacked_keyword(keyword: ast.keyword) -> list[ast.keyword]:
    match keyword:
        case ast.keyword(arg=None, value=ast.Dict(keys=keys, values=values)):
            names = [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
            if len(names) == len(values) and all(name.isidentifier() for name in names):
                return [ast.keyword(name, value) for name, value in zip(names, values, strict=True)]
    return [keyword]


def _forms(node: ast.FunctionDef) -> Iterator[ast.FunctionDef]:
    """A test as it is if it is small, else one function for each assertion, with what stands before it."""
    for unrolled in _unrolled(node):
        places = [number for number, statement in enumerate(unrolled.body) if asserts(statement)]
        if len(places) <= _MOST_ASSERTIONS:
            yield unrolled
        if len(places) > 1:
            for place in places:
                last = unrolled.body[place]
                before = [
                    statement
                    for statement in unrolled.body[:place]
                    if not asserts(statement) or _given_by(statement) & read_names(last)
                ]
                yield _with_body(unrolled, _used([*before, last]))


def _given_by(statement: ast.stmt) -> set[str]:
    """The names under which a block gives what was raised in it, and the like."""
    items = statement.items if isinstance(statement, ast.With) else ()
    return {name for item in items if item.optional_vars is not None for name in stored_names(item.optional_vars)}


def _unrolled(node: ast.FunctionDef) -> Iterator[ast.FunctionDef]:
    """One function for each turn of a loop over values that are written out; the test itself where there is none."""
    for number, loop in enumerate(node.body):
        if isinstance(loop, ast.For) and asserts(loop) and (turns := _turns(loop, node.body[:number])):
            for turn in _spread(turns):
                others = [one for one in node.body[:number] if not asserts(one)]
                inner = [_Filled(turn).visit(copy.deepcopy(one)) for one in loop.body]
                yield _with_body(node, _used([*others, *inner]))
            return
    yield node


def _turns(loop: ast.For, before: Sequence[ast.stmt]) -> list[Mapping[str, ast.expr]]:
    """The values of a loop's variables in each turn; none where they are not written out."""
    values = loop.iter
    for statement in before if isinstance(values, ast.Name) else ():
        match statement, loop.iter:
            case ast.Assign(targets=[ast.Name(id=name)], value=value), ast.Name(id=wanted) if name == wanted:
                values = value
    match loop.target:
        case ast.Name(id=name):
            names = [name]
        case ast.Tuple(elts=parts) if all(isinstance(part, ast.Name) for part in parts):
            names = [part.id for part in parts if isinstance(part, ast.Name)]
        case _:
            return []
    breaks = any(isinstance(one, ast.Break | ast.Continue) for one in ast.walk(loop))
    if not isinstance(values, ast.List | ast.Tuple) or breaks or loop.orelse:
        return []
    rows = [
        [row] if isinstance(loop.target, ast.Name) else row.elts if isinstance(row, ast.Tuple | ast.List) else []
        for row in values.elts
    ]
    return [dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names)]


def _with_body(node: ast.FunctionDef, body: list[ast.stmt]) -> ast.FunctionDef:
    made = copy.copy(node)
    made.body = body
    return made


def _used(body: list[ast.stmt]) -> list[ast.stmt]:
    """Statements without those that only bind names which nothing after them reads."""
    kept: list[ast.stmt] = []
    read: set[str] = set()
    for statement in reversed(body):
        bound = _binds(statement)
        if kept and bound and not bound & read:
            continue
        kept.append(statement)
        read -= bound
        read |= read_names(statement)
    return kept[::-1]


def _binds(statement: ast.stmt) -> set[str]:
    """The names that a statement binds, if it does nothing else."""
    match statement:
        case ast.Assign(targets=targets) if all(isinstance(one, ast.Name | ast.Tuple) for one in targets):
            return {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {(one.asname or one.name).partition(".")[0] for one in names}
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
    return set()


def _written(node: ast.FunctionDef) -> str:
    """A test as text; empty if it is too long, or asserts nothing."""
    try:
        text = in_our_style(node)
    except ValueError:
        return ""  # ast cannot write every text within a text
    lines = text.split("\n")
    if (
        not asserts(node)
        or _is_winding(node)
        or len(lines) > _LONGEST_TEST
        or any(len(line) > LONGEST_LINE for line in lines)
    ):
        return ""
    return text


def _is_winding(node: ast.FunctionDef) -> bool:
    """Whether what a test checks depends on something, or whether it checks anything at all."""
    return any(
        isinstance(one, ast.Try | ast.If | ast.While | ast.Match)
        or (isinstance(one, ast.Call) and dotted(one.func) in _SKIPS)
        for one in ast.walk(node)
    )


def _spread(values: Sequence[_One]) -> Sequence[_One]:
    """At most so many of some values, from all over them."""
    if len(values) <= _MOST_VARIANTS:
        return values
    return [values[number * len(values) // _MOST_VARIANTS] for number in range(_MOST_VARIANTS)]
