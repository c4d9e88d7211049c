"""``llm-testgen models``: the embedded models, and the choice of a model for a run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from llm_testgen.edges import weights
from llm_testgen.edges.local import find_local, is_file_name, is_model_folder, open_local
from llm_testgen.edges.models import HubModel, Model, Service
from llm_testgen.edges.replay import Recorder, ReplayModel
from llm_testgen.errors import UsageError


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What a command line says about the model.

    Attributes:
        model: An embedded model's name, the path of a GGUF file, or a model id of the hub or of the endpoint; for a
            mixture also the path of a folder of transformers.
        endpoint: URL of an OpenAI-compatible server.
        replay: Recorded replies to give in place of a model's.
        record: Where to write the replies.
        adapter: What is put on a model that runs inside the job.
    """

    model: str | None = None
    endpoint: str | None = None
    replay: Path | None = None
    record: Path | None = None
    adapter: Path | None = None

    @property
    def embedded(self) -> weights.Weights | None:
        """The model that runs inside the job, by the engine of the extra ``local``; None for one elsewhere."""
        if self.endpoint is not None or self.replay is not None:
            return None
        return weights.DEFAULT_MODEL if self.model is None else weights.find(self.model)

    @property
    def runs_inside(self) -> bool:
        """Whether the model runs inside the job, be it an embedded one or a file of one's own."""
        if self.endpoint is not None or self.replay is not None:
            return False
        model = self.model or ""
        return self.embedded is not None or is_file_name(model) or (self.adapter is not None and is_model_folder(model))


async def open_model(
    options: ModelOptions,
    environ: Mapping[str, str],
    progress: weights.Progress,
    remember: Callable[[Model], Model] = lambda model: model,
) -> Model:
    """Make the model that the options name; the embedded default if they name none.

    Args:
        options: What was asked for.
        environ: Where the keys and the cache's place are read from.
        progress: Called with the bytes of an embedded model's file while it is downloaded.
        remember: Put around a model that costs something, so that it is not asked twice; what it gives is recorded.

    Raises:
        UsageError: The options contradict each other, a key is missing, or a file cannot be used.
        ModelError: The embedded model cannot be fetched or started.
    """
    _refuse_contradictions(options)
    model = await _open(options, environ, progress)
    if options.replay is None:
        model = remember(model)
    if options.record is None:
        return model
    try:
        return Recorder(model, options.record)
    except UsageError:
        await model.close()
        raise


def _refuse_contradictions(options: ModelOptions) -> None:
    if options.adapter is not None and options.endpoint is not None:
        message = (
            "--adapter is put on a model that runs inside the job; a server puts it on by itself: start it with the "
            "adapter (vllm serve MODEL --enable-lora --lora-modules NAME=FOLDER) and pass --model NAME"
        )
        raise UsageError(message)
    if options.replay is None:
        return
    for name, value in (
        ("--model", options.model),
        ("--endpoint", options.endpoint),
        ("--adapter", options.adapter),
    ):
        if value is not None:
            message = f"--replay answers in place of a model: leave {name} out, or --replay"
            raise UsageError(message)
    if options.record is not None and options.record.absolute() == options.replay.absolute():
        message = f"--record would write over {options.replay}, which --replay reads: give it another file"
        raise UsageError(message)


async def _open(options: ModelOptions, environ: Mapping[str, str], progress: weights.Progress) -> Model:
    if options.replay is not None:
        return ReplayModel.from_file(options.replay)
    if options.endpoint is not None:
        key = environ.get("LLM_API_KEY", "").strip()
        return HubModel(Service(options.model or "", options.endpoint.strip(), key))
    local = await asyncio.to_thread(find_local, options.model, options.adapter)
    if local is not None:
        return await open_local(local, environ, progress)
    if options.adapter is not None:
        message = (
            f"--adapter is put on a model that runs inside the job: {options.model} is none; pass a GGUF file, or for "
            "a mixture a folder with a model of transformers"
        )
        raise UsageError(message)
    return HubModel(Service(options.model or "", key=_hub_token(options.model or "", environ)))


def _hub_token(model: str, environ: Mapping[str, str]) -> str:
    token = environ.get("HF_TOKEN", "").strip()
    if not token:
        message = (
            f"{model} is asked through Hugging Face Inference Providers, which need HF_TOKEN: make a token on "
            "https://huggingface.co/settings/tokens, or leave --model out for the embedded model"
        )
        raise UsageError(message)
    return token


@click.group("models", invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the embedded models, which run inside the job with no key and no server."""
    if context.invoked_subcommand is not None:
        return
    cache = weights.cache_folder(os.environ)
    table = Table(box=None, pad_edge=False, show_header=True, header_style="bold")
    for heading in ("model", "size", "licence", "cached"):
        table.add_column(heading, overflow="fold")
    for model in weights.EMBEDDED_MODELS:
        size = f"{model.size / 1e6:,.0f} MB"
        state = "yes" if weights.cached(model, cache) else "no"
        table.add_row(model.name, size, model.licence, state)
    console = Console()
    console.print(table)
    console.print(f"cache: {cache}", soft_wrap=True, highlight=False, markup=False)
    console.print(f"default: {weights.DEFAULT_MODEL.name}", highlight=False)


@models.command("fetch")
@click.argument("name", required=False)
def fetch(name: str | None) -> None:
    """Download an embedded model, the default one if none is named, and verify it, so that no run needs to."""
    model = weights.DEFAULT_MODEL if name is None else weights.find(name)
    if model is None:
        known = ", ".join(known.name for known in weights.EMBEDDED_MODELS)
        message = f"{name} is no embedded model: name one of {known}"
        raise UsageError(message)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        task = bars.add_task(model.name, total=model.size)
        path = weights.ensure(
            model, weights.cache_folder(os.environ), lambda done, _: bars.update(task, completed=done)
        )
        bars.update(task, completed=model.size)
    click.echo(path)
