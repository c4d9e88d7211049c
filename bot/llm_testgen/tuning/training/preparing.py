"""A run that was asked for, checked as far as it can be before the model's weights are loaded."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llm_testgen.errors import UsageError
from llm_testgen.tuning.memory import Memory
from llm_testgen.tuning.mixtures.config import AdaMoLEConfig, MoLEConfig
from llm_testgen.tuning.mixtures.experts import Adapter, check_bases, read_experts
from llm_testgen.tuning.training import devices, models, rendering, runs, sizes
from llm_testgen.tuning.training.records import Records, read_records
from llm_testgen.tuning.training.rendering import Tokens
from llm_testgen.tuning.training.runs import DataCard, Kind, RunCard
from llm_testgen.tuning.training.settings import Attention, Settings, changed, settings_of
from llm_testgen.tuning.training.watching import DONE, NO_BETTER, OUT_OF_TIME, Plan

DEFAULT = "cpu"
_DIGITS = 16
_BYTES_KEPT = 4 * (3 * 3 + 4)  # three checkpoints of weights and two moments, three best weights, and what is saved
_BYTES_SAVED = 4  # of what is not trained


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for.

    Attributes:
        model: A name on the hub, a folder, or a GGUF file.
        data: A folder of ``llm-testgen tune data``, or a file.
        out: The run's folder.
        preset: Of the settings; None for the run's own, or `DEFAULT`.
        changes: Of single settings, None for one that is not changed.
        resume: Whether the run in the folder goes on.
        mixture: Of a mixture; None for a single adapter.
        experts: Folders of a MoLE's experts.
        any_base: Whether the experts may say that they were trained for a model of another name.
    """

    model: str
    data: Path
    out: Path
    preset: str | None
    changes: Mapping[str, object]
    resume: bool = False
    mixture: MoLEConfig | AdaMoLEConfig | None = None
    experts: tuple[Path, ...] = ()
    any_base: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that can begin, or go on.

    Attributes:
        card: What it is.
        base: The model.
        train: Examples to learn from.
        validation: Examples to evaluate.
        plan: What it is to do.
        mixture: Of a mixture; None for a single adapter.
        experts: Folders of a MoLE's experts.
        checkpoint: Where it goes on; None at the beginning.
        memory: How much it takes.
    """

    card: RunCard
    base: models.Base
    train: tuple[Tokens, ...]
    validation: tuple[Tokens, ...]
    plan: Plan
    mixture: MoLEConfig | AdaMoLEConfig | None
    experts: tuple[Path, ...]
    checkpoint: Path | None
    memory: Memory


def prepare(request: Request) -> Prepared:
    """Check all that can be checked before a model is loaded; nothing is written.

    Raises:
        UsageError: Something about the request; the message says what to do.
    """
    old = runs.read_card(request.out) if request.resume else None
    if old is None:
        runs.require_new(request.out)
    checkpoint = _checkpoint(request.out, old) if old else None
    settings = _settings(request, old)
    records = read_records(request.data)
    base = models.find_base(request.model)
    experts = _experts(request, base)
    train, validation, others = _examples(base, records, settings)
    targets, layers = _targets(base, settings, experts)
    mixture = _mixture(request.mixture, settings, targets)
    precision = old.precision if old else models.precision_of(settings.precision)
    added = _added(layers, settings, models.bits_of(settings, precision), mixture, experts)
    training = models.training_of(settings, precision, added)
    attention = old.attention if old else models.attention_of(base, training)
    memory = models.require_room(base, replace(training, scores=attention is Attention.EAGER))
    _require_disk(request.out, _BYTES_KEPT * added.trained + _BYTES_SAVED * added.frozen)
    batches = math.ceil(len(train) / (settings.batch * devices.processes()))
    epoch_steps = math.ceil(batches / settings.accumulation)
    steps = settings.steps or math.ceil(settings.epochs * epoch_steps)
    card = RunCard(
        kind=_kind(mixture),
        model=base.name,
        model_digest=_digest(base),
        settings=settings,
        precision=precision,
        attention=attention,
        targets=targets,
        mole=mixture if isinstance(mixture, MoLEConfig) else None,
        adamole=mixture if isinstance(mixture, AdaMoLEConfig) else None,
        experts=tuple(str(folder.absolute()) for folder in request.experts),
        data=_data_card(request.data, records, train, validation, others),
        trained=added.trained,
        steps=steps,
        processes=devices.processes(),
        libraries=runs.library_versions(),
    )
    if old:
        runs.require_same(old, card)
        _require_time(old, settings)
    plan = Plan(settings, steps, epoch_steps, request.out, bool(validation))
    return Prepared(card, base, train, validation, plan, mixture, request.experts, checkpoint, memory)


def _settings(request: Request, old: RunCard | None) -> Settings:
    if old is None or request.preset is not None:
        return settings_of(request.preset or DEFAULT, request.changes)
    return changed(old.settings, request.changes)


def _checkpoint(out: Path, old: RunCard) -> Path:
    """Where a run goes on.

    Raises:
        UsageError: It has ended, or never came to a checkpoint.
    """
    if old.outcome is not None and old.outcome.reason in {DONE, NO_BETTER}:
        msg = f"the run in {out} has ended, since {old.outcome.reason}: train anew with another --out"
        raise UsageError(msg)
    return runs.last_checkpoint(out)


def _require_time(old: RunCard, settings: Settings) -> None:
    """See that a run that ended since time was up gets more of it.

    Raises:
        UsageError: It does not.
    """
    spent = old.outcome is not None and old.outcome.reason == OUT_OF_TIME
    if spent and 0 < settings.minutes <= old.settings.minutes:
        msg = f"the run has used up its {old.settings.minutes:g} minutes: pass --minutes with more, or 0 for no bound"
        raise UsageError(msg)


def _examples(
    base: models.Base, records: Records, settings: Settings
) -> tuple[tuple[Tokens, ...], tuple[Tokens, ...], Mapping[str, int]]:
    """Examples to learn from and to evaluate, and what became of others."""
    all_of_them = [rendering.tokenise(base.tokenizer, one) for one in records.train]
    train, others = rendering.fit(all_of_them, settings.length, settings.too_long)
    rendering.require_some(train, all_of_them, settings.length)
    held = (rendering.tokenise(base.tokenizer, one) for one in records.validation)
    validation, _ = rendering.fit(held, settings.length, settings.too_long)
    return train, validation[: settings.validation], others


def _mixture(
    asked: MoLEConfig | AdaMoLEConfig | None, settings: Settings, targets: tuple[str, ...]
) -> MoLEConfig | AdaMoLEConfig | None:
    """The settings of a mixture, whose fresh experts are as the settings have LoRA."""
    if not isinstance(asked, AdaMoLEConfig):
        return asked
    return replace(asked, rank=settings.rank, alpha=settings.alpha, dropout=settings.dropout, target_modules=targets)


def _experts(request: Request, base: models.Base) -> list[Adapter]:
    """The experts of a MoLE; none of anything else.

    Raises:
        UsageError: They do not belong together, or were trained for another model.
    """
    if not isinstance(request.mixture, MoLEConfig):
        return []
    found = read_experts(request.experts)
    if not request.any_base:
        check_bases(found, base.name)
    return found


def _targets(base: models.Base, settings: Settings, experts: Sequence[Adapter]) -> tuple[tuple[str, ...], sizes.Layers]:
    """Last names of the layers that get LoRA, and these layers; a MoLE's are those of its experts."""
    if not experts:
        targets = models.targets_of(base, settings)
        return targets, models.adapted_layers(base, targets)
    own = experts[0].sizes
    # In the order of the model: a gate of several layers is the first one's.
    layers = {layer: own[layer] for layer in base.layers if layer in own}
    return tuple(sorted({layer.rpartition(".")[2] for layer in own})), layers


