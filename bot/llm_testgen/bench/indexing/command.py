"""``llm-testgen bench index``: what the project index costs, and how well it knows which function calls which."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from llm_testgen import __version__
from llm_testgen.bench import options as shared
from llm_testgen.bench.chain_report import write_text
from llm_testgen.bench.environments import Workshop, work_folder
from llm_testgen.bench.indexing.children import Children
from llm_testgen.bench.indexing.libraries import choose_libraries, manifest, source_tree, standard_library
from llm_testgen.bench.indexing.report import IndexReport, LibraryReport, SpeedReport, write_index_report
from llm_testgen.bench.indexing.resolution import Tools, look_at
from llm_testgen.bench.indexing.speed import Peers, Subject, measure_speed
from llm_testgen.bench.indexing.table import page, print_index, print_library
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.interrupts import run_interruptibly
from llm_testgen.runner.cold import cores
from llm_testgen.runner.interpreter import find_python

_SUITES, _JEDI, _PYAN = "index-suites", "index-jedi", "index-pyan"


@dataclass(frozen=True, slots=True)
class IndexBenchOptions:
    """What was asked for.

    Attributes:
        libraries: Names of the libraries whose calls are looked at; none for all.
        parts: ``speed``, ``calls`` or both.
        stdlib: Time Python's own library instead of the large project.
        rounds: How often each way is timed.
        jedi_seconds: How much CPU time jedi gets for each project.
        python: The interpreter that environments are made with; None for the one that runs this.
        work: Where environments and projects are kept; None for the user's cache.
        json: Where everything that was measured goes; None for nowhere.
        markdown: Where the page of the documentation goes; None for nowhere.
    """

    libraries: tuple[str, ...] = ()
    parts: frozenset[str] = frozenset({"speed", "calls"})
    stdlib: bool = False
    rounds: int = 3
    jedi_seconds: float = 120.0
    python: str | None = None
    work: Path | None = None
    json: Path | None = None
    markdown: Path | None = None


async def run_index_bench(options: IndexBenchOptions, environ: Mapping[str, str], console: Console) -> IndexReport:
    """Measure, print the tables, and write what was asked for.

    Raises:
        LlmTestgenError: Something that a person has to mend first.
    """
    libraries = choose_libraries(options.libraries) if "calls" in options.parts else ()
    for path, option in ((options.json, "--json"), (options.markdown, "--markdown")):
        if path is not None and (path.is_dir() or not os.access(path.absolute().parent, os.W_OK)):
            msg = f"{path} cannot be written: pass {option} a file in a folder that is there"
            raise UsageError(msg)
    python = find_python(Path(), options.python or sys.executable, environ.get("PATH"))
    workshop = Workshop(work_folder(options.work, environ), python)

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    reasons: dict[str, str] = {}
    jedi = await _peer(workshop, _JEDI, "jedi", reasons)
    speed = None
    if "speed" in options.parts:
        peers = Peers(jedi, _ctags(environ, reasons), reasons, options.jedi_seconds)
        speed = await _speed(options, workshop, peers, environ, say)
    told: list[LibraryReport] = []
    if libraries:
        suites = await asyncio.to_thread(workshop.environment, _SUITES)
        pyan = await _peer(workshop, _PYAN, "pyan", reasons)
        tools = Tools(suites, jedi, pyan, reasons, options.jedi_seconds)
        for library in libraries:
            tree = await asyncio.to_thread(source_tree, workshop, library.release, suites)
            told.append(await look_at(library, tree, tools, environ, say))
            print_library(console, told[-1])
    report = IndexReport(
        tool=__version__,
        python=platform.python_version(),
        cores=cores(),
        speed=speed,
        libraries=tuple(told),
    )
    print_index(console, report)
    if options.json is not None:
        write_index_report(report, options.json)
    if options.markdown is not None:
        write_text(page(report), options.markdown, "--markdown")
    return report


async def _peer(workshop: Workshop, environment: str, name: str, reasons: dict[str, str]) -> Path | None:
    """The interpreter of another tool; where it cannot be had, the reason is noted and the rest goes on."""
    try:
        return await asyncio.to_thread(workshop.environment, environment)
    except ProjectError as error:
        reasons[name] = str(error)
        return None


def _ctags(environ: Mapping[str, str], reasons: dict[str, str]) -> Path | None:
    found = shutil.which("ctags", path=environ.get("PATH"))
    if found is None:
        reasons["ctags"] = "ctags is not installed"
        return None
    said = subprocess.run([found, "--version"], capture_output=True, text=True, errors="replace", check=False).stdout
    if not said.startswith("Universal Ctags"):
        reasons["ctags"] = f"{found} is not Universal Ctags"
        return None
    return Path(found)


async def _speed(
    options: IndexBenchOptions,
    workshop: Workshop,
    peers: Peers,
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> SpeedReport:
    large, _ = manifest()
    if options.stdlib:
        subject = Subject.read(f"the library of Python {platform.python_version()}", standard_library())
    else:
        tree = await asyncio.to_thread(source_tree, workshop, large, workshop.python)
        subject = Subject.read(f"{large.name} {large.version}", tree)
    with tempfile.TemporaryDirectory(prefix="llm-testgen-bench-") as home:
        # Our own processes have to find this package, however it was installed.
        return await measure_speed(subject, peers, Children(Path(home), environ), options.rounds, say)


@click.command("index")
@click.option("--library", "libraries", metavar="NAME", multiple=True, help="Only this one; may be repeated.")
@click.option(
    "--part",
    "parts",
    type=click.Choice(["speed", "calls"]),
    multiple=True,
    help="Only what indexing takes, or only who calls whom; the default is both.",
)
@click.option("--stdlib", is_flag=True, help="Time the indexing of Python's own library: nothing to fetch.")
@shared.rounds
@click.option(
    "--jedi-seconds",
    metavar="S",
    type=click.FloatRange(1, 36_000),
    default=120.0,
    show_default=True,
    help="CPU time that jedi gets for each project.",
)
@shared.python
@shared.work
@shared.json
@shared.markdown
def index(  # noqa: PLR0913 - one parameter an option
    *,
    libraries: tuple[str, ...],
    parts: tuple[str, ...],
    stdlib: bool,
    rounds: int,
    jedi_seconds: float,
    python: str | None,
    work: Path | None,
    json: Path | None,
    markdown: Path | None,
) -> None:
    """Time the project index, and compare who it says calls whom with what libraries' own tests call.

    Projects and environments are fetched with pip, once.
    """
    chosen = frozenset(parts or ("speed", "calls"))
    options = IndexBenchOptions(libraries, chosen, stdlib, rounds, jedi_seconds, python, work, json, markdown)
    run_interruptibly(run_index_bench(options, os.environ, Console(emoji=False)))
