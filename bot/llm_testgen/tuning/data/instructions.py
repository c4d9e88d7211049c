"""Data sets of instructions in Alpaca's form: ``instruction``, ``input`` and ``output``, from the hub or a file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard
from huggingface_hub.errors import HTTPError as TransportError  # type: ignore[attr-defined]  # httpx's, whichever it uses

from llm_testgen.errors import LlmTestgenError, ModelError, UsageError
from llm_testgen.records import Message
from llm_testgen.tuning.data.examples import UNKNOWN, About, Example, Origin, make_example

DEFAULT = "Vezora/Tested-22k-Python-Alpaca"
_FORMS = {".json": "json", ".jsonl": "json", ".parquet": "parquet"}
_NEEDED = ("instruction", "output")
_INPUT = "input"
_LONGEST_REASON = 200
_NO_ROWS = "corresponds to no data"  # what the library says of a table without any
_BLANK_LINES = re.compile(r"\A(?:[^\S\n]*\n)+")
_OTHER = "other"  # what a card says of a licence that the hub has no name for

Row = Mapping[str, object]


def load_instructions(named: str, split: str) -> tuple[Iterable[Row], str]:
    """The rows of a data set, and its licence as it says itself, or its card does; ``unknown`` where none does.

    Args:
        named: A file of JSON, JSON Lines or Parquet, or a data set of the hub as ``owner/name``.
        split: Of a data set of the hub.

    Raises:
        UsageError: There is no such file or split, it has other fields, or it is empty.
        ModelError: The hub cannot be reached.
    """
    data = _from_file(Path(named)) if is_file(named) else _from_hub(named, split)
    columns = [str(name) for name in data.column_names or ()]
    if lacking := [name for name in _NEEDED if name not in columns]:
        there = ", ".join(columns) or "none at all"
        msg = f"{named} has no field {' and no field '.join(lacking)}; its fields are {there}: pass a data set in"
        msg += " Alpaca's form (instruction, input, output), or rename the fields"
        raise UsageError(msg)
    if not len(data):
        raise _empty(named)
    said = _words(getattr(data.info, "license", ""))
    rows: Iterable[Row] = data
    return rows, said or (UNKNOWN if is_file(named) else _licence_of_card(named))


def is_file(named: str) -> bool:
    """Whether a file is meant, and no data set of the hub."""
    return Path(named).suffix.lower() in _FORMS


def as_examples(rows: Iterable[Row], project: str, licence: str) -> tuple[list[Example], Counter[str]]:
    """Examples of rows, and what was left out, by reason."""
    examples: list[Example] = []
    counts: Counter[str] = Counter()
    for row in rows:
        counts["rows"] += 1
        asked, more, answer = (_text_of(row.get(name)) for name in (_NEEDED[0], _INPUT, _NEEDED[1]))
        if not asked or not answer:
            counts["row left out: it has no instruction or no output"] += 1
            continue
        about = About(origin=Origin.INSTRUCTIONS, project=project, licence=licence)
        said = Message("user", f"{asked}\n\n{more}" if more else asked)
        examples.append(make_example([said], answer, about))
    return examples, counts


def _text_of(value: object) -> str:
    """A text without what is blank around it, but with the indentation of its first line, which code needs."""
    return _BLANK_LINES.sub("", value.rstrip()) if isinstance(value, str) else ""


def _licence_of_card(named: str) -> str:
    """What the front matter of a data set's card says; ``unknown`` where it does not, or there is no card."""
    # A folder is loaded by the same name, and has its card in it.
    place = Path(named, "README.md") if Path(named).is_dir() else named
    try:
        stated = DatasetCard.load(place).data
    except Exception:  # noqa: BLE001 - a card is written by hand: whatever is wrong with it, it says no licence
        return UNKNOWN
    words = _words(stated.get("license"))
    return (_words(stated.get("license_name")) if words.lower() == _OTHER else words) or UNKNOWN


def _words(stated: object) -> str:
    """One licence, or several, each of which is that of a part."""
    found = stated if isinstance(stated, list) else [stated]
    return " and ".join(text for one in found if isinstance(one, str) and (text := " ".join(one.split())))


def _from_file(path: Path) -> Any:  # noqa: ANN401 - the library comes with an extra
    if not path.is_file():
        msg = f"there is no file {path}: pass a file of JSON, JSON Lines or Parquet, or a data set of the hub"
        raise UsageError(msg)
    if not path.stat().st_size:
        raise _empty(path)
    library = _library()
    try:
        return library.load_dataset(_FORMS[path.suffix.lower()], data_files=str(path.absolute()), split="train")
    except _faults(library) as error:
        if _NO_ROWS in str(error):
            raise _empty(path) from error
        msg = f"{path} cannot be read as a table ({_reason(error)}): pass JSON, JSON Lines or Parquet, one object a row"
        raise UsageError(msg) from error


def _from_hub(named: str, split: str) -> Any:  # noqa: ANN401 - the library comes with an extra
    library = _library()
    try:
        return library.load_dataset(named, split=split)
    except ValueError as error:
        msg = f"{named} cannot be loaded ({_reason(error)}): pass another --split, or another data set"
        raise UsageError(msg) from error
    except _faults(library) as error:
        msg = f"the hub does not give {named} ({_reason(error)}): see that it can be reached and that the name is"
        msg += " right, or pass a local file of JSON, JSON Lines or Parquet"
        raise ModelError(msg) from error


def _empty(named: object) -> UsageError:
    return UsageError(f"{named} is empty: pass another data set")


def _faults(library: Any) -> tuple[type[Exception], ...]:  # noqa: ANN401 - the library comes with an extra
    """What the library raises where a data set cannot be had."""
    own: type[Exception] = library.exceptions.DatasetsError
    # What it reads with raises its own kinds: the hub's client one that is no error of the system.
    return own, TransportError, OSError, RuntimeError, ValueError, TypeError


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__


def _library() -> Any:  # noqa: ANN401 - the library comes with an extra
    try:
        import datasets  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415 - it comes with an extra
    except ImportError as error:
        what = "data sets of instructions"
        raise missing_extra(what) from error
    datasets.disable_progress_bars()
    return datasets


def missing_extra(what: str) -> LlmTestgenError:
    """That something needs the packages of the extra."""
    return UsageError(f"{what} need the packages of the extra: pip install 'llm-testgen[tune]'")
