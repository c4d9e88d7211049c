"""The licence and the name of a project, as its own files say."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable
from configparser import Error, RawConfigParser
from email.parser import Parser
from typing import Any

from llm_testgen.source import SourceError, parse_tree
from llm_testgen.tuning.data.examples import UNKNOWN

_LONGEST = 60  # what is longer is the licence's own text
_CLASSIFIER = re.compile(r"^License :: (?:OSI Approved :: )?(?P<name>.+)$")
# Classifiers that leave open which licence is meant say it as well as most projects do.
_EMPTY = frozenset({"", UNKNOWN, "OSI Approved", "Other/Proprietary License"})
_STATED = ("name", "version")
_ELSEWHERE = ("attr:", "file:")  # how setup.cfg names where a value is

Read = Callable[[str], bytes | None]


def licence_of(read: Read) -> str:
    """What the metadata of a release says, else its ``pyproject.toml``; ``unknown`` where neither does.

    Args:
        read: Gives the bytes of a file of the project's tree; None where there is none.
    """
    found = _of_metadata(_text(read("PKG-INFO"))) or _of_pyproject(_text(read("pyproject.toml")))
    return found or UNKNOWN


def project_name(read: Read) -> tuple[str, str]:
    """Name and version of a project, each as the first file says that says it; empty where none does.

    The files are those of all usual tools: the metadata of a release, ``pyproject.toml`` as the standard has it and as
    Poetry does, ``setup.cfg``, and ``setup.py`` where it says it in so many words.
    """
    metadata = Parser().parsestr(_text(read("PKG-INFO")), headersonly=True)
    pyproject = _text(read("pyproject.toml"))
    tables: list[dict[str, object]] = [
        {name: metadata.get(name) for name in _STATED},
        _table(pyproject, "project"),
        _table(pyproject, "tool", "poetry"),
        _of_setup_cfg(_text(read("setup.cfg"))),
        _of_setup_py(_text(read("setup.py"))),
    ]
    name, version = (
        next((text for table in tables if isinstance(text := table.get(stated), str) and text), "")
        for stated in _STATED
    )
    return name, version


def _of_metadata(text: str) -> str:
    metadata = Parser().parsestr(text, headersonly=True)
    stated = [metadata.get("License-Expression"), metadata.get("License")]
    return _first([*stated, _of_classifiers(metadata.get_all("Classifier") or [])])


def _of_pyproject(text: str) -> str:
    table = _table(text, "project")
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


def _table(text: str, *names: str) -> dict[str, object]:
    """A table of a file of TOML; empty where there is none."""
    try:
        table: object = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}
    for name in names:
        table = table.get(name) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else {}


def _of_setup_cfg(text: str) -> dict[str, object]:
    parser = RawConfigParser()
    try:
        parser.read_string(text)
        stated = dict(parser["metadata"]) if "metadata" in parser else {}
    except Error:
        return {}
    return {name: value for name, value in stated.items() if value and not value.startswith(_ELSEWHERE)}


def _of_setup_py(text: str) -> dict[str, object]:
    """What the call of ``setup`` is given as it stands there."""
    try:
        tree = parse_tree(text)
    except SourceError:
        return {}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="setup") | ast.Attribute(attr="setup"), keywords=keywords):
                values = ((one.arg, one.value) for one in keywords if one.arg)
                stated: dict[str, object] = {name: at.value for name, at in values if isinstance(at, ast.Constant)}
                if "name" in stated:
                    return stated
    return {}


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")
