"""``llm-testgen tune lora``, ``mole``, ``adamole`` and ``merge``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from llm_testgen.errors import UsageError
from llm_testgen.tuning.embedded import file_of
from llm_testgen.tuning.mixtures.config import AdaMoLEConfig, GateScope, MoLEConfig, MoLEGate, Selection
from llm_testgen.tuning.quantising.cli import ExportOptions, require_extra, run_export
from llm_testgen.tuning.training.settings import ALL_LINEAR, ATTENTION, PRESETS, Precision, TooLong

if TYPE_CHECKING:
    from llm_testgen.tuning.training.preparing import Request
    from llm_testgen.tuning.training.runs import RunCard
    from llm_testgen.tuning.training.watching import Told

ADAPTER_FILE = "adapter.gguf"
_LIBRARIES = ("torch", "transformers", "peft", "accelerate", "safetensors", "matplotlib")
_TYPES = ("f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q5_1", "q5_0", "q4_k_m", "q4_1", "q4_0")
_NUMBER, _WHOLE = click.FLOAT, click.INT


def _setting(flag: str, kind: Any, told: str, **more: Any) -> Callable[..., Any]:  # noqa: ANN401 - click's types
    """An option that changes one of the settings; the default is the preset's."""
    return click.option(flag, type=kind, help=told, **more)


_SETTINGS = (
    _setting("--rank", _WHOLE, "Of LoRA's matrices.", metavar="R"),
    _setting("--alpha", _NUMBER, "What LoRA adds is scaled by alpha / rank.", metavar="A"),
    _setting("--dropout", _NUMBER, "Share of LoRA's input that is dropped.", metavar="P"),
    _setting("--targets", str, f"Layers to adapt: {ATTENTION}, {ALL_LINEAR}, or names with commas.", metavar="NAMES"),
    _setting("--learning-rate", _NUMBER, "The highest one.", metavar="RATE"),
    _setting("--warmup", _NUMBER, "Share of the training in which the rate rises.", metavar="P"),
    _setting("--batch", _WHOLE, "Examples that a device computes together.", metavar="N"),
    _setting("--accumulation", _WHOLE, "Batches of one step.", metavar="N"),
    _setting("--gradient-norm", _NUMBER, "What gradients are clipped to.", metavar="X"),
    _setting("--steps", _WHOLE, "At most; 0 for as many as the epochs have.", metavar="N"),
    _setting("--epochs", _NUMBER, "Passes through the data at most, without --steps.", metavar="N"),
    _setting("--length", _WHOLE, "Tokens of an example.", metavar="N"),
    _setting("--too-long", click.Choice([one.value for one in TooLong]), "What becomes of longer examples."),
    _setting("--grouped/--not-grouped", None, "Whether examples of like length come together.", default=None),
    _setting("--precision", click.Choice([one.value for one in Precision]), "Of the weights that are not trained."),
    _setting("--load-bits", click.Choice(["16", "8", "4"]), "To load the model in 8 or 4 bits, on a GPU."),
    _setting(
        "--checkpointing/--no-checkpointing", None, "Compute activations anew: less memory, more time.", default=None
    ),
    _setting("--evaluate-every", _WHOLE, "Steps between evaluations.", metavar="N"),
    _setting("--validation", _WHOLE, "Examples that are evaluated, at most.", metavar="N"),
    _setting("--patience", _WHOLE, "Evaluations without a better loss before it stops; 0 for all.", metavar="N"),
    _setting("--minutes", _NUMBER, "How long it may take in all; 0 for no bound.", metavar="N"),
    _setting("--seed", _WHOLE, "Of all that is random.", metavar="N"),
)


