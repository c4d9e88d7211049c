"""Tiny releases, made up, through everything that a case goes through: no network."""

from __future__ import annotations

import asyncio
import dataclasses
import fcntl
import io
import json
import os
import tarfile
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError
from rich.console import Console
from tests.project_python import project_python

from llm_testgen.baseline import CUT, Baseline
from llm_testgen.bench import case_check, case_command, case_ground, environments
from llm_testgen.bench.case_check import RESULTS, CaseReport, CaseResult, Checker, ResultStore
from llm_testgen.bench.case_command import CasesOptions, check_cases
from llm_testgen.bench.case_ground import HumanReference, human_reference
from llm_testgen.bench.cases import (
    HUMAN,
    MOST_METHODS,
    Case,
    Split,
    case_repository,
    choose_cases,
    held_back,
    known_cases,
    sample_methods,
)
from llm_testgen.bench.chain_ground import Ground, Machine
from llm_testgen.bench.changes import HEAD, PinnedRelease
from llm_testgen.bench.cli import bench
from llm_testgen.bench.environments import Workshop
from llm_testgen.edges.git import Repository
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.paths import is_python, is_test
from llm_testgen.records import Change, ChangedMethod, ChangeStatus, FileCoverage, Method, MethodKind
from llm_testgen.runner.interpreter import inspect
from llm_testgen.runner.sandbox import Policy, open_sandbox

# What the data set may be made of.
PROJECTS = {
    "humanize",
    "more-itertools",
    "boltons",
    "sqlparse",
    "tomlkit",
    "click",
    "jsonschema",
    "packaging",
    "cachetools",
    "inflect",
    "python-slugify",
    "pyparsing",
    "marshmallow",
    "networkx",
    "arrow",
    "jmespath",
    "xmltodict",
    "toolz",
    "natsort",
    "prettytable",
    "tabulate",
    "semver",
    "mistune",
    "pluggy",
    "wcwidth",
    "textdistance",
    "dateparser",
    "parse",
    "flask",
}
OLD = {
    "tiny/__init__.py": b"",
    "tiny/more.py": b"def sign(value):\n    return 1 if value else 0\n",
    "tests/test_more.py": b"from tiny.more import sign\n\n\ndef test_zero():\n    assert sign(0) == 0\n",
    "tests/test_gone.py": b"def test_gone():\n    pass\n",
}
MORE = b"""\
def sign(value):
    if value < 0:
        kind = "minus"
        return -len(kind) // 5
    return 1 if value else 0


def double(value):
    twice = value + value
    return twice


def hidden(value):
    half = value / 2
    return half
"""
NEW = {
    "tiny/__init__.py": b"",
    "tiny/more.py": MORE,
    "misc/make.py": b"def make():\n    made = 1\n    return made\n",
    "tests/test_more.py": b"from tiny.more import sign\n\n\ndef test_minus():\n    assert sign(-3) == -1\n",
    "tests/test_double.py": b"""\
from pathlib import Path

from tiny.more import double


def test_double():
    assert double(2) == int(Path(__file__).with_name("four.txt").read_text())
""",
    "tests/four.txt": b"4",
}
TREES = {"1.0": OLD, "1.1": NEW, "1.2": NEW}
HELD_BACK = ("tests/test_double.py", "tests/test_more.py")
METHODS = ("tiny/more.py::sign", "tiny/more.py::double", "tiny/more.py::hidden")


def release(version, name="tiny"):
    return PinnedRelease(name=name, version=version, sha256="ab" * 32)


def case(new="1.1", project="tiny", split=Split.TUNE, **more):
    known = {"library": "tiny/", "held_back": HELD_BACK, **more}
    return Case(name=f"{project}-{new}", old=release("1.0", project), new=release(new, project), split=split, **known)


def download(pinned, python, scratch):  # noqa: ARG001 - as the real one is called
    """What pip would do; there is nothing of 6.6."""
    if pinned.version not in TREES:
        msg = f"pip does not get the source of {pinned.name} {pinned.version}"
        raise ProjectError(msg)
    with tarfile.open(scratch / "x.tar.gz", "w:gz") as stream:
        for name, data in TREES[pinned.version].items():
            member = tarfile.TarInfo(f"{pinned.name}-{pinned.version}/{name}")
            member.size = len(data)
            stream.addfile(member, io.BytesIO(data))
    return scratch / "x.tar.gz"


