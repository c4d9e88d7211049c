"""Ctrl-C and SIGTERM while a run goes on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM asks to stop, the second stops at once.

    Args:
        interrupt: Called at the first.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.getsignal(kind) for kind in kinds}

    def first(_: int, __: FrameType | None) -> None:
        for kind in kinds:
            signal.signal(kind, second)
        interrupt()

    def second(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    for kind in kinds:
        signal.signal(kind, first)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