def _run_options(command: Callable[..., None]) -> Callable[..., None]:
    own = (
        click.option(
            "--data",
            metavar="DIR|FILE",
            type=click.Path(path_type=Path),
            required=True,
            help="What `tune data join` wrote, or a file of such lines, without validation.",
        ),
        click.option(
            "--out",
            metavar="DIR",
            type=click.Path(path_type=Path),
            required=True,
            help="The run's folder, new or empty.",
        ),
        click.option("--preset", type=click.Choice(list(PRESETS)), help="Of the settings below.  [default: cpu]"),
        click.option("--resume", is_flag=True, help="Go on with the run in --out, exactly as it would have."),
    )
    for option in reversed((*own, *_SETTINGS)):
        command = option(command)
    return command


@click.command("lora")
@click.argument("model")
@_run_options
@click.option("--export-gguf", is_flag=True, help=f"Write the adapter for llama.cpp too, as {ADAPTER_FILE}.")
def lora(  # noqa: PLR0913 - one parameter for each option
    *, model: str, data: Path, out: Path, preset: str | None, resume: bool, export_gguf: bool, **changes: object
) -> None:
    """Train a LoRA adapter for MODEL: an embedded model, a name on the hub, a folder, or a GGUF file.

    GGUF files are dequantised. The loss is on the answers alone, without what our prompts begin them with. It stops at
    --minutes, at Ctrl-C, or when the validation loss falls no more, and the best adapter is kept.

    Several GPUs: accelerate launch -m llm_testgen tune lora …
    """
    require_extra(*_LIBRARIES, *(("gguf", "numpy") if export_gguf else ()))
    from llm_testgen.tuning.training.preparing import Request  # noqa: PLC0415 - an extra

    console = Console(emoji=False)
    model = file_of(model, console)
    card = run_training(Request(model, data, out, preset, _changes(changes), resume=resume), console)
    if export_gguf and card is not None:
        try:
            run_export(ExportOptions(str(out), out / ADAPTER_FILE, base=card.model, force=True), console)
        except UsageError as error:
            msg = f"the adapter is in {out}, but its GGUF file cannot be made: {error}"
            raise UsageError(msg) from error


@click.command("mole")
@click.argument("model")
@click.option(
    "--adapter",
    "adapters",
    metavar="DIR",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A trained LoRA adapter, an expert; again for more.",
)
@click.option("--any-base", is_flag=True, help="Take adapters that say they are for a model of another name.")
@_run_options
@click.option("--gate", type=click.Choice([one.value for one in MoLEGate]), default=MoLEGate.OUTPUTS.value)
@click.option("--scope", type=click.Choice([one.value for one in GateScope]), default=GateScope.LAYER.value)
@click.option("--temperature", type=float, default=1.0, show_default=True, help="Of the gates' softmax, at the start.")
@click.option("--balance", type=float, default=0.01, show_default=True, help="Weight of the balance loss.")
def mole(  # noqa: PLR0913 - one parameter for each option
    *,
    model: str,
    adapters: tuple[Path, ...],
    any_base: bool,
    data: Path,
    out: Path,
    preset: str | None,
    resume: bool,
    gate: str,
    scope: str,
    temperature: float,
    balance: float,
    **changes: object,
) -> None:
    """Train a mixture of LoRA experts (MoLE) for MODEL: adapters that are trained already, and a gate that weighs them.

    Wu, Huang and Wei, Mixture of LoRA Experts (2024). Only the gates learn.
    """
    require_extra(*_LIBRARIES)
    from llm_testgen.tuning.training.preparing import Request  # noqa: PLC0415 - an extra

    mixture = MoLEConfig(gate=MoLEGate(gate), scope=GateScope(scope), temperature=temperature, balance=balance)
    console = Console(emoji=False)
    model = file_of(model, console)
    run_training(Request(model, data, out, preset, _changes(changes), resume, mixture, adapters, any_base), console)


