"""``llm-testgen bench pull-requests``, and a subcommand for each experiment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from llm_testgen.bench import exchanges
from llm_testgen.bench import options as shared
from llm_testgen.bench.cases import MOST_METHODS, Split
from llm_testgen.bench.chain_report import write_text
from llm_testgen.bench.pulls import arms as every
from llm_testgen.bench.pulls import recorded
from llm_testgen.bench.pulls.claims import claims_table
from llm_testgen.bench.pulls.estimates import require_statistics
from llm_testgen.bench.pulls.experiments import EXPERIMENTS, Experiment
from llm_testgen.bench.pulls.model_tables import model_tables, on_shared_cases
from llm_testgen.bench.pulls.page import experiment_page, main_page
from llm_testgen.bench.pulls.plots import draw, require_matplotlib
from llm_testgen.bench.pulls.run import (
    EXCHANGES,
    REPLIES,
    SERVING,
    Found,
    PullOptions,
    print_tables,
    remarks,
    run_pulls,
)
from llm_testgen.bench.pulls.serving import RECORDED as SERVED
from llm_testgen.bench.pulls.serving import serving_table
from llm_testgen.bench.pulls.tables import (
    Table,
    cost_table,
    difference_table,
    experiment_table,
    funnel_table,
    human_rows,
    main_table,
)
from llm_testgen.errors import UsageError
from llm_testgen.interrupts import run_interruptibly
from llm_testgen.runner.sandbox import Policy

EXIT_INCOMPLETE = 1
_COMMAND = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where results go besides the terminal; None for nowhere."""

    markdown: Path | None
    plots: Path | None
    pack: Path | None


_OPTIONS = (
    click.option("--cases", metavar="NAME", multiple=True, help="Only this case or project; may be repeated."),
    click.option("--split", type=click.Choice([split.value for split in Split]), help="Only the cases of this split."),
    click.option("--most", metavar="N", type=click.IntRange(1), help="Cases at most, projects in turn."),
    click.option("--model", "models", metavar="NAME", multiple=True, help="A model, or a GGUF file; may be repeated."),
    click.option(
        "--adapter",
        "adapters",
        metavar="PATH",
        multiple=True,
        type=click.Path(path_type=Path),
        help="What was tuned, put on the first model and compared with it; may be repeated.",
    ),
    click.option("--endpoint", metavar="URL", help="OpenAI-compatible server that has the models."),
    click.option("--ask", is_flag=True, help="Ask the models for what the recording lacks; otherwise none is asked."),
    click.option("--seed", metavar="N", type=int, default=0, show_default=True, help="By which methods are chosen."),
    click.option(
        "--methods",
        metavar="N",
        type=click.IntRange(1, MOST_METHODS),
        default=MOST_METHODS,
        show_default=True,
        help="Methods of a case at most.",
    ),
    click.option(
        "--at-once",
        metavar="N",
        type=click.IntRange(1, 256),
        default=1,
        show_default=True,
        help="Cases that are worked on at once, by a server that answers several prompts at once.",
    ),
    click.option(
        "--workers",
        metavar="N",
        type=click.IntRange(1, 256),
        help="Tests at once, of all cases; by default one a core.",
    ),
    shared.python,
    shared.sandbox,
    shared.work,
    click.option(
        "--out",
        metavar="DIR",
        type=click.Path(path_type=Path),
        default=Path(".bench"),
        show_default=True,
        help="Replies and results; a run goes on with what is there.",
    ),
    shared.markdown,
    shared.file_option("--plots", "Write plots, as PNG and SVG.", "DIR"),
    shared.file_option(
        "--pack", "Write all replies that are known into this folder, compressed, as they come along.", "DIR"
    ),
)


def _with_options(command: _COMMAND) -> _COMMAND:
    return reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), command)


def _taken(values: dict[str, Any]) -> tuple[PullOptions, Outputs]:
    """The options of the command line, sorted."""
    outputs = Outputs(*(values.pop(name) for name in ("markdown", "plots", "pack")))
    split = values.pop("split")
    policy = Policy(values.pop("sandbox"))
    options = PullOptions(**values, split=Split(split) if split else None, sandbox=policy)
    page = outputs.markdown
    if page is not None and (page.is_dir() or not os.access(page.absolute().parent, os.W_OK)):
        msg = f"{page} cannot be written: pass --markdown a file in a folder that is there"
        raise UsageError(msg)
    for folder, option in ((outputs.plots, "--plots"), (outputs.pack, "--pack")):
        if folder is not None and (folder.is_file() or not os.access(folder.absolute().parent, os.W_OK)):
            msg = f"{folder} cannot be written: pass {option} a folder"
            raise UsageError(msg)
    require_statistics()
    if outputs.plots is not None:
        require_matplotlib()
    return options, outputs


