"""The real model behind a recording: an embedded one, or one behind a server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from llm_testgen.edges import weights
from llm_testgen.edges.embedded import EmbeddedModel, Serving
from llm_testgen.edges.models import HubModel, Model, Service
from llm_testgen.errors import UsageError

# What an embedded model's server needs to find its libraries; never a secret.
_FOR_SERVER = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model to ask.

    Attributes:
        name: An embedded model's name, or the endpoint's name for one; None for the default one.
        endpoint: URL of an OpenAI-compatible server.
    """

    name: str | None = None
    endpoint: str | None = None


async def open_live(choice: ModelChoice, environ: Mapping[str, str]) -> Model:
    """Make the model.

    Raises:
        UsageError: There is no such embedded model.
        ModelError: It cannot be fetched or started.
    """
    if choice.endpoint is not None:
        return HubModel(Service(choice.name or "", choice.endpoint.strip(), environ.get("LLM_API_KEY", "").strip()))
    chosen = weights.DEFAULT_MODEL if choice.name is None else weights.find(choice.name)
    if chosen is None:
        known = ", ".join(model.name for model in weights.EMBEDDED_MODELS)
        msg = f"{choice.name} is no embedded model: name one of {known}, or pass --endpoint"
        raise UsageError(msg)
    path = await asyncio.to_thread(weights.ensure, chosen, weights.cache_folder(environ), lambda *_: None)
    env = {name: environ[name] for name in _FOR_SERVER if name in environ}
    return await EmbeddedModel.start(path, name=chosen.name, env=env, serving=Serving.by(environ))
