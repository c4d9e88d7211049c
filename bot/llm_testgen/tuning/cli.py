"""``llm-testgen tune``: the group of what makes a model of our own. Its commands are imported when they are called."""

from __future__ import annotations

import importlib

import click

# Where each command is defined, and the line that the list of commands shows about it.
_COMMANDS = {
    "data": ("llm_testgen.tuning.data.commands", "data", "Make training data."),
    "lora": ("llm_testgen.tuning.training.commands", "lora", "Train a LoRA adapter."),
    "mole": ("llm_testgen.tuning.training.commands", "mole", "Train a gate over trained adapters (MoLE)."),
    "adamole": ("llm_testgen.tuning.training.commands", "adamole", "Train experts and gates together (AdaMoLE)."),
    "merge": ("llm_testgen.tuning.training.commands", "merge", "Put an adapter into its model's weights."),
}


class _Table(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names of the commands, in the table's order."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of a name, imported now; None when there is none."""
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of commands from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in _COMMANDS.items()])


@click.group("tune", cls=_Table, no_args_is_help=True)
def tune() -> None:
    """Make a model of your own: training data, adapters, and mixtures of them."""
