"""Other test generators, as they are: how each is started on a case, and which files it leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from llm_testgen.bench import coverup_focus, coverup_suite
from llm_testgen.records import ChangedMethod, Snapshot

COVERUP_PEER = "coverup-peer"
# CoverUp asks LiteLLM for a model's price after each reply, and whether it calls functions before the first: it needs a
# name that LiteLLM knows, and one for which it has no rate limit of its own. The proxy puts the real one in its place.
KNOWN_NAME = "gpt-4.1-mini"
_CHECKPOINT = "coverup-checkpoint.json"

Command = Sequence[str]


@dataclass(frozen=True, slots=True)
class PeerCase:
    """What a generator is to write tests for.

    Attributes:
        name: Of the case.
        snapshot: The tree at head.
        targets: The changed methods that tests are wanted for.
        test_folder: Where the project's tests are, or most of them; "" for the root.
        source_roots: Folders of the tree that imports start from, "" for its root.
        python: Runs the project's tests, with pytest-cov.
        test_files: The existing test file that is about a target's file, by that file's path, where there is one.
        pytest_arguments: What pytest needs here, such as ``-o filterwarnings=`` where warnings are errors.
    """

    name: str
    snapshot: Snapshot
    targets: tuple[ChangedMethod, ...]
    test_folder: str
    source_roots: tuple[str, ...]
    python: Path
    test_files: Mapping[str, str] = field(default_factory=dict)
    pytest_arguments: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the targets, each once."""
        return tuple(dict.fromkeys(target.path for target in self.targets))


class Peer(Protocol):
    """Another test generator.

    Attributes:
        name: What reports call it.
        version: Which one; empty where that is not known.
        python: An interpreter that is there when it runs.
        folders: What of the machine it has to read.
    """

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def version(self) -> str:
        """Which one; empty where that is not known."""

    @property
    def python(self) -> Path:
        """An interpreter that it can be wrapped with."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """What of the machine it has to read, besides the system's own files."""

    def added(self, case: PeerCase) -> Mapping[str, str]:
        """Files that it needs beside those of the tree, as path → text."""

    def sequences(self, case: PeerCase, tools: Path) -> Sequence[Sequence[Command]]:
        """What to run, from the root of a copy of the tree; ``{endpoint}`` stands for the URL of the model.

        Args:
            case: What for.
            tools: A folder that holds the scripts of `tools`.
        """

    def tools(self) -> tuple[Path, ...]:
        """Scripts of ours that it is run with."""

    def collected(self, case: PeerCase) -> tuple[str, ...]:
        """Patterns of the paths at which it leaves tests."""


@dataclass(frozen=True, slots=True)
class CoverUp:
    """CoverUp, from the package index: https://github.com/plasma-umass/coverup.

    It looks for gaps in whole files. Left to itself it begins with the largest, wherever that is, so that a small
    budget is spent elsewhere: its own checkpoint, which a dry run has filled, makes it leave out what holds no wanted
    line. That run has the whole suite in one process, as its users have it, and not a process for each test, which
    takes hours where there are thousands. And it does not begin where a test of the project fails: such tests count as
    skipped.

    Args:
        python: The interpreter of its environment, see `COVERUP_PEER`.
        folders: What that interpreter has to read.
        prompt: Its ``--prompt``. Its default offers the model a function; ``gpt-v1`` is the one for models and servers
            without function calls.
        focuses: Whether it is told which pieces of code are wanted.
        arguments: More of its options.
    """

    python: Path
    folders: tuple[Path, ...]
    prompt: str = "gpt-v2"
    focuses: bool = True
    arguments: tuple[str, ...] = ()
    name: str = "CoverUp"
    version: str = "0.6.3"

    def added(self, case: PeerCase) -> Mapping[str, str]:  # noqa: ARG002 - a Peer's
        """None."""
        return {}

    def tools(self) -> tuple[Path, ...]:
        """What edits its checkpoint, and the plugin that the project's tests are run with."""
        return (Path(coverup_focus.__file__), Path(coverup_suite.__file__))

    def collected(self, case: PeerCase) -> tuple[str, ...]:
        """The files that it numbers."""
        return (str(PurePosixPath(case.test_folder, "test_coverup_*.py")),)

    def sequences(self, case: PeerCase, tools: Path) -> Sequence[Sequence[Command]]:
        """One for each package: it takes files of one package at a time."""
        groups: dict[str, list[str]] = {}
        for path in case.files:
            groups.setdefault(package_folder(path, case), []).append(path)
        return [
            self._sequence(case, tools, package, paths, f"{number}-{_CHECKPOINT}")
            for number, (package, paths) in enumerate(groups.items())
        ]

    def _sequence(
        self, case: PeerCase, tools: Path, package: str, paths: Sequence[str], checkpoint: str
    ) -> list[Command]:
        plugin = ("-p", Path(coverup_suite.__file__).stem, f"--measured-by={checkpoint}")
        command = [
            *(str(self.python), "-m", "coverup"),
            *("--tests-dir", case.test_folder or "."),
            *(["--package-dir", package] if package else []),
            *("--model", f"openai/{KNOWN_NAME}"),
            *("--prompt", self.prompt),
            *("--max-concurrency", "1"),
            f"--pytest-args={' '.join((*plugin, *case.pytest_arguments))}",
            *self.arguments,
        ]
        if not self.focuses:
            return [[*command, *paths]]
        wanted = {path: sorted(_lines(case, path)) for path in paths}
        focus = [str(self.python), "-I", str(tools / Path(coverup_focus.__file__).name), checkpoint, json.dumps(wanted)]
        return [
            [*command, "--dry-run", "--no-isolate-tests", "--checkpoint", checkpoint, *paths],
            focus,
            [*command, "--checkpoint", checkpoint, *paths],
        ]


def package_folder(path: str, case: PeerCase) -> str:
    """The outermost folder on the way to a file that holds Python files of a package; "" for a module without one."""
    file = PurePosixPath(path)
    roots = [PurePosixPath(root) for root in case.source_roots if file.is_relative_to(root)]
    root = max(roots, key=lambda one: len(one.parts), default=PurePosixPath())
    holding = {str(PurePosixPath(one.path).parent) for one in case.snapshot.files if one.path.endswith(".py")}
    above = [folder for folder in reversed(file.parents) if folder.is_relative_to(root) and folder != root]
    return next((str(folder) for folder in above if str(folder) in holding), "")


def _lines(case: PeerCase, path: str) -> set[int]:
    return {line for target in case.targets if target.path == path for line in target.lines}
