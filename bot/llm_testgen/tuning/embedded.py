"""Embedded models by their names, wherever a command of this package takes a model."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console

from llm_testgen.edges import weights


def file_of(model: str, console: Console) -> str:
    """The GGUF file of an embedded model, fetched if it is not there yet; what is no such name stays as it is.

    Raises:
        ModelError: The file cannot be fetched.
    """
    found = weights.find(model)
    if found is None or Path(model).exists():
        return model
    with console.status(f"fetching {found.name}"):
        return str(weights.ensure(found, weights.cache_folder(os.environ), lambda *_: None))
