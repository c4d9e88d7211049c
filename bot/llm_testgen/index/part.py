"""What is found in one definition of a file, before it is made facts."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from llm_testgen.index.facts import BindingFact, ImportFact
from llm_testgen.records import MethodKind
from llm_testgen.source import DefinitionNode


@dataclass(frozen=True, slots=True)
class Part:
    """One definition, and what was found in it, in the order of evaluation.

    Attributes:
        owner: Its qualified name.
        node: Its tree.
        kind: What it is.
        imports: Names that it imports.
        bindings: Names that get a value in it.
        expressions: What it calls, with ``()`` at the end, reads and sets, repetitions included.
    """

    owner: str
    node: DefinitionNode | ast.Module
    kind: MethodKind
    imports: list[ImportFact] = field(default_factory=list)
    bindings: list[BindingFact] = field(default_factory=list)
    expressions: list[str] = field(default_factory=list)
