"""Repairs of a test's arguments, each of which pytest takes for a fixture."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from llm_testgen.records import Candidate
from llm_testgen.repairs.base import Case, closest
from llm_testgen.repairs.constructors import made_without_arguments
from llm_testgen.repairs.edits import Change, Code, block_text, own_nodes, with_imports
from llm_testgen.repairs.origins import parametrized
from llm_testgen.source import FunctionNode

_NOT_FOUND = re.compile(r"\('(?P<name>\w+)', <\w*Request|fixture '(?P<other>\w+)' not found")
_OF_PYTEST = (
    "caplog",
    "capsys",
    "capfd",
    "monkeypatch",
    "recwarn",
    "request",
    "tmp_path",
    "tmp_path_factory",
)
_MEANT = {
    "tmp": "tmp_path",
    "tmpdir": "tmp_path",
    "tmp_dir": "tmp_path",
    "temp_dir": "tmp_path",
    "tempdir": "tmp_path",
    "temp_path": "tmp_path",
    "temporary_directory": "tmp_path",
    "monkey_patch": "monkeypatch",
    "cap_sys": "capsys",
}
# What pytest-mock offers that unittest.mock has under the same name and that needs no undoing.
_PLAIN_MOCKS = frozenset({"ANY", "AsyncMock", "DEFAULT", "MagicMock", "Mock", "PropertyMock", "call", "mock_open"})
_MOCKER = "mocker"


def mend_argument(case: Case) -> Candidate | None:
    """Do without an argument that is no fixture, or take the one that was meant."""
    missing = _NOT_FOUND.search(case.failure.message)
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    if missing is None or code is None or test is None:
        return None
    name = missing["name"] or missing["other"]
    argument = next((one for one in [*test.args.args, *test.args.kwonlyargs] if one.arg == name), None)
    if argument is None or name == "self" or name in parametrized(test):
        return None
    reads = [node for node in own_nodes(test) if isinstance(node, ast.Name) and node.id == name]
    if not reads:
        return _without(
            case, code, test, argument, _Change(f"dropped the argument `{name}`, which the test does not use")
        )
    if isinstance(reads[-1].ctx, ast.Load) and (meant := _meant(name, case)):
        text = code.changed([(argument, meant), *((node, meant) for node in reads)])
        return case.candidate.repaired(text, f"took the fixture `{name}` for `{meant}`") if text else None
    if name == _MOCKER:
        return _plain_mocks(case, code, test, argument)
    return _made(case, code, test, argument)


def _meant(name: str, case: Case) -> str | None:
    known = [*case.names.fixtures(), *_OF_PYTEST]
    return _MEANT.get(name.lower()) or closest(name, known)


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to be changed along with an argument, what that needs, and what is to be said of it."""

    said: str
    changes: tuple[Change, ...] = ()
    imports: tuple[str, ...] = ()


def _without(case: Case, code: Code, test: FunctionNode, argument: ast.arg, change: _Change) -> Candidate | None:
    """The test without one of its arguments."""
    arguments = test.args
    kept = ast.arguments(
        [],
        [one for one in (*arguments.posonlyargs, *arguments.args) if one is not argument],
        arguments.vararg,
        [one for one in arguments.kwonlyargs if one is not argument],
        [None for one in arguments.kwonlyargs if one is not argument],
        arguments.kwarg,
        [],
    )
    text = code.with_arguments(test, ast.unparse(kept), change.changes)
    return case.candidate.repaired(with_imports(text, change.imports), change.said) if text else None


def _plain_mocks(case: Case, code: Code, test: FunctionNode, argument: ast.arg) -> Candidate | None:
    """Use unittest's mocks in place of those of a plugin that is not there."""
    uses = [node for node in ast.walk(test) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == _MOCKER]
    if not {node.attr for node in uses} <= _PLAIN_MOCKS:
        return None
    changes = tuple((node, f"mock.{node.attr}") for node in uses)
    said = "used unittest.mock in place of pytest-mock, which is not there"
    return _without(case, code, test, argument, _Change(said, changes, ("from unittest import mock",)))


def _made(case: Case, code: Code, test: FunctionNode, argument: ast.arg) -> Candidate | None:
    """Make the object that an argument is named after: ``Parser()`` for ``parser``."""
    found = made_without_arguments(argument.arg, case)
    if found is None:
        return None
    name, statement = found
    first = test.body[0]
    change = (first, f"{argument.arg} = {name}()\n{block_text(code, [first])}")
    said = f"made `{argument.arg}` by `{name}()`, since there is no such fixture"
    return _without(case, code, test, argument, _Change(said, (change,), (statement,)))
