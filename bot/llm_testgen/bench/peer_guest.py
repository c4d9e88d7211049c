"""Runs another test generator inside the sandbox, and hands over what it leaves.

It is run by its path, by an interpreter of the sandbox, and needs nothing but the standard library. Standard input is
the socket to the bot. The first line that comes is the request, as JSON::

    {"socket": path of the Unix socket where the model's proxy listens,
     "seconds": for all of it,
     "sequences": [[command, …], …]: the commands of a sequence run one after the other until one fails,
     "environment": {name: value}: what they see besides this process's environment,
     "collect": [patterns of paths below the working folder]}

``{endpoint}`` in a command or a value becomes the URL of the model. The one line that is answered::

    {"statuses": [[exit status, …], …], "timed_out": whether the time was up, "files": {path: text}}
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

_PIECE = 1 << 16
_MOST_BYTES = 1 << 20
_TIMED_OUT = -int(signal.SIGKILL)


def main() -> None:
    """Do as the request says, and answer."""
    with socket.socket(fileno=os.dup(0)) as channel:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        with channel.makefile("rb") as stream:
            request = json.loads(stream.readline())
        endpoint = f"http://127.0.0.1:{_relay(request['socket'])}/v1"
        deadline = time.monotonic() + request["seconds"]
        added = {name: value.replace("{endpoint}", endpoint) for name, value in request["environment"].items()}
        statuses = []
        for sequence in request["sequences"]:
            ended: list[int] = []
            statuses.append(ended)
            for command in sequence:
                arguments = [argument.replace("{endpoint}", endpoint) for argument in command]
                ended.append(_run(arguments, {**os.environ, **added}, deadline))
                if ended[-1]:
                    break
        answer = {
            "statuses": statuses,
            "timed_out": time.monotonic() >= deadline,
            "files": _files(request["collect"]),
        }
        channel.sendall(json.dumps(answer).encode() + b"\n")


def _run(command: list[str], environment: dict[str, str], deadline: float) -> int:
    """A command in a process group of its own, which is ended with all of it when the time is up."""
    try:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error}\n")
        return 127
    try:
        return process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return _TIMED_OUT
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _files(patterns: list[str]) -> dict[str, str]:
    """The texts of the files that are to be handed over."""
    found = {}
    for pattern in patterns:
        for path in sorted(Path().glob(pattern)):
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= _MOST_BYTES:
                found[path.as_posix()] = path.read_bytes().decode("utf-8", "replace")
    return found


def _relay(path: str) -> int:
    """A port of the loopback interface behind which the proxy answers: the sandbox has a network of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listening, path), daemon=True).start()
    return int(listening.getsockname()[1])


def _accept(listening: socket.socket, path: str) -> None:
    while True:
        client, _ = listening.accept()
        proxy = socket.socket(socket.AF_UNIX)
        try:
            proxy.connect(path)
        except OSError:
            client.close()
            continue
        for source, target in ((client, proxy), (proxy, client)):
            threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(_PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One side is gone: let the other one know.
        for side in (source, target):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
