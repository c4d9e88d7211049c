"""What a person can choose about a run, and the command-line options for it, which several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from llm_testgen.commands.models import ModelOptions
from llm_testgen.recipe import Kind
from llm_testgen.runner.sandbox import Policy
from llm_testgen.settings import Generation


@dataclass(frozen=True, slots=True)
class ProposeOptions:
    """What a person asked for, as it came.

    Attributes:
        repo: A folder inside the checkout.
        base: Revision to compare with; None for the default branch.
        head: Revision to test.
        worktree: Test the working tree as it is instead of ``head``.
        python: The project's interpreter; None to look for one.
        out: Where results go; None for ``.llm-testgen`` in the repository.
        coverage: Recorded coverage of the existing tests; None to run them.
        prompts: Folder of templates, or a recipe; None for the ones that come along.
        test_folder: Where new test files go when the project has no tests yet.
        timeout: Seconds that one execution of a candidate may take.
        sandbox: What to do where layers of the sandbox are missing.
        model: Which model to ask.
        generation: How to ask and judge.
        targets: ``path``, ``path::Class`` or ``path::Class.method`` of what is wanted of the change; empty for all.
        kind: What to write; None for the recipe's.
        temperature: Of the model; None for the recipe's.
        context_tokens: Tokens that related code may take in a prompt; None for the recipe's.
    """

    repo: Path
    base: str | None
    head: str
    worktree: bool
    python: str | None
    out: Path | None
    coverage: Path | None
    prompts: Path | None
    test_folder: str | None
    timeout: float
    sandbox: Policy
    model: ModelOptions
    generation: Generation
    targets: tuple[str, ...] = ()
    kind: Kind | None = None
    temperature: float | None = None
    context_tokens: int | None = None


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
_USUAL = Generation()

_OPTIONS = {
    "repo": click.option(
        "--repo", type=click.Path(path_type=Path), default=Path(), show_default=".", help="The checkout."
    ),
    "worktree": click.option(
        "--worktree", is_flag=True, help="Test the working tree as it is, uncommitted changes included."
    ),
    "python": click.option(
        "--python", metavar="PATH", help="The project's interpreter.  [default: its .venv, else python]"
    ),
    "out": click.option(
        "--out", metavar="DIR", type=click.Path(path_type=Path), help="Where results go.  [default: .llm-testgen]"
    ),
    "coverage": click.option(
        "--coverage",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Coverage of the existing tests (.coverage, XML, JSON or lcov), instead of running them.",
    ),
    "test_folder": click.option("--test-folder", metavar="DIR", help="Where tests go in a project that has none yet."),
    "prompts": click.option(
        "--prompts",
        metavar="PATH",
        type=click.Path(path_type=Path),
        help="A folder of templates of your own, or a recipe.",
    ),
    "kind": click.option(
        "--kind",
        type=click.Choice([kind.value for kind in Kind]),
        help="What to write.  [default: the recipe's, or unit]",
    ),
    "model": click.option(
        "--model",
        metavar="ID",
        help="A model of Inference Providers or of the endpoint, an embedded one, or a GGUF file.",
    ),
    "adapter": click.option(
        "--adapter",
        metavar="PATH",
        type=click.Path(path_type=Path),
        help="What was tuned, put on an embedded model or a GGUF file.",
    ),
    "endpoint": click.option("--endpoint", metavar="URL", help="A dedicated endpoint or any OpenAI-compatible server."),
    "replay": click.option(
        "--replay", metavar="FILE", type=click.Path(path_type=Path), help="Answer from recorded replies."
    ),
    "record": click.option("--record", metavar="FILE", type=click.Path(path_type=Path), help="Record the replies."),
    "attempts": click.option("--attempts", type=_POSITIVE, default=2, show_default=True, help="Prompts per method."),
    "max_tests": click.option("--max-tests", type=_POSITIVE, help="Accept at most so many tests."),
    "max_tokens": click.option("--max-tokens", type=_POSITIVE, help="Spend at most so many tokens, in and out."),
    "deadline": click.option("--deadline", type=_Seconds(), metavar="SECONDS", help="Stop trying after so long."),
    "timeout": click.option(
        "--timeout", type=_Seconds(), default=20.0, show_default=True, help="Seconds per test run."
    ),
    "sandbox": click.option(
        "--sandbox",
        type=click.Choice([policy.value for policy in Policy]),
        default=Policy.AUTO.value,
        show_default=True,
        help="Use what this machine has, or refuse where a layer is missing, or run unconfined.",
    ),
    "mutants": click.option(
        "--mutants",
        type=click.IntRange(min=0, max=100),
        default=_USUAL.mutants,
        show_default=True,
        help="Faults that each test is tried with.",
    ),
    "temperature": click.option(
        "--temperature", type=click.FloatRange(0, 2), help="Of the model.  [default: the recipe's, or 0]"
    ),
    "seed": click.option("--seed", type=int, default=0, show_default=True, help="Of the model's sampling."),
    "context_tokens": click.option(
        "--context-tokens",
        type=click.IntRange(min=0),
        help="For related code in a prompt.  [default: the recipe's, or 600]",
    ),
}


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a run, which it gets as its first argument, made into `ProposeOptions`."""
    return run_options_without()(command)


def run_options_without(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The same but for some, which are as if nobody had given them; the command may have its own of those names."""
    shared = _OPTIONS.keys() - set(left_out)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**values: Any) -> None:  # noqa: ANN401 - as click parsed them
            own = {name: values.pop(name) for name in values.keys() - shared}
            command(_options(**values), **own)

        for name in reversed(_OPTIONS):
            run = _OPTIONS[name](run) if name in shared else run
        return run

    return decorate


def _options(  # noqa: PLR0913 - one parameter for each option
    *,
    repo: Path,
    worktree: bool,
    python: str | None,
    out: Path | None = None,
    coverage: Path | None,
    test_folder: str | None,
    prompts: Path | None,
    kind: str | None = None,
    mutants: int = _USUAL.mutants,
    model: str | None,
    endpoint: str | None,
    adapter: Path | None = None,
    replay: Path | None = None,
    record: Path | None,
    attempts: int = _USUAL.attempts,
    max_tests: int | None = None,
    max_tokens: int | None,
    deadline: float | None,
    timeout: float,
    sandbox: str,
    temperature: float | None = None,
    seed: int | None = _USUAL.seed,
    context_tokens: int | None = None,
) -> ProposeOptions:
    return ProposeOptions(
        repo=repo,
        base=None,
        head="HEAD",
        worktree=worktree,
        python=python,
        out=out,
        coverage=coverage,
        prompts=prompts,
        test_folder=test_folder,
        timeout=timeout,
        sandbox=Policy(sandbox),
        model=ModelOptions(model=model, endpoint=endpoint, replay=replay, record=record, adapter=adapter),
        generation=Generation(
            attempts=attempts,
            seed=seed,
            mutants=mutants,
            max_tokens=max_tokens,
            max_tests=max_tests,
            deadline=deadline,
        ),
        kind=Kind(kind) if kind else None,
        temperature=temperature,
        context_tokens=context_tokens,
    )
