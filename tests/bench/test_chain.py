"""A tiny change with canned replies through every row: no network, no model."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console
from tests.project_python import project_python

from llm_testgen.baseline import Baseline
from llm_testgen.bench import chain as module
from llm_testgen.bench.chain import ChainOptions, Course, run_chain_bench, work_on
from llm_testgen.bench.chain_ground import Ground, choose_targets
from llm_testgen.bench.chain_replies import ChainReply, Replies
from llm_testgen.bench.chain_report import ChainReport, ChangeReport, TrialReport, no_figures
from llm_testgen.bench.chain_ways import OURS, PLAIN, WAYS
from llm_testgen.bench.changes import BenchChange, PinnedRelease
from llm_testgen.bench.cli import bench
from llm_testgen.edges.gitwrite import create_repository
from llm_testgen.errors import ModelError, ProjectError, UsageError
from llm_testgen.records import Change, ChangedMethod, ChangeStatus, FileCoverage, Method, MethodKind

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="CPU time is read from /proc")

OLD = {
    "tiny/__init__.py": b"",
    "tiny/more.py": b"def sign(value):\n    return 1 if value else 0\n",
    "tests/test_more.py": b"from tiny.more import sign\n\n\ndef test_zero():\n    assert sign(0) == 0\n",
}
HEAD = OLD | {
    "tiny/more.py": b"""\
def sign(value):
    if value > 0:
        return 1
    if value < 0:
        kind = "minus"
        return -len(kind) // 5
    return 0
"""
}
TARGET = "tiny/more.py::sign"
# One test is right, one expects a wrong value beside a right one.
PLAIN_REPLY = """\
```python
from tiny.more import sign

def test_positive():
    assert sign(3) == 1

def test_negative():
    assert sign(-3) == -1
    assert sign(-3) == -2
```
"""
OUR_REPLY = """\
```python
import pytest

from tiny.more import sign


def test_sign_positive():
    assert sign(3) == 1


def test_sign_negative():
    assert sign(-3) == -2
```
"""


def release(version):
    return PinnedRelease(name="tiny", version=version, sha256="0" * 64)


CHANGE = BenchChange(name="tiny", old=release("1.0"), new=release("1.1"), library="tiny/")


def reply(way, text, attempt=1, **more):
    known = {"change": "tiny", "target": TARGET, "digest": "of-another-wording", "model": "canned"}
    figures = {"truncated": False, "tokens_in": 100, "tokens_out": 50, "seconds": 1.0}
    return ChainReply(**known, way=way, attempt=attempt, reply=text, **{**figures, **more})


RECORDED = (reply(PLAIN, PLAIN_REPLY), reply(OURS, OUR_REPLY))


@dataclass
class Done:
    report: ChainReport
    shown: str
    json: dict
    page: str
    home: Path


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One run of the whole bench, which takes a while: it is looked at from several sides."""
    home = tmp_path_factory.mktemp("chain")
    create_repository(home / "change", {"tiny 1.0": OLD, "tiny 1.1": HEAD})
    recording = home / "replies.jsonl"
    recording.write_text("".join(one.model_dump_json() + "\n" for one in RECORDED))
    options = ChainOptions(
        replies=recording, workers=2, work=home / "work", json=home / "chain.json", markdown=home / "chain.md"
    )
    console = Console(file=io.StringIO(), width=80)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "known_changes", lambda: (CHANGE,))
        patch.setattr(module, "change_repository", lambda *_: home / "change")
        patch.setattr(module.Workshop, "environment", lambda *_: Path(project_python()))
        report = asyncio.run(run_chain_bench(options, os.environ, console))
    told = json.loads((home / "chain.json").read_text())
    return Done(report, console.file.getvalue(), told, (home / "chain.md").read_text(), home)


def test_each_row_makes_more_of_the_same_replies(done):
    (change,) = done.report.changes
    assert change.targets == (TARGET,)
    rows = {way.key: way for way in change.ways}
    assert list(rows) == [way.key for way in WAYS]
    assert {row.missing for row in rows.values()} == {3}
    # The file of the plain reply has a failing test, so all of it is lost; alone the other one counts.
    assert (rows["plain-file"].accepted, rows["plain-file"].lines) == (0, 0)
    assert (rows["plain-each"].accepted, rows["plain-each"].lines) == (1, 1)
    assert (rows["ours"].accepted, rows["ours"].lines) == (1, 1)
    assert (rows["observe"].accepted, rows["observe"].lines) == (2, 3)
    assert (rows["full"].kept, rows["full"].lines) == (2, 3)
    assert 1 < rows["full"].killed <= rows["full"].tried
    assert [rows[key].tokens for key in ("plain-file", "ours", "observe")] == [150, 150, 150]


def test_what_a_row_runs_is_accounted_for_by_what_it_is_for(done):
    rows = {way.key: {part.part: part for part in way.parts} for way in done.report.changes[0].ways}
    full = rows["full"]
    assert full["first runs"].runs == 2
    assert all(full[name].cpu > 0 for name in ("first runs", "repairs", "stability", "mutants", "together"))
    assert rows["ours"]["repairs"].runs == 0
    assert rows["ours"]["first runs"].runs == 2


def test_tests_of_the_full_chain_are_tried_again(done):
    trial = done.report.trial
    assert (trial.tests, trial.flaky, trial.order_dependent) == (2, (), ())
    assert trial.runs == 2 * 20 + 4 * 2
    assert "0 flaky, 0 that depend on the order" in " ".join(done.shown.split())


def test_replies_to_another_wording_are_pointed_out_and_nothing_is_asked_in_vain(done):
    full = done.report.totals[-1]
    assert (full.replies, full.outdated, full.unanswered) == (1, 1, 0)
    assert "1 of 1 replies answer an earlier wording of the prompt" in " ".join(done.shown.split())