def _finish(found: Found, outputs: Outputs, options: PullOptions, console: Console) -> None:
    for line in remarks(found):
        console.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)
    if outputs.pack is not None:
        packed = {
            recorded.RECORDED.name: recorded.pack(options.out / REPLIES),
            exchanges.RECORDED.name: exchanges.Exchanges.open(options.out / EXCHANGES).pack(),
        }
        if (options.out / SERVING).is_file():
            packed[SERVED.name] = (options.out / SERVING).read_bytes()
        try:
            outputs.pack.mkdir(exist_ok=True)
            for name, content in packed.items():
                (outputs.pack / name).write_bytes(content)
        except OSError as error:
            msg = f"{outputs.pack} cannot be written ({error.strerror}): pass --pack another folder"
            raise UsageError(msg) from error


@click.command("pull-requests")
@click.option(
    "--arm",
    "arms",
    multiple=True,
    type=click.Choice([arm.key for arm in every.MAIN]),
    help="Only this arm; may be repeated.",
)
@shared.file_option("--cover-agent", "The program of cover-agent, for an arm of that name.")
@click.option(
    "--allow-unconfined-peers",
    "unconfined_peers",
    is_flag=True,
    help="Run other generators also where there are no namespaces to keep them in.",
)
@_with_options
@click.pass_context
def pull_requests(ctx: click.Context, /, *, arms: tuple[str, ...], **values: Any) -> None:  # noqa: ANN401 - options
    """Write tests for real changes in several ways, with the same model and tokens, and compare what comes of it.

    Projects and environments are fetched with pip, once. The exit code is 1 when a case could not be worked on.
    """
    options, outputs = _taken(values)
    if every.COVER_AGENT.key in arms and options.cover_agent is None:
        msg = "cover-agent does not come along: fetch it, and pass --cover-agent its program"
        raise UsageError(msg)
    usual = (*every.USUAL, *([every.COVER_AGENT] if options.cover_agent else []))
    chosen = tuple(arm for arm in every.MAIN if arm.key in arms) if arms else usual
    console = Console(emoji=False)
    found = run_interruptibly(run_pulls(options, chosen, os.environ, console))
    tables = list(_main_tables(found))
    print_tables(console, tables)
    plot = _drawn("pull-requests", "Tests by arm", found, outputs)
    if outputs.markdown is not None:
        write_text(main_page(found, tables, options, plot, outputs.markdown.parent), outputs.markdown, "--markdown")
    _finish(found, outputs, options, console)
    if found.progress.failed:
        ctx.exit(EXIT_INCOMPLETE)


def _main_tables(found: Found) -> Iterator[Table]:
    if not found.series:
        return
    main = main_table(found.series)
    yield Table(main.title, main.headings, [*main.rows, *human_rows(found.series)])
    yield difference_table(found.series)
    yield funnel_table(found.series)
    yield cost_table(found.series)


def _experiment_tables(experiment: Experiment, found: Found) -> Iterator[Table]:
    if not found.series:
        return
    if experiment.of_models:
        yield from model_tables(found.series)
        if serving := serving_table(found.serving):
            yield serving
        return
    yield experiment_table(experiment.title, found.series)
    yield difference_table(found.series)
    if claims := claims_table(experiment.claims, found.series):
        yield claims


def _drawn(name: str, title: str, found: Found, outputs: Outputs) -> str:
    """Draw a plot if it is wanted and there is anything to show; its address on the page, empty without one."""
    if outputs.plots is None or not found.series:
        return ""
    outputs.plots.mkdir(exist_ok=True)
    *_, plot = draw(name, title, found.series, outputs.plots)
    page = outputs.markdown or outputs.plots
    return Path(os.path.relpath(plot, page.parent)).as_posix()


def experiment_command(experiment: Experiment) -> click.Command:
    """The subcommand of an experiment."""

    @click.command(
        experiment.name,
        help=f"{experiment.question}\n\nThe exit code is 1 when a case could not be worked on.",
        short_help=experiment.question,
    )
    @_with_options
    @click.pass_context
    def command(ctx: click.Context, /, **values: Any) -> None:  # noqa: ANN401 - options
        options, outputs = _taken(values)
        options = replace(options, served=experiment.served)
        console = Console(emoji=False)
        found = run_interruptibly(run_pulls(options, experiment.arms, os.environ, console))
        if experiment.of_models:
            found = replace(found, series=on_shared_cases(found.series))
        tables = list(_experiment_tables(experiment, found))
        print_tables(console, tables)
        plot = _drawn(experiment.name, experiment.title, found, outputs)
        if outputs.markdown is not None:
            write_text(experiment_page(experiment, found, tables, options, plot), outputs.markdown, "--markdown")
        _finish(found, outputs, options, console)
        if found.progress.failed:
            ctx.exit(EXIT_INCOMPLETE)

    return command


def commands() -> tuple[click.Command, ...]:
    """All subcommands of this part."""
    return (pull_requests, *map(experiment_command, EXPERIMENTS))
