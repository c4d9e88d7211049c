"""The project's interpreter: which one it is, what it has, and what it is allowed to see."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.runner.launcher import GUEST, confined_command

_OLDEST_PYTHON = (3, 9)
# The bot's own coverage, which an interpreter that has none is lent, needs this much.
_OLDEST_FOR_LENT_COVERAGE = (3, 10)
_PROBE_SECONDS = 60
_PIECE = 1 << 16
# What a test may need to find its interpreter, its libraries and its language; never a secret.
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT")


_WIDEST = 2
_BARE_PROBE = (
    "import json, platform, sys;"
    "print(json.dumps({'python': platform.python_version(), 'prefixes': [sys.base_prefix, sys.base_exec_prefix]}))"
)


class _BareProbe(BaseModel):
    """What an interpreter says of itself."""

    model_config = ConfigDict(frozen=True)

    python: str
    prefixes: tuple[Path, ...]


class _Probe(BaseModel):
    """The guest's answer to a probe."""

    model_config = ConfigDict(frozen=True)

    python: str
    pytest: str | None
    coverage: str | None
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A project's interpreter that can run its tests.

    Attributes:
        path: What to start.
        version: Of Python, such as ``3.11.7``.
        has_coverage: Whether coverage is installed in it; if not, ours is lent to it for the run.
        folders: What it must be able to read: its installation, its virtual environment, what it imports from.
    """

    path: Path
    version: str
    has_coverage: bool
    folders: tuple[Path, ...]


def find_python(root: Path, named: str | None, search_path: str | None) -> Path:
    """The interpreter to use: the named one, else the project's ``.venv``, else ``python`` on the path.

    Raises:
        UsageError: There is none.
    """
    if named is not None:
        found = shutil.which(named, path=search_path)
        if found is None:
            msg = f"no Python interpreter at {named}; pass --python the path of the one that runs the project's tests"
            raise UsageError(msg)
        return Path(os.path.abspath(found))  # noqa: PTH100 - a virtual environment's link must not be followed
    for folder in (".venv", "venv"):
        candidate = root / folder / "bin" / "python"
        if os.access(candidate, os.X_OK):
            return candidate
    for name in ("python", "python3"):
        if found := shutil.which(name, path=search_path):
            return Path(found)
    msg = "no Python interpreter found; pass --python the path of the one that runs the project's tests"
    raise UsageError(msg)


def inspect(python: Path, environ: Mapping[str, str], checkout: Path | None = None) -> Interpreter:
    """Ask an interpreter what it is.

    Args:
        python: What to start.
        environ: The bot's own environment.
        checkout: What it imports from there is not its own: a copy takes its place.

    Raises:
        UsageError: It does not start, or is older than Python 3.9.
        ProjectError: It has no pytest.
    """
    bare = _bare_probe(python, environ)
    version = tuple(map(int, bare.python.split(".")[:2]))
    if version < _OLDEST_PYTHON:
        msg = f"{python} is Python {bare.python}, but tests need 3.9 or later; pass another --python"
        raise UsageError(msg)
    answer = _site_probe(python, environ)
    if answer.pytest is None:
        msg = f"{python} has no pytest: run '{python} -m pip install pytest', or pass another interpreter with --python"
        raise ProjectError(msg)
    if answer.coverage is None and version < _OLDEST_FOR_LENT_COVERAGE:
        msg = f"{python} has no coverage: run '{python} -m pip install coverage', or pass another --python"
        raise ProjectError(msg)
    installed = [*bare.prefixes, *_own_environment(python)]
    folders = (*installed, *_imported_from(answer.path, installed, checkout))
    return Interpreter(python, answer.python, answer.coverage is not None, tuple(dict.fromkeys(folders)))


def _bare_probe(python: Path, environ: Mapping[str, str]) -> _BareProbe:
    """What an interpreter says of itself before it looks at anything that was installed into it."""
    answer, said = _run([python, "-I", "-S", "-c", _BARE_PROBE], environ)
    try:
        return _BareProbe.model_validate_json(answer)
    except ValidationError as error:
        raise _no_interpreter(python, said) from error


def _site_probe(python: Path, environ: Mapping[str, str]) -> _Probe:
    """What an interpreter says with all that starts with it, confined as far as that can be done by now."""
    ours, its = socket.socketpair()
    with ours, its, tempfile.TemporaryDirectory(prefix="llm-testgen-probe-") as folder:
        command = confined_command([str(python), str(GUEST / "__main__.py")], Path(folder))
        ours.sendall(b'{"mode": "probe"}\n')
        _, said = _run(command, environ, its.fileno(), Path(folder))
        its.close()
        answer = received(ours)
    try:
        return _Probe.model_validate_json(answer)
    except ValidationError as error:
        raise _no_interpreter(python, said) from error


def _run(
    command: Sequence[str | Path],
    environ: Mapping[str, str],
    given: int = subprocess.DEVNULL,
    folder: Path | None = None,
) -> tuple[str, str]:
    """What a command prints, and the last line of what it complains of."""
    with tempfile.TemporaryDirectory(prefix="llm-testgen-probe-") as scratch:
        for name in ("home", "tmp"):
            (Path(scratch) / name).mkdir()
        try:
            finished = subprocess.run(
                command,
                text=True,
                errors="replace",
                cwd=folder or scratch,
                env=environment(environ, Path(scratch)),
                stdin=given,
                capture_output=True,
                timeout=_PROBE_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return "", str(error)
    return finished.stdout, finished.stderr.strip().rpartition("\n")[2]


def _no_interpreter(python: Path, said: str) -> UsageError:
    reason = f" ({said})" if said else ""
    msg = f"{python} does not work as a Python interpreter of version 3.9 or later{reason}; pass another --python"
    return UsageError(msg)


def _own_environment(python: Path) -> list[Path]:
    """The virtual environment that an interpreter belongs to, if it does."""
    folder = python.parent.parent
    return [folder] if (folder / "pyvenv.cfg").is_file() else []


def _imported_from(entries: Sequence[str], installed: Sequence[Path], checkout: Path | None) -> list[Path]:
    """Folders on the import path that lie outside the installation, such as packages installed to be edited."""
    found = []
    for path in map(Path, entries):
        inside = any(path.is_relative_to(folder) for folder in installed)
        ours = checkout is not None and path.is_relative_to(checkout)
        hidden = any(part.startswith(".") for part in path.parts)
        # An entry may be written by whoever wrote the project: it must not open a home folder, or the machine.
        wide = len(path.parts) <= _WIDEST or path in {Path.home(), Path(tempfile.gettempdir())}
        if path.is_absolute() and not (inside or ours or hidden or wide) and path.exists():
            found.append(path)
    return found


def environment(environ: Mapping[str, str], scratch: Path, import_path: tuple[Path, ...] = ()) -> dict[str, str]:
    """The environment of what runs: an allow-list, and a home and a temporary folder of its own."""
    return {
        **{name: environ[name] for name in _PASSED_ON if name in environ},
        "HOME": str(scratch / "home"),
        "TMPDIR": str(scratch / "tmp"),
        "PYTHONPATH": os.pathsep.join(map(str, import_path)),
        "PYTHONUTF8": "1",
        # Threads of numeric libraries would compete with the other runs for the same cores.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def received(channel: socket.socket) -> bytes:
    """All that comes from a process that has ended."""
    pieces = []
    # It may have ended without reading what it was asked.
    with contextlib.suppress(ConnectionResetError):
        while piece := channel.recv(_PIECE):
            pieces.append(piece)
    return b"".join(pieces)


def lend_coverage(folder: Path) -> Path:
    """A folder to import coverage from, for an interpreter that has none: a copy of the bot's own."""
    spec = find_spec("coverage")
    if spec is None or not spec.submodule_search_locations:
        msg = "coverage is not installed beside llm-testgen; reinstall it"
        raise ProjectError(msg)
    lent = folder / "lent"
    shutil.copytree(spec.submodule_search_locations[0], lent / "coverage", ignore=shutil.ignore_patterns("__pycache__"))
    return lent