def _added(
    layers: sizes.Layers,
    settings: Settings,
    bits: int,
    mixture: MoLEConfig | AdaMoLEConfig | None,
    experts: Sequence[Adapter],
) -> sizes.Added:
    """What is put into a model's layers."""
    if isinstance(mixture, MoLEConfig):
        return sizes.of_mole(layers, experts, mixture, bits)
    if isinstance(mixture, AdaMoLEConfig):
        return sizes.of_adamole(layers, mixture, bits)
    return sizes.of_lora(layers, settings.rank, bits, dropout=settings.dropout > 0)


def _data_card(
    source: Path,
    records: Records,
    train: tuple[Tokens, ...],
    validation: tuple[Tokens, ...],
    others: Mapping[str, int],
) -> DataCard:
    return DataCard(
        source=str(source),
        digest=records.digest,
        train=len(train),
        validation=len(validation),
        tokens=sum(len(one.ids) for one in train),
        others=dict(others),
    )


def _kind(mixture: MoLEConfig | AdaMoLEConfig | None) -> Kind:
    if mixture is None:
        return "lora"
    return "mole" if isinstance(mixture, MoLEConfig) else "adamole"


def _digest(base: models.Base) -> str:
    """Of what tells one model from another: its name, for folders may move, its kind and its sizes."""
    config = base.config
    tokens = getattr(config.get_text_config(decoder=True), "vocab_size", None)
    said = [Path(base.name).name.lower(), config.model_type, tokens, sorted(base.layers.items())]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:_DIGITS]


def _require_disk(out: Path, size: int) -> None:
    """See that checkpoints fit.

    Raises:
        UsageError: They do not.
    """
    place = out.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if size > free:
        msg = (
            f"checkpoints take up to {size / 1e9:,.2f} GB and there are {free / 1e9:,.2f} GB free: make room, pass "
            "--out on another disk, or a lower --rank"
        )
        raise UsageError(msg)
