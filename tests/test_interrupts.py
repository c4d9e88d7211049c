from __future__ import annotations

import asyncio
import os
import signal

import pytest

from llm_testgen.interrupts import run_interruptibly


def test_what_the_work_returns_is_returned():
    async def work():
        return 3

    assert run_interruptibly(work()) == 3


def test_a_signal_to_end_lets_the_work_clean_up_first():
    ended = []

    async def work():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(30)
        finally:
            ended.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        run_interruptibly(work())
    assert ended == ["cleaned up"]


def test_an_error_of_the_work_is_raised():
    async def work():
        raise LookupError

    with pytest.raises(LookupError):
        run_interruptibly(work())
