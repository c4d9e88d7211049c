"""The HTTP server: it lets requests in, has them served, and checks both against GitHub's description."""

from __future__ import annotations

import json
import socket
import threading
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.github import actions, gitdata, graphql, issues, people, pulls, reviews
from tests.github.description import Message, Operation, find_operation, request_errors, response_errors
from tests.github.faults import Fault, PlannedCall, PlannedFault, answer_of, exhausted
from tests.github.router import ENDPOINTS, Answer, Call, Endpoint, Refusal, not_found
from tests.github.state import State, Token

PARTS = (actions, gitdata, issues, people, pulls, reviews)  # each adds its endpoints as it is imported


@dataclass(slots=True)
class Request:
    """A request in the log; ``status`` is 0 as long as it has no answer, or if it never got one."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: str | None
    accept: str
    status: int = 0
    text: bytes = b""

    @property
    def is_write(self) -> bool:
        if self.path == "/graphql":
            return graphql.is_mutation(str((self.body or {}).get("query", "")))
        return self.method != "GET"


class Service:
    """What is behind the server: one request at a time, as it comes."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self.faults: list[PlannedFault] = []
        self.calls: list[PlannedCall] = []
        self.strict_pace = 0.0
        self.stopping = threading.Event()
        self._last_write = float("-inf")

    def handle(self, request: Request, authorization: str | None) -> Answer | None:
        """The answer to a request; None to hang up without one."""
        self._enter(request)
        fault = next((fault for fault in self.faults if fault.takes(request.method, request.path)), None)
        if fault and fault.kind is Fault.SLOW:
            self.stopping.wait(fault.seconds)
        elif fault and not fault.kind.is_late:
            return self._leave(request, answer_of(fault, self.state.rate_limit))
        try:
            answer = self._serve(request, authorization)
        except Exception:  # noqa: BLE001 -- a fault of the fake has to fail the test, not only this request
            self.violations.append(f"the fake failed at {request.method} {request.path}:\n{traceback.format_exc()}")
            answer = Answer({"message": "Server Error"}, 500)
        if fault and fault.kind.is_late:
            answer = answer_of(fault, self.state.rate_limit)
        return self._leave(request, answer)

    def _enter(self, request: Request) -> None:
        for call in self.calls:
            if call.takes(request.method, request.path):
                call.function()
        with self.state.lock:
            self.requests.append(request)
            pause = time.monotonic() - self._last_write
            if request.is_write and pause < self.strict_pace:
                self.violations.append(f"{request.method} {request.path} came {pause:.2f} s after the write before")

    def _leave(self, request: Request, answer: Answer | None) -> Answer | None:
        with self.state.lock:
            request.status = answer.status if answer else 0
            if request.is_write:
                self._last_write = time.monotonic()
        return answer

    def _serve(self, request: Request, authorization: str | None) -> Answer:
        with self.state.lock:
            if self.state.rate_remaining <= 0:
                return exhausted(self.state.rate_limit, self.state.rate_reset)
            self.state.rate_remaining -= 1
            try:
                token = self._token(request, authorization)
                if request.path == "/graphql" and request.method == "POST":
                    return graphql.execute(self.state, token, request.body, self.violations)
                return self._serve_rest(request, token)
            except Refusal as refusal:
                return refusal.answer()

    def _token(self, request: Request, authorization: str | None) -> Token:
        if not authorization:
            raise Refusal(401, "Requires authentication")
        scheme, _, value = authorization.partition(" ")
        token = self.state.tokens.get(value.strip())
        if token is None or scheme.lower() not in {"bearer", "token"}:
            raise Refusal(401, "Bad credentials")
        request.token = token.name
        return token

    def _serve_rest(self, request: Request, token: Token) -> Answer:
        operation = find_operation(request.method, request.path)
        if operation is None:
            self.violations.append(
                f"{request.method} {request.path}: GitHub has no such operation, or it is unknown here"
            )
            raise not_found()
        message = Message(request.text, query=tuple(request.query.items()))
        errors = [*request_errors(operation, message), *_unknown_parameters(operation, request)]
        self._note(request, errors)
        endpoint = ENDPOINTS[request.method, operation.template]
        self._check_rights(request, operation, token, endpoint)
        if errors:
            raise Refusal(422, "Invalid request.\n\n" + "\n".join(errors))
        call = Call(
            self.state, token, request.path, operation.parameters, request.query, request.body or {}, request.accept
        )
        try:
            answer = endpoint.serve(call)
        except Refusal as refusal:
            answer = refusal.answer()
        if not isinstance(answer.body, bytes):
            sent = Message(encode(answer), status=answer.status, headers=answer.headers)
            self._note(request, response_errors(operation, message, sent), "answer to ")
        return answer

    def _note(self, request: Request, errors: Iterable[str], what: str = "") -> None:
        self.violations += [f"{what}{request.method} {request.path}: {error}" for error in errors]

    def _check_rights(self, request: Request, operation: Operation, token: Token, endpoint: Endpoint) -> None:
        if "owner" not in operation.parameters:
            return
        name = self.state.find_repository(f"{operation.parameters['owner']}/{operation.parameters['repo']}")
        is_ours = name in token.repositories
        if name is None or (name == self.state.repository and not (is_ours and token.permissions)):
            raise not_found()
        writes = request.method != "GET"
        needed = writes or self.state.private or endpoint.always
        if needed and endpoint.rights and not (is_ours and token.may("write" if writes else "read", endpoint.rights)):
            kind = "integration" if token.kind == "app" else "personal access token"
            raise Refusal(403, f"Resource not accessible by {kind}")


