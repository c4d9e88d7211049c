"""A scripted model is asked about the methods of a small project, for real but for the model."""

from __future__ import annotations

import asyncio
import os
import re
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from rich.console import Console
from tests.project_python import project_python
from tests.samples import SIZES_HEAD, changed_method
from tests.tuning.data.test_mining import project

from llm_testgen.errors import ModelError, PromptRefusedError, UsageError
from llm_testgen.recipe import DEFAULT_RECIPE
from llm_testgen.records import FileCoverage, Reply, Usage
from llm_testgen.stages.goals import goals
from llm_testgen.stages.prompt import Templates, default_templates
from llm_testgen.tuning.cli import tune
from llm_testgen.tuning.data import sample_run, sampling
from llm_testgen.tuning.data.examples import read_examples
from llm_testgen.tuning.data.pairing import body_lines
from llm_testgen.tuning.data.sample_run import SampleOptions, run_sample
from llm_testgen.tuning.data.sampling import Draws, choose

BODIES = {
    "raise ValueError('negative')": "    with pytest.raises(ValueError):\n        grade(-1)",
    "return 'large'": '    assert grade(11) == "large"',
    # What no repair can mend: it is not there.
    "return 'small'": '    from sizes.core import nothing\n    assert nothing() == "small"',
}
GRADE = changed_method(SIZES_HEAD, "grade")
TEMPLATES = Templates(default_templates(), DEFAULT_RECIPE)


class Teacher:
    """Knows what to say of ``grade``, and nothing of anything else."""

    name = "teacher"
    concurrency = 1
    shares_cores = True

    def __init__(self):
        self.asked = []
        self.faults = {}

    async def reply(self, prompt, sampling):
        self.asked.append((prompt, sampling))
        if (fault := self.faults.get(prompt.target.qualname)) is not None:
            raise fault
        return Reply(prompt, self._says(prompt), self.name, Usage(100, 50, 1.0))

    async def close(self):
        """Nothing is open."""

    @staticmethod
    def _says(prompt):
        head, _, _ = prompt.prefill.partition("# 1: ")
        tests = []
        for number, goal in re.findall(r"^# (\d+): reaches `(.*?)`.*$", prompt.messages[-1].content, re.MULTILINE):
            heading = re.search(rf"^# {number}: .*$", prompt.messages[-1].content, re.MULTILINE)[0]
            tests.append(f"{heading}\ndef test_{number}():\n{BODIES.get(goal, '    assert not 1')}")
        return head + "\n\n\n".join(tests) + "\n```"


@pytest.fixture
def teacher(monkeypatch):
    made = Teacher()

    async def opened(_choice, _environ):
        return made

    monkeypatch.setattr(sample_run, "open_live", opened)
    return made


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return project(tmp_path_factory.mktemp("sampling") / "sizes").root


def options(home, checkout, **more):
    known = {"projects": (checkout,), "python": project_python(), "work": home / "work", "endpoint": "http://here"}
    return SampleOptions(home / "data", model="teacher", **{**known, **more})


def run(wanted):
    return asyncio.run(run_sample(wanted, os.environ, Console(quiet=True)))


def examples_of(wanted, report):
    return {one.meta.target: one for one in read_examples(wanted.out / "parts" / f"{report.name}.jsonl")}


def test_what_the_filters_accept_is_the_answer_and_what_was_said_is_not_asked_again(teacher, checkout, tmp_path):
    wanted = options(tmp_path, checkout, seed=3)
    (report,) = run(wanted)
    (example,) = examples_of(wanted, report).values()
    assert (example.meta.target, example.meta.origin, example.meta.author) == (
        "sizes/core.py::grade",
        "sampled",
        "teacher",
    )
    said = example.prompt[-1].content
    assert "return 'small'" not in said.partition("Write ")[2]
    assert "nothing" not in example.answer
    assert 'assert grade(11) == "large"' in example.answer
    assert example.answer.startswith(example.prefill)
    assert (report.name, report.counts["methods"]) == ("sampled-sizes-1.0-teacher", 2)
    assert sorted(prompt.target.qualname for prompt, _ in teacher.asked) == ["below", "grade"]
    assert {(sampling.temperature, sampling.seed) for _, sampling in teacher.asked} == {(0.8, 3)}

    assert run(wanted) == (report,)
    (wanted.out / "parts" / f"{report.name}.json").unlink()
    (again,) = run(wanted)
    assert (again.examples, len(teacher.asked)) == (1, 2)
    (more,) = run(options(tmp_path, checkout, seed=3, samples=2))
    assert (more.counts["exchanges"], len(teacher.asked)) == (4, 4)

    arguments = ["data", "join", "--out", str(wanted.out), "--work", str(tmp_path), "--allow-uncompared"]
    done = CliRunner().invoke(tune, arguments)
    assert "1 examples to train on" in done.output, done.output
    assert "Tests that a model wrote (teacher)" in (wanted.out / "README.md").read_text()


