"""Work that leaves nothing behind when it is interrupted."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def run_interruptibly(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run to the end, or until SIGINT or SIGTERM; either way what was started is ended and what was made is removed.

    Raises:
        KeyboardInterrupt: It was interrupted.
    """

    async def attended() -> _Result:
        task = asyncio.ensure_future(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    try:
        return asyncio.run(attended())
    except asyncio.CancelledError as error:
        raise KeyboardInterrupt from error
