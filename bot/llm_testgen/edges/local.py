"""Models that run inside the job: embedded ones and GGUF files of one's own, as they are or with an adapter."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from llm_testgen.edges import weights
from llm_testgen.edges.embedded import EmbeddedModel, Serving
from llm_testgen.edges.weights import Progress, Weights
from llm_testgen.errors import UsageError

_MAGIC = b"GGUF"
_SUFFIX = ".gguf"
_DIGITS = 8
# What a folder of a tuned model holds: as peft and `llm-testgen tune` write it.
_ADAPTER_CONFIG = "adapter_config.json"
_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_ADAPTER_FILE = "adapter.gguf"
_MIXTURE_CARD, _MIXTURE_GATES, _MIXTURE_EXPERTS = "mixture.json", "gates.safetensors", "experts"
_MODEL_CONFIG = "config.json"  # of a model, as transformers writes it
_WEIGHTS, _OLDER_WEIGHTS = ".safetensors", ".bin"
# A checkout or an unpacked archive gives files the times at which they were written, in any order.
_COPYING = 60.0
# What a model's server needs to find its libraries; never a secret.
_FOR_SERVER = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONUSERBASE",
    "CUDA_VISIBLE_DEVICES",
)


@dataclass(frozen=True, slots=True)
class LocalModel:
    """What a child process serves.

    Attributes:
        name: What reports and recordings call it. That of a file or an adapter of one's own ends with the beginning of
            its sha256, as another one may come to lie at the same place.
        base: The weights: an embedded model's, a GGUF file, or for a mixture a folder of transformers.
        adapter: What is put on them: a GGUF file, or the folder of a mixture; None for nothing.
    """

    name: str
    base: Weights | Path
    adapter: Path | None = None

    @property
    def size(self) -> int:
        """Of its files, in bytes."""
        whole = self.base.size if isinstance(self.base, Weights) else _size(self.base)
        return whole + (_size(self.adapter) if self.adapter else 0)


def is_file_name(model: str) -> bool:
    """Whether the name of a model is the path of a GGUF file."""
    return model.lower().endswith(_SUFFIX)


def is_model_folder(model: str) -> bool:
    """Whether the name of a model is the path of a folder of transformers, which is served with a mixture alone."""
    return weights.find(model) is None and (Path(model) / _MODEL_CONFIG).is_file()


def find_local(model: str | None, adapter: Path | None = None) -> LocalModel | None:
    """The model of a name that runs inside the job; None if it is a name of another kind.

    Args:
        model: An embedded model's name, the path of a GGUF file, or for a mixture that of a folder of transformers;
            None for the model that the adapter says it is for, or else the default one.
        adapter: A GGUF file, the folder of a LoRA adapter that holds one, or the folder of a mixture.

    Raises:
        UsageError: A file is not there or is something else, or the adapter's model is not known here.
    """
    given = None if adapter is None else _adapter(adapter)
    base = _named(model) if adapter is None else _base(model, adapter)
    if base is None:
        return None
    name = base.name if isinstance(base, Weights) else _label(base, _files(base))
    if given is None:
        return LocalModel(name, base)
    return LocalModel(f"{name}+{_label(given, _files(given))}", base, given)


async def open_local(model: LocalModel, environ: Mapping[str, str], progress: Progress) -> EmbeddedModel:
    """Fetch a model that is not there yet, and start it.

    Args:
        model: Which.
        environ: Says where models are kept and how many threads compute.
        progress: Called with the bytes of the file while it is downloaded.

    Raises:
        UsageError: What the environment says is wrong.
        ModelError: It cannot be fetched or started.
    """
    serving = Serving.by(environ)
    path = model.base
    if isinstance(path, Weights):
        path = await asyncio.to_thread(weights.ensure, path, weights.cache_folder(environ), progress)
    env = {name: environ[name] for name in _FOR_SERVER if name in environ}
    return await EmbeddedModel.start(path, name=model.name, env=env, serving=serving, adapter=model.adapter)


def _named(model: str | None) -> Weights | Path | None:
    if model is None:
        return weights.DEFAULT_MODEL
    if (found := weights.find(model)) is not None:
        return found
    if not is_file_name(model):
        return None
    return _gguf(Path(model), "--model")


def _adapter(path: Path) -> Path:
    """What is served of an adapter.

    Raises:
        UsageError: There is none, or it has to be made into a GGUF file first.
    """
    if not path.is_dir():
        return _gguf(path, "--adapter")
    if (path / _MIXTURE_CARD).is_file():
        return path
    made, source = path / _ADAPTER_FILE, path / _ADAPTER_WEIGHTS
    if not source.is_file():
        msg = f"{path} holds no adapter: pass --adapter a GGUF file, or a folder that `llm-testgen tune` or peft wrote"
        raise UsageError(msg)
    how = f"llm-testgen quantize export {path} --base MODEL --out {made}"
    if not made.is_file():
        msg = f"the adapter in {path} has no GGUF file yet, which llama.cpp reads: run `{how}` once"
        raise UsageError(msg)
    if made.stat().st_mtime < source.stat().st_mtime - _COPYING:
        msg = f"{made} is older than the adapter beside it: run `{how} --force`"
        raise UsageError(msg)
    return _gguf(made, "--adapter")


def _base(model: str | None, adapter: Path) -> Weights | Path | None:
    """The model that is asked for, else the one that an adapter was trained on, as far as it says so."""
    is_mixture = (adapter / _MIXTURE_CARD).is_file()
    if model is not None and is_mixture and is_model_folder(model):
        return Path(model)
    if model is not None or not adapter.is_dir():
        return _named(model)
    said = _said_base(adapter)
    # The file of an embedded model may lie elsewhere on this machine than where the adapter was trained.
    ours = next((one for one in weights.EMBEDDED_MODELS if one.file == Path(said).name), None)
    if ours is not None:
        return ours
    if is_mixture and said and Path(said).is_dir():
        return Path(said)
    if is_file_name(said) and Path(said).is_file():
        return _gguf(Path(said), "--model")
    if (named := weights.find(said)) is not None:
        return named
    which = "GGUF file, or a folder that transformers saved it in" if is_mixture else "GGUF file"
    msg = f"the adapter in {adapter} is for {said or 'a model that it does not name'}: pass --model that one's {which}"
    raise UsageError(msg)


def _said_base(folder: Path) -> str:
    """The name of the model that an adapter or a mixture was trained on; empty if it says none."""
    card, key = (_MIXTURE_CARD, "base_model")
    if not (folder / card).is_file():
        card, key = (_ADAPTER_CONFIG, "base_model_name_or_path")
    try:
        said = json.loads((folder / card).read_text(encoding="utf-8"))[key]
    except (OSError, ValueError, LookupError, TypeError):
        return ""
    return said if isinstance(said, str) else ""


def _gguf(path: Path, option: str) -> Path:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}): pass {option} a GGUF file that is there"
        raise UsageError(msg) from error
    if magic != _MAGIC:
        msg = f"{path} is no GGUF file: make one with `llm-testgen quantize export`"
        raise UsageError(msg)
    return path


def _files(path: Path) -> Iterable[Path]:
    """A file, or those of a folder that hold a model or a mixture, in an order of their own."""
    if not path.is_dir():
        return [path]
    # What lies further below, such as checkpoints, is none of what transformers loads.
    places: Iterable[Path] = path.glob("*")
    if (path / _MIXTURE_CARD).is_file():
        # What its training left beside it, such as checkpoints to go on from, is not served.
        places = chain((path / _MIXTURE_CARD, path / _MIXTURE_GATES), (path / _MIXTURE_EXPERTS).rglob("*"))
    found = sorted(each for each in places if each.is_file())
    # As transformers chooses where there are both.
    whole = _WEIGHTS if any(each.suffix == _WEIGHTS for each in found) else _OLDER_WEIGHTS
    return [each for each in found if each.suffix in {whole, ".json"}]


def _size(path: Path) -> int:
    return sum(each.stat().st_size for each in _files(path))


def _label(path: Path, files: Iterable[Path]) -> str:
    """A name of a file or folder with what tells it from another of the same name."""
    digest = hashlib.sha256()
    try:
        for each in files:
            with each.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror})"
        raise UsageError(msg) from error
    own = path if path.name != _ADAPTER_FILE else Path(os.path.abspath(path)).parent  # noqa: PTH100 - links stay
    stem = own.name.removesuffix(_SUFFIX) or own.absolute().name
    return f"{stem}-{digest.hexdigest()[:_DIGITS]}"
