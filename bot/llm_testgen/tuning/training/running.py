"""A run from its beginning, or from its last checkpoint, to what is saved."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from peft.helpers import disable_input_dtype_casting
from safetensors import SafetensorError
from transformers import set_seed
from transformers.utils import logging

from llm_testgen.errors import UsageError
from llm_testgen.tuning.training import allocation, models, plots, runs
from llm_testgen.tuning.training.batches import Order
from llm_testgen.tuning.training.devices import has_gpu, is_first
from llm_testgen.tuning.training.preparing import Prepared
from llm_testgen.tuning.training.runs import Outcome, Progress, RunCard
from llm_testgen.tuning.training.subjects import (
    LoraSubject,
    MixtureSubject,
    adapt,
    load_trainable,
    save_trainable,
    trainable,
)
from llm_testgen.tuning.training.trainer import AnswerTrainer, arguments
from llm_testgen.tuning.training.watching import INTERRUPTED, OUT_OF_TIME, Told, Watch, interruptible

_KIB = 1024


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
    allocation.keep_memory()
    model = models.load_base(prepared.base, card.precision, plan.settings.load_bits, card.attention)
    models.spare_head(model)
    subject = adapt(model, plan.settings, card.targets, prepared.mixture, prepared.experts)
    trained = sum(one.numel() for one in trainable(subject.model).values())
    card = card.model_copy(update={"trained": trained})
    if is_first():
        runs.write_card(plan.out, card)
        if prepared.checkpoint:
            runs.cut_metrics(plan.out, runs.step_of(prepared.checkpoint))
        else:
            runs.forget_checkpoints(plan.out)
            runs.forget_metrics(plan.out)
    watch, trainer = _watched(prepared, subject, tell, clock)

    def interrupt() -> None:
        stopping()
        watch.interrupt()

    with interruptible(interrupt):
        _carry_out(trainer, subject, prepared.checkpoint, plan.out)
    return _finish(card, watch, subject, plan.out)


def _watched(
    prepared: Prepared,
    subject: LoraSubject | MixtureSubject,
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
        runs.read_progress(prepared.checkpoint) if prepared.checkpoint else Progress(),
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
    )
    return watch, trainer


def _padding(token: object) -> int:
    return token if isinstance(token, int) else 0


def _carry_out(
    trainer: AnswerTrainer, subject: LoraSubject | MixtureSubject, checkpoint: Path | None, out: Path
) -> None:
    """Train.

    Raises:
        UsageError: Memory or the disk do not suffice.
    """
    try:
        # In half precision autocast decides what LoRA computes in: peft would have its inputs in float32 first.
        with disable_input_dtype_casting(subject.model, active=trainer.args.fp16 or trainer.args.bf16):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except (torch.OutOfMemoryError, MemoryError) as error:
        msg = (
            "memory did not suffice: pass --checkpointing, a smaller --batch with more --accumulation, or a smaller "
            "--length"
        )
        raise UsageError(msg) from error
    except (OSError, SafetensorError) as error:
        raise _no_room(out, error) from error
    except RuntimeError as error:
        # How torch says that a file cannot be written, and that memory cannot be had on a processor.
        said = str(error)
        if "PytorchStreamWriter" in said or "inline_container" in said:
            raise _no_room(out, error) from error
        if "not enough memory" in said:
            msg = "memory did not suffice: pass --checkpointing, or a smaller --length"
            raise UsageError(msg) from error
        raise


def _no_room(out: Path, error: Exception) -> UsageError:
    reason = " ".join(str(error).split())[:200]
    return UsageError(f"{out} cannot be written to ({reason}): make room, and go on with --resume")


def _finish(card: RunCard, watch: Watch, subject: LoraSubject | MixtureSubject, out: Path) -> Ended:
    """Save the best weights, the plot, and how it ended."""
    progress, reason = watch.progress, watch.reason
    saved, can_go_on = reason != INTERRUPTED, reason in {INTERRUPTED, OUT_OF_TIME}
    card = card.model_copy(update={"outcome": _outcome(watch)})
    if not is_first():
        return Ended(card, saved, can_go_on)
    if saved:
        best = out / runs.CHECKPOINTS / runs.BEST
        if progress.best is not None:
            load_trainable(subject.model, best)
        try:
            subject.save(out)
        except (OSError, SafetensorError) as error:
            raise _no_room(out, error) from error
    metrics = tuple(runs.metrics_of(out))
    if any("loss" in line for line in metrics):
        plots.draw(metrics, f"{card.kind} of {Path(card.model).name}", out)
    runs.write_card(out, card)
    if not can_go_on:
        runs.forget_checkpoints(out)
    return Ended(card, saved, can_go_on)


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
