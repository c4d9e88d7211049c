"""``llm-testgen tune data``: training data from our own sessions, from released projects, and from instructions."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterable
from functools import reduce
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from llm_testgen.errors import ProjectError
from llm_testgen.interrupts import run_interruptibly
from llm_testgen.recipe import DEFAULT_RECIPE
from llm_testgen.runner.sandbox import Policy
from llm_testgen.tuning.data.examples import UNKNOWN
from llm_testgen.tuning.data.instructions import DEFAULT
from llm_testgen.tuning.data.joining import Limits
from llm_testgen.tuning.data.mine_run import MineOptions, run_mine
from llm_testgen.tuning.data.parts import JoinOptions, run_instructions, run_join, run_sessions
from llm_testgen.tuning.data.pool import PartReport, total
from llm_testgen.tuning.data.sample_run import SampleOptions, run_sample
from llm_testgen.tuning.embedded import file_of
from llm_testgen.tuning.quantising.cli import require_extra

_FOLDER = Path("tuning-data")
_MOST_CHARACTERS = 8_192
_MOST_TOKENS = 2_048

_out = click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=_FOLDER,
    show_default=True,
    help="The folder of the data set.",
)
_work = click.option(
    "--work",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where environments and releases are kept; the default is in the user's cache.",
)


@click.group("data", no_args_is_help=True)
def data() -> None:
    """Make training data: conversations in the form of our prompts, with proven tests as the answers.

    Each source adds its part to the folder; join makes the data set of them.
    """


def _project_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options of whatever makes parts of projects."""
    options = (
        _out,
        _work,
        click.option(
            "--release",
            "releases",
            multiple=True,
            metavar="NAME==VERSION",
            help="A release to take; again for more. The default is all that come along.",
        ),
        click.option(
            "--project",
            "projects",
            multiple=True,
            metavar="DIR",
            type=click.Path(path_type=Path, exists=True, file_okay=False),
            help="A checkout to take, as it is committed; again for more.",
        ),
        click.option("--python", metavar="PATH", help="Interpreter that has what their tests need."),
        click.option(
            "--sandbox",
            type=click.Choice([policy.value for policy in Policy]),
            default=Policy.AUTO.value,
            show_default=True,
            help="The layers that there are, all or none at all, or off.",
        ),
        click.option("--licence", help="Of the projects, where they do not say it themselves."),
        click.option("--allow-unknown-licences", is_flag=True, help="Take projects whose licence is not known, too."),
        click.option(
            "--prompts",
            metavar="PATH",
            type=click.Path(path_type=Path, exists=True),
            help="A folder of templates or the file of a recipe, instead of those that come along.",
        ),
    )
    return reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def _of_projects(values: dict[str, Any]) -> dict[str, Any]:
    """Options of the command line as `ProjectOptions` has them, and those of a kind of its own."""
    policy, unknown = Policy(values.pop("sandbox")), values.pop("allow_unknown_licences")
    return {**values, "sandbox": policy, "unknown_licences": unknown}


def _report(ctx: click.Context, run: Callable[[Console], Coroutine[Any, Any, tuple[PartReport, ...]]]) -> None:
    """Make parts of projects, and tell what became of it."""
    console = Console(emoji=False)
    try:
        reports = run_interruptibly(run(console))
    except KeyboardInterrupt:
        click.echo("what is done is kept: the same command goes on from there", err=True)
        raise
    _tell(console, reports)
    if not reports:
        ctx.exit(ProjectError.exit_code)


@data.command("mine")
@_project_options
@click.option(
    "--tests",
    type=click.IntRange(1, 12),
    default=DEFAULT_RECIPE.tests,
    show_default=True,
    help="Of one answer at most.",
)
@click.option("--examples", type=click.IntRange(1, 20), default=2, show_default=True, help="Of one method at most.")
@click.pass_context
def mine(ctx: click.Context, /, **values: Any) -> None:  # noqa: ANN401 - what click gives
    """Mine released projects for methods and the tests that are about them.

    What is mined once is kept: the same command goes on where it was interrupted.
    """
    options = MineOptions(**_of_projects(values))
    _report(ctx, lambda console: run_mine(options, os.environ, console))


@data.command("sample")
@_project_options
@click.option("--model", metavar="NAME", help="Who writes: an embedded model, a GGUF file, or a name at the endpoint.")
@click.option(
    "--adapter",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="What was tuned, put on the model.",
)
@click.option("--endpoint", metavar="URL", help="OpenAI-compatible server that has the model.")
@click.option("--temperature", type=click.FloatRange(0, 2), default=0.8, show_default=True, help="Of the model.")
@click.option("--methods", type=click.IntRange(1), default=20, show_default=True, help="Of one project at most.")
@click.option("--samples", type=click.IntRange(1, 99), default=1, show_default=True, help="Replies about each method.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the choice of methods, and of the replies.")
@click.option(
    "--at-once", type=click.IntRange(1, 99), default=4, show_default=True, help="Requests to an endpoint at one time."
)
@click.pass_context
def sample(ctx: click.Context, /, **values: Any) -> None:  # noqa: ANN401 - what click gives
    """Have a model write tests for released projects, and keep those that every filter accepts.

    A larger model so teaches a smaller one; or a model itself, with what it gets right some of the time. Every reply is
    kept: the same command goes on where it was interrupted.
    """
    options = SampleOptions(**_of_projects(values))
    _report(ctx, lambda console: run_sample(options, os.environ, console))


