from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from coverage import CoverageData

from llm_testgen.baseline import Baseline, measured_paths, read_baseline, run_baseline
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.records import (
    Candidate,
    Change,
    CoverageByPath,
    Failure,
    FileCoverage,
    LinesByPath,
    Run,
    Skip,
    SuiteRun,
)
from llm_testgen.runner.base import Preparation

MOD = "src/pkg/mod.py"
NEW = "src/pkg/new.py"
ANALYSED = {
    MOD: FileCoverage(frozenset({1, 2, 4, 6}), frozenset({1})),
    NEW: FileCoverage(frozenset({1, 2}), frozenset()),
}
UNEXECUTED = {path: FileCoverage(file.statements, frozenset()) for path, file in ANALYSED.items()}
READY = Preparation(UNEXECUTED)


class ScriptedRunner:
    """A runner whose sessions end as it is told, and that counts its preparations."""

    def __init__(self, suite: SuiteRun | None = None, ready: Preparation = READY) -> None:
        self._suite = suite
        self._ready = ready
        self.prepared = 0

    async def prepare(self) -> Preparation:
        self.prepared += 1
        return self._ready

    async def run_suite(self) -> SuiteRun:
        assert self.prepared, "nothing runs before it is known how"
        assert self._suite is not None, "the suite was to be left alone"
        return self._suite

    async def run_candidate(self, candidate: Candidate, *, hash_seed: int, trapped=()) -> Run:
        raise NotImplementedError(candidate, hash_seed)

    async def run_files(self, files: Mapping[str, str]) -> SuiteRun:
        raise NotImplementedError(files)

    async def close(self) -> None:
        pass


def change(lines: LinesByPath, *skipped: Skip) -> Change:
    return Change("a" * 40, "b" * 40, (), skipped, lines)


CHANGE = change({MOD: frozenset({2, 6}), NEW: frozenset({1, 2})})


def suite(**fields) -> SuiteRun:
    return SuiteRun(**({"passed": 3, "failed": 0, "skipped": 0, "coverage": ANALYSED} | fields))


def run(runner: ScriptedRunner) -> tuple[CoverageByPath, tuple[str, ...]]:
    return asyncio.run(run_baseline(runner))


def read(file: Path, runner: ScriptedRunner | None = None, known: tuple[str, ...] = (MOD, NEW, "src/pkg/old.py")):
    return asyncio.run(read_baseline(runner or ScriptedRunner(), file, CHANGE, known))


def json_report(folder: Path, files: Mapping[str, tuple[list[int], list[int]]]) -> Path:
    """What ``coverage json`` writes, of path → lines that ran and lines that did not."""
    report = {
        "meta": {"format": 3, "version": "7.10"},
        "files": {path: {"executed_lines": ran, "missing_lines": missed} for path, (ran, missed) in files.items()},
    }
    file = folder / "coverage.json"
    file.write_text(json.dumps(report))
    return file


def data_file(folder: Path, files: Mapping[str, list[int]]) -> Path:
    """What ``coverage run`` writes, recorded in another checkout."""
    data = CoverageData(str(folder / ".coverage"))
    data.add_lines({f"/elsewhere/{path}": lines for path, lines in files.items()})
    data.write()
    data.close()
    return folder / ".coverage"


def test_what_is_missing_are_changed_statements_that_nothing_executes():
    coverage = {
        MOD: FileCoverage(frozenset({1, 2, 4, 6}), frozenset({1, 2})),
        "src/pkg/done.py": FileCoverage(frozenset({1}), frozenset({1})),
        "src/pkg/unchanged.py": FileCoverage(frozenset({1}), frozenset()),
    }
    lines = {MOD: frozenset({2, 3, 4}), "src/pkg/done.py": frozenset({1}), "README.md": frozenset({1})}
    baseline = Baseline(lines, coverage)
    assert baseline.missing() == {MOD: frozenset({4})}
    assert baseline.figure.percent == 66.67


def test_nothing_is_missing_where_nothing_is_measured():
    baseline = Baseline({MOD: frozenset({2})}, {})
    assert (baseline.missing(), baseline.figure.percent) == ({}, 100)


def test_measured_are_changed_python_files_that_are_no_tests():
    lines = dict.fromkeys(
        ("src/b.py", "src/a.py", "tests/test_a.py", "conftest.py", "a.pyi", "README.md"), frozenset({1})
    )
    assert measured_paths(change(lines)) == ("src/a.py", "src/b.py")


def test_files_left_out_as_a_whole_are_not_measured_and_those_left_out_in_part_are():
    lines = {"a.py": frozenset({1}), "b.py": frozenset({1}), "c.py": frozenset()}
    skipped = (Skip("a.py", "generated"), Skip("b.py", "a stub", "C.f"))
    assert measured_paths(change(lines, *skipped)) == ("b.py",)


def test_a_green_suite_is_the_baseline_and_needs_no_note():
    assert run(ScriptedRunner(suite())) == (ANALYSED, ())


