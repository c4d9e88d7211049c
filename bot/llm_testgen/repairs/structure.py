"""Repairs of a test's shape: methods outside of classes, classes that pytest does not know what to do with."""

from __future__ import annotations

import ast
import re

from llm_testgen.records import Candidate
from llm_testgen.repairs.assertions import assertions, claim_of
from llm_testgen.repairs.base import Case
from llm_testgen.repairs.edits import Change, Code, own_nodes, with_imports
from llm_testgen.source import FunctionNode

_NO_SELF = re.compile(r"\('(?:self|cls)', <\w*Request|fixture '(?:self|cls)' not found")
_NO_METHOD = re.compile(r"object has no attribute '(?:assert|fail|subTest)\w*'")
_RAISERS = {"assertRaises": "pytest.raises", "assertRaisesRegex": "pytest.raises", "assertWarns": "pytest.warns"}


def drop_self(case: Case) -> Candidate | None:
    """Make a function of a method that stands outside of a class."""
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    if code is None or test is None or "::" in case.candidate.name or not _NO_SELF.search(case.failure.message):
        return None
    own = test.args.args[0].arg if test.args.args else ""
    changes, imports = _plain_assertions(test, code)
    mended = {id(node) for changed, _ in changes for node in ast.walk(changed)}
    left = [
        node for node in own_nodes(test) if isinstance(node, ast.Name) and node.id == own and id(node) not in mended
    ]
    if own not in {"self", "cls"} or left:
        return None
    kept = ast.arguments([], test.args.args[1:], None, test.args.kwonlyargs, test.args.kw_defaults, None, [])
    text = code.with_arguments(test, ast.unparse(kept), changes)
    return (
        case.candidate.repaired(with_imports(text, imports), f"made a function of it, without `{own}`")
        if text
        else None
    )


def plain_assertions(case: Case) -> Candidate | None:
    """Write ``assert`` for the methods of unittest in a class that does not have them."""
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    if code is None or test is None or not _NO_METHOD.search(case.failure.message):
        return None
    changes, imports = _plain_assertions(test, code)
    text = code.changed(changes) if changes else None
    said = "wrote `assert` for the methods of unittest, which its class does not have"
    return case.candidate.repaired(with_imports(text, imports), said) if text else None


def _plain_assertions(test: FunctionNode, code: Code) -> tuple[list[Change], list[str]]:
    """Changes that turn unittest's assertions into plain ones, and what these need."""
    changes: list[Change] = []
    for node in assertions(test):
        if isinstance(node, ast.With):
            changes += _plain_raises(node)
        elif not isinstance(node, ast.Assert) and (claim := claim_of(node)) is not None:
            changes.append((node, f"assert {ast.unparse(claim)}"))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            changes += _plain_call(node, node.value, code)
    texts = " ".join(text for _, text in changes)
    wanted = {"pytest.": "import pytest", "re.search": "import re"}
    return changes, [statement for use, statement in wanted.items() if use in texts]


def _plain_raises(node: ast.With) -> list[Change]:
    """``with self.assertRaises(E)`` as ``with pytest.raises(E)``."""
    changes: list[Change] = []
    for item in node.items:
        match item.context_expr:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name), args=[kind, *rest]) as call:
                if name in _RAISERS:
                    pattern = f", match={ast.unparse(rest[0])}" if rest else ""
                    changes.append((call, f"{_RAISERS[name]}({ast.unparse(kind)}{pattern})"))
    return changes


def _plain_call(node: ast.stmt, call: ast.Call, code: Code) -> list[Change]:
    """``self.assertRaises(E, f, x)`` as a block with the call in it."""
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr="assertRaises"), args=[kind, function, *rest]):
            given = [*map(ast.unparse, rest), *(ast.unparse(keyword) for keyword in call.keywords)]
            line = f"{code.segment(function)}({', '.join(given)})"
            return [(node, f"with pytest.raises({ast.unparse(kind)}):\n    {line}")]
    return []