def test_what_was_found_is_shown_and_written(done):
    assert "1 changes, 1 targets, replies of canned" in done.shown
    assert [way["key"] for way in done.json["changes"][0]["ways"]] == [way.key for way in WAYS]
    assert "| 1 | plain prompt, a file kept if all of it passes | 0 | 0 | 0 | 0 % | 0/0 |" in done.page
    assert "| tiny | 1.0 | 1.1 | 1 | 3 | 0 | 1 | 1 |" in done.page
    assert str(done.home) not in done.page


def changed(qualname, lines=(2, 3), path="tiny/more.py", kind=MethodKind.FUNCTION):
    method = Method(path, qualname, kind, 1, 9, "", "", "")
    return ChangedMethod((method,), frozenset(lines), ChangeStatus.ADDED)


def choose(bench, *targets):
    paths = {target.path for target in targets}
    lines = {path: frozenset(range(1, 10)) for path in paths}
    coverage = {path: FileCoverage(frozenset({1, 2, 3, 4}), frozenset({4})) for path in paths}
    change = Change("base", "head", targets, (), lines)
    return [target.qualname for target in choose_targets(bench, change, Baseline(lines, coverage))]


def test_targets_are_the_first_functions_of_the_library_that_lack_enough():
    targets = [
        changed("covered", lines=(4,)),
        changed("one_line", lines=(2, 4)),
        changed("Body", kind=MethodKind.CLASS),
        changed("tool", path="bench/tool.py"),
        changed("script", path="tiny/__main__.py"),
        *(changed(f"enough{number}") for number in range(7)),
    ]
    assert choose(CHANGE, *targets) == [f"enough{number}" for number in range(5)]


def test_pinned_targets_are_taken_as_they_are():
    pinned = CHANGE.model_copy(update={"targets": ("tiny/more.py::last", "tiny/more.py::one_line")})
    assert choose(pinned, changed("one_line", lines=(2,)), changed("last")) == ["last", "one_line"]
    with pytest.raises(ProjectError, match=r"nothing of tiny/more\.py::last in tiny is left to cover"):
        choose(pinned, changed("one_line"), changed("last", lines=(4,)))


@pytest.mark.parametrize(("recorded", "left"), [(RECORDED, 0), (RECORDED[:1], 1), ((), 1)])
def test_a_target_without_replies_for_every_row_is_left_out(recorded, left):
    ground = Ground("tiny", None, (changed("sign"),), None, None, None, None, ())
    found, notes = module._answered(ground, Course(None, Replies(recorded), None, None, print))
    assert len(found.targets) == 1 - left
    assert notes == ((f"{left} targets left out that the recording has no replies about",) if left else ())
    assert module._answered(ground, Course(None, Replies(recorded), object(), None, print)) == (ground, ())


class Live:
    name = "another"
    concurrency = 1
    shares_cores = True

    async def close(self):
        pass


def test_a_model_that_stops_answering_ends_the_run_and_makes_no_row(monkeypatch):
    @asynccontextmanager
    async def opened(*_):
        yield Ground("tiny", None, (changed("sign"),), None, None, None, None, ())

    async def follow(*arguments):
        arguments[2].fault = ModelError("it is gone")  # and a search keeps what it has by then

    monkeypatch.setattr(module, "open_ground", opened)
    monkeypatch.setattr(module, "follow", follow)
    course = Course(None, Replies(()), Live(), None, lambda _: None)
    with pytest.raises(ModelError, match="it is gone"):
        asyncio.run(work_on(course, CHANGE, Path()))


def test_the_report_names_who_wrote_the_replies_and_not_whom_the_rest_would_be_asked(monkeypatch, tmp_path):
    recording = tmp_path / "replies.jsonl"
    recording.write_text("".join(one.model_dump_json() + "\n" for one in RECORDED))

    async def worked(_course, change, _folder):
        trial = TrialReport(tests=0, runs=0, flaky=(), order_dependent=())
        figures = tuple(map(no_figures, WAYS))
        return ChangeReport(name=change.name, old="1", new="2", targets=(), ways=figures, trial=trial, notes=())

    async def live(*_):
        return Live()

    monkeypatch.setattr(module, "known_changes", lambda: (CHANGE,))
    monkeypatch.setattr(module, "change_repository", lambda *_: tmp_path)
    monkeypatch.setattr(module.Workshop, "environment", lambda *_: Path(project_python()))
    monkeypatch.setattr(module, "open_live", live)
    monkeypatch.setattr(module, "work_on", worked)
    options = ChainOptions(record=recording, work=tmp_path / "work")
    report = asyncio.run(run_chain_bench(options, os.environ, Console(file=io.StringIO())))
    assert report.model == "canned"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--changes", "flask"], "there is no change flask to work on: choose among"),
        (["--json", "nowhere/chain.json"], "nowhere/chain.json cannot be written: pass --json a file"),
        (["--markdown", "."], ". cannot be written: pass --markdown a file"),
        (["--replies", "nowhere"], "nowhere cannot be read"),
        (["--replies", "x", "--record", "y"], "leave --replies out"),
        (["--model", "x"], "pass --record FILE too"),
        (["--endpoint", "http://127.0.0.1:1"], "pass --record FILE too"),
        (["--prompts", "nowhere"], "nowhere"),
        (["--prompts", "smoke.toml"], "tests of kind smoke are not what these rows compare"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_made(arguments, message, tmp_path, monkeypatch):
    monkeypatch.setenv("LLM_TESTGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("smoke.toml").write_text('kind = "smoke"\n')
    result = CliRunner().invoke(bench, ["chain", *arguments])
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
    assert not (tmp_path / "cache").exists()
