"""The named stage: from a name that a person gives to code that did not change, taken as if it just had.

A name is ``Class``, ``function``, ``Class.method``, with the module or a package before it, or ``path.py::`` and one
of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from llm_testgen.errors import UsageError
from llm_testgen.paths import is_test, is_vendored
from llm_testgen.records import Change, ChangedMethod, ChangeStatus, Method, MethodKind, Skip

_MOST_NAMED = 10
_MOST_ALIKE = 5

# How well a definition fits a name: only those that fit best are meant.
_EXACT, _ENDING, _PACKAGE = range(3)

_IDLE = "nothing of it runs: it is abstract, an overload or a stub"


@dataclass(frozen=True, slots=True)
class Definitions:
    """What a project defines, as far as names are concerned.

    Attributes:
        all: Every definition, test code included.
        module: Gives the dotted name under which a file is imported.
        bases: Gives the classes of the project that a class inherits from, the nearest first.
        left_out: Gives the reason why no tests are made for what a file holds; empty where they are.
        unread: The files that could not be read, with the reasons.
        advice: What else a person may try about a name that is not known; empty for nothing.
    """

    all: Sequence[Method]
    module: Callable[[str], str]
    bases: Callable[[Method], Sequence[Method]]
    left_out: Callable[[str], str]
    unread: Mapping[str, str] = field(default_factory=dict)
    advice: str = ""


class Found(NamedTuple):
    """What a name means.

    Attributes:
        method: The definition.
        note: What a person should know of it; empty for nothing.
    """

    method: Method
    note: str = ""


def find_named(name: str, kind: MethodKind, definitions: Definitions) -> Found:
    """The class, or the method, that a person means; under either heading it may be a plain function.

    Args:
        name: As it was given.
        kind: ``CLASS`` or ``METHOD``.
        definitions: Where to look.

    Raises:
        UsageError: There is none, there are several, or none that tests are made for.
    """
    path, dotted = _parts(name)
    fits = [(fit, method) for method in definitions.all if (fit := _fit(method, path, dotted, definitions)) is not None]
    usable = [(fit, method) for fit, method in fits if not definitions.left_out(method.path)]
    right = _best((fit, method) for fit, method in usable if method.kind in {kind, MethodKind.FUNCTION})
    if len(right) == 1:
        return Found(right[0])
    if right:
        msg = f"{dotted} is defined more than once: name one of {_listed(right)}"
        raise UsageError(msg)
    if usable:
        raise UsageError(_wrong_kind(_best(usable)[0], kind))
    if fits:
        best = _best(fits)
        msg = f"no tests are made for {_listed(best)}: {definitions.left_out(best[0].path)}"
        raise UsageError(msg)
    inherited = _inherited(path, dotted, definitions) if kind is MethodKind.METHOD else None
    if inherited:
        return inherited
    raise UsageError(_unknown(path, dotted, kind, definitions))


def as_if_changed(named: Method, whole: Change, definitions: Iterable[Method]) -> Change:
    """What tests are made for: a definition with all that is in it, as if every line of it had changed.

    Args:
        named: The definition.
        whole: Its file, as if all of it were new.
        definitions: Those of its file.
    """
    targets = tuple(_unchanged(target) for target in whole.targets if _is_within(target.qualname, named))
    known = {target.qualname for target in targets}
    idle = {
        method.qualname: Skip(method.path, _IDLE, method.qualname)
        for method in definitions
        if _is_within(method.qualname, named) and method.kind is not MethodKind.CLASS and method.qualname not in known
    }
    lines = frozenset(line for target in targets for line in target.lines)
    return replace(
        whole, targets=targets, skipped=tuple(idle.values()), changed_lines={named.path: lines} if lines else {}
    )


def _unchanged(target: ChangedMethod) -> ChangedMethod:
    source = "\n".join(definition.source for definition in target.definitions)
    return replace(target, status=ChangeStatus.MODIFIED, base_source=source)


def _is_within(qualname: str, named: Method) -> bool:
    return qualname == named.qualname or qualname.startswith(f"{named.qualname}.")


def _parts(name: str) -> tuple[str, str]:
    """Path and dotted name of ``path::Class.method``, or of ``path::Class::method`` as pytest writes it."""
    first, separator, rest = name.partition("::")
    path, dotted = (first.removeprefix("./"), rest.replace("::", ".")) if separator else ("", first)
    if not dotted or dotted.endswith(".py"):
        msg = f"{name} is a file: name what is in it, such as {path or dotted}::Class"
        raise UsageError(msg)
    return path, dotted


def _fit(method: Method, path: str, dotted: str, definitions: Definitions) -> int | None:
    """How well a definition fits a name; None if it does not."""
    if path:
        if method.kind is MethodKind.MODULE or method.qualname != dotted or not _is_at(method.path, path):
            return None
        return _EXACT if method.path == path else _ENDING
    if method.qualname == dotted:
        return _EXACT
    if method.name != dotted.rpartition(".")[2]:
        return None
    return _fit_from_outside(f"{definitions.module(method.path)}.{method.qualname}", method.qualname, dotted)


def _fit_from_outside(full: str, qualname: str, dotted: str) -> int | None:
    """How well a name with something before the definition's own fits; ``full`` has the module before it."""
    if full == dotted:
        return _EXACT
    if full.endswith(f".{dotted}"):
        return _ENDING
    package = dotted.removesuffix(f".{qualname}")
    return _PACKAGE if package != dotted and full.startswith(f"{package}.") else None