def test_the_projects_own_tests_of_a_method_are_not_there_to_be_copied(teacher, checkout, tmp_path, monkeypatch):
    run(options(tmp_path / "without", checkout))
    without = {prompt.target.qualname: prompt.messages[-1].content for prompt, _ in teacher.asked}
    teacher.asked.clear()
    monkeypatch.setattr(sampling, "_Unseen", lambda knowledge: knowledge)
    run(options(tmp_path / "with", checkout))
    shown = {prompt.target.qualname: prompt.messages[-1].content for prompt, _ in teacher.asked}
    assert "def test_below_" in shown["below"].partition("Write ")[0]
    assert "def test_" not in without["below"].partition("Write ")[0]


def test_a_model_that_stops_answering_ends_the_run_and_what_it_said_is_kept(teacher, checkout, tmp_path):
    teacher.faults = {"below": ModelError("it died")}
    wanted = options(tmp_path, checkout)
    with pytest.raises(ModelError, match="it died"):
        run(wanted)
    assert not list((wanted.out / "parts").iterdir())
    teacher.faults, asked = {}, len(teacher.asked)
    (report,) = run(wanted)
    assert report.examples == 1
    assert len(teacher.asked) <= asked + 2
    assert len({prompt.target.id for prompt, _ in teacher.asked}) == 2


def test_a_prompt_that_is_refused_does_not_stop_the_others(teacher, checkout, tmp_path):
    teacher.faults = {"below": PromptRefusedError("too long")}
    (report,) = run(options(tmp_path, checkout))
    assert (report.examples, report.counts["exchanges"]) == (1, 1)


def test_a_server_is_asked_about_several_methods_at_once(teacher, checkout, tmp_path, monkeypatch):
    both, reply = asyncio.Barrier(2), teacher.reply

    async def together(prompt, sampling):
        async with asyncio.timeout(60):
            await both.wait()
        return await reply(prompt, sampling)

    monkeypatch.setattr(teacher, "reply", together)
    teacher.concurrency, teacher.shares_cores = 2, False
    wanted = options(tmp_path, checkout, seed=3)
    (report,) = run(wanted)
    assert (report.examples, report.counts["exchanges"]) == (1, 2)


def test_a_model_on_the_same_cores_writes_while_nothing_is_judged(teacher, checkout, tmp_path, monkeypatch):
    events, reply = [], teacher.reply

    async def noted(prompt, sampling):
        events.append(prompt.target.qualname)
        return await reply(prompt, sampling)

    def recorded(_self, head, _verdicts):
        events.append(head.rpartition("::")[2])

    monkeypatch.setattr(teacher, "reply", noted)
    monkeypatch.setattr(sampling.Session, "record", recorded)
    run(options(tmp_path, checkout, seed=3))
    assert len(events) == 4
    assert events[::2] == events[1::2]


@pytest.mark.parametrize("value", ["0", "100", "many"])
def test_so_many_requests_at_once_are_no_number_of_them(value):
    done = CliRunner().invoke(tune, ["data", "sample", "--at-once", value])
    assert done.exit_code == 2
    assert "--at-once" in done.output


def draws(**more):
    return Draws(TEMPLATES, **more)


def test_methods_are_asked_about_as_a_whole_or_in_part_by_the_lot():
    statements = {GRADE.path: FileCoverage(body_lines(GRADE), frozenset())}
    chosen = [wish for seed in range(40) for wish in choose([GRADE], statements, draws(seed=seed))]
    asked = {len(goals(GRADE, wish.lines)) for wish in chosen}
    assert asked == {1, 2, 3}
    assert choose([GRADE], statements, draws(seed=7)) == choose([GRADE], statements, draws(seed=7))
    assert all(wish.lines <= body_lines(GRADE) for wish in chosen)
    assert choose([GRADE], statements, draws(methods=0)) == ()


def test_what_has_nothing_to_execute_is_not_asked_about():
    assert choose([GRADE], {}, draws()) == ()
    assert choose([GRADE], {GRADE.path: FileCoverage(frozenset({7}), frozenset())}, draws()) == ()


def test_an_endpoint_puts_adapters_on_by_itself(tmp_path):
    with pytest.raises(UsageError, match="leave --adapter out"):
        run(SampleOptions(tmp_path, endpoint="http://here", adapter=tmp_path))


def test_a_model_that_is_not_there_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(UsageError, match="nobody is no embedded model: name one of "):
        run(SampleOptions(tmp_path / "data", model="nobody"))
    assert not (tmp_path / "data").exists()


def test_a_model_inside_the_job_is_started_and_ended(checkout, tmp_path, monkeypatch):
    made, ended = Teacher(), []

    async def close():
        ended.append(True)

    async def opened(local, _environ, _progress):
        assert local.name == "inside"
        return made

    made.close = close
    monkeypatch.setattr(sample_run, "inside", lambda *_: SimpleNamespace(name="inside"))
    monkeypatch.setattr(sample_run, "open_local", opened)
    (report,) = run(options(tmp_path, checkout, endpoint=None, methods=1))
    assert report.name == "sampled-sizes-1.0-inside"
    assert ended == [True]
