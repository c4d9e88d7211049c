"""A run from its beginning, or from its last checkpoint, to what is saved."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from peft.helpers import disable_input_dtype_casting
from safetensors import SafetensorError
from transformers import set_seed
from transformers.utils import logging

from llm_testgen.errors import UsageError
from llm_testgen.tuning.memory import Memory
from llm_testgen.tuning.training import allocation, checkpoints, models, plots, runs
from llm_testgen.tuning.training.batches import Order
from llm_testgen.tuning.training.checkpoints import Progress
from llm_testgen.tuning.training.devices import has_gpu, is_first, of_first
from llm_testgen.tuning.training.interrupting import interruptible
from llm_testgen.tuning.training.preparing import Prepared
from llm_testgen.tuning.training.runs import Outcome, RunCard
from llm_testgen.tuning.training.subjects import (
    LoraSubject,
    MixtureSubject,
    adapt,
    load_trainable,
    save_trainable,
    trainable,
)
from llm_testgen.tuning.training.trainer import AnswerTrainer, arguments
from llm_testgen.tuning.training.watching import (
    INTERRUPTED,
    NO_NUMBER,
    OUT_OF_MEMORY,
    OUT_OF_TIME,
    BrokenOffError,
    Plan,
    Told,
    Watch,
)

_KIB = 1024
# How torch says in a RuntimeError that a file cannot be written, and that memory cannot be had.
_NO_FILE = ("PytorchStreamWriter", "inline_container")
_NO_MEMORY = ("DefaultCPUAllocator", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended.

    Attributes:
        card: What it was, and how it ended.
        saved: Whether what was trained was saved: it is not when it was interrupted.
        can_go_on: Whether there are checkpoints to go on from.
    """

    card: RunCard
    saved: bool
    can_go_on: bool


def quieten() -> None:
    """Keep transformers from telling what we tell."""
    logging.set_verbosity_error()  # type: ignore[no-untyped-call,unused-ignore]  # transformers'
    logging.disable_progress_bar()  # type: ignore[no-untyped-call,unused-ignore]


def train(
    prepared: Prepared,
    tell: Callable[[Told], None],
    stopping: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
) -> Ended:
    """Train, and save what was trained.

    Args:
        prepared: What `prepare` gave.
        tell: Called after each step and each evaluation.
        stopping: Called when Ctrl-C was noticed.
        clock: Seconds that pass.

    Raises:
        UsageError: Memory or the disk do not suffice, or the loss is no number any more.
        KeyboardInterrupt: Ctrl-C was pressed twice.
    """
    card, plan = prepared.card, prepared.plan
    set_seed(plan.settings.seed)
    model = models.load_base(prepared.base, card.precision, plan.settings.load_bits, card.attention)
    models.spare_head(model)
    allocation.keep_memory()  # not before: what loading takes in passing goes back
    subject = adapt(model, plan.settings, card.targets, prepared.mixture, prepared.experts)
    trained = sum(one.numel() for one in trainable(subject.model).values())
    card = card.model_copy(update={"trained": trained})
    progress = _progress(prepared)
    if is_first():
        runs.write_card(plan.out, card)
        if prepared.checkpoint:
            runs.cut_metrics(plan.out, checkpoints.step_of(prepared.checkpoint), pending=progress.pending)
        else:
            checkpoints.forget_checkpoints(plan.out)
            runs.forget_metrics(plan.out)
    with _explained(plan):
        watch, trainer = _watched(prepared, subject, progress, tell, clock)

    def interrupt() -> None:
        stopping()
        watch.interrupt()

    try:
        with interruptible(interrupt), _explained(plan):
            _carry_out(trainer, watch, subject, prepared.checkpoint)
    except BrokenOffError as error:
        raise _broken_off(error, card, watch, subject, plan.out) from error
    return _finish(card, watch, subject, plan.out)


def _progress(prepared: Prepared) -> Progress:
    """How far a run is, as the first process has it, which cuts what this is read from."""
    checkpoint, plan = prepared.checkpoint, prepared.plan
    if checkpoint is None:
        return Progress()
    progress, step = checkpoints.read_progress(checkpoint), checkpoints.step_of(checkpoint)
    # Older checkpoints do not tell what is pending: the last step's evaluation is never left out.
    is_last = plan.validated and step >= plan.steps
    pending = progress.pending or (is_last and not runs.was_evaluated(plan.out, step))
    return progress.model_copy(update={"pending": of_first(pending)})


def _watched(
    prepared: Prepared,
    subject: LoraSubject | MixtureSubject,
    progress: Progress,
    tell: Callable[[Told], None],
    clock: Callable[[], float],
) -> tuple[Watch, AnswerTrainer]:
    """What follows the run, and what trains."""
    plan, settings = prepared.plan, prepared.plan.settings
    order = Order(
        [len(one.ids) for one in prepared.train], settings.batch, grouped=settings.grouped, seed=settings.seed
    )
    watch = Watch(
        plan,
        order,
        progress,
        step=checkpoints.step_of(prepared.checkpoint) if prepared.checkpoint else 0,
        tell=tell,
        save_best=lambda path: save_trainable(subject.model, path),
        clock=clock,
    )
    trainer = AnswerTrainer(
        subject,
        arguments(plan, prepared.card.precision, first=prepared.checkpoint is None),
        (prepared.train, prepared.validation),
        order=order,
        watch=watch,
        padding=_padding(prepared.base.tokenizer.pad_token_id),
        most_between=_most_between(prepared.memory),
    )
    return watch, trainer


