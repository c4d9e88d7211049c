"""Models as transformers keeps them, in a folder or on the hub: their configuration, and weights read row by row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub.errors import StrictDataclassError
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME
from transformers.utils.hub import cached_file

from llm_testgen.errors import UsageError

_MOST_WORDS = 300


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model's weights in safetensors files.

    Attributes:
        name: The folder's or the model's name.
        source: What transformers loads it by.
        config: Its configuration, as transformers has it.
        shapes: Of the weights by name, rows first.
        files: Where each is.
    """

    name: str
    source: str
    config: Any
    shapes: Mapping[str, tuple[int, ...]]
    files: Mapping[str, Path]

    def rows(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        """Rows of a weight from one number up to another, in float32."""
        with safe_open(self.files[name], framework="pt") as file:
            return np.asarray(file.get_slice(name)[start:stop].float().numpy(), np.float32)


def open_checkpoint(source: str) -> Checkpoint:
    """Find a model's configuration and weights.

    Args:
        source: A folder, or a name on the hub, which is downloaded.

    Raises:
        UsageError: It is neither, or holds no weights that can be read without running its code.
    """
    config = load_config(source)
    if getattr(config, "quantization_config", None):
        msg = f"the weights of {source} are quantised for transformers: name the model that they were made from"
        raise UsageError(msg)
    shapes: dict[str, tuple[int, ...]] = {}
    files: dict[str, Path] = {}
    for path in _weight_files(source):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - no mapping
                    shapes[name] = tuple(file.get_slice(name).get_shape())
                    files[name] = path
        except (SafetensorError, OSError) as error:
            msg = f"{path} is damaged ({_words(error)}): download or save the model anew"
            raise UsageError(msg) from error
    if not shapes:
        msg = f"{source} holds no weights: save the model with save_pretrained"
        raise UsageError(msg)
    return Checkpoint(Path(source).name, source, config, shapes, files)


def load_config(source: str) -> Any:  # noqa: ANN401 - each kind of model has its own class
    """A model's configuration.

    Raises:
        UsageError: There is no such model, or its configuration contradicts itself.
    """
    try:
        return AutoConfig.from_pretrained(source)
    except (OSError, ValueError, KeyError, TypeError, StrictDataclassError) as error:
        msg = f"{source} is no GGUF file, and transformers loads no model from it or the hub: {_words(error)}"
        raise UsageError(msg) from error


def _weight_files(source: str) -> list[Path]:
    try:
        whole = cached_file(source, SAFE_WEIGHTS_NAME, _raise_exceptions_for_missing_entries=False)
        if whole is not None:
            return [Path(whole)]
        index = cached_file(source, SAFE_WEIGHTS_INDEX_NAME, _raise_exceptions_for_missing_entries=False)
        if index is None:
            msg = f"{source} has no weights as safetensors: load the model with transformers and save_pretrained it"
            raise UsageError(msg)
        parts = sorted(set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values()))
        return [Path(cached_file(source, part) or "") for part in parts]
    except (OSError, ValueError, KeyError) as error:
        msg = f"the weights of {source} cannot be had: {_words(error)}"
        raise UsageError(msg) from error


def load_tokenizer(source: str) -> Any:  # noqa: ANN401 - transformers decides by its files which class it is
    """A model's tokenizer.

    Raises:
        UsageError: It has none that transformers can load.
    """
    try:
        return AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        msg = (
            f"{source} has no tokenizer that transformers can load ({_words(error)}): save one beside the weights, or "
            "pass --tokenizer a GGUF file of the same model"
        )
        raise UsageError(msg) from error


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:_MOST_WORDS]
