"""Options that several benches share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from llm_testgen.errors import UsageError
from llm_testgen.runner.sandbox import Policy

_Command = TypeVar("_Command", bound=Callable[..., object])


def file_option(name: str, help_text: str, metavar: str = "FILE") -> Callable[[_Command], _Command]:
    """An option that is a path."""
    return click.option(name, metavar=metavar, type=click.Path(path_type=Path), help=help_text)


def require_writable(path: Path | None, option: str) -> None:
    """See that a file can be written, if one is wanted: now, and not after hours of work.

    Raises:
        UsageError: It cannot.
    """
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        msg = f"{path} cannot be written: pass {option} a file in a folder that is there"
        raise UsageError(msg)


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
