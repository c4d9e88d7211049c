from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("accelerate")

from tests.tuning.training.ranks import step, watched
from transformers import TrainerControl, TrainerState

from llm_testgen.errors import UsageError
from llm_testgen.tuning.training import checkpoints, runs, watching
from llm_testgen.tuning.training.checkpoints import Progress
from llm_testgen.tuning.training.watching import DONE, INTERRUPTED, NO_BETTER, OUT_OF_TIME

ROOT = Path(__file__).parents[3]


def evaluate(watch, now, number, seconds, loss=1.0):
    control = TrainerControl()
    watch.begin_evaluation()
    now[0] += seconds
    watch.on_evaluate(None, TrainerState(global_step=number), control, {"eval_loss": loss})
    return control


def test_an_evaluation_that_would_take_the_time_of_the_last_one_falls_out(tmp_path):
    watch, now = watched(tmp_path, {"evaluate_every": 2}, Progress(evaluation=10.0))
    watch.on_train_begin()
    found = {}
    for number in range(1, 10):
        now[0] = 5.0 * number
        control = step(watch, number)
        found[number] = (watch.reason, control.should_evaluate)
    now[0] = 50.0
    control = step(watch, 10)
    assert found[5] == ("", False)
    assert found[6] == ("", True)
    assert found[8] == ("", False), "it would end after 10 s, and another step and the last one after 15 more"
    assert (watch.reason, control.should_evaluate, control.should_save) == (OUT_OF_TIME, True, True)


def test_the_learning_rate_rises_from_the_first_step_on_however_long_the_first_evaluation_took(tmp_path):
    watch, now = watched(tmp_path, {"warmup": 0.1})
    watch.on_train_begin()
    evaluate(watch, now, 0, 20.0)
    assert watch.progress.begun == 20
    rates = []
    for number in range(1, 5):
        now[0] += 1
        step(watch, number)
        rates.append(watch.rate(number))
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0])
    now[0] = 60.0
    step(watch, 5)
    assert watch.rate(5) == pytest.approx(0)


def test_a_run_that_goes_on_keeps_time_for_the_last_evaluation_and_counts_all_that_passed(tmp_path):
    checkpoint = tmp_path / "checkpoints" / "checkpoint-2"
    checkpoint.mkdir(parents=True)
    watch, now = watched(tmp_path, {"evaluate_every": 2, "warmup": 0.1})
    watch.on_train_begin()
    evaluate(watch, now, 0, 8.0)
    for number in (1, 2):
        now[0] += 3
        step(watch, number)
    evaluate(watch, now, 2, 10.0)
    now[0] += 2
    watch.on_save(None, TrainerState(global_step=2), TrainerControl())
    progress = checkpoints.read_progress(checkpoint)
    assert (progress.seconds, progress.begun, progress.evaluation) == (26, 8, 10)
    again, now = watched(tmp_path, {"evaluate_every": 2, "warmup": 0.1}, progress, step=2)
    again.on_train_begin()
    assert again.rate(2) == pytest.approx(0.5 * (1 + math.cos(math.pi * (18 / 52 - 0.1) / 0.9)))
    now[0] = 14.0
    step(again, 3)
    assert again.reason == OUT_OF_TIME, "after 40 s, another step of 14 and an evaluation of 10 are too much"


def test_who_interrupts_gets_no_evaluation_and_it_comes_first_when_the_run_goes_on(tmp_path):
    watch, _ = watched(tmp_path, {"evaluate_every": 2})
    watch.on_train_begin()
    step(watch, 1)
    watch.interrupt()
    control = step(watch, 2)
    assert (watch.reason, control.should_evaluate, control.should_save) == (INTERRUPTED, False, True)
    assert watch.progress.pending
    assert not step(watch, 3).should_evaluate
    assert not watch.progress.pending


