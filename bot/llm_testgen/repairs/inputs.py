"""Repairs of what the code under test is given: objects that lack what it reads of them, arguments that it lacks."""

from __future__ import annotations

import ast
import re

from llm_testgen.paths import is_test
from llm_testgen.records import Candidate
from llm_testgen.repairs.assertions import called_name
from llm_testgen.repairs.base import Case
from llm_testgen.repairs.edits import Change, Code, block_text, blocks, own_nodes, with_imports
from llm_testgen.source import FunctionNode

_OF_DICT = re.compile(r"'dict' object has no attribute '(?P<name>\w+)'")
_OF_NAMESPACE = re.compile(r"'(?:\w+\.)*(?:Simple)?Namespace' object has no attribute '(?P<name>\w+)'")
_UNEXPECTED = re.compile(r"(?P<function>[\w.<>]+)\(\) got an unexpected keyword argument '(?P<name>\w+)'")
_BYTES_WANTED = re.compile(r"a bytes-like object is required, not 'str'|expected bytes, str found|must be bytes")
_WRITES = frozenset({"touch", "write_text", "write_bytes", "symlink_to"})
_NAMESPACES = {"Namespace", "SimpleNamespace"}


def give_attributes(case: Case) -> Candidate | None:
    """Give an object with attributes where the code under test was given a dict and reads attributes."""
    missing = _OF_DICT.search(case.failure.message)
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    if missing is None or code is None or test is None or not _is_read_by_project(case):
        return None
    given = [
        value
        for value in _given(test)
        if isinstance(value, ast.Dict)
        and value.keys
        and all(map(_is_name, value.keys))
        and not _is_subscripted(value, test)
    ]
    telling = [value for value in given if missing["name"] in map(_text, value.keys)] or given
    changes: list[Change] = []
    for value in telling:
        pairs = zip(value.keys, value.values, strict=True)
        keywords = ", ".join(f"{_text(key)}={ast.unparse(entry)}" for key, entry in pairs)
        changes.append((value, f"SimpleNamespace({keywords})"))
    text = code.changed(changes) if changes else None
    if text is None:
        return None
    said = f"gave an object with attributes where it was a dict: the code reads `.{missing['name']}`"
    return case.candidate.repaired(with_imports(text, ["from types import SimpleNamespace"]), said)


def add_attribute(case: Case) -> Candidate | None:
    """Give a plain object the attribute that the code under test reads of it: None."""
    missing = _OF_NAMESPACE.search(case.failure.message)
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    if missing is None or code is None or test is None or not _is_read_by_project(case):
        return None
    changes: list[Change] = []
    for node in own_nodes(test):
        if isinstance(node, ast.Call) and called_name(node) in _NAMESPACES and not node.args:
            keywords = [keyword.arg for keyword in node.keywords]
            if missing["name"] not in keywords:
                added = ast.keyword(missing["name"], ast.Constant(None))
                changes.append((node, ast.unparse(ast.Call(node.func, [], [*node.keywords, added]))))
    text = code.changed(changes) if changes else None
    said = f"gave a plain object the attribute `{missing['name']}`, which the code reads: None"
    return case.candidate.repaired(text, said) if text else None


def drop_keyword(case: Case) -> Candidate | None:
    """Call without a keyword argument that there is not."""
    unexpected = _UNEXPECTED.search(case.failure.message)
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    if unexpected is None or code is None or test is None:
        return None
    name = unexpected["name"]
    function = unexpected["function"].rpartition(".")[2]
    changes: list[Change] = []
    for node in own_nodes(test):
        if isinstance(node, ast.Call) and any(keyword.arg == name for keyword in node.keywords):
            made = function in {"__init__", "__new__"} and called_name(node)[:1].isupper()
            if called_name(node) == function or made:
                keywords = [keyword for keyword in node.keywords if keyword.arg != name]
                changes.append((node, ast.unparse(ast.Call(node.func, node.args, keywords))))
    text = code.changed(changes) if changes else None
    said = f"called `{function}` without `{name}`, which it does not take"
    return case.candidate.repaired(text, said) if text else None


def pass_bytes(case: Case) -> Candidate | None:
    """Pass text as bytes where it was refused."""
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    if code is None or test is None or not _BYTES_WANTED.search(case.failure.message):
        return None
    given = [
        argument
        for node in own_nodes(test)
        if isinstance(node, ast.Call) and node.lineno <= case.failure.line <= (node.end_lineno or node.lineno)
        for argument in node.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    text = code.changed([(one, repr(str(one.value).encode())) for one in given]) if given else None
    return case.candidate.repaired(text, "passed bytes where text was refused") if text else None


def make_folder(case: Case) -> Candidate | None:
    """Make the folder of a file that the test itself writes."""
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    in_test = bool(case.failure.trace) and is_test(case.failure.trace[-1].partition(":")[0])
    if code is None or test is None or case.failure.kind != "FileNotFoundError" or not in_test:
        return None
    for block in blocks(test):
        for statement in block:
            match statement:
                case ast.Expr(value=ast.Call(func=ast.Attribute(value=path, attr=name))) if (
                    name in _WRITES and statement.lineno <= case.failure.line <= (statement.end_lineno or 0)
                ):
                    made = (
                        f"{ast.unparse(ast.Attribute(path, 'parent', ast.Load()))}.mkdir(parents=True, exist_ok=True)"
                    )
                    text = code.changed([(statement, f"{made}\n{block_text(code, [statement])}")])
                    return case.candidate.repaired(text, "made the folder that it writes to") if text else None
    return None


def _is_read_by_project(case: Case) -> bool:
    last = case.failure.trace[-1] if case.failure.trace else ""
    return bool(last) and not is_test(last.partition(":")[0])


def _given(test: FunctionNode) -> list[ast.expr]:
    """What a test gives to calls, as it is written or by a variable."""
    bound = {
        node.targets[0].id: node.value
        for node in own_nodes(test)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    found: list[ast.expr] = []
    for node in own_nodes(test):
        if isinstance(node, ast.Call):
            arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
            found += [bound.get(one.id, one) if isinstance(one, ast.Name) else one for one in arguments]
    return list(dict.fromkeys(found))


def _is_name(key: ast.expr | None) -> bool:
    return _text(key).isidentifier()


def _text(key: ast.expr | None) -> str:
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""


def _is_subscripted(value: ast.Dict, test: FunctionNode) -> bool:
    """Whether the test itself reads a dict by its keys."""
    names = {
        node.targets[0].id
        for node in own_nodes(test)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.value is value
    }
    return any(isinstance(node, ast.Subscript) and ast.unparse(node.value) in names for node in own_nodes(test))
