from __future__ import annotations

import builtins
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import http
import os
import pathlib
import sys
import tempfile
import time
import types
import uuid

import pytest

from llm_testgen.runner.guest import observe
from llm_testgen.runner.observations import ObservationClaim

FAR = dt.datetime(2020, 1, 2, 3, 4)  # noqa: DTZ001 - naive, as a project's
THREE = range(3)
SOURCES = [
    (None, "None"),
    (True, "True"),
    (-7, "-7"),
    (10**29, "1" + "0" * 29),
    (0.1, "0.1"),
    (float("inf"), "float('inf')"),
    (float("-inf"), "float('-inf')"),
    (1 + 2j, "(1+2j)"),
    (-1j, "(-0-1j)"),
    ("it's\n", '"it\'s\\n"'),
    ("é\ud800", "'é\\ud800'"),
    (b"\x00", "b'\\x00'"),
    ((), "()"),
    ((1,), "(1,)"),
    ([1, "a", [None]], "[1, 'a', [None]]"),
    ({"b": 1, "a": {2.5: ()}}, "{'b': 1, 'a': {2.5: ()}}"),
    ({}, "{}"),
    (set(), "set()"),
    ({"c", "b", "a"}, "{'a', 'b', 'c'}"),
    (frozenset(), "frozenset()"),
    (frozenset({2, 1}), "frozenset({1, 2})"),
    ({frozenset({1}), (2,)}, "{(2,), frozenset({1})}"),
    (range(3), "range(0, 3)"),
    (range(3, 0, -1), "range(3, 0, -1)"),
    (decimal.Decimal("1.50"), "decimal.Decimal('1.50')"),
    (fractions.Fraction(-1, 3), "fractions.Fraction(-1, 3)"),
    (FAR.date(), "datetime.date(2020, 1, 2)"),
    (FAR, "datetime.datetime(2020, 1, 2, 3, 4)"),
    (FAR.replace(tzinfo=dt.UTC), "datetime.datetime(2020, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)"),
    (dt.timedelta(days=1), "datetime.timedelta(days=1)"),
    (pathlib.Path("a/b"), "pathlib.Path('a/b')"),
    (pathlib.PurePosixPath("a"), "pathlib.PurePosixPath('a')"),
    (pathlib.PureWindowsPath("a"), "pathlib.PureWindowsPath('a')"),
    (uuid.UUID(int=1), "uuid.UUID('00000000-0000-0000-0000-000000000001')"),
    (ValueError, "ValueError"),
    (int, "int"),
    (..., "..."),
    (NotImplemented, "NotImplemented"),
    (http.HTTPStatus.OK, "http.HTTPStatus.OK"),
    ({http.HTTPStatus.OK: [http.HTTPStatus.OK]}, "{http.HTTPStatus.OK: [http.HTTPStatus.OK]}"),
]


@pytest.mark.parametrize(("value", "source"), SOURCES, ids=[source for _, source in SOURCES])
def test_a_value_is_written_and_what_is_written_is_believed(value, source):
    written = observe.written(value)
    assert written.expression == source
    namespace: dict = {}
    for statement in written.imports:
        exec(statement, namespace)  # noqa: S102 - as a test would
    assert eval(source, namespace) == value  # noqa: S307 - the same
    claim = ObservationClaim(key=1, type="x", expression=source, imports=written.imports).observation()
    assert eval(claim.expression, namespace) == value  # noqa: S307 - the same


Point = collections.namedtuple("Point", "x")  # noqa: PYI024 - what a project may have


@dataclasses.dataclass(frozen=True)
class Money:
    amount: int


class Text(str):
    __slots__ = ()


class Count(int):
    pass


class Level(enum.IntFlag):
    LOW = 1
    HIGH = 2


def recursive() -> list:
    found: list = []
    found.append(found)
    return found


def nested(depth: int) -> list:
    return [nested(depth - 1)] if depth else []


