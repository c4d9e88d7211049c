"""``llm-testgen class`` and ``llm-testgen method``: proven tests for code that a person names, changed or not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console

from llm_testgen.commands.checkout import Asked, Checkout, open_named
from llm_testgen.commands.options import ProposeOptions, run_options
from llm_testgen.commands.progress import open_progress
from llm_testgen.commands.proposing import Made, make_proposal
from llm_testgen.commands.summary import Telling, print_summary
from llm_testgen.edges.workfiles import write_files
from llm_testgen.errors import UsageError
from llm_testgen.interrupts import run_interruptibly
from llm_testgen.pipeline import Result
from llm_testgen.records import MethodKind, TestFile
from llm_testgen.stages.suggest import place


def _named_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a run, and what to do with the tests that it gives."""
    for option in (
        click.option("--write", is_flag=True, help="Write the accepted tests into their files in the checkout."),
        click.option(
            "--print",
            "as_code",
            is_flag=True,
            help="Print the accepted tests as a file to standard output, and all else to standard error.",
        ),
    ):
        command = option(command)
    return command


@click.command("class")
@click.argument("name")
@_named_options
@run_options
def class_command(options: ProposeOptions, *, name: str, write: bool, as_code: bool) -> None:
    """Write tests for a class or function, whether it changed or not, and prove them.

    NAME is Class, function, module.Class or path.py::Class.
    """
    _run(options, Asked(name, MethodKind.CLASS), write=write, as_code=as_code)


@click.command("method")
@click.argument("name")
@click.argument("method", required=False)
@_named_options
@run_options
def method_command(options: ProposeOptions, *, name: str, method: str | None, write: bool, as_code: bool) -> None:
    """Write tests for one method or function, whether it changed or not, and prove them.

    NAME is the class of METHOD; or, with no METHOD, Class.method, function or path.py::Class.method.
    """
    if method is not None:
        name += f"::{method}" if name.endswith(".py") else f".{method}"
    _run(options, Asked(name, MethodKind.METHOD), write=write, as_code=as_code)


def _run(options: ProposeOptions, asked: Asked, *, write: bool, as_code: bool) -> None:
    console = Console(emoji=False, stderr=as_code)
    checkout, made = run_interruptibly(_propose_named(options, asked, console))
    root = checkout.repository.root
    files = made.result.files if write else ()
    refusal = _write(root, files)
    written = () if refusal else tuple(file.path for file in files)
    print_summary(console, made.proposal, made.out, root, Telling(checkout.subject, code=not as_code, written=written))
    if as_code:
        click.echo(_code(made.result), nl=False)
    if refusal:
        raise refusal


async def _propose_named(options: ProposeOptions, asked: Asked, console: Console) -> tuple[Checkout, Made]:
    started = time.monotonic()
    with open_progress(console) as progress:
        progress.phase(f"looking for {asked.name}")
        checkout = open_named(options, asked)
    return checkout, await make_proposal(checkout, options, os.environ, console, started)


def _write(root: Path, files: Sequence[TestFile]) -> UsageError | None:
    """Write into the checkout; or why that cannot be done, which must not keep a person from seeing the results."""
    try:
        write_files(root, files)
    except UsageError as error:
        return error
    return None


def _code(result: Result) -> str:
    """The accepted tests as a file of their own; as several, under their names, if names mean different things."""
    candidates = [result.verdicts[index].candidate for index in result.accepted]
    files, _ = place(candidates, {}, candidates)
    if len(files) == 1:
        return files[0].after
    return "\n\n".join(f"# {file.path}\n\n{file.after}" for file in files)
