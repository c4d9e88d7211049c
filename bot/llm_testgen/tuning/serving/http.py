"""Chat completions over HTTP, on this machine alone, for whoever has the key."""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

from pydantic import ValidationError

from llm_testgen.tuning.serving.chat import Answer, RefusedError
from llm_testgen.tuning.serving.request import Request

_PATHS = frozenset({"/v1/chat/completions", "/chat/completions"})
_MOST_BYTES = 16 * 1024 * 1024
_MOST_DIGITS = 10
_MOST_WORDS = 300
_LEAST_SECONDS = 1e-6
_ID_BYTES = 16


class Answering(Protocol):
    """What answers requests, one at a time."""

    def answer(self, request: Request, wanted: Callable[[], bool]) -> Answer:
        """Draw a reply, as long as it is wanted."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, chat: Answering, key: str, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.chat, self.key, self.name, self.turn = chat, key, name, threading.Lock()


def listen(chat: Answering, key: str, name: str) -> ThreadingHTTPServer:
    """A server on a free port of the loopback interface, which answers once it is told to serve.

    Args:
        chat: Draws the replies, in turn.
        key: Without it nothing is answered.
        name: What replies call the model where a request has no name for it.
    """
    return _Server(chat, key, name)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a chat."""
        body = self._body()
        if body is None:
            return
        if self.path not in _PATHS:
            self._refuse(HTTPStatus.NOT_FOUND, f"there is no {self.path} here")
            return
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self.server.key.encode()):
            self._refuse(HTTPStatus.UNAUTHORIZED, "the key is not the one that this server was given")
            return
        try:
            request = Request.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            self._refuse(HTTPStatus.BAD_REQUEST, f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}")
            return
        try:
            with self.server.turn:
                # Whoever gave up while others had their turn is not answered.
                answer = self.server.chat.answer(request, self._is_wanted) if self._is_wanted() else None
        except RefusedError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
            return
        except (RuntimeError, ValueError, LookupError, MemoryError) as error:
            # Memory that does not suffice, above all; the next request may need less.
            reason = " ".join(str(error).split())[:_MOST_WORDS] or type(error).__name__
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"no reply could be drawn: {reason}")
            return
        if answer is not None:
            self._send(HTTPStatus.OK, _completion(answer, request.model or self.server.name))

    def log_message(self, *_: object) -> None:
        """Say nothing: the last line of the log is to say why the server ended."""

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > _MOST_DIGITS or int(length) > _MOST_BYTES:
            self.close_connection = True
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has a length, of {_MOST_BYTES:,} bytes at most")
            return None
        return self.rfile.read(int(length))

    def _is_wanted(self) -> bool:
        """Whether who asked still waits: a connection that was closed gives the end of its data at once."""
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self._send(status, {"error": {"message": message, "code": int(status)}})

    def _send(self, status: HTTPStatus, content: object) -> None:
        data = json.dumps(content).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except ConnectionError:
            self.close_connection = True  # who asked is gone; that is no fault that the log should end with


def _completion(answer: Answer, model: str) -> object:
    """A reply in OpenAI's form, with llama.cpp's timings."""
    return {
        "id": f"chatcmpl-{secrets.token_hex(_ID_BYTES)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text},
                "finish_reason": "length" if answer.truncated else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": answer.tokens_in,
            "completion_tokens": answer.tokens_out,
            "total_tokens": answer.tokens_in + answer.tokens_out,
        },
        "timings": {
            "prompt_per_second": answer.tokens_in / max(answer.reading, _LEAST_SECONDS),
            "predicted_per_second": (answer.tokens_out - 1) / max(answer.writing, _LEAST_SECONDS),
        },
    }
