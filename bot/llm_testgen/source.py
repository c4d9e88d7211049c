r"""Python source as data: bytes to text, text to a syntax tree, a tree to its definitions.

Lines are counted as git counts them, at ``\\n`` alone. Python ends a line at a lone ``\\r`` too; a file that
has one would be numbered in two ways, so it is refused.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import sys
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from llm_testgen.records import MODULE_QUALNAME, Method, MethodKind

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
DefinitionNode = FunctionNode | ast.ClassDef

_PLAIN = frozenset({str, bytes, int, bool, type(None)})
_LONE_CR = re.compile(rb"\r(?!\n)")


class SourceError(ValueError):
    """A file that is not Python source that can be read here; the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition together with its node: what outlives the tree is the `Method`."""

    method: Method
    node: DefinitionNode | ast.Module


@dataclass(frozen=True, slots=True)
class Module:
    r"""One parsed file.

    Attributes:
        path: File, relative to the repository's root.
        text: Its text, newlines as ``\\n``, without a byte order mark.
        tree: Its syntax tree.
        definitions: Its addressable definitions in file order, the module itself first.
    """

    path: str
    text: str
    tree: ast.Module
    definitions: tuple[Definition, ...]

    def own_lines(self, definition: Definition) -> frozenset[int]:
        """Lines of a definition that belong to no definition inside it."""
        method = definition.method
        lines = set(range(method.start, method.end + 1))
        for other in self.definitions:
            inner = other.method
            if other is definition or inner.kind is MethodKind.MODULE:
                continue
            if inner.start >= method.start and inner.end <= method.end:
                lines.difference_update(range(inner.start, inner.end + 1))
        return frozenset(lines)


def decode(data: bytes) -> str:
    r"""Text of a Python file by its byte order mark or coding cookie, newlines as ``\\n``.

    Raises:
        SourceError: The bytes are not text in the encoding that they declare, or hold a lone carriage return.
    """
    if _LONE_CR.search(data):
        msg = "a carriage return stands inside a line"
        raise SourceError(msg)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        msg = f"cannot be decoded: {error}"
        raise SourceError(msg) from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def parse_tree(text: str) -> ast.Module:
    """The syntax tree of a module's text, without the warnings that its literals may cause.

    Raises:
        SourceError: It is not valid for the Python that runs this.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except SyntaxError as error:
            version = ".".join(map(str, sys.version_info[:2]))
            msg = f"not valid Python {version}: line {error.lineno}: {error.msg}"
            raise SourceError(msg) from error
        except (ValueError, RecursionError, MemoryError) as error:
            msg = f"cannot be parsed: {error}"
            raise SourceError(msg) from error


def parse(path: str, data: bytes) -> Module:
    """A file's bytes as a module with its definitions.

    Raises:
        SourceError: As `decode` and `parse_tree`.
    """
    text = decode(data)
    tree = parse_tree(text)
    try:
        return _module(path, text, tree)
    except RecursionError as error:
        msg = "cannot be parsed: nested too deeply"
        raise SourceError(msg) from error


def _module(path: str, text: str, tree: ast.Module) -> Module:
    lines = text.split("\n")
    last = len(lines) - (lines[-1] == "")
    whole = Method(
        path=path,
        qualname=MODULE_QUALNAME,
        kind=MethodKind.MODULE,
        start=1,
        end=max(last, 1),
        signature="",
        docstring=_docstring(tree),
        source=text,
    )
    inner = (
        Definition(_method(path, qualname, node, inside_class=inside_class, lines=lines), node)
        for qualname, node, inside_class in _walk(tree, prefix="", inside_class=False)
    )
    return Module(path, text, tree, (Definition(whole, tree), *inner))


