"""A git server that wants a token: git's own backend behind HTTP."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(slots=True)
class GitServer:
    """Where it is, and what it was shown: the ``Authorization`` headers of each request."""

    url: str = ""
    shown: list[list[str]] = field(default_factory=list)


@contextmanager
def serve(folder: Path, authorization: str) -> Iterator[GitServer]:
    """Serve the repositories of a folder to whoever shows this authorization."""
    state = GitServer()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            state.shown.append(self.headers.get_all("authorization", []))
            if state.shown[-1] != [authorization]:
                self.send_response(401)
                self.send_header("www-authenticate", 'Basic realm="GitHub"')
                self.end_headers()
                return
            head, _, content = _backend(folder, self.command, self.path, self.headers, body).partition(b"\r\n\r\n")
            self.send_response(200)
            for line in head.decode().split("\r\n"):
                name, _, value = line.partition(": ")
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self._handle()

        def do_POST(self) -> None:
            self._handle()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _backend(folder: Path, method: str, path: str, headers, body: bytes) -> bytes:
    url = urlsplit(path)
    env = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "GIT_PROJECT_ROOT": str(folder),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROTOCOL": headers.get("git-protocol", ""),
        "REQUEST_METHOD": method,
        "PATH_INFO": url.path,
        "QUERY_STRING": url.query,
        "CONTENT_TYPE": headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
    }
    command = ["git", "http-backend"]
    return subprocess.run(command, env=env, input=body, capture_output=True, check=True).stdout
