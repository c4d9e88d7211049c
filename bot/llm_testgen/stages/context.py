"""Changed method → context: what a model should see of the code around it, ranked and cut to a token budget.

Too much context makes small models worse, so what tells most comes first, a signature stands in for a body
when room is short, and what does not fit is left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from llm_testgen.records import (
    MODULE_QUALNAME,
    ChangedMethod,
    Context,
    ContextItem,
    Detail,
    Method,
    MethodKind,
    RelatedMethod,
    Relation,
)
from llm_testgen.source import FunctionNode, SourceError, parse_tree, signature

# Characters of Python that one token of a code model stands for, on the low side.
_CHARACTERS_PER_TOKEN = 3
_LONGEST_BODY = 30
_LONGEST_EXAMPLE = 30
# Shares of the budget that bodies and the example may take; signatures get what is left.
_BODY_SHARE = 0.6
_EXAMPLE_SHARE = 0.25
_RANK = {
    Relation.INIT: 0,
    Relation.CLASS: 1,
    Relation.CALLEE: 2,
    Relation.BASE: 3,
    Relation.CALLER: 4,
    Relation.OVERRIDE: 5,
}
_WITH_BODY = frozenset({Relation.INIT, Relation.CLASS, Relation.CALLEE})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the index knows about a target.

    Attributes:
        module: Dotted name of its module.
        related: Related methods, the most telling first.
        tests: Existing tests that reach it, the nearest first.
        fixtures: Fixtures that a test at ``test_path`` may request.
        test_path: The test file to which its tests belong.
    """

    module: str
    related: tuple[RelatedMethod, ...]
    tests: tuple[Method, ...]
    fixtures: tuple[str, ...]
    test_path: str


def build_context(target: ChangedMethod, around: Surroundings, budget: int) -> Context:
    """The context of one target, before it is known what is uncovered.

    Args:
        target: What tests are wanted for.
        around: What the index knows about it.
        budget: Tokens that related code and the example may take together; 0 for none.
    """
    example = _example(around.tests, int(budget * _EXAMPLE_SHARE))
    left = budget - _tokens(example)
    return Context(
        target=target,
        module=around.module,
        import_line=import_line(target, around.module),
        uncovered=frozenset(),
        test_path=around.test_path,
        items=tuple(_items(around.related, left)),
        example=example,
        fixtures=tuple(name for name in around.fixtures if re.search(rf"[(,]\s*{name}\s*[,):=]", example)),
    )


def import_line(target: ChangedMethod, module: str) -> str:
    """The statement by which a test gets hold of a target: its function, or its outermost class, or its module."""
    if target.qualname != MODULE_QUALNAME:
        return f"from {module} import {target.qualname.partition('.')[0]}"
    parent, _, name = module.rpartition(".")
    return f"from {parent} import {name}" if parent else f"import {name}"


def _items(related: tuple[RelatedMethod, ...], budget: int) -> Iterator[ContextItem]:
    """Related methods in order of rank while they fit: with bodies as long as their share lasts."""
    for_bodies = int(budget * _BODY_SHARE)
    for entry in sorted(related, key=lambda entry: _RANK[entry.relation]):
        body = _body(entry)
        if body and _tokens(body) <= min(for_bodies, budget):
            for_bodies -= _tokens(body)
            budget -= _tokens(body)
            yield ContextItem(entry, Detail.BODY, body)
            continue
        text = _header(entry.method)
        if _tokens(text) <= budget:
            budget -= _tokens(text)
            yield ContextItem(entry, Detail.SIGNATURE, text)


def _body(entry: RelatedMethod) -> str:
    """The text of a related method worth showing whole; empty when its signature must do."""
    if entry.relation not in _WITH_BODY:
        return ""
    if entry.method.kind is MethodKind.CLASS:
        return class_outline(entry.method)
    source = _outdented(entry.method.source)
    return source if source.count("\n") < _LONGEST_BODY else ""


def _header(method: Method) -> str:
    """A signature with the first line of its docstring."""
    if method.kind is MethodKind.CLASS:
        return f"{method.signature}: ..."
    summary = method.docstring.partition("\n")[0]
    qualified = method.signature.replace(f"def {method.name}(", f"def {method.qualname}(", 1)
    return f"{qualified}: ...  # {summary}" if summary else f"{qualified}: ..."


def class_outline(method: Method) -> str:
    """A class without the bodies of its methods: header, attributes, signatures."""
    try:
        node = parse_tree(_outdented(method.source)).body[0]
    except (SourceError, IndexError):
        return ""
    if not isinstance(node, ast.ClassDef):
        return ""
    decorators = [f"@{ast.unparse(decorator)}" for decorator in node.decorator_list]
    lines = [*decorators, f"{signature(node)}:"]
    for child in node.body:
        if isinstance(child, FunctionNode):
            lines += [f"    @{ast.unparse(decorator)}" for decorator in child.decorator_list]
            lines.append(f"    {signature(child)}: ...")
        elif isinstance(child, ast.Assign | ast.AnnAssign):
            lines.append(f"    {ast.unparse(child)}")
    return "\n".join(lines)


def _example(tests: tuple[Method, ...], budget: int) -> str:
    """The nearest existing test that is short enough to serve as an example."""
    for test in tests:
        source = _outdented(test.source)
        if source.count("\n") < _LONGEST_EXAMPLE and _tokens(source) <= budget:
            return source
    return ""


def _outdented(source: str) -> str:
    """A definition moved to the left margin; lines of strings that stand further left stay where they are."""
    first = source.partition("\n")[0]
    margin = len(first) - len(first.lstrip())
    return "\n".join(line[margin:] if not line[:margin].strip() else line for line in source.split("\n"))


def _tokens(text: str) -> int:
    return -(-len(text) // _CHARACTERS_PER_TOKEN)
