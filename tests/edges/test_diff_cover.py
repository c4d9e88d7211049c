"""Diff coverage is what diff-cover prints, in a real repository with a real coverage report."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest

from llm_testgen.edges.coverage_files import read_coverage
from llm_testgen.edges.diff_cover import diff_coverage
from llm_testgen.records import FileCoverage


def lines(*numbers):
    return frozenset(numbers)


def test_only_changed_lines_that_hold_a_statement_count():
    found = diff_coverage(
        {"a.py": lines(1, 2, 3, 4, 5)},
        {"a.py": FileCoverage(statements=lines(2, 3, 4, 9), executed=lines(2, 9))},
    )
    assert found.changed == {"a.py": lines(2, 3, 4)}
    assert found.covered == {"a.py": lines(2)}
    assert found.percent == 33.33


def test_the_percentage_is_of_all_lines_and_not_of_files():
    found = diff_coverage(
        {"a.py": lines(1), "b.py": lines(1, 2, 3, 4, 5, 6)},
        {
            "a.py": FileCoverage(statements=lines(1), executed=lines(1)),
            "b.py": FileCoverage(statements=lines(1, 2, 3, 4, 5, 6), executed=lines(1)),
        },
    )
    assert found.percent == 28.57


@pytest.mark.parametrize(
    ("changed", "coverage"),
    [
        ({}, {}),
        ({"a.py": lines(1)}, {}),
        ({"a.py": lines()}, {"a.py": FileCoverage(lines(1), lines())}),
        ({"a.py": lines(1)}, {"a.py": FileCoverage(lines(2), lines())}),
        ({"a.py": lines(1)}, {"b.py": FileCoverage(lines(1), lines())}),
        ({"a.py": lines(1)}, {"a.py": FileCoverage(lines(), lines())}),
    ],
)
def test_where_nothing_is_measured_nothing_is_missing(changed, coverage):
    found = diff_coverage(changed, coverage)
    assert (found.changed, found.covered, found.percent) == ({}, {}, 100.0)


def test_an_executed_line_that_is_no_statement_does_not_count():
    # As of a `.coverage` file, where a statement's second line is recorded too.
    found = diff_coverage({"a.py": lines(1, 2)}, {"a.py": FileCoverage(statements=lines(1), executed=lines(1, 2))})
    assert (found.changed, found.covered, found.percent) == ({"a.py": lines(1)}, {"a.py": lines(1)}, 100.0)


def test_a_file_without_any_covered_line_is_still_counted():
    found = diff_coverage({"a.py": lines(1, 2)}, {"a.py": FileCoverage(lines(1, 2), lines())})
    assert (found.changed, found.covered, found.percent) == ({"a.py": lines(1, 2)}, {"a.py": lines()}, 0.0)


BASE = {
    "src/shop/__init__.py": "",
    "src/shop/price.py": """\
def price(count):
    return count * 10


def untouched(count):
    return count
""",
    "src/shop/old_name.py": """\
def ship(kilos):
    cost = 5
    cost += kilos
    return cost


def track(number):
    return f"https://example.org/{number}"
""",
    "src/shop/deleted.py": "A = 1\n",
    "tests/test_shop.py": """\
import shop.deleted
from shop.old_name import ship
from shop.price import price


def test_price():
    assert price(1) == 10


def test_ship():
    assert ship(1) == 6
""",
    "scripts/tool.py": "print('base')\n",
}

HEAD = {
    "src/shop/price.py": """\
# A comment is no statement.
def price(count, discount=0):
    total = count * 10
    if discount:
        total -= (
            total * discount
            // 100
        )
        if total < 0:
            raise ValueError(total)
    return total


def untouched(count):
    return count


def debug(value):  # pragma: no cover
    print(value)
""",
    "src/shop/new_name.py": """\
def ship(kilos):
    cost = 5
    cost += kilos
    if kilos > 20:
        cost *= 2
    return cost


def track(number):
    return f"https://example.org/{number}"
""",
    "src/shop/never_imported.py": "def one():\n    return 1\n\n\nTWO = 2\n",
    "src/shop/empty.py": "",
    "src/shop/notes.txt": "Not code.\n",
    "tests/test_shop.py": """\
