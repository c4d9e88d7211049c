"""Test functions that need nothing of pytest, run without it: most of what a model writes, at a third of the cost.

A plain module holds imports, constants, helpers and test functions without arguments or decorators. What passes here
passes in pytest too, unless the project's own plugins, fixtures or filters of warnings interfere: `allows` rules these
out. What fails in a way that pytest words differently is run again by pytest.
"""

from __future__ import annotations

import ast
import os
import sys
import types
from typing import Any

from _pytest import assertion

from . import outcomes

# Names by which pytest, or its support of older runners, finds more than test functions.
_MEANT_FOR_PYTEST = ("test", "Test", "pytest", "setup", "teardown", "setUp", "tearDown", "load_tests", "__test")
# Plugins that act on coroutines, on tests with marks, fixtures or decorators of theirs, or on reports only.
_LEAVE_ALONE = (
    "_pytest.",
    "_hypothesis_",
    "anyio.",
    "pytest_asyncio.",
    "pytest_benchmark.",
    "pytest_cov.",
    "pytest_mock.",
    "pytest_timeout",
    "xdist.",
)
# Hooks that see each test, or decide what one is.
_HOOKS = (
    "pytest_collection_modifyitems",
    "pytest_collection_finish",
    "pytest_pycollect_makemodule",
    "pytest_pycollect_makeitem",
    "pytest_itemcollected",
    "pytest_generate_tests",
    "pytest_make_collect_report",
    "pytest_runtest_protocol",
    "pytest_runtest_logstart",
    "pytest_runtest_setup",
    "pytest_runtest_call",
    "pytest_runtest_teardown",
    "pytest_runtest_makereport",
    "pytest_runtest_logreport",
    "pytest_pyfunc_call",
    "pytest_assertion_pass",
    "pytest_warning_recorded",
)


class Plain:
    """A test file that may be run without pytest.

    Attributes:
        code: The compiled module.
        tests: Names of its test functions, in their order.
        explains: Whether its assertions were rewritten to show their values.
    """

    def __init__(self, code: types.CodeType, tests: list[str], *, explains: bool = False) -> None:
        """Keep them."""
        self.code = code
        self.tests = tests
        self.explains = explains


def allows(config: Any, anchor: Any, own: tuple[Any, ...]) -> bool:
    """Whether a project leaves tests alone.

    Args:
        config: pytest's.
        anchor: A collected test without fixtures of its own: those that it has are everybody's.
        own: Plugins of the runner.
    """
    if (
        anchor.fixturenames
        or config.getini("python_functions") != ["test"]
        or config.getini("python_classes") != ["Test"]
    ):
        return False
    filters = [*config.getini("filterwarnings"), *(config.getoption("pythonwarnings") or ())]
    if any(text.startswith("error") for text in filters):
        return False  # then even a warning about a thread is a failure
    known = {id(plugin) for plugin in own}
    hooks = config.pluginmanager.hook  # not `config.hook`, which stands between in some versions
    for name in _HOOKS:
        for implementation in getattr(hooks, name).get_hookimpls():
            module = getattr(implementation.function, "__module__", "") or ""
            if id(implementation.plugin) not in known and not module.startswith(_LEAVE_ALONE):
                return False
    return True


def read(text: str, path: str) -> Plain | None:
    """A test file as plain; None when it is not.

    Raises:
        SyntaxError: It is no Python.
    """
    tree = ast.parse(text, path)
    tests = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            given = node.args
            if (
                node.decorator_list
                or given.args
                or given.posonlyargs
                or given.kwonlyargs
                or given.vararg
                or given.kwarg
            ):
                return None
            tests.append(node.name)
        elif not _is_support(node):
            return None
    if not tests or len(set(tests)) < len(tests):
        return None
    return Plain(compile(tree, path, "exec", dont_inherit=True), tests)


def _is_support(node: ast.stmt) -> bool:
    """Whether a statement of a module means nothing to pytest."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        names = [alias.asname or alias.name.partition(".")[0] for alias in node.names]
        return not any(name == "*" or _is_special(name) for name in names if name != "pytest")
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        bases = node.bases if isinstance(node, ast.ClassDef) else []
        return not (node.decorator_list or bases or _is_special(node.name))
    if isinstance(node, ast.Assign):
        return not any(not isinstance(target, ast.Name) or _is_special(target.id) for target in node.targets)
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_special(name: str) -> bool:
    return name.startswith(_MEANT_FOR_PYTEST)


class OnlyPytestKnowsError(Exception):
    """What pytest would report of a test cannot be told without it."""


class UnexplainedError(Exception):
    """An assertion has failed; with assertions rewritten it would show its values."""


def explain_assertions(config: Any) -> Any:
    """Have rewritten assertions show their values as they do in pytest, as long as what this returns is kept."""
    item: Any = types.SimpleNamespace(config=config, ihook=config.hook)
    explaining: Any = assertion.pytest_runtest_protocol(item)
    next(explaining)
    return explaining


def run(plain: Plain, path: str, root: str, package: str, meter: Any) -> dict[str, Any]:
    """What pytest would report of a plain file.

    Args:
        plain: The file.
        path: Where it is.
        root: The working folder.
        package: Of its folder, dotted; empty when it is in none.
        meter: What watches the project's code.

    Raises:
        OnlyPytestKnowsError: It would report something else than what can be seen here.
        UnexplainedError: An assertion failed that was not rewritten.
    """
    stem = os.path.splitext(os.path.basename(path))[0]
    module = types.ModuleType(".".join(filter(None, [package, stem])))
    module.__file__ = path
    module.__package__ = package
    sys.modules[module.__name__] = module
    relative = os.path.relpath(path, root)
    try:
        with meter.watching():
            exec(plain.code, module.__dict__)  # noqa: S102 - what a test runner is for
    except Exception as error:
        # pytest words an import error by the error that it stands for, and others by what they were raised from.
        cause = None if isinstance(error, (ImportError, SyntaxError)) else error.__cause__
        failure = outcomes.failure(cause or error, path, "collect", root)
        return {"exit": 2, "outcomes": {}, "failures": [failure], "collect_errors": 1}
    ended: dict[str, str] = {}
    failures = []
    for name in plain.tests:
        os.environ["PYTEST_CURRENT_TEST"] = f"{relative}::{name} (call)"
        try:
            with meter.watching():
                result = getattr(module, name)()
        except AssertionError as error:
            if not plain.explains:
                raise UnexplainedError from error
            failures.append(outcomes.failure(error, path, "call", root))
            ended[f"{relative}::{name}"] = "failed"
        except Exception as error:
            failures.append(outcomes.failure(error, path, "call", root))
            ended[f"{relative}::{name}"] = "failed"
        else:
            if result is not None:
                raise OnlyPytestKnowsError
            ended[f"{relative}::{name}"] = "passed"
    return {"exit": int(bool(failures)), "outcomes": ended, "failures": failures, "collect_errors": 0}
