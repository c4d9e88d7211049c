"""Values as Python source: literals, and calls of constructors of the standard library."""

from __future__ import annotations

import builtins
import cmath
import datetime as dt
import decimal
import enum
import fractions
import keyword
import math
import pathlib
import sys
import types
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from .volatile import Volatile

LONGEST = 600
_LONGEST_TEXT = 500
_LARGEST = 10**30
_DEEPEST = 6
# Each item takes three characters at least.
_MOST_ITEMS = LONGEST // 3
# Modules of tests, whose names depend on who imports them.
_TEST_NAMES = ("test_", "conftest", "__")
# What belongs to a class itself: its metaclass may be anybody's.
name_of: Any = type.__dict__["__name__"].__get__
_qualname_of: Any = type.__dict__["__qualname__"].__get__
_members_of: Any = type.__dict__["__dict__"].__get__
_bases_of: Any = type.__dict__["__mro__"].__get__
_globals_of: Any = vars(types.ModuleType)["__dict__"].__get__

CLASSES = {name: value for name, value in vars(builtins).items() if type(value) is type and value.__name__ == name}
# What expressions name, as it is before a test may replace it.
BUILTINS: dict[str, Any] = {**CLASSES, "NotImplemented": NotImplemented}
MODULES = {module.__name__: types.SimpleNamespace(**vars(module)) for module in (dt, decimal, fractions, pathlib, uuid)}


class NoSourceError(Exception):
    """A value has no source."""


class Writer:
    """Writes one value.

    Args:
        volatile: Knows what will be another value tomorrow.

    Attributes:
        modules: What is to be imported for it.
    """

    def __init__(self, volatile: Volatile) -> None:
        """Write nothing yet."""
        self._volatile = volatile
        self._depth = 0
        self.modules: set[str] = set()

    def write(self, value: Any) -> str:
        """Source of a value.

        Raises:
            NoSourceError: There is none.
        """
        if value is None or value is True or value is False or value is NotImplemented:
            return repr(value)
        if value is ...:
            return "..."
        kind = type(value)
        # Not by the class itself: to look it up would call what its metaclass has for that.
        write = _WRITERS.get(id(kind))
        if write is not None:
            return write(self, value)
        if kind is type:
            return _class(value)
        if type(kind) is enum.EnumMeta:
            return self._member(kind, value)
        raise NoSourceError

    def items(self, values: Iterable[Any], count: int) -> list[str]:
        """Source of each of some values."""
        if count > _MOST_ITEMS or self._depth >= _DEEPEST:
            raise NoSourceError
        self._depth += 1
        found, length = [], 0
        for value in values:
            found.append(self.write(value))
            length += len(found[-1])
            if length > LONGEST:
                raise NoSourceError
        self._depth -= 1
        return found

    def text(self, value: str) -> str:
        """A text that is the same tomorrow."""
        if len(value) > _LONGEST_TEXT or self._volatile.is_in(value):
            raise NoSourceError
        return value

    def number(self, value: Any) -> Any:
        """A number that is the same tomorrow."""
        if not -_LARGEST < value < _LARGEST or self._volatile.is_number(value):
            raise NoSourceError
        return value

    def moment(self, value: Any) -> Any:
        """A date or time that is the same tomorrow."""
        if self._volatile.is_moment(value):
            raise NoSourceError
        return value

    def of(self, module: str, expression: str) -> str:
        """An expression that begins with the name of a module."""
        self.modules.add(module)
        return f"{module}.{expression}"

    def _member(self, kind: Any, value: Any) -> str:
        """A member of an enumeration, by its name."""
        if any(_has_own_equality(base) for base in _bases_of(kind)):
            raise NoSourceError
        name = object.__getattribute__(value, "_name_")
        if type(name) is not str or _members_of(kind)["_member_map_"].get(name) is not value:
            raise NoSourceError
        module, path = _module_name(kind), _qualname_of(kind).split(".")
        found = _contents(module)[path[0]]
        for part in path[1:]:
            found = _members_of(found)[part]
        if found is not kind or not all(map(_is_public, [*path, name])):
            raise NoSourceError
        return self.of(module, ".".join([*path, name]))


def _class(value: Any) -> str:
    name: str = name_of(value)
    if CLASSES.get(name) is not value:
        raise NoSourceError
    return name


def _has_own_equality(base: Any) -> bool:
    own = _members_of(base)
    return ("__eq__" in own or "__hash__" in own) and _module_name(base) not in {"builtins", "enum"}


def _module_name(kind: Any) -> str:
    name = _members_of(kind).get("__module__", "builtins")
    return name if type(name) is str else ""