def test_the_manifest_has_enough_cases_of_enough_projects_and_each_project_in_one_split():
    known = known_cases()
    assert len(known) >= 40
    assert len({one.name for one in known}) == len(known)
    splits = {one.project: {other.split for other in known if other.project == one.project} for one in known}
    assert len(splits) >= 20
    assert all(len(found) == 1 for found in splits.values())
    assert splits.keys() <= PROJECTS
    for split, least in ((Split.TUNE, 8), (Split.VALIDATE, 5), (Split.TEST, 8)):
        assert sum(split in found for found in splits.values()) >= least


def test_the_manifest_pins_releases_and_tests_held_back():
    for one in known_cases():
        assert one.old.sha256 != one.new.sha256
        assert one.held_back
        assert all(is_test(path) and is_python(path) for path in one.held_back)
        lines = environments.requirements(one.environment).splitlines()
        assert all("==" in line for line in lines if line and not line.startswith("#"))


def test_a_case_is_named_after_the_newer_of_two_releases_of_one_project():
    right = case().model_dump()
    with pytest.raises(ValidationError, match=r"tiny-1\.0 is not named after the newer"):
        Case.model_validate({**right, "name": "tiny-1.0"})
    with pytest.raises(ValidationError, match="two releases of a project"):
        Case.model_validate({**right, "old": release("1.0", "other")})


def test_cases_are_chosen_by_case_project_and_split():
    known = (case(), case("1.2"), case(project="other", split=Split.TEST))
    assert choose_cases(known) == known
    assert choose_cases(known, ("tiny",)) == known[:2]
    assert choose_cases(known, ("other-1.1", "tiny-1.2", "tiny-1.2")) == known[1:]
    assert choose_cases(known, split=Split.TEST) == known[2:]
    with pytest.raises(
        UsageError, match=r"there is no case tin: pass a case such as tiny-1\.1, or a project: other, t"
    ):
        choose_cases(known, ("tin",))
    with pytest.raises(UsageError, match="none of tiny is in test: pass another --split"):
        choose_cases(known, ("tiny",), Split.TEST)


def test_a_repository_has_three_states_and_shows_the_one_without_the_newer_tests(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "_download", download)
    folder = case_repository(Workshop(tmp_path, tmp_path / "python"), case(), tmp_path / "python")
    repository = Repository.open(folder)

    def tree(revision):
        snapshot = repository.snapshot(revision)
        return {file.path: snapshot.read(file) for file in snapshot.files}

    assert tree("main~1") == OLD
    assert tree(HEAD) == {
        **{path: NEW[path] for path in ("tiny/__init__.py", "tiny/more.py", "misc/make.py")},
        **{path: OLD[path] for path in ("tests/test_more.py", "tests/test_gone.py")},
    }
    assert tree(HUMAN) == NEW
    assert repository.merge_base(HEAD, HUMAN).base == repository.merge_base(HEAD, HEAD).head
    assert held_back(repository) == HELD_BACK
    assert not (folder / "tests" / "test_double.py").exists()
    assert (folder / "tests" / "test_more.py").read_bytes() == OLD["tests/test_more.py"]


def test_releases_are_fetched_once_for_all_cases_that_meet_in_them(tmp_path, monkeypatch):
    asked = []

    def counted(pinned, python, scratch):
        asked.append(pinned.version)
        return download(pinned, python, scratch)

    monkeypatch.setattr(environments, "_download", counted)
    workshop = Workshop(tmp_path, tmp_path / "python")
    for one in (case(), case("1.2"), case()):
        case_repository(workshop, one, tmp_path / "python")
    assert asked == ["1.0", "1.1", "1.2"]


def method(number, lines=frozenset()):
    path, name = "tiny/more.py", f"f{number}"
    return ChangedMethod(
        (Method(path, name, f"{path}::{name}", MethodKind.FUNCTION, 1, 1, 2, ""),), lines, ChangeStatus.ADDED
    )


def ids(targets):
    return [target.id for target in targets]


def test_methods_are_chosen_by_lot_and_keep_their_order():
    methods = [method(number) for number in range(12)]
    chosen = sample_methods(case(), methods, 0)
    assert len(chosen) == MOST_METHODS
    assert sample_methods(case(), methods, 0) == chosen
    assert ids(chosen) == [one for one in ids(methods) if one in set(ids(chosen))]
    assert len({tuple(ids(sample_methods(case(), methods, seed))) for seed in range(8)}) > 4
    assert sample_methods(case("1.2"), methods, 0) != chosen
    assert sample_methods(case(), methods[:3], 0) == tuple(methods[:3])


