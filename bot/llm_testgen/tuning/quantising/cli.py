"""``llm-testgen quantize``: what quantisation costs in accuracy, and models and adapters as GGUF files."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from llm_testgen import __version__
from llm_testgen.errors import UsageError
from llm_testgen.tuning.embedded import file_of

_BITS = ("2", "3", "4", "5", "6", "7", "8")
_MEASURES = ("median", "mean", "norm")
_TYPES = ("f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q5_1", "q5_0", "q4_k_m", "q4_1", "q4_0")
_LIBRARIES = ("numpy", "gguf", "torch", "safetensors", "transformers")
RESULTS = "study.json"
PAGE = "study.md"


def require_extra(*names: str) -> None:
    """See that libraries of the extra are there.

    Raises:
        UsageError: One is not.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            msg = f"this needs {name}, which comes with an extra: pip install 'llm-testgen[tune]'"
            raise UsageError(msg) from error


@click.group("quantize", no_args_is_help=True)
def quantize() -> None:
    """Measure what quantising numbers costs, or write a model or an adapter as a GGUF file."""


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """What was asked for.

    Attributes:
        model: Whose weights are looked at too; None for random numbers alone.
        out: The folder of the results.
        bits: Of an integer.
        measure: Which figure is printed and drawn.
        markdown: Whether a page of Markdown is written too.
        seeds: Draws of each random source.
        sample: At most so many numbers of each weight.
    """

    model: str | None
    out: Path
    bits: tuple[int, ...]
    measure: str
    markdown: bool
    seeds: int
    sample: int


@quantize.command("study")
@click.argument("model", required=False)
@click.option(
    "--out",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where results and plots go.",
)
@click.option("--bits", type=click.Choice(_BITS), multiple=True, help="Only this many bits; repeatable.")
@click.option(
    "--measure",
    type=click.Choice(_MEASURES),
    default="median",
    show_default=True,
    help="What is printed and drawn: of the relative errors, or the norm of all errors over that of all numbers.",
)
@click.option("--markdown", is_flag=True, help=f"Write all figures as a page too, {PAGE}.")
@click.option("--seeds", type=click.IntRange(1, 10_000), default=40, show_default=True, help="Random draws.")
@click.option(
    "--sample",
    metavar="N",
    type=click.IntRange(1),
    default=16_384,
    show_default=True,
    help="At most so many numbers of each weight, in whole rows.",
)
def study(  # noqa: PLR0913 - one parameter an option
    *, model: str | None, out: Path, bits: tuple[str, ...], measure: str, markdown: bool, seeds: int, sample: int
) -> None:
    """Quantise random numbers and the weights of MODEL in all ways, and show how far they come back.

    MODEL is an embedded model, a GGUF file, a folder of transformers or a name on the hub.
    """
    require_extra("numpy", "matplotlib", "gguf")
    chosen = tuple(sorted({int(one) for one in bits or _BITS}))
    run_study(StudyOptions(model, out, chosen, measure, markdown, seeds, sample), Console(emoji=False))


def run_study(options: StudyOptions, console: Console) -> None:
    """Measure, print the tables, and write results and plots.

    Raises:
        UsageError: The model cannot be read, or the folder cannot be written.
    """
    from llm_testgen.tuning.quantising import plots, sources, tables  # noqa: PLC0415 - an extra
    from llm_testgen.tuning.quantising import study as measuring  # noqa: PLC0415

    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{options.out} cannot be made ({error.strerror}): pass another --out"
        raise UsageError(msg) from error
    if not os.access(options.out, os.W_OK):
        msg = f"{options.out} cannot be written to: pass another --out"
        raise UsageError(msg)
    looked_at = measuring.random_sources(options.seeds)
    note = ""
    model = options.model and file_of(options.model, console)
    if model is not None:
        if not Path(model).is_file():
            require_extra(*_LIBRARIES)
        with console.status(f"reading {model}"):
            found, note = sources.weight_sources(model, options.sample)
        looked_at += found
    groups = measuring.GROUPS
    with _bar("quantising", measuring.count(looked_at, options.bits, groups), counted=False) as advance:
        rows = tuple(measuring.study(looked_at, options.bits, groups, lambda: advance(1)))
    result = measuring.Study(
        tool=__version__,
        model="" if options.model is None else Path(options.model).name,
        note=note,
        sample=options.sample,
        seeds=options.seeds,
        rows=rows,
    )
    measure = tables.Measure(options.measure)
    tables.print_study(console, result, measure)
    written = [_text(options.out / RESULTS, result.model_dump_json(indent=1) + "\n")]
    if options.markdown:
        written.append(_text(options.out / PAGE, tables.page(result)))
    written += plots.draw(result, measure, options.out)
    console.print(
        f"written: {', '.join(path.name for path in written)} in {options.out}", highlight=False, markup=False
    )


