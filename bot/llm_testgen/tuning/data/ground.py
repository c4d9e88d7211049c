"""A project made ready to be mined: its index, its methods, and what runs its tests."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from llm_testgen.bench.chain_ground import Machine, describe
from llm_testgen.edges.git import Repository
from llm_testgen.errors import ProjectError
from llm_testgen.index import Index
from llm_testgen.knowledge import ProjectKnowledge
from llm_testgen.paths import is_imported, is_python, is_test
from llm_testgen.records import ChangedMethod, CoverageByPath, Method, MethodKind, Snapshot
from llm_testgen.runner.base import Limits
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.warm import WarmRunner
from llm_testgen.source import SourceError, decode
from llm_testgen.stages.diff import changed_methods
from llm_testgen.tuning.data.licences import licence_of, project_name
from llm_testgen.tuning.data.suite import Suite

_KINDS = frozenset({MethodKind.FUNCTION, MethodKind.METHOD})
_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Source:
    """A project to mine.

    Attributes:
        name: As the package index normalises it.
        version: The release; empty where there is none.
        repository: A git repository that holds it at HEAD.
        library: How the paths of its code begin; empty for all that is no test and no tool.
        licence: As its own files say.
        packages: The packages and modules at its top, as `releases.held_out_packages` names them.
    """

    name: str
    version: str
    repository: Path
    library: str
    licence: str
    packages: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class MineGround:
    """A project, ready to be mined.

    Attributes:
        source: What it is.
        targets: Its functions and methods, as if each had just been changed.
        tests: Its tests.
        suites: Its test files, by path.
        modules: The names under which its modules are imported, by path.
        statements: Of its code, none of them executed.
        knowledge: What the index tells.
        runner: Runs tests on it, and measures all of its code.
    """

    source: Source
    targets: tuple[ChangedMethod, ...]
    tests: tuple[Method, ...]
    suites: dict[str, Suite]
    modules: Mapping[str, str]
    statements: CoverageByPath
    knowledge: ProjectKnowledge
    runner: WarmRunner

    @property
    def packages(self) -> frozenset[str]:
        """The top-level names under which it is imported."""
        return frozenset(name.partition(".")[0] for name in self.modules.values())


@asynccontextmanager
async def open_mine(source: Source, machine: Machine) -> AsyncIterator[MineGround]:
    """Make a project ready; everything that was started for it ends with the context.

    Raises:
        ProjectError: Its tests cannot be run here.
    """
    repository = Repository.open(source.repository)
    snapshot = repository.snapshot("HEAD")
    paths = {file.path for file in snapshot.files if _is_product(file.path, source.library)}
    change = changed_methods(snapshot.commit, snapshot.commit, repository.whole_files(snapshot, paths))
    async with AsyncExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="llm-testgen-tune-"))
        index = stack.enter_context(Index.open(Path(home, "index.sqlite")))
        index.update(snapshot)
        project = describe(change, snapshot, index)
        runner = WarmRunner(
            ColdRunner(project, machine.interpreter, machine.confinement, _LIMITS, machine.environ), machine.workers
        )
        stack.push_async_callback(runner.close)
        ready = await runner.prepare()
        if ready.problem and not ready.concession:
            msg = f"pytest cannot run any test of {source.name}: {' '.join(ready.problem.split())[:200]}"
            raise ProjectError(msg)
        tests = tuple(method for method in index.methods() if _is_test(method))
        yield MineGround(
            source=source,
            targets=tuple(target for target in change.targets if target.method.kind in _KINDS),
            tests=tests,
            suites=_suites(snapshot, {test.path for test in tests}),
            modules={path: index.module_name(path) for path in sorted(paths)},
            statements=ready.statements,
            knowledge=ProjectKnowledge(index, snapshot, None),
            runner=runner,
        )


def describe_checkout(repository: Path, library: str = "") -> Source:
    """What a repository says of itself.

    Raises:
        UsageError: It is no repository, or has no commit.
    """
    opened = Repository.open(repository)
    snapshot = opened.snapshot("HEAD")
    files = {file.path: file for file in snapshot.files}

    def read(path: str) -> bytes | None:
        return snapshot.read(files[path]) if path in files else None

    name, version = project_name(read)
    packages = frozenset(map(_top, files))
    return Source(name or opened.root.name, version, opened.root, library, licence_of(read), packages)


def _top(path: str) -> str:
    """The package or module at a project's top that a file makes; empty where it makes none."""
    top, slash, rest = path.removeprefix("src/").partition("/")
    if slash:
        return top + slash if rest == "__init__.py" else ""
    return top if is_python(top) else ""


def _is_product(path: str, library: str) -> bool:
    return path.startswith(library) and is_python(path) and not is_test(path) and is_imported(path)


def _is_test(method: Method) -> bool:
    return method.kind in _KINDS and is_test(method.path) and method.name.startswith("test")


def _suites(snapshot: Snapshot, paths: set[str]) -> dict[str, Suite]:
    found = {}
    for file in snapshot.files:
        if file.path in paths:
            try:
                suite = Suite.read(file.path, decode(snapshot.read(file)))
            except SourceError:
                continue
            if suite is not None:
                found[file.path] = suite
    return found