def _best(fits: Iterable[tuple[int, Method]]) -> list[Method]:
    """The definitions that fit best, one of each id."""
    known = list(fits)
    least = min((fit for fit, _ in known), default=_EXACT)
    return list({method.id: method for fit, method in known if fit == least}.values())


def _inherited(path: str, dotted: str, definitions: Definitions) -> Found | None:
    """The method that a class has from another one, if the class is known and the other one is the project's."""
    owner, _, name = dotted.rpartition(".")
    if not owner:
        return None
    classes = _classes(path, owner, definitions)
    if len(classes) > 1:
        msg = f"{owner} is defined more than once: name one of {_listed(classes)}"
        raise UsageError(msg)
    known = {method.id: method for method in definitions.all}
    for cls in classes:
        for base in definitions.bases(cls):
            method = known.get(f"{base.id}.{name}")
            if method is None or method.kind is not MethodKind.METHOD:
                continue
            if reason := definitions.left_out(method.path):
                msg = f"{cls.id} inherits {name} from {base.id}, and no tests are made for that: {reason}"
                raise UsageError(msg)
            return Found(method, f"{cls.id} inherits {name} from {base.id}: the tests are for {method.id}")
    return None


def _classes(path: str, dotted: str, definitions: Definitions) -> list[Method]:
    """The classes that a name may mean, of those that tests are made for."""
    return _best(
        (fit, method)
        for method in definitions.all
        if method.kind is MethodKind.CLASS
        and (fit := _fit(method, path, dotted, definitions)) is not None
        and not definitions.left_out(method.path)
    )


def _wrong_kind(method: Method, kind: MethodKind) -> str:
    if kind is MethodKind.CLASS:
        return f"{method.id} is a method: `llm-testgen method {method.id}` makes tests for it"
    return f"{method.id} is a class: `llm-testgen class {method.id}` makes tests for it, or name one of its methods"


def _unknown(path: str, dotted: str, kind: MethodKind, definitions: Definitions) -> str:
    """Why nothing was found, with the names that are most alike."""
    here = [method for method in definitions.all if _is_at(method.path, path)]
    if not here:
        return _no_file(path, definitions)
    owner, _, name = dotted.rpartition(".")
    classes = _classes(path, owner, definitions) if owner and kind is MethodKind.METHOD else []
    if len(classes) == 1:
        (cls,) = classes
        own = {method.id: method.name for method in definitions.all if method.id.rpartition(".")[0] == cls.id}
        return f"{cls.id} has no method {name}{_alike(name, own) or _instead(list(own), 'it has')}"
    # Compared by as many of their parts as the name has: `Box.aera` is like `Box.area`, whatever is around that one.
    parts = dotted.count(".") + 1
    names = {
        method.id: ".".join(method.qualname.split(".")[-parts:])
        for method in here
        if method.kind in {kind, MethodKind.FUNCTION} and not (is_test(method.path) or is_vendored(method.path))
    }
    where = f" in {path}" if path else ""
    return f"there is no {kind} or function {dotted}{where}{_alike(dotted, names)}{definitions.advice}"


def _no_file(path: str, definitions: Definitions) -> str:
    for known, reason in definitions.unread.items():
        if _is_at(known, path):
            return f"{known} cannot be read: {reason}"
    paths = {method.path: method.path for method in definitions.all}
    return f"there is no Python file {path}{_alike(path, paths)}{definitions.advice}"


def _is_at(path: str, wanted: str) -> bool:
    """Whether a path is the one that is wanted, or ends in it; all are where none is wanted."""
    return not wanted or f"/{path}".endswith(f"/{wanted}")


def _alike(name: str, names: Mapping[str, str]) -> str:
    """The keys of the names that are most like one, as the end of a sentence."""
    lowered = {other.lower() for other in names.values()}
    close = difflib.get_close_matches(name.lower(), lowered, _MOST_ALIKE)
    return _instead([key for like in close for key, other in names.items() if other.lower() == like], "the closest")


def _instead(ids: Sequence[str], lead: str) -> str:
    return f"; {lead}: {_some(ids)}" if ids else ""


def _listed(methods: Iterable[Method]) -> str:
    return _some([method.id for method in methods])


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    return f"{', '.join(ids[:_MOST_NAMED])}{more}"