def _unknown_parameters(operation: Operation, request: Request) -> list[str]:
    """GitHub ignores a parameter that it does not know, so a client that sends one did not get what it wanted."""
    known = operation.query_names()
    return [f"there is no query parameter {name}" for name in request.query if name not in known]


def encode(answer: Answer) -> bytes:
    if isinstance(answer.body, bytes):
        return answer.body
    return b"" if answer.body is None else json.dumps(answer.body).encode()


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.0: a connection a request, so that none is left open when a test ends."""

    service: Service

    def _handle(self) -> None:
        text = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urlsplit(self.path)
        accept = self.headers.get("accept", "").split(",")[0].split(";")[0].strip()
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        request = Request(self.command, url.path, query, _parse(text), None, accept, text=text)
        answer = self.service.handle(request, self.headers.get("authorization"))
        if answer is None:
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._send(answer)

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PATCH(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def _send(self, answer: Answer) -> None:
        data, state = encode(answer), self.service.state
        rate = {"limit": state.rate_limit, "remaining": state.rate_remaining, "reset": state.rate_reset}
        headers = {f"x-ratelimit-{name}": str(value) for name, value in rate.items()} | dict(answer.headers)
        try:
            self.send_response(answer.status)
            for name, value in headers.items():
                self.send_header(name, value)
            if answer.body is not None:
                kind = answer.content_type
                self.send_header("content-type", f"{kind}; charset=utf-8" if kind == "application/json" else kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:  # the client did not wait
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


class _StorageHandler(BaseHTTPRequestHandler):
    """Where artifacts are: it wants no token, and refuses a request that brings one."""

    service: Service
    leaked: list[str]

    def do_GET(self) -> None:
        if found := self.headers.get("authorization"):
            self.leaked.append(found)
            self.send_error(400, "InvalidAuthenticationInfo")
            return
        number = urlsplit(self.path).path.strip("/").removesuffix(".zip")
        artifact = self.service.state.artifacts.get(int(number)) if number.isdecimal() else None
        if artifact is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("content-type", "application/zip")
        self.send_header("content-length", str(len(artifact.data)))
        self.end_headers()
        self.wfile.write(artifact.data)

    def log_message(self, *_: object) -> None:
        pass


class Servers:
    """Both servers, on ports of their own, each in a thread."""

    def __init__(self, service: Service, leaked: list[str]) -> None:
        self._service = service
        handlers = (_Handler, {}), (_StorageHandler, {"leaked": leaked})
        self._servers = [
            ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (base,), {"service": service, **more}))
            for base, more in handlers
        ]
        api, storage = (server.server_address[1] for server in self._servers)
        self.api = f"http://127.0.0.1:{api}"
        self.storage = f"http://localhost:{storage}"  # another host, as far as a client can tell
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}) for server in self._servers
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._service.stopping.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()
