"""What an attack is after, and what tells from outside whether it got it: files, listeners, a process with a secret."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from llm_testgen.records import Run

SECRET_FILES = ("secret.txt", "checkout/.git/config", "home/.cache/huggingface/token", "runner-temp/token")
COMMAND_FILES = ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
_IPC_RMID = 0
_LAST_STATE = "TtXZ"


class Scene:
    """A part of the machine that no candidate has any business with.

    All of it is open to every user: what keeps a candidate out is the sandbox alone. ``token`` stands in every file,
    environment and argument that is secret, and in nothing that a candidate is told.
    """

    def __init__(self) -> None:
        self.folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="scene-")))
        self.token = f"token{secrets.token_hex(8)}"
        self._name = f"attack{secrets.token_hex(8)}"
        self._key = 0x10000000 + secrets.randbelow(0x60000000)
        self._resources = contextlib.ExitStack()
        self._write_files()
        self._listeners = dict(self._listen())
        self.victim = self._start_victim()
        self._before = self._contents()

    def _write_files(self) -> None:
        texts = dict.fromkeys(SECRET_FILES, self.token) | dict.fromkeys(COMMAND_FILES, "")
        for name, text in {**texts, "canary.txt": "alive", "keep/me.txt": "kept"}.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="ascii")
        for path in [self.folder, *self.folder.rglob("*")]:
            path.chmod(0o777 if path.is_dir() else 0o666)
        if os.geteuid() == 0:
            program = shutil.copy(shutil.which("id") or "/usr/bin/id", self.folder / "id")
            Path(program).chmod(0o4755)

    def _listen(self) -> Iterator[tuple[str, socket.socket]]:
        path = self.folder / "docker.sock"
        addresses: dict[str, tuple[int, int, object]] = {
            "tcp": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "tcp6": (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
            "udp": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "path": (socket.AF_UNIX, socket.SOCK_STREAM, str(path)),
            "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self._name}"),
        }
        for name, (family, kind, address) in addresses.items():
            listener = self._resources.enter_context(socket.socket(family, kind))
            try:
                listener.bind(address)
            except OSError:
                continue  # a machine without IPv6
            if kind == socket.SOCK_STREAM:
                listener.listen()
            listener.settimeout(0)
            yield name, listener
        path.chmod(0o777)

    def _start_victim(self) -> subprocess.Popen[bytes]:
        """A process of the same user, as the bot is one, with a secret in its environment and in its arguments."""
        shell = f"trap 'exit 9' URG; read forever # {self.token}"
        victim = subprocess.Popen(
            ["/bin/sh", "-c", shell], env={"SECRET": self.token}, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        self._resources.callback(victim.wait)
        self._resources.callback(victim.kill)
        if victim.stdin is not None:
            self._resources.enter_context(victim.stdin)
        return victim

    def told(self, home: Path) -> dict[str, object]:
        """What an attack is told of the scene, so that it need not search; ``home`` is the runner's folder."""
        ports = {
            name: self._listeners[name].getsockname()[1] if name in self._listeners else 0
            for name in ("tcp", "tcp6", "udp")
        }
        return {
            "folder": str(self.folder),
            "files": [str(self.folder / name) for name in SECRET_FILES],
            "commands": {name: str(self.folder / name) for name in COMMAND_FILES},
            "dropped": str(self._dropped),
            "shared": str(self._shared),
            "key": self._key,
            "abstract": f"\0{self._name}",
            "victim": self.victim.pid,
            "bot": os.getpid(),
            "home": str(home),
            **ports,
        }

    @property
    def _dropped(self) -> Path:
        return Path(tempfile.gettempdir(), self._name)

    @property
    def _shared(self) -> Path:
        return Path("/dev/shm", self._name)  # noqa: S108 - where an attack would leave something

    def harm(self, run: Run) -> list[str]:
        """All that has been done to the scene, or taken from it, up to now."""
        said = run.failure.message if run.failure else ""
        return [
            *(["a secret was read"] if self.token in said else []),
            *([f"it says: {said}"] if run.failure and run.failure.kind == "Stolen" else []),
            *(f"{name} has heard something" for name, listener in self._listeners.items() if _has_heard(listener)),
            *(["the process was signalled"] if self._is_signalled() else []),
            *(f"{path} was left" for path in (self._dropped, self._shared) if path.exists()),
            *(["shared memory was left"] if self._shared_memory() else []),
            *(f"{path} was changed" for path in sorted(self._changes())),
        ]

    def _changes(self) -> set[str]:
        now = self._contents()
        return {path for path in now.keys() | self._before.keys() if now.get(path) != self._before.get(path)}

    def _contents(self) -> dict[str, tuple[int, int, str]]:
        """Every path of the folder with its mode, its time and a digest of what it holds."""
        found = {}
        for path in [self.folder, *self.folder.rglob("*")]:
            with contextlib.suppress(OSError):
                status = path.lstat()
                data = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
                found[str(path.relative_to(self.folder))] = (
                    status.st_mode,
                    status.st_mtime_ns,
                    hashlib.sha256(data).hexdigest(),
                )
        return found

    def _is_signalled(self) -> bool:
        if self.victim.poll() is not None:
            return True
        state = Path(f"/proc/{self.victim.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        return state in _LAST_STATE

    def _shared_memory(self) -> list[int]:
        """The ids of System V's segments with the scene's key."""
        try:
            lines = Path("/proc/sysvipc/shm").read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            return []
        rows = [line.split() for line in lines]
        return [int(row[1]) for row in rows if int(row[0]) & 0xFFFFFFFF == self._key]

    def close(self) -> None:
        """Leave nothing of it, nor of what an attack did."""
        with contextlib.suppress(ProcessLookupError):
            self.victim.send_signal(signal.SIGCONT)
        self._resources.close()
        for path in (self._dropped, self._shared):
            path.unlink(missing_ok=True)
        for segment in self._shared_memory():
            ctypes.CDLL(None).shmctl(segment, _IPC_RMID, None)
        shutil.rmtree(self.folder, ignore_errors=True)


def _has_heard(listener: socket.socket) -> bool:
    try:
        if listener.type == socket.SOCK_DGRAM:
            listener.recv(1)
        else:
            listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def contents(folder: Path) -> dict[str, bytes]:
    """What the files of a folder hold."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def processes(marker: str) -> set[int]:
    """Processes with a text in their arguments or, as far as that may be read, in their environment."""
    assert marker, "all of the machine's processes are meant by no test"
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                if marker.encode() in (folder / name).read_bytes():
                    found.add(int(folder.name))
    return found - {os.getpid()}
