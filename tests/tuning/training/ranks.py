"""A run's `Watch` without a run; as a program, one of several processes whose clocks and wishes differ."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.tuning.training.tiny import QUICK
from transformers import TrainerControl, TrainerState

from llm_testgen.tuning.training.batches import Order
from llm_testgen.tuning.training.checkpoints import Progress
from llm_testgen.tuning.training.settings import settings_of
from llm_testgen.tuning.training.watching import Plan, Watch


def watched(out, changes, progress=None, *, steps=100, **more):
    """What follows a run with a clock that is set by hand."""
    now = [0.0]
    plan = Plan(settings_of("cpu", QUICK | {"minutes": 1} | changes), steps, 100, out, validated=True)
    order = Order([1], 1, grouped=False, seed=0)
    given = {"tell": lambda _: None, "save_best": lambda _: None, "clock": lambda: now[0]} | more
    return Watch(plan, order, progress or Progress(), **given), now


def step(watch, number):
    control = TrainerControl()
    watch.on_optimizer_step()
    watch.on_step_end(None, TrainerState(global_step=number), control)
    return control


def decide(rank, out):
    """What is decided after each step, until it ends: the second process is slower, and is interrupted."""
    watch, now = watched(out, {"evaluate_every": 2}, Progress(evaluation=4.0 + 9 * rank))
    watch.on_train_begin()
    told = []
    for number in range(1, 100):
        now[0] = (5.0 + rank) * number
        if rank and number == 3:
            watch.interrupt()
        control = step(watch, number)
        told.append((number, watch.reason, control.should_evaluate, control.should_save, watch.rate(number)))
        if control.should_training_stop:
            break
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(decide(int(os.environ["RANK"]), Path(sys.argv[1]))))
