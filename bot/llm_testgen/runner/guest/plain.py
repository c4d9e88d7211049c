"""Test functions that need nothing of pytest, run without it.

What ends in a way that pytest words differently is run again by pytest.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import sys
import time
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from _pytest import assertion

from . import outcomes, reaper
from .surroundings import OnlyPytestKnowsError, Surroundings, surroundings

if TYPE_CHECKING:
    from .measure import Meter
    from .zygote import Zygote

# A fixture of everybody's that takes longer, or compiles more, is left to pytest.
_REHEARSAL_SECONDS = 20.0
_MOST_PATTERNS = 1 << 16


class Place:
    """Where a plain file stands, and all that follows from it: a child need not find it out.

    Args:
        path: Its own.
        root: The working folder.
        package: Of its folder, dotted; empty when it is in none.
        node: pytest's of the file.
        around: What happens around each of its tests.
    """

    def __init__(self, path: str, root: str, package: str, node: Any, around: Surroundings) -> None:
        """Keep them."""
        self.path = path
        self.root = root
        self.package = package
        self.node = node
        self.around = around
        self.module = ".".join(filter(None, [package, os.path.splitext(os.path.basename(path))[0]]))
        self.relative = os.path.relpath(path, root)


class Plain:
    """A test file that may be run without pytest.

    Attributes:
        code: The compiled module.
        tests: Names of its test functions, in their order.
        place: Where it is.
        items: Its tests as pytest knows them, where plugins of the project look at these.
        explains: Whether its assertions were rewritten to show their values.
    """

    def __init__(
        self, code: types.CodeType, tests: list[str], place: Place, items: Sequence[Any] = (), *, explains: bool = False
    ) -> None:
        """Keep them."""
        self.code = code
        self.tests = tests
        self.place = place
        self.items = items
        self.explains = explains

    def explained(self, code: types.CodeType) -> Plain:
        """The same with its assertions rewritten."""
        return Plain(code, self.tests, self.place, self.items, explains=True)


class Shelf:
    """Plain files of one folder, made ready in a zygote so that its children touch, and so copy, little memory.

    Args:
        zygote: Gives pytest's nodes of files.
        session: pytest's.
        anchor: A collected test of that folder, without fixtures of its own.
        around: What happens around each test there.
    """

    def __init__(self, zygote: Zygote, session: Any, anchor: Any, around: Surroundings) -> None:
        """Nothing is ready yet."""
        self._zygote = zygote
        self._session = session
        self._anchor = anchor
        self._around = around
        # By the name of the file, since names come again.
        self._places: dict[str, Place] = {}

    @classmethod
    def open(cls, zygote: Zygote, session: Any, anchor: Any) -> Shelf | None:
        """One for the anchor's folder; None where it takes the whole of pytest to run a test.

        A test that does nothing is run in a child, and what fixtures have compiled there is compiled here, so that
        other children need not.
        """
        around = surroundings(session.config, anchor, (zygote, zygote.recorder))
        if around is None:
            return None
        shelf = cls(zygote, session, anchor, around)
        nothing = shelf.take(zygote.request["anchor"], "def test_nothing():\n    pass\n", ["test_nothing"])
        patterns = _rehearse(nothing, zygote)
        if patterns is None:
            return None
        for pattern, flags in patterns:
            re.compile(pattern, flags)
        return shelf

    def take(self, name: str, text: str, tests: list[str]) -> Plain:
        """A plain file, ready to be run.

        Args:
            name: Its path in the tree.
            text: What it holds.
            tests: Names of its test functions.

        Raises:
            SyntaxError: It is no Python to this interpreter.
            ValueError: The same.
        """
        place = self._places.get(name) or self._make_place(name)
        code = compile(text, place.path, "exec", dont_inherit=True)
        return Plain(code, tests, place, self._items(place, tests) if self._around.looks else ())

    def _make_place(self, name: str) -> Place:
        zygote = self._zygote
        path = pathlib.Path(zygote.root, name)
        zygote.announce(path)
        node = zygote.collector(self._session, path)
        self._places[name] = Place(str(path), zygote.root, zygote.package, node, self._around)
        return self._places[name]

    def _items(self, place: Place, tests: list[str]) -> list[Any]:
        """Nodes of pytest's for test functions that there are not yet."""
        kind, info = type(self._anchor), self._anchor._fixtureinfo
        return [kind.from_parent(place.node, name=name, callobj=_stand_in, fixtureinfo=info) for name in tests]


