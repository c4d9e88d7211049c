"""Pages of the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from llm_testgen.bench.pulls.experiments import EXPERIMENTS, Experiment
from llm_testgen.bench.pulls.run import Found, PullOptions, remarks
from llm_testgen.bench.pulls.tables import Table, markdown
from llm_testgen.delivery.markdown import plural

_METHOD = """\
## How it is measured

A case is a real change: what lies between two releases of a project on the package index. Its base is the older
release; its head is the newer release's code with the **older release's tests**, as before anybody wrote tests for
the change. Of each case up to four functions and methods are drawn by lot, the same for every arm, of which the older
tests leave at least two changed lines unexecuted; where fewer are asked about, the first of them in the order of their
files. An arm may spend 800 tokens of replies on each (and 600 on comments where it asks for these first).

- *lines*: changed lines of these methods that no older test executes and that the arm's tests do.
- *missing lines*, *fully covered*: the share of all those lines, and of cases of which none is left; with 95 %
  confidence intervals by bootstrap over projects, which are somewhat too narrow where there are only ten or twenty.
- *the authors' own tests*: the newer release's tests, on the same lines.
- *diff coverage*: per cent of the changed lines of the whole change, without and with the arm's tests of these methods;
  of the authors' tests also with those of everything else that changed.
- *plain prompt*: the method's code and the wish for pytest tests; its file is kept if all of it passes, or its tests
  are taken one by one. A reply that reaches its 800 tokens ends in mid-test.
- *CoverUp* is run as it comes, in an environment and a sandbox of its own, on the asked methods alone; tests of the
  project that fail by themselves count as skipped, as it does not begin otherwise. It first looks at the whole suite in
  one process, not in one for each test; its last look, which it only prints, is left out. Its tokens of a case are one
  purse, of which one reply takes no more than 800.
- A test of llm-testgen must also notice a fault in what it covers. Of the plain file and of CoverUp every test counts
  that passes and executes a missing line.
- *tests*: those that are kept, no two for the same lines; *mutants killed*: of small faults in the lines that an arm's
  own tests cover those noticed, so that each arm has others.
- *Filter by filter* counts the tests of an arm's replies; where its file is kept or dropped as one, files.
- *difference*: of the share of each case's missing lines, in percentage points; *p* by a permutation test over the
  signs of projects; a star where it is under 0.05. None is corrected for the number of comparisons.
- Replies that come along were drawn by vLLM on two cores, dozens at a time while tests ran beside it, from the files of
  the embedded models with their weights dequantised to bfloat16. *model s* is from a prompt to its reply, so that it
  compares arms, and says nothing of how long one reply takes alone.
- Replies are drawn once, with a fixed seed, so that another draw would give other figures: the intervals speak of other
  cases, not of other draws.
"""

_EXPERIMENT = """\
How it is measured stands in [pull-requests.md](pull-requests.md). Each way asks once about each method; *tests written*
are the candidates of its replies, and *passing* those of them that pass on the change as they were written or mended.
"""
_OF_MODELS = """\
How it is measured stands in [pull-requests.md](pull-requests.md). The same ways, on the same cases, with one
model after the other; *passing* are the tests of its replies that pass on the change as they were written or mended.
"""
_SERVED = """\
Serving is measured in turns, each model started anew each time, on one machine: *files* are those of the model and of
what is put on it, *memory* the most that its server held, *speed* the tokens written a second over those of the first.
"""
_CLAIMS = """\
*What was found before* is what A. Dugo reports (*Test Automatici con Large Language Model*, bachelor's thesis, Padua
2024) of other models, on other code. The changes are those of the sums over the same cases, with 95 % intervals by
bootstrap over projects. It is *found again* where all of the interval lies on that side, and a permutation test over
the signs of projects has a p under 0.05.
"""


def main_page(found: Found, tables: Sequence[Table], options: PullOptions, plot: str, folder: Path) -> str:
    """The page of ``bench pull-requests``.

    Args:
        found: What is known.
        tables: What it shows.
        options: What was asked for.
        plot: The address of its plot; empty where there is none.
        folder: Where it will lie; pages of experiments that lie there too are linked.
    """
    return "\n".join(_main_parts(found, tables, options, plot, folder))


def _main_parts(found: Found, tables: Sequence[Table], options: PullOptions, plot: str, folder: Path) -> Iterator[str]:
    yield "# Tests for real changes, in several ways\n"
    yield "`make bench-replay` makes this page from recorded replies; no model is needed.\n"
    yield f"{_cases(found, options)}\n"
    if plot:
        yield f"![Tests by arm]({plot})\n"
    yield from _tables(tables)
    if pages := [one for one in EXPERIMENTS if (folder / f"{one.name}.md").is_file()]:
        yield "## The experiments\n"
        yield from (f"- [{one.title}]({one.name}.md): {one.question[0].lower()}{one.question[1:]}" for one in pages)
        yield ""
    yield _METHOD
    yield from _remarks(found)


def experiment_page(
    experiment: Experiment, found: Found, tables: Sequence[Table], options: PullOptions, plot: str
) -> str:
    """The page of an experiment; ``plot`` is the address of its plot, empty where there is none."""
    return "\n".join(_experiment_parts(experiment, found, tables, options, plot))


def _experiment_parts(
    experiment: Experiment, found: Found, tables: Sequence[Table], options: PullOptions, plot: str
) -> Iterator[str]:
    yield f"# {experiment.title}\n"
    yield f"{experiment.question} `make bench-replay` makes this page from recorded replies; no model is needed.\n"
    yield f"{_cases(found, options)}\n"
    if plot:
        yield f"![{experiment.title}]({plot})\n"
    yield from _tables(tables)
    yield _OF_MODELS if experiment.of_models else _EXPERIMENT
    if experiment.served:
        yield _SERVED
    if experiment.claims:
        yield _CLAIMS
    yield from _remarks(found)


def _tables(tables: Sequence[Table]) -> Iterator[str]:
    for table in tables:
        yield f"## {table.title}\n"
        yield from markdown(table)
        yield ""


def _cases(found: Found, options: PullOptions) -> str:
    names = {result.case: result.project for one in found.series for result in one.results}
    projects = sorted(set(names.values()))
    methods = {
        (result.case, method.target) for one in found.series for result in one.results for method in result.methods
    }
    return (
        f"{plural(len(names), 'case')} of {plural(len(projects), 'project')} ({', '.join(projects)}),"
        f" {plural(len(methods), 'method')}, at most {options.methods} of a case; seed {options.seed}."
    )


def _remarks(found: Found) -> Iterator[str]:
    if lines := list(remarks(found)):
        yield "## What to bear in mind\n"
        yield from (f"- {line}" for line in lines)
        yield ""
