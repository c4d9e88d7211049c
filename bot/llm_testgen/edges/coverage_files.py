"""Reads the coverage that somebody recorded elsewhere, in any of coverage.py's four formats.

The formats are told apart by content: the data file (SQLite), the Cobertura XML of ``coverage xml``, the
JSON of ``coverage json``, and the lcov tracefile of ``coverage lcov``. The names that a file was recorded
under are those of another machine, so they are matched to the repository's by their ends.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath
from xml.etree import ElementTree as ET

from coverage import CoverageData
from coverage.exceptions import CoverageException
from pydantic import BaseModel, ValidationError

from llm_testgen.errors import UsageError
from llm_testgen.records import Lines

# Reports of the largest public projects have some 50 MB; parsed they take ten times as much.
_LARGEST_REPORT = 256 * 2**20

_SQLITE_MAGIC = b"SQLite format 3\x00"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LCOV_RECORD = re.compile(rb"^SF:", re.MULTILINE)
_DRIVE = re.compile(r"^[A-Za-z]:(?=/)")
_INSTALLED = frozenset({"site-packages", "dist-packages"})

_ADVICE = "give a .coverage file, or what `coverage xml`, `coverage json` or `coverage lcov` wrote"


@dataclass(frozen=True, slots=True)
class RecordedCoverage:
    """What a coverage file says of one source file.

    Attributes:
        executed: Lines that ran.
        statements: Lines that hold a statement; None when the file records only what ran, as ``.coverage`` does.
    """

    executed: Lines
    statements: Lines | None

    def __or__(self, other: RecordedCoverage) -> RecordedCoverage:
        """Both recordings of the same source file together."""
        if self.statements is None or other.statements is None:
            return RecordedCoverage(self.executed | other.executed, None)
        return RecordedCoverage(self.executed | other.executed, self.statements | other.statements)


def read_coverage(path: Path, known: Iterable[str]) -> Mapping[str, RecordedCoverage]:
    """What a coverage file says of a repository's files.

    Args:
        path: A ``.coverage`` data file, or a Cobertura XML, JSON or lcov report.
        known: Paths of the repository's files, relative to its root.

    Returns:
        Coverage by repository path, for every known file that the coverage file names beyond doubt.

    Raises:
        UsageError: The file cannot be read, is of another kind, or names no file of the repository.
    """
    try:
        recordings = list(_recordings(path))
    except OSError as error:
        msg = f"cannot read the coverage file {path}: {error.strerror}; {_ADVICE}"
        raise UsageError(msg) from error
    except _FormatError as error:
        msg = f"cannot read the coverage file {path}: {error}; {_ADVICE}"
        raise UsageError(msg) from error
    found = _by_repository_path(recordings, _Tree.of(known))
    if not found:
        msg = f"the coverage file {path} names no file of this repository; record it on a checkout of the same project"
        raise UsageError(msg)
    return found


class _FormatError(ValueError):
    """The file is not what it should be; the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class _Recording:
    """One entry of a coverage file: the names that its source file may have had there, and its lines."""

    names: tuple[str, ...]
    coverage: RecordedCoverage


def _recordings(path: Path) -> Iterable[_Recording]:
    with path.open("rb") as file:
        if file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC:
            return _from_data_file(path)
        file.seek(0)
        data = file.read(_LARGEST_REPORT + 1)
    if len(data) > _LARGEST_REPORT:
        msg = f"it is larger than {_LARGEST_REPORT // 2**20} MiB"
        raise _FormatError(msg)
    data = data.removeprefix(_BYTE_ORDER_MARK).strip()
    if data.startswith(b"<"):
        return _from_xml(data)
    if data.startswith(b"{"):
        return _from_json(data)
    if _LCOV_RECORD.search(data):
        return _from_lcov(data)
    msg = "it is of no known format" if data else "it is empty"
    raise _FormatError(msg)


def _from_data_file(path: Path) -> Iterator[_Recording]:
    """Entries of a ``.coverage`` file: lines that ran, in whatever context; of arcs both ends."""
    # On a copy: coverage writes its tables into any SQLite file that has none.
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copyfile(path, Path(folder) / "coverage")
        data = CoverageData(basename=str(copy))
        try:
            data.read()
            for name in data.measured_files():
                yield _Recording((name,), RecordedCoverage(frozenset(data.lines(name) or ()), None))
        except (CoverageException, ValueError) as error:
            msg = "it is no data file of coverage.py, or damaged"
            raise _FormatError(msg) from error
        finally:
            data.close(force=True)


def _from_xml(data: bytes) -> Iterator[_Recording]:
    """Entries of a Cobertura report. A class's file name is relative to one of the report's sources."""
    try:
        # ElementTree fetches nothing from outside, and expat limits what entities expand to.
        root = ET.fromstring(data)  # noqa: S314 - see above
    except (ET.ParseError, LookupError, ValueError) as error:  # the latter two for encodings that expat lacks
        msg = f"it is no well-formed XML ({error})"
        raise _FormatError(msg) from error
    classes = root.findall("./packages/package/classes/class")
    if root.tag != "coverage" or (not classes and root.find("./packages") is None):
        msg = "its XML is no Cobertura report"
        raise _FormatError(msg)
    sources = [text.strip() for source in root.findall("./sources/source") if (text := source.text)]
    for entry in classes:
        name = entry.get("filename", "")
        names = tuple(f"{source}/{name}" for source in sources) or (name,)
        lines = [(line.get("number", ""), line.get("hits", "")) for line in entry.findall("./lines/line")]
        yield _Recording(names, _from_hits(lines))


