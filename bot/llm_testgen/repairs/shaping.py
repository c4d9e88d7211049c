"""Shapes of tests that pytest would not run, or not as they are meant, put right one top-level statement at a time."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

from llm_testgen.repairs.assertions import asserts
from llm_testgen.repairs.edits import Change, Code, block_text, own_nodes
from llm_testgen.source import DefinitionNode, FunctionNode
from llm_testgen.statements import Piece, pieces_of_module

_READ_OUTPUT = frozenset({"capsys", "capfd", "capsysbinary", "capfdbinary"})
_CLASS_ENDINGS = ("Test", "Tests", "TestCase")


def unfolded(piece: Piece) -> Iterator[Piece]:
    """What stands in a block that stands for it: ``if __name__ == …``, a ``try`` around imports, a test of tests."""
    node = piece.node
    inner: Sequence[ast.stmt] = ()
    if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
        inner = [child for child in node.body if isinstance(child, DefinitionNode)]
    elif isinstance(node, ast.Try) and all(isinstance(child, ast.Import | ast.ImportFrom) for child in node.body):
        inner = node.body
    elif isinstance(node, ast.FunctionDef) and _is_of_tests(node):
        inner = [child for child in node.body if isinstance(child, FunctionNode)]
    code = Code.read(piece.text) if inner else None
    if code is None:
        yield piece
        return
    for child in inner:
        yield from pieces_of_module(block_text(code, [child]))


def _is_of_tests(node: ast.FunctionDef) -> bool:
    """Whether a function holds nothing but test functions without arguments, which nobody would call."""
    body = [child for child in node.body if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant))]
    return bool(body) and all(
        isinstance(child, FunctionNode) and child.name.startswith("test") and not child.args.args for child in body
    )


def shaped(piece: Piece, copied: Collection[str]) -> Piece:
    """A test without what is not meant to be in it.

    Args:
        piece: A test function, or a class of tests.
        copied: Names of the code under test, of which the test must not hold copies.
    """
    piece = _edited(piece, [*_prints(piece), *_copies(piece, copied)])
    return _collectable(piece) if isinstance(piece.node, ast.ClassDef) else piece


def as_test(piece: Piece) -> Piece | None:
    """A function that asserts, under a name that pytest takes for a test's; None if it is no such function."""
    node = piece.node
    if not isinstance(node, FunctionNode) or not asserts(node) or node.args.args or node.decorator_list:
        return None
    name = node.name.removesuffix("_test").strip("_")
    return _edited(piece, [], (f"def {node.name}(", f"def test_{name}("))


def is_class_of_tests(node: ast.ClassDef) -> bool:
    """Whether a class is meant for tests though pytest would not collect it: by its name, and what is in it."""
    named = node.name.endswith(_CLASS_ENDINGS) and not node.bases
    return named and any(isinstance(child, FunctionNode) and child.name.startswith("test") for child in node.body)


def _collectable(piece: Piece) -> Piece:
    """A class that pytest collects: named ``Test…``, and without a constructor."""
    node = piece.node
    if not isinstance(node, ast.ClassDef) or any("TestCase" in ast.unparse(base) for base in node.bases):
        return piece
    changes: list[Change] = []
    made = [child for child in node.body if isinstance(child, ast.FunctionDef) and child.name == "__init__"]
    renamed = ("", "")
    if made and len(made[0].args.args) == 1 and not made[0].args.kwonlyargs:
        changes = [(child, "pass") for child in made[0].body if ast.unparse(child) == "super().__init__()"]
        renamed = ("def __init__(", "def setup_method(")
    piece = _edited(piece, changes, renamed)
    if not node.name.startswith("Test"):
        piece = _edited(piece, [], (f"class {node.name}", f"class Test{node.name}"))
    return piece


def _prints(piece: Piece) -> Iterator[Change]:
    """Takes out what a test prints, unless it reads that itself; what is called for it is still called."""
    arguments = {
        argument.arg for node in ast.walk(piece.node) if isinstance(node, ast.arguments) for argument in node.args
    }
    if arguments & _READ_OUTPUT or "redirect_stdout" in piece.text:
        return
    for node in ast.walk(piece.node):
        match node:
            case ast.Expr(value=ast.Call(func=ast.Name(id="print"), args=given, keywords=keywords)):
                calls = [call for value in given for call in _outermost_calls(value)]
                if not any(keyword.arg == "file" for keyword in keywords):
                    yield node, "\n".join(map(ast.unparse, calls)) or "pass"


def _outermost_calls(value: ast.AST) -> Iterator[ast.expr]:
    if isinstance(value, ast.Call | ast.Await):
        # How a value is shown is of no interest where nobody sees it.
        inner = value.args[0] if isinstance(value, ast.Call) and _shows(value) else value
        yield from [inner] if inner is value else _outermost_calls(inner)
        return
    for child in ast.iter_child_nodes(value):
        yield from _outermost_calls(child)


def _shows(call: ast.Call) -> bool:
    return (
        isinstance(call.func, ast.Name) and call.func.id in {"repr", "str", "list", "type", "len"} and bool(call.args)
    )


def _copies(piece: Piece, copied: Collection[str]) -> Iterator[Change]:
    """Takes out definitions inside of a test that hide the code under test."""
    if isinstance(piece.node, FunctionNode):
        for node in own_nodes(piece.node):
            if isinstance(node, DefinitionNode) and node.name in copied:
                yield node, "pass"


def _edited(piece: Piece, changes: Sequence[Change], renamed: tuple[str, str] = ("", "")) -> Piece:
    """A piece with changes; as it was where they do not fit. A line that is left with ``pass`` alone goes."""
    code = Code.read(piece.text)
    if code is None or not (changes or renamed[0]):
        return piece
    text = code.changed(changes)
    if text is None:
        return piece
    text = text.replace(*renamed, 1) if renamed[0] else text
    slim = _slim(text)
    found = pieces_of_module(slim if Code.read(slim) else text)
    return found[0] if len(found) == 1 else piece


def _slim(text: str) -> str:
    """A text without the ``pass`` that its blocks do not need, and without the blank lines that would be left."""
    kept: list[str] = []
    gone = False
    for line, needless in zip(text.split("\n"), _needless_lines(text), strict=True):
        follows = gone and (not kept or not kept[-1].strip() or kept[-1].endswith(":"))
        gone = needless or (follows and not line.strip())
        if not gone:
            kept.append(line)
    return "\n".join(kept)


def _needless_lines(text: str) -> list[bool]:
    """For each line of a text whether it holds a ``pass`` that its block does not need."""
    code = Code.read(text)
    needless: set[int] = set()
    for node in ast.walk(code.tree) if code else ():
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and len(block) > 1:
                passes = [child.lineno for child in block if isinstance(child, ast.Pass)]
                needless.update(passes if len(passes) < len(block) else passes[1:])
    return [number in needless for number, _ in enumerate(text.split("\n"), start=1)]
