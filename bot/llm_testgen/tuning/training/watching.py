"""What stops training, saves it, and tells how it goes: a callback of transformers' trainer."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from llm_testgen.errors import UsageError
from llm_testgen.tuning.training.batches import Order
from llm_testgen.tuning.training.devices import of_first
from llm_testgen.tuning.training.runs import BEST, CHECKPOINTS, METRICS, PROGRESS, Progress
from llm_testgen.tuning.training.settings import Settings

_SAVE_EVERY = 300.0  # seconds
_LOWEST_RATE = 0.1  # of the highest, in the first step: one with a rate of 0 would be lost
LOSS = "eval_loss"

DONE = "all steps were taken"
INTERRUPTED = "interrupted"
OUT_OF_TIME = "time was up"
NO_BETTER = "the validation loss fell no more"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do.

    Attributes:
        settings: How it is trained.
        steps: At most.
        epoch_steps: Of one pass through the data.
        out: The run's folder.
        validated: Whether there are validation examples.
    """

    settings: Settings
    steps: int
    epoch_steps: int
    out: Path
    validated: bool


@dataclass(frozen=True, slots=True)
class Told:
    """How far a run is, for the person who waits.

    Attributes:
        step: Steps taken.
        steps: At most.
        loss: Of the last step.
        validation: Of the last evaluation; None before one.
        better: Whether that was the best so far.
        left: Seconds, about; None before the second step.
    """

    step: int
    steps: int
    loss: float
    validation: float | None
    better: bool
    left: float | None


