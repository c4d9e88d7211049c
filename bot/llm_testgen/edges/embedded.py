"""A model inside the job: a child process that serves a model file, and the client that asks it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from llm_testgen.edges.models import HubModel, Patience, Sampling, Service
from llm_testgen.errors import ModelError, UsageError
from llm_testgen.records import Prompt, Reply

_SCRIPT = Path(__file__).with_name("llama_server.py")
_ENGINE = "xllamacpp"
_TUNED_SERVER = "llm_testgen.tuning.serving.server"
_TUNED_ENGINE = ("torch", "transformers", "peft")
_TAIL = 16_384
_MOST_WORDS = 200
# As llama.cpp writes one: the time, the level, and who says it.
_ERROR = re.compile(r"^[\d.]+ E [^:\n]+: (.+)$", re.MULTILINE)
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)
_GRACE = 5.0  # seconds that the server has to end by itself

THREADS = "LLM_TESTGEN_THREADS"
_MOST_THREADS = 1024


@dataclass(frozen=True, slots=True)
class Serving:
    """How a model file is served.

    Attributes:
        context_tokens: Room for a prompt and its reply together.
        threads: Threads that compute; None for one per physical core, as more of them only wait for each other.
        startup_timeout: Seconds for the file to be loaded.
        reply_timeout: Seconds for one reply; two slow cores need minutes for a long prompt.
    """

    context_tokens: int = 8192
    threads: int | None = None
    startup_timeout: float = 180.0
    reply_timeout: float = 900.0

    @classmethod
    def by(cls, environ: Mapping[str, str]) -> Serving:
        """As the environment says: ``LLM_TESTGEN_THREADS`` threads.

        Threads that have to wait for a core hold up the others, which spin meanwhile: of two threads on two cores of
        which something else keeps one busy comes a sixth of the tokens a second that one thread gives.

        Raises:
            UsageError: That is no number of threads.
        """
        said = environ.get(THREADS, "").strip()
        if not said:
            return cls()
        if not (said.isascii() and said.isdecimal() and 0 < int(said) <= _MOST_THREADS):
            msg = f"{THREADS} is {said!r}: make it a number of threads from 1 to {_MOST_THREADS}, or unset it"
            raise UsageError(msg)
        return cls(threads=int(said))


class EmbeddedModel:
    """A model that a child process serves; `start` makes one, and `close` ends the process."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes], model: HubModel) -> None:
        """Take over a running server; ``log`` is the file that it writes to."""
        self.name = model.name
        self.concurrency = 1
        self.shares_cores = True
        self._process = process
        self._log = log
        self._model = model

    @classmethod
    async def start(
        cls,
        weights: Path,
        *,
        name: str = "",
        env: Mapping[str, str] | None = None,
        serving: Serving | None = None,
        adapter: Path | None = None,
    ) -> EmbeddedModel:
        """Start the server and wait until it is ready.

        The thread that calls this must outlive the model: on Linux the server ends with it.

        Args:
            weights: A GGUF file, or for a mixture a folder of transformers.
            name: What reports call the model; the file's name by default.
            env: The server's environment variables; it needs none and no secret.
            serving: How it is served.
            adapter: What is put on the weights: the GGUF file of a LoRA adapter, or the folder of a mixture of them,
                which llama.cpp cannot compute, so that transformers serves it.

        Raises:
            ModelError: The engine is not installed, or the server does not start; the message holds its last words.
        """
        serving = serving or Serving()
        command = _command(weights, adapter, serving)
        key = secrets.token_urlsafe(24)
        log = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the model
        process = _spawn(command, dict(env or {}), log)
        try:
            async with asyncio.timeout(serving.startup_timeout):
                url = await asyncio.to_thread(_hand_over, process, key)
            service = Service(name or weights.stem, url, key)
            patience = Patience(attempts=2, timeout=serving.reply_timeout)
            return cls(process, log, HubModel(service, patience=patience, concurrency=1))
        except BaseException as error:
            _end(process)
            words = _cause(log)
            log.close()
            if isinstance(error, TimeoutError):
                words = f"not ready within {serving.startup_timeout:g} s"
            elif not isinstance(error, _NotReadyError):
                raise
            what = weights.name if adapter is None else f"{weights.name} with the adapter {adapter}"
            message = f"the embedded model {what} cannot be served: {words}"
            raise ModelError(message) from error

    @property
    def service(self) -> Service:
        """Where its server listens, for other clients of it."""
        return self._model.service

    def peak_memory(self) -> int | None:
        """The most that its server held in memory so far, in bytes; None where the system does not tell."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        except OSError:
            return None
        found = _PEAK.search(status)
        return int(found[1]) * 1024 if found else None

    async def reply(self, prompt: Prompt, sampling: Sampling) -> Reply | None:
        """Answer a prompt.

        Raises:
            ModelError: The server refuses the prompt, or has died; the message then holds its last words.
        """
        try:
            return await self._model.reply(prompt, sampling)
        except ModelError as error:
            code = self._process.poll()
            if code is None:
                raise
            ended = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
            message = f"the embedded model's server ended {ended}; its last words: {_last_words(self._log)}"
            raise ModelError(message) from error

    async def close(self) -> None:
        """End the server: asked first, killed after five seconds."""
        try:
            await self._model.close()
        finally:
            await asyncio.to_thread(_end, self._process)
            self._log.close()


class _NotReadyError(Exception):
    """The server ended before it was ready."""


def physical_cores() -> int:
    """Physical cores that this process may use, as far as the system tells; at least 1."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    siblings: set[str] = set()
    for cpu in usable:
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            siblings.add(topology.read_text(encoding="ascii").strip())
        except OSError:
            siblings.add(str(cpu))
    return len(siblings)