def definition_start(node: DefinitionNode) -> int:
    """First line of a definition, its decorators included."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def single_definition(source: str) -> DefinitionNode | None:
    """The one definition that a source holds, indented or not; None when it holds anything else.

    Its lines count as the source's.
    """
    text, before = in_block(source)
    try:
        body = parse_tree(text).body
    except SourceError:
        return None
    if before and len(body) == 1 and isinstance(body[0], ast.If):
        body = body[0].body
    if len(body) != 1 or not isinstance(body[0], DefinitionNode):
        return None
    ast.increment_lineno(body[0], -before)
    return body[0]


def in_block(source: str) -> tuple[str, int]:
    """A source that can be parsed although it is indented, and by how many lines it has become longer."""
    return (f"if True:\n{source}", 1) if source[:1].isspace() else (source, 0)


def signature(node: DefinitionNode) -> str:
    """The header of a definition in one line, without decorators and colon."""
    if isinstance(node, ast.ClassDef):
        keywords = [ast.unparse(keyword) for keyword in node.keywords]
        arguments = ", ".join([*map(_written, node.bases), *keywords])
        return f"class {node.name}({arguments})" if arguments else f"class {node.name}"
    keyword = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {_written(node.returns)}" if node.returns else ""
    return f"{keyword} {node.name}({', '.join(_parameters(node.args))}){returns}"


def _parameters(given: ast.arguments) -> Iterator[str]:
    """Parameters as `ast.unparse` writes them, which takes many times as long."""
    positional = [*given.posonlyargs, *given.args]
    if not given.defaults:
        texts = [_parameter(argument, None) for argument in positional]
    else:
        defaults = [*[None] * (len(positional) - len(given.defaults)), *given.defaults]
        texts = [_parameter(*pair) for pair in zip(positional, defaults, strict=True)]
    yield from texts[: len(given.posonlyargs)]
    if given.posonlyargs:
        yield "/"
    yield from texts[len(given.posonlyargs) :]
    if given.vararg is not None:
        yield f"*{_parameter(given.vararg, None)}"
    elif given.kwonlyargs:
        yield "*"
    for pair in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield _parameter(*pair)
    if given.kwarg is not None:
        yield f"**{_parameter(given.kwarg, None)}"


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    text = argument.arg if argument.annotation is None else f"{argument.arg}: {_written(argument.annotation)}"
    return text if default is None else f"{text}={_written(default)}"


def _written(node: ast.expr) -> str:
    """An expression as `ast.unparse` writes it."""
    kind = type(node)
    if kind is ast.Name:
        return node.id  # type: ignore[attr-defined,no-any-return]
    if kind is ast.Constant and node.kind is None and type(node.value) in _PLAIN:  # type: ignore[attr-defined]
        return repr(node.value)  # type: ignore[attr-defined]
    if kind is ast.Attribute and type(node.value) in {ast.Name, ast.Attribute}:  # type: ignore[attr-defined]
        return f"{_written(node.value)}.{node.attr}"  # type: ignore[attr-defined]
    return ast.unparse(node)


def _walk(node: ast.AST, *, prefix: str, inside_class: bool) -> Iterator[tuple[str, DefinitionNode, bool]]:
    """Definitions below a node with their qualified names, not descending into functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FunctionNode):
            yield prefix + child.name, child, inside_class
        elif isinstance(child, ast.ClassDef):
            yield prefix + child.name, child, inside_class
            yield from _walk(child, prefix=f"{prefix}{child.name}.", inside_class=True)
        elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _walk(child, prefix=prefix, inside_class=inside_class)


def _method(path: str, qualname: str, node: DefinitionNode, *, inside_class: bool, lines: list[str]) -> Method:
    if isinstance(node, ast.ClassDef):
        kind = MethodKind.CLASS
    else:
        kind = MethodKind.METHOD if inside_class else MethodKind.FUNCTION
    start = definition_start(node)
    end = node.end_lineno or node.lineno
    return Method(
        path=path,
        qualname=qualname,
        kind=kind,
        start=start,
        end=end,
        signature=signature(node),
        docstring=_docstring(node),
        source="\n".join(lines[start - 1 : end]),
    )


def _docstring(node: ast.Module | DefinitionNode) -> str:
    text = ast.get_docstring(node, clean=False)
    return inspect.cleandoc(text) if text else ""