def test_a_suite_that_measured_nothing_leaves_the_statements_all_unexecuted():
    runner = ScriptedRunner(suite(coverage={}, passed=0, problem="the interpreter crashed"))
    coverage, notes = run(runner)
    assert coverage == UNEXECUTED
    assert notes == (
        "the project's tests did not run to the end (the interpreter crashed); what they did not reach is uncovered",
    )


def test_files_that_the_suite_did_not_measure_count_as_never_executed():
    coverage, _ = run(ScriptedRunner(suite(coverage={MOD: ANALYSED[MOD]})))
    assert coverage == {MOD: ANALYSED[MOD], NEW: UNEXECUTED[NEW]}


@pytest.mark.parametrize("read_it", [False, True])
def test_what_the_project_has_to_be_run_without_is_told(tmp_path, read_it):
    ready = Preparation(UNEXECUTED, "conftest.py", "ImportError: no such thing\nmore")
    runner = ScriptedRunner(suite(), ready)
    _, notes = read(json_report(tmp_path, {MOD: ([1], [])}), runner) if read_it else run(runner)
    assert notes[0] == "tests are run without the project's conftest.py: ImportError: no such thing more"


@pytest.mark.parametrize("read_it", [False, True])
def test_a_project_whose_tests_cannot_run_at_all_is_refused_in_one_line(tmp_path, read_it):
    runner = ScriptedRunner(suite(), Preparation(UNEXECUTED, problem="no such plugin\nmore"))
    with pytest.raises(ProjectError, match="no such plugin more; pass another interpreter with --python") as raised:
        read(json_report(tmp_path, {MOD: ([1], [])}), runner) if read_it else run(runner)
    assert "\n" not in str(raised.value)


def test_failures_are_told_with_the_first_in_one_short_line():
    failures = (Failure("ValueError", "first line\nsecond line", 3, "call"), Failure("KeyError", "x", 1, "call"))
    _, notes = run(ScriptedRunner(suite(failed=2, failures=failures)))
    assert notes == (
        "2 of the project's 5 tests fail already, first ValueError: first line second line; what they execute still counts",
    )
    _, (note,) = run(ScriptedRunner(suite(failed=1, failures=(Failure("E", "x" * 5000, 1, "call"),))))
    assert len(note) < 300


def test_failures_that_left_no_trace_are_counted():
    _, notes = run(ScriptedRunner(suite(failed=1)))
    assert notes == ("1 of the project's 4 tests fail already; what they execute still counts",)


def test_recorded_statements_are_taken_where_the_file_has_them(tmp_path):
    coverage, notes = read(json_report(tmp_path, {MOD: ([1, 2], [3]), NEW: ([1], [2])}))
    assert coverage == {
        MOD: FileCoverage(frozenset({1, 2, 3}), frozenset({1, 2})),
        NEW: FileCoverage(frozenset({1, 2}), frozenset({1})),
    }
    assert notes == ()


def test_statements_come_from_the_interpreter_where_only_what_ran_was_recorded(tmp_path):
    coverage, notes = read(data_file(tmp_path, {MOD: [1, 2, 3, 99], NEW: [2]}))
    assert coverage == {
        MOD: FileCoverage(frozenset({1, 2, 4, 6}), frozenset({1, 2})),
        NEW: FileCoverage(frozenset({1, 2}), frozenset({2})),
    }
    assert notes == ()


@pytest.mark.parametrize("recorded", [{MOD: [1]}, {MOD: [1], "src/pkg/old.py": [1]}])
def test_a_changed_file_that_was_not_recorded_counts_as_never_executed_and_is_told(tmp_path, recorded):
    coverage, notes = read(data_file(tmp_path, recorded))
    assert coverage[NEW] == FileCoverage(frozenset({1, 2}), frozenset())
    assert set(coverage) == {MOD, NEW}
    assert notes == (f"{NEW} is not in .coverage: counted as never executed",)


def test_a_file_that_the_interpreter_cannot_analyse_needs_recorded_statements(tmp_path):
    bare = ScriptedRunner(ready=Preparation({}))
    assert read(data_file(tmp_path, {MOD: [1]}), bare) == ({}, ())
    coverage, _ = read(json_report(tmp_path, {MOD: ([1], [2])}), bare)
    assert coverage == {MOD: FileCoverage(frozenset({1, 2}), frozenset({1}))}


def test_whatever_was_recorded_counts_as_it_does_for_diff_cover(tmp_path):
    lines = {**CHANGE.changed_lines, "tests/test_mod.py": frozenset({1}), "src/pkg/generated.py": frozenset({1})}
    everything = change(lines, Skip("src/pkg/generated.py", "generated"))
    file = json_report(tmp_path, {path: ([1], [2]) for path in lines})
    coverage, _ = asyncio.run(read_baseline(ScriptedRunner(), file, everything, tuple(lines)))
    assert set(coverage) == set(lines)


def test_a_file_of_another_repository_is_refused(tmp_path):
    with pytest.raises(UsageError, match="names no file of this repository"):
        read(json_report(tmp_path, {"other/thing.py": ([1], [])}))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"none\.xml"):
        read(tmp_path / "none.xml")