def _command(weights: Path, adapter: Path | None, serving: Serving) -> list[str]:
    """The server's command.

    Raises:
        ModelError: Its engine is not installed.
    """
    is_mixture = adapter is not None and adapter.is_dir()
    if is_mixture:
        if any(importlib.util.find_spec(name) is None for name in _TUNED_ENGINE):
            message = f"the mixture {adapter} is computed with transformers: pip install 'llm-testgen[tune]'"
            raise ModelError(message)
    elif importlib.util.find_spec(_ENGINE) is None:
        message = "the embedded model needs its engine: pip install 'llm-testgen[local]', or give --endpoint or --model"
        raise ModelError(message)
    # By path and with -P: neither this package nor the script's folder need or may be on llama.cpp's server's path.
    command = [sys.executable, "-P", *(["-m", _TUNED_SERVER] if is_mixture else [str(_SCRIPT)]), str(weights)]
    if adapter is not None:
        command += ["--adapter", str(adapter)]
    command += ["--context-tokens", str(serving.context_tokens)]
    return [*command, "--threads", str(serving.threads or physical_cores())]


def _spawn(command: list[str], env: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env, start_new_session=True
    )


def _hand_over(process: subprocess.Popen[bytes], key: str) -> str:
    """Give the server its key, and wait for its address.

    Raises:
        _NotReadyError: It ended.
    """
    assert process.stdin is not None  # noqa: S101  # for the type checker: both are pipes
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(f"{key}\n".encode())
        process.stdin.flush()
        return str(json.loads(process.stdout.readline())["url"])
    except (OSError, ValueError) as error:
        raise _NotReadyError from error


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and all that it started, and reap it; again is no harm."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    if process.poll() is None:
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _cause(log: IO[bytes]) -> str:
    """Why the server could not be made ready: llama.cpp's first error, from which others follow, or its last line."""
    found = _ERROR.search(_tail(log))
    return found[1].strip()[:_MOST_WORDS] if found else _last_words(log)


def _last_words(log: IO[bytes]) -> str:
    """The last line of the log that says something."""
    lines = [line.strip() for line in _tail(log).splitlines() if line.strip()]
    return lines[-1][:_MOST_WORDS] if lines else "it said nothing"


def _tail(log: IO[bytes]) -> str:
    # pread, as the server shares the file's position.
    tail = os.pread(log.fileno(), _TAIL, max(0, os.fstat(log.fileno()).st_size - _TAIL))
    return tail.decode("utf-8", "replace")
