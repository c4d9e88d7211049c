"""The edges of several tools between the functions of one library, and what the library's own suite says of them."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from llm_testgen.bench.accounting import execute
from llm_testgen.bench.indexing.catalogue import Catalogue, Function
from llm_testgen.bench.indexing.children import GUESTS, Children
from llm_testgen.bench.indexing.libraries import MeasuredLibrary, python_files
from llm_testgen.bench.indexing.report import OURS, STORED, LibraryReport, ToolScore
from llm_testgen.bench.indexing.scoring import Edge, ObservedCall, Truth, score, truth
from llm_testgen.bench.indexing.speed import Subject
from llm_testgen.errors import ProjectError
from llm_testgen.index import Index
from llm_testgen.records import Snapshot, TreeFile
from llm_testgen.runner.interpreter import environment

_SUITE_SECONDS = 1800.0
_Place = tuple[str, int]


class _Recorded(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: tuple[tuple[_Place, _Place, bool, _Place | None], ...]


class _Lines(BaseModel):
    executed_lines: frozenset[int]


class _Coverage(BaseModel):
    files: dict[str, _Lines]


@dataclass(frozen=True, slots=True)
class Tools:
    """What edges are asked of.

    Attributes:
        suites: An interpreter that has pytest and coverage.
        jedi: One that has jedi; None where there is none.
        pyan: One that has pyan3; None where there is none.
        reasons: Why one is missing, by its name.
        jedi_seconds: How much CPU time jedi gets for one library.
    """

    suites: Path
    jedi: Path | None
    pyan: Path | None
    reasons: Mapping[str, str]
    jedi_seconds: float


async def look_at(
    library: MeasuredLibrary, tree: Path, tools: Tools, environ: Mapping[str, str], say: Callable[[str], None]
) -> LibraryReport:
    """Run a library's suite, ask every tool for its edges, and compare.

    Raises:
        ProjectError: The suite cannot be run here.
    """
    with tempfile.TemporaryDirectory(prefix="llm-testgen-bench-") as folder:
        home = await asyncio.to_thread(Path(folder).resolve)
        for name in ("home", "tmp"):
            (home / name).mkdir()
        copy = Path(shutil.copytree(tree, home / "tree"))
        paths = python_files(copy, library.folder)
        catalogue = Catalogue({path: (copy / path).read_bytes() for path in paths})
        ground = _Ground(library, copy, home, catalogue, tools.jedi_seconds)
        say(f"{library.name}: its suite, recorded")
        seen, said = await ground.record(tools.suites, environ)
        told = ground.ours(seen)
        children = Children(home, environment(environ, home))
        for key, label, python, guest in (
            ("jedi", "jedi", tools.jedi, "guest_jedi.py"),
            ("pyan", "pyan3", tools.pyan, "guest_pyan.py"),
        ):
            say(f"{library.name}: {label}")
            if python is None:
                told.append(ToolScore(key=key, label=label, note=tools.reasons.get(key, "")))
            else:
                told.append(await ground.theirs(seen, (key, label), children, [str(python), str(GUESTS / guest)]))
    return LibraryReport(
        library=f"{library.name} {library.release.version}",
        functions=len(ground.catalogue.functions),
        suite=said,
        tools=tuple(told),
    )


@dataclass(frozen=True, slots=True)
class _Ground:
    """One library, copied to where it is looked at.

    Attributes:
        library: What it is.
        tree: Its copy.
        home: The folder around that.
        catalogue: Its functions.
        jedi_seconds: How much CPU time jedi gets.
    """

    library: MeasuredLibrary
    tree: Path
    home: Path
    catalogue: Catalogue
    jedi_seconds: float

    @property
    def import_path(self) -> Path:
        """The folder to import it from."""
        return self.tree / self.library.import_path

    async def record(self, python: Path, environ: Mapping[str, str]) -> tuple[Truth, str]:
        """What is called while the suite runs, and the last that pytest says.

        Raises:
            ProjectError: Nothing came of it.
        """
        request, result, output = self.home / "record.json", self.home / "calls.json", self.home / "suite.txt"
        library = f"{self.tree / self.library.folder}/"
        request.write_text(json.dumps({"library": [library], "tree": f"{self.tree}/", "result": str(result)}), "utf-8")
        guests = self.home / "guests"
        guests.mkdir()
        shutil.copy(GUESTS / "recorder.py", guests / "call_recorder.py")
        variables = environment(environ, self.home, (self.import_path, guests))
        variables |= {"RECORDER": str(request), "COVERAGE_FILE": str(self.home / ".coverage")}
        coverage = [str(python), "-m", "coverage"]
        options = ["-m", "pytest", "-q", "-p", "call_recorder", "-p", "no:cacheprovider"]
        await execute(
            [*coverage, "run", f"--include={library}*", *options, *self.library.tests],
            self.tree,
            variables,
            output,
            _SUITE_SECONDS,
        )
        said = output.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
        lines = self.home / "lines.json"
        await execute([*coverage, "json", "-q", "-o", str(lines)], self.tree, variables, self.home / "out.txt", 300.0)
        if not result.exists() or not lines.exists():
            msg = f"the suite of {self.library.name} cannot be run with {python} ({said[:200]}): try another --python"
            raise ProjectError(msg)
        return self._truth(result, lines), said

    def _truth(self, result: Path, lines: Path) -> Truth:
        recorded = _Recorded.model_validate_json(result.read_bytes())
        calls = []
        for caller_place, callee_place, direct, via_place in recorded.calls:
            caller, callee = self._function(caller_place), self._function(callee_place)
            via = self._function(via_place) if via_place else None
            if caller and callee and (via or not via_place):
                calls.append(ObservedCall(caller, callee, direct, via))
        covered = _Coverage.model_validate_json(lines.read_bytes())
        run = {self._relative(path): found.executed_lines for path, found in covered.files.items()}
        return truth(calls, run, self.catalogue)

    def _function(self, place: _Place) -> Function | None:
        return self.catalogue.at(self._relative(place[0]), place[1])

    def _relative(self, path: str) -> str:
        return path.removeprefix(f"{self.tree}/")

    def ours(self, seen: Truth) -> list[ToolScore]:
        """Our index's edges, those that it stores and those of the graph of calls."""
        files = Subject.read(self.library.name, self.tree).files
        tree = tuple(TreeFile(path, blob) for path, blob in files.items())
        with Index.open(self.home / "index.sqlite") as index:
            started = time.process_time()
            index.update(Snapshot("0" * 40, tree, lambda file: (self.tree / file.path).read_bytes()))
            made = time.process_time() - started
            stored = [Edge((c.path, c.qualname), (c.target_path, c.target)) for c in index.stored_calls()]
            started = time.process_time()
            graph = [Edge((c.path, c.qualname), (c.target_path, c.target), c.line) for c in index.call_graph()]
            cpu = made + time.process_time() - started
        return [
            self._scored(OURS, "our graph of calls", graph, seen, cpu),
            self._scored(STORED, "our index's stored edges", stored, seen, made),
        ]

    async def theirs(self, seen: Truth, tool: tuple[str, str], children: Children, command: list[str]) -> ToolScore:
        """Another tool's edges; of one that fails, why."""
        key, label = tool
        files = python_files(self.tree, self.library.folder)
        request = {
            "root": str(self.tree),
            "import_path": str(self.import_path),
            "files": list(files),
            "wanted": "calls",
            "seconds": self.jedi_seconds,
        }
        try:
            answer, _ = await children.ask(command, request)
        except ProjectError as error:
            return ToolScore(key=key, label=label, note=str(error))
        places = ((self.catalogue.at(a, b), self.catalogue.at(c, d), b) for a, b, c, d in answer.calls)
        # pyan3 gives the line of the caller's definition, which is no place of a call.
        edges = [
            Edge(caller, callee, line if key == "jedi" else 0) for caller, callee, line in places if caller and callee
        ]
        scored = self._scored(key, label, edges, seen, answer.cpu)
        cut = key == "jedi" and answer.done < len(files)
        return scored.model_copy(update={"note": f"stopped on {self.library.name}: its time was up"}) if cut else scored

    def _scored(self, key: str, label: str, edges: Iterable[Edge], seen: Truth, cpu: float) -> ToolScore:
        functions = self.catalogue.functions
        between = [edge for edge in edges if edge.caller in functions and edge.callee in functions]
        found = score(between, seen, self.catalogue)
        return ToolScore(
            key=key,
            label=label,
            found=found.found,
            observed=found.observed,
            right=found.right,
            judged=found.judged,
            edges=found.edges,
            cpu=cpu,
        )
