"""Diff coverage, computed by diff-cover itself: what we report is what it would print."""

from __future__ import annotations

from diff_cover.diff_reporter import BaseDiffReporter
from diff_cover.report_generator import JsonReportGenerator
from diff_cover.violationsreporters.base import BaseViolationReporter, Violation

from llm_testgen.records import CoverageByPath, DiffCoverage, FileCoverage, LinesByPath

_UNMEASURED = FileCoverage(statements=frozenset(), executed=frozenset())


def diff_coverage(changed_lines: LinesByPath, coverage: CoverageByPath) -> DiffCoverage:
    """The coverage of changed lines, as ``diff-cover --total-percent-float`` counts it.

    Args:
        changed_lines: Lines that a change added or modified, by path.
        coverage: Statements and which of them ran, by path. A path that is missing here does not count.
    """
    report = JsonReportGenerator(_Coverage(coverage), _Diff(changed_lines), total_percent_float=True)
    covered = {path: frozenset(report.covered_lines(path)) for path in sorted(report.src_paths())}
    return DiffCoverage(
        changed={path: lines | frozenset(report.violation_lines(path)) for path, lines in covered.items()},
        covered=covered,
        percent=report.total_percent_covered(),
    )


class _Diff(BaseDiffReporter):
    """Gives diff-cover the changed lines."""

    def __init__(self, changed_lines: LinesByPath) -> None:
        super().__init__("changed lines")
        self._changed_lines = changed_lines

    def src_paths_changed(self) -> list[str]:
        return sorted(self._changed_lines)

    def lines_changed(self, src_path: str) -> list[int]:
        return sorted(self._changed_lines[src_path])


class _Coverage(BaseViolationReporter):
    """Gives diff-cover the measured lines, and as violations those of them that did not run."""

    def __init__(self, coverage: CoverageByPath) -> None:
        super().__init__("coverage")
        self._coverage = coverage

    def violations(self, src_path: str) -> list[Violation]:
        file = self._coverage.get(src_path, _UNMEASURED)
        return [Violation(line, None) for line in sorted(file.statements - file.executed)]

    def measured_lines(self, src_path: str) -> list[int]:
        return sorted(self._coverage.get(src_path, _UNMEASURED).statements)
