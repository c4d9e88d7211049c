"""The page of a benchmark: its results as all that the template shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_testgen.bench.pulls.arms import MAIN, Arm
from llm_testgen.bench.pulls.claims import claims_table
from llm_testgen.bench.pulls.experiments import EXPERIMENTS, Experiment
from llm_testgen.bench.pulls.model_tables import by_arm, model_tables
from llm_testgen.bench.pulls.report_cases import CaseView, Group, Overview, case_views, overviews
from llm_testgen.bench.pulls.report_charts import LONGEST_NAME, funnel_charts, lines_chart, passing_chart, share
from llm_testgen.bench.pulls.report_tables import page_table, page_tables
from llm_testgen.bench.pulls.results import ArmResult, read_results
from llm_testgen.bench.pulls.tables import (
    Series,
    cost_table,
    difference_table,
    experiment_table,
    human_rows,
    main_table,
    series_of,
)
from llm_testgen.bench.pulls.tables import Table as Rows
from llm_testgen.delivery.markdown import plural, visible
from llm_testgen.errors import UsageError
from llm_testgen.pages.blocks import BarChart, Column, Figure, Table, fitting
from llm_testgen.pages.render import render
from llm_testgen.pages.words import Phrase, phrase, plain, quote

_MOST_NAMES = 20
# Those that also measure how models are served ask the same of the same results as the comparison of models.
_SHOWN = tuple(one for one in EXPERIMENTS if not one.served)


@dataclass(frozen=True, slots=True)
class FunnelView:
    """A model, and how far the candidates of each arm came with it."""

    model: Phrase
    charts: tuple[BarChart, ...]


@dataclass(frozen=True, slots=True)
class ExperimentView:
    """An experiment: its name, what it shows and asks, its charts and tables, what to bear in mind."""

    name: str
    title: str
    question: str
    charts: tuple[BarChart, ...]
    tables: tuple[Table, ...]
    notes: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class BenchmarkPage:
    """All that the page of a benchmark shows.

    Attributes:
        title: What was compared, in one sentence.
        about: On what, each with its name.
        figures: The headline figures.
        compared: How many cases are compared.
        lines: Lines gained by arm, of each model.
        tables: What each arm brings.
        differences: How sure the differences are.
        funnels: How far the candidates came, of each model.
        costs: What each arm costs.
        experiments: Those of which at least two ways have results.
        overviews: All cases, in several orders.
        cases: The cases one by one.
        notes: What a person should bear in mind.
        version: The tool's.
    """

    title: str
    about: tuple[tuple[str, Phrase], ...]
    figures: tuple[Figure, ...]
    compared: Table
    lines: tuple[BarChart, ...]
    tables: tuple[Table, ...]
    differences: tuple[Table, ...]
    funnels: tuple[FunnelView, ...]
    costs: tuple[Table, ...]
    experiments: tuple[ExperimentView, ...]
    overviews: tuple[Overview, ...]
    cases: tuple[CaseView, ...]
    notes: tuple[Phrase, ...]
    version: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What can be shown of some results.

    Attributes:
        results: Those of one draw and of the arms as they are now.
        models: Who answered.
        main: What can be compared of the main arms.
        experiments: The experiments, each with what can be compared; only those with something to compare.
        seed: By which the methods were chosen.
        most: How many of a case at most.
        notes: What is left out.
    """

    results: tuple[ArmResult, ...]
    models: tuple[str, ...]
    main: tuple[Series, ...]
    experiments: tuple[tuple[Experiment, tuple[Series, ...]], ...]
    seed: int
    most: int
    notes: tuple[str, ...]

    def of_models(self, series: Sequence[Series]) -> Iterator[Sequence[Series]]:
        """Series of each model."""
        for model in self.models:
            if own := [one for one in series if one.model == model]:
                yield own


def benchmark_html(data: bytes, path: Path, version: str) -> bytes:
    """The page of a file of results.

    Args:
        data: What the file holds.
        path: Its name, for errors.
        version: The tool's.

    Raises:
        UsageError: It holds no results, or none that can be shown; or SciPy is not installed.
    """
    known = _known(read_results(data, path))
    if not known.results:
        msg = (
            f"{path} holds only results of other forms of the arms, from another version of llm-testgen: make them anew"
            " with `llm-testgen bench pull-requests`, or pass results of this version"
        )
        raise UsageError(msg)
    return render("benchmark.html.jinja", _page(known, version))


