"""The facts of a blob that the resolver asks for, as one text: read whole, they cost a tenth of what rows do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter

from llm_testgen.index.facts import BindingFact, BindingKind, BlobFacts, DefinitionFact, ImportFact
from llm_testgen.records import MethodKind

_BINDING_KINDS = {kind.value: kind for kind in BindingKind}
_METHOD_KINDS = {kind.value: kind for kind in MethodKind}


def pack(facts: BlobFacts) -> str:
    """A blob's facts without its text, docstrings and signatures."""
    definitions = [
        (d.qualname, d.kind, d.start, d.end, d.bases, d.decorators, d.returns, d.fixture) for d in facts.definitions
    ]
    bindings = [
        (owner, [part for fact in run for part in fact[1:]])
        for owner, run in groupby(facts.bindings, key=itemgetter(0))
    ]
    return json.dumps([definitions, facts.imports, bindings, facts.expressions], separators=(",", ":"))


def unpack(text: str) -> BlobFacts:
    """What `pack` has kept."""
    definitions, imports, bindings, expressions = json.loads(text)
    kinds = _BINDING_KINDS
    return BlobFacts(
        definitions=tuple(_definition(*row) for row in definitions),
        imports=tuple(ImportFact(*row) for row in imports),
        bindings=tuple(
            [
                BindingFact(owner, name, kinds[kind], value)
                for owner, run in bindings
                for name, kind, value in zip(run[::3], run[1::3], run[2::3], strict=True)
            ]
        ),
        expressions={owner: tuple(texts) for owner, texts in expressions.items()},
    )


def unpack_expressions(text: str) -> Mapping[str, list[str]]:
    """Of what `pack` has kept, the expressions of each owner."""
    expressions: dict[str, list[str]] = json.loads(text)[3]
    return expressions


def _definition(  # noqa: PLR0913, PLR0917 - one parameter a field
    qualname: str, kind: str, start: int, end: int, bases: list[str], decorators: list[str], returns: str, fixture: str
) -> DefinitionFact:
    return DefinitionFact(
        qualname=qualname,
        kind=_METHOD_KINDS[kind],
        start=start,
        end=end,
        signature="",
        docstring="",
        bases=tuple(bases),
        decorators=tuple(decorators),
        returns=returns,
        fixture=fixture,
    )