def test_one_method_less_takes_the_place_of_no_other():
    methods = [method(number) for number in range(12)]
    chosen = sample_methods(case(), methods, 0)
    assert sample_methods(case(), [one for one in methods if one in chosen or one is methods[0]], 0) == chosen
    without = sample_methods(case(), [one for one in methods if one is not chosen[0]], 0)
    assert set(ids(chosen[1:])) < set(ids(without))


@dataclass
class Done:
    report: CaseReport
    shown: str
    json: dict
    work: Path


CASES = (case(), case("6.6", split=Split.VALIDATE))


def checked(work, monkeypatch, **more):
    monkeypatch.setattr(environments, "_download", download)
    monkeypatch.setattr(case_command, "known_cases", lambda: CASES)
    monkeypatch.setattr(Workshop, "environment", lambda *_: Path(project_python()))
    console = Console(file=io.StringIO(), width=100)
    report = asyncio.run(check_cases(CasesOptions(work=work, sandbox=Policy.OFF, **more), os.environ, console))
    return report, console.file.getvalue()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One check of a case that can be used and of one that cannot."""
    home = tmp_path_factory.mktemp("cases")
    with pytest.MonkeyPatch.context() as patch:
        report, shown = checked(home / "work", patch, json=home / "cases.json")
    return Done(report, shown, json.loads((home / "cases.json").read_text()), home / "work")


def test_a_case_is_told_by_its_methods_and_by_what_old_and_newer_tests_cover(done):
    result = done.report.cases[0]
    assert (result.case, result.split, result.problem) == ("tiny-1.1", Split.TUNE, "")
    assert result.chosen == METHODS
    assert result.methods == 3
    # Three are of the script beside the library, which nothing runs; a ``def`` runs when its module is imported.
    assert (result.changed, result.before, result.human) == (12, 3, 7)
    assert (result.missing, result.reached) == (6, 4)
    assert result.notes == ()
    assert result.seconds > 0


def test_a_case_that_cannot_be_made_is_told_with_its_reason_and_the_rest_goes_on(done):
    result = done.report.cases[1]
    assert result.problem == "pip does not get the source of tiny 6.6"
    assert "tiny-6.6: pip does not get the source of tiny 6.6" in done.shown
    assert "1/2 tiny-1.1: 3 of 3 methods, the newer tests reach 4 of 6 lines" in done.shown


def test_the_report_is_written_as_it_is(done):
    assert CaseReport.model_validate(done.json) == done.report


def test_the_table_has_a_row_for_each_split_and_one_for_all(done):
    rows = [line.replace("│", " ").split() for line in done.shown.splitlines()]
    assert ["tune", "1", "1", "3", "12", "3", "7", "6", "4"] in [row[:9] for row in rows]
    assert ["all", "1", "2", "3", "12", "3", "7", "6", "4"] in [row[:9] for row in rows]


def test_what_was_found_is_not_run_again_and_what_failed_is(done, monkeypatch):
    asked = []

    async def check(self, one):
        asked.append(one.name)
        return CaseResult(key=self.key(one), case=one.name, split=one.split, problem="still not there")

    monkeypatch.setattr(Checker, "check", check)
    report, _ = checked(done.work, monkeypatch)
    assert asked == ["tiny-6.6"]
    assert report.cases[0] == done.report.cases[0]
    checked(done.work, monkeypatch, seed=1)
    assert asked == ["tiny-6.6", "tiny-1.1", "tiny-6.6"]


def test_the_exit_code_says_whether_all_can_be_used(done, monkeypatch):
    async def known(options, *_):
        return done.report.model_copy(update={"cases": done.report.cases[: 1 if options.split else 2]})

    monkeypatch.setattr(case_command, "check_cases", known)
    assert CliRunner().invoke(bench, ["cases"]).exit_code == 1
    assert CliRunner().invoke(bench, ["cases", "--split", "tune"]).exit_code == 0


@pytest.fixture
def made(done):
    """The repository of the case that can be used, and what its tests would run with."""
    (folder,) = (path for path in done.work.glob("case-tiny-1.1-*") if path.is_dir())
    interpreter = inspect(Path(project_python()), os.environ)
    confinement = open_sandbox(Policy.OFF, interpreter, os.environ).confinement
    return folder, Machine(interpreter, confinement, os.environ, 1)


@pytest.fixture
def told(monkeypatch):
    """Keys of the human references that are run, and the notes that they come with."""
    keys, notes = [], []

    async def run(*arguments):
        keys.append(arguments[-1])
        return HumanReference(key=keys[-1], covered={}, passed=0, failed=0, notes=tuple(notes))

    monkeypatch.setattr(case_ground, "_run_human_tests", run)
    return keys, notes


def test_the_human_reference_is_run_once_and_told_by_lines(made, told):
    kept = asyncio.run(human_reference(case(), *made))
    assert told == ([], [])
    assert (kept.passed, kept.failed) == (2, 0)
    assert kept.of({"tiny/more.py": frozenset({4, 14}), "gone.py": frozenset({1})}) == {"tiny/more.py": {4}}


def test_a_human_reference_that_is_no_whole_one_is_not_kept(made, told):
    folder, _ = made
    keys, notes = told
    file = folder.with_name(f"{folder.name}-human.json")
    whole = file.read_text()
    file.write_text(whole[:40])
    notes.append(f"{CUT} (did not end within 300 s); what they did not reach is uncovered")
    with pytest.raises(ProjectError, match=r"newer tests of tiny-1\.1 are no measure: .*run this again"):
        asyncio.run(human_reference(case(), *made))
    notes.clear()
    asyncio.run(human_reference(case(), *made))
    asyncio.run(human_reference(case(), *made))
    assert len(keys) == 2
    file.write_text(whole)


def ground(count=2, covered=frozenset({1})):
    methods = tuple(method(number, frozenset({2, 3})) for number in range(count))
    change = Change("0", "1", methods, (), {"tiny/more.py": frozenset({1, 2, 3})})
    coverage = {"tiny/more.py": FileCoverage(frozenset({1, 2, 3}), covered)}
    return Ground("tiny-1.1", change, methods, Baseline(change.changed_lines, coverage), None, None, None, ())


def test_what_makes_a_case_unusable_is_said():
    human = HumanReference(key="", covered={"tiny/more.py": (1, 2)}, passed=2, failed=1, notes=())
    problem = case_check._problem
    assert problem(case(), ground(), human, HELD_BACK) == ""
    assert problem(case(), ground(1), human, HELD_BACK) == "1 methods can be asked for, of 2 at least"
    assert "old tests" in problem(case(), ground(covered=frozenset()), human, HELD_BACK)
    assert "newer tests" in problem(case(), ground(), human.model_copy(update={"covered": {}}), HELD_BACK)
    lacking = human.model_copy(update={"failed": 3})
    assert problem(case(), ground(), lacking, HELD_BACK).startswith("3 of the newer tests fail, 2 pass: the env")
    assert "releases differ in: tests/test_more.py" in problem(case(), ground(), human, HELD_BACK[:1])


def test_missing_lines_are_those_of_the_methods_that_were_chosen():
    found = ground()
    other = dataclasses.replace(found.targets[1], lines=frozenset({3}))
    assert found.missing() == {"tiny/more.py": {2, 3}}
    assert found.missing([other]) == {"tiny/more.py": {3}}
    assert found.missing([]) == {}


def result(name, problem="", seconds=30.0):
    return CaseResult(key=name, case=name, split=Split.TUNE, problem=problem, seconds=seconds)


def test_results_outlive_a_kill(tmp_path):
    path = tmp_path / RESULTS
    store = ResultStore(path)
    store.remember(result("a"))
    store.remember(result("b", "no network"))
    with path.open("a") as file:
        file.write('{"of": "another tool"}\n{"key": "c", "ca')
    again = ResultStore(path)
    assert again.recall("a") == result("a")
    assert again.recall("b") is None
    again.remember(result("b"))
    assert ResultStore(path).recall("b") == result("b")
    with pytest.raises(UsageError, match=r"cannot be used \(.*\): pass another --work"):
        ResultStore(tmp_path)


def test_a_result_that_another_check_is_writing_is_not_cut(tmp_path):
    path = tmp_path / RESULTS
    line = result("a").model_dump_json().encode() + b"\n"
    opening = threading.Thread(target=ResultStore, args=(path,))
    with path.open("ab", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(line[:9])
        opening.start()
        opening.join(0.2)
        other.write(line[9:])
    opening.join()
    assert ResultStore(path).recall("a") == result("a")


def test_what_is_left_is_estimated_by_what_is_done():
    assert case_command._left([], 2) == ""
    assert case_command._left([result("a", seconds=100), result("b", seconds=200)], 2) == " (about 5 min left)"
    assert case_command._left([result("a", seconds=1)], 1) == " (less than a minute left)"
    assert case_command._left([result("a")], 0) == ""


def test_a_report_that_cannot_be_written_is_told_before_anything_is_run(tmp_path):
    with pytest.raises(UsageError, match="cannot be written: pass --json a file in a folder that is there"):
        asyncio.run(check_cases(CasesOptions(json=tmp_path / "no" / "file.json", work=tmp_path), os.environ, Console()))
