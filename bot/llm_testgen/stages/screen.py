"""Candidate → why it must not run: the filter ahead of the first execution.

It is no security boundary, the sandbox is. It is for what no layer of a kernel stops, a result forged from inside
the test's own process, and it refuses early what would be stopped later. Names are followed through imports,
assignments, ``getattr`` and the like, as far as the text tells; a new rule is a new row of a table.

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
import builtins
import fnmatch
import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, product

from llm_testgen.records import Candidate
from llm_testgen.source import FunctionNode, SourceError, parse_tree


def _rows(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _globs(text: str) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, sorted(_rows(text)))))


# Modules that are of no use to a test but to reach the measurement or the interpreter's memory.
MODULES = _rows("""
    _cffi_backend _ctypes _posixsubprocess _pytest _signal bdb cffi coverage ctypes nt pluggy posix pytest_cov
    slipcover trace
""")
# Types of pytest's internals that tests import to annotate or to expect them.
PYTEST_TYPES = _rows("""
    CaptureFixture Config DoctestItem ExceptionInfo Failed FixtureLookupError FixtureRequest Function Item LineMatcher
    LogCaptureFixture Mark MarkDecorator Metafunc MonkeyPatch ParameterSet Parser Pytester RunResult Skipped SubRequest
    TempPathFactory TempdirFactory Testdir WarningsRecorder XFailed approx raises
""")
# Members of modules, in whatever way a test reaches the module.
MEMBERS = _globs("""
    os._exit os.abort os.kill os.killpg os.fork os.forkpty os.exec[lv]* os.setsid os.setpg* os.closerange
    os.register_at_fork os.unshare os.setns os.chroot pty.fork pty.spawn
    signal.raise_signal signal.pthread_kill signal.pidfd_send_signal faulthandler._*
    sys.settrace sys.setprofile sys.gettrace sys.getprofile sys.monitoring sys._getframe* sys._current_*
    sys.call_tracing sys.addaudithook threading.settrace* threading.setprofile* threading._*_hook
    inspect.currentframe inspect.stack inspect.trace inspect.get*frames inspect.getclosurevars traceback.walk_stack
    gc.get_objects gc.get_refer* gc.freeze gc.unfreeze gc.callbacks
    atexit.register atexit._* resource.setrlimit resource.prlimit ctypes.*DLL ctypes.?dll ctypes.pythonapi
    builtins.breakpoint builtins.*.__self__ pdb.set_trace pdb.run* pytest.set_trace pytest.exit
    importlib.machinery.SourcelessFileLoader importlib.machinery.ExtensionFileLoader imp.load_*
    FixtureRequest.session FixtureRequest.node.session FixtureRequest.config.hook FixtureRequest._*
""")
# pytest's own fixtures that lead to its session, and what the rows above call them.
PYTEST_FIXTURES = {"request": "FixtureRequest", "pytestconfig": "FixtureRequest.config"}
# What is fine to name, as in a check of types, but not to call: it makes functions of raw code.
CALLS = _globs("types.CodeType types.FunctionType types.LambdaType")
# Attributes of any object: they lead to frames and to globals.
ATTRIBUTES = _rows("""
    f_back f_builtins f_code f_globals f_locals f_trace tb_frame gi_frame cr_frame ag_frame
    __builtins__ __closure__ __globals__ cell_contents
""")
# Attributes of objects that the project does not define: they lead to all classes and to pytest's plugins.
FOREIGN_ATTRIBUTES = _rows("__subclasses__ ihook pluginmanager")
FOREIGN = _rows("? FixtureRequest builtins")
# What a verdict rests on: not to be written, not even for a while; and what not to be written for good.
PROTECTED = _globs("""
    pytest pytest.* _pytest _pytest.* coverage coverage.* pluggy pluggy.* pytest_cov pytest_cov.* *.__code__ *.@py*
    builtins builtins.*Error builtins.*Exception builtins.KeyboardInterrupt builtins.SystemExit *.AssertionError
    unittest.TestCase.assert* unittest.TestCase.fail* unittest.TestCase.run unittest.case.*
    <module>.pytest <module>.pytest_* <module>.__builtins__
