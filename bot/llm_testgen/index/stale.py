"""Which files a change of other files makes stale: those that write a name which no longer means the same.

What a chain stands for is found by its names alone. So it is followed by names what a change can reach: first those
that are defined, imported or bound otherwise than before, then those whose meaning is made from them, as a base, a
result, an attribute. That takes in too many files now and then, and never too few.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping

from llm_testgen.index.entities import enclosing
from llm_testgen.index.facts import ATTRIBUTE, RETURNED, STAR, YIELDED, BindingFact, BindingKind, BlobFacts
from llm_testgen.index.packing import unpack
from llm_testgen.records import MODULE_QUALNAME

_NAME = re.compile(r"\w+")
_RESULTS = frozenset({RETURNED, YIELDED})
_RECEIVERS = frozenset({BindingKind.INSTANCE, BindingKind.CLASS})


def affected(changes: Iterable[tuple[BlobFacts, BlobFacts]], packed: Mapping[int, str]) -> set[int] | None:
    """The blobs of a tree whose files have to be resolved anew.

    Args:
        changes: What files said before and say now.
        packed: The facts of every blob of the tree, by its id, as `packing` writes them.

    Returns:
        Ids of blobs; None when it may be any, as after a change of fixtures or star imports.
    """
    names: set[str] = set()
    for before, now in changes:
        found = _changed_names(before, now)
        if found is None:
            return None
        names |= found
    stale: set[int] = set()
    views: dict[int, _Mentions] = {}
    fresh = names
    while fresh:
        hit = {blob for blob, text in packed.items() if any(name in text for name in fresh)}
        for blob in hit - views.keys():
            views[blob] = _Mentions(unpack(packed[blob]))
        stale |= {blob for blob in hit if not views[blob].names.isdisjoint(names)}
        exported = {name for blob in stale for name in views[blob].made_from(names)}
        fresh = exported - names
        names |= fresh
    return stale


def _changed_names(before: BlobFacts, now: BlobFacts) -> set[str] | None:
    """The names that mean something else than before, to other files; None when that may be any."""
    found: set[str] = set()
    for (kind, owner, name), _ in set(_items(before).items()) ^ set(_items(now).items()):
        if kind in {"fixture", STAR}:
            return None
        found.update(_known_as(owner, name))
    return found


def _items(facts: BlobFacts) -> dict[tuple[str, str, str], Hashable]:
    """Everything that other files may depend on, by what it is, its owner and its name."""
    found: dict[tuple[str, str, str], list[Hashable]] = defaultdict(list)
    for definition in facts.definitions:
        shape = (definition.kind, definition.bases, definition.decorators, definition.returns)
        found["definition", definition.qualname, ""].append(shape)
        if definition.fixture:
            found["fixture", definition.qualname, ""].append(definition.fixture)
    functions, private = facts.functions, facts.private
    for fact in facts.imports:
        if fact.owner not in private:
            found[STAR if fact.name == STAR else "import", fact.owner, fact.bound].append(fact)
    for binding in facts.bindings:
        if binding.owner not in private:
            is_local = binding.owner in functions and not binding.name.startswith(ATTRIBUTE)
            found["binding", binding.owner, "" if is_local else binding.name].append(binding)
    return {key: tuple(values) for key, values in found.items()}


def _known_as(owner: str, name: str) -> Iterator[str]:
    """The names through which others see something that a definition holds, or the definition itself."""
    if name.startswith(ATTRIBUTE):
        yield name.removeprefix(ATTRIBUTE)
    elif name:
        yield name
    if owner != MODULE_QUALNAME:
        # Special methods are called without being named.
        own = owner.rpartition(".")[2]
        yield own
        if own.startswith("__") and "." in owner:
            yield enclosing(owner).rpartition(".")[2]


class _Mentions:
    """The names that one file writes, and what it makes of them."""

    def __init__(self, facts: BlobFacts) -> None:
        self._facts = facts
        texts = [text for texts in facts.expressions.values() for text in texts]
        texts += [fact.value for fact in facts.bindings]
        texts += [fact.name for fact in facts.bindings]
        texts += [text for fact in facts.imports for text in (fact.bound, fact.module, fact.name)]
        texts += [text for d in facts.definitions for text in (*d.bases, *d.decorators, d.returns, d.qualname)]
        self.names = frozenset(_NAME.findall(" ".join(texts)))
        self._bindings: dict[str, list[BindingFact]] = defaultdict(list)
        for binding in facts.bindings:
            self._bindings[binding.owner].append(binding)

    def made_from(self, names: set[str]) -> Iterator[str]:
        """The names whose meaning, to other files, is made from that of some names."""
        for fact in self._facts.imports:
            if fact.name in names or not names.isdisjoint(fact.module.split(".")):
                yield fact.bound
        for definition in self._facts.definitions:
            if _mention((*definition.bases, *definition.decorators, definition.returns), names):
                yield from _known_as(definition.qualname, "")
        functions = self._facts.functions
        for owner, bindings in self._bindings.items():
            is_function = owner in functions
            for name in self._bound(owner, bindings, names):
                if not is_function or name.startswith(ATTRIBUTE):
                    yield name.removeprefix(ATTRIBUTE)
                elif name in _RESULTS:
                    yield from _known_as(owner, "")

    def _bound(self, owner: str, bindings: list[BindingFact], names: set[str]) -> set[str]:
        """What a definition binds to something that is made from those names, in one step or several."""
        known = set(names)
        if enclosing(owner).rpartition(".")[2] in names:
            known |= {binding.name for binding in bindings if binding.kind in _RECEIVERS}
        found: set[str] = set()
        while True:
            more = {
                binding.name for binding in bindings if binding.name not in found and _mention([binding.value], known)
            }
            if not more:
                return found
            found |= more
            known |= more


def _mention(texts: Iterable[str], names: set[str]) -> bool:
    return any(not names.isdisjoint(_NAME.findall(text)) for text in texts if text)