from shop.new_name import ship
from shop.price import price


def test_price():
    assert price(1) == 10


def test_ship():
    assert ship(1) == 6
    assert ship(30) == 70


def test_skipped():
    return
    assert price(5) == 50
""",
    "scripts/tool.py": "print('head')\nprint('outside of what is measured')\n",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A change, with what diff-cover says of it and what we say."""

    project: object
    base: str

    def run(self, *command):
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "COV", "PYTEST"))
        }
        environment |= {"PYTHONPATH": str(self.project.root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.project.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def theirs(self, *options):
        report = self.project.root / "diff-cover.json"
        self.run(
            "diff_cover.diff_cover_tool",
            "coverage.xml",
            f"--compare-branch={self.base}",
            f"--format=json:{report}",
            *options,
        )
        return json.loads(report.read_text())

    def ours(self, report="coverage.xml"):
        known = self.project.git("ls-files").splitlines()
        recorded = read_coverage(self.project.root / report, known)
        coverage = {path: FileCoverage(file.statements, file.executed) for path, file in recorded.items()}
        return diff_coverage(self.changed_lines(), coverage)

    def changed_lines(self):
        """Added lines by path, read off git's own diff."""
        changed = {}
        path = ""
        for line in self.project.git("diff", "--unified=0", "--no-color", f"{self.base}...HEAD").splitlines():
            if line.startswith("+++ "):
                path = line.removeprefix("+++ ").removeprefix("b/")
            elif path.endswith(".py") and (hunk := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line)):
                start, count = int(hunk[1]), int(hunk[2] or 1)
                changed[path] = changed.get(path, frozenset()) | frozenset(range(start, start + count))
        return changed


@pytest.fixture
def judged(git_project):
    """A branch that changed, added, renamed and deleted files, with its tests run under coverage."""
    for path, text in BASE.items():
        git_project.write(path, text)
    git_project.write(".gitignore", "coverage.*\n.coverage\ndiff-cover.json\n")
    base = git_project.commit("base")
    git_project.move("src/shop/old_name.py", "src/shop/new_name.py")
    git_project.delete("src/shop/deleted.py")
    for path, text in HEAD.items():
        git_project.write(path, text)
    git_project.commit("head")
    return Judged(git_project, base)


@pytest.mark.parametrize(
    "options",
    [("--source=src,tests",), ("--branch", "--source=src"), ("--include=src/*,tests/*",), ("--source=.",)],
    ids=" ".join,
)
def test_it_equals_what_diff_cover_prints(judged, options):
    judged.run("coverage", "run", *options, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    judged.run("coverage", "xml", "-q")
    ours = judged.ours()
    theirs = judged.theirs("--total-percent-float")

    assert ours.percent == theirs["total_percent_covered"]
    assert 0 < ours.percent < 100
    assert int(ours.percent) == judged.theirs()["total_percent_covered"]
    assert sum(map(len, ours.changed.values())) == theirs["total_num_lines"]
    missing = {path: sorted(changed - ours.covered[path]) for path, changed in ours.changed.items()}
    assert missing == {path: file["violation_lines"] for path, file in theirs["src_stats"].items()}
    assert sum(map(len, missing.values())) == theirs["total_num_violations"]
    assert {path: sorted(covered) for path, covered in ours.covered.items()} == {
        path: file["covered_lines"] for path, file in theirs["src_stats"].items()
    }
    assert missing["src/shop/price.py"] == [5, 9, 10]
    assert ours.changed["src/shop/new_name.py"] == {4, 5}
    assert "src/shop/empty.py" not in ours.changed


def test_every_report_format_gives_the_same_figure(judged):
    judged.run("coverage", "run", "--source=src,tests", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    for report in ("xml", "json", "lcov"):
        judged.run("coverage", report, "-q")
    found = [judged.ours(report) for report in ("coverage.xml", "coverage.json", "coverage.lcov")]
    assert found[0] == found[1] == found[2]
    assert "src/shop/never_imported.py" in found[0].changed