""")
LASTING = _globs("builtins.*")
# Modules of which a test must not reach a member by a name that is put together at run time.
SENSITIVE = _rows("builtins gc os sys")
# How many of the first arguments are file descriptors.
DESCRIPTORS = {
    **dict.fromkeys(_rows("os.close os.dup os.fdopen os.ftruncate os.pwrite os.pwritev os.write os.writev"), 1),
    **dict.fromkeys(_rows("builtins.open io.open io.FileIO mmap.mmap signal.set_wakeup_fd socket.fromfd"), 1),
    **dict.fromkeys(_rows("os.dup2 os.sendfile os.splice"), 2),
}
DESCRIPTOR_KEYWORDS = _rows("fileno pass_fds")
STANDARD_ERROR = 2
# Environment variables that change how the processes to come are loaded or measured.
ENVIRONMENT = _globs("""
    COVERAGE_* COV_CORE_* DYLD_INSERT_LIBRARIES LD_AUDIT LD_LIBRARY_PATH LD_PRELOAD
    PYTEST_ADDOPTS PYTEST_PLUGINS PYTHONINSPECT PYTHONSTARTUP
""")
COMMAND_FILES = _rows("GITHUB_ENV GITHUB_OUTPUT GITHUB_PATH GITHUB_STEP_SUMMARY")
KERNEL_PATH = re.compile(
    r"(?<![\w.*-])(?:/proc(?![\w.-])|/sys/(?:block|bus|class|dev|devices|firmware|fs|kernel|module|power)\b"
    r"|/dev/(?:fd/|k?mem\b|port\b)|/(?:var/)?run/docker\.sock|/etc/g?shadow\b)"
)
SECRET = re.compile(
    r"(?:~\w*|\$HOME|/root|/home/[^/\s]+)/\."
    r"(?:ssh|aws/credentials|netrc|git-credentials|docker/config\.json|cache/huggingface/token)\b"
    r"|169\.254\.169\.254|metadata\.google\.internal|\$\{?GITHUB_(?:ENV|OUTPUT|PATH|STEP_SUMMARY)\b"
)
GIT_CONFIG = re.compile(r"(?:\.{1,2}/)*\.git/config")
OPENERS = _globs("""
    builtins.open io.open io.FileIO os.open os.listdir os.scandir os.readlink os.popen os.system os.posix_spawn*
    os.path.expanduser pathlib.* shutil.copy* glob.* subprocess.*
    socket.* *.connect http.client.* urllib.request.* requests.* httpx.*
