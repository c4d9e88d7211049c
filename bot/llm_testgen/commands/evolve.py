"""``llm-testgen evolve``: a genetic search over prompts, on a project's own methods."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from llm_testgen.commands.options import ProposeOptions, run_options_without
from llm_testgen.evolution.score import DEFAULT_WEIGHT_IN
from llm_testgen.evolution.split import FEWEST_TARGETS
from llm_testgen.interrupts import run_interruptibly

_MOST = 1_000
# What the recipes decide, what is about one proposal, and what has another meaning here.
_LEFT_OUT = ("out", "replay", "kind", "attempts", "max_tests", "temperature", "context_tokens", "seed")


@click.command("evolve")
@click.option(
    "--targets",
    type=click.IntRange(FEWEST_TARGETS, _MOST),
    default=12,
    show_default=True,
    help="Methods, two thirds to search on and one third to compare on.",
)
@click.option(
    "--base", metavar="REV", help="Methods changed since HEAD left REV, instead of any that tests do not fully cover."
)
@click.option("--generations", type=click.IntRange(1, _MOST), default=4, show_default=True)
@click.option(
    "--population", type=click.IntRange(2, _MOST), default=8, show_default=True, help="Recipes of each generation."
)
@click.option(
    "--weight-in",
    type=click.FloatRange(0, 1),
    default=DEFAULT_WEIGHT_IN,
    show_default=True,
    help="What a token read costs, in tokens written.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Of the choice of methods, of the search, and of the model's sampling.",
)
@click.option(
    "--out",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where the best recipe goes.  [default: .llm-testgen/recipe.toml]",
)
@run_options_without(*_LEFT_OUT)
def evolve(  # noqa: PLR0913 - one parameter for each option
    options: ProposeOptions,
    *,
    targets: int,
    base: str | None,
    generations: int,
    population: int,
    weight_in: float,
    seed: int,
    file: Path | None,
) -> None:
    """Search for a better prompt: breed recipes, score each by the lines that its tests cover for their tokens.

    The best is compared with the default recipe on methods that the search never saw, and written to a file that
    propose --prompts takes. All that is tried is kept: the same command goes on where it was interrupted.
    """
    # DEAP comes with an extra, and help does not need it.
    from llm_testgen.commands.evolving import EvolveOptions, run_evolve  # noqa: PLC0415
    from llm_testgen.evolution.generations import Plan  # noqa: PLC0415

    plan = Plan(
        population=population,
        generations=generations,
        seed=seed,
        weight_in=weight_in,
        max_tokens=options.generation.max_tokens,
    )
    wanted = EvolveOptions(replace(options, base=base), targets, plan, file)
    try:
        run_interruptibly(run_evolve(wanted, os.environ, Console(emoji=False)))
    except KeyboardInterrupt:
        click.echo("what was tried is kept: the same command goes on from there", err=True)
        raise
