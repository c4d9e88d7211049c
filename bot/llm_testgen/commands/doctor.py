"""``llm-testgen doctor``: which layers of the sandbox this machine has, and what to do for the missing ones."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llm_testgen.errors import UsageError
from llm_testgen.runner.interpreter import Interpreter, find_python, inspect
from llm_testgen.runner.launcher import Entry
from llm_testgen.runner.sandbox import Layer, Sandbox, detect

_WAYS = {
    Entry.UNSHARE: "namespaces of its own",
    Entry.BUBBLEWRAP: "namespaces made by bubblewrap",
    Entry.NONE: "no namespaces",
}


@click.command("doctor")
@click.option("--python", metavar="PATH", help="The project's interpreter.  [default: ./.venv, else python]")
def doctor(*, python: str | None) -> None:
    """Show what confines tests on this machine, tried one by one, and what to do for what is missing."""
    interpreter = inspect(find_python(Path.cwd(), python, os.environ.get("PATH")), os.environ)
    sandbox = detect(interpreter, os.environ)
    _print(Console(emoji=False), interpreter, sandbox)
    if not (sandbox.confinement.isolated or sandbox.confinement.landlock):
        msg = "tests can only be run unconfined here: see above, or pass --sandbox off to propose"
        raise UsageError(msg)


def _print(console: Console, interpreter: Interpreter, sandbox: Sandbox) -> None:
    console.print(f"{platform.system()} {platform.release()}, {interpreter.path} (Python {interpreter.version})")
    way = _WAYS[sandbox.confinement.entry]
    console.print(f"Tests are run in {way}{f': {sandbox.problem}' if sandbox.problem else ''}", highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("layer", "", "stops"):
        table.add_column(title)
    for layer in sandbox.layers:
        table.add_row(layer.name, _state(layer), layer.stops)
    console.print(table)
    for advice in dict.fromkeys(layer.advice for layer in sandbox.layers if not layer.holds and layer.advice):
        names = ", ".join(layer.name for layer in sandbox.layers if not layer.holds and layer.advice == advice)
        console.print(f"{names}: {advice}", highlight=False, soft_wrap=True)


def _state(layer: Layer) -> Text:
    if layer.holds:
        return Text("holds", style="green")
    return Text("missing" if not layer.optional else "missing (optional)", style="yellow")
