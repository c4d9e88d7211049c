"""What the gates decided in the forward pass under way, and in the last one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from llm_testgen.errors import UsageError
from llm_testgen.tuning.mixtures.gates import Routing

_MASK = "attention_mask"
_MASK_DIMENSIONS = 2  # sequences and tokens; others are masks between pairs of tokens


class ForwardRecord:
    """Holds, for each gate, what it decided; all layers of a model share one record.

    Gradient checkpointing computes layers again in the backward pass. What they then decide is shared among the layers
    of a gate, but does not replace what the forward pass left for the balance loss. With checkpoints a gate of the
    whole model needs its backward pass to come before the next forward pass.

    Attributes:
        routings: By gate, of the last forward pass.
        mask: Which tokens of the last forward pass are no padding: (sequences, tokens); None where all are.
        graded: Whether the last forward pass was made to be differentiated.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.routings: dict[str, Routing] = {}
        self.mask: Tensor | None = None
        self.graded = False
        self._shared: dict[str, Routing] = {}
        self._open = False
        self._parameters: tuple[str, ...] = ()

    def watch(self, model: nn.Module) -> None:
        """Follow the forward passes of a model; ``attention_mask`` is taken from their arguments."""
        self._parameters = tuple(inspect.signature(model.forward).parameters)
        # Methods, not closures: a copy of the model then has a copy of the record.
        model.register_forward_pre_hook(self._begin, with_kwargs=True)
        model.register_forward_hook(self._end, always_call=True)

    def put(self, gate: str, routing: Routing) -> None:
        """Note what a gate decided."""
        self._shared[gate] = routing
        if self._open:
            self.routings[gate] = routing

    def weights(self, gate: str, tokens: torch.Size) -> Tensor:
        """What a gate decided in this pass.

        Raises:
            UsageError: It has not yet, or for other tokens: the layers do not see the same ones in the expected order.
        """
        routing = self._shared.get(gate)
        if routing is None or routing.weights.shape[:-1] != tokens:
            msg = f"the layers of {gate or 'this model'} do not all see the same tokens: give each layer its own gate"
            raise UsageError(msg)
        return routing.weights

    def mask_of(self, routing: Routing) -> Tensor:
        """Which tokens of a routing are no padding: (…, 1), of its type."""
        tokens = routing.gates[..., :1]
        mask = self.mask
        if mask is not None and tokens.dim() == 1 + _MASK_DIMENSIONS:
            # With a cache the mask covers what came before too.
            mask = mask[:, -tokens.shape[1] :]
        if mask is None or mask.numel() != tokens.numel():
            return torch.ones_like(tokens)
        return mask.reshape(tokens.shape).to(tokens)

    def _begin(self, _: nn.Module, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        mask = dict(zip(self._parameters, args, strict=False)).get(_MASK, kwargs.get(_MASK))
        self.mask = mask if isinstance(mask, Tensor) and mask.dim() == _MASK_DIMENSIONS else None
        self.graded = torch.is_grad_enabled()
        self.routings = {}
        self._shared = {}
        self._open = True

    def _end(self, *_: object) -> None:
        self._open = False
