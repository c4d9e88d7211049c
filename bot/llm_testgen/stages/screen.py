"""Candidate → why it must not run: the filter ahead of the first execution.

It is no security boundary, the sandbox is. It is for what no layer of a kernel stops, a result forged from inside
the test's own process, and it refuses early what would be stopped later. Names are followed through imports,
assignments, ``getattr`` and the like, as far as the text tells; a new rule is a new row of a table of
`llm_testgen.hazards`.

What a table names is refused whatever the project is about: one that wraps ctypes, sends signals or measures
coverage itself gets fewer tests. Let through on purpose, as honest tests do it and nothing is forged by it:

* Patches that are taken back (monkeypatch, mock), even of ``os._exit``, ``builtins.open`` or ``builtins.__import__``;
  only pytest, coverage, unittest's assertions and the exceptions that a verdict rests on are out of bounds.
* Programs started with subprocess or ``os.posix_spawn``; reading ``__code__``; evaluating a ``repr``; compiling what
  is not executed then.
* Names of environment variables such as ``GITHUB_OUTPUT``, unless the file behind them is opened.
* Paths and addresses that are only compared with. Those of the kernel's file systems are refused wherever else they
  begin a string; those of credentials and of a cloud's metadata only where a file, a program or a connection is opened.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import chain, product

from llm_testgen.hazards import (
    CALLS,
    COMMAND_FILES,
    DESCRIPTOR_KEYWORDS,
    DESCRIPTORS,
    ENVIRONMENT,
    GIT_CONFIG,
    INTERPRETERS,
    ITEM_SETTERS,
    KERNEL_PATH,
    LASTING,
    LASTING_SETTERS,
    OPENERS,
    PROTECTED,
    SECRET,
    SETTERS,
    refused,
)
from llm_testgen.names import COMPUTED, GETTERS, NUMBER, UNKNOWN, Names, ObscureError, alternatives, positional, tails
from llm_testgen.records import Candidate
from llm_testgen.scopes import OWN_MODULE, Located, Scope, names_bound
from llm_testgen.source import SourceError, parse_tree

_CODING = re.compile(r"(?:^|[\r\n\ufeff])[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_CODINGS = frozenset({"ascii", "us-ascii", "utf-8", "utf8", "utf_8"})
# Calls and attributes by which an assertion asks about a thing, without using it.
_INERT_CALL = re.compile(r"assert|call\Z")
_MOCK_ATTRIBUTE = re.compile(r"assert_|await|call|mock_|return_value|side_effect")
_LONGEST_REASON = 150


def screen(candidate: Candidate) -> str:
    """Why a candidate must not run, in one line that a reviewer and a model can read.

    It names the construct and its line, as in ``calls os._exit (line 4)``; it is empty when nothing speaks against
    the candidate. Code that does not parse is not refused here: the build filter says better what is wrong with it.
    """
    head = "\n".join(candidate.code.split("\n", 2)[:2])
    if any(coding.lower() not in _CODINGS for coding in _CODING.findall(head)):
        return "declares an encoding other than UTF-8"
    try:
        return next(_Screen(parse_tree(candidate.code)).reasons(), "")
    except SourceError:
        return ""
    except (ObscureError, RecursionError):
        return "is too intricate to tell what it uses"


class _Screen:
    """The rules, asked of every node of a module."""

    def __init__(self, tree: ast.Module) -> None:
        self._names = Names(tree)
        self._passed: set[int] = set()  # nodes that what stands around them speaks for
        self._executed: set[str] = set()

    def reasons(self) -> Iterator[str]:
        """Each thing that speaks against the module, with its line."""
        for node, reason in self._of_nodes(self._names.nodes):
            shown = reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 1] + "…"
            yield f"{shown} (line {getattr(node, 'lineno', 1)})"

    def _of_nodes(self, nodes: Iterable[Located]) -> Iterator[tuple[ast.AST, str]]:
        for node, scope in nodes:
            self._let_pass(node)
            for reason in self._of_node(node, scope):
                yield node, reason

    def _of_node(self, node: ast.AST, scope: Scope) -> Iterator[str]:
        yield from (f"redefines {name}" for name in self._redefined(node, scope))
        yield from (f"sets {name} for other processes" for name in _variables_set(node))
        for name, lasting in self._written(node, scope):
            if PROTECTED.match(name) or (lasting and LASTING.match(name)):
                yield f"replaces {name.removeprefix(f'{OWN_MODULE}.').removeprefix(f'{UNKNOWN}.')}"
        match node:
            case ast.Import(names=aliases):
                yield from (f"imports {name}" for name in refused(alias.name for alias in aliases))
            case ast.ImportFrom():
                yield from (f"imports {name}" for name in refused(origin for _, origin in names_bound(node)))
            case ast.Call():
                yield from self._call(node, scope)
        if isinstance(node, ast.expr) and id(node) not in self._passed:
            yield from (f"names {place}" for place in self._places(node, scope))
            if isinstance(getattr(node, "ctx", None), ast.Load | None):
                yield from (f"uses {name}" for name in refused(self._names.dotted(node, scope)))

    def _let_pass(self, node: ast.AST) -> None:
        """Note what is no use of a thing: a docstring, what is compared with, what a mock is asked about."""
        inert: list[ast.expr] = []
        match node:
            case ast.Expr(value=text) | ast.BinOp(op=ast.Add(), right=text):
                inert = [text]
            case ast.JoinedStr(values=parts):
                inert = parts[1:]
            case ast.Compare(left=left, comparators=others):
                inert = [left, *others]
            case ast.Call(func=function, args=arguments) if _INERT_CALL.match(_called(function)):
                inert = arguments
            case ast.Attribute(value=mocked, attr=attr) if _MOCK_ATTRIBUTE.match(attr):
                self._passed.add(id(mocked))
            case ast.Assign(targets=[ast.Name(id="pytest") as target], value=ast.Constant(value=None)):
                self._passed.add(id(target))  # the usual answer to an ImportError
        self._passed.update(map(id, _literals(inert)))

    def _redefined(self, node: ast.AST, scope: Scope) -> Iterator[str]:
        """Names that assertions and pytest's hooks go by, bound to something else."""
        bound = [name for name, origin in names_bound(node) if origin not in {name, f"builtins.{name}"}]
        hooks = bound
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) if id(node) not in self._passed:
                bound = [name]
                hooks = bound if scope is self._names.root or scope.is_class else []
            case ast.arg(arg=name):
                bound = [name]
        yield from (name for name in bound if name in {"AssertionError", "pytest", "__builtins__"})
        yield from (name for name in hooks if name.startswith("pytest_"))

    def _written(self, node: ast.AST, scope: Scope) -> Iterator[tuple[str, bool]]:
        """The dotted names of what a node assigns, deletes, sets, patches or reloads, and whether it stays so."""
        written: Iterable[str] = ()
        lasting = True
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                written = self._names.dotted(node, scope)
            case ast.Subscript(value=mapping, slice=key, ctx=ast.Store() | ast.Del()):
                written = self._names.items(mapping, self._names.keys(key, scope), scope)
            case ast.Call(func=function):
                functions = self._names.dotted(function, scope) | {_called(function)}
                written = self._set_by_call(node, {name.rpartition(".")[2] for name in functions}, scope)
                lasting = not functions.isdisjoint(LASTING_SETTERS)
        return ((name, lasting) for name in sorted(written))

    def _set_by_call(self, node: ast.Call, called: set[str], scope: Scope) -> Iterator[str]:
        """What a call may write by any of the names that its function goes by."""
        names = self._names
        owner = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        owns = not called.isdisjoint({"__delattr__", "__setattr__"})
        keywords = {keyword.arg for keyword in node.keywords if keyword.arg}
        arguments = positional(node)
        first, second = arguments[:1], arguments[1:2]
        for target in first:
            if called & SETTERS:
                yield from names.texts(target, scope)
                yield from names.members(owner, names.texts(target, scope) if owns else (), scope)
                yield from names.members(target, chain(*(names.keys(one, scope) for one in second)), scope)
            if "multiple" in called:
                targets = names.texts(target, scope) | names.dotted(target, scope)
                yield from (f"{one}.{name}" for one, name in product(targets, keywords))
            if "reload" in called:
                yield from names.dotted(target, scope)
        if called & ITEM_SETTERS:
            yield from names.items(owner, keywords.union(self._item_names(first, scope)), scope)
            for target in first:
                yield from names.items(target, keywords.union(self._item_names(second, scope)), scope)

    def _item_names(self, nodes: Iterable[ast.expr], scope: Scope) -> Iterator[str]:
        """The keys that arguments give: their own, if they display a mapping."""
        for node in nodes:
            for key in node.keys if isinstance(node, ast.Dict) else [node]:
                yield from self._names.texts(key, scope) if key else ()

    def _call(self, node: ast.Call, scope: Scope) -> Iterator[str]:
        functions = self._names.dotted(node.func, scope)
        yield from (f"calls {name}" for name in refused(functions))
        yield from (f"calls {name}" for name in sorted(functions) if CALLS.match(name))
        arguments = positional(node)
        # A function that is handed over, as in `map(exec, texts)`, is called with what follows.
        for position, function in enumerate([node.func, *arguments]):
            yield from self._applied(function, arguments[position:], scope)
        for keyword in node.keywords:
            if keyword.arg in DESCRIPTOR_KEYWORDS and NUMBER in self._names.dotted(keyword.value, scope):
                yield f"passes a guessed file descriptor as {keyword.arg}"
        if any(map(OPENERS.match, functions)):
            yield from (f"opens {place}" for place in self._opened(node, scope))

    def _applied(self, function: ast.expr, arguments: list[ast.expr], scope: Scope) -> Iterator[str]:
        """What speaks against a function's being called with some arguments."""
        called = {tail for name in self._names.dotted(function, scope) for tail in tails(name)}
        if called & INTERPRETERS and arguments:
            yield from self._code(arguments[0], scope)
        if called & GETTERS and len(arguments) > 1:
            members = self._names.members(arguments[0], self._names.keys(arguments[1], scope), scope)
            yield from (f"uses {name}" for name in refused(members))
        for name in sorted(called & DESCRIPTORS.keys()):
            if any(NUMBER in self._names.dotted(one, scope) for one in arguments[: DESCRIPTORS[name]]):
                yield f"calls {name} on a guessed file descriptor"

    def _code(self, node: ast.expr, scope: Scope) -> Iterator[str]:
        """What speaks against code that is executed from a text."""
        for text in sorted(self._names.keys(node, scope) - self._executed):
            if text == COMPUTED:
                yield "executes code that is put together at run time"
                continue
            self._executed.add(text)
            try:
                tree = parse_tree(text.strip())
            except SourceError:
                continue
            for _, reason in self._of_nodes(self._names.add(tree, scope)):
                yield f"{reason.removesuffix(', in executed code')}, in executed code"

    def _opened(self, node: ast.Call, scope: Scope) -> Iterator[str]:
        """What a call that opens a file, a program or a connection must not be given."""
        for path in positional(node)[:1]:
            yield from filter(GIT_CONFIG.fullmatch, sorted(self._names.texts(path, scope)))
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            for part in self._names.origins(argument, scope):
                match part:
                    case ast.Constant(value=str(text)):
                        yield from (found[0] for found in (KERNEL_PATH.search(text), SECRET.search(text)) if found)
                    case ast.Subscript(slice=ast.Constant(value=key)) | ast.Call(args=[ast.Constant(value=key), *_]):
                        yield from (f"the file of {name}" for name in COMMAND_FILES & {key})

    def _places(self, node: ast.expr, scope: Scope) -> Iterator[str]:
        """The places of the machine that a text leads to."""
        texts: frozenset[str] = frozenset()
        match node:
            case ast.Constant(value=str(text)):
                texts = frozenset({text})
            case ast.Constant(value=bytes(data)):
                texts = frozenset({data.decode("latin-1")})
            case ast.BinOp() | ast.JoinedStr():
                texts = self._names.texts(node, scope)
        yield from (found[0] for text in sorted(texts) if (found := KERNEL_PATH.match(text)))


def _literals(nodes: Iterable[ast.expr]) -> Iterator[ast.Constant]:
    """The constants among expressions and in the collections that they display."""
    for node in nodes:
        if isinstance(node, ast.Constant):
            yield node
        elif isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
            yield from _literals(alternatives(node))


def _called(function: ast.expr) -> str:
    """The last part of the name that a function is called by."""
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _variables_set(node: ast.AST) -> Iterator[str]:
    """The environment variables that a node sets: as an item, in a mapping, by a keyword, by a call."""
    keys: list[ast.expr | None] = []
    match node:
        case ast.Subscript(slice=key, ctx=ast.Store()):
            keys = [key]
        case ast.Dict():
            keys = node.keys
        case ast.Call(func=ast.Attribute(attr="setenv" | "putenv" | "setdefault"), args=[key, *_]):
            keys = [key]
        case ast.keyword(arg=str(name)):
            keys = [ast.Constant(name)]
    for one in keys:
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and ENVIRONMENT.match(one.value):
            yield one.value
