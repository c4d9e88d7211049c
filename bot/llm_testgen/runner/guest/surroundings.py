"""What a project has happen around every test, so that it can be done without the rest of pytest: fixtures, and a hook.

A project's `conftest.py` often has a fixture that every test is given, or looks over the collected tests. Most such
fixtures are functions that need nothing of pytest but to be called, before and after.
"""

from __future__ import annotations

import contextlib
import inspect
import types
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

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
_MODIFY = "pytest_collection_modifyitems"
# Hooks that see each test, or decide what one is.
_HOOKS = (
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
# Fixtures of pytest that need only to be called.
_SIMPLE = frozenset({"doctest_namespace", "monkeypatch"})
_FIXTURE_HOOKS = ("pytest_fixture_setup", "pytest_fixture_post_finalizer")


class OnlyPytestKnowsError(Exception):
    """What pytest would report of a test cannot be told without it."""


class Fixture(NamedTuple):
    """A fixture that needs only to be called.

    Attributes:
        name: Under which others ask for it.
        function: What to call; a generator function goes on after the test.
        arguments: Names of the fixtures that it asks for.
        lasts: Whether it is shared by all tests of a file, or of more.
    """

    name: str
    function: Any
    arguments: tuple[str, ...]
    lasts: bool


class Surroundings:
    """What happens around every test.

    Args:
        fixtures: What every test is given, in the order in which pytest would make it.
        modify: Calls what plugins of the project do to collected tests; None when they do nothing.

    Attributes:
        looks: Whether plugins of the project look at collected tests.
    """

    def __init__(self, fixtures: list[Fixture], modify: Any) -> None:
        """Keep them."""
        self._fixtures = {fixture.name: fixture for fixture in fixtures}
        self._values: dict[str, Any] = {}
        # What goes on after the test, and after the last one.
        self._after: list[Any] = []
        self._at_last: list[Any] = []
        self._warnings = warnings.catch_warnings()
        self._modify = modify
        self.looks = modify is not None

    def see(self, items: Sequence[Any], node: Any, module: types.ModuleType) -> None:
        """Let plugins of the project see the tests that were collected.

        Args:
            items: pytest's of the test functions.
            node: pytest's of their file.
            module: The imported file.

        Raises:
            OnlyPytestKnowsError: They want something to be done with them.
        """
        if self._modify is None:
            return
        node._obj = module
        wanted = list(items)
        with _as_pytest_says():
            for item in items:
                item.obj = getattr(module, item.name)
            self._modify(session=node.session, config=node.config, items=wanted)
        if wanted != list(items) or any(item.own_markers for item in items):
            raise OnlyPytestKnowsError

    def set_up(self) -> None:
        """Make what a test is given.

        Raises:
            OnlyPytestKnowsError: That does not work.
        """
        if not self._fixtures:
            return
        with _as_pytest_says():
            self._warnings = warnings.catch_warnings()
            self._warnings.__enter__()
            for name in self._fixtures:
                self._value(name)

    def tear_down(self, *, last: bool) -> None:
        """Do what comes after a test, or after the last one.

        Raises:
            OnlyPytestKnowsError: That does not work.
        """
        if not self._fixtures:
            return
        with _as_pytest_says():
            _finish(self._after)
            if last:
                _finish(self._at_last)
            self._values = {name: value for name, value in self._values.items() if self._fixtures[name].lasts}
            self._warnings.__exit__(None, None, None)

    def _value(self, name: str) -> Any:
        if name not in self._values:
            fixture = self._fixtures[name]
            made = fixture.function(**{argument: self._value(argument) for argument in fixture.arguments})
            if inspect.isgeneratorfunction(fixture.function):
                (self._at_last if fixture.lasts else self._after).append(made)
                made = next(made)
            self._values[name] = made
        return self._values[name]


@contextlib.contextmanager
def _as_pytest_says() -> Iterator[None]:
    try:
        yield
    except BaseException as error:  # a skip, too
        raise OnlyPytestKnowsError from error


def _finish(generators: list[Any]) -> None:
    while generators:
        if next(generators.pop(), generators) is not generators:
            raise OnlyPytestKnowsError


def surroundings(config: Any, anchor: Any, own: tuple[Any, ...]) -> Surroundings | None:
    """What a project has happen around every test; None when that takes the whole of pytest.

    Args:
        config: pytest's.
        anchor: A collected test without fixtures of its own: those that it has are everybody's.
        own: Plugins of the runner.
    """
    if config.getini("python_functions") != ["test"] or config.getini("python_classes") != ["Test"]:
        return None
    filters = [*config.getini("filterwarnings"), *(config.getoption("pythonwarnings") or ())]
    if any(text.startswith("error") for text in filters):
        return None  # then even a warning about a thread is a failure
    hooks = config.pluginmanager.hook  # not `config.hook`, which stands between in some versions
    if any(_foreign(getattr(hooks, name), own) for name in (*_HOOKS, *_FIXTURE_HOOKS * bool(anchor.fixturenames))):
        return None
    fixtures = _fixtures(anchor)
    if fixtures is None:
        return None
    modifying = _foreign(getattr(hooks, _MODIFY), own)
    if not modifying:
        return Surroundings(fixtures, None)
    others = [plugin for plugin in config.pluginmanager.get_plugins() if plugin not in modifying]
    return Surroundings(fixtures, config.pluginmanager.subset_hook_caller(_MODIFY, others))


def _foreign(hook: Any, own: tuple[Any, ...]) -> list[Any]:
    """Plugins of the project, or such that are not known to leave tests alone, which implement a hook."""
    return [
        implementation.plugin
        for implementation in hook.get_hookimpls()
        if not any(implementation.plugin is plugin for plugin in own)
        and not (getattr(implementation.function, "__module__", "") or "").startswith(_LEAVE_ALONE)
    ]


def _fixtures(anchor: Any) -> list[Fixture] | None:
    """Everybody's fixtures; None when one needs more than to be called."""
    known = anchor._fixtureinfo.name2fixturedefs
    found = []
    for name in anchor.fixturenames:
        definitions = known.get(name, ())
        # One that takes the place of another may ask for that one by its own name.
        if len(definitions) != 1:
            return None
        definition = definitions[0]
        function = definition.func
        is_pytests = (getattr(function, "__module__", "") or "").startswith(_LEAVE_ALONE)
        if (is_pytests and name not in _SIMPLE) or definition.params or not _is_called(function):
            return None
        found.append(Fixture(name, function, tuple(definition.argnames), definition.scope != "function"))
    return found


def _is_called(function: Any) -> bool:
    """Whether a fixture's function is an ordinary one."""
    return inspect.isroutine(function) and not (
        inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    )