def _contents(name: str) -> Any:
    """What is in a module that has the name under which others import it, and is a member of the packages around it."""
    parts = name.split(".")
    if not all(part.isidentifier() and part.isascii() for part in parts) or parts[-1].startswith(_TEST_NAMES):
        raise NoSourceError
    module = sys.modules[parts[0]]
    for count, part in enumerate(parts[1:], 2):
        inner = sys.modules[".".join(parts[:count])]
        if _globals_of(module)[part] is not inner:
            raise NoSourceError
        module = inner
    found = _globals_of(module)
    if type(module) is not types.ModuleType or getattr(found["__spec__"], "name", "") != name:
        raise NoSourceError
    return found


def _is_public(name: str) -> bool:
    return name.isidentifier() and name.isascii() and not keyword.iskeyword(name) and not name.startswith("_")


def _number(writer: Writer, value: Any) -> str:
    return repr(writer.number(value))


def _float(writer: Writer, value: float) -> str:
    if math.isnan(value):
        raise NoSourceError
    return f"float({str(value)!r})" if math.isinf(value) else repr(writer.number(value))


def _complex(_: Writer, value: complex) -> str:
    if not cmath.isfinite(value):
        raise NoSourceError
    return repr(value)


def _text(writer: Writer, value: str) -> str:
    text = repr(writer.text(value))
    if len(text) > _LONGEST_TEXT:
        raise NoSourceError
    return text


def _bytes(writer: Writer, value: bytes) -> str:
    text = repr(value) if len(value) <= _LONGEST_TEXT else ""
    if not text or len(text) > _LONGEST_TEXT:
        raise NoSourceError
    writer.text(value.decode("latin-1"))
    return text


def _list(writer: Writer, value: list[Any]) -> str:
    return f"[{', '.join(writer.items(value, len(value)))}]"


def _tuple(writer: Writer, value: tuple[Any, ...]) -> str:
    items = writer.items(value, len(value))
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def _set(writer: Writer, value: set[Any]) -> str:
    # Their order is another in each process.
    return f"{{{', '.join(sorted(writer.items(value, len(value))))}}}" if value else "set()"


def _frozenset(writer: Writer, value: frozenset[Any]) -> str:
    return f"frozenset({_set(writer, set(value)) if value else ''})"


def _dict(writer: Writer, value: dict[Any, Any]) -> str:
    keys, values = writer.items(value, len(value)), writer.items(value.values(), len(value))
    return f"{{{', '.join(map('{}: {}'.format, keys, values))}}}"


def _range(writer: Writer, value: range) -> str:
    for number in (value.start, value.stop, value.step):
        writer.number(number)
    return repr(value)


def _decimal(writer: Writer, value: decimal.Decimal) -> str:
    return writer.of("decimal", f"Decimal({_text(writer, str(value))})")


def _fraction(writer: Writer, value: fractions.Fraction) -> str:
    parts = writer.number(value.numerator), writer.number(value.denominator)
    return writer.of("fractions", f"Fraction{parts}")


def _moment(writer: Writer, value: Any) -> str:
    zone = getattr(value, "tzinfo", None)
    if zone is not None and zone is not dt.timezone.utc:
        raise NoSourceError
    return writer.of("datetime", repr(writer.moment(value)).partition(".")[2])


def _path(writer: Writer, value: pathlib.PurePath) -> str:
    if value.anchor:
        raise NoSourceError
    name = "Path" if type(value) is type(_HERE) else type(value).__name__
    return writer.of("pathlib", f"{name}({_text(writer, str(value))})")


def _uuid(writer: Writer, value: uuid.UUID) -> str:
    return writer.of("uuid", f"UUID({str(value)!r})")


_HERE = pathlib.Path()
_BY_TYPE: list[tuple[Any, Callable[[Writer, Any], str]]] = [
    (int, _number),
    (float, _float),
    (complex, _complex),
    (str, _text),
    (bytes, _bytes),
    (list, _list),
    (tuple, _tuple),
    (set, _set),
    (frozenset, _frozenset),
    (dict, _dict),
    (range, _range),
    (decimal.Decimal, _decimal),
    (fractions.Fraction, _fraction),
    (dt.date, _moment),
    (dt.datetime, _moment),
    (dt.time, _moment),
    (dt.timedelta, _moment),
    (pathlib.PurePosixPath, _path),
    (pathlib.PureWindowsPath, _path),
    (type(_HERE), _path),
    (uuid.UUID, _uuid),
]
_WRITERS = {id(kind): write for kind, write in _BY_TYPE}
