"""A definition with a fault in it, put in the place of the real one: a test that passes all the same does not notice.

A mutant is ``{"path": absolute path, "name": the definition's, "classes": [names of the classes around it, outermost
first], "start": its first line, decorators included, "body": the first line of its body, "end": its last line,
"source": the lines that take their place, "whole": whether more than the body of a function differs}``.
"""

from __future__ import annotations
import __future__

import ast
import contextlib
import gc
import importlib.machinery
import importlib.util
import inspect
import sys
import types
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Union

FunctionNode = Union[ast.FunctionDef, ast.AsyncFunctionDef]
Key = tuple[str, str, int]
Defaults = dict[Union[int, str], Any]

_KINDS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR
_MOST_KEPT = 512


class Replacement(NamedTuple):
    """What a child does to run with a mutant.

    Attributes:
        mutant: The mutant.
        functions: All there are of the definition.
        code: What they are to run instead; None where there are none yet.
        defaults: The arguments that have another default: those by position numbered from the first that has one.
    """

    mutant: dict[str, Any]
    functions: list[types.FunctionType]
    code: types.CodeType | None
    defaults: Defaults

    def put(self) -> None:
        """Put it in place, for modules that are imported from now on too."""
        set_on_import(self.mutant)
        if self.code is not None:
            for function in self.functions:
                function.__code__ = self.code
                _set_defaults(function, self.defaults)


class Replacements:
    """Makes replacements in a warm interpreter, each once: the same mutant meets many tests.

    Args:
        measured: Absolute paths of files that mutants are of; all of them are imported by now.
        has_run: Tells of a path and some of its lines whether one has run already.
    """

    def __init__(self, measured: Iterable[str], has_run: Callable[[str, Iterable[int]], bool]) -> None:
        """Look at nothing yet."""
        self._measured = frozenset(measured)
        self._has_run = has_run
        self._functions: dict[Key, list[types.FunctionType]] | None = None
        self._made: dict[tuple[Key, str], Replacement | None] = {}

    def take(self, mutant: dict[str, Any]) -> Replacement | None:
        """What it takes; None where it takes a process in which nothing is imported yet."""
        key = (mutant["path"], mutant["name"], mutant["start"])
        known = (key, mutant["source"])
        if known not in self._made:
            if len(self._made) >= _MOST_KEPT:
                self._made.clear()
            self._made[known] = self._make(key, mutant)
        return self._made[known]

    def _make(self, key: Key, mutant: dict[str, Any]) -> Replacement | None:
        # What has run while it was imported has left behind what the faulty version would not have.
        if self._has_run(mutant["path"], _own_lines(mutant)):
            return None
        if self._functions is None:
            self._functions = _functions_of(self._measured)
        functions = self._functions.get(key, [])
        if not functions:
            return None if _is_imported(mutant["path"]) else Replacement(mutant, [], None, {})
        code = faulty(mutant, functions[0].__code__)
        defaults = _defaults(mutant) if mutant["whole"] else {}
        if code is None or defaults is None or any(not _alike(code, function.__code__) for function in functions):
            return None
        return Replacement(mutant, functions, code, defaults)


def surrounded(mutant: dict[str, Any]) -> str:
    """A module with a mutant's source at its lines, and around it just what matters to how it is compiled."""
    source, classes = mutant["source"], mutant["classes"]
    indent = source[: len(source) - len(source.lstrip())]
    headers = [f"{indent[:depth]}class {name}:" for depth, name in enumerate(classes)]
    if indent and not headers:
        headers = ["if True:"]
    padding = [""] * (mutant["start"] - 1 - len(headers))
    return "\n".join([*padding, *headers, source, ""])


def definition(tree: ast.Module, mutant: dict[str, Any]) -> FunctionNode | None:
    """A mutant's function in a module that it stands in."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == mutant["name"]:
            start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if start == mutant["start"]:
                return node
    return None


def faulty(mutant: dict[str, Any], real: types.CodeType) -> types.CodeType | None:
    """The code of a mutant's function, to be put in the place of the real one; None where that cannot be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = _compiled(mutant, real)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return code if code is not None and _alike(code, real) else None


def set_on_import(mutant: dict[str, Any]) -> None:
    """Put a mutant in the place of the real definition in each module that is imported from now on.

    What this interpreter cannot compile is no mutant: the module stays as it is.
    """
    original = importlib.machinery.SourceFileLoader.get_code

    def get_code(loader: Any, fullname: str) -> Any:
        path = loader.get_filename(fullname)
        if path != mutant["path"]:
            return original(loader, fullname)
        text = importlib.util.decode_source(loader.get_data(path))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return compile(replaced(text, mutant), path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return original(loader, fullname)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]


