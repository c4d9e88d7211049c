"""A blob's bytes to its facts. The path plays no part, so equal blobs are parsed once."""

from __future__ import annotations

import ast
import inspect

from llm_testgen.index.collect import collect
from llm_testgen.index.expressions import chain, type_text
from llm_testgen.index.facts import BlobFacts, DefinitionFact
from llm_testgen.index.part import Part
from llm_testgen.source import DefinitionNode, SourceError, decode, definition_start, parse_tree, signature

MAX_BYTES = 1 << 20


def parse_blob(data: bytes) -> BlobFacts:
    """What a file's bytes say; a file that is too large or cannot be parsed gives facts with an ``error``."""
    if len(data) > MAX_BYTES:
        return BlobFacts(error="larger than 1 MiB")
    try:
        text = decode(data)
        parts = collect(parse_tree(text))
        definitions = tuple([_definition_fact(part, text) for part in parts])
    except SourceError as error:
        return BlobFacts(error=str(error))
    except RecursionError:
        return BlobFacts(error="cannot be parsed: too deeply nested")
    return BlobFacts(
        definitions=definitions,
        imports=tuple(dict.fromkeys([fact for part in parts for fact in part.imports])),
        bindings=tuple(dict.fromkeys([fact for part in parts for fact in part.bindings])),
        expressions=_merged(parts),
        text=text,
    )


def _merged(parts: list[Part]) -> dict[str, tuple[str, ...]]:
    """Definitions of one name (overloads, a property with its setter) share their calls and positions."""
    merged: dict[str, dict[str, None]] = {}
    for part in parts:
        if part.expressions:
            merged.setdefault(part.owner, {}).update(dict.fromkeys(part.expressions))
    return {owner: tuple(texts) for owner, texts in merged.items()}


def _definition_fact(part: Part, text: str) -> DefinitionFact:
    node = part.node
    if isinstance(node, ast.Module):
        lines = text.count("\n") + (not text.endswith("\n"))
        return DefinitionFact(part.owner, part.kind, 1, max(lines, 1), "", _docstring(node))
    return DefinitionFact(
        qualname=part.owner,
        kind=part.kind,
        start=definition_start(node) if node.decorator_list else node.lineno,
        end=node.end_lineno or node.lineno,
        signature=signature(node),
        docstring=_docstring(node),
        bases=_bases(node),
        decorators=tuple([chain(decorator).removesuffix("()") for decorator in node.decorator_list]),
        returns="" if isinstance(node, ast.ClassDef) else type_text(node.returns),
        fixture=_fixture_name(node) if node.decorator_list else "",
    )


def _bases(node: DefinitionNode) -> tuple[str, ...]:
    if not isinstance(node, ast.ClassDef):
        return ()
    return tuple(chain(base).removesuffix("[]") for base in node.bases)


def _docstring(node: ast.Module | DefinitionNode) -> str:
    if not node.body or type(node.body[0]) is not ast.Expr:
        return ""
    text = ast.get_docstring(node, clean=False)
    return inspect.cleandoc(text) if text else ""


def _fixture_name(node: DefinitionNode) -> str:
    """The name under which tests request the function; empty when it is no pytest fixture."""
    if isinstance(node, ast.ClassDef):
        return ""
    for decorator in node.decorator_list:
        text = chain(decorator).removesuffix("()")
        if text.rpartition(".")[2] == "fixture" or text.endswith("yield_fixture"):
            return _given_name(decorator) or node.name
    return ""


def _given_name(decorator: ast.expr) -> str:
    if isinstance(decorator, ast.Call):
        for keyword in decorator.keywords:
            if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                return str(keyword.value.value)
    return ""