""")

# How names are looked up, set and executed.
GETTERS = _rows("builtins.getattr inspect.getattr_static")
MEMBER_GETTERS = _rows("operator.attrgetter operator.methodcaller")
NAMESPACES = _rows("builtins.globals builtins.locals builtins.vars")
IMPORTERS = _rows("builtins.__import__ importlib.__import__ importlib.import_module pytest.importorskip")
SETTERS = _rows("__delattr__ __setattr__ delattr object patch setattr spy")
ITEM_SETTERS = _rows("__setitem__ delitem dict pop setdefault setitem update")
LASTING_SETTERS = _rows("__delattr__ __setattr__ __setitem__ builtins.delattr builtins.setattr setdefault update")
INTERPRETERS = _rows("builtins.eval builtins.exec")
NUMBERS = _rows("builtins.int builtins.range")
POSITIONAL = _rows("attribute dic fd fd2 file in_dict name obj target values")  # if not given by their names
TRANSPARENT = _rows("ast.parse builtins.compile inspect.cleandoc textwrap.dedent")
INERT_CALL = re.compile(r"assert|call\Z")
MOCK_ATTRIBUTE = re.compile(r"assert_|await|call|mock_|return_value|side_effect")
CODING = re.compile(r"(?:^|[\r\n\ufeff])[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
CODINGS = _rows("ascii us-ascii utf-8 utf8 utf_8")

# What an expression may stand for: texts, marked so; dotted names; and what is not known of it.
TEXT = "'"
NUMBER = "#"  # a number that the test makes up, when taken for a file descriptor
UNKNOWN = "?"
PARAMETER = ""  # given from elsewhere, so perhaps one of the module's texts
OWN_MODULE = "<module>"  # what `globals()` and `sys.modules[__name__]` stand for
COMPUTED = "<computed>"  # the name of a member or an item that is not known
REPR = "None"  # what stands for the `repr` of the project's objects, which tests like to evaluate

MOST_STEPS = 40_000  # in following names; an honest candidate needs some hundred
MOST_VALUES = 3_000  # of one name
MOST_TEXTS = 60
LONGEST_TEXT = 20_000
LONGEST_REASON = 150
LONGEST_ROW = 3  # parts of a dotted name


class _ObscureError(Exception):
    """The names of a candidate cannot be followed with reasonable effort."""


def screen(candidate: Candidate) -> str:
    """Why a candidate must not run, in one line that a reviewer and a model can read.

    It names the construct and its line, as in ``calls os._exit (line 4)``; it is empty when nothing speaks against
    the candidate. Code that does not parse is not refused here: the build filter says better what is wrong with it.
    """
    head = "\n".join(candidate.code.split("\n", 2)[:2])
    if any(coding.lower() not in CODINGS for coding in CODING.findall(head)):
        return "declares an encoding other than UTF-8"
    try:
        return next(_Screen(parse_tree(candidate.code)).reasons(), "")
    except SourceError:
        return ""
    except (_ObscureError, RecursionError):
        return "is too intricate to tell what it uses"


@dataclass(slots=True, eq=False)
class _Scope:
    """A module, class or function, with all that each of its names is bound to."""

    outer: _Scope | None = None
    is_class: bool = False
    bound: dict[str, list[_Bound]] = field(default_factory=dict)


# An expression and the scope that it is evaluated in; or a dotted name.
_Bound = tuple[ast.expr, _Scope] | str


class _Names:
    """What the expressions of a module may stand for, over all that its names are bound to anywhere."""

    def __init__(self, tree: ast.Module) -> None:
        self.root = _Scope()
        self._shared: set[str] = set()
        self._starred: set[str] = set()
        self._texts: set[str] = set()
        self._known: dict[tuple[str, _Scope], frozenset[str]] = {}
        self._cache: dict[tuple[ast.expr, _Scope], frozenset[str]] = {}
        self._steps = 0
        self._own_repr = any(getattr(node, "name", getattr(node, "id", "")) == "__repr__" for node in ast.walk(tree))
        self.nodes = self.add(tree, self.root)

    def add(self, tree: ast.AST, scope: _Scope) -> list[tuple[ast.AST, _Scope]]:
        """Take in a tree that runs in a scope; its nodes in the order of the text, each with its own scope."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Global | ast.Nonlocal):
                self._shared.update(node.names)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self._texts.add(node.value)
        nodes = list(self._collect(tree, scope))
        while self._learn({inner: None for _, inner in nodes}):
            pass
        return nodes

    def _collect(self, node: ast.AST, scope: _Scope) -> Iterator[tuple[ast.AST, _Scope]]:
        yield node, scope
        for name, origin in _names_bound(node):
            self._bind(name, origin, scope)
        for target, value in _assignments(node):
            self._assign(target, value, scope)
        inner, body = scope, frozenset[int]()
        if isinstance(node, FunctionNode | ast.Lambda | ast.ClassDef):
            inner = _Scope(scope.outer if scope.is_class else scope, isinstance(node, ast.ClassDef))
            body = frozenset(map(id, [node.body] if isinstance(node, ast.Lambda) else node.body))
        if isinstance(node, FunctionNode | ast.Lambda):
            for parameter, default in _parameters(node):
                self._bind(parameter, default if isinstance(default, str) else (default, scope), inner)
        for child in ast.iter_child_nodes(node):
            yield from self._collect(child, inner if id(child) in body else scope)

    def _bind(self, name: str, bound: _Bound, scope: _Scope) -> None:
        if name == "*" and isinstance(bound, str):
            self._starred.add(bound.removesuffix(".*"))
        owner = self.root if name in self._shared else scope
        owner.bound.setdefault(name, []).append(bound)

    def _assign(self, target: ast.expr, value: ast.expr, scope: _Scope) -> None:
        match target:
            case ast.Name(id=name):
                self._bind(name, (value, scope), scope)
            case ast.Starred(value=inner):
                self._assign(inner, value, scope)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                elements = _elements(value)
                if len(elements) != len(targets):
                    elements = [ast.Subscript(value, ast.Constant(None), ast.Load())] * len(targets)
                for inner, element in zip(targets, elements, strict=True):
                    self._assign(inner, element, scope)

    def _learn(self, scopes: Iterable[_Scope]) -> bool:
        """Evaluate what every name of some scopes is bound to, by what is known so far; tells whether that is new."""
        self._cache.clear()
        learned = False
        for scope in scopes:
            for name, bound in scope.bound.items():
                known = self._known.get((name, scope), frozenset())
                values = known.union(*([one] if isinstance(one, str) else self.values(*one) for one in bound))
                if sum(value.startswith(TEXT) for value in values) > MOST_TEXTS:
                    values = known | {value for value in values if not value.startswith(TEXT)} | {UNKNOWN}
                if len(values) > MOST_VALUES:
                    raise _ObscureError
                self._known[name, scope] = values
                learned |= len(values) > len(known)
        return learned

    def _owner(self, name: str, scope: _Scope) -> _Scope | None:
        """The scope that a name belongs to in another; None if nothing in the module binds it."""
        owner: _Scope | None = scope
        while owner and name not in owner.bound:
            owner = owner.outer
        return owner

    def _named(self, name: str, scope: _Scope) -> Iterator[str]:
        owner = self._owner(name, scope)
        yield from self._known.get((name, owner), ()) if owner else ()
        # A module's own assignment may come after a use of the builtin; an import or a definition stands for the name.
        if not owner or (owner is self.root and not any(isinstance(one, str) for one in owner.bound[name])):
            yield from (f"{module}.{name}" for module in self._starred)
            if name == "__name__":
                yield TEXT + OWN_MODULE
            elif hasattr(builtins, name) or name == "__builtins__":
                yield f"builtins.{name}"

    def origins(self, node: ast.expr, scope: _Scope) -> Iterator[ast.AST]:
        """Every node of an expression and of all that the names in it are bound to."""
        seen = set()
        waiting = [(node, scope)]
        while waiting:
            expression, where = waiting.pop()
            for part in ast.walk(expression):
                yield part
                owner = self._owner(part.id, where) if isinstance(part, ast.Name) else None
                if owner and isinstance(part, ast.Name) and (part.id, owner) not in seen:
                    seen.add((part.id, owner))
                    waiting += [one for one in owner.bound[part.id] if not isinstance(one, str)]

    def dotted(self, node: ast.expr, scope: _Scope) -> frozenset[str]:
        """The dotted names that an expression may stand for; ``?`` begins that of an unknown object's member."""
        return frozenset(value for value in self.values(node, scope) if not value.startswith(TEXT))

    def texts(self, node: ast.expr, scope: _Scope) -> frozenset[str]:
        """The strings that an expression may stand for."""
        return frozenset(value[1:] for value in self.values(node, scope) if value.startswith(TEXT))

    def keys(self, node: ast.expr, scope: _Scope) -> frozenset[str]:
        """The names that an expression may give: for a parameter any string of the module, else what is computed."""
        values = self.values(node, scope)
        texts = {value[1:] for value in values if value.startswith(TEXT)}
        if PARAMETER in values:
            texts |= self._texts
        if not texts or any(not value.startswith((TEXT, "builtins.")) for value in values - {PARAMETER}):
            texts.add(COMPUTED)
        return frozenset(texts)

    def members(self, owner: ast.expr, names: Iterable[str], scope: _Scope) -> Iterator[str]:
        """The dotted names of an object's members; of long ones the beginning and the end."""
        owners = self.dotted(owner, scope) - {PARAMETER, NUMBER} or {UNKNOWN}
        for one, name in product(owners, names):
            self._spend(1)
            parts = f"{one}.{name}".split(".")
            yield ".".join(parts if len(parts) <= LONGEST_ROW + 1 else [parts[0], *parts[-LONGEST_ROW:]])

    def items(self, mapping: ast.expr, keys: Iterable[str], scope: _Scope) -> Iterator[str]:
        """The dotted names of a mapping's items, if it is the namespace of an object, or ``sys.modules``."""
        values = self.values(mapping, scope)
        spaces = {value.removesuffix("__dict__") for value in values if value.endswith(".__dict__")}
        spaces |= {"" for value in values if value.lstrip(TEXT) == "sys.modules"}
        return (f"{space}{key}" for space, key in product(spaces, keys))

    def values(self, node: ast.expr, scope: _Scope) -> frozenset[str]:
        """All that an expression may stand for."""
        if (node, scope) not in self._cache:
            self._spend(1)
            values = frozenset(self._each_value(node, scope))
            surplus = sorted(value for value in values if value.startswith(TEXT))[MOST_TEXTS:]
            self._cache[node, scope] = values - set(surplus) | ({UNKNOWN} if surplus else set())
        return self._cache[node, scope]

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MOST_STEPS:
            raise _ObscureError

    def _each_value(self, node: ast.expr, scope: _Scope) -> Iterator[str]:
        match node:
            case ast.Constant(value=str(text)):
                yield TEXT + text
            case ast.Constant(value=int(number)) if number > STANDARD_ERROR:
                yield NUMBER
            case ast.Name(id=name):
                yield from self._named(name, scope)
            case ast.Attribute(value=value, attr=attr):
                yield from self.members(value, [attr], scope)
            case ast.BinOp(op=ast.Add() | ast.Sub()) | ast.JoinedStr():
                yield from self._joined("", _pieces(node), scope)
            case ast.Subscript():
                yield from self._item(node, scope)
            case ast.Call():
                yield from self._result(node, scope)
            case ast.FormattedValue(conversion=114) if not self._own_repr:
                yield TEXT + REPR
            case _:
                parts = [self.values(part, scope) for part in _alternatives(node)]
                yield from chain(*parts) if parts else [UNKNOWN]

    def _item(self, node: ast.Subscript, scope: _Scope) -> Iterator[str]:
        match node.slice:
            case ast.Slice(lower=None, upper=None, step=ast.UnaryOp(op=ast.USub())):
                yield from (TEXT + text[::-1] for text in self.texts(node.value, scope))
            case ast.Slice():
                yield UNKNOWN
            case key:
                items = list(self.items(node.value, self.keys(key, scope), scope))
                yield from items or (self.dotted(node.value, scope) - {PARAMETER, NUMBER}) or {UNKNOWN}

    def _result(self, node: ast.Call, scope: _Scope) -> Iterator[str]:
        """What a call gives: followed are the functions that look names up and those that leave a text as it is."""
        functions = self.dotted(node.func, scope)
        match node.func, _positional(node):
            case _, [name, *_] if functions & IMPORTERS:
                yield from self.keys(name, scope)
            case _, [owner, name, *_] if functions & GETTERS:
                yield from self.members(owner, self.keys(name, scope), scope)
            case _, [*owner] if functions & NAMESPACES:
                yield from self.members(owner[0], ["__dict__"], scope) if owner else [f"{OWN_MODULE}.__dict__"]
            case _, [text, *_] if functions & TRANSPARENT:
                yield from (
                    UNKNOWN if one == COMPUTED else TEXT + textwrap.dedent(one) for one in self.keys(text, scope)
                )
            case _, _ if functions & NUMBERS:
                yield NUMBER
            case _, [_] if "builtins.repr" in functions and not self._own_repr:
                yield TEXT + REPR
            case ast.Call(func=maker, args=[name, *_]), [owner] if self.dotted(maker, scope) & MEMBER_GETTERS:
                yield from self.members(owner, self.keys(name, scope), scope)
            case ast.Attribute(value=owner, attr=method), arguments:
                yield from self._method_result(owner, method, arguments, scope)
            case _:
                yield UNKNOWN

    def _method_result(self, owner: ast.expr, method: str, arguments: list[ast.expr], scope: _Scope) -> Iterator[str]:
        match method, arguments:
            case "__getattribute__", [*instance, name] if len(instance) <= 1:
                yield from self.members([*instance, owner][0], self.keys(name, scope), scope)
            case (("get" | "pop" | "setdefault" | "__getitem__"), [key, *_]):
                yield from list(self.items(owner, self.keys(key, scope), scope)) or [UNKNOWN]
            case "join", [ast.Tuple(elts=parts) | ast.List(elts=parts)]:
                for glue in self.texts(owner, scope):
                    yield from self._joined(glue, parts, scope)
            case (("strip" | "lstrip" | "rstrip"), []):
                yield from (TEXT + text.strip() for text in self.texts(owner, scope))
            case _:
                yield UNKNOWN

    def _joined(self, glue: str, parts: list[ast.expr], scope: _Scope) -> Iterator[str]:
        joined = [""]
        for position, part in enumerate(parts):
            values = self.values(part, scope)
            texts = sorted(value[1:] for value in values if value.startswith(TEXT))
            longer = [text + (glue if position else "") + more for text, more in product(joined, texts)]
            self._spend(len(longer) // MOST_TEXTS)
            joined = [text for text in longer if len(text) <= LONGEST_TEXT][:MOST_TEXTS]
            if len(texts) < len(values) or not values or len(joined) < len(longer):
                yield UNKNOWN
            if NUMBER in values or (isinstance(part, ast.Constant) and isinstance(part.value, int)):
                yield NUMBER
        yield from (TEXT + text for text in joined)


def _names_bound(node: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that a node binds other than by assignment; for an import with the dotted name of what it imports."""
    match node:
        case ast.Import(names=aliases):
            for alias in aliases:
                root = alias.name.partition(".")[0]
                yield alias.asname or root, alias.name if alias.asname else root
        case ast.ImportFrom(names=aliases):
            module = "." * node.level + (node.module or "")
            for alias in aliases:
                yield alias.asname or alias.name, f"{module}.{alias.name}"
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name, f"{OWN_MODULE}.{node.name}"
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name, PARAMETER


def _elements(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else []


def _assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What a node assigns: targets with values; for a loop all that it displays, else what it goes over."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield target, value
        case ast.AugAssign(target=ast.Name(id=name) as target, op=operator, value=value):
            yield target, ast.BinOp(ast.Name(name, ast.Load()), operator, value)
        case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
            yield target, value
        case ast.For() | ast.AsyncFor() | ast.comprehension():
            for element in _elements(node.iter) or [node.iter]:
                yield node.target, element
        case ast.withitem(optional_vars=ast.expr() as target, context_expr=value):
            yield target, value


def _parameters(node: FunctionNode | ast.Lambda) -> Iterator[tuple[str, ast.expr | str]]:
    """The parameters of a function, and their defaults; pytest's own fixtures are known by their names."""
    arguments = node.args
    is_fixture = not isinstance(node, ast.Lambda) and (
        node.name.startswith("test") or any("fixture" in ast.unparse(one) for one in node.decorator_list)
    )
    positional = [*arguments.posonlyargs, *arguments.args]
    for one in [*positional, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]:
        if one:
            yield one.arg, PYTEST_FIXTURES.get(one.arg, PARAMETER) if is_fixture else PARAMETER
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults + arguments.kw_defaults
    for one, default in zip([*positional, *arguments.kwonlyargs], defaults, strict=True):
        if default:
            yield one.arg, default


def _pieces(node: ast.BinOp | ast.JoinedStr) -> list[ast.expr]:
    """What a text is put together from."""
    return node.values if isinstance(node, ast.JoinedStr) else [node.left, node.right]


def _alternatives(node: ast.expr) -> list[ast.expr]:
    """The expressions of which another one gives one, or of which it displays all."""
    match node:
        case ast.NamedExpr(value=value) | ast.Starred(value=value) | ast.Await(value=value):
            return [value]
        case ast.FormattedValue(value=value, format_spec=None):
            return [value]
        case ast.IfExp(body=body, orelse=other):
            return [body, other]
        case ast.BoolOp(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return parts
        case ast.Dict(values=parts):
            return parts
    return []


def _tails(name: str) -> Iterator[str]:
    """A dotted name from each of its last parts on, as ``os._exit`` of ``parcel.labels._os._exit``."""
    *owners, member = name.split(".")[-LONGEST_ROW:]
    return (".".join([owner.lstrip("_") for owner in owners[start:]] + [member]) for start in range(len(owners)))


def _refused(dotted: Iterable[str]) -> Iterator[str]:
    """Those of the names that a table refuses, as the table has them."""
    for name in sorted(dotted):
        root = name.partition(".")[0]
        owner, _, member = name.rpartition(".")
        if root in MODULES and PYTEST_TYPES.isdisjoint(name.split(".")):
            yield name
        if member in ATTRIBUTES or (member in FOREIGN_ATTRIBUTES and root in FOREIGN):
            yield member
        if owner in SENSITIVE and member == COMPUTED:
            yield f"a computed name of {owner}"
        yield from filter(MEMBERS.match, _tails(name))


def _literals(nodes: Iterable[ast.expr]) -> Iterator[ast.Constant]:
    """The constants among expressions and in the collections that they display."""
    for node in nodes:
        if isinstance(node, ast.Constant):
            yield node
        elif isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
            yield from _literals(_alternatives(node))


def _called(function: ast.expr) -> str:
    """The last part of the name that a function is called by."""
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _positional(node: ast.Call) -> list[ast.expr]:
    """The arguments of a call in their order, also those that it displays behind a star or gives by their names."""
    given = [part for one in node.args for part in (_elements(one.value) if isinstance(one, ast.Starred) else [one])]
    return given + [keyword.value for keyword in node.keywords if keyword.arg in POSITIONAL]


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


class _Screen:
    """The rules, asked of every node of a module."""

    def __init__(self, tree: ast.Module) -> None:
        self._names = _Names(tree)
        self._passed: set[int] = set()  # nodes that what stands around them speaks for
        self._executed: set[str] = set()

    def reasons(self) -> Iterator[str]:
        """Each thing that speaks against the module, with its line."""
        for node, reason in self._of_nodes(self._names.nodes):
            shown = reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - 1] + "…"
            yield f"{shown} (line {getattr(node, 'lineno', 1)})"

    def _of_nodes(self, nodes: Iterable[tuple[ast.AST, _Scope]]) -> Iterator[tuple[ast.AST, str]]:
        for node, scope in nodes:
            self._let_pass(node)
            for reason in self._of_node(node, scope):
                yield node, reason

    def _of_node(self, node: ast.AST, scope: _Scope) -> Iterator[str]:
        yield from (f"redefines {name}" for name in self._redefined(node, scope))
        yield from (f"sets {name} for other processes" for name in _variables_set(node))
        for name, lasting in self._written(node, scope):
            if PROTECTED.match(name) or (lasting and LASTING.match(name)):
                yield f"replaces {name.removeprefix(f'{OWN_MODULE}.').removeprefix(f'{UNKNOWN}.')}"
        match node:
            case ast.Import(names=aliases):
                yield from (f"imports {name}" for name in _refused(alias.name for alias in aliases))
            case ast.ImportFrom():
                yield from (f"imports {name}" for name in _refused(origin for _, origin in _names_bound(node)))
            case ast.Call():
                yield from self._call(node, scope)
        if isinstance(node, ast.expr) and id(node) not in self._passed:
            yield from (f"names {place}" for place in self._places(node, scope))
            if isinstance(getattr(node, "ctx", None), ast.Load | None):
                yield from (f"uses {name}" for name in _refused(self._names.dotted(node, scope)))

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
            case ast.Call(func=function, args=arguments) if INERT_CALL.match(_called(function)):
                inert = arguments
            case ast.Attribute(value=mocked, attr=attr) if MOCK_ATTRIBUTE.match(attr):
                self._passed.add(id(mocked))
            case ast.Assign(targets=[ast.Name(id="pytest") as target], value=ast.Constant(value=None)):
                self._passed.add(id(target))  # the usual answer to an ImportError
        self._passed.update(map(id, _literals(inert)))

    def _redefined(self, node: ast.AST, scope: _Scope) -> Iterator[str]:
        """Names that assertions and pytest's hooks go by, bound to something else."""
        bound = [name for name, origin in _names_bound(node) if origin not in {name, f"builtins.{name}"}]
        hooks = bound
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) if id(node) not in self._passed:
                bound = [name]
                hooks = bound if scope is self._names.root or scope.is_class else []
            case ast.arg(arg=name):
                bound = [name]
        yield from (name for name in bound if name in {"AssertionError", "pytest", "__builtins__"})
        yield from (name for name in hooks if name.startswith("pytest_"))

    def _written(self, node: ast.AST, scope: _Scope) -> Iterator[tuple[str, bool]]:
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

    def _set_by_call(self, node: ast.Call, called: set[str], scope: _Scope) -> Iterator[str]:
        """What a call may write by any of the names that its function goes by."""
        names = self._names
        owner = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        owns = not called.isdisjoint({"__delattr__", "__setattr__"})
        keywords = {keyword.arg for keyword in node.keywords if keyword.arg}
        arguments = _positional(node)
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

    def _item_names(self, nodes: Iterable[ast.expr], scope: _Scope) -> Iterator[str]:
        """The keys that arguments give: their own, if they display a mapping."""
        for node in nodes:
            for key in node.keys if isinstance(node, ast.Dict) else [node]:
                yield from self._names.texts(key, scope) if key else ()

    def _call(self, node: ast.Call, scope: _Scope) -> Iterator[str]:
        functions = self._names.dotted(node.func, scope)
        yield from (f"calls {name}" for name in _refused(functions))
        yield from (f"calls {name}" for name in sorted(functions) if CALLS.match(name))
        # A function that is handed over, as in `map(exec, texts)`, is called with what follows.
        for position, function in enumerate([node.func, *_positional(node)]):
            called = {tail for name in self._names.dotted(function, scope) for tail in _tails(name)}
            arguments = _positional(node)[position:]
            if called & INTERPRETERS and arguments:
                yield from self._code(arguments[0], scope)
            if called & GETTERS and len(arguments) > 1:
                members = self._names.members(arguments[0], self._names.keys(arguments[1], scope), scope)
                yield from (f"uses {name}" for name in _refused(members))
            for name in sorted(called & DESCRIPTORS.keys()):
                if any(NUMBER in self._names.values(one, scope) for one in arguments[: DESCRIPTORS[name]]):
                    yield f"calls {name} on a guessed file descriptor"
        for keyword in node.keywords:
            if keyword.arg in DESCRIPTOR_KEYWORDS and NUMBER in self._names.values(keyword.value, scope):
                yield f"passes a guessed file descriptor as {keyword.arg}"
        if any(map(OPENERS.match, functions)):
            yield from (f"opens {place}" for place in self._opened(node, scope))

    def _code(self, node: ast.expr, scope: _Scope) -> Iterator[str]:
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

    def _opened(self, node: ast.Call, scope: _Scope) -> Iterator[str]:
        """What a call that opens a file, a program or a connection must not be given."""
        for path in _positional(node)[:1]:
            yield from filter(GIT_CONFIG.fullmatch, sorted(self._names.texts(path, scope)))
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            for part in self._names.origins(argument, scope):
                match part:
                    case ast.Constant(value=str(text)):
                        yield from (found[0] for found in (KERNEL_PATH.search(text), SECRET.search(text)) if found)
                    case ast.Subscript(slice=ast.Constant(value=key)) | ast.Call(args=[ast.Constant(value=key), *_]):
                        yield from (f"the file of {name}" for name in COMMAND_FILES & {key})

    def _places(self, node: ast.expr, scope: _Scope) -> Iterator[str]:
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
