"""The losses that keep a gate from always choosing the same experts, and what the gates chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_testgen.tuning.mixtures.gates import Routing


@dataclass(frozen=True, slots=True)
class Usage:
    """How experts were used in one forward pass, without padding.

    Attributes:
        tokens: How many were weighed; each counts once for each gate.
        experts_per_token: Experts that a token uses, on average.
        weights: Mean weight of each expert.
    """

    tokens: int
    experts_per_token: float
    weights: tuple[float, ...]


def mole_balance_loss(gates: Sequence[Tensor]) -> Tensor:
    """MoLE's balance loss: -log Π_i q_i, with q_i = (1/M) Σ_k G_k(ε_i) over the M gates.

    Wu, Huang and Wei, *Mixture of LoRA Experts* (arXiv 2404.13628), section 3.3. G_k is here the mean over the tokens
    that the gate weighed. It is N log N where all weigh the same, and more elsewhere.

    Args:
        gates: G_k of each gate: (experts,).
    """
    means = torch.stack(list(gates)).mean(dim=0)
    return -means.clamp_min(torch.finfo(means.dtype).tiny).log().sum()


def switch_balance_loss(gates: Sequence[Tensor], selected: Sequence[Tensor]) -> Tensor:
    """The load balancing loss N Σ_i f_i P_i, as a mean over the gates.

    Fedus, Zoph and Shazeer, *Switch Transformers* (arXiv 2101.03961), equation 4, which AdaMoLE takes over; f_i is the
    share of tokens that use expert i and P_i the mean of its gate value. Where a token uses k experts on average it is
    k when they are used evenly. Only P_i has a gradient.

    Args:
        gates: P of each gate: (experts,).
        selected: f of each gate: (experts,).
    """
    losses = [share.numel() * (share * mean).sum() for mean, share in zip(gates, selected, strict=True)]
    return torch.stack(losses).mean()


def mean_over(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over tokens that are no padding: (experts,) of values (…, experts) and a mask (…, 1)."""
    mask = mask.to(values)
    kept = torch.where(mask > 0, values, 0.0).flatten(0, -2).sum(dim=0)
    return kept / mask.sum().clamp_min(1)


def usage_of(routing: Routing, mask: Tensor) -> Usage:
    """How one gate's experts were used."""
    weights = mean_over(routing.weights.detach(), mask)
    chosen = mean_over(routing.selected.to(routing.gates.dtype), mask).sum()
    return Usage(int(mask.sum().item()), float(chosen), tuple(weights.tolist()))


def total_usage(usages: Mapping[str, Usage]) -> Usage:
    """How the experts of several gates were used together; a gate that weighed more tokens counts more."""
    tokens = sum(usage.tokens for usage in usages.values())
    parts = [(usage, usage.tokens / max(1, tokens)) for usage in usages.values()]
    columns = zip(*([weight * part for weight in usage.weights] for usage, part in parts), strict=True)
    return Usage(
        tokens, sum(usage.experts_per_token * part for usage, part in parts), tuple(sum(column) for column in columns)
    )