class _JsonFile(BaseModel):
    executed_lines: frozenset[int]
    missing_lines: frozenset[int]


class _JsonReport(BaseModel):
    """The parts of ``coverage json`` that say what ran; all of its versions have them."""

    files: dict[str, _JsonFile]


def _from_json(data: bytes) -> Iterator[_Recording]:
    """Entries of a JSON report."""
    try:
        report = _JsonReport.model_validate_json(data)
    except ValidationError as error:
        msg = "its JSON is no report of coverage.py"
        raise _FormatError(msg) from error
    for name, file in report.files.items():
        yield _Recording((name,), RecordedCoverage(file.executed_lines, file.executed_lines | file.missing_lines))


def _from_lcov(data: bytes) -> Iterator[_Recording]:
    """Entries of a tracefile, ``SF:path`` then ``DA:line,hits[,checksum]`` for each statement: see geninfo(1)."""
    name = ""
    hits: list[tuple[str, str]] = []
    for record in data.decode(errors="replace").split("\n"):
        kind, _, value = record.strip().partition(":")
        if kind == "SF":
            name, hits = value, []
        elif kind == "DA":
            line, _, rest = value.partition(",")
            hits.append((line, rest.partition(",")[0]))
        elif kind == "end_of_record":
            yield _Recording((name,), _from_hits(hits))
            name, hits = "", []
    if name:
        msg = "it is cut off: its last record has no end"
        raise _FormatError(msg)


def _from_hits(lines: Iterable[tuple[str, str]]) -> RecordedCoverage:
    """Statements with the number of times that each ran, as text; what one entry names twice adds up."""
    hits: defaultdict[int, int] = defaultdict(int)
    try:
        for line, count in lines:
            hits[int(line)] += int(count)
    except ValueError as error:
        msg = f"it holds a line number or a count that is none ({error})"
        raise _FormatError(msg) from error
    return RecordedCoverage(frozenset(line for line, count in hits.items() if count > 0), frozenset(hits))


def _by_repository_path(recordings: Iterable[_Recording], tree: _Tree) -> dict[str, RecordedCoverage]:
    """Recordings by the repository's paths; several of one file add up, the doubtful ones give way."""
    sure: dict[str, RecordedCoverage] = {}
    doubtful: dict[str, RecordedCoverage] = {}
    for recording in recordings:
        matches = [match for name in recording.names if (match := tree.match(name))]
        if not matches:
            continue
        best = max(match.agreement for match in matches)
        paths = {match.path for match in matches if match.agreement == best}
        if len(paths) == 1:
            found, path = (sure if best > 1 else doubtful), paths.pop()
            found[path] = found[path] | recording.coverage if path in found else recording.coverage
    return doubtful | sure


_Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Match:
    """A file of the repository, and how many last parts of its path the recorded name has too."""

    path: str
    agreement: int


@dataclass(frozen=True, slots=True)
class _Tree:
    """The repository's files, by their names."""

    by_name: Mapping[str, tuple[_Parts, ...]]

    @classmethod
    def of(cls, paths: Iterable[str]) -> _Tree:
        by_name: defaultdict[str, list[_Parts]] = defaultdict(list)
        for path in paths:
            parts = tuple(path.split("/"))
            by_name[parts[-1]].append(parts)
        return cls({name: tuple(same) for name, same in by_name.items()})

    def match(self, name: str) -> _Match | None:
        """The one file that a recorded name means; None when there is none, or when it could be several."""
        recorded, installed = _parts(name)
        candidates = self.by_name.get(recorded[-1], ())
        if recorded in candidates:
            return _Match("/".join(recorded), agreement=len(recorded) + 1)
        agreements = {parts: _agreement(parts, recorded) for parts in candidates}
        if installed:  # below site-packages lie others' files too: only the whole of it will do
            agreements = {parts: length for parts, length in agreements.items() if length == len(recorded)}
        best = max(agreements.values(), default=0)
        found = [parts for parts, length in agreements.items() if length == best]
        if len(found) > 1:
            found = [parts for parts in found if len(parts) == best]
        return _Match("/".join(found[0]), agreement=best + installed) if found else None


def _parts(name: str) -> tuple[_Parts, bool]:
    """A recorded name's parts, of an installed file only those below ``site-packages``, and whether it is one."""
    path = normpath(_DRIVE.sub("", name.replace("\\", "/")))
    parts = tuple(part for part in path.split("/") if part) or ("",)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] in _INSTALLED:
            return parts[index + 1 :], True
    return parts, False


def _agreement(one: _Parts, other: _Parts) -> int:
    """How many last parts two paths share."""
    shared = 0
    for mine, theirs in zip(reversed(one), reversed(other), strict=False):
        if mine != theirs:
            break
        shared += 1
    return shared
