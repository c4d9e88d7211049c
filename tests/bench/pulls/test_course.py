"""Two tiny cases with recorded replies through two arms: no network, no model."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console
from tests.bench.test_peer_run import ASKS
from tests.bench.test_proxy import Scripted, completion
from tests.project_python import project_python

from llm_testgen.bench.cases import HUMAN, Case, Split
from llm_testgen.bench.changes import PinnedRelease
from llm_testgen.bench.cli import bench
from llm_testgen.bench.pulls import course, peering, recorded, run
from llm_testgen.bench.pulls.arms import COVERUP, FIRST, OURS, PLAIN
from llm_testgen.bench.pulls.course import Progress
from llm_testgen.bench.pulls.run import EXCHANGES, REPLIES, RESULTS, PullOptions, run_pulls
from llm_testgen.edges.completions import Answered
from llm_testgen.edges.gitwrite import add_branch, create_repository
from llm_testgen.errors import ModelError, ProjectError, PromptRefusedError, UsageError
from llm_testgen.records import Reply, Usage

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
WHOLE = HEAD | {"tests/test_more.py": OLD["tests/test_more.py"] + b"\n\ndef test_one():\n    assert sign(5) == 1\n"}
REPLY = """\
```python
import pytest

from tiny.more import sign


def test_positive():
    assert sign(3) == 1


def test_negative():
    assert sign(-3) == -2
```
"""


def case(name):
    old, new = (PinnedRelease(name=name, version=version, sha256="0" * 64) for version in ("1.0", "1.1"))
    return Case(
        name=f"{name}-1.1", old=old, new=new, library="tiny/", split=Split.TEST, held_back=("tests/test_more.py",)
    )


CASES = (case("broken"), case("tiny"))


class Live:
    """A model that always answers the same, and counts."""

    concurrency = 1
    shares_cores = True

    def __init__(self, name):
        self.name = name
        self.asked = 0

    async def reply(self, prompt, sampling):
        self.asked += 1
        return Reply(prompt, REPLY, self.name, Usage(100, 50, 1.0), truncated=False)

    async def close(self):
        """Nothing is open."""


@dataclass
class Bench:
    home: Path
    live: Live

    def options(self, **more):
        return PullOptions(out=self.home / "out", work=self.home / "work", workers=2, models=("m",), **more)

    def find(self, arms=(FIRST, PLAIN), **more):
        console = Console(file=io.StringIO(), width=80)
        return asyncio.run(run_pulls(self.options(**more), arms, os.environ, console))


@pytest.fixture(scope="module")
def patched(tmp_path_factory):
    """The cases, and a model in place of a real one."""
    home = tmp_path_factory.mktemp("pulls")
    create_repository(home / "tiny-1.1", {"1.0": OLD, "1.1": HEAD})
    add_branch(home / "tiny-1.1", HUMAN, "tests of 1.1", WHOLE)
    live = Live("m")

    def repository(_workshop, wanted, _python):
        if wanted.project == "broken":
            msg = "broken 1.1 cannot be had"
            raise ProjectError(msg)
        return home / "tiny-1.1"

    async def open_live(_choice, _environ):
        return live

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "RECORDED", home / "none" / "pull-requests.jsonl.gz")
        patch.setattr(run, "known_cases", lambda: CASES)
        patch.setattr(run, "open_live", open_live)
        patch.setattr(course, "case_repository", repository)
        patch.setattr(run.Workshop, "environment", lambda *_: Path(project_python()))
        yield Bench(home, live)


@pytest.fixture(scope="module")
def found(patched):
    return patched.find(ask=True)


def test_each_arm_is_tried_and_a_case_that_cannot_be_had_does_not_stop_the_rest(found):
    ours, plain = found.series
    assert [one.arm.key for one in found.series] == ["ours-first", "plain"]
    # The file of the plain reply has a wrong expected value, so all of it is lost; ours takes the value from a run.
    assert (ours.results[0].figures.lines, plain.results[0].figures.lines) == (3, 0)
    assert ours.results[0].funnel.candidates == 2
    about = ours.results[0].about
    assert (about.changed, about.before, about.missing, about.human_missing) == (6, 3, 3, 1)
    (method,) = ours.results[0].methods
    assert (method.target, method.missing, method.gained, method.human) == ("tiny/more.py::sign", 3, 3, 1)
    assert found.progress.failed == {"broken-1.1": "broken 1.1 cannot be had"}
    assert (found.progress.total, found.progress.done) == (4, 2)
    (_, remark) = run.remarks(found)
    assert remark.startswith("1 of 2 cases are compared with m: of the others an arm has no result, or one for other")


def test_what_is_known_is_not_found_again(found, patched):
    asked = patched.live.asked
    again = patched.find(ask=True)
    assert (again.progress.known, again.progress.done) == (2, 0)
    assert again.series == found.series
    assert patched.live.asked == asked == 2


@pytest.mark.usefixtures("found")
def test_without_its_results_a_run_is_repeated_from_recorded_replies_alone(patched):
    results = patched.home / "out" / RESULTS
    kept = results.read_bytes()
    results.unlink()
    again = patched.find()
    assert [one.results[0].figures.lines for one in again.series] == [3, 0]
    assert patched.live.asked == 2
    results.write_bytes(kept)


@pytest.mark.usefixtures("found")
def test_what_has_no_recorded_reply_is_said_and_not_counted(patched):
    replies = patched.home / "out" / REPLIES
    kept, results = replies.read_bytes(), (patched.home / "out" / RESULTS).read_bytes()
    replies.unlink()
    (patched.home / "out" / RESULTS).unlink()
    nothing = patched.find()
    assert nothing.series == ()
    # Results of the case that could not be had lack more than replies.
    assert [line.partition(":")[0] for line in run.remarks(nothing)] == [
        "broken-1.1 could not be worked on",
        "2 of 4 results are not there",
    ]
    replies.write_bytes(kept)
    (patched.home / "out" / RESULTS).write_bytes(results)


@pytest.mark.usefixtures("found")
def test_the_command_prints_tables_and_writes_a_page_a_plot_and_a_recording(patched):
    page, plots, packed = (patched.home / name for name in ("page.md", "plots", "packed"))
    arguments = ["--out", patched.home / "out", "--work", patched.home / "work", "--model", "m", "--workers", "2"]
    arguments += ["--markdown", page, "--plots", plots, "--pack", packed, "--arm", "ours-first", "--arm", "plain"]
    result = CliRunner().invoke(bench, ["pull-requests", *map(str, arguments)])
    assert result.exit_code == 1, result.output
    assert "What each arm brings" in result.output
    assert "broken-1.1 could not be worked on: broken 1.1 cannot be had" in result.output
    text = page.read_text()
    assert "| the authors' own tests | - | 1 | 1/3 | 33 |" in text
    assert "1 case of 1 project (tiny), 1 method, at most 4 of a case; seed 0." in text
    assert "](plots/pull-requests.svg)" in text
    assert str(patched.home) not in text
    assert {path.name for path in plots.iterdir()} == {"pull-requests.png", "pull-requests.svg"}
    assert {path.name for path in packed.iterdir()} == {"pull-requests.jsonl.gz", "peers.jsonl.gz"}
    assert len(gzip.decompress((packed / "pull-requests.jsonl.gz").read_bytes()).splitlines()) == 2


@pytest.mark.usefixtures("found")
def test_an_experiment_shares_the_replies_to_prompts_that_are_the_same(patched):
    arguments = ["--out", patched.home / "out", "--work", patched.home / "work", "--model", "m", "--cases", "tiny"]
    result = CliRunner().invoke(bench, ["temperature", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    # At temperature 0 it is the first prompt of the main arm.
    assert "5 of 6 results are not there: their prompts have no recorded reply; --ask asks the model" in " ".join(
        result.output.split()
    )


@pytest.fixture
def failing(patched, monkeypatch, request):
    """A bench of its own, whose model answers nothing of use and then fails."""

    def make(*errors):
        class Failing(Live):
            async def reply(self, prompt, sampling):
                self.asked += 1
                if self.asked > len(errors):
                    raise AssertionError
                if (error := errors[self.asked - 1]) is not None:
                    raise error
                text = "def test_nothing():\n    raise ValueError\n"
                return Reply(prompt, text, self.name, Usage(100, 50, 1.0), truncated=False)

        bench_ = Bench(patched.home / request.node.name, Failing("m"))

        async def open_live(_choice, _environ):
            return bench_.live

        monkeypatch.setattr(run, "open_live", open_live)
        return bench_

    return make


def test_a_model_that_stops_answering_leaves_no_result_of_half_a_search(failing):
    broken = failing(None, ModelError("the server died"))
    with pytest.raises(ModelError, match="the server died"):
        broken.find(arms=(OURS,), ask=True, cases=("tiny",))
    assert broken.live.asked == 2
    assert not (broken.home / "out" / RESULTS).exists()


def test_a_prompt_that_the_model_will_not_take_costs_that_result_alone(failing):
    refusing = failing(PromptRefusedError("too long"), None)
    found = refusing.find(ask=True, cases=("tiny",))
    assert [one.arm.key for one in found.series] == ["plain"]
    assert list(run.remarks(found)) == [
        "1 of 2 results are not there: the model would not take a prompt, which may be too long for it"
    ]


def test_a_file_that_cannot_be_written_ends_the_run(failing, monkeypatch):
    def add(_store, _result):
        msg = "the disk is full"
        raise UsageError(msg)

    monkeypatch.setattr(run.ResultStore, "add", add)
    with pytest.raises(UsageError, match="the disk is full"):
        failing(None, None).find(arms=(PLAIN,), ask=True, cases=("tiny",))


def test_what_is_left_does_not_count_what_will_not_be_found():
    progress = Progress(total=10, known=2)
    assert progress.left is None
    progress.found("a", 30.0)
    assert progress.left == 7 * 30.0
    progress.lacks("c", "why")
    assert progress.left == 6 * 30.0
    # Of its four results one is known not to be there already.
    progress.failing("c", "broken", 4)
    assert progress.left == 3 * 30.0
    assert progress.lacking == {"why": 1}


def test_cases_that_are_worked_on_at_once_are_done_in_a_part_of_the_time():
    progress = Progress(total=5, at_once=2)
    progress.found("a", 30.0)
    assert progress.left == 2 * 30.0


def test_several_cases_are_worked_on_at_once(patched, monkeypatch):
    class Meeting(Live):
        """Answers nobody before two have asked."""

        def __init__(self):
            super().__init__("m")
            self.all_here = asyncio.Event()

        async def reply(self, prompt, sampling):
            if self.asked:
                self.all_here.set()
            reply = await super().reply(prompt, sampling)
            await asyncio.wait_for(self.all_here.wait(), 60)
            return reply

    bench_ = Bench(patched.home / "at-once", Meeting())

    async def open_live(_choice, _environ):
        return bench_.live

    monkeypatch.setattr(run, "open_live", open_live)
    monkeypatch.setattr(run, "known_cases", lambda: (case("tiny"), case("other")))
    found = bench_.find(arms=(FIRST,), ask=True, at_once=2, endpoint="http://127.0.0.1:1")
    assert [result.case for result in found.series[0].results] == ["tiny-1.1", "other-1.1"]
    assert bench_.live.asked == 2


class Asking:
    """A generator that asks until it is refused, and writes each reply into a file of its own."""

    name, version, python, folders = "asking", "1", Path(project_python()), ()

    def added(self, case):
        return {}

    def tools(self):
        return ()

    def collected(self, case):
        return ("tests/test_new_*.py",)

    def sequences(self, case, tools):
        assert [target.qualname for target in case.targets] == ["sign"]
        return [[[project_python(), "-c", ASKS]]]


@pytest.fixture
def peer(patched, monkeypatch):
    """CoverUp is another program, and the model a server that says the same two things."""
    right = REPLY.removeprefix("```python\n").partition("\n\ndef test_negative")[0]
    # Two tests for one line.
    right += "\n\ndef test_again():\n    assert sign(4) == 1\n"
    server = Scripted(completion(right, 500), completion("def test_wrong():\n    assert 0\n", 400))
    monkeypatch.setattr(run, "CoverUp", lambda *_: Asking())
    monkeypatch.setattr(run._Models, "service", lambda _self, _name: "somewhere")

    def find(*, says=server, **more):
        monkeypatch.setattr(peering, "CompletionsServer", lambda _service: says)
        options = patched.options(cases=("tiny",), unconfined_peers=True, **more)
        console = Console(file=io.StringIO(), width=80)
        return asyncio.run(run_pulls(options, (COVERUP,), os.environ, console))

    return find


@pytest.mark.usefixtures("found")
def test_another_generator_has_its_tests_judged_and_is_replayed_without_a_model(peer, patched, monkeypatch):
    (one,) = peer(ask=True).series
    (result,) = one.results
    figures = result.figures
    # 800 tokens for one method: the second reply is the last.
    assert (figures.replies, figures.tokens_out) == (2, 900)
    assert (figures.accepted, figures.kept, figures.lines, figures.missing) == (2, 1, 1, 3)
    assert [(method.target, method.gained) for method in result.methods] == [("tiny/more.py::sign", 1)]
    assert result.funnel is None
    results = patched.home / "out" / RESULTS
    kept = results.read_bytes()
    results.write_bytes(b"".join(line for line in kept.splitlines(keepends=True) if b'"coverup"' not in line))
    (again,) = peer().series
    assert again.results[0].figures == figures
    results.write_bytes(b"".join(line for line in kept.splitlines(keepends=True) if b'"coverup"' not in line))
    (patched.home / "out" / EXCHANGES).unlink()
    monkeypatch.setattr(run, "CoverUp", lambda *_: None)  # nothing is recorded, so that it is not even started
    nothing = peer()
    assert (nothing.series, nothing.progress.done) == ((), 0)


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (lambda: ModelError("it died"), "the model did not answer another generator; run this again"),
        (
            lambda: Answered(400, {"error": "no tools"}),
            'the model\'s server takes no prompt of CoverUp 0.6.3: {"error": "no tools"}',
        ),
    ],
)
def test_another_generator_whose_model_failed_has_no_result(peer, patched, says, reason):
    results = patched.home / "out" / RESULTS
    kept = results.read_bytes()
    results.write_bytes(b"".join(line for line in kept.splitlines(keepends=True) if b'"coverup"' not in line))
    (patched.home / "out" / EXCHANGES).unlink(missing_ok=True)
    found = peer(ask=True, says=Scripted(says(), says(), says()))
    assert found.series == ()
    assert list(run.remarks(found)) == [f"1 of 1 results are not there: {reason}"]
    results.write_bytes(kept)


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cases", "unknown"], "there is no case unknown"),
        (["--markdown", "nowhere/page.md"], "pass --markdown a file"),
        (["--pack", "file"], "pass --pack a folder"),
        (["--plots", "file"], "pass --plots a folder"),
        (["--out", "file/out"], "pass another --out"),
        (["--arm", "cover-agent"], "pass --cover-agent its program"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_made(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    result = CliRunner().invoke(bench, ["pull-requests", *arguments])
    assert message in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
