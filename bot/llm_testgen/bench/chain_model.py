"""The real model behind a recording: an embedded one, or one behind a server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_testgen.edges import weights
from llm_testgen.edges.local import LocalModel, find_local, open_local
from llm_testgen.edges.models import HubModel, Model, Service
from llm_testgen.errors import UsageError


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model to ask.

    Attributes:
        name: An embedded model's name, the path of a GGUF file, or the endpoint's name for one; None for the default
            one.
        endpoint: URL of an OpenAI-compatible server.
        at_once: Requests to it at one time.
    """

    name: str | None = None
    endpoint: str | None = None
    at_once: int = 4


async def open_live(choice: ModelChoice, environ: Mapping[str, str]) -> Model:
    """Make the model.

    Raises:
        UsageError: There is no such model inside the job.
        ModelError: It cannot be fetched or started.
    """
    if choice.endpoint is not None:
        service = Service(choice.name or "", choice.endpoint.strip(), environ.get("LLM_API_KEY", "").strip())
        return HubModel(service, concurrency=choice.at_once)
    local = await asyncio.to_thread(inside, choice.name)
    return await open_local(local, environ, lambda *_: None)


def inside(name: str | None, adapter: Path | None = None) -> LocalModel:
    """The model of a name that runs inside the job, with an adapter.

    Raises:
        UsageError: There is none of that name, or no such adapter.
    """
    local = find_local(name, adapter)
    if local is None:
        known = ", ".join(model.name for model in weights.EMBEDDED_MODELS)
        more = "pass --endpoint" if adapter is None else "for a mixture a folder with a model of transformers"
        msg = f"{name} is no embedded model: name one of {known} or a GGUF file, or {more}"
        raise UsageError(msg)
    return local