NONE = {
    "nan": float("nan"),
    "nan inside": [float("nan")],
    "a complex nan": complex(0, float("nan")),
    "a large number": 10**30,
    "a large range": range(10**31),
    "a long text": "x" * 600,
    "long bytes": b"\x00" * 400,
    "many items": list(range(400)),
    "much text": ["x" * 100] * 7,
    "a huge list": [0] * 10_000_000,
    "itself inside": recursive(),
    "depth": nested(9),
    "a named tuple": Point(1),
    "a dataclass": Money(1),
    "a subclass of str": Text("x"),
    "a subclass of int": Count(1),
    "a subclass inside": {"a": Count(1)},
    "an ordered dictionary": collections.OrderedDict(a=1),
    "a default dictionary": collections.defaultdict(int),
    "a decimal nan": decimal.Decimal("NaN"),
    "a signalling nan": decimal.Decimal("sNaN"),
    "another zone": FAR.replace(tzinfo=dt.timezone(dt.timedelta(hours=1))),
    "an absolute path": pathlib.Path("/etc/hosts"),
    "a path on a drive": pathlib.PureWindowsPath("c:x"),
    "a slice": slice(1),
    "a function": len,
    "a module": sys,
    "a class": Money,
    "an object": object(),
    "an iterator": iter([1]),
    "an exception": ValueError("x"),
    "several flags": Level.LOW | Level.HIGH,
    "a member from a test": Level.LOW,
    "a type of types": enum.EnumMeta,
    "the temporary folder": f"{tempfile.gettempdir()}/llm-testgen-x/y",
    "an address": repr(object()),
    "a process": f"worker-{os.getpid()}",
    "the name of a candidate's file": "tests/test_llm_testgen_1_1.py",
    "the interpreter": f"{sys.prefix}/bin",
}

# Made when they are asked for: the tests run minutes after this file is read.
NOW = {
    "now": dt.datetime.now,
    "now elsewhere": lambda: dt.datetime.now(dt.UTC),
    "tomorrow": lambda: dt.date.today() + dt.timedelta(days=1),  # noqa: DTZ011 - naive
    "today as text": lambda: f"log-{dt.date.today():%Y%m%d}.txt",  # noqa: DTZ011 - naive
    "the time of day": lambda: dt.datetime.now().time(),  # noqa: DTZ005 - naive
    "the time of day as text": lambda: time.strftime("%H:%M"),
    "a time stamp": time.time,
    "a time stamp in milliseconds": lambda: int(time.time() * 1000),
}


@pytest.mark.parametrize("value", NONE.values(), ids=NONE)
def test_there_is_no_source_of(value):
    assert observe.written(value, (f"{tempfile.gettempdir()}/llm-testgen-x",)) == ("", ())


@pytest.mark.parametrize("value", NOW.values(), ids=NOW)
def test_there_is_no_source_of_what_is_another_by_the_next_run(value):
    assert observe.written(value()) == ("", ())


def test_the_id_of_the_process_is_no_value():
    if os.getpid() >= 1000:
        assert observe.written([os.getpid()]).expression == ""


TOUCHED = []


def touch(*given: object, **_: object) -> None:
    TOUCHED.append(len(given))
    raise RuntimeError


@pytest.fixture(autouse=True)
def _untouched():
    TOUCHED.clear()
    yield
    assert TOUCHED == []


NAMES = ("repr", "str", "eq", "hash", "len", "iter", "bool", "getattr", "getattribute", "instancecheck", "reduce_ex")
METHODS = dict.fromkeys((f"__{name}__" for name in NAMES), touch)
Meta = type("Meta", (type,), METHODS)
Hostile = type("Hostile", (), {**METHODS, "__class__": property(touch)})
HostileKind = Meta("HostileKind", (), dict(METHODS))


@pytest.mark.parametrize("base", [object, str, int, list, dict, set, tuple, float, bytes])
def test_nothing_of_a_foreign_object_is_called(base):
    value = base.__new__(type("Own", (base,), METHODS))
    for whole in (value, [value], (value,), {"a": value}, {1: [value]}):
        assert observe.written(whole) == ("", ())


def test_nothing_of_a_foreign_class_is_called():
    for value in (Hostile, HostileKind, object.__new__(Hostile), object.__new__(HostileKind), [HostileKind]):
        assert observe.written(value) == ("", ())


