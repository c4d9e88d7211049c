"""The licence of a project, as its own files say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from email.parser import Parser
from typing import Any

from llm_testgen.tuning.data.examples import UNKNOWN

_LONGEST = 60  # what is longer is the licence's own text
_CLASSIFIER = re.compile(r"^License :: (?:OSI Approved :: )?(?P<name>.+)$")
# Classifiers that leave open which licence is meant say it as well as most projects do.
_EMPTY = frozenset({"", UNKNOWN, "OSI Approved", "Other/Proprietary License"})

Read = Callable[[str], bytes | None]


def licence_of(read: Read) -> str:
    """What the metadata of a release says, else its ``pyproject.toml``; ``unknown`` where neither does.

    Args:
        read: Gives the bytes of a file of the project's tree; None where there is none.
    """
    found = _of_metadata(_text(read("PKG-INFO"))) or _of_pyproject(_text(read("pyproject.toml")))
    return found or UNKNOWN


def project_name(read: Read) -> tuple[str, str]:
    """Name and version of a project, as the same files say; empty where they do not."""
    metadata = Parser().parsestr(_text(read("PKG-INFO")), headersonly=True)
    table = _project_table(_text(read("pyproject.toml")))
    name = metadata.get("Name") or table.get("name")
    version = metadata.get("Version") or table.get("version")
    return (name if isinstance(name, str) else ""), (version if isinstance(version, str) else "")


def _of_metadata(text: str) -> str:
    metadata = Parser().parsestr(text, headersonly=True)
    stated = [metadata.get("License-Expression"), metadata.get("License")]
    return _first([*stated, _of_classifiers(metadata.get_all("Classifier") or [])])


def _of_pyproject(text: str) -> str:
    table = _project_table(text)
    stated = table.get("license")
    stated = stated.get("text") if isinstance(stated, dict) else stated
    classifiers = table.get("classifiers")
    return _first([stated, _of_classifiers(classifiers if isinstance(classifiers, list) else [])])


def _of_classifiers(classifiers: list[Any]) -> str:
    found = [match["name"] for line in classifiers if (match := _CLASSIFIER.match(str(line)))]
    return " or ".join(name for name in found if name not in _EMPTY)


def _first(stated: list[object]) -> str:
    """The first that says something, and is no whole text of a licence."""
    words = (" ".join(text.split()) for text in stated if isinstance(text, str))
    return next(
        (text for text in words if text not in _EMPTY and text.lower() != UNKNOWN and len(text) <= _LONGEST), ""
    )


def _project_table(text: str) -> dict[str, object]:
    try:
        table = tomllib.loads(text).get("project", {})
    except tomllib.TOMLDecodeError:
        return {}
    return table if isinstance(table, dict) else {}


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")
