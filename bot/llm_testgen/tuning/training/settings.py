"""How a model is trained, with presets; checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from llm_testgen.bounds import Bounded
from llm_testgen.errors import UsageError

ALL_LINEAR = "all-linear"
ATTENTION = "attention"

_Size = Annotated[int, Field(ge=1, le=1_000_000)]


class TooLong(StrEnum):
    """What becomes of an example that has too many tokens."""

    CUT = "cut"
    """Its end is cut off."""

    LEAVE_OUT = "leave-out"
    """It is not trained on."""


class Precision(StrEnum):
    """The type of the weights that are not trained; what is trained is in float32."""

    AUTO = "auto"
    """On a GPU bfloat16 or, if it has none, float16; else float32 or bfloat16, which the processor is faster with."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    """On a GPU, with its loss scaled; without one float32."""


class Attention(StrEnum):
    """How a model computes its attention."""

    EAGER = "eager"
    """Matrix by matrix, keeping the scores: a processor takes far less time for its gradients so."""

    PREFERRED = "preferred"
    """As transformers prefers: mostly PyTorch's own, which keeps no scores."""


class Settings(Bounded):
    """How a model is trained.

    Attributes:
        rank: Of LoRA's matrices.
        alpha: What LoRA adds is scaled by alpha / rank.
        dropout: Share of LoRA's input that is dropped.
        targets: Last names of the layers to adapt; ``attention`` for its projections, ``all-linear`` for all but the
            head.
        learning_rate: The highest one.
        warmup: Share of the training in which the rate rises; then it falls as a cosine does.
        batch: Examples that a device computes together.
        accumulation: Batches whose gradients are added up for one step.
        gradient_norm: What gradients are clipped to.
        steps: How many at most; 0 for as many as the epochs have.
        epochs: Passes through the data at most, if `steps` is 0.
        length: Tokens of an example.
        too_long: What becomes of longer ones.
        grouped: Whether examples of like length come together.
        precision: Of the weights that are not trained.
        load_bits: 8 or 4 to load them so, on a GPU; 16 for `precision`.
        checkpointing: Whether activations are computed anew for the gradients, which takes less memory and more time.
        evaluate_every: Steps between evaluations.
        validation: Examples that are evaluated, at most.
        patience: Evaluations without a better loss after which training stops; 0 for never.
        minutes: How long training may take, over all runs that go on with it; 0 for no bound. The learning rate
            follows the clock then, so that it has fallen when time is up.
        seed: Of all that is random.
    """

    rank: Annotated[int, Field(ge=1, le=4096)]
    alpha: Annotated[float, Field(gt=0, le=1_000_000)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    targets: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)] | Literal["attention", "all-linear"]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    warmup: Annotated[float, Field(ge=0, lt=1)]
    batch: _Size
    accumulation: _Size
    gradient_norm: Annotated[float, Field(gt=0, le=1_000_000)]
    steps: Annotated[int, Field(ge=0, le=1_000_000)]
    epochs: Annotated[float, Field(gt=0, le=10_000)] = 3.0
    length: Annotated[int, Field(ge=8, le=1_000_000)]
    too_long: TooLong
    grouped: bool = True
    precision: Precision
    load_bits: Literal[16, 8, 4] = 16
    checkpointing: bool = False
    evaluate_every: _Size
    validation: _Size
    patience: Annotated[int, Field(ge=0, le=1_000_000)]
    minutes: Annotated[float, Field(ge=0, le=1_000_000)]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


PRESETS: Mapping[str, Settings] = MappingProxyType(
    {
        # What the tests of small models were tuned with in the work that this began with, on one GPU.
        "thesis": Settings(
            rank=64,
            alpha=32,
            dropout=0.05,
            targets=ATTENTION,
            learning_rate=5e-5,
            warmup=0.005,
            batch=16,
            accumulation=8,
            gradient_norm=0.5,
            steps=100,
            length=512,
            too_long=TooLong.CUT,
            precision=Precision.FLOAT16,
            evaluate_every=10,
            validation=200,
            patience=0,
            minutes=0,
        ),
        # One example at a time wastes nothing on padding, and fills a processor; dropout would take a quarter of the
        # time, and an hour has few passes through the data.
        "cpu": Settings(
            rank=16,
            alpha=32,
            dropout=0.0,
            targets=ALL_LINEAR,
            learning_rate=2e-4,
            warmup=0.03,
            batch=1,
            accumulation=8,
            gradient_norm=1.0,
            steps=0,
            length=1024,
            too_long=TooLong.LEAVE_OUT,
            precision=Precision.AUTO,
            evaluate_every=20,
            validation=32,
            patience=3,
            minutes=60,
        ),
    }
)


def settings_of(preset: str, changes: Mapping[str, object]) -> Settings:
    """The settings of a preset with changes.

    Args:
        preset: One of `PRESETS`.
        changes: By field; None for one that is not changed.

    Raises:
        UsageError: There is no such preset, or a value is out of its range.
    """
    if preset not in PRESETS:
        msg = f"there is no preset {preset}: the presets are {', '.join(PRESETS)}"
        raise UsageError(msg)
    return changed(PRESETS[preset], changes)


def changed(settings: Settings, changes: Mapping[str, object]) -> Settings:
    """Settings with changes; see `settings_of`."""
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        return Settings.model_validate(settings.model_dump() | given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        said = first["msg"]
        msg = f"--{str(first['loc'][0]).replace('_', '-')}: {said[:1].lower()}{said[1:]}"
        raise UsageError(msg) from error
