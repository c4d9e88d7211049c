"""A blob's bytes to its facts. The path plays no part, so equal blobs are parsed once."""

from __future__ import annotations

import ast
from dataclasses import replace

from llm_testgen.index.collect import collect
from llm_testgen.index.expressions import chain, type_text
from llm_testgen.index.facts import BlobFacts, CallFact, DefinitionFact
from llm_testgen.records import Method
from llm_testgen.source import DefinitionNode, SourceError, parse

MAX_BYTES = 1 << 20


def parse_blob(data: bytes) -> BlobFacts:
    """What a file's bytes say; a file that is too large or cannot be parsed gives facts with an ``error``."""
    if len(data) > MAX_BYTES:
        return BlobFacts(error="larger than 1 MiB")
    try:
        module = parse("", data)
        parts = [(_definition_fact(d.method, d.node), collect(d.method.qualname, d.node)) for d in module.definitions]
    except SourceError as error:
        return BlobFacts(error=str(error))
    except RecursionError:
        return BlobFacts(error="cannot be parsed: too deeply nested")
    return BlobFacts(
        definitions=tuple(definition for definition, _ in parts),
        imports=tuple(dict.fromkeys(fact for _, collected in parts for fact in collected.imports)),
        bindings=tuple(dict.fromkeys(fact for _, collected in parts for fact in collected.bindings)),
        calls=_merged([fact for _, collected in parts for fact in collected.calls]),
        text=module.text,
    )


def _merged(calls: list[CallFact]) -> tuple[CallFact, ...]:
    """Definitions of one name (overloads, a property with its setter) share their calls and positions."""
    counts: dict[str, int] = {}
    merged: dict[tuple[str, str, bool], CallFact] = {}
    for call in calls:
        key = (call.owner, call.callee, call.called)
        if key not in merged:
            merged[key] = replace(call, position=counts.setdefault(call.owner, 0))
            counts[call.owner] += 1
    return tuple(merged.values())


def _definition_fact(method: Method, node: DefinitionNode | ast.Module) -> DefinitionFact:
    fact = DefinitionFact(
        qualname=method.qualname,
        kind=method.kind,
        start=method.start,
        end=method.end,
        signature=method.signature,
        docstring=method.docstring,
    )
    if isinstance(node, ast.Module):
        return fact
    fact = replace(fact, decorators=tuple(chain(d).removesuffix("()") for d in node.decorator_list))
    if isinstance(node, ast.ClassDef):
        return replace(fact, bases=tuple(chain(base).removesuffix("[]") for base in node.bases))
    return replace(fact, returns=type_text(node.returns), fixture=_fixture_name(node))


def _fixture_name(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The name under which tests request the function; empty when it is no pytest fixture."""
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
