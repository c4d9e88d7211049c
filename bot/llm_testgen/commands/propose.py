"""``llm-testgen propose``: from a change in a checkout to proven tests in a folder."""

from __future__ import annotations

import os
from dataclasses import replace

import click
from rich.console import Console

from llm_testgen.commands.options import ProposeOptions, run_options
from llm_testgen.commands.proposing import run_propose
from llm_testgen.interrupts import run_interruptibly


@click.command("propose")
@click.option("--base", metavar="REV", help="Compare with where HEAD left REV.  [default: the default branch]")
@click.option("--head", metavar="REV", default="HEAD", show_default=True, help="The revision to test.")
@click.option(
    "--target", "targets", metavar="NAME", multiple=True, help="Only path.py, path.py::Class or path.py::Class.method."
)
@run_options
def propose(options: ProposeOptions, *, base: str | None, head: str, targets: tuple[str, ...]) -> None:
    """Write tests for what changed, prove them, and keep those that raise diff coverage."""
    options = replace(options, base=base, head=head, targets=targets)
    run_interruptibly(run_propose(options, os.environ, Console(emoji=False)))
