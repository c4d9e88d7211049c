"""Where a change stands before: what the existing tests execute, run here or recorded elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llm_testgen.edges.coverage_files import RecordedCoverage, read_coverage
from llm_testgen.edges.diff_cover import diff_coverage
from llm_testgen.errors import ProjectError
from llm_testgen.paths import is_python, is_test
from llm_testgen.records import Change, CoverageByPath, DiffCoverage, FileCoverage, HunksByPath, LinesByPath, SuiteRun
from llm_testgen.runner.base import Suite

CUT = "the project's tests did not run to the end"
_LONGEST = 160


@dataclass(frozen=True, slots=True)
class Baseline:
    """Where the change stands before.

    Attributes:
        changed_lines: Added or modified lines of every changed file.
        coverage: What the existing tests execute.
        hunks: The lines at head that its diff shows, as far as it is a pull request's; empty where that is not known.
    """

    changed_lines: LinesByPath
    coverage: CoverageByPath
    hunks: HunksByPath = field(default_factory=dict)

    @property
    def figure(self) -> DiffCoverage:
        """Diff coverage of the existing tests."""
        return diff_coverage(self.changed_lines, self.coverage)

    def missing(self) -> LinesByPath:
        """Changed lines with a statement that the existing tests do not execute."""
        figure = self.figure
        left = {path: lines - figure.covered.get(path, frozenset()) for path, lines in figure.changed.items()}
        return {path: lines for path, lines in left.items() if lines}


def measured_paths(change: Change) -> tuple[str, ...]:
    """Changed files whose lines count: Python that is no test and was not left out as a whole."""
    left_out = {skip.path for skip in change.skipped if not skip.qualname}
    return tuple(
        path
        for path, lines in sorted(change.changed_lines.items())
        if lines and is_python(path) and not is_test(path) and path not in left_out
    )


async def run_baseline(runner: Suite) -> tuple[CoverageByPath, tuple[str, ...]]:
    """Run the project's own suite under coverage.

    Returns:
        What it executes, and what a person should know of it: failures, or why it could not run.

    Raises:
        ProjectError: pytest cannot run any test of the project.
    """
    statements, notes = await _prepare(runner)
    suite = await runner.run_suite()
    return {**statements, **suite.coverage}, (*notes, *_notes(suite))


async def read_baseline(
    runner: Suite, file: Path, change: Change, known: Iterable[str]
) -> tuple[CoverageByPath, tuple[str, ...]]:
    """Take what somebody recorded before; statements come from the project's interpreter where the file has none.

    Raises:
        UsageError: The file cannot be read, or says nothing of this repository.
        ProjectError: pytest cannot run any test of the project.
    """
    # Whatever was recorded counts, changed tests too, as they do for diff-cover.
    recorded = {path: lines for path, lines in read_coverage(file, known).items() if path in change.changed_lines}
    coverage, notes = await _prepare(runner)
    missing = [f"{path} is not in {file.name}: counted as never executed" for path in coverage if path not in recorded]
    return _with_recorded(coverage, recorded), (*notes, *missing)


async def _prepare(runner: Suite) -> tuple[CoverageByPath, tuple[str, ...]]:
    ready = await runner.prepare()
    notes = []
    if ready.concession:
        notes.append(f"tests are run without the project's {ready.concession}: {_line(ready.problem)}")
    if ready.cold:
        notes.append(f"each test is run in a process of its own, which takes longer: {_line(ready.cold)}")
    if ready.problem and not ready.concession:
        msg = (
            f"pytest cannot run any test of the project: {_line(ready.problem)}; pass another interpreter with --python"
        )
        raise ProjectError(msg)
    return ready.statements, tuple(notes)


def _with_recorded(analysed: CoverageByPath, recorded: Mapping[str, RecordedCoverage]) -> CoverageByPath:
    coverage = dict(analysed)
    for path, lines in recorded.items():
        known = analysed.get(path)
        statements = lines.statements if lines.statements is not None else known.statements if known else None
        if statements is not None:
            coverage[path] = FileCoverage(statements, lines.executed & statements)
    return coverage


def _notes(suite: SuiteRun) -> Iterable[str]:
    if suite.problem:
        yield f"{CUT} ({suite.problem}); what they did not reach is uncovered"
    elif suite.failed:
        first = suite.failures[0] if suite.failures else None
        cause = f", first {first.kind}: {_line(first.message)}" if first else ""
        total = suite.passed + suite.failed
        yield f"{suite.failed} of the project's {total} tests fail already{cause}; what they execute still counts"


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
