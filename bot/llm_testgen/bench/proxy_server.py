"""The proxy as a server that OpenAI's clients talk to: HTTP on the loopback interface, or on a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

from llm_testgen.bench.proxy import Proxy, failure
from llm_testgen.edges.completions import Answered
from llm_testgen.errors import LlmTestgenError, UsageError

_CHAT = "/v1/chat/completions"
_MODELS = "/v1/models"
_MOST_BODY = 32 << 20
_MOST_DIGITS = len(str(_MOST_BODY))
# A process of the sandbox may belong to another user.
_EVERYONE = 0o666


@asynccontextmanager
async def serving(proxy: Proxy, path: Path | None = None) -> AsyncIterator[str]:
    """Serve for a while; what is still being answered at the end is dropped, and the model stops.

    Args:
        proxy: What answers.
        path: Of a Unix socket; None for a free port of 127.0.0.1.

    Yields:
        The base URL for clients; empty for a Unix socket.

    Raises:
        UsageError: The socket cannot be made; at the end: something that was answered could not be written down.
    """
    running: set[asyncio.Task[None]] = set()
    problems: list[LlmTestgenError] = []

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: a connection is a task
        running.add(task)
        try:
            await _attend(proxy, reader, writer)
        except asyncio.CancelledError:
            if not ending:
                raise
        except LlmTestgenError as error:
            problems.append(error)
        finally:
            running.discard(task)
            writer.close()

    ending = False
    if path is None:
        server = await asyncio.start_server(attend, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    else:
        server, address = await _listen(attend, path), ""
    try:
        yield address
    finally:
        ending = True
        server.close()
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*tuple(running), return_exceptions=True)
        if path is not None:
            await asyncio.to_thread(path.unlink, missing_ok=True)
    if problems:
        raise problems[0]


async def _listen(
    attend: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], path: Path
) -> asyncio.Server:
    try:
        server = await asyncio.start_unix_server(attend, path)
        await asyncio.to_thread(path.chmod, _EVERYONE)
    except OSError as error:
        msg = f"no socket can be made at {path} ({error}): set TMPDIR to a folder with a shorter path"
        raise UsageError(msg) from error
    return server


async def _attend(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request of one connection."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > _MOST_DIGITS or int(length) > _MOST_BODY:
            await _send(writer, failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too long", "too_long"))
            return
        body = await reader.readexactly(int(length))
        method, _, rest = head[0].partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        key = headers.get("authorization", "").removeprefix("Bearer ").strip()
        asked = f"{method} {path.replace('/v1/v1/', '/v1/')}"
        await _answer(proxy, reader, writer, asked, key, body)


async def _answer(  # noqa: PLR0913, PLR0917 - both ends of a connection, and what came through it
    proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: str, key: str, body: bytes
) -> None:
    if asked == f"GET {_MODELS}":
        model = {"id": proxy.rules.model, "object": "model", "created": 0, "owned_by": "llm-testgen"}
        await _send(writer, Answered(HTTPStatus.OK, {"object": "list", "data": [model]}))
        return
    if asked != f"POST {_CHAT}":
        await _send(writer, failure(HTTPStatus.NOT_FOUND, f"there is no {asked}, only {_CHAT}", "not_found"))
        return
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        await _send(writer, failure(HTTPStatus.BAD_REQUEST, "the body is no JSON object", "invalid_request"))
        return
    try:
        # A client that gives up closes the connection, and what it sent was read to its end.
        answer = await proxy.chat(key, request, listens=lambda: not reader.at_eof())
    except RecursionError:
        answer = failure(HTTPStatus.BAD_REQUEST, "the body is nested too deeply", "invalid_request")
    if answer.status == HTTPStatus.OK and request.get("stream"):
        options = request.get("stream_options")
        counts = isinstance(options, dict) and bool(options.get("include_usage"))
        events = [f"data: {json.dumps(chunk)}\n\n" for chunk in _chunks(answer.body, counts=counts)]
        await _write(writer, HTTPStatus.OK, "text/event-stream", "".join([*events, "data: [DONE]\n\n"]))
    else:
        await _send(writer, answer)


async def _send(writer: asyncio.StreamWriter, answer: Answered) -> None:
    await _write(writer, answer.status, "application/json", json.dumps(answer.body))


async def _write(writer: asyncio.StreamWriter, status: int, kind: str, text: str) -> None:
    body = text.encode()
    head = (
        f"HTTP/1.1 {int(status)} {HTTPStatus(status).phrase}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode("latin-1") + body)
    await writer.drain()


def _chunks(body: Mapping[str, object], *, counts: bool) -> Iterator[dict[str, object]]:
    """A whole answer as a stream: all that a choice says at once, then why it ended, then what it cost."""
    common = {name: body[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    choices = body["choices"]
    assert isinstance(choices, list)  # noqa: S101 - for the type checker: the proxy has put them together
    for choice in choices:
        delta = dict(choice["message"])
        if isinstance(delta.get("tool_calls"), list):
            delta["tool_calls"] = [{**call, "index": index} for index, call in enumerate(delta["tool_calls"])]
        index = choice["index"]
        yield {**common, "choices": [{"index": index, "delta": delta, "finish_reason": None}]}
        ended = choice.get("finish_reason") or "stop"
        yield {**common, "choices": [{"index": index, "delta": {}, "finish_reason": ended}]}
    if counts:
        yield {**common, "choices": [], "usage": body["usage"]}
