"""One guest: a process of the project's interpreter in its sandbox, asked over a socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

_PATIENCE_SECONDS = 1.0
_MOST_ANSWER = 32 << 20
_LAST_OUTPUT = 4096
_GRACE_SECONDS = 5.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ERROR = re.compile(r"\w*(Error|Exception)\b|\berror:")


class Guest:
    """A started guest; `end` leaves nothing of it behind."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        output: Path,
    ) -> None:
        """Take over a started process; `start` is the way to one."""
        self._process = process
        self._reader = reader
        self._writer = writer
        self._output = output
        self._answered = False

    @classmethod
    async def start(cls, command: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path) -> Self:
        """Start a guest.

        Args:
            command: See `launcher.launch_command`.
            folder: The working folder.
            environment: All that it gets to see of the environment.
            output: A file for what it prints.
        """
        ours, its = socket.socketpair()
        with its, output.open("wb") as stream:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=its.fileno(),
                stdout=stream,
                stderr=stream,
                cwd=folder,
                env=environment,
                start_new_session=True,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_MOST_ANSWER)
        return cls(process, reader, writer, output)

    async def ask(self, request: Mapping[str, object], seconds: float) -> bytes | None:
        """Its answer to a request; None when it ended, or said more than is sensible, instead of answering.

        Raises:
            TimeoutError: It did not answer in time.
        """
        async with asyncio.timeout(seconds):
            try:
                self._writer.write(json.dumps(request).encode() + b"\n")
                await self._writer.drain()
                answer = await self._reader.readline()
            except (OSError, ValueError):
                return None
        self._answered = bool(answer)
        return answer or None

    async def receive(self, seconds: float) -> bytes | None:
        """What it says next without being asked; None as for `ask`.

        Raises:
            TimeoutError: It says nothing in time.
        """
        async with asyncio.timeout(seconds):
            try:
                return await self._reader.readline() or None
            except (OSError, ValueError):
                return None

    def interrupt(self) -> None:
        """Ask it to end, so that it still reports what it has seen."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    async def end(self) -> None:
        """End it and all of its group; in namespaces of its own nothing at all survives."""
        self._writer.close()
        if self._answered:
            # It ends by itself, and what it took is then known to whoever waits for it.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            # Where there are no namespaces, the launcher ends what has left the group.
            self._process.send_signal(signal.SIGHUP)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _GRACE_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    def take_output(self) -> str:
        """The last line of what it printed that names an error, else the last line; the rest is deleted."""
        with self._output.open("rb") as file:
            file.seek(max(0, self._output.stat().st_size - _LAST_OUTPUT))
            text = file.read().decode("utf-8", "replace")
        self._output.unlink()
        return last_line(text)


def last_line(text: str) -> str:
    """The last line of a text that names an error, else its last line, without colours; empty when there is none."""
    lines = [line.strip() for line in _COLOUR.sub("", text).split("\n") if line.strip()]
    errors = [line for line in lines if _ERROR.search(line)]
    return next(reversed(errors or lines), "")
