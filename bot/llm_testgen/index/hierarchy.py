"""The method resolution order of classes, by C3 as Python has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def linearize(cls: T, bases: Sequence[T], orders: Sequence[Sequence[T]]) -> tuple[T, ...]:
    """The order in which attributes of a class are looked up.

    Args:
        cls: The class.
        bases: Its direct bases that are known, in order.
        orders: The resolution order of each of these bases.

    Returns:
        The class itself first. Where C3 finds no order (unknown bases may be the reason), depth first without
        repetitions.
    """
    pending = [list(order) for order in (*orders, bases) if order]
    result = [cls]
    while pending:
        head = next((order[0] for order in pending if _may_come_next(order[0], pending)), None)
        if head is None:
            return tuple(dict.fromkeys([cls, *(ancestor for order in orders for ancestor in order)]))
        result.append(head)
        shortened = ([ancestor for ancestor in order if ancestor != head] for order in pending)
        pending = [order for order in shortened if order]
    return tuple(result)


def _may_come_next(candidate: T, pending: Sequence[Sequence[T]]) -> bool:
    return all(candidate not in order[1:] for order in pending)
