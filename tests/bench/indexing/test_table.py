"""What is shown of the measurements."""

import io

import pytest
from rich.console import Console

from llm_testgen.bench.indexing import report as reports
from llm_testgen.bench.indexing.report import IndexReport, LibraryReport, Sample, SpeedReport, SpeedRow, ToolScore
from llm_testgen.bench.indexing.table import page, print_index, print_library


def row(key, label, *cpu, **more):
    rounds = tuple(Sample(cpu=one, seconds=2 * one, peak=50 << 20) for one in cpu)
    return SpeedRow(key=key, label=label, rounds=rounds, **more)


@pytest.fixture
def report():
    speed = SpeedReport(
        project="django 5",
        files=10,
        size=1 << 20,
        rows=(
            row(reports.FLOOR, "ast.parse alone", 1.0, 3.0, 2.0, files=10),
            row(reports.COLD, "cold", 4.0, 5.0, 4.0, files=10, definitions=7, database=3 << 20),
            row("ctags", "Universal Ctags", note="ctags is not installed"),
        ),
    )
    libraries = (
        LibraryReport(
            library="boltons 25",
            functions=9,
            suite="3 passed",
            tools=(
                ToolScore(key="graph", label="ours", found=8, observed=10, right=9, judged=10, edges=20, cpu=1.0),
                ToolScore(key="jedi", label="jedi", note="pip does not get jedi"),
            ),
        ),
        LibraryReport(
            library="click 8",
            functions=9,
            suite="3 passed",
            tools=(
                ToolScore(key="graph", label="ours", found=4, observed=30, right=1, judged=10, edges=20, cpu=1.0),
                ToolScore(key="jedi", label="jedi", found=3, observed=30, right=1, judged=2, edges=4, cpu=9.0),
            ),
        ),
    )
    return IndexReport(tool="1", python="3.12", cores=2, speed=speed, libraries=libraries)


def cells(text, start):
    (line,) = [line for line in text.split("\n") if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_medians_and_ratios_are_told(report):
    text = page(report)
    assert cells(text, "ast.parse alone")[1:6] == ["2.00", "4.00", "1.00 x", "0.50 x", "50"]
    assert cells(text, "cold")[1:9] == ["4.00", "8.00", "2.00 x", "1.00 x", "50", "3", "10", "7"]


def test_what_could_not_be_run_has_its_reason(report):
    assert cells(page(report), "Universal Ctags")[-2:] == ["-", "ctags is not installed"]


def test_scores_are_over_the_libraries_on_which_a_tool_ran(report):
    text = page(report)
    assert cells(text, "ours")[1:4] == ["0.300", "0.500", "12 / 40"]
    assert cells(text, "jedi")[1:4] == ["0.100", "0.500", "3 / 30"]
    assert cells(text, "jedi")[-1] == "left out of 1 libraries (pip does not get jedi)"
    assert cells(text, "boltons 25") == ["boltons 25", "10", "0.80 / 0.90", "-"]


def test_a_terminal_shows_the_same(report):
    console = Console(file=io.StringIO(), width=200)
    print_index(console, report)
    print_library(console, report.libraries[0])
    shown = console.file.getvalue()
    assert "django 5: 10 files, 1.0 MiB, medians of 3 rounds" in shown
    assert "boltons 25: ours 0.80 / 0.90, jedi - (3 passed)" in shown


def test_what_was_measured_is_read_back_as_it_was(report, tmp_path):
    reports.write_index_report(report, tmp_path / "report.json")
    assert IndexReport.model_validate_json((tmp_path / "report.json").read_bytes()) == report
