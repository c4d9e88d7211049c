"""What every repair works with: its kind, what the project says about names, and what it gives."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from llm_testgen.records import Candidate, Ending, Failure, Method
from llm_testgen.source import DefinitionNode, SourceError, parse_tree

_LONGEST_SHOWN = 80
# How alike two names must be for one to be a slip of the other, and from which length on that can be told.
_CLOSE = 0.8
_SHORTEST_GUESSED = 5


class RepairKind(StrEnum):
    """The families of repairs, each of which can be switched off."""

    SALVAGE = "salvage"
    IMPORTS = "imports"
    FIXTURES = "fixtures"
    STRUCTURE = "structure"
    ASYNC = "async"
    CALLS = "calls"
    INPUTS = "inputs"
    HANGS = "hangs"
    RAISES = "raises"
    OBSERVED = "observed"
    DROP = "drop"


ALL_REPAIRS = frozenset(RepairKind)


class ProjectNames(Protocol):
    """What the project says about names, as seen from the module under test."""

    def import_for(self, name: str) -> str | None:
        """The import statement that binds ``name`` as the module under test or its project does; None if unknown."""

    def is_project_module(self, module: str) -> bool:
        """Whether ``module`` is the dotted name of one of the project's own modules or packages."""

    def definition(self, qualname: str) -> Method | None:
        """A definition of the module under test by its qualified name; None when there is none."""

    def similar(self, name: str) -> str | None:
        """The one name that can be imported from the project and is ``name`` but for its case or a slip."""

    def fixtures(self) -> tuple[str, ...]:
        """Names of the project's fixtures that a test of the module may request."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be mended.

    Attributes:
        candidate: What was judged.
        failure: Why it did not pass.
        ending: How it ended.
        names: What the project says about names.
        asserting: Whether the test must assert something; a smoke test need not.
    """

    candidate: Candidate
    failure: Failure
    ending: Ending
    names: ProjectNames
    asserting: bool = True

    @property
    def code(self) -> str:
        """The candidate's code."""
        return self.candidate.code


Repair = Callable[[Case], Candidate | None]


def definition_node(method: Method) -> DefinitionNode | None:
    """A definition's own syntax tree, whatever it is nested in; its lines count from the first of its source."""
    lines = method.source.split("\n")
    indentation = len(lines[0]) - len(lines[0].lstrip())
    text = "\n".join(line[indentation:] if line[:indentation].isspace() else line for line in lines)
    try:
        body = parse_tree(text).body
    except SourceError:
        return None
    return body[0] if body and isinstance(body[0], DefinitionNode) else None


def closest(name: str, known: Iterable[str]) -> str | None:
    """The one of some names that a name is but for its case, its underscores or a slip; None when it is not one."""
    plain = _plain(name)
    others = [other for other in sorted(set(known)) if other != name]
    alike = [other for other in others if _plain(other) == plain]
    if not alike and len(plain) >= _SHORTEST_GUESSED:
        near = difflib.get_close_matches(plain, [_plain(other) for other in others], n=2, cutoff=_CLOSE)
        alike = [other for other in others if _plain(other) in near]
    return alike[0] if len(alike) == 1 else None


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def short(text: str) -> str:
    """A piece of code in one line that a reviewer can read."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 1] + "…"
