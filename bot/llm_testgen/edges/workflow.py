"""What a step says to GitHub Actions: outputs, the job's summary, annotations.

The formats are those of *Workflow commands for GitHub Actions*. Nothing that is written can act as a command: values
are escaped or fenced in by a delimiter that nobody can guess.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from llm_testgen.errors import UsageError

# GitHub refuses a summary beyond 1 MiB whole, and shows no more than ten annotations of a kind.
_LONGEST_SUMMARY = 1 << 20
_LONGEST_ANNOTATION = 4_000


def write_outputs(path: Path, outputs: Mapping[str, str]) -> None:
    """Append outputs to the file that ``GITHUB_OUTPUT`` names.

    Raises:
        UsageError: It cannot be written.
    """
    parts = []
    for name, value in outputs.items():
        delimiter = f"end_{secrets.token_hex(16)}"
        parts.append(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")
    _append(path, "".join(parts).encode("utf-8", "replace"))


def write_summary(path: Path, markdown: str) -> None:
    """Append Markdown to the file that ``GITHUB_STEP_SUMMARY`` names, cut where GitHub would refuse it.

    Raises:
        UsageError: It cannot be written.
    """
    text = markdown.removesuffix("\n") + "\n"
    data = text.encode("utf-8", "replace")
    room = max(0, _LONGEST_SUMMARY - _size(path))
    if len(data) > room:
        # At the end of a line: what a line puts into code must not come out of it.
        data = data[: data.rfind(b"\n", 0, room) + 1]
    _append(path, data)


def annotation(level: str, message: str, title: str) -> str:
    """The line that makes an annotation of a level: ``notice``, ``warning`` or ``error``."""
    line = f"::{level} title={_escaped(title, properties=True)}::{_escaped(message[:_LONGEST_ANNOTATION])}"
    return line.encode("utf-8", "replace").decode()


def stop_commands() -> tuple[str, str]:
    """The lines before and after output in which nothing is to act as a command."""
    token = secrets.token_hex(16)
    return f"::stop-commands::{token}", f"::{token}::"


def _escaped(text: str, *, properties: bool = False) -> str:
    pairs = {"%": "%25", "\r": "%0D", "\n": "%0A"} | ({":": "%3A", ",": "%2C"} if properties else {})
    return "".join(pairs.get(character, character) for character in text)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it is not there yet; if anything else is wrong with it, writing will say so
        return 0


def _append(path: Path, data: bytes) -> None:
    try:
        with path.open("ab") as file:
            file.write(data)
    except OSError as error:
        msg = f"{path} cannot be written ({error.strerror}): run this where GitHub Actions set it"
        raise UsageError(msg) from error
