"""``llm-testgen propose``: from a change in a checkout to proven tests in a folder."""

from __future__ import annotations

import math
import os
from pathlib import Path

import click
from rich.console import Console

from llm_testgen.commands.models import ModelOptions
from llm_testgen.commands.proposing import ProposeOptions, run_propose
from llm_testgen.interrupts import run_interruptibly
from llm_testgen.runner.sandbox import Policy
from llm_testgen.settings import Generation


class _Seconds(click.FloatRange):
    """A time between a second and a day."""

    name = "seconds"

    def __init__(self) -> None:
        super().__init__(min=1, max=86_400)

    def convert(self, value: float | str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The time; infinity and what is no number are refused."""
        seconds: float = super().convert(value, param, ctx)  # type: ignore[arg-type]  # click's stubs lack str
        if not math.isfinite(seconds):
            self.fail(f"{value} is no time in seconds", param, ctx)
        return seconds


_POSITIVE = click.IntRange(min=1)


@click.command("propose")
@click.option("--repo", type=click.Path(path_type=Path), default=Path(), show_default=".", help="The checkout.")
@click.option("--base", metavar="REV", help="Compare with where HEAD left REV.  [default: the default branch]")
@click.option("--head", metavar="REV", default="HEAD", show_default=True, help="The revision to test.")
@click.option(
    "--target", "targets", metavar="NAME", multiple=True, help="Only path.py, path.py::Class or path.py::Class.method."
)
@click.option("--worktree", is_flag=True, help="Test the working tree as it is, uncommitted changes included.")
@click.option("--python", metavar="PATH", help="The project's interpreter.  [default: its .venv, else python]")
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="Where results go.  [default: .llm-testgen]"
)
@click.option(
    "--coverage",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Coverage of the existing tests (.coverage, XML, JSON or lcov), instead of running them.",
)
@click.option("--test-folder", metavar="DIR", help="Where tests go in a project that has none yet.")
@click.option("--prompts", metavar="DIR", type=click.Path(path_type=Path), help="Templates of your own.")
@click.option("--model", metavar="ID", help="A model of Inference Providers or of the endpoint, or an embedded one.")
@click.option("--endpoint", metavar="URL", help="A dedicated endpoint or any OpenAI-compatible server.")
@click.option("--replay", metavar="FILE", type=click.Path(path_type=Path), help="Answer from recorded replies.")
@click.option("--record", metavar="FILE", type=click.Path(path_type=Path), help="Record the replies.")
@click.option("--attempts", type=_POSITIVE, default=2, show_default=True, help="Prompts per changed method.")
@click.option("--max-tests", type=_POSITIVE, help="Accept at most so many tests.")
@click.option("--max-tokens", type=_POSITIVE, help="Spend at most so many tokens, in and out.")
@click.option("--deadline", type=_Seconds(), metavar="SECONDS", help="Stop trying after so long.")
@click.option("--timeout", type=_Seconds(), default=20.0, show_default=True, help="Seconds per test run.")
@click.option(
    "--sandbox",
    type=click.Choice([policy.value for policy in Policy]),
    default=Policy.AUTO.value,
    show_default=True,
    help="Use what this machine has, or refuse where a layer is missing, or run unconfined.",
)
@click.option("--temperature", type=click.FloatRange(0, 2), default=0.0, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the model's sampling.")
@click.option(
    "--context-tokens", type=click.IntRange(min=0), default=600, show_default=True, help="For related code in a prompt."
)
def propose(  # noqa: PLR0913 - one parameter for each option
    *,
    repo: Path,
    base: str | None,
    head: str,
    targets: tuple[str, ...],
    worktree: bool,
    python: str | None,
    out: Path | None,
    coverage: Path | None,
    test_folder: str | None,
    prompts: Path | None,
    model: str | None,
    endpoint: str | None,
    replay: Path | None,
    record: Path | None,
    attempts: int,
    max_tests: int | None,
    max_tokens: int | None,
    deadline: float | None,
    timeout: float,
    sandbox: str,
    temperature: float,
    seed: int,
    context_tokens: int,
) -> None:
    """Write tests for what changed, prove them, and keep those that raise diff coverage."""
    options = ProposeOptions(
        repo=repo,
        base=base,
        head=head,
        worktree=worktree,
        python=python,
        out=out,
        coverage=coverage,
        prompts=prompts,
        test_folder=test_folder,
        timeout=timeout,
        sandbox=Policy(sandbox),
        model=ModelOptions(model=model, endpoint=endpoint, replay=replay, record=record),
        generation=Generation(
            attempts=attempts,
            temperature=temperature,
            seed=seed,
            context_tokens=context_tokens,
            max_tokens=max_tokens,
            max_tests=max_tests,
            deadline=deadline,
        ),
        targets=targets,
    )
    run_interruptibly(run_propose(options, os.environ, Console(emoji=False)))