def _stand_in() -> None:
    """What takes the place of a test function until there is one."""


def _rehearse(nothing: Plain, zygote: Zygote) -> list[tuple[str, int]] | None:
    """Run a test that does nothing, in a child: its fixtures must not leave anything behind in the zygote.

    Returns the regular expressions that were compiled, or None where it does not pass.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            before = set(_compiled())
            if not run(nothing, zygote.meter)["exit"]:
                os.write(writing, json.dumps([pattern for pattern in _compiled() if pattern not in before]).encode())
        os._exit(0)
    os.close(writing)
    said, _ = reaper.attend(child, reading, time.monotonic() + _REHEARSAL_SECONDS, _MOST_PATTERNS)
    reaper.end_all(child, alone=zygote.request["alone"])
    os.close(reading)
    return json.loads(said) if said else None


def _compiled() -> list[tuple[str, int]]:
    """The regular expressions that `re` keeps; there is no public way to them."""
    keys = [key for key in getattr(re, "_cache", ()) if isinstance(key, tuple)]
    return [(pattern, int(flags)) for _, pattern, flags in keys if isinstance(pattern, str)]


class UnexplainedError(Exception):
    """An assertion has failed; with assertions rewritten it would show its values."""


def explain_assertions(config: Any) -> Any:
    """Have rewritten assertions show their values as they do in pytest, as long as what this returns is kept."""
    item: Any = types.SimpleNamespace(config=config, ihook=config.hook)
    explaining: Any = assertion.pytest_runtest_protocol(item)
    next(explaining)
    return explaining


def run(plain: Plain, meter: Meter) -> dict[str, Any]:
    """What pytest would report of a plain file.

    Args:
        plain: The file.
        meter: What watches the project's code.

    Raises:
        OnlyPytestKnowsError: It would report something else than what can be seen here.
        UnexplainedError: An assertion failed that was not rewritten.
    """
    place = plain.place
    module = types.ModuleType(place.module)
    module.__file__ = place.path
    module.__package__ = place.package
    sys.modules[place.module] = module

    def load() -> None:
        exec(plain.code, module.__dict__)  # noqa: S102 - what a test runner is for

    with meter.watching():
        error = _raised(load, plain)
        if isinstance(error, AssertionError):
            raise OnlyPytestKnowsError from error  # it shows the values otherwise than those of a test
        if error is not None:
            # pytest words an import error by the error that it stands for, others by what they were raised from.
            cause = None if isinstance(error, (ImportError, SyntaxError)) else error.__cause__
            failure = outcomes.failure(cause or error, place.path, "collect", place.root)
            return {"exit": 2, "outcomes": {}, "failures": [failure], "collect_errors": 1}
        return _run_tests(plain, module)


def _run_tests(plain: Plain, module: types.ModuleType) -> dict[str, Any]:
    place = plain.place
    around = place.around
    around.see(plain.items, place.node, module)
    ended: dict[str, str] = {}
    failures = []
    for name in plain.tests:
        os.environ["PYTEST_CURRENT_TEST"] = f"{place.relative}::{name} (call)"
        around.set_up()
        error = _raised(getattr(module, name), plain, is_test=True)
        around.tear_down(last=name == plain.tests[-1])
        if error is not None:
            failures.append(outcomes.failure(error, place.path, "call", place.root))
        ended[f"{place.relative}::{name}"] = "passed" if error is None else "failed"
    return {"exit": int(bool(failures)), "outcomes": ended, "failures": failures, "collect_errors": 0}


def _raised(call: Callable[[], object], plain: Plain, *, is_test: bool = False) -> BaseException | None:
    """What a call raises.

    Raises:
        OnlyPytestKnowsError: It raises, or returns, what has a meaning of its own to pytest.
        UnexplainedError: An assertion failed that was not rewritten.
    """
    try:
        result = call()
    except AssertionError as error:
        if not plain.explains:
            raise UnexplainedError from error
        return error
    except Exception as error:
        return error
    except BaseException as error:
        if is_test and type(error) is pytest.fail.Exception:
            return error
        raise OnlyPytestKnowsError from error  # a skip, an exit
    if result is not None:
        raise OnlyPytestKnowsError
    return None
