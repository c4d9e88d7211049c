"""What making an index of a large project takes, ours and others', in turn, round after round."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_testgen.bench.indexing.children import GUESTS, Answer, Children, Took
from llm_testgen.bench.indexing.libraries import product_files, python_files
from llm_testgen.bench.indexing.report import COLD, FLOOR, OURS, Sample, SpeedReport, SpeedRow
from llm_testgen.errors import ProjectError
from llm_testgen.source import FunctionNode, SourceError, parse

_OWN = "llm_testgen.bench.indexing.own_index"
_LARGEST = 200_000  # bytes of a file that is changed


@dataclass(frozen=True, slots=True)
class Subject:
    """A project whose files are read.

    Attributes:
        name: With its version.
        root: Its folder.
        files: Its Python files and their git blob ids.
    """

    name: str
    root: Path
    files: Mapping[str, str]

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum((self.root / path).stat().st_size for path in self.files)

    @classmethod
    def read(cls, name: str, root: Path) -> Subject:
        """Find the files of a folder."""
        return cls(name, root, {path: _blob((root / path).read_bytes()) for path in python_files(root)})


@dataclass(frozen=True, slots=True)
class Peers:
    """What is measured beside ours.

    Attributes:
        jedi: An interpreter that has jedi; None where there is none, for the reason below.
        ctags: Universal Ctags; None where there is none.
        reasons: Why one is missing, by its name.
        jedi_seconds: How much CPU time jedi gets.
    """

    jedi: Path | None
    ctags: Path | None
    reasons: Mapping[str, str]
    jedi_seconds: float


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


async def measure_speed(
    subject: Subject, peers: Peers, children: Children, rounds: int, say: Callable[[str], None]
) -> SpeedReport:
    """All ways in turn, as often as asked; jedi once.

    Raises:
        ProjectError: One of our own processes has failed.
    """
    ours = _Ours(subject, children)
    ways: dict[str, tuple[str, Callable[[], Awaitable[SpeedRow]]]] = {
        FLOOR: ("ast.parse alone", lambda: _floor(subject, children)),
        COLD: ("our index, cold", ours.cold),
        "warm": ("our index, the body of one function changed", ours.body_changed),
        "warm-new": ("our index, a function added to one file", ours.function_added),
        "unchanged": ("our index, nothing changed", ours.unchanged),
        OURS: ("our graph of calls, on a warm index", ours.graph),
        "ctags": ("Universal Ctags", lambda: _ctags(subject, peers, children)),
        "jedi": ("jedi, names of every file", lambda: _jedi(subject, peers, children)),
    }
    found: dict[str, SpeedRow] = {}
    for number in range(rounds):
        for key, (label, measure) in ways.items():
            if number and key == "jedi":
                continue
            say(f"round {number + 1} of {rounds}: {label}")
            row = await measure()
            before = found[key].rounds if key in found else ()
            found[key] = row.model_copy(update={"key": key, "label": label, "rounds": (*before, *row.rounds)})
    return SpeedReport(project=subject.name, files=len(subject.files), size=subject.size, rows=tuple(found.values()))


def _size(path: Path) -> int:
    return path.stat().st_size


def _row(answered: tuple[Answer, Took], **more: object) -> SpeedRow:
    answer, took = answered
    sample = Sample(cpu=answer.cpu, seconds=answer.seconds, peak=took.peak)
    row = SpeedRow(key="", label="", rounds=(sample,), definitions=answer.definitions)
    return row.model_copy(update=more)


async def _floor(subject: Subject, children: Children) -> SpeedRow:
    request = {"root": str(subject.root), "files": list(subject.files)}
    answer = await children.ask([sys.executable, str(GUESTS / "guest_parse.py")], request)
    return _row(answer, files=len(subject.files))


class _Ours:
    """Our index: made anew, then brought up to date from the same beginning in several ways."""

    def __init__(self, subject: Subject, children: Children) -> None:
        self._subject = subject
        self._children = children
        self._made = children.home / "made.sqlite"
        self._path, self._text, self._added = _changes(subject)

    async def cold(self) -> SpeedRow:
        self._made.unlink(missing_ok=True)
        return await self._run(self._made)

    async def body_changed(self) -> SpeedRow:
        return await self._run(self._copied(), self._text)

    async def function_added(self) -> SpeedRow:
        return await self._run(self._copied(), self._added)

    async def unchanged(self) -> SpeedRow:
        return await self._run(self._copied())

    async def graph(self) -> SpeedRow:
        return await self._run(self._copied(), graph=True)

    def _copied(self) -> Path:
        return Path(shutil.copyfile(self._made, self._children.home / "used.sqlite"))

    async def _run(self, database: Path, text: str | None = None, *, graph: bool = False) -> SpeedRow:
        changed = None if text is None else [self._path, _blob(text.encode()), text]
        request = {
            "root": str(self._subject.root),
            "files": [list(item) for item in self._subject.files.items()],
            "database": str(database),
            "changed": changed,
            "graph": graph,
        }
        answer = await self._children.ask([sys.executable, "-m", _OWN], request)
        note = "" if text is None else f"changed: {self._path}"
        return _row(answer, files=len(self._subject.files), database=_size(database), note=note)


def _changes(subject: Subject) -> tuple[str, str, str]:
    """The largest product file that is no giant; its text with another body of a function, and with one more function.

    Raises:
        ProjectError: No file holds a function.
    """
    sizes = {path: (subject.root / path).stat().st_size for path in product_files(subject.files)}
    for path in sorted(sizes, key=lambda path: (sizes[path] > _LARGEST, -sizes[path], path)):
        try:
            module = parse(path, (subject.root / path).read_bytes())
        except SourceError:
            continue
        lines = module.text.split("\n")
        for definition in module.definitions:
            if isinstance(definition.node, FunctionNode) and definition.node.body[-1].lineno > definition.node.lineno:
                last = definition.node.body[-1]
                other = [*lines[: last.lineno - 1], " " * last.col_offset + "print()", *lines[last.lineno - 1 :]]
                more = f"{module.text}\n\ndef added_by_a_change(value):\n    return value.strip()\n"
                return path, "\n".join(other), more
    msg = f"{subject.name} has no file that could be changed: measure another project"
    raise ProjectError(msg)


async def _ctags(subject: Subject, peers: Peers, children: Children) -> SpeedRow:
    if peers.ctags is None:
        return SpeedRow(key="", label="", note=peers.reasons.get("ctags", ""))
    names, tags = children.home / "files.txt", children.home / "tags"
    names.write_text("".join(f"{subject.root / path}\n" for path in subject.files), encoding="utf-8")
    kinds = ["--languages=Python", "--python-kinds=cfm", "--sort=no"]
    try:
        took = await children.run([str(peers.ctags), *kinds, "-f", str(tags), "-L", str(names)])
    except ProjectError as error:
        return SpeedRow(key="", label="", note=str(error))
    with tags.open(encoding="utf-8", errors="replace") as lines:
        definitions = sum(not line.startswith("!") for line in lines)
    sample = Sample(cpu=took.cpu, seconds=took.seconds, peak=took.peak)
    return SpeedRow(
        key="",
        label="",
        rounds=(sample,),
        files=len(subject.files),
        definitions=definitions,
        database=_size(tags),
        note="the whole process",
    )


async def _jedi(subject: Subject, peers: Peers, children: Children) -> SpeedRow:
    if peers.jedi is None:
        return SpeedRow(key="", label="", note=peers.reasons.get("jedi", ""))
    request = {
        "root": str(subject.root),
        "import_path": str(subject.root),
        "files": _spread(list(subject.files)),
        "wanted": "names",
        "seconds": peers.jedi_seconds,
    }
    try:
        answer, took = await children.ask([str(peers.jedi), str(GUESTS / "guest_jedi.py")], request)
    except ProjectError as error:
        return SpeedRow(key="", label="", note=str(error))
    if answer.done == len(subject.files):
        return _row((answer, took), files=answer.done)
    scale = len(subject.files) / max(answer.done, 1)
    told = f"measured on {answer.done} files from all over the project, and multiplied"
    whole = answer.model_copy(update={"cpu": answer.cpu * scale, "seconds": answer.seconds * scale, "definitions": 0})
    return _row((whole, took), files=answer.done, note=told)


def _spread(paths: Sequence[str]) -> list[str]:
    """The same paths in an order that has of any part of them about as many from everywhere."""
    return sorted(paths, key=lambda path: hashlib.sha256(path.encode()).digest())
