"""What stops training, saves it, and tells how it goes: a callback of transformers' trainer."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from llm_testgen.errors import UsageError
from llm_testgen.tuning.training import checkpoints
from llm_testgen.tuning.training.batches import Order
from llm_testgen.tuning.training.checkpoints import Progress
from llm_testgen.tuning.training.devices import of_first
from llm_testgen.tuning.training.runs import METRICS
from llm_testgen.tuning.training.settings import Settings

_SAVE_EVERY = 300.0  # seconds
_LOWEST_RATE = 0.1  # of the highest, in the first step: one with a rate of 0 would be lost
LOSS = "eval_loss"

DONE = "all steps were taken"
INTERRUPTED = "interrupted"
OUT_OF_TIME = "time was up"
NO_BETTER = "the validation loss fell no more"
OUT_OF_MEMORY = "memory did not suffice"
NO_NUMBER = "the loss was no number any more"


class BrokenOffError(UsageError):
    """A run that cannot go on as it is; what was best so far can still be kept.

    Attributes:
        reason: Why it ended.
    """

    def __init__(self, message: str, reason: str) -> None:
        """Hold why."""
        super().__init__(message)
        self.reason = reason


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
        loss: Of the last step; None before one.
        validation: Of the last evaluation; None before one.
        better: Whether that was the best so far.
        left: Seconds, about; None before the second step.
    """

    step: int
    steps: int
    loss: float | None
    validation: float | None
    better: bool
    left: float | None


