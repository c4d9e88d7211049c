"""Whose import executed what: a module that is imported once, before any test, is still each test's own doing."""

from __future__ import annotations

import builtins
import importlib
import importlib._bootstrap_external
import sys
from collections.abc import Callable, Iterable
from typing import Any

# What loads modules from source and from bytecode; there is no public name for it.
external: Any = importlib._bootstrap_external


class Ledger:
    """Records, while the project is imported, what each module's import executes and which modules it imports.

    Args:
        take: Gives what ran since its last call, as arcs by path.
    """

    def __init__(self, take: Callable[[], dict[str, set[tuple[int, int]]]]) -> None:
        """Record from now on, and in all children."""
        self._take = take
        self._arcs: dict[str, dict[str, set[tuple[int, int]]]] = {}
        self._imports: dict[str, set[str]] = {}
        self._stack: list[str] = []
        self._touched: set[str] = set()
        # What every test is credited with, and what importing a module is worth on top.
        self.always: dict[str, set[tuple[int, int]]] = {}
        self.credits: dict[str, dict[str, set[tuple[int, int]]]] = {}
        self._import = builtins.__import__
        self._import_module = importlib.import_module
        self._exec_module = external._LoaderBasics.exec_module
        builtins.__import__ = self._importing
        importlib.import_module = self._importing_by_name
        ledger = self

        def exec_module(loader: Any, module: Any) -> None:
            ledger._executing(loader, module)

        external._LoaderBasics.exec_module = exec_module

    def close_accounts(self) -> None:
        """What was imported up to now is every test's; what is imported from now on is noted as touched."""
        self._charge("")
        self._imports.setdefault("", set()).update(self._arcs)

    def stop(self) -> None:
        """Note only what is touched: modules are no longer charged one by one."""
        self._charge("")
        external._LoaderBasics.exec_module = self._exec_module
        self._touched.clear()
        always = self._charged([""])
        self.always = self._sum(always)
        for name in {*self._arcs, *self._imports}:
            more = self._charged([name]) - always
            if more:
                self.credits[name] = self._sum(more)

    def touched(self) -> list[str]:
        """Modules that were touched since, of those that are worth a credit."""
        return [name for name in self._touched if name in self.credits]

    def has_run(self, path: str, lines: Iterable[int]) -> bool:
        """Whether one of some lines of a file has run while all was imported; negative for leaving a definition."""
        wanted = set(lines)
        return any(not wanted.isdisjoint(arc) for arcs in self._arcs.values() for arc in arcs.get(path, ()))

    def _charged(self, start: Iterable[str]) -> set[str]:
        """Modules that were charged with something, of those that come with some modules."""
        return {name for name in self._reachable(start) if self._arcs.get(name)}

    def _sum(self, names: Iterable[str]) -> dict[str, set[tuple[int, int]]]:
        found: dict[str, set[tuple[int, int]]] = {}
        for name in names:
            for path, arcs in self._arcs[name].items():
                found.setdefault(path, set()).update(arcs)
        return found

    def _reachable(self, start: Iterable[str]) -> set[str]:
        seen: set[str] = set()
        left = list(start)
        while left:
            name = left.pop()
            if name not in seen:
                seen.add(name)
                left += self._imports.get(name, ())
        return seen

    def _executing(self, loader: Any, module: Any) -> None:
        """A module's body runs: what ran before is another's, what runs until its end is its own."""
        name = module.__name__
        self._charge(self._stack[-1] if self._stack else "")
        self._note(name)
        self._stack.append(name)
        try:
            self._exec_module(loader, module)
        finally:
            self._charge(name)
            self._stack.pop()

    def _charge(self, name: str) -> None:
        for path, arcs in self._take().items():
            self._arcs.setdefault(name, {}).setdefault(path, set()).update(arcs)

    def _note(self, name: str) -> None:
        """Somebody imports a module: with it come the packages around it."""
        target = self._imports.setdefault(self._stack[-1], set()) if self._stack else self._touched
        if name not in target:
            parts = name.split(".")
            target.update(".".join(parts[: count + 1]) for count in range(len(parts)))

    def _importing(self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:  # noqa: A002
        """Stands for `builtins.__import__`."""
        module = self._import(name, globals, locals, fromlist, level)
        full = _absolute(name, globals, level)
        self._note(full)
        for item in fromlist or ():
            inner = f"{full}.{item}"
            if inner in sys.modules:
                self._note(inner)
        return module

    def _importing_by_name(self, name: str, package: Any = None) -> Any:
        """Stands for `importlib.import_module`."""
        module = self._import_module(name, package)
        self._note(module.__name__)
        return module


def _absolute(name: str, namespace: Any, level: int) -> str:
    if not level:
        return name
    package = (namespace or {}).get("__package__") or ""
    start = package.rsplit(".", level - 1)[0] if level > 1 else package
    return f"{start}.{name}" if name else start
