"""What a definition does, whatever its layout; and which lines of a file hold code that can run.

Two shapes are equal when their syntax trees are, apart from positions and from statements without effect:
docstrings, ``pass``, ``...``, and what stands under ``if TYPE_CHECKING``. A module's shape leaves out its imports
and its ``__all__`` too: they declare, and any test of the module runs them.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from llm_testgen.source import Definition, DefinitionNode, FunctionNode, Module, SourceError, definition_start, parse

Shape = tuple[object, ...]

_LAYOUT = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)


@dataclass(frozen=True, slots=True)
class Outline:
    """A parsed file by the qualified names of its definitions.

    Attributes:
        module: The file.
        groups: The definitions of each name, in file order; the names in the order of their first definitions.
        shapes: What they do.
    """

    module: Module
    groups: Mapping[str, tuple[Definition, ...]]
    shapes: Mapping[str, Shape]


def outline(path: str, data: bytes) -> Outline:
    """A file's bytes as definitions and their shapes.

    Raises:
        SourceError: As `source.parse`.
    """
    module = parse(path, data)
    nodes = frozenset(id(definition.node) for definition in module.definitions)
    groups: dict[str, tuple[Definition, ...]] = {}
    for definition in module.definitions:
        name = definition.method.qualname
        groups[name] = (*groups.get(name, ()), definition)
    shapes = {
        name: tuple(_shape(definition.node, nodes) for definition in definitions)
        for name, definitions in groups.items()
    }
    return Outline(module, groups, shapes)


def runnable_lines(module: Module) -> frozenset[int]:
    """Lines that hold code and not just comments, docstrings, types or stubs such as overloads.

    Raises:
        SourceError: The text cannot be split into tokens.
    """
    lines: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
            if token.type not in _LAYOUT:
                lines.update(range(token.start[0], token.end[0] + 1))
    except (tokenize.TokenError, SyntaxError) as error:
        msg = f"cannot be split into tokens: {error}"
        raise SourceError(msg) from error
    return frozenset(lines.difference(_inert_lines(module)))


def declaration_lines(module: Module) -> frozenset[int]:
    """Lines of statements that only declare: imports and ``__all__``."""
    lines = module.text.split("\n")
    nodes = (node for node in ast.walk(module.tree) if isinstance(node, ast.stmt) and _is_declaration(node))
    return frozenset(line for node in nodes for line in _lines_alone(node, lines))


def has_own_code(node: ast.ClassDef) -> bool:
    """Whether a class is decorated or holds a statement with an effect besides its methods and nested classes."""
    own = (child for child in node.body if not isinstance(child, DefinitionNode) and not _is_idle(child))
    return bool(node.decorator_list) or any(own)


def _shape(root: ast.AST, definitions: Collection[int]) -> Shape:
    """The tree below a node as a flat tuple, without the definitions inside it; no recursion: trees can be deep."""
    of_module = isinstance(root, ast.Module)
    parts: list[object] = []
    waiting: list[object] = [root]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            kept = [
                child
                for child in item
                if id(child) not in definitions and not _is_idle(child) and not (of_module and _is_declaration(child))
            ]
            parts.append(len(kept))
            waiting.extend(reversed(kept))
        elif isinstance(item, ast.AST):
            parts.append(type(item))
            waiting.extend(getattr(item, name, None) for name in item._fields if name != "kind")
        else:
            parts.append((type(item), item))
    return tuple(parts)


def _is_idle(node: object) -> bool:
    """Whether a statement has no effect when it runs."""
    if isinstance(node, ast.If):
        return _is_type_checking(node) and not node.orelse
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _is_declaration(node: object) -> bool:
    if isinstance(node, ast.Assign):
        return all(_is_name(target, "__all__") for target in node.targets)
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        return _is_name(node.target, "__all__")
    return isinstance(node, ast.Import | ast.ImportFrom)


def _is_type_checking(node: ast.If) -> bool:
    return _is_name(node.test, "TYPE_CHECKING")


def _is_name(node: ast.AST, name: str) -> bool:
    """Whether a node is a name, by itself or as an attribute of a module."""
    return (isinstance(node, ast.Name) and node.id == name) or (isinstance(node, ast.Attribute) and node.attr == name)


def _is_stub(node: FunctionNode) -> bool:
    """Whether calling a function would run nothing: an overload, or a body of ``...`` as in a protocol."""
    if any(_is_name(decorator, "overload") for decorator in node.decorator_list):
        return True
    values = [child.value for child in node.body if isinstance(child, ast.Expr)]
    constants = [value.value for value in values if isinstance(value, ast.Constant)]
    return len(constants) == len(node.body) and ... in constants


def _inert_lines(module: Module) -> Iterator[int]:
    lines = module.text.split("\n")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from _lines_alone(node, lines)
        elif isinstance(node, ast.If) and _is_type_checking(node):
            yield from range(node.lineno, (node.body[-1].end_lineno or node.lineno) + 1)
        elif isinstance(node, FunctionNode) and _is_stub(node):
            yield from range(definition_start(node), (node.end_lineno or node.lineno) + 1)


def _lines_alone(node: ast.stmt, lines: list[str]) -> Iterator[int]:
    """Lines of a statement that it shares with no other."""
    first, last = node.lineno, node.end_lineno or node.lineno
    before = lines[first - 1].encode()[: node.col_offset].strip()
    after = lines[last - 1].encode()[node.end_col_offset :].strip()
    for line in range(first, last + 1):
        shared = (line == first and before) or (line == last and after and not after.startswith(b"#"))
        if not shared:
            yield line
