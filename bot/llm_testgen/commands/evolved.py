"""What is said of a search over recipes: while it goes on, at its end, and at the head of the recipe's file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llm_testgen.commands.progress import Progress
from llm_testgen.evolution.comparison import Comparison, remark
from llm_testgen.evolution.generations import Found, Plan, Summary
from llm_testgen.evolution.score import Gain, score, total
from llm_testgen.evolution.split import Split
from llm_testgen.recipe import DEFAULT_RECIPE, Recipe


@dataclass(frozen=True, slots=True)
class About:
    """What a search is done with.

    Attributes:
        model: What the model is called.
        head: The revision of the project.
        plan: How much is tried.
        parts: The methods.
        known: How many trials of earlier searches are known.
        notes: What a person should know of the project and of the machine.
    """

    model: str
    head: str
    plan: Plan
    parts: Split
    known: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What a search came to.

    Attributes:
        start: The recipe that it set out from.
        found: What it found.
        comparison: Both on the methods kept for that; None where there were no tokens left for it.
    """

    start: Recipe
    found: Found
    comparison: Comparison | None

    @property
    def starting(self) -> str:
        """What the recipe is called that it set out from."""
        return "the default recipe" if self.start == DEFAULT_RECIPE else "the recipe that it set out from"

    @property
    def remark(self) -> str:
        """What there is to say of the recipe."""
        return remark(self.comparison, self.starting, same=self.found.recipe == self.start)


class Shown:
    """Shows a search while it goes on: what is tried now, and a line for each generation.

    Args:
        console: Where lines are printed.
        progress: Where it is shown what goes on now.
        generations: How many there will be at most.
    """

    def __init__(self, console: Console, progress: Progress, generations: int) -> None:
        """Print nothing yet."""
        self._console = console
        self._progress = progress
        self._generations = generations

    def begins(self, about: About) -> None:
        """Say on what it is done."""
        for note in about.notes:
            self._print(f"note: {note}", "dim")
        parts = about.parts
        apart = "" if parts.apart else "; all are of one file, so the two are not as independent as they should be"
        self._print(
            f"{len(parts.training)} methods to search on, {len(parts.held_out)} kept to compare on at the end{apart}"
        )
        if about.known:
            self._print(f"{about.known} trials of earlier searches are known and are not made again", "dim")

    def trying(self, generation: int, place: int, places: int, recipes: int) -> None:
        """So many recipes are tried on one of the methods."""
        many = f"{recipes} recipe{'' if recipes == 1 else 's'}"
        self._progress.phase(f"generation {generation} of {self._generations}, method {place} of {places}: {many}")

    def bred(self, summary: Summary) -> None:
        """A generation is done."""
        given_up = f", {summary.given_up} of {summary.tried} given up early" if summary.given_up else ""
        self._print(
            f"generation {summary.number}: best {summary.best.rate:.2f} lines per 1,000 tokens, mean {summary.mean:.2f}"
            f"{given_up}, {summary.tokens:,} tokens so far"
        )

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style), soft_wrap=True)


def show(console: Console, report: Report, file: Path) -> None:
    """Say what a search came to, and how to use it."""
    found, comparison = report.found, report.comparison
    if found.note:
        console.print(Text(f"note: {found.note}", "dim"), soft_wrap=True)
    if comparison is not None:
        weight = comparison.weight_in
        console.print()
        console.print(Text(f"On the {len(comparison.found)} methods that the search never saw, one prompt each:"))
        name = "default" if report.start == DEFAULT_RECIPE else "start"
        rows = [(name, comparison.start), ("found", comparison.found)]
        console.print(_table(rows[: 1 if found.recipe == report.start else 2], weight))
    console.print()
    console.print(Text(report.remark), soft_wrap=True)
    console.print(Text(f"It is written to {file}: llm-testgen propose --prompts {file}"), soft_wrap=True)


def _table(rows: list[tuple[str, tuple[Gain, ...]]], weight_in: float) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("recipe")
    for heading in ("accepted", "lines", "mutants killed", "tokens in", "tokens out", "lines per 1,000"):
        table.add_column(heading, justify="right")
    for name, gains in rows:
        gain = total(gains)
        figures = (gain.accepted, gain.lines, gain.killed, gain.tokens_in, gain.tokens_out)
        table.add_row(name, *(f"{figure:,}" for figure in figures), f"{score(gain, weight_in).rate:.2f}")
    return table


def remarks(report: Report, about: About) -> Iterator[str]:
    """The head of the recipe's file: how it was found, and what it is worth."""
    found, plan, parts = report.found, about.plan, about.parts
    before, after = (score(gain, plan.weight_in).rate for gain in (found.start, found.gain))
    yield "Found by llm-testgen evolve."
    yield f"Model: {about.model}. Project: {about.head}. Seed: {plan.seed}."
    yield (
        f"Search: {len(found.generations)} of {plan.generations} generations of {plan.population} recipes"
        f" on {len(parts.training)} methods, {found.tokens:,} tokens."
    )
    yield (
        f"There it covers {after:.2f} lines per 1,000 tokens, {report.starting} {before:.2f}"
        f" (a token read counts for {plan.weight_in:g} of one)."
    )
    if found.note:
        yield f"It ended early: {found.note}."
    yield report.remark
    if report.comparison is not None:
        for name, gains in ((report.starting, report.comparison.start), ("this one", report.comparison.found)):
            gain = total(gains)
            yield (
                f"  {name}: {gain.accepted} tests accepted, {gain.lines} lines covered, {gain.killed} mutants killed,"
                f" {gain.tokens_in} tokens in, {gain.tokens_out} out"
            )
    yield "Use it with: llm-testgen propose --prompts FILE"
