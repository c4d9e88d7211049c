"""Changed method → context: what a model should see of the code around it, ranked and cut to a token budget.

Too much context makes small models worse, so what tells most comes first, a signature stands in for a body
when room is short, and what does not fit is left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm_testgen.recipe import DEFAULT_RECIPE, Choice, Recipe, tokens
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

_LONGEST_BODY = 30
_LONGEST_EXAMPLE = 30
# Among so many of the nearest tests the shortest is looked for.
_NEAR = 20
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


def build_context(target: ChangedMethod, around: Surroundings, budget: int, recipe: Recipe = DEFAULT_RECIPE) -> Context:
    """The context of one target, before it is known what is uncovered.

    Args:
        target: What tests are wanted for.
        around: What the index knows about it.
        budget: Tokens that related code and examples may take together; 0 for none.
        recipe: Which related code is shown, how much of it, and how many examples.
    """
    example = _examples(around.tests, int(budget * recipe.example_share), recipe)
    related = [entry for entry in around.related if entry.relation in recipe.context]
    left = budget - tokens(example)
    return Context(
        target=target,
        module=around.module,
        import_line=import_line(target, around.module),
        uncovered=frozenset(),
        test_path=around.test_path,
        items=tuple(_items(related, left, int(left * recipe.body_share))),
        example=example,
        fixtures=tuple(name for name in around.fixtures if re.search(rf"[(,]\s*{name}\s*[,):=]", example)),
    )


def import_line(target: ChangedMethod, module: str) -> str:
    """The statement by which a test gets hold of a target: its function, or its outermost class, or its module."""
    if target.qualname != MODULE_QUALNAME:
        return f"from {module} import {target.qualname.partition('.')[0]}"
    parent, _, name = module.rpartition(".")
    return f"from {parent} import {name}" if parent else f"import {name}"


def _items(related: Sequence[RelatedMethod], budget: int, for_bodies: int) -> Iterator[ContextItem]:
    """Related methods in order of rank while they fit: with bodies as long as their share lasts."""
    for entry in sorted(related, key=lambda entry: _RANK[entry.relation]):
        body = _body(entry)
        if body and tokens(body) <= min(for_bodies, budget):
            for_bodies -= tokens(body)
            budget -= tokens(body)
            yield ContextItem(entry, Detail.BODY, body)
            continue
        text = _header(entry.method)
        if tokens(text) <= budget:
            budget -= tokens(text)
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


def _examples(tests: Sequence[Method], budget: int, recipe: Recipe) -> str:
    """The nearest existing tests, or the shortest of the near ones, that are short enough to serve as examples."""
    texts = [_outdented(test.source) for test in tests]
    if recipe.choice is Choice.SHORTEST:
        texts = sorted(texts[:_NEAR], key=len)
    shown: list[str] = []
    for text in texts:
        fits = text.count("\n") < _LONGEST_EXAMPLE and tokens(_joined([*shown, text])) <= budget
        if fits and len(shown) < recipe.examples:
            shown.append(text)
    return _joined(shown)


def _joined(texts: Sequence[str]) -> str:
    return "\n\n\n".join(texts)


def _outdented(source: str) -> str:
    """A definition moved to the left margin; lines of strings that stand further left stay where they are."""
    first = source.partition("\n")[0]
    margin = len(first) - len(first.lstrip())
    return "\n".join(line[margin:] if not line[:margin].strip() else line for line in source.split("\n"))
