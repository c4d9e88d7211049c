"""A run's folder: what was asked for, how it went, and the checkpoints that it can go on from.

* ``training.json``: settings, data, versions and, once it has ended, how
* ``metrics.jsonl``: a line for each step and each evaluation
* ``loss.png``, ``loss.svg``
* ``checkpoints/``: as long as the run can go on
* what was trained: an adapter as peft saves it, or a mixture
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from llm_testgen import __version__
from llm_testgen.bounds import Bounded, Count, Seconds
from llm_testgen.errors import UsageError
from llm_testgen.tuning.mixtures.config import AdaMoLEConfig, MoLEConfig
from llm_testgen.tuning.training import checkpoints
from llm_testgen.tuning.training.checkpoints import Loss, write_whole
from llm_testgen.tuning.training.settings import Attention, Precision, Settings

CARD = "training.json"
METRICS = "metrics.jsonl"
_VALIDATION = "validation_loss"
_LIBRARIES = ("accelerate", "peft", "torch", "transformers")
# What may be another when a run goes on: it changes when it ends or what memory it takes, not what a step gives.
_FREE = ("minutes", "patience", "checkpointing")
_Name = Annotated[str, Field(max_length=4096)]
Kind = Literal["lora", "mole", "adamole"]


class DataCard(Bounded):
    """What was trained on.

    Attributes:
        source: Folder or file.
        digest: Of the files.
        train: Examples that were learned from.
        validation: Examples that were evaluated.
        tokens: Of all that were learned from, in one pass.
        others: What became of other examples, by reason.
    """

    source: _Name
    digest: Annotated[str, Field(max_length=64)]
    train: Count
    validation: Count
    tokens: Count
    others: dict[str, Count]


class Outcome(Bounded):
    """How a run ended.

    Attributes:
        reason: Why it did, in words.
        steps: Taken.
        seconds: That it took, all runs that went on with it together.
        kept_step: The step after which the saved weights were.
        validation_loss: Of these; None without validation.
        loss_before: On the validation examples, before the first step; None without.
        peak_memory: Bytes of this process, or of the GPU.
    """

    reason: _Name
    steps: Count
    seconds: Seconds
    kept_step: Count
    validation_loss: Loss | None = None
    loss_before: Loss | None = None
    peak_memory: Count


class RunCard(Bounded):
    """What a run was asked for, as one file, version 1.

    Attributes:
        version: Of this form.
        tool: Version of llm-testgen.
        kind: Of what is trained.
        model: What it adapts.
        model_digest: Of that model's configuration.
        settings: How it is trained.
        precision: Of the weights that are not.
        attention: How it is computed.
        targets: Last names of the layers that get LoRA.
        mole: Settings of a MoLE.
        adamole: Settings of an AdaMoLE.
        experts: Folders of a MoLE's experts.
        data: What it is trained on.
        trained: Parameters that are.
        steps: At most.
        processes: That train together.
        libraries: Their versions.
        outcome: How it ended; None as long as it has not.
    """

    version: Literal[1] = 1
    tool: str = __version__
    kind: Kind
    model: _Name
    model_digest: Annotated[str, Field(max_length=64)]
    settings: Settings
    precision: Precision
    attention: Attention = Attention.PREFERRED
    targets: tuple[_Name, ...]
    mole: MoLEConfig | None = None
    adamole: AdaMoLEConfig | None = None
    experts: tuple[_Name, ...] = ()
    data: DataCard
    trained: Count
    steps: Count
    processes: Count
    libraries: dict[str, str]
    outcome: Outcome | None = None


def library_versions() -> dict[str, str]:
    """Versions of what decides how training goes."""
    found: dict[str, str] = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def require_new(out: Path) -> None:
    """See that a run can begin in a folder.

    Raises:
        UsageError: There is something already; a run that never had a checkpoint is nothing.
    """
    if (out / CARD).is_file():
        if not checkpoints.whole(out) and read_card(out).outcome is None:
            return
        msg = f"{out} holds a run already: pass --resume to go on with it, or another --out"
    elif out.exists() and not out.is_dir():
        msg = f"{out} is a file: pass --out a folder that is new or empty"
    elif out.is_dir() and any(out.iterdir()):
        msg = f"{out} holds something else: pass --out a folder that is new or empty"
    else:
        return
    raise UsageError(msg)


def read_card(out: Path) -> RunCard:
    """What a run was asked for.

    Raises:
        UsageError: The folder holds none.
    """
    try:
        return RunCard.model_validate_json((out / CARD).read_bytes())
    except OSError as error:
        msg = f"{out} holds no run to go on with: leave --resume out to begin one"
        raise UsageError(msg) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        msg = f"{out / CARD} is of another version ({'.'.join(map(str, first['loc']))}: {first['msg']}): train anew"
        raise UsageError(msg) from error


def write_card(out: Path, card: RunCard) -> None:
    """Write what a run was asked for, whole or not at all.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / CARD, card.model_dump_json(indent=2, exclude_none=True) + "\n")
    except OSError as error:
        msg = f"{out} cannot be written to ({error.strerror}): make room, or pass another --out"
        raise UsageError(msg) from error