def _known(results: Sequence[ArmResult]) -> _Known:
    forms = {(arm.key, arm.digest()) for arm in _arms()}
    of_now = [result for result in results if (result.arm, result.form) in forms]
    draws = Counter((result.seed, result.most) for result in of_now)
    draw = max(sorted(draws), key=draws.__getitem__, default=(0, 0))
    found = tuple(result for result in of_now if (result.seed, result.most) == draw)
    models = tuple(dict.fromkeys(result.model for result in found))
    experiments = [(one, series_of(found, one.arms, models)) for one in _SHOWN]
    notes = []
    if other := len(results) - len(of_now):
        notes.append(f"{plural(other, 'result')} of other forms of the arms, from another version, not shown")
    if others := sorted(draws.keys() - {draw}):
        told = "; ".join(f"seed {seed}, {plural(most, 'method')} a case" for seed, most in others)
        notes.append(f"results of other draws are not shown ({told}): a file that holds only one's shows them")
    return _Known(
        results=found,
        models=models,
        main=series_of(found, MAIN, models),
        experiments=tuple((one, series) for one, series in experiments if _is_comparison(one, series)),
        seed=draw[0],
        most=draw[1],
        notes=tuple(notes),
    )


def _arms() -> tuple[Arm, ...]:
    """All arms that there are, each once."""
    every = (*MAIN, *(arm for experiment in _SHOWN for arm in experiment.arms))
    return tuple({arm.key: arm for arm in every}.values())


def _is_comparison(experiment: Experiment, series: Sequence[Series]) -> bool:
    """Whether there are two ways of what the experiment changes."""
    return len({one.model if experiment.of_models else one.arm.key for one in series}) > 1


def _page(known: _Known, version: str) -> BenchmarkPage:
    main = known.main
    shown = {arm.key for arm in MAIN}
    groups = [Group("", MAIN)]
    groups += [Group(one.title, one.arms) for one in _SHOWN if not {arm.key for arm in one.arms} <= shown]
    return BenchmarkPage(
        title=_title(known),
        about=tuple(_about(known)),
        figures=tuple(_figures(known)),
        compared=_compared(known),
        lines=tuple(lines_chart(own, is_main=True) for own in known.of_models(main)),
        tables=tuple(page_tables(_with_authors(main))) if main else (),
        differences=tuple(page_tables(difference_table(main))),
        funnels=tuple(_funnels(known)),
        costs=tuple(page_tables(cost_table(main))),
        experiments=tuple(_experiment(known, one, series) for one, series in known.experiments),
        overviews=overviews(known.results, MAIN),
        cases=case_views(known.results, groups),
        notes=tuple(map(phrase, _notes(known))),
        version=version,
    )


def _compared_results(known: _Known) -> Sequence[ArmResult]:
    """Results that stand in a comparison; all where there is none."""
    series = known.main or [one for _, own in known.experiments for one in own]
    return [result for one in series for result in one.results] or known.results


def _title(known: _Known) -> str:
    results = _compared_results(known)
    cases, ways = (len({getattr(one, name) for one in results}) for name in ("case", "arm"))
    return f"Tests for {plural(cases, 'real change')}, in {plural(ways, 'way')}"


def _about(known: _Known) -> Iterator[tuple[str, Phrase]]:
    yield "Model" if len(known.models) == 1 else "Models", phrase(_listed(known.models))
    yield "Seed", plain(str(known.seed))
    yield "Methods", plain(f"{known.most} of a case at most")
    yield "Split", phrase(_listed(sorted({result.split for result in known.results})))
    yield "Projects", phrase(_listed(sorted({result.project for result in known.results})))


def _listed(names: Sequence[str]) -> str:
    shown, more = fitting(names, _MOST_NAMES)
    said = ", ".join(quote(name, LONGEST_NAME) for name in shown)
    return f"{said} and {more:,} more" if more else said


def _figures(known: _Known) -> Iterator[Figure]:
    results = _compared_results(known)
    cases, projects = (len({getattr(one, name) for one in results}) for name in ("case", "project"))
    missing = {(one.case, method.target): method.missing for one in results for method in one.methods}
    yield Figure("Cases", f"{cases:,}", f"real changes of {plural(projects, 'project')}")
    yield Figure("Methods", f"{len(missing):,}", f"chosen by lot, with {sum(missing.values()):,} missing lines")
    for first, *_ in known.of_models(known.main):
        gained, lacking = _sums(first)
        told = visible(f"{gained:,} of {lacking:,} missing lines, {first.model}", LONGEST_NAME)
        yield Figure(f"Gained by {first.label}", share(first.share), told)


