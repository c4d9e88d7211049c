"""Runs pytest under coverage inside the project's own interpreter, once or many times, and answers in JSON.

Needs Python 3.9, pytest and coverage, and nothing of the package that it comes with. Standard input is a socket: one
request a line, one answer a line. The first request says what is wanted::

    {"mode": "probe"}
        → {"python": version, "pytest": version or null, "coverage": …, "path": [sys.path]}
    {"mode": "check", "writable": [paths], "forbidden": [paths]}
        → what this process can do, see `check`
    {"mode": "run", "files": {path: text to write first}, "run": [paths, none for all that pytest finds],
     "measured": [paths], "every_file": whether to report statements, also of files that nothing touched,
     "scratch": folder, "arguments": [of pytest], "limits": {"memory", "file", "cpu"}, "traps": see `trap`,
     "mutant": see `mutation`, or null; with one, nothing is measured, "observing": whether tests may report values}
        → {"started": true}, before anything of the project is run, and then
        → {"exit", "outcomes", "failures", "collect_errors", "files": {path: {"executed", "branches", "statements"}},
           "observed": [{"key", "type", "expression", "imports"}, see `observe`]}
    {"mode": "serve", …}
        → see `zygote`

Whatever else the process prints is of no meaning.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import signal
import socket
import sys
from typing import Any

from . import outcomes
from .files import limit_resources, write_files

CANNOT_SERVE = 3


class Channel:
    """The socket to the bot, moved away from standard input, which becomes empty."""

    def __init__(self) -> None:
        """Take it."""
        self._descriptor = os.dup(0)
        self._socket = socket.socket(fileno=self._descriptor)
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)
        self._lines = self._socket.makefile("rb")

    def receive(self) -> dict[str, Any] | None:
        """The next request; None when the bot has gone."""
        line = self._lines.readline()
        return json.loads(line) if line else None

    def send(self, answer: dict[str, Any]) -> None:
        """Answer a request."""
        self.send_text(json.dumps(answer).encode())

    def send_text(self, answer: bytes) -> None:
        """Answer a request with JSON that is written already."""
        self._socket.sendall(answer + b"\n")

    def close(self) -> None:
        """Let go of it, as a child does before it runs what it must not be trusted with."""
        os.close(self._descriptor)  # not by way of the objects: a child would copy all that they touch


def probe() -> dict[str, Any]:
    """What this interpreter is and has."""
    versions: dict[str, str | None] = {}
    for name in ("pytest", "coverage"):
        versions[name] = None
        if importlib.util.find_spec(name) is not None:
            versions[name] = str(getattr(__import__(name), "__version__", "unknown"))
    return {"python": platform.python_version(), "path": sys.path[1:], **versions}


def run(request: dict[str, Any]) -> dict[str, Any]:
    """One pytest session under coverage."""
    from .measure import Meter

    write_files(request["files"])
    limit_resources(request["limits"])
    meter = None if request["mutant"] else Meter(request["measured"])
    if request["traps"]:
        from . import trap

        trap.set_on_import(request["traps"])
    if request["mutant"]:
        from . import mutation

        mutation.set_on_import(request["mutant"])
    observer = None
    if request["observing"]:
        from . import observe

        observer = observe.Observer(request["scratch"], os.getcwd())
    import pytest  # only after coverage has started

    recorder = outcomes.Recorder(request["run"])
    light = not request["every_file"]
    arguments = outcomes.pytest_arguments(request["scratch"], request["arguments"], request["run"], light=light)
    code = pytest.main(arguments, plugins=[recorder])
    if meter is None:
        files = {}
    elif request["every_file"]:
        files = meter.report(request["measured"], request["scratch"])
    else:
        files = meter.executed(meter.take())
    observed = observer.observed if observer is not None else []
    return {**recorder.result(int(code)), "files": files, "observed": observed}


def interrupt(*_: object) -> None:
    """End the session as Ctrl-C would, so that what it has covered so far is reported."""
    raise KeyboardInterrupt


def main() -> None:
    """Answer the first request, and when it is to serve, all others."""
    channel = Channel()
    request = channel.receive()
    if request is None:
        return
    if request["mode"] == "probe":
        answer = probe()
    elif request["mode"] == "check":
        from .check import check

        answer = check(request)
    elif request["mode"] == "run":
        signal.signal(signal.SIGTERM, interrupt)
        channel.send({"started": True})
        answer = run(request)
    else:
        from .zygote import Zygote

        answer = Zygote(channel, request).serve()
    channel.send(answer)
    sys.stdout.flush()
    # Threads and exit handlers of the project must not hold the process once the answer is sent.
    os._exit(0)