def require_same(old: RunCard, new: RunCard) -> None:
    """See that a run is what it was, but for when it ends.

    Raises:
        UsageError: It is not; the message says in what.
    """
    if (old.model_digest, old.kind) != (new.model_digest, new.kind):
        msg = f"the run is a {old.kind} for {old.model}, and this is a {new.kind} for {new.model}: pass another --out"
        raise UsageError(msg)
    if old.data.digest != new.data.digest:
        msg = f"the data are others than those of {old.data.source} were: pass the same --data, or another --out"
        raise UsageError(msg)
    before, after = _compared(old), _compared(new)
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        said = ", ".join(f"{name.replace('_', '-')} was {before[name]} and is {after[name]}" for name in changed)
        msg = f"a run goes on as it began, and {said}: leave that as it was, or train anew with another --out"
        raise UsageError(msg)


def _compared(card: RunCard) -> Mapping[str, object]:
    own = card.model_dump(mode="json")
    settings = {name: value for name, value in own["settings"].items() if name not in _FREE}
    return settings | {name: own[name] for name in ("targets", "mole", "adamole", "experts", "steps", "processes")}


def last_checkpoint(out: Path) -> Path:
    """The last whole checkpoint of a run: what says how far it is, is written last.

    Raises:
        UsageError: There is none.
    """
    numbers = checkpoints.whole(out)
    if not numbers:
        msg = f"the run in {out} has no checkpoint to go on from: train anew, with another --out"
        raise UsageError(msg)
    return numbers[max(numbers)]


def metrics_of(out: Path) -> Iterator[Mapping[str, Any]]:
    """The lines of a run's metrics, up to one that was cut off when the machine stopped.

    All are numbers, but a validation loss that is none is None.
    """
    path = out / METRICS
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                return


def was_evaluated(out: Path, step: int) -> bool:
    """Whether a run's metrics have an evaluation after a step."""
    return any(_VALIDATION in line and line["step"] == step for line in metrics_of(out))


def cut_metrics(out: Path, step: int, *, pending: bool) -> None:
    """Leave out what came after a step, since it comes again.

    Args:
        out: The run's folder.
        step: The last one whose lines are left.
        pending: Whether its evaluation comes again too.

    Raises:
        UsageError: The file cannot be written.
    """
    kept = [
        line
        for line in metrics_of(out)
        if line["step"] <= step and not (pending and line["step"] == step and _VALIDATION in line)
    ]
    try:
        write_whole(out / METRICS, "".join(f"{json.dumps(line)}\n" for line in kept))
    except OSError as error:
        msg = f"{out / METRICS} cannot be written ({error.strerror}): make room, and go on with --resume"
        raise UsageError(msg) from error


def forget_metrics(out: Path) -> None:
    """Remove the lines of a run that begins anew."""
    (out / METRICS).unlink(missing_ok=True)
