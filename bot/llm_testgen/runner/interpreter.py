"""The project's interpreter: which one it is, what it has, and what it is allowed to see."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_testgen.errors import ProjectError, UsageError

HARNESS = Path(__file__).with_name("harness.py")
_OLDEST_PYTHON = (3, 9)
# The bot's own coverage, which an interpreter that has none is lent, needs this much.
_OLDEST_FOR_LENT_COVERAGE = (3, 10)
_PROBE_SECONDS = 60
# What a test may need to find its interpreter, its libraries and its language; never a secret.
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT")


class _Probe(BaseModel):
    """The harness's answer to a probe."""

    model_config = ConfigDict(frozen=True)

    python: str
    pytest: str | None
    coverage: str | None
    landlock: bool


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A project's interpreter that can run its tests.

    Attributes:
        path: What to start.
        version: Of Python, such as ``3.11.7``.
        has_coverage: Whether coverage is installed in it; if not, ours is lent to it for the run.
        write_protected: Whether this kernel keeps what it runs from writing outside its copy of the tree.
    """

    path: Path
    version: str
    has_coverage: bool
    write_protected: bool


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


def inspect(python: Path, environ: Mapping[str, str]) -> Interpreter:
    """Ask an interpreter what it is.

    Raises:
        UsageError: It does not start, or is older than Python 3.9.
        ProjectError: It has no pytest.
    """
    with tempfile.TemporaryDirectory(prefix="llm-testgen-probe-") as folder:
        answer = _probe(python, Path(folder), environ)
    version = tuple(map(int, answer.python.split(".")[:2]))
    if version < _OLDEST_PYTHON:
        msg = f"{python} is Python {answer.python}, but tests need 3.9 or later; pass another --python"
        raise UsageError(msg)
    if answer.pytest is None:
        msg = f"{python} has no pytest: run '{python} -m pip install pytest', or pass another interpreter with --python"
        raise ProjectError(msg)
    if answer.coverage is None and version < _OLDEST_FOR_LENT_COVERAGE:
        msg = f"{python} has no coverage: run '{python} -m pip install coverage', or pass another --python"
        raise ProjectError(msg)
    return Interpreter(python, answer.python, answer.coverage is not None, answer.landlock)


def _probe(python: Path, folder: Path, environ: Mapping[str, str]) -> _Probe:
    result = folder / "result.json"
    stderr = ""
    try:
        finished = subprocess.run(
            [python, HARNESS],
            input=json.dumps({"mode": "probe", "result": str(result)}),
            text=True,
            errors="replace",
            capture_output=True,
            cwd=folder,
            env=environment(environ, folder),
            timeout=_PROBE_SECONDS,
            check=False,
        )
        stderr = finished.stderr.strip().rpartition("\n")[2]
        return _Probe.model_validate_json(result.read_bytes())
    except (OSError, subprocess.TimeoutExpired, ValidationError) as error:
        said = f" ({stderr})" if stderr else ""
        msg = f"{python} does not work as a Python interpreter of version 3.9 or later{said}; pass another --python"
        raise UsageError(msg) from error


def environment(environ: Mapping[str, str], scratch: Path, import_path: tuple[Path, ...] = ()) -> dict[str, str]:
    """The environment of what runs: an allow-list, and a home and a temporary folder of its own."""
    home = scratch / "home"
    temporary = scratch / "tmp"
    for folder in (home, temporary):
        folder.mkdir(parents=True, exist_ok=True)
    return {
        **{name: environ[name] for name in _PASSED_ON if name in environ},
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "PYTHONPATH": os.pathsep.join(map(str, import_path)),
        "PYTHONUTF8": "1",
        # Threads of numeric libraries would compete with the other runs for the same cores.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def lend_coverage(folder: Path) -> Path:
    """A folder to import coverage from, for an interpreter that has none: a copy of the bot's own."""
    spec = find_spec("coverage")
    if spec is None or not spec.submodule_search_locations:
        msg = "coverage is not installed beside llm-testgen; reinstall it"
        raise ProjectError(msg)
    lent = folder / "lent"
    shutil.copytree(spec.submodule_search_locations[0], lent / "coverage", ignore=shutil.ignore_patterns("__pycache__"))
    return lent
