"""The folder of a data set in the making: one part for each source, written when it is whole, and never made twice."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm_testgen.errors import UsageError
from llm_testgen.tuning.data.examples import Example, Origin, as_lines, read_examples

_PARTS = "parts"
_UNFIT = re.compile(r"[^A-Za-z0-9._-]")
_DIGITS = 8


class PartReport(BaseModel):
    """What became of one source.

    Attributes:
        name: Of the part, as its files are named.
        key: What it was made with; with another key it is made anew.
        origin: The kind of source.
        project: The project, or the data set of instructions.
        version: Of the project; empty where there is none.
        licence: As the source says.
        examples: How many there are.
        counts: What was looked at and what was left out, by reason.
        seconds: Wall-clock time that it took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    key: str
    origin: Origin
    project: str
    version: str = ""
    licence: str
    examples: int = 0
    counts: Mapping[str, int] = {}
    seconds: float = 0.0


class Pool:
    """The parts of a data set.

    Args:
        folder: Of the data set; the parts are in a folder of it.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder if need be.

        Raises:
            UsageError: It cannot be made.
        """
        self.folder = folder
        self._parts = folder / _PARTS
        try:
            self._parts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._refusal(error) from error

    def known(self, name: str, key: str) -> PartReport | None:
        """The report of a part that was made before, with the same key."""
        try:
            report = _read(self._parts / f"{name}.json")
        except UsageError:
            return None  # it is not there, or of another version
        return report if report.key == key else None

    def add(self, report: PartReport, examples: Sequence[Example]) -> None:
        """Write a part; one that is cut off leaves what was there before.

        Raises:
            UsageError: It cannot be written.
        """
        self.write(f"{_PARTS}/{report.name}.jsonl", as_lines(examples))
        self.write(f"{_PARTS}/{report.name}.json", report.model_dump_json(indent=1) + "\n")

    def parts(self) -> tuple[tuple[PartReport, tuple[Example, ...]], ...]:
        """All parts with their examples, by name.

        Raises:
            UsageError: One cannot be read.
        """
        reports = map(_read, sorted(self._parts.glob("*.json")))
        return tuple((report, read_examples(self._parts / f"{report.name}.jsonl")) for report in reports)

    def write(self, name: str, text: str) -> None:
        """Write a file of the data set, whole or not at all.

        Raises:
            UsageError: It cannot be written.
        """
        path = self.folder / name
        half = path.with_name(f".{path.name}.half")
        try:
            half.write_text(text, encoding="utf-8")
            half.replace(path)
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> UsageError:
        return UsageError(f"{self.folder} cannot be written ({error.strerror}): pass another --out")


def part_name(*words: str) -> str:
    """The name of a part, from words of any kind; with a digest of them where they cannot stand in it as they are."""
    name = "-".join(words)
    plain = _UNFIT.sub("-", name)
    if not plain[:1].isalnum():
        plain = f"x{plain}"
    if plain == name:
        return name
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{plain}-{digest[:_DIGITS]}"


def total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counts of several parts together, the largest first."""
    sums: dict[str, int] = {}
    for one in counts:
        for reason, number in one.items():
            sums[reason] = sums.get(reason, 0) + number
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def _read(path: Path) -> PartReport:
    try:
        return PartReport.model_validate_json(path.read_bytes())
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}): make it anew with `llm-testgen tune data`"
        raise UsageError(msg) from error
    except ValidationError as error:
        msg = f"{path} is no report of this version: delete it, and make its part anew with `llm-testgen tune data`"
        raise UsageError(msg) from error