@pytest.fixture
def module(monkeypatch):
    """A module of a project, ``shop.colors``."""
    package, inner = types.ModuleType("shop"), types.ModuleType("shop.colors")
    for one in (package, inner):
        one.__spec__ = types.SimpleNamespace(name=one.__name__)
        monkeypatch.setitem(sys.modules, one.__name__, one)
    package.colors = inner
    source = """
import enum

class Color(enum.Enum):
    RED = 1
    ALIAS = 1

class Text(str, enum.Enum):
    A = "a"

class Outer:
    class Inner(enum.Enum):
        ONE = 1

class Same(enum.Enum):
    ONE = 1
    def __eq__(self, other):
        raise RuntimeError
    def __hash__(self):
        raise RuntimeError

class Kind(enum.EnumMeta):
    def __getattribute__(cls, name):
        if name == "ONE":
            raise RuntimeError
        return super().__getattribute__(name)

class Odd(enum.Enum, metaclass=Kind):
    ONE = 1

class _Hidden(enum.Enum):
    ONE = 1

Made = enum.Enum("Made", ["a-b", "ok"], module=__name__)
Lost = enum.Enum("Elsewhere", ["ok"], module=__name__)
"""
    exec(source, inner.__dict__)  # noqa: S102 - a module
    return inner


def test_a_member_of_an_enumeration_is_named_where_it_is(module):
    assert observe.written(module.Color.ALIAS) == ("shop.colors.Color.RED", ("import shop.colors",))
    assert observe.written([module.Text.A]).expression == "[shop.colors.Text.A]"
    assert observe.written(module.Outer.Inner.ONE).expression == "shop.colors.Outer.Inner.ONE"
    assert observe.written(module.Made.ok).expression == "shop.colors.Made.ok"


def test_a_module_that_is_private_can_be_imported_all_the_same(module, monkeypatch):
    monkeypatch.setitem(sys.modules, "shop._colors", module)
    monkeypatch.setattr(sys.modules["shop"], "_colors", module, raising=False)
    module.__spec__.name = module.Color.__module__ = "shop._colors"
    assert observe.written(module.Color.RED) == ("shop._colors.Color.RED", ("import shop._colors",))


@pytest.mark.parametrize(
    "get",
    [
        lambda module: module.Same.ONE,
        lambda module: module.Odd._member_map_["ONE"],
        lambda module: module._Hidden.ONE,
        lambda module: module.Made["a-b"],
        lambda module: module.Lost.ok,
        lambda module: module.Color,
    ],
)
def test_a_member_that_cannot_be_named_has_no_source(module, get):
    value = get(module)
    assert observe.written(value) == observe.written([value]) == ("", ())


def test_a_member_is_not_named_where_something_else_is(module, monkeypatch):
    red = module.Color.RED
    monkeypatch.setattr(module, "Color", object())
    assert observe.written(red) == ("", ())


def test_a_member_is_not_named_where_the_module_is_hidden(module, monkeypatch):
    monkeypatch.setattr(sys.modules["shop"], "colors", lambda: 1)
    assert observe.written(module.Color.RED) == ("", ())


def test_a_member_of_a_test_module_is_not_named(module, monkeypatch):
    monkeypatch.setitem(sys.modules, "test_shop", module)
    module.__spec__.name = module.Color.__module__ = "test_shop"
    assert observe.written(module.Color.RED) == ("", ())


def test_what_is_patched_in_a_test_makes_no_difference(monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(dt, "datetime", touch)
    assert observe.written(now) == ("", ())
    with monkeypatch.context() as patched:
        patched.setattr(builtins, "range", touch)
        patched.setattr(builtins, "ValueError", touch)
        written = observe.written([ZeroDivisionError, {2, 1}, THREE, FAR])
    assert written.expression == "[ZeroDivisionError, {1, 2}, range(0, 3), datetime.datetime(2020, 1, 2, 3, 4)]"


@pytest.fixture
def observer():
    yield observe.Observer()
    delattr(builtins, observe.NAME)


def test_a_value_is_what_it_is_at_the_time(observer):
    value = [1]
    assert getattr(builtins, observe.NAME)(3, value) is value
    value.append(2)
    observer.observe(4, value)
    assert [(seen["key"], seen["type"], seen["expression"]) for seen in observer.observed] == [
        (3, "list", "[1]"),
        (4, "list", "[1, 2]"),
    ]


def test_a_strange_name_of_a_type_is_none(observer):
    observer.observe(1, object.__new__(type("a b", (), {})))
    assert observer.observed[0]["type"] == "object"


@pytest.mark.parametrize("key", ["x", True, None, -1, 10**9, Count(1)])
def test_what_is_no_key_is_no_report(observer, key):
    assert observer.observe(key, 5) == 5
    assert observer.observed == []
