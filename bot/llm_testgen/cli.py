"""The command line: the table of subcommands, and the one place where errors become messages and exit codes.

Exit codes: 0 done; 2 a request that cannot be carried out, with one line that says what to do; 3 a bug;
130 interrupted.
"""

from __future__ import annotations

import importlib
import io
import platform
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import click

from llm_testgen import __version__
from llm_testgen.errors import LlmTestgenError

PROGRAM = "llm-testgen"
EXIT_BUG = 3
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count it


@dataclass(frozen=True, slots=True)
class Subcommand:
    """Where a subcommand is defined, and the line that the list of commands shows about it."""

    module: str
    attribute: str
    summary: str


# Imported only when called, so that help and completion do not wait for libraries that they never use.
SUBCOMMANDS: Mapping[str, Subcommand] = MappingProxyType(
    {
        "propose": Subcommand("llm_testgen.commands.propose", "propose", "Write tests for a change, and prove them."),
        "class": Subcommand(
            "llm_testgen.commands.named", "class_command", "Write tests for a class or function, changed or not."
        ),
        "method": Subcommand(
            "llm_testgen.commands.named", "method_command", "Write tests for one method, changed or not."
        ),
        "evolve": Subcommand("llm_testgen.commands.evolve", "evolve", "Search for a better prompt, on your own code."),
        "report": Subcommand(
            "llm_testgen.commands.report", "report", "Make one page of what propose or a benchmark found."
        ),
        "publish": Subcommand(
            "llm_testgen.commands.publish", "publish_command", "Post what propose found to a pull request."
        ),
        "action": Subcommand(
            "llm_testgen.commands.action", "action", "Do what a GitHub event asks for, in a workflow."
        ),
        "demo": Subcommand("llm_testgen.commands.demo", "demo", "Show it on a sample change, with the embedded model."),
        "index": Subcommand("llm_testgen.commands.index", "index", "Build a project's index, and show what it holds."),
        "bench": Subcommand("llm_testgen.bench.cli", "bench", "Measure the tool, beside other ways of doing the same."),
        "quantize": Subcommand(
            "llm_testgen.tuning.quantising.cli", "quantize", "Measure quantisation, or write a model as a GGUF file."
        ),
        "tune": Subcommand("llm_testgen.tuning.cli", "tune", "Make a model of your own: data, adapters, mixtures."),
        "doctor": Subcommand("llm_testgen.commands.doctor", "doctor", "Show what confines tests on this machine."),
        "models": Subcommand("llm_testgen.commands.models", "models", "List the embedded models, or fetch one."),
    }
)


class CommandTable(click.Group):
    """A group whose commands are imported when they are called, and whose errors become exit codes.

    Attributes:
        subcommands: The commands by name, in the order of the help.
    """

    subcommands: Mapping[str, Subcommand] = SUBCOMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names of the commands, in the table's order."""
        return list(self.subcommands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of a name, imported now; None when there is none."""
        subcommand = self.subcommands.get(cmd_name)
        if subcommand is None:
            return None
        command = getattr(importlib.import_module(subcommand.module), subcommand.attribute)
        if not isinstance(command, click.Command):
            msg = f"{subcommand.module}.{subcommand.attribute} is no command"
            raise TypeError(msg)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of commands from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, subcommand.summary) for name, subcommand in self.subcommands.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the chosen command; whatever it raises ends the program with a message and an exit code."""
        debug = bool(ctx.params.get("debug"))
        for stream in (sys.stdout, sys.stderr):
            # A locale that cannot show a character must not cost a run: it prints a question mark.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # click's own: usage errors and ordinary ends
        except KeyboardInterrupt:
            _fail(ctx, "interrupted", EXIT_INTERRUPTED)
        except LlmTestgenError as error:
            if debug:
                traceback.print_exc()
            _fail(ctx, str(error), error.exit_code)
        except Exception as error:
            if isinstance(error, BrokenPipeError) and _stdout_is_closed():
                raise  # the reader has left, as in `… | head`: click ends without a word
            _report_bug(error, debug=debug)
            ctx.exit(EXIT_BUG)


def _fail(ctx: click.Context, message: str, exit_code: int) -> NoReturn:
    click.echo(f"{PROGRAM}: {' '.join(message.split())}", err=True)
    ctx.exit(exit_code)


def _report_bug(error: Exception, *, debug: bool) -> None:
    """Say what happened in one line, and keep the traceback: on standard error when debugging, else in a file."""
    message = next(iter(str(error).splitlines()), "")
    click.echo(f"{PROGRAM}: unexpected error: {type(error).__name__}: {message}".rstrip(": "), err=True)
    details = "".join(traceback.format_exception(error))
    if debug:
        click.echo(details, err=True, nl=False)
        return
    try:
        log = _write_log(details)
    except OSError:
        click.echo(details, err=True, nl=False)
    else:
        click.echo(f"{PROGRAM}: this is a bug; please report it with the file {log}", err=True)


def _write_log(details: str) -> Path:
    # The arguments stay out: an endpoint's address may hold a key.
    about = f"{PROGRAM} {__version__}, Python {platform.python_version()}, {platform.platform()}\n\n"
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", errors="backslashreplace", prefix=f"{PROGRAM}-", suffix=".log", delete=False
    ) as log:
        log.write(about + details)
    return Path(log.name)


def _stdout_is_closed() -> bool:
    """Whether nobody reads what is printed. A pipe to some other process may break too: that is a fault."""
    try:
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        return True
    return False


@click.command(
    cls=CommandTable,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(*, debug: bool) -> None:
    """Write tests for what a change of a Python project changed, or for what you name, and prove each by running it."""
    # The option is read by CommandTable.invoke, which runs around the command.
