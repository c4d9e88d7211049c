"""``llm-testgen bench``: the group of the experiments."""

from __future__ import annotations

import click

from llm_testgen.bench.case_command import cases
from llm_testgen.bench.chain import chain
from llm_testgen.bench.indexing.command import index
from llm_testgen.bench.pulls.commands import commands
from llm_testgen.bench.runner import runner


@click.group("bench", no_args_is_help=True)
def bench() -> None:
    """Measure the tool, beside other ways of doing the same."""


bench.add_command(cases)
bench.add_command(chain)
bench.add_command(index)
bench.add_command(runner)
for command in commands():
    bench.add_command(command)
