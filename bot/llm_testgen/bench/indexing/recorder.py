"""A pytest plugin that writes down which functions of a library call which, while its own tests run.

Runs in the interpreter of the suite: ``RECORDER=REQUEST.json python -m pytest -p recorder``, where the request is
``{"library": [folders, with a slash at the end], "tree": the project's root, "result": FILE}``, all paths absolute.
What is written is JSON: ``calls`` holds ``[caller, callee, direct, via]`` each once; caller, callee and via (or null)
are ``[file, first line]`` of a function's code.

The function that first shows a generator or coroutine, by making or by returning it, counts as its caller: whoever runs
it first may be another.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from types import CodeType, CoroutineType, FrameType, GeneratorType

_FAR = 12  # frames of others between a function of the library and the one that it calls
_LAZY = 0x20 | 0x80 | 0x200  # generators, coroutines, asynchronous generators
_COMPREHENSIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
_DECORATORS = frozenset({"__call__", "__get__", "__set__"})  # of classes that functions are decorated with


class Recorder:
    """Calls between functions below some folders."""

    def __init__(self, library: list[str], tree: str) -> None:
        """Record calls of what lies in ``library``; what else lies below ``tree`` is the project's tests."""
        self._library, self._tree = tuple(library), tree
        self._kinds: dict[str, str] = {}
        self._codes: dict[int, CodeType] = {}
        self._calls: set[tuple[int, int, bool, int]] = set()
        self._shown: set[int] = set()

    def profile(self, frame: FrameType, event: str, value: object) -> None:
        """What ``sys.setprofile`` calls."""
        code = frame.f_code
        if event == "return":
            self._returned(frame, value)
        if event != "call" or self._kind(code) != "library":
            return
        lazy = code.co_flags & _LAZY
        if lazy and code.co_name != "<genexpr>":
            if frame.f_lasti > _first(code):
                return
            if id(frame) in self._shown:
                self._shown.discard(id(frame))
                return
        self._add(frame.f_back, code)

    def _returned(self, frame: FrameType, value: object) -> None:
        """A generator that nobody has run yet was made by the function that returns it."""
        if not isinstance(value, GeneratorType | CoroutineType) or self._kind(frame.f_code) != "library":
            return
        inner = value.gi_frame if isinstance(value, GeneratorType) else value.cr_frame
        if inner is None or inner is frame or id(inner) in self._shown or self._kind(inner.f_code) != "library":
            return
        if inner.f_lasti <= _first(inner.f_code) and inner.f_code.co_name != "<genexpr>":
            self._shown.add(id(inner))
            self._add(frame, inner.f_code)

    def _add(self, frame: FrameType | None, callee: CodeType) -> None:
        caller, far = self._nearest(frame)
        if caller is None:
            return
        self._remember(caller.f_code, callee, far == 0, None)
        name = caller.f_code.co_name
        if name in _DECORATORS or ("<locals>" in _qualname(caller.f_code) and name not in _COMPREHENSIONS):
            outer, _ = self._nearest(caller.f_back)
            if outer is not None:
                self._remember(outer.f_code, callee, False, caller.f_code)  # noqa: FBT003 - two words of a record

    def _nearest(self, frame: FrameType | None) -> tuple[FrameType | None, int]:
        """The innermost function of the library, and how many frames of others lie before it."""
        far = 0
        while frame is not None and far <= _FAR:
            kind = self._kind(frame.f_code)
            if kind == "library":
                return frame, far
            if kind == "tests":
                break
            frame, far = frame.f_back, far + 1
        return None, far

    def _kind(self, code: CodeType) -> str:
        file = code.co_filename
        kind = self._kinds.get(file)
        if kind is None:
            kind = "library" if file.startswith(self._library) else "tests" if file.startswith(self._tree) else "other"
            self._kinds[file] = kind
        return kind

    def _remember(self, caller: CodeType, callee: CodeType, direct: bool, via: CodeType | None) -> None:  # noqa: FBT001
        for code in (caller, callee, via):
            self._codes[id(code)] = code  # type: ignore[assignment]
        self._calls.add((id(caller), id(callee), direct, id(via)))

    def result(self) -> dict[str, list[list[object]]]:
        """What was recorded."""
        rows = {
            (_place(self._codes[caller]), _place(self._codes[callee]), direct, _place(self._codes[via]))
            for caller, callee, direct, via in set(self._calls)
        }
        return {"calls": [[*row] for row in sorted(rows, key=repr)]}


def _first(code: CodeType) -> int:
    """Where the last instruction before the body of a generator stands, in bytes: no run of it has ended there."""
    return 4 + 2 * bool(code.co_freevars) + 2 * len(code.co_cellvars)


def _qualname(code: CodeType) -> str:
    return getattr(code, "co_qualname", code.co_name)


def _place(code: CodeType | None) -> tuple[str, int] | None:
    return (code.co_filename, code.co_firstlineno) if code is not None else None


with open(os.environ["RECORDER"], encoding="utf-8") as _file:  # noqa: PTH123 - nothing that the tests may patch
    _request = json.load(_file)
_recorder = Recorder(_request["library"], _request["tree"])
threading.setprofile(_recorder.profile)
sys.setprofile(_recorder.profile)


def pytest_sessionfinish() -> None:
    """Write what was recorded."""
    sys.setprofile(None)
    threading.setprofile(None)
    with open(_request["result"], "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(_recorder.result(), file)
