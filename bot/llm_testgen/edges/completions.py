"""Chat completions as they are: what is sent to an OpenAI-compatible server, and what it answers, untouched."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from llm_testgen.edges.service import Service
from llm_testgen.errors import ModelError

_PATH = "/chat/completions"
_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What a server says to one request.

    Attributes:
        status: Of HTTP.
        body: Its JSON; empty where there is none.
    """

    status: int
    body: Mapping[str, object]


class CompletionsServer:
    """An OpenAI-compatible server.

    Args:
        service: Where it is, which model it is asked for, and its key.
        seconds: For one answer; two slow cores need minutes for a long prompt.
    """

    def __init__(self, service: Service, seconds: float = _SECONDS) -> None:
        """Nothing is sent yet.

        Raises:
            UsageError: The endpoint is no http(s) URL, or the key holds characters that no key has.
        """
        service.check()
        self.model = service.model
        self._service, self._seconds = service, seconds

    async def complete(self, request: Mapping[str, object]) -> Answered:
        """Send one request; to cancel this closes the connection, and lets the server stop.

        Raises:
            ModelError: There is no answer.
        """
        parts = urlsplit(self._service.endpoint)
        host, secure = parts.hostname or "", parts.scheme == "https"
        try:
            async with asyncio.timeout(self._seconds):
                port = parts.port or (443 if secure else 80)
                reader, writer = await asyncio.open_connection(host, port, ssl=secure or None)
                try:
                    writer.write(self._message(parts.netloc.rpartition("@")[2], parts.path, request))
                    await writer.drain()
                    return _read(await reader.read())
                finally:
                    writer.close()
        except (OSError, TimeoutError, http.client.HTTPException, ValueError) as error:
            reason = f"no answer within {self._seconds:g} s" if isinstance(error, TimeoutError) else str(error)
            msg = f"{self._service.address} gives no usable answer ({reason}): see that the server runs"
            raise ModelError(self._service.presentable(msg)) from error

    def _message(self, host: str, path: str, request: Mapping[str, object]) -> bytes:
        body = json.dumps(request).encode()
        base = path.rstrip("/").removesuffix(_PATH)
        base = base if base.endswith("/v1") else f"{base}/v1"
        key = [f"Authorization: Bearer {self._service.key}"] if self._service.key else []
        head = [
            f"POST {base}{_PATH} HTTP/1.1",
            f"Host: {host}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *key,
            "Connection: close",
        ]
        return "\r\n".join([*head, "", ""]).encode("latin-1") + body


class _Received:
    """What was read to its end, in the shape of the socket that the standard library reads an answer from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _read(data: bytes) -> Answered:
    """An answer of HTTP.

    Raises:
        HTTPException: It is none.
        ValueError: It is a success, and its body no JSON object.
    """
    response = http.client.HTTPResponse(_Received(data))  # type: ignore[arg-type]  # of a socket it reads this alone
    response.begin()
    text = response.read()
    try:
        body = json.loads(text)
    except ValueError:
        if response.status == http.client.OK:
            raise
        body = None
    if not isinstance(body, dict):
        body = {"error": {"message": text.decode("utf-8", "replace")[:400]}}
    return Answered(response.status, body)