@click.command("adamole")
@click.argument("model")
@_run_options
@click.option("--experts", type=int, default=4, show_default=True, help="Of each layer.")
@click.option(
    "--selection",
    type=click.Choice([one.value for one in Selection]),
    default=Selection.ADAPTIVE.value,
    show_default=True,
    help="By a threshold learned for each token, by a fixed one, or a fixed number of experts.",
)
@click.option("--threshold", type=float, help="The highest one, or the fixed one.  [default: 1 / experts]")
@click.option("--top-k", type=int, default=2, show_default=True, help="Experts of a token, with --selection top-k.")
@click.option("--balance", type=float, default=0.01, show_default=True, help="Weight of the balance loss.")
def adamole(  # noqa: PLR0913 - one parameter for each option
    *,
    model: str,
    data: Path,
    out: Path,
    preset: str | None,
    resume: bool,
    experts: int,
    selection: str,
    threshold: float | None,
    top_k: int,
    balance: float,
    **changes: object,
) -> None:
    """Train a mixture of LoRA experts with an adaptive threshold (AdaMoLE) for MODEL: experts and gates learn together.

    Liu and Luo, AdaMoLE (2024). --rank, --alpha, --dropout and --targets are those of each expert.
    """
    require_extra(*_LIBRARIES)
    from llm_testgen.tuning.training.preparing import Request  # noqa: PLC0415 - an extra

    mixture = AdaMoLEConfig(
        experts=experts, selection=Selection(selection), threshold=threshold, top_k=top_k, balance=balance
    )
    console = Console(emoji=False)
    model = file_of(model, console)
    run_training(Request(model, data, out, preset, _changes(changes), resume=resume, mixture=mixture), console)


@click.command("merge")
@click.argument("adapter", type=click.Path(path_type=Path))
@click.option("--out", metavar="DIR", required=True, type=click.Path(path_type=Path), help="The new model's folder.")
@click.option("--base", metavar="MODEL", help="The model that it is for; the default is what the adapter itself says.")
@click.option("--gguf", metavar="FILE", type=click.Path(path_type=Path), help="Write it as a GGUF file too.")
@click.option(
    "--type", "kind", type=click.Choice(_TYPES), default="q8_0", show_default=True, help="Of the GGUF file's weights."
)
def merge(*, adapter: Path, out: Path, base: str | None, gguf: Path | None, kind: str) -> None:
    """Put the LoRA adapter in the folder ADAPTER into its model's weights, and save that model."""
    require_extra(*_LIBRARIES, *(("gguf", "numpy") if gguf else ()))
    from llm_testgen.tuning.training import merging, running  # noqa: PLC0415 - an extra

    console = Console(emoji=False)
    running.quieten()
    model = merging.base_of(adapter, base and file_of(base, console))
    merging.require_new(out)
    if gguf is not None:
        _require_new_file(gguf, out)
    with console.status(f"merging {adapter} into {model}"):
        merging.merge(adapter, model, out)
    console.print(f"{out}: {model} with the adapter of {adapter}", highlight=False, markup=False, soft_wrap=True)
    if gguf is not None:
        # A GGUF file's own tokenizer is copied as it is.
        tokenizer = Path(model) if Path(model).is_file() else None
        run_export(ExportOptions(str(out), gguf, kind, tokenizer), console)


def _require_new_file(gguf: Path, out: Path) -> None:
    """See that a file can be made once all else has been done.

    Raises:
        UsageError: It cannot.
    """
    folder = gguf.absolute().parent
    if gguf.exists():
        msg = f"{gguf} is there already: pass another --gguf"
        raise UsageError(msg)
    if not folder.is_dir() and folder != out.absolute():
        msg = f"the folder {folder} is not there: make it, or pass another --gguf"
        raise UsageError(msg)


