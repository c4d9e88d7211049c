"""The settings of a mixture, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from llm_testgen.errors import UsageError

MOST_EXPERTS = 256
_MOST_RANK = 4096
_MOST_ALPHA = 1_000_000
_MOST = 1000  # of a temperature and of a loss's weight
ALL_LINEAR = "all-linear"


class MoLEGate(StrEnum):
    """What the gate of a MoLE looks at."""

    OUTPUTS = "outputs"
    """The experts' outputs, as in the paper; the weights of a token sum to one."""

    INPUT = "input"
    """The layer's input, by sigmoid(W x + b): each expert is weighed for itself."""


class GateScope(StrEnum):
    """Which layers share a gate."""

    LAYER = "layer"
    BLOCK = "block"
    MODEL = "model"


class Selection(StrEnum):
    """How an AdaMoLE chooses a token's experts."""

    ADAPTIVE = "adaptive"
    """Those above a threshold learned for each token, weighed by how far they are above it, as in the paper."""

    FIXED = "fixed"
    """Those above one threshold, weighed by their gate values."""

    TOP_K = "top-k"
    """A fixed number of them, weighed by their gate values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoLEConfig:
    """Settings of a mixture of trained, frozen experts.

    Attributes:
        gate: What the gates look at.
        scope: Which layers share a gate. A shared one decides in the first of its layers, and the others follow.
        temperature: The softmax's at the start of training; `MoLEGate.INPUT` has none.
        dropout: Share of the experts' input that is dropped in training, instead of what they were trained with.
        balance: Weight of the balance loss, the paper's alpha.
    """

    gate: MoLEGate = MoLEGate.OUTPUTS
    scope: GateScope = GateScope.LAYER
    temperature: float = 1.0
    dropout: float = 0.0
    balance: float = 0.01

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            UsageError: One is out of its range.
        """
        _check(
            "the temperature", 1 / _MOST <= self.temperature <= _MOST, f"from {1 / _MOST} to {_MOST}", self.temperature
        )
        _check_common(self.dropout, self.balance)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaMoLEConfig:
    """Settings of a mixture whose experts and gates are trained together.

    Attributes:
        experts: How many there are in each layer.
        rank: Of each expert.
        alpha: An expert's output is scaled by alpha / rank.
        dropout: Share of the experts' input that is dropped in training.
        target_modules: Last names of the layers to adapt; ``all-linear`` for every linear layer but the head; None for
            those that peft has for the model's architecture.
        selection: How a token's experts are chosen.
        threshold: The highest that a learned threshold can be, or the fixed one; None for 1 / experts, with which every
            token has an expert. A higher one leaves tokens without: only a learned one may be higher.
        top_k: Experts of a token, for `Selection.TOP_K`.
        balance: Weight of the load balancing loss.
    """

    experts: int = 4
    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    target_modules: tuple[str, ...] | Literal["all-linear"] | None = None
    selection: Selection = Selection.ADAPTIVE
    threshold: float | None = None
    top_k: int = 2
    balance: float = 0.01

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            UsageError: One is out of its range.
        """
        _check("the number of experts", 1 <= self.experts <= MOST_EXPERTS, f"from 1 to {MOST_EXPERTS}", self.experts)
        _check("the rank", 1 <= self.rank <= _MOST_RANK, f"from 1 to {_MOST_RANK}", self.rank)
        _check("alpha", 0 < self.alpha <= _MOST_ALPHA, f"above 0 and at most {_MOST_ALPHA}", self.alpha)
        if self.target_modules is not None and not all(self.target_modules):
            msg = "an empty name is no target module: name layers such as q_proj, or leave the target modules out"
            raise UsageError(msg)
        if self.target_modules == ():
            msg = "no target modules: name layers such as q_proj, or leave them out for those of the architecture"
            raise UsageError(msg)
        if self.selection is Selection.TOP_K:
            _check("top_k", 1 <= self.top_k <= self.experts, f"from 1 to the {self.experts} experts", self.top_k)
        elif self.threshold is not None:
            self._check_threshold(self.threshold)
        _check_common(self.dropout, self.balance)

    @property
    def highest_threshold(self) -> float:
        """The threshold's bound, or the fixed threshold."""
        return 1 / self.experts if self.threshold is None else self.threshold

    def _check_threshold(self, threshold: float) -> None:
        if self.selection is Selection.FIXED:
            share = 1 / self.experts
            _check("a fixed threshold", 0 <= threshold <= share, f"from 0 to 1/{self.experts} = {share:.4g}", threshold)
        else:
            _check("the highest threshold", 0 < threshold <= 1, "above 0 and at most 1", threshold)


def _check_common(dropout: float, balance: float) -> None:
    _check("the dropout", 0 <= dropout < 1, "from 0 to below 1", dropout)
    _check("the weight of the balance loss", 0 <= balance <= _MOST, f"from 0 to {_MOST}", balance)


def _check(what: str, holds: bool, bounds: str, value: float) -> None:  # noqa: FBT001 - a condition, not a switch
    if not holds:
        msg = f"{what} is {value:g}: make it a number {bounds}"
        raise UsageError(msg)