class Watch(TrainerCallback):
    """Follows a run.

    Attributes:
        progress: How far it is.
        reason: Why it ended; empty as long as it goes on.
        step: Steps taken, those before the last checkpoint too.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each thing that it works with
        self,
        plan: Plan,
        order: Order,
        progress: Progress,
        *,
        step: int = 0,
        tell: Callable[[Told], None],
        save_best: Callable[[Path], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold what is to be watched.

        Args:
            plan: What the run is to do.
            order: Of the examples; told which pass begins.
            progress: How far the run was when its last checkpoint was made.
            step: After which that was made.
            tell: Called after each step and each evaluation.
            save_best: Writes what was trained to a file.
            clock: Seconds that pass.
        """
        self.progress = progress
        self.reason = ""
        self.step = step
        self._plan = plan
        self._order = order
        self._tell = tell
        self._save_best = save_best
        self._clock = clock
        self._interrupted = False
        self._started = self._stepped = self._evaluating = clock()
        self._saved_at = progress.seconds
        self._step_times: list[float] = []
        self._loss: float | None = None
        self._notes: dict[str, float] = {}

    def interrupt(self) -> None:
        """Stop after this step, with a checkpoint."""
        self._interrupted = True

    def count(self, tokens: int, auxiliary: float | None) -> None:
        """Note what a batch had."""
        self._keep(tokens=self.progress.tokens + tokens)
        if auxiliary is not None:
            self._notes["auxiliary_loss"] = self._notes.get("auxiliary_loss", 0.0) + auxiliary

    def begin_evaluation(self) -> None:
        """Note that an evaluation begins: how long one takes has to be left for the last."""
        self._evaluating = self._clock()

    def settle(self) -> None:
        """See whether the run had come to its end already when its last checkpoint was made."""
        patience = self._plan.settings.patience
        if self.step >= self._plan.steps:
            self.reason = DONE
        elif patience and self.progress.stale >= patience:
            self.reason = NO_BETTER

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
        self._stepped = self._clock()
        self._started = self._stepped - self.progress.seconds

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
        self._keep(seconds=of_first(now - self._started))

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002 - transformers' signature
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> None:
        """What comes after this step is decided, by the first process for all: each waits for the others in it."""
        self.step = state.global_step
        self.reason, is_due = of_first(self._decided(self.step))
        # Who interrupts does not wait for an evaluation: it comes first when the run goes on.
        pending = is_due and self.reason == INTERRUPTED
        self._keep(pending=pending)
        control.should_log = True
        control.should_training_stop = bool(self.reason)
        control.should_evaluate = is_due and not pending
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
            BrokenOffError: The loss is no number any more.
        """
        if not logs or "loss" not in logs:
            return
        self._loss = logs["loss"]
        if not math.isfinite(self._loss):
            msg = (
                f"the loss of step {state.global_step} is {self._loss}: pass a lower --learning-rate or "
                "--precision float32, and train anew with another --out"
            )
            raise BrokenOffError(msg, NO_NUMBER)
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
        """What was found on the validation examples is written; the best is kept.

        Raises:
            BrokenOffError: The loss is no number before the first step.
        """
        now, step = self._clock(), state.global_step
        loss, seconds, evaluation = of_first(((metrics or {})[LOSS], now - self._started, now - self._evaluating))
        is_number = math.isfinite(loss)
        self._keep(seconds=seconds, evaluation=evaluation, pending=False)
        self._write(state, {"step": step, "validation_loss": loss if is_number else None})
        better = bool(step) and is_number and (self.progress.best is None or loss < self.progress.best)
        if better:
            # A checkpoint that tells of it has to come after it.
            if state.is_world_process_zero:
                self._save_best(checkpoints.new_best(self._plan.out, step))
            self._keep(best=loss, best_step=step, stale=0)
            control.should_save = True
        elif step:
            self._keep(stale=self.progress.stale + 1)
            self._stop_if_stale(control)
        elif is_number:
            self._keep(before=loss, begun=seconds)
        else:
            msg = (
                f"the validation loss is {loss} before the first step: pass --precision float32 or another model, and "
                "train anew"
            )
            raise BrokenOffError(msg, NO_NUMBER)
        self._report(state, loss, better=better)
        self._stepped = self._clock()

    def on_save(
        self,
        args: TrainingArguments,  # noqa: ARG002 - transformers' signature
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> None:
        """The checkpoint gets what it has to know, last, so that it is whole."""
        self._stepped = self._clock()
        self._saved_at = of_first(self._stepped - self._started)
        self._keep(seconds=self._saved_at)
        if state.is_world_process_zero:
            checkpoints.write_progress(self._plan.out, state.global_step, self.progress)
            checkpoints.forget_bests(self._plan.out)

    def _keep(self, **changes: object) -> None:
        self.progress = self.progress.model_copy(update=changes)

    def _share(self, step: int) -> float:
        by_steps, progress = step / self._plan.steps, self.progress
        limit = 60 * self._plan.settings.minutes
        if not limit:
            return min(1.0, by_steps)
        # What came before the first step is no part of it: the rise would be over before it began.
        by_clock = (progress.seconds - progress.begun) / (limit - progress.begun) if progress.begun < limit else 1.0
        return min(1.0, max(by_steps, by_clock))

    def _decided(self, step: int) -> tuple[str, bool]:
        """Why the run stops after a step, empty if it does not, and whether an evaluation is due."""
        every, is_last = self._plan.settings.evaluate_every, step >= self._plan.steps
        reason = DONE if is_last else ""
        if self._interrupted:
            reason = INTERRUPTED
        elif not is_last and not self._has_time(evaluations=1):
            reason = OUT_OF_TIME
        # One that is due falls out where time is left for the last one alone.
        is_due = is_last or reason == OUT_OF_TIME or (step % every == 0 and self._has_time(evaluations=2))
        return reason, is_due and self._plan.validated

    def _has_time(self, *, evaluations: int) -> bool:
        """Whether there is time for one more step and so many evaluations."""
        minutes = self._plan.settings.minutes
        needed = max(self._step_times) + evaluations * self.progress.evaluation
        return not minutes or self.progress.seconds + needed <= 60 * minutes

    def _stop_if_stale(self, control: TrainerControl) -> None:
        patience = self._plan.settings.patience
        if patience and self.progress.stale >= patience and not self.reason:
            self.reason = NO_BETTER
            control.should_training_stop = control.should_save = True

    def _write(self, state: TrainerState, line: Mapping[str, float | None]) -> None:
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