def test_what_one_process_decides_is_what_the_first_one_decided(tmp_path, monkeypatch):
    first, now = watched(tmp_path, {"evaluate_every": 2}, Progress(evaluation=10.0))
    other, late = watched(tmp_path, {"evaluate_every": 2}, Progress(evaluation=29.0))
    said = []
    for watch in (first, other):
        watch.on_train_begin()
    for number in range(1, 9):
        now[0], late[0] = 5.0 * number, 6.5 * number
        if number == 3:
            other.interrupt()
        monkeypatch.setattr(watching, "of_first", lambda value: said.append(value) or value)
        expected = step(first, number)
        monkeypatch.setattr(watching, "of_first", lambda _: said.pop(0))
        found = step(other, number)
        assert (other.reason, vars(found)) == (first.reason, vars(expected))
        assert other.rate(number) == first.rate(number)
    first.interrupt()
    monkeypatch.undo()
    assert step(other, 9).should_training_stop, "what was interrupted stays so"


def test_processes_whose_clocks_differ_and_of_which_one_is_interrupted_stop_after_the_same_step(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    shared = os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'bot'}",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.tuning.training.ranks", str(tmp_path)],
            env=shared | {"RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    try:
        told = [json.loads(one.communicate(timeout=120)[0]) for one in running]
    finally:
        for one in running:
            one.kill()
    assert told[0] == told[1]
    assert told[0][-1][1] == OUT_OF_TIME
    assert [number for number, _, evaluated, *_ in told[0] if evaluated] == [2, 4, 6, 8, 11]


def test_a_validation_loss_that_is_no_number_is_never_the_best(tmp_path):
    saved = []
    watch, now = watched(tmp_path, {"patience": 2}, save_best=saved.append)
    watch.on_train_begin()
    evaluate(watch, now, 0, 1.0, loss=2.0)
    assert not evaluate(watch, now, 4, 1.0, loss=math.nan).should_save
    assert (watch.progress.best, watch.progress.stale) == (None, 1)
    assert evaluate(watch, now, 8, 1.0, loss=1.5).should_save
    assert not evaluate(watch, now, 12, 1.0, loss=math.inf).should_training_stop
    assert evaluate(watch, now, 16, 1.0, loss=math.nan).should_training_stop
    assert (watch.reason, watch.progress.best, watch.progress.best_step) == (NO_BETTER, 1.5, 8)
    assert saved == [checkpoints.new_best(tmp_path, 8)]
    assert [line["validation_loss"] for line in runs.metrics_of(tmp_path)] == [2.0, None, 1.5, None, None]


def test_a_validation_loss_that_is_no_number_before_the_first_step_ends_it(tmp_path):
    watch, now = watched(tmp_path, {})
    watch.on_train_begin()
    with pytest.raises(UsageError, match="the validation loss is nan before the first step: pass --precision float32"):
        evaluate(watch, now, 0, 1.0, loss=math.nan)


def test_what_had_ended_when_its_last_checkpoint_was_made_does_not_begin_again(tmp_path):
    found = []
    for number, stale in ((100, 0), (50, 2), (50, 1)):
        watch, _ = watched(tmp_path, {"patience": 2}, Progress(stale=stale), step=number)
        watch.settle()
        found.append(watch.reason)
    assert found == [DONE, NO_BETTER, ""]


def test_the_best_weights_are_kept_as_long_as_a_checkpoint_tells_of_them(tmp_path):
    folder = tmp_path / "checkpoints"
    for number in (4, 6, 8, 10):
        (folder / f"checkpoint-{number}").mkdir(parents=True)
    for name in ("best.safetensors", "best-6.safetensors", "best-8.safetensors", "best-10.safetensors.part"):
        (folder / name).touch()
    checkpoints.write_progress(tmp_path, 4, Progress(best=1.0, best_step=2))
    checkpoints.write_progress(tmp_path, 8, Progress(best=0.5, best_step=8))
    (folder / "checkpoint-10" / "progress.json").write_text("{")
    assert checkpoints.best_of(tmp_path, 2) == folder / "best.safetensors", "as it was called before"
    assert checkpoints.best_of(tmp_path, 8) == folder / "best-8.safetensors"
    checkpoints.forget_bests(tmp_path)
    assert sorted(path.name for path in folder.glob("best*")) == ["best-8.safetensors", "best.safetensors"]
