"""Where a model is served, and how patiently it is asked."""

from __future__ import annotations

import asyncio
import email.utils
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from llm_testgen.errors import UsageError


@dataclass(frozen=True, slots=True)
class Service:
    """Where a model is served.

    Attributes:
        model: The model's id; empty to let the endpoint use the one that it has.
        endpoint: URL of a server, with or without ``/v1`` or ``/v1/chat/completions``; empty for Inference Providers.
        key: What authorises; empty for none. A key for Inference Providers is never meant for an endpoint.
    """

    model: str = ""
    endpoint: str = field(default="", repr=False)
    key: str = field(default="", repr=False)

    @property
    def key_variable(self) -> str:
        """The environment variable that a person sets to give the key."""
        return "LLM_API_KEY" if self.endpoint else "HF_TOKEN"

    @property
    def address(self) -> str:
        """What messages call it: no user, password or query of the URL, which may be secret."""
        if not self.endpoint:
            return "Hugging Face Inference Providers"
        parts = urlsplit(self.endpoint)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def check(self) -> None:
        """See that a request can be made.

        Raises:
            UsageError: The endpoint is no http(s) URL, or the key cannot be one for that service.
        """
        if self.endpoint and not _is_url(self.endpoint):
            message = f"{self.endpoint!r} is no URL of a model server: give one such as http://127.0.0.1:8000/v1"
            raise UsageError(message)
        if not re.fullmatch(r"[!-~]*", self.key):
            message = f"{self.key_variable} holds spaces or characters that no key has: set it to the key alone"
            raise UsageError(message)
        if not self.endpoint and not self.key.startswith("hf_"):
            message = f"{self.key_variable} holds no Hugging Face token, which begins with hf_: set it to one"
            raise UsageError(message)

    def presentable(self, message: str) -> str:
        """A message as one line of bearable length, without secrets."""
        line = " ".join(message.split())
        for secret in filter(None, (self.key, urlsplit(self.endpoint).password)):
            line = line.replace(secret, "***")
        return line if len(line) <= 400 else f"{line[:399]}…"  # noqa: PLR2004  # a line that a terminal still shows well


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on with a server that does not answer as it should.

    Attributes:
        attempts: Requests for one reply, the first included.
        timeout: Seconds for one request.
        total: Seconds from the first request after which no other is made.
        first_delay: Seconds before the second request; doubled for each later one, up to ``longest_delay``.
        longest_delay: Seconds.
        sleep: Waits.
        clock: Seconds from some fixed point.
    """

    attempts: int = 6
    timeout: float = 300.0
    total: float = 600.0
    first_delay: float = 1.0
    longest_delay: float = 60.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic

    def delay(self, attempt: int) -> float:
        """Seconds to wait after a number of attempts, with jitter so that clients do not come back together."""
        longest = min(self.longest_delay, self.first_delay * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, protects nothing


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False


def retry_after(value: str | None) -> float | None:
    """Seconds of a ``Retry-After`` header, which holds a number of them or a date."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
