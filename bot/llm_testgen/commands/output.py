"""The folder that results are written to."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from llm_testgen.edges.gitwrite import unified_patch
from llm_testgen.errors import UsageError
from llm_testgen.proposal import Proposal
from llm_testgen.records import TestFile

OUTPUT_FOLDER = ".llm-testgen"
SESSION = "session.sqlite"
PROPOSAL = "proposal.json"
PATCH = "tests.patch"
ASSERTS_PATCH = "asserts.patch"
REPORT = "report.html"
# What a page says of itself near its beginning: other tools name their pages as we do.
_PAGE = b'<meta name="generator" content="llm-testgen">'
_HEAD = 4_096


def output_folder(folder: Path, *, keep: bool = False) -> Path:
    """The folder, made if need be, hidden from git if it was, and without the results of an earlier run.

    Args:
        folder: Where it is.
        keep: Leave the results of an earlier run there.

    Raises:
        UsageError: It cannot be made or written.
    """
    try:
        # A folder that was there before is a person's own: nothing is hidden in it.
        own = not folder.exists() or folder.name == OUTPUT_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if own and not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        for name in () if keep else (PROPOSAL, PATCH, ASSERTS_PATCH):
            (folder / name).unlink(missing_ok=True)
        if not keep and _is_page(folder / REPORT):
            (folder / REPORT).unlink()
    except OSError as error:
        msg = f"results cannot be written to {folder}: {error.strerror}; pass another --out"
        raise UsageError(msg) from error
    return folder


def _is_page(path: Path) -> bool:
    """Whether a file is a page of ours."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _PAGE in file.read(_HEAD)


def write_proposal(folder: Path, proposal: Proposal, files: Iterable[TestFile]) -> None:
    """Write the proposal and its patch, each whole or not at all."""
    write_whole(folder / PROPOSAL, proposal.model_dump_json(indent=2).encode() + b"\n")
    write_whole(folder / PATCH, unified_patch(files))


def write_asserts(folder: Path, files: Iterable[TestFile]) -> None:
    """Write the patch of the assertions for the methods themselves, whole or not at all."""
    write_whole(folder / ASSERTS_PATCH, unified_patch(files))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        UsageError: It cannot be written.
    """
    if path.is_dir():
        msg = f"{path} cannot be written: it is a folder; pass another --out"
        raise UsageError(msg)
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        msg = f"{path} cannot be written: {error.strerror}; free some room or pass another --out"
        raise UsageError(msg) from error
