"""What a run can go on from: checkpoints, with how far the run was, and the best weights so far."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from llm_testgen.bounds import Bounded, Count, Seconds
from llm_testgen.errors import UsageError

CHECKPOINTS = "checkpoints"
_PROGRESS = "progress.json"
_PREFIX = "checkpoint-"
_BEST = "best"
_OLD_BEST = "best.safetensors"  # before each step's had a name of its own
Loss = Annotated[float, Field(allow_inf_nan=False)]


class Progress(Bounded):
    """What a checkpoint knows beside transformers' own state.

    Attributes:
        seconds: Spent so far.
        begun: Of these, those before the first step: the learning rate follows the clock from there.
        evaluation: Seconds that the last evaluation took.
        pending: Whether this step's evaluation was due and is still to be done, since the run was interrupted.
        before: Validation loss before the first step.
        best: The lowest one since.
        best_step: After which step that was.
        stale: Evaluations since.
        tokens: Trained on by the first process.
    """

    seconds: Seconds = 0.0
    begun: Seconds = 0.0
    evaluation: Seconds = 0.0
    pending: bool = False
    before: Loss | None = None
    best: Loss | None = None
    best_step: Count = 0
    stale: Count = 0
    tokens: Count = 0


def whole(out: Path) -> Mapping[int, Path]:
    """Whole checkpoints by step."""
    return {
        int(path.name.removeprefix(_PREFIX)): path
        for path in (out / CHECKPOINTS).glob(f"{_PREFIX}*")
        if path.name.removeprefix(_PREFIX).isdecimal() and (path / _PROGRESS).is_file()
    }


def step_of(checkpoint: Path) -> int:
    """After which step a checkpoint was made."""
    return int(checkpoint.name.removeprefix(_PREFIX))


def read_progress(checkpoint: Path) -> Progress:
    """What a checkpoint knows.

    Raises:
        UsageError: It is damaged.
    """
    try:
        return Progress.model_validate_json((checkpoint / _PROGRESS).read_bytes())
    except (OSError, ValidationError) as error:
        msg = f"{checkpoint} is damaged: delete it, and go on from the one before with --resume"
        raise UsageError(msg) from error


def write_progress(out: Path, step: int, progress: Progress) -> None:
    """Give the checkpoint of a step what it has to know, whole or not at all."""
    write_whole(out / CHECKPOINTS / f"{_PREFIX}{step}" / _PROGRESS, progress.model_dump_json(exclude_none=True) + "\n")


def new_best(out: Path, step: int) -> Path:
    """Where the weights after a step go when they are the best so far; no checkpoint tells of them yet."""
    return out / CHECKPOINTS / f"{_BEST}-{step}.safetensors"


def best_of(out: Path, step: int) -> Path:
    """Where the best weights are that a checkpoint tells of."""
    own, old = new_best(out, step), out / CHECKPOINTS / _OLD_BEST
    return old if old.is_file() and not own.is_file() else own


def forget_bests(out: Path) -> None:
    """Remove weights that were the best once, and that no checkpoint tells of."""
    kept: set[Path] = set()
    for checkpoint in whole(out).values():
        # One that is damaged is told when a run is to go on from it.
        with suppress(UsageError):
            progress = read_progress(checkpoint)
            if progress.best is not None:
                kept.add(best_of(out, progress.best_step))
    for path in (out / CHECKPOINTS).glob(f"{_BEST}*"):
        if path not in kept:
            path.unlink(missing_ok=True)


def forget_checkpoints(out: Path) -> None:
    """Remove what only going on needs."""
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)


def write_whole(path: Path, text: str) -> None:
    """Write a file, or leave what was there."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
