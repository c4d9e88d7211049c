"""Options that several benches share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from llm_testgen.runner.sandbox import Policy

_Command = TypeVar("_Command", bound=Callable[..., object])


def file_option(name: str, help_text: str, metavar: str = "FILE") -> Callable[[_Command], _Command]:
    """An option that is a path."""
    return click.option(name, metavar=metavar, type=click.Path(path_type=Path), help=help_text)


python = click.option(
    "--python", metavar="PATH", help="Interpreter to run tests in; the default is the one that runs this."
)
sandbox = click.option(
    "--sandbox",
    type=click.Choice([policy.value for policy in Policy]),
    default=Policy.AUTO.value,
    show_default=True,
    help="The layers that there are, all or none at all, or off.",
)
work = click.option(
    "--work",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where environments and projects are kept; the default is in the user's cache.",
)
rounds = click.option(
    "--rounds", type=click.IntRange(1, 99), default=3, show_default=True, help="Medians are over so many."
)
json = file_option("--json", "Write everything that was found.")
markdown = file_option("--markdown", "Write the page of the documentation.")