def run_training(request: Request, console: Console) -> RunCard | None:
    """Check, train, and tell how it goes.

    Args:
        request: What was asked for.
        console: Where that is told.

    Returns:
        What the run was and how it ended, in the process that writes; None in others.

    Raises:
        UsageError: Something about the request or the machine; the message says what to do.
        KeyboardInterrupt: It was interrupted; what to type to go on has been told.
    """
    from llm_testgen.tuning.training import devices, preparing, running  # noqa: PLC0415 - an extra

    running.quieten()
    first = devices.is_first()
    quiet = console if first else Console(quiet=True)
    with quiet.status("reading the data and the model"):
        prepared = preparing.prepare(request)
    _print(quiet, _announced(prepared.card, str(prepared.memory)))
    errors = Console(stderr=True, emoji=False, quiet=not first)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f}"))
    with Progress(*columns, TextColumn("{task.fields[said]}"), console=errors, transient=True) as bars:
        task = bars.add_task("training", total=prepared.card.steps, said="loading")

        def tell(told: Told) -> None:
            bars.update(task, completed=told.step, said=_figures(told))
            if told.validation is not None:
                _print(errors, f"step {told.step}: {_figures(told)}")

        def stopping() -> None:
            _print(errors, "this step is finished and saved; Ctrl-C once more ends at once")

        ended = running.train(prepared, tell, stopping)
    if not ended.saved:
        _print(errors, f"a checkpoint is kept; to go on, type: {_again()}")
        raise KeyboardInterrupt
    if not first:
        return None
    for line in _said(ended.card, request.out, go_on=ended.can_go_on):
        _print(console, line)
    return ended.card


def _changes(given: Mapping[str, object]) -> dict[str, object]:
    changes = dict(given)
    targets = changes.get("targets")
    if isinstance(targets, str) and targets not in {ATTENTION, ALL_LINEAR}:
        changes["targets"] = tuple(name.strip() for name in targets.split(",") if name.strip())
    if isinstance(changes.get("load_bits"), str):
        changes["load_bits"] = int(str(changes["load_bits"]))
    return changes


def _announced(card: RunCard, memory: str) -> str:
    data = card.data
    others = "".join(f", {number:,} {reason}" for reason, number in data.others.items())
    until = f" or {card.settings.minutes:g} minutes" if card.settings.minutes else ""
    return (
        f"{data.train:,} examples of {data.tokens:,} tokens to learn from, {data.validation:,} to evaluate{others}\n"
        f"{card.trained:,} parameters to train, at most {card.steps:,} steps{until}; memory about {memory}"
    )


def _figures(told: Told) -> str:
    said = [] if told.loss is None else [f"loss {told.loss:.3f}"]
    if told.validation is not None:
        said.append(f"validation {told.validation:.3f}{' (the best)' if told.better else ''}")
    if told.left is not None:
        said.append(f"{told.left / 60:.0f} min left" if told.left >= 60 else f"{told.left:.0f} s left")  # noqa: PLR2004
    return ", ".join(said)


def _said(card: RunCard, out: Path, *, go_on: bool) -> list[str]:
    outcome = card.outcome
    if outcome is None:
        return []
    peak = f"{outcome.peak_memory / 1e9:.1f} GB of memory at most"
    lines = [f"{outcome.reason}: {outcome.steps:,} steps in {outcome.seconds / 60:.1f} min, {peak}"]
    if outcome.validation_loss is not None and outcome.loss_before is not None:
        lines.append(
            f"validation loss {outcome.loss_before:.3f} before, {outcome.validation_loss:.3f} after step "
            f"{outcome.kept_step:,}, which is kept"
        )
        if outcome.validation_loss >= outcome.loss_before:
            lines.append("that is no better than the model alone: train on other data, or with a lower --learning-rate")
    lines.append(
        f"{out}: the {'adapter' if card.kind == 'lora' else 'mixture'}, training.json, metrics.jsonl, loss.png"
    )
    if go_on:
        lines.append(f"it can go on: {_again()} --minutes N, with more than {card.settings.minutes:g}")
    return lines


def _again() -> str:
    typed = [one for one in sys.argv[1:] if one != "--resume"]
    return shlex.join(["llm-testgen", *typed, "--resume"])


def _print(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