@data.command("sessions")
@click.argument("paths", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path))
@_out
@click.option("--project-name", default="", help="Of all of them, where that cannot be told from the repository.")
@click.option("--licence", help="Of all of them, where the repository does not say it.")
def sessions(*, paths: tuple[Path, ...], out: Path, project_name: str, licence: str | None) -> None:
    """Take the accepted tests of our own sessions, from the folders that propose wrote."""
    _tell(Console(emoji=False), run_sessions(out, paths, project_name, licence))


@data.command("instructions")
@click.argument("source", default=DEFAULT, metavar="[NAME|FILE]")
@_out
@click.option("--split", default="train", show_default=True, help="Of a data set of the hub.")
@click.option("--licence", help="Of the data set, where its card does not say it.")
def instructions(*, source: str, out: Path, split: str, licence: str | None) -> None:
    """Take a data set of instructions in Alpaca's form, from the hub or from a file of JSON, JSON Lines or Parquet.

    The default is Vezora/Tested-22k-Python-Alpaca.
    """
    _tell(Console(emoji=False), [run_instructions(out, source, split, licence)])


@data.command("join")
@_out
@_work
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order and of the split.")
@click.option(
    "--validation",
    type=click.FloatRange(0, 0.5),
    default=0.1,
    show_default=True,
    help="Share that is set aside, about: whole projects are.",
)
@click.option("--per-project", type=click.IntRange(1), help="Examples of one project, or data set, at most.")
@click.option("--tokenizer", metavar="PATH|NAME", help="Count lengths in its tokens, instead of in characters.")
@click.option(
    "--length",
    type=click.IntRange(1),
    help=f"The longest example.  [default: {_MOST_CHARACTERS:,} characters, or {_MOST_TOKENS:,} tokens]",
)
@click.option(
    "--likeness",
    type=click.FloatRange(0.1, 1),
    default=0.8,
    show_default=True,
    help="From which on two answers are nearly the same.",
)
@click.option("--allow-unknown-licences", is_flag=True, help="Take examples whose licence is not known, too.")
@click.option(
    "--allow-uncompared",
    is_flag=True,
    help="Go on where releases that the benchmark measures on cannot be had to compare examples with.",
)
def join(  # noqa: PLR0913 - one parameter for each option
    *,
    out: Path,
    work: Path | None,
    seed: int,
    validation: float,
    per_project: int | None,
    tokenizer: str | None,
    length: int | None,
    likeness: float,
    allow_unknown_licences: bool,
    allow_uncompared: bool,
) -> None:
    """Join the parts to train.jsonl and validation.jsonl, with a card.

    What is the same, nearly the same, too long, of an unknown licence, or part of what the benchmark measures on is
    left out. The releases that it measures on are fetched with pip to compare with, once.
    """
    limits = Limits(
        seed=seed,
        validation=validation,
        per_project=per_project,
        length=length or (_MOST_TOKENS if tokenizer else _MOST_CHARACTERS),
        likeness=likeness,
        unknown_licences=allow_unknown_licences,
    )
    console = Console(emoji=False)
    if tokenizer:
        require_extra("transformers")
        tokenizer = file_of(tokenizer, console)
    options = JoinOptions(out, limits, tokenizer, work, allow_uncompared)
    with console.status("reading the parts") as status:
        joined = run_join(options, os.environ, status.update)
    said = f"{len(joined.train)} examples to train on, {len(joined.validation)} to validate on, in {out}"
    console.print(said, highlight=False, markup=False, soft_wrap=True)
    _list(console, joined.left_out)
    if joined.uncompared:
        said = (
            f"not compared with {', '.join(joined.uncompared)}, which the benchmark measures on, as not all of their "
            "releases could be had: join again, without --allow-uncompared, where pip reaches its index"
        )
        console.print(said, style="yellow", highlight=False, markup=False, soft_wrap=True)


def _tell(console: Console, reports: Iterable[PartReport]) -> None:
    found = list(reports)
    said = f"{sum(report.examples for report in found)} examples of {', '.join(report.project for report in found)}"
    console.print(said, highlight=False, markup=False, soft_wrap=True)
    _list(console, total(report.counts for report in found))
    if unknown := [report.project for report in found if report.licence == UNKNOWN]:
        said = f"the licence of {', '.join(unknown)} is not known: join leaves it out, unless you pass --licence here"
        console.print(said, style="yellow", highlight=False, markup=False, soft_wrap=True)


def _list(console: Console, counts: dict[str, int]) -> None:
    for reason, number in counts.items():
        console.print(f"{number:>8,}  {reason}", highlight=False, markup=False, soft_wrap=True)
