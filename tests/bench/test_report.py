from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from llm_testgen.bench import report
from llm_testgen.bench.accounting import Cost
from llm_testgen.bench.report import Series, WayReport, disagreements, ratio, way_reports, write
from llm_testgen.bench.ways import Batch
from llm_testgen.errors import UsageError

TEXTS = ("def test_one():\n    pass\n", "import x\n\n\nasync def test_two():\n    pass\n")


@dataclass
class Way:
    key: str
    label: str = "…"

    async def startup(self):
        return None

    async def run(self, candidates):
        raise NotImplementedError


def series(key, *costs, startup=None, passed=(True, True), count=2, cut=False):
    made = Series(Way(key), startup)
    made.batches += [Batch(count, Cost(cpu, seconds), passed, cut) for cpu, seconds in costs]
    return made


@pytest.fixture
def measured():
    return [
        series("pytest", (2.0, 4.0), (3.0, 6.0), (2.2, 5.0)),
        series("coverup", (4.4, 4.4)),
        series("warm", (0.04, 0.1), (0.05, 0.1), (0.02, 0.1), startup=Cost(2.2, 2.5)),
        series("floor", (0.02, 0.02)),
    ]


def by_key(reports) -> dict[str, WayReport]:
    return {one.key: one for one in reports}


def test_a_way_is_told_by_the_medians_of_one_candidate(measured):
    told = by_key(way_reports(measured))["pytest"]
    assert told.median.cpu == pytest.approx(1.1)
    assert told.median.wall == pytest.approx(2.5)
    assert told.per_second == pytest.approx(0.4)
    assert [one.cpu for one in told.rounds] == pytest.approx([1.0, 1.5, 1.1])
    assert (told.executions, told.passed, told.pays_after, told.startup) == (2, 2, None, None)


def test_a_start_pays_for_itself_when_it_is_less_than_what_it_saves(measured):
    # Each saves 1.1 s less 0.02 s: three save more than 2.2 s, two do not.
    assert by_key(way_reports(measured))["warm"].pays_after == 3


def test_a_start_that_saves_nothing_never_pays():
    told = way_reports([series("pytest", (1.0, 1.0)), series("warm", (2.0, 1.0), startup=Cost(1.0, 1.0))])
    assert told[1].pays_after is None
    assert way_reports([series("warm", (2.0, 1.0), startup=Cost(1.0, 1.0))])[0].pays_after is None


def test_ratios_are_of_cpu_time(measured):
    ways = way_reports(measured)
    assert ratio(ways, "pytest", "warm") == pytest.approx(55)
    assert ratio(ways, "coverup", "warm") == pytest.approx(110)
    assert ratio(ways, "warm", "floor") == pytest.approx(2)
    assert ratio(ways, "warm", "nothing") is None
    assert ratio(ways, "nothing", "warm") is None


def test_what_cannot_be_told_is_not_told():
    (told,) = way_reports([series("suite", (60.0, 60.0), passed=(), count=1, cut=True)])
    assert (told.passed, told.cut, told.executions) == (None, True, 1)


def test_candidates_that_are_judged_otherwise_are_named():
    found = [
        series("pytest", (1, 1), passed=(True, False)),
        series("warm", (1, 1), (1, 1), passed=(True, True)),
        series("cold", (1, 1), passed=(False, False)),
        series("suite", (1, 1), passed=()),
    ]
    assert disagreements(found, TEXTS) == ("cold: test_one failed", "warm: test_two passed")
    assert disagreements(found[1:], TEXTS) == ()


def whole(measured):
    ways = way_reports(measured)
    project = report.ProjectReport(
        name="tiny", version="1.0", python="3.11.7", measured=("tiny/more.py",), candidates=2, load=(0.1, 0.2),
        ways=ways, pytest_over_warm=55.0, coverup_over_warm=None, warm_over_floor=2.0, disagreements=(), cold="",
    )  # fmt: skip
    machine = report.Machine(cores=2, processor="", kernel="Linux 6.18", python="3.11.7", packages=("pytest==8.4.2",))
    layers = (report.LayerReport(name="Landlock", holds=True),)
    return report.Report(tool="0.1", machine=machine, sandbox=layers, rounds=3, projects=(project,))


def test_a_report_is_written_whole_and_read_back_the_same(measured, tmp_path):
    path = tmp_path / "bench.json"
    path.write_text("an earlier one")
    write(whole(measured), path)
    assert report.Report.model_validate_json(path.read_bytes()) == whole(measured)
    assert json.loads(path.read_text())["schema_version"] == 1
    assert [found.name for found in tmp_path.iterdir()] == ["bench.json"]


def test_a_report_that_cannot_be_written_says_so(measured, tmp_path):
    with pytest.raises(UsageError, match=r"nowhere.* cannot be written \(No such file or directory\): pass another"):
        write(whole(measured), tmp_path / "nowhere" / "bench.json")
