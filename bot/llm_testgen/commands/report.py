"""``llm-testgen report``: one HTML page of what a run found, or of what a benchmark measured."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from llm_testgen import __version__
from llm_testgen.commands.output import OUTPUT_FOLDER, PROPOSAL, REPORT, SESSION, write_whole
from llm_testgen.commands.publish import load_proposal
from llm_testgen.edges.git import Repository
from llm_testgen.errors import LlmTestgenError, UsageError
from llm_testgen.index import Index
from llm_testgen.pages.render import render
from llm_testgen.pages.run import run_page
from llm_testgen.proposal import Proposal, TargetRecord
from llm_testgen.records import ChangedMethod, ChangeStatus, Method
from llm_testgen.reporting import target_records
from llm_testgen.source import SourceError, parse

RESULTS = "results.jsonl"
_BEGINNING = 1 << 20
_LONGEST_RESULTS = 256 << 20
_WANTED = f"the {PROPOSAL} of `llm-testgen propose`, or the {RESULTS} of `llm-testgen bench pull-requests`"

# The definitions of a file.
_Definitions = Callable[[str], Sequence[Method]]


@click.command("report")
@click.argument("results", type=click.Path(path_type=Path), required=False)
@click.option(
    "--repo", type=click.Path(path_type=Path), help="The checkout, for source lines.  [default: around the results]"
)
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path), help="The page.  [default: report.html in the results]"
)
def report(*, results: Path | None, repo: Path | None, out: Path | None) -> None:
    """Make one HTML page of what propose found, or of what bench pull-requests measured.

    RESULTS is the folder of either, a proposal.json or a results.jsonl. Without it the page is of .llm-testgen in the
    repository. The page needs no network and holds no script.
    """
    path = _results_path(results, repo)
    made = _of_benchmark(path, repo) if _is_of_benchmark(path) else _of_run(path, repo)
    page = out or path.parent / REPORT
    write_whole(page, made)
    click.echo(f"Report: {page}")


def _results_path(results: Path | None, repo: Path | None) -> Path:
    """The file of the proposal, or of the benchmark's results.

    Raises:
        UsageError: There is none, or a folder has both.
    """
    found = results or Repository.open(repo or Path()).root / OUTPUT_FOLDER
    if not found.exists():
        msg = f"{found} does not exist: run `llm-testgen propose` first, or pass the folder of its results"
        raise UsageError(msg)
    if not found.is_dir():
        return found
    there = [found / name for name in (PROPOSAL, RESULTS) if (found / name).exists()]
    if len(there) > 1:
        msg = f"{found} holds both {PROPOSAL} and {RESULTS}: pass the file that is meant"
        raise UsageError(msg)
    if not there:
        msg = (
            f"{found} holds neither {PROPOSAL} nor {RESULTS}: run `llm-testgen propose` first, or pass the folder of"
            " its results, or that of `llm-testgen bench pull-requests --out`"
        )
        raise UsageError(msg)
    return there[0]


def _is_of_benchmark(path: Path) -> bool:
    """Whether a file holds results of a benchmark, by what it begins with.

    Raises:
        UsageError: It cannot be read, or is empty.
    """
    beginning = _read(path, _BEGINNING)
    if not beginning.strip():
        msg = f"{path} is empty: pass {_WANTED}"
        raise UsageError(msg)
    first = beginning.lstrip().partition(b"\n")[0]
    try:
        found = json.loads(first)
    except (ValueError, RecursionError):
        return first.startswith(b'{"case":')  # half a line of results
    return isinstance(found, dict) and {"case", "arm"} <= found.keys()


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}): pass {_WANTED}"
        raise UsageError(msg) from error


def _of_benchmark(path: Path, repo: Path | None) -> bytes:
    """The page of a benchmark's results.

    Raises:
        UsageError: They cannot be shown, or a checkout was named.
    """
    if repo is not None:
        msg = f"{path} holds results of a benchmark, which need no checkout: leave --repo out"
        raise UsageError(msg)
    data = _read(path, _LONGEST_RESULTS + 1)
    if len(data) > _LONGEST_RESULTS:
        msg = f"{path} is longer than {_LONGEST_RESULTS:,} bytes: no benchmark writes so much; pass {_WANTED}"
        raise UsageError(msg)
    from llm_testgen.bench.pulls.report import benchmark_html  # noqa: PLC0415 - the page of a run need not wait for it

    return benchmark_html(data, path, __version__)


def _of_run(path: Path, repo: Path | None) -> bytes:
    """The page of a proposal.

    Raises:
        UsageError: It is none, or a checkout was named and there is none.
    """
    try:
        proposal = load_proposal(path)
    except UsageError as error:
        msg = f"{error}, or pass the {RESULTS} of `llm-testgen bench pull-requests`"
        raise UsageError(msg) from error
    sources = _sources(proposal, path.parent, repo)
    lacking = [target.id for target in proposal.targets if target.id not in sources]
    note = "the source of {} is not shown: neither the session nor the checkout has it as it was tested"
    notes = [note.format(lacking[0] if len(lacking) == 1 else f"{len(lacking):,} methods")] if lacking else []
    return render("run.html.jinja", run_page(proposal, sources, __version__, notes))


def _sources(proposal: Proposal, folder: Path, repo: Path | None) -> Mapping[str, tuple[Method, ...]]:
    """The definitions of the methods as they were tested, of those that are still at hand, by the methods' ids.

    Raises:
        UsageError: A checkout was named and there is none.
    """
    repository = Repository.open(repo) if repo else _repository_around(folder)
    sources: dict[str, tuple[Method, ...]] = {}
    if repository is not None and not proposal.worktree:
        sources |= _matching(proposal, _of_commit(repository, proposal.head))
    if len(sources) < len(proposal.targets) and (folder / SESSION).is_file():
        try:
            with Index.read(folder / SESSION) as index:
                sources = _matching(proposal, index.methods) | sources
        except UsageError:
            return sources  # somebody else's file of that name, or one of another version
    return sources


def _repository_around(folder: Path) -> Repository | None:
    try:
        return Repository.open(folder)
    except UsageError:
        return None


def _of_commit(repository: Repository, commit: str) -> _Definitions:
    """Definitions of the files of a commit; none where the clone lacks it."""
    try:
        snapshot = repository.snapshot(commit)
    except LlmTestgenError:
        return lambda _: ()
    files = {file.path: file for file in snapshot.files}

    def definitions(path: str) -> Sequence[Method]:
        try:
            return [found.method for found in parse(path, snapshot.read(files[path])).definitions]
        except (KeyError, SourceError, LlmTestgenError):
            return ()

    return definitions


def _matching(proposal: Proposal, definitions: _Definitions) -> dict[str, tuple[Method, ...]]:
    """Definitions of those methods whose source is the very one that was tested."""
    of_path = functools.cache(definitions)
    found = {}
    for target in proposal.targets:
        qualname = target.id.removeprefix(f"{target.path}::")
        own = tuple(method for method in of_path(target.path) if method.qualname == qualname)
        if own and _is_same(own, target):
            found[target.id] = own
    return found


def _is_same(definitions: tuple[Method, ...], target: TargetRecord) -> bool:
    method = ChangedMethod(definitions, frozenset(target.lines), ChangeStatus.MODIFIED)
    (record,) = target_records([method])
    return record.digest == target.digest