def _most_between(memory: Memory) -> float:
    """Bytes to hold between two batches, so that with the logits of the next there are no more than was estimated."""
    return math.inf if has_gpu() else memory.total - memory.logits


def _padding(token: object) -> int:
    return token if isinstance(token, int) else 0


def _carry_out(
    trainer: AnswerTrainer, watch: Watch, subject: LoraSubject | MixtureSubject, checkpoint: Path | None
) -> None:
    """Train, unless the run had come to its end already when its checkpoint was made."""
    # In half precision autocast decides what LoRA computes in: peft would have its inputs in float32 first.
    with disable_input_dtype_casting(subject.model, active=trainer.args.fp16 or trainer.args.bf16):
        if checkpoint:
            trainer.catch_up(checkpoint, pending=watch.progress.pending)
        if not watch.reason:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


@contextmanager
def _explained(plan: Plan) -> Iterator[None]:
    """Say what to do where the machine does not suffice.

    Raises:
        BrokenOffError: Memory does not suffice.
        UsageError: The disk does not.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _no_memory(plan) from error
    except (OSError, SafetensorError) as error:
        raise _no_room(plan.out, error) from error
    except RuntimeError as error:
        said = str(error)
        if any(one in said for one in _NO_FILE):
            raise _no_room(plan.out, error) from error
        if any(one in said for one in _NO_MEMORY):
            raise _no_memory(plan) from error
        raise


def _no_memory(plan: Plan) -> BrokenOffError:
    ways = "a smaller --batch with more --accumulation, or a smaller --length"
    goes_on, spared = bool(checkpoints.whole(plan.out)), plan.settings.checkpointing
    if goes_on and not spared:
        advice = f"go on with --resume --checkpointing, or train anew with another --out and {ways}"
    elif goes_on:
        advice = f"train anew with another --out and {ways}"
    else:
        advice = f"pass {'' if spared else '--checkpointing, '}{ways}"
    return BrokenOffError(f"{OUT_OF_MEMORY}: {advice}", OUT_OF_MEMORY)


def _no_room(out: Path, error: Exception) -> UsageError:
    reason = " ".join(str(error).split())[:200]
    return UsageError(f"{out} cannot be written to ({reason}): make room, and go on with --resume")


def _broken_off(
    error: BrokenOffError, card: RunCard, watch: Watch, subject: LoraSubject | MixtureSubject, out: Path
) -> UsageError:
    """Keep what can be kept of a run that broke off, and say so."""
    rescued = _rescued(card, watch, subject, out, error.reason)
    if error.reason == NO_NUMBER:
        # All processes come here, and when one ends what launched them ends the first too: it has to have saved.
        rescued = of_first(rescued)
    return UsageError(f"{error}{rescued}")


def _rescued(card: RunCard, watch: Watch, subject: LoraSubject | MixtureSubject, out: Path, reason: str) -> str:
    """Save the best weights of a run that broke off, if it has any.

    Returns:
        What there is to say of that, to end a message with.
    """
    watch.reason, step = reason, watch.progress.best_step
    if watch.progress.best is None:
        return ""
    kept = f"; the best weights, those after step {step}, are in {checkpoints.best_of(out, step)}"
    if not is_first():
        return kept
    try:
        _save(card.model_copy(update={"outcome": _outcome(watch)}), watch, subject, out)
    except (UsageError, MemoryError, RuntimeError):
        return kept
    return f"; what was best, after step {step}, is saved in {out}"


def _finish(card: RunCard, watch: Watch, subject: LoraSubject | MixtureSubject, out: Path) -> Ended:
    """Save the best weights, the plot, and how it ended."""
    saved, can_go_on = watch.reason != INTERRUPTED, watch.reason in {INTERRUPTED, OUT_OF_TIME}
    card = card.model_copy(update={"outcome": _outcome(watch)})
    if is_first():
        _save(card, watch, subject, out)
        if not can_go_on:
            checkpoints.forget_checkpoints(out)
    return Ended(card, saved, can_go_on)


def _save(card: RunCard, watch: Watch, subject: LoraSubject | MixtureSubject, out: Path) -> None:
    """Write what is kept of a run: the weights unless it was interrupted, the plot, and how it ended.

    Raises:
        UsageError: Something cannot be written.
    """
    if watch.reason != INTERRUPTED:
        if watch.progress.best is not None:
            load_trainable(subject.model, checkpoints.best_of(out, watch.progress.best_step))
        try:
            subject.save(out)
        except (OSError, SafetensorError) as error:
            raise _no_room(out, error) from error
    metrics = tuple(runs.metrics_of(out))
    if any("loss" in line for line in metrics):
        plots.draw(metrics, f"{card.kind} of {Path(card.model).name}", out)
    runs.write_card(out, card)


def _outcome(watch: Watch) -> Outcome:
    progress = watch.progress
    return Outcome(
        reason=watch.reason,
        steps=watch.step,
        seconds=progress.seconds,
        kept_step=progress.best_step if progress.best is not None else watch.step,
        validation_loss=progress.best,
        loss_before=progress.before,
        peak_memory=_peak_memory(),
    )


def _peak_memory() -> int:
    if has_gpu():
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB
