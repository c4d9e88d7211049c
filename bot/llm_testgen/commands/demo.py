"""``llm-testgen demo``: the main job on a small project that comes along, with a real model."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import click
from rich.console import Console

from llm_testgen.commands.models import ModelOptions
from llm_testgen.commands.options import ProposeOptions
from llm_testgen.commands.output import SESSION
from llm_testgen.commands.proposing import run_propose
from llm_testgen.edges.gitwrite import create_repository
from llm_testgen.interrupts import run_interruptibly
from llm_testgen.runner.sandbox import Policy
from llm_testgen.settings import Generation


def demo_options(project: Path, out: Path) -> ProposeOptions:
    """What ``propose`` is asked for, and nothing that a user could not ask for too."""
    return ProposeOptions(
        repo=project,
        base="HEAD~1",
        head="HEAD",
        worktree=False,
        python=sys.executable,
        out=out,
        coverage=None,
        prompts=None,
        test_folder=None,
        timeout=20.0,
        sandbox=Policy.AUTO,
        model=ModelOptions(),
        generation=Generation(),
    )


def make_project(folder: Path) -> None:
    """Make the sample project with its two commits in an empty folder."""
    with as_file(files("llm_testgen") / "sample") as sample:
        base = _read(sample / "base")
        create_repository(
            folder, {"Parcel 1.0": base, "Size classes, discounts and labels": base | _read(sample / "head")}
        )


def _read(root: Path) -> dict[str, bytes]:
    paths = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


@click.command("demo")
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), default=".demo", show_default=True, help="For the results."
)
@click.option("--model", metavar="NAME", help="Another embedded model, or one of Inference Providers.")
@click.option(
    "--sandbox",
    type=click.Choice([policy.value for policy in Policy]),
    default=Policy.AUTO.value,
    show_default=True,
    help="As for propose.",
)
def demo(*, out: Path, model: str | None, sandbox: str) -> None:
    """Show it on a sample change: a real model writes tests, each is run and measured."""
    console = Console(emoji=False)  # ":x:" in a test or its reason is text
    with tempfile.TemporaryDirectory(prefix="llm-testgen-demo-") as folder:
        project = Path(folder, "parcel")
        make_project(project)
        console.print("A sample project, parcel, has grown: new methods for sizes, prices and labels, hardly tested.")
        console.print(f"What follows is [bold]llm-testgen propose --repo {project} --base HEAD~1[/].", highlight=False)
        out = out.resolve()
        # Each time the model really writes them: nothing is answered from an earlier demo.
        (out / SESSION).unlink(missing_ok=True)
        options = replace(demo_options(project, out), sandbox=Policy(sandbox))
        run_interruptibly(run_propose(replace(options, model=replace(options.model, model=model)), os.environ, console))
