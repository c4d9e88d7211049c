"""Batches: which examples come together and in which order, and how they are padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from llm_testgen.tuning.training.rendering import Tokens

IGNORED = -100
# Batches that are sorted by length together, and stretches at least: the same examples must not always come together.
_MOST_BATCHES = 50
_STRETCHES = 4


class Examples(Dataset[Tokens]):
    """Examples by number."""

    def __init__(self, examples: Sequence[Tokens]) -> None:
        """Hold them."""
        self._examples = examples

    def __len__(self) -> int:
        """How many there are."""
        return len(self._examples)

    def __getitem__(self, number: int) -> Tokens:
        """One of them."""
        return self._examples[number]


class Order(Sampler[int]):
    """The order of a pass through the data: it depends on the seed and the pass alone, so that a run can go on.

    Grouped, a pass is cut into stretches of many batches, each sorted by length, and the batches come in random order.
    """

    def __init__(self, lengths: Sequence[int], batch: int, *, grouped: bool, seed: int) -> None:
        """Hold what decides it.

        Args:
            lengths: Of the examples, in tokens.
            batch: Examples that are computed together.
            grouped: Whether examples of like length come together.
            seed: Of the order.
        """
        self._lengths = lengths
        self._batch = batch
        self._grouped = grouped
        self._seed = seed
        self._epoch = 0

    def begin(self, epoch: int) -> None:
        """Say which pass comes next."""
        self._epoch = epoch

    def __len__(self) -> int:
        """How many examples there are."""
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        """Numbers of the examples."""
        generator = torch.Generator().manual_seed((self._seed << 16) + self._epoch)
        shuffled: list[int] = torch.randperm(len(self._lengths), generator=generator).tolist()
        if not self._grouped or self._batch == 1:
            return iter(shuffled)
        stretch = self._batch * max(1, min(_MOST_BATCHES, len(shuffled) // (self._batch * _STRETCHES)))
        batches: list[list[int]] = []
        for start in range(0, len(shuffled), stretch):
            ordered = sorted(shuffled[start : start + stretch], key=lambda one: self._lengths[one])
            batches += [ordered[at : at + self._batch] for at in range(0, len(ordered), self._batch)]
        # The one that is not full must be the last: a loader cuts the order into batches by their size alone.
        rest = [one for one in batches if len(one) < self._batch]
        full = [one for one in batches if len(one) == self._batch]
        places: list[int] = torch.randperm(len(full), generator=generator).tolist()
        return iter([number for one in (*(full[place] for place in places), *rest) for number in one])


def collate(examples: Sequence[Tokens], padding: int) -> dict[str, Tensor]:
    """Examples as one batch, padded on the left: the answers then end together, and the head computes them alone.

    Args:
        examples: Those of the batch.
        padding: A token that is there, but not looked at.

    Returns:
        Tokens, which of them are no padding, their places in the example, and labels, each (examples, tokens).
    """
    length = max(len(one.ids) for one in examples)
    ids = torch.full((len(examples), length), padding)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for row, one in enumerate(examples):
        there = torch.tensor(one.ids)
        ids[row, length - len(one.ids) :] = there
        mask[row, length - len(one.ids) :] = 1
        labels[row, length - one.answer :] = there[one.prompt :]
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "position_ids": (mask.cumsum(dim=1) - 1).clamp_min(0),
        "labels": labels,
    }
