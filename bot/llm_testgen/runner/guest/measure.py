"""Which lines and branches of the measured files ran, by the project's own coverage.

What runs is collected by coverage and judged by coverage's own analysis of the source. Only the way in between is
ours: coverage stores everything in a database and analyses whole packages for a report, which costs more than a test.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import coverage
from coverage.exceptions import CoverageException


class _Sink:
    """Stands where coverage has its database, and keeps what would be written there."""

    def __init__(self) -> None:
        self.arcs: dict[str, set[tuple[int, int]]] = {}

    def add_arcs(self, arcs: Mapping[str, Iterable[tuple[int, int]]]) -> None:
        """Called by coverage's collector with what it has seen since the last time."""
        for path, pairs in arcs.items():
            self.arcs.setdefault(path, set()).update(pairs)

    def add_file_tracers(self, tracers: Any) -> None:
        """Files that are no Python are not measured."""


class Meter:
    """Coverage of some files, from now on.

    Args:
        measured: Absolute paths.
    """

    def __init__(self, measured: list[str]) -> None:
        """Start to measure, with the exclusions and omissions that the project configures."""
        own: Any = coverage.Coverage(data_file=None)
        omit = [*(_option(own, "run:omit") or []), *(_option(own, "report:omit") or [])]
        self._coverage: Any = coverage.Coverage(
            data_file=None, config_file=False, branch=True, include=measured, omit=omit
        )
        quiet = ["no-data-collected", "module-not-imported", "no-sysmon", "no-ctracer"]
        self._coverage.set_option("run:disable_warnings", quiet)
        self._coverage.set_option("report:omit", omit)
        self._coverage.set_option("report:ignore_errors", True)  # noqa: FBT003 - a name and its value
        for name in ("report:exclude_lines", "report:exclude_also", "report:partial_branches"):
            value = _option(own, name)
            if value:
                self._coverage.set_option(name, value)
        self._sources: dict[str, Source] = {}
        # How many ask to watch. It is never paused before `pause`.
        self._watching = 1
        self._coverage.start()

    def take(self) -> dict[str, set[tuple[int, int]]]:
        """The arcs of each file that ran since the last call: raw pairs of lines."""
        collector = self._coverage._collector
        sink = _Sink()
        database, collector.covdata = collector.covdata, sink
        try:
            collector.flush_data()
        finally:
            collector.covdata = database
        return sink.arcs

    def source(self, path: str) -> Source:
        """A measured file's analysis, made once.

        Raises:
            CoverageException: The file cannot be parsed.
        """
        if path not in self._sources:
            self._sources[path] = Source(self._coverage._get_file_reporter(path))
        return self._sources[path]

    def announce(self, path: str) -> None:
        """Have coverage find out now whether it measures a file: it does so when it first sees its code run."""
        exec(compile("", path, "exec"), {})  # noqa: S102 - nothing at all, in the name of that file
        self.take()

    def analyse(self, paths: Iterable[str]) -> None:
        """Analyse files ahead."""
        for path in paths:
            with contextlib.suppress(CoverageException):
                self.source(path)

    def executed(self, arcs: Mapping[str, set[tuple[int, int]]]) -> dict[str, dict[str, list[Any]]]:
        """Executed statements, and branches taken, of each file with such."""
        found: dict[str, dict[str, list[Any]]] = {}
        for path, pairs in arcs.items():
            try:
                source = self.source(path)
            except CoverageException:
                continue
            found[path] = {"executed": sorted(source.lines(pairs)), "branches": sorted(source.branches(pairs))}
        return found

    def report(self, paths: list[str], scratch: str) -> dict[str, dict[str, list[Any]]]:
        """Stop, and tell statements, executed statements and branches of each file that is not omitted."""
        self._coverage.stop()
        report = os.path.join(scratch, "coverage.json")
        try:
            self._coverage.json_report(morfs=paths, outfile=report)
        except CoverageException:
            return {}
        with open(report, encoding="utf-8") as file:
            files = json.load(file)["files"]
        return {
            os.path.abspath(path): {
                "statements": [*lines["executed_lines"], *lines["missing_lines"]],
                "executed": lines["executed_lines"],
                "branches": lines.get("executed_branches", []),
            }
            for path, lines in files.items()
        }

    def pause(self) -> None:
        """Measure nothing but what is watched from now on: to look at every call that pytest makes takes time."""
        self._watching = 0
        self._coverage._collector.pause()

    def ignore(self) -> None:
        """Measure nothing more, whatever is watched."""
        self._watching += 1

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Measure for a while, where it was paused."""
        if not self._watching:
            self._coverage._collector.resume()
        self._watching += 1
        try:
            yield
        finally:
            self._watching -= 1
            if not self._watching:
                self._coverage._collector.pause()

    def survive_fork(self) -> None:
        """In a child: measure on where coverage lost its place; Python 3.12's monitoring does."""
        post_fork = getattr(self._coverage._collector, "post_fork", None)
        if post_fork is not None:
            post_fork()


class Source:
    """What coverage's analysis says of one file: which lines begin statements, which of them branch."""

    def __init__(self, reporter: Any) -> None:
        """Analyse."""
        self._reporter = reporter
        self._statements = frozenset(reporter.lines())
        exits = reporter.exit_counts()
        self._possible = {arc for arc in reporter.arcs() if exits.get(arc[0], 0) > 1}

    def lines(self, arcs: Iterable[tuple[int, int]]) -> set[int]:
        """Statements that ran, by their first lines."""
        raw = {line for arc in arcs for line in arc if line > 0}
        return set(self._reporter.translate_lines(raw)) & self._statements

    def branches(self, arcs: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
        """Branches taken, as pairs of a line and the line that followed; negative for leaving a definition."""
        return set(self._reporter.translate_arcs(arcs)) & self._possible


def _option(configured: Any, name: str) -> Any:
    """An option of the project's own coverage configuration; None where this coverage does not know it yet."""
    try:
        return configured.get_option(name)
    except CoverageException:
        return None
