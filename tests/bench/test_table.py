from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from llm_testgen.bench import report
from llm_testgen.bench.report import ProjectReport, Seconds, WayReport
from llm_testgen.bench.table import print_project, print_summary


def way(key, cpu, **known):
    told = {"executions": 24, "passed": 22, "cut": False, "startup": None, "pays_after": None, **known}
    median = Seconds(cpu=cpu, wall=2 * cpu)
    return WayReport(key=key, label=f"by {key}", rounds=(median,), median=median, per_second=1 / (2 * cpu), **told)


def project(*ways, **known):
    told = {"disagreements": (), "cold": "", "pytest_over_warm": 80.0, "coverup_over_warm": 123.4, **known}
    return ProjectReport(
        name="tiny", version="1.0", python="3.11.7", measured=("a.py",), candidates=24, load=(0.0, 0.0), ways=ways,
        warm_over_floor=2.5, **told,
    )  # fmt: skip


WAYS = (
    way("pytest", 0.8),
    way("suite", 60.0, executions=1, passed=None, cut=True),
    way("warm", 0.01, startup=Seconds(cpu=0.9, wall=1.0), pays_after=2),
    way("warm-all", 0.01),
    way("floor", 0.004, startup=Seconds(cpu=0.3, wall=0.4), pays_after=1),
)


@pytest.fixture
def printed():
    def show(function, told):
        out = io.StringIO()
        function(Console(file=out, width=160, emoji=False), told)
        return out.getvalue()

    return show


def row(text, label):
    (found,) = [line for line in text.splitlines() if re.search(rf"│ {label} ", line)]
    return [cell.strip() for cell in found.strip("│").split("│")]


def test_a_row_tells_what_one_candidate_takes(printed):
    text = printed(print_project, project(*WAYS))
    assert "tiny 1.0: 24 candidates, Python 3.11.7" in text
    assert row(text, "by pytest") == ["by pytest", "0.62", "800", "1,600", "80.0 x", "-", "-", "22/24"]
    assert row(text, "by warm") == ["by warm", "50.0", "10.0", "20.0", "1.00 x", "0.90", "2", "22/24"]


def test_the_floor_pays_for_nothing(printed):
    assert row(printed(print_project, project(*WAYS)), "by floor")[-3:] == ["0.30", "-", "22/24"]


def test_what_was_cut_or_not_measured_with_all_says_so(printed):
    cells = row(printed(print_project, project(*WAYS)), r"by suite \(on 1\)")
    assert cells[1:5] == ["< 0.01", "> 60,000", "> 120,000", "> 6,000 x"]
    assert cells[-1] == "-"


def test_without_a_warm_runner_there_is_nothing_to_compare_with_and_it_says_why(printed):
    told = project(*WAYS[:2], cold="importing [the project] starts threads", pytest_over_warm=None)
    text = printed(print_project, told)
    assert row(text, "by pytest")[4] == "-"
    assert "does not fork here: importing [the project] starts threads" in text


def test_candidates_that_were_judged_otherwise_are_shown(printed):
    text = printed(print_project, project(*WAYS, disagreements=("coverup: test_a failed",)))
    assert "judged otherwise than by pytest: coverup: test_a failed" in text


def test_the_summary_has_the_machine_the_layers_and_the_ratios(printed):
    layers = (report.LayerReport(name="Landlock", holds=True), report.LayerReport(name="seccomp", holds=False))
    machine = report.Machine(cores=2, processor="Any CPU", kernel="Linux 6.18", python="3.12.1", packages=())
    text = printed(
        print_summary, report.Report(tool="0.1", machine=machine, sandbox=layers, rounds=3, projects=(project(*WAYS),))
    )
    assert "2 cores, Any CPU, Linux 6.18, Python 3.12.1" in text
    assert "sandbox: Landlock\n" in text
    assert "missing: seccomp\n" in text
    assert row(text, "tiny") == ["tiny", "80.0 x", "123 x", "2.50 x", "50.0", "50.0"]