def replaced(text: str, mutant: dict[str, Any]) -> str:
    """A module's text with a mutant in it; what follows stays at its lines where the mutant has no more of them."""
    lines = text.split("\n")
    start, end = mutant["start"], mutant["end"]
    source = mutant["source"].split("\n")
    padding = [""] * (end + 1 - start - len(source))
    return "\n".join([*lines[: start - 1], *source, *padding, *lines[end:]])


def _defaults(mutant: dict[str, Any]) -> Defaults | None:
    """The arguments that have another default; None where more differs, or where it takes the module to know them.

    What decorates a function may have made something of its defaults already.
    """
    with contextlib.suppress(OSError, SyntaxError, ValueError, RecursionError, MemoryError, TypeError):
        with open(mutant["path"], "rb") as stream:
            text = importlib.util.decode_source(stream.read())
        real = definition(ast.parse(text), mutant)
        node = definition(ast.parse(surrounded(mutant)), mutant)
        if real is None or node is None or node.decorator_list:
            return None
        before, after = _default_nodes(real), _default_nodes(node)
        differing = [key for key in before.keys() & after if ast.dump(before[key]) != ast.dump(after[key])]
        changed = {key: ast.literal_eval(after[key]) for key in differing}
        node.args.defaults, node.args.kw_defaults = real.args.defaults, real.args.kw_defaults
        return changed if changed and ast.dump(node) == ast.dump(real) else None
    return None


def _default_nodes(node: FunctionNode) -> dict[int | str, ast.expr]:
    """The defaults of a function, by position among those of that kind, or by name."""
    found: dict[int | str, ast.expr] = dict(enumerate(node.args.defaults))
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults):
        if default is not None:
            found[argument.arg] = default
    return found


def _set_defaults(function: types.FunctionType, changed: Defaults) -> None:
    positional, by_name = function.__defaults__, function.__kwdefaults__
    if positional is not None:
        function.__defaults__ = tuple([changed.get(index, value) for index, value in enumerate(positional)])
    if by_name is not None:
        function.__kwdefaults__ = {name: changed.get(name, value) for name, value in by_name.items()}


def _own_lines(mutant: dict[str, Any]) -> Iterable[int]:
    """Lines that show, when they have run, that the function was called; negative for having left it."""
    start, body = mutant["start"], mutant["body"]
    return range(body, mutant["end"] + 1) if body > start else (-start,)


def _compiled(mutant: dict[str, Any], real: types.CodeType) -> types.CodeType | None:
    tree = ast.parse(surrounded(mutant), mutant["path"])
    code = _code_in(tree, real)
    node = definition(tree, mutant)
    if code is None or node is None or set(real.co_freevars) <= set(code.co_freevars):
        return code
    # A function keeps the variables that it got from around it: what is never run names them again.
    never = ast.parse(f"if False: {'; '.join(real.co_freevars)}").body[0]
    node.body.append(ast.increment_lineno(never, node.lineno - 1))
    return _code_in(tree, real)


def _code_in(tree: ast.Module, real: types.CodeType) -> types.CodeType | None:
    """The code of a function of that name at that line."""
    flags = real.co_flags & __future__.annotations.compiler_flag
    left = [compile(tree, real.co_filename, "exec", flags=flags, dont_inherit=True)]
    while left:
        code: types.CodeType = left.pop()
        if (code.co_name, code.co_firstlineno) == (real.co_name, real.co_firstlineno):
            return code
        left += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return None


def _alike(one: types.CodeType, other: types.CodeType) -> bool:
    """Whether one may take the place of the other: a decorator may have looked at what kind of function it is."""
    return one.co_freevars == other.co_freevars and not (one.co_flags ^ other.co_flags) & _KINDS


def _functions_of(paths: frozenset[str]) -> dict[Key, list[types.FunctionType]]:
    found: dict[Key, list[types.FunctionType]] = {}
    gc.unfreeze()
    for function in gc.get_objects():
        if type(function) is types.FunctionType:  # not what it says that it is
            code = function.__code__
            if code.co_filename in paths:
                found.setdefault((code.co_filename, code.co_name, code.co_firstlineno), []).append(function)
    gc.freeze()
    return found


def _is_imported(path: str) -> bool:
    for module in list(sys.modules.values()):
        with contextlib.suppress(Exception):  # not all of them are modules
            if getattr(module, "__file__", None) == path:
                return True
    return False
