"""What the README says is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from llm_testgen.bench.cli import bench
from llm_testgen.bench.pulls.experiments import EXPERIMENTS
from llm_testgen.cli import main
from llm_testgen.commands import output
from llm_testgen.commands.named import class_command, method_command
from llm_testgen.commands.propose import propose

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.strip().split("\n")]


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("llm-testgen")])
def test_each_command_is_understood(line):
    words = shlex.split(line)[1:]
    context = click.Context(main)
    name, command, arguments = main.resolve_command(context, words)
    if isinstance(command, click.Group) and arguments:
        name, command, arguments = command.resolve_command(context, arguments)
    command.make_context(name, arguments, parent=context, resilient_parsing=isinstance(command, click.Group))


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("make")])
def test_each_make_target_is_there(line):
    target = line.split()[1]
    assert re.search(rf"^{target}:.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_arguments_that_are_passed_to_a_benchmark_are_understood():
    ((target, arguments),) = re.findall(r'^make bench-(\S+) ARGS="(.*)"$', README, re.MULTILINE)
    bench.commands[target].make_context(target, shlex.split(arguments))


def test_the_table_of_experiments_is_that_of_the_command():
    listed = re.findall(r"^\| `llm-testgen bench ([a-z]+)` \|", README, re.MULTILINE)
    assert listed == [experiment.name for experiment in EXPERIMENTS]


def test_every_command_is_of_a_kind_that_is_checked():
    others = [line for line in COMMANDS if not line.startswith(("llm-testgen", "make"))]
    assert others == ["pip install '.[local]'", "pip install '.[evolve,local]'"]


def options_of(command: click.Command) -> set[str]:
    return {option.opts[0] for option in command.params if isinstance(option, click.Option)}


def listed_options(heading: str) -> list[str]:
    """The options in the table of a section."""
    _, _, rest = README.partition(f"\n## {heading}\n")
    return sorted(re.findall(r"^\| `(--[a-z-]+)[^`]*` \|", rest.partition("\n## ")[0], re.MULTILINE))


def test_the_table_of_options_is_that_of_the_command():
    assert listed_options("Use it on your change") == sorted(options_of(propose))


@pytest.mark.parametrize("command", [class_command, method_command], ids=["class", "method"])
def test_what_is_told_of_the_options_for_named_code_is_so(command):
    own = options_of(command) - options_of(propose)
    assert listed_options("Use it on code that did not change") == sorted(own)
    assert options_of(propose) - options_of(command) == {"--base", "--head", "--target"}
    assert "but for `--base`, `--head` and `--target`" in README


@pytest.mark.parametrize(
    ("option", "default"), re.findall(r"^\| `(--[a-z-]+)[^`]*` \|[^|]*\| `?([0-9]+)`? \|$", README, re.MULTILINE)
)
def test_the_defaults_are_those_of_the_command(option, default):
    (parameter,) = (parameter for parameter in propose.params if parameter.opts[0] == option)
    assert float(parameter.default) == float(default)


def test_the_output_files_are_those_that_are_written():

    for name in (output.PROPOSAL, output.PATCH, output.SESSION, output.OUTPUT_FOLDER):
        assert f"`{name}`" in README or f"{name}/" in README