def _text(path: Path, text: str) -> Path:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"{path} cannot be written ({error.strerror}): pass another --out"
        raise UsageError(msg) from error
    return path


@contextmanager
def _bar(what: str, total: int, *, counted: bool) -> Iterator[Callable[[int], None]]:
    columns = [TextColumn("{task.description}"), BarColumn(), *([DownloadColumn()] if counted else [])]
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield lambda done: bars.update(task, advance=done)


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What was asked for.

    Attributes:
        model: A folder or name of transformers, a GGUF file, or the folder of an adapter.
        out: The file.
        type: Of the weights; None for q8_0, or f16 for an adapter.
        tokenizer: A GGUF file whose tokenizer and chat template are taken; None for the model's own.
        base: What an adapter is for; None for what it says itself.
        force: Whether a file that is there is written over.
    """

    model: str
    out: Path
    type: str | None = None
    tokenizer: Path | None = None
    base: str | None = None
    force: bool = False


@quantize.command("export")
@click.argument("model")
@click.option("--out", metavar="FILE", required=True, type=click.Path(path_type=Path), help="The GGUF file to write.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(_TYPES, case_sensitive=False),
    help="Of the weights; q8_0 by default, and f16 for an adapter, which may be f32 or bf16 too.",
)
@click.option(
    "--tokenizer",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A GGUF file of the same model, to take the tokenizer and the chat template from.",
)
@click.option("--base", metavar="MODEL", help="The model that an adapter is for; the default is what it says itself.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def export(  # noqa: PLR0913 - one parameter an option
    *, model: str, out: Path, kind: str | None, tokenizer: Path | None, base: str | None, force: bool
) -> None:
    """Write MODEL as a GGUF file, which the embedded model's server and llama.cpp read.

    MODEL is a folder of transformers or a name on the hub (Llama or Qwen2), a GGUF file, whose weights are quantised
    anew, or the folder of a LoRA adapter. The K types (q4_k_m and its like) are made by llama.cpp itself, which the
    extra "local" has.
    """
    console = Console(emoji=False)
    model, base = file_of(model, console), base and file_of(base, console)
    options = ExportOptions(model, out, kind, tokenizer, base, force)
    require_extra(*(("numpy", "gguf") if Path(model).is_file() else _LIBRARIES))
    run_export(options, console)


def run_export(options: ExportOptions, console: Console) -> None:
    """Write the file, and say what it is.

    Raises:
        UsageError: Something about the model, the adapter or the file; the message says what to do.
    """
    from llm_testgen.tuning.quantising import exporting, files  # noqa: PLC0415 - an extra

    sources = tuple(Path(one) for one in (options.model, options.tokenizer, options.base) if one is not None)
    files.refuse_output(options.out, force=options.force, sources=sources)
    with console.status(f"reading {options.model}"):
        plan = exporting.plan(options.model, options.type, options.tokenizer, options.base)
    with _bar("writing", plan.size, counted=True) as advance:
        size = exporting.carry_out(plan, options.out, advance)
    line = f"{options.out}: {plan.what}, {size / 1e6:,.1f} MB"
    if plan.numbers:
        line += f", {8 * plan.size / plan.numbers:.2f} bits a weight"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    if plan.note:
        console.print(plan.note, highlight=False, markup=False)