def _sums(one: Series) -> tuple[int, int]:
    """Lines gained, and lines that were missing."""
    return sum(each.figures.lines for each in one.results), sum(each.about.missing for each in one.results)


def _compared(known: _Known) -> Table:
    """How many cases are compared of those that have results: of each main arm and each experiment, by model."""
    rows: list[tuple[str, Sequence[Arm], Sequence[Series]]] = [
        (arm.label, (arm,), [one for one in known.main if one.arm.key == arm.key]) for arm in MAIN
    ]
    rows += [(one.title, one.arms, series) for one, series in known.experiments]
    shown = []
    for label, arms, series in rows:
        shared = {one.model: len(one.results) for one in series}
        counts = [len(_cases(known, arms, model)) for model in known.models]
        cells = [
            f"{shared.get(model, 0):,} of {count:,}" if count else "-"
            for model, count in zip(known.models, counts, strict=True)
        ]
        if any(counts):
            shown.append((plain(label), *map(plain, cells)))
    names = known.models if len(known.models) > 1 else ("cases",)
    columns = (Column(visible(name, LONGEST_NAME), numeric=True) for name in names)
    return Table("Cases that are compared, of those that have results", (Column("arm"), *columns), tuple(shown))


def _cases(known: _Known, arms: Sequence[Arm], model: str) -> frozenset[str]:
    """The cases of which any of the arms has a result."""
    keys = {arm.key for arm in arms}
    return frozenset(one.case for one in known.results if one.model == model and one.arm in keys)


def _with_authors(series: Sequence[Series]) -> Rows:
    found = main_table(series)
    return Rows(found.title, found.headings, [*found.rows, *human_rows(series)])


def _funnels(known: _Known) -> Iterator[FunnelView]:
    for own in known.of_models(known.main):
        if charts := tuple(funnel_charts(own)):
            yield FunnelView(plain(own[0].model, LONGEST_NAME), charts)


def _experiment(known: _Known, experiment: Experiment, series: Sequence[Series]) -> ExperimentView:
    if experiment.of_models:
        parts: Iterable[Sequence[Series]] = by_arm(series)
        tables = [shown for table in model_tables(series) for shown in page_tables(table)]
    else:
        parts = known.of_models(series)
        tables = [*page_tables(experiment_table(experiment.title, series)), *page_tables(difference_table(series))]
    if claims := claims_table(experiment.claims, series):
        tables.append(page_table(claims))
    charts = (chart for own in parts for chart in (lines_chart(own, is_main=False), passing_chart(own)) if chart)
    return ExperimentView(
        name=experiment.name,
        title=experiment.title,
        question=experiment.question,
        charts=tuple(charts),
        tables=tuple(tables),
        notes=tuple(map(phrase, _experiment_notes(known, experiment, series))),
    )


def _experiment_notes(known: _Known, experiment: Experiment, series: Sequence[Series]) -> Iterator[str]:
    if not experiment.of_models:
        yield from _left_out(known, experiment.arms, series)
    elif len({frozenset(result.case for result in one.results) for one in series}) > 1:
        yield "cases of which a model has no result are left out"


def _notes(known: _Known) -> Iterator[str]:
    yield from known.notes
    yield from _left_out(known, MAIN, known.main)
    for own in known.of_models(known.main):
        if len({result.project for one in own for result in one.results}) == 1:
            yield f"with {quote(own[0].model)} all cases are of one project, from which no interval can be told"
    uncounted = [one.label for one in known.main if all(result.funnel is None for result in one.results)]
    for label in dict.fromkeys(uncounted):
        yield f"{label} judges its own candidates, so that it has no part in the filters"


def _left_out(known: _Known, arms: Sequence[Arm], series: Sequence[Series]) -> Iterator[str]:
    """How many cases are not compared, for an arm lacks them."""
    for model in known.models:
        cases = _cases(known, arms, model)
        shared = next((len(one.results) for one in series if one.model == model), 0)
        if left := len(cases) - shared:
            yield (
                f"{left:,} of {plural(len(cases), 'case')} with {quote(model)} cannot be compared: an arm has no result"
                " there"
            )