class Watch(TrainerCallback):
    """Follows a run.

    Attributes:
        progress: How far it is.
        reason: Why it ended; empty as long as it goes on.
        step: Steps taken.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each thing that it works with
        self,
        plan: Plan,
        order: Order,
        progress: Progress,
        *,
        tell: Callable[[Told], None],
        save_best: Callable[[Path], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold what is to be watched.

        Args:
            plan: What the run is to do.
            order: Of the examples; told which pass begins.
            progress: How far the run was when its last checkpoint was made.
            tell: Called after each step and each evaluation.
            save_best: Writes what was trained to a file.
            clock: Seconds that pass.
        """
        self.progress = progress
        self.reason = ""
        self.step = 0
        self._plan = plan
        self._order = order
        self._tell = tell
        self._save_best = save_best
        self._clock = clock
        self._interrupted = False
        self._started = self._stepped = clock()
        self._saved_at = progress.seconds
        self._step_times: list[float] = []
        self._evaluation_time = 0.0
        self._loss = math.nan
        self._validation: float | None = None
        self._notes: dict[str, float] = {}

    def interrupt(self) -> None:
        """Stop after this step, with a checkpoint."""
        self._interrupted = True

    def count(self, tokens: int, auxiliary: float | None) -> None:
        """Note what a batch had."""
        self.progress = self.progress.model_copy(update={"tokens": self.progress.tokens + tokens})
        if auxiliary is not None:
            self._notes["auxiliary_loss"] = self._notes.get("auxiliary_loss", 0.0) + auxiliary

    def time_evaluation(self, seconds: float) -> None:
        """Note how long an evaluation took, which has to be left for the last."""
        self._evaluation_time = seconds

    def rate(self, step: int) -> float:
        """What the highest learning rate is multiplied by in the step that comes: a rise, then a cosine.

        Args:
            step: How many were taken.
        """
        warmup = self._plan.settings.warmup
        share = self._share(step)
        if share < warmup:
            return max(share / warmup, _LOWEST_RATE)
        return 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))

    def on_train_begin(self, *_: object, **__: object) -> None:
        """The clock starts."""
        self._started = self._clock() - self.progress.seconds
        self._stepped = self._clock()

    def on_epoch_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002 - transformers' signature
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> None:
        """The order of this pass is made."""
        self._order.begin(state.global_step // self._plan.epoch_steps)

    def on_optimizer_step(self, *_: object, **__: object) -> None:
        """The clock is read, by the first process for all: the next learning rate depends on it."""
        now = self._clock()
        self._step_times = [*self._step_times[-9:], now - self._stepped]
        self._stepped = now
        seconds, interrupted = of_first((now - self._started, self._interrupted))
        self.progress = self.progress.model_copy(update={"seconds": seconds})
        self._interrupted = interrupted

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002 - transformers' signature
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> None:
        """What comes after this step is decided."""
        step, every = state.global_step, self._plan.settings.evaluate_every
        self.step = step
        self.reason = self._why_stop(step)
        control.should_log = True
        control.should_training_stop = bool(self.reason)
        # One that is due falls out where time is left for the last one alone.
        is_due = bool(self.reason) or (step % every == 0 and self._has_time(evaluations=2))
        control.should_evaluate = self._plan.validated and self.reason != INTERRUPTED and is_due
        control.should_save = bool(self.reason) or self.progress.seconds - self._saved_at >= _SAVE_EVERY

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002 - transformers' signature
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> None:
        """A step's figures are written.

        Raises:
            UsageError: The loss is no number any more.
        """
        if not logs or "loss" not in logs:
            return
        self._loss = logs["loss"]
        if not math.isfinite(self._loss):
            msg = (
                f"the loss of step {state.global_step} is {self._loss}: pass a lower --learning-rate or "
                "--precision float32, and train anew with another --out"
            )
            raise UsageError(msg)
        line = {"step": state.global_step, "epoch": round(state.epoch or 0.0, 4)}
        line |= {name: logs[name] for name in ("loss", "learning_rate", "grad_norm") if name in logs}
        self._write(state, line | self._notes)
        self._notes = {}
        self._report(state, None, better=False)

    def on_evaluate(
        self,
        args: TrainingArguments,  # noqa: ARG002 - transformers' signature
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> None:
        """What was found on the validation examples is written; the best is kept."""
        loss, step, progress = (metrics or {})[LOSS], state.global_step, self.progress
        self._validation = loss
        self._write(state, {"step": step, "validation_loss": loss})
        better = step > 0 and (progress.best is None or loss < progress.best)
        if not step:
            self.progress = progress.model_copy(update={"before": loss})
        elif better:
            self.progress = progress.model_copy(update={"best": loss, "best_step": step, "stale": 0})
            if state.is_world_process_zero:
                self._save_best(self._plan.out / CHECKPOINTS / BEST)
            control.should_save = True
        else:
            self.progress = progress.model_copy(update={"stale": progress.stale + 1})
            patience = self._plan.settings.patience
            if patience and self.progress.stale >= patience and not self.reason:
                self.reason = NO_BETTER
                control.should_training_stop = control.should_save = True
        self._report(state, loss, better=better)
        self._stepped = self._clock()

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002 - transformers' signature
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> None:
        """The checkpoint gets what it has to know, last, so that it is whole."""
        self._saved_at = self.progress.seconds
        if state.is_world_process_zero:
            path = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / PROGRESS
            path.write_text(self.progress.model_dump_json(exclude_none=True) + "\n", encoding="utf-8")
        self._stepped = self._clock()

    def _share(self, step: int) -> float:
        minutes = self._plan.settings.minutes
        by_clock = self.progress.seconds / (60 * minutes) if minutes else 0.0
        return min(1.0, max(step / self._plan.steps, by_clock))

    def _why_stop(self, step: int) -> str:
        if self._interrupted:
            return INTERRUPTED
        if step >= self._plan.steps:
            return DONE
        return "" if self._has_time(evaluations=1) else OUT_OF_TIME

    def _has_time(self, *, evaluations: int) -> bool:
        """Whether there is time for one more step and so many evaluations."""
        minutes = self._plan.settings.minutes
        needed = max(self._step_times) + evaluations * self._evaluation_time
        return not minutes or self.progress.seconds + needed <= 60 * minutes

    def _write(self, state: TrainerState, line: Mapping[str, float]) -> None:
        if state.is_world_process_zero:
            whole = {**line, "seconds": round(self.progress.seconds, 2), "tokens": self.progress.tokens}
            with (self._plan.out / METRICS).open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(whole)}\n")

    def _report(self, state: TrainerState, validation: float | None, *, better: bool) -> None:
        left: float | None = None
        if self._step_times:
            left = (self._plan.steps - state.global_step) * sum(self._step_times) / len(self._step_times)
            if self._plan.settings.minutes:
                left = max(0.0, min(left, 60 * self._plan.settings.minutes - self.progress.seconds))
        self._tell(Told(state.global_step, self._plan.steps, self._loss, validation, better, left))


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM asks to stop, the second stops at once.

    Args:
        interrupt: Called at the first.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.getsignal(kind) for kind in kinds}

    def first(_: int, __: FrameType | None) -> None:
        for kind in kinds:
            signal.signal(kind, second)
        interrupt()

    def second(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    for kind in kinds:
        signal.signal(kind, first)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
