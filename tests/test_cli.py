"""The command line: what it prints, and with which code it ends, in real processes."""

from __future__ import annotations

import errno
import importlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from llm_testgen import __version__
from llm_testgen.cli import SUBCOMMANDS

BOT = Path(__file__).parents[1] / "bot"

# Commands that end in every way a command can, behind the real program.
THROWAWAY = """
import os
import signal
import time

import click

from llm_testgen.errors import ModelError


class Odd(ModelError):
    exit_code = 7


@click.command()
@click.option("--count", type=int, default=1)
def fine(count):
    click.echo(f"counted {count}")


@click.command()
def expected():
    raise ModelError("the server does not answer;\\n  start it, or leave out --endpoint")


@click.command()
def odd():
    raise Odd("never mind")


@click.command()
def bug():
    raise ZeroDivisionError("first line\\nsecond line")


@click.command()
def wordless():
    raise ZeroDivisionError


@click.command()
def interrupted():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)


@click.command()
def chatty():
    while True:
        click.echo("line")


@click.command()
def broken_pipe():
    raise BrokenPipeError(32, "some other process has ended")


@click.command()
def exits():
    raise SystemExit(5)


not_a_command = 1
"""

PROGRAM = """
import sys

from llm_testgen.cli import Subcommand, main

main.subcommands = {name: Subcommand("throwaway", name, f"Is {name}.") for name in sys.argv.pop(1).split(",")}
main(prog_name="llm-testgen")
"""


@dataclass(frozen=True, slots=True)
class Program:
    """The real program with throw-away commands."""

    folder: Path

    def command(self, *arguments):
        names = [*re.findall(r"^def (\w+)\(", THROWAWAY, re.MULTILINE), "not_a_command"]
        return [sys.executable, str(self.folder / "program.py"), ",".join(names), *arguments]

    def environment(self, **more):
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(BOT), str(self.folder)]),
            "TMPDIR": str(self.folder / "temporary"),
            **more,
        }

    def run(self, *arguments, **more):
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def logs(self):
        return list((self.folder / "temporary").iterdir())


@pytest.fixture
def program(tmp_path):
    (tmp_path / "throwaway.py").write_text(THROWAWAY)
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "temporary").mkdir()
    return Program(tmp_path)


def run_module(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(BOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_command_runs_with_its_options(program):
    done = program.run("fine", "--count", "3")
    assert (done.returncode, done.stdout, done.stderr) == (0, "counted 3\n", "")


def test_an_expected_error_is_one_line_without_a_traceback(program):
    done = program.run("expected")
    assert done.returncode == 2
    assert done.stderr == "llm-testgen: the server does not answer; start it, or leave out --endpoint\n"
    assert done.stdout == ""
    assert program.logs() == []


def test_an_expected_error_may_have_its_own_exit_code(program):
    assert program.run("odd").returncode == 7


def test_debug_shows_where_an_expected_error_came_from(program):
    done = program.run("--debug", "expected")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("llm-testgen: the server does not answer; start it, or leave out --endpoint\n")


def test_a_bug_is_two_lines_and_its_traceback_is_kept_in_a_file(program):
    done = program.run("bug")
    assert done.returncode == 3
    first, second = done.stderr.splitlines()
    assert first == "llm-testgen: unexpected error: ZeroDivisionError: first line"
    (log,) = program.logs()
    assert second == f"llm-testgen: this is a bug; please report it with the file {log}"
    text = log.read_text()
    assert text.startswith(f"llm-testgen {__version__}, Python {sys.version_info.major}.")
    assert 'raise ZeroDivisionError("first line' in text
    assert "second line" in text


def test_a_bug_without_a_message_is_named_by_its_type(program):
    assert program.run("wordless").stderr.startswith("llm-testgen: unexpected error: ZeroDivisionError\n")


def test_debug_shows_the_traceback_of_a_bug_at_once(program):
    done = program.run("--debug", "bug")
    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert program.logs() == []


def test_a_bug_is_shown_where_no_file_can_be_written(program):
    # As on a full disk: Python's own last resort, the current folder, cannot take the file either.
    code = (
        "import sys, tempfile; tempfile.tempdir = '/nonexistent'; "
        "sys.argv[1:] = sys.argv[2:]; exec(open(sys.argv.pop(1)).read())"
    )
    _, script, *arguments = program.command("bug")
    done = subprocess.run(
        [sys.executable, "-c", code, "-", script, *arguments],
        env=program.environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert "please report" not in done.stderr


def test_an_interrupted_command_says_so_and_ends_as_shells_expect(program):
    done = program.run("interrupted")
    assert (done.returncode, done.stderr) == (128 + signal.SIGINT, "llm-testgen: interrupted\n")


def test_a_reader_that_leaves_is_no_error(program):
    command = program.command("chatty")
    with subprocess.Popen(
        command, env=program.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "line\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 1
    assert program.logs() == []


def test_another_process_that_leaves_is_a_bug(program):
    done = program.run("broken_pipe")
    assert done.returncode == 3
    assert f"[Errno {errno.EPIPE}]" in done.stderr


def test_a_command_may_choose_its_exit_code(program):
    assert program.run("exits").returncode == 5


@pytest.mark.parametrize("arguments", [("fine", "--count", "many"), ("fine", "--unknown"), ("unknown",), ("--wrong",)])
def test_a_usage_error_ends_with_2_and_a_hint(program, arguments):
    done = program.run(*arguments)
    assert done.returncode == 2
    assert "Usage: llm-testgen" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_entry_of_the_table_that_is_no_command_is_a_bug(program):
    done = program.run("not_a_command")
    assert done.returncode == 3
    assert "throwaway.not_a_command is no command" in done.stderr


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_the_commands_in_order_without_importing_them(option):
    code = (
        "import sys, atexit\n"
        "heavy = ('pygit2', 'huggingface_hub', 'pydantic', 'coverage', 'diff_cover', 'rich', 'llm_testgen.commands')\n"
        "atexit.register(lambda: print([name for name in heavy if name in sys.modules]))\n"
        "from llm_testgen.cli import main\n"
        f"main([{option!r}], prog_name='llm-testgen')\n"
    )
    done = run_module("-c", code)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert text.startswith("Usage: llm-testgen [OPTIONS] COMMAND [ARGS]...")
    positions = [text.index(f"\n  {name} ") for name in SUBCOMMANDS]
    assert positions == sorted(positions)
    assert all(subcommand.summary in text for subcommand in SUBCOMMANDS.values())
    assert text.endswith("[]\n")


def test_the_module_is_the_program():
    done = run_module("-m", "llm_testgen", "--version")
    assert (done.returncode, done.stdout) == (0, f"llm-testgen {__version__}\n")


def test_no_command_shows_the_help():
    done = run_module("-m", "llm_testgen")
    assert done.returncode == 2
    assert "Commands:" in done.stderr


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_entry_of_the_table_is_a_command_of_that_name(name):
    subcommand = SUBCOMMANDS[name]
    command = getattr(importlib.import_module(subcommand.module), subcommand.attribute)
    assert isinstance(command, click.Command)
    assert command.name == name


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_command_explains_itself(name):
    done = run_module("-m", "llm_testgen", name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: llm-testgen {name} ")
